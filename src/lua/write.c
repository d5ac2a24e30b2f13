/*
 * Writing profiles, and what the command line says of that: the registry's table at &outputs_key has `options` (path →
 * option table) and `written` (a function that is told path, profile and the value type asked for).
 */
#include "formats/format.h"
#include "lua/lua.h"
#include "render/render.h"

static const char outputs_key;

static const fg__option write_rows[] = {
    {"format", FG__OPTION_TEXT, offsetof(fg_write_options, format)},
    {"type", FG__OPTION_TEXT, offsetof(fg_write_options, type)},
    {"title", FG__OPTION_TEXT, offsetof(fg_write_options, title)},
    {"subtitle", FG__OPTION_TEXT, offsetof(fg_write_options, subtitle)},
    {"colors", FG__OPTION_TEXT, offsetof(fg_write_options, colors)},
    {"view", FG__OPTION_TEXT, offsetof(fg_write_options, view)},
    {"count_name", FG__OPTION_TEXT, offsetof(fg_write_options, count_name)},
    {"width", FG__OPTION_NUMBER, offsetof(fg_write_options, width)},
    {"min_width", FG__OPTION_NUMBER, offsetof(fg_write_options, min_width)},
    {"inverted", FG__OPTION_BOOL, offsetof(fg_write_options, inverted)},
    {"reverse", FG__OPTION_BOOL, offsetof(fg_write_options, reverse)},
    {"hash", FG__OPTION_BOOL, offsetof(fg_write_options, hash)},
    {"limit", FG__OPTION_SIZE, offsetof(fg_write_options, limit)},
    {"plain", FG__OPTION_BOOL, offsetof(fg_write_options, plain)},
    {"widths", FG__OPTION_TEXT, offsetof(fg_write_options, widths)},
    {NULL, FG__OPTION_ANY, 0},
};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "limit is stored as FG__OPTION_SIZE");

/* outputs{ options = { [path] = {…} }, written = function(path, profile, type) } */
static int outputs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &outputs_key);
    return 0;
}

/* Push a field of the outputs table, or nil. */
static void push_output_field(lua_State *L, const char *key) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &outputs_key) == LUA_TTABLE)
        lua_getfield(L, -1, key);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

/***
 * Write the profile. The file appears whole or not at all.
 *
 * @function Profile:write
 * @tparam string path its suffix chooses the format; "-" is standard output
 * @tparam[opt] table options
 * @tparam[opt] string options.format instead of the suffix: "svg", "folded", …
 * @tparam[opt] string options.type value type to show; otherwise the default one
 * @tparam[opt] string options.view "flame" or "hotcold"
 * @tparam[opt] string options.title
 * @tparam[opt] string options.subtitle
 * @tparam[opt] string options.colors name of a palette
 * @tparam[opt] string options.count_name what a value is called
 * @tparam[opt=1200] number options.width px; of "term": columns
 * @tparam[opt=0.1] number options.min_width px; narrower frames are not drawn without scripts
 * @tparam[opt=false] boolean options.inverted roots at the top
 * @tparam[opt=false] boolean options.reverse turn stacks around first; summaries have none
 * @tparam[opt=false] boolean options.hash colours by a hash of the name alone
 * @tparam[opt=20] integer options.limit rows in summaries
 * @tparam[opt=false] boolean options.plain "term" without colours
 * @tparam[opt="union"] string options.widths of a diff: as wide as "before", "after" or the "union" of both
 * @treturn boolean|nil true; nil, message, code: "IO", "INVAL"
 * @usage assert(p:write("cpu.svg", { title = "CPU" }))
 */
static int write_profile(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 3);
    fg_write_options options = {.size = sizeof options};
    push_output_field(L, "options");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, path);
        fg__lua_options(L, -1, "write", write_rows, &options);
    }
    fg__lua_options(L, 3, "write", write_rows, &options);
    int err = fg_write(p, path, &options);
    if (err) return fg__lua_fail(L, err);
    push_output_field(L, "written");
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, 1);
        lua_pushstring(L, options.type);
        lua_call(L, 3, 0);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Runs under lua_pcall: bytes (light userdata), their number → a string. */
static int push_bytes(lua_State *L) {
    lua_pushlstring(L, lua_touserdata(L, 1), (size_t)lua_tointeger(L, 2));
    return 1;
}

/***
 * The profile in a format, as a string.
 *
 * @function Profile:format
 * @tparam table options as for `write`; `format` has to be given
 * @treturn string|nil nil, message, code
 * @usage print(p:format { format = "md", limit = 5 })
 */
static int format_profile(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    fg_write_options options = {.size = sizeof options};
    fg__lua_options(L, 2, "format", write_rows, &options);
    if (!options.format) return luaL_error(L, "format: name the format: { format = \"folded\" }");
    void *bytes;
    size_t n;
    int err = fg_write_memory(&bytes, &n, p, &options);
    if (err) return fg__lua_fail(L, err);
    lua_pushcfunction(L, push_bytes);
    lua_pushlightuserdata(L, bytes);
    lua_pushinteger(L, (lua_Integer)n);
    int status = lua_pcall(L, 2, 1, 0);
    fg_free(fg_profile_ctx(p), bytes);
    return status == LUA_OK ? 1 : lua_error(L);
}

static void set_flag(lua_State *L, const char *key, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void set_string(lua_State *L, const char *key, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

/***
 * The formats.
 *
 * @function fg.formats
 * @treturn {table,...} tables with `name`, `summary`, `suffixes` (separated by spaces), `reads`, `writes`
 */
static int formats(lua_State *L) {
    fg_format_info row;
    lua_newtable(L);
    for (size_t i = 0; fg_format_at(&row, i); i++) {
        lua_createtable(L, 0, 5);
        set_string(L, "name", row.name);
        set_string(L, "summary", row.summary);
        set_string(L, "suffixes", row.suffixes);
        set_flag(L, "reads", row.reads);
        set_flag(L, "writes", row.writes);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* value_text(value, unit) → what a person reads: "12.3 s" */
static int value_text(lua_State *L) {
    char text[64];
    fg__value_text(text, sizeof text, luaL_checknumber(L, 1), luaL_checkstring(L, 2));
    lua_pushstring(L, text);
    return 1;
}

/* palettes(view) → "runtime, hot, …"; "" where there is no such view */
static int palettes(lua_State *L) {
    char names[256];
    *names = '\0';
    fg__palette_names(names, sizeof names, luaL_checkstring(L, 1));
    lua_pushstring(L, names);
    return 1;
}

/* widths() → how wide a picture can be at least and at most, px */
static int widths(lua_State *L) {
    lua_pushinteger(L, FG__WIDTH_LEAST);
    lua_pushinteger(L, FG__WIDTH_MOST);
    return 2;
}

const luaL_Reg fg__lua_writing[] = {{"format", format_profile}, {"write", write_profile}, {NULL, NULL}};

const luaL_Reg fg__lua_writing_functions[] = {
    {"formats", formats},       {"outputs", outputs}, {"palettes", palettes},
    {"value_text", value_text}, {"widths", widths},   {NULL, NULL},
};
