/* What is known of the noise of a diff; how, in noise.c. */
#ifndef FG_NOISE_H
#define FG_NOISE_H

#include "core/walk.h"

/* From worst to best. */
typedef enum fg__noise_source {
    FG__NOISE_UNKNOWN,
    FG__NOISE_SAMPLING,
    FG__NOISE_SLICES,
    FG__NOISE_RUNS
} fg__noise_source;
fg__noise_source fg__noise_of(const fg_profile *diff);
/* "noise as 5 runs before and 5 after differ, false discovery rate 1 %" */
void fg__noise_text(char *text, size_t n, const fg_profile *diff);

/*
 * Half the widths of the intervals of the changes of nodes' totals, `factor` being what `after` is multiplied with.
 * Of runs and slices: of each node, in steps of a sixteenth of a power of two of its larger side. Of sampling: the square
 * of a margin is square[0] × before + square[1] × after × factor.
 */
typedef struct fg__noise {
    fg__noise_source source;
    uint8_t *margins; /* NULL: of sampling, or not known */
    size_t count;     /* of margins: nodes */
    double square[2];
} fg__noise;
/* The walk is of a diff, and is at any place then. The caller calls fg__noise_close, after a failure too. */
int fg__noise_open(fg__noise *out, fg__walk *w, double factor);
void fg__noise_close(fg__noise *noise, fg_ctx *ctx);
/* Of a node whose sides are, as they are compared, `before` and `after`; 0: not known. */
double fg__noise_margin(const fg__noise *noise, uint32_t node, double before, double after);

#endif
