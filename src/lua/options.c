/* Option tables: every key and every type is checked, so that a slip is told to its author and not ignored.
 */
#include <string.h>
#include "lua/lua.h"

static const fg__option *find(const fg__option *rows, const char *key) {
    for (; rows->key; rows++)
        if (strcmp(rows->key, key) == 0) return rows;
    return NULL;
}

static int unknown(lua_State *L, const char *what, const fg__option *rows, const char *key) {
    luaL_Buffer known;
    luaL_buffinit(L, &known);
    for (const fg__option *row = rows; row->key; row++) {
        if (row != rows) luaL_addstring(&known, ", ");
        luaL_addstring(&known, row->key);
    }
    luaL_pushresult(&known);
    return luaL_error(L, "%s: unknown option '%s' (known: %s)", what, key, lua_tostring(L, -1));
}

static void wrong(lua_State *L, const char *what, const fg__option *row, const char *expected) {
    luaL_error(L, "%s: option '%s' is a %s, not %s", what, row->key, luaL_typename(L, -1), expected);
}

/*
 * The list on top of the stack as an array that ends with NULL. It lives as long as the list does: a table with weak
 * keys has it.
 */
static const char *const *words(lua_State *L, const char *what, const fg__option *row) {
    static const char key;
    size_t n = (size_t)lua_rawlen(L, -1);
    if (!lua_istable(L, -1)) wrong(L, what, row, "a list of texts");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
        lua_createtable(L, 0, 1);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "k");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
        lua_remove(L, -2);
    }
    lua_pushvalue(L, -2);
    const char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING) wrong(L, what, row, "a text, in its list");
        list[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    list[n] = NULL;
    return list;
}

/* The value is on top of the stack. */
static void store(lua_State *L, const char *what, const fg__option *row, void *out) {
    void *to = (char *)out + row->offset;
    switch (row->type) {
    case FG__OPTION_TEXT:
        if (lua_type(L, -1) != LUA_TSTRING) wrong(L, what, row, "a string");
        *(const char **)to = lua_tostring(L, -1);
        break;
    case FG__OPTION_BOOL:
        if (!lua_isboolean(L, -1)) wrong(L, what, row, "true or false");
        *(bool *)to = lua_toboolean(L, -1);
        break;
    case FG__OPTION_NUMBER:
        if (lua_type(L, -1) != LUA_TNUMBER) wrong(L, what, row, "a number");
        *(double *)to = lua_tonumber(L, -1);
        break;
    case FG__OPTION_SIZE: {
        int whole;
        lua_Integer n = lua_tointegerx(L, -1, &whole);
        if (!whole || n < 0 || lua_type(L, -1) != LUA_TNUMBER) wrong(L, what, row, "a whole number from 0");
        *(uint64_t *)to = (uint64_t)n;
        break;
    }
    case FG__OPTION_WORDS: *(const char *const **)to = words(L, what, row); break;
    case FG__OPTION_ANY: break;
    }
}

void fg__lua_options(lua_State *L, int index, const char *what, const fg__option *rows, void *out) {
    if (lua_isnoneornil(L, index)) return;
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        luaL_error(L, "%s: options are a table, not a %s", what, luaL_typename(L, index));
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "%s: options have names; this is a list", what);
        const fg__option *row = find(rows, lua_tostring(L, -2));
        if (!row) unknown(L, what, rows, lua_tostring(L, -2));
        store(L, what, row, out);
    }
}
