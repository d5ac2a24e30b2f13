/* What the samples of a pprof refer to: strings, mappings, functions, and locations as rows of frames. */
#include "formats/pprof.h"
#include <stdio.h>

fg_in *fg__pprof_at(pprof *f, const uint8_t *place) {
    f->in->p = place;
    return f->in;
}

int fg__pprof_scalars(pprof *f, fg__wire w, uint64_t *values, uint32_t fields) {
    memset(values, 0, fields * sizeof *values);
    fg__field field;
    while (fg__wire_next(&w, &field))
        if (field.number < fields && field.type == FG__WIRE_VARINT) values[field.number] = field.value;
    return w.wrong ? fg__in_fail_byte(fg__pprof_at(f, w.p), FG_EFORMAT, "%s", w.wrong) : 0;
}

int fg__pprof_string(uint32_t *out, pprof *f, uint64_t index, const uint8_t *place) {
    const pprof_list *table = &f->lists[PROFILE_STRING];
    if (index >= table->n) {
        *out = 0;
        if (index == 0) return 0; /* no table at all: everything is "" */
        return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT,
                                "string %llu is referred to, the table has %zu", (unsigned long long)index,
                                table->n);
    }
    if (!f->strings[index]) {
        const fg__wire *s = &table->at[index];
        uint32_t id;
        int err = fg__string_intern(&id, f->p, (const char *)s->p, (size_t)(s->end - s->p));
        if (err) return err;
        f->strings[index] = id + 1;
    }
    *out = f->strings[index] - 1;
    return 0;
}

/* The next entry of a table has this id; `what` is what messages call it. */
static int add_id(pprof *f, fg__ids *ids, const char *what, uint64_t id, const uint8_t *place) {
    if (id == 0)
        return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT, "%s %zu has the id 0", what, ids->count);
    if (fg__ids_find(ids, id) != FG__NONE)
        return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT, "%s %llu is there twice", what,
                                (unsigned long long)id);
    return fg__ids_add(f->ctx, ids, id);
}

/* ---- mappings and functions ---------------------------------------------------------------------------- */

/* "[kernel.kallsyms]_text", "[guest.kernel.kallsyms]", modules by path, vmlinux. */
static bool is_kernel(const char *filename) {
    size_t n = strlen(filename);
    return strncmp(filename, "[kernel", 7) == 0 || strncmp(filename, "[guest.kernel", 13) == 0 ||
           (n > 3 && strcmp(filename + n - 3, ".ko") == 0) ||
           (n >= 7 && strcmp(filename + n - 7, "vmlinux") == 0);
}

static int read_mappings(pprof *f) {
    const pprof_list *list = &f->lists[PROFILE_MAPPING];
    f->mappings = fg__calloc(f->ctx, list->n, sizeof *f->mappings);
    int err = f->mappings ? 0 : FG_ENOMEM;
    for (size_t i = 0; i < list->n && !err; i++) {
        const uint8_t *place = list->at[i].p;
        uint64_t v[MAPPING_FIELDS];
        err = fg__pprof_scalars(f, list->at[i], v, MAPPING_FIELDS);
        if (!err) err = add_id(f, &f->mapping_ids, "mapping", v[MAPPING_ID], place);
        if (!err) err = fg__pprof_string(&f->mappings[i].filename, f, v[MAPPING_FILENAME], place);
        if (!err) f->mappings[i].kernel = is_kernel(fg__string_at(f->p, f->mappings[i].filename).bytes);
    }
    return err;
}

static uint32_t line_number(uint64_t value) {
    return value <= INT32_MAX ? (uint32_t)value : 0;
}

static int read_functions(pprof *f) {
    const pprof_list *list = &f->lists[PROFILE_FUNCTION];
    f->functions = fg__calloc(f->ctx, list->n, sizeof *f->functions);
    int err = f->functions ? 0 : FG_ENOMEM;
    for (size_t i = 0; i < list->n && !err; i++) {
        const uint8_t *place = list->at[i].p;
        pprof_function *function = &f->functions[i];
        uint64_t v[FUNCTION_FIELDS];
        err = fg__pprof_scalars(f, list->at[i], v, FUNCTION_FIELDS);
        if (!err) err = add_id(f, &f->function_ids, "function", v[FUNCTION_ID], place);
        if (!err) err = fg__pprof_string(&function->name, f, v[FUNCTION_NAME], place);
        if (!err && !function->name)
            err = fg__pprof_string(&function->name, f, v[FUNCTION_SYSTEM_NAME], place);
        if (!err) err = fg__pprof_string(&function->file, f, v[FUNCTION_FILENAME], place);
        if (!err) function->line = line_number(v[FUNCTION_START_LINE]);
    }
    return err;
}

/* ---- locations ----------------------------------------------------------------------------------------- */

/*
 * What a place without a function is called: its module, as one function stands for all its lines; its
 * address where there is no module or where lines are kept apart.
 */
static int nameless(uint32_t *out, pprof *f, uint32_t module, uint64_t address) {
    fg__string s = fg__string_at(f->p, module);
    const char *slash = strrchr(s.bytes, '/'), *base = slash ? slash + 1 : s.bytes;
    char number[32];
    if (address && (f->lines || !*base)) {
        int n = snprintf(number, sizeof number, "0x%llx", (unsigned long long)address);
        return fg__string_intern(out, f->p, number, (size_t)n);
    }
    if (!*base) return fg__string_intern(out, f->p, "[unknown]", 9);
    if (*base == '[') return fg__string_intern(out, f->p, base, strlen(base));
    fg__buffer name = {0};
    int err = fg__buffer_add(f->ctx, &name, "[", 1);
    if (!err) err = fg__buffer_add(f->ctx, &name, base, strlen(base));
    if (!err) err = fg__buffer_add(f->ctx, &name, "]", 1);
    if (!err) err = fg__string_intern(out, f->p, name.bytes, name.n);
    fg_free(f->ctx, name.bytes);
    return err;
}

static int add_frame(pprof *f, fg__frame *frame, uint64_t address) {
    int err = frame->name ? 0 : nameless(&frame->name, f, frame->module, address);
    if (!err && f->frame_count >= FG__NONE - 1)
        err = fg__in_fail_byte(f->in, FG_ELIMIT, "more than 4 billion lines in the locations");
    if (!err)
        err = fg__grow(f->ctx, &f->location_frames, &f->frame_cap, f->frame_count + 1,
                       sizeof *f->location_frames);
    if (!err) err = fg__frame_intern(&f->location_frames[f->frame_count], f->p, frame);
    if (!err) f->frame_count++;
    return err;
}

static int add_line(pprof *f, fg__wire w, fg__frame *frame, uint64_t address) {
    const uint8_t *place = w.p;
    uint64_t v[LINE_FIELDS];
    int err = fg__pprof_scalars(f, w, v, LINE_FIELDS);
    if (err) return err;
    pprof_function function = {0};
    if (v[LINE_FUNCTION]) {
        uint32_t i = fg__ids_find(&f->function_ids, v[LINE_FUNCTION]);
        if (i == FG__NONE)
            return fg__in_fail_byte(fg__pprof_at(f, place), FG_EFORMAT, "function %llu does not exist",
                                    (unsigned long long)v[LINE_FUNCTION]);
        function = f->functions[i];
    }
    frame->name = function.name;
    frame->file = function.file;
    frame->line = f->lines ? line_number(v[LINE_LINE]) : function.line;
    return add_frame(f, frame, address);
}

/* All lines but the last are inlined into the one behind them. */
static int add_lines(pprof *f, fg__wire w, fg__frame *frame, uint64_t address) {
    uint32_t kind = frame->kind;
    fg__field field, held = {0};
    int err = 0;
    while (!err && fg__wire_next(&w, &field)) {
        if (field.number != LOCATION_LINE || field.type != FG__WIRE_BYTES) continue;
        frame->kind = FG_KIND_INLINED;
        if (held.bytes) err = add_line(f, fg__wire_inside(&held), frame, address);
        held = field;
    }
    frame->kind = kind;
    if (err) return err;
    return held.bytes ? add_line(f, fg__wire_inside(&held), frame, address) : add_frame(f, frame, address);
}

static int read_location(pprof *f, fg__wire w) {
    const uint8_t *place = w.p;
    uint64_t v[LOCATION_FIELDS];
    int err = fg__pprof_scalars(f, w, v, LOCATION_FIELDS);
    if (!err) err = add_id(f, &f->location_ids, "location", v[LOCATION_ID], place);
    if (err) return err;
    /* Writers that know no modules name some id all the same: that is no module. */
    uint32_t i = fg__ids_find(&f->mapping_ids, v[LOCATION_MAPPING]);
    fg__frame frame = {0};
    if (i != FG__NONE) {
        frame.module = f->mappings[i].filename;
        frame.kind = f->mappings[i].kernel ? FG_KIND_KERNEL : FG_KIND_UNKNOWN;
    }
    return add_lines(f, w, &frame, v[LOCATION_ADDRESS]);
}

static int read_locations(pprof *f) {
    const pprof_list *list = &f->lists[PROFILE_LOCATION];
    f->location_start = fg__calloc(f->ctx, list->n + 1, sizeof *f->location_start);
    int err = f->location_start ? 0 : FG_ENOMEM;
    for (size_t i = 0; i < list->n && !err; i++) {
        err = read_location(f, list->at[i]);
        f->location_start[i + 1] = (uint32_t)f->frame_count;
    }
    return err;
}

int fg__pprof_tables(pprof *f) {
    const pprof_list *table = &f->lists[PROFILE_STRING];
    if (table->n && table->at[0].p != table->at[0].end)
        return fg__in_fail_byte(fg__pprof_at(f, table->at[0].p), FG_EFORMAT, "the first string is not empty");
    f->strings = fg__calloc(f->ctx, table->n, sizeof *f->strings);
    int err = f->strings ? read_mappings(f) : FG_ENOMEM;
    if (!err) err = read_functions(f);
    if (!err) err = read_locations(f);
    return err;
}
