/* flamegraph.rights: what this process may do to others, and what grants the rest. */
#include "lua/lua.h"
#include "sys/rights.h"
#include "sys/wake.h"

/* foreseen(name, pid) → true, or nil, why not, what helps ("": nothing does); nothing where there is no such right */
static int foreseen(lua_State *L) {
    fg__refusal said;
    fg__right right = fg__right_named(luaL_checkstring(L, 1));
    if (right == FG__RIGHT_COUNT) return 0;
    if (!fg__rights_foreseen(&said, right, (uint64_t)luaL_optinteger(L, 2, 0))) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, said.why);
    lua_pushstring(L, said.remedy);
    return 3;
}

/* wake(pid) → true, after SIGUSR1 for a Node process whose handler is Node's own; or nil, message, code */
static int wake(lua_State *L) {
    int error = fg__node_wake(fg__lua_ctx(L), (uint64_t)luaL_checkinteger(L, 1));
    if (error) return fg__lua_fail(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

int fg__lua_open_rights(lua_State *L) {
    static const luaL_Reg functions[] = {{"foreseen", foreseen}, {"wake", wake}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
