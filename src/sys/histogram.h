/*
 * Counts of times, from a microsecond to nineteen hours, in buckets none of which is wider than 1/128 of its values:
 * percentiles are right to 0.8 %, whatever their size, in constant memory.
 *
 *      bucket   0 … 255       the value itself, in microseconds
 *             256 … 383       two values each, up to 511
 *             384 … 511       four values each, up to 1023, and so on
 */
#ifndef FG_SYS_HISTOGRAM_H
#define FG_SYS_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { FG__HISTOGRAM_BITS = 7, FG__HISTOGRAM_LONGEST_BITS = 36 };
enum {
    FG__HISTOGRAM_BUCKETS = (FG__HISTOGRAM_LONGEST_BITS - FG__HISTOGRAM_BITS + 1) << FG__HISTOGRAM_BITS,
};

typedef struct fg__histogram {
    uint64_t count;
    double sum, least, most; /* seconds, exact; 0 where there is nothing */
    uint64_t buckets[FG__HISTOGRAM_BUCKETS];
} fg__histogram;

/* What is below a microsecond counts as 0, what is longer than the longest as that. */
void fg__histogram_add(fg__histogram *h, double seconds);
/* The time that a share of all (0 to 1) do not exceed, in seconds; 0 where there is nothing. */
double fg__histogram_quantile(const fg__histogram *h, double share);
/* The longest time that falls in a bucket, in seconds. */
double fg__histogram_upto(size_t bucket);

#endif
