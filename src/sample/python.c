/*
 * The sampler of Python programs: one process or a family of them, looked at so many times per second.
 *
 * A sample stands for the time since the one before it: when the sampler was late, its stack counts for more. Of a long
 * gap, as where others had the CPU, the first stack gets a part and those after it the rest: what was done in it is not
 * known, and many stacks tell it better than one. The moments are jittered, so that a program which does the same every
 * 10 ms is not always met at the same place. Who needs more than a quarter of a core for the rate that was asked for gets
 * half of it, and the profile says so.
 *
 * `cpu` is the time in which a thread could run or held the GIL. It is CPU time as long as there is a CPU for it: where
 * the process's own clock tells much less, the profile says so. The values stay as they were seen, as one clock of the
 * whole process does not tell which of its stacks had to wait.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include "sample/python.h"
#include "sample/sample.h"
#include "sys/clock.h"
#include "sys/proc.h"
#include "sys/rights.h"

enum { USUAL_RATE = 100, HIGHEST_RATE = 10000, MOST_PROCESSES = 256 };
static const double most_of_a_core = 0.25, lowest_rate = 1, family_interval = 0.25;

struct options {
    fg__sample_options common;
    py_wishes wishes;
};

struct python {
    fg__sampler s;
    struct options options;
    py_process *processes[MOST_PROCESSES];
    size_t count;
    pid_t
        strangers[MOST_PROCESSES]; /* descendants that are no Python, or none yet: asked again a few times */
    uint8_t asked[MOST_PROCESSES];
    size_t stranger_count;
    double rate, family_due;
    double owed; /* seconds that no sample stands for yet */
    py_counts counts;
    int64_t begun; /* nanoseconds since 1970 */
    double ended, cpu;
    double counted, taken; /* seconds of `cpu` in stacks, and by the clocks of the same processes */
    double gone;           /* when the process that was asked for had ended; 0: it runs */
    py_held held;
    fg__slices slices; /* by stack of the profile; only where they are asked for */
};

static double thread_cpu(void) {
    return (double)fg__clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1e9;
}

/* ---- the family ----------------------------------------------------------------------------------------- */

static bool is_ours(const struct python *py, pid_t pid) {
    for (size_t i = 0; i < py->count; i++)
        if (py->processes[i]->pid == pid) return true;
    return false;
}

static bool may_ask(struct python *py, pid_t pid) {
    enum { TRIES = 8 };
    for (size_t i = 0; i < py->stranger_count; i++)
        if (py->strangers[i] == pid) return ++py->asked[i] < TRIES;
    if (py->stranger_count == MOST_PROCESSES) return false;
    py->asked[py->stranger_count] = 1;
    py->strangers[py->stranger_count++] = pid;
    return true;
}

static void keep_slices(struct python *py, py_process *process) {
    process->slices = py->options.wishes.slices ? &py->slices : NULL;
}

static int adopt(struct python *py, pid_t pid) {
    if (is_ours(py, pid) || py->count == MOST_PROCESSES || !may_ask(py, pid)) return 0;
    int err = py_process_open(&py->processes[py->count], py->s.profile, pid, &py->options.wishes);
    if (!err) keep_slices(py, py->processes[py->count++]);
    return err == FG_ENOMEM ? err : 0;
}

static pid_t parent_of(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fg__proc_text(text, sizeof text, path);
    const char *end = strrchr(text, ')');
    return end && strlen(end) > 4 ? atoi(end + 4) : 0;
}

static bool descends(const struct python *py, pid_t pid) {
    for (int i = 0; i < 64 && pid > 1; i++) {
        pid = parent_of(pid);
        if (pid == (pid_t)py->options.common.pid || is_ours(py, pid)) return true;
    }
    return false;
}

static int look_for_children(struct python *py, double now) {
    int err = 0;
    if (!py->options.wishes.subprocesses || now < py->family_due) return 0;
    py->family_due = now + family_interval;
    DIR *all = opendir("/proc");
    for (struct dirent *entry; all && !err && (entry = readdir(all));) {
        pid_t pid = atoi(entry->d_name);
        if (pid > 1 && !is_ours(py, pid) && descends(py, pid)) err = adopt(py, pid);
    }
    if (all) closedir(all);
    return err;
}

/* ---- open ----------------------------------------------------------------------------------------------- */

static int check_options(const fg__sampler *s, const struct options *o) {
    if (!o->common.pid || o->common.pid > INT32_MAX)
        return fg__fail(s->ctx, FG_EINVAL, "the python sampler takes the number of a process, `pid`");
    if (o->common.rate < 0 || o->common.rate > HIGHEST_RATE || isnan(o->common.rate))
        return fg__fail(s->ctx, FG_EINVAL, "rate is a number of samples per second up to %d", HIGHEST_RATE);
    if (o->wishes.gil && o->wishes.idle)
        return fg__fail(s->ctx, FG_EINVAL, "gil and idle exclude each other: who holds the GIL is not idle");
    return 0;
}

static int python_open(fg__sampler *s, const void *options) {
    struct python *py = (struct python *)s;
    py->options = *(const struct options *)options;
    py->options.wishes.blocking |=
        py->options.wishes.native; /* registers are those of a thread that is held */
    pid_t pid = (pid_t)py->options.common.pid;
    int err = check_options(s, &py->options);
    if (!err) err = fg__rights_process(s->ctx, py->options.common.pid);
    if (!err && py->options.wishes.blocking) {
        int refused = py_may_hold(pid);
        if (refused) err = fg__rights_refused(s->ctx, FG__RIGHT_PTRACE, py->options.common.pid, refused);
    }
    if (!err) err = fg_profile_add_type(s->profile, "samples", "count");
    if (!err) err = fg_profile_add_type(s->profile, py->options.wishes.idle ? "wall" : "cpu", "nanoseconds");
    if (!err) err = py_process_open(&py->processes[0], s->profile, pid, &py->options.wishes);
    if (err) return err;
    py->count = 1;
    keep_slices(py, py->processes[0]);
    py->rate = py->options.common.rate > 0 ? py->options.common.rate : USUAL_RATE;
    py->begun = fg__clock_ns(CLOCK_REALTIME);
    return 0;
}

/* ---- run ------------------------------------------------------------------------------------------------ */

static int sample_process(struct python *py, py_process *p, double now, double elapsed) {
    int64_t value[2] = {1, (int64_t)(elapsed * 1e9)};
    if (py->options.wishes.blocking) py_hold(&py->held, p->pid);
    int err = py_process_sample(p, now, value, &py->counts);
    if (py->options.wishes.blocking) py_let_go(&py->held);
    return err ? err : py_process_settle(p, now, value, &py->counts);
}

/* At the end of a process, or of the profile. */
static void compare_clocks(struct python *py, const py_process *p) {
    double taken = py_process_cpu(p);
    if (taken < 0) return;
    py->taken += taken;
    py->counted += (double)p->counted / 1e9;
}

static int sample_all(struct python *py, double now, double elapsed) {
    int err = look_for_children(py, now);
    for (size_t i = 0; !err && i < py->count;) {
        err = sample_process(py, py->processes[i], now, elapsed);
        if (!py_memory_gone(&py->processes[i]->memory)) {
            i++;
            continue;
        }
        if (py->processes[i]->pid == (pid_t)py->options.common.pid) py->gone = now;
        compare_clocks(py, py->processes[i]);
        py_process_close(py->processes[i]);
        py->processes[i] = py->processes[--py->count];
    }
    return err;
}

/* Every second: does it keep to its share of a core? */
static int slow_down(struct python *py, double now, double *since, double *cpu) {
    if (now - *since < 1) return 0;
    double share = (thread_cpu() - *cpu) / (now - *since);
    *since = now;
    *cpu = thread_cpu();
    if (share <= most_of_a_core || py->rate / 2 < lowest_rate) return 0;
    py->rate /= 2;
    return fg_profile_note(py->s.profile,
                           "sampling took %.0f %% of a core: the rate was lowered to %g per second",
                           share * 100, py->rate);
}

/* Between a half and three halves of the period. */
static double jittered(uint64_t *state, double period) {
    return period * (0.5 + (double)(py_random(state) >> 40) / (double)(1 << 24));
}

static int python_run(fg__sampler *s) {
    struct python *py = (struct python *)s;
    double last = s->started, next = last, since = last, cpu = thread_cpu();
    uint64_t random = (uint64_t)py->begun;
    int err = 0;
    prctl(PR_SET_TIMERSLACK, 1000ul); /* of this thread alone: 50 µs are much of a millisecond */
    while (!err && py->count && fg__sampler_sleep(s, next += jittered(&random, 1 / py->rate))) {
        double now = fg__loop_now();
        err = sample_all(py, now, py_pay(&py->owed, now - last, 1 / py->rate));
        last = now;
        double earliest =
            now - 0.5 / py->rate; /* who is late makes up for it, but not with two samples at once */
        if (next < earliest) next = earliest;
        if (!err) err = slow_down(py, now, &since, &cpu);
    }
    for (size_t i = 0; i < py->count; i++) compare_clocks(py, py->processes[i]);
    py->ended = fg__loop_now();
    py->cpu = thread_cpu();
    return err;
}

/* ---- finish --------------------------------------------------------------------------------------------- */

/* With --idle it is the time of waiting that was asked for, with --gil that of the lock, whether its holder runs or not. */
static int note_waiting(const struct python *py, fg_profile *p) {
    static const double much_more = 1.25, seconds_more = 0.1;
    if (py->options.wishes.idle || py->options.wishes.gil) return 0;
    if (py->counted < much_more * py->taken || py->counted < py->taken + seconds_more) return 0;
    return fg_profile_note(
        p,
        "the program took %.2f s of CPU time, %.2f s are counted: for the rest of these it waited "
        "for a CPU, was stopped, or slept and kept the GIL; shares are right as far as all of it "
        "waited alike",
        py->taken, py->counted);
}

static int note_end(const struct python *py, fg_profile *p) {
    if (!py->gone || isinf(py->s.ends)) return 0;
    return fg_profile_note(p, "process %d ended after %.2f s of %g s", (int)py->options.common.pid,
                           py->gone - py->s.started, py->s.ends - py->s.started);
}

static int describe(struct python *py, fg_profile *p) {
    const struct {
        const char *key;
        int64_t number;
    } rows[] = {
        {"start", py->begun},
        {"duration", (int64_t)((py->ended - py->s.started) * 1e9)},
        {"period", (int64_t)(1e9 / py->rate)},
        {"samples", py->counts.samples},
        {"failed", py->counts.failed},
        {"truncated", py->counts.truncated},
        {"sampler_cpu", (int64_t)(py->cpu * 1e9)},
    };
    const char *type = py->options.wishes.idle ? "wall" : "cpu";
    int err = 0;
    for (size_t i = 0; !err && i < sizeof rows / sizeof *rows; i++)
        err = fg_meta_set_number(p, rows[i].key, rows[i].number);
    if (!err && py->owed > 0.1 * (py->ended - py->s.started))
        err = fg_profile_note(
            p, "there is no sample for %.0f %% of the time: others had the CPU when it was due",
            100 * py->owed / (py->ended - py->s.started));
    if (!err) err = note_waiting(py, p);
    if (!err) err = note_end(py, p);
    if (!err && py->counts.torn * 20 > py->counts.samples)
        err = fg_profile_note(
            p,
            "%.0f stacks in a hundred changed while they were read and were read anew: what is "
            "entered for a moment may be seen too seldom, and --blocking holds the program still",
            100.0 * (double)py->counts.torn / (double)(py->counts.samples + py->counts.torn));
    if (!err && py->counts.unmatched * 100 > py->counts.samples)
        err = fg_profile_note(
            p,
            "in %.0f %% of the stacks native and Python frames did not match: there, native frames are "
            "only on top of Python's",
            100.0 * (double)py->counts.unmatched / (double)py->counts.samples);
    if (!err) err = fg_meta_set_text(p, "default_type", type);
    return err ? err : fg_meta_set_text(p, "period_type", type);
}

static int python_finish(fg__sampler *s) {
    struct python *py = (struct python *)s;
    int err = fg__slices_keep(&py->slices, s->profile, 1, NULL);
    return err ? err : describe(py, s->profile);
}

static void python_close(fg__sampler *s) {
    struct python *py = (struct python *)s;
    fg__slices_free(&py->slices, s->ctx);
    while (py->count > 0) py_process_close(py->processes[--py->count]);
}

#define WISH(key)                                                                                            \
    { #key, FG__OPTION_BOOL, offsetof(struct options, wishes.key) }
static const fg__option rows[] = {
    FG__SAMPLE_ROWS,    WISH(idle),     WISH(gil),    WISH(lines),  WISH(threads),
    WISH(subprocesses), WISH(blocking), WISH(native), WISH(slices), {NULL, FG__OPTION_ANY, 0}};

const fg__sampler_kind fg__python_sampler = {
    .name = "python",
    .options = rows,
    .options_size = sizeof(struct options),
    .size = sizeof(struct python),
    .open = python_open,
    .run = python_run,
    .finish = python_finish,
    .close = python_close,
};
