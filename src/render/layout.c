/*
 * Where frames go. One walk over the tree, which is in depth-first order: a node starts where its row has got
 * to, and what is too narrow is passed over with all that is below it. Positions are sums of values, so
 * nothing drifts.
 */
#include "render/render.h"

typedef struct placer {
    const fg__picture *pic;
    fg__box *boxes;
    uint32_t *depths; /* of the boxes */
    size_t count, box_cap, depth_cap;
    double *next; /* per row: where the next node starts, in values */
    uint32_t max_rows, deepest;
} placer;

static int add_box(placer *b, uint32_t node, double x, double width) {
    fg_ctx *ctx = b->pic->ctx;
    int err = fg__grow(ctx, &b->boxes, &b->box_cap, b->count + 1, sizeof *b->boxes);
    if (!err) err = fg__grow(ctx, &b->depths, &b->depth_cap, b->count + 1, sizeof *b->depths);
    if (err) return err;
    b->depths[b->count] = b->pic->tree->depth[node];
    b->boxes[b->count++] = (fg__box){node, (float)x, (float)width};
    return 0;
}

static int place(placer *b, double scale, double min_width) {
    const fg_tree *tree = b->pic->tree;
    for (uint32_t i = 0; i < tree->count;) {
        uint32_t depth = tree->depth[i];
        double size = fg__picture_size(b->pic, i), x = b->next[depth];
        b->next[depth] += size;
        if (size <= 0 || size * scale < min_width) {
            i = tree->end[i];
            continue;
        }
        int err = depth < b->max_rows ? add_box(b, i, x * scale, size * scale) : 0;
        if (err) return err;
        if (depth > b->deepest) b->deepest = depth;
        b->next[depth + 1] = x;
        i++;
    }
    return 0;
}

/* Sort by row; in a row the order stays, which is from left to right. */
static int sort_rows(fg__layout *out, placer *b) {
    uint32_t rows = b->deepest + 1 < b->max_rows ? b->deepest + 1 : b->max_rows;
    out->boxes = fg__alloc(b->pic->ctx, b->count * sizeof *out->boxes);
    out->rows = fg__calloc(b->pic->ctx, rows + 1, sizeof *out->rows);
    if (!out->boxes || !out->rows) return FG_ENOMEM;
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

int fg__layout_open(fg__layout *out, const fg__picture *pic, double width, double min_width,
                    uint32_t max_rows) {
    *out = (fg__layout){0};
    placer b = {.pic = pic, .max_rows = max_rows};
    b.next = fg__calloc(pic->ctx, pic->tree->max_depth + 2, sizeof *b.next);
    if (!b.next) return FG_ENOMEM;
    int err = place(&b, width / pic->whole, min_width);
    if (!err) err = sort_rows(out, &b);
    fg_free(pic->ctx, b.next);
    fg_free(pic->ctx, b.boxes);
    fg_free(pic->ctx, b.depths);
    return err;
}

void fg__layout_close(fg__layout *layout, fg_ctx *ctx) {
    fg_free(ctx, layout->boxes);
    fg_free(ctx, layout->rows);
}
