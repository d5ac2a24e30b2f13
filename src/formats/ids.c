/* Ids to entries: an array for those that are about as small as there are entries, a hash for the others. */
#include "formats/ids.h"

enum { FIRST_DENSE = 1024 };

static uint64_t hash_of(uint64_t id) {
    return fg__hash(&id, sizeof id);
}

uint32_t fg__ids_find_sparse(const fg__ids *ids, uint64_t id) {
    const fg__table *t = &ids->sparse;
    uint64_t hash = hash_of(id);
    uint32_t i;
    for (uint32_t at = fg__table_first(t, hash); (i = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at))
        if (fg__table_maybe(t, at, hash) && ids->keys[i] == id) break;
    return i;
}

static int widen(fg_ctx *ctx, fg__ids *ids, size_t need) {
    size_t count = ids->dense_count;
    int err = fg__grow(ctx, &ids->dense, &count, need, sizeof *ids->dense);
    if (err) return err;
    memset(ids->dense + ids->dense_count, 0, (count - ids->dense_count) * sizeof *ids->dense);
    ids->dense_count = count;
    return 0;
}

int fg__ids_add(fg_ctx *ctx, fg__ids *ids, uint64_t id) {
    if (ids->count >= FG__NONE - 1) return fg__fail(ctx, FG_ELIMIT, "more than 4 billion entries");
    int err = fg__grow(ctx, &ids->keys, &ids->cap, ids->count + 1, sizeof *ids->keys);
    bool dense = id < FIRST_DENSE + 2 * (uint64_t)ids->count;
    if (!err && dense && id >= ids->dense_count) err = widen(ctx, ids, (size_t)id + 1);
    if (!err && !dense) err = fg__table_add(ctx, &ids->sparse, hash_of(id), (uint32_t)ids->count);
    if (err) return err;
    if (dense) ids->dense[id] = (uint32_t)ids->count + 1;
    ids->keys[ids->count++] = id;
    return 0;
}

void fg__ids_free(fg_ctx *ctx, fg__ids *ids) {
    fg_free(ctx, ids->keys);
    fg_free(ctx, ids->dense);
    fg_free(ctx, ids->sparse.slots);
}
