/*
 * The sampler "malloc": what a process allocates from now on, whatever its allocator: one allocation of so many stops
 * in a uprobe at the entry of malloc and its like, which perf_event_open puts there for this process alone.
 *
 *   registers: which function, what size      a copy of the stack: who called it      both times the period: all of them
 *
 * What is freed again is not seen.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "formats/heap.h"
#include "sample/watch.h"
#include "symbols/unwind.h"
#include "sys/rights.h"

enum { USUAL_PERIOD = 100, MOST_PERIOD = 1 << 30, RING = 2 << 20, STACK = 8192, FUNCTIONS = 8 };
/* Larger sizes are mistakes of the program, which the allocator refuses. */
#define MOST_BYTES (UINT64_C(1) << 47)

/* Registers of arguments as perf numbers them on x86-64. */
enum { DX = 3, SI = 4, DI = 5 };

/* Functions that allocate, and where their size is: a register, or the product of two. */
static const struct {
    const char *name;
    int size, times; /* times -1: one register */
} functions[FUNCTIONS] = {
    {"malloc", DI, -1},        {"calloc", DI, SI},   {"realloc", SI, -1}, {"posix_memalign", DX, -1},
    {"aligned_alloc", SI, -1}, {"memalign", SI, -1}, {"_Znwm", DI, -1},   {"_Znam", DI, -1},
};

/* Where malloc may be, the one that is in use first. In libc and the like, operator new calls malloc. */
static const struct {
    const char *module;
    size_t functions;
} allocators[] = {
    {"libjemalloc.so.2", FUNCTIONS},
    {"libtcmalloc.so.4", FUNCTIONS},
    {"libtcmalloc_minimal.so.4", FUNCTIONS},
    {"libmimalloc.so.2", FUNCTIONS},
    {"libc.so.6", 6},
    {"ld-musl-x86_64.so.1", 6},
    {NULL, 6},
};

typedef struct options {
    fg__sample_options base;
    uint64_t period;
    fg__naming_options naming;
} options;

static const fg__option rows[] = {
    FG__SAMPLE_ROWS,
    {"period", FG__OPTION_SIZE, offsetof(options, period)},
    FG__NAMING_ROWS(options, naming),
    {NULL, 0, 0},
};

struct sampler {
    fg__sampler base;
    fg__events events;
    fg__watch watch;
    uint32_t pid, space;
    int pidfd;
    uint64_t period, mask, entries[FUNCTIONS]; /* 0: there is no such function */
    int64_t samples;
    uint64_t addresses[FG__STACK_DEPTH];
};

/* ---- attaching ----------------------------------------------------------------------------------------- */

static bool find_allocator(struct sampler *s) {
    fg__space *space = s->watch.spaces[s->space];
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++) {
        if (!fg__space_symbol(&s->entries[0], space, allocators[i].module, functions[0].name)) continue;
        for (size_t k = 1; k < allocators[i].functions; k++)
            if (!fg__space_symbol(&s->entries[k], space, allocators[i].module, functions[k].name))
                s->entries[k] = 0;
        return true;
    }
    return false;
}

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

/* The number of the kernel's unit for uprobes; 0: it has none. */
static uint32_t uprobe_type(void) {
    unsigned type = 0;
    FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
    if (file && fscanf(file, "%u", &type) != 1) type = 0;
    if (file) fclose(file);
    return type;
}

/* Returns an errno. */
static int open_probe(struct sampler *s, uint64_t entry) {
    char path[128];
    uint64_t offset;
    if (!find_file(path, sizeof path, &offset, s->pid, entry)) return ESRCH;
    s->events.attr.uprobe_path = (uint64_t)(uintptr_t)path;
    s->events.attr.probe_offset = offset;
    int error = fg__events_open(&s->events, s->pid);
    return error ? error : fg__events_attach(&s->events, s->pid);
}

static int attach(struct sampler *s) {
    fg_ctx *ctx = s->base.ctx;
    struct perf_event_attr attr = {
        .type = uprobe_type(),
        .sample_type = PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
        .sample_period = s->period,
        .sample_regs_user = s->mask,
        .sample_stack_user = STACK,
        .inherit = 1,
        .mmap = 1,
        .mmap2 = 1,
        .comm = 1,
        .comm_exec = 1,
        .task = 1,
    };
    if (!attr.type)
        return fg__fail(ctx, FG_EUNSUPPORTED, "this kernel has no uprobes (CONFIG_UPROBE_EVENTS)");
    int error = fg__events_init(&s->events, ctx, &attr, RING) ? ENOMEM : 0;
    for (size_t i = 0; i < FUNCTIONS && !error; i++)
        if (s->entries[i]) error = open_probe(s, s->entries[i]);
    if (!error) return 0;
    if (error == ENOMEM) return fg__nomem(ctx);
    return fg__rights_refused(ctx, s->events.unmapped ? FG__RIGHT_PERF_BUFFER : FG__RIGHT_PERF, s->pid,
                              error);
}

static int open_sampler(fg__sampler *base, const void *given) {
    struct sampler *s = (struct sampler *)base;
    const options *o = given;
    fg_ctx *ctx = base->ctx;
    s->pidfd = -1;
    s->events.ctx = ctx;
    s->period = o->period ? o->period : USUAL_PERIOD;
    if (s->period > MOST_PERIOD)
        return fg__fail(ctx, FG_EINVAL, "a period of %llu is too long: at most %d",
                        (unsigned long long)s->period, MOST_PERIOD);
    if (!fg__registers_mask())
        return fg__fail(ctx, FG_EUNSUPPORTED, "the arguments of malloc are known on x86-64 only");
    if (!o->base.pid) return fg__fail(ctx, FG_EINVAL, "malloc needs the number of a process (pid)");
    s->mask = fg__registers_mask() | 1 << DX | 1 << SI | 1 << DI;
    s->pid = (uint32_t)o->base.pid;
    int err = o->base.pid > INT32_MAX ? fg__rights_refused(ctx, FG__RIGHT_PERF, o->base.pid, ESRCH)
                                      : fg__rights_process(ctx, s->pid);
    if (!err) err = fg__watch_init(&s->watch, ctx, base->profile, &o->naming);
    if (!err) err = fg__watch_space(&s->space, &s->watch, s->pid);
    if (!err && !find_allocator(s))
        err = fg__fail(ctx, FG_EUNSUPPORTED, "process %u has no malloc that can be found", s->pid);
    if (!err) err = attach(s);
    if (!err) err = fg__watch_target(base->profile, s->pid);
    if (!err) s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    return err;
}

/* ---- run ----------------------------------------------------------------------------------------------- */

/* The value of a register that is in the mask: values come in the order of its bits. */
static uint64_t register_at(const struct sampler *s, const fg__perf_sample *sample, int which) {
    return sample->registers[__builtin_popcountll(s->mask & ((UINT64_C(1) << which) - 1))];
}

/* How much was asked for; false: it is no entry of ours, or nothing that could be had. */
static bool size_of(const struct sampler *s, uint64_t *size, const fg__perf_sample *sample, uint64_t ip) {
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (s->entries[i] != ip) continue;
        *size = register_at(s, sample, functions[i].size);
        if (functions[i].times >= 0 &&
            __builtin_mul_overflow(*size, register_at(s, sample, functions[i].times), size))
            return false;
        return *size <= MOST_BYTES;
    }
    return false;
}

static int on_record(void *user, const fg__record *record) {
    struct sampler *s = user;
    fg__perf_sample sample;
    fg__registers registers;
    fg__raw_key key = {0};
    uint64_t size;
    size_t n = 0;
    if (record->type != PERF_RECORD_SAMPLE) return fg__watch_record(&s->watch, record);
    if (!fg__sample_parse(&sample, &s->events, record) || sample.abi != PERF_SAMPLE_REGS_ABI_64) {
        s->watch.failed++;
        return 0;
    }
    int err = fg__watch_space(&key.space, &s->watch, record->pid);
    if (err) return err;
    fg__registers_from_perf(&registers, s->mask, sample.registers);
    if (!size_of(s, &size, &sample, registers.value[FG__RIP])) {
        s->watch.failed++;
        return 0;
    }
    fg__unwound how = fg__unwind(s->addresses, &n, FG__STACK_DEPTH, s->watch.spaces[key.space], &registers,
                                 sample.stack, sample.stack_n);
    s->watch.truncated += how != FG__UNWOUND_WHOLE;
    s->samples++;
    key.user = (uint16_t)n;
    int64_t bytes = size <= MOST_BYTES / s->period ? (int64_t)(size * s->period) : (int64_t)MOST_BYTES;
    return fg__raws_add(s->base.ctx, &s->watch.raws, &key, s->addresses, (int64_t)s->period, bytes);
}

static int run_sampler(fg__sampler *base) {
    struct sampler *s = (struct sampler *)base;
    int err = 0;
    while (!err && !fg__sampler_due(base) && !fg__watch_ended(s->pidfd, s->pid)) {
        fg__events_wait(&s->events, base, s->pidfd);
        err = fg__events_drain(&s->events, on_record, s);
    }
    return err;
}

/* ---- finish -------------------------------------------------------------------------------------------- */

static int name_all(struct sampler *s) {
    const fg__raws *raws = &s->watch.raws;
    fg_profile *p = s->base.profile;
    fg__frames frames = {0};
    int err = fg_profile_add_type(p, "alloc_space", "bytes");
    if (!err) err = fg_profile_add_type(p, "alloc_objects", "count");
    for (size_t i = 0; i < raws->n && !err; i++) {
        frames.n = 0;
        err = fg__watch_frames(&s->watch, &frames, raws->keys[i].space, raws->addresses + raws->starts[i],
                               raws->keys[i].user);
        size_t first = fg__heap_allocator_frames(p, frames.ids, frames.n);
        memmove(frames.ids, frames.ids + first, (frames.n - first) * sizeof *frames.ids);
        frames.n -= first;
        const int64_t values[] = {raws->weights[i], raws->counts[i]};
        if (!err) err = fg__watch_add(&s->watch, &frames, p, values, NULL);
    }
    fg_free(s->base.ctx, frames.ids);
    return err;
}

static int describe(struct sampler *s) {
    fg_profile *p = s->base.profile;
    struct timespec cpu = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    int err = fg_meta_set_number(p, "samples", s->samples);
    if (!err) err = fg_meta_set_number(p, "sampler_cpu", (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec);
    if (!err)
        err =
            fg_profile_note(p,
                            "what was allocated while it was watched, freed again or not; one allocation of "
                            "%llu is a sample",
                            (unsigned long long)s->period);
    return err;
}

static int finish_sampler(fg__sampler *base) {
    struct sampler *s = (struct sampler *)base;
    fg__events_stop(&s->events);
    int err = fg__events_drain(&s->events, on_record, s);
    fg__events_close(&s->events);
    if (!err && !s->watch.raws.n)
        err =
            fg__fail(base->ctx, FG_EEMPTY,
                     "process %u made no %llu allocations while it was watched: give it work, or --period 1",
                     s->pid, (unsigned long long)s->period);
    if (!err) err = name_all(s);
    if (!err) err = fg__watch_quality(&s->watch, base->profile);
    return err ? err : describe(s);
}

static void close_sampler(fg__sampler *base) {
    struct sampler *s = (struct sampler *)base;
    fg__events_close(&s->events);
    fg__watch_free(&s->watch);
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
