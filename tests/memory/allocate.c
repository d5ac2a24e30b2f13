/* Allocates known amounts from known functions, then says so and waits for the end of its input (or is busy). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *volatile kept[100000]; /* volatile: what nobody reads would never be allocated */
static size_t count;

static inline void keep(size_t n, int byte) {
    memset(kept[count++] = malloc(n), byte, n);
}

__attribute__((noinline)) static void keep_large(void) {
    for (int i = 0; i < 40; i++) keep(1 << 20, 1);
}

__attribute__((noinline)) static void keep_small(void) {
    for (int i = 0; i < 20000; i++) keep(1000, 2);
}

__attribute__((noinline)) static void drop_all(void) {
    for (int i = 0; i < 20000; i++) {
        char *volatile block = malloc(1000 + (size_t)i % 2);
        memset(block, 3, 1000);
        free(block);
    }
}

__attribute__((noinline)) static void keep_one(void) {
    keep(1000, 4);
}

/* CPU time of an allocation and its release, in nanoseconds, again and again: for the bench. */
static void tell_cost(void) {
    struct timespec from, to;
    for (;;) {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        drop_all();
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        printf("%g\n",
               ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 20000);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    char byte;
    keep_large();
    keep_small();
    drop_all();
    puts("ready");
    fflush(stdout);
    if (strcmp(how, "cost") == 0) tell_cost();
    if (strcmp(how, "leave") == 0) return 0;
    while (strcmp(how, "busy") == 0) drop_all();
    while (strcmp(how, "grow") == 0 && count < sizeof kept / sizeof *kept) {
        keep_one();
        usleep(200);
    }
    for (volatile long spins = 0; strcmp(how, "spin") == 0; spins++) {}
    return read(0, &byte, 1) < 0;
}
