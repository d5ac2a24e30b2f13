/* Sections of call frame information: their entries, the one for an address, and the rows that were worked out. */
#include <dwarf.h>
#include <gelf.h>
#include <stdlib.h>
#include "symbols/cfi.h"

/* Encodings of addresses in .eh_frame, of the Linux Standard Base. */
enum {
    PE_ABSOLUTE = 0x00,
    PE_ULEB = 0x01,
    PE_U2 = 0x02,
    PE_U4 = 0x03,
    PE_U8 = 0x04,
    PE_SLEB = 0x09,
    PE_S2 = 0x0a,
    PE_S4 = 0x0b,
    PE_S8 = 0x0c,
    PE_FORM = 0x0f,
    PE_RELATIVE = 0x10,  /* to where it stands */
    PE_HEADER_S4 = 0x3b, /* relative to .eh_frame_hdr, four signed bytes */
    PE_BASE = 0x70
};

/* Where an entry for addresses from `start` on is in its section. */
typedef struct place {
    uint64_t start, offset;
} place;

/* A section and how the entry for an address is found in it. */
typedef struct table {
    const fg__abi *abi;
    fg__section section;
    bool eh;               /* .eh_frame; else .debug_frame */
    const uint8_t *sorted; /* of .eh_frame_hdr: (start, entry), each relative to it; NULL: `index` is used */
    uint64_t sorted_address; /* of .eh_frame_hdr */
    size_t count;            /* of either */
    place *index;            /* by address; made by one pass over the section */
    size_t cap;
    bool indexed;
} table;

struct fg__cfi {
    table eh, debug;
    fg__row *rows; /* all are different: of code there is much, of ways to lay out a frame there are few */
    size_t row_count, row_cap;
    fg__table row_index;
    struct known {
        uint64_t address;
        uint32_t row; /* FG__NONE: nothing is said of this address */
    } * known;
    size_t known_count, known_cap;
    fg__table known_index;
};

/* ---- reading ------------------------------------------------------------------------------------------- */

uint64_t fg__cursor_leb(fg__cursor *c, bool sign) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = (uint8_t)fg__cursor_bytes(c, 1);
        if (shift >= 64) c->bad = true; /* ten bytes are the most for 64 bits */
        if (c->bad) return 0;
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (sign && byte & 0x40 && shift < 64) value |= ~(uint64_t)0 << shift;
    return value;
}

fg__cursor fg__cursor_cut(fg__cursor *c, uint64_t n) {
    fg__cursor out = {c->p, c->p, c->bad};
    if ((uint64_t)(c->end - c->p) < n) {
        c->bad = out.bad = true;
        c->p = c->end;
    } else {
        c->p += n;
        out.end = c->p;
    }
    return out;
}

uint64_t fg__cfi_address(fg__cursor *c, uint8_t encoding, int64_t bias) {
    uint64_t here = (uint64_t)(uintptr_t)c->p + (uint64_t)bias, value = 0;
    switch (encoding & PE_FORM) {
    case PE_ABSOLUTE:
    case PE_U8:
    case PE_S8: value = fg__cursor_bytes(c, 8); break;
    case PE_U2: value = fg__cursor_bytes(c, 2); break;
    case PE_U4: value = fg__cursor_bytes(c, 4); break;
    case PE_S2: value = (uint64_t)fg__cursor_signed(c, 2); break;
    case PE_S4: value = (uint64_t)fg__cursor_signed(c, 4); break;
    case PE_ULEB: value = fg__cursor_leb(c, false); break;
    case PE_SLEB: value = fg__cursor_leb(c, true); break;
    default: c->bad = true;
    }
    return (encoding & PE_BASE) == PE_RELATIVE ? value + here : value;
}

/* ---- entries ------------------------------------------------------------------------------------------- */

/* An entry of either kind, from its length to its end. */
typedef struct raw {
    fg__cursor content; /* behind the id */
    uint64_t common;    /* of an FDE: where its CIE is */
    bool is_common;
} raw;

/* Cut the next entry off the section. False: there is none; c->bad: what is there is none. */
static bool cut_entry(raw *out, fg__cursor *c, const table *t) {
    uint64_t n = fg__cursor_bytes(c, 4);
    bool wide = n == UINT32_MAX;
    if (wide) n = fg__cursor_bytes(c, 8);
    if (c->bad) return false;
    out->content = fg__cursor_cut(c, n);
    const uint8_t *at = out->content.p;
    uint64_t id = n ? fg__cursor_bytes(&out->content, wide && !t->eh ? 8 : 4) : 0;
    if (out->content.bad) c->bad = true;
    if (c->bad) return false;
    out->is_common = t->eh ? id == 0 : id == (wide ? UINT64_MAX : UINT32_MAX);
    out->common = t->eh ? (uint64_t)(at - t->section.bytes) - id : id;
    return true;
}

/* What the letters of a CIE's augmentation say. False: one that is not known, so that what follows cannot be read. */
static bool read_augmentation(fg__cfi_entry *e, fg__cursor *c, const char *letters) {
    if (!*letters) return true;
    if (*letters != 'z') return false;
    fg__cursor data = fg__cursor_cut(c, fg__cursor_leb(c, false));
    for (letters++; *letters; letters++) switch (*letters) {
        case 'R': e->encoding = (uint8_t)fg__cursor_bytes(&data, 1); break;
        case 'L': fg__cursor_bytes(&data, 1); break;
        case 'P': {
            uint8_t encoding = (uint8_t)fg__cursor_bytes(&data, 1);
            fg__cfi_address(&data, encoding, 0);
            break;
        }
        case 'S': e->signal = true; break;
        default: return !c->bad; /* what else there is is skipped: 'z' says how long it is */
        }
    return !data.bad && !c->bad;
}

/* Read the CIE at `offset`. */
static bool read_common(fg__cfi_entry *e, const table *t, uint64_t offset, bool *augmented) {
    raw r;
    if (offset >= t->section.n) return false;
    fg__cursor c = {t->section.bytes + offset, t->section.bytes + t->section.n, false};
    if (!cut_entry(&r, &c, t) || !r.is_common) return false;
    c = r.content;
    *e = (fg__cfi_entry){.abi = t->abi,
                         .section = t->section.bytes,
                         .encoding = PE_ABSOLUTE,
                         .bias = (int64_t)(t->section.address - (uint64_t)(uintptr_t)t->section.bytes)};
    uint64_t version = fg__cursor_bytes(&c, 1);
    const char *letters = (const char *)c.p;
    const void *end = memchr(c.p, 0, (size_t)(c.end - c.p));
    if (!end || (version != 1 && version != 3 && version != 4)) return false;
    fg__cursor_cut(&c, (uint64_t)((const char *)end - letters) + 1);
    if (version == 4 && (fg__cursor_bytes(&c, 1) != 8 || fg__cursor_bytes(&c, 1) != 0)) return false;
    e->code_factor = fg__cursor_leb(&c, false);
    e->data_factor = (int64_t)fg__cursor_leb(&c, true);
    uint64_t ra = version == 1 ? fg__cursor_bytes(&c, 1) : fg__cursor_leb(&c, false);
    e->return_address = fg__abi_register(t->abi, ra);
    *augmented = *letters == 'z';
    if (!read_augmentation(e, &c, letters) || c.bad) return false;
    e->common = c;
    return true;
}

static bool read_entry(fg__cfi_entry *e, const table *t, const raw *r) {
    bool augmented;
    fg__cursor c = r->content;
    if (!read_common(e, t, r->common, &augmented)) return false;
    e->start = fg__cfi_address(&c, e->encoding, e->bias);
    e->size = fg__cfi_address(&c, e->encoding & PE_FORM, 0);
    if (augmented) fg__cursor_cut(&c, fg__cursor_leb(&c, false));
    e->own = c;
    return !c.bad;
}

/* ---- the entry for an address -------------------------------------------------------------------------- */

static int by_start(const void *a, const void *b) {
    const place *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* What there is up to what cannot be read. */
static void make_index(table *t, fg_ctx *ctx) {
    fg__cursor c = {t->section.bytes, t->section.bytes + t->section.n, false};
    raw r;
    fg__cfi_entry e;
    t->indexed = true;
    while (c.p < c.end) {
        uint64_t offset = (uint64_t)(c.p - t->section.bytes);
        if (!cut_entry(&r, &c, t)) break;
        if (r.is_common || !read_entry(&e, t, &r) || !e.size) continue;
        if (fg__grow(ctx, &t->index, &t->cap, t->count + 1, sizeof *t->index)) break;
        t->index[t->count++] = (place){e.start, offset};
    }
    if (t->count) qsort(t->index, t->count, sizeof *t->index, by_start);
}

static place place_at(const table *t, size_t i) {
    int32_t pair[2];
    if (!t->sorted) return t->index[i];
    memcpy(pair, t->sorted + i * sizeof pair, sizeof pair);
    return (place){t->sorted_address + (uint64_t)pair[0],
                   t->sorted_address + (uint64_t)pair[1] - t->section.address};
}

/* The last entry that begins at the address or before, if it reaches that far. */
static bool find_entry(fg__cfi_entry *out, table *t, fg_ctx *ctx, uint64_t address) {
    if (!t->sorted && !t->indexed) make_index(t, ctx);
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_at(t, middle).start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    raw r;
    uint64_t offset = low ? place_at(t, low - 1).offset : t->section.n;
    if (offset >= t->section.n) return false;
    fg__cursor c = {t->section.bytes + offset, t->section.bytes + t->section.n, false};
    if (!cut_entry(&r, &c, t) || r.is_common || !read_entry(out, t, &r)) return false;
    return address >= out->start && address - out->start < out->size;
}

/* Use the table of .eh_frame_hdr, if it is of the kind that linkers make. */
static void use_header(table *t, const fg__section *header) {
    fg__cursor c = {header->bytes, header->bytes + header->n, false};
    uint64_t version = fg__cursor_bytes(&c, 1);
    uint8_t section = (uint8_t)fg__cursor_bytes(&c, 1), count = (uint8_t)fg__cursor_bytes(&c, 1);
    uint8_t form = (uint8_t)fg__cursor_bytes(&c, 1);
    if (c.bad || version != 1 || form != PE_HEADER_S4) return;
    fg__cfi_address(&c, section & PE_FORM, 0);
    uint64_t n = fg__cfi_address(&c, count & PE_FORM, 0);
    if (c.bad || !n || n > (uint64_t)(c.end - c.p) / 8) return;
    t->sorted = c.p;
    t->sorted_address = header->address;
    t->count = (size_t)n;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

struct fg__cfi *fg__cfi_new(fg_ctx *ctx, fg__machine machine, const fg__section *eh,
                            const fg__section *eh_header, const fg__section *debug) {
    struct fg__cfi *cfi = fg__calloc(ctx, 1, sizeof *cfi);
    if (!cfi) return NULL;
    cfi->eh = (table){.abi = fg__abi_of(machine), .section = *eh, .eh = true};
    cfi->debug = (table){.abi = fg__abi_of(machine), .section = *debug};
    if (eh->n && eh_header->n) use_header(&cfi->eh, eh_header);
    return cfi;
}

void fg__cfi_free(fg_ctx *ctx, struct fg__cfi *cfi) {
    if (!cfi) return;
    fg_free(ctx, cfi->eh.index);
    fg_free(ctx, cfi->debug.index);
    fg_free(ctx, cfi->rows);
    fg_free(ctx, cfi->row_index.slots);
    fg_free(ctx, cfi->known);
    fg_free(ctx, cfi->known_index.slots);
    fg_free(ctx, cfi);
}

static int keep_row(uint32_t *out, struct fg__cfi *cfi, fg_ctx *ctx, const fg__row *row) {
    uint64_t hash = fg__hash(row, sizeof *row);
    const fg__table *t = &cfi->row_index;
    for (uint32_t at = fg__table_first(t, hash); (*out = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at))
        if (fg__table_maybe(t, at, hash) && memcmp(&cfi->rows[*out], row, sizeof *row) == 0) return 0;
    *out = (uint32_t)cfi->row_count;
    int err = fg__grow(ctx, &cfi->rows, &cfi->row_cap, cfi->row_count + 1, sizeof *cfi->rows);
    if (!err) err = fg__table_add(ctx, &cfi->row_index, hash, *out);
    if (!err) cfi->rows[cfi->row_count++] = *row;
    return err;
}

/* Keep what was found, if there is memory; `row` NULL: nothing was. */
static void keep(struct fg__cfi *cfi, fg_ctx *ctx, uint64_t address, uint64_t hash, const fg__row *row) {
    enum {
        MOST = 1 << 20
    }; /* addresses of a module: more are no program's, but those of a broken recording */
    uint32_t id = FG__NONE;
    if (cfi->known_count == MOST || (row && keep_row(&id, cfi, ctx, row))) return;
    if (fg__grow(ctx, &cfi->known, &cfi->known_cap, cfi->known_count + 1, sizeof *cfi->known)) return;
    if (fg__table_add(ctx, &cfi->known_index, hash, (uint32_t)cfi->known_count)) return;
    cfi->known[cfi->known_count++] = (struct known){address, id};
}

const fg__row *fg__cfi_row(struct fg__cfi *cfi, fg_ctx *ctx, uint64_t address, fg__row *scratch) {
    uint64_t hash = fg__mix(address ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
    const fg__table *t = &cfi->known_index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        const struct known *k = &cfi->known[id];
        if (fg__table_maybe(t, at, hash) && k->address == address)
            return k->row == FG__NONE ? NULL : &cfi->rows[k->row];
    }
    fg__cfi_entry entry;
    bool found = find_entry(&entry, &cfi->eh, ctx, address) || find_entry(&entry, &cfi->debug, ctx, address);
    const fg__row *row = found && fg__cfi_run(scratch, &entry, address) ? scratch : NULL;
    keep(cfi, ctx, address, hash, row);
    return row;
}

/* ---- modules ------------------------------------------------------------------------------------------- */

/* FG__MACHINES: one that is not understood. */
static fg__machine machine_of(Elf *elf) {
    GElf_Ehdr header;
    if (!gelf_getehdr(elf, &header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB)
        return FG__MACHINES;
    return header.e_machine == EM_X86_64    ? FG__X86_64
           : header.e_machine == EM_AARCH64 ? FG__AARCH64
                                            : FG__MACHINES;
}

struct fg__cfi *fg__module_cfi(fg__module *m) {
    if (m->cfi_tried) return m->cfi;
    m->cfi_tried = true;
    if (fg__module_open(m) || m->state != FG__MODULE_OPEN) return NULL;
    fg__machine machine = machine_of(m->elf.elf);
    if (machine == FG__MACHINES) return NULL;
    fg__section eh = {0}, header = {0}, debug = {0};
    fg__elf_section(&eh, m->elf.elf, ".eh_frame");
    fg__elf_section(&header, m->elf.elf, ".eh_frame_hdr");
    if (!fg__elf_section(&debug, m->elf.elf, ".debug_frame") && !eh.n) {
        fg__separate_open(m);
        if (m->debug.elf) fg__elf_section(&debug, m->debug.elf, ".debug_frame");
    }
    if (eh.n || debug.n) m->cfi = fg__cfi_new(m->symbols->ctx, machine, &eh, &header, &debug);
    return m->cfi;
}
