/*
 * One busy thread at the end of a stack of 20 calls. For each line that it is sent, it tells the rounds that it has made
 * and the CPU time that they took, as JSON; it ends with its input.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { DEPTH = 20, UNITS = 100000 };

static volatile unsigned long rounds;
static pthread_t worker;

static void descend(int depth) {
    static void (*volatile deeper)(int) = descend; /* read each time, or the compiler makes a loop of it */
    volatile unsigned long sum = 0;
    if (depth > 1) {
        deeper(depth - 1);
        sum++;
        return;
    }
    for (;;) {
        for (unsigned long i = 0; i < UNITS; i++) sum += i;
        rounds++;
    }
}

static void *work(void *unused) {
    descend(DEPTH);
    return unused;
}

int main(void) {
    char line[64];
    clockid_t clock;
    if (pthread_create(&worker, NULL, work, NULL) || pthread_getcpuclockid(worker, &clock)) return 1;
    while (fgets(line, sizeof line, stdin)) {
        struct timespec t;
        unsigned long before = rounds;
        clock_gettime(clock, &t);
        printf("{\"rounds\": %lu, \"cpu\": %.9f}\n", before, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
        fflush(stdout);
    }
    return 0;
}
