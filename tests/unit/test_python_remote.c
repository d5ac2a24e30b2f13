/* Which way code gets into a CPython, and what a 3.14 and later publish for it: without an interpreter. */
#include "sample/python_remote.h"
#include <unistd.h>
#include "profiles.h"

static void each_moment_has_its_way(void **state) {
    (void)state;
    static const struct {
        fg__python_moment moment;
        fg__python_way way;
    } rows[] = {
        {{0}, FG__PYTHON_SOON},
        {{.offers = true}, FG__PYTHON_REMOTE},
        {{.waiting = true}, FG__PYTHON_SOON}, /* in a call that ends sometime */
        {{.waiting = true, .offers = true}, FG__PYTHON_REMOTE},
        {{.waiting = true, .in_futex = true}, FG__PYTHON_INTERRUPT},
        {{.waiting = true, .in_futex = true, .offers = true},
         FG__PYTHON_INTERRUPT}, /* asleep: no script runs */
        {{.waiting = true, .resting = true}, FG__PYTHON_HERE},
        {{.waiting = true, .resting = true, .offers = true}, FG__PYTHON_HERE},
        {{.waiting = true, .resting = true, .has_lock = true}, FG__PYTHON_LATER},
        {{.waiting = true, .resting = true, .has_lock = true, .offers = true}, FG__PYTHON_LATER},
        {{.waiting = true, .in_futex = true, .resting = true},
         FG__PYTHON_INTERRUPT}, /* never run in a futex */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(fg__python_choose(&rows[i].moment), rows[i].way);
}

/* Words as 3.14.0 has them, each its own number where it is an offset. */
static void make(uint64_t *words) {
    for (uint64_t i = 0; i < FG__PYTHON_WORDS; i++) words[i] = 1000 + i * 8;
    memcpy(words, "xdebugpy", 8);
    words[1] = 0x030e00f0;
    words[92] = 0; /* the flag is the first of its struct */
    words[94] = 512;
}

static void what_is_published_is_found(void **state) {
    (void)state;
    static const struct {
        uint64_t version;
        size_t first; /* word about it */
    } rows[] = {{0x030e00f0, 89}, {0x030f02f0, 105}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t words[FG__PYTHON_WORDS], *told = words + rows[i].first;
        fg__python_offers offers;
        make(words);
        words[1] = rows[i].version;
        told[3] = 0; /* the flag is the first of its struct */
        told[5] = 512;
        assert_true(fg__python_read_offers(&offers, words));
        assert_int_equal(offers.interpreters, words[5]);
        assert_int_equal(offers.main_thread, words[10]);
        assert_int_equal(offers.breaker, told[0]);
        assert_int_equal(offers.pending, told[1]);
        assert_int_equal(offers.enabled, told[2]);
        assert_int_equal(offers.path, told[1] + told[4]);
        assert_int_equal(offers.path_size, 512);
    }
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    static const struct {
        size_t word;
        uint64_t value;
    } rows[] = {
        {0, 0},           /* no cookie */
        {1, 0x030d02f0},  /* 3.13.2: no such protocol */
        {1, 0x030e00c2},  /* 3.14.0rc2: not released */
        {1, 0x031000f0},  /* 3.16: nobody knows yet */
        {1, 0x1030e00f0}, /* 3.14 of something else */
        {5, 1 << 21},     /* no offset */
        {10, 0},          /* the main thread is not published */
        {89, UINT64_MAX}, {90, 0}, {91, UINT64_C(1) << 63},
        {92, 1 << 21},    {93, 0}, {94, 8}, /* too short for a path */
        {94, 1 << 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t words[FG__PYTHON_WORDS];
        fg__python_offers offers;
        make(words);
        words[rows[i].word] = rows[i].value;
        assert_false(fg__python_read_offers(&offers, words));
    }
}

static void no_python_offers_nothing(void **state) {
    (void)state;
    fg__python_remote remote = {.pending = 1};
    assert_int_equal(fg__python_find_remote(&remote, ctx, (uint64_t)getpid()), 0);
    assert_int_equal(remote.pending, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_moment_has_its_way),
        cmocka_unit_test(what_is_published_is_found),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test_setup_teardown(no_python_offers_nothing, open_ctx, close_ctx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
