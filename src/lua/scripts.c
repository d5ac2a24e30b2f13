/* flamegraph.embedded: the Lua files that are built into the binary. */
#include <string.h>
#include "core/embedded.h"
#include "lua/lua.h"

static const struct fg__embedded *find(const char *name) {
    for (const struct fg__embedded *file = fg__embedded_scripts; file->name; file++)
        if (strcmp(file->name, name) == 0) return file;
    return NULL;
}

void fg__lua_load_embedded(lua_State *L, const char *name) {
    const struct fg__embedded *file = find(name);
    if (!file) luaL_error(L, "%s is not built in", name);
    lua_pushfstring(L, "=%s", name);
    if (luaL_loadbufferx(L, file->bytes, file->n, lua_tostring(L, -1), "t")) lua_error(L);
    lua_remove(L, -2);
}

/* source(name) → the text of an embedded file, or nil */
static int source(lua_State *L) {
    const struct fg__embedded *file = find(luaL_checkstring(L, 1));
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
    static const luaL_Reg functions[] = {{"source", source}, {"names", names}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
