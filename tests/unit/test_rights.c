/* Refusals: is the cause found, and does its message say what helps? */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "sys/rights.h"

static void expect(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' does not say '%s'", text, part);
}

static void test_no_process(void **state) {
    (void)state;
    fg_ctx *ctx = fg_ctx_new();
    assert_int_equal(fg__rights_process(ctx, 4194305), FG_EIO);
    assert_string_equal(fg_error(ctx), "there is no process 4194305");
    assert_int_equal(fg__rights_refused(ctx, FG__RIGHT_PERF, 4194305, ESRCH), FG_EIO);
    assert_string_equal(fg_error(ctx), "cannot sample process 4194305: there is no process 4194305");
    fg_ctx_free(ctx);
}

static void test_ended(void **state) {
    (void)state;
    fg_ctx *ctx = fg_ctx_new();
    char text[128];
    pid_t child = fork();
    if (!child) _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(fg__rights_process(ctx, (uint64_t)child), FG_EIO);
    snprintf(text, sizeof text, "has ended: its parent, process %d, has not collected it yet", getpid());
    expect(fg_error(ctx), text);
    waitpid(child, NULL, 0);
    fg_ctx_free(ctx);
}

static void test_kernel_thread(void **state) {
    (void)state;
    fg_ctx *ctx = fg_ctx_new();
    if (access("/proc/2/status", R_OK) == 0 && access("/proc/2/exe", F_OK) != 0) {
        assert_int_equal(fg__rights_process(ctx, 2), FG_EIO); /* kthreadd, where /proc is the machine's */
        expect(fg_error(ctx), "(kthreadd) is a thread of the kernel");
    }
    assert_int_equal(fg__rights_process(ctx, (uint64_t)getpid()), 0);
    fg_ctx_free(ctx);
}

/* In a child, because what is given up is gone: another user without any capability. */
static int as_nobody(void) {
    fg__refusal said;
    if (setgid(65534) || setuid(65534)) return 10;
    if (!fg__rights_foreseen(&said, FG__RIGHT_PTRACE, 1) || !strstr(said.why, "belongs to user root"))
        return 11;
    if (!strstr(said.remedy, "sudo setcap cap_sys_ptrace=ep /")) return 12;
    if (!fg__rights_foreseen(&said, FG__RIGHT_PERF, 1) || !strstr(said.why, "without cap_perfmon")) return 13;
    if (!fg__rights_foreseen(&said, FG__RIGHT_BPF, 0) || !strstr(said.why, "cap_bpf")) return 14;
    fg__rights_explain(&said, FG__RIGHT_PERF_BUFFER, 0, EPERM);
    if (!strstr(said.remedy, "sudo sysctl kernel.perf_event_mlock_kb=")) return 15;
    return 0;
}

static void test_other_user(void **state) {
    (void)state;
    int status = 0;
    if (geteuid() != 0) return; /* then the others have seen to it */
    pid_t child = fork();
    if (!child) _exit(as_nobody());
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_what_the_kernel_says(void **state) {
    (void)state;
    fg_ctx *ctx = fg_ctx_new();
    uint64_t self = (uint64_t)getpid();
    assert_int_equal(fg__rights_refused(ctx, FG__RIGHT_PERF, self, EINVAL), FG_EUNSUPPORTED);
    expect(fg_error(ctx), "(test_rights): perf_event_open: Invalid argument");
    assert_int_equal(fg__rights_refused(ctx, FG__RIGHT_PERF, self, EMFILE), FG_EUNSUPPORTED);
    expect(fg_error(ctx), "ulimit -n 65536");
    assert_int_equal(fg__rights_refused(ctx, FG__RIGHT_BPF, 0, ENOSYS), FG_EUNSUPPORTED);
    assert_int_equal(fg__right_named("bpf"), FG__RIGHT_BPF);
    assert_int_equal(fg__right_named("cakes"), FG__RIGHT_COUNT);
    fg_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_process),           cmocka_unit_test(test_ended),
        cmocka_unit_test(test_kernel_thread),        cmocka_unit_test(test_other_user),
        cmocka_unit_test(test_what_the_kernel_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
