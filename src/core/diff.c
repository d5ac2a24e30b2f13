/*
 * A diff is a profile with two columns. Both stay as measured; how they are compared is metadata: `after`
 * times `factor`, which is exact, reversible and said in every picture.
 */
#include "core/core.h"
#include <math.h>

/* Units that convert, as multiples of the first of their family. */
static const struct {
    const char *unit, *base;
    int64_t scale;
} units[] = {
    {"nanoseconds", "nanoseconds", 1},
    {"ns", "nanoseconds", 1},
    {"microseconds", "nanoseconds", 1000},
    {"us", "nanoseconds", 1000},
    {"milliseconds", "nanoseconds", 1000000},
    {"ms", "nanoseconds", 1000000},
    {"seconds", "nanoseconds", 1000000000},
    {"s", "nanoseconds", 1000000000},
    {"bytes", "bytes", 1},
    {"kilobytes", "bytes", 1024},
    {"megabytes", "bytes", 1048576},
    {"gigabytes", "bytes", 1073741824},
};

static const char *base_unit(const char *unit, int64_t *scale) {
    *scale = 1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(units[i].unit, unit) != 0) continue;
        *scale = units[i].scale;
        return units[i].base;
    }
    return unit;
}

bool fg_profile_is_diff(const fg_profile *p) {
    return p->type_count == 2 && strcmp(fg_profile_type(p, 0).name, "before") == 0 &&
           strcmp(fg_profile_type(p, 1).name, "after") == 0;
}

/* One side: which column, and what its values are multiplied with to be in the common unit. */
typedef struct side {
    fg_profile *p;
    const char *name;
    size_t type;
    int64_t scale;
    const char *unit;
} side;

static int open_side(side *s, const char *type) {
    if (fg_profile_is_diff(s->p))
        return fg__fail(s->p->ctx, FG_EINVAL,
                        "the profile %s is a diff already; a diff compares two profiles", s->name);
    int column = fg_profile_find_type(s->p, type);
    if (column < 0)
        return fg__fail(s->p->ctx, FG_EINVAL, "the profile %s has no value type \"%s\"", s->name,
                        type ? type : "");
    s->type = (size_t)column;
    s->unit = base_unit(fg_profile_type(s->p, s->type).unit, &s->scale);
    return 0;
}

/* Whether the sides were measured alike: the same duration within 1 %, the same period. */
static bool comparable(const fg_profile *a, const fg_profile *b) {
    double x = (double)fg_meta_number(a, "duration"), y = (double)fg_meta_number(b, "duration");
    if (x > 0 && y > 0 && fabs(x - y) > 0.01 * fmax(x, y)) return false;
    return fg_meta_number(a, "period") == fg_meta_number(b, "period");
}

/* Each side's warnings become notes of the diff, with the side's name in front. */
struct warned {
    fg_profile *p;
    const char *side;
    int err;
};

static void note_warning(void *user, const char *text) {
    struct warned *w = user;
    if (!w->err) w->err = fg_profile_note(w->p, "%s: %s", w->side, text);
}

static int note_warnings(fg_profile *p, const side *s) {
    struct warned w = {p, s->name, 0};
    fg_profile_warnings(s->p, note_warning, &w);
    return w.err;
}

/* Metadata of a diff: what both sides agree on, and the way of comparing. */
static int describe(fg_profile *p, const side *before, const side *after, fg_normalize normalize) {
    int err = fg__meta_agree(p, before->p, after->p);
    int64_t x = before->p->totals[before->type], y = after->p->totals[after->type];
    if (normalize == FG_NORMALIZE_AUTO)
        normalize = comparable(before->p, after->p) ? FG_NORMALIZE_ABSOLUTE : FG_NORMALIZE_SHARE;
    bool share = normalize == FG_NORMALIZE_SHARE;
    double factor = 1.0;
    if (share && x > 0 && y > 0)
        factor = ((double)x * (double)before->scale) / ((double)y * (double)after->scale);
    if (!err) err = fg_meta_set_text(p, "normalize", share ? "share" : "absolute");
    if (!err) err = fg_meta_set_real(p, "factor", factor);
    if (!err) err = note_warnings(p, before);
    if (!err) err = note_warnings(p, after);
    return err;
}

int fg_diff(fg_profile **out, fg_profile *before, fg_profile *after, const char *type,
            fg_normalize normalize) {
    side a = {.p = before, .name = "before"}, b = {.p = after, .name = "after"};
    int err = open_side(&a, type);
    if (!err) err = open_side(&b, type);
    if (err) return err;
    const char *unit = a.unit;
    if (strcmp(a.unit, b.unit) != 0)
        return fg__fail(
            before->ctx, FG_EINVAL,
            "cannot compare %s (before) with %s (after): choose a value type that both sides have", a.unit,
            b.unit);
    if (a.scale == b.scale) {
        unit = fg_profile_type(before, a.type).unit;
        a.scale = b.scale = 1;
    }
    fg_profile *p;
    err = fg_profile_new(&p, before->ctx);
    if (err) return err;
    err = fg_profile_add_type(p, "before", unit);
    if (!err) err = fg_profile_add_type(p, "after", unit);
    if (!err) err = describe(p, &a, &b, normalize);
    const side *sides[] = {&a, &b};
    for (int s = 0; s < 2 && !err; s++) {
        int columns[FG_MAX_TYPES];
        for (size_t t = 0; t < FG_MAX_TYPES; t++) columns[t] = t == sides[s]->type ? s : -1;
        err = fg__stacks_import(p, sides[s]->p, columns, sides[s]->scale);
    }
    if (err)
        fg_profile_free(p);
    else
        *out = p;
    return err;
}
