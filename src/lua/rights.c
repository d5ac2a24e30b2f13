/* flamegraph.rights: what this process may do to others, what grants the rest, and whose turn it is. */
#include <unistd.h>
#include "lua/lua.h"
#include "sys/hold.h"
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

/* ---- holding a process ---------------------------------------------------------------------------------- */

static const char hold_type[] = "flamegraph.hold";

static int hold_close(lua_State *L) {
    int *fd = luaL_checkudata(L, 1, hold_type);
    if (*fd >= 0) close(*fd);
    *fd = -1;
    return 0;
}

/* held:share() → whether others may hold it as well from now on, as nothing is changed */
static int hold_share(lua_State *L) {
    int *fd = luaL_checkudata(L, 1, hold_type);
    lua_pushboolean(L, fg__hold_as(*fd, FG__HOLD_SHARED));
    return 1;
}

/* hold(pid, shared) → what is to be closed; or nil, the number of the process that holds it (0: not known) */
static int hold(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", hold_close},
                                       {"share", hold_share},
                                       {"__gc", hold_close},
                                       {"__close", hold_close},
                                       {NULL, NULL}};
    uint32_t holder = 0, pid = (uint32_t)luaL_checkinteger(L, 1);
    fg__holding how = lua_toboolean(L, 2) ? FG__HOLD_SHARED : FG__HOLD_ALONE;
    int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
    *fd = -1;
    if (luaL_newmetatable(L, hold_type)) {
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
    if (fg__hold(fd, &holder, pid, how)) return 1;
    lua_pushnil(L);
    lua_pushinteger(L, holder);
    return 2;
}

int fg__lua_open_rights(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"foreseen", foreseen}, {"wake", wake}, {"hold", hold}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
