/* speedscope's files read: sampled and evented, ours and others', and what is wrong with some. */
#include "profiles.h"
#include "formats/format.h"

static int parse(fg_profile **p, const char *text) {
    fg_read_options options = {.size = sizeof options, .name = "x.json", .format = "speedscope"};
    return fg_parse(p, ctx, text, strlen(text), &options);
}

static fg_profile *read_json(const char *text) {
    fg_profile *p;
    if (parse(&p, text)) fail_msg("%s", fg_error(ctx));
    return p;
}

static void expect(const char *text, const char *stacks) {
    fg_profile *p = read_json(text);
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

#define FRAMES                                                                                               \
    "\"shared\":{\"frames\":[{\"name\":\"a\"},{\"name\":\"b\",\"file\":\"b.py\",\"line\":3,\"col\":7},{"     \
    "\"name\":\"c\"}]}"
#define SAMPLED(unit, samples, weights)                                                                      \
    "{\"type\":\"sampled\",\"name\":\"t\",\"unit\":\"" unit                                                  \
    "\",\"startValue\":0,\"endValue\":9,\"samples\":" samples ",\"weights\":" weights "}"
#define EVENTED(end, events)                                                                                 \
    "{\"type\":\"evented\",\"name\":\"t\",\"unit\":\"microseconds\",\"startValue\":0,\"endValue\":" end      \
    ",\"events\":" events "}"
#define FILE_OF(profiles)                                                                                    \
    "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"profiles\":[" profiles            \
    "]," FRAMES "}"
#define OPEN(at, frame) "{\"type\":\"O\",\"at\":" #at ",\"frame\":" #frame "}"
#define CLOSE(at, frame) "{\"type\":\"C\",\"at\":" #at ",\"frame\":" #frame "}"

static void threads_with_the_same_unit_are_summed(void **state) {
    (void)state;
    fg_profile *p = read_json(
        FILE_OF(SAMPLED("seconds", "[[0,1],[0]]", "[0.5,0.25]") "," SAMPLED("seconds", "[[0,1]]", "[1]")));
    assert_string_equal(text_of(p), "a 250000000\na;b 1500000000\n");
    assert_string_equal(fg_profile_type(p, 0).name, "time");
    assert_string_equal(fg_profile_type(p, 0).unit, "nanoseconds");
    assert_string_equal(fg_profile_frame_at(p, 1).file, "b.py");
    assert_int_equal(fg_profile_frame_at(p, 1).line, 3);
    assert_null(fg_profile_note_at(p, 0));
    fg_profile_free(p);
}

static void units_are_columns(void **state) {
    (void)state;
    fg_profile *p = read_json("{" FRAMES ",\"activeProfileIndex\":1,\"profiles\":[" SAMPLED(
        "none", "[[0],[0,2]]", "[1,2]") "," SAMPLED("bytes", "[[0,2]]", "[64]") "]}");
    assert_string_equal(text_of(p), "a 1 0\na;c 2 64\n");
    assert_string_equal(fg_profile_type(p, 0).unit, "count");
    assert_int_equal(fg_profile_find_type(p, NULL), 1);
    fg_profile_free(p);
    p = read_json(FILE_OF(SAMPLED("none", "[[0],[1]]", "[1.5,1]")));
    assert_string_equal(text_of(p), "a 2\nb 1\n");
    assert_string_equal(fg_profile_note_at(p, 0), "weights were rounded to whole numbers");
    fg_profile_free(p);
}

static void events_say_what_was_open(void **state) {
    (void)state;
    expect(FILE_OF(EVENTED("20", "[" OPEN(2, 0) "," OPEN(2, 1) "," CLOSE(5, 1) "," OPEN(6, 2) "," CLOSE(
                                     6.5, 2) "," CLOSE(8, 0) "," OPEN(10, 2) "]")),
           "a 2500\na;b 3000\na;c 500\nc 10000\n");
    expect(FILE_OF(EVENTED("3", "[" OPEN(1, 0) "," CLOSE(2, 0) "]") "," EVENTED("3", "[" OPEN(0, 0) "]")),
           "a 4000\n");
}

static void what_we_write_reads_the_same(void **state) {
    (void)state;
    fg_profile *p = new_profile("cpu", "nanoseconds"), *q;
    assert_int_equal(fg_profile_add_type(p, "samples", "count"), 0);
    uint32_t frames[2];
    assert_int_equal(
        fg_profile_frame(&frames[0], p, &(fg_frame){.name = "\"<main>\\", .file = "m.c", .line = 7}), 0);
    assert_int_equal(fg_profile_frame(&frames[1], p, &(fg_frame){.name = "leaf"}), 0);
    assert_int_equal(fg_profile_add(p, frames, 2, (const int64_t[]){INT64_C(1) << 60, 3}), 0);
    assert_int_equal(fg_profile_add(p, frames, 1, (const int64_t[]){0, 5}), 0);
    assert_int_equal(fg_profile_add(p, frames, 0, (const int64_t[]){1, 1}), 0);
    fg_meta_set_text(p, "default_type", "samples");
    fg_write_options options = {.size = sizeof options};
    fg_out out;
    assert_int_equal(fg__out_memory(&out, ctx), 0);
    assert_int_equal(fg__speedscope.write(&out, p, &options), 0);
    assert_int_equal(fg_parse(&q, ctx, out.buffer, out.n, NULL), 0);
    assert_string_equal(fg_meta_text(q, "source"), "speedscope");
    char *before = strdup(text_of(p));
    assert_string_equal(text_of(q), before);
    assert_string_equal(fg_profile_type(q, 0).name, "cpu");
    assert_int_equal(fg_profile_find_type(q, NULL), 1);
    assert_int_equal(fg_profile_frame_at(q, 0).line, 7);
    free(before);
    fg_free(ctx, out.buffer);
    fg_profile_free(q);
    fg_profile_free(p);
}

static void errors_say_what_and_where(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *message;
    } wrongs[] = {
        {FILE_OF(SAMPLED("none", "[[0]]", "[1,2]")), FG_EFORMAT, "profile 0 has 1 samples, but 2 weights"},
        {FILE_OF(SAMPLED("none", "[[3]]", "[1]")), FG_EFORMAT, "a stack has frame 3, but there are 3 frames"},
        {FILE_OF(SAMPLED("none", "[[-1]]", "[1]")), FG_EFORMAT, "-1 is not the number of a frame"},
        {FILE_OF(SAMPLED("none", "[[0]]", "[-1]")), FG_EFORMAT, "weight 0 is negative"},
        {FILE_OF(SAMPLED("none", "[[0]]", "[1e19]")), FG_ELIMIT, "weight 0 is more than 2^62"},
        {FILE_OF(SAMPLED("none", "[[0],[0]]", "[4e18,4e18]") "," SAMPLED("none", "[[0],[0]]", "[4e18,4e18]")),
         FG_ELIMIT, "2^63"},
        {FILE_OF(SAMPLED("fortnights", "[]", "[]")), FG_EFORMAT,
         "profile 0 has a unit that speedscope does not know"},
        {FILE_OF("{\"samples\":[[0]],\"weights\":[1]}"), FG_EFORMAT, "profile 0 has no unit"},
        {FILE_OF(EVENTED("9", "[" OPEN(1, 0) "," CLOSE(2, 1) "]")), FG_EFORMAT,
         "event 1 closes frame 1, which is not the innermost"},
        {FILE_OF(EVENTED("9", "[" CLOSE(2, 1) "]")), FG_EFORMAT, "event 0 closes frame 1"},
        {FILE_OF(EVENTED("9", "[" OPEN(2, 0) "," CLOSE(1, 0) "]")), FG_EFORMAT,
         "event 1 is earlier than the one before"},
        {FILE_OF(EVENTED("9", "[{\"type\":\"O\",\"frame\":0}]")), FG_EFORMAT,
         "event 0 lacks a type (O or C) or a time"},
        {FILE_OF(EVENTED("9", "[{\"type\":\"O\",\"at\":0}]")), FG_EFORMAT, "-1 is not the number of a frame"},
        {FILE_OF(""), FG_EEMPTY, "without a single sample"},
        {"{\"shared\":[]}", FG_EFORMAT, "\"shared\" is an array, not an object"},
        {"{\"profiles\":[{", FG_EFORMAT, "premature EOF"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        fg_profile *p;
        assert_int_equal(parse(&p, wrongs[i].text), wrongs[i].code);
        if (!strstr(fg_error(ctx), wrongs[i].message))
            fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), wrongs[i].message);
        assert_int_equal(strncmp(fg_error(ctx), "x.json: speedscope", 18), 0);
    }
}

/* Events that open one frame in the other: the stacks grow with the square of the file. */
static void frames_that_multiply_are_limited(void **state) {
    (void)state;
    enum { DEPTH = 100 };
    char *text = malloc(DEPTH * 64 + 1024), *p = text;
    p += sprintf(p, "{" FRAMES ",\"profiles\":[{\"unit\":\"none\",\"endValue\":%d,\"events\":[", DEPTH);
    for (int i = 0; i < DEPTH; i++)
        p += sprintf(p, "%s{\"type\":\"O\",\"at\":%d,\"frame\":0}", i ? "," : "", i);
    sprintf(p, "]}]}");
    fg_read_options options = {
        .size = sizeof options, .format = "speedscope", .max_input = DEPTH * (DEPTH + 1) / 2 * 4};
    fg_profile *q;
    assert_int_equal(fg_parse(&q, ctx, text, strlen(text), &options), 0);
    assert_int_equal(fg_profile_total(q, 0), DEPTH);
    fg_profile_free(q);
    options.max_input--;
    assert_int_equal(fg_parse(&q, ctx, text, strlen(text), &options), FG_ELIMIT);
    assert_non_null(strstr(fg_error(ctx), "--max-input"));
    free(text);
}

static void it_is_recognised(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool yes;
    } cases[] = {{FILE_OF(""), true},
                 {"{\"shared\":{},\"profiles\":[]}", true},
                 {"{\"$schema\":\"other\"}", false},
                 {"{\"shared\":1}", false},
                 {"a;b 1\n", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fg__speedscope.probe((const uint8_t *)cases[i].text, strlen(cases[i].text)) > 0,
                         cases[i].yes);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    static const char text[] =
        FILE_OF(SAMPLED("none", "[[0,1]]", "[0.5]") "," EVENTED("9", "[" OPEN(1, 0) "]"));
    assert_true(read_poorly(text, sizeof text - 1, NULL) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_with_the_same_unit_are_summed),
        cmocka_unit_test(units_are_columns),
        cmocka_unit_test(events_say_what_was_open),
        cmocka_unit_test(what_we_write_reads_the_same),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(frames_that_multiply_are_limited),
        cmocka_unit_test(it_is_recognised),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
