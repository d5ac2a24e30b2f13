/* flamegraph_lua.h: the Lua 5.4 module, for programs that embed Lua and link it in. */
#ifndef FLAMEGRAPH_LUA_H
#define FLAMEGRAPH_LUA_H

#include <lua.h>
#include "flamegraph.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Open the module: what `require "flamegraph"` calls. Leaves the module's table on the stack.
 *
 *      luaL_requiref(L, "flamegraph", luaopen_flamegraph, 0);
 */
FG_API int luaopen_flamegraph(lua_State *L);

#ifdef __cplusplus
}
#endif
#endif
