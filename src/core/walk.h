/*
 * The stacks of a profile in the order of a depth-first walk of its tree, children by name. What is derived from the tree
 * in one pass needs no tree: each stack brings the nodes that the ones before have not met, and leaves those that no
 * later one will meet.
 *
 *      frames    left  shared  n       nodes brought: frames[shared … n), the last of them has the stack's values
 *      a b c     0     0       3       a, a b, a b c
 *      a b d     1     2       3       a b d
 *      a e       2     1       2       a e
 */
#ifndef FG_WALK_H
#define FG_WALK_H

#include "core/core.h"

typedef struct fg__walk {
    fg_profile *p;
    uint32_t *order; /* stacks as the walk meets them */
    size_t place;    /* of the next one */
    /* the stack at hand: */
    uint32_t stack;
    const uint32_t *frames;
    size_t n;      /* its frames, and so the depth of its node; the root's is 0 */
    size_t shared; /* of them with the stack before */
    size_t left;   /* nodes of the stack before that end here: the deepest so many */
} fg__walk;

/* At the start, before the first stack. The caller calls fg__walk_close, after a failure too. */
int fg__walk_open(fg__walk *w, fg_profile *p);
void fg__walk_close(fg__walk *w);
/* Back to the start. */
void fg__walk_again(fg__walk *w);

/*
 * On to the next stack; false: there is none, and the `n` nodes below the root that are still open end. Those further on
 * are asked for meanwhile, and their values.
 */
static inline bool fg__walk_next(fg__walk *w) {
    const fg_profile *p = w->p;
    size_t place = w->place, n, shared = 0;
    if (place == p->stack_count) return false;
    if (place + 2 * FG__AHEAD < p->stack_count) {
        uint32_t ahead = w->order[place + FG__AHEAD];
        fg__stack_fetch_start(p, w->order[place + 2 * FG__AHEAD]);
        fg__stack_fetch(p, ahead, 0);
        for (size_t t = 0; t < p->type_count; t++) __builtin_prefetch(&p->values[t][ahead]);
    }
    w->stack = w->order[place];
    const uint32_t *frames = fg__stack_at(p, w->stack, &n);
    while (shared < n && shared < w->n && frames[shared] == w->frames[shared]) shared++;
    w->left = w->n - shared;
    w->shared = shared;
    w->frames = frames;
    w->n = n;
    w->place++;
    return true;
}

#endif
