/* The profile as bytes for a picture; the layout is in payload.h. */
#include "formats/payload.h"
#include <libdeflate.h>
#include <stdlib.h>

/* libdeflate's fastest: on a tree of 3 million nodes the better levels take longer than all the rest. */
enum { VARINT = 10, VARINT32 = 5, LEVEL = 1, SECTIONS = 9 + FG_MAX_TYPES };
/* A section that is larger than PROBE is tried with so much of it first. */
enum { PROBE = 32 << 10 };

typedef struct section {
    char tag;
    const uint8_t *from;
    size_t size;
} section;

/* A column of the tree, which grows as the walk goes on. */
typedef struct column {
    uint8_t *bytes;
    size_t n, cap;
} column;

enum { DEPTH, FRAME, SELF, COLUMNS = SELF + FG_MAX_TYPES };

typedef struct encoder {
    fg_ctx *ctx;
    const fg_profile *p;
    fg__walk *walk;
    uint8_t *bytes, *at; /* the tables; room for all of them is made in advance */
    column columns[COLUMNS];
    size_t node_count;
    uint32_t *node; /* of each stack; NULL where the profile has no slices */
    section sections[SECTIONS];
    size_t section_count;
} encoder;

static inline uint8_t *put(uint8_t *at, uint64_t number) {
    for (; number >= 0x80; number >>= 7) *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    return at;
}

static void put_bytes(encoder *e, const void *bytes, size_t n) {
    if (n) memcpy(e->at, bytes, n);
    e->at += n;
}

static void put_u32(uint8_t *at, uint32_t number) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(number >> (8 * i));
}

static void add_section(encoder *e, char tag, const void *bytes, size_t n) {
    e->sections[e->section_count++] = (section){tag, bytes, n};
}

static void open_section(encoder *e, char tag) {
    add_section(e, tag, e->at, 0);
}

static void close_section(encoder *e) {
    section *s = &e->sections[e->section_count - 1];
    s->size = (size_t)(e->at - s->from);
}

static void put_strings(encoder *e) {
    open_section(e, 'S');
    e->at = put(e->at, e->p->string_count);
    for (size_t i = 0; i < e->p->string_count; i++) {
        fg__string s = e->p->strings[i];
        e->at = put(e->at, s.n);
        put_bytes(e, s.bytes, s.n);
    }
    close_section(e);
}

static void put_frames(encoder *e) {
    open_section(e, 'F');
    e->at = put(e->at, e->p->annotations);
    e->at = put(e->at, e->p->frame_count);
    for (size_t i = 0; i < e->p->frame_count; i++) {
        const fg__frame *f = &e->p->frames[i];
        const uint32_t fields[] = {f->name, f->file, f->module, f->line, f->kind};
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) e->at = put(e->at, fields[k]);
    }
    close_section(e);
}

static void put_types(encoder *e) {
    open_section(e, 'T');
    e->at = put(e->at, e->p->type_count);
    for (size_t i = 0; i < e->p->type_count; i++) {
        e->at = put(e->at, e->p->types[i].name);
        e->at = put(e->at, e->p->types[i].unit);
    }
    close_section(e);
}

static void put_meta_value(encoder *e, int type, fg__meta_value value) {
    if (type == FG_META_TEXT) {
        e->at = put(e->at, value.text);
    } else if (type == FG_META_NUMBER) {
        e->at = put(e->at, (uint64_t)value.number << 1 ^ (uint64_t)(value.number >> 63));
    } else {
        uint64_t bits;
        memcpy(&bits, &value.real, sizeof bits);
        put_u32(e->at, (uint32_t)bits);
        put_u32(e->at + 4, (uint32_t)(bits >> 32));
        e->at += 8;
    }
}

/* What nobody has set is not there. */
static void put_meta(encoder *e) {
    uint64_t n = 0;
    for (size_t i = 0; i < FG__META_COUNT; i++) n += e->p->meta[i].set;
    open_section(e, 'M');
    e->at = put(e->at, n);
    for (size_t i = 0; i < FG__META_COUNT; i++) {
        int type;
        const char *key = fg_meta_key(i, &type);
        if (!e->p->meta[i].set) continue;
        e->at = put(e->at, strlen(key));
        put_bytes(e, key, strlen(key));
        *e->at++ = (uint8_t)type;
        put_meta_value(e, type, e->p->meta[i]);
    }
    close_section(e);
}

static void put_notes(encoder *e) {
    open_section(e, 'N');
    e->at = put(e->at, e->p->note_count);
    for (size_t i = 0; i < e->p->note_count; i++) e->at = put(e->at, e->p->notes[i]);
    close_section(e);
}

/* ---- columns ----------------------------------------------------------------------------------- */

/* Where a column goes on, with room for more than `n` bytes; NULL: no memory. */
static uint8_t *room(encoder *e, column *c, size_t n) {
    return fg__grow(e->ctx, &c->bytes, &c->cap, c->n + n + 1, 1) ? NULL : c->bytes + c->n;
}

static void put_until(column *c, const uint8_t *at) {
    c->n = (size_t)(at - c->bytes);
}

/* The places of nodes that the stack at hand brings. Depth is the number of nodes that end before: 0 for a first child. */
static int put_places(encoder *e, size_t fresh) {
    const fg__walk *w = e->walk;
    uint8_t *depth = room(e, &e->columns[DEPTH], VARINT + fresh);
    uint8_t *frame = room(e, &e->columns[FRAME], VARINT32 * fresh);
    if (!depth || !frame) return FG_ENOMEM;
    for (size_t i = 0; i < fresh; i++) {
        depth = put(depth, i ? 0 : w->left);
        frame = put(frame, w->frames[w->shared + i]);
    }
    put_until(&e->columns[DEPTH], depth);
    put_until(&e->columns[FRAME], frame);
    return 0;
}

/* What `nodes` nodes have of their own: nothing but the last one, which has the stack's values. */
static int put_values(encoder *e, size_t nodes, size_t stack) {
    for (size_t t = 0; t < e->p->type_count; t++) {
        uint8_t *self = room(e, &e->columns[SELF + t], nodes + VARINT);
        if (!self) return FG_ENOMEM;
        for (size_t i = 1; i < nodes; i++) *self++ = 0;
        self = put(self, stack < e->p->stack_count ? (uint64_t)e->p->values[t][stack] : 0);
        put_until(&e->columns[SELF + t], self);
    }
    e->node_count += nodes;
    if (e->node_count < FG__NONE) return 0;
    return fg__fail(e->ctx, FG_ELIMIT, "the tree has more than 4 billion nodes");
}

/* The root comes with the first stack. */
static int put_nodes(encoder *e) {
    const fg__walk *w = e->walk;
    int err = 0;
    fg__walk_again(e->walk);
    while (!err && fg__walk_next(e->walk)) {
        size_t fresh = w->n - w->shared;
        err = put_places(e, fresh);
        if (!err) err = put_values(e, fresh + !e->node_count, w->stack);
        if (e->node) e->node[w->stack] = (uint32_t)e->node_count - 1;
    }
    if (!err && !e->node_count) err = put_values(e, 1, e->p->stack_count);
    return err;
}

/* How many nodes there are, the root not counted, is known at the end and stands at the start: VARINT bytes are left there. */
static int put_tree(encoder *e) {
    column *depth = &e->columns[DEPTH];
    if (!room(e, depth, VARINT)) return FG_ENOMEM;
    depth->n = VARINT;
    int err = put_nodes(e);
    if (err) return err;
    uint8_t count[VARINT];
    size_t n = (size_t)(put(count, e->node_count - 1) - count);
    memcpy(depth->bytes + VARINT - n, count, n);
    add_section(e, 'D', depth->bytes + VARINT - n, depth->n - (VARINT - n));
    add_section(e, 'I', e->columns[FRAME].bytes, e->columns[FRAME].n);
    for (size_t t = 0; t < e->p->type_count; t++)
        add_section(e, 'V', e->columns[SELF + t].bytes, e->columns[SELF + t].n);
    return 0;
}

/* ---- slices ------------------------------------------------------------------------------------ */

static int by_slice(const void *a, const void *b) {
    const fg__part *x = a, *y = b;
    if (x->run != y->run) return x->run < y->run ? -1 : 1;
    return x->stack < y->stack ? -1 : x->stack > y->stack;
}

/* Entries in the order of slices and, within a slice, of nodes, as differences. */
static int put_slices(encoder *e) {
    const fg_profile *p = e->p;
    size_t slices = fg_profile_slices(p, NULL);
    if (!e->node) return 0;
    fg__part *parts = fg__alloc(e->ctx, p->part_count * sizeof *parts);
    if (!parts) return FG_ENOMEM;
    for (size_t i = 0; i < p->part_count; i++) {
        parts[i] = p->parts[i];
        parts[i].stack = e->node[parts[i].stack];
    }
    qsort(parts, p->part_count, sizeof *parts, by_slice);
    open_section(e, 'L');
    const uint64_t head[] = {p->slice_type, (uint64_t)p->slice_length[0], slices, p->part_count};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) e->at = put(e->at, head[i]);
    fg__part last = {0};
    for (size_t i = 0; i < p->part_count; i++) {
        bool same = parts[i].run == last.run;
        e->at = put(e->at, parts[i].run - last.run);
        e->at = put(e->at, parts[i].stack - (same ? last.stack : 0));
        e->at = put(e->at, (uint64_t)parts[i].value);
        last = parts[i];
    }
    close_section(e);
    fg_free(e->ctx, parts);
    return 0;
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* The most that the tables can take. */
static size_t bound(const fg_profile *p) {
    size_t n = (size_t)SECTIONS * 2 * VARINT;
    for (size_t i = 0; i < p->string_count; i++) n += VARINT32 + p->strings[i].n;
    n += p->frame_count * 5 * VARINT32 + FG__META_COUNT * 64 + p->note_count * VARINT32;
    if (fg_profile_slices(p, NULL)) n += 4 * VARINT + p->part_count * (2 * VARINT32 + VARINT);
    return n;
}

static int encode(encoder *e, const void *extra, size_t extra_n) {
    put_strings(e);
    put_frames(e);
    put_types(e);
    put_meta(e);
    put_notes(e);
    int err = put_tree(e);
    if (extra_n) add_section(e, 'X', extra, extra_n);
    return err ? err : put_slices(e);
}

/* ---- packing --------------------------------------------------------------------------------- */

typedef struct packer {
    struct libdeflate_compressor *gzip;
    uint8_t *at;
} packer;

/* Whether a piece from the middle shrinks by an eighth, which is worth a browser's time and ours. */
static bool worth_packing(packer *k, const section *s) {
    if (s->size <= PROBE) return true;
    return libdeflate_gzip_compress(k->gzip, s->from + (s->size - PROBE) / 2, PROBE, k->at, PROBE / 8 * 7) >
           0;
}

static void pack(packer *k, const section *s) {
    uint8_t *head = k->at, *content = head + FG__PAYLOAD_SECTION;
    size_t n =
        worth_packing(k, s) ? libdeflate_gzip_compress(k->gzip, s->from, s->size, content, s->size) : 0;
    head[0] = (uint8_t)s->tag;
    head[1] = n ? FG__PAYLOAD_GZIP : FG__PAYLOAD_STORED;
    if (!n) {
        memcpy(content, s->from, s->size);
        n = s->size;
    }
    put_u32(head + 2, (uint32_t)s->size);
    put_u32(head + 6, (uint32_t)n);
    k->at = content + n;
}

/* No section comes out larger than it is. */
static int pack_all(void **out, size_t *n, const encoder *e, unsigned flags) {
    size_t cap = FG__PAYLOAD_HEADER + PROBE;
    for (size_t i = 0; i < e->section_count; i++) {
        if (e->sections[i].size > UINT32_MAX)
            return fg__fail(e->ctx, FG_ELIMIT,
                            "a column of the profile takes more than 4 GiB: too large for a picture");
        cap += FG__PAYLOAD_SECTION + e->sections[i].size;
    }
    uint8_t *bytes = fg__alloc(e->ctx, cap);
    if (!bytes) return FG_ENOMEM;
    packer k = {libdeflate_alloc_compressor(LEVEL), bytes};
    if (!k.gzip) {
        fg_free(e->ctx, bytes);
        return fg__nomem(e->ctx);
    }
    memcpy(bytes, FG__PAYLOAD_MAGIC, sizeof FG__PAYLOAD_MAGIC - 1);
    bytes[FG__PAYLOAD_HEADER - 2] = FG__PAYLOAD_VERSION;
    bytes[FG__PAYLOAD_HEADER - 1] = (uint8_t)flags;
    k.at += FG__PAYLOAD_HEADER;
    for (size_t i = 0; i < e->section_count; i++) pack(&k, &e->sections[i]);
    libdeflate_free_compressor(k.gzip);
    *out = bytes;
    *n = (size_t)(k.at - bytes);
    return 0;
}

static int make_room(encoder *e) {
    const fg_profile *p = e->p;
    e->bytes = e->at = fg__alloc(e->ctx, bound(p));
    if (!e->bytes) return FG_ENOMEM;
    if (!fg_profile_slices(p, NULL) || !p->part_count) return 0;
    e->node = fg__alloc(e->ctx, p->stack_count * sizeof *e->node);
    return e->node ? 0 : FG_ENOMEM;
}

int fg__payload_encode(void **out, size_t *n, fg__walk *walk, unsigned flags, const void *extra,
                       size_t extra_n) {
    encoder e = {.ctx = walk->p->ctx, .p = walk->p, .walk = walk};
    int err = make_room(&e);
    if (!err) err = encode(&e, extra, extra_n);
    if (!err) err = pack_all(out, n, &e, flags);
    for (size_t i = 0; i < COLUMNS; i++) fg_free(e.ctx, e.columns[i].bytes);
    fg_free(e.ctx, e.node);
    fg_free(e.ctx, e.bytes);
    return err;
}
