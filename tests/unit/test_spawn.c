/* Child processes: what they read, write and return, and that they end. */
#include "loops.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV("sh", "-c", script)

static fg__op *start(const fg__spawn_options *options) {
    fg__op *op = NULL;
    int error = fg__spawn_start(&op, loop, options);
    if (error) fail_msg("%s", fg_error(ctx));
    return op;
}

static bool alive(int pid) {
    return kill(pid, 0) == 0;
}

static void expect_output(const fg__op *op, const char *out, const char *err) {
    fg__spawn_result result = fg__spawn_result_of(op);
    assert_int_equal(result.out_size, strlen(out));
    assert_memory_equal(result.out, out, strlen(out));
    assert_int_equal(result.err_size, strlen(err));
    assert_memory_equal(result.err, err, strlen(err));
}

static void output_and_status_are_returned(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){.argv = SH("echo out; echo err >&2; exit 3"), .in = FG__NULL});
    assert_int_equal(wait_for(op), 0);
    expect_output(op, "out\n", "err\n");
    fg__spawn_result result = fg__spawn_result_of(op);
    assert_int_equal(result.status, 3);
    assert_int_equal(result.signal, 0);
    fg__op_release(op);
}

static void input_is_fed(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    char *input = malloc(SIZE);
    memset(input, 'x', SIZE);
    fg__op *op = start(&(fg__spawn_options){.argv = ARGV("cat"), .input = input, .input_size = SIZE});
    memset(input, 'y', SIZE); /* it was copied */
    assert_int_equal(wait_for(op), 0);
    fg__spawn_result result = fg__spawn_result_of(op);
    assert_int_equal(result.out_size, SIZE);
    for (size_t i = 0; i < SIZE; i++) assert_int_equal(result.out[i], 'x');
    fg__op_release(op);
    /* one that does not read it */
    op = start(&(fg__spawn_options){
        .argv = SH("exec <&-; sleep 0.1; echo done"), .input = input, .input_size = SIZE});
    assert_int_equal(wait_for(op), 0);
    expect_output(op, "done\n", "");
    fg__op_release(op);
    free(input);
}

static void environment_and_folder_are_set(void **state) {
    (void)state;
    setenv("FG_TEST_KEPT", "kept", 1);
    setenv("FG_TEST_GONE", "gone", 1);
    const char *env[] = {"FG_TEST_NEW", "a=b", "FG_TEST_GONE", NULL};
    fg__op *op = start(&(fg__spawn_options){
        .argv = SH("echo $FG_TEST_KEPT,$FG_TEST_GONE,$FG_TEST_NEW; pwd"),
        .in = FG__NULL,
        .env = env,
        .env_count = 2,
        .cwd = "/usr",
    });
    assert_int_equal(wait_for(op), 0);
    expect_output(op, "kept,,a=b\n/usr\n", "");
    fg__op_release(op);
}

static void what_cannot_run_says_why(void **state) {
    (void)state;
    static const struct {
        const char *name, *cwd, *message;
    } cases[] = {
        {"fg-no-such-command", NULL,
         "cannot run fg-no-such-command: no such file or directory — it is not in $PATH"},
        {"/nowhere/at/all", NULL, "is the path right?"},
        {"/etc/passwd", NULL, "permission denied — is it a program, and executable?"},
        {"true", "/nowhere", "cannot run true in /nowhere: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fg__op *op;
        fg__spawn_options options = {.argv = ARGV(cases[i].name), .cwd = cases[i].cwd};
        assert_int_equal(fg__spawn_start(&op, loop, &options), FG_EIO);
        assert_contains(fg_error(ctx), cases[i].message);
    }
    assert_int_equal(fg__loop_under_way(loop), 0);
}

static void too_long_is_ended(void **state) {
    (void)state;
    double begin = fg__loop_now();
    fg__op *op = start(&(fg__spawn_options){.argv = ARGV("sleep", "60"), .in = FG__NULL, .timeout = 0.1});
    int pid = fg__spawn_result_of(op).pid;
    assert_true(alive(pid));
    assert_int_equal(wait_for(op), FG_ETIMEOUT);
    assert_contains(fg__op_message(op),
                    "sleep did not end within 0.1 s and was ended — `timeout` allows more");
    assert_true(fg__loop_now() - begin < FG__GRACE);
    assert_false(alive(pid));
    fg__op_release(op);
}

static void the_stubborn_are_killed(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){
        .argv = SH("trap '' TERM; echo ready; while :; do sleep 1; done"),
        .in = FG__NULL,
        .timeout = 0.3,
    });
    assert_int_equal(wait_for(op), FG_ETIMEOUT);
    assert_int_equal(fg__spawn_result_of(op).signal, SIGKILL);
    expect_output(op, "ready\n", "");
    fg__op_release(op);
}

static void too_much_is_ended(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){.argv = ARGV("yes"), .in = FG__NULL, .max_output = 100000});
    assert_int_equal(wait_for(op), FG_ELIMIT);
    assert_contains(fg__op_message(op), "yes wrote more than 100000 bytes");
    assert_int_equal(fg__spawn_result_of(op).out_size, 100000);
    fg__op_release(op);
    op = start(&(fg__spawn_options){.argv = SH("printf 12345"), .in = FG__NULL, .max_output = 5});
    assert_int_equal(wait_for(op), 0);
    fg__op_release(op);
}

static void signals_are_sent(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){
        .argv = SH("trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"),
        .in = FG__NULL,
    });
    while (fg__spawn_result_of(op).out_size == 0) fg__loop_step(loop, 1);
    expect_output(op, "ready\n", "");
    assert_int_equal(fg__spawn_result_of(op).status, -1);
    fg__spawn_kill(op, SIGINT);
    assert_int_equal(wait_for(op), 0);
    expect_output(op, "ready\ncaught\n", "");
    assert_int_equal(fg__spawn_result_of(op).status, 5);
    fg__spawn_kill(op, SIGINT); /* nobody any more */
    fg__op_release(op);
}

static void released_children_end(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){.argv = ARGV("sleep", "60"), .in = FG__NULL});
    int pid = fg__spawn_result_of(op).pid;
    fg__op_release(op);
    assert_int_equal(fg__loop_under_way(loop), 0);
    for (int i = 0; alive(pid) && i < 100; i++) fg__loop_step(loop, 0.05);
    assert_false(alive(pid));
}

static void children_end_with_the_loop(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){.argv = ARGV("sleep", "60"), .in = FG__NULL});
    fg__op *stubborn = start(&(fg__spawn_options){
        .argv = SH("trap '' TERM; echo ready; while :; do sleep 1; done"),
        .in = FG__NULL,
    });
    while (fg__spawn_result_of(stubborn).out_size == 0) fg__loop_step(loop, 1);
    int pids[] = {fg__spawn_result_of(op).pid, fg__spawn_result_of(stubborn).pid};
    fg__op_release(stubborn);
    fg__loop_free(loop);
    loop = NULL;
    assert_false(alive(pids[0]));
    assert_false(alive(pids[1]));
    assert_int_equal(fg__op_code(op), FG_EINTERRUPTED);
    fg__op_release(op);
}

static void a_group_ends_with_all_of_its_children(void **state) {
    (void)state;
    fg__op *op = start(&(fg__spawn_options){
        .argv = SH("trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait"),
        .in = FG__NULL,
        .group = true,
    });
    while (fg__spawn_result_of(op).out_size == 0) fg__loop_step(loop, 1);
    int grandchild = atoi(fg__spawn_result_of(op).out);
    assert_true(alive(grandchild));
    fg__op_release(op);
    for (int i = 0; alive(grandchild) && i < 100; i++) fg__loop_step(loop, 0.05);
    assert_false(alive(grandchild));
}

static void pipes_that_stay_open_are_not_waited_for(void **state) {
    (void)state;
    double begin = fg__loop_now();
    fg__op *op = start(&(fg__spawn_options){.argv = SH("echo here; sleep 10 & exit 0"), .in = FG__NULL});
    assert_int_equal(wait_for(op), 0);
    expect_output(op, "here\n", "");
    double passed = fg__loop_now() - begin;
    assert_true(passed > FG__GRACE * 0.9 && passed < 8);
    fg__op_release(op);
}

static int begin_spawn(fg__op **out, fg__loop *on) {
    const char *env[] = {"FG_TEST", "value"};
    fg__spawn_options options = {
        .argv = SH("cat; echo $FG_TEST >&2"), .input = "text", .input_size = 4, .env = env, .env_count = 1};
    return fg__spawn_start(out, on, &options);
}

static void each_allocation_may_fail(void **state) {
    (void)state;
    fail_each_allocation(begin_spawn);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)
    const struct CMUnitTest tests[] = {
        TEST(output_and_status_are_returned),
        TEST(input_is_fed),
        TEST(environment_and_folder_are_set),
        TEST(what_cannot_run_says_why),
        TEST(too_long_is_ended),
        TEST(the_stubborn_are_killed),
        TEST(too_much_is_ended),
        TEST(signals_are_sent),
        TEST(released_children_end),
        TEST(children_end_with_the_loop),
        TEST(a_group_ends_with_all_of_its_children),
        TEST(pipes_that_stay_open_are_not_waited_for),
        TEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
