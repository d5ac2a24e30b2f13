/*
 * What one process may do to another on Linux, and why not. Every refusal of the kernel is explained here, by one table
 * in rights.c: which right is missing, and the exact command that grants it. EPERM alone tells nobody anything.
 */
#ifndef FG_SYS_RIGHTS_H
#define FG_SYS_RIGHTS_H

#include "core/core.h"

/* What was to be done. */
typedef enum fg__right {
    FG__RIGHT_PTRACE,      /* attach to a process */
    FG__RIGHT_READ_MEMORY, /* process_vm_readv, /proc/PID/mem and what else needs the same right */
    FG__RIGHT_PERF,        /* perf_event_open on a process */
    FG__RIGHT_PERF_KERNEL, /* … with what it does in the kernel */
    FG__RIGHT_PERF_TRACE,  /* … with what tracepoints tell */
    FG__RIGHT_PERF_BUFFER, /* memory that the kernel writes samples to */
    FG__RIGHT_BPF,         /* load and attach BPF programs */
    FG__RIGHT_TRACEFS,     /* read tracepoints' descriptions */
    FG__RIGHT_COUNT
} fg__right;

/* Why not, and what helps; `remedy` is "" where nothing does. */
typedef struct fg__refusal {
    char why[384], remedy[384];
} fg__refusal;

/*
 * Explain what the kernel answered (`error` is an errno) when this was tried on process `pid` (0: on none).
 */
void fg__rights_explain(fg__refusal *out, fg__right right, uint64_t pid, int error);
/*
 * The same as the context's message, "cannot attach to process 42 (nginx): why: remedy". Returns FG_EIO where the
 * process is the reason (there is none, it has ended), else FG_EUNSUPPORTED: the next engine may do better.
 */
int fg__rights_refused(fg_ctx *ctx, fg__right right, uint64_t pid, int error);
/* Whether it would be refused, as far as that can be known without trying. */
bool fg__rights_foreseen(fg__refusal *out, fg__right right, uint64_t pid);
/* 0 where the process is there and runs; else the message: no such process, it has ended, it is a kernel thread. */
int fg__rights_process(fg_ctx *ctx, uint64_t pid);

/* The right of that name for scripts ("ptrace", "memory", "perf", "perf_kernel", "perf_trace", "perf_buffer", "bpf", "tracefs"), or
 * FG__RIGHT_COUNT. */
fg__right fg__right_named(const char *name);

/* A folder where tracefs is mounted, with its `events`; NULL: nowhere that we can read. */
const char *fg__tracefs(void);

#endif
