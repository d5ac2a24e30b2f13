/*
 * Allocates by every function that gives memory, keeps what functions named keep_… get and frees the rest, in turns of
 * its own pace (argv[1]: microseconds from one turn to the next) and of two threads, which free each other's blocks.
 * It counts by itself, and tells at a line of input: "NAME BYTES BLOCKS" kept and "NAME BYTES BLOCKS" allocated, for
 * each function since the last line, then "end".
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT = 1 << 20, PASSED = 64 };

static void *volatile kept[KEPT]; /* volatile: what nobody reads would never be allocated */
static size_t kept_n;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static void *volatile passed[PASSED];

struct count {
    const char *name;
    long long bytes, blocks, all_bytes, all_blocks;
};

/* A function that has kept a block of `n` bytes after `all` allocations of `sum` bytes. */
static void count(struct count *c, size_t n, long long all, size_t sum) {
    c->bytes += (long long)n;
    c->blocks += n != 0;
    c->all_blocks += all;
    c->all_bytes += (long long)sum;
}

static void keep(void *block) {
    if (kept_n == KEPT) exit(1);
    kept[kept_n++] = block;
}

#define FUNCTION(name)                                                                                       \
    static struct count of_##name = {#name, 0, 0, 0, 0};                                                     \
    __attribute__((noinline)) static void name(void)

FUNCTION(keep_malloc) {
    keep(malloc(100));
    count(&of_keep_malloc, 100, 1, 100);
}

FUNCTION(keep_calloc) {
    keep(calloc(3, 111));
    count(&of_keep_calloc, 333, 1, 333);
}

/* Grows a block from nothing, in place or not: the last size counts. */
FUNCTION(keep_realloc) {
    char *volatile block = realloc(NULL, 50);
    block = realloc(block, 5000);
    keep(realloc(block, 700));
    count(&of_keep_realloc, 700, 3, 50 + 5000 + 700);
}

/* A large one is a mapping of its own, which moves as such. */
FUNCTION(keep_mapped) {
    char *volatile block = malloc(200000);
    keep(realloc(block, 300000));
    count(&of_keep_mapped, 300000, 2, 500000);
}

FUNCTION(keep_aligned) {
    void *block = NULL;
    keep(aligned_alloc(64, 640));
    keep(memalign(8, 80));
    if (!posix_memalign(&block, 32, 320)) keep(block);
    count(&of_keep_aligned, 640, 1, 640);
    count(&of_keep_aligned, 80, 1, 80);
    count(&of_keep_aligned, 320, 1, 320);
}

/* The other thread frees it. */
FUNCTION(pass_on) {
    for (int i = 0; i < PASSED; i++) {
        free(passed[i]);
        passed[i] = malloc(1000);
    }
    count(&of_pass_on, 0, PASSED, 1000 * PASSED);
}

FUNCTION(drop_all) {
    void *volatile block = NULL;
    for (int i = 0; i < 20; i++) {
        void *volatile other = malloc(40);
        free(other);
    }
    block = malloc(60);
    block = realloc(block, 90000);
    block = realloc(block, 0);
    if (!posix_memalign((void **)&block, 4096, 10000)) free(block);
    block = realloc(NULL, 10);
    free(realloc(block, SIZE_MAX / 2) ? NULL : block); /* fails: the block stays, until now */
    count(&of_drop_all, 0, 24, 20 * 40 + 60 + 90000 + 10000 + 10);
}

static const struct {
    void (*work)(void);
    struct count *count;
} functions[] = {{keep_malloc, &of_keep_malloc},   {keep_calloc, &of_keep_calloc},
                 {keep_realloc, &of_keep_realloc}, {keep_mapped, &of_keep_mapped},
                 {keep_aligned, &of_keep_aligned}, {pass_on, &of_pass_on},
                 {drop_all, &of_drop_all}};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static useconds_t pause_us;
static volatile int working;

static void take_turn(void) {
    for (size_t i = 0; i < FUNCTIONS; i++) {
        pthread_mutex_lock(&turn);
        if (working) functions[i].work();
        pthread_mutex_unlock(&turn);
    }
}

static void *work(void *unused) {
    for (;;) {
        if (working) take_turn();
        usleep(working ? pause_us : 1000);
    }
    return unused;
}

static void tell(void) {
    for (size_t i = 0; i < FUNCTIONS; i++) {
        struct count *c = functions[i].count;
        printf("%s %lld %lld %lld %lld\n", c->name, c->bytes, c->blocks, c->all_bytes, c->all_blocks);
        *c = (struct count){.name = c->name};
    }
    puts("end");
    fflush(stdout);
}

/* "go" and "stop" come by the line. What is passed on last is freed at the stop, so that it is kept by nobody. */
int main(int argc, char **argv) {
    char line[64];
    pthread_t threads[2];
    pause_us = (useconds_t)(argc > 1 ? atoi(argv[1]) : 1000);
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, work, NULL);
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        pthread_mutex_lock(&turn);
        working = strcmp(line, "go\n") == 0;
        for (int i = 0; i < PASSED && !working; i++) {
            free(passed[i]);
            passed[i] = NULL;
        }
        if (!working) tell();
        pthread_mutex_unlock(&turn);
    }
    return 0;
}
