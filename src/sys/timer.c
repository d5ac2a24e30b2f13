/* A time to wait. */
#include "sys/op.h"

struct timer {
    fg__op op;
    uv_timer_t handle;
    double started, seconds;
};

static void on_timer(uv_timer_t *handle) {
    fg__op_finish(handle->data, 0, NULL);
}

static void stop(fg__op *op) {
    fg__op_close(&((struct timer *)op)->handle);
}

static const char *progress(const fg__op *op, double *done, double *expected) {
    const struct timer *timer = (const struct timer *)op;
    double passed = fg__loop_now() - timer->started;
    *done = passed < timer->seconds ? passed : timer->seconds;
    *expected = timer->seconds;
    return "seconds";
}

static const fg__op_kind timer_kind = {.stop = stop, .progress = progress};

int fg__timer_start(fg__op **out, fg__loop *loop, double seconds) {
    struct timer *timer = fg__op_new(loop, &timer_kind, sizeof *timer);
    if (!timer) return FG_ENOMEM;
    timer->started = fg__loop_now();
    timer->seconds = seconds > 0 ? seconds : 0;
    uv_timer_init(fg__op_uv(&timer->op), &timer->handle);
    fg__op_own(&timer->op, &timer->handle);
    /* the loop's clock is cut to milliseconds: one more, so that no wait is shorter than asked */
    uint64_t wait = timer->seconds > 0 ? fg__milliseconds(seconds) + 1 : 0;
    uv_timer_start(&timer->handle, on_timer, wait, 0);
    *out = &timer->op;
    return 0;
}
