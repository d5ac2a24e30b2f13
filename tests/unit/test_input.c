/* Windows on input: memory, files, pipes; plain, gzip and zstd; whole, cut short, and too large. */
#include "profiles.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include "formats/input.h"

enum { LINES = 100000 };

typedef struct bytes {
    uint8_t *at;
    size_t n;
} bytes;

/* "line 0\nline 1\n…" */
static bytes lines(void) {
    bytes b = {malloc(LINES * 16), 0};
    for (int i = 0; i < LINES; i++) b.n += (size_t)sprintf((char *)b.at + b.n, "line %d\n", i);
    return b;
}

static bytes gzip(bytes plain) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
    bytes b = {malloc(deflateBound(&z, plain.n)), 0};
    z.next_in = plain.at;
    z.avail_in = (uInt)plain.n;
    z.next_out = b.at;
    z.avail_out = (uInt)deflateBound(&z, plain.n);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.n = z.total_out;
    deflateEnd(&z);
    return b;
}

static bytes zstd(bytes plain) {
    bytes b = {malloc(ZSTD_compressBound(plain.n)), 0};
    b.n = ZSTD_compress(b.at, ZSTD_compressBound(plain.n), plain.at, plain.n, 3);
    return b;
}

static bytes twice(bytes b) {
    bytes both = {malloc(2 * b.n), 2 * b.n};
    memcpy(both.at, b.at, b.n);
    memcpy(both.at + b.n, b.at, b.n);
    return both;
}

/* Read all lines; the number of them, or a negative error. */
static int count_lines(fg_in *in) {
    const char *line;
    size_t n;
    int count = 0, got;
    while ((got = fg__in_line(in, &line, &n)) > 0) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "line %d", count++ % LINES);
        assert_int_equal(n, strlen(wanted));
        assert_memory_equal(line, wanted, n);
    }
    return got < 0 ? got : count;
}

static int count_in(bytes b, const fg_read_options *options) {
    fg_in *in;
    int err = fg__in_open_memory(&in, ctx, b.at, b.n, options);
    if (err) return err;
    int count = count_lines(in);
    fg__in_close(in);
    return count;
}

static const fg_read_options defaults = {.size = sizeof defaults};

static void compressed_input_is_unwrapped(void **state) {
    (void)state;
    bytes plain = lines(), gz = gzip(plain), zs = zstd(plain), gz_gz = gzip(gz), zs_gz = zstd(gz);
    bytes members = twice(gz), frames = twice(zs);
    assert_int_equal(count_in(plain, &defaults), LINES);
    assert_int_equal(count_in(gz, &defaults), LINES);
    assert_int_equal(count_in(zs, &defaults), LINES);
    assert_int_equal(count_in(gz_gz, &defaults), LINES);
    assert_int_equal(count_in(zs_gz, &defaults), LINES);
    assert_int_equal(count_in(members, &defaults), 2 * LINES);
    assert_int_equal(count_in(frames, &defaults), 2 * LINES);
    bytes thrice = gzip(gz_gz);
    assert_int_equal(count_in(thrice, &defaults), FG_EFORMAT);
    bytes all[] = {plain, gz, zs, gz_gz, zs_gz, members, frames, thrice};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i].at);
}

/* Read to the end without a look at what it says. */
static int drain(bytes b) {
    fg_in *in;
    int more = fg__in_open_memory(&in, ctx, b.at, b.n, &defaults);
    if (more) return more;
    while ((more = fg__in_more(in)) > 0) in->p = in->end;
    fg__in_close(in);
    return more;
}

static void truncated_and_damaged_data_are_errors(void **state) {
    (void)state;
    bytes plain = lines(), packed[] = {gzip(plain), zstd(plain)};
    for (int i = 0; i < 2; i++) {
        bytes cut = {packed[i].at, packed[i].n / 2};
        assert_int_equal(count_in(cut, &defaults), FG_EFORMAT);
        assert_non_null(strstr(fg_error(ctx), "truncated"));
        memset(packed[i].at + packed[i].n / 2, 0x55, 64);
        assert_int_equal(drain(packed[i]), FG_EFORMAT);
        free(packed[i].at);
    }
    free(plain.at);
}

static void decompressed_size_is_capped(void **state) {
    (void)state;
    bytes plain = lines(), gz = gzip(plain), zs = zstd(plain);
    fg_read_options small = {.size = sizeof small, .max_input = 1000000}, enough = {.size = sizeof enough};
    enough.max_input = plain.n;
    assert_int_equal(count_in(gz, &small), FG_ELIMIT);
    assert_non_null(strstr(fg_error(ctx), "--max-input"));
    assert_int_equal(count_in(zs, &small), FG_ELIMIT);
    assert_int_equal(count_in(gz, &enough), LINES);
    assert_int_equal(count_in(plain, &small), LINES);
    free(plain.at);
    free(gz.at);
    free(zs.at);
}

/* What formats are told apart by holds no whole line of this. */
static void a_long_first_line_is_recognised(void **state) {
    (void)state;
    enum { NAME = 70000 };
    char *text = malloc(NAME + 16);
    memset(text, 'f', NAME);
    size_t n = NAME + (size_t)sprintf(text + NAME, " 3\na;b 4\n");
    fg_profile *p;
    if (fg_parse(&p, ctx, text, n, NULL)) fail_msg("%s", fg_error(ctx));
    assert_string_equal(fg_meta_text(p, "source"), "folded");
    assert_int_equal(fg_profile_total(p, 0), 7);
    fg_profile_free(p);
    memset(text, '\0', n);
    assert_int_equal(fg_parse(&p, ctx, text, n, NULL), FG_EFORMAT);
    assert_non_null(strstr(fg_error(ctx), "not a profile in a format"));
    free(text);
}

static void the_wrong_format_is_told_from_the_right_one(void **state) {
    (void)state;
    static const struct {
        const char *text, *format, *end;
    } wrongs[] = {
        {"main;hot 5\nmain 3\n", "pprof", "; this looks like folded"},
        {"{\"nodes\":[{\"callFrame\":{}}]}", "speedscope", "; this looks like cpuprofile"},
        {"<svg></svg>", "folded", "; this looks like svg"},
        {"{\"nodes\":[{\"callFrame\":{}}]}", "cpuprofile", "node 0 has no id"},
        {"neither", "pprof", "not a field of protobuf"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        fg_read_options options = {.size = sizeof options, .format = wrongs[i].format};
        fg_profile *p;
        assert_true(fg_parse(&p, ctx, wrongs[i].text, strlen(wrongs[i].text), &options) < 0);
        const char *said = fg_error(ctx);
        size_t n = strlen(said), end = strlen(wrongs[i].end);
        if (n < end || strcmp(said + n - end, wrongs[i].end) != 0) fail_msg("%s", said);
    }
}

/* A pipe whose writer is slow at first: what was read to recognise the format must not be lost. */
static void pipes_are_read_whole(void **state) {
    (void)state;
    bytes plain = lines(), gz = gzip(plain), inputs[] = {plain, gz};
    for (int i = 0; i < 2; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            ssize_t first = write(ends[1], inputs[i].at, 1);
            usleep(20000);
            for (size_t done = 1; done < inputs[i].n && first == 1;) {
                ssize_t n = write(ends[1], inputs[i].at + done, inputs[i].n - done);
                if (n < 0) _exit(1);
                done += (size_t)n;
            }
            _exit(0);
        }
        close(ends[1]);
        char path[64];
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        fg_in *in;
        assert_int_equal(fg__in_open(&in, ctx, path, &defaults), 0);
        assert_int_equal(count_lines(in), LINES);
        assert_int_equal(in->line, LINES);
        fg__in_close(in);
        close(ends[0]);
        waitpid(child, NULL, 0);
    }
    free(plain.at);
    free(gz.at);
}

static void what_cannot_be_opened_is_named(void **state) {
    (void)state;
    fg_profile *p;
    assert_int_equal(fg_read(&p, ctx, "/nonexistent/a.svg", NULL), FG_EIO);
    assert_string_equal(fg_error(ctx), "cannot open /nonexistent/a.svg: No such file or directory");
    assert_int_equal(fg_read(&p, ctx, "/", NULL), FG_EIO);
    assert_non_null(strstr(fg_error(ctx), "folder"));
    assert_int_equal(fg_read(&p, ctx, "/dev/null", NULL), FG_EEMPTY);
    assert_non_null(strstr(fg_error(ctx), "no samples"));
    assert_int_equal(fg_parse(&p, ctx, "\x7f\x45LF\0\0\0", 7, NULL), FG_EFORMAT);
    fg_read_options unknown = {.size = sizeof unknown, .format = "tea leaves"}, unsized = {0};
    assert_int_equal(fg_parse(&p, ctx, "a 1\n", 4, &unknown), FG_EINVAL);
    assert_int_equal(fg_parse(&p, ctx, "a 1\n", 4, &unsized), FG_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compressed_input_is_unwrapped),
        cmocka_unit_test(truncated_and_damaged_data_are_errors),
        cmocka_unit_test(decompressed_size_is_capped),
        cmocka_unit_test(a_long_first_line_is_recognised),
        cmocka_unit_test(the_wrong_format_is_told_from_the_right_one),
        cmocka_unit_test(pipes_are_read_whole),
        cmocka_unit_test(what_cannot_be_opened_is_named),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
