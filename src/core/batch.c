/* Stacks into a stack table, a batch at a time. Drawn in batch.h. */
#include "core/batch.h"

/* What the stack gives to each column of `to`. */
static int values_of(int64_t *values, const fg__batch *b, uint32_t stack) {
    memset(values, 0, b->to->type_count * sizeof *values);
    for (size_t t = 0; t < b->from->type_count; t++) {
        int to = b->column ? b->column[t] : (int)t;
        if (to < 0) continue;
        values[to] = b->from->values[t][stack];
        if (b->scale && __builtin_mul_overflow(values[to], b->scale, &values[to]))
            return fg__fail(b->to->ctx, FG_ELIMIT, "a value times %lld is more than 2^63",
                            (long long)b->scale);
    }
    return 0;
}

static int add(fg__batch *b, const struct fg__batched *w) {
    int64_t values[FG_MAX_TYPES];
    uint32_t id;
    const uint32_t *frames = b->frames + w->at;
    int err = values_of(values, b, w->stack);
    if (!err)
        err = b->fresh ? fg__stack_append(b->to, frames, w->n, values, &id)
                       : fg__stack_add(b->to, frames, w->n, w->hash, values, &id);
    if (err) return err;
    if (b->ids) b->ids[w->stack] = id;
    if (b->run == FG__NONE) return 0;
    bool after = b->run >= b->to->runs[0]; /* what a run gave: one of the two columns has it */
    return fg__part_add(b->to, (fg__part){b->run, id, values[after]});
}

/* Each step needs what the one before has asked for. */
static void fetch(const fg__batch *b) {
    uint32_t likely[FG__BATCH];
    for (size_t i = 0; i < b->count; i++) {
        likely[i] = fg__stack_likely(b->to, b->waiting[i].hash);
        if (likely[i] != FG__NONE) fg__stack_fetch_start(b->to, likely[i]);
    }
    for (size_t i = 0; i < b->count; i++) {
        if (likely[i] == FG__NONE) continue;
        fg__stack_fetch(b->to, likely[i], 0);
        for (size_t t = 0; t < b->to->type_count; t++) __builtin_prefetch(&b->to->values[t][likely[i]], 1);
    }
}

static int drain(fg__batch *b) {
    int err = 0;
    if (!b->fresh) fetch(b);
    for (size_t i = 0; i < b->count && !err; i++) err = add(b, &b->waiting[i]);
    b->count = b->n = 0;
    return err;
}

int fg__batch_put(fg__batch *b, uint32_t stack, size_t n) {
    struct fg__batched *w = &b->waiting[b->count++];
    *w = (struct fg__batched){.stack = stack, .at = b->n, .n = n};
    if (!b->fresh) {
        w->hash = fg__stack_hash(b->frames + w->at, n);
        fg__stack_prefetch(b->to, w->hash);
    }
    b->n += n;
    return b->count == FG__BATCH ? drain(b) : 0;
}

int fg__batch_end(fg__batch *b, int err) {
    if (!err) err = drain(b);
    fg_free(b->to->ctx, b->frames);
    return err;
}
