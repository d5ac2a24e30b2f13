/*
 * Where frames go. A node starts where its parent has got to, and is as wide as all stacks that are in it; when the walk
 * leaves it, that is known, and it is kept if it is wide enough. Positions are sums of values, so nothing drifts.
 */
#include "render/render.h"

/* A node of the path that the walk is at. */
typedef struct level {
    uint32_t node, frame;
    double x, next, size; /* where it starts, where its next child does, and its width, in values */
    int64_t self[2], total[2];
} level;

typedef struct placer {
    fg__picture *pic;
    level *path;
    fg__box *boxes;
    uint32_t *depths; /* of the boxes */
    size_t path_cap, count, box_cap, depth_cap;
    double scale, min_width;
    uint32_t nodes, max_rows, deepest;
} placer;

static fg__box box_of(const placer *b, const level *l) {
    fg__box box = {.node = l->node,
                   .frame = l->frame,
                   .x = (float)(l->x * b->scale),
                   .width = (float)(l->size * b->scale)};
    memcpy(box.self, l->self, sizeof box.self);
    memcpy(box.total, l->total, sizeof box.total);
    return box;
}

static int add_box(placer *b, const level *l, uint32_t depth) {
    fg_ctx *ctx = b->pic->ctx;
    if (depth > b->deepest) b->deepest = depth;
    if (depth >= b->max_rows) return 0;
    int err = fg__grow(ctx, &b->boxes, &b->box_cap, b->count + 1, sizeof *b->boxes);
    if (!err) err = fg__grow(ctx, &b->depths, &b->depth_cap, b->count + 1, sizeof *b->depths);
    if (err) return err;
    b->depths[b->count] = depth;
    b->boxes[b->count++] = box_of(b, l);
    return 0;
}

static int open_levels(placer *b, const fg__walk *w) {
    int err = fg__grow(b->pic->ctx, &b->path, &b->path_cap, w->n + 1, sizeof *b->path);
    if (err) return err;
    double x = b->path[w->shared].next;
    for (size_t depth = w->shared + 1; depth <= w->n; depth++)
        b->path[depth] = (level){.node = ++b->nodes, .frame = w->frames[depth - 1], .x = x, .next = x};
    return 0;
}

/* The stack's values are its last node's own. */
static void add_values(level *l, const fg__picture *pic, uint32_t stack) {
    l->size += fg__picture_values(l->self, pic, stack);
    for (size_t i = 0; i < 2; i++) l->total[i] += l->self[i];
}

/* The last `n` nodes of the path, which is `depth` deep, have all that is in them. */
static int close_levels(placer *b, size_t depth, size_t n) {
    int err = 0;
    for (; n && !err; n--, depth--) {
        const level *l = &b->path[depth];
        level *above = &b->path[depth - 1];
        above->next += l->size;
        above->size += l->size;
        for (size_t i = 0; i < 2; i++) above->total[i] += l->total[i];
        if (l->size > 0 && l->size * b->scale >= b->min_width) err = add_box(b, l, (uint32_t)depth);
    }
    return err;
}

static int place(placer *b) {
    fg__walk *w = &b->pic->walk;
    int err = fg__grow(b->pic->ctx, &b->path, &b->path_cap, 1, sizeof *b->path);
    if (err) return err;
    b->path[0] = (level){.frame = FG_NO_FRAME};
    fg__walk_again(w);
    while (!err && fg__walk_next(w)) {
        err = close_levels(b, w->shared + w->left, w->left);
        if (!err) err = open_levels(b, w);
        if (!err) add_values(&b->path[w->n], b->pic, w->stack);
    }
    if (!err) err = close_levels(b, w->n, w->n);
    return err ? err : add_box(b, &b->path[0], 0);
}

/* Sort by row; in a row the order stays, which is from left to right. */
static int sort_rows(fg__layout *out, placer *b) {
    uint32_t rows = b->deepest + 1 < b->max_rows ? b->deepest + 1 : b->max_rows;
    out->boxes = fg__alloc(b->pic->ctx, b->count * sizeof *out->boxes);
    out->rows = fg__calloc(b->pic->ctx, rows + 1, sizeof *out->rows);
    if (!out->boxes || !out->rows) return FG_ENOMEM;
    out->root = box_of(b, &b->path[0]);
    out->count = b->count;
    out->row_count = rows;
    out->hidden = b->deepest + 1 - rows;
    for (size_t i = 0; i < b->count; i++) out->rows[b->depths[i]]++;
    for (uint32_t r = 0, at = 0; r <= rows; r++) {
        uint32_t n = out->rows[r];
        out->rows[r] = at;
        at += n;
    }
    for (size_t i = 0; i < b->count; i++) out->boxes[out->rows[b->depths[i]]++] = b->boxes[i];
    for (uint32_t r = rows; r > 0; r--) out->rows[r] = out->rows[r - 1];
    out->rows[0] = 0;
    return 0;
}

int fg__layout_open(fg__layout *out, fg__picture *pic, double width, double min_width, uint32_t max_rows) {
    *out = (fg__layout){0};
    placer b = {.pic = pic, .scale = width / pic->whole, .min_width = min_width, .max_rows = max_rows};
    int err = place(&b);
    if (!err) err = sort_rows(out, &b);
    void *owned[] = {b.path, b.boxes, b.depths};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(pic->ctx, owned[i]);
    return err;
}

void fg__layout_close(fg__layout *layout, fg_ctx *ctx) {
    fg_free(ctx, layout->boxes);
    fg_free(ctx, layout->rows);
}
