/*
 * The text of /proc/kallsyms: "ffffffff81000000 T name\t[module]", a line for each symbol. Only src/symbols includes this.
 *
 *      the kernel's own, in the order of their addresses │ those of modules, BPF programs and trampolines, in none
 *
 * A text is some megabytes, of which a few names are wanted. The first part is searched as it is, by halves; the second
 * one is only sorted when an address is in it. Names stay in the text.
 */
#ifndef FG_KALLSYMS_H
#define FG_KALLSYMS_H

#include "symbols/module.h"

typedef struct fg__kallsyms {
    const char *text; /* the caller's; it has to outlive this */
    size_t n;
    size_t core;   /* bytes of the first part */
    uint64_t base; /* the address of _text; 0: there is none, or it is hidden from this user */
    fg__symbol_table others;
    bool others_read;
} fg__kallsyms;

void fg__kallsyms_of(fg__kallsyms *out, const char *text, size_t n);
/* The kernel's own function at an address. False: there is none. */
bool fg__kallsyms_core(fg__symbol *out, const fg__kallsyms *k, uint64_t address);
/* The same of the second part; *module is "[nf_tables]", or empty: there is none. FG_ENOMEM. */
int fg__kallsyms_other(fg__symbol *out, fg__slice *module, fg__kallsyms *k, fg_ctx *ctx, uint64_t address);
void fg__kallsyms_free(fg_ctx *ctx, fg__kallsyms *k);

#endif
