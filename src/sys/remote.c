/*
 * Threads of another process: which, stopped where it is safe, let go as they were.
 *
 * A thread is seized, which it does not notice, and interrupted: that ends a sleeping system call with one of the
 * kernel's own codes, by which the call goes on when the thread does. Only epoll_wait and a few more return EINTR.
 */
#include "sys/remote.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "sys/remote_thread.h"

#ifdef __x86_64__
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef __WALL
#define __WALL 0x40000000
#endif

enum { EVENT_STOP = 128, THREADS_MAX = 4096, CODE_SEGMENT = 0x33, BREAKPOINTS = 4 };

/* Seconds: the longest nap of a wait, a look at a thread that may never come, a turn of a breakpoint. */
static const double nap = 0.001, look = 0.25, turn = 0.1;

/* ---- waiting ------------------------------------------------------------------------------------------- */

static fg__remote_event event_of(fg__remote *r, int status, int *signal) {
    if (!WIFSTOPPED(status)) {
        r->tid = 0;
        return FG__REMOTE_GONE;
    }
    int stop = WSTOPSIG(status);
    r->trapped = true;
    r->signal = 0;
    if (status >> 16 == EVENT_STOP) return FG__REMOTE_TRAPPED;
    if (stop == (SIGTRAP | 0x80)) {
        r->trapped = false;
        return FG__REMOTE_SYSTEM_CALL;
    }
    if (stop == SIGTRAP) return FG__REMOTE_BREAKPOINT;
    *signal = stop;
    r->signal = stop;
    return FG__REMOTE_SIGNAL;
}

fg__remote_event fg__remote_wait(fg__remote *r, int *signal, double until) {
    for (double wait = 20e-6;; wait = wait < nap ? wait * 1.5 : nap) {
        int status;
        pid_t pid = waitpid(r->tid, &status, __WALL | WNOHANG);
        if (pid == r->tid) return event_of(r, status, signal);
        if (pid < 0 && errno != EINTR) {
            r->tid = 0;
            return FG__REMOTE_GONE;
        }
        if (fg__loop_now() >= until) return FG__REMOTE_LATE;
        nanosleep(&(struct timespec){.tv_nsec = (long)(wait * 1e9)}, NULL);
    }
}

int fg__remote_gone(fg__remote *r) {
    return fg__fail(r->ctx, FG_EIO, "process %llu has ended meanwhile", (unsigned long long)r->pid);
}

fg__remote_event fg__remote_trap(fg__remote *r, double until) {
    int signal = 0;
    long deliver = 0;
    bool running =
        true; /* any other stop uses up the interruption: it is asked for again before it goes on */
    for (;;) {
        if (ptrace(PTRACE_INTERRUPT, r->tid, NULL, NULL)) return FG__REMOTE_GONE;
        if (!running) ptrace(PTRACE_CONT, r->tid, NULL, (void *)deliver);
        fg__remote_event event = fg__remote_wait(r, &signal, until);
        if (event == FG__REMOTE_TRAPPED || event == FG__REMOTE_LATE || event == FG__REMOTE_GONE) return event;
        running = false;
        deliver = event == FG__REMOTE_SIGNAL ? signal : 0;
    }
}

/* ---- which threads ------------------------------------------------------------------------------------- */

/*
 * A system call that was interrupted before and went on is a restart_syscall from then on. Which one it was is in the
 * instruction before: `mov $number, %eax` is how C libraries do it. -1: not seen.
 */
static int64_t restarted_call(fg__remote *r, uint64_t ip) {
    uint8_t code[7]; /* b8 NUMBER 0f 05 */
    int32_t number;
    if (fg__remote_read(r, code, ip - sizeof code, sizeof code)) return -1;
    memcpy(&number, code + 1, sizeof number);
    return code[0] == 0xb8 && code[5] == 0x0f && code[6] == 0x05 ? number : -1;
}

/* The state of a thread ('S': it sleeps) and the system call it is in, read without stopping it; '\0': it is gone. */
static char peek(fg__remote *r, uint32_t tid, int64_t *system_call) {
    char path[64], line[512], state = '\0';
    *system_call = -1;
    snprintf(path, sizeof path, "/proc/%llu/task/%u/stat", (unsigned long long)r->pid, tid);
    FILE *file = fopen(path, "re");
    if (!file) return '\0';
    char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end && end[1] == ' ') state = end[2];
    fclose(file);
    snprintf(path, sizeof path, "/proc/%llu/task/%u/syscall", (unsigned long long)r->pid, tid);
    file = fopen(path, "re");
    if (!file) return state;
    long long number;
    unsigned long long ip;
    if (fscanf(file, "%lld %*x %*x %*x %*x %*x %*x %*x %llx", &number, &ip) == 2)
        *system_call = number == SYS_restart_syscall ? restarted_call(r, ip) : number;
    fclose(file);
    return state;
}

static size_t list_threads(const fg__remote *r, uint32_t *tids, size_t most) {
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%llu/task", (unsigned long long)r->pid);
    DIR *folder = opendir(path);
    if (!folder) return 0;
    for (struct dirent *entry; n < most && (entry = readdir(folder));) {
        unsigned long tid = strtoul(entry->d_name, NULL, 10);
        if (tid) tids[n++] = (uint32_t)tid;
    }
    closedir(folder);
    return n;
}

/* ---- stopping ------------------------------------------------------------------------------------------ */

static int seize(fg__remote *r, uint32_t tid) {
    if (ptrace(PTRACE_SEIZE, (pid_t)tid, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD)) {
        if (errno == ESRCH) return 0; /* a thread that has ended */
        return fg__rights_refused(r->ctx, FG__RIGHT_PTRACE, r->pid, errno);
    }
    r->tid = (pid_t)tid;
    r->signal = 0;
    r->trapped = false;
    return 0;
}

static void describe(fg__remote *r) {
    const struct user_regs_struct *registers = &r->saved.registers;
    int64_t result = (int64_t)registers->rax;
    int64_t call = (int64_t)registers->orig_rax;
    if (call == SYS_restart_syscall) call = restarted_call(r, registers->rip);
    bool interrupted = (result <= -FG__RESTART && result >= -FG__RESTART_BLOCK) || result == -EINTR;
    r->thread = (fg__remote_thread){
        .tid = (uint32_t)r->tid,
        .main = (uint64_t)r->tid == r->pid,
        .waiting = call >= 0 && interrupted,
        .system_call = call >= 0 ? call : -1,
        .ip = registers->rip,
        .sp = registers->rsp,
    };
}

/* Detach from a thread that stands still and was not changed; a signal that was on its way to it goes on. */
static void leave(fg__remote *r) {
    if (r->tid) ptrace(PTRACE_DETACH, r->tid, NULL, (void *)(long)r->signal);
    r->tid = 0;
    r->thread.tid = 0;
}

/* Seize and stop a thread. *stopped false: it has ended, or it cannot be stopped now and was left alone. */
static int stop(fg__remote *r, uint32_t tid, bool *stopped) {
    *stopped = false;
    int err = seize(r, tid);
    if (err || !r->tid) return err;
    fg__remote_event event = fg__remote_trap(r, fg__loop_now() + look);
    if (event == FG__REMOTE_LATE) {
        /* In the kernel, where nothing interrupts it. It cannot be let go before it stands: it will, one day. */
        event = fg__remote_wait(r, &(int){0}, r->deadline + FG__REMOTE_OVERTIME);
    }
    if (event != FG__REMOTE_TRAPPED || !fg__remote_save(r)) {
        leave(r);
        return 0;
    }
    if (r->saved.registers.cs != CODE_SEGMENT) {
        leave(r);
        return fg__fail(r->ctx, FG_EUNSUPPORTED, "process %llu runs 32-bit code, which is not supported",
                        (unsigned long long)r->pid);
    }
    describe(r);
    *stopped = true;
    return 0;
}

/* Set the mask of its signals to all but those that its own faults raise: they are for it to handle. */
static void hold_signals(fg__remote *r) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    uint64_t mask = ~0ull;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) mask &= ~(1ull << (faults[i] - 1));
    mask |= r->saved.mask;
    ptrace(PTRACE_SETSIGMASK, r->tid, (void *)sizeof mask, &mask);
}

static int try_thread(fg__remote *r, uint32_t tid, fg__remote_fit fit, void *user, bool *found) {
    int err = stop(r, tid, found);
    if (err || !*found) return err;
    *found = !fg__remote_in_rseq(r) && fit(user, &r->thread);
    if (*found)
        hold_signals(r);
    else
        leave(r);
    return 0;
}

static int too_late(fg__remote *r, const char *what) {
    return fg__fail(r->ctx, FG_ETIMEOUT, "no thread of process %llu %s in time; it was left alone",
                    (unsigned long long)r->pid, what);
}

/* Ask the threads once, those that look as if they fit first: `fit` is asked with what can be seen from outside. */
static int ask_threads(fg__remote *r, fg__remote_fit fit, void *user, bool *found) {
    uint32_t tids[THREADS_MAX];
    size_t n = list_threads(r, tids, THREADS_MAX);
    if (!n) return fg__remote_gone(r);
    *found = false;
    for (size_t i = 0; i < n && !*found && fg__loop_now() < r->deadline; i++) {
        fg__remote_thread seen = {.tid = tids[i], .main = tids[i] == r->pid};
        char state = peek(r, tids[i], &seen.system_call);
        seen.waiting = state == 'S';
        if (state == 'D' || state == 'Z' || !fit(user, &seen)) continue;
        int err = try_thread(r, tids[i], fit, user, found);
        if (err) return err;
    }
    return 0;
}

int fg__remote_stop_when(fg__remote *r, fg__remote_fit fit, void *user) {
    for (double wait = nap;; wait = wait * 1.5 < r->pace ? wait * 1.5 : r->pace) {
        bool found;
        int err = ask_threads(r, fit, user, &found);
        if (err || found) return err;
        if (fg__loop_now() >= r->deadline)
            return too_late(r, "was seen at a place where it is safe to stop it");
        nanosleep(&(struct timespec){.tv_nsec = (long)(wait * 1e9)}, NULL);
    }
}

/* ---- breakpoints --------------------------------------------------------------------------------------- */

static bool set_debug(fg__remote *r, size_t index, uint64_t value) {
    size_t at = offsetof(struct user, u_debugreg) + index * sizeof value;
    return ptrace(PTRACE_POKEUSER, r->tid, (void *)at, (void *)value) == 0;
}

static bool set_breakpoints(fg__remote *r, const uint64_t *addresses, size_t n) {
    uint64_t control = 0;
    for (size_t i = 0; i < n; i++) {
        if (!set_debug(r, i, addresses[i])) return false;
        control |= 1ull << (2 * i); /* when it is executed */
    }
    return set_debug(r, 7, control);
}

static void clear_breakpoints(fg__remote *r) {
    if (!r->tid) return;
    set_debug(r, 7, 0);
    for (size_t i = 0; i < BREAKPOINTS; i++) set_debug(r, i, 0);
}

/* Whether the process ignores or blocks SIGTRAP: the kernel would change that when a breakpoint is met. */
static bool minds_traps(const fg__remote *r) {
    if (r->saved.mask >> (SIGTRAP - 1) & 1) return true;
    char path[64], line[128];
    unsigned long long ignored = 0;
    snprintf(path, sizeof path, "/proc/%llu/status", (unsigned long long)r->pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "SigIgn: %llx", &ignored) != 1) {}
    if (file) fclose(file);
    return ignored >> (SIGTRAP - 1) & 1;
}

/* Let the thread run until it meets a breakpoint. False: it did not in its turn, and stands where it came to. */
static bool run_to_breakpoint(fg__remote *r, double until) {
    long deliver = 0;
    bool interrupted = false;
    for (int signal = 0;;) {
        if (ptrace(PTRACE_CONT, r->tid, NULL, (void *)deliver)) return false;
        fg__remote_event event = fg__remote_wait(r, &signal, until);
        while (event == FG__REMOTE_LATE &&
               !interrupted) { /* its turn is over: it comes to a stop, or meets one yet */
            interrupted = true;
            if (ptrace(PTRACE_INTERRUPT, r->tid, NULL, NULL)) return false;
            event = fg__remote_wait(r, &signal, r->deadline + FG__REMOTE_OVERTIME);
        }
        if (event == FG__REMOTE_BREAKPOINT) return true;
        if (event == FG__REMOTE_GONE || event == FG__REMOTE_LATE || interrupted) return false;
        deliver = event == FG__REMOTE_SIGNAL ? signal : 0;
    }
}

static int watch_thread(fg__remote *r, uint32_t tid, const uint64_t *addresses, size_t n, bool *found) {
    int err = stop(r, tid, found);
    if (err || !*found) return err;
    *found = false;
    if (!minds_traps(r) && set_breakpoints(r, addresses, n))
        *found = run_to_breakpoint(r, fg__loop_now() + turn) && fg__remote_save(r);
    clear_breakpoints(r);
    if (*found) {
        describe(r);
        hold_signals(r);
    } else {
        leave(r);
    }
    return 0;
}

int fg__remote_stop_at(fg__remote *r, const uint64_t *addresses, size_t n) {
    if (n > BREAKPOINTS) n = BREAKPOINTS;
    for (;;) {
        uint32_t tids[THREADS_MAX];
        size_t count = list_threads(r, tids, THREADS_MAX);
        if (!count) return fg__remote_gone(r);
        for (size_t i = 0; i < count && fg__loop_now() < r->deadline; i++) {
            int64_t system_call;
            bool found;
            if (peek(r, tids[i], &system_call) != 'R') continue;
            int err = watch_thread(r, tids[i], addresses, n, &found);
            if (err || found) return err;
        }
        if (fg__loop_now() >= r->deadline) return too_late(r, "came to a place where it is safe to stop it");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* ---- places -------------------------------------------------------------------------------------------- */

bool fg__remote_resting(void *user, const fg__remote_thread *thread) {
    static const long restful[] = {
        SYS_read,          SYS_readv,           SYS_poll,    SYS_ppoll,      SYS_select,  SYS_pselect6,
        SYS_nanosleep,     SYS_recvfrom,        SYS_recvmsg, SYS_accept,     SYS_accept4, SYS_connect,
        SYS_epoll_wait,    SYS_epoll_pwait,     SYS_pause,   SYS_wait4,      SYS_waitid,  SYS_clock_nanosleep,
        SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_msgrcv,  SYS_semtimedop,
    };
    (void)user;
    if (!thread->waiting) return false;
    for (size_t i = 0; i < sizeof restful / sizeof *restful; i++)
        if (thread->system_call == restful[i]) return true;
    return false;
}

bool fg__remote_is_main(void *user, const fg__remote_thread *thread) {
    (void)user;
    return thread->main;
}

fg__remote_thread fg__remote_stopped(const fg__remote *r) {
    return r->tid ? r->thread : (fg__remote_thread){0};
}

/* ---- the visit ----------------------------------------------------------------------------------------- */

/* The address of a system call instruction in the vDSO, where nobody minds what we do with it; 0: there is none. */
static uint64_t find_system_call(const fg__remote *r) {
    char path[64], line[512];
    unsigned long long start = 0, end = 0;
    snprintf(path, sizeof path, "/proc/%llu/maps", (unsigned long long)r->pid);
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file))
        found = strstr(line, "[vdso]") && sscanf(line, "%llx-%llx", &start, &end) == 2;
    if (file) fclose(file);
    snprintf(path, sizeof path, "/proc/%llu/mem", (unsigned long long)r->pid);
    file = found && end > start && end - start <= 65536 ? fopen(path, "re") : NULL;
    if (!file) return 0;
    uint64_t address = 0;
    int last = -1, byte;
    if (fseeko(file, (off_t)start, SEEK_SET)) start = end;
    for (uint64_t at = start; !address && at < end && (byte = getc(file)) != EOF; at++, last = byte)
        if (last == 0x0f && byte == 0x05) address = at - 1;
    fclose(file);
    return address;
}

/* What would be a refusal or worse later: stopped by job control, or a shadow stack that we cannot write to. */
static int check_state(fg__remote *r) {
    char path[64], line[256], state = ' ';
    bool shadow = false;
    snprintf(path, sizeof path, "/proc/%llu/status", (unsigned long long)r->pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "State: %c", &state);
        shadow = shadow || (strncmp(line, "x86_Thread_features:", 20) == 0 && strstr(line, "shstk"));
    }
    if (file) fclose(file);
    if (state == 'T' || state == 't')
        return fg__fail(r->ctx, FG_EIO, "process %llu is stopped: let it go on first (kill -CONT %llu)",
                        (unsigned long long)r->pid, (unsigned long long)r->pid);
    if (shadow)
        return fg__fail(r->ctx, FG_EUNSUPPORTED,
                        "process %llu runs with a shadow stack, which rules out calls",
                        (unsigned long long)r->pid);
    return 0;
}

int fg__remote_open(fg__remote **out, fg_ctx *ctx, uint64_t pid, double deadline) {
    fg__refusal refusal;
    int err = fg__rights_process(ctx, pid);
    if (err) return err;
    if (fg__rights_foreseen(&refusal, FG__RIGHT_PTRACE, pid))
        return fg__rights_refused(ctx, FG__RIGHT_PTRACE, pid, EPERM);
    fg__remote *r = fg__calloc(ctx, 1, sizeof *r);
    if (!r) return FG_ENOMEM;
    r->ctx = ctx;
    r->pid = pid;
    r->deadline = deadline;
    r->pace = 0.05;
    r->overtime = deadline + FG__REMOTE_OVERTIME;
    err = check_state(r);
    if (!err && !(r->system_call_at = find_system_call(r)))
        err = fg__fail(ctx, FG_EUNSUPPORTED,
                       "process %llu has no vDSO to return to, or its memory cannot be read",
                       (unsigned long long)pid);
    if (err) {
        fg_free(ctx, r);
        return err;
    }
    *out = r;
    return 0;
}

void fg__remote_set_pace(fg__remote *r, double seconds) {
    r->pace = seconds;
}

void fg__remote_set_overtime(fg__remote *r, double until) {
    r->overtime = until;
}

int fg__remote_resume(fg__remote *r) {
    return r->tid ? fg__remote_restore(r, false) : 0;
}

int fg__remote_resume_interrupted(fg__remote *r) {
    return r->tid ? fg__remote_restore(r, r->thread.waiting) : 0;
}

void fg__remote_close(fg__remote *r) {
    if (!r) return;
    fg__remote_resume(r);
    fg_free(r->ctx, r);
}

#else

/* Elsewhere nothing can be opened, so that nothing else is ever called with something. */
static int unsupported(fg_ctx *ctx) {
    return fg__fail(ctx, FG_EUNSUPPORTED, "calls in other processes are supported on x86-64 only");
}

int fg__remote_open(fg__remote **out, fg_ctx *ctx, uint64_t pid, double deadline) {
    (void)out, (void)pid, (void)deadline;
    return unsupported(ctx);
}

void fg__remote_close(fg__remote *r) {
    (void)r;
}

int fg__remote_stop_when(fg__remote *r, fg__remote_fit fit, void *user) {
    (void)fit, (void)user;
    return unsupported(r->ctx);
}

int fg__remote_stop_at(fg__remote *r, const uint64_t *addresses, size_t n) {
    (void)addresses, (void)n;
    return unsupported(r->ctx);
}

bool fg__remote_resting(void *user, const fg__remote_thread *thread) {
    (void)user, (void)thread;
    return false;
}

bool fg__remote_is_main(void *user, const fg__remote_thread *thread) {
    (void)user;
    return thread->main;
}

fg__remote_thread fg__remote_stopped(const fg__remote *r) {
    (void)r;
    return (fg__remote_thread){0};
}

void fg__remote_set_overtime(fg__remote *r, double until) {
    (void)r, (void)until;
}

int fg__remote_resume(fg__remote *r) {
    return unsupported(r->ctx);
}

int fg__remote_resume_interrupted(fg__remote *r) {
    return unsupported(r->ctx);
}

int fg__remote_call(uint64_t *result, fg__remote *r, uint64_t function, const uint64_t *arguments, size_t n) {
    (void)result, (void)function, (void)arguments, (void)n;
    return unsupported(r->ctx);
}

int fg__remote_syscall(int64_t *result, fg__remote *r, long number, const uint64_t *arguments, size_t n) {
    (void)result, (void)number, (void)arguments, (void)n;
    return unsupported(r->ctx);
}

int fg__remote_read(fg__remote *r, void *out, uint64_t address, size_t n) {
    (void)out, (void)address, (void)n;
    return unsupported(r->ctx);
}

int fg__remote_write(fg__remote *r, uint64_t address, const void *bytes, size_t n) {
    (void)address, (void)bytes, (void)n;
    return unsupported(r->ctx);
}

int fg__remote_map(uint64_t *address, fg__remote *r, size_t n) {
    (void)address, (void)n;
    return unsupported(r->ctx);
}

int fg__remote_unmap(fg__remote *r, uint64_t address, size_t n) {
    (void)address, (void)n;
    return unsupported(r->ctx);
}

#endif
