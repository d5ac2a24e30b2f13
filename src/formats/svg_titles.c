/*
 * Pictures of flamegraph.pl and inferno, read from what they show: a title and a rectangle for each frame,
 *
 *      <title>name (1,234 samples, 5.60%)</title><rect x="10.0" y="37" width="1180.0" … fg:x="0"
 * fg:w="1234"/>
 *
 * A row is all that has the same y, a frame's caller is what its middle lies on in the row before. The scale
 * does not matter, so x may be px, per cent, or inferno's exact fg:x. Differential pictures add "; +0.12%" to
 * the title: the change of the frame's own value, in per cent of the whole.
 */
#include "formats/svg.h"
#include <math.h>
#include <stdlib.h>

static const uint64_t default_max = 1u << 30;

typedef struct text {
    const char *at;
    size_t n;
} text;

typedef struct shape {
    double x, width, y;
    int64_t value, below; /* `below`: of the frames that it calls */
    double delta;         /* per cent */
    uint32_t frame, parent;
} shape;

typedef struct reader {
    fg_profile *p;
    fg_in *in;
    uint64_t max;
    shape *shapes;
    size_t count, cap;
    char unit[64];
    uint32_t root_name; /* of frames that are called "all" */
    bool diff, down;    /* down: the root is at the top */
    uint32_t *path;
    size_t path_cap;
    size_t strays; /* frames that lie on no other */
} reader;

/* ---- titles ---------------------------------------------------------------------------------- */

typedef struct title {
    text name, unit;
    int64_t value;
    double delta;
    bool has_delta;
} title;

/* "1,234.5" or "-1.5" at the start of `t`; how much of it was read, 0: no number. */
static size_t number(text t, double *out) {
    size_t i = 0, digits = 0;
    double sign = 1, value = 0, scale = 0;
    if (i < t.n && (t.at[i] == '-' || t.at[i] == '+')) sign = t.at[i++] == '-' ? -1 : 1;
    for (; i < t.n; i++) {
        char c = t.at[i];
        if (c >= '0' && c <= '9') {
            digits++;
            value = scale > 0 ? value + (c - '0') * scale : value * 10 + (c - '0');
            scale /= 10;
        } else if (c == '.' && scale == 0) {
            scale = 0.1;
        } else if (c != ',') {
            break;
        }
    }
    /* the comma that ends a number belongs to what follows */
    while (i && t.at[i - 1] == ',') i--;
    *out = sign * value;
    return digits ? i : 0;
}

static text rest(text t, size_t from) {
    return (text){t.at + from, t.n - from};
}

/* "5.60%" or "5.60%; +0.12%" */
static bool parse_share(text t, title *out) {
    double share;
    size_t n = number(t, &share);
    if (!n || n >= t.n || t.at[n] != '%') return false;
    t = rest(t, n + 1);
    if (t.n == 0) return true;
    if (t.n < 4 || memcmp(t.at, "; ", 2) != 0) return false;
    t = rest(t, 2);
    n = number(t, &out->delta);
    out->has_delta = true;
    return n && n + 1 == t.n && t.at[n] == '%';
}

/* Read from the end: a name may have parentheses too. */
static bool parse_title(text t, title *out) {
    *out = (title){0};
    if (t.n < 2 || t.at[t.n - 1] != ')') return false;
    t.n--;
    size_t open = t.n;
    while (open && t.at[open - 1] != '(') open--;
    if (open < 2 || t.at[open - 2] != ' ') return false;
    out->name = (text){t.at, open - 2};
    t = rest(t, open);
    double value;
    size_t n = number(t, &value);
    if (!n || n >= t.n || t.at[n] != ' ' || value < 0 || value > 9e18) return false;
    out->value = (int64_t)llround(value);
    t = rest(t, n + 1);
    size_t comma = t.n;
    while (comma && t.at[comma - 1] != ',') comma--;
    if (comma < 1 || comma >= t.n || t.at[comma] != ' ') return false;
    out->unit = (text){t.at, comma - 1};
    return parse_share(rest(t, comma + 1), out);
}

/* ---- XML ------------------------------------------------------------------------------------- */

static const struct {
    const char *entity;
    char c;
} entities[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}, {"#39;", '\''}};

/* Unescape in `to`, which has room for it. What is no known entity stays as it is. */
static text unescape(text t, char *to) {
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++) {
        to[n] = t.at[i];
        for (size_t k = 0; t.at[i] == '&' && k < sizeof entities / sizeof *entities; k++) {
            size_t len = strlen(entities[k].entity);
            if (t.n - i - 1 < len || memcmp(t.at + i + 1, entities[k].entity, len) != 0) continue;
            to[n] = entities[k].c;
            i += len;
            break;
        }
        n++;
    }
    return (text){to, n};
}

typedef struct tag {
    text name, attributes;
} tag;

static const char *find(const char *from, const char *end, const char *what) {
    const char *at = memmem(from, (size_t)(end - from), what, strlen(what));
    return at ? at : end;
}

/* The next tag; false at the end. Comments, CDATA and declarations are passed over. */
static bool next_tag(reader *r, tag *out) {
    const char *at = (const char *)r->in->p, *end = (const char *)r->in->end;
    static const char *const skipped[][2] = {
        {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}};
    while ((at = memchr(at, '<', (size_t)(end - at)))) {
        size_t i = 0;
        while (i < 4 && ((size_t)(end - at) < strlen(skipped[i][0]) ||
                         memcmp(at, skipped[i][0], strlen(skipped[i][0])) != 0))
            i++;
        if (i == 4) break;
        at = find(at, end, skipped[i][1]);
    }
    if (!at) return false;
    const char *name = ++at;
    while (at < end && !strchr(" \t\r\n>", *at)) at++;
    out->name = (text){name, (size_t)(at - name)};
    const char *attributes = at;
    char quote = 0;
    for (; at < end && (quote || *at != '>'); at++)
        if (quote ? *at == quote : *at == '"' || *at == '\'') quote = quote ? 0 : *at;
    out->attributes = (text){attributes, (size_t)(at - attributes)};
    r->in->p = (const uint8_t *)(at < end ? at + 1 : end);
    return true;
}

static bool is(text t, const char *name) {
    return t.n == strlen(name) && memcmp(t.at, name, t.n) == 0;
}

/* The number in attribute `name`; false when it is not there. */
static bool attribute(text t, const char *name, double *out) {
    size_t len = strlen(name);
    for (size_t i = 0; i + len + 3 < t.n; i++) {
        if (!strchr(" \t\r\n", t.at[i]) || memcmp(t.at + i + 1, name, len) != 0) continue;
        if (t.at[i + 1 + len] == '=' && number(rest(t, i + len + 3), out)) return true;
    }
    return false;
}

static int add_shape(reader *r, const tag *rect, text escaped) {
    shape s = {.parent = FG__NONE};
    if (!attribute(rect->attributes, "y", &s.y)) return 0;
    if (!attribute(rect->attributes, "fg:x", &s.x) || !attribute(rect->attributes, "fg:w", &s.width))
        if (!attribute(rect->attributes, "x", &s.x) || !attribute(rect->attributes, "width", &s.width))
            return 0;
    char *plain = fg__alloc(r->in->ctx, escaped.n + 1);
    if (!plain) return FG_ENOMEM;
    title t;
    int err = 0;
    if (parse_title(unescape(escaped, plain), &t)) {
        fg__frame frame = {0};
        err = fg__string_intern(&frame.name, r->p, t.name.at, t.name.n);
        if (!err) err = fg__frame_intern(&s.frame, r->p, &frame);
        if (!err) err = fg__grow(r->in->ctx, &r->shapes, &r->cap, r->count + 1, sizeof s);
        s.value = t.value;
        s.delta = t.delta;
        r->diff |= t.has_delta;
        if (!err && r->count == 0 && t.unit.n < sizeof r->unit) memcpy(r->unit, t.unit.at, t.unit.n);
        if (!err) r->shapes[r->count++] = s;
    }
    fg_free(r->in->ctx, plain);
    return err;
}

static int read_shapes(reader *r) {
    tag t;
    text pending = {NULL, 0};
    int err = 0;
    while (!err && next_tag(r, &t)) {
        if (is(t.name, "title")) {
            const char *start = (const char *)r->in->p, *end = (const char *)r->in->end;
            pending = (text){start, (size_t)(find(start, end, "<") - start)};
        } else if (is(t.name, "rect") && pending.at) {
            err = add_shape(r, &t, pending);
            pending.at = NULL;
        } else if (is(t.name, "/g")) {
            pending.at = NULL;
        }
    }
    return err;
}

/* ---- from shapes to stacks ------------------------------------------------------------------- */

static int outermost_first(const void *a, const void *b, void *user) {
    const shape *s = a, *t = b;
    const reader *r = user;
    if (s->y != t->y) return (s->y < t->y) == r->down ? -1 : 1;
    return s->x < t->x ? -1 : s->x > t->x;
}

/* The root is the frame "all" of the first or the last row; a picture without one has it at the bottom. */
static void find_direction(reader *r) {
    double top = INFINITY, bottom = -INFINITY;
    for (size_t i = 0; i < r->count; i++) {
        top = fmin(top, r->shapes[i].y);
        bottom = fmax(bottom, r->shapes[i].y);
    }
    for (size_t i = 0; i < r->count; i++) {
        const shape *s = &r->shapes[i];
        if (fg__frame_at(r->p, s->frame)->name != r->root_name) continue;
        if (s->y == bottom) return;
        if (s->y == top) r->down = true;
    }
}

/* Rows are sorted by x, so that one walk over a row and the one before finds who lies on whom. */
static void find_parents(reader *r) {
    size_t above = 0, row = 0; /* where the row before and this one start */
    for (size_t i = 0, at = 0; i < r->count; i++) {
        shape *s = &r->shapes[i];
        if (s->y != r->shapes[row].y) {
            above = at = row;
            row = i;
        }
        if (row == 0) continue;
        double middle = s->x + s->width / 2;
        while (at < row && r->shapes[at].x + r->shapes[at].width <= middle) at++;
        if (at < row && at >= above && r->shapes[at].x <= middle) {
            s->parent = (uint32_t)at;
            if (!fg__add64(&r->shapes[at].below, r->shapes[at].below, s->value))
                r->shapes[at].below = INT64_MAX;
        } else {
            r->strays++;
        }
    }
}

static const struct {
    const char *shown, *name, *unit;
} units[] = {
    {"samples", "samples", "count"}, {"ns", "time", "nanoseconds"},          {"us", "time", "microseconds"},
    {"µs", "time", "microseconds"},  {"ms", "time", "milliseconds"},         {"s", "time", "seconds"},
    {"bytes", "space", "bytes"},     {"nanoseconds", "time", "nanoseconds"},
};

static int add_types(reader *r) {
    const char *name = r->unit, *unit = r->unit;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(units[i].shown, r->unit) != 0) continue;
        name = units[i].name;
        unit = units[i].unit;
    }
    if (!r->diff) return fg_profile_add_type(r->p, name, unit);
    int err = fg_profile_add_type(r->p, "before", unit);
    if (!err) err = fg_profile_add_type(r->p, "after", unit);
    if (!err) err = fg_meta_set_text(r->p, "normalize", "absolute");
    if (!err) err = fg_meta_set_real(r->p, "factor", 1);
    return err;
}

/* Frames of shape `i` and its callers, outermost first; the root "all" is not one of them. */
static int fill_path(reader *r, size_t i, size_t *n) {
    size_t depth = 0;
    for (uint32_t at = (uint32_t)i; at != FG__NONE; at = r->shapes[at].parent) depth++;
    if ((r->p->stack_frame_count + depth) * sizeof(uint32_t) > r->max)
        return fg__in_fail_byte(r->in, FG_ELIMIT, "the stacks take more than %llu bytes; raise max_input",
                                (unsigned long long)r->max);
    int err = fg__grow(r->in->ctx, &r->path, &r->path_cap, depth + 1, sizeof *r->path);
    if (err) return err;
    *n = depth;
    for (uint32_t at = (uint32_t)i; at != FG__NONE; at = r->shapes[at].parent)
        r->path[--depth] = r->shapes[at].frame;
    if (fg__frame_at(r->p, r->path[0])->name != r->root_name) return 0;
    memmove(r->path, r->path + 1, --*n * sizeof *r->path);
    if (*n) return 0;
    *n = 1;
    return fg_profile_frame(&r->path[0], r->p, &(fg_frame){.name = "[not drawn]"});
}

static int add_stacks(reader *r) {
    double whole = 0;
    for (size_t i = 0; i < r->count && r->shapes[i].y == r->shapes[0].y; i++)
        whole += (double)r->shapes[i].value;
    for (size_t i = 0; i < r->count; i++) {
        const shape *s = &r->shapes[i];
        bool stray = s->parent == FG__NONE && s->y != r->shapes[0].y;
        int64_t own = s->value > s->below ? s->value - s->below : 0, values[FG_MAX_TYPES] = {own};
        double before = (double)own - s->delta / 100 * whole;
        if (r->diff) {
            values[0] = before > 0 && before < 9e18 ? llround(before) : 0;
            values[1] = own;
        }
        if (stray || (values[0] == 0 && values[1] == 0)) continue;
        size_t n;
        int err = fill_path(r, i, &n);
        if (!err) err = fg__stack_put(r->p, r->path, n, values, NULL);
        if (err) return err;
    }
    return 0;
}

static int add_notes(reader *r) {
    int err = fg_profile_note(
        r->p, "read from a picture: frames too narrow to be drawn count as their callers' own");
    if (!err && r->diff)
        err = fg_profile_note(
            r->p, "read from a differential picture: `before` is rounded to 0.01 %% of the whole, "
                  "and frames that are gone `after` are missing");
    if (!err && r->strays)
        err = fg_profile_note(r->p, "read from a picture: %zu frame%s on no other and left out", r->strays,
                              r->strays == 1 ? " lies" : "s lie");
    return err;
}

int fg__svg_titles_read(fg_profile *p, fg_in *in, const fg_read_options *options) {
    reader r = {.p = p, .in = in, .max = options->max_input ? options->max_input : default_max};
    int err = fg__string_intern(&r.root_name, p, "all", 3);
    if (!err) err = read_shapes(&r);
    if (!err && (r.count == 0 || r.count >= FG__NONE))
        err = fg__in_fail_byte(in, FG_EFORMAT,
                               "a picture without a profile in it, and without frames as flamegraph.pl and "
                               "inferno draw them");
    if (!err) {
        find_direction(&r);
        qsort_r(r.shapes, r.count, sizeof *r.shapes, outermost_first, &r);
        find_parents(&r);
        err = add_types(&r);
    }
    if (!err) err = add_stacks(&r);
    if (!err) err = add_notes(&r);
    fg_free(in->ctx, r.shapes);
    fg_free(in->ctx, r.path);
    return err;
}
