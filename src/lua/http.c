/*
 * Requests for scripts: op.http{ url=, method=, headers={ name, value, … }, body=, timeout=, … } → op, whose
 * result is { status=, url=, elapsed=, headers={ name = value }, body=, withheld= }. fg.http
 * (lua/flamegraph/http.lua) has checked the options.
 */
#include <string.h>
#include "lua/op.h"

/* Names in lower case; what comes several times is joined, as HTTP allows. */
static void push_headers(lua_State *L, const fg__http_response *response) {
    lua_newtable(L);
    const char *name = response->headers, *end = name + response->headers_size;
    while (name < end) {
        const char *value = name + strlen(name) + 1;
        if (lua_getfield(L, -1, name) == LUA_TSTRING) {
            lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), value);
            lua_remove(L, -2);
        } else {
            lua_pop(L, 1);
            lua_pushstring(L, value);
        }
        lua_setfield(L, -2, name);
        name = value + strlen(value) + 1;
    }
}

static int http_result(lua_State *L, fg__op *op) {
    fg__http_response response = fg__http_response_of(op);
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, response.status);
    lua_setfield(L, -2, "status");
    lua_pushnumber(L, response.elapsed);
    lua_setfield(L, -2, "elapsed");
    fg__lua_set_text(L, "url", response.url, strlen(response.url));
    fg__lua_set_text(L, "body", response.body, response.body_size);
    push_headers(L, &response);
    lua_setfield(L, -2, "headers");
    if (response.withheld) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "withheld");
    }
    return 1;
}

const fg__http_header *fg__lua_headers_field(lua_State *L, size_t *count) {
    *count = 0;
    if (lua_getfield(L, 1, "headers") != LUA_TTABLE) return NULL;
    size_t n = (size_t)lua_rawlen(L, -1) / 2;
    fg__http_header *headers = lua_newuserdatauv(L, (n + 1) * sizeof *headers, 0);
    for (size_t i = 0; i < n; i++) {
        bool texts = lua_rawgeti(L, -2, (lua_Integer)(2 * i + 1)) == LUA_TSTRING;
        texts &= lua_rawgeti(L, -3, (lua_Integer)(2 * i + 2)) == LUA_TSTRING;
        if (!texts) luaL_error(L, "headers are pairs of texts");
        headers[i] = (fg__http_header){lua_tostring(L, -2), lua_tostring(L, -1)};
        lua_pop(L, 2);
    }
    *count = n;
    return headers;
}

static int fn_http(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    fg__http_options options = {
        .url = fg__lua_text_field(L, "url", NULL),
        .method = fg__lua_text_field(L, "method", NULL),
        .timeout = fg__lua_number_field(L, "timeout"),
        .connect_timeout = fg__lua_number_field(L, "connect_timeout"),
        .max_body = (uint64_t)fg__lua_number_field(L, "max_body"),
        .max_redirects = (unsigned)fg__lua_number_field(L, "max_redirects"),
        .ca_file = fg__lua_text_field(L, "ca", NULL),
        .socket = fg__lua_text_field(L, "socket", NULL),
    };
    options.body = fg__lua_text_field(L, "body", &options.body_size);
    options.headers = fg__lua_headers_field(L, &options.header_count);
    luaL_argcheck(L, options.url, 1, "a url is needed");
    fg__op **op = fg__lua_op_new(L, http_result);
    return fg__lua_op_start(L, fg__http_start(op, fg__lua_loop(L), &options));
}

/* refused(op): nobody listened, so nothing was sent */
static int fn_refused(lua_State *L) {
    lua_pushboolean(L, fg__http_refused(fg__lua_op_check(L, 1, http_result)));
    return 1;
}

static int fn_shown(lua_State *L) {
    char shown[FG__URL_SHOWN];
    lua_pushstring(L, fg__url_shown(shown, luaL_checkstring(L, 1)));
    return 1;
}

void fg__lua_http(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"http", fn_http}, {"refused", fn_refused}, {"shown_url", fn_shown}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
