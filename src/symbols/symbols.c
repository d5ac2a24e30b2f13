/* Modules by path, and frames for places in them. */
#include <stdio.h>
#include "symbols/module.h"
#include "symbols/names.h"

int fg__symbols_new(fg__symbols **out, fg_ctx *ctx, fg_profile *profile, const fg__symbols_options *options) {
    fg__symbols *s = fg__calloc(ctx, 1, sizeof *s);
    if (!s) return FG_ENOMEM;
    s->ctx = ctx;
    s->profile = profile;
    if (options) s->options = *options;
    *out = s;
    return 0;
}

void fg__symbols_free(fg__symbols *s) {
    if (!s) return;
    fg_ctx *ctx = s->ctx;
    for (size_t i = 0; i < s->module_count; i++) fg__module_close(s->modules[i]);
    for (size_t i = 0; i < s->space_count; i++) {
        fg_free(ctx, s->spaces[i]->areas);
        fg_free(ctx, s->spaces[i]->dumps.bytes);
        fg_free(ctx, s->spaces[i]);
    }
    fg__kernel_free(ctx, s->kernel_tables);
    fg_free(ctx, s->modules);
    fg_free(ctx, s->module_index.slots);
    fg_free(ctx, s->spaces);
    fg_free(ctx, s->places);
    fg_free(ctx, s->place_index.slots);
    fg_free(ctx, s->frames);
    fg_free(ctx, s->name.bytes);
    fg_free(ctx, s->plain.bytes);
    fg_free(ctx, s);
}

void fg__symbols_set_kernel(fg__symbols *s, const uint8_t *build_id, size_t size, uint64_t text) {
    if (size > FG__BUILD_ID_MAX) size = FG__BUILD_ID_MAX;
    if (size) memcpy(s->kernel_identity.build_id, build_id, size);
    s->kernel_identity.build_id_size = size;
    s->kernel_text = text;
}

/* ---- modules ------------------------------------------------------------------------------------------- */

static fg__identity identity_of(const fg__mapping *mapping) {
    fg__identity id = {.major = mapping->major, .minor = mapping->minor, .inode = mapping->inode};
    id.build_id_size = mapping->build_id_size < FG__BUILD_ID_MAX ? mapping->build_id_size : FG__BUILD_ID_MAX;
    if (id.build_id_size) memcpy(id.build_id, mapping->build_id, id.build_id_size);
    return id;
}

/* The same path is the same file, unless something that is known of both says otherwise. */
static bool is_same(const fg__module *m, fg__module_kind_of is, const fg__mapping *mapping,
                    const fg__identity *id) {
    const fg__identity *own = &m->identity;
    if (m->is != is || strcmp(m->path, mapping->path) != 0) return false;
    if (own->build_id_size && id->build_id_size)
        return own->build_id_size == id->build_id_size &&
               memcmp(own->build_id, id->build_id, id->build_id_size) == 0;
    if (!own->inode || !id->inode) return true;
    return own->inode == id->inode && own->major == id->major && own->minor == id->minor;
}

static fg__module *new_module(fg__symbols *s, const char *path) {
    if (fg__grow(s->ctx, &s->modules, &s->module_cap, s->module_count + 1, sizeof *s->modules)) return NULL;
    size_t n = strlen(path);
    fg__module *m = fg__calloc(s->ctx, 1, sizeof *m);
    char *copy = m ? fg__alloc(s->ctx, n + 1) : NULL;
    if (!copy) {
        fg_free(s->ctx, m);
        return NULL;
    }
    m->symbols = s;
    m->path = memcpy(copy, path, n + 1);
    s->modules[s->module_count++] = m;
    return m;
}

fg__module *fg__symbols_module(fg__symbols *s, fg__module_kind_of is, const fg__mapping *mapping,
                               const fg__space *space) {
    fg__identity id = identity_of(mapping);
    uint64_t hash = fg__hash(mapping->path, strlen(mapping->path));
    const fg__table *t = &s->module_index;
    uint32_t i;
    for (uint32_t at = fg__table_first(t, hash); (i = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at))
        if (fg__table_maybe(t, at, hash) && is_same(s->modules[i], is, mapping, &id)) return s->modules[i];
    fg__module *m = new_module(s, mapping->path);
    if (!m || fg__table_add(s->ctx, &s->module_index, hash, (uint32_t)(s->module_count - 1))) return NULL;
    m->is = is;
    m->identity = id;
    m->pid = space ? space->pid : 0;
    m->live = space && space->live;
    m->start = mapping->start;
    m->end = mapping->end;
    return m;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static fg__slice slice(const char *text) {
    return (fg__slice){text, strlen(text)};
}

static int add_frame(fg__symbols *s, uint32_t frame) {
    int err = fg__grow(s->ctx, &s->frames, &s->frame_cap, s->frame_count + 1, sizeof *s->frames);
    if (!err) s->frames[s->frame_count++] = frame;
    return err;
}

static fg_kind kind_of(const fg__module *m, bool rust) {
    switch (m->is) {
    case FG__MODULE_KERNEL: return FG_KIND_KERNEL;
    case FG__MODULE_JIT: return FG_KIND_JIT;
    default:
        return m->path[0] == '[' && strcmp(m->path, "[vdso]") != 0 ? FG_KIND_KERNEL
               : rust                                              ? FG_KIND_RUST
               : m->go                                             ? FG_KIND_GO
                                                                   : FG_KIND_NATIVE;
    }
}

/* Intern the name in s->name. `call` may have a file and a line. */
static int intern(uint32_t *out, fg__symbols *s, fg__slice module, const fg__call *call, fg_kind kind) {
    fg__frame f = {.kind = (uint32_t)kind};
    int err = fg__string_intern(&f.name, s->profile, s->name.bytes ? s->name.bytes : "", s->name.n);
    if (!err) err = fg__string_intern(&f.module, s->profile, module.p, module.n);
    const char *file = call && call->file ? call->file : "";
    if (!err) err = fg__string_intern(&f.file, s->profile, file, strlen(file));
    if (call && s->options.lines) f.line = call->line;
    return err ? err : fg__frame_intern(out, s->profile, &f);
}

/* A name as the linker has it, made fit to be read, in s->plain. */
static int plain_name(fg__slice *out, fg__symbols *s, const char *name, bool *rust) {
    bool mangled = fg__demangle(s->ctx, &s->name, name, rust);
    if (s->options.mangled || !mangled) {
        *out = slice(name);
        return 0;
    }
    return fg__symbol_plain(out, s->ctx, &s->plain, (fg__slice){s->name.bytes, s->name.n});
}

/* The frames of a name that a JIT may have made of several: "a->b", outermost first. */
static int add_calls(fg__symbols *s, fg__module *m, fg__slice module, fg__slice name, const fg__call *call) {
    size_t first = s->frame_count;
    fg__slice part;
    uint32_t frame;
    while (fg__symbol_call(&part, &name)) {
        fg_kind kind = s->frame_count > first ? FG_KIND_INLINED : kind_of(m, false);
        int err = fg__symbol_name(s->ctx, &s->name, part, module, (fg__slice){"", 0}, false);
        if (!err) err = intern(&frame, s, module, call, kind);
        if (!err) err = add_frame(s, frame);
        if (err) return err;
    }
    for (size_t i = first, j = s->frame_count; i + 1 < j; i++) {
        frame = s->frames[i];
        s->frames[i] = s->frames[--j];
        s->frames[j] = frame;
    }
    return 0;
}

/* The frame of a symbol or of an inlined call; `name` ends in a NUL. */
static int add_named(fg__symbols *s, fg__module *m, fg__slice module, const char *name, const fg__call *call,
                     bool inlined) {
    fg__slice plain;
    bool rust;
    uint32_t frame;
    int err = plain_name(&plain, s, name, &rust);
    if (!err) err = fg__symbol_name(s->ctx, &s->name, plain, module, (fg__slice){"", 0}, false);
    fg_kind kind = inlined ? FG_KIND_INLINED : kind_of(m, rust);
    if (!err) err = intern(&frame, s, module, call, kind);
    return err ? err : add_frame(s, frame);
}

/* "[libc.so.6]"; what has brackets already, as the kernel and the stack, gets no second ones. */
static int add_unknown(fg__symbols *s, const fg__module *m, uint64_t address) {
    char hex[24] = "";
    uint32_t frame;
    if (s->options.addresses) snprintf(hex, sizeof hex, "%llx", (unsigned long long)address);
    fg__slice module = slice(m ? m->path : ""), shown = module;
    if (fg__slice_starts(shown, "[") && fg__slice_ends(shown, "]"))
        shown = fg__slice_skip((fg__slice){shown.p, shown.n - 1}, 1);
    int err = fg__symbol_name(s->ctx, &s->name, slice("[unknown]"), shown, slice(hex), false);
    if (!err) err = intern(&frame, s, module, NULL, m ? kind_of(m, false) : FG_KIND_UNKNOWN);
    return err ? err : add_frame(s, frame);
}

/* A symbol of a JIT. */
static int add_jit(fg__symbols *s, fg__module *m, const fg__symbol *symbol, uint64_t address) {
    const fg__jit_line *line = fg__jit_line_at(m, address, symbol->start);
    fg__call call = {.file = line ? line->file : NULL, .line = line ? line->line : 0};
    return add_calls(s, m, slice(m->path), (fg__slice){symbol->name, symbol->n}, &call);
}

/* The room that the kernel leaves in front of a function: nothing runs there. */
static bool is_padding(const fg__kernel_function *f) {
    return f->found && fg__slice_starts((fg__slice){f->symbol.name, f->symbol.n}, "__pfx_");
}

static int add_kernel(fg__symbols *s, fg__module *m, uint64_t address) {
    fg__kernel_function f;
    int err = fg__kernel_find(&f, s, address);
    /* taken for a call's return address, and is none: the function was interrupted at its first instruction */
    if (!err && is_padding(&f)) err = fg__kernel_find(&f, s, address + 1);
    m->asked++;
    if (err || !f.found) return err ? err : add_unknown(s, m, address);
    return add_calls(s, m, f.module.n ? f.module : slice(m->path), (fg__slice){f.symbol.name, f.symbol.n},
                     NULL);
}

static int add_from_dwarf(fg__symbols *s, fg__module *m, const fg__symbol *symbol, uint64_t address) {
    const fg__call *calls = NULL;
    size_t n = 0;
    int err = fg__dwarf_calls(&calls, &n, m, address);
    size_t first = s->options.inlined || n == 0 ? 0 : n - 1;
    if (n &&
        first) { /* one frame for all of them: the line is that of the innermost call's caller, in the function */
        return add_named(s, m, slice(m->path), symbol->name, &calls[n - 1], false);
    }
    for (size_t i = 0; i + 1 < n && !err; i++)
        if (calls[i].name) err = add_named(s, m, slice(m->path), calls[i].name, &calls[i], true);
    return err ? err : add_named(s, m, slice(m->path), symbol->name, n ? &calls[n - 1] : NULL, false);
}

/* Make the frames of a place, behind those that there are. */
static int make_frames(fg__symbols *s, fg__module *m, uint64_t address, uint64_t shown) {
    if (m->is == FG__MODULE_KERNEL) return add_kernel(s, m, address);
    int err = fg__module_read_table(m);
    fg__symbol *symbol = err ? NULL : fg__symbol_table_find(&m->table, address);
    if (err) return err;
    m->asked++;
    if (!symbol) return add_unknown(s, m, shown);
    bool dwarf = (s->options.inlined || s->options.lines) && m->is == FG__MODULE_FILE;
    if (dwarf) return add_from_dwarf(s, m, symbol, address);
    if (m->is != FG__MODULE_FILE) return add_jit(s, m, symbol, address);
    if (symbol->frame != FG__NONE) return add_frame(s, symbol->frame);
    err = add_named(s, m, slice(m->path), symbol->name, NULL, false);
    if (!err) symbol->frame = s->frames[s->frame_count - 1];
    return err;
}

/* ---- places -------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const fg__module *m, uint64_t address) {
    return fg__mix(address ^ 0x9e3779b97f4a7c15u,
                   (uint64_t)(uintptr_t)m ^ 0xd6e8feb86659fd93u ^ m->generation);
}

static int find_place(uint32_t *out, fg__symbols *s, fg__module *m, uint64_t address, uint64_t shown) {
    uint64_t hash = hash_of(m, address);
    const fg__table *t = &s->place_index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        const fg__place *p = &s->places[id];
        if (!fg__table_maybe(t, at, hash) || p->address != address) continue;
        if (p->module != m || p->generation != m->generation) continue;
        *out = id;
        return 0;
    }
    size_t from = s->frame_count;
    int err = fg__grow(s->ctx, &s->places, &s->place_cap, s->place_count + 1, sizeof *s->places);
    if (!err) err = make_frames(s, m, address, shown);
    if (!err && s->frame_count > UINT32_MAX)
        err = fg__fail(s->ctx, FG_ELIMIT, "more than 4 billion places in code");
    if (!err) err = fg__table_add(s->ctx, &s->place_index, hash, (uint32_t)s->place_count);
    if (err) return err;
    *out = (uint32_t)s->place_count;
    s->places[s->place_count++] =
        (fg__place){m, address, m->generation, (uint32_t)from, (uint32_t)(s->frame_count - from)};
    return 0;
}

/* An address in nothing that is known. */
static int no_module(const uint32_t **frames, size_t *n, fg__symbols *s, uint64_t address) {
    size_t from = s->frame_count;
    int err = add_unknown(s, NULL, address);
    if (err) return err;
    s->one = s->frames[from];
    s->frame_count = from;
    *frames = &s->one;
    *n = 1;
    return 0;
}

/* The module that an address belongs to, and the module's own address of it; NULL: none. */
static int locate(fg__module **out, uint64_t *own, fg__space *space, uint64_t address) {
    fg__symbols *s = space->symbols;
    *out = NULL;
    *own = address;
    if (fg__is_kernel_address(address)) return fg__symbols_kernel(out, s);
    const fg__area *area = fg__space_area(space, address);
    fg__module *m = area ? area->module : NULL;
    int err = 0;
    if (m && m->is == FG__MODULE_JIT && !space->jit_read) err = fg__space_read_jit(space);
    if (m && m->is == FG__MODULE_FILE) {
        err = fg__module_open(m);
        *own = fg__module_address(m, address - area->start + area->offset);
    }
    *out = m;
    return err;
}

int fg__space_frames(const uint32_t **frames, size_t *n, fg__space *space, uint64_t address, bool returning) {
    fg__symbols *s = space->symbols;
    fg__module *m;
    uint64_t own;
    uint32_t id;
    int err = locate(&m, &own, space, address - (returning && address)); /* nothing is before 0 */
    if (err) return err;
    if (!m) return no_module(frames, n, s, address);
    err = find_place(&id, s, m, own, address);
    if (err) return err;
    *frames = s->frames + s->places[id].from;
    *n = s->places[id].count;
    return 0;
}

/* ---- notes --------------------------------------------------------------------------------------------- */

static const char *trouble_of(const fg__module *m) {
    switch (m->state) {
    case FG__MODULE_MISSING: return "is not to be found or not to be read here";
    case FG__MODULE_REPLACED:
        return "is not the file that was running: it has been replaced or deleted since";
    case FG__MODULE_NOT_ELF: return "is no ELF file";
    default: return NULL;
    }
}

static int note_kernel(fg__symbols *s) {
    if (!s->kernel || !s->kernel->asked) return 0;
    if (s->kernel_is == FG__KERNEL_HIDDEN)
        return fg_profile_note(
            s->profile, "the kernel hides its symbols from this user: as root, `sysctl "
                        "kernel.kptr_restrict=1` and run this as root, or `sysctl kernel.kptr_restrict=0`");
    if (s->kernel_is == FG__KERNEL_OTHER)
        return fg_profile_note(s->profile, "another kernel runs here now: kernel addresses have no names");
    return 0;
}

int fg__symbols_notes(fg__symbols *s) {
    enum { MOST = 5 };
    size_t said = 0, more = 0;
    int err = note_kernel(s);
    for (size_t i = 0; i < s->module_count && !err; i++) {
        const fg__module *m = s->modules[i];
        const char *trouble = m->is == FG__MODULE_FILE && m->asked ? trouble_of(m) : NULL;
        if (!trouble) continue;
        if (said++ < MOST)
            err = fg_profile_note(s->profile, "%s %s: its functions have no names", m->path, trouble);
        else
            more++;
    }
    if (!err && more)
        err = fg_profile_note(s->profile, "%zu more binaries have no names for their functions", more);
    return err;
}
