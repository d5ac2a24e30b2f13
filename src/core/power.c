/*
 * The power of a t test whose standard error is not known in advance. Somebody is told a growth, `distance` estimated
 * standard errors of these runs; of other runs, which have it, the same test is to find it:
 *
 *   P(Z + distance × U > critical × V)     Z normal, U and V what these and those estimate of the standard error, in true ones
 *
 * U² = (S + A) / (own + shared) and V² = (S + B) / (own + shared), where A and B are chi-square with the test's own degrees
 * of freedom, S with those of the prior (Smyth 2004), which is the same for both. Were U known to be 1, this would be the
 * tail of the noncentral t distribution; that U is an estimate as well is what makes few runs detect so little.
 *
 * The mean over S, A and B is taken over the middles of classes of equal probability; quantiles of chi-square are Wilson
 * and Hilferty's (1931).
 */
#include <math.h>
#include "core/stats.h"

enum { SHARED = 6, OWN = 12, HALVINGS = 18 };

/* The standard errors that are estimated: one for each class of the prior and of what is a test's own. */
typedef struct errors {
    double of[SHARED][OWN];
} errors;

static double chi_square(double df, double z) {
    double root = 1 - 2 / (9 * df) + z * sqrt(2 / (9 * df));
    return root > 0 ? df * root * root * root : 0;
}

static double middle(int class, int classes) {
    return -fg__normal_quantile((class + 0.5) / classes);
}

static void estimate(errors *e, double own, double shared) {
    for (int s = 0; s < SHARED; s++) {
        double prior = shared > 0 ? chi_square(shared, middle(s, SHARED)) : 0;
        for (int a = 0; a < OWN; a++)
            e->of[s][a] = sqrt((prior + chi_square(own, middle(a, OWN))) / (own + shared));
    }
}

static double power_of(const errors *e, double critical, double distance) {
    double sum = 0;
    for (int s = 0; s < SHARED; s++)
        for (int a = 0; a < OWN; a++)
            for (int b = 0; b < OWN; b++)
                sum += fg__normal_tail(critical * e->of[s][a] - distance * e->of[s][b]);
    return sum / (SHARED * OWN * OWN);
}

double fg__t_power(double critical, double distance, double own, double shared) {
    if (!isfinite(own)) return fg__normal_tail(critical - distance);
    errors e;
    estimate(&e, own, shared);
    return power_of(&e, critical, distance);
}

double fg__t_distance(double critical, double power, double own, double shared) {
    if (!isfinite(own)) return critical + fg__normal_quantile(1 - power);
    errors e;
    estimate(&e, own, shared);
    double low = 0, high = critical + 1;
    while (power_of(&e, critical, high) < power && high < 1e6 * (critical + 1)) high *= 2;
    for (int i = 0; i < HALVINGS; i++) {
        double half = (low + high) / 2;
        if (power_of(&e, critical, half) < power)
            low = half;
        else
            high = half;
    }
    return high;
}
