/*
 * Stacks of one profile on their way into the stack table of another, some at a time. Where the table is larger than the
 * caches, it is missed four times for a stack that is there already: its slot, its place, its frames, its values. For a
 * batch of stacks these misses overlap.
 *
 *      fg__batch b = {.to = to, .from = from, …};
 *      uint32_t *frames = fg__batch_room(&b, n);       NULL: no memory
 *      err = fg__batch_put(&b, i, n);                  for each stack that goes over, its frames written before
 *      err = fg__batch_end(&b, err);                   always
 */
#ifndef FG_BATCH_H
#define FG_BATCH_H

#include "core/core.h"

enum { FG__BATCH = 64 };

typedef struct fg__batch {
    fg_profile *to;
    const fg_profile *from;
    const int
        *column;   /* value type t of `from` goes to column[t], negative: nowhere; NULL: each to its own */
    int64_t scale; /* what values are multiplied with; 0: as they are */
    uint32_t *ids; /* ids[i] is set to what stack i of `from` is in `to`; NULL: nobody asks */
    uint32_t run;  /* of a diff: whose parts these are; FG__NONE: nobody's */
    bool fresh;    /* no two stacks are the same, and `to` had none: nothing is looked up */

    uint32_t *frames;
    size_t n, cap;
    struct fg__batched {
        uint32_t stack;
        size_t at, n; /* its frames */
        uint64_t hash;
    } waiting[FG__BATCH];
    size_t count;
} fg__batch;

/* Where the frames of the next stack go. */
static inline uint32_t *fg__batch_room(fg__batch *b, size_t n) {
    int err = fg__grow(b->to->ctx, &b->frames, &b->cap, b->n + n + 1, sizeof *b->frames);
    return err ? NULL : b->frames + b->n;
}
int fg__batch_put(fg__batch *b, uint32_t stack, size_t n);
/* Add what still waits, unless there was an error; which comes back. */
int fg__batch_end(fg__batch *b, int err);

#endif
