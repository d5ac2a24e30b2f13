/*
 * Lines seen before. A recording prints the same lines over and over: what follows the address of a frame line is
 * looked up here, by one hash and one comparison, and only a line that is new is taken apart. The text is kept, for
 * the window on the input moves on; so memory is bounded by what is different in the text, not by its length.
 */
#include "formats/perf.h"

enum { THREAD, FRAME, JAVA_FRAME };
enum { UNIT = 8 }; /* a line's id is its place in `lines`, in units of this */

static uint64_t hash_line(int what, fg__slice text) {
    return fg__hash(text.p, text.n) + (uint64_t)what * 0x9e3779b97f4a7c15u;
}

static const fg__perf_seen *find(const fg__perf_lines *lines, int what, fg__slice text, uint64_t hash) {
    const fg__table *t = &lines->index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, hash); (id = fg__table_id(t, at)) != FG__NONE; at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, hash)) continue;
        const fg__perf_seen *s = (const fg__perf_seen *)(const void *)(lines->lines + (size_t)id * UNIT);
        if (s->n == text.n && s->what == what && memcmp(s + 1, text.p, text.n) == 0) return s;
    }
    return NULL;
}

/* Very long lines are not worth it. */
static int remember(fg__perf_lines *lines, const fg__perf_seen *seen, fg__slice text, uint64_t hash) {
    if (text.n > FG__STRING_MAX) return 0;
    fg_ctx *ctx = lines->p->ctx;
    size_t at = lines->used, size = (sizeof *seen + text.n + UNIT - 1) / UNIT * UNIT;
    if (at / UNIT >= FG__NONE - 1) return fg__fail(ctx, FG_ELIMIT, "more than 32 GiB of different lines");
    int err = fg__grow(ctx, &lines->lines, &lines->cap, at + size, 1);
    if (!err) err = fg__table_add(ctx, &lines->index, hash, (uint32_t)(at / UNIT));
    if (err) return err;
    memcpy(lines->lines + at, seen, sizeof *seen);
    if (text.n) memcpy(lines->lines + at + sizeof *seen, text.p, text.n);
    lines->used += size;
    return 0;
}

void fg__perf_lines_free(fg__perf_lines *lines) {
    void *owned[] = {lines->lines, lines->index.slots, lines->inlined, lines->symbol.bytes, lines->name.bytes};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(lines->p->ctx, owned[i]);
}

/* Intern a frame that is named by the scratch buffer. */
static int intern(uint32_t *out, fg__perf_lines *lines, fg__slice module, fg_kind kind) {
    fg__frame f = {.kind = (uint32_t)kind};
    const char *name = lines->name.n ? lines->name.bytes : "";
    int err = fg__string_intern(&f.name, lines->p, name, lines->name.n);
    if (!err) err = fg__string_intern(&f.module, lines->p, module.p, module.n);
    return err ? err : fg__frame_intern(out, lines->p, &f);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

/* "V8_Worker", or "V8_Worker-12", or "V8_Worker-12/34". */
static int name_thread(fg__perf_lines *lines, const fg__perf_event *e) {
    const fg_read_options *o = lines->options;
    bool pid = o->with_pid || o->with_tid, tid = o->with_tid;
    const fg__slice parts[] = {e->comm, {"-", pid}, {e->pid.p, pid ? e->pid.n : 0}, {"/", tid},
                               {e->tid.p, tid ? e->tid.n : 0}};
    fg__buffer *name = &lines->name;
    name->n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int err = parts[i].n ? fg__buffer_add(lines->p->ctx, name, parts[i].p, parts[i].n) : 0;
        if (err) return err;
    }
    for (size_t i = 0; i < e->comm.n; i++)
        if (name->bytes[i] == ' ') name->bytes[i] = '_';
    return 0;
}

int fg__perf_thread(fg__perf_seen *out, fg__perf_lines *lines, const fg__perf_event *event, fg__slice line) {
    fg__slice text = {line.p, event->thread_end};
    uint64_t hash = hash_line(THREAD, text);
    const fg__perf_seen *known = find(lines, THREAD, text, hash);
    if (known) {
        *out = *known;
        return 0;
    }
    fg__perf_seen seen = {.n = (uint32_t)text.n, .what = THREAD};
    seen.java = fg__slice_starts(event->comm, "java");
    int err = name_thread(lines, event);
    seen.count = lines->name.n > 0;
    if (!err && seen.count) err = intern(&seen.frame, lines, (fg__slice){"", 0}, FG_KIND_UNKNOWN);
    if (!err) err = remember(lines, &seen, text, hash);
    *out = seen;
    return err;
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* A name that has its mark already gets no second one. */
static fg_kind kind_of(const fg__perf_lines *lines, fg__slice module, bool inlined) {
    fg__slice name = {lines->name.bytes, lines->name.n};
    fg_kind kind = inlined ? FG_KIND_INLINED : fg__perf_kind(module);
    const char *mark = kind == FG_KIND_INLINED ? "_[i]" : kind == FG_KIND_JIT ? "_[j]" : NULL;
    return mark && name.n && fg__slice_has(name, mark) ? FG_KIND_UNKNOWN : kind;
}

static int push_call(fg__perf_lines *lines, uint32_t frame) {
    int err = fg__grow(lines->p->ctx, &lines->inlined, &lines->inlined_cap, lines->inlined_count + 1,
                       sizeof *lines->inlined);
    if (!err) lines->inlined[lines->inlined_count++] = frame;
    return err;
}

static void reverse(uint32_t *ids, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t id = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = id;
    }
}

/* Intern the calls of a symbol. They are printed outermost first; a stack is filled innermost first. */
static int intern_calls(fg__perf_seen *seen, fg__perf_lines *lines, const fg__perf_frame *frame, fg__slice calls,
                        bool java) {
    fg_profile *p = lines->p;
    size_t start = lines->inlined_count;
    fg__slice call;
    uint32_t id = 0;
    while (fg__perf_call(&call, &calls)) {
        int err = fg__perf_name(p->ctx, &lines->name, call, frame, java, lines->options->addresses);
        if (err) return err;
        fg_kind kind = kind_of(lines, frame->module, seen->count > 0);
        if (kind == FG_KIND_INLINED) p->annotations |= 1u << FG_KIND_INLINED;
        err = intern(&id, lines, frame->module, kind);
        if (!err) err = push_call(lines, id);
        if (err) return err;
        seen->count++;
    }
    seen->frame = (uint32_t)start;
    reverse(lines->inlined + start, seen->count);
    if (seen->count == 1) {
        seen->frame = id;
        lines->inlined_count = start;
    }
    return 0;
}

int fg__perf_frames(fg__perf_seen *out, fg__perf_lines *lines, fg__slice whole, fg__slice text, bool java) {
    int what = java ? JAVA_FRAME : FRAME;
    uint64_t hash = hash_line(what, text);
    const fg__perf_seen *known = find(lines, what, text, hash);
    if (FG__LIKELY(known != NULL)) {
        *out = *known;
        return 1;
    }
    fg__perf_frame frame;
    fg__slice symbol;
    if (!fg__perf_frame_parse(&frame, whole)) return 0;
    int err = fg__perf_symbol(&symbol, lines->p->ctx, &lines->symbol, frame.symbol);
    if (err) return err;
    fg__perf_seen seen = {.n = (uint32_t)text.n, .what = (uint8_t)what};
    bool unknown = fg__perf_unknown(symbol);
    seen.unknown = unknown && fg__perf_kind(frame.module) != FG_KIND_UNKNOWN;
    seen.inlined = fg__slice_is(frame.module, "inlined");
    bool process = fg__slice_starts(symbol, "("); /* some versions print the process's name as a frame */
    if (!process) err = intern_calls(&seen, lines, &frame, symbol, java);
    bool own = unknown && lines->options->addresses; /* the address is part of the name */
    if (!err && !own) err = remember(lines, &seen, text, hash);
    *out = seen;
    return err ? err : 1;
}
