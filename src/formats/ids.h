/*
 * Where the entry with an id is in its table. Ids are usually 1, 2, 3…, so that most of them index an array;
 * any others, addresses too, are looked up by their hash.
 */
#ifndef FG_IDS_H
#define FG_IDS_H

#include "core/core.h"

typedef struct fg__ids {
    uint64_t *keys; /* by entry */
    size_t count, cap;
    uint32_t *dense; /* [id] + 1; 0: none there */
    size_t dense_count;
    fg__table sparse;
} fg__ids;

/* The next entry, number ids->count, has this id, which no other has. */
int fg__ids_add(fg_ctx *ctx, fg__ids *ids, uint64_t id);
void fg__ids_free(fg_ctx *ctx, fg__ids *ids);

uint32_t fg__ids_find_sparse(const fg__ids *ids, uint64_t id);
/* The entry with an id, or FG__NONE. */
static inline uint32_t fg__ids_find(const fg__ids *ids, uint64_t id) {
    return FG__LIKELY(id < ids->dense_count && ids->dense[id]) ? ids->dense[id] - 1
                                                               : fg__ids_find_sparse(ids, id);
}

#endif
