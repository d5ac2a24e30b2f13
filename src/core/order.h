/* Sorting stacks by the ranks of their frames. */
#ifndef FG_ORDER_H
#define FG_ORDER_H

#include "core/core.h"

/*
 * Sort the ids of `n` stacks. A frame has the rank inner[frame] within a stack and last[frame] at its end, each below
 * `ranks`; inner and last may be the same. Stacks compare as strings of ranks, a stack before those that it begins.
 */
int fg__stack_order(uint32_t *order, size_t n, const fg_profile *p, const uint32_t *inner,
                    const uint32_t *last, uint32_t ranks);

#endif
