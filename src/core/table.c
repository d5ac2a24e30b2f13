/* Hashing, and the index from hashes to ids that every interner shares. */
#include "core/core.h"

static uint64_t load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

enum { LANE = 16 };
static const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd6e8feb86659fd93u, k2 = 0xa0761d6478bd642fu;

/* Two 64-bit lanes a step, each step one wide multiplication; the tail overlaps the last step. */
uint64_t fg__hash(const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    uint64_t h = k0 ^ (uint64_t)n, a, b;
    if (n <= LANE) {
        if (n >= 8)
            a = load64(p), b = load64(p + n - 8);
        else if (n >= 4)
            a = load32(p), b = load32(p + n - 4);
        else if (n > 0)
            a = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1], b = 0;
        else
            a = b = 0;
        return fg__mix(fg__mix(a ^ k1, b ^ h), k2 ^ h);
    }
    for (size_t left = n; left > LANE; left -= LANE, p += LANE)
        h = fg__mix(load64(p) ^ k1, load64(p + 8) ^ h);
    p = (const uint8_t *)bytes + n - LANE;
    return fg__mix(fg__mix(load64(p) ^ k1, load64(p + 8) ^ h), k2);
}

/* Put into a table that has room. */
static void put(fg__table *table, uint32_t tag, uint32_t id) {
    uint32_t at = tag & table->mask;
    while (table->slots[at].id) at = (at + 1) & table->mask;
    table->slots[at] = (fg__slot){id + 1, tag};
}

int fg__table_grow(fg_ctx *ctx, fg__table *table, size_t count) {
    size_t size = table->slots ? (size_t)table->mask + 1 : 0, wanted = size ? size : 64;
    while (wanted - wanted / 4 < count) wanted *= 2;
    if (wanted > (size_t)1 << 31) return fg__fail(ctx, FG_ELIMIT, "more than a billion different entries");
    fg__slot *slots = fg__calloc(ctx, wanted, sizeof *slots);
    if (!slots) return FG_ENOMEM;
    fg__table grown = {slots, (uint32_t)(wanted - 1), table->count};
    for (size_t i = 0; i < size; i++) {
        fg__slot slot = table->slots[i];
        if (slot.id) put(&grown, slot.tag, slot.id - 1);
    }
    fg_free(ctx, table->slots);
    *table = grown;
    return 0;
}

int fg__table_add(fg_ctx *ctx, fg__table *table, uint64_t hash, uint32_t id) {
    int err = fg__table_reserve(ctx, table, (size_t)table->count + 1);
    if (err) return err;
    put(table, (uint32_t)(hash >> 32), id);
    table->count++;
    return 0;
}
