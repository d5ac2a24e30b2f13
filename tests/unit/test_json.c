/* The JSON layer: rules, numbers, errors; in one window and in many. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include "profiles.h"
#include "formats/input.h"
#include "formats/json_reader.h"

typedef struct seen {
    char log[512];
    fg__json_number last;
    int code; /* what on_text returns */
} seen;

static void say(seen *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t n = strlen(s->log);
    vsnprintf(s->log + n, sizeof s->log - n, format, args);
    va_end(args);
}

static int on_number(void *user, const fg__json_number *n) {
    seen *s = user;
    s->last = *n;
    say(s, "%g ", n->real);
    return 0;
}

static int on_text(void *user, const char *bytes, size_t n) {
    seen *s = user;
    say(s, "'%.*s' ", (int)n, bytes);
    return s->code ? fg__fail(ctx, s->code, "unwanted text") : 0;
}

static int on_open(void *user) {
    say(user, "( ");
    return 0;
}

static int on_close(void *user) {
    say(user, ") ");
    return 0;
}

static const fg__json_rule numbers[] = {{.key = "", .number = on_number}, {0}};
static const fg__json_rule tree[];
static const fg__json_rule trees[] = {{.key = "", .inside = tree, .open = on_open, .close = on_close}, {0}};
static const fg__json_rule tree[] = {{.key = "n", .number = on_number}, {.key = "in", .inside = trees}, {0}};
static const fg__json_rule file[] = {{.key = "n", .number = on_number},
                                     {.key = "name", .text = on_text},
                                     {.key = "list", .inside = numbers},
                                     {.key = "tree", .inside = tree, .open = on_open, .close = on_close},
                                     {0}};

static int read_json(seen *s, const char *text) {
    fg_read_options options = {.size = sizeof options, .name = "x.json"};
    fg_in *in;
    assert_int_equal(fg__in_open_memory(&in, ctx, text, strlen(text), &options), 0);
    in->format = "test";
    int err = fg__json_read(in, file, s);
    fg__in_close(in);
    return err;
}

static void expect(const char *text, const char *log) {
    seen s = {.code = 0};
    if (read_json(&s, text)) fail_msg("%s: %s", text, fg_error(ctx));
    assert_string_equal(s.log, log);
}

static void expect_error(const char *text, const char *message) {
    seen s = {.code = 0};
    assert_int_equal(read_json(&s, text), FG_EFORMAT);
    if (!strstr(fg_error(ctx), message))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, fg_error(ctx), message);
    assert_int_equal(strncmp(fg_error(ctx), "x.json: test, byte ", 19), 0);
}

static void rules_pick_what_is_wanted(void **state) {
    (void)state;
    expect("{}", "");
    expect(" {\"n\": 1, \"other\": {\"n\": 2, \"list\": [3, [4], {\"n\": 5}]}, \"list\": [6, 7], \"nn\": 8, "
           "\"\": 9}",
           "1 6 7 ");
    expect("{\"tree\": {\"n\": 1, \"in\": [{\"n\": 2, \"in\": []}, {\"in\": [{\"n\": 3}], \"n\": 4}]}, "
           "\"n\": 5}",
           "( 1 ( 2 ) ( ( 3 ) 4 ) ) 5 ");
    expect("{\"n\": null, \"list\": [null, 1], \"tree\": null, \"name\": \"a\\u00e9\\n\"}",
           "1 'a\xc3\xa9\n' ");
}

static void numbers_are_read_as_they_stand(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double real;
        bool is_whole;
        int64_t whole;
    } cases[] = {
        {"0", 0, true, 0},
        {"-0", 0, true, 0},
        {"17", 17, true, 17},
        {"-17", -17, true, -17},
        {"999999999999999999", 999999999999999999.0, true, 999999999999999999},
        {"9223372036854775807", 9223372036854775807.0, true, INT64_MAX},
        {"9223372036854775808", 9223372036854775808.0, false, 0},
        {"123456789012345678901234567890", 1.2345678901234568e29, false, 0},
        {"1.5", 1.5, false, 0},
        {"5.0", 5, true, 5},
        {"1e3", 1000, true, 1000},
        {"1E+3", 1000, true, 1000},
        {"25e-1", 2.5, false, 0},
        {"-2.5e-3", -0.0025, false, 0},
        {"0.1", 0.1, false, 0},
        {"1795464218912890.2", 1795464218912890.2, false, 0},
        {"0e999999999999", 0, true, 0},
        {"1e-999999999999", 0, true, 0},
        {"0.00000000000000000000000000001", 1e-29, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        seen s = {.code = 0};
        snprintf(text, sizeof text, "{\"n\": %s}", cases[i].text);
        assert_int_equal(read_json(&s, text), 0);
        if (fabs(s.last.real - cases[i].real) > fabs(cases[i].real) * 1e-15)
            fail_msg("%s was read as %.17g", cases[i].text, s.last.real);
        assert_int_equal(s.last.is_whole, cases[i].is_whole);
        if (cases[i].is_whole) assert_int_equal(s.last.whole, cases[i].whole);
    }
    seen s = {.code = 0};
    assert_int_equal(read_json(&s, "{\"n\": 1e999999}"), 0);
    assert_true(isinf(s.last.real));
}

static void errors_name_the_place(void **state) {
    (void)state;
    expect_error("{\"n\": 1,, }", "byte 9: not valid JSON: invalid object key");
    expect_error("{\"n\": 1", "byte 7: not valid JSON: premature EOF");
    expect_error("{\"n\": 1} x", "not valid JSON");
    expect_error("", "premature EOF");
    expect_error("{\"n\": \"1\"}", "\"n\" is a string, not a number");
    expect_error("{\"n\": true}", "\"n\" is a boolean, not a number");
    expect_error("{\"n\": []}", "\"n\" is an array, not a number");
    expect_error("{\"name\": 1}", "\"name\" is a number, not a string");
    expect_error("{\"list\": {}}", "\"list\" is an object, not an array");
    expect_error("{\"tree\": []}", "\"tree\" is an array, not an object");
    expect_error("{\"list\": [1, \"2\"]}", "an element is a string, not a number");
    expect_error("[1, 2]", "an array, not an object");
    expect_error("7", "a number, not an object");
    seen s = {.code = FG_ELIMIT};
    assert_int_equal(read_json(&s, "{\"name\": \"x\"}"), FG_ELIMIT);
    assert_string_equal(fg_error(ctx), "x.json: test, byte 12: unwanted text");
}

/* What comes through a pipe is cut anywhere. */
static void tokens_may_be_cut_by_the_window(void **state) {
    (void)state;
    static const char text[] = "{\"list\": [12345678, -1.25], \"name\": \"caf\\u00e9\", \"n\": 3}";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int standard = dup(STDIN_FILENO);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    pid_t child = fork();
    if (child == 0) {
        for (const char *p = text; *p; p++) {
            if (write(ends[1], p, 1) != 1) _exit(1);
            usleep(200);
        }
        _exit(0);
    }
    close(ends[1]);
    fg_read_options options = {.size = sizeof options};
    fg_in *in;
    seen s = {.code = 0};
    assert_int_equal(fg__in_open(&in, ctx, "-", &options), 0);
    assert_int_equal(fg__json_read(in, file, &s), 0);
    fg__in_close(in);
    dup2(standard, STDIN_FILENO);
    close(standard);
    close(ends[0]);
    assert_string_equal(s.log, "1.23457e+07 -1.25 'caf\xc3\xa9' 3 ");
}

static void depth_is_no_danger(void **state) {
    (void)state;
    enum { DEPTH = 200000 };
    char *text = malloc(DEPTH * 16 + 64), *p = text;
    p += sprintf(p, "{\"tree\": ");
    for (int i = 0; i < DEPTH; i++) p += sprintf(p, "{\"in\": [");
    for (int i = 0; i < DEPTH; i++) p += sprintf(p, "]}");
    p += sprintf(p, ", \"other\": ");
    for (int i = 0; i < DEPTH; i++) *p++ = '[';
    for (int i = 0; i < DEPTH; i++) *p++ = ']';
    sprintf(p, "}");
    static seen s;
    assert_int_equal(read_json(&s, text), 0);
    free(text);
}

static void keys_are_found_in_the_head(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool has;
    } cases[] = {
        {"{\"nodes\":[", true},
        {" \n{ \"a\": 1, \"nodes\" : [", true},
        {"[\"nodes\":", false},
        {"{\"a\": \"nodes\"}", false},
        {"{\"xnodes\":1", false},
        {"{\"nodes", false},
        {"", false},
        {"{\"nodes\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fg__json_has_key((const uint8_t *)cases[i].text, strlen(cases[i].text), "nodes"),
                         cases[i].has);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_pick_what_is_wanted), cmocka_unit_test(numbers_are_read_as_they_stand),
        cmocka_unit_test(errors_name_the_place),     cmocka_unit_test(tokens_may_be_cut_by_the_window),
        cmocka_unit_test(depth_is_no_danger),        cmocka_unit_test(keys_are_found_in_the_head),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
