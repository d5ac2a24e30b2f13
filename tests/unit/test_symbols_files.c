/*
 * Names that are not in the file itself: a library is made, stripped, and given its symbols back in each of the ways
 * that distributions have.
 */
#include "profiles.h"
#include <lzma.h>
#include "symbols/symbols.h"

enum { AT = 0x10000000, MAPPED = 0x100000 };

static char folder[] = "/tmp/fg-symbols-XXXXXX";
static fg_profile *profile;
static fg__symbols *symbols;
static fg__space *space;

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...) {
    char command[2048];
    int n = snprintf(command, sizeof command, "cd %s && ", folder);
    va_list args;
    va_start(args, format);
    vsnprintf(command + n, sizeof command - (size_t)n, format, args);
    va_end(args);
    if (system(command) != 0) fail_msg("this failed (gcc and binutils are needed): %s", command);
}

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_library(void **state) {
    if (open_ctx(state) || !mkdtemp(folder)) return -1;
    FILE *file = fopen(path_of("f.c"), "w");
    if (!file) return -1;
    fputs("static inline __attribute__((always_inline)) int inlined(int x) {\n"
          "  __asm__ volatile(\"inside: nop\" : \"+r\"(x));\n" /* line 2 */
          "  return x + 1;\n"
          "}\n"
          "static __attribute__((noinline)) int hidden(int x) {\n"
          "  return inlined(x) * 2;\n" /* line 6 */
          "}\n"
          "int shown(int x) { return hidden(x) + 1; }\n",
          file);
    fclose(file);
    run("gcc -O1 -g -shared -fPIC -Wl,--build-id -o full.so f.c && strip -o stripped.so full.so");
    return 0;
}

static int remove_library(void **state) {
    run("rm -rf %s", folder);
    return close_ctx(state);
}

/* A space with one file in it, as of a recording. */
static void begin(const char *name, const fg__symbols_options *options, const uint8_t *build_id,
                  size_t size) {
    profile = new_profile("samples", "count");
    fg__mapping mapping = {.start = AT, .end = AT + MAPPED, .path = path_of(name)};
    mapping.build_id = build_id;
    mapping.build_id_size = size;
    assert_int_equal(fg__symbols_new(&symbols, ctx, profile, options), 0);
    assert_int_equal(fg__space_new(&space, symbols, 0, false), 0);
    assert_int_equal(fg__space_map(space, &mapping), 0);
}

static void end(void) {
    fg__symbols_free(symbols);
    fg_profile_free(profile);
}

/* Where the label in the inlined function is, in all of the files. */
static uint64_t inside(void) {
    uint64_t address;
    begin("full.so", NULL, NULL, 0);
    assert_true(fg__space_symbol(&address, space, "/full.so", "inside"));
    end();
    return address;
}

static fg_frame frame_at(size_t i, uint64_t address, size_t expected) {
    const uint32_t *frames;
    size_t n;
    if (fg__space_frames(&frames, &n, space, address, false)) fail_msg("%s", fg_error(ctx));
    assert_int_equal(n, expected);
    return fg_profile_frame_at(profile, frames[i]);
}

static void a_stripped_file_says_its_name(void **state) {
    (void)state;
    uint64_t address = inside();
    begin("stripped.so", &(fg__symbols_options){.inlined = true}, NULL, 0);
    assert_string_equal(frame_at(0, address, 1).name, "[stripped.so]");
    end();
}

static void symbols_by_debuglink(void **state) {
    (void)state;
    uint64_t address = inside();
    run("mkdir -p .debug && objcopy --only-keep-debug full.so .debug/linked.debug && cd .debug && "
        "objcopy --add-gnu-debuglink=linked.debug ../stripped.so ../linked.so");
    begin("linked.so", &(fg__symbols_options){.inlined = true, .lines = true}, NULL, 0);
    fg_frame f = frame_at(0, address, 2);
    assert_string_equal(f.name, "inlined");
    assert_int_equal(f.kind, FG_KIND_INLINED);
    assert_int_equal(f.line, 2);
    f = frame_at(1, address, 2);
    assert_int_equal(f.line, 6);
    assert_non_null(strstr(f.file, "f.c"));
    end();
}

static void a_debug_file_of_another_build_is_left(void **state) {
    (void)state;
    uint64_t address = inside();
    run("mkdir -p .debug && gcc -O2 -g -shared -fPIC -Wl,--build-id -o other.so f.c && "
        "objcopy --only-keep-debug full.so .debug/wrong.debug && cd .debug && "
        "objcopy --add-gnu-debuglink=wrong.debug ../stripped.so ../wrong.so && "
        "objcopy --only-keep-debug ../other.so wrong.debug && printf x >>wrong.debug");
    begin("wrong.so", NULL, NULL, 0);
    assert_string_equal(frame_at(0, address, 1).name, "[wrong.so]");
    end();
}

static void symbols_in_gnu_debugdata(void **state) {
    (void)state;
    enum { MOST = 1 << 20 };
    uint64_t address = inside();
    static uint8_t plain[MOST], packed[MOST];
    size_t n, packed_n = 0;
    run("strip --strip-debug --strip-symbol=inside -o small full.so");
    FILE *file = fopen(path_of("small"), "r");
    assert_non_null(file);
    n = fread(plain, 1, sizeof plain, file);
    fclose(file);
    assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, plain, n, packed, &packed_n, MOST),
                     LZMA_OK);
    file = fopen(path_of("small.xz"), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(packed, 1, packed_n, file), packed_n);
    fclose(file);
    run("objcopy --add-section .gnu_debugdata=small.xz stripped.so packed.so");
    begin("packed.so", NULL, NULL, 0);
    assert_string_equal(frame_at(0, address, 1).name, "hidden");
    end();
}

static void another_file_gives_no_names(void **state) {
    (void)state;
    static const uint8_t other[20] = {1, 2, 3};
    uint64_t address = inside();
    begin("full.so", NULL, other, sizeof other);
    assert_string_equal(frame_at(0, address, 1).name, "[full.so]");
    assert_int_equal(fg__symbols_notes(symbols), 0);
    assert_int_equal(profile->note_count, 1);
    assert_non_null(strstr(fg__string_at(profile, profile->notes[0]).bytes, "replaced or deleted"));
    end();
}

/* Sections of DWARF as distributions ship them; libdw itself has no zstd. */
static void compressed_dwarf(void **state) {
    (void)state;
    static const char *const ways[] = {"zlib", "zstd"};
    uint64_t address = inside();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        run("objcopy --compress-debug-sections=%s full.so packed-%s.so && readelf -t packed-%s.so | grep -qi "
            "%s",
            ways[i], ways[i], ways[i], ways[i]);
        char name[32];
        snprintf(name, sizeof name, "packed-%s.so", ways[i]);
        begin(name, &(fg__symbols_options){.inlined = true, .lines = true}, NULL, 0);
        fg_frame f = frame_at(0, address, 2);
        assert_string_equal(f.name, "inlined");
        assert_int_equal(f.line, 2);
        end();
    }
}

/* What is said of its size is not believed, and what cannot be unpacked gives no calls. */
static void damaged_compressed_dwarf(void **state) {
    (void)state;
    enum { MOST = 1 << 20, EACH = 41 };
    static uint8_t bytes[MOST];
    uint64_t address = inside();
    run("objcopy --compress-debug-sections=zlib full.so packed.so");
    FILE *file = fopen(path_of("packed.so"), "r");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t at = n / 2; at < n; at += EACH) {
        bytes[at] ^= 0x55;
        file = fopen(path_of("damaged.so"), "w");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, n, file), n);
        fclose(file);
        bytes[at] ^= 0x55;
        const uint32_t *frames;
        size_t count;
        begin("damaged.so", &(fg__symbols_options){.inlined = true, .lines = true}, NULL, 0);
        assert_int_equal(fg__space_frames(&frames, &count, space, address, false), 0);
        assert_in_range(count, 1, 100);
        end();
    }
}

/* As the linker writes them into the table of symbols, where it knows versions. */
static void versions_are_no_part_of_names(void **state) {
    (void)state;
    static const struct {
        const char *label, *name;
    } cases[] = {{"new", "f"}, {"old", "g"}, {"call", "_h@12"}, {"mangled", "ns::k"}};
    run("printf 'int e(int x) { return x; } int d(int x) { return x + 1; }' >v.c && "
        "printf '%%s\\n' '.text' '.globl new, old' '.type new, %%function' '.type old, %%function' "
        "'new: nop' '.size new, 1' '.symver new, f@@V2' '.p2align 4' "
        "'old: nop' '.size old, 1' '.symver old, g@V1' '.p2align 4' "
        "'call:' '.type \"_h@12\", %%function' '\"_h@12\": nop' '.size \"_h@12\", 1' '.p2align 4' "
        "'mangled:' '.globl _k' '.type _k, %%function' '_k: nop' '.size _k, 1' '.symver _k, _ZN2ns1kEv@@V2' "
        ">v.s && "
        "printf 'V1 { global: g; local: old; }; V2 { global: f; _ZN2ns1kEv; local: new; _k; };' >v.map && "
        "gcc -shared -nostdlib -Wl,--version-script=v.map -o versions.so v.s");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t address;
        begin("versions.so", NULL, NULL, 0);
        assert_true(fg__space_symbol(&address, space, "/versions.so", cases[i].label));
        assert_string_equal(frame_at(0, address, 1).name, cases[i].name);
        end();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stripped_file_says_its_name),
        cmocka_unit_test(symbols_by_debuglink),
        cmocka_unit_test(a_debug_file_of_another_build_is_left),
        cmocka_unit_test(symbols_in_gnu_debugdata),
        cmocka_unit_test(another_file_gives_no_names),
        cmocka_unit_test(versions_are_no_part_of_names),
        cmocka_unit_test(compressed_dwarf),
        cmocka_unit_test(damaged_compressed_dwarf),
    };
    return cmocka_run_group_tests(tests, make_library, remove_library);
}
