/*
 * The tree is derived from the stack table: stacks sorted by the names of their frames stand as a depth-first walk
 * meets them, and each one shares its first frames with the one before.
 *
 *      sorted  a b c     new nodes  a b c        shared 0
 *              a b d                    d               2
 *              a e                    e                 1
 *              f                    f                   0
 *
 * So one pass over neighbours counts the nodes, and a second one writes them in order, with the path from the root at
 * hand: a node is closed, its subtree and its total known, when a stack leaves it. A look-up per frame in a hash of
 * (parent, frame) was measured at five times the time: each is a cache miss once the tree is larger than the caches.
 */
#include "core/tree.h"
#include "core/order.h"
#include <stdlib.h>

typedef struct builder {
    fg_ctx *ctx;
    const fg_profile *p;
    uint32_t *rank;   /* of a frame in the order of names */
    uint32_t *order;  /* stacks as the walk meets them */
    uint32_t *shared; /* frames that a stack has in common with the one before, by place in `order` */
    uint32_t *path;   /* nodes from the root to the last one written */
    struct fg__tree *tree;
} builder;

void fg__tree_free(fg_ctx *ctx, struct fg__tree *tree) {
    if (!tree) return;
    uint32_t *arrays[] = {tree->parent, tree->frame, tree->depth, tree->end, tree->node};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) fg_free(ctx, arrays[i]);
    for (size_t t = 0; t < FG_MAX_TYPES; t++) {
        fg_free(ctx, tree->self[t]);
        fg_free(ctx, tree->total[t]);
    }
    fg_free(ctx, tree);
}

/* ---- order --------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *user) {
    const fg_profile *p = user;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(fg__frame_name(p, x).bytes, fg__frame_name(p, y).bytes);
    return order ? order : x < y ? -1 : x > y;
}

static int rank_frames(builder *b) {
    size_t n = b->p->frame_count;
    uint32_t *by_rank = fg__alloc(b->ctx, n * sizeof *by_rank);
    b->rank = fg__alloc(b->ctx, n * sizeof *b->rank);
    int err = by_rank && b->rank ? 0 : FG_ENOMEM;
    if (!err) {
        for (uint32_t i = 0; i < n; i++) by_rank[i] = i;
        qsort_r(by_rank, n, sizeof *by_rank, by_name, (void *)(uintptr_t)b->p);
        for (uint32_t i = 0; i < n; i++) b->rank[by_rank[i]] = i;
    }
    fg_free(b->ctx, by_rank);
    return err;
}

static int order_stacks(builder *b) {
    const fg_profile *p = b->p;
    size_t n = p->stack_count;
    int err = rank_frames(b);
    if (err) return err;
    b->order = fg__alloc(b->ctx, n * sizeof *b->order);
    if (!b->order) return FG_ENOMEM;
    for (uint32_t i = 0; i < n; i++) b->order[i] = i;
    return fg__stack_order(b->order, n, p, b->rank, b->rank, (uint32_t)p->frame_count);
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static inline const uint32_t *stack_at(const builder *b, size_t place, size_t *n) {
    const fg_profile *p = b->p;
    if (place + 2 * FG__AHEAD < p->stack_count) {
        fg__stack_fetch_start(p, b->order[place + 2 * FG__AHEAD]);
        fg__stack_fetch(p, b->order[place + FG__AHEAD]);
    }
    return fg__stack_at(p, b->order[place], n);
}

/* Compare each stack with the one before; sets the number of nodes, the root included, and the greatest depth. */
static int count_nodes(builder *b, size_t *count, size_t *deepest) {
    const uint32_t *before = NULL;
    size_t before_n = 0;
    *count = 1;
    *deepest = 0;
    for (size_t i = 0; i < b->p->stack_count; i++) {
        size_t n, same = 0;
        const uint32_t *stack = stack_at(b, i, &n);
        while (same < n && same < before_n && stack[same] == before[same]) same++;
        b->shared[i] = (uint32_t)same;
        *count += n - same;
        if (n > *deepest) *deepest = n;
        before = stack;
        before_n = n;
    }
    if (*count >= FG__NONE) return fg__fail(b->ctx, FG_ELIMIT, "the tree has more than 4 billion nodes");
    return 0;
}

static int make_arrays(builder *b, size_t count, size_t deepest) {
    struct fg__tree *tree = b->tree;
    b->path = fg__alloc(b->ctx, (deepest + 1) * sizeof *b->path);
    if (!b->path) return FG_ENOMEM;
    uint32_t **arrays[] = {&tree->parent, &tree->frame, &tree->depth, &tree->end};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (!(*arrays[i] = fg__alloc(b->ctx, count * sizeof **arrays[i]))) return FG_ENOMEM;
    fg_tree *view = &tree->view;
    *view = (fg_tree){.count = (uint32_t)count,
                      .type_count = (uint32_t)b->p->type_count,
                      .max_depth = (uint32_t)deepest,
                      .parent = tree->parent,
                      .frame = tree->frame,
                      .depth = tree->depth,
                      .end = tree->end};
    for (size_t t = 0; t < view->type_count; t++) {
        view->self[t] = tree->self[t] = fg__alloc(b->ctx, count * sizeof *tree->self[t]);
        view->total[t] = tree->total[t] = fg__alloc(b->ctx, count * sizeof *tree->total[t]);
        if (!tree->self[t] || !tree->total[t]) return FG_ENOMEM;
    }
    if (b->p->part_count && !(tree->node = fg__alloc(b->ctx, b->p->stack_count * sizeof *tree->node)))
        return FG_ENOMEM;
    return 0;
}

static inline void open_node(builder *b, uint32_t node, uint32_t frame, uint32_t depth) {
    struct fg__tree *tree = b->tree;
    tree->parent[node] = depth ? b->path[depth - 1] : 0;
    tree->frame[node] = frame;
    tree->depth[node] = depth;
    for (size_t t = 0; t < b->p->type_count; t++) tree->self[t][node] = tree->total[t][node] = 0;
    b->path[depth] = node;
}

/* The nodes of the path below `depth`, the last one being `depth_now` deep, have no more children. */
static inline void close_nodes(builder *b, size_t depth_now, size_t depth, uint32_t count) {
    struct fg__tree *tree = b->tree;
    for (size_t d = depth_now; d > depth; d--) {
        uint32_t node = b->path[d], parent = b->path[d - 1];
        tree->end[node] = count;
        for (size_t t = 0; t < b->p->type_count; t++) tree->total[t][parent] += tree->total[t][node];
    }
}

static void write_nodes(builder *b) {
    const fg_profile *p = b->p;
    uint32_t count = 1;
    size_t depth = 0;
    open_node(b, 0, FG_NO_FRAME, 0);
    for (size_t i = 0; i < p->stack_count; i++) {
        size_t n;
        const uint32_t *stack = stack_at(b, i, &n);
        close_nodes(b, depth, b->shared[i], count);
        for (depth = b->shared[i]; depth < n; depth++)
            open_node(b, count++, stack[depth], (uint32_t)depth + 1);
        for (size_t t = 0; t < p->type_count; t++) {
            b->tree->self[t][b->path[n]] += p->values[t][b->order[i]];
            b->tree->total[t][b->path[n]] += p->values[t][b->order[i]];
        }
        if (b->tree->node) b->tree->node[b->order[i]] = b->path[n];
    }
    close_nodes(b, depth, 0, count);
    b->tree->end[0] = count;
}

static int build(builder *b) {
    int err = order_stacks(b);
    if (err) return err;
    size_t count, deepest;
    b->shared = fg__alloc(b->ctx, b->p->stack_count * sizeof *b->shared);
    err = b->shared ? count_nodes(b, &count, &deepest) : FG_ENOMEM;
    if (!err) err = make_arrays(b, count, deepest);
    if (!err) write_nodes(b);
    return err;
}

int fg_profile_tree(const fg_tree **out, fg_profile *p) {
    if (!p->tree) {
        builder b = {.ctx = p->ctx, .p = p, .tree = fg__calloc(p->ctx, 1, sizeof *b.tree)};
        if (!b.tree) return FG_ENOMEM;
        int err = build(&b);
        void *scratch[] = {b.rank, b.order, b.shared, b.path};
        for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) fg_free(p->ctx, scratch[i]);
        if (err) {
            fg__tree_free(p->ctx, b.tree);
            return err;
        }
        p->tree = b.tree;
    }
    *out = &p->tree->view;
    return 0;
}
