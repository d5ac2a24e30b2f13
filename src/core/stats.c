/*
 * Distributions. Sources: the continued fraction of the incomplete beta function is 26.5.8 of Abramowitz and Stegun,
 * evaluated as Lentz (1976) does; digamma and trigamma are their asymptotic series 6.3.18 and 6.4.12.
 */
#include "core/stats.h"
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MOST_TERMS = 10000, MOST_STEPS = 200 };

/* Lentz's method must not divide by zero. */
static double apart_from_zero(double x) {
    return fabs(x) < DBL_MIN * 1e10 ? DBL_MIN * 1e10 : x;
}

static double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 / apart_from_zero(1 - (a + b) * x / (a + 1)), h = d;
    for (int m = 1; m < MOST_TERMS; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / apart_from_zero(1 + even * d);
        c = apart_from_zero(1 + even / c);
        h *= d * c;
        d = 1 / apart_from_zero(1 + odd * d);
        c = apart_from_zero(1 + odd / c);
        h *= d * c;
        if (fabs(d * c - 1) < 4 * DBL_EPSILON) break;
    }
    return h;
}

/* `y` is 1 − x, which the caller may know more exactly. */
static double beta_of(double a, double b, double x, double y) {
    if (x <= 0) return 0;
    if (y <= 0) return 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

double fg__beta_inc(double a, double b, double x) {
    return beta_of(a, b, x, 1 - x);
}

double fg__normal_tail(double z) {
    return 0.5 * erfc(z / sqrt(2));
}

double fg__t_tail(double t, double df) {
    if (!isfinite(df)) return fg__normal_tail(t);
    double whole = df + t * t;
    double half = 0.5 * beta_of(df / 2, 0.5, df / whole, t * t / whole);
    return t >= 0 ? half : 1 - half;
}

double fg__f_tail(double f, double above, double below) {
    if (f <= 0) return 1;
    if (!isfinite(below)) below = 1e9;
    double whole = below + above * f;
    return beta_of(below / 2, above / 2, below / whole, above * f / whole);
}

/* Bisection: monotonic, and sure for each number of degrees of freedom. */
double fg__t_quantile(double tail, double df) {
    if (tail > 0.5) return -fg__t_quantile(1 - tail, df);
    double low = 0, high = 1;
    while (fg__t_tail(high, df) > tail && high < 1e150) high *= 2;
    for (int i = 0; i < MOST_STEPS && high - low > 1e-13 * high; i++) {
        double middle = low + (high - low) / 2;
        if (fg__t_tail(middle, df) > tail)
            low = middle;
        else
            high = middle;
    }
    return low + (high - low) / 2;
}

double fg__normal_quantile(double tail) {
    return fg__t_quantile(tail, INFINITY);
}

double fg__digamma(double x) {
    double sum = 0;
    for (; x < 10; x++) sum -= 1 / x;
    double r = 1 / (x * x);
    return sum + log(x) - 0.5 / x -
           r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132)))));
}

double fg__trigamma(double x) {
    double sum = 0;
    for (; x < 10; x++) sum += 1 / (x * x);
    double r = 1 / (x * x);
    return sum + 1 / x + r / 2 +
           r / x * (1.0 / 6 - r * (1.0 / 30 - r * (1.0 / 42 - r * (1.0 / 30 - r * (5.0 / 66)))));
}

double fg__trigamma_inverse(double y) {
    double low = 1e-8, high = 1e8;
    for (int i = 0; i < MOST_STEPS && high / low > 1 + 1e-13; i++) {
        double middle = sqrt(low * high);
        if (fg__trigamma(middle) > y)
            low = middle;
        else
            high = middle;
    }
    return sqrt(low * high);
}

size_t fg__block(size_t n) {
    return (size_t)ceil(cbrt((double)n));
}

double fg__block_dispersion(double *df, const double *values, size_t n) {
    size_t block = fg__block(n);
    double mean = 0, squares = 0;
    *df = n > block ? (double)n / (double)block - 1 : 0;
    if (*df <= 0) return 0;
    for (size_t i = 0; i < n; i++) mean += values[i] * (double)block / (double)n;
    for (size_t from = 0; from < n; from++) {
        double sum = -mean;
        for (size_t i = from; i < from + block; i++) sum += values[i % n];
        squares += sum * sum;
    }
    return mean > 0 ? squares / ((double)n - (double)block) / mean : 0;
}

static int by_p(const void *a, const void *b, void *user) {
    const double *p = user;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return p[x] != p[y] ? (p[x] < p[y] ? -1 : 1) : (x > y) - (x < y);
}

void fg__adjust(double *adjusted, const double *p, size_t *order, size_t n) {
    for (size_t i = 0; i < n; i++) order[i] = i;
    qsort_r(order, n, sizeof *order, by_p, (void *)p);
    double least = 1;
    for (size_t rank = n; rank > 0; rank--) {
        size_t i = order[rank - 1];
        least = fmin(least, p[i] * (double)n / (double)rank);
        adjusted[i] = least;
    }
}

double fg__spent(double level, double done) {
    if (done <= 0) return 0;
    if (done >= 1) return level;
    return 2 * fg__normal_tail(fg__normal_quantile(level / 2) / sqrt(done));
}
