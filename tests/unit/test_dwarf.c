/* Inlined calls and source lines of this very program, as its compiler describes them. */
#include "spaces.h"
#include <dwarf.h>
#include <fcntl.h>
#include "symbols/skim.h"

/* An address in the innermost call, and the lines on which each calls the next. */
static uint64_t here;
static int line_of_inner, line_of_middle, line_of_outer;

static inline __attribute__((always_inline)) void inner(void) {
    line_of_inner = __LINE__ + 1;
    __asm__ volatile("nop; lea 0(%%rip), %0; nop" : "=r"(here));
}

static inline __attribute__((always_inline)) void middle(int twice) {
    for (int i = 0; i < twice; i++) { /* a block of its own between the two */
        int again = i;
        __asm__ volatile("" : "+r"(again));
        line_of_middle = __LINE__ + 1;
        inner();
    }
}

void outer(void);
__attribute__((noinline)) void outer(void) {
    line_of_outer = __LINE__ + 1;
    middle(2);
}

static fg_frame frame(const uint32_t *frames, size_t i) {
    return fg_profile_frame_at(profile, frames[i]);
}

static void assert_frame(fg_frame f, const char *name, fg_kind kind, int line) {
    assert_string_equal(f.name, name);
    assert_int_equal(f.kind, kind);
    assert_int_equal(f.line, line);
    if (!line) return;
    const char *file = strrchr(f.file, '/');
    assert_string_equal(file ? file + 1 : f.file, "test_dwarf.c");
}

static void inlined_calls_are_frames(void **state) {
    (void)state;
    outer();
    begin(&(fg__symbols_options){.inlined = true});
    for (int again = 0; again < 2; again++) { /* the second time, they were kept */
        const uint32_t *frames;
        size_t n;
        assert_int_equal(fg__space_frames(&frames, &n, space, here, false), 0);
        assert_int_equal(n, 3);
        assert_frame(frame(frames, 0), "inner", FG_KIND_INLINED, 0);
        assert_frame(frame(frames, 1), "middle", FG_KIND_INLINED, 0);
        assert_frame(frame(frames, 2), "outer", FG_KIND_NATIVE, 0);
    }
    end();
}

static void each_frame_has_its_line(void **state) {
    (void)state;
    outer();
    begin(&(fg__symbols_options){.inlined = true, .lines = true});
    const uint32_t *frames;
    size_t n;
    assert_int_equal(fg__space_frames(&frames, &n, space, here, false), 0);
    assert_int_equal(n, 3);
    assert_frame(frame(frames, 0), "inner", FG_KIND_INLINED, line_of_inner);
    assert_frame(frame(frames, 1), "middle", FG_KIND_INLINED, line_of_middle);
    assert_frame(frame(frames, 2), "outer", FG_KIND_NATIVE, line_of_outer);
    end();
}

/* Without the inlined calls the function's frame has the line in the function itself. */
static void lines_without_inlined_calls(void **state) {
    (void)state;
    outer();
    begin(&(fg__symbols_options){.lines = true});
    const uint32_t *frames;
    size_t n;
    assert_int_equal(fg__space_frames(&frames, &n, space, here, false), 0);
    assert_int_equal(n, 1);
    assert_frame(frame(frames, 0), "outer", FG_KIND_NATIVE, line_of_outer);
    end();
}

/* What has no debug information has its symbols still. */
static void functions_without_dwarf(void **state) {
    (void)state;
    begin(&(fg__symbols_options){.inlined = true, .lines = true});
    uint64_t address;
    const uint32_t *frames;
    size_t n;
    assert_true(fg__space_symbol(&address, space, "/libcmocka.so.0", "_cmocka_run_group_tests") ||
                fg__space_symbol(&address, space, NULL, "_cmocka_run_group_tests"));
    assert_int_equal(fg__space_frames(&frames, &n, space, address + 1, false), 0);
    assert_string_equal(frame(frames, n - 1).name, "_cmocka_run_group_tests");
    end();
}

static void *limited(void *user, void *ptr, size_t size) {
    size_t *left = user;
    if (!size) return free(ptr), NULL;
    if (!*left) return NULL;
    --*left;
    return realloc(ptr, size);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    outer();
    fg__symbols_options options = {.inlined = true, .lines = true};
    int err = FG_ENOMEM;
    for (size_t allowed = 0; err; allowed++) {
        size_t left = SIZE_MAX;
        fg_ctx *own = fg_ctx_new_with(limited, &left);
        const uint32_t *frames;
        size_t n;
        assert_int_equal(fg_profile_new(&profile, own), 0);
        assert_int_equal(fg__symbols_new(&symbols, own, profile, &options), 0);
        assert_int_equal(fg__space_new(&space, symbols, (uint32_t)getpid(), true), 0);
        assert_int_equal(fg__space_read(space), 0);
        left = allowed;
        err = fg__space_frames(&frames, &n, space, here, false);
        assert_true(err == 0 || err == FG_ENOMEM);
        if (!err) assert_int_equal(n, 3);
        end();
        fg_ctx_free(own);
        assert_in_range(allowed, 0, 100000);
    }
}

/* ---- functions of a unit --------------------------------------------------------------------------------- */

typedef struct offsets {
    Dwarf_Off at[1 << 14];
    size_t n;
} offsets;

static int keep(void *user, Dwarf_Off offset) {
    offsets *o = user;
    assert_in_range(o->n, 0, sizeof o->at / sizeof *o->at - 1);
    o->at[o->n++] = offset;
    return 0;
}

/* As libdw walks: functions of units, namespaces and types. */
static void walk(offsets *out, Dwarf_Die *parent) {
    Dwarf_Die die;
    if (dwarf_child(parent, &die)) return;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type)
            walk(out, &die);
        if (tag == DW_TAG_subprogram &&
            (dwarf_hasattr(&die, DW_AT_low_pc) || dwarf_hasattr(&die, DW_AT_ranges)))
            keep(out, dwarf_dieoffset(&die));
    } while (dwarf_siblingof(&die, &die) == 0);
}

static void skimming_finds_what_walking_finds(void **state) {
    (void)state;
    static offsets skimmed, walked;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    Dwarf *dwarf = dwarf_begin(fd, DWARF_C_READ);
    Dwarf_CU *cu = NULL;
    Dwarf_Die die;
    size_t functions = 0;
    assert_non_null(dwarf);
    while (dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &die, NULL) == 0) {
        skimmed.n = walked.n = 0;
        assert_int_equal(fg__skim_functions(ctx, &die, keep, &skimmed), 0);
        walk(&walked, &die);
        assert_int_equal(skimmed.n, walked.n);
        assert_memory_equal(skimmed.at, walked.at, walked.n * sizeof *walked.at);
        functions += walked.n;
    }
    assert_true(functions > 100);
    dwarf_end(dwarf);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skimming_finds_what_walking_finds), cmocka_unit_test(inlined_calls_are_frames),
        cmocka_unit_test(each_frame_has_its_line),           cmocka_unit_test(lines_without_inlined_calls),
        cmocka_unit_test(functions_without_dwarf),           cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
