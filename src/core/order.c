/*
 * Stacks in the order of their frames' ranks: what the tree is made from, and the lines of folded text.
 *
 * It is an MSD radix sort with keys of several frames at a time: each item carries the ranks of the next frames of its
 * stack, as many as fit into 64 bits. Only when these are all equal to another item's does it go back to its stack, in
 * a round for all such items, so that the cache misses of one overlap with the next one's.
 *
 *      key   [ rank of frame i | rank of i+1 | … | 0 ]     ranks from 1 on; 0: the stack has ended
 */
#include "core/order.h"

enum { KEY_BITS = 64, RADIX_BITS = 8, BUCKETS = 1 << RADIX_BITS, TOP = KEY_BITS - RADIX_BITS, SMALL = 24 };

typedef struct item {
    uint64_t key;
    uint32_t stack;
} item;

/* Items from … to, which are equal in the bits of their keys above `shift` + RADIX_BITS. */
typedef struct range {
    uint32_t from, to, shift;
} range;

typedef struct ranges {
    range *list;
    size_t count, cap;
} ranges;

typedef struct sorter {
    const fg_profile *p;
    const uint32_t *inner, *last;
    uint32_t bits, frames_per_key;
    item *items, *spare;
    uint32_t *places; /* scratch */
    size_t count;
    ranges todo;  /* of the range at hand */
    ranges equal; /* equal in all frames up to now: for the next round */
} sorter;

/* The ranks of the frames of a stack from `at` on. */
static uint64_t key_of(const sorter *s, uint32_t stack, size_t at) {
    size_t n;
    const uint32_t *frames = fg__stack_at(s->p, stack, &n);
    uint64_t key = 0;
    uint32_t shift = KEY_BITS;
    for (uint32_t k = 0; k < s->frames_per_key && at + k < n; k++) {
        uint32_t frame = frames[at + k];
        uint64_t rank = (at + k + 1 == n ? s->last[frame] : s->inner[frame]) + (uint64_t)1;
        shift -= s->bits;
        key |= rank << shift;
    }
    return key;
}

/* Whether a stack ends within its key. One that ends with its key takes another round to find that. */
static bool has_ended(const sorter *s, uint64_t key) {
    uint64_t mask = ((uint64_t)1 << s->bits) - 1;
    return (key >> (KEY_BITS - s->bits * s->frames_per_key) & mask) == 0;
}

static int push(const sorter *s, ranges *to, size_t from, size_t end, uint32_t shift) {
    if (end - from < 2) return 0;
    int err = fg__grow(s->p->ctx, &to->list, &to->cap, to->count + 1, sizeof *to->list);
    if (!err) to->list[to->count++] = (range){(uint32_t)from, (uint32_t)end, shift};
    return err;
}

/* Items that are equal down to `shift`: on to their next bits, or to their next frames. */
static int push_rest(sorter *s, size_t from, size_t end, uint32_t shift) {
    if (shift) return push(s, &s->todo, from, end, shift - RADIX_BITS);
    return has_ended(s, s->items[from].key) ? 0 : push(s, &s->equal, from, end, TOP);
}

static int sort_small(sorter *s, range r) {
    item *items = s->items;
    for (size_t i = r.from + (size_t)1; i < r.to; i++) {
        item it = items[i];
        size_t j = i;
        for (; j > r.from && items[j - 1].key > it.key; j--) items[j] = items[j - 1];
        items[j] = it;
    }
    int err = 0;
    for (size_t from = r.from, to; from < r.to && !err; from = to) {
        for (to = from + 1; to < r.to && items[to].key == items[from].key;) to++;
        if (to - from > 1) err = push_rest(s, from, to, 0);
    }
    return err;
}

/* One step of the radix sort: by eight bits of the keys. */
static int sort_large(sorter *s, range r) {
    uint32_t ends[BUCKETS] = {0};
    size_t n = r.to - r.from, at = 0, from = r.from;
    item *items = s->items + r.from;
    for (size_t i = 0; i < n; i++) ends[items[i].key >> r.shift & (BUCKETS - 1)]++;
    if (ends[items[0].key >> r.shift & (BUCKETS - 1)] == n) return push_rest(s, r.from, r.to, r.shift);
    for (size_t i = 0; i < BUCKETS; i++) {
        uint32_t count = ends[i];
        ends[i] = (uint32_t)at;
        at += count;
    }
    for (size_t i = 0; i < n; i++) s->spare[ends[items[i].key >> r.shift & (BUCKETS - 1)]++] = items[i];
    memcpy(items, s->spare, n * sizeof *items);
    for (size_t i = 0; i < BUCKETS; i++) {
        size_t to = r.from + (size_t)ends[i];
        int err = to > from ? push_rest(s, from, to, r.shift) : 0;
        if (err) return err;
        from = to;
    }
    return 0;
}

/* Sort by the keys that the items have, and collect what is still equal then. */
static int sort_range(sorter *s, range r) {
    s->todo.count = 0;
    int err = push(s, &s->todo, r.from, r.to, r.shift);
    while (s->todo.count && !err) {
        r = s->todo.list[--s->todo.count];
        err = r.to - r.from <= SMALL ? sort_small(s, r) : sort_large(s, r);
    }
    return err;
}

/* The places of all items in the ranges, and how many they are. */
static size_t list_places(sorter *s, const ranges *of) {
    size_t n = 0;
    for (size_t i = 0; i < of->count; i++)
        for (uint32_t place = of->list[i].from; place < of->list[i].to; place++) s->places[n++] = place;
    return n;
}

/* Give the items in the ranges their keys from frame `at` on. The stacks of those behind are asked for meanwhile. */
static void load_keys(sorter *s, const ranges *of, size_t at) {
    size_t n = list_places(s, of);
    for (size_t i = 0; i < n; i++) {
        if (i + 2 * FG__AHEAD < n) {
            fg__stack_fetch_start(s->p, s->items[s->places[i + 2 * FG__AHEAD]].stack);
            fg__stack_fetch(s->p, s->items[s->places[i + FG__AHEAD]].stack, at);
        }
        item *it = &s->items[s->places[i]];
        it->key = key_of(s, it->stack, at);
    }
}

/* Round by round: all stacks by their first frames, those that are equal in these by the next ones, and so on. */
static int sort(sorter *s) {
    int err = push(s, &s->equal, 0, s->count, TOP);
    for (size_t at = 0; s->equal.count && !err; at += s->frames_per_key) {
        ranges now = s->equal;
        s->equal = (ranges){0};
        load_keys(s, &now, at);
        for (size_t i = 0; i < now.count && !err; i++) err = sort_range(s, now.list[i]);
        fg_free(s->p->ctx, now.list);
    }
    return err;
}

int fg__stack_order(uint32_t *order, size_t n, const fg_profile *p, const uint32_t *inner,
                    const uint32_t *last, uint32_t ranks) {
    sorter s = {.p = p, .inner = inner, .last = last, .bits = 1, .count = n, .places = order};
    while ((uint64_t)ranks >> s.bits) s.bits++;
    s.frames_per_key = KEY_BITS / s.bits;
    s.items = fg__alloc(p->ctx, n * sizeof *s.items);
    s.spare = fg__alloc(p->ctx, n * sizeof *s.spare);
    int err = s.items && s.spare ? 0 : FG_ENOMEM;
    if (!err) {
        for (size_t i = 0; i < n; i++) s.items[i].stack = order[i];
        err = sort(&s);
        for (size_t i = 0; i < n; i++) order[i] = s.items[i].stack;
    }
    void *owned[] = {s.items, s.spare, s.todo.list, s.equal.list};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    return err;
}
