/* pprof: every part of profile.proto, and what is wrong with files that are not one. */
#include "messages.h"
#include <zlib.h>
#include "formats/pprof.h"

/* ---- a profile to start from --------------------------------------------------------------------------- */

static const char *const strings[] = {
    "",          "samples", "count", "cpu",          "nanoseconds",       "main", "a.go",
    "outer",     "inlined", "b.go",  "/usr/bin/svc", "[kernel.kallsyms]", "read", "a note",
    "alloc.*|m", "main",    "(",     "http://x/doc"};
enum {
    SAMPLES = 1,
    COUNT,
    CPU,
    NANOSECONDS,
    MAIN,
    A_GO,
    OUTER,
    INLINED,
    B_GO,
    SVC,
    KERNEL,
    READ,
    NOTE,
    DROP,
    KEEP,
    BAD,
    DOC
};

static void put_strings(message *m) {
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) put_text(m, PROFILE_STRING, strings[i]);
}

static void put_types(message *m) {
    put_row(m, PROFILE_SAMPLE_TYPE, SAMPLES, COUNT);
    put_row(m, PROFILE_SAMPLE_TYPE, CPU, NANOSECONDS);
}

/* Functions 1 main, 2 outer, 3 inlined, 4 read; mappings 1 svc, 2 kernel. */
static void put_functions(message *m) {
    put_row(m, PROFILE_MAPPING, 1, 0x1000, 0x2000, 0, SVC);
    put_row(m, PROFILE_MAPPING, 2, 0x8000, 0x9000, 0, KERNEL);
    put_row(m, PROFILE_FUNCTION, 1, MAIN, 0, A_GO, 3);
    put_row(m, PROFILE_FUNCTION, 2, OUTER, 0, B_GO, 5);
    put_row(m, PROFILE_FUNCTION, 3, INLINED, 0, B_GO, 9);
    put_row(m, PROFILE_FUNCTION, 4, 0, READ);
}

static void put_location(message *m, uint64_t id, uint64_t mapping, uint64_t address,
                         const uint64_t *functions) {
    message location = {.n = 0};
    put_number(&location, LOCATION_ID, id);
    put_number(&location, LOCATION_MAPPING, mapping);
    put_number(&location, LOCATION_ADDRESS, address);
    for (; *functions; functions++) put_row(&location, LOCATION_LINE, *functions, 100 + *functions, 7);
    put_message(m, PROFILE_LOCATION, &location);
}

/* Locations 1 main; 2 outer with `inlined` in it; 3 read (kernel); 4 an address. */
static void put_locations(message *m) {
    put_location(m, 1, 1, 0x1001, (const uint64_t[]){1, 0});
    put_location(m, 2, 1, 0x1002, (const uint64_t[]){3, 2, 0});
    put_location(m, 3, 2, 0x8001, (const uint64_t[]){4, 0});
    put_location(m, 4, 0, 0xbeef, (const uint64_t[]){0});
}

static void put_sample(message *m, const uint64_t *locations, size_t n, const uint64_t *values,
                       size_t value_count) {
    message sample = {.n = 0}, label = {.n = 0};
    put_packed(&sample, SAMPLE_LOCATION, locations, n);
    put_packed(&sample, SAMPLE_VALUE, values, value_count);
    put_number(&label, 1, READ);
    put_number(&label, 3, (uint64_t)-7);
    put_message(&sample, SAMPLE_LABEL, &label);
    put_message(m, PROFILE_SAMPLE, &sample);
}

static void put_samples(message *m) {
    put_sample(m, (const uint64_t[]){3, 2, 1}, 3, (const uint64_t[]){2, 20}, 2);
    put_sample(m, (const uint64_t[]){2, 1}, 2, (const uint64_t[]){1, 10}, 2);
    put_sample(m, (const uint64_t[]){4, 1}, 2, (const uint64_t[]){4, 40}, 2);
    put_sample(m, NULL, 0, (const uint64_t[]){1, 5}, 2);
}

static const char whole[] = " 1 5\nmain;0xbeef 4 40\nmain;outer;inlined 1 10\nmain;outer;inlined;read 2 20\n";

static message a_profile(void) {
    message m = {.n = 0};
    put_types(&m);
    put_samples(&m);
    put_functions(&m);
    put_locations(&m);
    put_strings(&m);
    return m;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static int parse(fg_profile **p, const message *m, bool lines) {
    fg_read_options options = {.size = sizeof options, .name = "x.pb", .lines = lines};
    return fg_parse(p, ctx, m->bytes, m->n, &options);
}

static fg_profile *read_message(const message *m) {
    fg_profile *p;
    if (parse(&p, m, false)) fail_msg("%s", fg_error(ctx));
    return p;
}

static void expect(const message *m, const char *stacks) {
    fg_profile *p = read_message(m);
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

static fg_frame frame_named(const fg_profile *p, const char *name) {
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++)
        if (strcmp(fg_profile_frame_at(p, i).name, name) == 0) return fg_profile_frame_at(p, i);
    fail_msg("no frame %s", name);
    return (fg_frame){0};
}

static void stacks_have_all_that_the_file_says(void **state) {
    (void)state;
    message m = a_profile();
    fg_profile *p = read_message(&m);
    assert_string_equal(text_of(p), whole);
    fg_frame inlined = frame_named(p, "inlined"), outer = frame_named(p, "outer"),
             read = frame_named(p, "read");
    assert_string_equal(inlined.file, "b.go");
    assert_string_equal(inlined.module, "/usr/bin/svc");
    assert_int_equal(inlined.line, 9);
    assert_int_equal(inlined.kind, FG_KIND_INLINED);
    assert_int_equal(outer.kind, FG_KIND_UNKNOWN);
    assert_int_equal(read.kind, FG_KIND_KERNEL);
    assert_string_equal(fg_profile_type(p, 1).unit, "nanoseconds");
    assert_string_equal(fg_meta_text(p, "default_type"), "cpu");
    assert_string_equal(fg_meta_text(p, "source"), "pprof");
    fg_profile_free(p);
    assert_int_equal(parse(&p, &m, true), 0);
    assert_int_equal(frame_named(p, "inlined").line, 103);
    fg_profile_free(p);
}

static void tables_come_in_any_order(void **state) {
    (void)state;
    static void (*const parts[])(message *) = {put_types, put_samples, put_functions, put_locations,
                                               put_strings};
    enum { PARTS = sizeof parts / sizeof *parts };
    for (size_t first = 0; first < PARTS; first++) {
        message m = {.n = 0}, backwards = {.n = 0};
        for (size_t i = 0; i < PARTS; i++) {
            parts[(first + i) % PARTS](&m);
            parts[(first + PARTS - i) % PARTS](&backwards);
        }
        expect(&m, whole);
        expect(&backwards, whole);
    }
}

static void numbers_are_packed_or_not(void **state) {
    (void)state;
    message m = {.n = 0}, sample = {.n = 0};
    put_types(&m);
    put_number(&sample, SAMPLE_LOCATION, 2);
    put_number(&sample, SAMPLE_VALUE, 3);
    put_packed(&sample, SAMPLE_LOCATION, (const uint64_t[]){1}, 1);
    put_number(&sample, SAMPLE_VALUE, 30);
    put_message(&m, PROFILE_SAMPLE, &sample);
    put_functions(&m);
    put_locations(&m);
    put_strings(&m);
    put_number(&m, PROFILE_COMMENT, NOTE);
    put_packed(&m, PROFILE_COMMENT, (const uint64_t[]){READ, NOTE}, 2);
    fg_profile *p = read_message(&m);
    assert_string_equal(text_of(p), "main;outer;inlined 3 30\n");
    assert_string_equal(fg_profile_note_at(p, 0), "a note");
    assert_string_equal(fg_profile_note_at(p, 1), "read");
    assert_null(fg_profile_note_at(p, 2));
    fg_profile_free(p);
}

static void metadata_is_kept(void **state) {
    (void)state;
    message m = a_profile();
    put_number(&m, PROFILE_TIME, 1700000000000000000);
    put_number(&m, PROFILE_DURATION, 30000000000);
    put_row(&m, PROFILE_PERIOD_TYPE, CPU, NANOSECONDS);
    put_number(&m, PROFILE_PERIOD, 10000000);
    put_number(&m, PROFILE_DEFAULT_TYPE, SAMPLES);
    put_number(&m, PROFILE_DOC_URL, DOC);
    fg_profile *p = read_message(&m);
    assert_int_equal(fg_meta_number(p, "start"), 1700000000000000000);
    assert_int_equal(fg_meta_number(p, "duration"), 30000000000);
    assert_int_equal(fg_meta_number(p, "period"), 10000000);
    assert_string_equal(fg_meta_text(p, "period_type"), "cpu/nanoseconds");
    assert_string_equal(fg_meta_text(p, "default_type"), "samples");
    assert_string_equal(fg_profile_note_at(p, 0), "documentation: http://x/doc");
    fg_profile_free(p);
}

static void places_without_a_function_are_unknown(void **state) {
    (void)state;
    message m = {.n = 0};
    put_types(&m);
    put_location(&m, 1, 1, 0x1001, (const uint64_t[]){0});
    put_location(&m, 2, 1, 0x1002, (const uint64_t[]){0});
    put_location(&m, 3, 9, 0, (const uint64_t[]){0});
    put_location(&m, 4, 2, 0x8001, (const uint64_t[]){0});
    put_functions(&m);
    put_strings(&m);
    for (uint64_t id = 1; id <= 4; id++) put_sample(&m, &id, 1, (const uint64_t[]){1, 1}, 2);
    fg_profile *p = read_message(&m);
    assert_string_equal(text_of(p), "[kernel.kallsyms] 1 1\n[svc] 2 2\n[unknown] 1 1\n");
    assert_true(fg_profile_quality(p).unknown == 1.0);
    fg_profile_free(p);
    assert_int_equal(parse(&p, &m, true), 0);
    assert_string_equal(text_of(p), "0x1001 1 1\n0x1002 1 1\n0x8001 1 1\n[unknown] 1 1\n");
    fg_profile_free(p);
}

static void ids_may_be_addresses(void **state) {
    (void)state;
    message m = {.n = 0};
    put_types(&m);
    uint64_t ids[] = {UINT64_MAX, 0x7fff12345678, 5};
    for (size_t i = 0; i < 3; i++) put_location(&m, ids[i], 1, 0, (const uint64_t[]){i + 1, 0});
    put_functions(&m);
    put_strings(&m);
    put_sample(&m, ids, 3, (const uint64_t[]){1, 1}, 2);
    expect(&m, "inlined;outer;main 1 1\n");
}

/* From the root on: the first match and what it calls go, unless nothing but matches is above it. */
static void dropped_frames(void **state) {
    (void)state;
    message m = a_profile();
    put_text(&m, PROFILE_STRING, "outer|(?:read)");
    put_number(&m, PROFILE_DROP_FRAMES, sizeof strings / sizeof *strings);
    expect(&m, " 1 5\nmain 3 30\nmain;0xbeef 4 40\n");
    m = a_profile();
    put_text(&m, PROFILE_STRING, ".*[a-z].*");
    put_number(&m, PROFILE_DROP_FRAMES, sizeof strings / sizeof *strings);
    expect(&m, whole);
    put_text(&m, PROFILE_STRING, "outer|main|0x.*");
    put_number(&m, PROFILE_KEEP_FRAMES, sizeof strings / sizeof *strings + 1);
    expect(&m, " 1 5\nmain;0xbeef 4 40\nmain;outer 3 30\n");
}

static void patterns_that_cannot_be_used_are_noted(void **state) {
    (void)state;
    static const char *const patterns[] = {"(", "((a|a)*)*[bc]", "[[:nope:]]"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        message m = a_profile();
        put_text(&m, PROFILE_STRING, patterns[i]);
        put_number(&m, PROFILE_DROP_FRAMES, sizeof strings / sizeof *strings);
        put_text(&m, PROFILE_STRING, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        put_row(&m, PROFILE_FUNCTION, 9, sizeof strings / sizeof *strings + 1);
        put_location(&m, 9, 0, 0, (const uint64_t[]){9, 0});
        fg_profile *p = read_message(&m);
        assert_string_equal(text_of(p), whole);
        assert_non_null(fg_profile_note_at(p, 0));
        assert_non_null(strstr(fg_profile_note_at(p, 0), "drop_frames"));
        fg_profile_free(p);
    }
}

/* ---- errors -------------------------------------------------------------------------------------------- */

static void wrong_type(message *m) {
    put_number(m, PROFILE_SAMPLE, 1);
}
static void wrong_text(message *m) {
    put_text(m, PROFILE_PERIOD, "ten");
}
static void bad_string(message *m) {
    put_row(m, PROFILE_FUNCTION, 8, 99);
}
static void bad_function(message *m) {
    put_location(m, 8, 1, 1, (const uint64_t[]){77, 0});
}
static void no_function_id(message *m) {
    put_row(m, PROFILE_FUNCTION, 0, MAIN);
}
static void twice(message *m) {
    put_location(m, 2, 1, 1, (const uint64_t[]){1, 0});
}
static void bad_location(message *m) {
    put_sample(m, (const uint64_t[]){1, 88}, 2, (const uint64_t[]){1, 1}, 2);
}
static void zero_location(message *m) {
    put_sample(m, (const uint64_t[]){0}, 1, (const uint64_t[]){1, 1}, 2);
}
static void few_values(message *m) {
    put_sample(m, (const uint64_t[]){1}, 1, (const uint64_t[]){1}, 1);
}
static void many_values(message *m) {
    put_sample(m, (const uint64_t[]){1}, 1, (const uint64_t[]){1, 2, 3}, 3);
}
static void negative(message *m) {
    put_sample(m, (const uint64_t[]){1}, 1, (const uint64_t[]){1, (uint64_t)-5}, 2);
}
static void overflow(message *m) {
    put_sample(m, (const uint64_t[]){1}, 1, (const uint64_t[]){1, INT64_MAX}, 2);
}
static void cut_varint(message *m) {
    put_bytes(m, PROFILE_SAMPLE, "\x12\x02\x80\x80", 4);
}
static void long_varint(message *m) {
    put_bytes(m, PROFILE_SAMPLE, "\x12\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13);
}
static void cut_field(message *m) {
    put_bytes(m, PROFILE_SAMPLE, "\x12\x7f\x01", 3);
}
static void group(message *m) {
    put_bytes(m, PROFILE_SAMPLE, "\x0b\x0c", 2);
}
static void many_types(message *m) {
    for (int i = 0; i < FG_MAX_TYPES; i++) put_types(m);
}
static void bad_comment(message *m) {
    put_number(m, PROFILE_COMMENT, 99);
}

static const struct {
    void (*spoil)(message *);
    int code;
    const char *says;
} wrongs[] = {
    {wrong_type, FG_EFORMAT, "field 2 of a profile has the wrong type"},
    {wrong_text, FG_EFORMAT, "field 12 of a profile has the wrong type"},
    {bad_string, FG_EFORMAT, "string 99 is referred to, the table has 18"},
    {bad_function, FG_EFORMAT, "function 77 does not exist"},
    {no_function_id, FG_EFORMAT, "function 4 has the id 0"},
    {twice, FG_EFORMAT, "location 2 is there twice"},
    {bad_location, FG_EFORMAT, "sample 5: location 88 does not exist"},
    {zero_location, FG_EFORMAT, "sample 5: location 0 does not exist"},
    {few_values, FG_EFORMAT, "sample 5 has 1 values for 2 sample types"},
    {many_values, FG_EFORMAT, "sample 5 has more values than"},
    {negative, FG_EFORMAT, "negative value -5"},
    {negative, FG_EFORMAT, "fetch one without seconds"},
    {overflow, FG_ELIMIT, "sample 5: the values add up"},
    {cut_varint, FG_EFORMAT, "a number is cut off"},
    {long_varint, FG_EFORMAT, "more than 64 bits"},
    {cut_field, FG_EFORMAT, "a field is cut off"},
    {group, FG_EFORMAT, "not a field of protobuf"},
    {many_types, FG_ELIMIT, "34 sample types; a profile here has at most 16"},
    {bad_comment, FG_EFORMAT, "string 99 is referred to"},
};

static void errors_say_what_and_where(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        message m = a_profile();
        size_t from = m.n;
        wrongs[i].spoil(&m);
        fg_profile *p;
        fg_read_options options = {.size = sizeof options, .name = "x.pb", .format = "pprof"};
        assert_int_equal(fg_parse(&p, ctx, m.bytes, m.n, &options), wrongs[i].code);
        const char *said = strstr(fg_error(ctx), wrongs[i].says);
        if (!said) fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), wrongs[i].says);
        assert_int_equal(strncmp(fg_error(ctx), "x.pb: pprof, ", 13), 0);
        unsigned long byte;
        if (sscanf(fg_error(ctx), "x.pb: pprof, byte %lu", &byte) == 1 && wrongs[i].code == FG_EFORMAT)
            assert_true((byte >= from && byte <= m.n) || wrongs[i].spoil == bad_comment);
    }
}

static void nothing_to_show_is_empty(void **state) {
    (void)state;
    message m = {.n = 0};
    put_types(&m);
    put_strings(&m);
    fg_profile *p;
    assert_int_equal(parse(&p, &m, false), FG_EEMPTY);
    put_functions(&m);
    put_locations(&m);
    put_sample(&m, (const uint64_t[]){1}, 1, (const uint64_t[]){0, 0}, 2);
    assert_int_equal(parse(&p, &m, false), FG_EEMPTY);
}

/* Strings come last, so a file that was cut lacks some. */
static void a_file_cut_anywhere_is_an_error(void **state) {
    (void)state;
    message m = a_profile();
    fg_read_options options = {.size = sizeof options, .format = "pprof"};
    for (size_t n = 0; n < m.n; n++) {
        uint8_t *bytes = malloc(n + 1); /* apart, so that a sanitizer sees what is read behind the end */
        memcpy(bytes, m.bytes, n);
        fg_profile *p;
        int err = fg_parse(&p, ctx, bytes, n, &options);
        if (!err) {
            assert_string_equal(text_of(p), whole); /* only strings that nothing refers to are missing */
            fg_profile_free(p);
        }
        assert_true(!err == (n >= m.n - strlen("..a note..alloc.*|m..main..(..http://x/doc")) || err);
        free(bytes);
    }
}

static void frames_that_multiply_are_limited(void **state) {
    (void)state;
    message m = {.n = 0};
    uint64_t functions[65] = {0}, locations[64];
    for (int i = 0; i < 64; i++) functions[i] = locations[i] = 1;
    put_types(&m);
    put_functions(&m);
    put_location(&m, 1, 0, 0, functions);
    put_sample(&m, locations, 64, (const uint64_t[]){1, 1}, 2);
    put_strings(&m);
    fg_profile *p;
    fg_read_options options = {.size = sizeof options, .name = "x.pb", .max_input = 4 * 64 * 64};
    assert_int_equal(fg_parse(&p, ctx, m.bytes, m.n, &options), 0);
    fg_profile_free(p);
    options.max_input--;
    assert_int_equal(fg_parse(&p, ctx, m.bytes, m.n, &options), FG_ELIMIT);
    assert_non_null(strstr(fg_error(ctx), "--max-input"));
}

static void it_is_recognised(void **state) {
    (void)state;
    message m = a_profile();
    assert_true(fg__pprof.probe(m.bytes, m.n) > 80);
    static const char *const others[] = {"main;work 3\n", "{\"nodes\":[]}", "\n\n\n",
                                         "\n\x02hi 3\n",  "<svg/>",         ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(fg__pprof.probe((const uint8_t *)others[i], strlen(others[i])), 0);
}

/* ---- every allocation fails in turn -------------------------------------------------------------------- */

static void each_allocation_may_fail(void **state) {
    (void)state;
    message m = a_profile();
    put_text(&m, PROFILE_STRING, "read");
    put_number(&m, PROFILE_DROP_FRAMES, sizeof strings / sizeof *strings);
    put_number(&m, PROFILE_KEEP_FRAMES, sizeof strings / sizeof *strings);
    put_row(&m, PROFILE_PERIOD_TYPE, CPU, NANOSECONDS);
    put_number(&m, PROFILE_PERIOD, 1);
    assert_true(read_poorly(m.bytes, m.n, NULL) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_have_all_that_the_file_says),
        cmocka_unit_test(tables_come_in_any_order),
        cmocka_unit_test(numbers_are_packed_or_not),
        cmocka_unit_test(metadata_is_kept),
        cmocka_unit_test(places_without_a_function_are_unknown),
        cmocka_unit_test(ids_may_be_addresses),
        cmocka_unit_test(dropped_frames),
        cmocka_unit_test(patterns_that_cannot_be_used_are_noted),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(nothing_to_show_is_empty),
        cmocka_unit_test(a_file_cut_anywhere_is_an_error),
        cmocka_unit_test(frames_that_multiply_are_limited),
        cmocka_unit_test(it_is_recognised),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
