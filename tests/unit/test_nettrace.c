/* nettrace: traces put together by hand are read, what is wrong with some is told. */
#include "profiles.h"
#include "formats/format.h"
#include "traces.h"

static int parse(fg_profile **p, const trace *t, bool threads) {
    fg_read_options options = {
        .size = sizeof options, .name = "x", .format = "nettrace", .with_tid = threads};
    return fg_parse(p, ctx, t->bytes, t->n, &options);
}

static fg_profile *read_trace(const trace *t) {
    fg_profile *p;
    if (parse(&p, t, false)) fail_msg("%s", fg_error(ctx));
    return p;
}

/* ---- what is read ----------------------------------------------------------------------------------------- */

static void stacks_have_time_and_names(void **state) {
    (void)state;
    trace t = a_trace();
    fg_profile *p = read_trace(&t);
    assert_string_equal(text_of(p), "Shop.Program.Main;Shop.Cart.a 2 3000000\n"
                                    "Shop.Program.Main;Shop.Cart.a;b\xc3\xa9 2 3998500\n"
                                    "[unknown] 1 1000000\n");
    assert_string_equal(fg_profile_type(p, 1).name, "wall");
    assert_int_equal(fg_profile_find_type(p, NULL), 1);
    fg_frame frame = fg_profile_frame_at(p, 0);
    assert_string_equal(frame.module, "Shop.dll");
    assert_int_equal(frame.kind, FG_KIND_DOTNET);
    fg_profile_free(p);
}

static void the_head_is_metadata(void **state) {
    (void)state;
    trace t = a_trace();
    fg_profile *p = read_trace(&t);
    assert_int_equal(fg_meta_number(p, "start"), 1709209815250 * INT64_C(1000000));
    assert_int_equal(fg_meta_number(p, "duration"), 3999000);
    assert_int_equal(fg_meta_number(p, "period"), PERIOD);
    assert_int_equal(fg_meta_number(p, "samples"), 5);
    assert_int_equal(fg_meta_number(p, "lost"), 0);
    fg_profile_free(p);
}

static void threads_are_told_apart(void **state) {
    (void)state;
    trace t = a_trace();
    fg_profile *p;
    assert_int_equal(parse(&p, &t, true), 0);
    assert_string_equal(text_of(p), "thread 7;Shop.Program.Main;Shop.Cart.a 2 3000000\n"
                                    "thread 7;[unknown] 1 1000000\n"
                                    "thread 8;Shop.Program.Main;Shop.Cart.a;b\xc3\xa9 2 3998500\n");
    fg_profile_free(p);
}

/* From a sequence point on, the same numbers are other stacks; those of before mean nothing. */
static void numbers_of_stacks_are_used_again(void **state) {
    (void)state;
    trace t = {.n = 0}, b = block(), point = {.n = 0};
    put_head(&t);
    put_clocks(&t);
    put_meanings(&t);
    put_stacks(&t, 1);
    put_stacks(&t, 4); /* goes on */
    put_sample(&b, 7, 4, CLOCK + 1);
    put_object(&t, "EventBlock", &b);
    put(&point, CLOCK, 8);
    put(&point, 1, 4);
    put(&point, 99, 8);
    put(&point, 6, 4); /* the writer was at 1: five are lost */
    put_object(&t, "SPBlock", &point);
    put_stacks(&t, 100);
    b = block();
    put_sample(&b, 7, 100, CLOCK + 2);
    put_sample(&b, 7, 4, 1);
    put_event(&b, SAMPLE, 3, 7, 102, 1, NULL); /* three more */
    put_object(&t, "EventBlock", &b);
    put_stacks(&t, 2); /* a count of its own */
    b = block();
    put_sample(&b, 7, 3, CLOCK + 10);
    put_sample(&b, 7, 101, 1);
    put_object(&t, "EventBlock", &b);
    put_names(&t);
    put(&t, 1, 1);
    fg_profile *p = read_trace(&t);
    assert_string_equal(text_of(p), " 2 2\n" /* nothing is known of these stacks */
                                    "Shop.Program.Main;Shop.Cart.a 2 1000001\n"
                                    "Shop.Program.Main;Shop.Cart.a;b\xc3\xa9 1 1\n"
                                    "[unknown] 1 6\n");
    assert_int_equal(fg_meta_number(p, "lost"), 8);
    fg_profile_free(p);
}

/* Code in no method: a stub where a method calls it and names are there at all. */
static void what_is_called_and_nameless_is_a_stub(void **state) {
    (void)state;
    for (int named = 0; named < 2; named++) {
        trace t = {.n = 0}, b = {.n = 0};
        put_head(&t);
        put_clocks(&t);
        put_meanings(&t);
        put(&b, 1, 4);
        put(&b, 2, 4);
        put_stack(&b, STACK(0x9000, 0x1020));
        put_stack(&b, STACK(0x1020, 0x9000));
        put_object(&t, "StackBlock", &b);
        b = block();
        put_sample(&b, 7, 1, CLOCK);
        put_sample(&b, 7, 2, 1);
        put_object(&t, "EventBlock", &b);
        if (named) put_names(&t);
        put(&t, 1, 1);
        fg_profile *p = read_trace(&t);
        assert_string_equal(text_of(p), named ? "Shop.Program.Main;[stub] 1 1000000\n"
                                                "[unknown];Shop.Program.Main 1 1\n"
                                              : "[unknown];[unknown] 2 1000001\n");
        fg_profile_free(p);
    }
}

/* ---- what is wrong ---------------------------------------------------------------------------------------- */

static void expect_error(const trace *t, int code, const char *message) {
    fg_profile *p;
    assert_int_equal(parse(&p, t, false), code);
    if (!strstr(fg_error(ctx), message)) fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), message);
    assert_int_equal(strncmp(fg_error(ctx), "x: nettrace", 11), 0);
}

static void wrong_block(const char *name, const trace *body, const char *message) {
    trace t = {.n = 0};
    put_head(&t);
    put_clocks(&t);
    put_meanings(&t);
    put_object(&t, name, body);
    put(&t, 1, 1);
    expect_error(&t, FG_EFORMAT, message);
}

static void errors_say_what_and_where(void **state) {
    (void)state;
    trace t = {.n = 0}, b = block();
    put_all(&t, "Nettrace\x14\0\0\0!FastSerialization.2", 32);
    expect_error(&t, FG_EFORMAT, "byte 0: this version of nettrace is not known");
    t.n = 0;
    put_head(&t);
    put(&t, 9, 1);
    expect_error(&t, FG_EFORMAT, "byte 32: tag 9 where 5 belongs");
    t.n = 32;
    put_object(&t, "EventBlock", &b);
    expect_error(&t, FG_EFORMAT, "EventBlock: a block before the trace's clock is known");
    t.n = 32;
    put_clocks_of(&t, 0, 8);
    expect_error(&t, FG_EFORMAT, "a clock of 0 ticks a second");
    t.n = 32;
    put_clocks_of(&t, 1000, 4);
    expect_error(&t, FG_EUNSUPPORTED, "addresses of 4 bytes");
    t.n = 32;
    put_clocks(&t);
    put(&t, 1, 1);
    expect_error(&t, FG_EEMPTY, "without a single sample");
    b.bytes[2] = 0;
    wrong_block("EventBlock", &b, "headers are not compressed");
    b = block();
    put(&b, 0x04, 1);
    for (int i = 0; i < 11; i++) put(&b, 0xff, 1);
    wrong_block("EventBlock", &b, "a number that does not end");
    b = block();
    put(&b, 0x81, 1);
    put_varint(&b, SAMPLE);
    put_varint(&b, 0);
    put_varint(&b, 1000);
    wrong_block("EventBlock", &b, "a length that is larger than what is there");
    b = block();
    put_metadata(&b, 1u << 30, "Shop", 1);
    wrong_block("MetadataBlock", &b, "a number that no runtime gives");
    b.n = 0;
    put(&b, 1, 4);
    put(&b, UINT32_MAX, 4);
    wrong_block("StackBlock", &b, "more stacks than it has room for");
    b.n = 4;
    put(&b, 1, 4);
    put(&b, 5, 4);
    put(&b, 0, 8);
    wrong_block("StackBlock", &b, "addresses that are not of 64 bits");
}

/* Stacks of threads that are told apart: the profile may be far larger than the trace. */
static void frames_that_multiply_are_limited(void **state) {
    (void)state;
    enum { DEPTH = 100, THREADS = 50 };
    trace t = {.n = 0}, b = {.n = 0};
    uint64_t addresses[DEPTH];
    for (size_t i = 0; i < DEPTH; i++) addresses[i] = 0x1001 + i;
    put_head(&t);
    put_clocks(&t);
    put_meanings(&t);
    put(&b, 1, 4);
    put(&b, 1, 4);
    put_stack(&b, addresses, DEPTH);
    put_object(&t, "StackBlock", &b);
    b = block();
    for (uint64_t i = 0; i < THREADS; i++) put_sample(&b, 7 + i, 1, i ? 1 : CLOCK);
    put_object(&t, "EventBlock", &b);
    put(&t, 1, 1);
    fg_read_options options = {.size = sizeof options,
                               .format = "nettrace",
                               .with_tid = true,
                               .max_input = (DEPTH + 1) * THREADS * sizeof(uint32_t)};
    fg_profile *p;
    assert_int_equal(fg_parse(&p, ctx, t.bytes, t.n, &options), 0);
    fg_profile_free(p);
    options.max_input--;
    assert_int_equal(fg_parse(&p, ctx, t.bytes, t.n, &options), FG_ELIMIT);
    assert_non_null(strstr(fg_error(ctx), "raise max_input"));
}

static void a_file_cut_anywhere_is_an_error(void **state) {
    (void)state;
    trace t = a_trace();
    size_t whole = t.n;
    for (t.n = 8; t.n < whole; t.n++) expect_error(&t, FG_EFORMAT, "the trace ends early: was it cut off?");
}

/* Any byte may be any other: it is read or refused, and nothing else happens. */
static void a_byte_that_is_wrong_does_no_harm(void **state) {
    (void)state;
    static const uint8_t wrong[] = {0, 1, 0x7f, 0x80, 0xff};
    trace t = a_trace();
    for (size_t i = 0; i < t.n; i++)
        for (size_t w = 0; w < sizeof wrong; w++) {
            uint8_t right = t.bytes[i];
            t.bytes[i] = wrong[w];
            fg_profile *p = NULL;
            int err = parse(&p, &t, w % 2);
            assert_true(err ? *fg_error(ctx) != '\0' : p != NULL);
            fg_profile_free(p);
            t.bytes[i] = right;
        }
}

static void it_is_recognised(void **state) {
    (void)state;
    trace t = a_trace();
    fg_profile *p;
    assert_int_equal(fg_parse(&p, ctx, t.bytes, t.n, NULL), 0);
    assert_string_equal(fg_meta_text(p, "source"), "nettrace");
    fg_profile_free(p);
}

/* ---- every allocation fails in turn ----------------------------------------------------------------------- */

static void each_allocation_may_fail(void **state) {
    (void)state;
    trace t = a_trace();
    assert_true(read_poorly(t.bytes, t.n, NULL) > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_have_time_and_names),
        cmocka_unit_test(the_head_is_metadata),
        cmocka_unit_test(threads_are_told_apart),
        cmocka_unit_test(numbers_of_stacks_are_used_again),
        cmocka_unit_test(what_is_called_and_nameless_is_a_stub),
        cmocka_unit_test(errors_say_what_and_where),
        cmocka_unit_test(frames_that_multiply_are_limited),
        cmocka_unit_test(a_file_cut_anywhere_is_an_error),
        cmocka_unit_test(a_byte_that_is_wrong_does_no_harm),
        cmocka_unit_test(it_is_recognised),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
