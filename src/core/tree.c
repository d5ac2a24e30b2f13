/*
 * The tree is derived from the stack table in one pass, by grouping the stacks depth by depth (an MSD radix
 * sort on frames ranked by name), so that nodes come out in depth-first order with sorted children:
 *
 *      items  [ a b c | a b d | a e | f ]       a group is a run of stacks with a common prefix: one node
 *               └── a ─────────────┘ └ f        its items are sorted by their next frame; equal ones are the
 * children
 *
 * Groups wait on an explicit stack, last child first. Unique stacks mean that at most one item ends in each
 * group: it gives the node's self values. A look-up per frame in a hash of (parent, frame) was measured at
 * twice the time: each is a cache miss once the tree is larger than the caches.
 */
#include "core/tree.h"
#include <stdlib.h>

enum { SMALL_GROUP = 24 };

typedef struct item {
    const uint32_t *next; /* the frame below the group's prefix */
    uint32_t left;        /* frames from there to the leaf */
    uint32_t stack;
} item;

typedef struct group {
    uint32_t from, to; /* items */
    uint32_t parent, frame, depth;
} group;

typedef struct builder {
    fg_ctx *ctx;
    const fg_profile *p;
    struct fg__tree *tree;
    size_t count, cap; /* nodes */
    item *items, *spare;
    uint32_t *rank;    /* frame id → place in the order of names */
    uint32_t *by_rank; /* and back */
    uint32_t *counts;  /* one for each rank, all 0 between groups */
    uint32_t *seen;    /* ranks that the group at hand has */
    group *groups;
    size_t group_count, group_cap;
} builder;

void fg__tree_free(fg_ctx *ctx, struct fg__tree *tree) {
    if (!tree) return;
    uint32_t *arrays[] = {tree->parent, tree->frame, tree->depth, tree->end};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) fg_free(ctx, arrays[i]);
    for (size_t t = 0; t < FG_MAX_TYPES; t++) {
        fg_free(ctx, tree->self[t]);
        fg_free(ctx, tree->total[t]);
    }
    fg_free(ctx, tree);
}

/* ---- frames by name ------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b, void *user) {
    const fg_profile *p = user;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(fg__frame_name(p, x).bytes, fg__frame_name(p, y).bytes);
    return order ? order : x < y ? -1 : x > y;
}

static int rank_frames(builder *b) {
    size_t n = b->p->frame_count;
    b->rank = fg__alloc(b->ctx, n * sizeof *b->rank);
    b->by_rank = fg__alloc(b->ctx, n * sizeof *b->by_rank);
    b->counts = fg__calloc(b->ctx, n, sizeof *b->counts);
    b->seen = fg__alloc(b->ctx, n * sizeof *b->seen);
    if (!b->rank || !b->by_rank || !b->counts || !b->seen) return FG_ENOMEM;
    for (uint32_t i = 0; i < n; i++) b->by_rank[i] = i;
    qsort_r(b->by_rank, n, sizeof *b->by_rank, by_name, (void *)(uintptr_t)b->p);
    for (uint32_t i = 0; i < n; i++) b->rank[b->by_rank[i]] = i;
    return 0;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static int grow_nodes(builder *b) {
    if (b->count >= FG__NONE - 1)
        return fg__fail(b->ctx, FG_ELIMIT, "the tree has more than 4 billion nodes");
    struct fg__tree *tree = b->tree;
    size_t wanted = b->cap ? b->cap * 2 : 1024;
    uint32_t **arrays[] = {&tree->parent, &tree->frame, &tree->depth};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        uint32_t *grown = fg__realloc(b->ctx, *arrays[i], wanted * sizeof *grown);
        if (!grown) return FG_ENOMEM;
        *arrays[i] = grown;
    }
    for (size_t t = 0; t < b->p->type_count; t++) {
        int64_t *grown = fg__realloc(b->ctx, tree->self[t], wanted * sizeof *grown);
        if (!grown) return FG_ENOMEM;
        tree->self[t] = grown;
    }
    b->cap = wanted;
    return 0;
}

static int add_node(builder *b, uint32_t parent, uint32_t frame, uint32_t depth) {
    if (FG__UNLIKELY(b->count == b->cap)) {
        int err = grow_nodes(b);
        if (err) return err;
    }
    size_t i = b->count++;
    b->tree->parent[i] = parent;
    b->tree->frame[i] = frame;
    b->tree->depth[i] = depth;
    for (size_t t = 0; t < b->p->type_count; t++) b->tree->self[t][i] = 0;
    return 0;
}

static void set_self(builder *b, uint32_t stack) {
    for (size_t t = 0; t < b->p->type_count; t++) b->tree->self[t][b->count - 1] = b->p->values[t][stack];
}

/* A group of one stack is a chain of nodes. */
static int add_chain(builder *b, const item *it, uint32_t parent, uint32_t depth) {
    for (uint32_t i = 0; i < it->left; i++) {
        int err = add_node(b, parent, it->next[i], depth + 1 + i);
        if (err) return err;
        parent = (uint32_t)(b->count - 1);
    }
    set_self(b, it->stack);
    return 0;
}

/* ---- grouping ------------------------------------------------------------------------------------------ */

static void sort_small(const builder *b, item *items, uint32_t n) {
    for (uint32_t i = 1; i < n; i++) {
        item it = items[i];
        uint32_t key = b->rank[*it.next], j = i;
        for (; j > 0 && b->rank[*items[j - 1].next] > key; j--) items[j] = items[j - 1];
        items[j] = it;
    }
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Counting sort over the ranks that occur. */
static void sort_large(builder *b, item *items, uint32_t n) {
    uint32_t seen = 0, at = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = b->rank[*items[i].next];
        if (!b->counts[key]++) b->seen[seen++] = key;
    }
    if (seen > 1) {
        qsort(b->seen, seen, sizeof *b->seen, by_number);
        for (uint32_t i = 0; i < seen; i++) {
            uint32_t count = b->counts[b->seen[i]];
            b->counts[b->seen[i]] = at;
            at += count;
        }
        for (uint32_t i = 0; i < n; i++) b->spare[b->counts[b->rank[*items[i].next]]++] = items[i];
        memcpy(items, b->spare, n * sizeof *items);
    }
    for (uint32_t i = 0; i < seen; i++) b->counts[b->seen[i]] = 0;
}

/* Push a group for each run of equal next frames, last first, so that the first one is popped next. */
static int push_children(builder *b, const group *g, uint32_t node) {
    for (uint32_t to = g->to; to > g->from;) {
        uint32_t from = to - 1, frame = *b->items[from].next;
        while (from > g->from && *b->items[from - 1].next == frame) from--;
        int err = fg__grow(b->ctx, &b->groups, &b->group_cap, b->group_count + 1, sizeof *b->groups);
        if (err) return err;
        b->groups[b->group_count++] = (group){from, to, node, frame, g->depth + 1};
        to = from;
    }
    return 0;
}

/* Turn a group into its node and its children into groups. */
static int open_group(builder *b, group g) {
    if (g.to - g.from == 1 && g.frame != FG_NO_FRAME)
        return add_chain(b, &b->items[g.from], g.parent, g.depth - 1);
    int err = add_node(b, g.parent, g.frame, g.depth);
    if (err) return err;
    uint32_t node = (uint32_t)(b->count - 1);
    bool root = g.frame == FG_NO_FRAME;
    for (uint32_t i = g.from; i < g.to; i++) {
        item *it = &b->items[i];
        if (!root) it->next++, it->left--;
        if (it->left == 0) {
            set_self(b, it->stack);
            item first = b->items[g.from];
            b->items[g.from] = *it;
            b->items[i] = first;
        }
    }
    if (g.from < g.to && b->items[g.from].left == 0) g.from++;
    uint32_t n = g.to - g.from;
    if (n > SMALL_GROUP)
        sort_large(b, b->items + g.from, n);
    else
        sort_small(b, b->items + g.from, n);
    return push_children(b, &g, node);
}

static int build(builder *b) {
    const fg_profile *p = b->p;
    size_t n = p->stack_count;
    b->items = fg__alloc(b->ctx, n * sizeof *b->items);
    b->spare = fg__alloc(b->ctx, n * sizeof *b->spare);
    if (!b->items || !b->spare) return FG_ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        size_t depth;
        const uint32_t *stack = fg__stack_at(p, i, &depth);
        if (depth >= FG__NONE) return fg__fail(b->ctx, FG_ELIMIT, "a stack has more than 4 billion frames");
        b->items[i] = (item){stack, (uint32_t)depth, i};
    }
    int err = rank_frames(b);
    if (!err) err = open_group(b, (group){0, (uint32_t)n, 0, FG_NO_FRAME, 0});
    while (b->group_count && !err) err = open_group(b, b->groups[--b->group_count]);
    return err;
}

/* Children follow their parents, so one backward pass adds up totals and finds where subtrees end. */
static int finish(builder *b) {
    struct fg__tree *tree = b->tree;
    size_t n = b->count, types = b->p->type_count;
    fg_tree *view = &tree->view;
    *view = (fg_tree){.count = (uint32_t)n, .type_count = (uint32_t)types};
    tree->end = fg__alloc(b->ctx, n * sizeof *tree->end);
    if (!tree->end) return FG_ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        tree->end[i] = i + 1;
        if (tree->depth[i] > view->max_depth) view->max_depth = tree->depth[i];
    }
    for (size_t i = n - 1; i > 0; i--)
        if (tree->end[tree->parent[i]] < tree->end[i]) tree->end[tree->parent[i]] = tree->end[i];
    for (size_t t = 0; t < types; t++) {
        int64_t *total = tree->total[t] = fg__alloc(b->ctx, n * sizeof *total);
        if (!total) return FG_ENOMEM;
        memcpy(total, tree->self[t], n * sizeof *total);
        for (size_t i = n - 1; i > 0; i--) total[tree->parent[i]] += total[i];
        view->self[t] = tree->self[t];
        view->total[t] = total;
    }
    view->parent = tree->parent;
    view->frame = tree->frame;
    view->depth = tree->depth;
    view->end = tree->end;
    return 0;
}

int fg_profile_tree(const fg_tree **out, fg_profile *p) {
    if (!p->tree) {
        builder b = {.ctx = p->ctx, .p = p, .tree = fg__calloc(p->ctx, 1, sizeof *b.tree)};
        if (!b.tree) return FG_ENOMEM;
        int err = build(&b);
        if (!err) err = finish(&b);
        void *scratch[] = {b.items, b.spare, b.rank, b.by_rank, b.counts, b.seen, b.groups};
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
