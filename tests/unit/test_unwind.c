/* Unwinding: stacks of this very program, against what the C library's own unwinder says of them. */
#include "unwinding.h"
#include <dlfcn.h>
#include <dwarf.h>
#include <signal.h>
#include <sys/mman.h>
#include "symbols/cfi.h"

static fg__symbols *symbols;
static fg__space *space;
static uint64_t found[FRAMES_MOST];
static size_t found_count;

static void begin(void) {
    assert_int_equal(fg__symbols_new(&symbols, ctx, NULL, NULL), 0);
    assert_int_equal(fg__space_new(&space, symbols, (uint32_t)getpid(), true), 0);
    assert_int_equal(fg__space_read(space), 0);
}

static void end(void) {
    fg__symbols_free(symbols);
}

static fg__unwound unwind(size_t size) {
    return fg__unwind(found, &found_count, FRAMES_MOST, space, &taken.registers, taken.stack, size);
}

/* All the callers are the same; the innermost address is elsewhere in the same function. */
static void assert_true_stack(void) {
    assert_in_range(taken.truth_count, 3, FRAMES_MOST - 1);
    for (size_t i = 1; i < found_count && i < (size_t)taken.truth_count; i++)
        if (found[i] != (uint64_t)(uintptr_t)taken.truth[i])
            fail_msg("frame %zu is at %p, not at %#llx", i, taken.truth[i], (unsigned long long)found[i]);
    assert_int_equal(found_count, taken.truth_count);
}

static bool sampled;
WITHOUT_FRAME_POINTER static int compare(const void *a, const void *b) {
    if (!sampled) TAKE_SAMPLE();
    sampled = true;
    return *(const int *)a - *(const int *)b;
}

WITHOUT_FRAME_POINTER static void sort_some(int n) {
    int some[200];
    for (int i = 0; i < n; i++) some[i] = i * 7919 % 200;
    sampled = false;
    qsort(some, (size_t)n, sizeof *some, compare);
    assert_true(sampled && some[0] <= some[n - 1]);
}

static void through_a_library_that_calls_back(void **state) {
    (void)state;
    sort_some(200);
    begin();
    assert_int_equal(unwind(taken.size), FG__UNWOUND_WHOLE);
    assert_true_stack();
    end();
}

static void a_piece_of_the_stack(void **state) {
    (void)state;
    sort_some(200);
    begin();
    assert_int_equal(unwind(taken.size), FG__UNWOUND_WHOLE);
    size_t whole = found_count, before = 0;
    for (size_t size = 0; size < taken.size; size += taken.size / 64 + 1) {
        fg__unwound how = unwind(size);
        assert_int_equal(how, found_count == whole ? FG__UNWOUND_WHOLE : FG__UNWOUND_SHORT);
        assert_in_range(found_count, before, whole);
        for (size_t i = 1; i < found_count; i++)
            assert_int_equal(found[i], (uint64_t)(uintptr_t)taken.truth[i]);
        before = found_count;
    }
    assert_int_equal(fg__unwind(found, &found_count, 3, space, &taken.registers, taken.stack, taken.size),
                     FG__UNWOUND_SHORT);
    assert_int_equal(found_count, 3);
    end();
}

static void on_signal(int number) {
    (void)number;
    TAKE_SAMPLE();
}

static void through_a_signal(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = on_signal}, old;
    assert_int_equal(sigaction(SIGUSR2, &action, &old), 0);
    assert_int_equal(raise(SIGUSR2), 0);
    assert_int_equal(sigaction(SIGUSR2, &old, NULL), 0);
    begin();
    assert_int_equal(unwind(taken.size), FG__UNWOUND_WHOLE);
    assert_true_stack();
    end();
}

static void *in_thread(void *none) {
    sort_some(100);
    return none;
}

static void to_a_threads_beginning(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    begin();
    assert_int_equal(unwind(taken.size), FG__UNWOUND_WHOLE);
    assert_true_stack();
    end();
}

static void called_by_jit(void) {
    TAKE_SAMPLE();
}

/* Code that only has a frame pointer, as a JIT's; backtrace cannot pass it, so the truth is known otherwise. */
static void through_the_code_of_a_jit(void **state) {
    (void)state;
    static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5,
                                   0x48, 0x83, 0xec, 0x40,  /* push rbp; mov rbp,rsp; sub rsp,64 */
                                   0xff, 0xd7, 0xc9, 0xc3}; /* call rdi; leave; ret */
    enum { RETURN_TO = 10 };
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    memcpy(page, code, sizeof code);
    assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
    void (*run)(void (*)(void)) = (void (*)(void (*)(void)))(uintptr_t)page;
    run(called_by_jit);
    begin();
    assert_int_equal(unwind(taken.size), FG__UNWOUND_WHOLE);
    assert_in_range(found_count, 4, FRAMES_MOST);
    assert_int_equal(found[1], (uint64_t)(uintptr_t)page + RETURN_TO);
    Dl_info info; /* and behind it, down to the program's beginning */
    assert_true(dladdr((void *)(uintptr_t)found[found_count - 1], &info) != 0);
    uint64_t main_address;
    assert_true(fg__space_symbol(&main_address, space, "/test_unwind", "main"));
    size_t i = 0;
    while (i < found_count && found[i] - main_address > 4096) i++;
    assert_true(i < found_count);
    end();
    munmap(page, 4096);
}

static void what_cannot_be_unwound(void **state) {
    (void)state;
    sort_some(10);
    begin();
    fg__registers registers = taken.registers;
    registers.known = 0;
    assert_int_equal(fg__unwind(found, &found_count, 9, space, &registers, taken.stack, 8), FG__UNWOUND_LOST);
    assert_int_equal(found_count, 0);
    registers = taken.registers;
    registers.value[FG__RIP] = 16; /* no code, and no frame pointer */
    registers.value[FG__RBP] = 3;
    assert_int_equal(fg__unwind(found, &found_count, 9, space, &registers, taken.stack, taken.size),
                     FG__UNWOUND_LOST);
    assert_int_equal(found_count, 1);
    end();
}

static void registers_as_perf_gives_them(void **state) {
    (void)state;
    uint64_t values[64], mask = fg__registers_mask();
    for (size_t i = 0; i < 64; i++) values[i] = 100 + i;
    fg__registers out;
    fg__registers_from_perf(&out, mask, values);
    assert_int_equal(out.known, (1u << FG__REGISTERS) - 1);
    assert_int_equal(out.value[0], 100); /* ax */
    assert_int_equal(out.value[3], 101); /* bx */
    assert_int_equal(out.value[FG__RBP], 106);
    assert_int_equal(out.value[FG__RSP], 107);
    assert_int_equal(out.value[FG__RIP], 108);
    assert_int_equal(out.value[8], 109); /* the segments between are not asked for */
    assert_int_equal(out.value[15], 116);
    fg__registers_from_perf(&out, UINT64_MAX, values);
    assert_int_equal(out.value[15], 123);
    fg__registers_from_perf(&out, 1u << 7 | 1u << 9, values);
    assert_int_equal(out.known, 1u << FG__RSP);
    assert_int_equal(out.value[FG__RSP], 100);
}

/* ---- another machine's ----------------------------------------------------------------------------------- */

// clang-format off
static const uint8_t AARCH64_FRAMES[] = { /* .debug_frame */
    0x14, 0, 0, 0,  0xff, 0xff, 0xff, 0xff,  4, 0, 8, 0, 4, 0x78, 30, /* factors 4 and -8, the return address in x30 */
    DW_CFA_def_cfa, 31, 0, 0, 0, 0, 0, 0, 0,
    0x18, 0, 0, 0,  0, 0, 0, 0,  0, 0x10, 0, 0, 0, 0, 0, 0,  0, 1, 0, 0, 0, 0, 0, 0, /* a leaf at 0x1000 */
    0, 0, 0, 0,
    0x20, 0, 0, 0,  0, 0, 0, 0,  0, 0x11, 0, 0, 0, 0, 0, 0,  0, 1, 0, 0, 0, 0, 0, 0, /* with a frame at 0x1100 */
    DW_CFA_GNU_window_save, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 32,
    DW_CFA_offset | 29, 4, DW_CFA_offset | 30, 3, DW_CFA_offset | 19, 2, 0, 0,
    0x18, 0, 0, 0,  0, 0, 0, 0,  0, 0x12, 0, 0, 0, 0, 0, 0,  0, 1, 0, 0, 0, 0, 0, 0, /* the outermost at 0x1200 */
    DW_CFA_undefined, 30, 0, 0};
// clang-format on

static void stacks_of_another_machine(void **state) {
    (void)state;
    enum { START = 0x1000, SIZE = 0x1000, SP = 0x70000, X19 = 19, X30 = 30, X_SP, X_PC, REGISTERS };
    static const fg__section none = {0}, frames = {AARCH64_FRAMES, sizeof AARCH64_FRAMES, 0, 0};
    const uint64_t mask = (UINT64_C(1) << REGISTERS) - 1, is_signed = UINT64_C(0xa5) << 48;
    const fg__mapping mapping = {
        .start = START, .end = START + SIZE, .offset = START, .path = "/nowhere/arm"};
    const uint64_t stack[] = {0, 0x1210 | is_signed, 4711, 0, 0, 0};
    uint64_t values[REGISTERS] = {[X19] = 1, [X30] = 0x1120 | is_signed, [X_SP] = SP, [X_PC] = 0x1010};
    fg__registers registers;
    assert_int_equal(fg__symbols_new(&symbols, ctx, NULL, NULL), 0);
    assert_int_equal(fg__space_new(&space, symbols, 0, false), 0);
    assert_int_equal(fg__space_map(space, &mapping), 0);
    fg__module *m = fg__space_area(space, START)->module;
    m->state = FG__MODULE_MISSING;
    m->cfi_tried = true;
    m->cfi = fg__cfi_new(ctx, FG__AARCH64, &none, &none, &frames);
    assert_non_null(m->cfi);
    fg__registers_of_machine(&registers, FG__AARCH64, mask, values);
    assert_int_equal(registers.value[FG__RIP], 0x1010);
    assert_int_equal(registers.value[FG__RSP], SP);
    assert_int_equal(registers.value[0], 1);
    assert_int_equal(
        fg__unwind(found, &found_count, 9, space, &registers, (const uint8_t *)stack, sizeof stack),
        FG__UNWOUND_WHOLE);
    assert_int_equal(found_count, 3);
    assert_int_equal(found[1], 0x1120); /* without its signature */
    assert_int_equal(found[2], 0x1210);
    values[X30] = 0x1020; /* only the innermost function can have nothing on the stack */
    fg__registers_of_machine(&registers, FG__AARCH64, mask, values);
    assert_int_equal(
        fg__unwind(found, &found_count, 9, space, &registers, (const uint8_t *)stack, sizeof stack),
        FG__UNWOUND_LOST);
    assert_int_equal(found_count, 2);
    end();
}

static void *limited(void *user, void *ptr, size_t size) {
    size_t *left = user;
    if (size && !*left) return NULL;
    if (size) --*left;
    if (!size) return free(ptr), NULL;
    return realloc(ptr, size);
}

/* Without memory the stack is the same, or ends early and says so. */
static void without_memory(void **state) {
    (void)state;
    sort_some(200);
    size_t left = SIZE_MAX;
    for (size_t allowed = 0; allowed < 40; allowed++) {
        left = SIZE_MAX;
        fg_ctx *own = fg_ctx_new_with(limited, &left);
        assert_int_equal(fg__symbols_new(&symbols, own, NULL, NULL), 0);
        assert_int_equal(fg__space_new(&space, symbols, (uint32_t)getpid(), true), 0);
        assert_int_equal(fg__space_read(space), 0);
        left = allowed;
        fg__unwound how = unwind(taken.size);
        if (how == FG__UNWOUND_WHOLE) assert_true_stack();
        left = 0; /* what is kept is enough */
        size_t before = found_count;
        assert_int_equal(unwind(taken.size), how);
        assert_int_equal(found_count, before);
        fg__symbols_free(symbols);
        fg_ctx_free(own);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(through_a_library_that_calls_back),
        cmocka_unit_test(a_piece_of_the_stack),
        cmocka_unit_test(through_a_signal),
        cmocka_unit_test(to_a_threads_beginning),
        cmocka_unit_test(through_the_code_of_a_jit),
        cmocka_unit_test(what_cannot_be_unwound),
        cmocka_unit_test(registers_as_perf_gives_them),
        cmocka_unit_test(stacks_of_another_machine),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
