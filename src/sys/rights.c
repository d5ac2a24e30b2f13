/*
 * The causes of a refusal, in the order in which they are looked for. A cause is recognised by facts about us, the
 * machine and the target, all of /proc, so that most can be foreseen; what is left is told as the kernel says it.
 */
#include "sys/rights.h"
#include "sys/proc.h"
#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

static const struct right {
    const char *name, *what; /* "cannot … process 42" */
    const char *call;
    int cap; /* what outweighs the other checks */
    const char *caps;
} rights[FG__RIGHT_COUNT] = {
    [FG__RIGHT_PTRACE] = {"ptrace", "attach to", "ptrace", CAP_SYS_PTRACE, "cap_sys_ptrace"},
    [FG__RIGHT_READ_MEMORY] = {"memory", "read the memory of", "process_vm_readv", CAP_SYS_PTRACE,
                               "cap_sys_ptrace"},
    [FG__RIGHT_PERF] = {"perf", "sample", "perf_event_open", CAP_PERFMON, "cap_perfmon"},
    [FG__RIGHT_PERF_KERNEL] = {"perf_kernel", "sample the kernel's part of", "perf_event_open", CAP_PERFMON,
                               "cap_perfmon"},
    [FG__RIGHT_PERF_TRACE] = {"perf_trace", "trace", "perf_event_open", CAP_PERFMON, "cap_perfmon"},
    [FG__RIGHT_PERF_BUFFER] = {"perf_buffer", "get memory for the samples of", "mmap", CAP_IPC_LOCK,
                               "cap_ipc_lock,cap_perfmon"},
    [FG__RIGHT_BPF] = {"bpf", "watch with a BPF program", "bpf", CAP_BPF, "cap_bpf,cap_perfmon"},
    [FG__RIGHT_TRACEFS] = {"tracefs", "find the kernel's tracepoints for", "open", CAP_DAC_READ_SEARCH,
                           "cap_dac_read_search"},
};

fg__right fg__right_named(const char *name) {
    int i = 0;
    while (i < FG__RIGHT_COUNT && strcmp(rights[i].name, name) != 0) i++;
    return (fg__right)i;
}

/* ---- facts --------------------------------------------------------------------------------------------- */

typedef struct facts {
    fg__right right;
    int error; /* 0: nothing was tried yet */
    uint64_t pid, caps;
    bool filtered; /* a seccomp filter is on us */
    long paranoid, yama, mlock;
    struct {
        bool there, hidden; /* hidden: it has made itself undumpable */
        char name[32], state;
        long uid, parent, tracer, memory;
    } target;
} facts;

/* The number behind "\nKEY:" in the text of a status file. */
static uint64_t status_number(const char *status, const char *key, int base) {
    char start[32];
    snprintf(start, sizeof start, "\n%s:", key);
    const char *at = strstr(status, start);
    return at ? strtoull(at + strlen(start), NULL, base) : 0;
}

static void find_target(facts *f) {
    char path[64], status[4096], *at;
    struct stat folder;
    snprintf(path, sizeof path, "/proc/%llu/status", (unsigned long long)f->pid);
    f->target.there = fg__proc_text(status, sizeof status, path);
    if (!f->target.there) return;
    sscanf(status, "Name:\t%31[^\n]", f->target.name);
    at = strstr(status, "\nState:");
    if (at) sscanf(at, "\nState:\t%c", &f->target.state);
    f->target.uid = (long)status_number(status, "Uid", 10);
    f->target.parent = (long)status_number(status, "PPid", 10);
    f->target.tracer = (long)status_number(status, "TracerPid", 10);
    f->target.memory = (long)status_number(status, "VmSize", 10);
    snprintf(path, sizeof path, "/proc/%llu", (unsigned long long)f->pid);
    f->target.hidden = stat(path, &folder) == 0 && (long)folder.st_uid != f->target.uid;
}

static void find_facts(facts *f, fg__right right, uint64_t pid, int error) {
    char status[4096];
    *f = (facts){.right = right, .pid = pid, .error = error};
    fg__proc_text(status, sizeof status, "/proc/self/status");
    f->caps = status_number(status, "CapEff", 16);
    f->filtered = status_number(status, "Seccomp", 10) == 2;
    f->paranoid = fg__proc_number("/proc/sys/kernel/perf_event_paranoid", -1);
    f->yama = fg__proc_number("/proc/sys/kernel/yama/ptrace_scope", 0);
    f->mlock = fg__proc_number("/proc/sys/kernel/perf_event_mlock_kb", 516);
    if (pid) find_target(f);
}

static bool has(const facts *f, int cap) {
    return f->caps >> cap & 1;
}

/* CAP_SYS_ADMIN stands for what was split off from it. */
static bool privileged(const facts *f) {
    return has(f, rights[f->right].cap) || (rights[f->right].cap >= CAP_PERFMON && has(f, CAP_SYS_ADMIN));
}

static bool denied(const facts *f) {
    return f->error == EPERM || f->error == EACCES;
}

const char *fg__tracefs(void) {
    static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
    char path[64];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/events", places[i]);
        if (access(path, R_OK | X_OK) == 0) return places[i];
    }
    return NULL;
}

/* ---- causes -------------------------------------------------------------------------------------------- */

static bool is_gone(const facts *f) {
    return f->pid && (!f->target.there || f->error == ESRCH);
}

static void say_gone(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "there is no process %llu", (unsigned long long)f->pid);
}

static bool is_ended(const facts *f) {
    return f->pid && (f->target.state == 'Z' || f->target.state == 'X');
}

static void say_ended(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "it has ended: its parent, process %ld, has not collected it yet",
             f->target.parent);
}

static bool is_traced(const facts *f) {
    return f->target.tracer > 0 && f->target.tracer != getpid();
}

static void say_traced(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "process %ld traces it already, and there can be only one",
             f->target.tracer);
    snprintf(out->remedy, sizeof out->remedy, "end that tracer (ps -p %ld)", f->target.tracer);
}

/* The container's rules speak before the kernel does; capabilities widen Docker's. */
static bool is_filtered(const facts *f) {
    return f->filtered && (denied(f) || f->error == ENOSYS);
}

static void say_filtered(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "a seccomp filter is on this process, and %s gave: %s",
             rights[f->right].call, strerror(f->error));
    snprintf(out->remedy, sizeof out->remedy,
             "run the container with --cap-add PERFMON --cap-add BPF --cap-add SYS_PTRACE --security-opt "
             "seccomp=unconfined");
}

static bool is_foreign(const facts *f) {
    return f->pid && f->target.uid != (long)geteuid() && !privileged(f) && !has(f, CAP_SYS_PTRACE);
}

static void say_user(char *text, size_t n, long uid) {
    struct passwd entry, *found = NULL;
    char bytes[4096];
    if (getpwuid_r((uid_t)uid, &entry, bytes, sizeof bytes, &found) == 0 && found) {
        snprintf(text, n, "%s", found->pw_name);
    } else {
        snprintf(text, n, "%ld", uid);
    }
}

static void say_setcap(const facts *f, fg__refusal *out) {
    char exe[256] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) snprintf(exe, sizeof exe, "flame-graph");
    snprintf(out->remedy, sizeof out->remedy, "use sudo, or: sudo setcap %s=ep %s", rights[f->right].caps,
             exe);
}

static void say_foreign(const facts *f, fg__refusal *out) {
    char theirs[64], ours[64];
    say_user(theirs, sizeof theirs, f->target.uid);
    say_user(ours, sizeof ours, (long)geteuid());
    snprintf(out->why, sizeof out->why, "it belongs to user %s, and this is user %s without %s", theirs, ours,
             rights[f->right].caps);
    say_setcap(f, out);
}

static bool is_hidden(const facts *f) {
    return f->target.hidden && !privileged(f) && !has(f, CAP_SYS_PTRACE);
}

static void say_hidden(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "it keeps others from looking at it (it is not dumpable)");
    say_setcap(f, out);
}

static bool is_scoped(const facts *f) {
    return (f->yama == 3 || (f->yama > 0 && !privileged(f))) && (denied(f) || !f->error);
}

static void say_scoped(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "kernel.yama.ptrace_scope is %ld", f->yama);
    snprintf(out->remedy, sizeof out->remedy,
             f->yama == 3 ? "only a restart of the machine takes 3 back"
                          : "sudo sysctl kernel.yama.ptrace_scope=0");
}

/* The highest kernel.perf_event_paranoid that lets everybody do it. */
static long paranoid_limit(fg__right right) {
    return right == FG__RIGHT_PERF_TRACE ? -1 : right == FG__RIGHT_PERF_KERNEL ? 1 : 2;
}

static bool is_paranoid(const facts *f) {
    return f->paranoid > paranoid_limit(f->right) && !privileged(f);
}

static void say_paranoid(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "kernel.perf_event_paranoid is %ld, and this is not root",
             f->paranoid);
    snprintf(out->remedy, sizeof out->remedy, "sudo sysctl kernel.perf_event_paranoid=%d",
             f->right == FG__RIGHT_PERF_TRACE ? -1 : 1);
}

static bool is_over_mlock(const facts *f) {
    return !privileged(f) && f->error == EPERM;
}

static void say_over_mlock(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "kernel.perf_event_mlock_kb is %ld", f->mlock);
    snprintf(out->remedy, sizeof out->remedy, "sudo sysctl kernel.perf_event_mlock_kb=%ld", f->mlock * 4);
}

static bool is_unprivileged(const facts *f) {
    return !privileged(f);
}

static void say_unprivileged(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "it takes %s", rights[f->right].caps);
    say_setcap(f, out);
}

static bool is_without_program(const facts *f) {
    (void)f;
#ifdef FG_BPF
    return false;
#else
    return true;
#endif
}

static void say_without_program(const facts *f, fg__refusal *out) {
    (void)f;
    snprintf(out->why, sizeof out->why, "this build has no BPF program in it");
    snprintf(out->remedy, sizeof out->remedy, "sudo apt install clang libbpf-dev, and build it anew");
}

static bool is_without_btf(const facts *f) {
    (void)f;
    return access("/sys/kernel/btf/vmlinux", R_OK) != 0;
}

static void say_without_btf(const facts *f, fg__refusal *out) {
    (void)f;
    snprintf(out->why, sizeof out->why, "the kernel does not describe its types (/sys/kernel/btf/vmlinux)");
    snprintf(
        out->remedy, sizeof out->remedy,
        "it takes a kernel with CONFIG_DEBUG_INFO_BTF=y, or in a chroot: sudo mount -t sysfs sysfs /sys");
}

static bool is_without_tracefs(const facts *f) {
    (void)f;
    return fg__tracefs() == NULL;
}

static void say_without_tracefs(const facts *f, fg__refusal *out) {
    (void)f;
    snprintf(out->why, sizeof out->why, "tracefs is not mounted, or not readable");
    snprintf(out->remedy, sizeof out->remedy,
             "sudo mount -t tracefs -o mode=755 tracefs /sys/kernel/tracing");
}

static bool is_out_of_files(const facts *f) {
    return f->error == EMFILE || f->error == ENFILE;
}

static void say_out_of_files(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "%s", strerror(f->error));
    snprintf(out->remedy, sizeof out->remedy,
             "ulimit -n 65536 (an event takes a file for each thread and CPU)");
}

static bool is_absent(const facts *f) {
    return f->error == ENOSYS;
}

static void say_absent(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "this kernel has no %s", rights[f->right].call);
}

static bool is_anything(const facts *f) {
    return f->error != 0;
}

static void say_error(const facts *f, fg__refusal *out) {
    snprintf(out->why, sizeof out->why, "%s: %s", rights[f->right].call, strerror(f->error));
}

#define BIT(right) (1u << (right))
enum {
    TRACE = BIT(FG__RIGHT_PTRACE) | BIT(FG__RIGHT_READ_MEMORY),
    PERF = BIT(FG__RIGHT_PERF) | BIT(FG__RIGHT_PERF_KERNEL) | BIT(FG__RIGHT_PERF_TRACE),
    ON_PROCESS = TRACE | PERF,
    ALL = BIT(FG__RIGHT_COUNT) - 1
};

static const struct cause {
    unsigned rights; /* that it can be a cause for */
    bool (*is)(const facts *);
    void (*say)(const facts *, fg__refusal *);
    bool of_target; /* the process is the reason, and not a right that is missing */
} causes[] = {
    {ALL, is_gone, say_gone, true},
    {ALL, is_ended, say_ended, true},
    {BIT(FG__RIGHT_PTRACE), is_traced, say_traced, true},
    {ALL, is_filtered, say_filtered, false},
    {ON_PROCESS, is_foreign, say_foreign, false},
    {ON_PROCESS, is_hidden, say_hidden, false},
    {TRACE, is_scoped, say_scoped, false},
    {PERF, is_paranoid, say_paranoid, false},
    {BIT(FG__RIGHT_PERF_BUFFER), is_over_mlock, say_over_mlock, false},
    {BIT(FG__RIGHT_BPF), is_without_program, say_without_program, false},
    {BIT(FG__RIGHT_BPF), is_unprivileged, say_unprivileged, false},
    {BIT(FG__RIGHT_BPF), is_without_btf, say_without_btf, false},
    {BIT(FG__RIGHT_TRACEFS), is_without_tracefs, say_without_tracefs, false},
    {ALL, is_out_of_files, say_out_of_files, false},
    {ALL, is_absent, say_absent, false},
    {ALL, is_anything, say_error, false},
};

static const struct cause *cause_of(const facts *f) {
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (causes[i].rights >> f->right & 1 && causes[i].is(f)) return &causes[i];
    return NULL;
}

static const struct cause *explain(facts *f, fg__refusal *out) {
    const struct cause *cause = cause_of(f);
    *out = (fg__refusal){"", ""};
    if (cause) cause->say(f, out);
    return cause;
}

void fg__rights_explain(fg__refusal *out, fg__right right, uint64_t pid, int error) {
    facts f;
    find_facts(&f, right, pid, error);
    explain(&f, out);
}

bool fg__rights_foreseen(fg__refusal *out, fg__right right, uint64_t pid) {
    facts f;
    find_facts(&f, right, pid, 0);
    return explain(&f, out) != NULL;
}

int fg__rights_refused(fg_ctx *ctx, fg__right right, uint64_t pid, int error) {
    facts f;
    fg__refusal said;
    char target[80] = "the machine";
    find_facts(&f, right, pid, error);
    const struct cause *cause = explain(&f, &said);
    if (pid)
        snprintf(target, sizeof target, f.target.there ? "process %llu (%s)" : "process %llu",
                 (unsigned long long)pid, f.target.name);
    return fg__fail(ctx, cause && cause->of_target ? FG_EIO : FG_EUNSUPPORTED, "cannot %s %s: %s%s%s",
                    rights[right].what, target, said.why, said.remedy[0] ? ": " : "", said.remedy);
}

int fg__rights_process(fg_ctx *ctx, uint64_t pid) {
    facts f;
    find_facts(&f, FG__RIGHT_PERF, pid, 0);
    if (is_gone(&f)) return fg__fail(ctx, FG_EIO, "there is no process %llu", (unsigned long long)pid);
    if (is_ended(&f))
        return fg__fail(ctx, FG_EIO,
                        "process %llu (%s) has ended: its parent, process %ld, has not collected it yet",
                        (unsigned long long)pid, f.target.name, f.target.parent);
    if (!f.target.memory)
        return fg__fail(ctx, FG_EIO,
                        "process %llu (%s) is a thread of the kernel: only programs can be profiled",
                        (unsigned long long)pid, f.target.name);
    return 0;
}
