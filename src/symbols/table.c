/* A table of symbols: filled in any order, sorted once, then searched. */
#include <stdlib.h>
#include "symbols/module.h"

int fg__symbol_table_add(fg_ctx *ctx, fg__symbol_table *table, const fg__symbol *symbol) {
    int err = fg__grow(ctx, &table->symbols, &table->cap, table->count + 1, sizeof *table->symbols);
    if (err) return err;
    table->symbols[table->count] = *symbol;
    table->symbols[table->count].order = (uint32_t)table->count;
    table->count++;
    return 0;
}

static int by_start(const void *a, const void *b) {
    const fg__symbol *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void fg__symbol_table_sort(fg__symbol_table *table) {
    fg__symbol *s = table->symbols;
    if (!table->count) return;
    qsort(s, table->count, sizeof *s, by_start);
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        bool better = i + 1 < table->count && s[i + 1].start == s[i].start;
        if (!better) s[kept++] = s[i];
    }
    table->count = kept;
    for (size_t i = 0; i < kept; i++) {
        if (s[i].end > s[i].start) continue;
        s[i].end = i + 1 < kept ? s[i + 1].start : s[i].start + 4096;
    }
}

fg__symbol *fg__symbol_table_find(const fg__symbol_table *table, uint64_t address) {
    enum { NESTED = 16 }; /* a symbol may lie inside of another */
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->symbols[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i-- > 0 && low - i <= NESTED;)
        if (address < table->symbols[i].end) return &table->symbols[i];
    return NULL;
}
