/*
 * What perf prints for a symbol, made fit to be read. The rules are those that flame graphs of perf
 * recordings have had for years, so that pictures made by different tools can be compared: docs/formats.md
 * lists them, and where and why this reader does otherwise.
 */
#include "symbols/names.h"

bool fg__symbol_unknown(fg__slice symbol) {
    return fg__slice_is(symbol, "[unknown]");
}

/* ---- kinds -----------------------------------------------------------------------------------------------
 */

static bool is_file_char(char c) {
    return fg__is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
           c == '_';
}

/* The last "vmlinux" of `s`, followed by nothing but a version. */
static bool is_vmlinux(fg__slice s) {
    static const char name[] = "vmlinux";
    size_t tail = 0;
    while (tail < s.n && is_file_char(s.p[s.n - tail - 1])) tail++;
    return memmem(s.p + s.n - tail, tail, name, sizeof name - 1) != NULL;
}

fg_kind fg__module_kind(fg__slice module) {
    if (module.n == 0 || fg__slice_is(module, "[unknown]")) return FG_KIND_UNKNOWN;
    if (module.p[0] == '[' || fg__slice_ends(module, ".ko") || is_vmlinux(module)) return FG_KIND_KERNEL;
    bool map = fg__slice_starts(module, "/tmp/perf-") && fg__slice_ends(module, ".map");
    bool dump = fg__slice_has(module, "/jitted-") && fg__slice_ends(module, ".so");
    return map || dump ? FG_KIND_JIT : FG_KIND_NATIVE;
}

/* ---- symbols ---------------------------------------------------------------------------------------------
 */

static bool all_hex(fg__slice s) {
    for (size_t i = 0; i < s.n; i++)
        if (!fg__is_hex(s.p[i])) return false;
    return true;
}

/* "main+0x12" is "main". */
static fg__slice without_offset(fg__slice s) {
    const char *plus = s.n ? memrchr(s.p, '+', s.n) : NULL;
    if (!plus) return s;
    fg__slice offset = fg__slice_of(plus, s.p + s.n);
    bool is = fg__slice_starts(offset, "+0x") && all_hex(fg__slice_skip(offset, 3));
    return is ? fg__slice_of(s.p, plus) : s;
}

/* How Rust's older mangling writes what a linker symbol cannot have. */
static const struct {
    const char *escape, *text;
} rust_escapes[] = {
    {"$SP$", "@"},  {"$BP$", "*"},   {"$RF$", "&"},  {"$LT$", "<"},  {"$GT$", ">"},  {"$LP$", "("},
    {"$RP$", ")"},  {"$C$", ","},    {"$u7e$", "~"}, {"$u20$", " "}, {"$u27$", "'"}, {"$u3d$", "="},
    {"$u5b$", "["}, {"$u5d$", "]"},  {"$u7b$", "{"}, {"$u7d$", "}"}, {"$u3b$", ";"}, {"$u2b$", "+"},
    {"$u21$", "!"}, {"$u22$", "\""}, {"..", "::"},
};

/* Append the text of the escape that `s` starts with; *used is its length, 0 when there is none. */
static int unescape(size_t *used, fg_ctx *ctx, fg__buffer *out, fg__slice s) {
    *used = 0;
    for (size_t i = 0; i < sizeof rust_escapes / sizeof *rust_escapes; i++) {
        if (!fg__slice_starts(s, rust_escapes[i].escape)) continue;
        *used = strlen(rust_escapes[i].escape);
        return fg__buffer_add(ctx, out, rust_escapes[i].text, strlen(rust_escapes[i].text));
    }
    return 0;
}

/* The length of a Rust symbol without the hash at its end ("::h" and 16 hexadecimal digits); 0: there is
 * none. */
static size_t rust_length(fg__slice s) {
    enum { HASH = 17 };
    if (s.n < HASH) return 0;
    fg__slice hash = fg__slice_skip(s, s.n - HASH), left = {s.p, s.n - HASH};
    if (hash.p[0] != 'h' || !all_hex(fg__slice_skip(hash, 1))) return 0;
    return fg__slice_ends(left, "::") ? left.n - 2 : left.n;
}

int fg__symbol_plain(fg__slice *out, fg_ctx *ctx, fg__buffer *buffer, fg__slice symbol) {
    symbol = without_offset(symbol);
    size_t n = rust_length(symbol);
    *out = symbol;
    if (n == 0) return 0;
    fg__slice s = {symbol.p, n};
    if (fg__slice_starts(s, "_$")) s = fg__slice_skip(s, 1);
    buffer->n = 0;
    while (s.n) {
        size_t used, plain = 0;
        int err = unescape(&used, ctx, buffer, s);
        if (err) return err;
        if (used == 0) {
            if (s.p[0] == '$')
                plain = s.n; /* unknown: what follows stays as it is */
            else
                plain = 1;
            while (plain < s.n && s.p[plain] != '$' && s.p[plain] != '.') plain++;
            err = fg__buffer_add(ctx, buffer, s.p, plain);
            if (err) return err;
        }
        s = fg__slice_skip(s, used + plain);
    }
    *out = (fg__slice){buffer->bytes ? buffer->bytes : "", buffer->n};
    return 0;
}

/* ---- inlined calls ---------------------------------------------------------------------------------------
 */

bool fg__symbol_call(fg__slice *out, fg__slice *calls) {
    if (!calls->p) return false;
    int depth = 0;
    for (size_t i = 0; i < calls->n; i++) {
        char c = calls->p[i];
        bool arrow = c == '-' && i + 1 < calls->n && calls->p[i + 1] == '>';
        if (c == '<' || c == '(' || c == '{' || c == '[')
            depth++;
        else if (c == '>' || c == ')' || c == '}' || c == ']')
            depth--;
        if (!arrow) continue;
        fg__slice call = {calls->p, i};
        if (depth <= 0 && !fg__slice_ends(call, "operator")) {
            *out = call;
            *calls = fg__slice_skip(*calls, i + 2);
            return true;
        }
        i++; /* of a C++ operator or a Rust type */
    }
    *out = *calls;
    *calls = (fg__slice){NULL, 0};
    return true;
}

/* ---- names -----------------------------------------------------------------------------------------------
 */

/*
 * The length of a name without its parameters. Parentheses stay within templates and lambdas, where they name
 * Go's receivers ("http.(*Client).Do"), and where they name C++'s anonymous namespaces.
 */
static size_t without_parameters(fg__slice s) {
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '<':
        case '{':
        case '[': depth++; break;
        case '>':
            if (i && s.p[i - 1] == '-') break; /* an arrow that is left is part of the name */
            __attribute__((fallthrough));
        case '}':
        case ']':
        case ')': depth--; break;
        case '(':
            if (depth == 0 && !(i && s.p[i - 1] == '.') &&
                !fg__slice_starts(fg__slice_skip(s, i), "(anonymous namespace)"))
                return i;
            depth++;
            break;
        default: break;
        }
    }
    return s.n;
}

/* "[libc.so.6]" for what has no symbol; with addresses "[libc.so.6 <7f3a>]". */
static int module_name(fg_ctx *ctx, fg__buffer *name, fg__slice module, fg__slice address) {
    bool addresses = address.n != 0;
    bool none = module.n == 0 || fg__slice_is(module, "[unknown]");
    if (none && !addresses) return fg__buffer_add(ctx, name, "[unknown]", 9);
    const char *slash = module.n ? memrchr(module.p, '/', module.n) : NULL;
    if (slash) module = fg__slice_of(slash + 1, module.p + module.n);
    if (none) module = (fg__slice){"unknown", 7};
    int err = fg__buffer_add(ctx, name, "[", 1);
    if (!err) err = fg__buffer_add(ctx, name, module.p, module.n);
    if (!err && addresses) err = fg__buffer_add(ctx, name, " <", 2);
    if (!err && addresses) err = fg__buffer_add(ctx, name, address.p, address.n);
    if (!err && addresses) err = fg__buffer_add(ctx, name, ">", 1);
    return err ? err : fg__buffer_add(ctx, name, "]", 1);
}

int fg__symbol_name(fg_ctx *ctx, fg__buffer *name, fg__slice call, fg__slice module, fg__slice address,
                    bool java) {
    name->n = 0;
    int err = fg__symbol_unknown(call) ? module_name(ctx, name, module, address)
                                       : fg__buffer_add(ctx, name, call.p, call.n);
    if (err) return err;
    for (size_t i = 0; i < name->n; i++)
        if (name->bytes[i] == ';') name->bytes[i] = ':';
    name->n = without_parameters((fg__slice){name->bytes, name->n});
    bool class = java && name->n && name->bytes[0] == 'L' && memchr(name->bytes, '/', name->n);
    if (class) memmove(name->bytes, name->bytes + 1, --name->n);
    return 0;
}
