/* The stack table: the profile's life, its value types and its unique stacks. Drawn in core.h. */
#include "core/core.h"
#include <stdio.h>
#include "core/tree.h"

int fg_profile_new(fg_profile **out, fg_ctx *ctx) {
    fg_profile *p = fg__calloc(ctx, 1, sizeof *p);
    if (!p) return FG_ENOMEM;
    p->ctx = ctx;
    uint32_t empty;
    int err = fg__string_intern(&empty, p, "", 0);
    if (err) {
        fg_profile_free(p);
        return err;
    }
    *out = p;
    return 0;
}

void fg__profile_changed(fg_profile *p) {
    fg__tree_free(p->ctx, p->tree);
    p->tree = NULL;
}

void fg_profile_free(fg_profile *p) {
    if (!p) return;
    fg_ctx *ctx = p->ctx;
    fg__profile_changed(p);
    fg__arena_free(ctx, &p->arena);
    void *owned[] = {p->strings,
                     p->string_index.slots,
                     p->frames,
                     p->frame_index.slots,
                     p->stack_frames,
                     p->stack_start,
                     p->stack_index.slots,
                     p->notes,
                     p->parts};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(ctx, owned[i]);
    for (size_t t = 0; t < FG_MAX_TYPES; t++) fg_free(ctx, p->values[t]);
    fg_free(ctx, p);
}

void fg__profile_move(fg_profile *p, fg_ctx *to) {
    p->ctx = to; /* all that it owns is of the allocator that both have */
}

fg_ctx *fg_profile_ctx(const fg_profile *p) {
    return p->ctx;
}

/* ---- value types --------------------------------------------------------------------------------------- */

int fg_profile_add_type(fg_profile *p, const char *name, const char *unit) {
    if (p->stack_count) return fg__fail(p->ctx, FG_EINVAL, "value types are added before the first stack");
    if (p->type_count == FG_MAX_TYPES)
        return fg__fail(p->ctx, FG_ELIMIT, "a profile has at most %d value types", FG_MAX_TYPES);
    uint32_t n, u;
    int err = fg__string_intern(&n, p, name, strlen(name));
    if (!err) err = fg__string_intern(&u, p, unit, strlen(unit));
    if (err) return err;
    p->types[p->type_count].name = n;
    p->types[p->type_count++].unit = u;
    return 0;
}

size_t fg_profile_type_count(const fg_profile *p) {
    return p->type_count;
}

fg_value_type fg_profile_type(const fg_profile *p, size_t i) {
    if (i >= p->type_count) return (fg_value_type){"", ""};
    return (fg_value_type){p->strings[p->types[i].name].bytes, p->strings[p->types[i].unit].bytes};
}

int fg_profile_find_type(const fg_profile *p, const char *name) {
    bool any = !name;
    if (any) name = fg_meta_text(p, "default_type");
    for (size_t i = 0; i < p->type_count; i++)
        if (strcmp(p->strings[p->types[i].name].bytes, name) == 0) return (int)i;
    return any && p->type_count ? 0 : -1;
}

int fg__fail_type(const fg_profile *p, const char *side, const char *name) {
    char list[256] = "none";
    for (size_t i = 0, n = 0; i < p->type_count && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", fg_profile_type(p, i).name);
    return fg__fail(p->ctx, FG_EINVAL, "the profile%s%s has no value type \"%s\", but %s", *side ? " " : "",
                    side, name ? name : "", list);
}

int fg__types_copy(fg_profile *to, const fg_profile *from) {
    int err = 0;
    for (size_t i = 0; i < from->type_count && !err; i++) {
        fg_value_type type = fg_profile_type(from, i);
        err = fg_profile_add_type(to, type.name, type.unit);
    }
    return err;
}

/* ---- stacks -------------------------------------------------------------------------------------------- */

uint64_t fg__stack_hash(const uint32_t *frames, size_t n) {
    return fg__hash(frames, n * sizeof *frames);
}

static bool fits(const fg_profile *p, const int64_t *values) {
    int64_t sum;
    for (size_t t = 0; t < p->type_count; t++)
        if (!fg__add64(&sum, p->totals[t], values[t])) return false;
    return true;
}

/* The totals bound each single value, so they alone are checked for overflow. */
int fg__stack_bump(fg_profile *p, uint32_t id, const int64_t *values) {
    if (!fits(p, values)) return fg__fail(p->ctx, FG_ELIMIT, "the values add up to more than 2^63");
    for (size_t t = 0; t < p->type_count; t++) {
        p->values[t][id] += values[t];
        p->totals[t] += values[t];
    }
    if (FG__UNLIKELY(p->tree != NULL)) fg__profile_changed(p);
    return 0;
}

static int append(fg_profile *p, const uint32_t *frames, size_t n) {
    size_t count = p->stack_count, need;
    if (count >= FG__NONE - 1) return fg__fail(p->ctx, FG_ELIMIT, "more than 4 billion different stacks");
    if (__builtin_add_overflow(p->stack_frame_count, n, &need)) return fg__nomem(p->ctx);
    /* room for one frame at least: a stack of none has an address, too */
    int err = fg__grow(p->ctx, &p->stack_frames, &p->stack_frame_cap, need ? need : 1, sizeof *frames);
    if (!err) err = fg__grow(p->ctx, &p->stack_start, &p->stack_start_cap, count + 2, sizeof *p->stack_start);
    for (size_t t = 0; t < p->type_count && !err; t++)
        err = fg__grow(p->ctx, &p->values[t], &p->value_cap[t], count + 1, sizeof *p->values[t]);
    if (err) return err;
    if (n) memcpy(p->stack_frames + p->stack_frame_count, frames, n * sizeof *frames);
    p->stack_start[count] = p->stack_frame_count;
    p->stack_start[count + 1] = need;
    for (size_t t = 0; t < p->type_count; t++) p->values[t][count] = 0;
    return 0;
}

int fg__stack_append(fg_profile *p, const uint32_t *frames, size_t n, const int64_t *values, uint32_t *id) {
    if (!fits(p, values)) return fg__fail(p->ctx, FG_ELIMIT, "the values add up to more than 2^63");
    int err = append(p, frames, n);
    if (err) return err;
    *id = (uint32_t)p->stack_count++;
    p->stack_frame_count += n;
    return fg__stack_bump(p, *id, values);
}

/* Put what was appended into the index, some at a time: meanwhile the caches fetch their slots. */
static int index_appended(fg_profile *p) {
    enum { AT_ONCE = 64 };
    fg__table *t = &p->stack_index;
    uint64_t hashes[AT_ONCE];
    int err = fg__table_reserve(p->ctx, t, p->stack_count + 1);
    while (t->count < p->stack_count && !err) {
        uint32_t from = t->count, n = 0;
        for (; n < AT_ONCE && from + n < p->stack_count; n++) {
            size_t frames;
            const uint32_t *stack = fg__stack_at(p, from + n, &frames);
            hashes[n] = fg__stack_hash(stack, frames);
            fg__stack_prefetch(p, hashes[n]);
        }
        for (uint32_t i = 0; i < n && !err; i++) err = fg__table_add(p->ctx, t, hashes[i], from + i);
    }
    return err;
}

int fg__stack_add(fg_profile *p, const uint32_t *frames, size_t n, uint64_t hash, const int64_t *values,
                  uint32_t *id) {
    fg__table *t = &p->stack_index;
    int err = FG__UNLIKELY(t->count < p->stack_count) ? index_appended(p) : 0;
    if (!err) err = fg__table_reserve(p->ctx, t, p->stack_count + 1);
    if (err) return err;
    uint32_t at = fg__table_first(t, hash), found;
    for (; (found = fg__table_id(t, at)) != FG__NONE; at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, hash)) continue;
        size_t have;
        const uint32_t *stack = fg__stack_at(p, found, &have);
        if (have == n && (n == 0 || memcmp(stack, frames, n * sizeof *frames) == 0)) break;
    }
    if (found == FG__NONE) {
        err = fg__stack_append(p, frames, n, values, &found);
        if (!err) fg__table_put(t, at, hash, found);
    } else {
        err = fg__stack_bump(p, found, values);
    }
    if (id && !err) *id = found;
    return err;
}

int fg_profile_add(fg_profile *p, const uint32_t *frames, size_t n, const int64_t *values) {
    if (!p->type_count)
        return fg__fail(p->ctx, FG_EINVAL, "a profile needs a value type before its first stack");
    for (size_t i = 0; i < n; i++)
        if (frames[i] >= p->frame_count)
            return fg__fail(p->ctx, FG_EINVAL, "frame %zu of the stack has the unknown id %u", i, frames[i]);
    for (size_t t = 0; t < p->type_count; t++)
        if (values[t] < 0)
            return fg__fail(p->ctx, FG_EINVAL, "value %lld of a stack is negative", (long long)values[t]);
    return fg__stack_put(p, frames, n, values, NULL);
}

size_t fg_profile_stack_count(const fg_profile *p) {
    return p->stack_count;
}

const uint32_t *fg_profile_stack(const fg_profile *p, size_t i, size_t *n) {
    if (i < p->stack_count) return fg__stack_at(p, i, n);
    *n = 0;
    return NULL;
}

int64_t fg_profile_value(const fg_profile *p, size_t i, size_t type) {
    return i < p->stack_count && type < p->type_count ? p->values[type][i] : 0;
}

int64_t fg_profile_total(const fg_profile *p, size_t type) {
    return type < p->type_count ? p->totals[type] : 0;
}
