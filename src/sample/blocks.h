/*
 * Blocks of memory that were given and not freed yet, by their address. No more than a number of them is kept: when it
 * is reached, a random half is forgotten, of what comes later as well, and each of the others stands for twice as many.
 *
 *   address ──▶ { size, stack, time }      open addressing, linear probing, no tombstones
 */
#ifndef FG_SAMPLE_BLOCKS_H
#define FG_SAMPLE_BLOCKS_H

#include "core/core.h"

typedef struct fg__block {
    uint64_t address; /* 0: none */
    uint64_t time;    /* when it was given */
    uint64_t size;
    uint32_t stack;
} fg__block;

typedef struct fg__blocks {
    fg__block *slots;
    size_t size, n;  /* size: a power of two, 0 at first */
    size_t most;     /* how many are kept; 0: as usual */
    unsigned halved; /* how often: a block stands for 1 << halved */
} fg__blocks;

/* Keep a block; what was at its address is gone, as an allocator gives no address twice. */
int fg__blocks_put(fg_ctx *ctx, fg__blocks *blocks, const fg__block *block);
/* Take one out that was given before `time`; false: it is not kept. A later one has the address again. */
bool fg__blocks_take(fg__blocks *blocks, fg__block *out, uint64_t address, uint64_t time);
/* Block after block: `at` is 0 at first; NULL past the last. */
const fg__block *fg__blocks_next(const fg__blocks *blocks, size_t *at);
void fg__blocks_free(fg_ctx *ctx, fg__blocks *blocks);

#endif
