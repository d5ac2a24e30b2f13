/* What a sample of a Python program stands for, when samples come late. */
#include "sample/python.h"
#include "profiles.h"

static const double period = 0.01;

static bool near(double a, double b) {
    return a - b < 1e-9 && b - a < 1e-9;
}

static void on_time_it_is_the_time_since_the_last(void **state) {
    (void)state;
    double owed = 0;
    for (int i = 0; i < 100; i++) {
        double elapsed = period * (i % 2 ? 0.5 : 1.5);
        assert_true(near(py_pay(&owed, elapsed, period), elapsed));
        assert_true(near(owed, 0));
    }
}

static void a_gap_is_shared_out(void **state) {
    (void)state;
    double owed = 0, first = py_pay(&owed, 1, period), sum = first, largest = first;
    for (int i = 0; i < 200; i++) {
        double paid = py_pay(&owed, period, period);
        if (paid > largest) largest = paid;
        sum += paid;
    }
    assert_true(largest < 0.1);               /* no stack gets more than a tenth of it, */
    assert_true(near(owed, 0));               /* and in the end nothing is missing, */
    assert_true(near(sum, 1 + 200 * period)); /* nor is there too much */
}

static void who_is_always_late_owes_no_more_and_more(void **state) {
    (void)state;
    double owed = 0, paid = 0;
    for (int i = 0; i < 1000; i++) paid = py_pay(&owed, 4 * period, period);
    assert_true(near(paid, 4 * period));
    assert_true(owed < 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_time_it_is_the_time_since_the_last),
        cmocka_unit_test(a_gap_is_shared_out),
        cmocka_unit_test(who_is_always_late_owes_no_more_and_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
