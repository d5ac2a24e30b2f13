/* Reading pprof: the messages of a profile, then its samples. */
#include "formats/pprof.h"

enum { COMMENTS_MAX = 100 };

static int bad_wire(pprof *f, const fg__wire *w) {
    return fg__in_fail_byte(fg__pprof_at(f, w->p), FG_EFORMAT, "%s", w->wrong);
}

/* ---- the messages of a profile ------------------------------------------------------------------------- */

/* The types that the known fields have on the wire. Comments come packed or one by one. */
static const uint8_t field_types[PROFILE_FIELDS] = {
    [PROFILE_SAMPLE_TYPE] = FG__WIRE_BYTES, [PROFILE_SAMPLE] = FG__WIRE_BYTES,
    [PROFILE_MAPPING] = FG__WIRE_BYTES,     [PROFILE_LOCATION] = FG__WIRE_BYTES,
    [PROFILE_FUNCTION] = FG__WIRE_BYTES,    [PROFILE_STRING] = FG__WIRE_BYTES,
    [PROFILE_PERIOD_TYPE] = FG__WIRE_BYTES, /* the others are varints, which is 0 */
};

static bool right_type(const fg__field *field) {
    return field->type == field_types[field->number] ||
           (field->number == PROFILE_COMMENT && field->type == FG__WIRE_BYTES);
}

static int list_add(pprof *f, pprof_list *list, fg__wire w) {
    int err = fg__grow(f->ctx, &list->at, &list->cap, list->n + 1, sizeof *list->at);
    if (!err) list->at[list->n++] = w;
    return err;
}

static int sort_field(pprof *f, const fg__field *field, const uint8_t *start, const uint8_t *end) {
    switch (field->number) {
    case PROFILE_SAMPLE:
        if (!f->samples.p) f->samples.p = start;
        f->samples.end = end;
        return 0;
    case PROFILE_SAMPLE_TYPE:
    case PROFILE_MAPPING:
    case PROFILE_LOCATION:
    case PROFILE_FUNCTION:
    case PROFILE_STRING: return list_add(f, &f->lists[field->number], fg__wire_inside(field));
    case PROFILE_PERIOD_TYPE: f->period_type = fg__wire_inside(field); return 0;
    case PROFILE_COMMENT: return list_add(f, &f->comments, (fg__wire){field->bytes, end, NULL});
    default: f->scalars[field->number] = field->value; return 0;
    }
}

static int sort_fields(pprof *f, fg__wire w) {
    fg__field field;
    for (const uint8_t *start = w.p; fg__wire_next(&w, &field); start = w.p) {
        if (field.number >= PROFILE_FIELDS) continue;
        if (!right_type(&field))
            return fg__in_fail_byte(fg__pprof_at(f, start), FG_EFORMAT,
                                    "field %u of a profile has the wrong type", field.number);
        int err = sort_field(f, &field, start, w.p);
        if (err) return err;
    }
    return w.wrong ? bad_wire(f, &w) : 0;
}

/* The input, whole, in the window. */
static int gather(fg_in *in) {
    int more;
    do more = fg__in_more(in);
    while (more > 0);
    return more;
}

/* ---- what is told about the whole ---------------------------------------------------------------------- */

static int read_type(pprof *f, fg__wire w, const char **name, const char **unit) {
    const uint8_t *place = w.p;
    uint64_t v[TYPE_FIELDS];
    uint32_t n = 0, u = 0;
    int err = fg__pprof_scalars(f, w, v, TYPE_FIELDS);
    if (!err) err = fg__pprof_string(&n, f, v[TYPE_NAME], place);
    if (!err) err = fg__pprof_string(&u, f, v[TYPE_UNIT], place);
    if (err) return err;
    *name = fg__string_at(f->p, n).bytes;
    *unit = fg__string_at(f->p, u).bytes;
    return 0;
}

static int read_types(pprof *f) {
    const pprof_list *list = &f->lists[PROFILE_SAMPLE_TYPE];
    if (list->n == 0 && f->samples.p)
        return fg__in_fail_byte(f->in, FG_EFORMAT, "samples, but no sample type that says what they count");
    if (list->n > FG_MAX_TYPES)
        return fg__in_fail_byte(fg__pprof_at(f, list->at[FG_MAX_TYPES].p), FG_ELIMIT,
                                "%zu sample types; a profile here has at most %d", list->n, FG_MAX_TYPES);
    int err = 0;
    for (size_t i = 0; i < list->n && !err; i++) {
        const char *name, *unit;
        err = read_type(f, list->at[i], &name, &unit);
        if (!err) err = fg_profile_add_type(f->p, name, unit);
    }
    return err;
}

/* What profile.proto says: the last type is meant where none is named. */
static int set_default_type(pprof *f) {
    uint32_t id;
    int err = fg__pprof_string(&id, f, f->scalars[PROFILE_DEFAULT_TYPE], f->in->p);
    if (err || !f->p->type_count) return err;
    const char *name = fg__string_at(f->p, id).bytes;
    if (!*name || fg_profile_find_type(f->p, name) < 0)
        name = fg_profile_type(f->p, f->p->type_count - 1).name;
    return fg_meta_set_text(f->p, "default_type", name);
}

static int set_period(pprof *f) {
    int64_t period = (int64_t)f->scalars[PROFILE_PERIOD];
    if (period <= 0 || !f->period_type.p) return 0;
    const char *name, *unit;
    int err = read_type(f, f->period_type, &name, &unit);
    if (err || (!*name && !*unit)) return err;
    fg__buffer text = {0};
    err = fg__buffer_add(f->ctx, &text, name, strlen(name));
    if (!err && *unit) err = fg__buffer_add(f->ctx, &text, "/", 1);
    if (!err && *unit) err = fg__buffer_add(f->ctx, &text, unit, strlen(unit));
    if (!err) err = fg_meta_set_text(f->p, "period_type", text.bytes);
    fg_free(f->ctx, text.bytes);
    return err ? err : fg_meta_set_number(f->p, "period", period);
}

static int add_comment(pprof *f, uint64_t index, const uint8_t *place, size_t *count) {
    uint32_t id;
    int err = fg__pprof_string(&id, f, index, place);
    if (err || !id || ++*count > COMMENTS_MAX) return err;
    return fg_profile_note(f->p, "%s", fg__string_at(f->p, id).bytes);
}

static int read_comments(pprof *f) {
    size_t count = 0;
    int err = 0;
    for (size_t i = 0; i < f->comments.n && !err; i++) {
        fg__wire w = f->comments.at[i];
        uint64_t index;
        while (!err && w.p < w.end) {
            if (!fg__wire_varint(&w, &index)) return bad_wire(f, &w);
            err = add_comment(f, index, w.p, &count);
        }
    }
    if (!err && count > COMMENTS_MAX)
        err = fg_profile_note(f->p, "%zu further comments are left out", count - COMMENTS_MAX);
    uint32_t url = 0;
    if (!err) err = fg__pprof_string(&url, f, f->scalars[PROFILE_DOC_URL], f->in->p);
    return err || !url ? err : fg_profile_note(f->p, "documentation: %s", fg__string_at(f->p, url).bytes);
}

static int read_about(pprof *f) {
    static const struct {
        int field;
        const char *key;
    } numbers[] = {{PROFILE_TIME, "start"}, {PROFILE_DURATION, "duration"}};
    int err = set_default_type(f);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++) {
        int64_t value = (int64_t)f->scalars[numbers[i].field];
        if (value > 0) err = fg_meta_set_number(f->p, numbers[i].key, value);
    }
    if (!err) err = set_period(f);
    return err ? err : read_comments(f);
}

/* ---- samples ------------------------------------------------------------------------------------------- */

/*
 * A sample at work. Locations come leaf first and frames are wanted root first, so the stack is filled from
 * the end of its buffer: it is stack[at … cap). The buffer is used again for the next sample.
 */
typedef struct sample {
    uint32_t *stack;
    size_t at, cap;
    int64_t values[FG_MAX_TYPES];
    size_t value_count;
    uint64_t number, budget; /* frames that all stacks together may still have */
} sample;

/* Twice the buffer, the stack again at its end. */
static int grow_stack(pprof *f, sample *s, size_t need) {
    size_t n = s->cap - s->at, cap = 0;
    uint32_t *grown = NULL;
    int err = fg__grow(f->ctx, &grown, &cap, n + need, sizeof *grown);
    if (err) return err;
    if (n) memcpy(grown + cap - n, s->stack + s->at, n * sizeof *grown);
    fg_free(f->ctx, s->stack);
    s->stack = grown;
    s->at = cap - n;
    s->cap = cap;
    return 0;
}

static int add_location(pprof *f, sample *s, uint64_t id, const uint8_t *place) {
    uint32_t i = fg__ids_find(&f->location_ids, id);
    if (FG__UNLIKELY(i == FG__NONE))
        return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT,
                                "sample %llu: location %llu does not exist", (unsigned long long)s->number,
                                (unsigned long long)id);
    uint32_t from = f->location_start[i], to = f->location_start[i + 1];
    if (FG__UNLIKELY(to - from > s->budget))
        return fg__in_fail_byte(fg__pprof_at(f, place), FG_ELIMIT,
                                "the stacks have too many frames; --max-input raises the limit");
    s->budget -= to - from;
    int err = FG__UNLIKELY(to - from > s->at) ? grow_stack(f, s, to - from) : 0;
    if (err) return err;
    while (from < to) s->stack[--s->at] = f->location_frames[from++];
    return 0;
}

static int add_value(pprof *f, sample *s, uint64_t value, const uint8_t *place) {
    if (s->value_count == f->p->type_count)
        return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT,
                                "sample %llu has more values than the profile has sample types (%zu)",
                                (unsigned long long)s->number, f->p->type_count);
    if ((int64_t)value < 0)
        return fg__in_fail_byte(
            fg__pprof_at(f, place), FG_EFORMAT,
            "sample %llu has the negative value %lld, so this is a difference of two profiles, as Go's "
            "/debug/pprof/…?seconds=N and pprof -diff_base give; fetch one without seconds (curl URL | "
            "flame-graph file --input -), or compare both (flame-graph diff --before A --after B)",
            (unsigned long long)s->number, (long long)value);
    s->values[s->value_count++] = (int64_t)value;
    return 0;
}

/* A repeated number, packed or alone. */
static int add_numbers(pprof *f, sample *s, const fg__field *field, const uint8_t *end) {
    fg__wire w = {field->bytes, end, NULL};
    int err = 0;
    while (!err && w.p < w.end) {
        const uint8_t *place = w.p;
        uint64_t number;
        if (!fg__wire_varint(&w, &number)) return bad_wire(f, &w);
        if (field->number == SAMPLE_LOCATION)
            err = add_location(f, s, number, place);
        else
            err = add_value(f, s, number, place);
    }
    return err;
}

static int decode(pprof *f, sample *s, fg__wire w) {
    const uint8_t *place = w.p;
    fg__field field;
    s->at = s->cap;
    s->value_count = 0;
    while (fg__wire_next(&w, &field)) {
        if (field.number > SAMPLE_VALUE) continue; /* labels say nothing about the stack */
        if (field.type != FG__WIRE_BYTES && field.type != FG__WIRE_VARINT)
            return fg__in_fail_byte(fg__pprof_at(f, field.bytes), FG_EFORMAT,
                                    "field %u of a sample has the wrong type", field.number);
        int err = add_numbers(f, s, &field, w.p);
        if (err) return err;
    }
    if (w.wrong) return bad_wire(f, &w);
    if (s->value_count == f->p->type_count) return 0;
    return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT,
                            "sample %llu has %zu values for %zu sample types", (unsigned long long)s->number,
                            s->value_count, f->p->type_count);
}

/*
 * drop_frames, from the root on: the first such frame goes, with all that it calls; those before the first
 * other frame stay, lest nothing be left.
 */
static size_t cut(const pprof *f, const uint32_t *stack, size_t n) {
    size_t i = 0;
    while (i < n && f->pruned[stack[i]]) i++;
    if (i == n) return n;
    while (i < n && !f->pruned[stack[i]]) i++;
    return i;
}

static int add_stack(pprof *f, const sample *s) {
    const uint32_t *stack = s->stack + s->at;
    size_t n = s->cap - s->at;
    if (f->pruned) n = cut(f, stack, n);
    int err = fg__stack_put(f->p, stack, n, s->values, NULL);
    return err ? fg__fail_in(f->ctx, err, "%s: pprof, sample %llu", f->in->name,
                             (unsigned long long)s->number)
               : 0;
}

static bool all_zero(const pprof *f, const sample *s) {
    int64_t any = 0;
    for (size_t t = 0; t < f->p->type_count; t++) any |= s->values[t];
    return !any;
}

static int read_samples(pprof *f, uint64_t budget) {
    sample s = {.budget = budget};
    fg__wire w = f->samples;
    fg__field field;
    int err = 0;
    while (!err && w.p < w.end && fg__wire_next(&w, &field)) {
        if (field.number != PROFILE_SAMPLE) continue;
        s.number++;
        err = decode(f, &s, fg__wire_inside(&field));
        if (!err && !all_zero(f, &s)) err = add_stack(f, &s);
    }
    fg_free(f->ctx, s.stack);
    return err;
}

static void close_all(pprof *f) {
    void *owned[] = {f->comments.at,     f->strings,        f->mappings, f->functions,
                     f->location_frames, f->location_start, f->pruned};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(f->ctx, owned[i]);
    for (size_t i = 0; i <= PROFILE_STRING; i++) fg_free(f->ctx, f->lists[i].at);
    fg__ids_free(f->ctx, &f->mapping_ids);
    fg__ids_free(f->ctx, &f->function_ids);
    fg__ids_free(f->ctx, &f->location_ids);
}

int fg__pprof_read(fg_profile *p, fg_in *in, const fg_read_options *options) {
    pprof f = {.p = p, .in = in, .ctx = p->ctx, .lines = options->lines};
    int err = gather(in);
    if (!err) err = sort_fields(&f, (fg__wire){in->p, in->end, NULL});
    if (!err) err = fg__pprof_tables(&f);
    if (!err) err = read_types(&f);
    if (!err) err = read_about(&f);
    if (!err) err = fg__pprof_prune(&f);
    if (!err) err = read_samples(&f, fg__max_input(options) / sizeof(uint32_t));
    close_all(&f);
    return err;
}
