/*
 * A program's own account of its CPU time: timed() around a piece of work, and what each piece took, as JSON on a line
 * for each line that it is sent. It ends with its input.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ACCOUNTS = 16 };

struct account {
    char name[32];
    double seconds;
};

static struct account *accounts; /* shared with children */

static inline double thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline struct account *account(const char *name) {
    int i = 0;
    while (accounts[i].name[0] && strcmp(accounts[i].name, name) != 0) i++;
    if (!accounts[i].name[0]) snprintf(accounts[i].name, sizeof accounts[i].name, "%s", name);
    return &accounts[i];
}

/* Each account has one writer at a time. */
static inline void timed(struct account *a, void (*work)(long), long units) {
    double begun = thread_seconds();
    work(units);
    a->seconds += thread_seconds() - begun;
}

/* Never the same twice, so that no rhythm of the work falls into step with the sampling. */
static inline long uneven(long units, unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return units / 2 + (long)(*state >> 8) % units;
}

static inline void open_accounts(void) {
    accounts = (struct account *)mmap(NULL, ACCOUNTS * sizeof *accounts, PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (accounts == (struct account *)MAP_FAILED) exit(1);
}

static inline void tell_accounts(void) {
    putchar('{');
    for (int i = 0; i < ACCOUNTS && accounts[i].name[0]; i++)
        printf("%s\"%s\": %.9f", i ? ", " : "", accounts[i].name, accounts[i].seconds);
    puts("}");
    fflush(stdout);
}

/* Work in a thread of its own, answer in this one. */
static inline int serve_accounts(void *(*work)(void *)) {
    pthread_t thread;
    char line[64];
    if (pthread_create(&thread, NULL, work, NULL)) return 1;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) tell_accounts();
    return 0;
}

#endif
