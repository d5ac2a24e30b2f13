/*
 * Folded text, written: lines in the order of their text, one for each different text.
 *
 * In a line a frame's text is followed by `;`, or by nothing if it is the last one. Texts have no `;` inside,
 * so that two lines compare as their first different frames do, each with what follows it. Each pair (frame,
 * last or not) gets a rank in that order, equal texts the same one, and the stacks are sorted as strings of
 * ranks.
 */
#include "formats/folded.h"
#include <stdlib.h>

/* The text of a frame in a line. */
typedef struct label {
    const char *text;
    uint32_t n;
    const char *annotation;
} label;

/* A frame in a place: `last` in its stack or not. */
typedef struct key {
    uint32_t frame;
    bool last;
} key;

typedef struct writer {
    fg_profile *p;
    size_t column;
    bool diff;
    label *labels;
    fg__arena texts; /* of names that had to be changed */
    uint32_t
        *rank[2];    /* of a frame: within a stack, at its end; FG__NONE: does not occur there, 0: no frame */
    uint32_t *order; /* stacks by text */
    size_t stack_count;
} writer;

/* ---- labels -------------------------------------------------------------------------------------------- */

static const char *annotation_of(const fg_profile *p, uint32_t kind) {
    const fg__annotation *a = fg__annotations;
    while (*a->text && a->kind != kind) a++;
    return p->annotations & 1u << kind ? a->text : "";
}

/* A name that would not be read back as one frame: `;` ends a frame, and a line that begins with `# ` is a
 * comment. */
static bool is_harmful(fg__string name) {
    return (name.bytes[0] == '#' && (name.n == 1 || name.bytes[1] == ' ')) || memchr(name.bytes, ';', name.n);
}

static int make_labels(writer *w) {
    const fg_profile *p = w->p;
    w->labels = fg__alloc(p->ctx, p->frame_count * sizeof *w->labels);
    if (!w->labels) return FG_ENOMEM;
    for (uint32_t i = 0; i < p->frame_count; i++) {
        fg__string name = fg__frame_name(p, i);
        if (name.n == 0) name = (fg__string){"[unknown]", 9};
        if (is_harmful(name)) {
            char *text = fg__arena_copy(p->ctx, &w->texts, name.bytes, name.n);
            if (!text) return FG_ENOMEM;
            if (*text == '#') *text = '_';
            for (char *c = text; (c = strchr(c, ';')) != NULL;) *c = ':';
            name.bytes = text;
        }
        w->labels[i] = (label){name.bytes, name.n, annotation_of(p, fg__frame_at(p, i)->kind)};
    }
    return 0;
}

/* Byte `i` of what a key contributes to its line, -1 behind a last frame. */
static int byte_at(const label *l, bool last, size_t i) {
    if (i < l->n) return (unsigned char)l->text[i];
    i -= l->n;
    if (i < strlen(l->annotation)) return l->annotation[i];
    return last ? -1 : ';';
}

static int by_text(const void *a, const void *b, void *labels) {
    const key *x = a, *y = b;
    const label *p = (const label *)labels + x->frame, *q = (const label *)labels + y->frame;
    size_t i = p->n < q->n ? p->n : q->n;
    int order = memcmp(p->text, q->text, i);
    for (; order == 0; i++) {
        int c = byte_at(p, x->last, i), d = byte_at(q, y->last, i);
        if (c == d && (c == -1 || (c == ';' && i >= p->n))) break;
        order = c - d;
    }
    return order;
}

/* ---- ranks --------------------------------------------------------------------------------------------- */

/* Whether the stack has anything to be written. */
static bool counts(const writer *w, size_t i) {
    return w->diff ? w->p->values[0][i] || w->p->values[1][i] : w->p->values[w->column][i] != 0;
}

/* Collect the keys that occur, each once, and the stacks that are to be written. */
static size_t collect(writer *w, key *keys) {
    const fg_profile *p = w->p;
    size_t count = 0;
    for (uint32_t i = 0; i < p->stack_count; i++) {
        if (!counts(w, i)) continue;
        w->order[w->stack_count++] = i;
        size_t n;
        const uint32_t *frames = fg__stack_at(p, i, &n);
        for (size_t at = 0; at < n; at++) {
            bool last = at + 1 == n;
            if (w->rank[last][frames[at]] != FG__NONE) continue;
            w->rank[last][frames[at]] = 0;
            keys[count++] = (key){frames[at], last};
        }
    }
    return count;
}

static int rank_keys(writer *w) {
    const fg_profile *p = w->p;
    key *keys = fg__alloc(p->ctx, 2 * p->frame_count * sizeof *keys);
    w->order = fg__alloc(p->ctx, p->stack_count * sizeof *w->order);
    for (int i = 0; i < 2; i++) w->rank[i] = fg__frame_map(p->ctx, p);
    bool ok = keys && w->order && w->rank[0] && w->rank[1];
    if (ok) {
        size_t count = collect(w, keys);
        qsort_r(keys, count, sizeof *keys, by_text, w->labels);
        uint32_t rank = 0;
        for (size_t i = 0; i < count; i++) {
            if (i == 0 || by_text(&keys[i - 1], &keys[i], w->labels) != 0) rank++;
            w->rank[keys[i].last][keys[i].frame] = rank;
        }
    }
    fg_free(p->ctx, keys);
    return ok ? 0 : FG_ENOMEM;
}

/* The rank at a place of a stack, 0 behind its end. */
static uint32_t rank_at(const writer *w, uint32_t stack, uint32_t at) {
    size_t n;
    const uint32_t *frames = fg__stack_at(w->p, stack, &n);
    return at < n ? w->rank[at + 1 == n][frames[at]] : 0;
}

/* ---- sorting: quicksort in three parts, a frame at a time ---------------------------------------------- */

typedef struct range {
    size_t from, to;
    uint32_t at; /* places before this one are the same in the whole range */
} range;

typedef struct ranges {
    range *list;
    size_t count, cap;
} ranges;

static int push(fg_ctx *ctx, ranges *todo, size_t from, size_t to, uint32_t at) {
    if (to - from < 2) return 0;
    int err = fg__grow(ctx, &todo->list, &todo->cap, todo->count + 1, sizeof *todo->list);
    if (!err) todo->list[todo->count++] = (range){from, to, at};
    return err;
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t c = *a;
    *a = *b;
    *b = c;
}

/* Split a range into smaller, equal and larger at its place; equal ones go on with the next place. */
static int split(writer *w, ranges *todo, range r) {
    uint32_t *order = w->order, pivot = rank_at(w, order[r.from + (r.to - r.from) / 2], r.at);
    size_t less = r.from, more = r.to;
    for (size_t i = r.from; i < more;) {
        uint32_t rank = rank_at(w, order[i], r.at);
        if (rank < pivot)
            swap(&order[i++], &order[less++]);
        else if (rank > pivot)
            swap(&order[i], &order[--more]);
        else
            i++;
    }
    fg_ctx *ctx = w->p->ctx;
    int err = push(ctx, todo, r.from, less, r.at);
    if (!err) err = push(ctx, todo, more, r.to, r.at);
    if (!err && pivot) err = push(ctx, todo, less, more, r.at + 1);
    return err;
}

static int sort_stacks(writer *w) {
    ranges todo = {0};
    int err = push(w->p->ctx, &todo, 0, w->stack_count, 0);
    while (todo.count && !err) err = split(w, &todo, todo.list[--todo.count]);
    fg_free(w->p->ctx, todo.list);
    return err;
}

/* ---- lines
 * ----------------------------------------------------------------------------------------------------------
 */

static bool same_text(const writer *w, uint32_t a, uint32_t b) {
    uint32_t at = 0, rank;
    while ((rank = rank_at(w, a, at)) == rank_at(w, b, at) && rank) at++;
    return rank == rank_at(w, b, at);
}

static void write_stack(fg_out *out, const writer *w, uint32_t stack) {
    size_t n;
    const uint32_t *frames = fg__stack_at(w->p, stack, &n);
    if (n == 0) fg__out_text(out, "[no stack]"); /* a line without text would not be one */
    for (size_t i = 0; i < n; i++) {
        const label *l = &w->labels[frames[i]];
        if (i) fg__out_char(out, ';');
        fg__out_bytes(out, l->text, l->n);
        if (*l->annotation) fg__out_bytes(out, l->annotation, FG__ANNOTATION);
    }
}

static void write_lines(fg_out *out, const writer *w) {
    const fg_profile *p = w->p;
    for (size_t i = 0, next; i < w->stack_count; i = next) {
        uint32_t stack = w->order[i];
        int64_t sums[2] = {0, 0};
        for (next = i; next < w->stack_count && (next == i || same_text(w, stack, w->order[next])); next++)
            for (size_t t = 0; t <= w->diff; t++) sums[t] += p->values[w->column + t][w->order[next]];
        write_stack(out, w, stack);
        for (size_t t = 0; t <= w->diff; t++) {
            fg__out_char(out, ' ');
            fg__out_i64(out, sums[t]);
        }
        fg__out_char(out, '\n');
    }
}

int fg__folded_write(fg_out *out, fg_profile *p, const fg_write_options *options) {
    writer w = {.p = p, .diff = fg_profile_is_diff(p) && !options->type};
    int column = w.diff ? 0 : fg_profile_find_type(p, options->type);
    if (column < 0)
        return fg__fail(p->ctx, FG_EINVAL, "the profile has no value type \"%s\"",
                        options->type ? options->type : "");
    w.column = (size_t)column;
    int err = make_labels(&w);
    if (!err) err = rank_keys(&w);
    if (!err) err = sort_stacks(&w);
    if (!err) write_lines(out, &w);
    void *owned[] = {w.labels, w.rank[0], w.rank[1], w.order};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    fg__arena_free(p->ctx, &w.texts);
    return err ? err : fg__out_status(out);
}
