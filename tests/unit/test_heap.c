/* Heap profiles of jemalloc and gperftools: what the numbers become, whose frames are left out, what is refused. */
#include "profiles.h"
#include <math.h>
#include "formats/format.h"

/* Functions of this program, which are where the stacks of the dumps are. */
__attribute__((noinline)) static int keeps(int n) {
    return n * 3 + 1;
}

__attribute__((noinline)) static int drops(int n) {
    return n * 5 + 2;
}

/* It is called as functions of an allocator are. */
__attribute__((noinline)) static int imalloc_body(int n) {
    return n * 7 + 3;
}

static unsigned long long address(int (*function)(int)) {
    return (unsigned long long)(uintptr_t)function + 2; /* a call before it is in the function */
}

/* The mappings of this process, as both formats have them at their end. */
static void add_mappings(char *text, size_t size) {
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    size_t n = strlen(text);
    n += (size_t)snprintf(text + n, size - n, "\nMAPPED_LIBRARIES:\n");
    n += fread(text + n, 1, size - n - 1, maps);
    text[n] = '\0';
    fclose(maps);
}

static char dump[1 << 17];

static void make_jemalloc(void) {
    snprintf(dump, sizeof dump,
             "heap_v2/524288\n"
             "  t*: 44: 41963520 [64: 62914560]\n"
             "  t0: 44: 41963520 [64: 62914560]\n"
             "@ 0x%llx 0x%llx\n"
             "  t*: 40: 41943040 [60: 62914560]\n"
             "  t0: 40: 41943040 [60: 62914560]\n"
             "@ 0x%llx 0x%llx 0x%llx\n"
             "  t*: 4: 4096 [4: 4096]\n",
             address(keeps), address(drops), address(imalloc_body), address(imalloc_body), address(drops));
    add_mappings(dump, sizeof dump);
}

static fg_profile *parsed(const char *text) {
    fg_profile *p;
    fg_read_options options = {.size = sizeof options, .name = "dump"};
    int err = fg_parse(&p, ctx, text, strlen(text), &options);
    if (err) fail_msg("%s", fg_error(ctx));
    return p;
}

/* The value of a stack by its frames. */
static int64_t value_of(const fg_profile *p, const char *stack, size_t type) {
    char text[256];
    for (size_t i = 0; i < fg_profile_stack_count(p); i++) {
        size_t n, at = 0;
        const uint32_t *frames = fg_profile_stack(p, i, &n);
        for (size_t k = 0; k < n; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", k ? ";" : "",
                                   fg_profile_frame_at(p, frames[k]).name);
        if (strcmp(text, stack) == 0) return fg_profile_value(p, i, type);
    }
    return -1;
}

static int64_t scaled(double number, double mean, double rate) {
    return llround(number / (1 - exp(-mean / rate)));
}

static void what_was_sampled_is_scaled(void **state) {
    (void)state;
    make_jemalloc();
    fg_profile *p = parsed(dump);
    assert_string_equal(fg_meta_text(p, "source"), "heap");
    assert_int_equal(fg_profile_type_count(p), 4);
    assert_string_equal(fg_profile_type(p, 0).name, "inuse_space");
    assert_string_equal(fg_profile_type(p, 3).name, "alloc_objects");
    assert_int_equal(value_of(p, "drops;keeps", 0), scaled(41943040, 1 << 20, 524288));
    assert_int_equal(value_of(p, "drops;keeps", 1), scaled(40, 1 << 20, 524288));
    assert_int_equal(value_of(p, "drops;keeps", 2), scaled(62914560, 1 << 20, 524288));
    assert_int_equal(value_of(p, "drops", 0),
                     scaled(4096, 1024, 524288)); /* the allocator's frames are gone */
    assert_int_equal(fg_meta_number(p, "samples"), 64);
    assert_int_equal(fg_meta_number(p, "period"), 524288);
    fg_profile_free(p);
}

static void gperftools_counts_each(void **state) {
    (void)state;
    snprintf(dump, sizeof dump,
             "heap profile:      3:       60 [     4:      100 ] @ heapprofile\n"
             "     1:       20 [     2:       60 ] @ 0x%llx 0x%llx\n"
             "     2:       40 [     2:       40 ] @ 0x%llx\n",
             address(keeps), address(drops), address(drops));
    add_mappings(dump, sizeof dump);
    fg_profile *p = parsed(dump);
    assert_string_equal(text_of(p), "drops 40 2 40 2\ndrops;keeps 20 1 60 2\n");
    fg_profile_free(p);
}

static void gperftools_samples_as_well(void **state) {
    (void)state;
    snprintf(dump, sizeof dump,
             "heap profile:      1:     1024 [     0:        0 ] @ heap_v2/2048\n"
             "     1:     1024 [     0:        0 ] @ 0x%llx\n",
             address(keeps));
    add_mappings(dump, sizeof dump);
    fg_profile *p = parsed(dump);
    assert_int_equal(fg_profile_type_count(p), 2); /* nothing was ever allocated: it was not asked for */
    assert_int_equal(value_of(p, "keeps", 0), scaled(1024, 1024, 2048));
    fg_profile_free(p);
}

/* Without the list of mappings, or with files that are not here, there are places at least, and no made up names. */
static void addresses_without_a_file_have_no_name(void **state) {
    (void)state;
    fg_profile *p = parsed("heap_v2/512\n@ 0x1234\n  t*: 1: 20000 [0: 0]\n");
    assert_string_equal(text_of(p), "[unknown] 20000 1\n");
    fg_profile_free(p);
    p = parsed("heap_v2/512\n@ 0x1234\n  t*: 1: 20000 [0: 0]\n\nMAPPED_LIBRARIES:\n"
               "00001000-00002000 r-xp 00000000 08:01 77    /no/such/libfoo.so\n");
    assert_string_equal(text_of(p), "[libfoo.so] 20000 1\n");
    fg_profile_free(p);
}

static void what_is_no_heap_profile_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
        int code;
    } rows[] = {
        {"heap_v2/0\n@ 0x1\n t*: 1: 2 [0: 0]\n", "line 1: a head without a sampling rate", FG_EFORMAT},
        {"heap_v2/x\n", "line 1: a head without a sampling rate", FG_EFORMAT},
        {"heap_v2/512\nhello\n", "line 2: neither a stack nor numbers", FG_EFORMAT},
        {"heap_v2/512\n@ 0x1\n t*: 1: [0: 0]\n", "line 3: no numbers", FG_EFORMAT},
        {"heap_v2/512\n@ 0x1 main\n", "line 2: a stack that is no list of addresses", FG_EFORMAT},
        {"heap_v2/512\n t*: 0: 0 [0: 0]\n", "heap without a single sample", FG_EEMPTY},
        {"heap profile: 1: 2 [3: 4] @ heap/512\n", "line 1: the kinds heapprofile and heap_v2", FG_EFORMAT},
        {"heap profile: 1: [3: 4] @ heapprofile\n", "line 1: a head without totals", FG_EFORMAT},
        {"heap profile: 1: 2 [3: 4] @ heapprofile\n1: 2 [3: 4]\n", "line 2: neither numbers nor a stack",
         FG_EFORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fg_profile *p;
        fg_read_options options = {.size = sizeof options, .name = "dump"};
        assert_int_equal(fg_parse(&p, ctx, rows[i].text, strlen(rows[i].text), &options), rows[i].code);
        if (!strstr(fg_error(ctx), rows[i].says))
            fail_msg("\"%s\" lacks \"%s\"", fg_error(ctx), rows[i].says);
    }
}

static void a_stack_has_an_end(void **state) {
    (void)state;
    size_t n = (size_t)snprintf(dump, sizeof dump, "heap_v2/512\n@");
    for (int i = 0; i < 4097; i++) n += (size_t)snprintf(dump + n, sizeof dump - n, " 0x%x", i + 1);
    snprintf(dump + n, sizeof dump - n, "\n t*: 1: 2 [0: 0]\n");
    fg_profile *p;
    fg_read_options options = {.size = sizeof options, .name = "dump"};
    assert_int_equal(fg_parse(&p, ctx, dump, strlen(dump), &options), FG_EFORMAT);
    assert_non_null(strstr(fg_error(ctx), "more than 4096 frames"));
}

static void memory_runs_out_anywhere(void **state) {
    (void)state;
    make_jemalloc();
    fg_read_options options = {.size = sizeof options, .name = "dump"};
    assert_true(read_poorly(dump, strlen(dump), &options) < 100000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sampled_is_scaled),
        cmocka_unit_test(gperftools_counts_each),
        cmocka_unit_test(gperftools_samples_as_well),
        cmocka_unit_test(addresses_without_a_file_have_no_name),
        cmocka_unit_test(what_is_no_heap_profile_is_refused),
        cmocka_unit_test(a_stack_has_an_end),
        cmocka_unit_test(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
