/* Diffs: both columns as measured, the way of comparing in the metadata. */
#include "core/noise.h"
#include "profiles.h"
#include <math.h>

static void a_diff_keeps_both_sides_as_measured(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    add(a, "x;y", 10);
    add(a, "x;gone", 10);
    add(b, "x;y", 10);
    add(b, "x;new", 30);
    fg_meta_set_number(a, "duration", 1000);
    fg_meta_set_number(b, "duration", 2000);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_AUTO), 0);
    assert_true(fg_profile_is_diff(d));
    fg_profile *again;
    assert_int_equal(fg_diff(&again, d, b, NULL, FG_NORMALIZE_AUTO), FG_EINVAL);
    assert_string_equal(fg_error(ctx), "the profile before is a diff already; a diff compares two profiles");
    assert_string_equal(text_of(d), "x;gone 10 0\nx;new 0 30\nx;y 10 10\n");
    assert_string_equal(fg_meta_text(d, "normalize"), "rate"); /* twice as long: half as much a second */
    assert_true(fg_meta_real(d, "factor") == 0.5);
    fg_profile_free(d);
    fg_meta_set_number(a, "ended", 1);
    fg_meta_set_number(b, "ended", 1);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_AUTO), 0);
    assert_string_equal(fg_meta_text(d, "normalize"), "absolute"); /* work that takes twice as long */
    fg_profile_free(d);
    fg_meta_set_number(b, "ended", 0);
    fg_meta_set_number(b, "duration", 0);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_RATE), FG_EINVAL);
    assert_non_null(strstr(fg_error(ctx), "to compare per second, it has to be known how long"));
    fg_meta_set_number(b, "duration", 1000);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_AUTO), 0);
    assert_string_equal(fg_meta_text(d, "normalize"), "absolute");
    assert_true(fg_meta_real(d, "factor") == 1.0);
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
}

static void units_convert_or_are_refused(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "microseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    fg_profile *c = new_profile("space", "bytes");
    add(a, "x", 2);
    add(b, "x", 3000);
    add(c, "x", 1);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_string_equal(text_of(d), "x 2000 3000\n");
    assert_string_equal(fg_profile_type(d, 0).unit, "nanoseconds");
    fg_profile_free(d);
    assert_int_equal(fg_diff(&d, a, c, NULL, FG_NORMALIZE_AUTO), FG_EINVAL);
    assert_non_null(strstr(fg_error(ctx), "bytes"));
    fg_profile_free(a);
    fg_profile_free(b);
    fg_profile_free(c);
}

static void notes_say_which_side_they_are_of(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    add(a, "x", 2);
    add(b, "x", 3);
    fg_profile_note(b, "17 samples lost");
    assert_int_equal(fg_diff(&d, a, b, "cpu", FG_NORMALIZE_SHARE), 0);
    assert_string_equal(fg_profile_note_at(d, 0), "after: 17 samples lost");
    fg_profile_free(d);
    fg_profile_note(a, "17 samples lost");
    assert_int_equal(fg_diff(&d, a, b, "cpu", FG_NORMALIZE_SHARE), 0);
    assert_string_equal(fg_profile_note_at(d, 0), "17 samples lost");
    fg_profile_free(d);
    assert_int_equal(fg_diff(&d, a, b, "heap", FG_NORMALIZE_SHARE), FG_EINVAL);
    assert_non_null(strstr(fg_error(ctx), "heap"));
    fg_profile_free(a);
    fg_profile_free(b);
}

/* ---- several runs a side, and noise ------------------------------------------------------------------- */

enum { RUNS = 4 };

/* Runs of main;steady and main;grown, a little different each. */
static void make_runs(fg_profile **runs, int64_t grown, const char *name) {
    static const int64_t wave[RUNS] = {0, 3, -2, -1};
    for (int i = 0; i < RUNS; i++) {
        runs[i] = new_profile("samples", "count");
        add(runs[i], "main;steady", 500 + 7 * wave[i]);
        char stack[64];
        snprintf(stack, sizeof stack, "main;%s", name);
        add(runs[i], stack, grown + wave[i]);
    }
}

static fg_profile *diff_of_runs(int64_t before, int64_t after, size_t n_after) {
    fg_profile *a[RUNS], *b[RUNS], *d;
    make_runs(a, before, "grown");
    make_runs(b, after, "grown");
    fg_diff_options options = {.size = sizeof options};
    assert_int_equal(fg_diff_runs(&d, a, RUNS, b, n_after, &options), 0);
    for (int i = 0; i < RUNS; i++) {
        fg_profile_free(a[i]);
        fg_profile_free(b[i]);
    }
    return d;
}

/* Which nodes changed by more than their margin, as a text: "all main …". */
static const char *changed(fg_profile *d) {
    static char text[256];
    const fg_tree *tree;
    fg__walk walk;
    fg__noise noise;
    double factor = fg_meta_real(d, "factor");
    *text = '\0';
    assert_int_equal(fg__walk_open(&walk, d), 0);
    assert_int_equal(fg__noise_open(&noise, &walk, factor), 0);
    assert_int_equal(fg_profile_tree(&tree, d), 0);
    for (uint32_t i = 1; i < tree->count; i++) {
        double x = (double)tree->total[0][i], y = (double)tree->total[1][i] * factor;
        if (fabs(y - x) <= fg__noise_margin(&noise, i, x, y)) continue;
        strcat(strcat(text, *text ? " " : ""), fg_profile_frame_at(d, tree->frame[i]).name);
    }
    fg__noise_close(&noise, ctx);
    fg__walk_close(&walk);
    return text;
}

static void noise_is_what_runs_differ_by(void **state) {
    (void)state;
    fg_profile *d = diff_of_runs(200, 200, RUNS);
    assert_int_equal(fg__noise_of(d), FG__NOISE_RUNS);
    assert_string_equal(changed(d), "");
    fg_profile_free(d);
    d = diff_of_runs(200, 300, RUNS);
    assert_string_equal(changed(d), "main grown");
    fg_profile *turned;
    assert_int_equal(fg_profile_invert(&turned, d), 0);
    assert_string_equal(changed(turned), "grown main");
    fg_profile_free(turned);
    fg_profile_free(d);
    d = diff_of_runs(200, 300, 2); /* fewer runs on one side: their number is in the factor */
    assert_true(fg_meta_real(d, "factor") == 2);
    assert_string_equal(changed(d), "grown");
    fg_profile_free(d);
}

static void one_run_a_side_knows_sampling_alone(void **state) {
    (void)state;
    fg_profile *a = new_profile("samples", "count"), *b = new_profile("samples", "count"), *d;
    add(a, "main;steady", 1000);
    add(a, "main;grown", 100);
    add(b, "main;steady", 1030);
    add(b, "main;grown", 300);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_int_equal(fg__noise_of(d), FG__NOISE_SAMPLING);
    assert_string_equal(changed(d), "main grown");
    fg_profile_free(d);
    assert_int_equal(fg_diff(&d, a, a, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_string_equal(changed(d), "");
    fg_profile_free(d);
    fg_profile *c = new_profile("space", "bytes");
    add(c, "main", 7);
    assert_int_equal(fg_diff(&d, c, c, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_int_equal(fg__noise_of(d), FG__NOISE_UNKNOWN);
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
    fg_profile_free(c);
}

static void work_is_compared_by_its_units(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    add(a, "x", 100);
    add(b, "x", 300);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_PER_UNIT), FG_EINVAL);
    assert_non_null(strstr(fg_error(ctx), "--units-before"));
    fg_meta_set_number(a, "units", 50);
    fg_meta_set_number(b, "units", 150);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_PER_UNIT), 0);
    assert_true(fabs(fg_meta_real(d, "factor") - 1.0 / 3) < 1e-12);
    fg_profile_free(d);
    fg_diff_options options = {
        .size = sizeof options, .normalize = FG_NORMALIZE_PER_UNIT, .units_before = 10, .units_after = 20};
    assert_int_equal(fg_diff_runs(&d, &a, 1, &b, 1, &options), 0);
    assert_true(fg_meta_real(d, "factor") == 0.5);
    assert_string_equal(fg_meta_text(d, "normalize"), "per-unit");
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
}

static void what_differs_between_the_sides_is_said(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    add(a, "x", 100);
    add(b, "x", 100);
    fg_meta_set_text(a, "engine", "perf_event");
    fg_meta_set_text(b, "engine", "perf");
    fg_meta_set_number(a, "period", 1000);
    fg_meta_set_number(b, "period", 500);
    fg_meta_set_number(a, "duration", 10000000000);
    fg_meta_set_number(b, "duration", 5000000000);
    fg_meta_set_number(a, "start", 9000000000);
    fg_meta_set_number(b, "start", 2000000000);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_AUTO), 0);
    const char *const notes[] = {"after is older than before, by 2 s: are the two swapped?",
                                 "the sides differ in engine: perf_event before, perf after",
                                 "the sides were sampled at different rates: every 1000 before, 500 after",
                                 "the sides lasted differently long: 10 s before, 5 s after"};
    for (size_t i = 0; i < 4; i++) assert_string_equal(fg_profile_note_at(d, i), notes[i]);
    assert_string_equal(fg_meta_text(d, "normalize"),
                        "rate"); /* CPU time is what it is, however often it is sampled */
    fg_profile_free(d);
    fg_meta_set_number(a, "period", 10000000);
    fg_meta_set_number(b, "period", 2500000);
    fg_meta_set_text(a, "period_type", "cpu/nanoseconds"); /* as pprof has it, and as samplers do */
    fg_meta_set_text(b, "period_type", "cpu");
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_AUTO), 0);
    assert_string_equal(fg_profile_note_at(d, 2),
                        "the sides were sampled at different rates: every 10 ms of cpu before, 2.5 ms after");
    fg_profile_free(d);
    fg_profile *c = new_profile("samples", "count"), *e = new_profile("samples", "count");
    add(c, "x", 100);
    add(e, "x", 50);
    fg_meta_set_number(c, "period", 1000);
    fg_meta_set_number(e, "period", 2000);
    assert_int_equal(fg_diff(&d, c, e, NULL, FG_NORMALIZE_AUTO), 0);
    assert_string_equal(fg_meta_text(d, "normalize"), "share");
    assert_true(fg_meta_real(d, "factor") == 2);
    fg_profile_free(c);
    fg_profile_free(e);
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff_keeps_both_sides_as_measured),
        cmocka_unit_test(units_convert_or_are_refused),
        cmocka_unit_test(notes_say_which_side_they_are_of),
        cmocka_unit_test(noise_is_what_runs_differ_by),
        cmocka_unit_test(one_run_a_side_knows_sampling_alone),
        cmocka_unit_test(work_is_compared_by_its_units),
        cmocka_unit_test(what_differs_between_the_sides_is_said),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
