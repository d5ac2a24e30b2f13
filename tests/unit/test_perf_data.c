/*
 * perf.data: stacks, tasks and mappings, events and columns, metadata, which files give names, pipes and compressed
 * records, and what is wrong with bad files.
 */
#include "recordings.h"
#include <unistd.h>
#include <zstd.h>
#include "formats/format.h"

enum { HOSTNAME = 3, BUILD_IDS = 2, CMDLINE = 11 };
enum { A = 0x10000, B = 0x20000, PAGE = 0x1000 };
#define CHAIN_OF(...)                                                                                        \
    (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)

static fg_read_options options(void) {
    return (fg_read_options){.size = sizeof(fg_read_options), .name = "x.data", .format = "perf.data"};
}

static fg_profile *read_with(const recording *r, const fg_read_options *o) {
    fg_profile *p;
    if (fg_parse(&p, ctx, r->bytes, r->n, o)) fail_msg("%s", fg_error(ctx));
    return p;
}

static fg_profile *read_recording(const recording *r) {
    fg_read_options o = options();
    return read_with(r, &o);
}

static void expect(recording *r, const char *stacks) {
    finish(r);
    fg_profile *p = read_recording(r);
    assert_string_equal(text_of(p), stacks);
    fg_profile_free(p);
}

static void expect_note(const fg_profile *p, const char *text) {
    for (size_t i = 0; fg_profile_note_at(p, i); i++)
        if (strstr(fg_profile_note_at(p, i), text)) return;
    fail_msg("no note says \"%s\"", text);
}

static void expect_error(const recording *r, const char *event, int code, const char *message) {
    fg_read_options o = options();
    o.event = event;
    fg_profile *p;
    int err = fg_parse(&p, ctx, r->bytes, r->n, &o);
    if (err != code || !strstr(fg_error(ctx), message))
        fail_msg("\"%s\" does not say \"%s\"", fg_error(ctx), message);
}

/* A process 7 called "prog" with /nowhere/a and /nowhere/b mapped, and one event, cycles. */
static void start(recording *r) {
    put_event(r, 0, 0, USUAL, 0);
    put_comm(r, 7, "prog", false, 1);
    put_mmap(r, 7, A, PAGE, 0, "/nowhere/a", 1);
    put_mmap(r, 7, B, PAGE, 0, "/nowhere/b", 1);
}

static void sample(recording *r, uint32_t pid, uint64_t time, const uint64_t *chain, size_t n) {
    put_sample(r, USUAL, 0, pid, time, 100, chain, n);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

static void chains_are_stacks(void **state) {
    (void)state;
    recording r = {0};
    start(&r);
    sample(&r, 7, 2, CHAIN_OF(in_user, B + 5, A + 9));
    sample(&r, 7, 3, CHAIN_OF(in_user, B + 6, A + PAGE)); /* returns to the end of a: the call is in a */
    sample(&r, 7, 4, CHAIN_OF(in_user, A + 1, 0, (uint64_t)1 << 63)); /* no chain of frame pointers */
    sample(&r, 7, 5, CHAIN_OF(in_guest, (uint64_t)1 << 63, A)); /* whose kernel and programs are not these */
    expect(&r, "prog;[a];[b] 200 2\nprog;[unknown];[unknown] 100 1\nprog;[unknown];[unknown];[a] 100 1\n");
}

static const uint64_t KERNEL_CODE = UINT64_C(0xffffffffa0001000);

static void put_kernel_code(recording *r, uint64_t at, uint32_t size, uint16_t flags, const char *name) {
    enum { BPF = 1 };
    begin(r, RECORD_KSYMBOL, 0);
    put8(r, at), put4(r, size), put4(r, BPF | (uint32_t)flags << 16), put_string(r, name);
    end(r);
}

/* As of a BPF program, which may be gone when the recording is read. */
static void code_of_the_kernel_is_told_by_records(void **state) {
    (void)state;
    enum { SIZE = 64, GONE = 1 };
    recording r = {0};
    start(&r);
    put_kernel_code(&r, KERNEL_CODE, SIZE, 0, "bpf_prog_1");
    put_kernel_code(&r, KERNEL_CODE, SIZE, GONE, "bpf_prog_2");
    put_kernel_code(&r, UINT64_MAX - 9, SIZE, 0, "beyond all addresses");
    begin(&r, RECORD_KSYMBOL, 0);
    put4(&r, 1), put4(&r, 2), end(&r); /* cut short */
    sample(&r, 7, 2, CHAIN_OF(in_kernel, KERNEL_CODE + SIZE - 1, in_user, A + 9));
    expect(&r, "prog;[a];bpf_prog_1 100 1\n");
}

static void samples_may_have_no_chain(void **state) {
    (void)state;
    recording r = {0};
    put_event(&r, 0, 0, IP | TID, 0);
    put_mmap(&r, 7, A, PAGE, 0, "/nowhere/a", 1);
    begin(&r, RECORD_SAMPLE, 2);
    put8(&r, A + 3), put4(&r, 7), put4(&r, 7);
    end(&r);
    expect(&r, ":7;[a] 1 1\n");
}

static void branches_are_passed_over(void **state) {
    (void)state;
    recording r = {0};
    put_event(&r, 0, 0, USUAL | BRANCHES, 0);
    put_mmap(&r, 7, A, PAGE, 0, "/nowhere/a", 1);
    put_sample(&r, USUAL | BRANCHES, 0, 7, 2, 5, CHAIN_OF(in_user, A));
    expect(&r, ":7;[a] 5 1\n");
}

/* A sample with registers and a copy of the stack; how much of it was used comes behind it. */
static void put_copy(recording *r, uint64_t abi, const uint64_t *registers, const uint64_t *stack, size_t n) {
    begin(r, RECORD_SAMPLE, 2);
    put8(r, registers[2]), put4(r, 7), put4(r, 7), put8(r, 9), put8(r, 100);
    put8(r, 1), put8(r, in_user);
    put8(r, abi), put(r, registers, 24);
    put8(r, n * 8), put(r, stack, n * 8), put8(r, n * 8);
    end(r);
}

static void copies_of_stacks_are_unwound(void **state) {
    (void)state;
    enum { SP = 0x7000 };
    const uint64_t registers[] = {SP + 16, SP,
                                  A + 5}; /* code that nothing is known of: by its frame pointers */
    const uint64_t stack[] = {1, 2, SP + 40, B + 7, 3, 0, A + 9, 4};
    recording r = {0};
    put_event(&r, 0, 0, USUAL | REGISTERS | STACK, 0);
    put_mmap(&r, 7, A, PAGE, 0, "/nowhere/a", 1);
    put_mmap(&r, 7, B, PAGE, 0, "/nowhere/b", 1);
    put_copy(&r, 2, registers, stack, 8);
    put_copy(&r, 2, registers, stack, 3); /* too little was copied */
    put_copy(&r, 1, registers, stack, 8); /* of a program of 32 bits: where it was, at least */
    finish(&r);
    fg_profile *p = read_recording(&r);
    assert_string_equal(text_of(p), ":7;[a] 200 2\n:7;[a];[b];[a] 100 1\n");
    assert_int_equal(fg_meta_number(p, "truncated"), 1);
    fg_profile_free(p);
}

/* Their registers have other numbers, and of some machines nothing is known. */
static void copies_from_other_machines(void **state) {
    (void)state;
    enum { SP = 0x7000, ARCH = 6, FP_SP_PC = 29 };
    static const struct {
        const char *name, *stacks;
    } cases[] = {
        {"x86_64", ":7;[a] 100 1\n"}, {"aarch64", ":7;[a];[b];[a] 100 1\n"}, {"riscv64", ":7;[a] 100 1\n"}};
    const uint64_t registers[] = {SP + 16, SP, A + 5}, stack[] = {1, 2, SP + 40, B + 7, 3, 0, A + 9, 4};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recording r = {0};
        put_event(&r, 0, 0, USUAL | REGISTERS | STACK, 0);
        set8(&r, r.n - ENTRY + 80, (uint64_t)0xd << FP_SP_PC);
        put_mmap(&r, 7, A, PAGE, 0, "/nowhere/a", 1);
        put_mmap(&r, 7, B, PAGE, 0, "/nowhere/b", 1);
        put_copy(&r, 2, registers, stack, 8);
        put_text_feature(&r, ARCH, cases[i].name);
        expect(&r, cases[i].stacks);
    }
}

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

static void records_count_from_their_time_on(void **state) {
    (void)state;
    recording r = {0};
    put_event(&r, 0, 0, USUAL, 0);
    sample(&r, 7, 5, CHAIN_OF(in_user, A));
    sample(&r, 7, 2, CHAIN_OF(in_user, A));
    put_mmap(&r, 7, A, PAGE, 0, "/nowhere/a", 1);
    put_mmap(&r, 7, A, PAGE, 0, "/nowhere/b", 4);
    put_comm(&r, 7, "two words", false, 3);
    expect(&r, ":7;[a] 100 1\ntwo_words;[b] 100 1\n");
}

static void forks_and_programs_executed(void **state) {
    (void)state;
    recording r = {0};
    start(&r);
    put_fork(&r, 8, 7, 2);
    sample(&r, 8, 3, CHAIN_OF(in_user, A));
    put_mmap(&r, 8, A, PAGE, 0, "/nowhere/c", 4); /* the child's alone */
    sample(&r, 7, 5, CHAIN_OF(in_user, A));
    sample(&r, 8, 5, CHAIN_OF(in_user, A));
    put_fork(&r, 9, 8, 6);
    put_comm(&r, 9, "new", true, 7);
    sample(&r, 9, 8, CHAIN_OF(in_user, A));
    sample(&r, 8, 8, CHAIN_OF(in_user, A));
    expect(&r, "new;[unknown] 100 1\nprog;[a] 200 2\nprog;[c] 200 2\n");
}

static void threads_have_numbers_where_asked_for(void **state) {
    (void)state;
    recording r = {0};
    start(&r);
    sample(&r, 7, 2, CHAIN_OF(in_user, A));
    finish(&r);
    fg_read_options o = options();
    o.with_tid = true;
    o.addresses = true;
    fg_profile *p = read_with(&r, &o);
    assert_string_equal(text_of(p), "prog-7/7;[a <10000>] 100 1\n");
    fg_profile_free(p);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void two_events(recording *r) {
    put_event(r, 0, 0, USUAL | ID, 11);
    put_event(r, 1, 0, USUAL | ID, 22);
    put_mmap(r, 7, A, PAGE, 0, "/nowhere/a", 1);
    put_sample(r, USUAL | ID, 22, 7, 2, 5, CHAIN_OF(in_user, A));
    put_sample(r, USUAL | ID, 11, 7, 3, 7, CHAIN_OF(in_user, A));
    put_sample(r, USUAL | ID, 33, 7, 4, 9, CHAIN_OF(in_user, A)); /* of no event */
    finish(r);
}

static void events_are_columns(void **state) {
    (void)state;
    recording r = {0};
    two_events(&r);
    fg_profile *p = read_recording(&r);
    assert_string_equal(text_of(p), ":7;[a] 7 5\n");
    assert_string_equal(fg_profile_type(p, 1).name, "cpu-clock");
    assert_string_equal(fg_profile_type(p, 1).unit, "nanoseconds");
    assert_string_equal(fg_meta_text(p, "default_type"), "cycles");
    expect_note(p, "--type chooses one: cycles, cpu-clock");
    fg_profile_free(p);
}

static void one_event_can_be_asked_for(void **state) {
    (void)state;
    recording r = {0};
    two_events(&r);
    fg_read_options o = options();
    o.event = "cpu-clock";
    fg_profile *p = read_with(&r, &o);
    assert_string_equal(text_of(p), ":7;[a] 5 1\n");
    expect_note(p, "left out: cycles");
    fg_profile_free(p);
    expect_error(&r, "page-faults", FG_EEMPTY,
                 "no sample of the event \"page-faults\"; there are: cycles, cpu-clock");
}

/* ---- metadata and names ------------------------------------------------------------------------------------------ */

static void put_names(recording *r, const char *host) {
    uint8_t command[64] = {2, [4] = 4, [8] = 'a', [12] = 4, [16] = '-', 'b'};
    put_text_feature(r, HOSTNAME, host);
    put_feature(r, CMDLINE, command, 20);
}

static void metadata_is_read(void **state) {
    (void)state;
    recording r = {0};
    start(&r);
    sample(&r, 7, 20, CHAIN_OF(in_user, A));
    sample(&r, 7, 50, CHAIN_OF(in_user));
    sample(&r, 7, 60, CHAIN_OF(in_user, A));
    put_lost(&r, 3, 70);
    put_names(&r, "not.this.machine");
    finish(&r);
    fg_profile *p = read_recording(&r);
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"samples", 2},   {"failed", 1},    {"lost", 3},
                   {"duration", 40}, {"truncated", 0}, {"period", 100}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(fg_meta_number(p, numbers[i].key), numbers[i].value);
    assert_string_equal(fg_meta_text(p, "host"), "not.this.machine");
    assert_string_equal(fg_meta_text(p, "target"), "a -b");
    assert_string_equal(fg_meta_text(p, "period_type"), "cycles/count");
    expect_note(p, "recorded on another machine, not.this.machine");
    expect_note(p, "/nowhere/a is not to be found");
    fg_profile_free(p);
}

/* Something to be found in this very program. */
__attribute__((noinline)) int a_function_with_a_name(int n) {
    return n * 3 + 1;
}

static void put_own_mapping(recording *r, char *path, size_t size) {
    unsigned long long start, last, offset, at = (uintptr_t)a_function_with_a_name;
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        char *slash = strchr(line, '/');
        if (sscanf(line, "%llx-%llx %*s %llx", &start, &last, &offset) != 3 || at < start || at >= last)
            continue;
        assert_non_null(slash);
        snprintf(path, size, "%.*s", (int)strcspn(slash, "\n"), slash);
        put_mmap(r, 7, start, last - start, offset, path, 1);
    }
    fclose(maps);
}

static void names_come_from_the_same_file_only(void **state) {
    (void)state;
    const struct {
        const char *host;
        bool other_build, named;
    } cases[] = {{"", false, true}, {"", true, false}, {"not.this.machine", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recording r = {0};
        char path[4096], expected[128];
        uint8_t build[512] = {67, [6] = 0, [12] = 1, 2, 3, 4};
        put_event(&r, 0, 0, USUAL, 0);
        put_own_mapping(&r, path, sizeof path);
        sample(&r, 7, 2, CHAIN_OF(in_user, (uintptr_t)a_function_with_a_name));
        build[4] = 2; /* of a process */
        size_t n = 36 + strlen(path) + 1;
        assert_true(n <= sizeof build);
        memcpy(build + 6, &(uint16_t){(uint16_t)n}, 2);
        strcpy((char *)build + 36, path);
        if (cases[i].other_build) put_feature(&r, BUILD_IDS, build, n);
        if (*cases[i].host) put_names(&r, cases[i].host);
        snprintf(expected, sizeof expected, ":7;%s 100 1\n",
                 cases[i].named ? "a_function_with_a_name" : "[test_perf_data]");
        expect(&r, expected);
    }
}

/* ---- pipes and compression --------------------------------------------------------------------------------------- */

static void pipes_are_read(void **state) {
    (void)state;
    recording r = {.pipe = true};
    start(&r);
    put_names(&r, "not.this.machine");
    sample(&r, 7, 2, CHAIN_OF(in_user, B, A + 9));
    finish(&r);
    fg_profile *p = read_recording(&r);
    assert_string_equal(text_of(p), "prog;[a];[b] 100 1\n");
    assert_string_equal(fg_meta_text(p, "host"), "not.this.machine");
    fg_profile_free(p);
}

/* The records of `from`, in compressed ones of which the first ends within a record. */
static void compress(recording *r, const recording *from, size_t first) {
    const uint8_t *piece = from->bytes + from->data;
    size_t left = from->n - from->data;
    put_event(r, 0, 0, USUAL, 0);
    for (size_t n = first; left; piece += n, left -= n, n = left) {
        uint8_t packed[4096];
        size_t size = ZSTD_compress(packed, sizeof packed, piece, n, 1);
        assert_false(ZSTD_isError(size));
        begin(r, 81, 0);
        put(r, packed, size);
        end(r);
    }
    finish(r);
}

static void compressed_records_are_read(void **state) {
    (void)state;
    recording plain = {0}, r = {0};
    start(&plain);
    sample(&plain, 7, 2, CHAIN_OF(in_user, B, A + 9));
    compress(&r, &plain, 61);
    fg_profile *p = read_recording(&r);
    assert_string_equal(text_of(p), "prog;[a];[b] 100 1\n");
    fg_profile_free(p);
    fg_read_options o = options();
    o.max_input = 100;
    assert_int_equal(fg_parse(&p, ctx, r.bytes, r.n, &o), FG_ELIMIT);
    memset(r.bytes + r.data + 12, 0xff, 8);
    expect_error(&r, NULL, FG_EFORMAT, "a compressed record: ");
}

/* ---- bad files --------------------------------------------------------------------------------------------------- */

static void errors_say_what_to_do(void **state) {
    (void)state;
    recording r = {0};
    start(&r);
    finish(&r);
    expect_error(&r, NULL, FG_EEMPTY, "no samples: did the program run");
    r = (recording){0};
    start(&r);
    sample(&r, 7, 2, CHAIN_OF(in_user));
    finish(&r);
    expect_error(&r, NULL, FG_EEMPTY, "none of the 1 samples has a stack: record with `perf record -g`");
    memcpy(r.bytes, "2ELIFREP", 8);
    expect_error(&r, NULL, FG_EUNSUPPORTED, "the other byte order");
    memcpy(r.bytes, "nothing.", 8);
    expect_error(&r, NULL, FG_EFORMAT, "it does not begin with PERFILE2");
    memcpy(r.bytes, "PERFILE2", 8);
    r.bytes[r.data + 6] = 3;
    expect_error(&r, NULL, FG_EFORMAT, "a record of 3 bytes");
}

/* Cut anywhere, and each byte wrong in turn: read in part, with a note, or refused. */
static void damaged_files_are_no_disaster(void **state) {
    (void)state;
    recording r = {0};
    start(&r);
    put_fork(&r, 8, 7, 2);
    put_kernel_code(&r, KERNEL_CODE, 64, 0, "bpf_prog_1");
    sample(&r, 8, 3, CHAIN_OF(in_kernel, KERNEL_CODE + 9, in_user, B, A + 9));
    put_names(&r, "not.this.machine");
    finish(&r);
    fg_read_options o = options();
    o.max_input = 1 << 20;
    for (size_t n = 0; n < r.n; n++) {
        uint8_t *copy = malloc(n ? n : 1); /* of its own, so that reading behind it is found out */
        fg_profile *p;
        memcpy(copy, r.bytes, n);
        if (!fg_parse(&p, ctx, copy, n, &o)) fg_profile_free(p);
        free(copy);
        r.bytes[n] ^= 0xff;
        if (!fg_parse(&p, ctx, r.bytes, r.n, &o)) fg_profile_free(p);
        r.bytes[n] ^= 0xff;
    }
    recording cut = {0};
    start(&cut);
    sample(&cut, 7, 3, CHAIN_OF(in_user, B, A + 9));
    sample(&cut, 7, 3, CHAIN_OF(in_user, B, A + 9));
    finish(&cut);
    set8(&cut, 48, cut.n - cut.data - 9);
    fg_profile *p = read_recording(&cut);
    assert_int_equal(fg_meta_number(p, "samples"), 1);
    expect_note(p, "the file ends in the middle of a record");
    fg_profile_free(p);
}

static void memory_may_run_out(void **state) {
    (void)state;
    recording plain = {0}, whole = {0};
    start(&plain);
    put_fork(&plain, 8, 7, 2);
    put_kernel_code(&plain, KERNEL_CODE, 64, 0, "bpf_prog_1");
    put_mmap(&plain, 8, A, PAGE, 0, "/nowhere/c", 4);
    sample(&plain, 8, 3, CHAIN_OF(in_kernel, KERNEL_CODE + 9, KERNEL_CODE + 99, in_user, B, A + 9));
    sample(&plain, 7, 2, CHAIN_OF(in_user, A));
    compress(&whole, &plain, 61);
    fg_read_options o = options();
    read_poorly(whole.bytes, whole.n, &o);
}

static void it_is_recognised(void **state) {
    (void)state;
    assert_int_equal(fg__perf_data.probe((const uint8_t *)"PERFILE2", 8), 100);
    assert_int_equal(fg__perf_data.probe((const uint8_t *)"2ELIFREP", 8), 100);
    assert_int_equal(fg__perf_data.probe((const uint8_t *)"PERFILE", 7), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_are_stacks),
        cmocka_unit_test(code_of_the_kernel_is_told_by_records),
        cmocka_unit_test(copies_from_other_machines),
        cmocka_unit_test(samples_may_have_no_chain),
        cmocka_unit_test(branches_are_passed_over),
        cmocka_unit_test(copies_of_stacks_are_unwound),
        cmocka_unit_test(records_count_from_their_time_on),
        cmocka_unit_test(forks_and_programs_executed),
        cmocka_unit_test(threads_have_numbers_where_asked_for),
        cmocka_unit_test(events_are_columns),
        cmocka_unit_test(one_event_can_be_asked_for),
        cmocka_unit_test(metadata_is_read),
        cmocka_unit_test(names_come_from_the_same_file_only),
        cmocka_unit_test(pipes_are_read),
        cmocka_unit_test(compressed_records_are_read),
        cmocka_unit_test(errors_say_what_to_do),
        cmocka_unit_test(damaged_files_are_no_disaster),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(it_is_recognised),
    };
    return cmocka_run_group_tests_name("perf.data", tests, open_ctx, close_ctx);
}
