/*
 * A visit to another process: stop one of its threads at a safe place, let that thread make calls for us, and leave it
 * as it was found. x86-64 only; elsewhere fg__remote_open is FG_EUNSUPPORTED.
 *
 *   fg__remote_open ──▶ stop_when / stop_at ──▶ call, syscall, read, write … ──▶ resume ──┬──▶ fg__remote_close
 *                            ▲                                                            │
 *                            └────────────────────────────────────────────────────────────┘
 *
 *   remote.c        threads: seized, stopped where it fits, let go      remote_call.c   calls, registers, memory
 *
 * What a thread has is kept from its stop to its resume: registers, extended state (vectors), the mask of signals. A
 * call needs no signal and no breakpoint: it returns to a system call instruction of the vDSO, which the kernel reports
 * before it happens and which is then left out; handlers and masks of the process are never touched. While a thread is
 * ours, signals wait, except those that its own faults raise and SIGSTOP and SIGKILL, which nothing holds back.
 *
 * Everything of one visit happens on one thread of ours: that is ptrace's rule. Only one thread of the process is ever
 * held; the others run on.
 */
#ifndef FG_SYS_REMOTE_H
#define FG_SYS_REMOTE_H

#include "core/core.h"

typedef struct fg__remote fg__remote;

/* Where a thread stands. */
typedef struct fg__remote_thread {
    uint32_t tid;
    bool main;    /* the first thread of its process */
    bool waiting; /* a system call slept until it was interrupted by us; it goes on with it when resumed */
    int64_t system_call; /* its number; -1: in none */
    uint64_t ip, sp;
} fg__remote_thread;

/* Whether this is a place to stop at. */
typedef bool (*fg__remote_fit)(void *user, const fg__remote_thread *thread);

/*
 * Begin a visit that is to be over at `deadline` (fg__loop_now's clock). Refusals are told here: no such process, not
 * allowed, traced by another, stopped, 32-bit. The caller closes *out.
 */
int fg__remote_open(fg__remote **out, fg_ctx *ctx, uint64_t pid, double deadline);
/* Put the thread back where it was and end the visit. NULL is accepted. */
void fg__remote_close(fg__remote *remote);

/*
 * Stop a thread that fits: those that sleep are asked first. `user` goes to `fit`. FG_ETIMEOUT: none did before the
 * deadline, and none is stopped.
 */
int fg__remote_stop_when(fg__remote *remote, fg__remote_fit fit, void *user);
/*
 * Stop a thread when it comes to one of `n` (at most 4) addresses, by the processor's breakpoints: the code is not
 * changed. Threads are watched in turn. FG_ETIMEOUT as above.
 */
int fg__remote_stop_at(fg__remote *remote, const uint64_t *addresses, size_t n);
/* The longest pause between two looks at the threads, in seconds; 0.05 unless told. */
void fg__remote_set_pace(fg__remote *remote, double seconds);
/* Fits threads that sleep in a system call that no allocator and no lock makes: read, poll, nanosleep, accept, … */
bool fg__remote_resting(void *user, const fg__remote_thread *thread);
/* Fits the main thread, wherever it is. */
bool fg__remote_is_main(void *user, const fg__remote_thread *thread);
/* The stopped thread; tid 0: none is. */
fg__remote_thread fg__remote_stopped(const fg__remote *remote);
/* Let the thread go as it was found. */
int fg__remote_resume(fg__remote *remote);
/*
 * The same, but the system call that it slept in fails with EINTR, as if a signal had come: programs are written for
 * that, and look around before they sleep again.
 */
int fg__remote_resume_interrupted(fg__remote *remote);

/* ---- of a stopped thread ------------------------------------------------------------------------------- */

enum { FG__REMOTE_ARGUMENTS = 6 };

/* When a call that does not return is given up; 10 s past the deadline unless told. */
void fg__remote_set_overtime(fg__remote *remote, double until);

/*
 * Let the thread call a function of the process (`n` arguments, integers or addresses). FG_ETIMEOUT: it did not return
 * until some time past the deadline, and was taken out of it.
 */
int fg__remote_call(uint64_t *result, fg__remote *remote, uint64_t function, const uint64_t *arguments,
                    size_t n);
/* Let it make a system call; *result is -errno where that failed. */
int fg__remote_syscall(int64_t *result, fg__remote *remote, long number, const uint64_t *arguments, size_t n);
/* Memory of the process: all of it or FG_EIO. */
int fg__remote_read(fg__remote *remote, void *out, uint64_t address, size_t n);
int fg__remote_write(fg__remote *remote, uint64_t address, const void *bytes, size_t n);
/* Anonymous memory to read and write, and giving it back. */
int fg__remote_map(uint64_t *address, fg__remote *remote, size_t n);
int fg__remote_unmap(fg__remote *remote, uint64_t address, size_t n);

#endif
