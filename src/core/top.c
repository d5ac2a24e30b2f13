/* Ranking of frames by the value of the stacks that end in them (self) or contain them (total). */
#include "core/core.h"
#include <stdlib.h>

static int by_value(const void *a, const void *b, void *user) {
    const fg_top_entry *x = a, *y = b;
    const fg_profile *p = user;
    if (x->self != y->self) return x->self > y->self ? -1 : 1;
    if (x->total != y->total) return x->total > y->total ? -1 : 1;
    int order = strcmp(fg__frame_name(p, x->frame).bytes, fg__frame_name(p, y->frame).bytes);
    return order ? order : x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* `last[f]` is the stack that frame f was last counted for, so that recursion counts once. */
static void add_up(fg_top_entry *entries, uint32_t *last, const fg_profile *p, size_t type,
                   const uint32_t *as) {
    for (uint32_t i = 0; i < p->stack_count; i++) {
        size_t n;
        const uint32_t *stack = fg__stack_at(p, i, &n);
        int64_t value = p->values[type][i];
        for (size_t k = 0; k < n; k++) {
            uint32_t frame = as ? as[stack[k]] : stack[k];
            if (last[frame] == i) continue;
            last[frame] = i;
            entries[frame].total += value;
        }
        if (n) entries[as ? as[stack[n - 1]] : stack[n - 1]].self += value;
    }
}

int fg_profile_top(fg_top_entry **out, size_t *count, fg_profile *p, size_t type, size_t limit) {
    return fg__top(out, count, p, type, limit, NULL);
}

int fg__top(fg_top_entry **out, size_t *count, fg_profile *p, size_t type, size_t limit, const uint32_t *as) {
    if (type >= p->type_count) return fg__fail(p->ctx, FG_EINVAL, "the profile has no value type %zu", type);
    size_t n = p->frame_count;
    fg_top_entry *entries = fg__calloc(p->ctx, n, sizeof *entries);
    uint32_t *last = fg__frame_map(p->ctx, p);
    if (!entries || !last) {
        fg_free(p->ctx, entries);
        fg_free(p->ctx, last);
        return FG_ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++) entries[i].frame = i;
    add_up(entries, last, p, type, as);
    fg_free(p->ctx, last);
    qsort_r(entries, n, sizeof *entries, by_value, p);
    while (n && entries[n - 1].total == 0) n--; /* frames of other columns */
    *out = entries;
    *count = limit && limit < n ? limit : n;
    return 0;
}
