/*
 * Known waits: threads that sleep, block on a lock, read a pipe and wait on a futex. Each takes the time of its own
 * waits; `disk` waits for the disk, `busy` keeps each CPU busy as well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "clock.h"

#define NOINLINE __attribute__((noinline))

static volatile unsigned long sink;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ends[2], word;

static double wall_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

NOINLINE static void burn(long n) {
    volatile unsigned long sum = 0;
    for (long i = 0; i < n; i++) sum += (unsigned long)i;
    sink += sum;
}

/* ---- what waits ---- */

NOINLINE void sleeps(void) {
    usleep(10000);
    sink++; /* or the call would be a jump */
}

NOINLINE void blocks_on_lock(void) {
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    sink++;
}

NOINLINE void reads_pipe(void) {
    char byte;
    while (read(ends[0], &byte, 1) < 0 && errno == EINTR) continue;
    sink++;
}

NOINLINE void waits_on_futex(void) {
    int seen = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
    syscall(SYS_futex, &word, FUTEX_WAIT, seen, NULL, NULL, 0);
    sink++;
}

NOINLINE void waits_for_disk(void) {
    static int file = -1;
    char bytes[4096] = "x";
    if (file < 0) {
        char name[] = "waitsXXXXXX";
        file = mkstemp(name);
        unlink(name);
    }
    if (pwrite(file, bytes, sizeof bytes, 0) > 0) fdatasync(file);
    sink++;
}

/* ---- threads ---- */

struct role {
    const char *thread;
    void (*wait)(void);
    const char *account;
};

static void *waiter(void *given) {
    const struct role *role = given;
    struct account *mine = account(role->account);
    prctl(PR_SET_NAME, role->thread);
    for (;;) {
        double begun = wall_seconds();
        role->wait();
        mine->seconds += wall_seconds() - begun;
        burn(100000);
    }
    return NULL;
}

/* What the others wait for comes from here, 25 times a second: this is who wakes them. */
NOINLINE void wakes_others(void) {
    if (write(ends[1], "x", 1) < 0) exit(1);
    __atomic_add_fetch(&word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    sink++;
}

static void *waker(void *unused) {
    (void)unused;
    prctl(PR_SET_NAME, "waker");
    for (;;) {
        pthread_mutex_lock(&lock);
        usleep(20000);
        pthread_mutex_unlock(&lock);
        usleep(20000);
        wakes_others();
    }
    return NULL;
}

static void *busy(void *unused) {
    (void)unused;
    prctl(PR_SET_NAME, "busy");
    for (;;) burn(100000);
    return NULL;
}

/* A thread that has nothing to do. */
static void *idle(void *unused) {
    prctl(PR_SET_NAME, "idle");
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    static const struct role roles[] = {{"sleeper", sleeps, "sleeps"},
                                        {"locker", blocks_on_lock, "blocks_on_lock"},
                                        {"reader", reads_pipe, "reads_pipe"},
                                        {"futex", waits_on_futex, "waits_on_futex"},
                                        {"disk", waits_for_disk, "waits_for_disk"}};
    const char *what = argc > 1 ? argv[1] : "";
    size_t n = strcmp(what, "disk") == 0 ? 5 : 4;
    pthread_t thread;
    open_accounts();
    if (pipe(ends)) return 1;
    for (size_t i = 0; i < n; i++) {
        account(roles[i].account);
        pthread_create(&thread, NULL, waiter, (void *)&roles[i]);
    }
    pthread_create(&thread, NULL, idle, NULL);
    for (long i = 0; strcmp(what, "busy") == 0 && i < 2 * sysconf(_SC_NPROCESSORS_ONLN); i++)
        pthread_create(&thread, NULL, busy, NULL);
    return serve_accounts(waker);
}
