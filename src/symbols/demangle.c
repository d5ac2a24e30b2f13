/* C++ and Rust, by libiberty: names that are somebody else's, so their length and nesting are bounded. */
#include <libiberty/demangle.h>
#include "symbols/module.h"

enum { MANGLED_MAX = 16 << 10, DEMANGLED_MAX = 64 << 10 };

typedef struct sink {
    fg_ctx *ctx;
    fg__buffer *out;
    int err;
} sink;

static void take(const char *text, size_t n, void *user) {
    sink *s = user;
    if (!s->err && s->out->n + n <= DEMANGLED_MAX) s->err = fg__buffer_add(s->ctx, s->out, text, n);
}

/* Rust's older mangling is C++'s with a hash at its end; its newer one begins with _R. */
static bool is_rust(const char *name) {
    enum { HASH = 17 }; /* h and 16 digits */
    if (name[0] == '_' && name[1] == 'R') return true;
    size_t n = strlen(name);
    const char *end = strstr(name, "E.llvm."), *last = end ? end : name + n - 1;
    if (strncmp(name, "_ZN", 3) != 0 || last - name < HASH + 5 || *last != 'E') return false;
    return strncmp(last - HASH - 2, "17h", 3) == 0;
}

/* What is behind a mangled name is passed over by the demangler, but this makes it another function. */
static const char stub[] = "@plt";

static bool is_stub(const char *name) {
    size_t n = strlen(name);
    return n > strlen(stub) && strcmp(name + n - strlen(stub), stub) == 0;
}

bool fg__demangle(fg_ctx *ctx, fg__buffer *out, const char *name, bool *rust) {
    sink s = {ctx, out, 0};
    out->n = 0;
    *rust = is_rust(name);
    if (name[0] != '_' || (name[1] != 'Z' && !*rust) || strlen(name) > MANGLED_MAX) return false;
    int options = DMGL_NO_OPTS; /* as perf has it: neither parameters nor what a template returns */
    bool done = *rust ? rust_demangle_callback(name, options, take, &s)
                      : cplus_demangle_v3_callback(name, options, take, &s);
    if (done && is_stub(name)) take(stub, strlen(stub), &s);
    return done && !s.err && out->n;
}
