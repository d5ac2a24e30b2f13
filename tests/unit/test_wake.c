/* Whose handler is it? Real Node processes are asked in tests/javascript. */
#include "loops.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "sys/wake.h"

static void handlers_are_told_apart(void **state) {
    (void)state;
    static const struct {
        uint64_t handler, flags;
        const char *file;
        fg__handler expected;
    } rows[] = {
        {0, 0, "", FG__HANDLER_NONE},
        {1, 0, "", FG__HANDLER_NONE},
        {0x1000, 0x04000000, "/usr/bin/node", FG__HANDLER_NODE},
        {0x1000, 0, "/usr/bin/node", FG__HANDLER_NODE},
        {0x1000, 0x04000000, "/usr/lib/libnode.so.108", FG__HANDLER_NODE},
        {0x1000, 0x04000000 | SA_RESTART, "/usr/bin/node", FG__HANDLER_SCRIPT},
        {0x1000, 0x04000000 | SA_RESTART | SA_RESETHAND, "/usr/bin/node", FG__HANDLER_SCRIPT},
        {0x1000, 0x04000000, "/usr/lib/libuv.so.1.0.0", FG__HANDLER_SCRIPT},
        {0x1000, 0x04000000 | SA_SIGINFO, "/usr/bin/node", FG__HANDLER_OTHER},
        {0x1000, 0x04000000, "/app/node_modules/x/build/Release/x.node", FG__HANDLER_OTHER},
        {0x1000, 0x04000000, "", FG__HANDLER_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fg__disposition d = {.handler = rows[i].handler, .flags = rows[i].flags};
        if (fg__handler_of(&d, rows[i].file, "/usr/bin/node") != rows[i].expected) fail_msg("row %zu", i);
    }
}

/* A process without a handler lives on, and is told apart from one that is not there. */
static void nothing_is_sent_where_it_would_end_the_process(void **state) {
    (void)state;
    pid_t child = fork();
    if (!child) {
        signal(SIGUSR1, SIG_DFL);
        pause();
        _exit(0);
    }
    int status, err = fg__node_wake(ctx, (uint64_t)child);
    assert_int_equal(err, FG_EUNSUPPORTED);
    assert_contains(fg_error(ctx), "no handler of SIGUSR1");
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(fg__node_wake(ctx, (uint64_t)child), FG_EIO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handlers_are_told_apart, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(nothing_is_sent_where_it_would_end_the_process, open_loop,
                                        close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
