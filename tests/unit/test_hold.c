/* Locks on processes: who comes second is told who was first. */
#include "sys/hold.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t own(void) {
    return (uint32_t)getpid();
}

static void who_comes_second_is_told_who_was_first(void **state) {
    (void)state;
    int first, second;
    uint32_t holder = 0;
    assert_true(fg__hold(&first, &holder, own(), FG__HOLD_ALONE));
    assert_true(first >= 0);
    assert_false(fg__hold(&second, &holder, own(), FG__HOLD_ALONE));
    assert_int_equal(holder, own());
    assert_int_equal(second, -1);
    assert_false(fg__hold(&second, &holder, own(), FG__HOLD_SHARED));
    close(first);
    assert_true(fg__hold(&second, &holder, own(), FG__HOLD_ALONE));
    close(second);
}

static void who_changes_nothing_is_not_alone(void **state) {
    (void)state;
    int first, second, third;
    uint32_t holder;
    assert_true(fg__hold(&first, &holder, own(), FG__HOLD_ALONE));
    assert_true(fg__hold_as(first, FG__HOLD_SHARED));
    assert_true(fg__hold(&second, &holder, own(), FG__HOLD_SHARED));
    assert_false(fg__hold(&third, &holder, own(), FG__HOLD_ALONE));
    assert_false(fg__hold_as(second, FG__HOLD_ALONE));
    close(first);
    close(second);
}

/* A process that is killed leaves no lock behind. */
static void a_lock_ends_with_its_holder(void **state) {
    (void)state;
    int ready[2], fd, status;
    char byte;
    uint32_t holder = 0, target = own();
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        uint32_t nobody;
        byte = fg__hold(&fd, &nobody, target, FG__HOLD_ALONE) ? 'y' : 'n';
        if (write(ready[1], &byte, 1) == 1)
            for (;;) pause();
        _exit(1);
    }
    assert_true(child > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_false(fg__hold(&fd, &holder, target, FG__HOLD_ALONE));
    assert_int_equal(holder, child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(fg__hold(&fd, &holder, target, FG__HOLD_ALONE));
    close(fd);
    close(ready[0]);
    close(ready[1]);
}

static void nobody_holds_what_is_not_there(void **state) {
    (void)state;
    int fd;
    uint32_t holder;
    assert_true(fg__hold(&fd, &holder, 0x7fffffff, FG__HOLD_ALONE));
    assert_int_equal(fd, -1);
    assert_true(fg__hold_as(fd, FG__HOLD_SHARED));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_second_is_told_who_was_first),
        cmocka_unit_test(who_changes_nothing_is_not_alone),
        cmocka_unit_test(a_lock_ends_with_its_holder),
        cmocka_unit_test(nobody_holds_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
