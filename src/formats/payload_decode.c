/* The profile in a picture, read back; the layout is in payload.h. Nothing in the bytes is believed. */
#include "formats/payload.h"
#include <libdeflate.h>

enum { MAX_NOTES = 10000 }; /* a profile compares each new note with all it has */
static const uint64_t default_max = 1u << 30;

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

typedef struct decoder {
    fg_ctx *ctx;
    fg_profile *p;
    const uint8_t *bytes; /* the sections' contents, one behind the other */
    cursor strings, frames, types, meta, notes, depth, ids, slices, values[FG_MAX_TYPES];
    size_t value_count;
    unsigned flags;
    uint32_t *string_ids, *frame_ids; /* of the payload → of the profile */
    size_t string_count, frame_count;
    uint32_t *path; /* frames from the root to the node at hand */
    size_t path_cap;
    uint32_t *turned; /* the path, innermost frame first */
    size_t turned_cap;
    uint32_t *stacks; /* of each node, FG__NONE: it is none; NULL where there are no slices */
    size_t node_count;
    uint64_t max;
} decoder;

static int bad(const decoder *d, const uint8_t *at, const char *what) {
    return fg__fail(d->ctx, FG_EFORMAT, "the profile in the picture is damaged: %s at byte %zu, decompressed",
                    what, (size_t)(at - d->bytes));
}

static int get(const decoder *d, cursor *c, uint64_t *number) {
    uint64_t value = 0;
    const uint8_t *at = c->at;
    for (unsigned shift = 0; at < c->end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte >= 0x80) continue;
        c->at = at;
        *number = value;
        return 0;
    }
    return bad(d, c->at, c->at == c->end ? "a number is missing" : "a number is cut short or too large");
}

/* A number below `limit`: an id, or a count of things. */
static int get_below(const decoder *d, cursor *c, uint32_t *number, uint64_t limit, const char *what) {
    uint64_t value = 0;
    const uint8_t *at = c->at;
    int err = get(d, c, &value);
    if (!err && (value >= limit || value > UINT32_MAX)) return bad(d, at, what);
    if (!err) *number = (uint32_t)value;
    return err;
}

/* A count of things that take at least `size` bytes each. */
static int get_count(const decoder *d, cursor *c, size_t *count, size_t size) {
    uint32_t n = 0;
    int err = get_below(d, c, &n, (uint64_t)(c->end - c->at) / size + 1, "a count of more than there can be");
    if (!err) *count = n;
    return err;
}

static int get_bytes(const decoder *d, cursor *c, const char **bytes, size_t n) {
    if ((size_t)(c->end - c->at) < n) return bad(d, c->at, "a text that is cut short");
    *bytes = (const char *)c->at;
    c->at += n;
    return 0;
}

static int get_strings(decoder *d) {
    int err = get_count(d, &d->strings, &d->string_count, 1);
    if (err) return err;
    d->string_ids = fg__calloc(d->ctx, d->string_count + 1, sizeof *d->string_ids);
    if (!d->string_ids) return FG_ENOMEM;
    for (size_t i = 0; i < d->string_count && !err; i++) {
        size_t n = 0;
        const char *bytes = NULL;
        err = get_count(d, &d->strings, &n, 1);
        if (!err) err = get_bytes(d, &d->strings, &bytes, n);
        if (!err) err = fg__string_intern(&d->string_ids[i], d->p, bytes, n);
    }
    return err;
}

static int get_string(const decoder *d, cursor *c, uint32_t *id) {
    uint32_t i = 0;
    int err = get_below(d, c, &i, d->string_count, "a string that is not there");
    if (!err) *id = d->string_ids[i];
    return err;
}

static int get_frames(decoder *d) {
    cursor *c = &d->frames;
    int err = get_below(d, c, &d->p->annotations, 1u << FG_KIND_COUNT, "a kind of frame that is not known");
    if (!err) err = get_count(d, c, &d->frame_count, 5);
    if (err) return err;
    d->frame_ids = fg__calloc(d->ctx, d->frame_count + 1, sizeof *d->frame_ids);
    if (!d->frame_ids) return FG_ENOMEM;
    for (size_t i = 0; i < d->frame_count && !err; i++) {
        fg__frame f = {0};
        err = get_string(d, c, &f.name);
        if (!err) err = get_string(d, c, &f.file);
        if (!err) err = get_string(d, c, &f.module);
        if (!err) err = get_below(d, c, &f.line, (uint64_t)UINT32_MAX + 1, "a line number beyond 2^32");
        if (!err) err = get_below(d, c, &f.kind, FG_KIND_COUNT, "a kind of frame that is not known");
        if (!err) err = fg__frame_intern(&d->frame_ids[i], d->p, &f);
    }
    return err;
}

static int get_types(decoder *d) {
    uint32_t count = 0;
    const uint8_t *at = d->types.at;
    int err = get_below(d, &d->types, &count, FG_MAX_TYPES + 1, "more value types than a profile can have");
    if (!err && (count == 0 || count != d->value_count)) err = bad(d, at, "a value type without its column");
    for (uint32_t i = 0; i < count && !err; i++) {
        uint32_t name = 0, unit = 0;
        err = get_string(d, &d->types, &name);
        if (!err) err = get_string(d, &d->types, &unit);
        if (!err) err = fg_profile_add_type(d->p, d->p->strings[name].bytes, d->p->strings[unit].bytes);
    }
    return err;
}

static int get_meta_value(decoder *d, int type, fg__meta_value *value) {
    if (type == FG_META_TEXT) return get_string(d, &d->meta, &value->text);
    if (type == FG_META_NUMBER) {
        uint64_t zigzag = 0;
        int err = get(d, &d->meta, &zigzag);
        if (!err) value->number = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
        return err;
    }
    const char *bytes = NULL;
    int err = get_bytes(d, &d->meta, &bytes, 8);
    uint64_t bits = 0;
    for (int i = 0; i < 8 && !err; i++) bits |= (uint64_t)(uint8_t)bytes[i] << (8 * i);
    memcpy(&value->real, &bits, sizeof bits);
    return err;
}

static void set_meta(fg_profile *p, const char *key, size_t n, int type, fg__meta_value value) {
    int have;
    const char *name;
    for (size_t i = 0; (name = fg_meta_key(i, &have)); i++)
        if (have == type && strlen(name) == n && memcmp(name, key, n) == 0) p->meta[i] = value;
}

/* Keys that are not known here come from a newer version and are left out. */
static int get_meta(decoder *d) {
    size_t count = 0, n = 0;
    int err = get_count(d, &d->meta, &count, 3);
    for (size_t i = 0; i < count && !err; i++) {
        const char *key = NULL;
        uint32_t type = 0;
        fg__meta_value value = {.set = true};
        err = get_count(d, &d->meta, &n, 1);
        if (!err) err = get_bytes(d, &d->meta, &key, n);
        if (!err)
            err = get_below(d, &d->meta, &type, FG_META_REAL + 1, "metadata of a type that is not known");
        if (!err) err = get_meta_value(d, (int)type, &value);
        if (!err) set_meta(d->p, key, n, (int)type, value);
    }
    return err;
}

static int get_notes(decoder *d) {
    uint32_t count = 0;
    int err = get_below(d, &d->notes, &count, MAX_NOTES, "more notes than anyone could read");
    for (size_t i = 0; i < count && !err; i++) {
        uint32_t id = 0;
        err = get_string(d, &d->notes, &id);
        if (!err) err = fg_profile_note(d->p, "%s", d->p->strings[id].bytes);
    }
    return err;
}

/* A small tree can have a great many frames in its stacks, so what they take is held to the cap as well. */
static int add_stack(decoder *d, size_t node, size_t depth, const int64_t *values) {
    if ((d->p->stack_frame_count + depth) * sizeof(uint32_t) > d->max)
        return fg__fail(d->ctx, FG_ELIMIT,
                        "the stacks of the profile in the picture take more than %llu bytes; raise max_input",
                        (unsigned long long)d->max);
    const uint32_t *stack = d->path;
    if (d->flags & FG__PAYLOAD_REVERSED) {
        int err = fg__grow(d->ctx, &d->turned, &d->turned_cap, depth, sizeof *d->turned);
        if (err) return err;
        for (size_t i = 0; i < depth; i++) d->turned[i] = d->path[depth - 1 - i];
        stack = d->turned;
    }
    return fg__stack_put(d->p, stack, depth, values, d->stacks ? &d->stacks[node] : NULL);
}

static int get_values(decoder *d, int64_t *values, bool *any) {
    *any = false;
    for (size_t t = 0; t < d->value_count; t++) {
        uint64_t value = 0;
        const uint8_t *at = d->values[t].at;
        int err = get(d, &d->values[t], &value);
        if (err) return err;
        if (value > INT64_MAX) return bad(d, at, "a value beyond 2^63");
        values[t] = (int64_t)value;
        *any |= value != 0;
    }
    return 0;
}

static int make_stacks(decoder *d, size_t count) {
    d->node_count = count;
    d->stacks = fg__no_ids(d->ctx, count);
    return d->stacks ? 0 : FG_ENOMEM;
}

/* A node is a stack of its own when it has values, or when nothing is below it. */
static int get_tree(decoder *d) {
    size_t count = 0, depth = 0;
    int64_t values[FG_MAX_TYPES];
    bool any;
    int err = get_count(d, &d->depth, &count, 1);
    if (!err && d->slices.at != d->slices.end) err = make_stacks(d, count + 1);
    if (!err) err = get_values(d, values, &any);
    if (!err && any) err = add_stack(d, 0, 0, values);
    for (size_t i = 0; i < count && !err; i++) {
        uint32_t ended = 0, id = 0;
        err = get_below(d, &d->depth, &ended, depth + 1, "a node without a parent");
        if (!err) err = get_below(d, &d->ids, &id, d->frame_count, "a frame that is not there");
        if (!err) err = get_values(d, values, &any);
        if (err) return err;
        depth = depth - ended + 1;
        err = fg__grow(d->ctx, &d->path, &d->path_cap, depth, sizeof *d->path);
        if (err) return err;
        d->path[depth - 1] = d->frame_ids[id];
        bool leaf = d->depth.at == d->depth.end || *d->depth.at != 0;
        if (any || leaf) err = add_stack(d, i + 1, depth, values);
    }
    return err;
}

/* One entry: `last` becomes it. No more than its stack has in all. */
static int get_slice(decoder *d, fg__part *last) {
    fg_profile *p = d->p;
    cursor *c = &d->slices;
    uint32_t slice = 0, node = 0;
    uint64_t value = 0;
    const uint8_t *at = c->at;
    int err = get_below(d, c, &slice, p->runs[0] - last->run, "a slice of time that is not there");
    if (!err && slice) last->stack = 0;
    if (!err) err = get_below(d, c, &node, d->node_count - last->stack, "a slice's node that is not there");
    if (!err) err = get(d, c, &value);
    if (err) return err;
    last->run += slice;
    last->stack += node;
    uint32_t stack = d->stacks[last->stack];
    if (stack == FG__NONE || value > (uint64_t)p->values[p->slice_type][stack])
        return bad(d, at, "a slice with more than its stack has");
    return fg__part_add(p, (fg__part){last->run, stack, (int64_t)value});
}

static int get_slices(decoder *d) {
    fg_profile *p = d->p;
    cursor *c = &d->slices;
    if (c->at == c->end) return 0;
    uint32_t type = 0, slices = 0;
    uint64_t length = 0;
    size_t n = 0;
    const uint8_t *at = c->at;
    int err = get_below(d, c, &type, p->type_count, "slices of a value type that is not there");
    if (!err) err = get(d, c, &length);
    if (!err && (length == 0 || length > INT64_MAX)) err = bad(d, at, "a length of slices that cannot be");
    if (!err) err = get_below(d, c, &slices, FG__SLICES_MOST + 1, "more slices than there can be");
    if (!err) err = get_count(d, c, &n, 3);
    if (err) return err;
    p->slice_type = type;
    p->slice_length[0] = (int64_t)length;
    p->runs[0] = slices;
    fg__part last = {0};
    for (size_t i = 0; i < n && !err; i++) err = get_slice(d, &last);
    return err;
}

static cursor *section_for(decoder *d, uint8_t tag) {
    switch (tag) {
    case 'S': return &d->strings;
    case 'F': return &d->frames;
    case 'T': return &d->types;
    case 'M': return &d->meta;
    case 'N': return &d->notes;
    case 'D': return &d->depth;
    case 'I': return &d->ids;
    case 'L': return &d->slices;
    case 'V': return d->value_count < FG_MAX_TYPES ? &d->values[d->value_count++] : NULL;
    default: return NULL;
    }
}

static int decode(decoder *d) {
    static int (*const steps[])(decoder *) = {get_strings, get_frames, get_types, get_meta,
                                              get_notes,   get_tree,   get_slices};
    int err = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && !err; i++) err = steps[i](d);
    void *scratch[] = {d->string_ids, d->frame_ids, d->path, d->turned, d->stacks};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++) fg_free(d->ctx, scratch[i]);
    return err;
}

/* ---- sections ---------------------------------------------------------------------------------- */

typedef struct section {
    uint8_t tag, method;
    uint32_t size, stored;
    const uint8_t *content;
} section;

static uint32_t u32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int damaged(const decoder *d, const char *what) {
    return fg__fail(d->ctx, FG_EFORMAT, "the profile in the picture is damaged: %s", what);
}

/* The section at *at. DEFLATE makes at most 1032 bytes of one, so sizes beyond that are not even tried. */
static int next_section(const decoder *d, section *s, const uint8_t **at, const uint8_t *end) {
    if (end - *at < FG__PAYLOAD_SECTION) return damaged(d, "a section is cut short");
    *s = (section){(*at)[0], (*at)[1], u32(*at + 2), u32(*at + 6), *at + FG__PAYLOAD_SECTION};
    if ((size_t)(end - s->content) < s->stored) return damaged(d, "a section is cut short");
    bool fits = s->method == FG__PAYLOAD_STORED ? s->size == s->stored : s->size / 1032 <= s->stored;
    if (s->method > FG__PAYLOAD_GZIP || !fits)
        return damaged(d, "a section does not have the size that it says");
    *at = s->content + s->stored;
    return 0;
}

static int unpack(decoder *d, struct libdeflate_decompressor *z, const section *s, uint8_t *to) {
    if (s->method == FG__PAYLOAD_STORED) {
        memcpy(to, s->content, s->size);
    } else if (libdeflate_gzip_decompress(z, s->content, s->stored, to, s->size, NULL) !=
               LIBDEFLATE_SUCCESS) {
        return damaged(d, "a section cannot be decompressed");
    }
    cursor *c = section_for(d, s->tag);
    if (c) *c = (cursor){to, to + s->size};
    return 0;
}

/* How much all of the sections take. */
static int measure(const decoder *d, uint64_t *size, const uint8_t *at, const uint8_t *end) {
    int err = 0;
    section s = {0};
    *size = 0;
    while (at < end && !err) {
        err = next_section(d, &s, &at, end);
        *size += s.size;
    }
    if (err || *size <= d->max) return err;
    return fg__fail(d->ctx, FG_ELIMIT, "the profile in the picture is more than %llu bytes; raise max_input",
                    (unsigned long long)d->max);
}

static int unpack_all(decoder *d, uint8_t **bytes, const uint8_t *at, const uint8_t *end) {
    uint64_t size = 0;
    int err = measure(d, &size, at, end);
    if (err) return err;
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    if (!z) return fg__nomem(d->ctx);
    uint8_t *to = *bytes = fg__alloc(d->ctx, size + 1);
    if (!to) err = FG_ENOMEM;
    d->bytes = to;
    while (at < end && !err) {
        section s = {0};
        err = next_section(d, &s, &at, end);
        if (!err) err = unpack(d, z, &s, to);
        to += s.size;
    }
    libdeflate_free_decompressor(z);
    return err;
}

int fg__payload_decode(fg_profile *p, const void *bytes, size_t n, uint64_t max) {
    decoder d = {.ctx = p->ctx, .p = p, .max = max ? max : default_max};
    const uint8_t *head = bytes, *version = head + sizeof FG__PAYLOAD_MAGIC - 1;
    if (n < FG__PAYLOAD_HEADER || memcmp(head, FG__PAYLOAD_MAGIC, sizeof FG__PAYLOAD_MAGIC - 1) != 0)
        return damaged(&d, "this is something else");
    if (*version != FG__PAYLOAD_VERSION)
        return fg__fail(
            d.ctx, FG_EUNSUPPORTED,
            "the profile in the picture has version %d, this program knows version %d: use a newer one",
            *version, FG__PAYLOAD_VERSION);
    d.flags = version[1];
    uint8_t *unpacked = NULL;
    int err = unpack_all(&d, &unpacked, head + FG__PAYLOAD_HEADER, head + n);
    if (!err) err = decode(&d);
    fg_free(p->ctx, unpacked);
    return err;
}
