/* Diffs: both columns as measured, the way of comparing in the metadata. */
#include "profiles.h"

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
    assert_string_equal(fg_meta_text(d, "normalize"), "share");
    assert_true(fg_meta_real(d, "factor") == 0.5);
    fg_profile_free(d);
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
    assert_int_equal(fg_diff(&d, a, b, "heap", FG_NORMALIZE_SHARE), FG_EINVAL);
    assert_non_null(strstr(fg_error(ctx), "heap"));
    fg_profile_free(a);
    fg_profile_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff_keeps_both_sides_as_measured),
        cmocka_unit_test(units_convert_or_are_refused),
        cmocka_unit_test(notes_say_which_side_they_are_of),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
