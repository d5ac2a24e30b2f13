/* The life of a sampler, in every order: its time is up, it is stopped, released, refused, it fails, its loop is freed. */
#include "loops.h"
#include "sample/sample.h"

/* A sampler that counts its ticks. */
struct ticks_options {
    fg__sample_options common;
    bool refuse, break_off;
};
struct ticks {
    fg__sampler s;
    struct ticks_options options;
    int64_t count;
};
static int closed; /* how often close was called */

static int ticks_open(fg__sampler *s, const void *options) {
    struct ticks *ticks = (struct ticks *)s;
    ticks->options = *(const struct ticks_options *)options;
    if (ticks->options.refuse) return fg__fail(s->ctx, FG_EIO, "process 7 may not be watched");
    return 0;
}

static int ticks_run(fg__sampler *s) {
    struct ticks *ticks = (struct ticks *)s;
    double next = s->started;
    if (ticks->options.break_off) return fg__fail(s->ctx, FG_EIO, "the target went up in smoke");
    while (fg__sampler_sleep(s, next += 1 / ticks->options.common.rate)) ticks->count++;
    return 0;
}

static int ticks_finish(fg__sampler *s) {
    uint32_t frame;
    int err = fg_profile_add_type(s->profile, "samples", "count");
    if (!err) err = fg_profile_frame(&frame, s->profile, &(fg_frame){.name = "tick"});
    if (!err) err = fg_profile_add(s->profile, &frame, 1, &((struct ticks *)s)->count);
    if (!err) s->exit_status = 3;
    return err;
}

static void ticks_close(fg__sampler *s) {
    (void)s;
    closed++;
}

static const fg__option rows[] = {FG__SAMPLE_ROWS, {NULL, FG__OPTION_ANY, 0}};
static const fg__sampler_kind kind = {
    .name = "ticks",
    .options = rows,
    .options_size = sizeof(struct ticks_options),
    .size = sizeof(struct ticks),
    .open = ticks_open,
    .run = ticks_run,
    .finish = ticks_finish,
    .close = ticks_close,
};

static fg__op *start(struct ticks_options options) {
    fg__op *op = NULL;
    closed = 0;
    if (!options.common.rate) options.common.rate = 1000;
    assert_int_equal(fg__sample_start(&op, loop, &kind, &options), 0);
    return op;
}

static void take_and_check(fg__op *op) {
    fg_profile *p = fg__sample_take(op);
    assert_non_null(p);
    assert_null(fg__sample_take(op));
    assert_ptr_equal(fg_profile_ctx(p), ctx);
    fg__op_release(op);
    assert_true(fg_profile_total(p, 0) > 0); /* it outlives its sampler */
    assert_string_equal(fg_profile_frame_at(p, 0).name, "tick");
    fg_profile_free(p);
}

static void its_time_is_up(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){.common.duration = 0.05});
    double done, expected;
    assert_string_equal(fg__op_progress(op, &done, &expected), "seconds");
    assert_true(expected == 0.05);
    assert_int_equal(wait_for(op), 0);
    assert_int_equal(closed, 1);
    assert_int_equal(fg__sample_exit_status(op), 3);
    take_and_check(op);
}

static void it_is_stopped(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){0});
    fg__loop_step(loop, 0.05);
    assert_false(fg__op_finished(op));
    fg__sample_stop(op);
    fg__sample_stop(op);
    assert_int_equal(wait_for(op), 0);
    fg__sample_stop(op);
    take_and_check(op);
}

static void a_stop_ends_a_long_sleep(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){.common.rate = 0.001});
    fg__sample_stop(op);
    assert_int_equal(wait_for(op), 0); /* else this takes 1000 s */
    fg__op_release(op);
}

static void it_is_released(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){0});
    fg__op_release(op);
    while (!closed) fg__loop_step(loop, 1);
    assert_null(fg__loop_take(loop));
}

static void a_loop_is_freed_before_it(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){0});
    fg__loop_free(loop);
    loop = NULL;
    assert_int_equal(closed, 1);
    assert_int_equal(fg__op_code(op), FG_EINTERRUPTED);
    fg__op_release(op);
}

static void a_profile_nobody_took_is_freed(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){.common.duration = 0.01});
    assert_int_equal(wait_for(op), 0);
    fg__op_release(op);
}

static void a_refusal_is_the_starts(void **state) {
    (void)state;
    fg__op *op = NULL;
    closed = 0;
    assert_int_equal(fg__sample_start(&op, loop, &kind, &(struct ticks_options){.refuse = true}), FG_EIO);
    assert_null(op);
    assert_string_equal(fg_error(ctx), "process 7 may not be watched");
    assert_int_equal(closed, 1);
}

static void a_failure_is_the_ops(void **state) {
    (void)state;
    fg__op *op = start((struct ticks_options){.break_off = true});
    assert_int_equal(wait_for(op), FG_EIO);
    assert_string_equal(fg__op_message(op), "the target went up in smoke");
    assert_int_equal(closed, 1);
    assert_null(fg__sample_take(op));
    fg__op_release(op);
}

static int begin(fg__op **out, fg__loop *on) {
    return fg__sample_start(out, on, &kind,
                            &(struct ticks_options){.common = {.duration = 0.002, .rate = 1000}});
}

static void each_allocation_fails(void **state) {
    (void)state;
    fail_each_allocation(begin);
}

static void samplers_have_names(void **state) {
    (void)state;
    assert_null(fg__sampler_named("no such sampler"));
    const fg__sampler_kind *row;
    for (size_t i = 0; (row = fg__sampler_at(i)); i++) assert_ptr_equal(fg__sampler_named(row->name), row);
}

#define on_a_loop(test) cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        on_a_loop(its_time_is_up),
        on_a_loop(it_is_stopped),
        on_a_loop(a_stop_ends_a_long_sleep),
        on_a_loop(it_is_released),
        on_a_loop(a_loop_is_freed_before_it),
        on_a_loop(a_profile_nobody_took_is_freed),
        on_a_loop(a_refusal_is_the_starts),
        on_a_loop(a_failure_is_the_ops),
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(samplers_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
