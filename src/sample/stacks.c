/* The table of address stacks. */
#include "sample/stacks.h"

static uint64_t hash_of(const fg__raw_key *key, const uint64_t *addresses) {
    uint64_t h = fg__hash(key, sizeof *key);
    return fg__mix(h ^ fg__hash(addresses, ((size_t)key->kernel + key->user) * sizeof *addresses),
                   0x9e3779b97f4a7c15u);
}

static bool same(const fg__raws *raws, uint32_t id, const fg__raw_key *key, const uint64_t *addresses) {
    size_t n = ((size_t)key->kernel + key->user) * sizeof *addresses;
    return memcmp(&raws->keys[id], key, sizeof *key) == 0 &&
           (!n || memcmp(raws->addresses + raws->starts[id], addresses, n) == 0);
}

static int make_room(fg_ctx *ctx, fg__raws *raws, size_t n) {
    int err = fg__grow(ctx, &raws->keys, &raws->key_cap, raws->n + 1, sizeof *raws->keys);
    if (!err) err = fg__grow(ctx, &raws->starts, &raws->start_cap, raws->n + 1, sizeof *raws->starts);
    if (!err) err = fg__grow(ctx, &raws->counts, &raws->count_cap, raws->n + 1, sizeof *raws->counts);
    if (!err) err = fg__grow(ctx, &raws->weights, &raws->weight_cap, raws->n + 1, sizeof *raws->weights);
    if (!err)
        err =
            fg__grow(ctx, &raws->addresses, &raws->address_cap, raws->address_n + n, sizeof *raws->addresses);
    return err;
}

int fg__raws_find(uint32_t *out, fg_ctx *ctx, fg__raws *raws, const fg__raw_key *key,
                  const uint64_t *addresses) {
    size_t n = (size_t)key->kernel + key->user;
    uint64_t hash = hash_of(key, addresses);
    int err = fg__table_reserve(ctx, &raws->index, (size_t)raws->index.count + 1);
    if (err) return err;
    uint32_t at = fg__table_first(&raws->index, hash), id;
    while ((id = fg__table_id(&raws->index, at)) != FG__NONE &&
           !(fg__table_maybe(&raws->index, at, hash) && same(raws, id, key, addresses)))
        at = fg__table_next(&raws->index, at);
    if (id == FG__NONE) {
        if ((err = make_room(ctx, raws, n))) return err;
        id = (uint32_t)raws->n++;
        raws->keys[id] = *key;
        raws->starts[id] = raws->address_n;
        raws->counts[id] = raws->weights[id] = 0;
        if (n) memcpy(raws->addresses + raws->address_n, addresses, n * sizeof *addresses);
        raws->address_n += n;
        fg__table_put(&raws->index, at, hash, id);
    }
    *out = id;
    return 0;
}

void fg__raws_count(fg__raws *raws, uint32_t id, int64_t count, int64_t weight) {
    raws->counts[id] += count;
    raws->weights[id] += weight;
    raws->total += count;
}

int fg__raws_name(uint32_t *out, fg_ctx *ctx, fg__raws *raws, const char *name) {
    for (size_t i = raws->name_n; i-- > 0;) {
        if (strcmp(raws->names.bytes + raws->name_at[i], name) == 0) {
            *out = (uint32_t)i;
            return 0;
        }
    }
    int err = fg__grow(ctx, &raws->name_at, &raws->name_cap, raws->name_n + 1, sizeof *raws->name_at);
    uint32_t start = (uint32_t)raws->names.n;
    if (!err) err = fg__buffer_add(ctx, &raws->names, name, strlen(name) + 1);
    if (err) return err;
    raws->name_at[raws->name_n] = start;
    *out = (uint32_t)raws->name_n++;
    return 0;
}

void fg__raws_free(fg_ctx *ctx, fg__raws *raws) {
    fg_free(ctx, raws->keys);
    fg_free(ctx, raws->starts);
    fg_free(ctx, raws->counts);
    fg_free(ctx, raws->weights);
    fg_free(ctx, raws->addresses);
    fg_free(ctx, raws->index.slots);
    fg_free(ctx, raws->names.bytes);
    fg_free(ctx, raws->name_at);
    *raws = (fg__raws){0};
}
