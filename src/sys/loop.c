/* The loop and the life of an op: started, finished, taken, released, and freed when its last handle has
 * closed. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include "sys/clock.h"
#include "sys/op.h"

struct fg__loop {
    uv_loop_t uv;
    fg_ctx *ctx;
    fg__op *ops;
    fg__op *done, **done_end;
    size_t under_way;
    uv_timer_t pause; /* ends a step that was given a time */
    fg__signals signals;
    fg__multi *multi;
};

/* ---- SIGPIPE ------------------------------------------------------------------------------------------- */

static void sigpipe_set(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void fg__sigpipe_hold(fg__sigpipe *held) {
    sigset_t pipe, pending;
    sigpipe_set(&pipe);
    sigpending(&pending);
    held->pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe, &held->mask);
}

void fg__sigpipe_restore(const fg__sigpipe *held) {
    static const struct timespec now = {0, 0};
    sigset_t pipe;
    sigpipe_set(&pipe);
    if (!held->pending) sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &held->mask, NULL);
}

/* ---- the loop ------------------------------------------------------------------------------------------ */

static void on_wake(uv_async_t *wake) {
    (void)wake; /* that the step returns is all that is wanted */
}

static void on_pause(uv_timer_t *timer) {
    (void)timer;
}

int fg__loop_new(fg__loop **out, fg_ctx *ctx) {
    fg__loop *loop = fg__calloc(ctx, 1, sizeof *loop);
    if (!loop) return FG_ENOMEM;
    loop->ctx = ctx;
    loop->done_end = &loop->done;
    int error = uv_loop_init(&loop->uv);
    if (!error) {
        error = uv_async_init(&loop->uv, &loop->signals.wake, on_wake);
        if (error) uv_loop_close(&loop->uv);
    }
    if (error) {
        fg_free(ctx, loop);
        return fg__fail(ctx, FG_EIO, "cannot make an event loop: %s", uv_strerror(error));
    }
    uv_unref((uv_handle_t *)&loop->signals.wake);
    uv_timer_init(&loop->uv, &loop->pause);
    *out = loop;
    return 0;
}

/* Their owners free them later, without the loop. */
static void orphan_ops(fg__loop *loop) {
    fg__op *next;
    for (fg__op *op = loop->ops; op; op = next) {
        next = op->next;
        op->loop = NULL;
        op->next = op->done_next = NULL;
        op->link = NULL;
    }
}

void fg__loop_free(fg__loop *loop) {
    if (!loop) return;
    fg__loop_signals(loop, false);
    fg__sigpipe held;
    fg__sigpipe_hold(&held);
    for (fg__op *op = loop->ops; op; op = op->next) fg__op_finish(op, FG_EINTERRUPTED, "the loop was closed");
    fg__multi_free(loop->multi);
    uv_close((uv_handle_t *)&loop->signals.wake, NULL);
    uv_close((uv_handle_t *)&loop->pause, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* until every handle has closed, children included */
    fg__sigpipe_restore(&held);
    orphan_ops(loop);
    uv_loop_close(&loop->uv);
    fg_free(loop->ctx, loop);
}

uint64_t fg__milliseconds(double seconds) {
    if (!(seconds > 0)) return 0;
    return (uint64_t)ceil((seconds < 1e9 ? seconds : 1e9) * 1e3);
}

void fg__loop_step(fg__loop *loop, double seconds) {
    bool blocking = seconds != 0 && !loop->done;
    if (blocking && seconds > 0) {
        uv_update_time(&loop->uv);
        uv_timer_start(&loop->pause, on_pause, fg__milliseconds(seconds), 0);
    }
    fg__sigpipe held;
    fg__sigpipe_hold(&held);
    loop->signals.waiting = 1;
    uv_run(&loop->uv, blocking ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    loop->signals.waiting = 0;
    fg__sigpipe_restore(&held);
    uv_timer_stop(&loop->pause);
}

fg__op *fg__loop_take(fg__loop *loop) {
    fg__op *op = loop->done;
    if (!op) return NULL;
    loop->done = op->done_next;
    if (!loop->done) loop->done_end = &loop->done;
    op->done_next = NULL;
    return op;
}

size_t fg__loop_under_way(const fg__loop *loop) {
    return loop->under_way;
}

double fg__loop_now(void) {
    return (double)fg__clock_ns(CLOCK_MONOTONIC) / 1e9;
}

fg__multi **fg__loop_multi(fg__loop *loop) {
    return &loop->multi;
}

fg__signals *fg__loop_signal_state(fg__loop *loop) {
    return &loop->signals;
}

/* ---- ops ----------------------------------------------------------------------------------------------- */

void *fg__op_new(fg__loop *loop, const fg__op_kind *kind, size_t size) {
    fg__op *op = fg__calloc(loop->ctx, 1, size);
    if (!op) return NULL;
    op->kind = kind;
    op->ctx = loop->ctx;
    op->loop = loop;
    op->next = loop->ops;
    op->link = &loop->ops;
    if (op->next) op->next->link = &op->next;
    loop->ops = op;
    loop->under_way++;
    uv_update_time(&loop->uv); /* what its timers will count from */
    return op;
}

static void free_if_over(fg__op *op) {
    if (!op->released || op->handles) return;
    if (op->link) *op->link = op->next;
    if (op->next) op->next->link = op->link;
    if (op->kind->free) op->kind->free(op);
    fg_free(op->ctx, op);
}

static void end(fg__op *op, int code) {
    op->finished = true;
    op->code = code;
    op->loop->under_way--;
    op->kind->stop(op);
}

void fg__op_finish(fg__op *op, int code, const char *format, ...) {
    if (op->finished) return;
    if (format) {
        va_list args;
        va_start(args, format);
        vsnprintf(op->message, sizeof op->message, format, args);
        va_end(args);
    }
    end(op, code);
    *op->loop->done_end = op;
    op->loop->done_end = &op->done_next;
}

static void forget_done(fg__loop *loop, const fg__op *op) {
    fg__op **at = &loop->done;
    while (*at && *at != op) at = &(*at)->done_next;
    if (!*at) return;
    *at = op->done_next;
    if (!*at) loop->done_end = at;
}

void fg__op_release(fg__op *op) {
    if (!op || op->released) return;
    if (!op->finished) {
        end(op, FG_EINTERRUPTED);
    } else if (op->loop) {
        forget_done(op->loop, op);
    }
    op->released = true;
    free_if_over(op);
}

int fg__op_abandon(fg__op *op, int code) {
    fg__op_release(op);
    return code;
}

bool fg__op_finished(const fg__op *op) {
    return op->finished;
}

int fg__op_code(const fg__op *op) {
    return op->code;
}

const char *fg__op_message(const fg__op *op) {
    return op->message;
}

const char *fg__op_progress(const fg__op *op, double *done, double *expected) {
    *done = 0;
    *expected = -1;
    return op->kind->progress ? op->kind->progress(op, done, expected) : "";
}

uv_loop_t *fg__op_uv(const fg__op *op) {
    return &op->loop->uv;
}

void fg__op_own(fg__op *op, void *handle) {
    ((uv_handle_t *)handle)->data = op;
    op->handles++;
}

static void on_close(uv_handle_t *handle) {
    fg__op *op = handle->data;
    op->handles--;
    free_if_over(op);
}

void fg__op_close(void *handle) {
    if (!uv_is_closing(handle)) uv_close(handle, on_close);
}
