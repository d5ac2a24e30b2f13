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
 * What stands out of the prior, B / own > limit × S / shared, is tested alone: V² = B / own, at the critical value of so few
 * degrees of freedom. These runs did not stand out, or they would not have borrowed.
 *
 * The mean over S, A and B is taken over the middles of classes of equal probability; quantiles of chi-square are Wilson
 * and Hilferty's (1931).
 */
#include <math.h>
#include "core/stats.h"

enum { SHARED = 6, OWN = 12, HALVINGS = 18 };

/* Of each class of the prior and of what is a test's own: the estimated standard error, and the critical value in true ones. */
typedef struct classes {
    double error[SHARED][OWN], bound[SHARED][OWN];
    bool borrows[SHARED][OWN];
} classes;

static double chi_square(double df, double z) {
    double root = 1 - 2 / (9 * df) + z * sqrt(2 / (9 * df));
    return root > 0 ? df * root * root * root : 0;
}

static double middle(int class, int of) {
    return -fg__normal_quantile((class + 0.5) / of);
}

static void classify(classes *c, const fg__t_test *t) {
    for (int s = 0; s < SHARED; s++) {
        double prior = t->shared > 0 ? chi_square(t->shared, middle(s, SHARED)) : 0;
        for (int i = 0; i < OWN; i++) {
            double own = chi_square(t->own, middle(i, OWN));
            bool alone = t->shared > 0 && own / t->own > t->limit * prior / t->shared;
            c->borrows[s][i] = !alone;
            c->error[s][i] = sqrt((prior + own) / (t->own + t->shared));
            c->bound[s][i] = alone ? t->alone * sqrt(own / t->own) : t->critical * c->error[s][i];
        }
    }
}

static double power_of(const classes *c, double distance) {
    double sum = 0;
    int n = 0;
    for (int s = 0; s < SHARED; s++)
        for (int a = 0; a < OWN; a++)
            for (int b = 0; c->borrows[s][a] && b < OWN; b++, n++)
                sum += fg__normal_tail(c->bound[s][b] - distance * c->error[s][a]);
    return n ? sum / n : 0;
}

double fg__t_power(const fg__t_test *test, double distance) {
    if (!isfinite(test->own)) return fg__normal_tail(test->critical - distance);
    classes c;
    classify(&c, test);
    return power_of(&c, distance);
}

double fg__t_distance(const fg__t_test *test, double power) {
    if (!isfinite(test->own)) return test->critical + fg__normal_quantile(1 - power);
    classes c;
    classify(&c, test);
    double low = 0, high = test->critical + 1, most = 1e6 * high;
    while (power_of(&c, high) < power && high < most) high *= 2;
    for (int i = 0; i < HALVINGS; i++) {
        double half = (low + high) / 2;
        if (power_of(&c, half) < power)
            low = half;
        else
            high = half;
    }
    return high;
}
