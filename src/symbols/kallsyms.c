/* kallsyms as a text: its lines, found by address. */
#include "symbols/kallsyms.h"

enum { PAGE = 4096 };

/* ---- lines --------------------------------------------------------------------------------------------- */

typedef struct line {
    uint64_t address;
    char type;
    fg__slice name, module; /* the module with its brackets; empty: the kernel itself */
    size_t next;            /* where the next line begins */
} line;

/* What follows a line that is none is read all the same. */
static line line_at(const fg__kallsyms *k, size_t at) {
    line l = {.next = k->n};
    const char *p = k->text + at, *end = memchr(p, '\n', k->n - at);
    if (end)
        l.next = (size_t)(end - k->text) + 1;
    else
        end = k->text + k->n;
    for (; p < end && fg__is_hex(*p); p++)
        l.address = l.address << 4 | (uint64_t)((*p & 15) + (*p > '9' ? 9 : 0));
    if (end - p < 4 || p[0] != ' ' || p[2] != ' ') return l;
    l.type = p[1];
    p += 3;
    const char *tab = memchr(p, '\t', (size_t)(end - p));
    l.name = fg__slice_of(p, tab ? tab : end);
    if (tab) l.module = fg__slice_of(tab + 1, end);
    return l;
}

/* Where the line begins that the byte is in. */
static size_t start_of(const fg__kallsyms *k, size_t at) {
    const char *before = at ? memrchr(k->text, '\n', at) : NULL;
    return before ? (size_t)(before - k->text) + 1 : 0;
}

static bool is_function(const line *l) {
    char type = (char)(l->type | 0x20);
    return type == 't' || type == 'w';
}

/* Of aliases a strong and global one. */
static uint32_t rank_of(const line *l) {
    return (uint32_t)(l->type == 'T') << 1 | (uint32_t)((l->type | 0x20) == 't');
}

static fg__symbol symbol_of(const line *l) {
    return (fg__symbol){.start = l->address,
                        .name = l->name.p,
                        .n = l->name.n < UINT32_MAX ? (uint32_t)l->name.n : 0,
                        .frame = FG__NONE,
                        .rank = rank_of(l)};
}

/* How far code may reach of which only the beginning is known, and behind which there is other code's room. */
static uint64_t end_of_room(uint64_t start) {
    return (start | (PAGE - 1)) + 1 + PAGE;
}

/* ---- the kernel's own ---------------------------------------------------------------------------------- */

static bool is_core(const line *l, uint64_t unused) {
    (void)unused;
    return !l->module.n;
}

static bool is_upto(const line *l, uint64_t address) {
    return l->address <= address;
}

/* Where the first line begins of which `is` does not hold, if it holds of all before and of none behind; at most `end`. */
static size_t first_not(const fg__kallsyms *k, size_t end, bool (*is)(const line *l, uint64_t value),
                        uint64_t value) {
    size_t low = 0, high = end;
    while (low < high) {
        size_t middle = start_of(k, low + (high - low) / 2);
        line l = line_at(k, middle);
        if (is(&l, value))
            low = l.next;
        else
            high = middle;
    }
    return low < end ? low : end;
}

static uint64_t find_base(const char *text, size_t n) {
    static const char name[] = " _text\n";
    const char *found = memmem(text, n, name, sizeof name - 1);
    if (!found) return 0;
    const fg__kallsyms all = {.text = text, .n = n};
    return line_at(&all, start_of(&all, (size_t)(found - text))).address;
}

void fg__kallsyms_of(fg__kallsyms *out, const char *text, size_t n) {
    *out = (fg__kallsyms){.text = text, .n = n, .base = find_base(text, n)};
    out->core = first_not(out, n, is_core, 0);
}

bool fg__kallsyms_core(fg__symbol *out, const fg__kallsyms *k, uint64_t address) {
    enum { BEFORE = 1000 }; /* lines that are no functions, at most */
    size_t at = first_not(k, k->core, is_upto, address);
    bool found = false;
    uint64_t end = at < k->core ? line_at(k, at).address
                   : at         ? end_of_room(line_at(k, start_of(k, at - 1)).address)
                                : 0;
    if (address >= end) return false;
    for (int i = 0; at && i < BEFORE; i++) {
        at = start_of(k, at - 1);
        line l = line_at(k, at);
        if (found && l.address != out->start) break;
        if (!l.address || !is_function(&l) || (found && rank_of(&l) <= out->rank)) continue;
        *out = symbol_of(&l);
        out->end = end;
        found = true;
    }
    return found;
}

/* ---- those of others ----------------------------------------------------------------------------------- */

static fg__slice module_of(const fg__kallsyms *k, const fg__symbol *symbol) {
    return line_at(k, start_of(k, (size_t)(symbol->name - k->text))).module;
}

/* No size is known of any: one ends where the next one begins, but not in another module. */
static void end_modules(fg__kallsyms *k) {
    fg__symbol *s = k->others.symbols;
    for (size_t i = 0; i < k->others.count; i++) {
        fg__slice own = module_of(k, &s[i]);
        bool last = i + 1 == k->others.count;
        fg__slice next = last ? (fg__slice){"", 0} : module_of(k, &s[i + 1]);
        bool same = own.n == next.n && memcmp(own.p, next.p, own.n) == 0;
        uint64_t room = end_of_room(s[i].start);
        if (!same && s[i].end > room) s[i].end = room;
    }
}

static int read_others(fg__kallsyms *k, fg_ctx *ctx) {
    int err = 0;
    line l;
    for (size_t at = k->core; at < k->n && !err; at = l.next) {
        l = line_at(k, at);
        fg__symbol symbol = symbol_of(&l);
        if (is_function(&l) && l.address && l.module.n) err = fg__symbol_table_add(ctx, &k->others, &symbol);
    }
    if (err) return err;
    fg__symbol_table_sort(&k->others);
    end_modules(k);
    k->others_read = true;
    return 0;
}

int fg__kallsyms_other(fg__symbol *out, fg__slice *module, fg__kallsyms *k, fg_ctx *ctx, uint64_t address) {
    int err = k->others_read ? 0 : read_others(k, ctx);
    const fg__symbol *symbol = err ? NULL : fg__symbol_table_find(&k->others, address);
    *module = (fg__slice){"", 0};
    if (symbol) {
        *out = *symbol;
        *module = module_of(k, symbol);
    }
    return err;
}

void fg__kallsyms_free(fg_ctx *ctx, fg__kallsyms *k) {
    fg_free(ctx, k->others.symbols);
    *k = (fg__kallsyms){0};
}
