/* Summaries for people and programs, and speedscope's JSON. */
#include "profiles.h"
#include <unistd.h>
#include <yajl/yajl_tree.h>
#include "formats/format.h"

static char *written(const fg_format *format, fg_profile *p, const fg_write_options *options) {
    static const fg_write_options defaults = {.size = sizeof defaults};
    fg_out out;
    assert_int_equal(fg__out_memory(&out, ctx), 0);
    assert_int_equal(format->write(&out, p, options ? options : &defaults), 0);
    fg__out_char(&out, '\0');
    assert_int_equal(fg__out_status(&out), 0);
    return out.buffer;
}

static yajl_val parsed(const char *text) {
    char error[256] = "";
    yajl_val tree = yajl_tree_parse(text, error, sizeof error);
    if (!tree) fail_msg("not JSON: %s", error);
    return tree;
}

static yajl_val get(yajl_val tree, const char *a, const char *b) {
    return yajl_tree_get(tree, (const char *[]){a, b, NULL}, yajl_t_any);
}

static const char *row_text(yajl_val top, size_t i, const char *key) {
    return YAJL_GET_STRING(get(top->u.array.values[i], key, NULL));
}

static long long row_number(yajl_val top, size_t i, const char *key) {
    return YAJL_GET_INTEGER(get(top->u.array.values[i], key, NULL));
}

static fg_profile *hostile(void) {
    fg_profile *p = new_profile("cpu", "nanoseconds");
    add(p, "main;a|b`c``d @everyone <img src=x> \"q\\", 700000000);
    add(p, "main", 300000000);
    fg_meta_set_text(p, "collector", "api");
    fg_meta_set_number(p, "samples", 1000);
    fg_meta_set_number(p, "duration", 12300000000);
    fg_profile_note(p, "a \"note\"");
    return p;
}

static void the_json_summary_ranks_functions(void **state) {
    (void)state;
    fg_profile *p = hostile();
    char *text = written(&fg__json, p, NULL);
    yajl_val tree = parsed(text), top = get(tree, "top", NULL);
    assert_int_equal(YAJL_GET_INTEGER(get(tree, "version", NULL)), 1);
    assert_string_equal(YAJL_GET_STRING(get(tree, "type", NULL)), "cpu");
    assert_int_equal(YAJL_GET_INTEGER(get(tree, "total", NULL)), 1000000000);
    assert_int_equal(YAJL_GET_INTEGER(get(tree, "samples", NULL)), 1000);
    assert_int_equal(YAJL_GET_INTEGER(get(tree, "meta", "duration")), 12300000000);
    assert_string_equal(YAJL_GET_STRING(get(tree, "warnings", NULL)->u.array.values[0]), "a \"note\"");
    assert_int_equal(top->u.array.len, 2);
    assert_string_equal(row_text(top, 0, "name"), "a|b`c``d @everyone <img src=x> \"q\\");
    assert_int_equal(row_number(top, 0, "self"), 700000000);
    assert_true(YAJL_GET_DOUBLE(get(top->u.array.values[0], "self_share", NULL)) == 0.7);
    assert_string_equal(row_text(top, 1, "name"), "main");
    assert_int_equal(row_number(top, 1, "total"), 1000000000);
    yajl_tree_free(tree);
    fg_free(ctx, text);
    fg_profile_free(p);
}

static void the_markdown_summary_fits_a_comment(void **state) {
    (void)state;
    fg_profile *p = hostile();
    char *text = written(&fg__markdown, p, NULL);
    assert_string_equal(text, "### Profile\n"
                              "\n"
                              "collector `api` · over 12.3 s · 1,000 samples · 1.00 s of cpu\n"
                              "\n"
                              "> ⚠ `a \"note\"`  \n"
                              "\n"
                              "| self | total | function |\n"
                              "|---:|---:|---|\n"
                              "| 70.0 % | 70.0 % | ``` a\\|b`c``d @everyone <img src=x> \"q\\ ``` |\n"
                              "| 30.0 % | 100.0 % | `main` |\n");
    fg_free(ctx, text);
    fg_profile_free(p);
}

static fg_profile *changed(void) {
    fg_profile *a = new_profile("samples", "count"), *b = new_profile("samples", "count"), *d;
    add(a, "main;same", 4000);
    add(a, "main;slower", 1000);
    add(a, "main;gone", 2000);
    add(b, "main;same", 4000);
    add(b, "main;slower", 2500);
    add(b, "main;new", 500);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    fg_profile_free(a);
    fg_profile_free(b);
    return d;
}

static void a_diff_is_ranked_by_change(void **state) {
    (void)state;
    fg_profile *d = changed();
    char *text = written(&fg__json, d, NULL);
    yajl_val tree = parsed(text), top = get(tree, "top", NULL);
    static const char *const order[] = {"gone", "slower", "new", "main", "same"};
    assert_int_equal(top->u.array.len, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(row_text(top, i, "name"), order[i]);
    assert_int_equal(row_number(top, 1, "self_before"), 1000);
    assert_int_equal(row_number(top, 1, "self_after"), 2500);
    yajl_tree_free(tree);
    fg_free(ctx, text);

    text = written(&fg__markdown, d, NULL);
    assert_non_null(strstr(text, "7,000 samples → 7,000 samples · compared by absolute (after × 1)\n"));
    assert_non_null(
        strstr(text, "| 1,000 samples → 2,500 samples | +150 % | +21.4 pp | +21.4 pp | `slower` |\n"));
    assert_non_null(strstr(text, "| 2,000 samples → 0 samples | gone | -28.6 pp | -28.6 pp | `gone` |\n"));
    assert_null(strstr(text, "`same`"));
    fg_free(ctx, text);

    fg_meta_set_text(d, "normalize", "share");
    fg_meta_set_real(d, "factor", 0.5);
    text = written(&fg__markdown, d, NULL);
    assert_non_null(strstr(text, "compared by share (after × 0.5)\n"));
    assert_non_null(strstr(text, "| 14.3 % → 35.7 % | +25 % | +21.4 pp | +21.4 pp | `slower` |\n"));
    fg_free(ctx, text);
    fg_profile_free(d);
}

/* What the published schema asks of a "sampled" profile. */
static void speedscope_follows_its_schema(void **state) {
    (void)state;
    fg_profile *p = hostile();
    char *text = written(&fg__speedscope, p, NULL);
    yajl_val tree = parsed(text), profiles = get(tree, "profiles", NULL),
             frames = get(tree, "shared", "frames");
    assert_string_equal(YAJL_GET_STRING(get(tree, "$schema", NULL)),
                        "https://www.speedscope.app/file-format-schema.json");
    assert_int_equal(frames->u.array.len, 2);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(YAJL_GET_STRING(get(frames->u.array.values[i], "name", NULL)));
    assert_int_equal(profiles->u.array.len, 1);
    yajl_val profile = profiles->u.array.values[0];
    yajl_val samples = get(profile, "samples", NULL), weights = get(profile, "weights", NULL);
    assert_string_equal(YAJL_GET_STRING(get(profile, "type", NULL)), "sampled");
    assert_string_equal(YAJL_GET_STRING(get(profile, "unit", NULL)), "nanoseconds");
    assert_int_equal(YAJL_GET_INTEGER(get(profile, "startValue", NULL)), 0);
    assert_int_equal(samples->u.array.len, weights->u.array.len);
    long long sum = 0;
    for (size_t i = 0; i < samples->u.array.len; i++) {
        sum += YAJL_GET_INTEGER(weights->u.array.values[i]);
        for (size_t k = 0; k < samples->u.array.values[i]->u.array.len; k++)
            assert_true(YAJL_GET_INTEGER(samples->u.array.values[i]->u.array.values[k]) < 2);
    }
    assert_int_equal(YAJL_GET_INTEGER(get(profile, "endValue", NULL)), sum);
    yajl_tree_free(tree);
    fg_free(ctx, text);
    fg_profile_free(p);
}

/* Longer than any output buffer: nothing may depend on what is still in it. */
static void large_summaries_are_whole(void **state) {
    (void)state;
    enum { FRAMES = 20000 };
    fg_profile *p = new_profile("samples", "count");
    for (uint32_t i = 0; i < FRAMES; i++) {
        char name[64];
        snprintf(name, sizeof name, "a function with a longer name, number %u", i);
        add(p, name, 1 + i);
    }
    char path[] = "/tmp/fg-summary-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    fg_write_options options = {.size = sizeof options};
    assert_int_equal(fg__write_path(p, &fg__json, path, &options), 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 8 << 20);
    size_t n = fread(text, 1, (8 << 20) - 1, file);
    assert_true(n > 1 << 20);
    fclose(file);
    remove(path);
    yajl_val tree = parsed(text);
    assert_int_equal(get(tree, "top", NULL)->u.array.len, FRAMES);
    yajl_tree_free(tree);
    free(text);
    fg_profile_free(p);
}

static void values_are_rounded_as_browsers_round(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *unit, *text;
    } rows[] = {
        {2.5, "count", "3 samples"},         {-2.5, "count", "-3 samples"},
        {6172.5, "count", "6,173 samples"},  {2.4999, "count", "2 samples"},
        {3125000, "nanoseconds", "3.13 ms"}, {1.005e9, "nanoseconds", "1.00 s"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        fg__value_text(text, sizeof text, rows[i].value, rows[i].unit);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_rounded_as_browsers_round),
        cmocka_unit_test(the_json_summary_ranks_functions),
        cmocka_unit_test(the_markdown_summary_fits_a_comment),
        cmocka_unit_test(a_diff_is_ranked_by_change),
        cmocka_unit_test(speedscope_follows_its_schema),
        cmocka_unit_test(large_summaries_are_whole),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
