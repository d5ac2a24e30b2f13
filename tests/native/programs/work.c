/* Known shares of CPU time, in C: work shares | recursion | threads | requests | children; or a second of it: work once */
#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"

enum { UNITS = 20000, DEPTH = 30, THREADS = 8 };

static volatile unsigned long sink;

__attribute__((noinline)) static void burn(long n) {
    volatile unsigned long sum = 0; /* what has nothing on the stack gets no frame pointer either */
    for (long i = 0; i < n; i++) sum += (unsigned long)i;
    sink += sum;
}

#define SHARE(name, times)                                                                                   \
    __attribute__((noinline)) void name(long units) {                                                        \
        burn(units *(times));                                                                                \
        sink++; /* or the call would be a jump */                                                            \
    }
SHARE(sixty, 6)
SHARE(thirty, 3)
SHARE(ten, 1)
SHARE(in_parent, 6)
SHARE(in_child, 4)

static void *shares(void *unused) {
    struct account *of[] = {account("sixty"), account("thirty"), account("ten")};
    unsigned state = 1;
    (void)unused;
    prctl(PR_SET_NAME, "worker");
    for (;;) {
        timed(of[0], sixty, uneven(UNITS, &state));
        timed(of[1], thirty, uneven(UNITS, &state));
        timed(of[2], ten, uneven(UNITS, &state));
    }
    return NULL;
}

static void descend_from(long units, int depth);
void (*volatile descend)(long, int) = descend_from; /* read each time, or the compiler makes a loop of it */

static void descend_from(long units, int depth) {
    burn(units / 10);
    if (depth > 1) descend(units, depth - 1);
    sink++;
}

__attribute__((noinline)) void recursion(long units) {
    descend(units, DEPTH);
    sink++;
}

static void *recursive(void *unused) {
    struct account *of[] = {account("recursion"), account("thirty")};
    unsigned state = 1;
    (void)unused;
    for (;;) {
        timed(of[0], recursion, uneven(UNITS, &state));
        timed(of[1], thirty, uneven(UNITS, &state));
    }
    return NULL;
}

static void *one_of_many(void *name) {
    struct account *of = account(name);
    unsigned state = 1;
    prctl(PR_SET_NAME, name);
    for (;;) timed(of, sixty, uneven(UNITS, &state));
    return NULL;
}

static void *threads(void *unused) {
    static char names[THREADS][16];
    (void)unused;
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        snprintf(names[i], sizeof names[i], "worker-%d", i);
        account(names[i]);
        if (pthread_create(&thread, NULL, one_of_many, names[i])) exit(1);
    }
    for (;;) pause();
    return NULL;
}

/* A thread for each request, which takes some 23 ms, and does one thing after the other. */
static void *one_request(void *unused) {
    static const struct {
        const char *name;
        void (*work)(long);
        double until;
    } steps[] = {{"sixty", sixty, 0.0138}, {"thirty", thirty, 0.0207}, {"ten", ten, 0.023}};
    unsigned state = 1;
    for (int i = 0; i < 3; i++) {
        struct account *of = account(steps[i].name);
        while (thread_seconds() < steps[i].until) timed(of, steps[i].work, uneven(UNITS / 4, &state));
    }
    return unused;
}

static void *requests(void *unused) {
    for (;;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, one_request, unused)) exit(1);
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* Children that live for some dozens of milliseconds of CPU time. */
static void *children(void *unused) {
    struct account *of[] = {account("in_parent"), account("in_child")};
    unsigned state = 1;
    (void)unused;
    for (;;) {
        long units = uneven(UNITS * 64L, &state);
        pid_t pid = fork();
        if (pid == 0) {
            timed(of[1], in_child, units);
            _exit(0);
        }
        timed(of[0], in_parent, uneven(UNITS * 64L, &state));
        waitpid(pid, NULL, 0);
    }
    return NULL;
}

/* As much CPU time as is asked for, to the end of a piece of work. */
static int once(void) {
    unsigned state = 1;
    while (thread_seconds() < 1) sixty(uneven(UNITS, &state));
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void *(*work)(void *);
    } modes[] = {{"shares", shares},
                 {"recursion", recursive},
                 {"threads", threads},
                 {"requests", requests},
                 {"children", children}};
    if (argc == 2 && strcmp(argv[1], "once") == 0) return once();
    open_accounts();
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, argv[1]) == 0) return serve_accounts(modes[i].work);
    return 2;
}
