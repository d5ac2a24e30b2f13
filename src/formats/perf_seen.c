/*
 * Lines seen before. A recording prints the same lines over and over: what follows the address of a frame line is
 * looked up here, by one hash and one comparison, and only a line that is new is taken apart. The text is kept, for
 * the window on the input moves on; so memory is bounded by what is different in the text, not by its length.
 */
#include "formats/perf.h"

enum { THREAD, FRAME, JAVA_FRAME };
enum { UNIT = 8 }; /* a line's id is its place in `lines`, in units of this */

/*
 * What a line is looked up by: all of it but the offset into the function, which is dropped anyway and would make a
 * line of each instruction. "parse+0x4 (/bin/a)" is "parse" and "(/bin/a)". The other kinds have no tail.
 */
typedef struct key {
    fg__slice head, tail;
    uint64_t hash;
    int what;
} key;

static uint64_t load64(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The end of the tail and its length do: the head tells lines apart. */
static uint64_t hash_tail(fg__slice s) {
    if (s.n >= sizeof(uint64_t)) return load64(s.p + s.n - sizeof(uint64_t)) + s.n;
    return s.n;
}

static void set_hash(key *k) {
    k->hash = fg__mix(fg__hash(k->head.p, k->head.n) + (uint64_t)k->what, hash_tail(k->tail) ^ 0x9e3779b97f4a7c15u);
}

static key thread_key(fg__slice text) {
    key k = {text, {"", 0}, 0, THREAD};
    set_hash(&k);
    return k;
}

static key frame_key(fg__slice text, bool java) {
    key k = {text, {"", 0}, 0, java ? JAVA_FRAME : FRAME};
    const char *open = text.n ? memrchr(text.p, '(', text.n) : NULL;
    if (open && open - text.p > 4 && open[-1] == ' ') {
        const char *digit = open - 1;
        while (digit > text.p && fg__is_hex(digit[-1])) digit--;
        if (digit < open - 1 && digit - text.p >= 3 && memcmp(digit - 3, "+0x", 3) == 0) {
            k.head.n = (size_t)(digit - 3 - text.p);
            k.tail = fg__slice_of(open, text.p + text.n);
        }
    }
    set_hash(&k);
    return k;
}

static const fg__perf_seen *find(const fg__perf_lines *lines, const key *k) {
    const fg__table *t = &lines->index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, k->hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, k->hash)) continue;
        const fg__perf_seen *s = (const fg__perf_seen *)(const void *)(lines->lines + (size_t)id * UNIT);
        const char *text = (const char *)(s + 1);
        if (s->head == k->head.n && s->tail == k->tail.n && s->what == k->what &&
            memcmp(text, k->head.p, k->head.n) == 0 && memcmp(text + s->head, k->tail.p, k->tail.n) == 0)
            return s;
    }
    return NULL;
}

/* Very long lines are not worth it. */
static int remember(fg__perf_lines *lines, fg__perf_seen *seen, const key *k) {
    size_t at = lines->used, n = k->head.n + k->tail.n, size = (sizeof *seen + n + UNIT - 1) / UNIT * UNIT;
    if (n > FG__STRING_MAX) return 0;
    fg_ctx *ctx = lines->p->ctx;
    if (at / UNIT >= FG__NONE - 1) return fg__fail(ctx, FG_ELIMIT, "more than 32 GiB of different lines");
    int err = fg__grow(ctx, &lines->lines, &lines->cap, at + size, 1);
    if (!err) err = fg__table_add(ctx, &lines->index, k->hash, (uint32_t)(at / UNIT));
    if (err) return err;
    seen->head = (uint32_t)k->head.n;
    seen->tail = (uint32_t)k->tail.n;
    seen->what = (uint8_t)k->what;
    uint8_t *to = lines->lines + at;
    memcpy(to, seen, sizeof *seen);
    if (k->head.n) memcpy(to + sizeof *seen, k->head.p, k->head.n);
    if (k->tail.n) memcpy(to + sizeof *seen + k->head.n, k->tail.p, k->tail.n);
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
    key k = thread_key((fg__slice){line.p, event->thread_end});
    const fg__perf_seen *known = find(lines, &k);
    if (known) {
        *out = *known;
        return 0;
    }
    fg__perf_seen seen = {.java = fg__slice_starts(event->comm, "java")};
    int err = name_thread(lines, event);
    seen.count = lines->name.n > 0;
    if (!err && seen.count) err = intern(&seen.frame, lines, (fg__slice){"", 0}, FG_KIND_UNKNOWN);
    if (!err) err = remember(lines, &seen, &k);
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
    key k = frame_key(text, java);
    const fg__perf_seen *known = find(lines, &k);
    if (FG__LIKELY(known != NULL)) {
        *out = *known;
        return 1;
    }
    fg__perf_frame frame;
    fg__slice symbol;
    if (!fg__perf_frame_parse(&frame, whole)) return 0;
    int err = fg__perf_symbol(&symbol, lines->p->ctx, &lines->symbol, frame.symbol);
    if (err) return err;
    fg__perf_seen seen = {0};
    bool unknown = fg__perf_unknown(symbol);
    seen.unknown = unknown && fg__perf_kind(frame.module) != FG_KIND_UNKNOWN;
    seen.inlined = fg__slice_is(frame.module, "inlined");
    bool process = fg__slice_starts(symbol, "("); /* some versions print the process's name as a frame */
    if (!process) err = intern_calls(&seen, lines, &frame, symbol, java);
    bool own = unknown && lines->options->addresses; /* the address is part of the name */
    if (!err && !own) err = remember(lines, &seen, &k);
    *out = seen;
    return err ? err : 1;
}
