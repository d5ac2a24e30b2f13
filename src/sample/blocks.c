/* Outstanding blocks. */
#include "sample/blocks.h"

enum { USUAL_MOST = 1 << 20, LEAST_SIZE = 1024 };

static size_t home(const fg__blocks *blocks, uint64_t address) {
    return (size_t)(fg__mix(address, 0x9e3779b97f4a7c15u) >> 20) & (blocks->size - 1);
}

/* Where an address is, or the free slot where it would be. */
static size_t find(const fg__blocks *blocks, uint64_t address) {
    size_t at = home(blocks, address);
    while (blocks->slots[at].address && blocks->slots[at].address != address)
        at = (at + 1) & (blocks->size - 1);
    return at;
}

/* By address and time: neither a size nor a place in the program is preferred. */
static bool survives(const fg__blocks *blocks, const fg__block *block) {
    uint64_t draw = fg__mix(block->address ^ (block->time << 20), block->time | 1);
    return (draw >> 32 & ((UINT64_C(1) << blocks->halved) - 1)) == 0;
}

/* The same blocks, without those that do not survive, in as many slots. */
static int rebuild(fg_ctx *ctx, fg__blocks *blocks, size_t size) {
    fg__block *old = blocks->slots;
    size_t old_size = blocks->size;
    fg__block *slots = fg__calloc(ctx, size, sizeof *slots);
    if (!slots) return FG_ENOMEM;
    blocks->slots = slots;
    blocks->size = size;
    blocks->n = 0;
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i].address || !survives(blocks, &old[i])) continue;
        slots[find(blocks, old[i].address)] = old[i];
        blocks->n++;
    }
    fg_free(ctx, old);
    return 0;
}

static int make_room(fg_ctx *ctx, fg__blocks *blocks) {
    size_t most = blocks->most ? blocks->most : USUAL_MOST;
    if (blocks->n >= most) {
        blocks->halved++;
        return rebuild(ctx, blocks, blocks->size);
    }
    if (blocks->n < blocks->size / 2) return 0;
    return rebuild(ctx, blocks, blocks->size ? blocks->size * 2 : LEAST_SIZE);
}

static void remove_at(fg__blocks *blocks, size_t hole) {
    size_t mask = blocks->size - 1;
    for (size_t at = (hole + 1) & mask; blocks->slots[at].address; at = (at + 1) & mask) {
        size_t wanted = home(blocks, blocks->slots[at].address);
        if (((at - wanted) & mask) < ((at - hole) & mask)) continue; /* the hole is before its home */
        blocks->slots[hole] = blocks->slots[at];
        hole = at;
    }
    blocks->slots[hole] = (fg__block){0};
    blocks->n--;
}

int fg__blocks_put(fg_ctx *ctx, fg__blocks *blocks, const fg__block *block) {
    fg__block gone;
    if (!block->address) return 0;
    fg__blocks_take(blocks, &gone, block->address, block->time);
    int err = make_room(ctx, blocks);
    if (err || !survives(blocks, block)) return err;
    size_t at = find(blocks, block->address);
    blocks->n += !blocks->slots[at].address;
    blocks->slots[at] = *block;
    return 0;
}

bool fg__blocks_take(fg__blocks *blocks, fg__block *out, uint64_t address, uint64_t time) {
    if (!blocks->size || !address) return false;
    size_t at = find(blocks, address);
    if (!blocks->slots[at].address || blocks->slots[at].time > time) return false;
    *out = blocks->slots[at];
    remove_at(blocks, at);
    return true;
}

const fg__block *fg__blocks_next(const fg__blocks *blocks, size_t *at) {
    while (*at < blocks->size && !blocks->slots[*at].address) ++*at;
    return *at < blocks->size ? &blocks->slots[(*at)++] : NULL;
}

void fg__blocks_free(fg_ctx *ctx, fg__blocks *blocks) {
    fg_free(ctx, blocks->slots);
    *blocks = (fg__blocks){.most = blocks->most};
}
