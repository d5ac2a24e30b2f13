/*
 * How many allocations a sample stands for.
 *
 * A probe costs the same whether its hit becomes a sample or not; what a sample costs besides is paid so many times in a
 * second at most. A program that allocates little has all of its allocations in the picture, exactly.
 */
#include <stdio.h>
#include "sample/malloc.h"

enum { STEP = 10 };
static const uint64_t longest = 1 << 30;

/* The next number, from this one on, that has no divisor. */
static uint64_t prime_from(uint64_t n) {
    for (;; n++) {
        uint64_t d = 2;
        while (d * d <= n && n % d) d++;
        if (d * d > n) return n;
    }
}

/* Ten times as long, of primes alone: 1, 11, 101, 1009 … */
static uint64_t period_after(unsigned steps) {
    uint64_t period = 1;
    while (steps--) period *= STEP;
    return prime_from(period);
}

void fg__malloc_period_begin(fg__malloc_period *p, uint64_t given) {
    *p = (fg__malloc_period){.now = prime_from(given ? given : 1), .given = given != 0};
}

bool fg__malloc_period_count(fg__malloc_period *p, double now) {
    if (p->given || p->due || p->now >= longest) return false;
    if (now >= p->second + 1) {
        p->second = now;
        p->samples = 0;
    }
    p->due = ++p->samples > FG__MALLOC_SAMPLES;
    if (p->due) p->stopped = now;
    return p->due;
}

void fg__malloc_period_longer(fg__malloc_period *p) {
    p->now = period_after(++p->longer);
}

void fg__malloc_period_set(fg__malloc_period *p, double now) {
    p->unseen += now - p->stopped;
    p->second = now;
    p->samples = 0;
    p->due = false;
}

void fg__malloc_period_text(char *text, size_t size, const fg__malloc_period *p) {
    if (p->now == 1) {
        snprintf(text, size, "each allocation is a sample");
        return;
    }
    int n = snprintf(text, size, "one allocation of %llu is a sample", (unsigned long long)p->now);
    for (unsigned i = 0; i < p->longer && (size_t)n < size; i++)
        n += i ? snprintf(text + n, size - (size_t)n, ", then one of %llu",
                          (unsigned long long)period_after(i))
               : snprintf(text + n, size - (size_t)n, ", at first each");
    if (p->longer && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, " (none for %.0f ms between)", p->unseen * 1000);
}
