/* The sampler of .NET programs: a session with the runtime's diagnostics, and what becomes of it. */
#include "sample/dotnet.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "formats/input.h"
#include "sample/sample.h"
#include "sys/clock.h"
#include "sys/rights.h"

/* The longest silence after the session was told to end; cells that are divided at once; clocks further apart than this
 * are not the same clock (ns). */
static const double silence = 30;
enum { CELLS_AT_ONCE = 1 << 20, STACKS_MAX = 1 << 30 };
static const uint64_t STREAM_MAX = (uint64_t)1 << 50; /* days of it: what is kept is bounded by itself */
static const int64_t same_clock = 5000000000;

struct options {
    fg__sample_options common;
    const char *socket;
    bool wall, threads, slices;
};

struct dotnet {
    fg__sampler s;
    struct options options;
    dn_endpoint endpoint;
    int fd, stop_fd; /* the session's connection, and the one that ends it */
    bool stopping, silent;
    double heard; /* when something came last */
    uint64_t session;
    fg_in *in;
    fg__nettrace *trace;
    dn_threads threads;
    dn_clocks clocks;
    dn_cpu cpu;
    fg__tally tally;
    fg__slices slices; /* only where they are asked for */
    int64_t shift;     /* from the clock of the trace to ours */
    int64_t last;      /* the newest sample */
    int64_t samples, begun, own_cpu;
    double ended;
};

/* ---- open -------------------------------------------------------------------------------------------------------------- */

static int dotnet_open(fg__sampler *s, const void *options) {
    struct dotnet *dn = (struct dotnet *)s;
    dn->options = *(const struct options *)options;
    dn->fd = dn->stop_fd = dn->endpoint.folder = dn->clocks.tasks = -1;
    uint64_t pid = dn->options.common.pid;
    if (!pid || !dn->options.socket)
        return fg__fail(s->ctx, FG_EINVAL,
                        "the dotnet sampler takes the number of a process, `pid`, and the path of its "
                        "diagnostics socket, `socket`");
    if (dn->options.common.rate != 0)
        return fg__fail(s->ctx, FG_EINVAL,
                        "the dotnet sampler takes no rate: the runtime samples as often as it likes");
    int err = fg__rights_process(s->ctx, pid);
    if (!err) err = dn_endpoint_open(&dn->endpoint, s->ctx, dn->options.socket, pid);
    if (!err) err = dn_clocks_open(&dn->clocks, s->ctx, pid);
    if (!err) err = dn_connect(&dn->fd, s->ctx, &dn->endpoint);
    if (!err) err = fg_profile_add_type(s->profile, "samples", "count");
    if (!err) err = fg_profile_add_type(s->profile, dn->options.wall ? "wall" : "cpu", "nanoseconds");
    dn->options.socket = NULL; /* it was the caller's */
    if (dn->options.slices) dn->cpu.slices = &dn->slices;
    return err;
}

/* ---- the stream -------------------------------------------------------------------------------------------------------- */

static void stop_session(struct dotnet *dn) {
    dn->stopping = true;
    dn->ended = dn->heard = fg__loop_now();
    dn->stop_fd = dn_stop(&dn->endpoint, dn->session);
}

/* Seconds until something is to be done though nothing comes. */
static double patience(const struct dotnet *dn, double now) {
    if (dn->stopping) return dn->heard + silence - now;
    return fmin(dn->clocks.due, dn->s.ends) - now;
}

/* What is due now, whatever comes: the threads' clocks, the end of the session. */
static int attend(struct dotnet *dn) {
    if (dn->stopping) return 0;
    bool over = fg__sampler_due(&dn->s);
    int err =
        over || fg__loop_now() >= dn->clocks.due ? dn_clocks_read(&dn->clocks, dn->s.ctx, &dn->threads) : 0;
    if (!err && over) stop_session(dn);
    return err;
}

/* Some bytes of the trace. The runtime falling silent at the end is the end as well. */
static int pull(void *user, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got) {
    struct dotnet *dn = user;
    *got = 0;
    for (;;) {
        int err = attend(dn);
        if (err) return err;
        double now = fg__loop_now(), wait = fmax(patience(dn, now), 0);
        if (dn->stopping && wait == 0) return dn->silent = true, 0;
        struct pollfd ready[] = {{.fd = dn->fd, .events = POLLIN}, {.fd = dn->s.stop_fd, .events = POLLIN}};
        int count = poll(ready, dn->stopping ? 1 : 2, (int)ceil(fmin(wait, 60) * 1e3));
        if (count < 0 && errno != EINTR)
            return fg__fail(ctx, FG_EIO, "cannot wait for a socket: %s", strerror(errno));
        if (count <= 0 || !ready[0].revents) continue;
        ssize_t read = recv(dn->fd, to, n, 0);
        if (read < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (read < 0 && errno != ECONNRESET)
            return fg__fail(ctx, FG_EIO, "cannot read from the diagnostics socket: %s", strerror(errno));
        dn->heard = fg__loop_now();
        *got = read > 0 ? (size_t)read : 0;
        return 0;
    }
}

/* ---- samples ----------------------------------------------------------------------------------------------------------- */

static int see(struct dotnet *dn, dn_thread *thread, int64_t time, uint32_t stack) {
    thread->last_stack = stack;
    int err = fg__grow(dn->s.ctx, &thread->sightings, &thread->sighting_cap, thread->sighting_count + 1,
                       sizeof *thread->sightings);
    if (!err) thread->sightings[thread->sighting_count++] = (dn_sighting){time, stack};
    return err;
}

static int on_sample(void *user, const fg__nettrace_sample *s) {
    struct dotnet *dn = user;
    dn_thread *thread, *observer;
    int err = dn_thread_find(&observer, dn->s.ctx, &dn->threads, s->observer);
    if (err) return err;
    observer->observer = true;
    err = dn_thread_find(&thread, dn->s.ctx, &dn->threads, s->thread);
    if (err) return err;
    int64_t time = (int64_t)((uint64_t)s->time + (uint64_t)dn->shift), before = thread->seen;
    thread->seen = time;
    dn->samples++;
    if (time > dn->last) dn->last = time;
    if (!dn->options.wall) return see(dn, thread, time, s->stack);
    int64_t passed = before == INT64_MIN ? fg__nettrace_head_of(dn->trace).period : time - before;
    if (passed < 0) passed = 0;
    err = fg__tally_add(dn->s.ctx, &dn->tally, dn->options.threads ? s->thread : 0, s->stack, 1, passed);
    if (err || !dn->options.slices) return err;
    return fg__slices_add(&dn->slices, dn->s.ctx, time, dn_slice_row(dn->tally.latest), passed);
}

static int share(struct dotnet *dn) {
    return dn_cpu_share(&dn->cpu, dn->s.ctx, &dn->tally, &dn->threads, fg__nettrace_head_of(dn->trace).period,
                        dn->options.threads);
}

/* Bring clocks and samples together up to `time`. */
static int match(struct dotnet *dn, int64_t time) {
    int err = dn->options.wall ? 0 : dn_cpu_match(&dn->cpu, dn->s.ctx, dn->trace, &dn->threads, time);
    return err || dn->cpu.cell_count < CELLS_AT_ONCE ? err : share(dn);
}

/* In a container with a clock of its own, the trace's is not ours. */
static void compare_clocks(struct dotnet *dn) {
    int64_t ahead = fg__nettrace_head_of(dn->trace).clock - dn->begun;
    if (ahead > same_clock || ahead < -same_clock) dn->shift = -ahead;
}

static int read_stream(struct dotnet *dn) {
    int more = fg__nettrace_next(dn->trace);
    compare_clocks(dn);
    while (more > 0) {
        more = fg__nettrace_next(dn->trace);
        int err = more < 0 ? 0 : match(dn, dn->last);
        if (err) return err;
    }
    if (!fg__nettrace_is_cut(dn->trace)) return more;
    return fg_profile_note(dn->s.profile, dn->silent ? "the runtime fell silent before it had told all names"
                                                     : "the process was gone before it had told all names");
}

static int dotnet_run(fg__sampler *s) {
    struct dotnet *dn = (struct dotnet *)s;
    fg_read_options options = {.size = sizeof options, .name = "the .NET runtime", .max_input = STREAM_MAX};
    dn->begun = fg__clock_ns(CLOCK_MONOTONIC);
    int err = dn_clocks_read(&dn->clocks, s->ctx, &dn->threads);
    if (!err && dn->options.slices)
        err = fg__slices_add(&dn->slices, s->ctx, dn->begun, 0, 0); /* the first */
    if (!err) err = dn_collect(&dn->session, s->ctx, dn->fd, s->stop_fd, dn->options.common.pid);
    if (!err) err = fg__in_open_pull(&dn->in, s->ctx, pull, dn, &options);
    if (err) return err;
    dn->in->format = "nettrace";
    err = fg__nettrace_new(&dn->trace, dn->in, STACKS_MAX, on_sample, dn);
    if (!err) err = read_stream(dn);
    if (!dn->stopping) dn->ended = fg__loop_now();
    return err;
}

/* ---- finish ------------------------------------------------------------------------------------------------------------ */

static int thread_frame(uint32_t *out, struct dotnet *dn, uint64_t id, bool sampled) {
    *out = FG__NONE;
    if (!id) return 0;
    char name[64];
    dn_thread *thread;
    int err = dn_thread_find(&thread, dn->s.ctx, &dn->threads, id);
    if (err) return err;
    if (sampled)
        snprintf(name, sizeof name, "thread %s (%llu)", thread->name, (unsigned long long)id);
    else
        snprintf(name, sizeof name, "[thread %s]", thread->name);
    fg_frame frame = {.name = name, .kind = sampled ? FG_KIND_UNKNOWN : FG_KIND_NATIVE};
    return fg_profile_frame(out, dn->s.profile, &frame);
}

/* CPU time after a thread's last sample. */
static int add_owed(struct dotnet *dn, const dn_thread *thread) {
    fg_ctx *ctx = dn->s.ctx;
    int err = fg__tally_add(ctx, &dn->tally, dn->options.threads ? thread->id : 0, thread->last_stack, 0,
                            thread->owed);
    if (err || !dn->options.slices) return err;
    return fg__slices_span(&dn->slices, ctx, thread->seen, (int64_t)(dn->ended * 1e9),
                           dn_slice_row(dn->tally.latest), thread->owed);
}

/*
 * What is left: CPU time after a thread's last sample; that of threads of the runtime's own, which run no managed code,
 * of which *id becomes the stack; ours.
 */
static int add_rest(struct dotnet *dn, dn_thread *thread, uint32_t *id) {
    fg__sampler *s = &dn->s;
    int64_t period = fg__nettrace_head_of(dn->trace).period;
    if (thread->observer) {
        dn->own_cpu += thread->total;
        return 0;
    }
    if (thread->seen != INT64_MIN && thread->owed > 0) return add_owed(dn, thread);
    if (thread->seen != INT64_MIN || !thread->total) return 0;
    uint32_t frame;
    int64_t values[] = {thread->total / period, thread->total};
    int err = thread_frame(&frame, dn, thread->id, false);
    return err ? err : fg__stack_put(s->profile, &frame, 1, values, id);
}

static int add_stacks(struct dotnet *dn, uint32_t *ids) {
    int err = 0;
    for (size_t i = 0; i < dn->tally.n && !err; i++) {
        const fg__tally_row *row = &dn->tally.rows[i];
        int64_t values[] = {row->count, row->value};
        uint32_t prefix;
        err = thread_frame(&prefix, dn, row->thread, true);
        if (!err)
            err =
                fg__nettrace_add(dn->trace, dn->s.profile, prefix, row->stack, values, &ids[dn_slice_row(i)]);
    }
    return err;
}

static int add_all(struct dotnet *dn) {
    fg_ctx *ctx = dn->s.ctx;
    size_t n = 2 * (dn->tally.n + dn->threads.count + 1); /* each thread may add a row */
    uint32_t *ids = fg__no_ids(ctx, n);
    if (!ids) return FG_ENOMEM;
    int err = dn->options.slices ? fg__slices_add(&dn->slices, ctx, (int64_t)(dn->ended * 1e9), 0, 0) : 0;
    for (size_t i = 0; i < dn->threads.count && !err && !dn->options.wall; i++)
        err = add_rest(dn, &dn->threads.at[i], &ids[dn_slice_thread(i)]);
    if (!err) err = add_stacks(dn, ids);
    if (!err && dn->options.slices) err = fg__slices_keep(&dn->slices, dn->s.profile, 1, ids);
    fg_free(ctx, ids);
    return err;
}

static int describe(struct dotnet *dn) {
    fg_profile *p = dn->s.profile;
    const char *type = dn->options.wall ? "wall" : "cpu";
    const struct {
        const char *key;
        int64_t number;
    } numbers[] = {{"start", fg__nettrace_head_of(dn->trace).start},
                   {"duration", (int64_t)((dn->ended - dn->s.started) * 1e9)},
                   {"period", fg__nettrace_head_of(dn->trace).period},
                   {"lost", fg__nettrace_lost(dn->trace)},
                   {"samples", dn->options.wall ? dn->samples : p->totals[0]},
                   {"sampler_cpu", dn->own_cpu + fg__clock_ns(CLOCK_THREAD_CPUTIME_ID)}};
    int err = fg_meta_set_text(p, "default_type", type);
    if (!err) err = fg_meta_set_text(p, "period_type", type);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++)
        err = fg_meta_set_number(p, numbers[i].key, numbers[i].number);
    return err;
}

static int dotnet_finish(fg__sampler *s) {
    struct dotnet *dn = (struct dotnet *)s;
    int64_t period = fg__nettrace_head_of(dn->trace).period;
    if (period <= 0) return fg__fail(s->ctx, FG_EEMPTY, "the .NET runtime sent nothing before it was gone");
    int err = match(dn, INT64_MAX);
    if (!err) err = share(dn);
    if (!err) err = add_all(dn);
    return err ? err : describe(dn);
}

static void dotnet_close(fg__sampler *s) {
    struct dotnet *dn = (struct dotnet *)s;
    if (dn->fd >= 0) close(dn->fd);
    if (dn->stop_fd >= 0) close(dn->stop_fd);
    dn_endpoint_close(&dn->endpoint);
    dn_clocks_close(&dn->clocks);
    fg__nettrace_free(dn->trace);
    fg__in_close(dn->in);
    dn_threads_free(s->ctx, &dn->threads);
    dn_cpu_free(s->ctx, &dn->cpu);
    fg__tally_free(s->ctx, &dn->tally);
    fg__slices_free(&dn->slices, s->ctx);
}

static const fg__option options[] = {FG__SAMPLE_ROWS,
                                     {"socket", FG__OPTION_TEXT, offsetof(struct options, socket)},
                                     {"wall", FG__OPTION_BOOL, offsetof(struct options, wall)},
                                     {"threads", FG__OPTION_BOOL, offsetof(struct options, threads)},
                                     {"slices", FG__OPTION_BOOL, offsetof(struct options, slices)},
                                     {NULL, FG__OPTION_TEXT, 0}};

const fg__sampler_kind fg__dotnet_sampler = {
    .name = "dotnet",
    .options = options,
    .options_size = sizeof(struct options),
    .size = sizeof(struct dotnet),
    .open = dotnet_open,
    .run = dotnet_run,
    .finish = dotnet_finish,
    .close = dotnet_close,
};
