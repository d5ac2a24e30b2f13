/*
 * A diff is a profile with two columns. Both stay as measured; how they are compared is metadata: `after`
 * times `factor`, which is exact, reversible and said in every picture.
 */
#include "core/core.h"
#include <math.h>
#include <stdio.h>

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

/* A run of a side: which column, and what its values are multiplied with to be in the common unit. */
typedef struct run {
    fg_profile *p;
    size_t type;
    int64_t scale;
    const char *unit;
} run;

typedef struct side {
    const char *name;
    run *runs;
    size_t n;
    double whole;    /* the sum of all runs, in the common unit */
    double units;    /* of work, in all runs; 0: not known */
    double grain;    /* the value of one sample; 0: not known */
    double duration; /* of all runs, ns; 0: not known */
    bool ended;      /* each run lasted until its target ended */
} side;

static int open_run(run *r, const side *s, const char *type) {
    if (fg_profile_is_diff(r->p))
        return fg__fail(r->p->ctx, FG_EINVAL,
                        "the profile %s is a diff already; a diff compares two profiles", s->name);
    int column = fg_profile_find_type(r->p, type);
    if (column < 0) return fg__fail_type(r->p, s->name, type);
    r->type = (size_t)column;
    r->unit = base_unit(fg_profile_type(r->p, r->type).unit, &r->scale);
    return 0;
}

/* Samples of a run; where nobody counted them, values that are multiples of a period tell. 0: not known. */
static double samples_of(const run *r) {
    int64_t samples = fg_profile_quality(r->p).samples, period = fg_meta_number(r->p, "period");
    if (samples > 0) return (double)samples;
    const char *type = fg_meta_text(r->p, "period_type");
    if (period <= 0 || strcmp(type, fg_profile_type(r->p, r->type).name) != 0) return 0;
    return (double)r->p->totals[r->type] / (double)period;
}

/* Units of work are of the whole side where all runs say how many they did. */
static void measure_side(side *s, double each) {
    double samples = 0;
    int64_t work = 0;
    bool sampled = true, worked = true, timed = true;
    s->whole = s->duration = 0;
    s->ended = true;
    for (size_t i = 0; i < s->n; i++) {
        const run *r = &s->runs[i];
        double taken = samples_of(r);
        int64_t done = fg_meta_number(r->p, "units");
        s->whole += (double)r->p->totals[r->type] * (double)r->scale;
        samples += taken;
        work += done;
        sampled &= taken > 0;
        worked &= done > 0;
        double lasted = (double)fg_meta_number(r->p, "duration");
        s->duration += lasted;
        timed &= lasted > 0;
        s->ended &= fg_meta_number(r->p, "ended") == 1;
    }
    if (!timed) s->duration = 0;
    s->units = each > 0 ? each * (double)s->n : worked ? (double)work : 0;
    s->grain = sampled ? s->whole / samples : 0;
}

static int open_side(side *s, fg_ctx *ctx, fg_profile *const *profiles, size_t n, const char *type) {
    s->n = n;
    s->runs = fg__calloc(ctx, n, sizeof *s->runs);
    int err = s->runs ? 0 : FG_ENOMEM;
    for (size_t i = 0; i < n && !err; i++) {
        s->runs[i].p = profiles[i];
        err = open_run(&s->runs[i], s, type);
    }
    return err;
}

/* One unit for all runs: that which they have, or the smallest one that it converts to. */
static int choose_unit(const char **unit, fg_ctx *ctx, side *sides) {
    const run *first = &sides[0].runs[0];
    bool same = true;
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sides[s].n; i++) {
            const run *r = &sides[s].runs[i];
            if (strcmp(r->unit, first->unit) != 0)
                return fg__fail(
                    ctx, FG_EINVAL,
                    "cannot compare %s (before) with %s (%s): choose a value type that both sides have",
                    first->unit, r->unit, sides[s].name);
            same &= r->scale == first->scale;
        }
    }
    *unit = same ? fg_profile_type(first->p, first->type).unit : first->unit;
    for (size_t s = 0; s < 2 && same; s++)
        for (size_t i = 0; i < sides[s].n; i++) sides[s].runs[i].scale = 1;
    return 0;
}

/* ---- how they are compared ----------------------------------------------------------------------------- */

/* Whether runs of one side last longer, by more than 5 %; those whose duration is not known do not. */
static bool longer_or_shorter(const side *a, const side *b) {
    double x = a->duration / (double)a->n, y = b->duration / (double)b->n;
    return x > 0 && y > 0 && fabs(x - y) > 0.05 * fmax(x, y);
}

/* Samples that were counted, more often on one side: their number says nothing of a second. */
static bool counted_differently(const side *a, const side *b) {
    const fg_profile *x = a->runs[0].p, *y = b->runs[0].p;
    return strcmp(a->runs[0].unit, "count") == 0 &&
           fg_meta_number(x, "period") != fg_meta_number(y, "period");
}

/*
 * Work that was done to its end took as long as it took: that is what is to be compared. What was watched for a while
 * did more in a longer while.
 */
static fg_normalize choose_way(const side *a, const side *b) {
    if (counted_differently(a, b)) return FG_NORMALIZE_SHARE;
    if (!longer_or_shorter(a, b) || (a->ended && b->ended)) return FG_NORMALIZE_ABSOLUTE;
    return FG_NORMALIZE_RATE;
}

static int fail_unknown(fg_profile *p, fg_normalize way) {
    if (way == FG_NORMALIZE_RATE)
        return fg__fail(
            p->ctx, FG_EINVAL,
            "to compare per second, it has to be known how long both sides lasted, and one does not say");
    return fg__fail(p->ctx, FG_EINVAL,
                    "to compare per unit of work, the units of both sides have to be known: requests, "
                    "iterations (--units-before, --units-after)");
}

static int choose_factor(fg_profile *p, const side *a, const side *b, fg_normalize normalize) {
    static const char *const names[] = {[FG_NORMALIZE_ABSOLUTE] = "absolute",
                                        [FG_NORMALIZE_SHARE] = "share",
                                        [FG_NORMALIZE_PER_UNIT] = "per-unit",
                                        [FG_NORMALIZE_RATE] = "rate"};
    if (normalize == FG_NORMALIZE_AUTO) normalize = choose_way(a, b);
    double sizes[][2] = {[FG_NORMALIZE_ABSOLUTE] = {(double)a->n, (double)b->n},
                         [FG_NORMALIZE_SHARE] = {a->whole, b->whole},
                         [FG_NORMALIZE_PER_UNIT] = {a->units, b->units},
                         [FG_NORMALIZE_RATE] = {a->duration, b->duration}};
    double before = sizes[normalize][0], after = sizes[normalize][1], factor = before / after;
    if (!(before > 0) || !(after > 0)) {
        if (normalize != FG_NORMALIZE_SHARE) return fail_unknown(p, normalize);
        factor = 1; /* of nothing, there are no shares */
    }
    int err = fg_meta_set_text(p, "normalize", names[normalize]);
    return err ? err : fg_meta_set_real(p, "factor", factor);
}

/* ---- what is to be known of the sides ------------------------------------------------------------------ */

struct sought {
    const char *text;
    bool found;
};

static void seek(void *user, const char *text) {
    struct sought *sought = user;
    if (strcmp(text, sought->text) == 0) sought->found = true;
}

static bool warns(const side *s, const char *text) {
    struct sought sought = {text, false};
    for (size_t i = 0; i < s->n && !sought.found; i++) fg_profile_warnings(s->runs[i].p, seek, &sought);
    return sought.found;
}

/* Each run's warnings become notes of the diff, with the side's name in front of what only one side has. */
struct warned {
    fg_profile *p;
    const side *of, *other;
    int err;
};

static void note_warning(void *user, const char *text) {
    struct warned *w = user;
    if (w->err) return;
    w->err = warns(w->other, text) ? fg_profile_note(w->p, "%s", text)
                                   : fg_profile_note(w->p, "%s: %s", w->of->name, text);
}

static int note_warnings(fg_profile *p, const side *s, const side *other) {
    struct warned w = {p, s, other, 0};
    for (size_t i = 0; i < s->n; i++) fg_profile_warnings(s->runs[i].p, note_warning, &w);
    return w.err;
}

static int note_texts(fg_profile *p, const fg_profile *a, const fg_profile *b) {
    static const char *const keys[] = {"collector", "engine"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *x = fg_meta_text(a, keys[i]), *y = fg_meta_text(b, keys[i]);
        if (!*x || !*y || strcmp(x, y) == 0) continue;
        int err = fg_profile_note(p, "the sides differ in %s: %s before, %s after", keys[i], x, y);
        if (err) return err;
    }
    return 0;
}

/* A period as a text, "10 ms"; what is no time stays a plain number. Its unit is that of its type, "cpu/nanoseconds" or
 * the name of a value type. */
static void period_text(char *text, size_t n, const fg_profile *p) {
    long long period = fg_meta_number(p, "period");
    const char *type = fg_meta_text(p, "period_type"), *slash = strrchr(type, '/');
    int column = slash || !*type ? -1 : fg_profile_find_type(p, type);
    int64_t scale;
    const char *unit = base_unit(slash        ? slash + 1
                                 : column < 0 ? ""
                                              : fg_profile_type(p, (size_t)column).unit,
                                 &scale);
    double value = (double)period * (double)scale;
    if (strcmp(unit, "nanoseconds") == 0)
        snprintf(text, n, "%.4g ms", value / 1e6);
    else if (strcmp(unit, "bytes") == 0)
        snprintf(text, n, "%.0f bytes", value);
    else
        snprintf(text, n, "%lld", period);
}

static int note_rates(fg_profile *p, const side *a, const side *b) {
    const fg_profile *before = a->runs[0].p, *after = b->runs[0].p;
    long long x = fg_meta_number(before, "period"), y = fg_meta_number(after, "period");
    const char *type = fg_meta_text(before, "period_type"), *slash = strrchr(type, '/');
    int err = 0;
    if (x > 0 && y > 0 && x != y) {
        char first[64], second[64];
        period_text(first, sizeof first, before);
        period_text(second, sizeof second, after);
        err = fg_profile_note(p, "the sides were sampled at different rates: every %s%s%.*s before, %s after",
                              first, *type ? " of " : "",
                              (int)(slash ? (size_t)(slash - type) : strlen(type)), type, second);
    }
    if (!err && longer_or_shorter(a, b))
        err = fg_profile_note(p, "the sides lasted differently long: %.4g s before, %.4g s after",
                              a->duration / (double)a->n / 1e9, b->duration / (double)b->n / 1e9);
    return err;
}

/* When the first run of a side was started and the last one had ended; false: not known. */
static bool taken(const side *s, int64_t *from, int64_t *until) {
    *from = INT64_MAX;
    *until = 0;
    for (size_t i = 0; i < s->n; i++) {
        int64_t start = fg_meta_number(s->runs[i].p, "start");
        int64_t end = start + fg_meta_number(s->runs[i].p, "duration");
        if (start < *from) *from = start;
        if (end > *until) *until = end;
    }
    return *from > 0;
}

/* Runs that were taken in turn or at the same time are neither older nor newer. */
static int note_order(fg_profile *p, const side *a, const side *b) {
    int64_t before, after, none;
    if (!taken(a, &before, &none) || !taken(b, &none, &after) || after > before) return 0;
    return fg_profile_note(p, "after is older than before, by %.4g s: are the two swapped?",
                           (double)(before - after) / 1e9);
}

/* Metadata of a diff: what both sides agree on, and the way of comparing. */
static int describe(fg_profile *p, side *a, side *b, const fg_diff_options *o) {
    const fg_profile *x = a->runs[0].p, *y = b->runs[0].p;
    measure_side(a, o->units_before);
    measure_side(b, o->units_after);
    int err = fg__meta_agree(p, x, y);
    for (size_t i = 1; i < a->n && !err; i++) err = fg__meta_agree(p, p, a->runs[i].p);
    for (size_t i = 1; i < b->n && !err; i++) err = fg__meta_agree(p, p, b->runs[i].p);
    if (!err) err = choose_factor(p, a, b, o->normalize);
    if (!err) err = fg_meta_set_real(p, "grain_before", a->grain);
    if (!err) err = fg_meta_set_real(p, "grain_after", b->grain);
    if (!err) err = note_warnings(p, a, b);
    if (!err) err = note_warnings(p, b, a);
    if (!err) err = note_order(p, a, b);
    if (!err) err = note_texts(p, x, y);
    if (!err) err = note_rates(p, a, b);
    return err;
}

/* ---- the diff ------------------------------------------------------------------------------------------ */

static int import_run(fg_profile *p, const run *r, int column, uint32_t number, uint32_t *ids,
                      const fg_diff_options *o) {
    int columns[FG_MAX_TYPES];
    for (size_t t = 0; t < FG_MAX_TYPES; t++) columns[t] = t == r->type ? column : -1;
    fg__renamed renamed = {NULL, true};
    int err = o->rename ? fg__rename_frames(&renamed, p, r->p, o->rename, o->user) : 0;
    if (!err) err = fg__stacks_import(p, r->p, o->rename ? &renamed : NULL, columns, r->scale, number, ids);
    fg_free(p->ctx, renamed.map);
    return err;
}

static int import_runs(fg_profile *p, const side *sides, const fg_diff_options *o) {
    uint32_t number = 0;
    int err = 0;
    for (int s = 0; s < 2; s++) p->runs[s] = (uint32_t)sides[s].n;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s].n && !err; i++)
            err = import_run(p, &sides[s].runs[i], s, number++, NULL, o);
    return err;
}

/* Whether what a side has by slices of time is what is compared. */
static bool is_sliced(const side *s) {
    const run *r = &s->runs[0];
    return s->n == 1 && fg_profile_slices(r->p, NULL) > 0 && r->p->slice_type == r->type && r->p->part_count;
}

/* One run a side: its slices of time stand for runs. */
static int import_slices(fg_profile *p, const side *sides, const fg_diff_options *o) {
    int err = 0;
    for (int s = 0; s < 2 && !err; s++) {
        const run *r = &sides[s].runs[0];
        uint32_t *ids = NULL;
        err = fg__parts_map(&ids, r->p);
        if (!err) err = import_run(p, r, s, FG__NONE, ids, o);
        for (size_t i = 0; i < r->p->part_count && !err; i++) {
            fg__part part = r->p->parts[i];
            uint32_t slice = part.run + (s ? p->runs[0] : 0), stack = ids[part.stack];
            if (stack != FG__NONE) err = fg__part_add(p, (fg__part){slice, stack, part.value * r->scale});
        }
        p->runs[s] = r->p->runs[0];
        p->slice_length[s] = r->p->slice_length[0];
        fg_free(p->ctx, ids);
    }
    return err;
}

static int import(fg_profile *p, const side *sides, const fg_diff_options *o) {
    if (sides[0].n + sides[1].n > 2) return import_runs(p, sides, o);
    if (is_sliced(&sides[0]) && is_sliced(&sides[1])) return import_slices(p, sides, o);
    int err = import_run(p, &sides[0].runs[0], 0, FG__NONE, NULL, o);
    return err ? err : import_run(p, &sides[1].runs[0], 1, FG__NONE, NULL, o);
}

static int compare(fg_profile **out, fg_ctx *ctx, side *sides, const fg_diff_options *o) {
    const char *unit = "";
    int err = choose_unit(&unit, ctx, sides);
    if (err) return err;
    fg_profile *p;
    err = fg_profile_new(&p, ctx);
    if (err) return err;
    err = fg_profile_add_type(p, "before", unit);
    if (!err) err = fg_profile_add_type(p, "after", unit);
    if (!err) err = describe(p, &sides[0], &sides[1], o);
    if (!err) err = import(p, sides, o);
    if (err)
        fg_profile_free(p);
    else
        *out = p;
    return err;
}

int fg_diff_runs(fg_profile **out, fg_profile *const *before, size_t n_before, fg_profile *const *after,
                 size_t n_after, const fg_diff_options *options) {
    if (!n_before || !n_after) return FG_EINVAL;
    fg_ctx *ctx = before[0]->ctx;
    if (options->size != sizeof *options)
        return fg__fail(ctx, FG_EINVAL, "fg_diff_options.size is %zu, not %zu", options->size,
                        sizeof *options);
    side sides[2] = {{.name = "before"}, {.name = "after"}};
    int err = open_side(&sides[0], ctx, before, n_before, options->type);
    if (!err) err = open_side(&sides[1], ctx, after, n_after, options->type);
    if (!err) err = compare(out, ctx, sides, options);
    fg_free(ctx, sides[0].runs);
    fg_free(ctx, sides[1].runs);
    return err;
}

int fg_diff(fg_profile **out, fg_profile *before, fg_profile *after, const char *type,
            fg_normalize normalize) {
    fg_diff_options options = {.size = sizeof options, .type = type, .normalize = normalize};
    return fg_diff_runs(out, &before, 1, &after, 1, &options);
}
