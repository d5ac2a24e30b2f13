/*
 * What waits, for scripts: require "flamegraph.op", under lua/flamegraph/loop.lua, http.lua and spawn.lua.
 *
 *   op.c      something under way: wait for it, look at it, cancel it; timers, lines, signals
 *   http.c    starting a request, its answer as a table
 *   load.c    starting requests by the thousand, their counts and times as a table
 *   spawn.c   starting a child, its end as a table
 *   websocket.c  a connection, its messages
 *   sample.c  starting a sampler, its profile
 */
#ifndef FG_LUA_OP_H
#define FG_LUA_OP_H

#include "lua/lua.h"
#include "sys/sys.h"

/* Each adds its functions to the module's table on top of the stack. */
void fg__lua_http(lua_State *L);
void fg__lua_load(lua_State *L);
void fg__lua_spawn(lua_State *L);
void fg__lua_websocket(lua_State *L);
void fg__lua_sample(lua_State *L);

/* The state's event loop: made when first asked for. Raises where that is not possible. */
fg__loop *fg__lua_loop(lua_State *L);

/*
 * Push an op userdata and return where its op goes; then start one. A failed start becomes nil, message,
 * code:
 *
 *      fg__op **op = fg__lua_op_new(L, timer_result);
 *      return fg__lua_op_start(L, fg__timer_start(op, fg__lua_loop(L), seconds));
 *
 * `result` pushes what a finished op without error gives to scripts and returns how many values that is. It
 * also is the op's type: fg__lua_op_check raises where the value at `arg` is no op of that type (NULL: of
 * any), or is closed.
 */
typedef int fg__lua_result(lua_State *L, fg__op *op);
fg__op **fg__lua_op_new(lua_State *L, fg__lua_result *result);
int fg__lua_op_start(lua_State *L, int code);
fg__op *fg__lua_op_check(lua_State *L, int arg, fg__lua_result *result);

/* Fields of the table at index 1, for functions whose tables the Lua half has checked. */
const char *fg__lua_text_field(lua_State *L, const char *key, size_t *n); /* NULL: none; owned by the table */
double fg__lua_number_field(lua_State *L, const char *key);               /* 0: none */
bool fg__lua_bool_field(lua_State *L, const char *key);
/* The list `headers`, names and values by turns, as an array that lives on the stack (two slots more at most). */
const fg__http_header *fg__lua_headers_field(lua_State *L, size_t *count);
void fg__lua_set_text(lua_State *L, const char *key, const char *text, size_t n);

#endif
