/*
 * The sampler of .NET programs. The runtime samples itself: it is asked to on the socket of its diagnostics, and answers
 * with a trace. That tells where each managed thread was about every millisecond, running or not, and not how much CPU
 * time it took; so the CPU clocks of the threads are read meanwhile, and the two are brought together.
 *
 *   dotnet.c         the session, the profile       dotnet_clocks.c  /proc/PID/task/TID/schedstat, some 500 times a second
 *   dotnet_ipc.c     commands on the socket         dotnet_cpu.c     which stacks the CPU time went to
 */
#ifndef FG_SAMPLE_DOTNET_H
#define FG_SAMPLE_DOTNET_H

#include "formats/nettrace.h"

/* ---- the socket ----------------------------------------------------------------------------------------------------- */

/* Where a runtime listens. The folder is held open: the socket of a container is seen through a process of it. */
typedef struct dn_endpoint {
    int folder; /* -1: none */
    char name[108];
    uint64_t pid; /* for messages */
} dn_endpoint;

int dn_endpoint_open(dn_endpoint *endpoint, fg_ctx *ctx, const char *path, uint64_t pid);
void dn_endpoint_close(dn_endpoint *endpoint);
/* Connect: *fd, which the caller closes. */
int dn_connect(int *fd, fg_ctx *ctx, const dn_endpoint *endpoint);
/* Ask for samples, and for names at the end. `stop_fd` becomes readable when that is not wanted any more. */
int dn_collect(uint64_t *session, fg_ctx *ctx, int fd, int stop_fd, uint64_t pid);
/* Ask for the end of a session on a connection of its own; -1: there is nobody to ask. The caller closes it. */
int dn_stop(const dn_endpoint *endpoint, uint64_t session);

/* ---- CPU time of threads --------------------------------------------------------------------------------------------- */

/* The kernel brings the clock of a running thread up to date so often, in nanoseconds (CONFIG_HZ=250, the usual one). */
enum { DN_KERNEL_TICK = 4000000 };

/* A stretch of a thread's life, and the CPU time that it took (ns). */
typedef struct dn_stretch {
    int64_t from, until, cpu;
} dn_stretch;

typedef struct dn_sighting {
    int64_t time;
    uint32_t stack;
} dn_sighting;

typedef struct dn_thread {
    uint64_t id;
    char name[16];
    int64_t clock; /* at the last reading (ns) */
    int64_t total; /* CPU time since the first */
    int64_t owed;  /* CPU time that no stack was seen for yet */
    int64_t owing; /* since when; INT64_MAX: it does not */
    int64_t seen;  /* when it was sampled last; INT64_MIN: never */
    uint32_t last_stack;
    double explained, rest; /* CPU time that its sightings explain; what is left */
    bool observer;          /* it takes the runtime's samples */
    bool listed, gone;      /* it is in /proc/PID/task; it was */
    int fd;                 /* of its clock, kept open; -1: it is opened each time */
    dn_stretch *stretches;  /* not looked at yet: [stretch_at, stretch_count) */
    size_t stretch_at, stretch_count, stretch_cap;
    dn_sighting *sightings; /* the same */
    size_t sighting_at, sighting_count, sighting_cap;
} dn_thread;

typedef struct dn_threads {
    dn_thread *at;
    size_t count, cap;
    fg__table index;
} dn_threads;

int dn_thread_find(dn_thread **out, fg_ctx *ctx, dn_threads *threads, uint64_t id);
void dn_threads_free(fg_ctx *ctx, dn_threads *threads);

typedef struct dn_clocks {
    int tasks;  /* /proc/PID/task; -1: gone */
    bool ticks; /* there is no schedstat: stat has clock ticks */
    bool began;
    size_t open;          /* clocks that are kept open */
    double due, list_due; /* when to read next, and to look for new threads, on fg__loop_now's clock */
} dn_clocks;

int dn_clocks_open(dn_clocks *clocks, fg_ctx *ctx, uint64_t pid);
/* Read all of them, and say when that is to be done again: it takes a thirtieth of a core at most. */
int dn_clocks_read(dn_clocks *clocks, fg_ctx *ctx, dn_threads *threads);
void dn_clocks_close(dn_clocks *clocks);

/* ---- which stacks it went to ------------------------------------------------------------------------------------------ */

/* Sightings of one stack in one stretch. */
typedef struct dn_cell {
    uint32_t place, stack, n;
} dn_cell;

typedef struct dn_span {
    size_t thread; /* its place in dn_threads */
    int64_t from, until;
    int64_t cpu, late; /* CPU time of the stretch; that of some before, in which nothing was seen */
    size_t first, n;   /* cells */
} dn_span;

/* Where the innermost frame of a stack is and is called from. */
typedef struct dn_place {
    uint64_t hash;
    double rate;        /* CPU time for a sighting */
    double idle;        /* sightings in stretches without CPU time */
    double seen, given; /* while rates are improved: all sightings, CPU time */
} dn_place;

typedef struct dn_cpu {
    dn_cell *cells;
    size_t cell_count, cell_cap;
    dn_span *spans;
    size_t span_count, span_cap;
    dn_place *places;
    size_t place_count, place_cap;
    fg__table index;
    double counted;     /* sightings on a CPU that are still to be given to a stack */
    fg__slices *slices; /* by dn_slice_…; NULL: nobody asked for them */
} dn_cpu;

/* As what slices know a row of the tally, and as what a thread for which no stack has been seen so far. */
static inline uint32_t dn_slice_row(size_t row) {
    return (uint32_t)row * 2;
}
static inline uint32_t dn_slice_thread(size_t place) {
    return (uint32_t)place * 2 + 1;
}

/* Bring together what was seen of all threads before `time`. */
int dn_cpu_match(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_threads *threads, int64_t time);
/*
 * Divide the CPU time that was brought together among the stacks. `period`: nanoseconds between sightings. `by_thread`:
 * the tally tells threads apart.
 */
int dn_cpu_share(dn_cpu *cpu, fg_ctx *ctx, fg__tally *tally, dn_threads *threads, int64_t period,
                 bool by_thread);
void dn_cpu_free(fg_ctx *ctx, dn_cpu *cpu);

#endif
