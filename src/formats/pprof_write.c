/*
 * Writing pprof. Samples are written as they come, each behind those locations, functions and mappings that it is the
 * first to need; strings are numbered on the way and come last.
 *
 *   stack   main │ outer, inlined │ leaf       a function that was called, and what was inlined into it, is one
 *   sample  [3]    [2]              [1]        location; a sample lists them leaf first
 *
 * A second profile does the numbering: its strings are the string table, its frames (name, file, line) the functions,
 * and its stacks the locations, as rows of frames of the first one.
 */
#include "formats/pprof.h"
#include <libdeflate.h>

enum { GZIP_LEVEL = 6 };

/* In place of the module of a kernel frame that has none: the kernel is known by its module. */
static const char kernel[] = "[kernel.kallsyms]";

typedef struct writer {
    fg_profile *p, *tables;
    fg_ctx *ctx;
    fg_out file, message, inner;
    uint32_t *strings, *mappings; /* by string of p: its number; 0: none yet */
    uint32_t *singles; /* by frame: the location that is this frame and nothing else; 0: none yet */
    uint32_t mapping_count;
    uint32_t *locations; /* of the sample at work, root first */
    size_t cap;
} writer;

/* ---- the wire ------------------------------------------------------------------------------------------- */

static void put_key(fg_out *out, unsigned field, unsigned type) {
    fg__out_varint(out, field << 3 | type);
}

static void put(fg_out *out, unsigned field, uint64_t number) {
    if (!number) return; /* what is not there is 0 */
    put_key(out, field, FG__WIRE_VARINT);
    fg__out_varint(out, number);
}

static void put_bytes(fg_out *out, unsigned field, const void *bytes, size_t n) {
    put_key(out, field, FG__WIRE_BYTES);
    fg__out_varint(out, n);
    fg__out_bytes(out, bytes, n);
}

/* What was gathered in `message` becomes a field of `out`. */
static void put_message(fg_out *out, unsigned field, fg_out *message) {
    put_bytes(out, field, message->buffer, message->n);
    message->n = 0;
}

/* A field that is a string, by its number in the string table. */
static int put_text(writer *w, fg_out *out, unsigned field, const char *text, size_t n) {
    uint32_t number;
    int err = fg__string_intern(&number, w->tables, text, n);
    if (!err) put(out, field, number);
    return err;
}

/* ---- mappings, functions, locations --------------------------------------------------------------------- */

static int new_string(uint32_t *out, writer *w, uint32_t id) {
    if (id && !w->strings[id]) {
        fg__string s = fg__string_at(w->p, id);
        int err = fg__string_intern(&w->strings[id], w->tables, s.bytes, s.n);
        if (err) return err;
    }
    *out = w->strings[id];
    return 0;
}

/* The mapping of a frame's module; 0: it has none. Symbols are done: nobody should look for them. */
static int mapping_of(uint32_t *out, writer *w, const fg__frame *frame) {
    bool is_kernel = !frame->module && frame->kind == FG_KIND_KERNEL;
    uint32_t *id = &w->mappings[frame->module]; /* that of "" is the kernel's */
    *out = 0;
    if (!frame->module && !is_kernel) return 0;
    if (!*id) {
        fg__string s = fg__string_at(w->p, frame->module);
        put(&w->message, MAPPING_ID, w->mapping_count + 1);
        int err = put_text(w, &w->message, MAPPING_FILENAME, is_kernel ? kernel : s.bytes,
                           is_kernel ? sizeof kernel - 1 : s.n);
        for (unsigned has = MAPPING_HAS_FUNCTIONS; has <= MAPPING_HAS_INLINED; has++)
            put(&w->message, has, 1);
        put_message(&w->file, PROFILE_MAPPING, &w->message);
        if (err) return err;
        *id = ++w->mapping_count;
    }
    *out = *id;
    return 0;
}

static int function_of(uint32_t *out, writer *w, const fg__frame *frame) {
    fg__frame function = {.line = frame->line};
    int err = new_string(&function.name, w, frame->name);
    if (!err) err = new_string(&function.file, w, frame->file);
    size_t have = w->tables->frame_count;
    uint32_t id;
    if (!err) err = fg__frame_intern(&id, w->tables, &function);
    if (err) return err;
    *out = id + 1;
    if (id < have) return 0;
    put(&w->inner, FUNCTION_ID, *out);
    put(&w->inner, FUNCTION_NAME, function.name);
    put(&w->inner, FUNCTION_SYSTEM_NAME, function.name);
    put(&w->inner, FUNCTION_FILENAME, function.file);
    put(&w->inner, FUNCTION_START_LINE, function.line);
    put_message(&w->file, PROFILE_FUNCTION, &w->inner);
    return 0;
}

/* `frames` are a function that was called and what was inlined into it, outermost first. */
static int put_location(writer *w, uint32_t id, const uint32_t *frames, size_t n) {
    uint32_t mapping = 0, function = 0;
    int err = mapping_of(&mapping, w, fg__frame_at(w->p, frames[0]));
    put(&w->message, LOCATION_ID, id);
    put(&w->message, LOCATION_MAPPING, mapping);
    for (size_t i = n; i-- > 0 && !err;) {
        const fg__frame *frame = fg__frame_at(w->p, frames[i]);
        err = function_of(&function, w, frame);
        put(&w->inner, LINE_FUNCTION, function);
        put(&w->inner, LINE_LINE, frame->line);
        put_message(&w->message, LOCATION_LINE, &w->inner);
    }
    put_message(&w->file, PROFILE_LOCATION, &w->message);
    return err;
}

static int location_of(uint32_t *out, writer *w, const uint32_t *frames, size_t n) {
    if (n == 1 && w->singles[*frames]) {
        *out = w->singles[*frames];
        return 0;
    }
    size_t have = w->tables->stack_count;
    uint32_t id;
    int err = fg__stack_put(w->tables, frames, n, NULL, &id);
    if (err) return err;
    *out = id + 1;
    if (n == 1) w->singles[*frames] = *out;
    return id < have ? 0 : put_location(w, *out, frames, n);
}

/* ---- samples -------------------------------------------------------------------------------------------- */

static bool is_inlined(const writer *w, uint32_t frame) {
    return fg__frame_at(w->p, frame)->kind == FG_KIND_INLINED;
}

static int put_sample(writer *w, size_t stack) {
    size_t n, count = 0;
    const uint32_t *frames = fg__stack_at(w->p, stack, &n);
    int err = fg__grow(w->ctx, &w->locations, &w->cap, n, sizeof *w->locations);
    for (size_t from = 0, to; from < n && !err; from = to) {
        for (to = from + 1; to < n && is_inlined(w, frames[to]);) to++;
        err = location_of(&w->locations[count++], w, frames + from, to - from);
    }
    if (err) return err;
    while (count > 0) fg__out_varint(&w->inner, w->locations[--count]);
    if (n) put_message(&w->message, SAMPLE_LOCATION, &w->inner);
    for (size_t t = 0; t < w->p->type_count; t++) fg__out_varint(&w->inner, (uint64_t)w->p->values[t][stack]);
    put_message(&w->message, SAMPLE_VALUE, &w->inner);
    put_message(&w->file, PROFILE_SAMPLE, &w->message);
    return 0;
}

/* ---- the profile ---------------------------------------------------------------------------------------- */

static int put_type(writer *w, unsigned field, const char *name, size_t n, const char *unit) {
    int err = put_text(w, &w->message, TYPE_NAME, name, n);
    if (!err) err = put_text(w, &w->message, TYPE_UNIT, unit, strlen(unit));
    put_message(&w->file, field, &w->message);
    return err;
}

static int put_types(writer *w) {
    int err = 0;
    for (size_t t = 0; t < w->p->type_count && !err; t++) {
        fg_value_type type = fg_profile_type(w->p, t);
        err = put_type(w, PROFILE_SAMPLE_TYPE, type.name, strlen(type.name), type.unit);
    }
    int type = fg_profile_find_type(w->p, NULL);
    if (err || type < 0) return err;
    const char *name = fg_profile_type(w->p, (size_t)type).name;
    return put_text(w, &w->file, PROFILE_DEFAULT_TYPE, name, strlen(name));
}

/* "cpu/nanoseconds" */
static int put_period(writer *w) {
    const char *type = fg_meta_text(w->p, "period_type"), *slash = strrchr(type, '/');
    int64_t period = fg_meta_number(w->p, "period");
    if (period <= 0) return 0;
    put(&w->file, PROFILE_PERIOD, (uint64_t)period);
    return put_type(w, PROFILE_PERIOD_TYPE, type, slash ? (size_t)(slash - type) : strlen(type),
                    slash ? slash + 1 : "");
}

static int put_about(writer *w) {
    int64_t start = fg_meta_number(w->p, "start"), duration = fg_meta_number(w->p, "duration");
    if (start > 0) put(&w->file, PROFILE_TIME, (uint64_t)start);
    if (duration > 0) put(&w->file, PROFILE_DURATION, (uint64_t)duration);
    int err = put_period(w);
    const char *note;
    for (size_t i = 0; !err && (note = fg_profile_note_at(w->p, i)); i++)
        err = put_text(w, &w->file, PROFILE_COMMENT, note, strlen(note));
    return err;
}

static int put_profile(writer *w) {
    int err = put_types(w);
    for (size_t i = 0; i < w->p->stack_count && !err; i++) err = put_sample(w, i);
    if (!err) err = put_about(w);
    for (uint32_t i = 0; i < w->tables->string_count && !err; i++) {
        fg__string s = fg__string_at(w->tables, i);
        put_bytes(&w->file, PROFILE_STRING, s.bytes, s.n);
    }
    fg_out *const outs[] = {&w->file, &w->message, &w->inner};
    for (size_t i = 0; i < sizeof outs / sizeof *outs && !err; i++) err = fg__out_status(outs[i]);
    return err;
}

static int compress(fg_out *out, const fg_out *file) {
    struct libdeflate_compressor *gzip = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (!gzip) return fg__nomem(out->ctx);
    size_t most = libdeflate_gzip_compress_bound(gzip, file->n);
    void *packed = fg__alloc(out->ctx, most);
    if (packed)
        fg__out_bytes(out, packed, libdeflate_gzip_compress(gzip, file->buffer, file->n, packed, most));
    fg_free(out->ctx, packed);
    libdeflate_free_compressor(gzip);
    return packed ? fg__out_status(out) : FG_ENOMEM;
}

static int open_writer(writer *w) {
    int err = fg_profile_new(&w->tables, w->ctx);
    fg_out *const outs[] = {&w->file, &w->message, &w->inner};
    for (size_t i = 0; i < sizeof outs / sizeof *outs && !err; i++) err = fg__out_memory(outs[i], w->ctx);
    w->strings = fg__calloc(w->ctx, w->p->string_count, sizeof *w->strings);
    w->mappings = fg__calloc(w->ctx, w->p->string_count, sizeof *w->mappings);
    w->singles = fg__calloc(w->ctx, w->p->frame_count, sizeof *w->singles);
    return err ? err : w->strings && w->mappings && w->singles ? 0 : FG_ENOMEM;
}

int fg__pprof_write(fg_out *out, fg_profile *p, const fg_write_options *options) {
    (void)options; /* all columns, whatever is to be shown */
    writer w = {.p = p, .ctx = p->ctx};
    int err = open_writer(&w);
    if (!err) err = put_profile(&w);
    if (!err) err = compress(out, &w.file);
    void *owned[] = {w.file.buffer, w.message.buffer, w.inner.buffer, w.strings,
                     w.mappings,    w.singles,        w.locations};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    fg_profile_free(w.tables);
    return err;
}
