/* What a picture must warn of, and what it must not. */
#include "profiles.h"

static char said[1024];

static void say(void *user, const char *text) {
    (void)user;
    strcat(strcat(said, text), "\n");
}

static const char *warnings(const fg_profile *p) {
    said[0] = '\0';
    fg_profile_warnings(p, say, NULL);
    return said;
}

static void a_good_profile_has_no_warnings(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    add(p, "main;f", 5000);
    add(p, "main;[unknown]", 10);
    fg_meta_set_number(p, "lost", 3);
    assert_string_equal(warnings(p), "");
    assert_int_equal(fg_profile_quality(p).samples, 5010);
    fg_profile_free(p);
}

static void a_poor_one_says_why(void **state) {
    (void)state;
    fg_profile *p = new_profile("cpu", "nanoseconds");
    add(p, "main;f", 50);
    add(p, "main;0x7f12ab", 50);
    assert_int_equal(fg_profile_quality(p).samples, 0);
    fg_meta_set_number(p, "samples", 100);
    fg_meta_set_number(p, "lost", 100);
    fg_meta_set_number(p, "truncated", 20);
    fg_meta_set_number(p, "interrupted", 1);
    fg_profile_note(p, "symbols of libfoo.so are missing");
    assert_string_equal(warnings(p), "symbols of libfoo.so are missing\n"
                                     "the collection was ended early\n"
                                     "only 100 samples: a share may be off by 10 points\n"
                                     "50 % of the samples were lost\n"
                                     "20 % of the stacks are cut short: their callers are missing\n"
                                     "50 % is in frames without a name: symbols are missing\n");
    fg_profile_free(p);
}

static void a_diff_says_which_side_is_poor(void **state) {
    (void)state;
    fg_profile *a = new_profile("samples", "count"), *b = new_profile("samples", "count"), *d;
    add(a, "main", 5000);
    add(b, "main", 25);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_AUTO), 0);
    assert_string_equal(warnings(d), "after: only 25 samples: a share may be off by 20 points\n"
                                     "noise is that of sampling alone; how much runs differ is not "
                                     "known: compare several runs a side\n");
    fg_profile_free(a);
    fg_profile_free(b);
    fg_profile_free(d);
}

static void what_nobody_counted_is_not_known(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count"), *q = new_profile("samples", "count"), *sum;
    add(p, "main", 5000);
    add(q, "main", 5000);
    assert_false(fg_meta_has(p, "lost"));
    fg_meta_set_number(p, "lost", 0);
    assert_true(fg_meta_has(p, "lost"));
    assert_int_equal(fg_profile_merge(&sum, (fg_profile *[]){p, q}, 2), 0);
    assert_false(fg_meta_has(sum, "lost"));
    fg_profile_free(sum);
    fg_meta_set_number(q, "lost", 0);
    assert_int_equal(fg_profile_merge(&sum, (fg_profile *[]){p, q}, 2), 0);
    assert_true(fg_meta_has(sum, "lost"));
    fg_profile_free(sum);
    fg_profile_free(p);
    fg_profile_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_profile_has_no_warnings),
        cmocka_unit_test(a_poor_one_says_why),
        cmocka_unit_test(a_diff_says_which_side_is_poor),
        cmocka_unit_test(what_nobody_counted_is_not_known),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
