/*
 * What a stopped thread is made to do, and how it is put back.
 *
 * A call is set up as the ABI has it, on the thread's own stack below its red zone, and returns to the `syscall`
 * instruction of the vDSO. The thread is let run from system call to system call: the one that begins there, with the
 * stack pointer where a return leaves it, is the end of the call, and its number is the function's result. The kernel
 * is told to leave it out (number −1), so that nothing happens.
 */
#include "sys/remote_thread.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __x86_64__

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

enum { RED_ZONE = 128, SYSCALL_SIZE = 2, DIRECTION_FLAG = 0x400, TRAP_FLAG = 0x100 };

/* ---- what a thread has --------------------------------------------------------------------------------- */

static bool registers(fg__remote *r, enum __ptrace_request request, struct user_regs_struct *regs) {
    struct iovec io = {regs, sizeof *regs};
    return ptrace(request, r->tid, (void *)NT_PRSTATUS, &io) == 0 && io.iov_len == sizeof *regs;
}

bool fg__remote_get_registers(fg__remote *r, struct user_regs_struct *regs) {
    return registers(r, PTRACE_GETREGSET, regs);
}

bool fg__remote_set_registers(fg__remote *r, struct user_regs_struct *regs) {
    return registers(r, PTRACE_SETREGSET, regs);
}

bool fg__remote_save(fg__remote *r) {
    fg__remote_saved *saved = &r->saved;
    struct iovec io = {saved->xstate, sizeof saved->xstate};
    if (!fg__remote_get_registers(r, &saved->registers)) return false;
    if (ptrace(PTRACE_GETSIGMASK, r->tid, (void *)sizeof saved->mask, &saved->mask)) return false;
    if (ptrace(PTRACE_GETREGSET, r->tid, (void *)NT_X86_XSTATE, &io)) return false;
    saved->xstate_size = io.iov_len;
    return io.iov_len < sizeof saved->xstate;
}

int fg__remote_restore(fg__remote *r, bool interrupted) {
    pid_t tid = r->tid;
    fg__remote_saved *saved = &r->saved;
    struct iovec io = {saved->xstate, saved->xstate_size};
    if (!r->trapped) { /* only where it looks at signals does the kernel go on with an interrupted system call */
        int signal = 0;
        fg__remote_event event;
        do {
            ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
            ptrace(PTRACE_CONT, tid, NULL, NULL);
            event = fg__remote_wait(r, &signal, fg__loop_now() + FG__REMOTE_OVERTIME);
        } while (event == FG__REMOTE_SYSTEM_CALL);
        if (event == FG__REMOTE_GONE || event == FG__REMOTE_LATE) return fg__remote_gone(r);
        if (event == FG__REMOTE_SIGNAL && signal == SIGSTOP) r->owed_stop = true;
    }
    if (interrupted || (r->broken && (int64_t)saved->registers.rax == -FG__RESTART_BLOCK)) {
        saved->registers.rax = (uint64_t)-EINTR;
        saved->registers.orig_rax = (uint64_t)-1;
    }
    bool good = fg__remote_set_registers(r, &saved->registers);
    good = ptrace(PTRACE_SETREGSET, tid, (void *)NT_X86_XSTATE, &io) == 0 && good;
    good = ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof saved->mask, &saved->mask) == 0 && good;
    good = ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0 && good;
    if (r->owed_stop) syscall(SYS_tgkill, (pid_t)r->pid, tid, SIGSTOP);
    r->owed_stop = r->broken = false;
    r->tid = 0;
    r->thread.tid = 0;
    return good ? 0 : fg__remote_gone(r);
}

bool fg__remote_in_rseq(fg__remote *r) {
#ifdef PTRACE_GET_RSEQ_CONFIGURATION
    struct __ptrace_rseq_configuration area = {0};
    struct {
        uint32_t version, flags;
        uint64_t start, size, abort;
    } sequence;
    uint64_t at = 0;
    if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, r->tid, (void *)sizeof area, &area) < 0) return false;
    if (!area.rseq_abi_pointer || fg__remote_read(r, &at, area.rseq_abi_pointer + 8, sizeof at) || !at)
        return false;
    if (fg__remote_read(r, &sequence, at, sizeof sequence)) return true;
    return r->saved.registers.rip - sequence.start < sequence.size;
#else
    (void)r;
    return false;
#endif
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static int memory(fg__remote *r, uint64_t address, char *bytes, size_t n, bool writing) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/mem", (unsigned long long)r->pid);
    int fd = open(path, (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    size_t done = 0;
    while (fd >= 0 && done < n) {
        off_t at = (off_t)(address + done);
        ssize_t m = writing ? pwrite(fd, bytes + done, n - done, at) : pread(fd, bytes + done, n - done, at);
        if (m <= 0) break;
        done += (size_t)m;
    }
    int error = errno;
    if (fd >= 0) close(fd);
    if (fd >= 0 && done == n) return 0;
    return fg__fail(r->ctx, FG_EIO, "cannot %s the memory of process %llu at %#llx: %s",
                    writing ? "write" : "read", (unsigned long long)r->pid,
                    (unsigned long long)(address + done), strerror(error));
}

int fg__remote_read(fg__remote *r, void *out, uint64_t address, size_t n) {
    return memory(r, address, out, n, false);
}

int fg__remote_write(fg__remote *r, uint64_t address, const void *bytes, size_t n) {
    return memory(r, address, (char *)bytes, n, true);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static void put_arguments(struct user_regs_struct *regs, bool system_call, const uint64_t *arguments,
                          size_t n) {
    unsigned long long *const places[FG__REMOTE_ARGUMENTS] = {
        &regs->rdi, &regs->rsi, &regs->rdx, system_call ? &regs->r10 : &regs->rcx, &regs->r8, &regs->r9};
    for (size_t i = 0; i < n && i < FG__REMOTE_ARGUMENTS; i++) *places[i] = arguments[i];
}

/* Go on to the next system call's beginning or end. Faults of the thread are its own to handle. */
static fg__remote_event next_system_call(fg__remote *r, double until) {
    int signal = 0;
    long deliver = 0;
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, r->tid, NULL, (void *)deliver)) return FG__REMOTE_GONE;
        fg__remote_event event = fg__remote_wait(r, &signal, until);
        if (event == FG__REMOTE_SYSTEM_CALL || event == FG__REMOTE_LATE || event == FG__REMOTE_GONE)
            return event;
        deliver = event == FG__REMOTE_SIGNAL && signal != SIGSTOP ? signal : 0;
        if (event == FG__REMOTE_SIGNAL && signal == SIGSTOP) r->owed_stop = true;
    }
}

static int call_failed(fg__remote *r, fg__remote_event event) {
    if (event == FG__REMOTE_GONE) return fg__remote_gone(r);
    r->broken = true;
    fg__remote_trap(r, fg__loop_now() + FG__REMOTE_OVERTIME);
    return fg__fail(r->ctx, FG_ETIMEOUT, "a call in process %llu did not return and was broken off",
                    (unsigned long long)r->pid);
}

static bool none_stopped(const fg__remote *r) {
    return r->tid == 0;
}

/* Let it run until it has returned to the vDSO with the stack pointer at `sp`. */
static fg__remote_event run_call(fg__remote *r, uint64_t sp, struct user_regs_struct *regs) {
    double until = r->overtime;
    for (;;) {
        fg__remote_event event = next_system_call(r, until);
        if (event != FG__REMOTE_SYSTEM_CALL) return event;
        if (!fg__remote_get_registers(r, regs)) return FG__REMOTE_GONE;
        if (regs->rip == r->system_call_at + SYSCALL_SIZE && regs->rsp == sp) return event;
    }
}

/* The end of a call or a system call: nothing is to happen when the thread goes on. */
static void leave_out(fg__remote *r, struct user_regs_struct *regs) {
    regs->orig_rax = (uint64_t)-1;
    fg__remote_set_registers(r, regs);
}

int fg__remote_call(uint64_t *result, fg__remote *r, uint64_t function, const uint64_t *arguments, size_t n) {
    if (none_stopped(r)) return fg__fail(r->ctx, FG_EINVAL, "no thread is stopped");
    struct user_regs_struct regs = r->saved.registers;
    regs.rsp = ((regs.rsp - RED_ZONE) & ~0xfull) - sizeof(uint64_t);
    int err = fg__remote_write(r, regs.rsp, &r->system_call_at, sizeof r->system_call_at);
    if (err) return err;
    put_arguments(&regs, false, arguments, n);
    regs.rip = function;
    regs.rax = 0; /* no vector arguments */
    regs.orig_rax = (uint64_t)-1;
    regs.eflags &= ~(unsigned long long)(DIRECTION_FLAG | TRAP_FLAG);
    if (!fg__remote_set_registers(r, &regs)) return fg__remote_gone(r);
    fg__remote_event event = run_call(r, regs.rsp + sizeof(uint64_t), &regs);
    if (event != FG__REMOTE_SYSTEM_CALL) return call_failed(r, event);
    *result = regs.orig_rax;
    leave_out(r, &regs);
    return 0;
}

int fg__remote_syscall(int64_t *result, fg__remote *r, long number, const uint64_t *arguments, size_t n) {
    if (none_stopped(r)) return fg__fail(r->ctx, FG_EINVAL, "no thread is stopped");
    struct user_regs_struct regs = r->saved.registers;
    put_arguments(&regs, true, arguments, n);
    regs.rip = r->system_call_at;
    regs.rax = (uint64_t)number;
    regs.orig_rax = (uint64_t)-1;
    regs.eflags &= ~(unsigned long long)TRAP_FLAG;
    if (!fg__remote_set_registers(r, &regs)) return fg__remote_gone(r);
    double until = r->overtime;
    fg__remote_event event;
    do { /* what was left out before may end first */
        event = next_system_call(r, until);
        if (event != FG__REMOTE_SYSTEM_CALL || !fg__remote_get_registers(r, &regs))
            return call_failed(r, event);
    } while (regs.orig_rax != (uint64_t)number);
    event = next_system_call(r, until);
    if (event != FG__REMOTE_SYSTEM_CALL || !fg__remote_get_registers(r, &regs)) return call_failed(r, event);
    *result = (int64_t)regs.rax;
    leave_out(r, &regs);
    return 0;
}

int fg__remote_map(uint64_t *address, fg__remote *r, size_t n) {
    const uint64_t arguments[] = {0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
    int64_t result;
    int err = fg__remote_syscall(&result, r, SYS_mmap, arguments, 6);
    if (err) return err;
    if (result < 0 && result > -4096)
        return fg__fail(r->ctx, FG_EIO, "process %llu gets no memory: %s", (unsigned long long)r->pid,
                        strerror((int)-result));
    *address = (uint64_t)result;
    return 0;
}

int fg__remote_unmap(fg__remote *r, uint64_t address, size_t n) {
    const uint64_t arguments[] = {address, n};
    int64_t result;
    return fg__remote_syscall(&result, r, SYS_munmap, arguments, 2);
}

#endif
