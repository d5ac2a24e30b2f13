/* Stacks of addresses: each is kept once, under a number of our own, which outlives the trace's. */
#include "formats/nettrace_inside.h"

static bool same(const stacks *s, uint32_t id, const uint64_t *addresses, size_t n) {
    return s->start[id + 1] - s->start[id] == n &&
           memcmp(s->addresses + s->start[id], addresses, n * sizeof *addresses) == 0;
}

/* The stack whose addresses stand behind those of all others. */
static int intern(uint32_t *out, fg_ctx *ctx, stacks *s, size_t n) {
    const uint64_t *addresses = s->addresses + s->address_count;
    uint64_t hash = fg__hash(addresses, n * sizeof *addresses);
    uint32_t id;
    for (uint32_t at = fg__table_first(&s->index, hash); (id = fg__table_id(&s->index, at)) != FG__NONE;
         at = fg__table_next(&s->index, at)) {
        if (!fg__table_maybe(&s->index, at, hash) || !same(s, id, addresses, n)) continue;
        *out = id;
        return 0;
    }
    if (s->count >= FG__NONE - 1)
        return fg__fail(ctx, FG_ELIMIT, "more than %u different stacks", FG__NONE - 1);
    int err = fg__grow(ctx, &s->start, &s->start_cap, s->count + 2, sizeof *s->start);
    if (!err) err = fg__table_add(ctx, &s->index, hash, (uint32_t)s->count);
    if (err) return err;
    s->start[0] = 0;
    s->address_count += n;
    *out = (uint32_t)s->count++;
    s->start[s->count] = s->address_count;
    return 0;
}

static int read_stack(uint32_t *out, fg_ctx *ctx, stacks *s, bytes *b) {
    bytes stack = fg__nettrace_part(b, take_u32(b));
    size_t size = (size_t)(stack.end - stack.p), n = size / sizeof(uint64_t);
    if (size % sizeof(uint64_t)) b->wrong = "a stack of addresses that are not of 64 bits";
    *out = FG__NONE;
    if (b->wrong || n == 0) return 0;
    int err = fg__grow(ctx, &s->addresses, &s->address_cap, s->address_count + n, sizeof *s->addresses);
    if (err) return err;
    memcpy(s->addresses + s->address_count, stack.p, size);
    return intern(out, ctx, s, n);
}

/* The runtime counts upwards: numbers that do not are those of another count. */
static void add_range(stacks *s, stack_range range) {
    stack_range *last = s->range_count ? &s->ranges[s->range_count - 1] : NULL;
    if (last && last->first + last->n == range.first) {
        last->n += range.n;
        return;
    }
    if (last && last->first + last->n > range.first) s->range_count = 0;
    s->ranges[s->range_count++] = range;
}

int fg__nettrace_read_stacks(fg_ctx *ctx, stacks *s, bytes *b) {
    uint32_t first = take_u32(b), n = take_u32(b);
    if (b->wrong) return 0;
    if (n > (size_t)(b->end - b->p) / sizeof(uint32_t)) {
        b->wrong = "more stacks than it has room for";
        return 0;
    }
    int err = fg__grow(ctx, &s->ids, &s->id_cap, s->id_count + n, sizeof *s->ids);
    if (!err) err = fg__grow(ctx, &s->ranges, &s->range_cap, s->range_count + 1, sizeof *s->ranges);
    if (err) return err;
    size_t from = s->id_count;
    for (uint32_t i = 0; i < n && !err && !b->wrong; i++) err = read_stack(&s->ids[s->id_count++], ctx, s, b);
    if (!err) add_range(s, (stack_range){first, n, from});
    return err;
}

void fg__nettrace_forget_stacks(stacks *s) {
    s->range_count = s->id_count = 0;
}

uint32_t fg__nettrace_find_stack(const stacks *s, uint32_t number) {
    size_t low = 0, high = s->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].first <= number)
            low = middle + 1;
        else
            high = middle;
    }
    const stack_range *r = low ? &s->ranges[low - 1] : NULL;
    return r && number - r->first < r->n ? s->ids[r->from + (number - r->first)] : FG__NONE;
}

void fg__nettrace_free_stacks(fg_ctx *ctx, stacks *s) {
    void *owned[] = {s->addresses, s->start, s->index.slots, s->ids, s->ranges};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(ctx, owned[i]);
}
