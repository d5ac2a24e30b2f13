/*
 * Counts are quasi-Poisson: variance = dispersion × mean (Wedderburn 1974; for sequence counts Lund et al. 2012). The
 * statistic is the logarithm of the ratio of means with the delta method's standard error, on Student's t.
 *
 * Dispersions are squeezed towards that of the bulk (Smyth 2004), with a prior that outliers do not move: median and
 * median absolute deviation of log dispersions instead of mean and variance (as Phipson et al. 2016 protect it).
 * Features that stand out keep their own, and so do those with far more samples than the bulk: run-to-run noise grows
 * with the count, and small functions say nothing about it.
 *
 * The prior counts a third of the runs at most: where few runs tell little, a strong one would hide what is noisier than
 * the bulk. The dispersion may be below 1, as a timer that ticks evenly samples fixed work more evenly than chance.
 */
#include "core/verdict.h"
#include <math.h>
#include <stdlib.h>
#include "core/stats.h"

static const double far_larger = 1.5;     /* times the median count */
static const double most_prior = 1.0 / 3; /* of the runs' degrees of freedom */
static const double stands_out = 0.1, power = 0.8;
static const double most_squared = 1e300, most_growth = 1e6;
enum { LEAST_BULK = 6, STEPS_TO_DETECTABLE = 30, STEPS_TO_LIMIT = 30 };

/* What the bulk says of a dispersion before it is looked at: about `at`, worth `df` degrees of freedom. */
typedef struct prior {
    double at, df;
} prior;

/* Between the means' and the dispersions' computation and the answer. */
typedef struct work {
    const fg__runs *runs;
    fg__change *out;
    double *sorted; /* scratch */
    size_t *order;
    double *p, *adjusted;
    size_t judged;
    double df; /* of a dispersion that borrows nothing */
    prior prior;
    double distance[2], distance_df[2]; /* see distance_of */
} work;

static double mean_of(const fg__runs *r, size_t feature, size_t from, size_t n) {
    double sum = 0;
    for (size_t i = from; i < from + n; i++) sum += r->counts[i * r->features + feature];
    return sum / (double)n;
}

static double squares_of(const fg__runs *r, size_t feature, size_t from, size_t n, double mean) {
    double sum = 0;
    for (size_t i = from; i < from + n; i++) {
        double d = r->counts[i * r->features + feature] - mean;
        sum += d * d;
    }
    return mean > 0 ? sum / mean : 0;
}

/* Half a sample in all runs together stands for none. */
static double at_least_half(double mean, size_t n) {
    return fmax(mean, 0.5 / (double)n);
}

/* Means and Pearson's estimate of the dispersion. A count is whole, so it varies by 1/12 at least. */
static void measure(work *w, size_t i) {
    const fg__runs *r = w->runs;
    fg__change *c = &w->out[i];
    double x = mean_of(r, i, 0, r->before), y = mean_of(r, i, r->before, r->after);
    double squares = squares_of(r, i, 0, r->before, x) + squares_of(r, i, r->before, r->after, y);
    *c = (fg__change){.before = x, .after = y, .df = w->df, .judged = fmax(x, y) >= r->floor};
    c->dispersion = w->df > 0 ? fmax(squares / w->df, x + y > 0 ? 1 / (6 * (x + y)) : 0) : 1;
    if (w->df <= 0) c->df = INFINITY;
    if (w->df <= 0 && r->known && r->known[i].df > 0) {
        c->dispersion = r->known[i].dispersion;
        c->df = r->known[i].df;
    }
    if (r->sampling) c->dispersion = fmax(c->dispersion, 1);
    w->judged += c->judged;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *list, size_t n) {
    qsort(list, n, sizeof *list, by_size);
    return n % 2 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2]) / 2;
}

static double size_of(const fg__change *c) {
    return (c->before + c->after) / 2;
}

/* What grew or shrank on one side is as large as it was. */
static double steady_size(const fg__change *c) {
    return fmin(c->before, c->after);
}

/* Marks the features that may borrow: judged, and not far larger than the bulk. */
static size_t mark_bulk(work *w) {
    size_t n = 0, bulk = 0;
    for (size_t i = 0; i < w->runs->features; i++)
        if (w->out[i].judged) w->sorted[n++] = steady_size(&w->out[i]);
    if (n < LEAST_BULK) return 0;
    double limit = far_larger * median(w->sorted, n);
    for (size_t i = 0; i < w->runs->features; i++) {
        w->out[i].borrows = w->out[i].judged && steady_size(&w->out[i]) <= limit;
        bulk += w->out[i].borrows;
    }
    return bulk;
}

static prior learn(work *w) {
    double shift = fg__digamma(w->df / 2) - log(w->df / 2), sampling = fg__trigamma(w->df / 2);
    size_t n = 0;
    for (size_t i = 0; i < w->runs->features; i++)
        if (w->out[i].borrows) w->sorted[n++] = log(w->out[i].dispersion) - shift;
    double middle = median(w->sorted, n), sum = 0;
    double *away = w->p; /* not in use yet */
    for (size_t i = 0; i < n; i++) away[i] = fabs(w->sorted[i] - middle);
    double spread = 1.4826 * median(away, n), limit = 2.5 * fmax(spread, sqrt(sampling));
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (fabs(w->sorted[i] - middle) > limit) continue;
        sum += w->sorted[i];
        kept++;
    }
    double excess = spread * spread - sampling, most = most_prior * w->df;
    double df = excess > 0 ? fmin(2 * fg__trigamma_inverse(excess), most) : most;
    return (prior){.df = df, .at = exp(sum / (double)kept + fg__digamma(df / 2) - log(df / 2))};
}

static void squeeze(work *w) {
    if (w->df <= 0 || mark_bulk(w) < LEAST_BULK) {
        for (size_t i = 0; i < w->runs->features; i++) w->out[i].borrows = false;
        return;
    }
    prior from = w->prior = learn(w);
    for (size_t i = 0; i < w->runs->features; i++) {
        fg__change *c = &w->out[i];
        if (!c->borrows) continue;
        c->borrows = fg__f_tail(c->dispersion / from.at, w->df, from.df) > stands_out;
        if (!c->borrows) continue;
        c->dispersion = (from.df * from.at + w->df * c->dispersion) / (from.df + w->df);
        c->df = from.df + w->df;
    }
}

/* Standard error of the logarithm of a ratio of two means. */
static double error_of(const fg__runs *r, const fg__change *c, double before, double after) {
    return sqrt(c->dispersion * (1 / ((double)r->before * at_least_half(before, r->before)) +
                                 1 / ((double)r->after * at_least_half(after, r->after))));
}

/*
 * Of what grows, sampling noise grows with the count and run-to-run noise with its square: the part of the dispersion
 * above 1 grows, too.
 */
static double grown_dispersion(const work *w, const fg__change *c, double growth) {
    double excess =
        fmax(fmax(c->dispersion, w->prior.at) - 1, 0); /* the runs may agree by chance more than the bulk */
    return c->dispersion + excess * (growth - 1) / 2;  /* the mean of both sides */
}

static double error_at(const work *w, const fg__change *c, double base, double growth) {
    fg__change grown = *c;
    grown.dispersion = grown_dispersion(w, c, growth);
    return error_of(w->runs, &grown, base, base * growth);
}

/* The F that is exceeded with a probability of stands_out. */
static double outstanding(double above, double below) {
    double low = 0, high = 1;
    while (fg__f_tail(high, above, below) > stands_out) high *= 2;
    for (int i = 0; i < STEPS_TO_LIMIT; i++) {
        double half = (low + high) / 2;
        *(fg__f_tail(half, above, below) > stands_out ? &low : &high) = half;
    }
    return high;
}

/* Estimated standard errors to what other runs find with a probability of 80 %; kept for those that ask the same next. */
static double distance_of(work *w, double df, bool borrows) {
    double *kept = &w->distance[borrows];
    if (*kept > 0 && w->distance_df[borrows] == df) return *kept;
    double tail = w->runs->level / 2 / (double)w->judged;
    fg__t_test t = {.critical = fg__t_quantile(tail, df), .own = df};
    if (borrows) {
        t.own = w->df;
        t.shared = w->prior.df;
        t.limit = outstanding(t.own, t.shared);
        t.alone = fg__t_quantile(tail, t.own);
    }
    w->distance_df[borrows] = df;
    return *kept = fg__t_distance(&t, power);
}

/* What is found alone is found at the level over all that is judged. The error depends on the growth: a fixed point. */
static double growth_at(const work *w, const fg__change *c, double budget, double distance) {
    double growth = 1 + budget, base = size_of(c);
    for (int i = 0; i < STEPS_TO_DETECTABLE; i++)
        growth = fmin((1 + budget) * exp(fmin(distance * error_at(w, c, base, growth), 600)), most_growth);
    return growth;
}

/* What has grown may stand out of the bulk for that alone. */
static double detectable(work *w, const fg__change *c, double budget) {
    double growth = growth_at(w, c, budget, distance_of(w, c->df, c->borrows));
    bool leaves = c->borrows &&
                  fg__f_tail(grown_dispersion(w, c, growth) / w->prior.at, w->df, w->prior.df) <= stands_out;
    if (leaves) growth = growth_at(w, c, budget, distance_of(w, w->df, false));
    return growth - 1;
}

static double settled(const work *w, double gap, double error) {
    double tail = w->runs->level / 2 / (double)w->judged;
    double needed = fg__normal_quantile(tail) + fg__normal_quantile(1 - power);
    double runs = fmin((double)w->runs->before, (double)w->runs->after);
    if (gap == 0) return 0;
    return ceil(runs * fmin(pow(needed * error / gap, 2), most_squared));
}

/* The p-values of all judged features: of any change, or of one beyond the budget. */
static void test(work *w, bool beyond) {
    size_t n = 0;
    for (size_t i = 0; i < w->runs->features; i++) {
        fg__change *c = &w->out[i];
        if (!c->judged) continue;
        double x = at_least_half(c->before, w->runs->before), y = at_least_half(c->after, w->runs->after);
        double size = fabs(log(y * w->runs->factor / x)), error = error_of(w->runs, c, c->before, c->after);
        double allowed = beyond ? log1p(w->runs->budgets[i]) : 0;
        w->p[n++] = fmin(1, 2 * fg__t_tail((size - allowed) / error, c->df));
    }
    fg__adjust(w->adjusted, w->p, w->order, n);
    n = 0;
    for (size_t i = 0; i < w->runs->features; i++) {
        fg__change *c = &w->out[i];
        if (!c->judged) continue;
        if (beyond)
            c->beyond = w->adjusted[n];
        else {
            c->p = w->p[n];
            c->adjusted = w->adjusted[n];
        }
        n++;
    }
}

static void describe(work *w, size_t i) {
    const fg__runs *r = w->runs;
    fg__change *c = &w->out[i];
    double x = at_least_half(c->before, r->before), y = at_least_half(c->after, r->after);
    double ratio = log(y * r->factor / x), error = error_of(r, c, c->before, c->after);
    double wide = fg__t_quantile(r->level / 2, c->df) * error;
    c->low = expm1(ratio - wide);
    c->high = expm1(ratio + wide);
    if (c->judged) {
        c->detectable = detectable(w, c, r->budgets[i]);
        c->settled = settled(w, fabs(ratio - log1p(r->budgets[i])), error);
    }
    c->after *= r->factor;
    c->growth = c->before > 0 ? c->after / c->before - 1 : c->after > 0 ? INFINITY : 0;
}

static void judge(work *w) {
    for (size_t i = 0; i < w->runs->features; i++) measure(w, i);
    squeeze(w);
    for (size_t i = 0; i < w->runs->features; i++)
        if (!w->out[i].judged) w->out[i].p = w->out[i].adjusted = w->out[i].beyond = 1;
    test(w, false);
    test(w, true);
    for (size_t i = 0; i < w->runs->features; i++) describe(w, i);
}

int fg__verdict(fg__change *out, fg_ctx *ctx, const fg__runs *runs) {
    size_t least = runs->sampling ? 1 : 2;
    if (runs->before < least || runs->after < least)
        return fg__fail(ctx, FG_EINVAL, "a verdict needs at least two runs a side, not %zu and %zu",
                        runs->before, runs->after);
    work w = {.runs = runs, .out = out, .df = (double)(runs->before + runs->after - 2)};
    w.sorted = fg__calloc(ctx, runs->features + 1, 3 * sizeof(double));
    w.order = fg__calloc(ctx, runs->features + 1, sizeof *w.order);
    if (w.sorted && w.order) {
        w.p = w.sorted + runs->features;
        w.adjusted = w.p + runs->features;
        judge(&w);
    }
    int err = w.sorted && w.order ? 0 : FG_ENOMEM;
    fg_free(ctx, w.sorted);
    fg_free(ctx, w.order);
    return err;
}
