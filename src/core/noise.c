/*
 * Which changes of a diff are more than noise. Values are quasi-Poisson, as in verdict.c: the variance of a total is its
 * dispersion times the total.
 *
 * Between runs, a node's dispersion is Pearson's estimate from its totals in each run, on Student's t. With one run a
 * side, its slices of time are what differs: they are resampled by the circular block bootstrap (Politis and Romano
 * 1992), blocks of n^(1/3) slices (Hall, Horowitz and Jing 1995), so that what follows each other in time may be alike.
 * The variance of such resamples is that of the sums of all blocks; it is computed, not drawn, as what drawing them for
 * ever would come to. Neither is ever less than the noise of sampling: few runs can agree by chance. Without slices there
 * is sampling alone: the dispersion is the value of one sample ("grain"). With one run a side all this is no more than a
 * lower bound, which the pictures say.
 *
 * Sampling alone is one formula for all nodes, and those who draw compute it as they go; else each node has a margin, kept
 * in a byte.
 *
 * Many nodes are looked at, and what is not grey should be true: those are the nodes that Benjamini and Hochberg (1995)
 * find at a rate of 1 %. Intervals are those of Benjamini and Yekutieli (2005) for what was so selected: R found of m
 * have intervals at 1 - R/m of 1 %, which leave out no change for just those. So one quantile serves all nodes.
 */
#include <math.h>
#include <stdio.h>
#include "core/noise.h"
#include "core/stats.h"
#include "core/tree.h"

static const double level = 0.01;

fg__noise_source fg__noise_of(const fg_profile *p) {
    if (p->part_count && p->slice_length[0]) return FG__NOISE_SLICES;
    if (p->part_count && p->runs[0] + p->runs[1] > 2) return FG__NOISE_RUNS;
    bool sampled = fg_meta_real(p, "grain_before") > 0 && fg_meta_real(p, "grain_after") > 0;
    return sampled ? FG__NOISE_SAMPLING : FG__NOISE_UNKNOWN;
}

void fg__noise_text(char *text, size_t n, const fg_profile *p) {
    static const char unknown[] = "how much runs differ is not known: compare several runs a side";
    switch (fg__noise_of(p)) {
    case FG__NOISE_RUNS:
        snprintf(text, n, "noise as %u run%s before and %u after differ, false discovery rate 1 %%",
                 p->runs[0], p->runs[0] == 1 ? "" : "s", p->runs[1]);
        return;
    case FG__NOISE_SLICES:
        snprintf(text, n, "noise by block bootstrap of %u and %u slices of time; %s", p->runs[0], p->runs[1],
                 unknown);
        return;
    case FG__NOISE_SAMPLING: snprintf(text, n, "noise is that of sampling alone; %s", unknown); return;
    case FG__NOISE_UNKNOWN:
        snprintf(
            text, n,
            "what is noise cannot be told: neither several runs a side nor slices of time nor the number of "
            "samples is known");
    }
}

/* ---- margins as bytes ---------------------------------------------------------------------------------- */

enum {
    ONE = 191,
    STEPS = 16
}; /* the step of a margin as large as the value; steps an octave. See model.js */

double fg__noise_margin(const fg__noise *noise, uint32_t node, double before, double after) {
    if (noise->margins) return fmax(before, after) * exp2(((double)noise->margins[node] - ONE) / STEPS);
    return sqrt(noise->square[0] * before + noise->square[1] * after);
}

/* The smallest step that is not less. */
static uint8_t step_of(double margin, double size) {
    if (!(size > 0) || !(margin > 0)) return 0;
    return (uint8_t)fmin(255, fmax(0, ceil(log2(margin / size) * STEPS + ONE)));
}

/* ---- what runs or slices differ by --------------------------------------------------------------------- */

typedef struct work {
    fg_ctx *ctx;
    fg_profile *p;
    const fg_tree *tree;
    double *sum;        /* totals of the nodes in one run, or in one block of slices */
    double *mean;       /* of such sums */
    double *dispersion; /* both sides' dispersions, times their degrees of freedom */
    size_t *first;      /* parts of run r: by_run[first[r]] … */
    uint32_t *by_run;
    double factor, df;
    double grain[2]; /* the value of one sample on each side */
    bool share;
} work;

static int sort_parts(work *w) {
    size_t runs = (size_t)w->p->runs[0] + w->p->runs[1];
    w->first = fg__calloc(w->ctx, runs + 2, sizeof *w->first);
    w->by_run = fg__alloc(w->ctx, w->p->part_count * sizeof *w->by_run);
    if (!w->first || !w->by_run) return FG_ENOMEM;
    for (size_t i = 0; i < w->p->part_count; i++) w->first[w->p->parts[i].run + 2]++;
    for (size_t r = 2; r <= runs; r++) w->first[r] += w->first[r - 1];
    for (size_t i = 0; i < w->p->part_count; i++) w->by_run[w->first[w->p->parts[i].run + 1]++] = (uint32_t)i;
    return 0;
}

static void add_run(work *w, double *sum, size_t r) {
    for (size_t i = w->first[r]; i < w->first[r + 1]; i++) {
        const fg__part *part = &w->p->parts[w->by_run[i]];
        sum[w->p->tree->node[part->stack]] += (double)part->value;
    }
}

/* Totals of the `n` runs, or slices, from `from` on; behind the last of all `of` follows the first. */
static void take(work *w, double *sum, size_t base, size_t from, size_t n, size_t of) {
    const fg_tree *tree = w->tree;
    memset(sum, 0, tree->count * sizeof *sum);
    for (size_t i = from; i < from + n; i++) add_run(w, sum, base + i % of);
    for (size_t i = tree->count - 1; i > 0; i--) sum[tree->parent[i]] += sum[i];
}

/*
 * Add a side's dispersions: `n` runs are resampled in blocks of `block`. Where shares are compared, the size of the whole
 * must not count as noise: what counts is the distance from a node's share of its block (the ratio's linear part).
 */
static void add_side(work *w, size_t side, size_t block) {
    size_t base = side ? w->p->runs[0] : 0, n = w->p->runs[side];
    double df = (double)n / (double)block - 1, scale = df / ((double)n - (double)block);
    if (n <= block) return;
    take(w, w->mean, base, 0, n, n);
    for (size_t i = 0; i < w->tree->count; i++) w->mean[i] *= (double)block / (double)n;
    for (size_t r = 0; r < n; r++) {
        take(w, w->sum, base, r, block, n);
        double whole = w->share && w->mean[0] > 0 ? w->sum[0] / w->mean[0] : 1;
        for (size_t i = 0; i < w->tree->count; i++) {
            double mean = w->mean[i], away = w->sum[i] - mean * whole;
            if (mean > 0) w->dispersion[i] += scale * away * away / mean;
        }
    }
    w->df += df;
}

static size_t block_of(const work *w, size_t side) {
    return w->p->slice_length[0] ? fg__block(w->p->runs[side]) : 1;
}

static int measure(work *w) {
    w->sum = fg__alloc(w->ctx, w->tree->count * sizeof *w->sum);
    w->mean = fg__alloc(w->ctx, w->tree->count * sizeof *w->mean);
    w->dispersion = fg__calloc(w->ctx, w->tree->count, sizeof *w->dispersion);
    w->share = strcmp(fg_meta_text(w->p, "normalize"), "share") == 0;
    int err = w->sum && w->mean && w->dispersion ? sort_parts(w) : FG_ENOMEM;
    for (size_t side = 0; side < 2 && !err; side++) add_side(w, side, block_of(w, side));
    return err;
}

/* ---- which nodes are found ----------------------------------------------------------------------------- */

/*
 * The nodes that ask whether they changed, counted by how many standard errors they changed by. Bins are the upper halves
 * of floats, 1 % wide at most; what is in the same bin as a quantile is not beyond it.
 */
enum { BINS = 1 << 15 };
typedef struct asked {
    size_t all;
    uint32_t bins[BINS];
} asked;

static uint32_t bin_of(double errors) {
    float number = (float)errors;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits >> 16;
}

static inline void ask(asked *a, double change, double error) {
    a->all++;
    a->bins[change > 0 ? bin_of(change / error) : 0]++;
}

static size_t count_beyond(const asked *a, double quantile) {
    size_t n = 0;
    for (uint32_t i = bin_of(quantile) + 1; i < BINS; i++) n += a->bins[i];
    return n;
}

static double quantile_of(double share, double df) {
    double tail = level / 2 * share;
    return df > 0 ? fg__t_quantile(tail, df) : fg__normal_quantile(tail);
}

/* Going down from all: as many as are beyond the quantile for so many, until these are the same. */
static double choose_quantile(const asked *a, double df) {
    for (size_t found = a->all; found > 0;) {
        double quantile = quantile_of((double)found / (double)a->all, df);
        size_t beyond = count_beyond(a, quantile);
        if (beyond >= found) return quantile;
        found = beyond;
    }
    return quantile_of(1 / (double)(a->all ? a->all : 1), df);
}

/* ---- of runs and slices: by node ----------------------------------------------------------------------- */

/* Without fmax's care for NaN, of which there is none, it is no call. */
static inline double max(double a, double b) {
    return a > b ? a : b;
}

/* The standard error of a node's change. */
static double error_of(const work *w, size_t i) {
    double between = w->df > 0 ? w->dispersion[i] / w->df : 0;
    return sqrt(max(between, w->grain[0]) * (double)w->tree->total[0][i] +
                w->factor * w->factor * max(between, w->grain[1]) * (double)w->tree->total[1][i]);
}

/* A caller with one callee that has all its cost asks the same question as that one, and gets the same answer. */
static bool is_asked(const work *w, size_t i) {
    size_t above = w->tree->parent[i];
    return i == 0 || w->tree->total[0][i] != w->tree->total[0][above] ||
           w->tree->total[1][i] != w->tree->total[1][above];
}

static int set_margins(fg__noise *noise, const work *w, asked *a) {
    noise->margins = fg__alloc(w->ctx, w->tree->count);
    if (!noise->margins) return FG_ENOMEM;
    noise->count = w->tree->count;
    const int64_t *before = w->tree->total[0], *after = w->tree->total[1];
    for (size_t i = 0; i < w->tree->count; i++)
        if (is_asked(w, i)) ask(a, fabs((double)after[i] * w->factor - (double)before[i]), error_of(w, i));
    double quantile = choose_quantile(a, w->df);
    for (size_t i = 0; i < w->tree->count; i++)
        noise->margins[i] =
            step_of(quantile * error_of(w, i), max((double)before[i], (double)after[i] * w->factor));
    return 0;
}

static int open_by_node(fg__noise *noise, fg_profile *p, double factor, asked *a) {
    work w = {.ctx = p->ctx, .p = p, .factor = factor};
    w.grain[0] = fg_meta_real(p, "grain_before");
    w.grain[1] = fg_meta_real(p, "grain_after");
    int err = fg_profile_tree(&w.tree, p);
    if (!err) err = measure(&w);
    if (!err) err = set_margins(noise, &w, a);
    void *scratch[] = {w.sum, w.mean, w.dispersion, w.first, w.by_run};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) fg_free(p->ctx, scratch[i]);
    return err;
}

/* ---- of sampling: by one formula ----------------------------------------------------------------------- */

/* A node of the path: its totals, and those of its child that has most. Where these are the same, that one has asked. */
typedef struct step {
    int64_t total[2], largest[2];
} step;

/* The last `n` nodes of the path, which is `depth` deep, have no more children. */
static void close_steps(asked *a, step *path, size_t depth, size_t n, const fg__noise *noise, double factor) {
    for (; n; n--, depth--) {
        const step *s = &path[depth];
        int64_t before = s->total[0], after = s->total[1];
        if (before != s->largest[0] || after != s->largest[1]) {
            double y = (double)after * factor;
            ask(a, fabs(y - (double)before), fg__noise_margin(noise, 0, (double)before, y));
        }
        if (!depth) break;
        step *above = &path[depth - 1];
        above->total[0] += before;
        above->total[1] += after;
        if ((uint64_t)before + (uint64_t)after > (uint64_t)above->largest[0] + (uint64_t)above->largest[1])
            memcpy(above->largest, s->total, sizeof above->largest);
    }
}

static int ask_all(asked *a, fg__walk *w, const fg__noise *noise, double factor) {
    fg_profile *p = w->p;
    size_t cap = 0;
    step *path = NULL;
    int err = fg__grow(p->ctx, &path, &cap, 1, sizeof *path);
    if (!err) path[0] = (step){0};
    fg__walk_again(w);
    while (!err && fg__walk_next(w)) {
        close_steps(a, path, w->shared + w->left, w->left, noise, factor);
        err = fg__grow(p->ctx, &path, &cap, w->n + 1, sizeof *path);
        for (size_t depth = w->shared + 1; depth <= w->n && !err; depth++) path[depth] = (step){0};
        for (size_t side = 0; side < 2 && !err; side++) path[w->n].total[side] += p->values[side][w->stack];
    }
    if (!err) close_steps(a, path, w->n, w->n + 1, noise, factor);
    fg_free(p->ctx, path);
    return err;
}

static int open_by_formula(fg__noise *noise, fg__walk *w, double factor, asked *a) {
    noise->square[0] = fg_meta_real(w->p, "grain_before");
    noise->square[1] = fg_meta_real(w->p, "grain_after") * factor;
    int err = ask_all(a, w, noise, factor); /* in standard errors, which the margins are until then */
    double quantile = choose_quantile(a, 0);
    for (size_t side = 0; side < 2; side++) noise->square[side] *= quantile * quantile;
    return err;
}

int fg__noise_open(fg__noise *out, fg__walk *w, double factor) {
    *out = (fg__noise){.source = fg__noise_of(w->p)};
    if (out->source == FG__NOISE_UNKNOWN) return 0;
    asked *a = fg__calloc(w->p->ctx, 1, sizeof *a);
    if (!a) return FG_ENOMEM;
    int err = out->source == FG__NOISE_SAMPLING ? open_by_formula(out, w, factor, a)
                                                : open_by_node(out, w->p, factor, a);
    fg_free(w->p->ctx, a);
    return err;
}

void fg__noise_close(fg__noise *noise, fg_ctx *ctx) {
    fg_free(ctx, noise->margins);
}
