/* SIGUSR1 for Node, after a look at its handler. */
#include "sys/wake.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "sys/remote.h"
#include "sys/sys.h"

enum { SECONDS = 3, PATH_LONG = 4352 };

/* The kernel's struct sigaction, not the C library's. */
typedef struct kernel_sigaction {
    uint64_t handler, flags, restorer, mask;
} kernel_sigaction;

static const uint64_t sa_restorer = 0x04000000; /* the C library's business */

/*
 * Node sets its handler without any flag (node::RegisterSignalHandler), libuv with SA_RESTART (uv__signal_register
 * _handler), from the same executable where libuv is linked into it.
 */
fg__handler fg__handler_of(const fg__disposition *disposition, const char *file, const char *exe) {
    uint64_t flags = disposition->flags & ~sa_restorer;
    if (disposition->handler <= 1) return FG__HANDLER_NONE;
    if (strstr(file, "/libuv.so")) return FG__HANDLER_SCRIPT;
    if (strcmp(file, exe) != 0 && !strstr(file, "/libnode.so")) return FG__HANDLER_OTHER;
    if (!flags) return FG__HANDLER_NODE;
    return flags & SA_RESTART ? FG__HANDLER_SCRIPT : FG__HANDLER_OTHER;
}

/* ---- what there is ------------------------------------------------------------------------------------- */

static void mapped_at(char file[PATH_LONG], uint64_t pid, uint64_t address) {
    char path[64], line[PATH_LONG + 128];
    file[0] = '\0';
    snprintf(path, sizeof path, "/proc/%llu/maps", (unsigned long long)pid);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long long start, end;
        int at = 0;
        if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end, &at) < 2 || !at) continue;
        if (address < start || address >= end) continue;
        snprintf(file, PATH_LONG, "%.*s", (int)strcspn(line + at, "\n"), line + at);
        break;
    }
    if (maps) fclose(maps);
}

static void executable_of(char file[PATH_LONG], uint64_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)pid);
    ssize_t n = readlink(path, file, PATH_LONG - 1);
    file[n > 0 ? n : 0] = '\0';
}

static bool any_thread(void *user, const fg__remote_thread *thread) {
    (void)user, (void)thread;
    return true;
}

/* Ask the stopped thread. */
static int ask(fg__disposition *out, fg__remote *remote) {
    kernel_sigaction action = {0};
    uint64_t memory = 0;
    int64_t result = 0;
    int err = fg__remote_map(&memory, remote, sizeof action);
    if (err) return err;
    const uint64_t arguments[] = {SIGUSR1, 0, memory, sizeof action.mask};
    err = fg__remote_syscall(&result, remote, SYS_rt_sigaction, arguments, 4);
    if (!err && result == 0) err = fg__remote_read(remote, &action, memory, sizeof action);
    int unmapped = fg__remote_unmap(remote, memory, sizeof action);
    *out = (fg__disposition){.handler = action.handler, .flags = action.flags};
    return err ? err : unmapped;
}

/* ---- the signal ---------------------------------------------------------------------------------------- */

static int refuse(fg_ctx *ctx, uint64_t pid, fg__handler handler) {
    static const char *const reasons[] = {
        [FG__HANDLER_NONE] = "has no handler of SIGUSR1, which would end it",
        [FG__HANDLER_SCRIPT] = "has a handler of SIGUSR1 of its own (process.on), which would run",
        [FG__HANDLER_OTHER] =
            "has a handler of SIGUSR1 that is not Node's (a native module's?), which would run",
    };
    return fg__fail(
        ctx, FG_EUNSUPPORTED,
        "process %llu %s: no signal was sent. Start it with --inspect=127.0.0.1:0, or let it call "
        "require(\"node:inspector\").open(0)",
        (unsigned long long)pid, reasons[handler]);
}

static int wake(fg_ctx *ctx, fg__remote *remote, uint64_t pid) {
    fg__disposition disposition = {0};
    char file[PATH_LONG], exe[PATH_LONG];
    int err = fg__remote_stop_when(remote, any_thread, NULL);
    if (!err) err = ask(&disposition, remote);
    if (err) return err;
    mapped_at(file, pid, disposition.handler);
    executable_of(exe, pid);
    fg__handler handler = fg__handler_of(&disposition, file, exe);
    if (handler != FG__HANDLER_NODE) return refuse(ctx, pid, handler);
    if (kill((pid_t)pid,
             SIGUSR1)) { /* it is ours while we hold a thread of it: the number cannot be another's */
        return fg__fail(ctx, FG_EUNSUPPORTED, "cannot signal process %llu: %s", (unsigned long long)pid,
                        strerror(errno));
    }
    return 0;
}

int fg__node_wake(fg_ctx *ctx, uint64_t pid) {
    fg__remote *remote = NULL;
    int err = fg__remote_open(&remote, ctx, pid, fg__loop_now() + SECONDS);
    if (!err) err = wake(ctx, remote, pid);
    fg__remote_close(remote);
    return err;
}
