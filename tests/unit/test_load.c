/* Times in buckets; load that is refused, cut short, and out of memory. Answers are tested in tests/spec/load_spec.lua. */
#include "loops.h"
#include <math.h>
#include <string.h>

static void times_are_right_to_a_hundredth(void **state) {
    (void)state;
    static fg__histogram h;
    memset(&h, 0, sizeof h);
    assert_true(fg__histogram_quantile(&h, 0.5) == 0);
    for (int i = 1; i <= 10000; i++) fg__histogram_add(&h, i / 1e4);
    static const double shares[] = {0.001, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        assert_true(fabs(fg__histogram_quantile(&h, shares[i]) / shares[i] - 1) < 0.01);
    assert_true(fg__histogram_quantile(&h, 1) == h.most && h.most == 1);
    assert_true(fg__histogram_quantile(&h, 0) == h.least && h.least == 1e-4);
    assert_int_equal(h.count, 10000);
}

/* Each bucket begins where the one before ends, and none is wider than 1/128 of what is in it. */
static void buckets_leave_no_gap(void **state) {
    (void)state;
    for (size_t i = 1; i < FG__HISTOGRAM_BUCKETS; i++) {
        double before = fg__histogram_upto(i - 1) * 1e6, upto = fg__histogram_upto(i) * 1e6;
        assert_true(upto > before && upto - before < fmax(1, (before + 1) / 128) * 1.0001);
        fg__histogram h = {0};
        fg__histogram_add(&h, (upto + 0.5) / 1e6);
        assert_int_equal(h.buckets[i], 1);
    }
}

static void strange_times_are_counted(void **state) {
    (void)state;
    fg__histogram h = {0};
    fg__histogram_add(&h, -1);
    fg__histogram_add(&h, NAN);
    fg__histogram_add(&h, 1e30);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.buckets[0], 2);
    assert_int_equal(h.buckets[FG__HISTOGRAM_BUCKETS - 1], 1);
}

/* Nobody listens on port 1. */
static const fg__http_header headers[] = {{"x-test", "1"}, {"x-empty", ""}};
static const fg__http_options requests[] = {
    {.url = "http://127.0.0.1:1/a", .headers = headers, .header_count = 2},
    {.url = "http://127.0.0.1:1/b", .body = "{}", .body_size = 2},
};
static const fg__load_options short_load = {.requests = requests,
                                            .request_count = 2,
                                            .rate = 1000,
                                            .concurrency = 4,
                                            .duration = 0.02,
                                            .timeout = 0.5};

static void refused_connections_are_counted(void **state) {
    (void)state;
    fg__op *op;
    assert_int_equal(fg__load_start(&op, loop, &short_load), 0);
    assert_int_equal(wait_for(op), 0);
    const fg__load_result *result = fg__load_result_of(op);
    assert_int_equal(result->failures[FG__LOAD_REFUSED] + result->failures[FG__LOAD_UNSENT], 20);
    assert_true(result->failures[FG__LOAD_REFUSED] > 0);
    assert_contains(result->first_failure, "onnect");
    assert_int_equal(result->latency.count, 0);
    fg__op_release(op);
}

static void a_stop_ends_it(void **state) {
    (void)state;
    fg__op *op;
    fg__load_options options = short_load;
    options.duration = 3600;
    assert_int_equal(fg__load_start(&op, loop, &options), 0);
    fg__loop_step(loop, 0.01);
    fg__load_stop(op);
    assert_int_equal(wait_for(op), 0);
    fg__op_release(op);
    assert_int_equal(fg__load_start(&op, loop, &options), 0);
    fg__loop_step(loop, 0.01);
    fg__op_release(op); /* cancelled with requests under way */
}

static void what_cannot_be_sent_is_refused(void **state) {
    (void)state;
    static const fg__http_options bad = {.url = "ftp://x"};
    static const struct {
        fg__load_options options;
        const char *says;
    } cases[] = {
        {{.requests = requests, .concurrency = 1, .duration = 1}, "no request"},
        {{.requests = requests, .request_count = 1, .concurrency = 1}, "how long"},
        {{.requests = requests, .request_count = 1, .concurrency = 1, .duration = 1, .rate = 1e9}, "at most"},
        {{.requests = requests, .request_count = 1, .duration = 1}, "at once"},
        {{.requests = &bad, .request_count = 1, .concurrency = 1, .duration = 1}, "not a URL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fg__op *op;
        assert_int_equal(fg__load_start(&op, loop, &cases[i].options), FG_EINVAL);
        assert_contains(fg_error(ctx), cases[i].says);
    }
}

static int begin(fg__op **out, fg__loop *on) {
    return fg__load_start(out, on, &short_load);
}

static void survives_each_allocation_that_fails(void **state) {
    (void)state;
    fail_each_allocation(begin);
}

#define test(f) cmocka_unit_test_setup_teardown(f, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(times_are_right_to_a_hundredth),
        test(buckets_leave_no_gap),
        test(strange_times_are_counted),
        test(refused_connections_are_counted),
        test(a_stop_ends_it),
        test(what_cannot_be_sent_is_refused),
        test(survives_each_allocation_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
