/*
 * Off-CPU time by perf_event_open: the kernel records each switch of the process's threads, with the stack where it is
 * one out, and the time between a switch out and the next one in is summed here.
 *
 *   sched:sched_switch   a sample in the thread that leaves its CPU: stack and state
 *   PERF_RECORD_SWITCH   the thread is back
 *
 * The C library has no frame pointers in Debian, and nearly everything waits in it: with frame pointers alone the function
 * that called it would be missing (callers.h).
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "sample/offcpu.h"
#include "sample/perf_event.h"
#include "symbols/unwind.h"
#include "sys/clock.h"
#include "sys/rights.h"

enum { RING = 1 << 20, STACK_RING = 8 << 20, CPU_RING = 256 << 10 };

static const fg__option rows[] = {FG__OFFCPU_ROWS, {NULL, 0, 0}};

struct events_sampler {
    fg__offcpu off;
    fg__events switches, clock;
    uint32_t state_at; /* where prev_state is in a sample */
    fg__unwinding unwinding;
};

/* ---- open ---------------------------------------------------------------------------------------------- */

static int check_options(struct events_sampler *s, const fg__offcpu_options *o) {
    fg_ctx *ctx = s->off.base.ctx;
    int err = fg__unwinding_choose(&s->unwinding, ctx, o->unwind, o->stack);
    if (err) return err;
    if (o->wakers)
        return fg__fail(ctx, FG_EUNSUPPORTED, "who wakes whom (--wakers) is known to the engine bpf only");
    return 0;
}

static struct perf_event_attr attributes(const struct events_sampler *s) {
    struct perf_event_attr attr = {.sample_type = PERF_SAMPLE_CALLCHAIN,
                                   .inherit = 1,
                                   .inherit_thread = s->off.watch.alone,
                                   .exclude_hv = 1};
    fg__unwinding_ask(&attr, &s->unwinding);
    return attr;
}

static int refuse(const struct events_sampler *s, const fg__events *e, int error) {
    fg_ctx *ctx = s->off.base.ctx;
    if (error == ENOMEM) return fg__nomem(ctx);
    if (error == EINVAL && e->attr.inherit_thread)
        return fg__fail(ctx, FG_EUNSUPPORTED, "--no-inherit takes Linux 5.13 or newer");
    fg__right right = e->unmapped && !e->fd_n ? FG__RIGHT_PERF_BUFFER : FG__RIGHT_PERF_TRACE;
    return fg__rights_refused(ctx, right, s->off.pid, error);
}

static int attach(struct events_sampler *s, fg__events *e, const struct perf_event_attr *attr, size_t ring) {
    int err = fg__events_init(e, s->off.base.ctx, attr, ring);
    int error = err ? ENOMEM : fg__events_open(e, s->off.pid);
    if (!error) error = fg__events_attach(e, s->off.pid);
    return error ? refuse(s, e, error) : 0;
}

static int attach_switches(struct events_sampler *s) {
    fg_ctx *ctx = s->off.base.ctx;
    struct perf_event_attr attr = attributes(s);
    uint64_t id;
    int err = fg__tracepoint_id(&id, ctx, "sched", "sched_switch");
    if (!err) err = fg__tracepoint_field(&s->state_at, ctx, "sched", "sched_switch", "prev_state");
    if (err) return err;
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = id;
    attr.sample_period = 1;
    attr.sample_type |= PERF_SAMPLE_RAW;
    attr.context_switch = attr.mmap = attr.mmap2 = attr.comm = attr.comm_exec = attr.task = 1;
    return attach(s, &s->switches, &attr, s->unwinding.copied ? STACK_RING : RING);
}

static int attach_clock(struct events_sampler *s) {
    struct perf_event_attr attr = attributes(s);
    if (!s->off.with_cpu) return 0;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_CPU_CLOCK;
    attr.freq = 1;
    attr.sample_freq = (uint64_t)llround(s->off.cpu_rate);
    attr.sample_type |= PERF_SAMPLE_PERIOD;
    return attach(s, &s->clock, &attr, s->unwinding.copied ? STACK_RING : CPU_RING);
}

static int open_events(fg__sampler *base, const void *given) {
    struct events_sampler *s = (struct events_sampler *)base;
    const fg__offcpu_options *o = given;
    s->switches.ctx = s->clock.ctx = base->ctx;
    s->off.pidfd = -1;
    int err = check_options(s, o);
    if (!err) err = fg__offcpu_open(&s->off, o);
    if (!err) err = attach_switches(s);
    if (!err) err = attach_clock(s);
    return err ? err : fg__offcpu_look(&s->off, true);
}

/* ---- run ----------------------------------------------------------------------------------------------- */

static int stack_of(uint32_t *out, struct events_sampler *s, const fg__events *e, const fg__record *record,
                    const fg__perf_sample *sample, uint32_t state) {
    fg__offcpu *off = &s->off;
    fg__raw_key key = {.tag = state};
    int err = fg__watch_space(&key.space, &off->watch, record->pid);
    if (!err) err = fg__watch_name(&key.thread, &off->watch, record->pid, record->tid);
    if (err) return err;
    fg__watch_chain(&key, off->addresses, sample);
    fg__watch_user(&off->watch, &key, off->addresses, e, sample, &s->unwinding);
    return fg__raws_find(out, off->base.ctx, &off->watch.raws, &key, off->addresses);
}

static int on_leave(struct events_sampler *s, const fg__record *record) {
    fg__perf_sample sample;
    fg__waiting *thread;
    uint64_t prev_state;
    int err = fg__offcpu_thread(&thread, &s->off, record->tid);
    if (err) return err;
    s->off.watch.failed += thread->stack != FG__NONE; /* its return was lost */
    thread->stack = FG__NONE;
    if (!fg__sample_parse(&sample, &s->switches, record) || sample.raw_n < s->state_at + sizeof prev_state) {
        s->off.watch.failed++;
        return 0;
    }
    memcpy(&prev_state, sample.raw + s->state_at, sizeof prev_state);
    uint32_t state = fg__wait_state(prev_state);
    if (state == FG__STATE_GONE || !(s->off.filter.states >> state & 1)) return 0;
    thread->since = record->time;
    return stack_of(&thread->stack, s, &s->switches, record, &sample, state);
}

static int end_wait(struct events_sampler *s, fg__waiting *thread, uint64_t time) {
    uint32_t stack = thread->stack;
    if (stack == FG__NONE || time < thread->since) return 0;
    uint64_t ns = time - thread->since;
    thread->stack = FG__NONE;
    if (!fg__wait_counts(&s->off.filter, s->off.watch.raws.keys[stack].tag, ns)) return 0;
    return fg__offcpu_count(&s->off, stack, 1, (int64_t)ns, (int64_t)thread->since, (int64_t)time);
}

static int on_switch(void *user, const fg__record *record) {
    struct events_sampler *s = user;
    fg__waiting *thread;
    if (record->type == PERF_RECORD_SAMPLE) return on_leave(s, record);
    if (record->type != PERF_RECORD_SWITCH) return fg__watch_record(&s->off.watch, record);
    if (record->misc & PERF_RECORD_MISC_SWITCH_OUT) return 0;
    bool known = fg__offcpu_knows(&s->off, record->tid);
    int err = fg__offcpu_thread(&thread, &s->off, record->tid);
    if (err) return err;
    if (!known) fg__offcpu_waited(&s->off, thread, record->time);
    return end_wait(s, thread, record->time);
}

static int on_tick(void *user, const fg__record *record) {
    struct events_sampler *s = user;
    fg__perf_sample sample;
    uint32_t id;
    if (record->type != PERF_RECORD_SAMPLE) return 0;
    if (!fg__sample_parse(&sample, &s->clock, record)) {
        s->off.watch.failed++;
        return 0;
    }
    int err = stack_of(&id, s, &s->clock, record, &sample, FG__STATE_ON_CPU);
    int64_t time = (int64_t)record->time;
    return err ? err : fg__offcpu_count(&s->off, id, 1, (int64_t)sample.period, time, time);
}

static int drain(struct events_sampler *s) {
    int err = fg__events_drain(&s->switches, on_switch, s);
    return err || !s->off.with_cpu ? err : fg__events_drain(&s->clock, on_tick, s);
}

static int run_events(fg__sampler *base) {
    struct events_sampler *s = (struct events_sampler *)base;
    int err = 0;
    while (!err && !fg__sampler_due(base) && !fg__offcpu_ended(&s->off)) {
        fg__events_wait(&s->switches, base, s->off.pidfd);
        err = drain(s);
    }
    return err;
}

/* ---- finish -------------------------------------------------------------------------------------------- */

static int finish_events(fg__sampler *base) {
    struct events_sampler *s = (struct events_sampler *)base;
    double seconds = fg__loop_now() - base->started;
    uint64_t now = (uint64_t)fg__clock_ns(CLOCK_MONOTONIC);
    char engine[96];
    fg__events_stop(&s->switches);
    fg__events_stop(&s->clock);
    int err = drain(s);
    fg__events_close(&s->switches);
    fg__events_close(&s->clock);
    /* who waits still has waited until now */
    for (size_t i = 0; i < s->off.thread_n && !err; i++) err = end_wait(s, &s->off.threads[i], now);
    if (err) return err;
    int n = snprintf(engine, sizeof engine, "perf_event_open, each sched:sched_switch");
    if (s->off.with_cpu)
        snprintf(engine + n, sizeof engine - (size_t)n, " and cpu-clock, %g Hz", s->off.cpu_rate);
    err = fg__offcpu_finish(&s->off, engine, seconds);
    return err ? err : fg__unwinding_note(base->profile, &s->unwinding, &s->off.watch);
}

static void close_events(fg__sampler *base) {
    struct events_sampler *s = (struct events_sampler *)base;
    fg__events_close(&s->switches);
    fg__events_close(&s->clock);
    fg__offcpu_close(&s->off);
}

const fg__sampler_kind fg__offcpu_events_sampler = {
    .name = "offcpu_events",
    .options = rows,
    .options_size = sizeof(fg__offcpu_options),
    .size = sizeof(struct events_sampler),
    .open = open_events,
    .run = run_events,
    .finish = finish_events,
    .close = close_events,
};
