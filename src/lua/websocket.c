/*
 * WebSockets for scripts: op.websocket{ url=, headers={ name, value, … }, connect_timeout=, max_message=, ca= } → op,
 * which has no result but why it ended. fg.websocket (lua/flamegraph/websocket.lua) is what scripts call.
 */
#include "lua/op.h"

static int websocket_result(lua_State *L, fg__op *op) {
    (void)op;
    lua_pushboolean(L, true);
    return 1;
}

static int arrival_result(lua_State *L, fg__op *op) {
    (void)op;
    lua_pushboolean(L, true);
    return 1;
}

static int fn_websocket(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    fg__websocket_options options = {
        .url = fg__lua_text_field(L, "url", NULL),
        .connect_timeout = fg__lua_number_field(L, "connect_timeout"),
        .max_message = (uint64_t)fg__lua_number_field(L, "max_message"),
        .ca_file = fg__lua_text_field(L, "ca", NULL),
    };
    options.headers = fg__lua_headers_field(L, &options.header_count);
    luaL_argcheck(L, options.url, 1, "a url is needed");
    fg__op **op = fg__lua_op_new(L, websocket_result);
    return fg__lua_op_start(L, fg__websocket_start(op, fg__lua_loop(L), &options));
}

/* arrival(websocket) → an op that finishes when it opens, has a message or ends */
static int fn_arrival(lua_State *L) {
    fg__op *websocket = fg__lua_op_check(L, 1, websocket_result);
    fg__op **op = fg__lua_op_new(L, arrival_result);
    return fg__lua_op_start(L, fg__websocket_arrival(op, websocket));
}

static int fn_has_opened(lua_State *L) {
    lua_pushboolean(L, fg__websocket_opened(fg__lua_op_check(L, 1, websocket_result)));
    return 1;
}

/* transmit(websocket, text, binary) → true */
static int fn_transmit(lua_State *L) {
    fg__op *op = fg__lua_op_check(L, 1, websocket_result);
    size_t n;
    const char *bytes = luaL_checklstring(L, 2, &n);
    int error = fg__websocket_send(op, bytes, n, lua_toboolean(L, 3));
    if (error) return fg__lua_fail(L, error);
    lua_pushboolean(L, true);
    return 1;
}

/* message(websocket) → the oldest one that has come, and whether it is binary; nothing where there is none */
static int fn_message(lua_State *L) {
    fg__op *op = fg__lua_op_check(L, 1, websocket_result);
    fg__websocket_message message;
    if (!fg__websocket_take(op, &message)) return 0;
    lua_pushlstring(L, message.bytes, message.n);
    lua_pushboolean(L, message.binary);
    fg__websocket_drop(op);
    return 2;
}

static int fn_has_message(lua_State *L) {
    fg__websocket_message message;
    lua_pushboolean(L, fg__websocket_take(fg__lua_op_check(L, 1, websocket_result), &message));
    return 1;
}

void fg__lua_websocket(lua_State *L) {
    static const luaL_Reg functions[] = {{"websocket", fn_websocket},
                                         {"arrival", fn_arrival},
                                         {"has_opened", fn_has_opened},
                                         {"transmit", fn_transmit},
                                         {"message", fn_message},
                                         {"has_message", fn_has_message},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
