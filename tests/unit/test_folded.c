/* Folded text: what is read, what is refused with which words, what is written. */
#include "profiles.h"
#include <zlib.h>
#include "formats/format.h"
#include "formats/scan.h"

static int parse(fg_profile **out, const void *text, size_t n) {
    fg_read_options options = {.size = sizeof options, .name = "input", .format = "folded"};
    return fg_parse(out, ctx, text, n, &options);
}

/* The profile as folded text; the caller frees it. */
static char *written(fg_profile *p, const char *type) {
    fg_write_options options = {.size = sizeof options, .type = type};
    fg_out out;
    assert_int_equal(fg__out_memory(&out, ctx), 0);
    assert_int_equal(fg__folded.write(&out, p, &options), 0);
    fg__out_char(&out, '\0');
    assert_int_equal(fg__out_status(&out), 0);
    char *text = malloc(out.n);
    memcpy(text, out.buffer, out.n);
    fg_free(ctx, out.buffer);
    return text;
}

/* Read n bytes and write them again. */
static char *again(const void *text, size_t n) {
    fg_profile *p;
    int err = parse(&p, text, n);
    if (err) print_error("%s\n", fg_error(ctx));
    assert_int_equal(err, 0);
    char *out = written(p, NULL);
    fg_profile_free(p);
    return out;
}

#define ASSERT_BECOMES(in, out)                                                                              \
    do {                                                                                                     \
        char *text = again(in, sizeof(in) - 1);                                                              \
        assert_string_equal(text, out);                                                                      \
        free(text);                                                                                          \
    } while (0)

static void lines_become_stacks(void **state) {
    (void)state;
    ASSERT_BECOMES("a;b;c 12\n", "a;b;c 12\n");
    ASSERT_BECOMES("a 1", "a 1\n");
    ASSERT_BECOMES("b 1\na;c 2\nb 3\na 0\n", "a;c 2\nb 4\n");
    ASSERT_BECOMES("perf;main;a function<int, char> (a, b) 7\n",
                   "perf;main;a function<int, char> (a, b) 7\n");
    ASSERT_BECOMES("a;b 9223372036854775807\n", "a;b 9223372036854775807\n");
    ASSERT_BECOMES("a;a;a 1\na;a 2\na 3\n", "a 3\na;a 2\na;a;a 1\n");
}

static void white_space_and_comments_are_passed_over(void **state) {
    (void)state;
    ASSERT_BECOMES("\n# 3\n#\n  \t\n\r\na;b 1\r\n# main;x 12\n#no count\n  a;b 2 \t\r\n", "a;b 3\n");
    ASSERT_BECOMES("a;b\t4\na;b   5\n", "a;b 9\n");
    ASSERT_BECOMES("#private;b 4\n", "#private;b 4\n");
}

static void a_missing_name_is_unknown(void **state) {
    (void)state;
    ASSERT_BECOMES("a;;b 1\n", "a;[unknown];b 1\n");
    ASSERT_BECOMES(";a 1\na; 2\n", "[unknown];a 1\na;[unknown] 2\n");
}

static void hostile_bytes_do_no_harm(void **state) {
    (void)state;
    ASSERT_BECOMES("a\0b;c 1\na\xff\xfe;c 2\n\x1b[31m;c 4\n", "a\xef\xbf\xbd;c 2\na\xef\xbf\xbd"
                                                              "b;c 1\n\xef\xbf\xbd[31m;c 4\n");
    ASSERT_BECOMES("a\x01 1\na\x02 2\n", "a\xef\xbf\xbd 3\n");
}

static void fractions_are_rounded_and_that_is_said(void **state) {
    (void)state;
    ASSERT_BECOMES("a 1.5\nb 2.49999\nc 0.5\nd 3.\n", "a 2\nb 2\nc 1\nd 3\n");
    fg_profile *p;
    assert_int_equal(parse(&p, "a 1.5\nb 2.0\nc 3.25\n", 19), 0);
    assert_string_equal(fg_profile_note_at(p, 0), "2 counts had a fraction and were rounded");
    fg_profile_free(p);
}

static void two_columns_are_a_diff(void **state) {
    (void)state;
    ASSERT_BECOMES("a;b 10 12\na;c 0 3\na;b 1 1\n", "a;b 11 13\na;c 0 3\n");
    fg_profile *p;
    assert_int_equal(parse(&p, "# x\na;b 10 12.5\na;c 0 0\n", 24), 0);
    assert_true(fg_profile_is_diff(p));
    assert_int_equal(fg_profile_total(p, 0), 10);
    assert_int_equal(fg_profile_total(p, 1), 13);
    assert_string_equal(fg_meta_text(p, "normalize"), "absolute");
    assert_true(fg_meta_real(p, "factor") == 1);
    char *text = written(p, "after");
    assert_string_equal(text, "a;b 13\n");
    free(text);
    fg_profile_free(p);
}

static void names_that_end_in_numbers_are_names(void **state) {
    (void)state;
    ASSERT_BECOMES("main;thread 2 15\nmain;x 4\n", "main;thread 2 15\nmain;x 4\n");
    ASSERT_BECOMES("main;thread 2 15\nmain;5 4\n", "main;5 4\nmain;thread 2 15\n");
}

static void annotations_are_kinds(void **state) {
    (void)state;
    static const char in[] = "java;x_[j];y_[i];z_[k];w_[w] 3\njava;x;_[k] 2\n";
    ASSERT_BECOMES(in, "java;x;_[k] 2\njava;x_[j];y_[i];z_[k];w_[w] 3\n");
    fg_profile *p;
    assert_int_equal(parse(&p, in, sizeof in - 1), 0);
    static const fg_kind kinds[] = {FG_KIND_UNKNOWN, FG_KIND_JIT, FG_KIND_INLINED, FG_KIND_KERNEL,
                                    FG_KIND_UNKNOWN};
    static const char *const names[] = {"java", "x", "y", "z", "w_[w]"};
    size_t n;
    const uint32_t *stack = fg_profile_stack(p, 0, &n);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        fg_frame frame = fg_profile_frame_at(p, stack[i]);
        assert_int_equal(frame.kind, kinds[i]);
        assert_string_equal(frame.name, names[i]);
    }
    fg_profile_free(p);
    /* A kind alone, without annotations in the input, is not written. */
    p = new_profile("samples", "count");
    uint32_t id;
    int64_t one = 1;
    assert_int_equal(fg_profile_frame(&id, p, &(fg_frame){.name = "f", .kind = FG_KIND_KERNEL}), 0);
    assert_int_equal(fg_profile_add(p, &id, 1, &one), 0);
    char *text = written(p, NULL);
    assert_string_equal(text, "f 1\n");
    free(text);
    fg_profile_free(p);
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    static const struct {
        const char *in;
        int code;
        const char *message;
    } cases[] = {
        {"a 1\n\na;b\n", FG_EFORMAT, "input: folded, line 3: no count at the end"},
        {"a 1\n5\n", FG_EFORMAT, "line 2: no count"},
        {"a 1\nb 1e5\n", FG_EFORMAT, "line 2: no count"},
        {"a 1\nb .5\n", FG_EFORMAT, "line 2: no count"},
        {"a 1\nb 5x\n", FG_EFORMAT, "line 2: no count"},
        {"a 1\nb 5;\n", FG_EFORMAT, "line 2: no count"},
        {"a 1\nb 5.x\n", FG_EFORMAT, "line 2: no count"},
        {"a 1\nb -5\n", FG_EFORMAT, "line 2: the count -5 is negative"},
        {"a 1\nb 9223372036854775808\n", FG_ELIMIT, "line 2: the count 9223372036854775808 is larger"},
        {"a 1\nb 9223372036854775807.5\n", FG_ELIMIT, "line 2: the count 9223372036854775807.5 is larger"},
        {"a 9223372036854775807\nb 1\n", FG_ELIMIT, "add up"},
        {"a 9223372036854775807\na 1\n", FG_ELIMIT, "add up"},
        {"a 0.1\nb 0.2\n", FG_EFORMAT, "rounds to 0"},
        {"", FG_EEMPTY, "without a single sample"},
        {"\n# nothing\n\n", FG_EEMPTY, "without a single sample"},
        {"a 0\n", FG_EEMPTY, "without a single sample"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fg_profile *p;
        assert_int_equal(parse(&p, cases[i].in, strlen(cases[i].in)), cases[i].code);
        if (!strstr(fg_error(ctx), cases[i].message)) fail_msg("%s: %s", cases[i].in, fg_error(ctx));
    }
}

/* The first 64 KiB say that there are two columns; a line behind them has one. */
static void columns_do_not_change_midway(void **state) {
    (void)state;
    enum { LINES = 20000 };
    char *text = malloc(LINES * 16);
    size_t n = 0;
    for (int i = 0; i < LINES; i++) n += (size_t)sprintf(text + n, "a;b%d 1 2\n", i);
    n += (size_t)sprintf(text + n, "a;c 1\n");
    fg_profile *p;
    assert_int_equal(parse(&p, text, n), FG_EFORMAT);
    assert_non_null(strstr(fg_error(ctx), "line 20001: not `stack before after`"));
    free(text);
}

static void deep_stacks_are_read(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH * 8 + 8);
    size_t n = 0;
    for (int i = 0; i < DEPTH; i++) n += (size_t)sprintf(text + n, "%sf%d", i ? ";" : "", i % 777);
    sprintf(text + n, " 3\n");
    char *out = again(text, n + 3);
    assert_string_equal(out, text);
    free(out);
    free(text);
}

/* What lines have in common is kept, up to 64 KiB: here they go on behind that, before it, and just there. */
static void long_lines_that_begin_alike_are_written_whole(void **state) {
    (void)state;
    enum { FRAMES = 16, LONG = 4094, PADS = 24, LINES = 4 };
    static const char *const ends[LINES] = {" 1\n", ";y 2\n", ";y;z 3\n", ";yy 4\n"};
    char *text = malloc(LINES * (FRAMES * (LONG + 1) + PADS + 16)), *pad = malloc(PADS + 1);
    for (size_t length = 1; length <= PADS; length++) {
        size_t n = 0;
        memset(pad, 'x', length);
        for (size_t line = 0; line < LINES; line++) {
            for (int i = 0; i < FRAMES; i++, n += LONG + 1) {
                memset(text + n, 'a' + i, LONG);
                text[n + LONG] = ';';
            }
            n += (size_t)sprintf(text + n, "%.*s%s", (int)length, pad, ends[line]);
        }
        char *out = again(text, n);
        assert_true(strcmp(out, text) == 0);
        free(out);
    }
    free(text);
    free(pad);
}

static void a_profile_that_cannot_be_told_apart_is_merged(void **state) {
    (void)state;
    fg_profile *p = new_profile("cpu", "nanoseconds");
    const fg_frame frames[] = {
        {.name = "f", .file = "a.c", .line = 3}, {.name = "f", .file = "b.c"}, {.name = "x;y"}};
    int64_t values[] = {1};
    for (size_t i = 0; i < 6; i++) {
        uint32_t stack[2];
        assert_int_equal(fg_profile_frame(&stack[0], p, &frames[i % 3]), 0);
        assert_int_equal(fg_profile_frame(&stack[1], p, &frames[i / 3]), 0);
        assert_int_equal(fg_profile_add(p, stack, 2, values), 0);
    }
    assert_int_equal(fg_profile_add(p, NULL, 0, values), 0);
    char *text = written(p, NULL);
    assert_string_equal(text, "[no stack] 1\nf;f 4\nx:y;f 2\n");
    free(text);
    fg_profile_free(p);
}

static void a_name_cannot_make_a_comment(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    add(p, "# x;y", 1);
    add(p, "#;y", 1);
    add(p, "#x;y", 1);
    char *text = written(p, NULL);
    assert_string_equal(text, "#x;y 1\n_ x;y 1\n_;y 1\n");
    free(text);
    fg_profile_free(p);
}

/* A prefix of another name sorts before or behind it by what follows in the line: ' ' < ';' < 'x'. */
static void lines_are_in_the_order_of_their_text(void **state) {
    (void)state;
    ASSERT_BECOMES("a;z 1\nax;y 1\na b;y 1\na 1\na_[k];y 1\na b 1\n",
                   "a 1\na b 1\na b;y 1\na;z 1\na_[k];y 1\nax;y 1\n");
}

static void an_unknown_value_type_is_refused(void **state) {
    (void)state;
    fg_profile *p = new_profile("cpu", "nanoseconds");
    fg_write_options options = {.size = sizeof options, .type = "heap"};
    fg_out out;
    assert_int_equal(fg__out_memory(&out, ctx), 0);
    assert_int_equal(fg__folded.write(&out, p, &options), FG_EINVAL);
    assert_non_null(strstr(fg_error(ctx), "heap"));
    fg_free(ctx, out.buffer);
    fg_profile_free(p);
}

static int probe(const char *text) {
    return fg__folded.probe((const uint8_t *)text, strlen(text));
}

static void folded_text_is_recognised_and_nothing_else(void **state) {
    (void)state;
    assert_true(probe("a;b 1\n") > 0);
    assert_true(probe("# comment\n\na;b 1\nb") > 0);
    assert_true(probe("a 1") > 0);
    assert_true(probe("a;b 1\na;c 2\nbroken\n") > 0);
    assert_true(probe("a;b 1\nbroken\n") < 50);
    assert_int_equal(probe("{\"nodes\": []}\n"), 0);
    assert_int_equal(probe("some text\nand 3\nmore text\n"), 0);
    assert_int_equal(probe("comm 1/1 [000] 1.5:  1 cycles:\n\t ffff f+0x1 (m)\n\n"), 0);
    assert_int_equal(probe("\n\n"), 0);
    assert_int_equal(probe(""), 0);
}

/* ---- against a simple reader, on text that crosses chunks and windows ---------------------------------- */

static uint32_t dice(uint32_t n) {
    static uint64_t state = 42;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

typedef struct text {
    char *at;
    size_t n;
} text;

enum { STACKS = 30000, WIDEST = 400 };

static void random_name(text *to) {
    static const char letters[] = "abcde fgh:<>,()_xyz";
    uint32_t length = dice(8) ? 1 + dice(20) : 1 + dice(150);
    to->at[to->n++] = (char)('A' + dice(20));
    for (uint32_t i = 0; i < length; i++) to->at[to->n++] = letters[dice(sizeof letters - 1)];
    to->at[to->n++] = '.';
}

static int by_stack(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in the way of a real file: the same names often, the same beginnings often. `stacks` are without
 * counts. */
static text random_lines(char **stacks, uint32_t *counts) {
    enum { NAMES = 500 };
    text names[NAMES], all = {malloc((size_t)STACKS * (WIDEST + 16)), 0};
    for (int i = 0; i < NAMES; i++) {
        names[i] = (text){malloc(160), 0};
        random_name(&names[i]);
    }
    for (int i = 0; i < STACKS; i++) {
        text stack = {malloc(WIDEST + 200), 0};
        if (i && dice(3)) {
            stack.n = (size_t)(strchrnul(stacks[i - 1], ';') - stacks[i - 1]);
            memcpy(stack.at, stacks[i - 1], stack.n);
        }
        for (uint32_t more = 1 + dice(9); more && stack.n < WIDEST - 160; more--) {
            const text *name = &names[dice(NAMES)];
            if (stack.n) stack.at[stack.n++] = ';';
            memcpy(stack.at + stack.n, name->at, name->n);
            stack.n += name->n;
        }
        stack.at[stack.n] = '\0';
        stacks[i] = stack.at;
        counts[i] = 1 + dice(100000);
        all.n += (size_t)sprintf(all.at + all.n, "%s %u\n", stack.at, counts[i]);
    }
    for (int i = 0; i < NAMES; i++) free(names[i].at);
    return all;
}

static text merged(char **stacks, const uint32_t *counts) {
    uint64_t *sums = calloc(STACKS, sizeof *sums);
    char **sorted = malloc(STACKS * sizeof *sorted);
    memcpy(sorted, stacks, STACKS * sizeof *sorted);
    qsort(sorted, STACKS, sizeof *sorted, by_stack);
    size_t unique = 1;
    for (size_t i = 1; i < STACKS; i++)
        if (strcmp(sorted[i], sorted[unique - 1]) != 0) sorted[unique++] = sorted[i];
    for (size_t i = 0; i < STACKS; i++)
        sums[(char **)bsearch(&stacks[i], sorted, unique, sizeof *sorted, by_stack) - sorted] += counts[i];
    text all = {malloc((size_t)STACKS * (WIDEST + 32)), 0};
    for (size_t i = 0; i < unique; i++)
        all.n += (size_t)sprintf(all.at + all.n, "%s %llu\n", sorted[i], (unsigned long long)sums[i]);
    free(sorted);
    free(sums);
    return all;
}

static text gzipped(text plain) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
    text packed = {malloc(deflateBound(&z, plain.n)), 0};
    z.next_in = (Bytef *)plain.at;
    z.avail_in = (uInt)plain.n;
    z.next_out = (Bytef *)packed.at;
    z.avail_out = (uInt)deflateBound(&z, plain.n);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.n = z.total_out;
    deflateEnd(&z);
    return packed;
}

static void it_reads_what_a_simple_reader_reads(void **state) {
    (void)state;
    char **stacks = malloc(STACKS * sizeof *stacks);
    uint32_t *counts = malloc(STACKS * sizeof *counts);
    text plain = random_lines(stacks, counts), wanted = merged(stacks, counts), packed = gzipped(plain);
    char *mapped = again(plain.at, plain.n), *streamed = again(packed.at, packed.n);
    char *sorted = again(wanted.at, wanted.n);
    assert_true(strcmp(mapped, wanted.at) == 0);
    assert_true(strcmp(streamed, wanted.at) == 0);
    assert_true(strcmp(sorted, wanted.at) == 0);
    char *texts[] = {mapped, streamed, sorted, plain.at, wanted.at, packed.at, (char *)counts};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
    for (size_t i = 0; i < STACKS; i++) free(stacks[i]);
    free(stacks);
}

static void the_scan_finds_every_mark(void **state) {
    (void)state;
    uint8_t bytes[300];
    uint32_t marks[300 + FG__SCAN_SLACK];
    for (int round = 0; round < 2000; round++) {
        size_t n = dice(sizeof bytes + 1), count = 0, from = n ? dice((uint32_t)(n < 9 ? n : 9)) : 0;
        uint32_t dense = 1 + dice(40);
        for (size_t i = 0; i < n; i++) bytes[i] = dice(dense) ? (uint8_t)dice(256) : dice(2) ? ';' : '\n';
        size_t found = fg__scan(marks, bytes + from, n - from, ';', '\n');
        for (size_t i = from; i < n; i++)
            if (bytes[i] == ';' || bytes[i] == '\n') assert_int_equal(marks[count++], i - from);
        assert_int_equal(found, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_stacks),
        cmocka_unit_test(white_space_and_comments_are_passed_over),
        cmocka_unit_test(a_missing_name_is_unknown),
        cmocka_unit_test(hostile_bytes_do_no_harm),
        cmocka_unit_test(fractions_are_rounded_and_that_is_said),
        cmocka_unit_test(two_columns_are_a_diff),
        cmocka_unit_test(names_that_end_in_numbers_are_names),
        cmocka_unit_test(annotations_are_kinds),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(columns_do_not_change_midway),
        cmocka_unit_test(deep_stacks_are_read),
        cmocka_unit_test(long_lines_that_begin_alike_are_written_whole),
        cmocka_unit_test(a_profile_that_cannot_be_told_apart_is_merged),
        cmocka_unit_test(a_name_cannot_make_a_comment),
        cmocka_unit_test(lines_are_in_the_order_of_their_text),
        cmocka_unit_test(an_unknown_value_type_is_refused),
        cmocka_unit_test(folded_text_is_recognised_and_nothing_else),
        cmocka_unit_test(it_reads_what_a_simple_reader_reads),
        cmocka_unit_test(the_scan_finds_every_mark),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
