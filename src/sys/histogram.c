/* Times counted in buckets; histogram.h has how they are laid out. */
#include "sys/histogram.h"
#include <math.h>

enum { HALF = 1 << FG__HISTOGRAM_BITS };

static size_t bucket_of(double seconds) {
    static const uint64_t longest = ((uint64_t)1 << FG__HISTOGRAM_LONGEST_BITS) - 1;
    double rounded = seconds * 1e6;
    uint64_t value = !(rounded > 0) ? 0 : rounded >= (double)longest ? longest : (uint64_t)rounded;
    unsigned shift = 0;
    while (value >> shift >= 2 * HALF) shift++;
    return shift * HALF + (size_t)(value >> shift);
}

double fg__histogram_upto(size_t bucket) {
    size_t shift = bucket < 2 * HALF ? 0 : bucket / HALF - 1;
    uint64_t value = bucket - shift * HALF;
    return (double)(((value + 1) << shift) - 1) / 1e6;
}

void fg__histogram_add(fg__histogram *h, double seconds) {
    if (!(seconds > 0)) seconds = 0;
    if (h->count == 0 || seconds < h->least) h->least = seconds;
    if (seconds > h->most) h->most = seconds;
    h->sum += seconds;
    h->count++;
    h->buckets[bucket_of(seconds)]++;
}

double fg__histogram_quantile(const fg__histogram *h, double share) {
    if (h->count == 0) return 0;
    if (share <= 0) return h->least;
    uint64_t wanted = (uint64_t)ceil(share * (double)h->count), seen = 0;
    for (size_t i = 0; i < FG__HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen < wanted) continue;
        double upto = fg__histogram_upto(i);
        return upto < h->most ? upto : h->most; /* never beyond what was seen */
    }
    return h->most;
}
