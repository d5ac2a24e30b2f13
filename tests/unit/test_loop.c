/* The loop, the life of ops in every order, timers, lines and signals. */
#include "loops.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static fg__op *timer(double seconds) {
    fg__op *op;
    assert_int_equal(fg__timer_start(&op, loop, seconds), 0);
    return op;
}

static void timers_finish_in_order_of_time(void **state) {
    (void)state;
    fg__op *late = timer(0.06), *soon = timer(0.02), *order[2];
    assert_int_equal(fg__loop_under_way(loop), 2);
    size_t n = 0;
    while (n < 2) {
        fg__loop_step(loop, -1);
        for (fg__op *op; (op = fg__loop_take(loop)); n++) order[n] = op;
    }
    assert_ptr_equal(order[0], soon);
    assert_ptr_equal(order[1], late);
    assert_int_equal(fg__loop_under_way(loop), 0);
    fg__op_release(soon);
    fg__op_release(late);
}

static void a_step_returns_in_time(void **state) {
    (void)state;
    fg__op *op = timer(60);
    double start = fg__loop_now();
    fg__loop_step(loop, 0);
    assert_true(fg__loop_now() - start < 0.05);
    fg__loop_step(loop, 0.05);
    double passed = fg__loop_now() - start, done, expected;
    assert_true(passed > 0.045 && passed < 5);
    assert_null(fg__loop_take(loop));
    fg__op_progress(op, &done, &expected);
    assert_true(done > 0.04 && expected == 60);
    fg__op_release(op);
}

static void released_ops_are_not_reported(void **state) {
    (void)state;
    fg__op *finished = timer(0), *first = timer(0), *kept = timer(0), *running = timer(60);
    while (!fg__op_finished(kept)) fg__loop_step(loop, 0);
    fg__op_release(finished);
    fg__op_release(running);
    fg__op_release(first);
    fg__op *again = timer(0); /* goes to the end of the list that was just cut */
    wait_for(again);
    assert_int_equal(fg__loop_under_way(loop), 0);
    fg__op_release(kept);
    fg__op_release(again);
    assert_null(fg__loop_take(loop));
}

static void the_last_finished_op_can_be_released(void **state) {
    (void)state;
    fg__op *a = timer(0), *b = timer(0);
    while (!fg__op_finished(b)) fg__loop_step(loop, 0);
    fg__op_release(b);
    fg__op *c = timer(0);
    while (!fg__op_finished(c)) fg__loop_step(loop, 0);
    assert_ptr_equal(fg__loop_take(loop), a);
    assert_ptr_equal(fg__loop_take(loop), c);
    assert_null(fg__loop_take(loop));
    fg__op_release(a);
    fg__op_release(c);
}

static void ops_outlive_their_loop(void **state) {
    (void)state;
    fg__op *running = timer(60), *done = timer(0), *taken = timer(0);
    wait_for(taken);
    fg__op_release(timer(60));
    fg__loop_free(loop);
    loop = NULL;
    assert_true(fg__op_finished(running));
    assert_int_equal(fg__op_code(running), FG_EINTERRUPTED);
    assert_int_equal(fg__op_code(done), 0);
    fg__op_release(running);
    fg__op_release(taken);
    fg__op_release(done);
    fg__op_release(NULL);
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static void expect_line(int fd, const char *expected) {
    fg__op *op;
    size_t n;
    assert_int_equal(fg__line_start(&op, loop, fd), 0);
    assert_int_equal(wait_for(op), 0);
    assert_string_equal(fg__line_of(op, &n), expected);
    assert_int_equal(n, strlen(expected));
    fg__op_release(op);
}

static void expect_no_line(int fd, int code, const char *message) {
    fg__op *op;
    assert_int_equal(fg__line_start(&op, loop, fd), 0);
    assert_int_equal(wait_for(op), code);
    assert_contains(fg__op_message(op), message);
    fg__op_release(op);
}

static void lines_come_from_pipes(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "one\ntwo\r\n\nrest", 14), 14);
    expect_line(ends[0], "one");
    expect_line(ends[0], "two");
    expect_line(ends[0], "");
    close(ends[1]);
    expect_line(ends[0], "rest");
    expect_no_line(ends[0], FG_EEMPTY, "end of input");
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    close(ends[0]);
}

static void a_line_is_waited_for(void **state) {
    (void)state;
    int ends[2];
    fg__op *op;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fg__line_start(&op, loop, ends[0]), 0);
    fg__loop_step(loop, 0.02);
    assert_false(fg__op_finished(op));
    assert_int_equal(write(ends[1], "half", 4), 4);
    fg__loop_step(loop, 0.02);
    assert_false(fg__op_finished(op));
    assert_int_equal(write(ends[1], "\n", 1), 1);
    assert_int_equal(wait_for(op), 0);
    fg__op_release(op);
    assert_int_equal(fg__line_start(&op, loop, ends[0]), 0);
    fg__op_release(op);
    close(ends[0]);
    close(ends[1]);
}

static void lines_come_from_files(void **state) {
    (void)state;
    FILE *file = tmpfile();
    fputs("first\nlast", file);
    rewind(file);
    expect_line(fileno(file), "first");
    expect_line(fileno(file), "last");
    expect_no_line(fileno(file), FG_EEMPTY, "end of input");
    fclose(file);
}

static void endless_lines_are_an_error(void **state) {
    (void)state;
    int zero = open("/dev/zero", O_RDONLY);
    expect_no_line(zero, FG_ELIMIT, "more than 65536 bytes");
    close(zero);
    fg__op *op;
    assert_int_equal(fg__line_start(&op, loop, 9999), FG_EIO);
    assert_contains(fg_error(ctx), "Bad file descriptor");
}

/* ---- signals ------------------------------------------------------------------------------------------- */

static void signals_wake_the_loop(void **state) {
    (void)state;
    assert_int_equal(fg__loop_interrupts(loop), 0);
    assert_int_equal(fg__loop_signals(loop, true), 0);
    fg__loop *other;
    assert_int_equal(fg__loop_new(&other, ctx), 0);
    assert_int_equal(fg__loop_signals(other, true), FG_EUNSUPPORTED);
    fg__op *op = timer(60);
    raise(SIGINT);
    fg__loop_step(loop, -1);
    assert_int_equal(fg__loop_interrupts(loop), 1);
    assert_int_equal(fg__loop_interrupts(other), 0);
    assert_false(fg__op_finished(op));
    fg__op_release(op);
    assert_int_equal(fg__loop_signals(loop, false), 0);
    struct sigaction now;
    sigaction(SIGINT, NULL, &now);
    assert_ptr_equal(now.sa_handler, SIG_DFL);
    assert_int_equal(fg__loop_signals(other, true), 0);
    fg__loop_free(other);
}

static pid_t background;

static void on_alarm(int number) {
    (void)number;
    kill(getpid(), SIGINT);
}

/* Runs `body` in a process of its own and returns how that ended. */
static int status_of(void (*body)(void)) {
    background = fork();
    if (background == 0) {
        body();
        _exit(0);
    }
    int status;
    waitpid(background, &status, 0);
    return status;
}

static void interrupted_twice_computing(void) {
    fg__loop_signals(loop, true);
    raise(SIGINT);
    raise(SIGINT);
    _exit(7); /* not reached */
}

static void interrupted_twice_waiting(void) {
    fg__loop_signals(loop, true);
    raise(SIGTERM);
    fg__loop_step(loop, 0);
    timer(60);
    signal(SIGALRM, on_alarm);
    alarm(1);
    while (fg__loop_interrupts(loop) < 2) fg__loop_step(loop, -1);
    _exit(7);
}

static void interrupted_thrice(void) {
    fg__loop_signals(loop, true);
    raise(SIGINT);
    fg__loop_step(loop, 0);
    signal(SIGALRM, on_alarm);
    alarm(1);
    timer(60);
    while (fg__loop_interrupts(loop) < 2) fg__loop_step(loop, -1);
    raise(SIGINT);
    _exit(7); /* not reached */
}

static void the_second_signal_insists(void **state) {
    (void)state;
    int status = status_of(interrupted_twice_computing);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    status = status_of(interrupted_twice_waiting);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = status_of(interrupted_thrice);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static int begin_line(fg__op **out, fg__loop *on) {
    static int ends[2];
    if (ends[0]) close(ends[0]);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "line\n", 5), 5);
    close(ends[1]);
    return fg__line_start(out, on, ends[0]);
}

static int begin_timer(fg__op **out, fg__loop *on) {
    return fg__timer_start(out, on, 0);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    fail_each_allocation(begin_line);
    fail_each_allocation(begin_timer);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)
    const struct CMUnitTest tests[] = {
        TEST(timers_finish_in_order_of_time), TEST(a_step_returns_in_time),
        TEST(released_ops_are_not_reported),  TEST(the_last_finished_op_can_be_released),
        TEST(ops_outlive_their_loop),         TEST(lines_come_from_pipes),
        TEST(a_line_is_waited_for),           TEST(lines_come_from_files),
        TEST(endless_lines_are_an_error),     TEST(signals_wake_the_loop),
        TEST(the_second_signal_insists),      TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
