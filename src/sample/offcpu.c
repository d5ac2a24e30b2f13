/* What the samplers of off-CPU time have in common. */
#include "sample/offcpu.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "sys/clock.h"
#include "sys/rights.h"

/* ---- open ---------------------------------------------------------------------------------------------- */

int fg__offcpu_open(fg__offcpu *s, const fg__offcpu_options *o) {
    fg_ctx *ctx = s->base.ctx;
    uint32_t space;
    s->pidfd = -1;
    s->with_cpu = o->cpu;
    s->sliced = o->slices;
    s->cpu_rate = o->base.rate > 0 ? o->base.rate : 99;
    int err = fg__wait_filter_set(&s->filter, ctx, o->min, o->max, o->states);
    if (!err && !o->base.pid) err = fg__fail(ctx, FG_EINVAL, "whose waiting? a process: --pid 4242");
    if (!err && o->base.pid > INT32_MAX) err = fg__rights_refused(ctx, FG__RIGHT_PERF, o->base.pid, ESRCH);
    if (!err) err = fg__rights_process(ctx, o->base.pid);
    if (!err) err = fg__watch_init(&s->watch, ctx, s->base.profile, &o->naming);
    if (!err) err = fg__watch_target(s->base.profile, o->base.pid);
    if (err) return err;
    s->pid = (uint32_t)o->base.pid;
    s->watch.alone = o->no_inherit;
    s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    return fg__watch_space(&space, &s->watch, s->pid);
}

void fg__offcpu_close(fg__offcpu *s) {
    fg__watch_free(&s->watch);
    fg__slices_free(&s->slices, s->base.ctx);
    fg__raws_free(s->base.ctx, &s->wakers);
    fg_free(s->base.ctx, s->looks);
    s->looks = NULL;
    fg_free(s->base.ctx, s->threads);
    fg_free(s->base.ctx, s->by_tid.slots);
    s->threads = NULL;
    s->by_tid = (fg__table){0};
    if (s->pidfd >= 0) close(s->pidfd);
    s->pidfd = -1;
}

bool fg__offcpu_ended(const fg__offcpu *s) {
    return fg__watch_ended(s->pidfd, s->pid);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t tid) {
    return fg__mix(tid + UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf58476d1ce4e5b9));
}

static fg__waiting *find_thread(const fg__offcpu *s, uint32_t tid) {
    uint32_t id;
    if (!s->by_tid.slots) return NULL;
    for (uint32_t at = fg__table_first(&s->by_tid, hash_of(tid));
         (id = fg__table_id(&s->by_tid, at)) != FG__NONE; at = fg__table_next(&s->by_tid, at))
        if (s->threads[id].tid == tid) return &s->threads[id];
    return NULL;
}

int fg__offcpu_thread(fg__waiting **out, fg__offcpu *s, uint32_t tid) {
    *out = find_thread(s, tid);
    if (*out) return 0;
    fg_ctx *ctx = s->base.ctx;
    int err = fg__grow(ctx, &s->threads, &s->thread_cap, s->thread_n + 1, sizeof *s->threads);
    if (!err) err = fg__table_add(ctx, &s->by_tid, hash_of(tid), (uint32_t)s->thread_n);
    if (err) return err;
    *out = &s->threads[s->thread_n++];
    **out = (fg__waiting){.tid = tid, .stack = FG__NONE};
    return 0;
}

bool fg__offcpu_knows(const fg__offcpu *s, uint32_t tid) {
    return find_thread(s, tid) != NULL;
}

/* ---- counting ------------------------------------------------------------------------------------------ */

int fg__offcpu_count(fg__offcpu *s, uint32_t stack, int64_t count, int64_t ns, int64_t from, int64_t to) {
    fg__raws_count(&s->watch.raws, stack, count, ns);
    return s->sliced ? fg__slices_span(&s->slices, s->base.ctx, from, to, stack, ns) : 0;
}

/* ---- finish -------------------------------------------------------------------------------------------- */

/* In a picture of CPU time as well, what the kernel does while a thread waits is of the colour of waiting. */
static int make_waiting(fg_profile *p, uint32_t *ids, size_t n) {
    int err = 0;
    for (size_t i = 0; i < n && !err; i++) {
        fg_frame frame = fg_profile_frame_at(p, ids[i]);
        frame.kind = FG_KIND_WAITING;
        err = fg_profile_frame(&ids[i], p, &frame);
    }
    return err;
}

static bool starts(const fg_profile *p, uint32_t id, const char *const *list) {
    const char *name = fg_profile_frame_at(p, id).name;
    while (*list && strncmp(name, *list, strlen(*list)) != 0) list++;
    return *list != NULL;
}

/* The kernel's frames without those of our own BPF program. */
static int add_kernel(fg__offcpu *s, fg__frames *frames, const fg__raw_key *key, const uint64_t *addresses) {
    static const char *const ours[] = {"bpf_prog_",
                                       "bpf_trace_run",
                                       "bpf_get_stack",
                                       "__bpf_get_stack",
                                       "__bpf_trace_sched",
                                       "perf_trace_sched",
                                       NULL};
    size_t from = frames->n, skip = 0;
    int err = fg__watch_frames(&s->watch, frames, key->space, addresses, key->kernel);
    if (err) return err;
    while (from + skip < frames->n && starts(s->base.profile, frames->ids[from + skip], ours)) skip++;
    memmove(frames->ids + from, frames->ids + from + skip, (frames->n - from - skip) * sizeof *frames->ids);
    frames->n -= skip;
    return 0;
}

/* Whoever an interrupt interrupted has nothing to do with it. */
static bool cut_at_interrupt(const fg_profile *p, fg__frames *frames, size_t from) {
    static const char *const entries[] = {"asm_sysvec_", "asm_common_interrupt", "el1h_64_irq", "el0t_64_irq",
                                          NULL};
    for (size_t i = from; i < frames->n; i++) {
        if (!starts(p, frames->ids[i], entries)) continue;
        frames->n = i + 1;
        return true;
    }
    return false;
}

static void turn(uint32_t *ids, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t id = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = id;
    }
}

/* The waker stands on its head: the tip is the thread that it was. */
static int add_waker(fg__offcpu *s, fg__frames *frames, uint32_t id) {
    const fg__raws *raws = &s->wakers;
    const fg__raw_key *key = &raws->keys[id];
    const uint64_t *addresses = raws->addresses + raws->starts[id];
    const char *thread = raws->names.bytes + raws->name_at[key->thread];
    fg_profile *p = s->base.profile;
    size_t from = frames->n;
    int err = add_kernel(s, frames, key, addresses);
    if (err) return err;
    if (!cut_at_interrupt(p, frames, from)) {
        err = fg__watch_frames(&s->watch, frames, key->space, addresses + key->kernel, key->user);
        if (!err) err = fg__watch_word(&s->watch, frames, p, thread, FG_KIND_UNKNOWN);
        if (err) return err;
    }
    turn(frames->ids + from, frames->n - from);
    return fg__watch_word(&s->watch, frames, p, "woken by", FG_KIND_WAITING);
}

static int name_stack(fg__offcpu *s, fg__frames *frames, size_t i, uint32_t *id) {
    fg__raws *raws = &s->watch.raws;
    fg_profile *p = s->base.profile;
    const fg__raw_key *key = &raws->keys[i];
    const uint64_t *addresses = raws->addresses + raws->starts[i];
    uint32_t state = key->tag & 0xff, waker = key->tag >> FG__WAKER_SHIFT;
    bool on = state == FG__STATE_ON_CPU;
    const int64_t off[] = {raws->counts[i], raws->weights[i], 0, raws->weights[i]};
    const int64_t cpu[] = {0, 0, raws->weights[i], raws->weights[i]};
    int err = 0;
    if (!raws->counts[i]) return 0; /* no wait there was of the kind that counts */
    frames->n = 0;
    if (waker) err = add_waker(s, frames, waker - 1);
    if (!err && !on) err = fg__watch_word(&s->watch, frames, p, fg__wait_state_name(state), FG_KIND_WAITING);
    size_t from = frames->n;
    if (!err) err = add_kernel(s, frames, key, addresses);
    if (!err && s->with_cpu && !on) err = make_waiting(p, frames->ids + from, frames->n - from);
    if (!err) err = fg__watch_frames(&s->watch, frames, key->space, addresses + key->kernel, key->user);
    if (err) return err;
    if (key->user && !fg__watch_whole(p, frames->ids[frames->n - 1], key->user))
        s->watch.truncated += raws->counts[i];
    err =
        fg__watch_word(&s->watch, frames, p, raws->names.bytes + raws->name_at[key->thread], FG_KIND_UNKNOWN);
    return err ? err : fg__watch_add(&s->watch, frames, p, on ? cpu : off, id);
}

enum { OFFCPU = 1, WALL = 3 }; /* value types: the default ones */

static int add_types(fg__offcpu *s) {
    static const struct {
        const char *name, *unit;
    } types[] = {
        {"waits", "count"}, {"offcpu", "nanoseconds"}, {"cpu", "nanoseconds"}, {"wall", "nanoseconds"}};
    int err = 0;
    for (int i = 0; i < (s->with_cpu ? 4 : 2) && !err; i++)
        err = fg_profile_add_type(s->base.profile, types[i].name, types[i].unit);
    return err ? err : fg_meta_set_text(s->base.profile, "default_type", s->with_cpu ? "wall" : "offcpu");
}

static int describe(fg__offcpu *s, const char *engine, double seconds) {
    fg_profile *p = s->base.profile;
    int err = fg_meta_set_text(p, "engine", engine);
    if (!err) err = fg_meta_set_number(p, "duration", (int64_t)(seconds * 1e9));
    return err ? err : fg_meta_set_number(p, "sampler_cpu", fg__clock_ns(CLOCK_THREAD_CPUTIME_ID));
}

int fg__offcpu_finish(fg__offcpu *s, const char *engine, double seconds) {
    fg__frames frames = {0};
    fg_ctx *ctx = s->base.ctx;
    size_t n = s->watch.raws.n;
    uint32_t *ids = s->sliced ? fg__calloc(ctx, n + s->look_n + 1, sizeof *ids) : NULL;
    int err = s->sliced && !ids ? FG_ENOMEM : add_types(s);
    for (size_t i = 0; i < n && !err; i++) err = name_stack(s, &frames, i, ids ? &ids[i] : NULL);
    if (!err) err = fg__offcpu_add_looks(s, &frames, seconds, ids ? ids + n : NULL);
    if (!err && ids) err = fg__slices_keep(&s->slices, s->base.profile, s->with_cpu ? WALL : OFFCPU, ids);
    fg_free(ctx, frames.ids);
    fg_free(ctx, ids);
    if (!err && !s->watch.raws.total)
        err = fg__fail(ctx, FG_EEMPTY, "%s did not wait in a way that counts: nothing to draw",
                       fg_meta_text(s->base.profile, "target"));
    if (!err) err = fg__watch_quality(&s->watch, s->base.profile);
    return err ? err : describe(s, engine, seconds);
}
