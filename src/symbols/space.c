/* Spaces: mappings by address, none over another. */
#include "symbols/module.h"

int fg__space_new(fg__space **out, fg__symbols *symbols, uint32_t pid, bool live) {
    fg_ctx *ctx = symbols->ctx;
    int err = fg__grow(ctx, &symbols->spaces, &symbols->space_cap, symbols->space_count + 1,
                       sizeof *symbols->spaces);
    if (err) return err;
    fg__space *space = fg__calloc(ctx, 1, sizeof *space);
    if (!space) return FG_ENOMEM;
    space->symbols = symbols;
    space->pid = pid;
    space->live = live;
    symbols->spaces[symbols->space_count++] = *out = space;
    return 0;
}

int fg__space_copy(fg__space **out, fg__space *from, uint32_t pid) {
    fg__space *space;
    fg_ctx *ctx = from->symbols->ctx;
    int err = fg__space_new(&space, from->symbols, pid, from->live);
    if (!err) err = fg__grow(ctx, &space->areas, &space->cap, from->count, sizeof *space->areas);
    if (!err && from->dumps.n) err = fg__buffer_add(ctx, &space->dumps, from->dumps.bytes, from->dumps.n);
    if (err) return err; /* the space is the symbols' already */
    if (from->count) memcpy(space->areas, from->areas, from->count * sizeof *space->areas);
    space->count = from->count;
    *out = space;
    return 0;
}

void fg__space_clear(fg__space *space) {
    space->count = 0;
    space->dumps.n = 0;
    space->jit_read = false;
}

/* The first area that ends behind the address. */
static size_t first_behind(const fg__space *space, uint64_t address) {
    size_t low = 0, high = space->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (space->areas[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const fg__area *fg__space_area(const fg__space *space, uint64_t address) {
    size_t i = first_behind(space, address);
    return i < space->count && space->areas[i].start <= address ? &space->areas[i] : NULL;
}

bool fg__space_mapped(const fg__space *space, uint64_t address) {
    return fg__space_area(space, address) != NULL;
}

/* Replace what is in [start, end) by one area, keeping what sticks out on both sides. */
static int replace(fg__space *space, const fg__area *area) {
    size_t from = first_behind(space, area->start), to = from;
    fg__area pieces[3];
    size_t n = 0;
    while (to < space->count && space->areas[to].start < area->end) to++;
    if (to > from && space->areas[from].start < area->start) {
        pieces[n] = space->areas[from];
        pieces[n++].end = area->start;
    }
    pieces[n++] = *area;
    if (to > from && space->areas[to - 1].end > area->end) {
        pieces[n] = space->areas[to - 1];
        pieces[n].offset += area->end - pieces[n].start;
        pieces[n++].start = area->end;
    }
    size_t behind = space->count - to;
    int err =
        fg__grow(space->symbols->ctx, &space->areas, &space->cap, from + n + behind, sizeof *space->areas);
    if (err) return err;
    memmove(space->areas + from + n, space->areas + to, behind * sizeof *space->areas);
    memcpy(space->areas + from, pieces, n * sizeof *pieces);
    space->count = from + n + behind;
    return 0;
}

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* Memory in which a JIT may put code, and memory that is no file and has no code that anybody describes. */
static fg__module_kind_of kind_of(const char *path) {
    static const char *const jit[] = {"//anon", "/dev/zero", "/anon_hugepage", "/memfd:", "[anon", "/SYSV"};
    if (!*path) return FG__MODULE_JIT;
    for (size_t i = 0; i < sizeof jit / sizeof *jit; i++)
        if (starts(path, jit[i])) return FG__MODULE_JIT;
    bool special = path[0] == '[' && strcmp(path, "[vdso]") != 0;
    return special ? FG__MODULE_ANONYMOUS : FG__MODULE_FILE;
}

static bool is_jitdump(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t n = strlen(path);
    return slash && starts(slash, "/jit-") && n > 5 && strcmp(path + n - 5, ".dump") == 0;
}

int fg__space_map(fg__space *space, const fg__mapping *mapping) {
    if (mapping->start >= mapping->end) return 0;
    fg_ctx *ctx = space->symbols->ctx;
    if (is_jitdump(mapping->path)) { /* a sign for profilers: nothing in it is executed */
        space->jit_read = false;
        return fg__buffer_add(ctx, &space->dumps, mapping->path, strlen(mapping->path) + 1);
    }
    fg__module_kind_of is = kind_of(mapping->path);
    fg__module *m =
        is == FG__MODULE_JIT ? fg__space_jit(space) : fg__symbols_module(space->symbols, is, mapping, space);
    if (!m) return FG_ENOMEM;
    int err = space->live ? fg__module_open(m) : 0;
    return err ? err : replace(space, &(fg__area){mapping->start, mapping->end, mapping->offset, m});
}

bool fg__space_sized(uint64_t *address, uint64_t *size, fg__space *space, const char *module,
                     const char *name) {
    for (size_t i = 0; i < space->count; i++) {
        const fg__area *area = &space->areas[i];
        fg__module *m = area->module;
        size_t n = strlen(m->path), wanted = module ? strlen(module) : 0;
        if (m->is != FG__MODULE_FILE || wanted > n || (module && strcmp(m->path + n - wanted, module) != 0))
            continue;
        uint64_t at;
        if (!fg__module_symbol(&at, size, m, name)) continue;
        *address = area->start + (at - fg__module_address(m, area->offset));
        return true;
    }
    return false;
}

bool fg__space_symbol(uint64_t *address, fg__space *space, const char *module, const char *name) {
    uint64_t size;
    return fg__space_sized(address, &size, space, module, name);
}
