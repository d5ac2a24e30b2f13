/*
 * What each run gave to each stack of a diff, or each slice of time: filled by fg_diff_runs and by slices.c, carried
 * along by what makes profiles of profiles.
 */
#include "core/core.h"

int fg__part_add(fg_profile *p, fg__part part) {
    int err = fg__grow(p->ctx, &p->parts, &p->part_cap, p->part_count + 1, sizeof part);
    if (!err) p->parts[p->part_count++] = part;
    return err;
}

int fg__parts_map(uint32_t **ids, const fg_profile *from) {
    *ids = NULL;
    if (!from->part_count) return 0;
    *ids = fg__no_ids(from->ctx, from->stack_count);
    return *ids ? 0 : FG_ENOMEM;
}

int fg__parts_copy(fg_profile *to, const fg_profile *from, const uint32_t *ids) {
    if (!ids) return 0;
    memcpy(to->runs, from->runs, sizeof to->runs);
    memcpy(to->slice_length, from->slice_length, sizeof to->slice_length);
    to->slice_type = from->slice_type;
    for (size_t i = 0; i < from->part_count; i++) {
        fg__part part = from->parts[i];
        part.stack = ids[part.stack];
        int err = part.stack == FG__NONE ? 0 : fg__part_add(to, part);
        if (err) return err;
    }
    return 0;
}
