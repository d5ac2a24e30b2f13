/* pprof written: what is read again is the same, as far as profile.proto can say it; what Go wrote as well. */
#include "messages.h"
#include <libdeflate.h>
#include <limits.h>
#include "formats/pprof.h"

/* ---- there and back ------------------------------------------------------------------------------------- */

typedef struct bytes {
    char *at;
    size_t n;
} bytes;

static bytes written(fg_profile *p) {
    fg_out out;
    fg_write_options options = {.size = sizeof options};
    assert_int_equal(fg__out_memory(&out, ctx), 0);
    assert_int_equal(fg__pprof.write(&out, p, &options), 0);
    assert_int_equal(fg__out_status(&out), 0);
    return (bytes){out.buffer, out.n};
}

static fg_profile *there_and_back(fg_profile *p, bool lines) {
    bytes b = written(p);
    fg_read_options options = {.size = sizeof options, .name = "x.pb.gz", .lines = lines};
    fg_profile *q;
    if (fg_parse(&q, ctx, b.at, b.n, &options)) fail_msg("%s", fg_error(ctx));
    fg_free(ctx, b.at);
    assert_string_equal(fg_meta_text(q, "source"), "pprof");
    return q;
}

static void assert_same_frame(fg_frame a, fg_frame b) {
    assert_string_equal(a.name, b.name);
    assert_string_equal(a.file, b.file);
    assert_string_equal(a.module, b.module);
    assert_int_equal(a.line, b.line);
    assert_int_equal(a.kind, b.kind);
}

/* Types, metadata, notes, and every stack, frame by frame, in their order. */
static void assert_same(const fg_profile *a, const fg_profile *b) {
    static const char *const numbers[] = {"start", "duration", "period"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(fg_meta_number(a, numbers[i]), fg_meta_number(b, numbers[i]));
    assert_string_equal(fg_meta_text(a, "period_type"), fg_meta_text(b, "period_type"));
    assert_int_equal(fg_profile_find_type(a, NULL), fg_profile_find_type(b, NULL));
    const char *note;
    for (size_t i = 0; (note = fg_profile_note_at(a, i)); i++)
        assert_string_equal(note, fg_profile_note_at(b, i));
    assert_int_equal(fg_profile_type_count(a), fg_profile_type_count(b));
    assert_int_equal(fg_profile_stack_count(a), fg_profile_stack_count(b));
    for (size_t t = 0; t < fg_profile_type_count(a); t++) {
        assert_string_equal(fg_profile_type(a, t).name, fg_profile_type(b, t).name);
        assert_string_equal(fg_profile_type(a, t).unit, fg_profile_type(b, t).unit);
        for (size_t i = 0; i < fg_profile_stack_count(a); i++)
            assert_int_equal(fg_profile_value(a, i, t), fg_profile_value(b, i, t));
    }
    for (size_t i = 0; i < fg_profile_stack_count(a); i++) {
        size_t n, m;
        const uint32_t *x = fg_profile_stack(a, i, &n), *y = fg_profile_stack(b, i, &m);
        assert_int_equal(n, m);
        for (size_t k = 0; k < n; k++)
            assert_same_frame(fg_profile_frame_at(a, x[k]), fg_profile_frame_at(b, y[k]));
    }
}

static uint32_t frame(fg_profile *p, const char *name, const char *file, uint32_t line, const char *module,
                      fg_kind kind) {
    uint32_t id;
    fg_frame f = {.name = name, .file = file, .line = line, .module = module, .kind = kind};
    assert_int_equal(fg_profile_frame(&id, p, &f), 0);
    return id;
}

static fg_profile *of_all_kinds(void) {
    fg_profile *p = new_profile("samples", "count");
    assert_int_equal(fg_profile_add_type(p, "cpu", "nanoseconds"), 0);
    uint32_t main = frame(p, "main", "m.c", 3, "/bin/svc", FG_KIND_UNKNOWN);
    uint32_t same =
        frame(p, "main", "m.c", 30, "/bin/svc", FG_KIND_UNKNOWN); /* another function of that name */
    uint32_t in1 = frame(p, "in1", "i.h", 5, "/bin/svc", FG_KIND_INLINED);
    uint32_t in2 = frame(p, "in2", "", 0, "/bin/svc", FG_KIND_INLINED);
    uint32_t read = frame(p, "sys_read", "", 0, "[kernel.kallsyms]", FG_KIND_KERNEL);
    uint32_t bare = frame(p, "bare", "", 0, "", FG_KIND_UNKNOWN);
    uint32_t lost = frame(p, "[libc.so.6]", "", 0, "/lib/libc.so.6", FG_KIND_UNKNOWN);
    const uint32_t stacks[][5] = {{main, in1, in2, read, 99},
                                  {main, in1, 99},
                                  {main, 99},
                                  {main, same, bare, lost, 99},
                                  {main, in1, same, in1, 99},
                                  {99}};
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        size_t n = 0;
        while (stacks[i][n] != 99) n++;
        assert_int_equal(fg_profile_add(p, stacks[i], n, (const int64_t[]){(int64_t)i + 1, INT64_MAX / 100}),
                         0);
    }
    fg_meta_set_number(p, "start", 1700000000000000001);
    fg_meta_set_number(p, "duration", 30000000001);
    fg_meta_set_number(p, "period", 10101010);
    fg_meta_set_text(p, "period_type", "cpu/nanoseconds");
    fg_meta_set_text(p, "default_type", "cpu");
    fg_profile_note(p, "17 samples lost");
    fg_profile_note(p, "and a second thing");
    return p;
}

static void what_is_written_reads_the_same(void **state) {
    (void)state;
    fg_profile *p = of_all_kinds();
    for (int lines = 0; lines < 2; lines++) {
        fg_profile *q = there_and_back(p, lines), *r = there_and_back(q, lines);
        assert_same(p, q);
        assert_same(p, r);
        bytes first = written(p), second = written(q);
        assert_int_equal(first.n, second.n);
        assert_memory_equal(first.at, second.at, first.n);
        fg_free(ctx, first.at);
        fg_free(ctx, second.at);
        fg_profile_free(q);
        fg_profile_free(r);
    }
    fg_profile_free(p);
}

/* profile.proto knows the kernel by its module, and inlined functions by what they are inlined into. */
static void what_cannot_be_said_stays_close(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    uint32_t lone = frame(p, "lone", "", 0, "", FG_KIND_INLINED),
             js = frame(p, "f", "a.js", 1, "", FG_KIND_JS);
    uint32_t kernel = frame(p, "schedule", "", 0, "", FG_KIND_KERNEL);
    assert_int_equal(fg_profile_add(p, (const uint32_t[]){lone, js, kernel}, 3, (const int64_t[]){1}), 0);
    fg_profile *q = there_and_back(p, false);
    assert_string_equal(text_of(q), "lone;f;schedule 1\n");
    assert_int_equal(fg_profile_frame_at(q, 0).kind, FG_KIND_UNKNOWN);
    assert_int_equal(fg_profile_frame_at(q, 1).kind, FG_KIND_UNKNOWN);
    assert_int_equal(fg_profile_frame_at(q, 2).kind, FG_KIND_KERNEL);
    assert_string_equal(fg_profile_frame_at(q, 2).module, "[kernel.kallsyms]");
    fg_profile_free(q);
    fg_profile_free(p);
}

static void a_diff_keeps_both_columns(void **state) {
    (void)state;
    fg_profile *a = new_profile("cpu", "nanoseconds"), *b = new_profile("cpu", "nanoseconds"), *d;
    add(a, "x;gone", 10);
    add(b, "x;new", 30);
    assert_int_equal(fg_diff(&d, a, b, NULL, FG_NORMALIZE_ABSOLUTE), 0);
    fg_profile *q = there_and_back(d, false);
    assert_true(fg_profile_is_diff(q));
    assert_string_equal(text_of(q), "x;gone 10 0\nx;new 0 30\n");
    fg_profile_free(q);
    fg_profile_free(d);
    fg_profile_free(a);
    fg_profile_free(b);
}

/* Ids count from 1 without gaps: some readers insist on it. */
static void ids_are_sequential(void **state) {
    (void)state;
    fg_profile *p = of_all_kinds();
    bytes b = written(p);
    static uint8_t plain[1 << 16];
    size_t n;
    struct libdeflate_decompressor *gzip = libdeflate_alloc_decompressor();
    assert_int_equal(libdeflate_gzip_decompress(gzip, b.at, b.n, plain, sizeof plain, &n),
                     LIBDEFLATE_SUCCESS);
    libdeflate_free_decompressor(gzip);
    uint64_t last[PROFILE_FIELDS] = {0};
    fg__wire w = {plain, plain + n, NULL};
    fg__field field, first;
    while (fg__wire_next(&w, &field)) {
        if (field.number < PROFILE_MAPPING || field.number > PROFILE_FUNCTION) continue;
        fg__wire inside = fg__wire_inside(&field);
        assert_true(fg__wire_next(&inside, &first));
        assert_int_equal(first.number, 1);
        assert_int_equal(first.value, ++last[field.number]);
    }
    assert_null(w.wrong);
    assert_int_equal(last[PROFILE_MAPPING], 3);
    assert_int_equal(last[PROFILE_FUNCTION], 7);
    assert_int_equal(last[PROFILE_LOCATION],
                     8); /* main; main in1; main in1 in2; same; same in1; bare; libc; kernel */
    fg_free(ctx, b.at);
    fg_profile_free(p);
}

/* ---- what Go wrote -------------------------------------------------------------------------------------- */

static const struct {
    const char *file, *type, *unit, *top;
    int64_t total, self; /* as `go tool pprof -top` shows them */
} wrote[] = {
    {"go-cpu.pb.gz", "cpu", "nanoseconds", "main.fibonacci", 610000000, 160000000},
    {"go-heap.pb.gz", "inuse_space", "bytes", "main.sorting", 9582914, 8356219},
    {"go-mutex.pb.gz", "delay", "nanoseconds", "sync.(*Mutex).Unlock", 104401906, 104371874},
    {"go-goroutine.pb.gz", "goroutine", "count", "runtime.goroutineProfileWithLabels", 1, 1},
    /* among its bytes are lines that a `perf script` could have printed */
    {"go-allocs.pb.gz", "alloc_space", "bytes", "main.keepLarge", 83070960, 41943184},
};

static void go_and_we_agree(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrote / sizeof *wrote; i++) {
        char path[512];
        snprintf(path, sizeof path, FG_TEST_DATA "/%s", wrote[i].file);
        fg_profile *p;
        if (fg_read(&p, ctx, path, NULL)) fail_msg("%s", fg_error(ctx));
        int type = fg_profile_find_type(p, NULL);
        assert_string_equal(fg_profile_type(p, (size_t)type).name, wrote[i].type);
        assert_string_equal(fg_profile_type(p, (size_t)type).unit, wrote[i].unit);
        assert_int_equal(fg_profile_total(p, (size_t)type), wrote[i].total);
        fg_top_entry *top;
        size_t n;
        assert_int_equal(fg_profile_top(&top, &n, p, (size_t)type, 1), 0);
        assert_string_equal(fg_profile_frame_at(p, top->frame).name, wrote[i].top);
        assert_int_equal(top->self, wrote[i].self);
        fg_free(ctx, top);
        fg_profile *q = there_and_back(p, false);
        assert_same(p, q);
        fg_profile_free(q);
        fg_profile_free(p);
    }
}

/* ---- every allocation fails in turn --------------------------------------------------------------------- */

static void each_allocation_may_fail(void **state) {
    (void)state;
    long left = LONG_MAX;
    fg_ctx *kept = ctx;
    ctx = fg_ctx_new_with(failing_alloc, &left);
    fg_profile *p = of_all_kinds();
    fg_write_options options = {.size = sizeof options};
    int err = FG_ENOMEM;
    for (long n = 0; err; n++) {
        left = n;
        fg_out out = {.buffer = NULL};
        err = fg__out_memory(&out, ctx);
        if (!err) err = fg__pprof.write(&out, p, &options);
        assert_true(err == FG_ENOMEM || (err == 0 && n > 10));
        fg_free(ctx, out.buffer);
    }
    fg_profile_free(p);
    fg_ctx_free(ctx);
    ctx = kept;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(what_cannot_be_said_stays_close),
        cmocka_unit_test(a_diff_keeps_both_columns),
        cmocka_unit_test(ids_are_sequential),
        cmocka_unit_test(go_and_we_agree),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
