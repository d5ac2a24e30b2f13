/*
 * Symbols: addresses of this very process, of the kernel and of a JIT, to names; files that are not what was mapped.
 */
#include "spaces.h"
#include "symbols/module.h"
#include <dlfcn.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* The innermost frame at an address. */
static fg_frame frame_at(uint64_t address, bool returning) {
    const uint32_t *frames;
    size_t n;
    if (fg__space_frames(&frames, &n, space, address, returning)) fail_msg("%s", fg_error(ctx));
    assert_in_range(n, 1, 100);
    return fg_profile_frame_at(profile, frames[0]);
}

static uint64_t address_of(void (*function)(void)) {
    return (uint64_t)(uintptr_t)function;
}

void a_function_with_a_name(void);
__attribute__((noinline)) void a_function_with_a_name(void) {
    __asm__ volatile("nop; nop; nop");
}

static void functions_of_this_program(void **state) {
    (void)state;
    begin(NULL);
    fg_frame f = frame_at(address_of(a_function_with_a_name) + 1, false);
    assert_string_equal(f.name, "a_function_with_a_name");
    assert_int_equal(f.kind, FG_KIND_NATIVE);
    assert_non_null(strstr(f.module, "/test_symbols"));
    assert_string_not_equal(frame_at(address_of(a_function_with_a_name), true).name,
                            "a_function_with_a_name");
    uint64_t address, size = 0;
    assert_true(fg__space_symbol(&address, space, "/test_symbols", "a_function_with_a_name"));
    assert_int_equal(address, address_of(a_function_with_a_name));
    assert_true(fg__space_sized(&address, &size, space, "/test_symbols", "a_function_with_a_name"));
    assert_in_range(size, 1, 4096);
    assert_false(fg__space_symbol(&address, space, NULL, "there_is_no_such_function"));
    end();
}

static void functions_of_libraries(void **state) {
    (void)state;
    begin(NULL);
    void *function = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    assert_non_null(function);
    fg_frame f = frame_at((uint64_t)(uintptr_t)function + 1, false);
    assert_non_null(strstr(f.name, "gnu_get_libc_version"));
    assert_non_null(strstr(f.module, "libc.so.6"));
    end();
}

static void functions_of_the_vdso(void **state) {
    (void)state;
    begin(NULL);
    uint64_t vdso = getauxval(AT_SYSINFO_EHDR), address;
    assert_true(fg__space_symbol(&address, space, "[vdso]", "__vdso_clock_gettime"));
    assert_in_range(address, vdso, vdso + (1 << 20));
    fg_frame f = frame_at(address + 1, false);
    assert_non_null(strstr(f.name, "clock_gettime"));
    assert_int_equal(f.kind, FG_KIND_NATIVE);
    end();
}

static void addresses_of_nothing(void **state) {
    (void)state;
    begin(NULL);
    fg_frame f = frame_at(16, false);
    assert_string_equal(f.name, "[unknown]");
    assert_int_equal(f.kind, FG_KIND_UNKNOWN);
    end();
}

/* As lld lays files out: the page where the read-only segment ends is that where code begins, mapped twice. */
static void a_page_of_two_segments_is_that_of_code(void **state) {
    (void)state;
    static const fg__module m = {
        .segments = {{.offset = 0, .size = 0x2c140, .address = 0},
                     {.offset = 0x2c140, .size = 0xe2ba0, .address = 0x2d140, .code = true}},
        .segment_count = 2};
    assert_int_equal(fg__module_address(&m, 0x2c000), 0x2d000);
    assert_int_equal(fg__module_address(&m, 0x2c140), 0x2d140);
    assert_int_equal(fg__module_address(&m, 0x100), 0x100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_two_segments_is_that_of_code),
        cmocka_unit_test(functions_of_this_program),
        cmocka_unit_test(functions_of_libraries),
        cmocka_unit_test(functions_of_the_vdso),
        cmocka_unit_test(addresses_of_nothing),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
