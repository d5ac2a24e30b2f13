/*
 * require "flamegraph.op": what the scheduler (lua/flamegraph/loop.lua) is made of.
 *
 *   timer(seconds), line(fd) → op                  step(seconds) → op, op, … that finished
 *   http{…}, load{…}, spawn{…}, sample(name, {…}) → op       under_way(), now()
 *   websocket{…} → op, arrival(op) → op       has_opened(op), has_message(op), message(op), transmit(op, text)
 *   op:result() op:progress() op:finished()        signals(on), interrupts()
 *   op:close()  cancels what is under way
 *
 * A weak table in the registry leads from a finished op to its userdata. One that was collected has released
 * its op, and a released op is never reported.
 */
#include "lua/op.h"

struct op {
    fg__op *op; /* NULL: not started, or closed */
    fg__lua_result *result;
};

static const char op_type[] = "flamegraph.op";
static const char loop_key, ops_key; /* their addresses are keys of the registry */

/* ---- the loop of a state ------------------------------------------------------------------------------- */

static int loop_gc(lua_State *L) {
    fg__loop **loop = lua_touserdata(L, 1);
    fg__loop_free(*loop);
    *loop = NULL;
    return 0;
}

fg__loop *fg__lua_loop(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loop_key) == LUA_TNIL) {
        fg_ctx *ctx = fg__lua_ctx(L);
        fg__loop **made = lua_newuserdatauv(L, sizeof *made, 0);
        *made = NULL;
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, loop_gc);
        lua_setfield(L, -2, "__gc");
        lua_setmetatable(L, -2);
        if (fg__loop_new(made, ctx)) luaL_error(L, "%s", fg_error(ctx));
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &loop_key);
        lua_remove(L, -2);
    }
    fg__loop *loop = *(fg__loop **)lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!loop) luaL_error(L, "the Lua state is being closed");
    return loop;
}

/* ---- ops ----------------------------------------------------------------------------------------------- */

fg__op **fg__lua_op_new(lua_State *L, fg__lua_result *result) {
    fg__lua_loop(L); /* made before its ops, it is freed after them */
    struct op *op = lua_newuserdatauv(L, sizeof *op, 0);
    op->op = NULL;
    op->result = result;
    luaL_setmetatable(L, op_type);
    return &op->op;
}

int fg__lua_op_start(lua_State *L, int code) {
    if (code) return fg__lua_fail(L, code);
    struct op *op = lua_touserdata(L, -1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ops_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, op->op);
    lua_pop(L, 1);
    return 1;
}

fg__op *fg__lua_op_check(lua_State *L, int arg, fg__lua_result *result) {
    struct op *op = luaL_checkudata(L, arg, op_type);
    if (result && op->result != result) luaL_argerror(L, arg, "an operation of another type");
    if (!op->op) luaL_argerror(L, arg, "the operation is closed");
    return op->op;
}

static int op_close(lua_State *L) {
    struct op *op = luaL_checkudata(L, 1, op_type);
    fg__op *released = op->op;
    op->op = NULL;
    fg__op_release(released);
    return 0;
}

static int op_finished(lua_State *L) {
    lua_pushboolean(L, fg__op_finished(fg__lua_op_check(L, 1, NULL)));
    return 1;
}

/* The results; for one that failed nil, message, code. */
static int op_result(lua_State *L) {
    fg__op *op = fg__lua_op_check(L, 1, NULL);
    if (!fg__op_finished(op)) return luaL_argerror(L, 1, "the operation is still under way");
    int code = fg__op_code(op);
    if (!code) return ((struct op *)lua_touserdata(L, 1))->result(L, op);
    lua_pushnil(L);
    lua_pushstring(L, fg__op_message(op));
    lua_pushstring(L, fg_error_name(code));
    return 3;
}

/* done, expected (nil where it is not known), and what they count: "seconds", "bytes" or "". */
static int op_progress(lua_State *L) {
    double done, expected;
    const char *unit = fg__op_progress(fg__lua_op_check(L, 1, NULL), &done, &expected);
    lua_pushnumber(L, done);
    if (expected >= 0) {
        lua_pushnumber(L, expected);
    } else {
        lua_pushnil(L);
    }
    lua_pushstring(L, unit);
    return 3;
}

/* ---- fields -------------------------------------------------------------------------------------------- */

const char *fg__lua_text_field(lua_State *L, const char *key, size_t *n) {
    lua_getfield(L, 1, key);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, n) : NULL;
    lua_pop(L, 1);
    return text;
}

double fg__lua_number_field(lua_State *L, const char *key) {
    lua_getfield(L, 1, key);
    double number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return number;
}

bool fg__lua_bool_field(lua_State *L, const char *key) {
    lua_getfield(L, 1, key);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

void fg__lua_set_text(lua_State *L, const char *key, const char *text, size_t n) {
    lua_pushlstring(L, text, n);
    lua_setfield(L, -2, key);
}

/* ---- the module ---------------------------------------------------------------------------------------- */

static int timer_result(lua_State *L, fg__op *op) {
    (void)op;
    lua_pushboolean(L, true);
    return 1;
}

static int fn_timer(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
    fg__op **op = fg__lua_op_new(L, timer_result);
    return fg__lua_op_start(L, fg__timer_start(op, fg__lua_loop(L), seconds));
}

static int line_result(lua_State *L, fg__op *op) {
    size_t n;
    const char *line = fg__line_of(op, &n);
    lua_pushlstring(L, line, n);
    return 1;
}

static int fn_line(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    fg__op **op = fg__lua_op_new(L, line_result);
    return fg__lua_op_start(L, fg__line_start(op, fg__lua_loop(L), fd));
}

/* Returns the ops that have finished, at most as many as the stack takes; the others come with the next step.
 */
static int fn_step(lua_State *L) {
    enum { AT_ONCE = 100 };
    fg__loop *loop = fg__lua_loop(L);
    fg__loop_step(loop, luaL_optnumber(L, 1, -1));
    lua_settop(L, 0);
    luaL_checkstack(L, AT_ONCE + 2, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ops_key);
    while (lua_gettop(L) <= AT_ONCE) {
        const fg__op *op = fg__loop_take(loop);
        if (!op) break;
        if (lua_rawgetp(L, 1, op) == LUA_TNIL) lua_pop(L, 1);
    }
    return lua_gettop(L) - 1;
}

static int fn_under_way(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)fg__loop_under_way(fg__lua_loop(L)));
    return 1;
}

static int fn_now(lua_State *L) {
    lua_pushnumber(L, fg__loop_now());
    return 1;
}

static int fn_signals(lua_State *L) {
    bool on = lua_toboolean(L, 1);
    if (fg__loop_signals(fg__lua_loop(L), on))
        luaL_error(L, "another Lua state of this process has the signals");
    return 0;
}

static int fn_interrupts(lua_State *L) {
    lua_pushinteger(L, fg__loop_interrupts(fg__lua_loop(L)));
    return 1;
}

static const luaL_Reg op_methods[] = {
    {"close", op_close}, {"finished", op_finished}, {"progress", op_progress}, {"result", op_result},
    {NULL, NULL},
};
static const luaL_Reg functions[] = {
    {"interrupts", fn_interrupts}, {"line", fn_line}, {"now", fn_now},
    {"signals", fn_signals},       {"step", fn_step}, {"timer", fn_timer},
    {"under_way", fn_under_way},   {NULL, NULL},
};

static void make_type(lua_State *L) {
    if (luaL_newmetatable(L, op_type)) {
        luaL_newlib(L, op_methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, op_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, op_close);
        lua_setfield(L, -2, "__close");
    }
    lua_pop(L, 1);
}

static void make_weak_table(lua_State *L) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ops_key);
}

int fg__lua_open_op(lua_State *L) {
    make_type(L);
    make_weak_table(L);
    luaL_newlib(L, functions);
    fg__lua_http(L);
    fg__lua_load(L);
    fg__lua_spawn(L);
    fg__lua_websocket(L);
    fg__lua_sample(L);
    return 1;
}
