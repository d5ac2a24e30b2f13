/*
 * A sampler as an op of the loop.
 *
 * The thread owns the sampler from its start to the message on `over`; the loop's thread owns it before and after. In
 * between both touch only `stopping` and the eventfd. A release does not wait: the thread is told to stop, and the op's
 * memory goes when `over` has closed, which is after the thread was joined.
 */
#include "sample/sample.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <math.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "sys/op.h"

struct sample {
    fg__op op;
    uv_async_t over; /* the thread's last act is to send this */
    uv_thread_t thread;
    bool running; /* the thread exists and has not been joined */
    double duration;
    int code;             /* of run or finish */
    fg_profile *result;   /* in the loop's context; taken once */
    fg__sampler *sampler; /* kind->size bytes */
};

/* ---- its own thread ------------------------------------------------------------------------------------ */

bool fg__sampler_due(const fg__sampler *s) {
    return __atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE) || fg__loop_now() >= s->ends;
}

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *until) {
    return syscall(SYS_futex, word, operation, value, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

/*
 * Not a poll of stop_fd, nor a condition: to wake up on cold caches is most of what a cheap sample costs, and a futex
 * touches the least.
 */
bool fg__sampler_sleep(fg__sampler *s, double when) {
    static const double longest = 1e6;
    double until = when < s->ends ? when : s->ends;
    for (double now; !__atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE) && (now = fg__loop_now()) < until;) {
        double next = until - now < longest ? until : now + longest;
        struct timespec at = {.tv_sec = (time_t)next};
        at.tv_nsec = (long)((next - (double)at.tv_sec) * 1e9);
        futex(&s->stopping, FUTEX_WAIT_BITSET_PRIVATE, 0, &at); /* however it ends, the clock decides */
    }
    return !fg__sampler_due(s);
}

/* Signals are for the host's own threads. */
static void block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

static void on_thread(void *user) {
    struct sample *sample = user;
    fg__sampler *s = sample->sampler;
    block_signals();
    sample->code = s->kind->run(s);
    if (!sample->code) sample->code = s->kind->finish(s);
    uv_async_send(&sample->over);
}

/* ---- the loop's thread --------------------------------------------------------------------------------- */

static void stop_sampler(fg__sampler *s) {
    static const uint64_t one = 1;
    __atomic_store_n(&s->stopping, 1, __ATOMIC_RELEASE);
    futex(&s->stopping, FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
    if (write(s->stop_fd, &one, sizeof one) < 0) return; /* it is readable already */
}

static void free_sampler(fg__sampler *s) {
    if (!s) return;
    fg_ctx *ctx = s->ctx;
    fg_profile_free(s->profile);
    if (s->stop_fd >= 0) close(s->stop_fd);
    fg_free(ctx, s);
    fg_ctx_free(ctx);
}

static void on_over(uv_async_t *over) {
    struct sample *sample = over->data;
    fg__sampler *s = sample->sampler;
    uv_thread_join(&sample->thread);
    sample->running = false;
    s->kind->close(s);
    fg__op_close(over);
    if (sample->op.finished) return; /* released, or the loop is being freed */
    if (sample->code) {
        fg__op_finish(&sample->op, sample->code, "%s", fg_error(s->ctx));
        return;
    }
    fg__profile_move(s->profile, sample->op.ctx);
    sample->result = s->profile;
    s->profile = NULL;
    fg__op_finish(&sample->op, 0, NULL);
}

static void stop(fg__op *op) {
    struct sample *sample = (struct sample *)op;
    if (sample->running) stop_sampler(sample->sampler); /* on_over closes the handle */
}

static void free_sample(fg__op *op) {
    struct sample *sample = (struct sample *)op;
    fg_profile_free(sample->result);
    free_sampler(sample->sampler);
}

static const char *progress(const fg__op *op, double *done, double *expected) {
    const struct sample *sample = (const struct sample *)op;
    double passed = fg__loop_now() - sample->sampler->started;
    *done = sample->duration > 0 ? fmin(passed, sample->duration) : passed;
    *expected = sample->duration > 0 ? sample->duration : -1;
    return "seconds";
}

static const fg__op_kind sample_kind = {.stop = stop, .free = free_sample, .progress = progress};

/* ---- starting ------------------------------------------------------------------------------------------ */

static int make_sampler(fg__sampler **out, fg_ctx *parent, const fg__sampler_kind *kind) {
    fg_ctx *ctx = fg__ctx_fork(parent);
    fg__sampler *s = ctx ? fg__calloc(ctx, 1, kind->size) : NULL;
    if (!s) {
        fg_ctx_free(ctx);
        return fg__nomem(parent);
    }
    s->kind = kind;
    s->ctx = ctx;
    s->exit_status = -1;
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = s->stop_fd < 0 ? fg__fail(ctx, FG_EIO, "cannot make an eventfd: %s", strerror(errno))
                             : fg_profile_new(&s->profile, ctx);
    if (err) {
        fg__fail(parent, err, "%s", fg_error(ctx));
        free_sampler(s);
        return err;
    }
    *out = s;
    return 0;
}

static int open_sampler(fg__sampler *s, fg_ctx *parent, const void *options) {
    int err = s->kind->open(s, options);
    if (!err) return 0;
    fg__fail(parent, err, "%s", fg_error(s->ctx));
    s->kind->close(s);
    return err;
}

static int start_thread(struct sample *sample) {
    fg__sampler *s = sample->sampler;
    int error = uv_async_init(fg__op_uv(&sample->op), &sample->over, on_over);
    if (!error) {
        fg__op_own(&sample->op, &sample->over);
        s->started = fg__loop_now();
        s->ends = sample->duration > 0 ? s->started + sample->duration : (double)INFINITY;
        error = uv_thread_create(&sample->thread, on_thread, sample);
        if (error) fg__op_close(&sample->over);
    }
    if (error) {
        s->kind->close(s);
        return fg__fail(sample->op.ctx, FG_EIO, "cannot start a sampler's thread: %s", uv_strerror(error));
    }
    sample->running = true;
    return 0;
}

int fg__sample_start(fg__op **out, fg__loop *loop, const fg__sampler_kind *kind, const void *options) {
    struct sample *sample = fg__op_new(loop, &sample_kind, sizeof *sample);
    if (!sample) return FG_ENOMEM;
    sample->duration = ((const fg__sample_options *)options)->duration;
    int err = make_sampler(&sample->sampler, sample->op.ctx, kind);
    if (!err) err = open_sampler(sample->sampler, sample->op.ctx, options);
    if (!err) err = start_thread(sample);
    if (err) return fg__op_abandon(&sample->op, err);
    *out = &sample->op;
    return 0;
}

void fg__sample_stop(fg__op *op) {
    if (!fg__op_finished(op)) stop(op);
}

fg_profile *fg__sample_take(fg__op *op) {
    struct sample *sample = (struct sample *)op;
    fg_profile *result = sample->result;
    sample->result = NULL;
    return result;
}

int fg__sample_exit_status(const fg__op *op) {
    return ((const struct sample *)op)->sampler->exit_status;
}
