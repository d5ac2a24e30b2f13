/* Entries of DWARF passed over. */
#include "symbols/skim.h"
#include <dwarf.h>
#include "symbols/cfi.h"

/* How a part of an entry is passed over. */
typedef struct op {
    enum { OP_FIXED, OP_LEB, OP_STRING, OP_BLOCK, OP_BLOCK_LEB, OP_SIBLING, OP_INDIRECT } what;
    uint32_t n; /* bytes; of OP_BLOCK: of its length */
} op;

/* A kind of entry: what the unit's table of abbreviations has for its code. */
typedef struct kind {
    bool known, function, container;
    uint32_t from, count; /* ops */
} kind;

typedef struct skim {
    fg_ctx *ctx;
    kind *kinds; /* by code */
    size_t kind_count, kind_cap;
    op *ops;
    size_t op_count, op_cap;
    uint32_t address_size, offset_size, version;
} skim;

/* ---- forms --------------------------------------------------------------------------------------------- */

enum { OF_ADDRESS = 100, OF_OFFSET, OF_REFERENCE };

/* What has no row cannot be passed over. */
static const struct {
    uint16_t form;
    uint8_t what, n;
} forms[] = {
    {DW_FORM_addr, OP_FIXED, OF_ADDRESS},
    {DW_FORM_data1, OP_FIXED, 1},
    {DW_FORM_data2, OP_FIXED, 2},
    {DW_FORM_data4, OP_FIXED, 4},
    {DW_FORM_data8, OP_FIXED, 8},
    {DW_FORM_data16, OP_FIXED, 16},
    {DW_FORM_flag, OP_FIXED, 1},
    {DW_FORM_flag_present, OP_FIXED, 0},
    {DW_FORM_implicit_const, OP_FIXED, 0},
    {DW_FORM_ref1, OP_FIXED, 1},
    {DW_FORM_ref2, OP_FIXED, 2},
    {DW_FORM_ref4, OP_FIXED, 4},
    {DW_FORM_ref8, OP_FIXED, 8},
    {DW_FORM_ref_sig8, OP_FIXED, 8},
    {DW_FORM_ref_sup4, OP_FIXED, 4},
    {DW_FORM_ref_sup8, OP_FIXED, 8},
    {DW_FORM_ref_addr, OP_FIXED, OF_REFERENCE},
    {DW_FORM_strp, OP_FIXED, OF_OFFSET},
    {DW_FORM_line_strp, OP_FIXED, OF_OFFSET},
    {DW_FORM_strp_sup, OP_FIXED, OF_OFFSET},
    {DW_FORM_sec_offset, OP_FIXED, OF_OFFSET},
    {DW_FORM_GNU_ref_alt, OP_FIXED, OF_OFFSET},
    {DW_FORM_GNU_strp_alt, OP_FIXED, OF_OFFSET},
    {DW_FORM_strx1, OP_FIXED, 1},
    {DW_FORM_strx2, OP_FIXED, 2},
    {DW_FORM_strx3, OP_FIXED, 3},
    {DW_FORM_strx4, OP_FIXED, 4},
    {DW_FORM_addrx1, OP_FIXED, 1},
    {DW_FORM_addrx2, OP_FIXED, 2},
    {DW_FORM_addrx3, OP_FIXED, 3},
    {DW_FORM_addrx4, OP_FIXED, 4},
    {DW_FORM_udata, OP_LEB, 0},
    {DW_FORM_sdata, OP_LEB, 0},
    {DW_FORM_ref_udata, OP_LEB, 0},
    {DW_FORM_strx, OP_LEB, 0},
    {DW_FORM_addrx, OP_LEB, 0},
    {DW_FORM_loclistx, OP_LEB, 0},
    {DW_FORM_rnglistx, OP_LEB, 0},
    {DW_FORM_GNU_addr_index, OP_LEB, 0},
    {DW_FORM_GNU_str_index, OP_LEB, 0},
    {DW_FORM_string, OP_STRING, 0},
    {DW_FORM_block1, OP_BLOCK, 1},
    {DW_FORM_block2, OP_BLOCK, 2},
    {DW_FORM_block4, OP_BLOCK, 4},
    {DW_FORM_block, OP_BLOCK_LEB, 0},
    {DW_FORM_exprloc, OP_BLOCK_LEB, 0},
    {DW_FORM_indirect, OP_INDIRECT, 0},
};

static bool op_of(op *out, const skim *s, uint64_t form) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].form != form) continue;
        uint32_t n = forms[i].n;
        if (n == OF_REFERENCE) n = s->version <= 2 ? OF_ADDRESS : OF_OFFSET;
        if (n == OF_ADDRESS) n = s->address_size;
        if (n == OF_OFFSET) n = s->offset_size;
        *out = (op){forms[i].what, n};
        return true;
    }
    return false;
}

/* ---- abbreviations ------------------------------------------------------------------------------------- */

/* Add an attribute to the kind that is being made; neighbours of a fixed size become one. */
static int add_op(skim *s, kind *k, op add) {
    op *last = k->count ? &s->ops[s->op_count - 1] : NULL;
    if (last && last->what == OP_FIXED && add.what == OP_FIXED) {
        last->n += add.n;
        return 0;
    }
    int err = fg__grow(s->ctx, &s->ops, &s->op_cap, s->op_count + 1, sizeof *s->ops);
    if (err) return err;
    s->ops[s->op_count++] = add;
    k->count++;
    return 0;
}

/* What is in these may be functions. */
static bool is_container(unsigned tag) {
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type ||
           tag == DW_TAG_class_type || tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type ||
           tag == DW_TAG_compile_unit;
}

static int add_kind(skim *s, Dwarf_Abbrev *abbreviation, unsigned code) {
    kind k = {.from = (uint32_t)s->op_count, .known = true};
    unsigned tag = dwarf_getabbrevtag(abbreviation);
    int err = fg__grow(s->ctx, &s->kinds, &s->kind_cap, (size_t)code + 1, sizeof *s->kinds);
    if (err) return err;
    while (s->kind_count <= code) s->kinds[s->kind_count++] = (kind){.known = false};
    /* dwarf_getattrcnt takes constants that are in the table for attributes: they are asked for until there is none */
    for (size_t i = 0; k.known && !err; i++) {
        unsigned name, form;
        Dwarf_Sword data;
        op add;
        if (dwarf_getabbrevattr_data(abbreviation, i, &name, &form, &data, NULL)) break;
        k.known = op_of(&add, s, form);
        if (name == DW_AT_low_pc || name == DW_AT_ranges) k.function = tag == DW_TAG_subprogram;
        if (name == DW_AT_sibling && form == DW_FORM_ref4) add.what = OP_SIBLING;
        if (k.known) err = add_op(s, &k, add);
    }
    k.container = is_container(tag);
    s->kinds[code] = k;
    return err;
}

static int read_kinds(skim *s, Dwarf_Die *die) {
    enum { MOST = 1 << 16 }; /* kinds, which are numbered from 1 on */
    Dwarf_Abbrev *const end = (Dwarf_Abbrev *)-1;
    Dwarf_Off offset = 0;
    int err = 0;
    while (!err) {
        size_t length;
        Dwarf_Abbrev *abbreviation = dwarf_getabbrev(die, offset, &length);
        if (!abbreviation || abbreviation == end) break;
        unsigned code = dwarf_getabbrevcode(abbreviation);
        if (code < MOST) err = add_kind(s, abbreviation, code);
        offset += length;
    }
    return err;
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static void skip(fg__cursor *c, uint64_t n) {
    if ((uint64_t)(c->end - c->p) < n)
        c->bad = true;
    else
        c->p += n;
}

static void skip_leb(fg__cursor *c) {
    while (c->p < c->end && *c->p & 0x80) c->p++;
    skip(c, 1);
}

/* Pass over a part of an entry; *sibling is set if it says where the entry behind all of this one's own is. */
static void pass(fg__cursor *c, const skim *s, op o, uint64_t *sibling) {
    const uint8_t *nul;
    switch (o.what) {
    case OP_FIXED: skip(c, o.n); break;
    case OP_LEB: skip_leb(c); break;
    case OP_BLOCK: skip(c, fg__cursor_bytes(c, o.n)); break;
    case OP_BLOCK_LEB: skip(c, fg__cursor_leb(c, false)); break;
    case OP_SIBLING: *sibling = fg__cursor_bytes(c, o.n); break;
    case OP_STRING:
        nul = memchr(c->p, 0, (size_t)(c->end - c->p));
        skip(c, nul ? (uint64_t)(nul - c->p) + 1 : UINT64_MAX);
        break;
    case OP_INDIRECT:
        c->bad |= !op_of(&o, s, fg__cursor_leb(c, false)) || o.what == OP_INDIRECT;
        if (!c->bad) pass(c, s, o, sibling);
        break;
    }
}

/* `start`: the unit's first byte, from which siblings count; c->p: its first entry, at `offset` in the section. */
static int walk(const skim *s, fg__cursor *c, const uint8_t *start, Dwarf_Off offset,
                int (*found)(void *user, Dwarf_Off offset), void *user) {
    const uint8_t *first = c->p;
    int err = 0;
    while (!err && !c->bad && c->p < c->end) {
        const uint8_t *at = c->p;
        uint64_t sibling = 0, code = *at < 0x80 ? *c->p++ : fg__cursor_leb(c, false);
        if (!code) continue; /* the end of what an entry has inside */
        if (code >= s->kind_count || !s->kinds[code].known) break;
        const kind *k = &s->kinds[code];
        for (uint32_t i = 0; i < k->count && !c->bad; i++) pass(c, s, s->ops[k->from + i], &sibling);
        if (k->function && !c->bad) err = found(user, offset + (Dwarf_Off)(at - first));
        bool ahead = sibling > (uint64_t)(c->p - start) && sibling < (uint64_t)(c->end - start);
        if (ahead && !k->container) c->p = start + sibling;
    }
    return err;
}

int fg__skim_functions(fg_ctx *ctx, Dwarf_Die *die, int (*found)(void *user, Dwarf_Off offset), void *user) {
    skim s = {.ctx = ctx};
    Dwarf_Off offset = dwarf_dieoffset(die), unit = offset - dwarf_cuoffset(die), next;
    size_t header;
    Dwarf_Half version;
    uint8_t address_size, offset_size;
    if (dwarf_next_unit(dwarf_cu_getdwarf(die->cu), unit, &next, &header, &version, NULL, &address_size,
                        &offset_size, NULL, NULL) ||
        next <= offset)
        return 0;
    s.version = version;
    s.address_size = address_size;
    s.offset_size = offset_size;
    const uint8_t *first = die->addr;
    fg__cursor c = {first, first + (next - offset), false};
    int err = read_kinds(&s, die);
    if (!err) err = walk(&s, &c, first - (offset - unit), offset, found, user);
    fg_free(ctx, s.kinds);
    fg_free(ctx, s.ops);
    return err;
}
