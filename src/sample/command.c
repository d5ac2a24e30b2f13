/* A command to sample. Between fork and exec the child does only what is safe in a copy of a process with threads. */
#include "sample/command.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sys/op.h"

static void run_child(int go, int report, const char *const *words) {
    sigset_t none;
    char byte;
    if (read(go, &byte, 1) != 1) _exit(127); /* we have gone */
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(words[0], (char *const *)words);
    int error = errno;
    if (write(report, &error, sizeof error) < 0) _exit(126);
    _exit(127);
}

int fg__command_start(fg__command *c, fg_ctx *ctx, const char *const *words) {
    int go[2], report[2];
    *c = FG__COMMAND_NONE;
    c->name = words[0];
    if (pipe2(go, O_CLOEXEC)) return fg__fail(ctx, FG_EIO, "cannot make a pipe: %s", strerror(errno));
    if (pipe2(report, O_CLOEXEC)) {
        close(go[0]);
        close(go[1]);
        return fg__fail(ctx, FG_EIO, "cannot make a pipe: %s", strerror(errno));
    }
    c->pid = fork();
    if (c->pid == 0) {
        close(go[1]); /* or it would not notice that we have gone */
        run_child(go[0], report[1], words);
    }
    int error = errno;
    close(go[0]);
    close(report[1]);
    c->go = go[1];
    c->report = report[0];
    if (c->pid > 0) {
        c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
        return 0;
    }
    c->pid = 0;
    return fg__fail(ctx, FG_EIO, "cannot start a process: %s", strerror(error));
}

int fg__command_go(fg__command *c, fg_ctx *ctx) {
    int error = 0;
    ssize_t n;
    fg__sigpipe held;
    fg__sigpipe_hold(&held);
    n = write(c->go, "", 1);
    fg__sigpipe_restore(&held);
    while (n == 1 && (n = read(c->report, &error, sizeof error)) < 0 && errno == EINTR) n = 1;
    if (n == 0) return 0; /* executing has closed the pipe */
    if (n < 0) error = errno;
    const char *remedy = "";
    if (error == ENOENT)
        remedy = strchr(c->name, '/') ? " — is the path right?" : " — it is not in $PATH; is it installed?";
    if (error == EACCES) remedy = " — is it a program, and executable?";
    return fg__fail(ctx, FG_EIO, "cannot run %s: %s%s", c->name, strerror(error), remedy);
}

bool fg__command_ended(fg__command *c) {
    int status;
    if (!c->pid || c->status >= 0) return true;
    pid_t pid = waitpid(c->pid, &status, WNOHANG);
    if (pid == 0) return false;
    c->status = pid < 0 ? 0 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

/* Whether it ended within `seconds` (negative: no limit); told to stop, it does not wait without one. */
static bool ends_within(fg__command *c, double seconds, int stop_fd) {
    struct pollfd polls[] = {{.fd = c->pidfd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    double until = fg__loop_now() + seconds;
    while (!fg__command_ended(c)) {
        double left = until - fg__loop_now();
        if (seconds >= 0 && left <= 0) return false;
        int wait = c->pidfd < 0 ? 50 : seconds < 0 ? -1 : (int)(left * 1000) + 1;
        if (poll(polls, 2, wait) > 0 && polls[1].revents) return fg__command_ended(c);
    }
    return true;
}

void fg__command_wait(fg__command *c, const fg__sampler *s) {
    if (ends_within(c, -1, s->stop_fd) || ends_within(c, FG__GRACE, -1)) return;
    kill(c->pid, SIGTERM);
    if (!ends_within(c, FG__GRACE, -1)) fg__command_close(c);
}

void fg__command_close(fg__command *c) {
    if (c->go >= 0) close(c->go);
    if (c->report >= 0) close(c->report);
    c->go = c->report = -1;
    if (c->pid && c->status < 0) {
        kill(c->pid, SIGKILL);
        ends_within(c, FG__GRACE, -1);
    }
    if (c->pidfd >= 0) close(c->pidfd);
    c->pidfd = -1;
}
