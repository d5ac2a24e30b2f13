/*
 * What the sampler "malloc" is made of: functions that give and take memory, and blocks that are not freed yet.
 *
 *   malloc_find.c   where an allocator's functions are, and what their arguments say
 *   malloc_live.c   records of calls, returns and releases to blocks that are outstanding
 *   blocks.c        those blocks
 *   malloc_period.c how many allocations a sample stands for
 *   malloc.c        the sampler
 */
#ifndef FG_SAMPLE_MALLOC_H
#define FG_SAMPLE_MALLOC_H

#include "sample/blocks.h"
#include "sample/watch.h"

/* Registers of arguments and results as perf numbers them on x86-64. */
enum { FG__AX = 0, FG__DX = 3, FG__SI = 4, FG__DI = 5, FG__NO_ARGUMENT = -1 };

/* Larger sizes are mistakes of the program, which the allocator refuses. */
#define FG__MOST_BYTES (UINT64_C(1) << 47)

/* A function that gives or takes memory: the registers that its arguments are in, FG__NO_ARGUMENT where it has no such. */
typedef struct fg__malloc_function {
    const char *name;
    int8_t size, times; /* what is asked for: one register, or the product of two */
    int8_t alignment;
    int8_t old;     /* the block that is given back */
    int8_t pointer; /* where the new block's address is put, instead of being returned */
} fg__malloc_function;

/* What of an allocator ends in another of its functions, which is then seen twice. */
typedef enum fg__nesting {
    FG__NESTS_NEVER,
    FG__NESTS_GLIBC, /* realloc of nothing, and alignments that malloc has anyway */
    FG__NESTS_SEEN,  /* as glibc, but it is known where it happens, and the outer one is to count */
    FG__NESTS_MUSL,  /* everything that gives is malloc, and what takes is free */
} fg__nesting;

enum { FG__MALLOC_FUNCTIONS = 40 };

typedef struct fg__allocator {
    fg__nesting nesting;
    bool throws;        /* C++ gets memory from functions of its own here, which may throw */
    const char *module; /* of which it is; NULL: it is linked in */
    struct {
        const fg__malloc_function *function;
        uint64_t entry;
    } found[FG__MALLOC_FUNCTIONS];
    size_t n;
} fg__allocator;

/* The allocator that a process uses; false: none is found. */
bool fg__malloc_find(fg__allocator *out, fg__space *space);
/* Whether jemalloc is linked into the program of a process, though perhaps none of its symbols is there. */
bool fg__malloc_hides_jemalloc(uint64_t pid);
/* Fail for that reason. */
int fg__malloc_hidden(fg_ctx *ctx, uint64_t pid);
/* The function that is entered at an address, or NULL. */
const fg__malloc_function *fg__malloc_at(const fg__allocator *a, uint64_t ip);
/* Whether it gives memory: else it only takes. */
bool fg__malloc_gives(const fg__malloc_function *f);

/* A call of such a function, as its registers have it at the entry. */
typedef struct fg__malloc_call {
    uint64_t size, old, pointer;
    bool
        counts; /* it is the one to count: else another function is called for it, or nothing can come of it */
} fg__malloc_call;
fg__malloc_call fg__malloc_arguments(const fg__allocator *a, const fg__malloc_function *f, uint64_t mask,
                                     const uint64_t *registers);
/* The value of a register that is in the mask: values come in the order of its bits. */
uint64_t fg__malloc_register(uint64_t mask, const uint64_t *registers, int which);

/* ---- the period ---------------------------------------------------------------------------------------- */

/* One allocation of so many is a sample; `given` by somebody, or as long as keeps the samples bounded. */
typedef struct fg__malloc_period {
    uint64_t now;
    bool given;
    unsigned longer; /* how often it became ten times as long */
    double second;   /* when the second began that samples are counted in */
    unsigned samples;
    bool due; /* there were too many of them, at this moment: */
    double stopped;
    double unseen; /* seconds without probes, between two periods */
} fg__malloc_period;

enum { FG__MALLOC_SAMPLES = 2000 }; /* in a second, where nobody says what the period is */

/* `given`: the period, made a prime; 0: as it turns out. */
void fg__malloc_period_begin(fg__malloc_period *p, uint64_t given);
/* A sample was taken; true, once: there are too many, and a longer period is due. */
bool fg__malloc_period_count(fg__malloc_period *p, double now);
void fg__malloc_period_longer(fg__malloc_period *p);
/* The probes have it; there were none since a longer one was due. */
void fg__malloc_period_set(fg__malloc_period *p, double now);
/* "one allocation of 101 is a sample, at first each, then of 11". */
void fg__malloc_period_text(char *text, size_t size, const fg__malloc_period *p);

/* ---- outstanding blocks -------------------------------------------------------------------------------- */

typedef struct fg__live fg__live;

/* `pid`: the process whose memory it is. The caller frees *out. */
int fg__live_new(fg__live **out, fg_ctx *ctx, uint32_t pid, const fg__allocator *allocator, uint64_t mask);
void fg__live_free(fg__live *live);
/* A call has begun; `stack`: whose it is, or FG__NONE where it is not sampled. */
int fg__live_enter(fg__live *live, const fg__record *record, const fg__malloc_function *f,
                   const fg__perf_sample *sample, uint32_t stack);
/* A call has returned. */
int fg__live_leave(fg__live *live, const fg__record *record, const fg__perf_sample *sample);
/* Have the unwinder know where functions return to whose returns are watched. */
int fg__live_see_returns(fg__live *live, fg__space *space);
/* Whether the stack of a call ends inside another function whose return is watched. */
bool fg__live_is_nested(const fg__live *live, const uint64_t *addresses, size_t n);
/* What was under way in any thread is not known any more: records were lost. */
void fg__live_lost(fg__live *live);
/* Another program runs in the process: its memory is new. */
void fg__live_clear(fg__live *live);
const fg__blocks *fg__live_blocks(const fg__live *live);

#endif
