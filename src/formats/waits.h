/*
 * Waits of threads, as the kernel's scheduler tells of them: in which state a thread leaves its CPU, and which waits
 * count. For the samplers of off-CPU time, and for the reader of what perf recorded.
 */
#ifndef FG_WAITS_H
#define FG_WAITS_H

#include "core/core.h"

/* The states in which threads wait; and FG__STATE_GONE: it ends. */
enum { FG__STATE_RUNNABLE, FG__STATE_GONE = 254 };

/* By what sched:sched_switch calls prev_state. */
uint32_t fg__wait_state(uint64_t prev_state);
/* By the letter that /proc/PID/stat has for it. FG__STATE_GONE: nothing that waits. */
uint32_t fg__wait_state_lettered(char letter);
/* What its frame is called. */
const char *fg__wait_state_name(uint32_t state);

/* Which waits count. */
typedef struct fg__wait_filter {
    uint64_t min, max; /* ns */
    uint32_t states;   /* a set of 1 << state */
} fg__wait_filter;

/* Waits of `min` to `max` seconds (0: of any length) in one of these states (NULL: in any). */
int fg__wait_filter_set(fg__wait_filter *out, fg_ctx *ctx, double min, double max, const char *const *states);
static inline bool fg__wait_counts(const fg__wait_filter *f, uint32_t state, uint64_t ns) {
    return f->states >> state & 1 && ns >= f->min && ns <= f->max;
}

#endif
