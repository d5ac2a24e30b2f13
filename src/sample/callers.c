/* Two lists of callers into one. */
#include "sample/callers.h"

size_t fg__callers_join(uint64_t *chain, size_t n, size_t most, const uint64_t *near, size_t near_n,
                        bool whole) {
    size_t met = 1, last = 0; /* of the chain, how much near has as well, and up to where in near */
    if (n == 0 || near_n < 2 || near_n > most) return n;
    for (size_t i = 1; i < near_n && met < n; i++) {
        if (near[i] != chain[met]) continue;
        met++;
        last = i;
    }
    /* The walk ended where it should, before what starts a thread: deep stacks, and this one, begin there alike. */
    if (whole && last && met == n) near_n = last + 1;
    size_t rest = whole ? 0 : n - met;
    if (rest > most - near_n) rest = most - near_n;
    memmove(chain + near_n, chain + met, rest * sizeof *chain);
    memcpy(chain, near, near_n * sizeof *chain);
    return near_n + rest;
}
