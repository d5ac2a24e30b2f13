/*
 * For those who implement ops (here and in src/sample): the base that each op starts with.
 *
 *   struct nap {
 *       fg__op op;               first: the base
 *       uv_timer_t timer;        handles live in the op …
 *   };
 *   uv_timer_init(fg__op_uv(&nap->op), &nap->timer);
 *   fg__op_own(&nap->op, &nap->timer);          … are counted …
 *   fg__op_close(&nap->timer);                  … and the op is freed after the last one has closed
 *
 * kind->stop is called once, by fg__op_finish or by a release: it closes handles, or sees that they will be
 * closed.
 */
#ifndef FG_SYS_OP_H
#define FG_SYS_OP_H

#include <signal.h>
#include <uv.h>
#include "sys/sys.h"

typedef struct fg__op_kind {
    void (*stop)(fg__op *op);
    void (*free)(fg__op *op); /* what the op owns: its last handle has closed. NULL: nothing */
    /* How far it is, as fg__op_progress; returns what is counted. NULL: nothing is */
    const char *(*progress)(const fg__op *op, double *done, double *expected);
} fg__op_kind;

struct fg__op {
    const fg__op_kind *kind;
    fg_ctx *ctx;
    fg__loop *loop;       /* NULL: it was freed before the op */
    fg__op *next, **link; /* all ops of the loop */
    fg__op *done_next;    /* finished ops that nobody took yet */
    unsigned handles;     /* open ones */
    bool finished, released;
    int code;
    char message[768];
};

/* Allocate an op of `size` bytes, zeroed, that belongs to the loop. NULL: no memory, message set. */
void *fg__op_new(fg__loop *loop, const fg__op_kind *kind, size_t size);
/* The op has come to its end: 0, or an error and its message. Only the first call counts. */
void fg__op_finish(fg__op *op, int code, const char *format, ...) FG_PRINTF(3, 4);
/* The start failed: release the op, `return fg__op_abandon(op, fg__fail(…))`. */
int fg__op_abandon(fg__op *op, int code);
/* Count a handle that was initialised; its `data` is the op from now on. */
void fg__op_own(fg__op *op, void *handle);
/* Close a handle that is owned; twice is once. */
void fg__op_close(void *handle);
uv_loop_t *fg__op_uv(const fg__op *op);

/* Seconds to libuv's milliseconds, at least 1 for what is more than 0. */
uint64_t fg__milliseconds(double seconds);

/*
 * A write to a pipe or connection whose other end is gone raises SIGPIPE, and a library cannot ignore that
 * for its host. Between these two it is held back and swallowed.
 */
typedef struct fg__sigpipe {
    sigset_t mask;
    bool pending;
} fg__sigpipe;
void fg__sigpipe_hold(fg__sigpipe *held);
void fg__sigpipe_restore(const fg__sigpipe *held);

/* libcurl's half of the loop (multi.c), made with the first request. */
typedef struct fg__multi fg__multi;
fg__multi **fg__loop_multi(fg__loop *loop);
/* Closes handles of the loop; the memory follows when they have closed. NULL is accepted. */
void fg__multi_free(fg__multi *multi);

/* What signal.c needs of the loop. */
typedef struct fg__signals {
    uv_async_t wake;
    volatile sig_atomic_t waiting; /* the loop is in a step */
    bool caught;
} fg__signals;
fg__signals *fg__loop_signal_state(fg__loop *loop);

#endif
