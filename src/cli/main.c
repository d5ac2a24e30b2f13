/* The command: makes the Lua state and hands over to lua/flamegraph/cli.lua. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <lauxlib.h>
#include <lua-cjson.h>
#include <lualib.h>
#include "flamegraph_lua.h"

/* What reaches this is a fault of ours: cli.lua answers for scripts and users. */
static int traceback(lua_State *L) {
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

static int run(lua_State *L) {
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    lua_gc(L, LUA_GCSTOP); /* nothing of what is loaded here becomes garbage */
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_cjson);
    lua_setfield(L, -2, "cjson"); /* linked in; stock Lua takes the installed one */
    luaL_requiref(L, "flamegraph", luaopen_flamegraph, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "flamegraph.cli");
    lua_call(L, 1, 1);
    lua_gc(L, LUA_GCRESTART);
    lua_getfield(L, -1, "main");
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 1);
    return 1;
}

enum { TROUBLE = 2 };

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write */
    lua_State *L = luaL_newstate();
    if (!L) {
        fputs("flame-graph: out of memory\n", stderr);
        return TROUBLE;
    }
    lua_pushcfunction(L, traceback);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = TROUBLE;
    if (lua_pcall(L, 2, 1, 1) == LUA_OK)
        status = (int)lua_tointeger(L, -1);
    else
        fprintf(stderr, "flame-graph: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return status;
}
