/*
 * Folded text, written: lines in the order of their text, one for each different text.
 *
 * In a line a frame's text is followed by `;`, or by nothing if it is the last one. Texts have no `;` inside,
 * so that two lines compare as their first different frames do, each with what follows it. Each pair (frame,
 * last or not) gets a rank in that order, equal texts the same one, and the stacks are sorted as strings of
 * ranks.
 */
#include "core/order.h"
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
    fg__arena texts;   /* of names that had to be changed */
    uint32_t *rank[2]; /* of a frame: within a stack, at its end; FG__NONE: not there */
    uint32_t *order;   /* stacks by text */
    size_t stack_count;
    uint32_t rank_count;
    struct beginning *beginning;
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
        for (size_t i = 0; i < count; i++) {
            if (i == 0 || by_text(&keys[i - 1], &keys[i], w->labels) != 0) w->rank_count++;
            w->rank[keys[i].last][keys[i].frame] = w->rank_count - 1;
        }
    }
    fg_free(p->ctx, keys);
    return ok ? 0 : FG_ENOMEM;
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static bool same_text(const writer *w, uint32_t a, uint32_t b) {
    size_t n, m, at = 0;
    const uint32_t *x = fg__stack_at(w->p, a, &n), *y = fg__stack_at(w->p, b, &m);
    if (n != m) return false;
    while (at + 1 < n && w->rank[0][x[at]] == w->rank[0][y[at]]) at++;
    return n == 0 || (at + 1 == n && w->rank[1][x[at]] == w->rank[1][y[at]]);
}

/*
 * The text of the stack that was written last, as far as it fits. Sorted stacks begin alike: what two have in common is
 * copied as a whole, and not frame by frame.
 */
enum { KEPT = 64 << 10 };
struct beginning {
    char text[KEPT];
    struct {
        uint32_t frame, end;
    } frames[KEPT / 2]; /* a frame's text and what is in front of it are two bytes at least */
    size_t count;
};

static size_t label_size(const label *l) {
    return l->n + (*l->annotation ? FG__ANNOTATION : 0);
}

static void write_label(fg_out *out, const label *l) {
    fg__out_bytes(out, l->text, l->n);
    if (*l->annotation) fg__out_bytes(out, l->annotation, FG__ANNOTATION);
}

/* Frame `i` of a stack behind the `used` bytes; returns how many there are then, or 0: it does not fit. */
static size_t keep_label(struct beginning *b, size_t i, uint32_t frame, const label *l, size_t used) {
    if (label_size(l) >= KEPT - used || i == KEPT / 2) return 0;
    if (i) b->text[used++] = ';';
    memcpy(b->text + used, l->text, l->n);
    if (*l->annotation) memcpy(b->text + used + l->n, l->annotation, FG__ANNOTATION);
    used += label_size(l);
    b->frames[i].frame = frame;
    b->frames[i].end = (uint32_t)used;
    return used;
}

static void write_stack(fg_out *out, const writer *w, uint32_t stack) {
    struct beginning *b = w->beginning;
    size_t n, i = 0, used = 0, more;
    const uint32_t *frames = fg__stack_at(w->p, stack, &n);
    if (n == 0) fg__out_text(out, "[no stack]"); /* a line without text would not be one */
    while (i < n && i < b->count && b->frames[i].frame == frames[i]) i++;
    if (i) used = b->frames[i - 1].end;
    for (; i < n && (more = keep_label(b, i, frames[i], &w->labels[frames[i]], used)); i++) used = more;
    b->count = i;
    fg__out_bytes(out, b->text, used);
    for (; i < n; i++) {
        if (i) fg__out_char(out, ';');
        write_label(out, &w->labels[frames[i]]);
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
    if (column < 0) return fg__fail_type(p, "", options->type);
    w.column = (size_t)column;
    int err = make_labels(&w);
    if (!err) err = rank_keys(&w);
    if (!err) err = fg__stack_order(w.order, w.stack_count, p, w.rank[0], w.rank[1], w.rank_count);
    if (!err && !(w.beginning = fg__alloc(p->ctx, sizeof *w.beginning))) err = FG_ENOMEM;
    if (!err) {
        w.beginning->count = 0;
        write_lines(out, &w);
    }
    void *owned[] = {w.labels, w.rank[0], w.rank[1], w.order, w.beginning};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    fg__arena_free(p->ctx, &w.texts);
    return err ? err : fg__out_status(out);
}
