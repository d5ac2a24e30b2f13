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
 * Many nodes are looked at, and what is not grey should be true: those are the nodes that Benjamini and Hochberg (1995)
 * find at a rate of 1 %. Intervals are those of Benjamini and Yekutieli (2005) for what was so selected: R found of m
 * have intervals at 1 - R/m of 1 %, which leave out no change for just those. So one quantile serves all nodes.
 */
#include <math.h>
#include <stdio.h>
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

double fg__noise_margin(uint8_t step, double size) {
    return size * exp2(((double)step - FG__NOISE_ONE) / FG__NOISE_STEPS);
}

/* The smallest step that is not less. */
static uint8_t step_of(double margin, double size) {
    if (!(size > 0) || !(margin > 0)) return 0;
    return (uint8_t)fmin(255, fmax(0, ceil(log2(margin / size) * FG__NOISE_STEPS + FG__NOISE_ONE)));
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

static double larger(const work *w, size_t i) {
    return fmax((double)w->tree->total[0][i], (double)w->tree->total[1][i] * w->factor);
}

/* A caller with one callee that has all its cost asks the same question as that one, and gets the same answer. */
static bool is_asked(const work *w, size_t i) {
    size_t above = w->tree->parent[i];
    return i == 0 || w->tree->total[0][i] != w->tree->total[0][above] ||
           w->tree->total[1][i] != w->tree->total[1][above];
}

/* Without fmax's care for NaN, of which there is none, it is no call. */
static inline double max(double a, double b) {
    return a > b ? a : b;
}

/* Standard errors of the changes of the nodes that ask, and how many these are; INFINITY for the others. */
static size_t set_errors(const work *w, double *errors) {
    double grain[] = {fg_meta_real(w->p, "grain_before"), fg_meta_real(w->p, "grain_after")};
    size_t asked = 0;
    for (size_t i = 0; i < w->tree->count; i++) {
        errors[i] = INFINITY;
        if (!is_asked(w, i)) continue;
        asked++;
        double before = (double)w->tree->total[0][i], after = (double)w->tree->total[1][i];
        double between = w->dispersion && w->df > 0 ? w->dispersion[i] / w->df : 0;
        errors[i] =
            sqrt(max(between, grain[0]) * before + w->factor * w->factor * max(between, grain[1]) * after);
    }
    return asked;
}

static size_t count_beyond(const work *w, const double *errors, double quantile) {
    size_t n = 0;
    for (size_t i = 0; i < w->tree->count; i++) {
        double change = fabs((double)w->tree->total[1][i] * w->factor - (double)w->tree->total[0][i]);
        n += change > quantile * errors[i];
    }
    return n;
}

static double quantile_of(const work *w, double share) {
    double tail = level / 2 * share;
    return w->df > 0 ? fg__t_quantile(tail, w->df) : fg__normal_quantile(tail);
}

/* Going down from all: as many as are beyond the quantile for so many, until these are the same. */
static double choose_quantile(const work *w, const double *errors, size_t asked) {
    double quantile;
    for (size_t found = asked; found > 0;) {
        quantile = quantile_of(w, (double)found / (double)asked);
        size_t beyond = count_beyond(w, errors, quantile);
        if (beyond >= found) return quantile;
        found = beyond;
    }
    return quantile_of(w, 1 / (double)asked);
}

static int fill(uint8_t **out, const work *w) {
    double *errors = fg__alloc(w->ctx, w->tree->count * sizeof *errors);
    uint8_t *margins = fg__alloc(w->ctx, w->tree->count);
    if (errors && margins) {
        size_t asked = set_errors(w, errors);
        double quantile = choose_quantile(w, errors, asked);
        for (size_t i = 0; i < w->tree->count; i++)
            margins[i] =
                isinf(errors[i]) ? margins[w->tree->parent[i]] : step_of(quantile * errors[i], larger(w, i));
        *out = margins;
    }
    fg_free(w->ctx, errors);
    if (*out) return 0;
    fg_free(w->ctx, margins);
    return FG_ENOMEM;
}

int fg__noise_margins(uint8_t **out, fg_profile *p, double factor) {
    work w = {.ctx = p->ctx, .p = p, .factor = factor};
    *out = NULL;
    fg__noise_source source = fg__noise_of(p);
    if (source == FG__NOISE_UNKNOWN) return 0;
    int err = fg_profile_tree(&w.tree, p);
    if (!err && source != FG__NOISE_SAMPLING) err = measure(&w);
    if (!err) err = fill(out, &w);
    void *scratch[] = {w.sum, w.mean, w.dispersion, w.first, w.by_run};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) fg_free(p->ctx, scratch[i]);
    return err;
}
