/*
 * Inlined calls and source lines, by libdw. Two indices are made, each when it is first needed:
 *
 *      address ──ranges of units──▶ unit ──ranges of its functions──▶ function ──down its tree──▶ inlined calls
 *
 * .debug_aranges, which would be the first of them, is what clang and rustc leave out; and without the second one, each
 * address would cost a walk through all of a unit. What libdw finds by itself (split units, .debug_sup and
 * .gnu_debugaltlink) is used.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include "symbols/module.h"
#include "symbols/skim.h"

enum { DEPTH = 64 }; /* of inlined calls: no compiler comes near */

/* [low, high) is code of the unit or function number `of`. */
typedef struct range {
    uint64_t low, high;
    uint32_t of;
} range;
typedef struct ranges {
    range *ranges;
    size_t count, cap;
} ranges;

typedef struct unit {
    Dwarf_Die die;   /* with the lines */
    Dwarf_Die split; /* with the functions: the same, unless they are in a file of their own */
    bool read;
    Dwarf_Die *functions;
    size_t count, cap;
    ranges index;
} unit;

struct fg__dwarf {
    Dwarf *dwarf;
    fg__elf image; /* what it is read from, if the file's is compressed */
    unit *units;
    size_t count, cap;
    ranges index;
    fg__call *calls; /* the last answer */
    size_t call_count, call_cap;
};

/* ---- ranges -------------------------------------------------------------------------------------------- */

static int add_ranges(ranges *out, fg_ctx *ctx, Dwarf_Die *die, size_t of) {
    Dwarf_Addr base, low, high;
    int err = 0;
    for (ptrdiff_t at = 0; !err && (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
        if (!low || low >= high) continue; /* code that the linker has thrown away begins at 0 */
        err = fg__grow(ctx, &out->ranges, &out->cap, out->count + 1, sizeof *out->ranges);
        if (!err) out->ranges[out->count++] = (range){low, high, (uint32_t)of};
    }
    return err;
}

static int by_low(const void *a, const void *b) {
    const range *x = a, *y = b;
    if (x->low != y->low) return x->low < y->low ? -1 : 1;
    return x->of < y->of ? -1 : x->of > y->of;
}

static void sort_ranges(ranges *r) {
    if (r->count) qsort(r->ranges, r->count, sizeof *r->ranges, by_low);
}

/* The innermost range with the address, or NULL. */
static const range *find_range(const ranges *r, uint64_t address) {
    enum { NESTED = 16 };
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->ranges[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i-- > 0 && low - i <= NESTED;)
        if (address < r->ranges[i].high) return &r->ranges[i];
    return NULL;
}

/* ---- units and their functions ------------------------------------------------------------------------- */

static int add_unit(struct fg__dwarf *d, fg_ctx *ctx, Dwarf_Die *die, Dwarf_Die *split) {
    int err = fg__grow(ctx, &d->units, &d->cap, d->count + 1, sizeof *d->units);
    if (err) return err;
    d->units[d->count] = (unit){.die = *die, .split = split->addr ? *split : *die};
    return add_ranges(&d->index, ctx, die, d->count++);
}

static int read_units(struct fg__dwarf *d, fg_ctx *ctx) {
    Dwarf_CU *cu = NULL;
    Dwarf_Die die, split;
    int err = 0;
    while (!err) {
        memset(&split, 0, sizeof split);
        if (dwarf_get_units(d->dwarf, cu, &cu, NULL, NULL, &die, &split)) break;
        if (dwarf_tag(&die) == DW_TAG_compile_unit || dwarf_tag(&die) == DW_TAG_skeleton_unit)
            err = add_unit(d, ctx, &die, &split);
    }
    sort_ranges(&d->index);
    return err;
}

typedef struct filling {
    fg_ctx *ctx;
    Dwarf *dwarf;
    unit *unit;
} filling;

static int add_function(void *user, Dwarf_Off offset) {
    filling *f = user;
    unit *u = f->unit;
    Dwarf_Die die;
    if (!dwarf_offdie(f->dwarf, offset, &die)) return 0;
    int err = fg__grow(f->ctx, &u->functions, &u->cap, u->count + 1, sizeof *u->functions);
    if (err) return err;
    u->functions[u->count] = die;
    return add_ranges(&u->index, f->ctx, &die, u->count++);
}

/* The unit with the address, its functions read; NULL: there is none. */
static int find_unit(unit **out, struct fg__dwarf *d, fg_ctx *ctx, uint64_t address) {
    const range *r = find_range(&d->index, address);
    *out = r ? &d->units[r->of] : NULL;
    if (!r || (*out)->read) return 0;
    (*out)->read = true;
    filling f = {ctx, dwarf_cu_getdwarf((*out)->split.cu), *out};
    int err = fg__skim_functions(ctx, &(*out)->split, add_function, &f);
    sort_ranges(&(*out)->index);
    return err;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static const char *name_of(Dwarf_Die *die) {
    static const unsigned names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Dwarf_Attribute attribute;
        const char *name = dwarf_formstring(dwarf_attr_integrate(die, names[i], &attribute));
        if (name && *name) return name;
    }
    return NULL;
}

/* Add a call that is made in the ones before; they come outermost first. */
static int add_call(struct fg__dwarf *d, fg_ctx *ctx, const char *name) {
    int err = fg__grow(ctx, &d->calls, &d->call_cap, d->call_count + 1, sizeof *d->calls);
    if (!err) d->calls[d->call_count++] = (fg__call){.name = name};
    return err;
}

/* Where an inlined call was made, which is a place in the call before it. */
static void set_caller(struct fg__dwarf *d, unit *u, Dwarf_Die *die) {
    fg__call *caller = &d->calls[d->call_count - 1];
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    Dwarf_Files *files;
    size_t count;
    dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file)) return;
    if (dwarf_getsrcfiles(&u->split, &files, &count) || file >= count || line > UINT32_MAX) return;
    caller->file = dwarf_filesrc(files, (size_t)file, NULL, NULL);
    caller->line = (uint32_t)line;
}

/* Put the child of *die that has the address, and is code of its own, into *die. False: there is none. */
static bool go_down(Dwarf_Die *die, uint64_t address) {
    Dwarf_Die child;
    if (dwarf_child(die, &child)) return false;
    do {
        int tag = dwarf_tag(&child);
        bool code = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block;
        if (!code || dwarf_haspc(&child, address) <= 0) continue;
        *die = child;
        return true;
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

static int add_calls(struct fg__dwarf *d, fg_ctx *ctx, unit *u, uint64_t address) {
    const range *r = find_range(&u->index, address);
    if (!r) return add_call(d, ctx, NULL); /* the line may be known all the same */
    Dwarf_Die die = u->functions[r->of];
    int err = add_call(d, ctx, name_of(&die));
    for (int depth = 0; depth < 4 * DEPTH && !err && go_down(&die, address); depth++) {
        if (dwarf_tag(&die) != DW_TAG_inlined_subroutine) continue;
        set_caller(d, u, &die);
        err = add_call(d, ctx, name_of(&die));
    }
    return err;
}

static void set_line(fg__call *innermost, unit *u, uint64_t address) {
    int line;
    Dwarf_Line *at = dwarf_getsrc_die(&u->die, address);
    if (!at || dwarf_lineno(at, &line) || line < 0) return;
    innermost->file = dwarf_linesrc(at, NULL, NULL);
    innermost->line = (uint32_t)line;
}

static void reverse(fg__call *calls, size_t n) {
    for (size_t i = 0; i + 1 < n; i++) {
        fg__call last = calls[--n];
        calls[n] = calls[i];
        calls[i] = last;
    }
}

/* ---- modules ------------------------------------------------------------------------------------------- */

static Dwarf *begin(Elf *elf) {
    Dwarf_CU *cu = NULL;
    Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
    if (!dwarf || dwarf_get_units(dwarf, NULL, &cu, NULL, NULL, NULL, NULL) == 0) return dwarf;
    dwarf_end(dwarf); /* libdw is content with any section of DWARF, as .debug_frame alone */
    return NULL;
}

/* Open the DWARF of a file. False: it has none. */
static bool open_in(struct fg__dwarf *d, fg_ctx *ctx, Elf *elf) {
    if (!elf) return false;
    d->dwarf = begin(fg__dwarf_image(&d->image, elf) ? d->image.elf : elf);
    if (!d->dwarf) fg__elf_close(ctx, &d->image);
    return d->dwarf != NULL;
}

/* The module's DWARF, opened once; NULL in *out: it has none. */
static int open_dwarf(struct fg__dwarf **out, fg__module *m) {
    fg_ctx *ctx = m->symbols->ctx;
    *out = m->dwarf;
    if (m->dwarf_tried) return 0;
    m->dwarf_tried = true;
    int err = fg__module_open(m);
    if (err || m->state != FG__MODULE_OPEN) return err;
    struct fg__dwarf *d = fg__calloc(ctx, 1, sizeof *d);
    if (!d) return FG_ENOMEM;
    bool found = open_in(d, ctx, m->elf.elf);
    if (!found) {
        fg__separate_open(m);
        found = open_in(d, ctx, m->debug.elf);
    }
    if (!found) {
        fg_free(ctx, d);
        return 0;
    }
    *out = m->dwarf = d;
    return read_units(d, ctx);
}

int fg__dwarf_calls(const fg__call **calls, size_t *n, fg__module *m, uint64_t address) {
    struct fg__dwarf *d;
    unit *u = NULL;
    fg_ctx *ctx = m->symbols->ctx;
    *n = 0;
    int err = open_dwarf(&d, m);
    if (err || !d) return err;
    err = find_unit(&u, d, ctx, address);
    if (err || !u) return err;
    d->call_count = 0;
    err = add_calls(d, ctx, u, address);
    if (err) return err;
    set_line(&d->calls[d->call_count - 1], u, address);
    reverse(d->calls, d->call_count);
    *calls = d->calls;
    *n = d->call_count;
    return 0;
}

void fg__dwarf_free(fg_ctx *ctx, struct fg__dwarf *d) {
    if (!d) return;
    for (size_t i = 0; i < d->count; i++) {
        fg_free(ctx, d->units[i].functions);
        fg_free(ctx, d->units[i].index.ranges);
    }
    fg_free(ctx, d->units);
    fg_free(ctx, d->index.ranges);
    fg_free(ctx, d->calls);
    dwarf_end(d->dwarf);
    fg__elf_close(ctx, &d->image);
    fg_free(ctx, d);
}
