/*
 * verdict: are two sets of runs of a program different? The run is the unit: samples of one run are not independent of
 * each other, runs are. docs/verdicts.md has the method and what it was measured to do.
 */
#ifndef FG_VERDICT_H
#define FG_VERDICT_H

#include <stdbool.h>
#include "core/core.h"

/* What is known of a dispersion otherwise, and its degrees of freedom. */
typedef struct fg__known {
    double dispersion, df;
} fg__known;

/* Counts, run by run: counts[run * features + feature], the runs of before first. */
typedef struct fg__runs {
    const double *counts;
    size_t features, before, after;
    const double *budgets; /* of each feature: the growth that is allowed, 0.02 for 2 % */
    double factor; /* what counts of after are multiplied with before they are compared; more than 0 */
    double floor;  /* features with fewer samples a run are not judged */
    double level;  /* false discovery rate */
    bool sampling; /* one run a side will do: then noise is that of sampling, as it is at least with more */
    const fg__known *known; /* with one run a side: of each feature; NULL: nothing is */
} fg__runs;

/* What is said of a feature. Growths are relative: 0.14 for +14 %. */
typedef struct fg__change {
    bool judged;           /* above the floor, on one side at least */
    bool borrows;          /* its dispersion leans on that of the others */
    double before, after;  /* mean count a run; after times the factor */
    double growth;         /* INFINITY where before is 0 */
    double low, high;      /* interval of the growth, at 1 − level */
    double dispersion, df; /* variance / mean between runs, and its degrees of freedom */
    double p, adjusted;    /* no change at all */
    double beyond;         /* adjusted p of: the change, of whichever sign, is within the budget */
    double detectable;     /* growth beyond the budget that would be found with a probability of 80 % */
    double settled; /* runs a side until the budget is decided, if the growth is what it seems; 0: never */
} fg__change;

/* Judge all features; `out` has room for each. At least two runs a side, or one with `sampling`. */
int fg__verdict(fg__change *out, fg_ctx *ctx, const fg__runs *runs);

#endif
