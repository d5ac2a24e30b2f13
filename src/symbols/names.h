/* Names of symbols, made fit to be read: the rules that flame graphs of perf recordings have had for years. */
#ifndef FG_NAMES_H
#define FG_NAMES_H

#include "core/slice.h"

/* Kernel, JIT, native, or unknown when the module says nothing. */
fg_kind fg__module_kind(fg__slice module);
/* The symbol without its offset and with Rust's escapes undone. The result is in `symbol` or in `buffer`. */
int fg__symbol_plain(fg__slice *out, fg_ctx *ctx, fg__buffer *buffer, fg__slice symbol);
/* Cut the first call of "a->b->c", a JIT's way to print inlined calls, outermost first. False at the end. */
bool fg__symbol_call(fg__slice *out, fg__slice *calls);
/* Whether it is what perf prints where it found no symbol. */
bool fg__symbol_unknown(fg__slice symbol);
/*
 * Put a call's name, tidied, into `name`: without parameters and, in a JVM (`java`), as Java has it. A call that is
 * unknown is called by its module and, unless it is empty, by `address`.
 */
int fg__symbol_name(fg_ctx *ctx, fg__buffer *name, fg__slice call, fg__slice module, fg__slice address,
                    bool java);

#endif
