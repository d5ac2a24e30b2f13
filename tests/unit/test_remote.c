/*
 * Visits to other processes. The targets are children of this program, so that what is called has the same address in
 * both. After each visit they say themselves that nothing of theirs has changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
// clang-format off
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include "sys/remote.h"
#include "sys/sys.h"

/* What a child shares with us. */
static struct shared {
    volatile uint64_t rounds, wrong, calls;
    volatile double late;
    volatile int error;
    volatile bool end;
} * shared;
static fg_ctx *ctx;
static pid_t child;

static int start(void (*body)(void)) {
    memset(shared, 0, sizeof *shared);
    child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        body();
        _exit(0);
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return 0;
}

static void stop(void) {
    int status;
    shared->end = true;
    for (int i = 0; i < 2000 && waitpid(child, &status, WNOHANG) == 0; i++) {
        if (i == 1999) kill(child, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* Called in the child, on its own stack, with the alignment of a call. */
static uint64_t count_call(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    volatile double clobbered[4] __attribute__((aligned(16))) = {1.5, 2.5, 3.5, 4.5};
    for (int i = 0; i < 4; i++) clobbered[i] = sqrt(clobbered[i] * (double)a);
    shared->calls++;
    getppid(); /* system calls of its own are no end of the call */
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f + ((uint64_t)1 << 40);
}
static const uint64_t arguments[] = {1, 2, 3, 4, 5, 6};
#define EXPECTED (654321 + ((uint64_t)1 << 40))

static double now(void) {
    return fg__loop_now();
}

static fg__remote *visit(double seconds) {
    fg__remote *r = NULL;
    int err = fg__remote_open(&r, ctx, (uint64_t)child, now() + seconds);
    if (err) fail_msg("%s", fg_error(ctx));
    return r;
}

static void call_once(fg__remote *r) {
    uint64_t result = 0;
    assert_int_equal(fg__remote_call(&result, r, (uint64_t)(uintptr_t)count_call, arguments, 6), 0);
    assert_int_equal(result, EXPECTED);
}

/* ---- children ------------------------------------------------------------------------------------------ */

static void on_signal(int signal) {
    (void)signal;
}

/* Sums that live in registers, general and vector: what a visit forgets to put back shows. */
static void compute(void) {
    while (!shared->end) {
        double x = 1, y = 2, z = 3;
        uint64_t n = 1;
        for (int i = 1; i <= 20000; i++) {
            x = x * 0.5 + i;
            y += x;
            z = sqrt(y * 0.25 + z);
            n = n * 6364136223846793005u + 1;
        }
        static double x0, y0, z0;
        static uint64_t n0;
        if (!shared->rounds) x0 = x, y0 = y, z0 = z, n0 = n;
        if (memcmp(&x, &x0, 8) || memcmp(&y, &y0, 8) || memcmp(&z, &z0, 8) || n != n0) shared->wrong++;
        shared->rounds++;
    }
}

static void doze(void) {
    while (!shared->end) {
        double before = now();
        if (nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL)) shared->error = errno;
        double late = now() - before - 0.1;
        if (late < 0) shared->wrong++; /* it woke up early */
        if (late > shared->late) shared->late = late;
        shared->rounds++;
    }
}

static void block_in_read(void) {
    int ends[2];
    char byte;
    if (pipe(ends)) _exit(1);
    if (read(ends[0], &byte, 1) < 0) shared->error = errno;
}

static void wait_for_lock(void) {
    static uint32_t word = 0;
    while (!shared->end) {
        if (syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, NULL, NULL, 0)) shared->error = errno;
        shared->rounds++;
    }
}

static void ignore_and_block(void) {
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGSEGV);
    sigaddset(&some, SIGUSR2);
    sigprocmask(SIG_SETMASK, &some, NULL);
    signal(SIGSEGV, on_signal);
    signal(SIGTRAP, SIG_IGN);
    signal(SIGUSR1, on_signal);
    doze();
}

/* ---- what /proc says of it ----------------------------------------------------------------------------- */

/* Signals and mappings of the child; the caller frees it. */
static char *state_of(void) {
    char *text = calloc(1, 1 << 16), line[512], path[64];
    assert_non_null(text);
    snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if ((strncmp(line, "Sig", 3) == 0 && line[3] != 'Q') || strncmp(line, "Shd", 3) == 0)
            strcat(text, line); /* SigQ counts what waits for all processes of the user */
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)child);
    file = fopen(path, "r");
    assert_non_null(file);
    size_t n = strlen(text);
    n += fread(text + n, 1, (1 << 16) - n - 1, file);
    fclose(file);
    return text;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void a_sleeping_thread_is_called(void **state) {
    (void)state;
    start(doze);
    for (int i = 0; i < 30; i++) {
        fg__remote *r = visit(5);
        assert_int_equal(fg__remote_stop_when(r, fg__remote_resting, NULL), 0);
        assert_true(fg__remote_stopped(r).waiting);
        assert_int_equal(fg__remote_stopped(r).tid, child);
        call_once(r);
        call_once(r);
        assert_int_equal(fg__remote_resume(r), 0);
        assert_int_equal(fg__remote_stopped(r).tid, 0);
        fg__remote_close(r);
    }
    stop();
    assert_int_equal(shared->calls, 60);
    assert_int_equal(shared->error, 0);
    assert_int_equal(shared->wrong, 0);
}

static void a_busy_thread_is_called_anywhere(void **state) {
    (void)state;
    start(compute);
    for (int i = 0; i < 200; i++) {
        fg__remote *r = visit(5);
        assert_int_equal(fg__remote_stop_when(r, fg__remote_is_main, NULL), 0);
        call_once(r);
        fg__remote_close(r);
    }
    uint64_t rounds = shared->rounds;
    for (int i = 0; i < 2000 && shared->rounds < rounds + 3; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(shared->rounds >= rounds + 3);
    stop();
    assert_int_equal(shared->calls, 200);
    assert_int_equal(shared->wrong, 0);
}

static void signals_and_mappings_stay(void **state) {
    (void)state;
    start(ignore_and_block);
    char *before = state_of();
    for (int i = 0; i < 10; i++) {
        uint64_t address;
        char bytes[3000], back[3000];
        memset(bytes, 'a' + i, sizeof bytes);
        fg__remote *r = visit(5);
        assert_int_equal(fg__remote_stop_when(r, fg__remote_resting, NULL), 0);
        assert_int_equal(fg__remote_map(&address, r, sizeof bytes), 0);
        assert_int_equal(fg__remote_write(r, address, bytes, sizeof bytes), 0);
        call_once(r);
        kill(child, SIGUSR1);
        assert_int_equal(fg__remote_read(r, back, address, sizeof back), 0);
        assert_memory_equal(bytes, back, sizeof back);
        assert_int_equal(fg__remote_unmap(r, address, sizeof bytes), 0);
        assert_int_equal(fg__remote_read(r, back, address, sizeof back), FG_EIO);
        int64_t result;
        assert_int_equal(fg__remote_syscall(&result, r, SYS_getpid, NULL, 0), 0);
        assert_int_equal(result, child);
        assert_int_equal(fg__remote_syscall(&result, r, SYS_close, (uint64_t[]){9999}, 1), 0);
        assert_int_equal(result, -EBADF);
        fg__remote_close(r);
        for (int j = 0; j < 1000 && !shared->error; j++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        assert_int_equal(shared->error, EINTR); /* the signal that waited has come */
        shared->error = 0;
    }
    char *after = state_of();
    assert_string_equal(before, after);
    free(before);
    free(after);
    stop();
}

static void a_read_goes_on(void **state) {
    (void)state;
    start(block_in_read);
    for (int i = 0; i < 20; i++) {
        fg__remote *r = visit(5);
        assert_int_equal(fg__remote_stop_when(r, fg__remote_resting, NULL), 0);
        assert_int_equal(fg__remote_stopped(r).system_call, SYS_read);
        call_once(r);
        fg__remote_close(r);
    }
    assert_int_equal(shared->error, 0);
    kill(child, SIGKILL);
    stop();
}

/* Wait until the target is in that system call. */
static void wait_for_call(long number) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)child);
    for (int i = 0; i < 10000; i++) {
        long in = -1;
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        if (fscanf(file, "%ld", &in) != 1) in = -1;
        fclose(file);
        if (in == number) return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("the target does not come to system call %ld", number);
}

static void a_lock_is_no_place_to_rest(void **state) {
    (void)state;
    start(wait_for_lock);
    wait_for_call(SYS_futex);
    fg__remote *r = visit(0.1);
    assert_int_equal(fg__remote_stop_when(r, fg__remote_resting, NULL), FG_ETIMEOUT);
    assert_non_null(strstr(fg_error(ctx), "left alone"));
    fg__remote_close(r);
    assert_int_equal(shared->rounds, 0);
    r = visit(5);
    assert_int_equal(fg__remote_stop_when(r, fg__remote_is_main, NULL), 0);
    call_once(r);
    assert_int_equal(fg__remote_resume_interrupted(r), 0);
    fg__remote_close(r);
    for (int i = 0; i < 1000 && !shared->rounds; i++) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(shared->error, EINTR);
    kill(child, SIGKILL);
    stop();
}

static __attribute__((noinline)) void milestone(void) {
    __asm__ volatile("");
    shared->rounds++;
}

static void pass_milestones(void) {
    while (!shared->end) {
        for (volatile int i = 0; i < 100000; i++) {}
        milestone();
    }
}

static void a_breakpoint_stops_it(void **state) {
    (void)state;
    start(pass_milestones);
    const uint64_t at = (uint64_t)(uintptr_t)milestone;
    for (int i = 0; i < 50; i++) {
        fg__remote *r = visit(5);
        if (fg__remote_stop_at(r, &at, 1)) fail_msg("%s", fg_error(ctx));
        assert_true(fg__remote_stopped(r).ip == at);
        call_once(r);
        fg__remote_close(r);
    }
    uint64_t rounds = shared->rounds;
    for (int i = 0; i < 2000 && shared->rounds < rounds + 3; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(shared->rounds >= rounds + 3); /* no breakpoint is left */
    fg__remote *r = visit(0.3);
    assert_int_equal(fg__remote_stop_at(r, (uint64_t[]){at + 4096}, 1), FG_ETIMEOUT);
    fg__remote_close(r);
    stop();
    assert_int_equal(shared->calls, 50);
}

static void never_return(void) {
    for (;;) pause();
}

static void a_call_that_hangs_is_broken_off(void **state) {
    (void)state;
    start(doze);
    uint64_t result;
    fg__remote *r = visit(5);
    assert_int_equal(fg__remote_stop_when(r, fg__remote_resting, NULL), 0);
    fg__remote_set_overtime(r, now() + 0.2);
    assert_int_equal(fg__remote_call(&result, r, (uint64_t)(uintptr_t)never_return, NULL, 0), FG_ETIMEOUT);
    fg__remote_close(r);
    uint64_t rounds = shared->rounds;
    for (int i = 0; i < 2000 && shared->rounds < rounds + 2; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(shared->rounds >= rounds + 2);
    stop();
}

static void refusals_say_why(void **state) {
    (void)state;
    fg__remote *r = NULL;
    assert_int_equal(fg__remote_open(&r, ctx, 0x3fffffff, now() + 1), FG_EIO);
    assert_non_null(strstr(fg_error(ctx), "no process"));
    start(doze);
    kill(child, SIGSTOP);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_int_equal(fg__remote_open(&r, ctx, (uint64_t)child, now() + 1), FG_EIO);
    assert_non_null(strstr(fg_error(ctx), "kill -CONT"));
    assert_null(r);
    kill(child, SIGCONT);
    stop();
}

static void a_target_may_end_meanwhile(void **state) {
    (void)state;
    start(doze);
    fg__remote *r = visit(5);
    uint64_t result;
    assert_int_equal(fg__remote_stop_when(r, fg__remote_resting, NULL), 0);
    kill(child, SIGKILL);
    assert_int_equal(fg__remote_call(&result, r, (uint64_t)(uintptr_t)count_call, arguments, 6), FG_EIO);
    fg__remote_close(r);
    waitpid(child, NULL, 0);
}

static int set_up(void **state) {
    (void)state;
    ctx = fg_ctx_new();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return !ctx || shared == MAP_FAILED;
}

static int tear_down(void **state) {
    (void)state;
    fg_ctx_free(ctx);
    return munmap(shared, sizeof *shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleeping_thread_is_called),     cmocka_unit_test(a_busy_thread_is_called_anywhere),
        cmocka_unit_test(signals_and_mappings_stay),       cmocka_unit_test(a_read_goes_on),
        cmocka_unit_test(a_lock_is_no_place_to_rest),      cmocka_unit_test(a_breakpoint_stops_it),
        cmocka_unit_test(a_call_that_hangs_is_broken_off), cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(a_target_may_end_meanwhile),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
