/*
 * flamegraph.embedded: the Lua files that are built into the binary, as text and compiled. Compiled they are loaded in a
 * tenth of the time; a Lua that does not take them (its header says of what kind it is) gets the text.
 */
#include <string.h>
#include "core/embedded.h"
#include "lua/lua.h"

static const struct fg__embedded *find(const struct fg__embedded *file, const char *name) {
    for (; file->name; file++)
        if (strcmp(file->name, name) == 0) return file;
    return NULL;
}

void fg__lua_load_embedded(lua_State *L, const char *name) {
    const struct fg__embedded *text = find(fg__embedded_scripts, name),
                              *compiled = find(fg__embedded_compiled, name);
    if (!text) luaL_error(L, "%s is not built in", name);
    if (compiled && luaL_loadbufferx(L, compiled->bytes, compiled->n, name, "b") == LUA_OK) return;
    lua_pushfstring(L, "=%s", name);
    if (luaL_loadbufferx(L, text->bytes, text->n, lua_tostring(L, -1), "t")) lua_error(L);
    lua_remove(L, -2);
}

/* load(name) → an embedded file as a function, or nil */
static int load(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    if (!find(fg__embedded_scripts, name)) return 0;
    fg__lua_load_embedded(L, name);
    return 1;
}

/* source(name) → the text of an embedded file, or nil */
static int source(lua_State *L) {
    const struct fg__embedded *file = find(fg__embedded_scripts, luaL_checkstring(L, 1));
    if (!file) return 0;
    lua_pushlstring(L, file->bytes, file->n);
    return 1;
}

/* names() → a list: "collectors/api.lua", … */
static int names(lua_State *L) {
    lua_newtable(L);
    lua_Integer i = 0;
    for (const struct fg__embedded *file = fg__embedded_scripts; file->name; file++) {
        lua_pushstring(L, file->name);
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

int fg__lua_open_embedded(lua_State *L) {
    static const luaL_Reg functions[] = {{"load", load}, {"source", source}, {"names", names}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
