/* Who calls whom: the pairs of neighbours in the stacks. The tree has the same, but is sorted first, for nothing here. */
#include "core/core.h"

typedef struct found {
    fg_ctx *ctx;
    fg__call_pair *list;
    size_t count, cap;
    fg__table index;
} found;

static int note(found *f, fg__call_pair call) {
    uint64_t hash = fg__hash(&call, sizeof call);
    uint32_t id;
    for (uint32_t at = fg__table_first(&f->index, hash); (id = fg__table_id(&f->index, at)) != FG__NONE;
         at = fg__table_next(&f->index, at))
        if (fg__table_maybe(&f->index, at, hash) && memcmp(&f->list[id], &call, sizeof call) == 0) return 0;
    int err = fg__grow(f->ctx, &f->list, &f->cap, f->count + 1, sizeof call);
    if (!err) err = fg__table_add(f->ctx, &f->index, hash, (uint32_t)f->count);
    if (!err) f->list[f->count++] = call;
    return err;
}

static int note_stack(found *f, const uint32_t *stack, size_t n, const uint8_t *wanted, const uint32_t *as) {
    int err = 0;
    for (size_t k = 1; k < n && !err; k++) {
        fg__call_pair call = {stack[k - 1], stack[k]};
        if (!(wanted[call.caller] | wanted[call.callee])) continue;
        if (as) call = (fg__call_pair){as[call.caller], as[call.callee]};
        if (call.caller == call.callee) continue;
        err = note(f, call);
    }
    return err;
}

int fg__calls(fg__call_pair **out, size_t *count, fg_profile *p, const uint8_t *wanted, const uint32_t *as) {
    found f = {.ctx = p->ctx};
    int err = 0;
    for (size_t i = 0; i < p->stack_count && !err; i++) {
        size_t n;
        const uint32_t *stack = fg__stack_at(p, i, &n);
        err = note_stack(&f, stack, n, wanted, as);
    }
    fg_free(p->ctx, f.index.slots);
    if (err) {
        fg_free(p->ctx, f.list);
        return err;
    }
    *out = f.list;
    *count = f.count;
    return 0;
}
