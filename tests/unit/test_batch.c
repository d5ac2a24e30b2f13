/* Stacks from one profile into another, more of them than a batch; and who calls whom. */
#include "profiles.h"
#include "core/batch.h"

enum { ROOTS = 7, LEAVES = 100 };

/* "rootI;leafJ", I * LEAVES + J + 1 of each. */
static fg_profile *many_stacks(fg_ctx *of) {
    fg_profile *p = NULL;
    int err = fg_profile_new(&p, of);
    if (!err) err = fg_profile_add_type(p, "cpu", "nanoseconds");
    for (int i = 0; i < ROOTS * LEAVES && !err; i++) {
        char root[16], leaf[16];
        snprintf(root, sizeof root, "root%d", i / LEAVES);
        snprintf(leaf, sizeof leaf, "leaf%d", i % LEAVES);
        uint32_t frames[2];
        int64_t value = i + 1;
        err = fg_profile_frame(&frames[0], p, &(fg_frame){.name = root});
        if (!err) err = fg_profile_frame(&frames[1], p, &(fg_frame){.name = leaf});
        if (!err) err = fg_profile_add(p, frames, 2, &value);
    }
    if (!err) return p;
    fg_profile_free(p);
    return NULL;
}

/* "leaf42" becomes "leaf4" */
static int drop_digit(void *user, fg_frame *frame) {
    char *text = user;
    snprintf(text, 16, "%.5s", frame->name);
    frame->name = text;
    return 0;
}

static int hide_roots(void *user, const fg_frame *frame) {
    (void)user;
    return *frame->name == 'r' ? FG_FRAME_HIDE : 0;
}

static const int64_t all = (int64_t)ROOTS * LEAVES * (ROOTS * LEAVES + 1) / 2;

static void what_becomes_one_is_added_up(void **state) {
    (void)state;
    char text[16];
    fg_filter rename = {.size = sizeof rename, .user = text, .rename = drop_digit};
    fg_filter hide = {.size = sizeof hide, .classify = hide_roots};
    fg_profile *p = many_stacks(ctx), *few, *flat;
    assert_int_equal(fg_profile_filter(&few, p, &rename), 0);
    assert_int_equal(fg_profile_stack_count(few), ROOTS * 10);
    assert_int_equal(fg_profile_total(few, 0), all);
    assert_int_equal(fg_profile_filter(&flat, p, &hide), 0);
    assert_int_equal(fg_profile_stack_count(flat), LEAVES);
    assert_int_equal(fg_profile_total(flat, 0), all);
    fg_profile_free(few);
    fg_profile_free(flat);
    fg_profile_free(p);
}

/* What was appended without a look is found when it is looked for. */
static void what_stays_apart_is_found_later(void **state) {
    (void)state;
    fg_filter nothing = {.size = sizeof nothing};
    fg_profile *p = many_stacks(ctx), *copy;
    assert_int_equal(fg_profile_filter(&copy, p, &nothing), 0);
    assert_int_equal(copy->stack_index.count, 0);
    add(copy, "root3;leaf14", 1000);
    assert_int_equal(fg_profile_stack_count(copy), ROOTS * LEAVES);
    assert_int_equal(fg_profile_value(copy, 3 * LEAVES + 14, 0), 3 * LEAVES + 14 + 1 + 1000);
    add(copy, "leaf14;root3", 5);
    assert_int_equal(fg_profile_stack_count(copy), ROOTS * LEAVES + 1);
    add(copy, "leaf14;root3", 5);
    assert_int_equal(fg_profile_stack_count(copy), ROOTS * LEAVES + 1);
    fg_profile_free(copy);
    fg_profile_free(p);
}

static void sides_meet_in_a_diff(void **state) {
    (void)state;
    fg_profile *a = many_stacks(ctx), *b, *d;
    assert_int_equal(fg_profile_invert(&b, a), 0);
    assert_int_equal(fg_profile_invert(&d, b), 0);
    fg_profile_free(b);
    b = d;
    add(b, "root0;new", 1);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    assert_int_equal(fg_profile_stack_count(d), ROOTS * LEAVES + 1);
    for (size_t i = 0; i < ROOTS * LEAVES; i++)
        assert_int_equal(fg_profile_value(d, i, 0), fg_profile_value(d, i, 1));
    assert_int_equal(fg_profile_value(d, ROOTS * LEAVES, 1), 1);
    fg_profile_free(a);
    fg_profile_free(b);
    fg_profile_free(d);
}

static void calls_are_told_once(void **state) {
    (void)state;
    fg_profile *p = new_profile("cpu", "nanoseconds");
    add(p, "a;b;b;c", 1);
    add(p, "a;b;d", 1);
    add(p, "d;a;b", 1);
    uint8_t wanted[] = {0, 1, 0, 0}; /* a b c d */
    fg__call_pair *calls;
    size_t n;
    assert_int_equal(fg__calls(&calls, &n, p, wanted, NULL), 0);
    static const fg__call_pair expected[] = {{0, 1}, {1, 2}, {1, 3}}; /* not d → a */
    assert_int_equal(n, 3);
    assert_memory_equal(calls, expected, sizeof expected);
    fg_free(ctx, calls);
    fg_profile_free(p);
}

static int work_on(fg_profile *p) {
    char text[16];
    fg_filter rename = {.size = sizeof rename, .user = text, .rename = drop_digit};
    fg_profile *few = NULL, *around = NULL, *diff = NULL;
    const fg_tree *tree;
    fg__call_pair *calls = NULL;
    size_t n;
    uint8_t wanted[ROOTS + LEAVES];
    memset(wanted, 1, sizeof wanted);
    int err = fg_profile_filter(&few, p, &rename);
    if (!err) err = fg_profile_invert(&around, p);
    if (!err) err = fg_diff(&diff, few, around, NULL, FG_NORMALIZE_ABSOLUTE);
    if (!err) err = fg_profile_tree(&tree, diff);
    if (!err) err = fg__calls(&calls, &n, p, wanted, NULL);
    fg_free(fg_profile_ctx(p), calls);
    fg_profile_free(few);
    fg_profile_free(around);
    fg_profile_free(diff);
    return err;
}

static void memory_that_runs_out_is_an_error(void **state) {
    (void)state;
    int err = FG_ENOMEM;
    for (long allowed = 1; err; allowed++) {
        long left = 1 << 20;
        fg_ctx *poor = fg_ctx_new_with(failing_alloc, &left);
        fg_profile *p = many_stacks(poor);
        assert_non_null(p);
        left = allowed;
        err = work_on(p);
        if (err) assert_int_equal(err, FG_ENOMEM);
        fg_profile_free(p);
        fg_ctx_free(poor);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_becomes_one_is_added_up),
        cmocka_unit_test(what_stays_apart_is_found_later),
        cmocka_unit_test(sides_meet_in_a_diff),
        cmocka_unit_test(calls_are_told_once),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
