/*
 * Lines seen before. A recording prints the same lines over and over, so none is taken apart twice:
 *
 *      index    lines without their address and offset, by a hash of them
 *      recent   the same lines by the address in front of them: the address says where to look, the text
 * decides
 *
 *                  \t    7f3a20 parse+0x4 (/usr/bin/a)           line
 *                        recent │      └──┐
 *                               ▼         ▼
 *      entries  … │ seen "parse+0x" " (/usr/bin/a)" │ …         what it stands for, and its text
 *
 * The text is kept, for the window on the input moves on. Names are compared, never trusted to a hash. Memory
 * is bounded by what is different in the text, not by its length.
 */
#include "formats/perf.h"
#include "formats/wide.h"

enum { THREAD, FRAME, JAVA_FRAME };
enum { UNIT = 8 }; /* an entry's id is its place in `entries`, in units of this */
enum { RECENT_MOST = 1 << 17, OFFSET_MOST = 8 };

/* A line and what it stands for; its text follows. */
typedef struct entry {
    fg__perf_seen seen;
    uint32_t head, tail, what; /* of its key */
} entry;

/*
 * What a line is looked up by: all of it but the offset into the function, which is dropped anyway and would
 * make a line of each instruction. "parse+0x4 (/bin/a)" is "parse+0x" and " (/bin/a)". Other lines have no
 * tail.
 */
typedef struct key {
    fg__slice head, tail;
    uint64_t hash;
    uint32_t what;
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
    k->hash = fg__mix(fg__hash(k->head.p, k->head.n) + k->what, hash_tail(k->tail) ^ 0x9e3779b97f4a7c15u);
}

static key thread_key(fg__slice text) {
    key k = {text, {"", 0}, 0, THREAD};
    set_hash(&k);
    return k;
}

static key frame_key(fg__slice text, bool java) {
    key k = {text, {"", 0}, 0, java ? JAVA_FRAME : FRAME};
    const char *open = text.n ? memrchr(text.p, '(', text.n) : NULL, *end = text.p + text.n;
    if (open && open - text.p > 4 && open[-1] == ' ') {
        const char *digit = open - 1;
        while (digit > text.p && fg__is_hex(digit[-1])) digit--;
        bool offset = digit < open - 1 && digit - text.p >= 3 && memcmp(digit - 3, "+0x", 3) == 0;
        if (offset && memchr(open, ')', (size_t)(end - open)) == end - 1) {
            k.head.n = (size_t)(digit - text.p);
            k.tail = fg__slice_of(open - 1, end);
        }
    }
    set_hash(&k);
    return k;
}

static const entry *entry_at(const fg__perf_lines *lines, uint32_t id) {
    return (const entry *)(const void *)(lines->entries + (size_t)id * UNIT);
}

static uint32_t find(const fg__perf_lines *lines, const key *k) {
    const fg__table *t = &lines->index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, k->hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, k->hash)) continue;
        const entry *e = entry_at(lines, id);
        const char *text = (const char *)(e + 1);
        if (e->head == k->head.n && e->tail == k->tail.n && e->what == k->what &&
            memcmp(text, k->head.p, k->head.n) == 0 && memcmp(text + e->head, k->tail.p, k->tail.n) == 0)
            return id;
    }
    return FG__NONE;
}

/* Very long lines are not worth it. */
static int remember(uint32_t *id, fg__perf_lines *lines, const fg__perf_seen *seen, const key *k) {
    size_t at = lines->used, n = k->head.n + k->tail.n, size = (sizeof(entry) + n + UNIT - 1) / UNIT * UNIT;
    *id = FG__NONE;
    if (n > FG__STRING_MAX) return 0;
    fg_ctx *ctx = lines->p->ctx;
    if (at / UNIT >= FG__NONE - 1) return fg__fail(ctx, FG_ELIMIT, "more than 32 GiB of different lines");
    int err = fg__grow(ctx, &lines->entries, &lines->cap, at + size + FG__WIDE, 1);
    if (!err) err = fg__table_add(ctx, &lines->index, k->hash, (uint32_t)(at / UNIT));
    if (err) return err;
    entry e = {*seen, (uint32_t)k->head.n, (uint32_t)k->tail.n, k->what};
    uint8_t *to = lines->entries + at;
    memcpy(to, &e, sizeof e);
    if (e.head) memcpy(to + sizeof e, k->head.p, e.head);
    if (e.tail) memcpy(to + sizeof e + e.head, k->tail.p, e.tail);
    lines->used += size;
    *id = (uint32_t)(at / UNIT);
    return 0;
}

void fg__perf_lines_free(fg__perf_lines *lines) {
    void *owned[] = {lines->entries,      lines->index.slots, lines->inlined,
                     lines->symbol.bytes, lines->name.bytes,  lines->recent.slots};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(lines->p->ctx, owned[i]);
}

/* ---- by address ------------------------------------------------------------------------------------------
 */

/*
 * Of the address in front of `text`, all digits but the last one: a function starts at a multiple of 16, so
 * 16 bytes of code are of one function, as a rule.
 */
static uint64_t hash_address(const char *text) {
    const char *digits = text - FG__PERF_TEXT + 1;
    return fg__mix(load64(digits) ^ 0x9e3779b97f4a7c15u, load64(digits + 7) ^ 0xd6e8feb86659fd93u);
}

static int put_recent(fg__perf_lines *lines, uint64_t address, uint32_t id) {
    fg__table *t = &lines->recent;
    for (uint32_t at = fg__table_first(t, address); fg__table_id(t, at) != FG__NONE;
         at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, address)) continue;
        t->slots[at].id = id + 1; /* another function lies there now, or another program */
        return 0;
    }
    if (t->count == RECENT_MOST) {
        memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
        t->count = 0;
    }
    return fg__table_add(lines->p->ctx, t, address, id);
}

/* The entry that was last met at this address, which is not said to be the right one. */
static uint32_t recent_entry(const fg__perf_lines *lines, uint64_t address) {
    const fg__table *t = &lines->recent;
    uint32_t at = fg__table_first(t, address), id;
    while ((id = fg__table_id(t, at)) != FG__NONE && !fg__table_maybe(t, at, address))
        at = fg__table_next(t, at);
    return id;
}

static inline bool same(const char *a, const char *b, size_t n) {
    return FG__LIKELY(n < FG__WIDE) ? fg__wide_same(a, b, n) : memcmp(a, b, n) == 0;
}

/* Whether the entry is the line's. */
static bool matches(const entry *e, fg__slice text, bool java) {
    const char *known = (const char *)(e + 1), *tail = text.p + text.n - e->tail;
    size_t digits = text.n - e->head - e->tail;
    if (digits > (e->tail ? OFFSET_MOST : 0) || e->what != (java ? JAVA_FRAME : FRAME)) return false;
    bool head = same(known, text.p, e->head), end = same(known + e->head, tail, e->tail);
    unsigned others = ~fg__wide_hex(text.p + e->head) & ((1u << digits) - 1);
    return head && end && !others;
}

/* Intern a frame that is named by the scratch buffer. */
static int intern(uint32_t *out, fg__perf_lines *lines, fg__slice module, fg_kind kind) {
    fg__frame f = {.kind = (uint32_t)kind};
    const char *name = lines->name.n ? lines->name.bytes : "";
    int err = fg__string_intern(&f.name, lines->p, name, lines->name.n);
    if (!err) err = fg__string_intern(&f.module, lines->p, module.p, module.n);
    return err ? err : fg__frame_intern(out, lines->p, &f);
}

/* ---- threads ---------------------------------------------------------------------------------------------
 */

/* "V8_Worker", or "V8_Worker-12", or "V8_Worker-12/34". */
static int name_thread(fg__perf_lines *lines, const fg__perf_event *e) {
    const fg_read_options *o = lines->options;
    bool pid = o->with_pid || o->with_tid, tid = o->with_tid;
    const fg__slice parts[] = {
        e->comm, {"-", pid}, {e->pid.p, pid ? e->pid.n : 0}, {"/", tid}, {e->tid.p, tid ? e->tid.n : 0}};
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
    uint32_t id = find(lines, &k);
    if (id != FG__NONE) {
        *out = entry_at(lines, id)->seen;
        return 0;
    }
    fg__perf_seen seen = {.java = fg__slice_starts(event->comm, "java")};
    int err = name_thread(lines, event);
    seen.count = lines->name.n > 0;
    if (!err && seen.count) err = intern(&seen.frame, lines, (fg__slice){"", 0}, FG_KIND_UNKNOWN);
    if (!err) err = remember(&id, lines, &seen, &k);
    *out = seen;
    return err;
}

/* ---- frames ----------------------------------------------------------------------------------------------
 */

/* A name that has its mark already gets no second one. */
static fg_kind kind_of(const fg__perf_lines *lines, fg__slice module, bool inlined) {
    fg__slice name = {lines->name.bytes, lines->name.n};
    fg_kind kind = inlined ? FG_KIND_INLINED : fg__module_kind(module);
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
static int intern_calls(fg__perf_seen *seen, fg__perf_lines *lines, const fg__perf_frame *frame,
                        fg__slice calls, bool java) {
    fg_profile *p = lines->p;
    size_t start = lines->inlined_count;
    fg__slice call, address = lines->options->addresses ? frame->address : (fg__slice){"", 0};
    uint32_t id = 0;
    while (fg__symbol_call(&call, &calls)) {
        int err = fg__symbol_name(p->ctx, &lines->name, call, frame->module, address, java);
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

/* Take a frame line apart. 1: *seen is set. 0: this is no frame line. */
static int take_apart(fg__perf_seen *seen, bool *own, fg__perf_lines *lines, fg__slice whole, bool java) {
    fg__perf_frame frame;
    fg__slice symbol;
    if (!fg__perf_frame_parse(&frame, whole)) return 0;
    int err = fg__symbol_plain(&symbol, lines->p->ctx, &lines->symbol, frame.symbol);
    if (err) return err;
    bool unknown = fg__symbol_unknown(symbol);
    *own = unknown && lines->options->addresses; /* the address is part of the name */
    seen->unknown = unknown && fg__module_kind(frame.module) != FG_KIND_UNKNOWN;
    seen->inlined = fg__slice_is(frame.module, "inlined");
    if (fg__slice_starts(symbol, "(")) return 1; /* some versions print the process's name as a frame */
    err = intern_calls(seen, lines, &frame, symbol, java);
    return err ? err : 1;
}

/* *id is set to the line's entry; FG__NONE: it has none, as it is not to be kept. */
static int look_up(fg__perf_seen *out, uint32_t *id, fg__perf_lines *lines, fg__slice whole, fg__slice text,
                   bool java) {
    key k = frame_key(text, java);
    *id = find(lines, &k);
    if (*id != FG__NONE) {
        *out = entry_at(lines, *id)->seen;
        return 1;
    }
    bool own = false;
    *out = (fg__perf_seen){0};
    int found = take_apart(out, &own, lines, whole, java);
    int err = found > 0 && !own ? remember(id, lines, out, &k) : 0;
    return err ? err : found;
}

int fg__perf_frames(fg__perf_seen *out, fg__perf_lines *lines, fg__slice whole, fg__slice text, bool java) {
    uint32_t id;
    return look_up(out, &id, lines, whole, text, java);
}

int fg__perf_laid_out_frames(fg__perf_seen *out, fg__perf_lines *lines, fg__slice text, bool java) {
    uint64_t address = hash_address(text.p);
    uint32_t id = recent_entry(lines, address);
    if (FG__LIKELY(id != FG__NONE)) {
        const entry *e = entry_at(lines, id);
        if (FG__LIKELY(matches(e, text, java))) {
            *out = e->seen;
            return 1;
        }
    }
    fg__slice whole = {text.p - FG__PERF_TEXT, text.n + FG__PERF_TEXT};
    int found = look_up(out, &id, lines, whole, text, java);
    int err = found > 0 && id != FG__NONE ? put_recent(lines, address, id) : 0;
    return err ? err : found;
}
