/* The text of /proc/kallsyms, searched as it is; what a recording says of the kernel's code; the kernel that runs. */
#include "spaces.h"
#include "symbols/kallsyms.h"

static const char text[] = "0000000000000000 A fixed_percpu_data\n"
                           "ffffffff81000000 T _text\n"
                           "ffffffff81000000 t another_name\n"
                           "ffffffff81000100 W weak_alias\n"
                           "ffffffff81000100 T strong\n"
                           "ffffffff81000100 t local_alias\n"
                           "ffffffff81000200 t last_function\n"
                           "ffffffff81000300 T _etext\n"
                           "ffffffff82000000 R some_data\n"
                           "ffffffffc0009000 t in_b\t[b]\n"
                           "ffffffffc0001010 t second\t[a]\n"
                           "ffffffffc0001000 t first\t[a]\n"
                           "ffffffffc0001008 d data_of_a\t[a]\n"
                           "ffffffffc000a000 t bpf_prog_1\t[bpf]\n";

/* The name, and behind a space the module, at an address; "": none. */
static const char *name_at(fg__kallsyms *k, uint64_t address) {
    static char out[128];
    fg__symbol symbol;
    fg__slice module = {"", 0};
    bool found = fg__kallsyms_core(&symbol, k, address);
    if (!found) {
        assert_int_equal(fg__kallsyms_other(&symbol, &module, k, ctx, address), 0);
        found = module.n != 0;
    }
    snprintf(out, sizeof out, found ? "%.*s%s%.*s" : "", found ? (int)symbol.n : 0, symbol.name,
             module.n ? " " : "", (int)module.n, module.p);
    if (found) assert_in_range(address, symbol.start, symbol.end - 1);
    return out;
}

static void functions_are_found_by_address(void **state) {
    (void)state;
    static const struct {
        uint64_t address;
        const char *name;
    } cases[] = {
        {0xffffffff80ffffff, ""},
        {0xffffffff81000000, "_text"}, /* the global one of two */
        {0xffffffff810000ff, "_text"},
        {0xffffffff81000100, "strong"},
        {0xffffffff810001ff, "strong"},
        {0xffffffff81000200, "last_function"},
        {0xffffffff81000300, "_etext"},
        {0xffffffff90000000, ""}, /* behind all that is known */
        {0xffffffffc0000fff, ""},
        {0xffffffffc0001000, "first [a]"},
        {0xffffffffc000100f, "first [a]"},
        {0xffffffffc0001010, "second [a]"},
        {0xffffffffc0002fff, "second [a]"},
        {0xffffffffc0003000, ""}, /* no module's, though the next symbol is far away */
        {0xffffffffc0009fff, "in_b [b]"},
        {0xffffffffc000a001, "bpf_prog_1 [bpf]"},
        {0xffffffffffffffff, ""},
    };
    fg__kallsyms k;
    fg__kallsyms_of(&k, text, sizeof text - 1);
    assert_int_equal(k.base, 0xffffffff81000000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(name_at(&k, cases[i].address), cases[i].name);
    fg__kallsyms_free(ctx, &k);
}

/* Cut anywhere, it is read as far as it goes; every byte that is looked at is one of the text. */
static void a_text_may_be_cut_or_be_no_such_text(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n + !n);
        assert_non_null(copy);
        memcpy(copy, text, n);
        fg__kallsyms k;
        fg__kallsyms_of(&k, copy, n);
        for (uint64_t at = 0xffffffff80ffff00; at < 0xffffffff81000400; at += 0x80) name_at(&k, at);
        name_at(&k, 0xffffffffc0001000);
        name_at(&k, 0);
        fg__kallsyms_free(ctx, &k);
        free(copy);
    }
    static const char *const others[] = {"", "\n\n\n", "ffffffff81000000", "ffffffff81000000 T ",
                                         "no such text\n"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        fg__kallsyms k;
        fg__kallsyms_of(&k, others[i], strlen(others[i]));
        assert_int_equal(k.base, 0);
        assert_string_equal(name_at(&k, 0xffffffff81000000), "");
        fg__kallsyms_free(ctx, &k);
    }
}

static fg_frame frame_of(uint64_t address, bool returning) {
    const uint32_t *frames;
    size_t n;
    if (fg__space_frames(&frames, &n, space, address, returning)) fail_msg("%s", fg_error(ctx));
    return fg_profile_frame_at(profile, frames[0]);
}

static fg_frame frame_at(uint64_t address) {
    return frame_of(address, false);
}

static void code_that_a_recording_tells_of(void **state) {
    (void)state;
    enum { SIZE = 0x40 };
    const uint64_t at = UINT64_C(0xffffffffa0001000);
    begin(NULL);
    assert_int_equal(fg__symbols_kernel_code(symbols, at, SIZE, "bpf_prog_of_old", 15), 0);
    assert_int_equal(fg__symbols_kernel_code(symbols, UINT64_MAX - 1, SIZE, "too long", 8), 0);
    assert_int_equal(fg__symbols_kernel_code(symbols, at + SIZE, 0, "empty", 5), 0);
    fg_frame f = frame_at(at + SIZE - 1);
    assert_string_equal(f.name, "bpf_prog_of_old");
    assert_int_equal(f.kind, FG_KIND_KERNEL);
    f = frame_at(UINT64_MAX - 0x10);
    assert_string_equal(f.name, "[kernel.kallsyms]");
    assert_int_equal(f.kind, FG_KIND_KERNEL);
    end();
}

/* In the middle of a stack is a return address, or where an interrupt came, which may be a function's beginning. */
static void a_function_that_is_interrupted_at_its_beginning(void **state) {
    (void)state;
    enum { SIZE = 0x40, ROOM = 0x10 };
    const uint64_t at = UINT64_C(0xffffffffa0001000), next = at + SIZE + ROOM;
    begin(NULL);
    assert_int_equal(fg__symbols_kernel_code(symbols, at, SIZE, "ends_with_a_call", 16), 0);
    assert_int_equal(fg__symbols_kernel_code(symbols, at + SIZE, ROOM, "__pfx_interrupted", 17), 0);
    assert_int_equal(fg__symbols_kernel_code(symbols, next, SIZE, "interrupted", 11), 0);
    assert_string_equal(frame_of(next, true).name, "interrupted");
    assert_string_equal(frame_of(next, false).name, "interrupted");
    assert_string_equal(frame_of(at + SIZE, true).name, "ends_with_a_call");
    end();
}

typedef struct named {
    unsigned long long address;
    char name[256];
    bool confirmed;
} named;

/* Read a line of the kernel's own functions. False: the end; *address 0: something else. */
static bool next_function(FILE *file, unsigned long long *address, char *name) {
    char line[512], type;
    if (!fgets(line, sizeof line, file)) return false;
    bool is = sscanf(line, "%llx %c %255s", address, &type, name) == 3 && (type | 0x20) == 't' &&
              !strchr(line, '[');
    if (!is) *address = 0;
    return true;
}

/* As far as this user may see it: one of the names that it has for an address is found there. */
static void functions_of_the_kernel_that_runs(void **state) {
    (void)state;
    enum { EACH = 997, MOST = 1024 };
    static named some[MOST];
    size_t n = 0, count = 0;
    unsigned long long address;
    char name[256];
    FILE *file = fopen("/proc/kallsyms", "r");
    assert_non_null(file);
    begin(NULL);
    while (next_function(file, &address, name) && n < MOST) {
        if (!address || count++ % EACH) continue;
        some[n].address = address;
        snprintf(some[n++].name, sizeof some->name, "%s", frame_at(address).name);
    }
    rewind(file);
    while (next_function(file, &address, name))
        for (size_t i = 0; address && i < n; i++)
            if (some[i].address == address && strcmp(some[i].name, name) == 0) some[i].confirmed = true;
    for (size_t i = 0; i < n; i++)
        if (!some[i].confirmed) fail_msg("%llx is not %s", some[i].address, some[i].name);
    fclose(file);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_by_address),
        cmocka_unit_test(a_text_may_be_cut_or_be_no_such_text),
        cmocka_unit_test(code_that_a_recording_tells_of),
        cmocka_unit_test(a_function_that_is_interrupted_at_its_beginning),
        cmocka_unit_test(functions_of_the_kernel_that_runs),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
