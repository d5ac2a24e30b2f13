/* heapprofile: nodes that hold their children, and what is wrong with files that are none. */
#include "profiles.h"
#include "formats/format.h"

static int parse(fg_profile **p, const char *text) {
    fg_read_options options = {.size = sizeof options, .name = "x.heapprofile", .format = "heapprofile"};
    return fg_parse(p, ctx, text, strlen(text), &options);
}

static void expect_error(const char *text, int code, const char *message) {
    fg_profile *p;
    assert_int_equal(parse(&p, text), code);
    if (!strstr(fg_error(ctx), message)) fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), message);
    assert_int_equal(strncmp(fg_error(ctx), "x.heapprofile: heapprofile", 26), 0);
}

#define CALL(name)                                                                                           \
    "\"callFrame\":{\"functionName\":\"" name "\",\"scriptId\":\"0\",\"url\":\"\",\"lineNumber\":-1}"

static const char small[] = "{\"head\":{" CALL(
    "(root)") ",\"selfSize\":0,\"id\":1,\"children\":["
              "{\"callFrame\":{\"functionName\":\"a\",\"url\":\"file:///"
              "x%20y.js\",\"lineNumber\":4},\"selfSize\":100,\"id\":2,"
              "\"children\":[{" CALL("") ",\"selfSize\":30,\"id\":3,\"children\":[]},{" CALL(
                  "c") ",\"selfSize\":5,\"children\":[]}]},"
                       "{" CALL("(V8 API)") ",\"selfSize\":7,\"id\":4,\"children\":[]}]},"
                                            "\"samples\":[{\"size\":100,\"nodeId\":2,\"ordinal\":1},{"
                                            "\"size\":42,\"nodeId\":3,\"ordinal\":2}]}";

static void stacks_are_paths_below_the_root(void **state) {
    (void)state;
    fg_profile *p;
    assert_int_equal(parse(&p, small), 0);
    assert_string_equal(text_of(p), "(V8 API) 7\na 100\na;(anonymous) 30\na;c 5\n");
    assert_string_equal(fg_profile_type(p, 0).name, "inuse_space");
    assert_string_equal(fg_profile_type(p, 0).unit, "bytes");
    assert_int_equal(fg_meta_number(p, "samples"), 2);
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++) {
        fg_frame frame = fg_profile_frame_at(p, i);
        if (strcmp(frame.name, "a") != 0) continue;
        assert_string_equal(frame.file, "/x y.js");
        assert_int_equal(frame.line, 5);
    }
    fg_profile_free(p);
}

static void it_is_recognised(void **state) {
    (void)state;
    char answer[sizeof small + 64];
    snprintf(answer, sizeof answer, "{\"id\":7,\"result\":{\"profile\":%s}}", small);
    const char *texts[] = {small, answer};
    for (size_t i = 0; i < 2; i++) {
        fg_profile *p;
        assert_int_equal(fg_parse(&p, ctx, texts[i], strlen(texts[i]), NULL), 0);
        assert_int_equal(fg_profile_total(p, 0), 142);
        fg_profile_free(p);
    }
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    expect_error("{}", FG_EFORMAT, "there is no head");
    expect_error("{\"head\":{\"selfSize\":1}}", FG_EFORMAT, "node 0 has no callFrame");
    expect_error("{\"head\":{" CALL("r") ",\"selfSize\":-1}}", FG_EFORMAT, "selfSize of node 0");
    expect_error("{\"head\":{" CALL("r") ",\"selfSize\":1.5}}", FG_EFORMAT, "selfSize of node 0");
    expect_error("{\"head\":{" CALL("r") ",\"selfSize\":0}}", FG_EEMPTY, "nothing was allocated");
    expect_error("{\"head\":{" CALL("r") "},\"head\":{" CALL("r") "}}", FG_EFORMAT, "a second head");
    expect_error(
        "{\"head\":{" CALL("r") ",\"selfSize\":9e18,\"children\":[{" CALL("c") ",\"selfSize\":9e18}]}}",
        FG_EFORMAT, "selfSize");
    expect_error("{\"head\":{" CALL("r") ",\"selfSize\":9000000000000000000,\"children\":[{" CALL(
                     "c") ",\"selfSize\":9000000000000000000}]}}",
                 FG_ELIMIT, "too large");
    expect_error("{\"head\":[]}", FG_EFORMAT, "an array");
    expect_error("{\"head\":{" CALL("r") ",\"children\":[{", FG_EFORMAT, "");
}

static void each_allocation_can_fail(void **state) {
    (void)state;
    fg_read_options options = {.size = sizeof options, .name = "x.heapprofile", .format = "heapprofile"};
    read_poorly(small, strlen(small), &options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_paths_below_the_root),
        cmocka_unit_test(it_is_recognised),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(each_allocation_can_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
