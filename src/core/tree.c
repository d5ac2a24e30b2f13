/*
 * The tree is what a walk over the stacks meets, in the order in which it meets it. One pass writes the nodes, with the
 * path from the root at hand: a node is closed, its subtree and its total known, when a stack leaves it. A look-up per
 * frame in a hash of (parent, frame) was measured at five times the time: each is a cache miss once the tree is larger
 * than the caches. How many nodes there will be is not counted before: that would miss the caches for each stack a second
 * time, and large arrays grow without being copied.
 */
#include "core/tree.h"
#include "core/walk.h"

typedef struct builder {
    fg_ctx *ctx;
    fg__walk walk;
    uint32_t *path; /* nodes from the root to the last one written */
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
    for (size_t t = 0; t < 2 * b->walk.p->type_count && !err; t++) {
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
    for (size_t t = 0; t < b->walk.p->type_count; t++) tree->self[t][node] = tree->total[t][node] = 0;
    b->path[depth] = node;
}

/* The last `n` nodes of the path, which is `depth` deep, have no more children. */
static inline void close_nodes(builder *b, size_t depth, size_t n) {
    struct fg__tree *tree = b->tree;
    for (; n; n--, depth--) {
        uint32_t node = b->path[depth], parent = b->path[depth - 1];
        tree->end[node] = (uint32_t)b->count;
        for (size_t t = 0; t < b->walk.p->type_count; t++) tree->total[t][parent] += tree->total[t][node];
    }
}

/* Write the nodes that the stack at hand brings. */
static int write_stack(builder *b) {
    const fg__walk *w = &b->walk;
    int err = grow_nodes(b, b->count + w->n - w->shared, w->n);
    if (err) return err;
    for (size_t depth = w->shared; depth < w->n; depth++) open_node(b, w->frames[depth], (uint32_t)depth + 1);
    uint32_t node = b->path[w->n];
    for (size_t t = 0; t < w->p->type_count; t++) {
        int64_t value = w->p->values[t][w->stack];
        b->tree->self[t][node] += value;
        b->tree->total[t][node] += value;
    }
    if (b->tree->node) b->tree->node[w->stack] = node;
    if (w->n > b->tree->view.max_depth) b->tree->view.max_depth = (uint32_t)w->n;
    return 0;
}

static int write_nodes(builder *b) {
    fg__walk *w = &b->walk;
    int err = grow_nodes(b, 1, 0);
    if (err) return err;
    open_node(b, FG_NO_FRAME, 0);
    while (!err && fg__walk_next(w)) {
        close_nodes(b, w->shared + w->left, w->left);
        err = write_stack(b);
    }
    if (err) return err;
    close_nodes(b, w->n, w->n);
    b->tree->end[0] = (uint32_t)b->count;
    return 0;
}

static void set_view(builder *b) {
    struct fg__tree *tree = b->tree;
    fg_tree *view = &tree->view;
    view->count = (uint32_t)b->count;
    view->type_count = (uint32_t)b->walk.p->type_count;
    view->parent = tree->parent;
    view->frame = tree->frame;
    view->depth = tree->depth;
    view->end = tree->end;
    for (size_t t = 0; t < view->type_count; t++) {
        view->self[t] = tree->self[t];
        view->total[t] = tree->total[t];
    }
}

static int build(builder *b, fg_profile *p) {
    int err = fg__walk_open(&b->walk, p);
    if (!err && p->part_count) {
        b->tree->node = fg__alloc(b->ctx, p->stack_count * sizeof *b->tree->node);
        if (!b->tree->node) err = FG_ENOMEM;
    }
    if (!err) err = write_nodes(b);
    if (!err) set_view(b);
    return err;
}

int fg_profile_tree(const fg_tree **out, fg_profile *p) {
    if (!p->tree) {
        builder b = {.ctx = p->ctx, .tree = fg__calloc(p->ctx, 1, sizeof *b.tree)};
        if (!b.tree) return FG_ENOMEM;
        int err = build(&b, p);
        fg__walk_close(&b.walk);
        fg_free(p->ctx, b.path);
        if (err) {
            fg__tree_free(p->ctx, b.tree);
            return err;
        }
        p->tree = b.tree;
    }
    *out = &p->tree->view;
    return 0;
}
