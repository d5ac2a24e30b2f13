/* Interned frames: the same (name, file, module, line, kind) is the same id. */
#include "core/core.h"

static const char *const kind_names[FG_KIND_COUNT] = {
    [FG_KIND_UNKNOWN] = "unknown", [FG_KIND_NATIVE] = "native",   [FG_KIND_KERNEL] = "kernel",
    [FG_KIND_JIT] = "jit",         [FG_KIND_INLINED] = "inlined", [FG_KIND_JS] = "js",
    [FG_KIND_PYTHON] = "python",   [FG_KIND_RUST] = "rust",       [FG_KIND_GO] = "go",
    [FG_KIND_DOTNET] = "dotnet",   [FG_KIND_JAVA] = "java",       [FG_KIND_WAITING] = "waiting",
};

const char *fg_kind_name(fg_kind kind) {
    return (unsigned)kind < FG_KIND_COUNT ? kind_names[kind] : kind_names[FG_KIND_UNKNOWN];
}

int fg__frame_intern(uint32_t *out, fg_profile *p, const fg__frame *frame) {
    uint64_t hash = fg__hash(frame, sizeof *frame);
    const fg__table *t = &p->frame_index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, hash) || memcmp(&p->frames[id], frame, sizeof *frame) != 0) continue;
        *out = id;
        return 0;
    }
    if (p->frame_count >= FG__NONE - 1)
        return fg__fail(p->ctx, FG_ELIMIT, "more than 4 billion different frames");
    int err = fg__grow(p->ctx, &p->frames, &p->frame_cap, p->frame_count + 1, sizeof *p->frames);
    if (err) return err;
    id = (uint32_t)p->frame_count;
    err = fg__table_add(p->ctx, &p->frame_index, hash, id);
    if (err) return err;
    p->frames[p->frame_count++] = *frame;
    *out = id;
    return 0;
}

static int intern_text(uint32_t *out, fg_profile *p, const char *text) {
    return fg__string_intern(out, p, text ? text : "", text ? strlen(text) : 0);
}

int fg_profile_frame(uint32_t *out, fg_profile *p, const fg_frame *frame) {
    if ((unsigned)frame->kind >= FG_KIND_COUNT)
        return fg__fail(p->ctx, FG_EINVAL, "frame kind %d does not exist", (int)frame->kind);
    fg__frame f = {.line = frame->line, .kind = (uint32_t)frame->kind};
    int err = intern_text(&f.name, p, frame->name);
    if (!err) err = intern_text(&f.file, p, frame->file);
    if (!err) err = intern_text(&f.module, p, frame->module);
    return err ? err : fg__frame_intern(out, p, &f);
}

fg_frame fg_profile_frame_at(const fg_profile *p, uint32_t id) {
    if (id >= p->frame_count) return (fg_frame){"", "", "", 0, FG_KIND_UNKNOWN};
    const fg__frame *f = &p->frames[id];
    return (fg_frame){p->strings[f->name].bytes, p->strings[f->file].bytes, p->strings[f->module].bytes,
                      f->line, (fg_kind)f->kind};
}

size_t fg_profile_frame_count(const fg_profile *p) {
    return p->frame_count;
}

uint32_t *fg__frame_map(fg_ctx *ctx, const fg_profile *from) {
    return fg__no_ids(ctx, from->frame_count);
}

static int import_text(uint32_t *out, fg_profile *to, const fg_profile *from, uint32_t id) {
    return fg__string_intern(out, to, from->strings[id].bytes, from->strings[id].n);
}

int fg__frame_import(uint32_t *out, fg_profile *to, const fg_profile *from, uint32_t id, uint32_t *map) {
    if (map[id] == FG__NONE) {
        fg__frame f = from->frames[id];
        int err = import_text(&f.name, to, from, f.name);
        if (!err) err = import_text(&f.file, to, from, f.file);
        if (!err) err = import_text(&f.module, to, from, f.module);
        if (!err) err = fg__frame_intern(&map[id], to, &f);
        if (err) return err;
    }
    *out = map[id];
    return 0;
}
