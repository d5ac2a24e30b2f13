/* Names: which method has an address, which module has the method. */
#include "formats/nettrace_inside.h"
#include <stdlib.h>

/* ---- text --------------------------------------------------------------------------------------------------------- */

/* One code point as UTF-8; returns how many bytes that is. */
static size_t utf8(char out[4], uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

static bool is_high(uint32_t unit) {
    return (unit & 0xfc00) == 0xd800;
}

int fg__nettrace_text(fg_ctx *ctx, fg__buffer *text, bytes *b) {
    for (uint32_t unit; (unit = take_u16(b)) && !b->wrong;) {
        uint32_t next = is_high(unit) && b->end - b->p >= 2 ? b->p[0] | (uint32_t)b->p[1] << 8 : 0;
        if ((next & 0xfc00) == 0xdc00) {
            unit = 0x10000 + ((unit & 0x3ff) << 10) + (next & 0x3ff);
            b->p += 2;
        }
        char encoded[4];
        int err = fg__buffer_add(ctx, text, encoded, utf8(encoded, unit));
        if (err) return err;
    }
    return fg__buffer_add(ctx, text, "", 1);
}

/* ---- what the events tell ------------------------------------------------------------------------------------------ */

static const char *keep(fg_ctx *ctx, names *n, const char *text) {
    return fg__arena_copy(ctx, &n->arena, text, strlen(text));
}

/* MethodLoadVerbose and MethodDCEndVerbose: identity, module, where, token, flags, namespace, name, signature. */
int fg__nettrace_read_method(fg_ctx *ctx, names *n, bytes *b) {
    method m = {.frame = FG__NONE, .order = (uint32_t)n->method_count};
    take_u64(b);
    m.module = take_u64(b);
    m.start = take_u64(b);
    m.size = take_u32(b);
    take_u64(b);
    n->text.n = 0;
    int err = fg__nettrace_text(ctx, &n->text, b);
    size_t space = n->text.n - 1;
    if (!err && space) n->text.bytes[space] = '.';
    if (!err && !space) n->text.n = 0;
    if (!err) err = fg__nettrace_text(ctx, &n->text, b);
    if (err || b->wrong || m.size == 0) return err;
    m.name = keep(ctx, n, n->text.bytes);
    if (!m.name) return FG_ENOMEM;
    err = fg__grow(ctx, &n->methods, &n->method_cap, n->method_count + 1, sizeof *n->methods);
    if (err) return err;
    n->methods[n->method_count++] = m;
    n->sorted = false;
    return 0;
}

/* ModuleLoad and ModuleDCEnd: identity, assembly, flags, path. */
int fg__nettrace_read_module(fg_ctx *ctx, names *n, bytes *b) {
    module m = {.id = take_u64(b)};
    take_u64(b);
    take_u64(b);
    n->text.n = 0;
    int err = fg__nettrace_text(ctx, &n->text, b);
    if (err || b->wrong) return err;
    const char *path = n->text.bytes, *slash = strrchr(path, path[0] == '/' ? '/' : '\\');
    m.name = keep(ctx, n, slash ? slash + 1 : path);
    if (!m.name) return FG_ENOMEM;
    err = fg__grow(ctx, &n->modules, &n->module_cap, n->module_count + 1, sizeof *n->modules);
    if (err) return err;
    n->modules[n->module_count++] = m;
    n->sorted = false;
    return 0;
}

/* ---- from address to frame ----------------------------------------------------------------------------------------- */

static int order(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

static int by_start(const void *a, const void *b) {
    const method *m = a, *o = b;
    int c = order(m->start, o->start);
    return c ? c : order(m->order, o->order);
}

static int by_id(const void *a, const void *b) {
    return order(((const module *)a)->id, ((const module *)b)->id);
}

static void sort(names *n) {
    if (n->sorted) return;
    if (n->method_count) qsort(n->methods, n->method_count, sizeof *n->methods, by_start);
    if (n->module_count) qsort(n->modules, n->module_count, sizeof *n->modules, by_id);
    n->sorted = true;
}

static const char *module_name(const names *n, uint64_t id) {
    module key = {.id = id};
    const module *found =
        n->module_count ? bsearch(&key, n->modules, n->module_count, sizeof key, by_id) : NULL;
    return found ? found->name : "";
}

static method *find(names *n, uint64_t address) {
    size_t low = 0, high = n->method_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (n->methods[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return NULL;
    method *m = &n->methods[low - 1];
    return address - m->start < m->size ? m : NULL;
}

int fg__nettrace_frame(uint32_t *out, names *n, fg_profile *p, uint64_t address, bool called) {
    sort(n);
    method *m = find(n, address);
    bool stub = !m && called && n->method_count;
    uint32_t *known = m ? &m->frame : stub ? &n->stub : &n->unknown;
    if (*known == FG__NONE) {
        fg_frame frame = {.name = m      ? m->name
                                  : stub ? "[stub]"
                                         : "[unknown]",
                          .module = m ? module_name(n, m->module) : "",
                          .kind = FG_KIND_DOTNET};
        int err = fg_profile_frame(known, p, &frame);
        if (err) return err;
    }
    *out = *known;
    return 0;
}

void fg__nettrace_free_names(fg_ctx *ctx, names *n) {
    fg_free(ctx, n->methods);
    fg_free(ctx, n->modules);
    fg_free(ctx, n->text.bytes);
    fg__arena_free(ctx, &n->arena);
}
