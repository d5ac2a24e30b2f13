/* What remote.c and remote_call.c share: the state of a visit, and waiting for the thread. */
#ifndef FG_SYS_REMOTE_THREAD_H
#define FG_SYS_REMOTE_THREAD_H

#include <stdio.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include "sys/remote.h"
#include "sys/rights.h"
#include "sys/sys.h"

#ifndef __x86_64__

struct fg__remote {
    fg_ctx *ctx;
};

#else

enum {
    FG__XSTATE_MAX = 32768, /* bytes of a thread's extended state; AVX-512 and AMX take 11 KiB */
    FG__RESTART_BLOCK =
        516,          /* ERESTART_RESTARTBLOCK, the last of the kernel's own codes for "do it again" … */
    FG__RESTART = 512 /* … and ERESTARTSYS, the first */
};
/* Seconds that a call may go on past the deadline, unless told, and that putting a thread back may take. */
#define FG__REMOTE_OVERTIME 10.0

/* How a thread was found. */
typedef struct fg__remote_saved {
    struct user_regs_struct registers;
    uint64_t mask;
    size_t xstate_size;
    char xstate[FG__XSTATE_MAX];
} fg__remote_saved;

struct fg__remote {
    fg_ctx *ctx;
    uint64_t pid;
    double deadline;
    double pace;     /* the longest pause between two looks */
    double overtime; /* when a call that does not return is given up */
    pid_t tid;       /* the thread that is ours; 0: none */
    bool trapped;    /* it stands where the kernel looks at signals: what we set counts when it goes on */
    int signal;      /* it stands before the delivery of this one; 0: it does not */
    bool owed_stop;  /* SIGSTOP came while it was ours */
    bool broken; /* a call was broken off: the kernel's notes of how to go on with a system call are lost */
    uint64_t system_call_at; /* the address of a system call instruction of the vDSO */
    fg__remote_thread thread;
    fg__remote_saved saved;
};

/* How a wait ended. */
typedef enum fg__remote_event {
    FG__REMOTE_TRAPPED,     /* PTRACE_INTERRUPT or job control */
    FG__REMOTE_SYSTEM_CALL, /* at the beginning or the end of one */
    FG__REMOTE_BREAKPOINT,  /* SIGTRAP, kept from the thread */
    FG__REMOTE_SIGNAL,      /* another signal is about to be delivered: *signal */
    FG__REMOTE_LATE,        /* nothing happened until the time was over */
    FG__REMOTE_GONE         /* it has ended */
} fg__remote_event;

fg__remote_event fg__remote_wait(fg__remote *r, int *signal, double until);
/* Interrupt it and wait until it stands where signals are looked at; signals that come first are delivered. */
fg__remote_event fg__remote_trap(fg__remote *r, double until);
int fg__remote_gone(fg__remote *r);
/* The thread's registers. */
bool fg__remote_get_registers(fg__remote *r, struct user_regs_struct *registers);
bool fg__remote_set_registers(fg__remote *r, struct user_regs_struct *registers);
/* Keep what it has; let it go with that. */
bool fg__remote_save(fg__remote *r);
int fg__remote_restore(fg__remote *r, bool interrupted);
/* Whether the thread was stopped in a restartable sequence: it must not be led elsewhere from there. */
bool fg__remote_in_rseq(fg__remote *r);

#endif
#endif
