/* The kernel's clocks. */
#ifndef FG_SYS_CLOCK_H
#define FG_SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds on a clock: CLOCK_MONOTONIC, CLOCK_REALTIME (since 1970), CLOCK_THREAD_CPUTIME_ID. */
static inline int64_t fg__clock_ns(clockid_t clock) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
