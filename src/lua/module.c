/* require "flamegraph": for the command, for stock lua5.4 and for programs that embed Lua. */
#include "lua/lua.h"

/* flamegraph/scripts.lua puts the search path and the embedded files into package.searchers, then all is Lua.
 */
int luaopen_flamegraph(lua_State *L) {
    fg__lua_install(L);
    fg__lua_load_embedded(L, "flamegraph/scripts.lua");
    lua_call(L, 0, 0);
    fg__lua_load_embedded(L, "flamegraph/init.lua");
    lua_call(L, 0, 1);
    return 1;
}
