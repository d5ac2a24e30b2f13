/*
 * A program with four threads whose functions have known, fixed work; one run a process. It samples itself: a timer on
 * the process's CPU time interrupts whichever thread runs, and the handler counts the function that the thread is in.
 * Prints `main;worker;NAME COUNT` lines.
 *
 *   cc -O2 -o threads threads.c -lpthread && ./threads
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

enum { THREADS = 4, FUNCTIONS = 12, CELLS = 1 << 21 };

static _Thread_local volatile int inside = -1;
static atomic_long counts[FUNCTIONS];
static unsigned *cells;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void tick(int signal) {
    (void)signal;
    if (inside >= 0) atomic_fetch_add(&counts[inside], 1);
}

/* Function f: arithmetic, walks in memory or short critical sections, by turns; work grows with f. */
static unsigned work(int f, unsigned x) {
    inside = f;
    long steps = 40000L * (f + 1);
    for (long i = 0; i < steps; i++) {
        x = x * 1664525u + 1013904223u;
        if (f % 3 == 1) x ^= cells[x % CELLS];
        if (f % 3 == 2 && i % 64 == 0) {
            pthread_mutex_lock(&lock);
            cells[x % CELLS] ^= x;
            pthread_mutex_unlock(&lock);
        }
    }
    inside = -1;
    return x;
}

static void *worker(void *seed) {
    unsigned x = (unsigned)(size_t)seed;
    for (int round = 0; round < 32; round++)
        for (int f = 0; f < FUNCTIONS; f++) x = work(f, x);
    return (void *)(size_t)x;
}

int main(void) {
    cells = calloc(CELLS, sizeof *cells);
    signal(SIGPROF, tick);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_PROF, &every, NULL);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, worker, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int f = 0; f < FUNCTIONS; f++) printf("main;worker;function_%02d %ld\n", f, (long)counts[f]);
    return 0;
}
