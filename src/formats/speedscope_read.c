/*
 * Reading speedscope's files, "sampled" and "evented" profiles, whoever wrote them. Keys come in any order, frames often
 * behind the stacks that name them by number; so stacks are rows of such numbers until the end.
 *
 *   stacks   a profile without value types: it numbers the different stacks
 *   columns  a name, a unit, and a value for each stack
 *
 * Profiles of a file are threads, as a rule: those with the same unit are summed. In files of ours they are value types.
 */
#include "formats/speedscope.h"
#include <math.h>
#include "formats/json_reader.h"

/* speedscope's units, the value types they become, and how many of ours one of theirs is. */
static const struct {
    const char *unit, *name, *ours;
    double scale;
} units[] = {
    {"none", "samples", "count", 1},
    {"nanoseconds", "time", "nanoseconds", 1},
    {"microseconds", "time", "nanoseconds", 1e3},
    {"milliseconds", "time", "nanoseconds", 1e6},
    {"seconds", "time", "nanoseconds", 1e9},
    {"bytes", "space", "bytes", 1},
};
enum { UNITS = sizeof units / sizeof *units };

typedef struct column {
    uint32_t name;    /* a string of the profile */
    const char *unit; /* ours */
    int64_t *values;
    size_t cap;
} column;

typedef struct event {
    double at;
    int64_t frame;
    char type;
} event;

/* A profile of the file at work. */
typedef struct part {
    uint32_t name; /* a string of the profile */
    size_t unit;   /* in units; UNITS: none was named */
    double end;
    uint32_t *samples; /* stacks, and how much of each */
    double *weights;
    size_t sample_count, sample_cap, weight_count, weight_cap;
    uint32_t *stack; /* of the sample at work, or what is open */
    size_t depth, stack_cap;
    event event;
    double last; /* when the last event was */
    size_t event_count;
} part;

typedef struct reader {
    fg_profile *p, *stacks;
    fg_ctx *ctx;
    uint64_t budget; /* frames that the stacks may have */
    bool ours, rounded;
    fg__frame frame; /* at work */
    uint32_t *frames;
    size_t frame_count, frame_cap;
    uint32_t frames_named; /* one more than the largest number of a frame that was met */
    column columns[FG_MAX_TYPES];
    size_t column_count, part_count, active, active_column;
    part part;
    fg__slices slices; /* of events, by row of `stacks`; only where they are asked for */
    bool sliced;
} reader;

/* ---- frames --------------------------------------------------------------------------------------------- */

static int open_frame(void *user) {
    ((reader *)user)->frame = (fg__frame){0};
    return 0;
}

static int on_frame_name(void *user, const char *bytes, size_t n) {
    reader *r = user;
    return fg__string_intern(&r->frame.name, r->p, bytes, n);
}

static int on_frame_file(void *user, const char *bytes, size_t n) {
    reader *r = user;
    return fg__string_intern(&r->frame.file, r->p, bytes, n);
}

static int on_frame_line(void *user, const fg__json_number *n) {
    reader *r = user;
    r->frame.line = n->is_whole && n->whole > 0 && n->whole <= INT32_MAX ? (uint32_t)n->whole : 0;
    return 0;
}

static int close_frame(void *user) {
    reader *r = user;
    int err = fg__grow(r->ctx, &r->frames, &r->frame_cap, r->frame_count + 1, sizeof *r->frames);
    if (!err) err = fg__frame_intern(&r->frames[r->frame_count], r->p, &r->frame);
    if (!err) r->frame_count++;
    return err;
}

/* ---- stacks of a part ----------------------------------------------------------------------------------- */

static int push(reader *r, const fg__json_number *n) {
    part *s = &r->part;
    if (!n->is_whole || n->whole < 0 || n->whole >= INT32_MAX)
        return fg__fail(r->ctx, FG_EFORMAT, "%.0f is not the number of a frame", n->real);
    int err = fg__grow(r->ctx, &s->stack, &s->stack_cap, s->depth + 1, sizeof *s->stack);
    if (err) return err;
    s->stack[s->depth++] = (uint32_t)n->whole;
    if (s->stack[s->depth - 1] >= r->frames_named) r->frames_named = s->stack[s->depth - 1] + 1;
    return 0;
}

/* The stack at work is the next sample. */
static int add_sample(reader *r) {
    part *s = &r->part;
    uint32_t id;
    size_t have = r->stacks->stack_count;
    int err = fg__grow(r->ctx, &s->samples, &s->sample_cap, s->sample_count + 1, sizeof *s->samples);
    if (!err && s->depth > r->budget)
        err = fg__fail(r->ctx, FG_ELIMIT, "the stacks have too many frames; --max-input raises the limit");
    if (!err) err = fg__stack_put(r->stacks, s->stack, s->depth, NULL, &id);
    if (err) return err;
    if (id >= have) r->budget -= s->depth;
    s->samples[s->sample_count++] = id;
    return 0;
}

static int add_weight(reader *r, double weight) {
    part *s = &r->part;
    int err = fg__grow(r->ctx, &s->weights, &s->weight_cap, s->weight_count + 1, sizeof *s->weights);
    if (!err) s->weights[s->weight_count++] = weight;
    return err;
}

static int open_sample(void *user) {
    ((reader *)user)->part.depth = 0;
    return 0;
}

static int on_sample_frame(void *user, const fg__json_number *n) {
    return push(user, n);
}

static int close_sample(void *user) {
    return add_sample(user);
}

static int on_weight(void *user, const fg__json_number *n) {
    reader *r = user;
    if (n->real < 0) return fg__fail(r->ctx, FG_EFORMAT, "weight %zu is negative", r->part.weight_count);
    return add_weight(r, n->real);
}

/* ---- events --------------------------------------------------------------------------------------------- */

static int open_event(void *user) {
    ((reader *)user)->part.event = (event){.at = NAN, .frame = -1};
    return 0;
}

static int on_event_type(void *user, const char *bytes, size_t n) {
    ((reader *)user)->part.event.type = n == 1 ? *bytes : '\0';
    return 0;
}

static int on_event_time(void *user, const fg__json_number *n) {
    ((reader *)user)->part.event.at = n->real;
    return 0;
}

static int on_event_frame(void *user, const fg__json_number *n) {
    ((reader *)user)->part.event.frame = n->is_whole ? n->whole : -1;
    return 0;
}

/* The sample that was added last is the time between two moments, if the unit (which comes first) is one of time. */
static int add_span(reader *r, double from, double to) {
    const part *s = &r->part;
    if (s->unit == UNITS || strcmp(units[s->unit].ours, "nanoseconds") != 0) return 0;
    double scale = units[s->unit].scale;
    if (!(fabs(from * scale) < 0x1p62 && fabs(to * scale) < 0x1p62)) return 0;
    return fg__slices_span(&r->slices, r->ctx, llround(from * scale), llround(to * scale),
                           s->samples[s->sample_count - 1], llround((to - from) * scale));
}

/* What is open lasted until `at`. */
static int last_until(reader *r, double at) {
    part *s = &r->part;
    double time = at - s->last;
    s->last = at;
    if (!s->depth || time <= 0) return 0;
    int err = add_sample(r);
    if (!err) err = add_weight(r, time);
    return err || !r->sliced ? err : add_span(r, at - time, at);
}

static int close_event(void *user) {
    reader *r = user;
    part *s = &r->part;
    event e = s->event;
    size_t number = s->event_count++;
    if ((e.type != 'O' && e.type != 'C') || !isfinite(e.at))
        return fg__fail(r->ctx, FG_EFORMAT, "event %zu lacks a type (O or C) or a time", number);
    if (number && e.at < s->last)
        return fg__fail(r->ctx, FG_EFORMAT, "event %zu is earlier than the one before", number);
    int err = last_until(r, e.at);
    if (err) return err;
    fg__json_number frame = {(double)e.frame, e.frame, true};
    if (e.type == 'O') return push(r, &frame);
    if (!s->depth || s->stack[s->depth - 1] != e.frame)
        return fg__fail(r->ctx, FG_EFORMAT,
                        "event %zu closes frame %lld, which is not the innermost open one", number,
                        (long long)e.frame);
    s->depth--;
    return 0;
}

/* ---- parts and columns ---------------------------------------------------------------------------------- */

static int open_part(void *user) {
    part *s = &((reader *)user)->part;
    s->sample_count = s->weight_count = s->depth = s->event_count = 0;
    s->name = 0;
    s->unit = UNITS;
    s->end = 0;
    return 0;
}

static int on_part_name(void *user, const char *bytes, size_t n) {
    reader *r = user;
    return fg__string_intern(&r->part.name, r->p, bytes, n);
}

static int on_unit(void *user, const char *bytes, size_t n) {
    reader *r = user;
    for (size_t i = 0; i < UNITS; i++) {
        if (n != strlen(units[i].unit) || memcmp(bytes, units[i].unit, n) != 0) continue;
        r->part.unit = i;
        return 0;
    }
    return fg__fail(r->ctx, FG_EFORMAT, "profile %zu has a unit that speedscope does not know",
                    r->part_count);
}

static int on_end(void *user, const fg__json_number *n) {
    ((reader *)user)->part.end = n->real;
    return 0;
}

static int column_of(column **out, reader *r) {
    size_t unit = r->part.unit;
    uint32_t name = r->part.name;
    int err = r->ours ? 0 : fg__string_intern(&name, r->p, units[unit].name, strlen(units[unit].name));
    if (err) return err;
    size_t i = 0;
    while (i < r->column_count && (r->columns[i].name != name || r->columns[i].unit != units[unit].ours)) i++;
    if (i == FG_MAX_TYPES)
        return fg__fail(r->ctx, FG_ELIMIT, "more than %d value types, which is the most that a profile has",
                        FG_MAX_TYPES);
    if (i == r->column_count)
        r->columns[r->column_count++] = (column){.name = name, .unit = units[unit].ours};
    if (r->part_count == r->active) r->active_column = i;
    *out = &r->columns[i];
    return 0;
}

static int add_values(reader *r, column *c) {
    const part *s = &r->part;
    size_t had = c->cap;
    int err = fg__grow(r->ctx, &c->values, &c->cap, r->stacks->stack_count, sizeof *c->values);
    if (err) return err;
    if (c->cap > had) memset(c->values + had, 0, (c->cap - had) * sizeof *c->values);
    for (size_t i = 0; i < s->sample_count; i++) {
        double weight = s->weights[i] * units[s->unit].scale;
        if (!(weight < 0x1p62)) return fg__fail(r->ctx, FG_ELIMIT, "weight %zu is more than 2^62", i);
        int64_t value = llround(weight);
        r->rounded |= fabs(weight - (double)value) > 1e-3;
        if (!fg__add64(&c->values[s->samples[i]], c->values[s->samples[i]], value))
            return fg__fail(r->ctx, FG_ELIMIT, "the values add up to more than 2^63");
    }
    return 0;
}

static int close_part(void *user) {
    reader *r = user;
    part *s = &r->part;
    int err = s->event_count ? last_until(r, s->end) : 0;
    if (err) return err;
    if (s->unit == UNITS) return fg__fail(r->ctx, FG_EFORMAT, "profile %zu has no unit", r->part_count);
    if (s->sample_count != s->weight_count)
        return fg__fail(r->ctx, FG_EFORMAT, "profile %zu has %zu samples, but %zu weights", r->part_count,
                        s->sample_count, s->weight_count);
    column *c = NULL;
    err = column_of(&c, r);
    if (!err) err = add_values(r, c);
    r->part_count++;
    return err;
}

/* ---- the file ------------------------------------------------------------------------------------------- */

static int on_exporter(void *user, const char *bytes, size_t n) {
    const size_t length = strlen(FG__SPEEDSCOPE_EXPORTER);
    ((reader *)user)->ours = n >= length && memcmp(bytes, FG__SPEEDSCOPE_EXPORTER, length) == 0;
    return 0;
}

static int on_active(void *user, const fg__json_number *n) {
    ((reader *)user)->active = n->is_whole && n->whole >= 0 ? (size_t)n->whole : 0;
    return 0;
}

static const fg__json_rule frame[] = {{.key = "name", .text = on_frame_name},
                                      {.key = "file", .text = on_frame_file},
                                      {.key = "line", .number = on_frame_line},
                                      {0}};
static const fg__json_rule frames[] = {{.key = "", .inside = frame, .open = open_frame, .close = close_frame},
                                       {0}};
static const fg__json_rule shared[] = {{.key = "frames", .inside = frames}, {0}};
static const fg__json_rule sample[] = {{.key = "", .number = on_sample_frame}, {0}};
static const fg__json_rule samples[] = {
    {.key = "", .inside = sample, .open = open_sample, .close = close_sample}, {0}};
static const fg__json_rule weights[] = {{.key = "", .number = on_weight}, {0}};
static const fg__json_rule event_rules[] = {{.key = "type", .text = on_event_type},
                                            {.key = "at", .number = on_event_time},
                                            {.key = "frame", .number = on_event_frame},
                                            {0}};
static const fg__json_rule events[] = {
    {.key = "", .inside = event_rules, .open = open_event, .close = close_event}, {0}};
static const fg__json_rule part_rules[] = {{.key = "name", .text = on_part_name},
                                           {.key = "unit", .text = on_unit},
                                           {.key = "endValue", .number = on_end},
                                           {.key = "samples", .inside = samples},
                                           {.key = "weights", .inside = weights},
                                           {.key = "events", .inside = events},
                                           {0}};
static const fg__json_rule parts[] = {
    {.key = "", .inside = part_rules, .open = open_part, .close = close_part}, {0}};
static const fg__json_rule file[] = {{.key = "shared", .inside = shared},
                                     {.key = "profiles", .inside = parts},
                                     {.key = "exporter", .text = on_exporter},
                                     {.key = "activeProfileIndex", .number = on_active},
                                     {0}};

static int add_types(reader *r) {
    int err = 0;
    for (size_t i = 0; i < r->column_count && !err; i++)
        err = fg_profile_add_type(r->p, fg__string_at(r->p, r->columns[i].name).bytes, r->columns[i].unit);
    if (err || !r->column_count) return err;
    return fg_meta_set_text(r->p, "default_type",
                            fg__string_at(r->p, r->columns[r->active_column].name).bytes);
}

static int add_stack(reader *r, size_t i, uint32_t *id) {
    int64_t values[FG_MAX_TYPES] = {0}, any = 0;
    for (size_t c = 0; c < r->column_count; c++) {
        if (i < r->columns[c].cap) values[c] = r->columns[c].values[i];
        any |= values[c];
    }
    if (!any) return 0;
    part *s = &r->part;
    const uint32_t *numbers = fg__stack_at(r->stacks, i, &s->depth);
    int err = fg__grow(r->ctx, &s->stack, &s->stack_cap, s->depth, sizeof *s->stack);
    for (size_t k = 0; k < s->depth && !err; k++) s->stack[k] = r->frames[numbers[k]];
    return err ? err : fg__stack_put(r->p, s->stack, s->depth, values, id);
}

/* Slices are of the column that is shown. */
static int keep_slices(reader *r, const uint32_t *ids) {
    if (strcmp(r->columns[r->active_column].unit, "nanoseconds") != 0) return 0;
    return fg__slices_keep(&r->slices, r->p, r->active_column, ids);
}

static int build(reader *r) {
    if (r->frames_named > r->frame_count)
        return fg__fail(r->ctx, FG_EFORMAT, "a stack has frame %u, but there are %zu frames",
                        r->frames_named - 1, r->frame_count);
    int err = add_types(r);
    uint32_t *ids = r->sliced ? fg__no_ids(r->ctx, r->stacks->stack_count + 1) : NULL;
    if (r->sliced && !ids) return FG_ENOMEM;
    for (size_t i = 0; i < r->stacks->stack_count && !err; i++) err = add_stack(r, i, ids ? &ids[i] : NULL);
    if (!err && ids && r->column_count) err = keep_slices(r, ids);
    fg_free(r->ctx, ids);
    if (!err && r->rounded) err = fg_profile_note(r->p, "weights were rounded to whole numbers");
    return err;
}

int fg__speedscope_read(fg_profile *p, fg_in *in, const fg_read_options *options) {
    reader r = {.p = p,
                .ctx = p->ctx,
                .budget = fg__max_input(options) / sizeof(uint32_t),
                .sliced = options->slices};
    int err = fg_profile_new(&r.stacks, p->ctx);
    if (!err) err = fg__json_read(in, file, &r);
    if (!err) {
        err = build(&r);
        if (err) fg__fail_in(p->ctx, err, "%s: speedscope", in->name);
    }
    void *owned[] = {r.frames, r.part.samples, r.part.weights, r.part.stack};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    for (size_t i = 0; i < r.column_count; i++) fg_free(p->ctx, r.columns[i].values);
    fg_profile_free(r.stacks);
    fg__slices_free(&r.slices, p->ctx);
    return err;
}

int fg__speedscope_probe(const uint8_t *head, size_t n) {
    static const char schema[] = FG__SPEEDSCOPE_SCHEMA;
    if (!fg__json_has_key(head, n, "$schema") && !fg__json_has_key(head, n, "shared")) return 0;
    if (memmem(head, n, schema, sizeof schema - 1)) return 95;
    return fg__json_has_key(head, n, "shared") && fg__json_has_key(head, n, "profiles") ? 60 : 0;
}
