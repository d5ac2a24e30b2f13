/*
 * The tree is derived from the stack table: stacks sorted by the names of their frames stand as a depth-first walk
 * meets them, and each one shares its first frames with the one before.
 *
 *      sorted  a b c     new nodes  a b c        shared 0
 *              a b d                    d               2
 *              a e                    e                 1
 *              f                    f                   0
 *
 * So one pass over neighbours writes the nodes in order, with the path from the root at hand: a node is closed, its
 * subtree and its total known, when a stack leaves it. A look-up per frame in a hash of (parent, frame) was measured at
 * five times the time: each is a cache miss once the tree is larger than the caches. How many nodes there will be is not
 * counted before: that would miss the caches for each stack a second time, and large arrays grow without being copied.
 */
#include "core/tree.h"
#include "core/order.h"
#include <stdlib.h>

typedef struct builder {
    fg_ctx *ctx;
    const fg_profile *p;
    uint32_t *rank;  /* of a frame in the order of names */
    uint32_t *order; /* stacks as the walk meets them */
    uint32_t *path;  /* nodes from the root to the last one written */
    size_t path_cap;
    struct fg__tree *tree;
    size_t cap, count; /* nodes */
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

/* Those behind are asked for meanwhile, and their values. */
static inline const uint32_t *stack_at(const builder *b, size_t place, size_t *n) {
    const fg_profile *p = b->p;
    if (place + 2 * FG__AHEAD < p->stack_count) {
        uint32_t ahead = b->order[place + FG__AHEAD];
        fg__stack_fetch_start(p, b->order[place + 2 * FG__AHEAD]);
        fg__stack_fetch(p, ahead, 0);
        for (size_t t = 0; t < p->type_count; t++) __builtin_prefetch(&p->values[t][ahead]);
    }
    return fg__stack_at(p, b->order[place], n);
}

/* See that there is room for `need` nodes and for a path of `depth` frames. */
static int grow_nodes(builder *b, size_t need, size_t depth) {
    struct fg__tree *tree = b->tree;
    if (need >= FG__NONE) return fg__fail(b->ctx, FG_ELIMIT, "the tree has more than 4 billion nodes");
    int err = fg__grow(b->ctx, &b->path, &b->path_cap, depth + 1, sizeof *b->path);
    if (err || need <= b->cap) return err;
    uint32_t **links[] = {&tree->parent, &tree->frame, &tree->depth, &tree->end};
    size_t cap = b->cap; /* each grows from the same to the same */
    for (size_t i = 0; i < sizeof links / sizeof *links && !err; i++) {
        cap = b->cap;
        err = fg__grow(b->ctx, links[i], &cap, need, sizeof **links[i]);
    }
    for (size_t t = 0; t < 2 * b->p->type_count && !err; t++) {
        int64_t **values = t % 2 ? &tree->self[t / 2] : &tree->total[t / 2];
        cap = b->cap;
        err = fg__grow(b->ctx, values, &cap, need, sizeof **values);
    }
    if (!err) b->cap = cap;
    return err;
}

static inline void open_node(builder *b, uint32_t frame, uint32_t depth) {
    struct fg__tree *tree = b->tree;
    uint32_t node = (uint32_t)b->count++;
    tree->parent[node] = depth ? b->path[depth - 1] : 0;
    tree->frame[node] = frame;
    tree->depth[node] = depth;
    for (size_t t = 0; t < b->p->type_count; t++) tree->self[t][node] = tree->total[t][node] = 0;
    b->path[depth] = node;
}

/* The nodes of the path below `depth`, the last one being `depth_now` deep, have no more children. */
static inline void close_nodes(builder *b, size_t depth_now, size_t depth) {
    struct fg__tree *tree = b->tree;
    for (size_t d = depth_now; d > depth; d--) {
        uint32_t node = b->path[d], parent = b->path[d - 1];
        tree->end[node] = (uint32_t)b->count;
        for (size_t t = 0; t < b->p->type_count; t++) tree->total[t][parent] += tree->total[t][node];
    }
}

static size_t shared_frames(const uint32_t *a, size_t n, const uint32_t *b, size_t m) {
    size_t same = 0;
    while (same < n && same < m && a[same] == b[same]) same++;
    return same;
}

/* Write the nodes of the stack at a place in the order that the one before, `depth` deep, does not have. */
static int write_stack(builder *b, size_t place, const uint32_t *stack, size_t n, size_t shared) {
    const fg_profile *p = b->p;
    int err = grow_nodes(b, b->count + n - shared, n);
    if (err) return err;
    for (size_t depth = shared; depth < n; depth++) open_node(b, stack[depth], (uint32_t)depth + 1);
    uint32_t node = b->path[n], id = b->order[place];
    for (size_t t = 0; t < p->type_count; t++) {
        b->tree->self[t][node] += p->values[t][id];
        b->tree->total[t][node] += p->values[t][id];
    }
    if (b->tree->node) b->tree->node[id] = node;
    return 0;
}

static int write_nodes(builder *b) {
    const fg_profile *p = b->p;
    const uint32_t *before = NULL;
    size_t depth = 0, deepest = 0;
    int err = grow_nodes(b, 1, 0);
    if (err) return err;
    open_node(b, FG_NO_FRAME, 0);
    for (size_t i = 0; i < p->stack_count && !err; i++) {
        size_t n;
        const uint32_t *stack = stack_at(b, i, &n);
        size_t shared = shared_frames(stack, n, before, depth);
        close_nodes(b, depth, shared);
        err = write_stack(b, i, stack, n, shared);
        before = stack;
        depth = n;
        if (depth > deepest) deepest = depth;
    }
    if (err) return err;
    close_nodes(b, depth, 0);
    b->tree->end[0] = (uint32_t)b->count;
    b->tree->view.max_depth = (uint32_t)deepest;
    return 0;
}

static void set_view(builder *b) {
    struct fg__tree *tree = b->tree;
    fg_tree *view = &tree->view;
    view->count = (uint32_t)b->count;
    view->type_count = (uint32_t)b->p->type_count;
    view->parent = tree->parent;
    view->frame = tree->frame;
    view->depth = tree->depth;
    view->end = tree->end;
    for (size_t t = 0; t < view->type_count; t++) {
        view->self[t] = tree->self[t];
        view->total[t] = tree->total[t];
    }
}

static int build(builder *b) {
    int err = order_stacks(b);
    if (!err && b->p->part_count) {
        b->tree->node = fg__alloc(b->ctx, b->p->stack_count * sizeof *b->tree->node);
        if (!b->tree->node) err = FG_ENOMEM;
    }
    if (!err) err = write_nodes(b);
    if (!err) set_view(b);
    return err;
}

int fg_profile_tree(const fg_tree **out, fg_profile *p) {
    if (!p->tree) {
        builder b = {.ctx = p->ctx, .p = p, .tree = fg__calloc(p->ctx, 1, sizeof *b.tree)};
        if (!b.tree) return FG_ENOMEM;
        int err = build(&b);
        void *scratch[] = {b.rank, b.order, b.path};
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
