/*
 * perf: stacks of a process or a command, so many a second of CPU time, by perf_event_open.
 *
 *   event ──▶ rings ──▶ raw stacks, counted ──▶ (sampling is over) names ──▶ profile
 *
 * With frame pointers the kernel walks the stacks, and what these miss at the inner end is added (callers.h). With call
 * frame information (`unwind = "dwarf"`) it copies the top of each, and the copy is unwound here at once, so that memory
 * does not grow with the samples.
 *
 * Where it is allowed, the events are of the CPUs and not of the threads, and what others do is dropped here. An event of
 * a thread begins to count when the thread does: one that lives for 23 ms is then looked at after 10 ms and after 20 ms,
 * always, and what it does first is never seen.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "sample/command.h"
#include "sample/perf_event.h"
#include "sample/watch.h"
#include "symbols/unwind.h"
#include "sys/clock.h"
#include "sys/proc.h"
#include "sys/rights.h"

enum { USUAL_RATE = 99, RING = 512 << 10, STACK_RING = 2 << 20 };
enum { FEW_SAMPLES = 10 };       /* of a thread, for its first one to matter */
enum { MOST_COPIED = 32 << 20 }; /* bytes a second, of everybody's stacks */

typedef struct options {
    fg__sample_options base;
    const char *event, *unwind;
    const char *const *command;
    uint64_t stack;
    bool no_inherit, slices;
    fg__naming_options naming;
} options;

static const fg__option rows[] = {
    FG__SAMPLE_ROWS,
    {"event", FG__OPTION_TEXT, offsetof(options, event)},
    {"unwind", FG__OPTION_TEXT, offsetof(options, unwind)},
    {"command", FG__OPTION_WORDS, offsetof(options, command)},
    {"stack", FG__OPTION_SIZE, offsetof(options, stack)},
    {"no_inherit", FG__OPTION_BOOL, offsetof(options, no_inherit)},
    {"slices", FG__OPTION_BOOL, offsetof(options, slices)},
    FG__NAMING_ROWS(options, naming),
    {NULL, 0, 0},
};

struct perf {
    fg__sampler base;
    fg__perf_event event;
    fg__events events;
    fg__watch watch;
    fg__command command;
    uint32_t pid;
    int pidfd; /* readable when the process has ended; -1: not known */
    double rate;
    fg__unwinding unwinding;
    bool without_kernel;
    bool wide;          /* events of the CPUs */
    bool executing;     /* the command has begun: before that, it is a copy of this process */
    bool sliced, ended; /* the command that was run has ended by itself */
    fg__slices slices;  /* by raw stack; only where they are asked for */
    uint64_t addresses[FG__STACK_DEPTH];
};

/* ---- attaching ----------------------------------------------------------------------------------------- */

static struct perf_event_attr attributes(const struct perf *s, const options *o) {
    struct perf_event_attr attr = {
        .type = s->event.type,
        .config = s->event.config,
        .sample_type = PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN,
        .disabled = s->command.pid && !s->wide,
        .enable_on_exec = s->command.pid && !s->wide,
        .inherit = !s->wide,
        .inherit_thread = o->no_inherit && !s->wide,
        .exclude_idle = s->wide && s->event.type == PERF_TYPE_SOFTWARE,
        .exclude_kernel = s->without_kernel,
        .exclude_hv = 1,
        .mmap = 1,
        .mmap2 = 1,
        .comm = 1,
        .comm_exec = 1,
        .task = 1,
    };
    if (s->event.each) {
        attr.sample_period = 1;
    } else {
        attr.freq = 1;
        attr.sample_freq = (uint64_t)llround(s->rate);
    }
    fg__unwinding_ask(&attr, &s->unwinding);
    return attr;
}

/* Opens the event on the first thread: the one that shows what the kernel allows. Returns an errno. */
static int open_first(struct perf *s, const options *o) {
    struct perf_event_attr attr = attributes(s, o);
    fg__events_close(&s->events);
    if (fg__events_init(&s->events, s->base.ctx, &attr, s->unwinding.dwarf ? STACK_RING : RING))
        return ENOMEM;
    return fg__events_open(&s->events, s->wide ? FG__EVERY_TASK : s->pid);
}

static bool not_here(int error) {
    return error == ENOENT || error == EOPNOTSUPP || error == ENODEV || error == ENXIO;
}

static int refuse(struct perf *s, int error) {
    fg_ctx *ctx = s->base.ctx;
    if (error == ENOMEM) return fg__nomem(ctx);
    if (not_here(error))
        return fg__fail(
            ctx, FG_EIO, /* and no other engine would find one */
            "this machine has no counter of %s (a virtual machine often has none): try --event cpu-clock",
            s->event.name);
    if (error == EINVAL && s->events.attr.inherit_thread)
        return fg__fail(ctx, FG_EUNSUPPORTED, "--no-inherit takes Linux 5.13 or newer");
    fg__right right = s->events.fd_n == 0 && s->events.unmapped ? FG__RIGHT_PERF_BUFFER : FG__RIGHT_PERF;
    return fg__rights_refused(ctx, right, s->pid, error);
}

/* Not for events that are samples each, and not where copying stacks would cost everybody much. */
static bool may_be_wide(const struct perf *s) {
    double copied = s->unwinding.dwarf ? s->rate * (double)get_nprocs() * (double)s->unwinding.copied : 0;
    return !s->event.each && copied <= MOST_COPIED;
}

/* Cycles where they are counted, kernel frames where they may be seen: each refusal takes one wish away. */
static int attach(struct perf *s, const options *o) {
    bool usual = !o->event;
    int error;
    s->wide = may_be_wide(s);
    while ((error = open_first(s, o))) {
        if (not_here(error) && usual) {
            usual = false;
            fg__perf_event_named(&s->event, s->base.ctx, "cpu-clock");
        } else if ((error == EACCES || error == EPERM) && s->wide) {
            s->wide = false;
        } else if ((error == EACCES || error == EPERM) && !s->without_kernel) {
            s->without_kernel = true;
        } else {
            return refuse(s, error);
        }
    }
    error = s->command.pid || s->wide ? 0 : fg__events_attach(&s->events, s->pid);
    return error ? refuse(s, error) : 0;
}

/* ---- open ---------------------------------------------------------------------------------------------- */

static int check_rate(struct perf *s, const options *o) {
    long most = fg__proc_number("/proc/sys/kernel/perf_event_max_sample_rate", 100000);
    s->rate = o->base.rate > 0 ? o->base.rate : USUAL_RATE;
    if (s->rate >= 1 && s->rate <= (double)most) return 0;
    return fg__fail(s->base.ctx, FG_EINVAL,
                    "a rate of %g is not possible: between 1 and %ld samples a second (more: sudo sysctl "
                    "kernel.perf_event_max_sample_rate=N)",
                    s->rate, most);
}

static int choose_target(struct perf *s, const options *o) {
    fg_ctx *ctx = s->base.ctx;
    bool command = o->command && o->command[0];
    if (command == (o->base.pid != 0))
        return fg__fail(ctx, FG_EINVAL,
                        "what is to be profiled? a process (pid) or a command, one of the two");
    if (!command) {
        s->pid = (uint32_t)o->base.pid;
        return o->base.pid > INT32_MAX ? fg__rights_refused(ctx, FG__RIGHT_PERF, o->base.pid, ESRCH)
                                       : fg__rights_process(ctx, s->pid);
    }
    int err = fg__command_start(&s->command, ctx, o->command);
    s->pid = (uint32_t)s->command.pid;
    return err;
}

static int set_target(struct perf *s, const options *o) {
    if (!s->command.pid) return fg__watch_target(s->base.profile, s->pid);
    char text[160];
    const char *slash = strrchr(o->command[0], '/'), *name = slash ? slash + 1 : o->command[0];
    bool word =
        o->command[1] && o->command[1][0] != '-'; /* "cargo bench"; what follows may be long, or secret */
    snprintf(text, sizeof text, "%s%s%s", name, word ? " " : "", word ? o->command[1] : "");
    return fg_meta_set_text(s->base.profile, "target", text);
}

static int open_perf(fg__sampler *base, const void *given) {
    struct perf *s = (struct perf *)base;
    const options *o = given;
    fg_ctx *ctx = base->ctx;
    uint32_t id;
    s->pidfd = -1;
    s->events.ctx = ctx;
    s->command = FG__COMMAND_NONE;
    int err = check_rate(s, o);
    if (!err) err = fg__unwinding_choose(&s->unwinding, ctx, o->unwind, o->stack);
    if (!err) err = fg__perf_event_named(&s->event, ctx, o->event ? o->event : "cycles");
    if (!err) err = fg__watch_init(&s->watch, ctx, base->profile, &o->naming);
    if (!err) err = choose_target(s, o);
    if (!err) err = attach(s, o);
    if (!err) err = set_target(s, o);
    if (err) return err;
    s->watch.alone = o->no_inherit;
    s->sliced = o->slices;
    if (s->command.pid) {
        err = fg__watch_space(&id, &s->watch, s->pid);
        return err ? err : fg__command_go(&s->command, ctx);
    }
    s->executing = true;
    s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    return fg__watch_space(&id, &s->watch, s->pid); /* what is mapped later is told by records */
}

/* ---- run ----------------------------------------------------------------------------------------------- */

/* Whether a record is of what is to be profiled. */
static bool concerns(struct perf *s, const fg__record *record) {
    bool others = record->type == PERF_RECORD_LOST || record->type == PERF_RECORD_THROTTLE;
    if (!s->wide || others) return true; /* … a loss may have been ours */
    if (!fg__watch_concerns(&s->watch, record)) return false;
    if (record->type == PERF_RECORD_COMM && record->misc & PERF_RECORD_MISC_COMM_EXEC) s->executing = true;
    return s->executing || record->type != PERF_RECORD_SAMPLE;
}

static int count(struct perf *s, const fg__raw_key *key, uint64_t time, int64_t weight) {
    uint32_t id;
    int err = fg__raws_find(&id, s->base.ctx, &s->watch.raws, key, s->addresses);
    if (err) return err;
    fg__raws_count(&s->watch.raws, id, 1, weight);
    return s->sliced ? fg__slices_add(&s->slices, s->base.ctx, (int64_t)time, id, weight) : 0;
}

static int on_record(void *user, const fg__record *record) {
    struct perf *s = user;
    fg__perf_sample sample;
    fg__raw_key key = {0};
    if (!concerns(s, record)) return 0;
    if (record->type != PERF_RECORD_SAMPLE) return fg__watch_record(&s->watch, record);
    if (!fg__sample_parse(&sample, &s->events, record)) {
        s->watch.failed++;
        return 0;
    }
    int err = fg__watch_space(&key.space, &s->watch, record->pid);
    if (!err) err = fg__watch_name(&key.thread, &s->watch, record->pid, record->tid);
    if (err) return err;
    fg__watch_chain(&key, s->addresses, &sample);
    fg__watch_user(&s->watch, &key, s->addresses, &s->events, &sample, &s->unwinding);
    return count(s, &key, record->time, (int64_t)sample.period);
}

static bool target_ended(struct perf *s) {
    if (s->command.pid) return fg__command_ended(&s->command);
    return fg__watch_ended(s->pidfd, s->pid);
}

static int run_perf(fg__sampler *base) {
    struct perf *s = (struct perf *)base;
    int err = 0;
    while (!err && !fg__sampler_due(base) && !target_ended(s)) {
        fg__events_wait(&s->events, base, s->command.pid ? s->command.pidfd : s->pidfd);
        err = fg__events_drain(&s->events, on_record, s);
    }
    s->ended = s->command.pid && target_ended(s);
    return err;
}

/* ---- finish -------------------------------------------------------------------------------------------- */

static int name_stack(struct perf *s, fg__frames *frames, size_t i, uint32_t *id) {
    fg__raws *raws = &s->watch.raws;
    fg_profile *p = s->base.profile;
    const fg__raw_key *key = &raws->keys[i];
    const uint64_t *addresses = raws->addresses + raws->starts[i];
    const int64_t values[] = {raws->counts[i], raws->weights[i]};
    frames->n = 0;
    int err = fg__watch_frames(&s->watch, frames, key->space, addresses, key->kernel);
    if (!err) err = fg__watch_frames(&s->watch, frames, key->space, addresses + key->kernel, key->user);
    if (err) return err;
    if (!s->unwinding.dwarf && key->user && !fg__watch_whole(p, frames->ids[frames->n - 1], key->user))
        s->watch.truncated += raws->counts[i];
    err =
        fg__watch_word(&s->watch, frames, p, raws->names.bytes + raws->name_at[key->thread], FG_KIND_UNKNOWN);
    return err ? err : fg__watch_add(&s->watch, frames, p, values, id);
}

static int name_all(struct perf *s) {
    fg__frames frames = {0};
    fg_profile *p = s->base.profile;
    if (!s->watch.raws.n)
        return fg__fail(
            s->base.ctx, FG_EEMPTY,
            s->event.each
                ? "there was no event %s: nothing to draw"
                : "no sample of %s: it used no CPU time (flame-graph offcpu shows where a program waits)",
            s->event.each ? s->event.name : fg_meta_text(p, "target"));
    int err = fg_profile_add_type(p, "samples", "count");
    if (!err) err = fg_profile_add_type(p, s->event.value, s->event.unit);
    if (!err) err = fg_meta_set_text(p, "default_type", s->event.value);
    uint32_t *ids = s->sliced ? fg__calloc(s->base.ctx, s->watch.raws.n, sizeof *ids) : NULL;
    if (s->sliced && !ids) return FG_ENOMEM;
    for (size_t i = 0; i < s->watch.raws.n && !err; i++)
        err = name_stack(s, &frames, i, ids ? &ids[i] : NULL);
    if (!err && ids) err = fg__slices_keep(&s->slices, p, 1, ids);
    fg_free(s->base.ctx, frames.ids);
    fg_free(s->base.ctx, ids);
    return err;
}

static int describe(struct perf *s, double seconds) {
    fg_profile *p = s->base.profile;
    char text[96];
    snprintf(text, sizeof text, s->event.each ? "perf_event_open, each %s" : "perf_event_open, %s, %g Hz",
             s->event.name, s->rate);
    int err = fg_meta_set_text(p, "engine", text);
    if (!err) err = fg_meta_set_number(p, "duration", (int64_t)(seconds * 1e9));
    if (!err) err = fg_meta_set_number(p, "ended", s->ended);
    if (!err && strcmp(s->event.unit, "nanoseconds") == 0) {
        err = fg_meta_set_number(p, "period", llround(1e9 / s->rate));
        if (!err) err = fg_meta_set_text(p, "period_type", s->event.value);
    }
    if (!err && s->without_kernel)
        err = fg_profile_note(p, "what happens in the kernel is left out: sudo sysctl "
                                 "kernel.perf_event_paranoid=1 lets it be seen");
    if (!err && !s->wide && !s->event.each && s->watch.forked > s->watch.raws.total / FEW_SAMPLES)
        err = fg_profile_note(
            p,
            "%lld threads and processes were started, and what each does in its first %.3g ms is "
            "seen as root only, or after: sudo sysctl kernel.perf_event_paranoid=0",
            (long long)s->watch.forked, 1e3 / s->rate);
    if (!err) err = fg__unwinding_note(p, &s->unwinding, &s->watch);
    return err ? err : fg_meta_set_number(p, "sampler_cpu", fg__clock_ns(CLOCK_THREAD_CPUTIME_ID));
}

static int finish_perf(fg__sampler *base) {
    struct perf *s = (struct perf *)base;
    double seconds = fg__loop_now() - base->started;
    fg__events_stop(&s->events);
    int err = fg__events_drain(&s->events, on_record, s);
    fg__events_close(&s->events);
    if (!err) err = name_all(s);
    if (!err) err = fg__watch_quality(&s->watch, base->profile);
    if (!err) err = describe(s, seconds);
    if (s->command.pid) {
        fg__command_wait(&s->command, base);
        base->exit_status = s->command.status;
    }
    return err;
}

static void close_perf(fg__sampler *base) {
    struct perf *s = (struct perf *)base;
    fg__command_close(&s->command);
    fg__events_close(&s->events);
    fg__slices_free(&s->slices, base->ctx);
    fg__watch_free(&s->watch);
    if (s->pidfd >= 0) close(s->pidfd);
    s->pidfd = -1;
}

const fg__sampler_kind fg__perf_sampler = {
    .name = "perf",
    .options = rows,
    .options_size = sizeof(options),
    .size = sizeof(struct perf),
    .open = open_perf,
    .run = run_perf,
    .finish = finish_perf,
    .close = close_perf,
};
