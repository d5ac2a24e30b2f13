/* What a Lua state gets: one context for all its profiles, the C parts in package.preload. */
#include "lua/lua.h"

static const char ctx_key; /* its address is the registry key of the context's userdata */

static int ctx_gc(lua_State *L) {
    fg_ctx **box = lua_touserdata(L, 1);
    fg_ctx_free(*box);
    *box = NULL;
    return 0;
}

/*
 * Finalizers run in the reverse order of creation when a state is closed. The context comes before any
 * profile, so it goes after all of them.
 */
static void make_ctx(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &ctx_key) == LUA_TNIL) {
        fg_ctx **box = lua_newuserdatauv(L, sizeof *box, 0);
        *box = NULL;
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, ctx_gc);
        lua_setfield(L, -2, "__gc");
        lua_setmetatable(L, -2);
        *box = fg_ctx_new();
        if (!*box) luaL_error(L, "out of memory");
        lua_rawsetp(L, LUA_REGISTRYINDEX, &ctx_key);
    }
    lua_pop(L, 1);
}

fg_ctx *fg__lua_ctx(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ctx_key);
    fg_ctx **box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!box || !*box) luaL_error(L, "flamegraph is not open in this Lua state");
    return *box;
}

int fg__lua_fail(lua_State *L, int code) {
    const char *message = fg_error(fg__lua_ctx(L));
    if (code == FG_ENOMEM) return luaL_error(L, "%s", message);
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, fg_error_name(code));
    return 3;
}

static const luaL_Reg parts[] = {
    {"flamegraph.embedded", fg__lua_open_embedded},
    {"flamegraph.op", fg__lua_open_op},
    {"flamegraph.pattern", fg__lua_open_pattern},
    {"flamegraph.profile", fg__lua_open_profile},
    {"flamegraph.rights", fg__lua_open_rights},
    {"flamegraph.system", fg__lua_open_system},
    {"flamegraph.terminal", fg__lua_open_terminal},
    {"flamegraph.verdict", fg__lua_open_verdict},
    {NULL, NULL},
};

void fg__lua_install(lua_State *L) {
    make_ctx(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, parts, 0);
    lua_pop(L, 1);
}
