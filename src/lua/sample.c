/*
 * Samplers for scripts: op.sample(name, {…}) → op, whose results are a profile and, where the sampler ran a command,
 * its exit status. fg.sample (lua/flamegraph/sample.lua) is what scripts call.
 */
#include <string.h>
#include "lua/op.h"
#include "sample/sample.h"

static int sample_result(lua_State *L, fg__op *op) {
    fg_profile **box = fg__lua_box(L);
    *box = fg__sample_take(op);
    if (!*box) return luaL_error(L, "the profile was taken already");
    int status = fg__sample_exit_status(op);
    if (status < 0) return 1;
    lua_pushinteger(L, status);
    return 2;
}

static int fn_sample(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    const fg__sampler_kind *kind = fg__sampler_named(name);
    if (!kind) return luaL_error(L, "fg.sample: there is no sampler '%s'", name);
    void *options = lua_newuserdatauv(L, kind->options_size, 0);
    memset(options, 0, kind->options_size);
    fg__lua_options(L, 2, lua_pushfstring(L, "fg.sample: %s", name), kind->options, options);
    fg__op **op = fg__lua_op_new(L, sample_result);
    return fg__lua_op_start(L, fg__sample_start(op, fg__lua_loop(L), kind, options));
}

/* stop(op): what was sampled so far is the profile */
static int fn_stop(lua_State *L) {
    fg__sample_stop(fg__lua_op_check(L, 1, sample_result));
    return 0;
}

/* samplers() → the names of all there are */
static int fn_samplers(lua_State *L) {
    const fg__sampler_kind *kind;
    lua_newtable(L);
    for (size_t i = 0; (kind = fg__sampler_at(i)); i++) {
        lua_pushstring(L, kind->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

void fg__lua_sample(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"sample", fn_sample}, {"samplers", fn_samplers}, {"stop", fn_stop}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
