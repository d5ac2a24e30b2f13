/* Profiles from profiles: merge, select, invert, filter. Each copies metadata and goes once over the stacks.
 */
#include "core/batch.h"

/* An empty profile with the metadata of `from`, and its types if asked for. */
static int like(fg_profile **out, const fg_profile *from, bool types) {
    fg_profile *p;
    int err = fg_profile_new(&p, from->ctx);
    if (err) return err;
    err = fg__meta_copy(p, from);
    if (!err && types) err = fg__types_copy(p, from);
    if (err)
        fg_profile_free(p);
    else
        *out = p;
    return err;
}

/* Hand over `p`, or free it when there was an error. */
static int finish(fg_profile **out, fg_profile *p, int err) {
    if (err)
        fg_profile_free(p);
    else
        *out = p;
    return err;
}

/* ---- merge --------------------------------------------------------------------------------------------- */

static int find_column(const fg_profile *p, fg_value_type type) {
    for (size_t i = 0; i < p->type_count; i++) {
        fg_value_type t = fg_profile_type(p, i);
        if (strcmp(t.name, type.name) == 0 && strcmp(t.unit, type.unit) == 0) return (int)i;
    }
    return -1;
}

static int add_columns(fg_profile *to, const fg_profile *from) {
    for (size_t i = 0; i < from->type_count; i++) {
        fg_value_type type = fg_profile_type(from, i);
        if (find_column(to, type) >= 0) continue;
        int err = fg_profile_add_type(to, type.name, type.unit);
        if (err) return err;
    }
    return 0;
}

static bool gives(const fg_profile *from, const int *column, uint32_t stack) {
    bool some = false;
    for (size_t t = 0; t < from->type_count; t++) some |= column[t] >= 0 && from->values[t][stack] != 0;
    return some;
}

/* The frame in `to` under its new name (`rename`: NULL, the same); *apart becomes false where another one is called so. */
static int put_frame(uint32_t *out, bool *apart, fg_profile *to, fg_frame frame,
                     int (*rename)(void *user, fg_frame *frame), void *user) {
    size_t known = to->frame_count;
    int err = rename ? rename(user, &frame) : 0;
    if (!err) err = fg_profile_frame(out, to, &frame);
    if (!err) *apart &= *out == known;
    return err;
}

int fg__rename_frames(fg__renamed *out, fg_profile *to, const fg_profile *from,
                      int (*rename)(void *user, fg_frame *frame), void *user) {
    out->map = fg__frame_map(to->ctx, from);
    out->apart = true;
    int err = out->map ? 0 : FG_ENOMEM;
    for (uint32_t id = 0; id < from->frame_count && !err; id++)
        err = put_frame(&out->map[id], &out->apart, to, fg_profile_frame_at(from, id), rename, user);
    return err;
}

int fg__stacks_import(fg_profile *to, const fg_profile *from, const fg__renamed *renamed, const int *column,
                      int64_t scale, uint32_t run, uint32_t *ids) {
    uint32_t *map = renamed ? renamed->map : fg__frame_map(to->ctx, from);
    if (!map) return FG_ENOMEM;
    fg__batch b = {.to = to,
                   .from = from,
                   .column = column,
                   .scale = scale,
                   .ids = ids,
                   .run = run,
                   .fresh = to->stack_count == 0 && (!renamed || renamed->apart)};
    int err = 0;
    for (uint32_t i = 0; i < from->stack_count && !err; i++) {
        size_t n;
        const uint32_t *stack = fg__stack_at(from, i, &n);
        uint32_t *frames = fg__batch_room(&b, n);
        if (!frames) err = FG_ENOMEM;
        for (size_t k = 0; k < n && !err; k++) err = fg__frame_import(&frames[k], to, from, stack[k], map);
        if (!err && gives(from, column, i)) err = fg__batch_put(&b, i, n);
    }
    err = fg__batch_end(&b, err);
    if (!renamed) fg_free(to->ctx, map);
    return err;
}

/* Sums of what adds up; what differs between the profiles (a target, a host) is left out rather than guessed.
 */
static int merge_meta(fg_profile *to, const fg_profile *from) {
    static const char *const sums[] = {"samples",     "lost",     "failed", "truncated",
                                       "sampler_cpu", "duration", "units"};
    int64_t sum[sizeof sums / sizeof *sums];
    bool known[sizeof sums / sizeof *sums];
    int err = 0;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        known[i] = fg_meta_has(to, sums[i]) && fg_meta_has(from, sums[i]);
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if (!fg__add64(&sum[i], fg_meta_number(to, sums[i]), fg_meta_number(from, sums[i])))
            sum[i] = INT64_MAX;
    err = fg__meta_agree(to, to, from);
    for (size_t i = 0; i < sizeof sums / sizeof *sums && !err; i++)
        if (known[i] || sum[i]) err = fg_meta_set_number(to, sums[i], sum[i]);
    if (!err && fg_meta_number(from, "interrupted")) err = fg_meta_set_number(to, "interrupted", 1);
    const char *note;
    for (size_t i = 0; !err && (note = fg_profile_note_at(from, i)); i++)
        err = fg_profile_note(to, "%s", note);
    return err;
}

/* What the first one shows by default has to be in all of them: nobody sums nanoseconds and bytes. */
static int check_summable(fg_profile *const *profiles, size_t n) {
    int column = fg_profile_find_type(profiles[0], NULL);
    for (size_t i = 1; i < n && column >= 0; i++) {
        fg_value_type type = fg_profile_type(profiles[0], (size_t)column);
        if (find_column(profiles[i], type) >= 0) continue;
        int other = fg_profile_find_type(profiles[i], NULL);
        fg_value_type shown = fg_profile_type(profiles[i], other < 0 ? 0 : (size_t)other);
        return fg__fail(
            profiles[0]->ctx, FG_EINVAL,
            "cannot sum profiles of different things: the first has %s in %s, number %zu has %s in %s",
            type.name, type.unit, i + 1, shown.name, shown.unit);
    }
    return 0;
}

/* Where the slices of all begin and end, if all of them know when they were. */
static bool time_of_all(int64_t time[2], fg_profile *const *profiles, size_t n) {
    memcpy(time, profiles[0]->slice_time, sizeof profiles[0]->slice_time);
    for (size_t i = 0; i < n; i++) {
        const fg_profile *p = profiles[i];
        if (p->slice_time[0] >= p->slice_time[1] || p->slice_type != profiles[0]->slice_type) return false;
        if (p->slice_time[0] < time[0]) time[0] = p->slice_time[0];
        if (p->slice_time[1] > time[1]) time[1] = p->slice_time[1];
    }
    return true;
}

/* Threads that are recorded at the same time: how long it took, which is no sum. `span`: of their slices. */
static int64_t duration_of_all(int64_t span, fg_profile *const *profiles, size_t n) {
    int64_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t duration = fg_meta_number(profiles[i], "duration");
        if (duration > longest) longest = duration;
    }
    return longest && span > longest ? span : longest;
}

static int merge_stacks(fg_profile *p, const fg_profile *from, fg__slices *slices) {
    int column[FG_MAX_TYPES];
    for (size_t t = 0; t < from->type_count; t++) column[t] = find_column(p, fg_profile_type(from, t));
    uint32_t *ids = slices ? fg__no_ids(p->ctx, from->stack_count) : NULL;
    int err = slices && !ids ? FG_ENOMEM : fg__stacks_import(p, from, NULL, column, 1, FG__NONE, ids);
    if (!err && slices) err = fg__slices_gather(slices, p->ctx, from, ids);
    fg_free(p->ctx, ids);
    return err;
}

/* `slices`: NULL where they are not to be summed. */
static int merge(fg_profile **out, fg_profile *const *profiles, size_t n, fg__slices *slices) {
    if (n == 0) return FG_EINVAL;
    int err = check_summable(profiles, n);
    if (err) return err;
    fg_profile *p;
    err = like(&p, profiles[0], true);
    if (err) return err;
    for (size_t i = 1; i < n && !err; i++) {
        err = add_columns(p, profiles[i]);
        if (!err) err = merge_meta(p, profiles[i]);
    }
    for (size_t i = 0; i < n && !err; i++) err = merge_stacks(p, profiles[i], slices);
    if (!err && slices) err = fg__slices_keep(slices, p, profiles[0]->slice_type, NULL);
    return finish(out, p, err);
}

int fg_profile_merge(fg_profile **out, fg_profile *const *profiles, size_t n) {
    return merge(out, profiles, n, NULL);
}

int fg__profile_merge_threads(fg_profile **out, fg_profile *const *profiles, size_t n) {
    fg__slices slices = {0};
    int64_t time[2];
    if (n == 0) return FG_EINVAL;
    fg_ctx *ctx = profiles[0]->ctx;
    bool timed = time_of_all(time, profiles, n);
    int err = timed ? fg__slices_add(&slices, ctx, time[0], 0, 0) : 0;
    if (!err && timed) err = fg__slices_add(&slices, ctx, time[1], 0, 0);
    if (!err) err = merge(out, profiles, n, timed ? &slices : NULL);
    fg__slices_free(&slices, ctx);
    int64_t duration = duration_of_all(timed ? time[1] - time[0] : 0, profiles, n);
    return err || duration == 0 ? err : fg_meta_set_number(*out, "duration", duration);
}

int fg_profile_select(fg_profile **out, fg_profile *from, size_t type) {
    if (type >= from->type_count)
        return fg__fail(from->ctx, FG_EINVAL, "the profile has no value type %zu", type);
    fg_profile *p;
    int err = like(&p, from, false);
    if (err) return err;
    fg_value_type t = fg_profile_type(from, type);
    err = fg_profile_add_type(p, t.name, t.unit);
    int column[FG_MAX_TYPES];
    uint32_t *ids = NULL;
    for (size_t i = 0; i < from->type_count; i++) column[i] = i == type ? 0 : -1;
    if (!err && fg_profile_slices(from, NULL) && from->slice_type == type) err = fg__parts_map(&ids, from);
    if (!err) err = fg__stacks_import(p, from, NULL, column, 1, FG__NONE, ids);
    if (!err) err = fg__parts_copy(p, from, ids);
    p->slice_type = 0;
    fg_free(p->ctx, ids);
    return finish(out, p, err);
}

/* ---- invert -------------------------------------------------------------------------------------------- */

int fg_profile_invert(fg_profile **out, fg_profile *from) {
    fg_profile *p;
    int err = like(&p, from, true);
    if (err) return err;
    uint32_t *map = fg__frame_map(p->ctx, from), *ids = NULL;
    if (!map) err = FG_ENOMEM;
    if (!err) err = fg__parts_map(&ids, from);
    fg__batch b = {.to = p, .from = from, .ids = ids, .run = FG__NONE, .fresh = true};
    for (uint32_t i = 0; i < from->stack_count && !err; i++) {
        size_t n;
        const uint32_t *stack = fg__stack_at(from, i, &n);
        uint32_t *frames = fg__batch_room(&b, n);
        if (!frames) err = FG_ENOMEM;
        for (size_t k = 0; k < n && !err; k++)
            err = fg__frame_import(&frames[n - 1 - k], p, from, stack[k], map);
        if (!err) err = fg__batch_put(&b, i, n);
    }
    err = fg__batch_end(&b, err);
    if (!err) err = fg__parts_copy(p, from, ids);
    fg_free(from->ctx, map);
    fg_free(from->ctx, ids);
    return finish(out, p, err);
}

/* ---- filter -------------------------------------------------------------------------------------------- */

/* What the filter says of each frame, and what it becomes in the new profile. */
typedef struct verdicts {
    uint8_t *flags;
    uint32_t *frame;
    bool focusing;
    bool apart; /* stacks that were different stay so: no frame is hidden, and no two have become one */
} verdicts;

static int judge(verdicts *v, fg_profile *to, const fg_profile *from, const fg_filter *filter) {
    v->focusing = filter->focusing;
    v->apart = true;
    for (uint32_t id = 0; id < from->frame_count; id++) {
        fg_frame frame = fg_profile_frame_at(from, id);
        int flags = filter->classify ? filter->classify(filter->user, &frame) : 0;
        if (flags < 0) return flags;
        v->flags[id] = (uint8_t)flags;
        v->focusing |= (flags & FG_FRAME_FOCUS) != 0;
        if (flags & FG_FRAME_HIDE) v->apart = false;
        if (flags & (FG_FRAME_HIDE | FG_FRAME_IGNORE)) continue;
        int err = put_frame(&v->frame[id], &v->apart, to, frame, filter->rename, filter->user);
        if (err) return err;
    }
    return 0;
}

/* The frames that are kept of a stack, and how many; returns what the filter says of them all together. */
static int keep_frames(uint32_t *kept, size_t *count, const verdicts *v, const uint32_t *stack, size_t n) {
    int flags = 0;
    *count = 0;
    for (size_t k = 0; k < n; k++) {
        flags |= v->flags[stack[k]];
        if (!(v->flags[stack[k]] & (FG_FRAME_HIDE | FG_FRAME_IGNORE))) kept[(*count)++] = v->frame[stack[k]];
    }
    return flags;
}

static int filter_stacks(fg_profile *to, const fg_profile *from, const verdicts *v) {
    uint32_t *ids;
    int err = fg__parts_map(&ids, from);
    fg__batch b = {.to = to, .from = from, .ids = ids, .run = FG__NONE, .fresh = v->apart};
    for (uint32_t i = 0; i < from->stack_count && !err; i++) {
        size_t n, kept;
        const uint32_t *stack = fg__stack_at(from, i, &n);
        uint32_t *frames = fg__batch_room(&b, n);
        if (!frames) {
            err = FG_ENOMEM;
            break;
        }
        int flags = keep_frames(frames, &kept, v, stack, n);
        if (flags & FG_FRAME_IGNORE || (v->focusing && !(flags & FG_FRAME_FOCUS))) continue;
        err = fg__batch_put(&b, i, kept);
    }
    err = fg__batch_end(&b, err);
    if (!err) err = fg__parts_copy(to, from, ids);
    fg_free(to->ctx, ids);
    return err;
}

int fg_profile_filter(fg_profile **out, fg_profile *from, const fg_filter *filter) {
    if (filter->size != sizeof *filter)
        return fg__fail(from->ctx, FG_EINVAL, "fg_filter.size is %zu, not %zu", filter->size, sizeof *filter);
    fg_profile *p;
    int err = like(&p, from, true);
    if (err) return err;
    verdicts v = {.flags = fg__calloc(p->ctx, from->frame_count, 1), .frame = fg__frame_map(p->ctx, from)};
    if (!v.flags || !v.frame) err = FG_ENOMEM;
    if (!err) err = judge(&v, p, from, filter);
    if (!err) err = filter_stacks(p, from, &v);
    if (!err && p->stack_count == 0)
        err = fg__fail(p->ctx, FG_EEMPTY, "the filter leaves nothing of %zu stacks", from->stack_count);
    fg_free(p->ctx, v.flags);
    fg_free(p->ctx, v.frame);
    return finish(out, p, err);
}
