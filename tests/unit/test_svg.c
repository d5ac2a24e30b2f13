/* Pictures: what is drawn, what is refused, and that each is read back, ours exactly and others' from what they show. */
#include "profiles.h"
#include "formats/svg.h"

/* The picture as text; the caller frees it. */
static char *drawn(fg_profile *p, fg_write_options options) {
    void *bytes;
    size_t n;
    options.size = sizeof options;
    options.format = "svg";
    int err = fg_write_memory(&bytes, &n, p, &options);
    if (err) fail_msg("%s", fg_error(ctx));
    char *text = malloc(n + 1);
    memcpy(text, bytes, n);
    text[n] = '\0';
    fg_free(ctx, bytes);
    return text;
}

static int refused(fg_profile *p, fg_write_options options) {
    void *bytes;
    size_t n;
    options.size = sizeof options;
    options.format = "svg";
    return fg_write_memory(&bytes, &n, p, &options);
}

static int parse(fg_profile **out, const char *text) {
    fg_read_options options = {.size = sizeof options, .name = "input"};
    return fg_parse(out, ctx, text, strlen(text), &options);
}

static void assert_reads(const char *svg, const char *stacks) {
    fg_profile *p;
    int err = parse(&p, svg);
    if (err) fail_msg("%s", fg_error(ctx));
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

static fg_profile *small(void) {
    fg_profile *p = new_profile("samples", "count");
    add(p, "main;parse<T>;\"&'", 600);
    add(p, "main;write", 399);
    add(p, "main;]]></style><script>", 1);
    return p;
}

static const char small_text[] = "main;\x5d]></style><script> 1\nmain;parse<T>;\"&' 600\nmain;write 399\n";

static void ours_is_read_back_exactly(void **state) {
    (void)state;
    fg_profile *p = small(), *q = small(), *d;
    const fg_write_options ways[] = {{0},
                                     {.inverted = true},
                                     {.reverse = true},
                                     {.view = "hotcold"},
                                     {.min_width = 500},
                                     {.title = "]]>", .subtitle = "\x01\xff<", .count_name = "\">"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *svg = drawn(p, ways[i]);
        assert_reads(svg, small_text);
        assert_null(strstr(svg, "]]></style><script>"));
        assert_null(strstr(svg, "parse<T>"));
        assert_null(strchr(svg, '\x01'));
        free(svg);
    }
    add(q, "main;new", 7);
    assert_int_equal(fg_diff(&d, p, q, NULL, FG_NORMALIZE_SHARE), 0);
    char *svg = drawn(d, (fg_write_options){0});
    fg_profile *back;
    assert_int_equal(parse(&back, svg), 0);
    assert_true(fg_profile_is_diff(back));
    assert_true(fg_meta_real(back, "factor") == fg_meta_real(d, "factor"));
    assert_string_equal(fg_meta_text(back, "normalize"), "share");
    free(svg);
    fg_profile_free(back);
    fg_profile_free(d);
    fg_profile_free(q);
    fg_profile_free(p);
}

/* More bytes than one element of the picture has. */
static void a_large_profile_comes_in_parts(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count"), *q;
    enum { NAMES = 70000, STACKS = 400000 };
    uint32_t ids[NAMES], chance = 1;
    for (size_t i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof name, "function_%zu", i);
        assert_int_equal(fg_profile_frame(&ids[i], p, &(fg_frame){.name = name}), 0);
    }
    for (size_t i = 0; i < STACKS; i++) {
        uint32_t stack[3];
        for (size_t k = 0; k < 3; k++) stack[k] = ids[(chance = chance * 1664525 + 1013904223) >> 8 & 0xffff];
        assert_int_equal(fg_profile_add(p, stack, 3, (int64_t[]){chance >> 12}), 0);
    }
    char *svg = drawn(p, (fg_write_options){0});
    assert_true(count(svg, FG__PAYLOAD_CLASS "\">") > 1);
    assert_int_equal(parse(&q, svg), 0);
    assert_int_equal(fg_profile_stack_count(p), fg_profile_stack_count(q));
    assert_int_equal(fg_profile_total(p, 0), fg_profile_total(q, 0));
    free(svg);
    fg_profile_free(q);
    fg_profile_free(p);
}

static void frames_are_drawn_down_to_min_width(void **state) {
    (void)state;
    fg_profile *p = small();
    char *svg = drawn(p, (fg_write_options){.width = 1020});
    assert_non_null(strstr(svg, "<title>main (1,000 samples, 100.00 %)</title><rect class=\"fg"));
    assert_non_null(strstr(svg, "<title>write (399 samples, 39.90 %)</title>"));
    assert_non_null(strstr(svg, "width=\"398.5\" height=\"15\"/><text x="));
    assert_int_equal(count(svg, "<title>"), 7); /* the picture's, all, main, and what main calls */
    free(svg);
    svg = drawn(p, (fg_write_options){.width = 1020, .min_width = 2});
    assert_int_equal(count(svg, "<title>"), 6);
    free(svg);
    add(p, "tiny", 1);
    svg = drawn(p, (fg_write_options){.width = 520});
    assert_int_equal(count(svg, "<title>"), 6);
    assert_true(count(svg, "<path") == 2); /* two slivers, in two rows */
    free(svg);
    fg_profile_free(p);
}

static void a_diff_says_both_sides(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    add(a, "x;y", 12300000000);
    add(a, "x;gone", 7700000000);
    add(b, "x;y", 14000000000);
    add(b, "x;new", 6000000000);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    char *svg = drawn(d, (fg_write_options){0});
    assert_non_null(strstr(svg, "<title>y: 12.3 s → 14.0 s, +14 % (+8.5 pp)</title>"));
    assert_non_null(strstr(svg, "<title>gone: 7.70 s → 0 ns, gone (-38.5 pp)</title>"));
    assert_non_null(strstr(svg, "<title>new: 0 ns → 6.00 s, new (+30.0 pp)</title>"));
    assert_int_equal(count(svg, " fg-new\""), 1);
    assert_int_equal(count(svg, " fg-gone\""), 1);
    assert_non_null(strstr(svg, ">+ new<"));
    /* all that either side had fits side by side: 7.7 + 6 + 14 */
    assert_non_null(strstr(svg, " x=\"0\" width=\"327.5\" height=\"15\"/><text x=\"3\" y=\"11.5\">− gone"));
    free(svg);
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
}

static void what_cannot_be_drawn_is_refused(void **state) {
    (void)state;
    fg_profile *p = small();
    const struct {
        fg_write_options options;
        const char *word;
    } cases[] = {
        {{.view = "pie"}, "pie"},   {{.view = "diff"}, "diff"}, {{.colors = "mauve"}, "runtime, hot"},
        {{.type = "heap"}, "heap"}, {{.width = 10}, "200"},     {{.width = 1e9}, "30000"},
        {{.width = -5}, "-5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(refused(p, cases[i].options), FG_EINVAL);
        assert_non_null(strstr(fg_error(ctx), cases[i].word));
    }
    fg_profile_free(p);
    p = new_profile("samples", "count");
    add(p, "a", 0);
    assert_int_equal(refused(p, (fg_write_options){0}), FG_EEMPTY);
    fg_profile_free(p);
}

static void a_deep_profile_is_a_picture_of_bearable_height(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    fg_profile *p = new_profile("samples", "count");
    uint32_t *frames = calloc(DEPTH, sizeof *frames);
    assert_int_equal(fg_profile_frame(&frames[0], p, &(fg_frame){.name = "f"}), 0);
    assert_int_equal(fg_profile_add(p, frames, DEPTH, (int64_t[]){1}), 0);
    char *svg = drawn(p, (fg_write_options){0});
    long height = strtol(strstr(svg, " height=\"") + 9, NULL, 10);
    assert_in_range(height, 10000, 32766);
    assert_non_null(strstr(svg, "98101 rows that lie deeper are not drawn here"));
    fg_profile *q;
    assert_int_equal(parse(&q, svg), 0);
    size_t n;
    fg_profile_stack(q, 0, &n);
    assert_int_equal(n, DEPTH);
    free(svg);
    fg_profile_free(q);
    fg_profile_free(p);
    free(frames);
}

/* ---- pictures of other tools ----------------------------------------------------------------- */

#define FRAME(title, x, y, w)                                                                                \
    "<g >\n<title>" title "</title><rect x=\"" x "\" y=\"" y "\" width=\"" w "\" height=\"15.0\" />\n</g>\n"
#define PICTURE(frames)                                                                                      \
    "<?xml version=\"1.0\"?>\n<!-- <svg> -->\n<svg>\n<rect x=\"0\" y=\"0\" "                                 \
    "width=\"1200\"/><title>Flame</title>" frames "</svg>"

static void flamegraph_pl_is_read_from_its_titles(void **state) {
    (void)state;
    assert_reads(PICTURE(FRAME("b (x) (1,200 samples, 60.00%)", "10.0", "37", "708.0")
                             FRAME("all (2,000 samples, 100%)", "10.0", "69", "1180.0")
                                 FRAME("a&lt;T&gt;::f (1,500 samples, 75.00%)", "10.0", "53", "885.0")
                                     FRAME("c (500 samples, 25.00%)", "895.0", "53", "295.0")),
                 "a<T>::f 300\na<T>::f;b (x) 1200\nc 500\n");
}

static void an_icicle_is_turned_over(void **state) {
    (void)state;
    assert_reads(PICTURE(FRAME("all (20 samples, 100%)", "10.0", "10", "1180.0")
                             FRAME("a (20 samples, 100.00%)", "10.0", "26", "1180.0")
                                 FRAME("b (15 samples, 75.00%)", "10.0", "42", "885.0")),
                 "a 5\na;b 15\n");
}

static void units_and_notes_of_a_read_picture(void **state) {
    (void)state;
    fg_profile *p;
    assert_int_equal(parse(&p, PICTURE(FRAME("all (20 ms, 100%)", "0", "26", "100")
                                           FRAME("a (19 ms, 95.00%)", "0", "10", "95"))),
                     0);
    assert_string_equal(text_of(p), "[not drawn] 1\na 19\n");
    assert_string_equal(fg_profile_type(p, 0).unit, "milliseconds");
    assert_non_null(strstr(fg_profile_note_at(p, 0), "too narrow to be drawn"));
    fg_profile_free(p);
}

static void inferno_and_its_diffs_are_read(void **state) {
    (void)state;
#define INFERNO(title, y, x, w)                                                                              \
    "<g><title>" title "</title><rect x=\"0.0000%\" y=\"" y "\" width=\"33.3%\" fg:x=\"" x "\" fg:w=\"" w    \
    "\"/><text/></g>"
    assert_reads(PICTURE(INFERNO("all (41 samples, 100%)", "85", "0", "41")
                             INFERNO("bar (20 samples, 48.78%; +24.39%)", "53", "5", "20")
                                 INFERNO("foo (25 samples, 60.98%; 0.00%)", "69", "0", "25")
                                     INFERNO("new (9 samples, 21.95%; +21.95%)", "69", "25", "9")
                                         INFERNO("less (7 samples, 17.07%; -4.88%)", "69", "34", "7")),
                 "foo 5 5\nfoo;bar 10 20\nless 9 7\nnew 0 9\n");
}

static void what_is_no_flame_graph_is_refused(void **state) {
    (void)state;
    fg_profile *p;
    static const char *const bad[] = {
        "<svg></svg>",
        "<svg><title>all (1 samples, 100%)</title>",
        "<svg><g><title>all (x samples, 100%)</title><rect x=\"0\" y=\"0\" width=\"9\"/></g></svg>",
        "<svg><metadata class=\"" FG__PAYLOAD_CLASS "\">AAAA</metadata></svg>",
        "<svg><metadata class=\"" FG__PAYLOAD_CLASS "\">%%%</metadata></svg>",
        "<svg><metadata class=\"" FG__PAYLOAD_CLASS "\">AAAA",
        "<svg><metadata class=\"" FG__PAYLOAD_CLASS "\"",
        "<svg <!-- <![CDATA[",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&p, bad[i]), FG_EFORMAT);
        assert_non_null(strstr(fg_error(ctx), "input: svg"));
    }
}

/* Wherever it ends, though all of the profile or some frames may be there. */
static void what_is_cut_off_says_so(void **state) {
    (void)state;
    fg_profile *p;
    static const char *const cut[] = {
        "<svg>",
        "<svg><metadata class=\"" FG__PAYLOAD_CLASS "\">AAAA",
        "<svg><g><title>all (1 samples, 100%)</title><rect x=\"0\" y=\"0\" width=\"9\"/></g>",
    };
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        assert_int_equal(parse(&p, cut[i]), FG_EFORMAT);
        assert_string_equal(fg_error(ctx), "input: svg: the picture is cut off: it ends without </svg>; make "
                                           "or copy it again");
    }
}

static void svg_is_one_row_that_reads_and_writes(void **state) {
    (void)state;
    size_t rows = 0;
    fg_format_info info;
    for (size_t i = 0; fg_format_at(&info, i); i++) {
        if (strcmp(info.name, "svg") != 0) continue;
        assert_true(info.reads && info.writes);
        rows++;
    }
    assert_int_equal(rows, 1);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    int err = FG_ENOMEM;
    for (long n = 1; err; n++) {
        long left = n;
        fg_ctx *mine = ctx;
        ctx = fg_ctx_new_with(failing_alloc, &left);
        assert_non_null(ctx);
        left = 1000;
        fg_profile *p = small();
        left = n;
        void *bytes;
        size_t size;
        fg_write_options options = {.size = sizeof options, .format = "svg", .reverse = true};
        err = fg_write_memory(&bytes, &size, p, &options);
        if (!err) fg_free(ctx, bytes);
        assert_true(err == 0 || err == FG_ENOMEM);
        fg_profile_free(p);
        fg_ctx_free(ctx);
        ctx = mine;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_is_read_back_exactly),
        cmocka_unit_test(a_large_profile_comes_in_parts),
        cmocka_unit_test(frames_are_drawn_down_to_min_width),
        cmocka_unit_test(a_diff_says_both_sides),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(a_deep_profile_is_a_picture_of_bearable_height),
        cmocka_unit_test(flamegraph_pl_is_read_from_its_titles),
        cmocka_unit_test(an_icicle_is_turned_over),
        cmocka_unit_test(units_and_notes_of_a_read_picture),
        cmocka_unit_test(inferno_and_its_diffs_are_read),
        cmocka_unit_test(what_is_no_flame_graph_is_refused),
        cmocka_unit_test(what_is_cut_off_says_so),
        cmocka_unit_test(svg_is_one_row_that_reads_and_writes),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
