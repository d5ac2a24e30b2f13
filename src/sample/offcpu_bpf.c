/*
 * Off-CPU time by a BPF program (bpf/offcpu.bpf.c), which sums in the kernel: what it costs does not grow with how often
 * threads are switched, and nothing is copied but sums and stacks, at the end. It walks stacks by frame pointers.
 *
 * For slices of time the sums are read all the while: by how much one grew tells when, since a thread is in one wait at a
 * time. What grew by more than has passed since the last reading began before it, by that much.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include "core/embedded.h"
#include "sample/bpf/offcpu.h"
#include "sample/offcpu.h"
#include "sys/clock.h"
#include "sys/rights.h"

static const fg__option rows[] = {FG__OFFCPU_ROWS, {NULL, 0, 0}};

#ifdef FG_BPF
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { PROGRAMS = 2 };
static const double interval = 0.1, most_of_a_core = 1 / 30.0; /* of reading sums for slices */

/* A wait of which there are sums. */
typedef struct known {
    struct offcpu_key key;
    struct offcpu_sum sum; /* as it was read last */
    uint32_t stack;        /* a raw one */
} known;

struct bpf_sampler {
    fg__offcpu off;
    struct bpf_object *object;
    struct bpf_link *links[PROGRAMS];
    int starts, sums, stacks; /* maps */
    known *waits;
    size_t wait_n, wait_cap;
    fg__table by_key;
    int64_t read; /* ns of CLOCK_MONOTONIC: when sums were read last */
};

/* ---- open ---------------------------------------------------------------------------------------------- */

static int check_options(struct bpf_sampler *s, const fg__offcpu_options *o) {
    fg_ctx *ctx = s->off.base.ctx;
    if (o->unwind && strcmp(o->unwind, "fp") != 0)
        return fg__fail(ctx, FG_EUNSUPPORTED, "a BPF program walks stacks by frame pointers (--unwind fp)");
    if (o->cpu)
        return fg__fail(ctx, FG_EUNSUPPORTED,
                        "CPU time as well (--cpu) is measured by the engine tracepoints");
    return 0;
}

static unsigned state_bits(const fg__offcpu *s) {
    unsigned set = s->filter.states & 1; /* runnable */
    for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
        uint32_t state = fg__wait_state(bit);
        if (state != FG__STATE_GONE && s->filter.states >> state & 1) set |= bit << 1;
    }
    return set;
}

static int settings_of(struct offcpu_settings *out, const fg__offcpu *s, const fg__offcpu_options *o) {
    struct stat pidns;
    if (stat("/proc/self/ns/pid", &pidns)) return -errno;
    *out = (struct offcpu_settings){.min = s->filter.min,
                                    .max = s->filter.max,
                                    .pidns = pidns.st_ino,
                                    .tgid = s->pid,
                                    .wakers = o->wakers,
                                    .states = state_bits(s)};
    return 0;
}

static int set_settings(struct bpf_sampler *s, const fg__offcpu_options *o) {
    struct bpf_map *map = bpf_object__find_map_by_name(s->object, ".rodata");
    struct offcpu_settings settings;
    int error = map ? settings_of(&settings, &s->off, o) : -ENOENT;
    return error ? error : bpf_map__set_initial_value(map, &settings, sizeof settings);
}

static int load(struct bpf_sampler *s, const fg__offcpu_options *o) {
    const struct fg__embedded *file = fg__embedded_bpf;
    while (file->name && strcmp(file->name, "offcpu.o") != 0) file++;
    s->object = file->name ? bpf_object__open_mem(file->bytes, file->n, NULL) : NULL;
    if (!s->object) return file->name ? -errno : -ENOENT;
    struct bpf_program *waking = bpf_object__find_program_by_name(s->object, "on_waking");
    int error = waking ? bpf_program__set_autoload(waking, o->wakers) : -ENOENT;
    if (!error) error = set_settings(s, o);
    if (!error) error = bpf_object__load(s->object);
    if (error) return error;
    s->starts = bpf_object__find_map_fd_by_name(s->object, "starts");
    s->sums = bpf_object__find_map_fd_by_name(s->object, "sums");
    s->stacks = bpf_object__find_map_fd_by_name(s->object, "stacks");
    return s->starts < 0 || s->sums < 0 || s->stacks < 0 ? -ENOENT : 0;
}

static int attach(struct bpf_sampler *s) {
    struct bpf_program *program;
    size_t n = 0;
    bpf_object__for_each_program(program, s->object) {
        if (!bpf_program__autoload(program)) continue;
        s->links[n] = bpf_program__attach(program);
        if (!s->links[n++]) return -errno;
    }
    return 0;
}

static int open_bpf(fg__sampler *base, const void *given) {
    struct bpf_sampler *s = (struct bpf_sampler *)base;
    const fg__offcpu_options *o = given;
    fg__refusal said;
    s->off.pidfd = -1;
    int err = check_options(s, o);
    if (!err) err = fg__offcpu_open(&s->off, o);
    if (err) return err;
    if (fg__rights_foreseen(&said, FG__RIGHT_BPF, s->off.pid))
        return fg__rights_refused(base->ctx, FG__RIGHT_BPF, s->off.pid, 0);
    libbpf_set_print(NULL); /* what it would say goes to standard error, which is not ours */
    int error = load(s, o);
    if (!error) error = attach(s);
    return error ? fg__rights_refused(base->ctx, FG__RIGHT_BPF, s->off.pid, -error)
                 : fg__offcpu_look(&s->off, false);
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

/* Append a stack to the addresses; how many there are of it. A frame pointer that was none leads nowhere. */
static uint16_t read_stack(struct bpf_sampler *s, size_t at, uint64_t id) {
    struct offcpu_stack stack;
    uint16_t n = 0;
    if (!id || bpf_map_lookup_elem(s->stacks, &id, &stack)) return 0;
    for (bool kernel = stack.n && stack.at[0] >> 63; n < stack.n && n < OFFCPU_FRAMES; n++) {
        if (stack.at[n] < 4096 || (stack.at[n] >> 63) != kernel) break;
        s->off.addresses[at + n] = stack.at[n];
    }
    return n;
}

/* Its space, name and addresses. A waker outside our namespace has no number: only its kernel's part can be named. */
static int read_side(fg__raw_key *key, struct bpf_sampler *s, fg__raws *raws,
                     const struct offcpu_side *side) {
    char name[sizeof side->comm + 1] = "";
    memcpy(name, side->comm, sizeof side->comm);
    int err = fg__watch_space(&key->space, &s->off.watch, side->tgid ? side->tgid : s->off.pid);
    if (!err) err = fg__raws_name(&key->thread, s->off.base.ctx, raws, name);
    if (err) return err;
    key->kernel = read_stack(s, 0, side->kernel);
    key->user = side->tgid ? read_stack(s, key->kernel, side->user) : 0;
    return 0;
}

static int raw_stack(uint32_t *out, struct bpf_sampler *s, const struct offcpu_key *of) {
    fg_ctx *ctx = s->off.base.ctx;
    fg__raw_key key = {0}, waker = {0};
    uint32_t id = FG__NONE;
    fg__waiting *thread;
    int err = fg__offcpu_thread(&thread, &s->off, of->waiter.tid);
    if (!err && of->waker.comm[0]) {
        err = read_side(&waker, s, &s->off.wakers, &of->waker);
        if (!err) err = fg__raws_find(&id, ctx, &s->off.wakers, &waker, s->off.addresses);
    }
    if (!err) err = read_side(&key, s, &s->off.watch.raws, &of->waiter);
    key.tag = fg__wait_state(of->state) | (id + 1) << FG__WAKER_SHIFT;
    return err ? err : fg__raws_find(out, ctx, &s->off.watch.raws, &key, s->off.addresses);
}

/* Valid until the next call. */
static int known_wait(known **out, struct bpf_sampler *s, const struct offcpu_key *key) {
    fg_ctx *ctx = s->off.base.ctx;
    uint64_t hash = fg__hash(key, sizeof *key);
    uint32_t id, stack;
    for (uint32_t at = fg__table_first(&s->by_key, hash); (id = fg__table_id(&s->by_key, at)) != FG__NONE;
         at = fg__table_next(&s->by_key, at)) {
        *out = &s->waits[id];
        if (memcmp(&(*out)->key, key, sizeof *key) == 0) return 0;
    }
    int err = raw_stack(&stack, s, key);
    if (!err) err = fg__grow(ctx, &s->waits, &s->wait_cap, s->wait_n + 1, sizeof *s->waits);
    if (!err) err = fg__table_add(ctx, &s->by_key, hash, (uint32_t)s->wait_n);
    if (err) return err;
    *out = &s->waits[s->wait_n++];
    **out = (known){.key = *key, .stack = stack};
    return 0;
}

/* What has been added since the last reading. */
static int add_sum(struct bpf_sampler *s, const struct offcpu_key *key, struct offcpu_sum sum, int64_t now) {
    known *wait;
    int err = known_wait(&wait, s, key);
    if (err || sum.ns < wait->sum.ns || sum.count <= wait->sum.count) return err;
    int64_t ns = (int64_t)(sum.ns - wait->sum.ns), count = (int64_t)(sum.count - wait->sum.count);
    wait->sum = sum;
    return fg__offcpu_count(&s->off, wait->stack, count, ns, now - ns < s->read ? now - ns : s->read, now);
}

static int read_sums(struct bpf_sampler *s) {
    struct offcpu_key key;
    struct offcpu_sum sum;
    int64_t now = fg__clock_ns(CLOCK_MONOTONIC);
    int err = 0;
    for (void *last = NULL; !err && bpf_map_get_next_key(s->sums, last, &key) == 0; last = &key)
        if (bpf_map_lookup_elem(s->sums, &key, &sum) == 0) err = add_sum(s, &key, sum, now);
    s->read = now;
    return err;
}

/* Who waits still has waited until now. */
static int read_starts(struct bpf_sampler *s) {
    struct offcpu_start start;
    int id, err = 0;
    uint64_t now = (uint64_t)fg__clock_ns(CLOCK_MONOTONIC);
    for (void *last = NULL; !err && bpf_map_get_next_key(s->starts, last, &id) == 0; last = &id) {
        if (bpf_map_lookup_elem(s->starts, &id, &start) || now < start.since) continue;
        uint64_t ns = now - start.since;
        known *wait;
        if (!fg__wait_counts(&s->off.filter, fg__wait_state(start.key.state), ns)) continue;
        err = known_wait(&wait, s, &start.key);
        if (!err)
            err = fg__offcpu_count(&s->off, wait->stack, 1, (int64_t)ns, (int64_t)start.since, (int64_t)now);
    }
    return err;
}

/* ---- run ----------------------------------------------------------------------------------------------- */

static int run_bpf(fg__sampler *base) {
    struct bpf_sampler *s = (struct bpf_sampler *)base;
    double next = (double)s->off.began / 1e9; /* where slices begin */
    int err = 0;
    s->read = (int64_t)s->off.began;
    while (!err && !fg__offcpu_ended(&s->off) && fg__sampler_sleep(base, next)) {
        double start = fg__loop_now();
        if (s->off.sliced) err = read_sums(s);
        double now = fg__loop_now();
        next = fmax(next + interval, now + (now - start) / most_of_a_core);
    }
    return err;
}

/* ---- finish -------------------------------------------------------------------------------------------- */

static void read_lost(struct bpf_sampler *s) {
    struct bpf_map *map = bpf_object__find_map_by_name(s->object, ".bss");
    size_t size = 0;
    const struct offcpu_lost *lost = map ? bpf_map__initial_value(map, &size) : NULL;
    if (!lost || size < sizeof *lost) return;
    s->off.watch.lost += (int64_t)(lost->sums + lost->threads);
    s->off.watch.failed += (int64_t)lost->stacks;
}

static void detach(struct bpf_sampler *s) {
    for (size_t i = 0; i < PROGRAMS; i++) bpf_link__destroy(s->links[i]);
    memset(s->links, 0, sizeof s->links);
}

static int finish_bpf(fg__sampler *base) {
    struct bpf_sampler *s = (struct bpf_sampler *)base;
    double seconds = fg__loop_now() - base->started;
    detach(s);
    int err =
        fg__space_read(s->off.watch.spaces[0]); /* what was mapped since; where it has gone, what was known */
    if (err == FG_EIO) err = 0;
    if (!err) err = read_sums(s);
    if (!err) err = read_starts(s);
    read_lost(s);
    return err ? err : fg__offcpu_finish(&s->off, "BPF on sched_switch, each one", seconds);
}

static void close_bpf(fg__sampler *base) {
    struct bpf_sampler *s = (struct bpf_sampler *)base;
    detach(s);
    bpf_object__close(s->object);
    s->object = NULL;
    fg_free(base->ctx, s->waits);
    fg_free(base->ctx, s->by_key.slots);
    fg__offcpu_close(&s->off);
}

#else

struct bpf_sampler {
    fg__offcpu off;
};

static int open_bpf(fg__sampler *base, const void *given) {
    const fg__offcpu_options *o = given;
    return fg__rights_refused(base->ctx, FG__RIGHT_BPF, o->base.pid, 0);
}

static int run_bpf(fg__sampler *base) {
    (void)base;
    return 0;
}

static int finish_bpf(fg__sampler *base) {
    (void)base;
    return 0;
}

static void close_bpf(fg__sampler *base) {
    (void)base;
}

#endif

const fg__sampler_kind fg__offcpu_bpf_sampler = {
    .name = "offcpu_bpf",
    .options = rows,
    .options_size = sizeof(fg__offcpu_options),
    .size = sizeof(struct bpf_sampler),
    .open = open_bpf,
    .run = run_bpf,
    .finish = finish_bpf,
    .close = close_bpf,
};
