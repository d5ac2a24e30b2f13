/*
 * lua: the only folder that sees lua.h. One binding file per Lua-visible type; everything else of the Lua
 * half is lua/flamegraph. May use all other folders; only the command (src/cli) uses it.
 *
 *   state.c    what a Lua state gets: the context, package.preload, how failures reach scripts
 *   module.c   luaopen_flamegraph: require "flamegraph"
 *   options.c  option tables: { title = "…", width = 800 } into a C struct, checked
 *   profile.c  flamegraph.profile: the Profile userdata
 *   ask.c      its methods total, top, meta …
 *   write.c    its methods write and format
 *   frames.c   its frames, stacks and nodes as Lua values, and back
 *   filter.c   its method filter
 *   pattern.c  flamegraph.pattern: regular expressions
 *   system.c   flamegraph.system: folders, terminals, clocks
 *   rights.c   flamegraph.rights: what we may do to other processes
 *   terminal.c flamegraph.terminal: keys as they are pressed
 *   verdict.c  flamegraph.verdict: are two sets of runs different?
 *   scripts.c  flamegraph.embedded: the Lua files that are built in
 *   op.c       flamegraph.op: what waits (HTTP, processes, timers), on the loop of src/sys; see op.h
 *
 * A resource becomes a userdata with __gc before anything can raise. No Lua error passes through a frame of
 * another folder: a callback into Lua runs under lua_pcall, and its error is raised again at the end.
 */
#ifndef FG_LUA_H
#define FG_LUA_H

#include <lua.h>
#include <lauxlib.h>
#include "core/core.h"
#include "flamegraph_lua.h"

/* ---- state --------------------------------------------------------------------------------------------- */

/* Put the C parts of the module and the embedded Lua into package.preload and package.searchers. */
void fg__lua_install(lua_State *L);
/* The state's only context; it lives until the state is closed. */
fg_ctx *fg__lua_ctx(lua_State *L);
/*
 * A failure for the script: pushes nil, the context's message and the code's name ("FORMAT"), and returns 3.
 * Only FG_ENOMEM raises. What a script's author got wrong (types of arguments, unknown options) raises before
 * that.
 */
int fg__lua_fail(lua_State *L, int code);

/* package.preload["flamegraph.profile"] and so on. */
int fg__lua_open_profile(lua_State *L);
int fg__lua_open_pattern(lua_State *L);
int fg__lua_open_system(lua_State *L);
int fg__lua_open_rights(lua_State *L);
int fg__lua_open_terminal(lua_State *L);
int fg__lua_open_verdict(lua_State *L);
int fg__lua_open_embedded(lua_State *L);
int fg__lua_open_op(lua_State *L);
/* Push the embedded file as a function; raises where there is none. */
void fg__lua_load_embedded(lua_State *L, const char *name);

/* ---- option tables ------------------------------------------------------------------------------------- */

/*
 * Check the table at `index` (nil and none: no options) against the rows and fill the struct. A wrong type or
 * an unknown key raises: "write: unknown option 'colour' (known: colors, …)".
 */
void fg__lua_options(lua_State *L, int index, const char *what, const fg__option *rows, void *out);

/* ---- profiles ------------------------------------------------------------------------------------------ */

/*
 * The Profile userdata. fg__lua_box pushes an empty one; the owner then fills *box, so that the profile is
 * freed whatever is raised: `fg_profile **box = fg__lua_box(L); int err = fg_read(box, …);`
 */
fg_profile **fg__lua_box(lua_State *L);
/* The profile at `index`, or an argument error. */
fg_profile *fg__lua_profile(lua_State *L, int index);
/* The box on top of the stack as a result: 1, or the failure. */
int fg__lua_return(lua_State *L, int err);
/* The value type named at `index` (nil: the default one) as a column; an unknown one raises. */
size_t fg__lua_type(lua_State *L, int index, fg_profile *p);

/* frames.c */
void fg__lua_push_frame(lua_State *L, const fg_frame *frame);
int fg__lua_stacks(lua_State *L);
int fg__lua_nodes(lua_State *L);
int fg__lua_add(lua_State *L);
/* filter.c */
int fg__lua_filter(lua_State *L);
/*
 * A filter by the options focus, ignore, hide and rename of the table at `options`. It pushes what it needs; the stack
 * below must stay. What a function of the script raises is kept: fg__lua_asked_script raises it, or returns the box on
 * top of the stack as fg__lua_return does.
 */
fg_filter fg__lua_asking_script(lua_State *L, int options);
int fg__lua_asked_script(lua_State *L, const fg_filter *filter, int err);
/* ask.c, write.c: methods of a profile, functions of the module */
extern const luaL_Reg fg__lua_asking[], fg__lua_writing[], fg__lua_writing_functions[];

/* ---- patterns ------------------------------------------------------------------------------------------ */

/* Compile a pattern and push it as a userdata. NULL: pushed is a message that says what is wrong and where.
 */
struct fg__pattern *fg__lua_pattern(lua_State *L, const char *text, size_t n);
/* 1: it matches somewhere in `subject` (valid UTF-8), 0: nowhere, or a negative error with its message in
 * ctx. */
int fg__pattern_match(struct fg__pattern *pattern, fg_ctx *ctx, const char *subject);
/*
 * Replace each match ($1, ${name} in the replacement): *out is `subject` itself where nothing matches, else
 * the pattern's own text, valid until its next use.
 */
int fg__pattern_replace(const char **out, struct fg__pattern *pattern, fg_ctx *ctx, const char *subject,
                        const char *replacement);
/* The '=' of "PATTERN=REPLACEMENT": the first that is neither escaped nor part of (?= or (?<=; NULL: none. */
const char *fg__rename_split(const char *text);

#endif
