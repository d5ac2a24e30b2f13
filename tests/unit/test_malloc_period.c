/* How many allocations a sample stands for, where nobody says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "sample/malloc.h"

static bool any_of(fg__malloc_period *p, unsigned samples, double from, double seconds) {
    bool due = false;
    for (unsigned i = 0; i < samples; i++) due |= fg__malloc_period_count(p, from + seconds * i / samples);
    return due;
}

static void a_given_period_stays(void **state) {
    (void)state;
    fg__malloc_period p;
    char text[160];
    fg__malloc_period_begin(&p, 100);
    assert_int_equal(p.now, 101);
    assert_false(any_of(&p, 1000000, 5, 0.5));
    fg__malloc_period_text(text, sizeof text, &p);
    assert_string_equal(text, "one allocation of 101 is a sample");
}

static void a_quiet_program_has_all_of_its_allocations_sampled(void **state) {
    (void)state;
    fg__malloc_period p;
    char text[160];
    fg__malloc_period_begin(&p, 0);
    assert_int_equal(p.now, 1);
    assert_false(any_of(&p, 60 * FG__MALLOC_SAMPLES / 2, 100, 60));
    fg__malloc_period_text(text, sizeof text, &p);
    assert_string_equal(text, "each allocation is a sample");
}

static void a_busy_one_gets_a_longer_period_until_samples_are_few(void **state) {
    (void)state;
    fg__malloc_period p;
    char text[160];
    unsigned rate = 1000000;
    double now = 1000;
    fg__malloc_period_begin(&p, 0);
    for (int second = 0; second < 20; second++, now++)
        if (any_of(&p, (unsigned)(rate / p.now), now, 1)) {
            fg__malloc_period_longer(&p);
            fg__malloc_period_set(&p, p.stopped + 0.01);
        }
    assert_int_equal(p.now, 1009);
    fg__malloc_period_text(text, sizeof text, &p);
    assert_string_equal(text,
                        "one allocation of 1009 is a sample, at first each, then one of 11, then one of 101 "
                        "(none for 30 ms between)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_given_period_stays),
        cmocka_unit_test(a_quiet_program_has_all_of_its_allocations_sampled),
        cmocka_unit_test(a_busy_one_gets_a_longer_period_until_samples_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
