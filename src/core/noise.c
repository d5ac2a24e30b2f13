/*
 * Which changes of a diff are more than noise. Values are quasi-Poisson, as in verdict.c: the variance of a total is its
 * dispersion times the total.
 *
 * Between runs, a node's dispersion is Pearson's estimate from its totals in each run, on Student's t. It is never less
 * than that of sampling: few runs can agree by chance. With one run a side there is sampling alone: the dispersion is
 * the value of one sample ("grain"). That is no more than a lower bound, which the pictures say.
 */
#include <math.h>
#include <stdio.h>
#include "core/stats.h"
#include "core/tree.h"

static const double level = 0.01;

fg__noise_source fg__noise_of(const fg_profile *p) {
    if (p->part_count && p->runs[0] + p->runs[1] > 2) return FG__NOISE_RUNS;
    bool sampled = fg_meta_real(p, "grain_before") > 0 && fg_meta_real(p, "grain_after") > 0;
    return sampled ? FG__NOISE_SAMPLING : FG__NOISE_UNKNOWN;
}

void fg__noise_text(char *text, size_t n, const fg_profile *p) {
    static const char *const texts[] = {
        [FG__NOISE_SAMPLING] =
            "noise is that of sampling alone, 99 % intervals; how much runs differ is not known: "
            "compare several runs a side",
        [FG__NOISE_UNKNOWN] =
            "what is noise cannot be told: neither several runs a side nor the number of samples is "
            "known",
    };
    fg__noise_source source = fg__noise_of(p);
    if (source == FG__NOISE_RUNS)
        snprintf(text, n, "noise as %u run%s before and %u after differ, 99 %% intervals", p->runs[0],
                 p->runs[0] == 1 ? "" : "s", p->runs[1]);
    else
        snprintf(text, n, "%s", texts[source]);
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

/* ---- between runs -------------------------------------------------------------------------------------- */

typedef struct work {
    fg_ctx *ctx;
    fg_profile *p;
    const fg_tree *tree;
    double *run;     /* totals of the nodes in one run */
    double *squares; /* both sides' sums of squared distances from the mean, over the mean */
    size_t *first;   /* parts of run r: by_run[first[r]] … */
    uint32_t *by_run;
    double factor, df;
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

/* Totals of one run. Shares of the whole are compared where the sides are: its size must not count as noise. */
static void take_run(work *w, size_t r, double mean_whole) {
    const fg_tree *tree = w->tree;
    memset(w->run, 0, tree->count * sizeof *w->run);
    for (size_t i = w->first[r]; i < w->first[r + 1]; i++) {
        const fg__part *part = &w->p->parts[w->by_run[i]];
        w->run[w->p->tree->node[part->stack]] += (double)part->value;
    }
    for (size_t i = tree->count - 1; i > 0; i--) w->run[tree->parent[i]] += w->run[i];
    bool share = strcmp(fg_meta_text(w->p, "normalize"), "share") == 0;
    if (!share || w->run[0] <= 0) return;
    double scale = mean_whole / w->run[0];
    for (size_t i = 0; i < tree->count; i++) w->run[i] *= scale;
}

static void add_side(work *w, size_t side) {
    size_t from = side ? w->p->runs[0] : 0, n = w->p->runs[side];
    const int64_t *total = w->tree->total[side];
    double mean_whole = (double)total[0] / (double)n;
    for (size_t r = from; r < from + n; r++) {
        take_run(w, r, mean_whole);
        for (size_t i = 0; i < w->tree->count; i++) {
            double mean = (double)total[i] / (double)n, away = w->run[i] - mean;
            if (mean > 0) w->squares[i] += away * away / mean;
        }
    }
    w->df += (double)n - 1;
}

static int measure_runs(work *w) {
    w->run = fg__alloc(w->ctx, w->tree->count * sizeof *w->run);
    w->squares = fg__calloc(w->ctx, w->tree->count, sizeof *w->squares);
    int err = w->run && w->squares ? sort_parts(w) : FG_ENOMEM;
    for (size_t side = 0; side < 2 && !err; side++) add_side(w, side);
    return err;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static void fill(uint8_t *margins, const work *w) {
    double t = w->df > 0 ? fg__t_quantile(level / 2, w->df) : fg__normal_quantile(level / 2);
    double grain[] = {fg_meta_real(w->p, "grain_before"), fg_meta_real(w->p, "grain_after")};
    for (size_t i = 0; i < w->tree->count; i++) {
        double before = (double)w->tree->total[0][i], after = (double)w->tree->total[1][i];
        double between = w->squares ? w->squares[i] / w->df : 0;
        double variance =
            fmax(between, grain[0]) * before + w->factor * w->factor * fmax(between, grain[1]) * after;
        margins[i] = step_of(t * sqrt(variance), fmax(before, after * w->factor));
    }
}

int fg__noise_margins(uint8_t **out, fg_profile *p, double factor) {
    work w = {.ctx = p->ctx, .p = p, .factor = factor};
    *out = NULL;
    fg__noise_source source = fg__noise_of(p);
    if (source == FG__NOISE_UNKNOWN) return 0;
    int err = fg_profile_tree(&w.tree, p);
    if (!err && source == FG__NOISE_RUNS) err = measure_runs(&w);
    uint8_t *margins = err ? NULL : fg__alloc(p->ctx, w.tree->count);
    if (margins) fill(margins, &w);
    void *scratch[] = {w.run, w.squares, w.first, w.by_run};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) fg_free(p->ctx, scratch[i]);
    *out = margins;
    return err ? err : margins ? 0 : FG_ENOMEM;
}
