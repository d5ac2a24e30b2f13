/*
 * nettrace: what the .NET runtime's EventPipe writes, to a file or to the socket of its diagnostics (version 4, .NET
 * Core 3.0 to .NET 10).
 *
 *   "Nettrace" "!FastSerialization.1"    objects, each a name, a block of bytes, an end:
 *   Trace            clocks and the date
 *   MetadataBlock    what the numbers of events mean                    nettrace.c         objects, the format
 *   StackBlock       stacks of return addresses, innermost first        nettrace_events.c  events of a block
 *   EventBlock       events: samples; at the end, names of methods      nettrace_stacks.c  stacks, each kept once
 *   SPBlock          stacks so far are used no more                     nettrace_names.c   addresses to frames
 *
 * The names come last, so samples are kept as numbers of stacks of addresses until the input has ended:
 *
 *      while ((more = fg__nettrace_next(trace)) > 0) …;        // each sample goes to the sink
 *      fg__nettrace_add(trace, p, prefix, stack, values);      // once for each stack
 */
#ifndef FG_NETTRACE_H
#define FG_NETTRACE_H

#include "formats/format.h"

typedef struct fg__nettrace fg__nettrace;

/* A managed thread was seen in a stack. */
typedef struct fg__nettrace_sample {
    uint64_t thread;   /* the kernel's number */
    int64_t time;      /* nanoseconds on the clock of the traced machine (Linux: CLOCK_MONOTONIC) */
    uint32_t stack;    /* the same stack has the same number throughout; FG__NONE: no managed frame at all */
    uint64_t observer; /* the thread that took it */
} fg__nettrace_sample;

/* Gets each sample, in the order of the input; a negative error ends the reading. */
typedef int fg__nettrace_sink(void *user, const fg__nettrace_sample *sample);

/*
 * Read from `in`, which has to live as long. `max`: bytes that the stacks of a profile may take. The caller frees *out
 * with fg__nettrace_free.
 */
int fg__nettrace_new(fg__nettrace **out, fg_in *in, uint64_t max, fg__nettrace_sink *sink, void *user);
/* NULL is accepted. */
void fg__nettrace_free(fg__nettrace *trace);
/* Read the next object: 1; 0: that was the end of the trace; or a negative error. */
int fg__nettrace_next(fg__nettrace *trace);
/* Whether fg__nettrace_next failed because the input ends before the trace does. */
bool fg__nettrace_is_cut(const fg__nettrace *trace);

/* What the head of the trace says; zero before it was read. */
typedef struct fg__nettrace_head {
    int64_t start;  /* nanoseconds since 1970 */
    int64_t clock;  /* the same moment on the clock of the samples */
    int64_t period; /* nanoseconds between samples, as it should be */
    uint32_t pid;
} fg__nettrace_head;
fg__nettrace_head fg__nettrace_head_of(const fg__nettrace *trace);
/* How many samples the runtime had no room for, as far as has been read. */
int64_t fg__nettrace_lost(const fg__nettrace *trace);

/* The addresses of a stack, innermost first; valid until the next object is read. */
const uint64_t *fg__nettrace_stack(const fg__nettrace *trace, uint32_t stack, size_t *n);

/*
 * Add values to a stack of a profile, addresses resolved by the names that were read so far. `prefix` is a frame of the
 * profile that goes outermost; FG__NONE: none. All calls are for the same profile. *id, unless it is NULL, is which stack
 * of the profile that is.
 */
int fg__nettrace_add(fg__nettrace *trace, fg_profile *p, uint32_t prefix, uint32_t stack,
                     const int64_t *values, uint32_t *id);

/* ---- a sum for each stack ------------------------------------------------------------------------------------------ */

/* Values of (thread, stack) pairs, each pair once; `thread` 0 where threads do not matter. */
typedef struct fg__tally_row {
    uint64_t thread;
    uint32_t stack;
    int64_t count, value;
} fg__tally_row;
typedef struct fg__tally {
    fg__tally_row *rows;
    size_t n, cap;
    fg__table index;
    uint32_t latest; /* the row that was added to last */
} fg__tally;
int fg__tally_add(fg_ctx *ctx, fg__tally *tally, uint64_t thread, uint32_t stack, int64_t count,
                  int64_t value);
void fg__tally_free(fg_ctx *ctx, fg__tally *tally);

#endif
