/*
 * Distributions and multiple testing: what a verdict is computed from. Pure functions of numbers, no profile in sight.
 * All of them agree with SciPy to 1e-6 and better; tests/unit/test_stats.c has the values.
 *
 *   stats.c    the distributions          verdict.c  the test of two sets of runs          power.c  what that finds
 */
#ifndef FG_STATS_H
#define FG_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Regularised incomplete beta function I_x(a, b), a and b positive. */
double fg__beta_inc(double a, double b, double x);
/* P(T > t) for Student's t. */
double fg__t_tail(double t, double df);
/* The t that is exceeded with probability `tail`, which lies between 0 and 1. */
double fg__t_quantile(double tail, double df);
/* P(F > f). Infinite degrees of freedom are allowed below. */
double fg__f_tail(double f, double above, double below);
/* P(Z > z) for the normal distribution. */
double fg__normal_tail(double z);
double fg__normal_quantile(double tail);
double fg__digamma(double x);
double fg__trigamma(double x);
/* The x whose trigamma is y, which is positive. */
double fg__trigamma_inverse(double y);

/*
 * A t test whose dispersion has `own` degrees of freedom and, where it does not stand out, `shared` ones of a prior. It
 * stands out where it is `limit` times the prior's, and is then tested at the critical value `alone`.
 */
typedef struct fg__t_test {
    double critical, own, shared, limit, alone;
} fg__t_test;

/* P(other runs find it) of what is `distance` standard errors, as these runs estimate them; to 1 % (power.c). */
double fg__t_power(const fg__t_test *test, double distance);
/* The distance that is found with a probability of `power`. */
double fg__t_distance(const fg__t_test *test, double power);

/*
 * Values of something in `n` slices of time, one behind the other: variance over mean of the sums of blocks, by the
 * circular block bootstrap, and its degrees of freedom in *df. More than 1 says that samples come in bursts.
 */
double fg__block_dispersion(double *df, const double *values, size_t n);
/* The slices of a block, of n in all. */
size_t fg__block(size_t n);

/*
 * Adjusted p-values of Benjamini and Hochberg (1995): those at most q are the findings at a false discovery rate of q.
 * `order` is scratch, n entries.
 */
void fg__adjust(double *adjusted, const double *p, size_t *order, size_t n);

/*
 * What may be spent of `level` until the share `done` (0 to 1) of the planned data is in: Lan and DeMets (1983) with
 * the spending function that resembles O'Brien and Fleming's bounds.
 */
double fg__spent(double level, double done);

#endif
