/*
 * Off-CPU time: where the threads of a process wait, and how long. Two samplers measure it:
 *
 *   offcpu_bpf.c     a BPF program sums in the kernel       offcpu_events.c  the tracepoint's events, summed here
 *
 *   thread:  ──running──┤ switched out: stack, state          ├──running──▶
 *                       └──────── nanoseconds off CPU ────────┘ switched in
 *
 * and offcpu.c is what they have in common: the options, which waits count, and the profile. Threads that wait all the
 * time are looked at once, at the end, and those that wait already at the beginning (offcpu_look.c).
 */
#ifndef FG_SAMPLE_OFFCPU_H
#define FG_SAMPLE_OFFCPU_H

#include "formats/waits.h"
#include "sample/watch.h"

typedef struct fg__offcpu_options {
    fg__sample_options base;
    double min, max;           /* seconds: waits that are shorter or longer do not count; 0: all do */
    const char *const *states; /* those that count, by name; NULL: all do */
    bool wakers, cpu;          /* who ends the waits; CPU time of the same period as well */
    bool no_inherit;           /* leave out the processes that it starts */
    bool slices;               /* keep what each slice of time gave */
    const char *unwind;        /* "fp" or "dwarf" */
    uint64_t stack;            /* bytes of it that are copied, with "dwarf" */
    fg__naming_options naming;
} fg__offcpu_options;

#define FG__OFFCPU_ROWS                                                                                      \
    FG__SAMPLE_ROWS, {"min", FG__OPTION_NUMBER, offsetof(fg__offcpu_options, min)},                          \
        {"max", FG__OPTION_NUMBER, offsetof(fg__offcpu_options, max)},                                       \
        {"states", FG__OPTION_WORDS, offsetof(fg__offcpu_options, states)},                                  \
        {"wakers", FG__OPTION_BOOL, offsetof(fg__offcpu_options, wakers)},                                   \
        {"cpu", FG__OPTION_BOOL, offsetof(fg__offcpu_options, cpu)},                                         \
        {"no_inherit", FG__OPTION_BOOL, offsetof(fg__offcpu_options, no_inherit)},                           \
        {"slices", FG__OPTION_BOOL, offsetof(fg__offcpu_options, slices)},                                   \
        {"unwind", FG__OPTION_TEXT, offsetof(fg__offcpu_options, unwind)},                                   \
        {"stack", FG__OPTION_SIZE, offsetof(fg__offcpu_options, stack)},                                     \
        FG__NAMING_ROWS(fg__offcpu_options, naming)

/* What the tag of a raw stack says: how it waited, in the low byte, and who woke it: its raw stack + 1, or 0. */
enum { FG__STATE_ON_CPU = 255, FG__WAKER_SHIFT = 8 };

/* A thread, as long as it is watched. */
typedef struct fg__waiting {
    uint32_t tid;
    uint32_t stack; /* where it waits: a raw stack; FG__NONE: it runs */
    uint64_t since; /* ns of CLOCK_MONOTONIC */
} fg__waiting;

/* A thread as it was when watching began. */
typedef struct fg__look {
    uint32_t tid;
    uint32_t stack; /* where it waited: a raw stack; FG__NONE: it did not, or was not asked */
    uint64_t switches;
} fg__look;

typedef struct fg__offcpu {
    fg__sampler base;
    fg__watch watch;
    fg__raws wakers;
    uint32_t pid;
    int pidfd; /* readable when the process has ended; -1: not known */
    fg__wait_filter filter;
    bool with_cpu, sliced;
    double cpu_rate;
    fg__slices slices; /* by raw stack, and behind these by look; only where they are asked for */
    fg__waiting *threads;
    size_t thread_n, thread_cap;
    fg__look *looks;
    size_t look_n, look_cap;
    uint64_t began;              /* ns of CLOCK_MONOTONIC: when they were taken */
    int64_t earlier, earlier_ns; /* waits that were under way then, and have ended since */
    fg__table by_tid;
    uint64_t addresses[FG__STACK_DEPTH];
} fg__offcpu;

/* Check the options and the target, and learn what is mapped in it. */
int fg__offcpu_open(fg__offcpu *s, const fg__offcpu_options *o);
void fg__offcpu_close(fg__offcpu *s);
bool fg__offcpu_ended(const fg__offcpu *s);
/* The entry of a thread, new where it is not known. Valid until the next call. */
int fg__offcpu_thread(fg__waiting **out, fg__offcpu *s, uint32_t tid);
/* Whether an event has told of a thread. */
bool fg__offcpu_knows(const fg__offcpu *s, uint32_t tid);
/*
 * So many waits that count, or samples on a CPU, were in a raw stack for `ns` in all: between `from` and `to`, as far as is
 * known (ns of CLOCK_MONOTONIC; the same: at that moment).
 */
int fg__offcpu_count(fg__offcpu *s, uint32_t stack, int64_t count, int64_t ns, int64_t from, int64_t to);
/*
 * offcpu_look.c. Note how often each thread was switched, once events of them would be seen; and, with `stacks`, where
 * those wait that do.
 */
int fg__offcpu_look(fg__offcpu *s, bool stacks);
/* A thread of which nothing was seen is back: it waits since then where it was looked at. */
void fg__offcpu_waited(fg__offcpu *s, fg__waiting *thread, uint64_t time);
/*
 * … and draw those that were not switched since: they have waited for so many seconds. ids[i], unless `ids` is NULL, is
 * which stack of the profile look i is.
 */
int fg__offcpu_add_looks(fg__offcpu *s, fg__frames *frames, double seconds, uint32_t *ids);
/* Frames for all raw stacks, the quality record, metadata. `engine`: how it was measured. */
int fg__offcpu_finish(fg__offcpu *s, const char *engine, double seconds);

#endif
