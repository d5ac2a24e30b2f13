/* The tree that a profile owns. */
#ifndef FG_TREE_H
#define FG_TREE_H

#include "core/core.h"

struct fg__tree {
    fg_tree view; /* what callers see: pointers into the arrays below */
    uint32_t *parent, *frame, *depth, *end;
    int64_t *self[FG_MAX_TYPES], *total[FG_MAX_TYPES];
    uint32_t *node; /* of each stack; NULL where the profile has no parts */
};

/* NULL is accepted. */
void fg__tree_free(fg_ctx *ctx, struct fg__tree *tree);

#endif
