/* Callers by frame pointers, and the innermost ones by a copy of the stack. */
#include "sample/callers.h"
#include "profiles.h"

enum { MOST = 8 };

struct row {
    const char *chain, *near;
    bool whole;
    const char *joined;
};

/* A letter is an address. */
static void check(const struct row *row, size_t most) {
    uint64_t chain[MOST], near[MOST];
    char joined[MOST + 1] = "";
    size_t n = strlen(row->chain), near_n = strlen(row->near);
    for (size_t i = 0; i < n; i++) chain[i] = (uint64_t)row->chain[i];
    for (size_t i = 0; i < near_n; i++) near[i] = (uint64_t)row->near[i];
    n = fg__callers_join(chain, n, most, near, near_n, row->whole);
    for (size_t i = 0; i < n; i++) joined[i] = (char)chain[i];
    assert_string_equal(joined, row->joined);
}

static void what_pointers_miss_is_added(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"abcd", "abc", false, "abcd"},  /* nothing is missing */
        {"acd", "ab", false, "abcd"},    /* the leaf has no frame */
        {"acd", "abc", false, "abcd"},   /* … and the copy reaches further */
        {"ace", "abcd", false, "abcde"}, /* every other function has none */
        {"arrm", "arr", false, "arrm"},  /* recursion */
        {"ax", "abc", false, "abcx"},    /* the pointer was none: what it led to stays, at the outer end */
        {"axy", "abcd", true, "abcd"},   /* … and goes where the copy knows better */
        {"acd", "abcdz", true, "abcd"},  /* both know the whole: the pointers' end is the end */
        {"a", "abcd", true, "abcd"},     /* no pointers at all */
        {"abc", "a", false, "abc"},      /* the copy knows nothing */
        {"abc", "", false, "abc"},       {"", "ab", false, ""}, /* there is no user's half */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check(&rows[i], MOST);
}

static void there_is_room_for_so_many(void **state) {
    (void)state;
    check(&(struct row){"aefgh", "abcd", false, "abcdefgh"}, 8);
    check(&(struct row){"aefgh", "abcd", false, "abcdef"}, 6);
    check(&(struct row){"aefgh", "abcd", false, "abcd"}, 4);
    check(&(struct row){"aef", "abcd", false, "aef"}, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pointers_miss_is_added),
        cmocka_unit_test(there_is_room_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
