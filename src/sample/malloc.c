/*
 * The sampler "malloc": what a process allocates from now on, whatever its allocator, by uprobes that perf_event_open puts
 * on malloc and its like for this process alone: one call of so many is a sample.
 *
 *   registers: which function, what size      a copy of the stack: who called it      both times the period: all of them
 *
 * What is freed again is seen where that was asked for (`live`), by further probes on what gives memory back and on the
 * returns of what gives it (malloc_live.c): a sample counts until its block is freed.
 *
 * The period is a prime number: a program that does the same sequence of allocations again and again would otherwise
 * have the same one of them sampled each time. Where nobody says how long it is, each allocation is a sample until there
 * are more of them in a second than are worth their cost: then the probes are set anew with a period ten times as long
 * (malloc_period.c), and each sample counts for the period that it was taken with. With `live` there is a record of each
 * return and release anyway, and the period is fixed.
 */
#include "sample/malloc.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "formats/heap.h"
#include "sample/uprobe.h"
#include "symbols/unwind.h"
#include "sys/clock.h"
#include "sys/rights.h"

enum {
    LIVE_PERIOD = 100,
    MOST_PERIOD = 1 << 30,
    RINGS = 64 << 20,
    LEAST_RING = 2 << 20,
    MOST_RING = 32 << 20,
    STACK = 8192
};
enum { MOST_SNAPSHOTS = FG_MAX_TYPES };

typedef struct options {
    fg__sample_options base;
    uint64_t period;
    bool live;          /* count what is not freed yet */
    bool growth;        /* live: at half of the time and at its end */
    uint64_t snapshots; /* live: at so many moments, equally far apart, the last at the end */
    fg__naming_options naming;
} options;

static const fg__option rows[] = {
    FG__SAMPLE_ROWS,
    {"period", FG__OPTION_SIZE, offsetof(options, period)},
    {"live", FG__OPTION_BOOL, offsetof(options, live)},
    {"growth", FG__OPTION_BOOL, offsetof(options, growth)},
    {"snapshots", FG__OPTION_SIZE, offsetof(options, snapshots)},
    FG__NAMING_ROWS(options, naming),
    {NULL, 0, 0},
};

/* What was outstanding at a moment, by stack: those that were known then. */
typedef struct snapshot {
    int64_t *bytes, *blocks;
    size_t n;
} snapshot;

/* An event of the kernel's, as attributes name it. */
typedef struct made {
    uint32_t type;
    uint64_t id;
} made;

struct sampler {
    fg__sampler base;
    options options;
    fg__events events;
    fg__uprobes uprobes;
    fg__watch watch;
    fg__allocator allocator;
    fg__live *live; /* NULL: what is freed is not looked at */
    uint32_t pid, space;
    int pidfd;
    uint64_t mask;
    fg__malloc_period period;
    made made[FG__MALLOC_FUNCTIONS]; /* by function: the probe whose hits are sampled */
    int64_t samples, records;
    snapshot snapshots[MOST_SNAPSHOTS];
    size_t taken;
    uint64_t addresses[FG__STACK_DEPTH];
};

/* ---- attaching ----------------------------------------------------------------------------------------- */

/* The file that is mapped at an address, by a path that any mount namespace can follow, and where in it that is. */
static bool find_file(char *path, size_t size, uint64_t *offset, uint32_t pid, uint64_t address) {
    char name[64], line[4352];
    unsigned long long start, end, from;
    bool found = false;
    snprintf(name, sizeof name, "/proc/%u/maps", pid);
    FILE *file = fopen(name, "re");
    while (!found && file && fgets(line, sizeof line, file)) {
        found =
            sscanf(line, "%llx-%llx %*s %llx", &start, &end, &from) == 3 && address >= start && address < end;
        if (!found) continue;
        snprintf(path, size, "/proc/%u/map_files/%llx-%llx", pid, start, end);
        *offset = address - start + from;
    }
    if (file) fclose(file);
    return found;
}

/* One of the probes on a function. */
typedef struct probe {
    bool leave;  /* its return: else its entry */
    bool copied; /* with a copy of the stack */
    uint64_t period;
    made *made; /* where what was made for it stays, to be used again; NULL: nowhere */
} probe;

/* What the kernel says is told by the caller: *error is its errno. */
static int open_probe(int *error, struct sampler *s, uint64_t entry, probe how) {
    struct perf_event_attr *attr = &s->events.attr;
    char path[128];
    uint64_t offset;
    *error = find_file(path, sizeof path, &offset, s->pid, entry) ? 0 : ESRCH;
    if (*error) return 0;
    bool again = how.made && how.made->type == PERF_TYPE_TRACEPOINT;
    int err = again ? 0 : fg__uprobes_add(&s->uprobes, s->base.ctx, attr, path, offset, how.leave);
    if (err) return err;
    if (again) {
        attr->type = how.made->type;
        attr->config = how.made->id;
    } else if (how.made) {
        *how.made = (made){attr->type, attr->config};
    }
    attr->sample_period = how.period;
    attr->sample_stack_user = how.copied ? STACK : 0;
    attr->sample_type &= ~(uint64_t)PERF_SAMPLE_STACK_USER;
    if (how.copied) attr->sample_type |= PERF_SAMPLE_STACK_USER;
    fg__events_another(&s->events);
    *error = fg__events_open(&s->events, s->pid);
    if (!*error) *error = fg__events_attach(&s->events, s->pid);
    attr->mmap = attr->mmap2 = attr->comm = attr->comm_exec = attr->task = 0; /* one tells of those */
    attr->sample_type |= PERF_SAMPLE_STACK_USER;                              /* as samples are parsed */
    return 0;
}

/* What gives memory back is seen before it is given, and returns before entries: no entry is without its return. */
static int open_probes(int *error, struct sampler *s) {
    const fg__allocator *a = &s->allocator;
    int err = 0;
    for (size_t i = 0; s->live && i < a->n && !err && !*error; i++) {
        bool gives = fg__malloc_gives(a->found[i].function);
        if (a->found[i].function->old == FG__NO_ARGUMENT || (gives && s->period.now == 1)) continue;
        err = open_probe(error, s, a->found[i].entry, (probe){.period = 1});
    }
    for (size_t i = 0; s->live && i < a->n && !err && !*error; i++) {
        bool by_pointer = a->found[i].function->pointer != FG__NO_ARGUMENT;
        if (!fg__malloc_gives(a->found[i].function)) continue;
        err = open_probe(error, s, a->found[i].entry,
                         (probe){.leave = true, .copied = by_pointer, .period = 1});
    }
    for (size_t i = 0; i < a->n && !err && !*error; i++) {
        if (!fg__malloc_gives(a->found[i].function)) continue;
        err = open_probe(error, s, a->found[i].entry,
                         (probe){.copied = true, .period = s->period.now, .made = &s->made[i]});
    }
    return err;
}

/* A sample has a copy of the stack, so that thousands of them in a row need room: so much in all, on however many CPUs. */
static size_t ring_bytes(void) {
    size_t bytes = MOST_RING, cpus = (size_t)get_nprocs_conf();
    while (bytes > LEAST_RING && bytes * cpus > RINGS) bytes /= 2;
    return bytes;
}

static int attach(struct sampler *s) {
    fg_ctx *ctx = s->base.ctx;
    const struct perf_event_attr attr = {
        .sample_type = PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
        .sample_regs_user = s->mask,
        .inherit = 1,
        .mmap = 1,
        .mmap2 = 1,
        .comm = 1,
        .comm_exec = 1,
        .task = 1,
    };
    int error = 0;
    int err = fg__events_init(&s->events, ctx, &attr, ring_bytes());
    if (!err) err = open_probes(&error, s);
    if (err || !error) return err;
    if (error == ENOMEM) return fg__nomem(ctx);
    return fg__rights_refused(ctx, s->events.unmapped ? FG__RIGHT_PERF_BUFFER : FG__RIGHT_PERF, s->pid,
                              error);
}

/* Take the probes out of the program. */
static void detach(struct sampler *s) {
    fg__events_close(&s->events);
    fg__uprobes_end(&s->uprobes);
}

static int choose(struct sampler *s, const options *o) {
    fg_ctx *ctx = s->base.ctx;
    s->options = *o;
    if (o->period > MOST_PERIOD)
        return fg__fail(ctx, FG_EINVAL, "a period of %llu is too long: at most %d",
                        (unsigned long long)o->period, MOST_PERIOD);
    fg__malloc_period_begin(&s->period, o->live && !o->period ? LIVE_PERIOD : o->period);
    if (o->growth) s->options.snapshots = 2;
    if (s->options.snapshots && !o->live)
        return fg__fail(ctx, FG_EINVAL, "what is freed is not seen: growth and snapshots need `live`");
    if (s->options.snapshots > MOST_SNAPSHOTS)
        return fg__fail(ctx, FG_EINVAL, "%llu snapshots are too many: at most %d",
                        (unsigned long long)s->options.snapshots, MOST_SNAPSHOTS);
    if (!o->base.pid) return fg__fail(ctx, FG_EINVAL, "malloc needs the number of a process (pid)");
    if (!fg__registers_mask())
        return fg__fail(ctx, FG_EUNSUPPORTED, "the arguments of malloc are known on x86-64 only");
    s->mask = fg__registers_mask() | 1 << FG__AX | 1 << FG__DX | 1 << FG__SI | 1 << FG__DI;
    return 0;
}

/* An exception on its way through a return that the kernel has taken over would end the program. */
static int begin_live(struct sampler *s) {
    if (s->allocator.throws)
        return fg__fail(
            s->base.ctx, FG_EUNSUPPORTED,
            "process %u has an operator new of %s, which may throw: a probe on its return could "
            "end the program. Without --live only its entry is looked at%s",
            s->pid, s->allocator.module ? s->allocator.module : "its own allocator",
            s->allocator.module && strstr(s->allocator.module, "jemalloc")
                ? "; jemalloc knows by itself what is in use: start the program with MALLOC_CONF=prof:true"
                : "");
    if (s->allocator.nesting == FG__NESTS_GLIBC) s->allocator.nesting = FG__NESTS_SEEN;
    return fg__live_new(&s->live, s->base.ctx, s->pid, &s->allocator, s->mask);
}

static int open_sampler(fg__sampler *base, const void *given) {
    struct sampler *s = (struct sampler *)base;
    fg_ctx *ctx = base->ctx;
    s->pidfd = s->uprobes.folder = -1;
    s->events.ctx = ctx;
    int err = choose(s, given);
    if (err) return err;
    s->pid = (uint32_t)s->options.base.pid;
    err = s->options.base.pid > INT32_MAX
              ? fg__rights_refused(ctx, FG__RIGHT_PERF, s->options.base.pid, ESRCH)
              : fg__rights_process(ctx, s->pid);
    if (!err) err = fg__watch_init(&s->watch, ctx, base->profile, &s->options.naming);
    if (!err) err = fg__watch_space(&s->space, &s->watch, s->pid);
    if (!err && !fg__malloc_find(&s->allocator, s->watch.spaces[s->space]))
        err = fg__malloc_hides_jemalloc(s->pid)
                  ? fg__malloc_hidden(ctx, s->pid)
                  : fg__fail(ctx, FG_EUNSUPPORTED, "process %u has no malloc that can be found", s->pid);
    if (!err && s->allocator.nesting != FG__NESTS_NEVER && fg__malloc_hides_jemalloc(s->pid))
        err = fg__malloc_hidden(ctx, s->pid); /* what libc's malloc is asked for is not what is wanted */
    if (!err && s->options.live) err = begin_live(s);
    if (!err) fg__uprobes_begin(&s->uprobes);
    if (!err) err = attach(s);
    if (!err) err = fg__watch_target(base->profile, s->pid);
    if (!err) s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    return err;
}

/* ---- run ----------------------------------------------------------------------------------------------- */

/* The stack of a sampled call: its id, counted, unless it is a part of another call. */
static int count_call(uint32_t *out, bool *nested, struct sampler *s, const fg__record *record,
                      const fg__registers *registers, const fg__perf_sample *sample, uint64_t size) {
    fg__raw_key key = {0};
    size_t n = 0;
    int err = fg__watch_space(&key.space, &s->watch, record->pid);
    if (!err && s->live) err = fg__live_see_returns(s->live, s->watch.spaces[key.space]);
    if (err) return err;
    fg__unwound how = fg__unwind(s->addresses, &n, FG__STACK_DEPTH, s->watch.spaces[key.space], registers,
                                 sample->stack, sample->stack_n);
    *out = FG__NONE;
    *nested = s->live && fg__live_is_nested(s->live, s->addresses, n);
    if (*nested) return 0;
    s->watch.truncated += how != FG__UNWOUND_WHOLE;
    s->samples++;
    key.user = (uint16_t)n;
    err = fg__raws_find(out, s->base.ctx, &s->watch.raws, &key, s->addresses);
    uint64_t period = s->period.now;
    int64_t bytes = size <= FG__MOST_BYTES / period ? (int64_t)(size * period) : (int64_t)FG__MOST_BYTES;
    if (!err) fg__raws_count(&s->watch.raws, *out, (int64_t)period, bytes);
    if (fg__malloc_period_count(&s->period, fg__loop_now())) fg__events_stop(&s->events);
    return err;
}

static int on_sample(struct sampler *s, const fg__record *record) {
    fg__perf_sample sample;
    fg__registers registers;
    uint32_t stack = FG__NONE;
    bool nested = false;
    if (!fg__sample_parse(&sample, &s->events, record) || sample.abi != PERF_SAMPLE_REGS_ABI_64) {
        s->watch.failed++;
        return 0;
    }
    fg__registers_from_perf(&registers, s->mask, sample.registers);
    const fg__malloc_function *f = fg__malloc_at(&s->allocator, registers.value[FG__RIP]);
    if (!f) {
        if (s->live) return fg__live_leave(s->live, record, &sample);
        s->watch.failed++;
        return 0;
    }
    if (sample.copied) {
        fg__malloc_call call = fg__malloc_arguments(&s->allocator, f, s->mask, sample.registers);
        int err = call.counts ? count_call(&stack, &nested, s, record, &registers, &sample, call.size) : 0;
        if (err || nested) return err;
    }
    return s->live ? fg__live_enter(s->live, record, f, &sample, stack) : 0;
}

static int on_record(void *user, const fg__record *record) {
    struct sampler *s = user;
    bool lost = record->type == PERF_RECORD_LOST || record->type == PERF_RECORD_LOST_SAMPLES;
    bool executes = record->type == PERF_RECORD_COMM && record->misc & PERF_RECORD_MISC_COMM_EXEC;
    s->records++;
    if (record->type == PERF_RECORD_SAMPLE) return on_sample(s, record);
    if (s->live && lost) fg__live_lost(s->live);
    if (s->live && executes && record->pid == s->pid) fg__live_clear(s->live);
    return fg__watch_record(&s->watch, record);
}

/* What is outstanding now. */
static int take_snapshot(struct sampler *s) {
    snapshot *shot = &s->snapshots[s->taken];
    const fg__blocks *blocks = fg__live_blocks(s->live);
    const int64_t each = (int64_t)s->period.now << blocks->halved;
    size_t at = 0;
    shot->n = s->watch.raws.n;
    shot->bytes = fg__calloc(s->base.ctx, shot->n + 1, sizeof *shot->bytes);
    shot->blocks = fg__calloc(s->base.ctx, shot->n + 1, sizeof *shot->blocks);
    if (!shot->bytes || !shot->blocks) return FG_ENOMEM;
    for (const fg__block *block; (block = fg__blocks_next(blocks, &at));) {
        shot->bytes[block->stack] += (int64_t)block->size * each;
        shot->blocks[block->stack] += each;
    }
    s->taken++;
    return 0;
}

/* When the next snapshot is due that is not the last one: that is taken when all has come in. */
static double next_snapshot(const struct sampler *s) {
    size_t wanted = (size_t)s->options.snapshots;
    if (s->taken + 1 >= wanted) return (double)INFINITY;
    return s->base.started + s->options.base.duration * (double)(s->taken + 1) / (double)wanted;
}

/*
 * All samples of the old period are in: events with the new one. The old ones are open until the new ones are, as taking the
 * last one off a function means changing the program, which takes the kernel a tenth of a second for each.
 */
static int set_anew(struct sampler *s) {
    fg__events old = s->events;
    fg__events_unmap(&old);
    s->events = (fg__events){.ctx = old.ctx};
    fg__malloc_period_longer(&s->period);
    int err = attach(s);
    fg__malloc_period_set(&s->period, fg__loop_now());
    fg__events_close(&old);
    return err;
}

static int run_sampler(fg__sampler *base) {
    struct sampler *s = (struct sampler *)base;
    int err = 0;
    while (!err && !fg__sampler_due(base) && !fg__watch_ended(s->pidfd, s->pid)) {
        double end = base->ends, next = next_snapshot(s);
        base->ends = fmin(end, next);
        fg__events_wait(&s->events, base, s->pidfd);
        base->ends = end;
        err = fg__events_drain(&s->events, on_record, s);
        if (!err && s->events.stopped) err = set_anew(s);
        if (!err && fg__loop_now() >= next) err = take_snapshot(s);
    }
    return err;
}

/* ---- finish -------------------------------------------------------------------------------------------- */

typedef struct column {
    char name[32];
    const char *unit;
    const int64_t *values; /* by stack */
    size_t n;
} column;

/* What the profile has of each stack; returns how many columns. */
static size_t list_columns(const struct sampler *s, column *columns) {
    const fg__raws *raws = &s->watch.raws;
    const snapshot *last = &s->snapshots[s->taken ? s->taken - 1 : 0];
    if (s->options.snapshots) {
        for (size_t i = 0; i < s->taken; i++) {
            columns[i] = (column){.unit = "bytes", .values = s->snapshots[i].bytes, .n = s->snapshots[i].n};
            snprintf(columns[i].name, sizeof columns[i].name, "at_%zu", i + 1);
        }
        if (s->options.growth) strcpy(columns[0].name, "before");
        if (s->options.growth) strcpy(columns[1].name, "after");
        return s->taken;
    }
    const column all[] = {{"inuse_space", "bytes", last->bytes, last->n},
                          {"inuse_objects", "count", last->blocks, last->n},
                          {"alloc_space", "bytes", raws->weights, raws->n},
                          {"alloc_objects", "count", raws->counts, raws->n}};
    size_t first = s->live ? 0 : 2;
    memcpy(columns, all + first, sizeof all - first * sizeof *all);
    return 4 - first;
}

static int add_stack(struct sampler *s, fg__frames *frames, size_t i, const column *columns, size_t n) {
    const fg__raws *raws = &s->watch.raws;
    int64_t values[FG_MAX_TYPES] = {0};
    bool any = false;
    for (size_t c = 0; c < n; c++) {
        values[c] = i < columns[c].n ? columns[c].values[i] : 0;
        any |= values[c] != 0;
    }
    if (!any) return 0;
    frames->n = 0;
    int err = fg__watch_frames(&s->watch, frames, raws->keys[i].space, raws->addresses + raws->starts[i],
                               raws->keys[i].user);
    size_t first = err ? 0 : fg__heap_allocator_frames(s->base.profile, frames->ids, frames->n);
    if (frames->n) memmove(frames->ids, frames->ids + first, (frames->n - first) * sizeof *frames->ids);
    frames->n -= first;
    return err ? err : fg__watch_add(&s->watch, frames, s->base.profile, values, NULL);
}

static int name_all(struct sampler *s) {
    column columns[FG_MAX_TYPES];
    fg_profile *p = s->base.profile;
    fg__frames frames = {0};
    int err = 0;
    size_t n = list_columns(s, columns);
    for (size_t c = 0; c < n && !err; c++) err = fg_profile_add_type(p, columns[c].name, columns[c].unit);
    for (size_t i = 0; i < s->watch.raws.n && !err; i++) err = add_stack(s, &frames, i, columns, n);
    if (!err && s->options.growth) err = fg_meta_set_text(p, "normalize", "absolute");
    if (!err && s->options.growth) err = fg_meta_set_real(p, "factor", 1);
    fg_free(s->base.ctx, frames.ids);
    return err;
}

static int describe_live(struct sampler *s, int64_t lost) {
    fg_profile *p = s->base.profile;
    unsigned halved = fg__live_blocks(s->live)->halved;
    int err = fg_profile_note(p,
                              "what was allocated while it was watched and not freed by the end; one "
                              "allocation of %llu is a sample",
                              (unsigned long long)s->period.now);
    if (!err && halved)
        err = fg_profile_note(p, "too many blocks to keep: one of %llu is, and stands for as many",
                              1ULL << halved);
    if (!err && lost)
        err = fg_profile_note(
            p, "%lld of %lld calls were missed: a block whose release is among them is shown and was freed",
            (long long)lost, (long long)(s->records + lost));
    return err;
}

static int describe(struct sampler *s, int64_t lost) {
    fg_profile *p = s->base.profile;
    int err = fg_meta_set_number(p, "samples", s->samples);
    if (!err) err = fg_meta_set_number(p, "sampler_cpu", fg__clock_ns(CLOCK_THREAD_CPUTIME_ID));
    if (err) return err;
    if (s->live) return describe_live(s, lost);
    char how[160];
    fg__malloc_period_text(how, sizeof how, &s->period);
    return fg_profile_note(p, "what was allocated while it was watched, freed again or not; %s", how);
}

static int must_have_some(struct sampler *s) {
    const fg__blocks *blocks = s->live ? fg__live_blocks(s->live) : NULL;
    if (!s->watch.raws.n && s->period.now == 1)
        return fg__fail(s->base.ctx, FG_EEMPTY,
                        "process %u allocated nothing while it was watched: give it work", s->pid);
    if (!s->watch.raws.n)
        return fg__fail(
            s->base.ctx, FG_EEMPTY,
            "process %u made no %llu allocations while it was watched: give it work, or --period 1", s->pid,
            (unsigned long long)s->period.now);
    if (!blocks || blocks->n || s->options.snapshots) return 0;
    return fg__fail(s->base.ctx, FG_EEMPTY,
                    "process %u freed all that it allocated while it was watched (%lld samples): nothing is "
                    "outstanding",
                    s->pid, (long long)s->samples);
}

static int finish_sampler(fg__sampler *base) {
    struct sampler *s = (struct sampler *)base;
    fg__events_stop(&s->events);
    int err = fg__events_drain(&s->events, on_record, s);
    detach(s);
    size_t wanted = s->options.snapshots ? (size_t)s->options.snapshots : 1;
    if (!err) err = must_have_some(s);
    while (!err && s->live && s->taken < wanted)
        err = take_snapshot(s); /* ended early: those that are left */
    if (!err) err = name_all(s);
    int64_t lost = s->watch.lost; /* of all records; of the samples it is the same share */
    if (s->live && s->records)
        s->watch.lost = (int64_t)ceil((double)lost * (double)s->samples / (double)s->records);
    if (!err) err = fg__watch_quality(&s->watch, base->profile);
    return err ? err : describe(s, lost);
}

static void close_sampler(fg__sampler *base) {
    struct sampler *s = (struct sampler *)base;
    detach(s);
    fg__watch_free(&s->watch);
    fg__live_free(s->live);
    for (size_t i = 0; i < MOST_SNAPSHOTS; i++) {
        fg_free(base->ctx, s->snapshots[i].bytes);
        fg_free(base->ctx, s->snapshots[i].blocks);
    }
    if (s->pidfd >= 0) close(s->pidfd);
    s->pidfd = -1;
}

const fg__sampler_kind fg__malloc_sampler = {
    .name = "malloc",
    .options = rows,
    .options_size = sizeof(options),
    .size = sizeof(struct sampler),
    .open = open_sampler,
    .run = run_sampler,
    .finish = finish_sampler,
    .close = close_sampler,
};
