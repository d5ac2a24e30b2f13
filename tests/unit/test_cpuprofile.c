/* cpuprofile: what V8 and JavaScriptCore write, how time is told, and what is wrong with files that are not
 * one. */
#include "profiles.h"
#include "formats/format.h"

static int parse(fg_profile **p, const char *text, bool lines, bool keep_idle) {
    fg_read_options options = {.size = sizeof options,
                               .name = "x.cpuprofile",
                               .format = "cpuprofile",
                               .lines = lines,
                               .keep_idle = keep_idle};
    return fg_parse(p, ctx, text, strlen(text), &options);
}

static fg_profile *read_json(const char *text) {
    fg_profile *p;
    if (parse(&p, text, false, false)) fail_msg("%s", fg_error(ctx));
    return p;
}

static void expect(const char *text, const char *stacks) {
    fg_profile *p = read_json(text);
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

static void expect_error(const char *text, int code, const char *message) {
    fg_profile *p;
    assert_int_equal(parse(&p, text, false, false), code);
    if (!strstr(fg_error(ctx), message)) fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), message);
    assert_int_equal(strncmp(fg_error(ctx), "x.cpuprofile: cpuprofile", 24), 0);
}

static fg_frame frame_named(const fg_profile *p, const char *name) {
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++)
        if (strcmp(fg_profile_frame_at(p, i).name, name) == 0) return fg_profile_frame_at(p, i);
    fail_msg("no frame %s", name);
    return (fg_frame){0};
}

/* Nodes: 1 (root) → 2 (idle), 3 (program), 4 main → 5 hot; 6 is 5's nameless callee. */
#define OUTSIDE(id, name)                                                                                    \
    "{\"id\":" #id ",\"callFrame\":{\"functionName\":\"" name "\",\"url\":\"\",\"lineNumber\":-1}"
#define NODES                                                                                                \
    "\"nodes\":[" OUTSIDE(1, "(root)") ",\"children\":[2,3,4]}," OUTSIDE(2, "(idle)") "}," OUTSIDE(          \
        3, "(program)") "},{\"id\":4,\"callFrame\":{\"functionName\":\"main\",\"url\":\"file:///srv/"        \
                        "a%20b.js\",\"lineNumber\":0}"                                                       \
                        ",\"children\":[5]},{\"id\":5,\"callFrame\":{\"functionName\":\"hot\",\"url\":"      \
                        "\"node:fs\",\"lineNumber\":41}"                                                     \
                        ",\"hitCount\":3,\"children\":[6],\"positionTicks\":[{\"line\":43,\"ticks\":1},{"    \
                        "\"line\":44,\"ticks\":2}]},"                                                        \
                        "{\"id\":6,\"callFrame\":{\"functionName\":\"\",\"url\":\"https://x/"                \
                        "y.js\",\"lineNumber\":7}}]"
#define FILE_OF(rest) "{" NODES "," rest "}"

/* The time before a sample is its own; the first one lasts as long as the others on average. */
static void time_is_what_the_deltas_say(void **state) {
    (void)state;
    fg_profile *p = read_json(FILE_OF("\"startTime\":1000,\"endTime\":2000,\"samples\":[4,5,2,3,6,5],"
                                      "\"timeDeltas\":[500,100,200,300,400,500]"));
    assert_string_equal(
        text_of(p), "(program) 300000 1\nmain 300000 1\nmain;hot 600000 2\nmain;hot;(anonymous) 400000 1\n");
    assert_string_equal(fg_profile_type(p, 0).name, "cpu");
    assert_string_equal(fg_profile_type(p, 1).unit, "count");
    assert_int_equal(fg_meta_number(p, "duration"), 1000000);
    assert_int_equal(fg_meta_number(p, "start"), 0);
    fg_frame main = frame_named(p, "main"), hot = frame_named(p, "hot"),
             program = frame_named(p, "(program)");
    assert_string_equal(main.file, "/srv/a b.js");
    assert_int_equal(main.line, 1);
    assert_int_equal(main.kind, FG_KIND_JS);
    assert_string_equal(hot.file, "node:fs");
    assert_int_equal(hot.line, 42);
    assert_int_equal(program.kind, FG_KIND_NATIVE);
    assert_int_equal(program.line, 0);
    fg_profile_free(p);
}

static void idle_is_kept_on_demand(void **state) {
    (void)state;
    static const char text[] = FILE_OF("\"samples\":[2,5,2],\"timeDeltas\":[1,2,4]");
    fg_profile *p;
    expect(text, "main;hot 2000 1\n");
    assert_int_equal(parse(&p, text, false, true), 0);
    assert_string_equal(text_of(p), "(idle) 7000 2\nmain;hot 2000 1\n");
    fg_profile_free(p);
    static const char idle[] = FILE_OF("\"samples\":[2,3,2],\"timeDeltas\":[1,2,4]");
    expect_error(idle, FG_EEMPTY, "no samples of work: drive load and try again");
    assert_int_equal(parse(&p, idle, false, true), 0);
    fg_profile_free(p);
}

static void clocks_that_step_back_are_put_in_order(void **state) {
    (void)state;
    /* at 10, 30, 20, 40 µs: main, hot, main's callee's…: in order 4 (10), 6 (20), 5 (30), 4 (40) */
    expect(FILE_OF("\"samples\":[4,5,6,4],\"timeDeltas\":[10,20,-10,20]"),
           "main 20000 2\nmain;hot 10000 1\nmain;hot;(anonymous) 10000 1\n");
    /* before the first sample nothing lasts: a negative first delta is only a start */
    expect(FILE_OF("\"samples\":[4,5],\"timeDeltas\":[-5,8]"), "main 8000 1\nmain;hot 8000 1\n");
}

/* The sample behind that of what `name` calls comes half a second late. */
#define PAUSE_AT(start, name)                                                                                \
    "{\"startTime\":" start ",\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"" name                  \
    "\"}},{\"id\":2,\"parent\":1,\"callFrame\":{}}],"                                                        \
    "\"samples\":[1,1,2,1,1],\"timeDeltas\":[0,1024,1024,500000,1024]}"

/* V8 samples a waiting program too: what it did not sample, the machine had no time for. */
static void v8_counts_in_full(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {PAUSE_AT("4879444153", "f"), "f 627816000 4\nf;(anonymous) 1024000 1\n"},
        {PAUSE_AT("1795466101379162", "(program)"),
         "(program) 627816000 4\n(program);(anonymous) 1024000 1\n"}};
    for (size_t i = 0; i < 2; i++) {
        fg_profile *p = read_json(texts[i][0]);
        assert_null(fg_profile_note_at(p, 0));
        assert_string_equal(text_of(p), texts[i][1]);
        fg_profile_free(p);
    }
}

/* An engine that takes no samples of a waiting program. */
static void pauses_are_not_work(void **state) {
    (void)state;
    fg_profile *p = read_json(PAUSE_AT("1795466101379162.5", "f"));
    assert_string_equal(text_of(p), "f 4044800 4\nf;(anonymous) 1024000 1\n");
    assert_string_equal(fg_profile_note_at(p, 0),
                        "0.50 s without samples were taken as waiting: this engine does not sample it");
    fg_profile_free(p);
}

static void without_deltas_hits_share_the_time(void **state) {
    (void)state;
    expect(FILE_OF("\"startTime\":0,\"endTime\":900"), "main;hot 900000 3\n");
    fg_profile *p = read_json("{" NODES "}");
    assert_int_equal(fg_profile_type_count(p), 1);
    assert_string_equal(fg_profile_type(p, 0).name, "samples");
    assert_string_equal(text_of(p), "main;hot 3\n");
    fg_profile_free(p);
    expect(FILE_OF("\"samples\":[5,4,5]"), "main 1\nmain;hot 2\n");
    expect(FILE_OF("\"startTime\":1000,\"endTime\":1500,\"samples\":[5],\"timeDeltas\":[200]"),
           "main;hot 300000 1\n");
}

static void lines_of_the_leaf_are_told_apart(void **state) {
    (void)state;
    fg_profile *p;
    assert_int_equal(parse(&p, FILE_OF("\"samples\":[5,5,5],\"timeDeltas\":[0,1,1]"), true, false), 0);
    assert_string_equal(text_of(p), "main;hot 1000 1\nmain;hot 2000 2\n");
    size_t n;
    assert_int_equal(fg_profile_frame_at(p, fg_profile_stack(p, 0, &n)[1]).line, 43);
    assert_int_equal(fg_profile_frame_at(p, fg_profile_stack(p, 1, &n)[1]).line, 44);
    fg_profile_free(p);
}

static void nodes_come_in_any_shape(void **state) {
    (void)state;
    /* samples first, parents by id, large ids, an answer of the DevTools protocol, what nobody asked for */
    expect("{\"id\":3,\"result\":{\"profile\":{\"samples\":[900000000000],\"timeDeltas\":[7],\"x\":[[{}]],"
           "\"nodes\":["
           "{\"id\":900000000000,\"parent\":-4,\"callFrame\":{\"functionName\":\"b\",\"scriptId\":1}},"
           "{\"deoptReason\":\"no\",\"callFrame\":{\"functionName\":\"a\"},\"id\":-4}]}}}",
           "a;b 7000 1\n");
    /* only a root is dropped, and only what V8 itself calls so */
    expect("{\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"a\"},\"children\":[2]},"
           "{\"id\":2,\"callFrame\":{\"functionName\":\"(root)\"}}],\"samples\":[2],\"timeDeltas\":[1]}",
           "a;(root) 1000 1\n");
    expect("{\"nodes\":[{\"id\":1,\"callFrame\":{\"functionName\":\"(idle)\",\"url\":\"a.js\"}}],"
           "\"samples\":[1],\"timeDeltas\":[1]}",
           "(idle) 1000 1\n");
}

static void errors_say_what_and_where(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } wrongs[] = {
        {"{\"nodes\":[{\"callFrame\":{}}]}", "byte 26: node 0 has no id"},
        {"{\"nodes\":[{\"id\":1},{\"id\":1}]}", "node 1 is there twice"},
        {"{\"nodes\":[{\"id\":1.5}]}", "the id of a node is not a whole number"},
        {"{\"nodes\":[{\"id\":\"1\"}]}", "\"id\" is a string, not a number"},
        {"{\"nodes\":[{\"id\":1,\"hitCount\":-1}]}", "a negative hitCount"},
        {"{\"nodes\":[{\"id\":1,\"children\":[2]}]}", "node 1 has the child 2, which does not exist"},
        {"{\"nodes\":[{\"id\":1,\"parent\":9}]}", "node 1 has the parent 9, which does not exist"},
        {"{\"nodes\":[{\"id\":1,\"children\":[3]},{\"id\":2,\"children\":[3]},{\"id\":3}]}",
         "node 3 is the child of two nodes"},
        {"{\"nodes\":[{\"id\":1,\"children\":[1]}]}", "node 1 is its own ancestor"},
        {"{\"nodes\":[{\"id\":1,\"parent\":3},{\"id\":2,\"parent\":1},{\"id\":3,\"parent\":2}]}",
         "is its own ancestor"},
        {"{\"nodes\":[{\"id\":1}],\"samples\":[1,2],\"timeDeltas\":[1,1]}",
         "sample 1 is of node 2, which does not exist"},
        {"{\"nodes\":[{\"id\":1}],\"samples\":[2]}", "sample 0 is of node 2, which does not exist"},
        {"{\"nodes\":[{\"id\":1}],\"samples\":[1,1],\"timeDeltas\":[1]}", "2 samples, but 1 timeDeltas"},
        {"{\"nodes\":[{\"id\":1}],\"samples\":[1],\"timeDeltas\":[1e300]}", "more than a century"},
        {"{\"nodes\":[{\"id\":1}],\"samples\":[1],\"timeDeltas\":[\"1\"]}",
         "an element is a string, not a number"},
        {"{\"nodes\":{}}", "\"nodes\" is an object, not an array"},
        {"{\"nodes\":[", "premature EOF"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++)
        expect_error(wrongs[i].text, FG_EFORMAT, wrongs[i].message);
    expect_error("{\"nodes\":[]}", FG_EEMPTY, "no samples of work");
    expect_error("{}", FG_EEMPTY, "no samples of work");
}

/* A chain of calls, the samples in its last one; and with a sample in each, too many frames. */
static char *chain(int depth, bool all) {
    char *text = malloc((size_t)depth * 80 + 1000), *p = text;
    p += sprintf(p, "{\"nodes\":[");
    for (int i = 1; i <= depth; i++)
        p += sprintf(p, "%s{\"id\":%d,\"hitCount\":%d,\"children\":[%d]}", i > 1 ? "," : "", i, all, i + 1);
    sprintf(p, ",{\"id\":%d,\"hitCount\":1}]}", depth + 1);
    return text;
}

static void deep_trees_are_read(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *text = chain(DEPTH, false);
    fg_profile *p = read_json(text);
    size_t n;
    fg_profile_stack(p, 0, &n);
    assert_int_equal(n, DEPTH + 1);
    fg_profile_free(p);
    free(text);
    text = chain(DEPTH, true);
    expect_error(text, FG_ELIMIT, "--max-input");
    free(text);
}

/* ---- what engines wrote -------------------------------------------------------------------------------- */

static fg_profile *read_data(const char *name) {
    char path[512];
    snprintf(path, sizeof path, FG_TEST_DATA "/%s", name);
    fg_profile *p;
    if (fg_read(&p, ctx, path, NULL)) fail_msg("%s", fg_error(ctx));
    assert_string_equal(fg_meta_text(p, "source"), "cpuprofile");
    return p;
}

/* Four rounds of 60 ms of work. */
static void assert_four_rounds(fg_profile *p) {
    int64_t total = fg_profile_total(p, 0);
    assert_in_range(total, 200000000, 260000000);
    fg_top_entry *top;
    size_t n;
    assert_int_equal(fg_profile_top(&top, &n, p, 0, 0), 0);
    int64_t work = 0;
    for (size_t i = 0; i < n; i++) {
        fg_frame frame = fg_profile_frame_at(p, top[i].frame);
        if (strcmp(frame.name, "work") != 0) continue;
        work += top[i].total;
        assert_string_equal(frame.file, "/srv/app dir/work.js");
        assert_int_equal(frame.line, 5);
    }
    fg_free(ctx, top);
    assert_true(work > total * 9 / 10);
}

static void node_writes_it(void **state) {
    (void)state;
    fg_profile *p = read_data("node.cpuprofile");
    assert_four_rounds(p);
    assert_null(fg_profile_note_at(p, 0));
    fg_profile_free(p);
}

static void bun_writes_it(void **state) {
    (void)state;
    fg_profile *p = read_data("bun.cpuprofile");
    assert_four_rounds(p);
    assert_non_null(strstr(fg_profile_note_at(p, 0), "taken as waiting"));
    assert_int_equal(fg_meta_number(p, "start") / 1000000000, 1795466101);
    fg_profile_free(p);
}

/* ---- every allocation fails in turn -------------------------------------------------------------------- */

static void each_allocation_may_fail(void **state) {
    (void)state;
    static const char text[] = FILE_OF("\"samples\":[5,4,6],\"timeDeltas\":[0,9,-1]");
    fg_read_options options = {.size = sizeof options, .lines = true};
    assert_true(read_poorly(text, sizeof text - 1, &options) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_what_the_deltas_say),
        cmocka_unit_test(idle_is_kept_on_demand),
        cmocka_unit_test(clocks_that_step_back_are_put_in_order),
        cmocka_unit_test(pauses_are_not_work),
        cmocka_unit_test(v8_counts_in_full),
        cmocka_unit_test(without_deltas_hits_share_the_time),
        cmocka_unit_test(lines_of_the_leaf_are_told_apart),
        cmocka_unit_test(nodes_come_in_any_shape),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(deep_trees_are_read),
        cmocka_unit_test(node_writes_it),
        cmocka_unit_test(bun_writes_it),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
