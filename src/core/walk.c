/* The order of the walk: stacks by the names of their frames. Drawn in walk.h. */
#include "core/walk.h"
#include <stdlib.h>
#include "core/order.h"

static int by_name(const void *a, const void *b, void *user) {
    const fg_profile *p = user;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(fg__frame_name(p, x).bytes, fg__frame_name(p, y).bytes);
    return order ? order : x < y ? -1 : x > y;
}

/* The rank of each frame in the order of names; NULL: no memory. */
static uint32_t *rank_frames(fg_profile *p) {
    size_t n = p->frame_count;
    uint32_t *by_rank = fg__alloc(p->ctx, n * sizeof *by_rank), *rank = fg__alloc(p->ctx, n * sizeof *rank);
    if (by_rank && rank) {
        for (uint32_t i = 0; i < n; i++) by_rank[i] = i;
        qsort_r(by_rank, n, sizeof *by_rank, by_name, p);
        for (uint32_t i = 0; i < n; i++) rank[by_rank[i]] = i;
    }
    bool good = by_rank && rank;
    fg_free(p->ctx, by_rank);
    if (good) return rank;
    fg_free(p->ctx, rank);
    return NULL;
}

int fg__walk_open(fg__walk *w, fg_profile *p) {
    *w = (fg__walk){.p = p};
    size_t n = p->stack_count;
    uint32_t *rank = rank_frames(p);
    w->order = fg__alloc(p->ctx, n * sizeof *w->order);
    int err = rank && w->order ? 0 : FG_ENOMEM;
    if (!err) {
        for (uint32_t i = 0; i < n; i++) w->order[i] = i;
        err = fg__stack_order(w->order, n, p, rank, rank, (uint32_t)p->frame_count);
    }
    fg_free(p->ctx, rank);
    return err;
}

void fg__walk_close(fg__walk *w) {
    if (w->p) fg_free(w->p->ctx, w->order);
    w->order = NULL;
}

void fg__walk_again(fg__walk *w) {
    w->place = w->n = 0;
}
