/* The profile and its algebra on profiles that are small enough to check by eye. */
#include "core/noise.h"
#include "profiles.h"

static void same_stacks_are_one_row(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    add(p, "a;b", 1);
    add(p, "a;b", 2);
    add(p, "a", 4);
    add(p, "", 8);
    assert_string_equal(text_of(p), " 8\na 4\na;b 3\n");
    assert_int_equal(fg_profile_total(p, 0), 15);
    fg_profile_free(p);
}

static void a_stack_may_have_no_frames(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    size_t n = 1;
    assert_int_equal(fg_profile_add(p, NULL, 0, (const int64_t[]){3}), 0);
    assert_non_null(fg_profile_stack(p, 0, &n));
    assert_int_equal(n, 0);
    assert_string_equal(text_of(p), " 3\n");
    fg_profile_free(p);
}

static void text_is_cleaned(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    static const struct {
        const char *raw;
        size_t n;
        const char *clean;
    } cases[] = {
        {"a\0b", 3, "a\xef\xbf\xbd\x62"},
        {"\x1b[31mred", 8, "\xef\xbf\xbd[31mred"},
        {"\xff\xfe", 2, "\xef\xbf\xbd"},
        {"\xc0\xaf", 2, "\xef\xbf\xbd"},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x80\xae!evil", 8, "\xef\xbf\xbd!evil"},
        {"\xed\xa0\x80", 3, "\xef\xbf\xbd"},
        {"cut\xe2\x82", 5, "cut\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t id, again;
        assert_int_equal(fg__string_intern(&id, p, cases[i].raw, cases[i].n), 0);
        assert_string_equal(fg__string_at(p, id).bytes, cases[i].clean);
        assert_int_equal(fg__string_intern(&again, p, cases[i].raw, cases[i].n), 0);
        assert_int_equal(id, again);
    }
    fg_profile_free(p);
}

static void the_tree_is_depth_first_and_sorted(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    add(p, "main;z", 1);
    add(p, "main;a;x", 2);
    add(p, "main", 4);
    add(p, "main;a;x;x", 8);
    add(p, "idle", 16);
    const fg_tree *t;
    assert_int_equal(fg_profile_tree(&t, p), 0);
    static const struct {
        const char *name;
        uint32_t parent, depth, end;
        int64_t self, total;
    } nodes[] = {
        {"", 0, 0, 7, 0, 31},  {"idle", 0, 1, 2, 16, 16}, {"main", 0, 1, 7, 4, 15}, {"a", 2, 2, 6, 0, 10},
        {"x", 3, 3, 6, 2, 10}, {"x", 4, 4, 6, 8, 8},      {"z", 2, 2, 7, 1, 1},
    };
    assert_int_equal(t->count, sizeof nodes / sizeof *nodes);
    assert_int_equal(t->max_depth, 4);
    for (uint32_t i = 0; i < t->count; i++) {
        assert_string_equal(fg_profile_frame_at(p, t->frame[i]).name, nodes[i].name);
        assert_int_equal(t->parent[i], nodes[i].parent);
        assert_int_equal(t->depth[i], nodes[i].depth);
        assert_int_equal(t->end[i], nodes[i].end);
        assert_int_equal(t->self[0][i], nodes[i].self);
        assert_int_equal(t->total[0][i], nodes[i].total);
    }
    fg_profile_free(p);
}

/* Many stacks at one depth take the counting sort; a deep one must not recurse. */
static void the_tree_of_many_and_of_deep_stacks(void **state) {
    (void)state;
    enum { WIDE = 1000, DEEP = 100000 };
    fg_profile *p = new_profile("samples", "count");
    static uint32_t frames[DEEP];
    for (uint32_t i = 0; i < WIDE; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%03u", (i * 7919) % WIDE);
        fg_frame frame = {.name = name};
        assert_int_equal(fg_profile_frame(&frames[0], p, &frame), 0);
        frames[1] = frames[0];
        assert_int_equal(fg_profile_add(p, frames, 2, &(int64_t){1}), 0);
    }
    for (uint32_t i = 0; i < DEEP; i++) frames[i] = i % WIDE;
    assert_int_equal(fg_profile_add(p, frames, DEEP, &(int64_t){5}), 0);
    const fg_tree *t;
    assert_int_equal(fg_profile_tree(&t, p), 0);
    assert_int_equal(t->max_depth, DEEP);
    assert_int_equal(t->count, 1 + 2 * WIDE + DEEP - 1);
    assert_int_equal(t->total[0][0], WIDE + 5);
    const char *last = "";
    for (uint32_t i = 1; i < t->count; i = t->end[i]) {
        const char *name = fg_profile_frame_at(p, t->frame[i]).name;
        assert_true(strcmp(last, name) < 0);
        last = name;
    }
    fg_profile_free(p);
}

static void recursion_counts_once_in_top(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    add(p, "fib;fib;fib", 5);
    add(p, "fib;leaf", 3);
    fg_top_entry *top;
    size_t n;
    assert_int_equal(fg_profile_top(&top, &n, p, 0, 0), 0);
    assert_int_equal(n, 2);
    assert_string_equal(fg_profile_frame_at(p, top[0].frame).name, "fib");
    assert_int_equal(top[0].self, 5);
    assert_int_equal(top[0].total, 8);
    assert_int_equal(top[1].self, 3);
    fg_free(ctx, top);
    fg_profile_free(p);
}

static void merge_adds_up_and_keeps_what_agrees(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("samples", "count"), *m;
    add(a, "x;y", 10);
    add(b, "x;y", 1);
    add(b, "x", 2);
    assert_int_equal(fg_profile_merge(&m, (fg_profile *[]){a, b}, 2), FG_EINVAL);
    assert_string_equal(fg_error(ctx),
                        "cannot sum profiles of different things: the first has cpu in nanoseconds, "
                        "number 2 has samples in count");
    fg_profile_free(a);
    a = new_profile("samples", "count");
    add(a, "x;y", 10);
    fg_meta_set_number(a, "samples", 7);
    fg_meta_set_number(b, "samples", 3);
    fg_meta_set_text(a, "host", "one");
    fg_meta_set_text(b, "host", "two");
    fg_meta_set_text(a, "collector", "api");
    fg_meta_set_text(b, "collector", "api");
    fg_profile_note(b, "17 samples lost");
    assert_int_equal(fg_profile_merge(&m, (fg_profile *[]){a, b}, 2), 0);
    assert_string_equal(text_of(m), "x 2\nx;y 11\n");
    assert_int_equal(fg_meta_number(m, "samples"), 10);
    assert_string_equal(fg_meta_text(m, "host"), "");
    assert_string_equal(fg_meta_text(m, "collector"), "api");
    assert_string_equal(fg_profile_note_at(m, 0), "17 samples lost");
    fg_profile_free(a);
    fg_profile_free(b);
    fg_profile_free(m);
}

static void invert_turns_stacks_around(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count"), *q;
    add(p, "a;b;c", 1);
    add(p, "a;c", 2);
    assert_int_equal(fg_profile_invert(&q, p), 0);
    assert_string_equal(text_of(q), "c;a 2\nc;b;a 1\n");
    fg_profile_free(p);
    fg_profile_free(q);
}

static int classify(void *user, const fg_frame *frame) {
    (void)user;
    if (strcmp(frame->name, "hot") == 0) return FG_FRAME_FOCUS;
    if (strcmp(frame->name, "idle") == 0) return FG_FRAME_IGNORE;
    return strcmp(frame->name, "glue") == 0 ? FG_FRAME_HIDE : 0;
}

static int rename_hot(void *user, fg_frame *frame) {
    (void)user;
    if (strcmp(frame->name, "hot") == 0) frame->name = "HOT";
    return 0;
}

static const fg_filter filter = {.size = sizeof filter, .classify = classify, .rename = rename_hot};

static void filter_keeps_drops_hides_and_renames(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count"), *q;
    add(p, "a;glue;hot", 1);
    add(p, "a;hot", 2);
    add(p, "a;cold", 4);
    add(p, "hot;idle", 8);
    assert_int_equal(fg_profile_filter(&q, p, &filter), 0);
    assert_string_equal(text_of(q), "a;HOT 3\n");
    fg_profile_free(q);
    fg_profile_free(p);
    p = new_profile("samples", "count");
    add(p, "idle", 1);
    assert_int_equal(fg_profile_filter(&q, p, &filter), FG_EEMPTY);
    fg_profile_free(p);
}

static void sums_that_do_not_fit_are_refused(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    add(p, "a", INT64_MAX);
    uint32_t known = 0, unknown = 9;
    assert_int_equal(fg_profile_add(p, &known, 1, &(int64_t){1}), FG_ELIMIT);
    assert_int_equal(fg_profile_add(p, &known, 1, &(int64_t){-1}), FG_EINVAL);
    assert_int_equal(fg_profile_add(p, &unknown, 1, &(int64_t){1}), FG_EINVAL);
    assert_string_equal(text_of(p), "a 9223372036854775807\n");
    fg_profile_free(p);
}

static void metadata_has_fixed_keys(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    assert_int_equal(fg_meta_set_text(p, "host", "h"), 0);
    assert_int_equal(fg_meta_set_text(p, "hots", "h"), FG_EINVAL);
    assert_int_equal(fg_meta_set_number(p, "host", 1), FG_EINVAL);
    assert_string_equal(fg_meta_text(p, "host"), "h");
    int type;
    size_t keys = 0;
    while (fg_meta_key(keys, &type)) keys++;
    assert_int_equal(keys, FG__META_COUNT);
    fg_profile_free(p);
}

/* ---- every allocation fails in turn -------------------------------------------------------------------- */

static int derive(fg_profile *p) {
    fg_profile *made[7] = {NULL};
    fg_diff_options options = {.size = sizeof options};
    fg__noise noise = {0};
    fg__walk walk = {0};
    const fg_tree *tree;
    fg_top_entry *top = NULL;
    size_t n;
    int err = fg_profile_tree(&tree, p);
    if (!err) err = fg_profile_top(&top, &n, p, 0, 0);
    if (!err) err = fg_profile_invert(&made[0], p);
    if (!err) err = fg_diff(&made[1], p, made[0], NULL, FG_NORMALIZE_SHARE);
    if (!err) err = fg_profile_merge(&made[2], (fg_profile *[]){p, p}, 2);
    if (!err) err = fg_profile_filter(&made[3], p, &filter);
    if (!err) err = fg_diff_runs(&made[4], (fg_profile *[]){p, p}, 2, &made[0], 1, &options);
    if (!err) err = fg_profile_invert(&made[5], made[4]);
    if (!err) err = fg_profile_filter(&made[6], made[5], &filter);
    for (int i = 1; i < 7 && !err; i += 5) { /* by one formula, and by runs */
        err = fg__walk_open(&walk, made[i]);
        if (!err) err = fg__noise_open(&noise, &walk, 1);
        fg__noise_close(&noise, fg_profile_ctx(p));
        fg__walk_close(&walk);
    }
    fg_free(fg_profile_ctx(p), top);
    for (int i = 0; i < 7; i++) fg_profile_free(made[i]);
    return err;
}

static int everything(fg_ctx *c) {
    fg_profile *p = NULL;
    uint32_t frames[2];
    int err = fg_profile_new(&p, c);
    if (!err) err = fg_profile_add_type(p, "cpu", "nanoseconds");
    if (!err) err = fg_profile_frame(&frames[0], p, &(fg_frame){.name = "main\x01", .file = "a.c"});
    if (!err) err = fg_profile_frame(&frames[1], p, &(fg_frame){.name = "hot"});
    if (!err) err = fg_profile_add(p, frames, 2, &(int64_t){1});
    if (!err) err = fg_profile_note(p, "note");
    if (!err) err = derive(p);
    fg_profile_free(p);
    return err;
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    int err = FG_ENOMEM;
    for (long n = 1; err; n++) {
        long left = n;
        fg_ctx *c = fg_ctx_new_with(failing_alloc, &left);
        assert_non_null(c);
        err = everything(c);
        if (err)
            assert_int_equal(err, FG_ENOMEM);
        else
            assert_true(n > 50);
        fg_ctx_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_stacks_are_one_row),
        cmocka_unit_test(a_stack_may_have_no_frames),
        cmocka_unit_test(text_is_cleaned),
        cmocka_unit_test(the_tree_is_depth_first_and_sorted),
        cmocka_unit_test(the_tree_of_many_and_of_deep_stacks),
        cmocka_unit_test(recursion_counts_once_in_top),
        cmocka_unit_test(merge_adds_up_and_keeps_what_agrees),
        cmocka_unit_test(invert_turns_stacks_around),
        cmocka_unit_test(filter_keeps_drops_hides_and_renames),
        cmocka_unit_test(sums_that_do_not_fit_are_refused),
        cmocka_unit_test(metadata_has_fixed_keys),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
