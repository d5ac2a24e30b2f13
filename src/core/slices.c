/*
 * Time slices: what each stack gave in each slice of time, sparse. From how much slices differ a diff of one run a side
 * tells its noise (noise.c).
 *
 *   moments    0 ────────────── 100 ms ─────────── 200 ms ──────── …         slices are 100 ms long at first
 *   entries    (0, a, 5) (0, b, 2) (1, a, 7) …                               in the order in which they come
 *   last       a → 2, b → 1                                                  the entry that a stack added to last
 *
 * There are never more than FG__SLICES_MOST of them: when time goes on, slices become twice as long, two are made one,
 * and a profile of more than ten seconds has between 50 and 100. The same happens where there are too many entries, so
 * that memory is bounded, too; where it does not help, the log is given up, which a note says.
 */
#include "core/core.h"

enum { ENTRIES_MOST = 1 << 22 };
static const uint64_t shortest = 100000000; /* ns */

static uint64_t since(const fg__slices *s, int64_t time) {
    return time <= s->origin ? 0 : (uint64_t)time - (uint64_t)s->origin;
}

static void add_value(int64_t *sum, int64_t value) {
    if (!fg__add64(sum, *sum, value)) *sum = INT64_MAX;
}

/* Room for the entry was made before. */
static void put(fg__slices *s, fg__part entry) {
    uint32_t last = s->last[entry.stack];
    if (last && s->entries[last - 1].run == entry.run) {
        add_value(&s->entries[last - 1].value, entry.value);
        return;
    }
    s->entries[s->n++] = entry;
    s->last[entry.stack] = (uint32_t)s->n;
}

/* Slices become 2^shift times as long. What is written never overtakes what is read. */
static void widen(fg__slices *s, unsigned shift) {
    size_t n = s->n;
    s->length <<= shift;
    s->n = 0;
    memset(s->last, 0, s->last_cap * sizeof *s->last);
    for (size_t i = 0; i < n; i++) {
        fg__part entry = s->entries[i];
        entry.run >>= shift;
        put(s, entry);
    }
}

static void give_up(fg__slices *s, fg_ctx *ctx) {
    fg__slices_free(s, ctx);
    s->given_up = true;
}

/* See that the moment has a slice, and that there is room for an entry. */
static int make_room(fg__slices *s, fg_ctx *ctx, int64_t time, uint32_t id) {
    size_t had = s->last_cap;
    int err = fg__grow(ctx, &s->entries, &s->cap, s->n + 1, sizeof *s->entries);
    if (!err) err = fg__grow(ctx, &s->last, &s->last_cap, (size_t)id + 1, sizeof *s->last);
    if (err) return err;
    if (s->last_cap > had) memset(s->last + had, 0, (s->last_cap - had) * sizeof *s->last);
    unsigned shift = 0;
    while (since(s, time) / (s->length << shift) >= FG__SLICES_MOST) shift++;
    if (shift) widen(s, shift);
    while (s->n >= ENTRIES_MOST && since(s, s->end) / s->length >= FG__SLICES_LEAST) widen(s, 1);
    if (s->n >= ENTRIES_MOST) give_up(s, ctx);
    return 0;
}

int fg__slices_add(fg__slices *s, fg_ctx *ctx, int64_t time, uint32_t id, int64_t value) {
    if (s->given_up) return 0;
    if (!s->length) {
        s->origin = s->end = time;
        s->length = shortest;
    }
    int err = make_room(s, ctx, time, id);
    if (err || s->given_up) return err;
    if (time > s->end) s->end = time;
    if (value > 0) put(s, (fg__part){(uint32_t)(since(s, time) / s->length), id, value});
    return 0;
}

int fg__slices_span(fg__slices *s, fg_ctx *ctx, int64_t from, int64_t to, uint32_t id, int64_t value) {
    int err = fg__slices_add(s, ctx, from, id, 0);
    if (!err) err = fg__slices_add(s, ctx, to, id, 0); /* slices are as long now as they need to be */
    double span = to > from ? (double)(since(s, to) - since(s, from)) : 0;
    int64_t given = 0, at = from;
    if (err || s->given_up) return err;
    do {
        uint64_t next = (since(s, at) / s->length + 1) * s->length;
        bool last = next >= since(s, to);
        int64_t until = last ? to : (int64_t)((uint64_t)s->origin + next);
        int64_t sum =
            last ? value : (int64_t)((double)value * ((double)(since(s, until) - since(s, from)) / span));
        err = fg__slices_add(s, ctx, at, id, sum - given);
        given = sum;
        at = until;
    } while (!err && !s->given_up && at < to);
    return err;
}

int fg__slices_keep(fg__slices *s, fg_profile *p, size_t type, const uint32_t *ids) {
    if (s->given_up)
        return fg_profile_note(p, "there are too many different stacks to keep what each slice of time gave");
    size_t whole = s->length ? (size_t)(since(s, s->end) / s->length) : 0, kept = 0;
    p->slice_type = type;
    p->slice_time[0] = s->origin;
    p->slice_time[1] = s->end;
    if (whole < FG__SLICES_LEAST) return 0;
    for (size_t i = 0; i < s->n; i++) {
        fg__part entry = s->entries[i];
        if (ids) entry.stack = ids[entry.stack];
        if (entry.run < whole && entry.stack != FG__NONE) s->entries[kept++] = entry;
    }
    fg__profile_changed(p);
    fg_free(p->ctx, p->parts);
    p->parts = s->entries;
    p->part_count = kept;
    p->part_cap = s->cap;
    p->runs[0] = (uint32_t)whole;
    p->slice_length[0] = (int64_t)s->length;
    s->entries = NULL;
    s->n = s->cap = 0;
    return 0;
}

int fg__slices_gather(fg__slices *s, fg_ctx *ctx, const fg_profile *from, const uint32_t *ids) {
    const int64_t *values = from->values[from->slice_type], *time = from->slice_time;
    int err = 0;
    if (!fg_profile_slices(from, NULL))
        for (size_t i = 0; i < from->stack_count && !err; i++)
            if (ids[i] != FG__NONE) err = fg__slices_span(s, ctx, time[0], time[1], ids[i], values[i]);
    for (size_t i = 0; i < from->part_count && !err; i++) {
        const fg__part *part = &from->parts[i];
        if (ids[part->stack] == FG__NONE) continue;
        int64_t at = time[0] + (int64_t)part->run * from->slice_length[0];
        err = fg__slices_span(s, ctx, at, at + from->slice_length[0], ids[part->stack], part->value);
    }
    return err;
}

void fg__slices_free(fg__slices *s, fg_ctx *ctx) {
    fg_free(ctx, s->entries);
    fg_free(ctx, s->last);
    *s = (fg__slices){.given_up = s->given_up};
}

size_t fg_profile_slices(const fg_profile *p, double *seconds) {
    bool sliced = p->slice_length[0] > 0 && !fg_profile_is_diff(p);
    if (seconds) *seconds = sliced ? (double)p->slice_length[0] / 1e9 : 0;
    return sliced ? p->runs[0] : 0;
}

int fg_profile_slice(fg_profile **out, fg_profile *from, size_t first, size_t n) {
    size_t count = fg_profile_slices(from, NULL), type = from->slice_type;
    if (first >= count || n == 0 || n > count - first)
        return fg__fail(from->ctx, FG_EINVAL, "the profile has %zu slices of time, not %zu and %zu behind it",
                        count, first, n);
    int64_t *sums = fg__calloc(from->ctx, from->stack_count + 1, sizeof *sums);
    if (!sums) return FG_ENOMEM;
    for (size_t i = 0; i < from->part_count; i++) {
        const fg__part *part = &from->parts[i];
        if (part->run >= first && part->run - first < n) add_value(&sums[part->stack], part->value);
    }
    fg_profile with = *from; /* the same stacks, with other values: read, and never freed */
    with.values[type] = sums;
    int column[FG_MAX_TYPES];
    for (size_t t = 0; t < from->type_count; t++) column[t] = t == type ? 0 : -1;
    fg_value_type named = fg_profile_type(from, type);
    fg_profile *p = NULL;
    int err = fg_profile_new(&p, from->ctx);
    if (!err) err = fg_profile_add_type(p, named.name, named.unit);
    if (!err) err = fg__stacks_import(p, &with, NULL, column, 1, FG__NONE, NULL);
    fg_free(from->ctx, sums);
    if (err)
        fg_profile_free(p);
    else
        *out = p;
    return err;
}
