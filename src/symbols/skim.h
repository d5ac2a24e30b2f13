/*
 * The functions of a unit of DWARF, found by one pass over its entries. libdw goes from an entry to the next one by
 * walking through all that is inside of it, attribute by attribute: of units whose compiler gives no short cuts (clang,
 * rustc), that is most of what inlined calls would cost. Here each kind of entry is reduced to how it is passed over.
 */
#ifndef FG_SKIM_H
#define FG_SKIM_H

#include <elfutils/libdw.h>
#include "symbols/module.h"

/*
 * Call `found` for each subprogram of the unit `die` that has code, until it returns something else than 0. What
 * cannot be read ends the pass, as the end does.
 */
int fg__skim_functions(fg_ctx *ctx, Dwarf_Die *die, int (*found)(void *user, Dwarf_Off offset), void *user);

#endif
