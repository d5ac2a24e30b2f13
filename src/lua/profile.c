/*
 * flamegraph.profile: the Profile userdata. A userdata holds one fg_profile * or, once closed, NULL.
 *
 * What is written where: the registry's table at &outputs_key has `options` (path → option table: what the
 * command line says of that path) and `written` (a function that is told path and profile).
 */
#include <string.h>
#include "formats/format.h"
#include "lua/lua.h"

static const char *const type_name = "flamegraph.profile";
static const char outputs_key;

/* ---- the userdata -------------------------------------------------------------------------------------- */

fg_profile **fg__lua_box(lua_State *L) {
    fg_profile **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, type_name);
    return box;
}

fg_profile *fg__lua_profile(lua_State *L, int index) {
    fg_profile **box = luaL_checkudata(L, index, type_name);
    if (!*box) luaL_argerror(L, index, "this profile is closed");
    return *box;
}

int fg__lua_return(lua_State *L, int err) {
    return err ? fg__lua_fail(L, err) : 1;
}

static int close_profile(lua_State *L) {
    fg_profile **box = luaL_checkudata(L, 1, type_name);
    fg_profile_free(*box);
    *box = NULL;
    return 0;
}

static int to_string(lua_State *L) {
    fg_profile **box = luaL_checkudata(L, 1, type_name);
    if (!*box) {
        lua_pushliteral(L, "profile (closed)");
        return 1;
    }
    lua_pushfstring(L, "profile (%I stacks", (lua_Integer)fg_profile_stack_count(*box));
    for (size_t t = 0; t < fg_profile_type_count(*box); t++) {
        fg_value_type type = fg_profile_type(*box, t);
        lua_pushfstring(L, ", %I %s of %s", (lua_Integer)fg_profile_total(*box, t), type.unit, type.name);
        lua_concat(L, 2);
    }
    lua_pushliteral(L, ")");
    lua_concat(L, 2);
    return 1;
}

size_t fg__lua_type(lua_State *L, int index, fg_profile *p) {
    const char *name = luaL_optstring(L, index, NULL);
    int type = fg_profile_find_type(p, name);
    if (type < 0) luaL_error(L, "this profile has no value type '%s'", name ? name : "default");
    return (size_t)type;
}

/* ---- making -------------------------------------------------------------------------------------------- */

/* new{ {name, unit}, … } → an empty profile with these value types */
static int new_profile(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer n = luaL_len(L, 1);
    luaL_argcheck(L, n > 0, 1, "a profile has at least one value type");
    fg_profile **box = fg__lua_box(L);
    int err = fg_profile_new(box, fg__lua_ctx(L));
    for (lua_Integer i = 1; !err && i <= n; i++) {
        lua_geti(L, 1, i);
        luaL_argcheck(L, lua_istable(L, -1), 1, "a value type is a table { name, unit }");
        lua_geti(L, -1, 1);
        lua_geti(L, -2, 2);
        if (!lua_isstring(L, -2) || !lua_isstring(L, -1))
            luaL_argerror(L, 1, "a value type is { name, unit }");
        err = fg_profile_add_type(*box, lua_tostring(L, -2), lua_tostring(L, -1));
        lua_pop(L, 3);
    }
    return fg__lua_return(L, err);
}

static const fg__lua_option read_rows[] = {
    {"name", FG__LUA_TEXT, offsetof(fg_read_options, name)},
    {"expect", FG__LUA_TEXT, offsetof(fg_read_options, format)},
    {"max_input", FG__LUA_SIZE, offsetof(fg_read_options, max_input)},
    {"lines", FG__LUA_BOOL, offsetof(fg_read_options, lines)},
    {"idle", FG__LUA_BOOL, offsetof(fg_read_options, keep_idle)},
    {"kernel", FG__LUA_BOOL, offsetof(fg_read_options, annotate_kernel)},
    {"jit", FG__LUA_BOOL, offsetof(fg_read_options, annotate_jit)},
    {"addrs", FG__LUA_BOOL, offsetof(fg_read_options, addresses)},
    {"pid", FG__LUA_BOOL, offsetof(fg_read_options, with_pid)},
    {"tid", FG__LUA_BOOL, offsetof(fg_read_options, with_tid)},
    {"event_filter", FG__LUA_TEXT, offsetof(fg_read_options, event)},
    {NULL, FG__LUA_ANY, 0},
};

/* read(path, options) → profile, or nil, message, code */
static int read_profile(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    fg_read_options options = {.size = sizeof options};
    fg__lua_options(L, 2, "read", read_rows, &options);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_read(box, fg__lua_ctx(L), path, &options));
}

/* parse(bytes, options) → profile, or nil, message, code */
static int parse_profile(lua_State *L) {
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    fg_read_options options = {.size = sizeof options, .name = "input"};
    fg__lua_options(L, 2, "parse", read_rows, &options);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_parse(box, fg__lua_ctx(L), bytes, n, &options));
}

/* ---- algebra ------------------------------------------------------------------------------------------- */

/* merge(p, q, …) → their sum */
static int merge(lua_State *L) {
    int n = lua_gettop(L);
    fg_profile **profiles = lua_newuserdatauv(L, (size_t)n * sizeof(fg_profile *), 0);
    for (int i = 0; i < n; i++) profiles[i] = fg__lua_profile(L, i + 1);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_profile_merge(box, profiles, (size_t)n));
}

static int invert(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_profile_invert(box, p));
}

static int select_type(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    size_t type = fg__lua_type(L, 2, p);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_profile_select(box, p, type));
}

struct diff_options {
    const char *type, *normalize;
};

/* diff(before, after, { type =, normalize = "auto" | "absolute" | "share" }) → profile, or nil, message, code
 */
static int diff(lua_State *L) {
    static const fg__lua_option rows[] = {
        {"type", FG__LUA_TEXT, offsetof(struct diff_options, type)},
        {"normalize", FG__LUA_TEXT, offsetof(struct diff_options, normalize)},
        {NULL, FG__LUA_ANY, 0},
    };
    static const char *const names[] = {"auto", "absolute", "share", NULL};
    static const fg_normalize values[] = {FG_NORMALIZE_AUTO, FG_NORMALIZE_ABSOLUTE, FG_NORMALIZE_SHARE};
    fg_profile *before = fg__lua_profile(L, 1), *after = fg__lua_profile(L, 2);
    struct diff_options options = {.normalize = "auto"};
    fg__lua_options(L, 3, "diff", rows, &options);
    int i = 0;
    while (names[i] && strcmp(names[i], options.normalize) != 0) i++;
    if (!names[i])
        return luaL_error(L, "diff: normalize is auto, absolute or share, not '%s'", options.normalize);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_diff(box, before, after, options.type, values[i]));
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static int total(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    lua_pushinteger(L, fg_profile_total(p, fg__lua_type(L, 2, p)));
    return 1;
}

static int types(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    size_t n = fg_profile_type_count(p);
    lua_createtable(L, (int)n, 0);
    for (size_t t = 0; t < n; t++) {
        fg_value_type type = fg_profile_type(p, t);
        lua_createtable(L, 0, 2);
        lua_pushstring(L, type.name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, type.unit);
        lua_setfield(L, -2, "unit");
        lua_rawseti(L, -2, (lua_Integer)t + 1);
    }
    return 1;
}

struct top_options {
    const char *type;
    uint64_t limit;
};

/* Runs under lua_pcall: the entries (light userdata), their number, the profile → a list. */
static int push_top(lua_State *L) {
    const fg_top_entry *entries = lua_touserdata(L, 1);
    lua_Integer n = lua_tointeger(L, 2);
    fg_profile *p = fg__lua_profile(L, 3);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
        fg_frame frame = fg_profile_frame_at(p, entries[i].frame);
        fg__lua_push_frame(L, &frame);
        lua_pushinteger(L, entries[i].self);
        lua_setfield(L, -2, "self");
        lua_pushinteger(L, entries[i].total);
        lua_setfield(L, -2, "total");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int top(lua_State *L) {
    static const fg__lua_option rows[] = {
        {"type", FG__LUA_TEXT, offsetof(struct top_options, type)},
        {"limit", FG__LUA_SIZE, offsetof(struct top_options, limit)},
        {NULL, FG__LUA_ANY, 0},
    };
    fg_profile *p = fg__lua_profile(L, 1);
    struct top_options options = {.limit = 20};
    fg__lua_options(L, 2, "top", rows, &options);
    lua_pushstring(L, options.type);
    size_t type = fg__lua_type(L, -1, p), n;
    fg_top_entry *entries;
    int err = fg_profile_top(&entries, &n, p, type, options.limit);
    if (err) return fg__lua_fail(L, err);
    lua_pushcfunction(L, push_top);
    lua_pushlightuserdata(L, entries);
    lua_pushinteger(L, (lua_Integer)n);
    lua_pushvalue(L, 1);
    int status = lua_pcall(L, 3, 1, 0);
    fg_free(fg_profile_ctx(p), entries);
    return status == LUA_OK ? 1 : lua_error(L);
}

/* ---- metadata ------------------------------------------------------------------------------------------ */

static int find_key(const char *key) {
    const char *known;
    int type;
    for (size_t i = 0; (known = fg_meta_key(i, &type)); i++)
        if (strcmp(known, key) == 0) return type;
    return -1;
}

/* Push the value, nil where it is unset. */
static void push_meta(lua_State *L, fg_profile *p, const char *key, int type) {
    const char *text = fg_meta_text(p, key);
    int64_t number = fg_meta_number(p, key);
    double real = fg_meta_real(p, key);
    if (type == FG_META_TEXT && *text)
        lua_pushstring(L, text);
    else if (type == FG_META_NUMBER && number)
        lua_pushinteger(L, number);
    else if (type == FG_META_REAL && real != 0)
        lua_pushnumber(L, real);
    else
        lua_pushnil(L);
}

/* The value is on top of the stack. */
static void set_meta(lua_State *L, fg_profile *p, const char *key) {
    int type = find_key(key), err, whole = 1, given = lua_type(L, -1);
    if (type < 0) luaL_error(L, "meta: there is no metadata named '%s'", key);
    if (given != (type == FG_META_TEXT ? LUA_TSTRING : LUA_TNUMBER))
        luaL_error(L, "meta: '%s' is a %s, not a %s", key, type == FG_META_TEXT ? "text" : "number",
                   luaL_typename(L, -1));
    lua_Integer number = lua_tointegerx(L, -1, &whole);
    if (type == FG_META_TEXT)
        err = fg_meta_set_text(p, key, lua_tostring(L, -1));
    else if (type == FG_META_REAL)
        err = fg_meta_set_real(p, key, lua_tonumber(L, -1));
    else if (!whole)
        err = luaL_error(L, "meta: '%s' is a whole number", key);
    else
        err = fg_meta_set_number(p, key, number);
    if (err) luaL_error(L, "meta: %s", fg_error(fg__lua_ctx(L)));
}

/* meta() → table · meta(key) → value · meta{ key = value, … } → the profile */
static int meta(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    const char *key;
    int type;
    if (lua_istable(L, 2)) {
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
            luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 2, "metadata has names; this is a list");
            set_meta(L, p, lua_tostring(L, -2));
        }
        lua_settop(L, 1);
        return 1;
    }
    if (!lua_isnoneornil(L, 2)) {
        key = luaL_checkstring(L, 2);
        type = find_key(key);
        if (type < 0) return luaL_error(L, "meta: there is no metadata named '%s'", key);
        push_meta(L, p, key, type);
        return 1;
    }
    lua_newtable(L);
    for (size_t i = 0; (key = fg_meta_key(i, &type)); i++) {
        push_meta(L, p, key, type);
        lua_setfield(L, -2, key);
    }
    return 1;
}

static int note(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    int err = fg_profile_note(p, "%s", luaL_checkstring(L, 2));
    if (err) return fg__lua_fail(L, err);
    lua_settop(L, 1);
    return 1;
}

static int notes(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    const char *text;
    lua_newtable(L);
    for (size_t i = 0; (text = fg_profile_note_at(p, i)); i++) {
        lua_pushstring(L, text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int quality(lua_State *L) {
    fg_quality q = fg_profile_quality(fg__lua_profile(L, 1));
    const struct {
        const char *key;
        int64_t count;
    } rows[] = {{"samples", q.samples}, {"lost", q.lost}, {"failed", q.failed}, {"truncated", q.truncated}};
    lua_createtable(L, 0, 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lua_pushinteger(L, rows[i].count);
        lua_setfield(L, -2, rows[i].key);
    }
    lua_pushnumber(L, q.unknown);
    lua_setfield(L, -2, "unknown");
    return 1;
}

/* Runs under lua_pcall: list, text (light userdata). */
static int append_text(lua_State *L) {
    lua_pushstring(L, lua_touserdata(L, 2));
    lua_rawseti(L, 1, luaL_len(L, 1) + 1);
    return 0;
}

/* The list is at index 2. What cannot be added for want of memory is missed by nobody. */
static void say_warning(void *user, const char *text) {
    lua_State *L = user;
    lua_pushcfunction(L, append_text);
    lua_pushvalue(L, 2);
    lua_pushlightuserdata(L, (void *)text);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static int warnings(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    lua_settop(L, 1);
    lua_newtable(L);
    fg_profile_warnings(p, say_warning, L);
    return 1;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static const fg__lua_option write_rows[] = {
    {"format", FG__LUA_TEXT, offsetof(fg_write_options, format)},
    {"type", FG__LUA_TEXT, offsetof(fg_write_options, type)},
    {"title", FG__LUA_TEXT, offsetof(fg_write_options, title)},
    {"subtitle", FG__LUA_TEXT, offsetof(fg_write_options, subtitle)},
    {"colors", FG__LUA_TEXT, offsetof(fg_write_options, colors)},
    {"view", FG__LUA_TEXT, offsetof(fg_write_options, view)},
    {"count_name", FG__LUA_TEXT, offsetof(fg_write_options, count_name)},
    {"width", FG__LUA_NUMBER, offsetof(fg_write_options, width)},
    {"min_width", FG__LUA_NUMBER, offsetof(fg_write_options, min_width)},
    {"inverted", FG__LUA_BOOL, offsetof(fg_write_options, inverted)},
    {"reverse", FG__LUA_BOOL, offsetof(fg_write_options, reverse)},
    {"hash", FG__LUA_BOOL, offsetof(fg_write_options, hash)},
    {"limit", FG__LUA_SIZE, offsetof(fg_write_options, limit)},
    {NULL, FG__LUA_ANY, 0},
};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "limit is stored as FG__LUA_SIZE");

/* outputs{ options = { [path] = {…} }, written = function(path, profile) } */
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

/* write(path, options) → true, or nil, message, code */
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
        lua_call(L, 2, 0);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Runs under lua_pcall: bytes (light userdata), their number → a string. */
static int push_bytes(lua_State *L) {
    lua_pushlstring(L, lua_touserdata(L, 1), (size_t)lua_tointeger(L, 2));
    return 1;
}

/* format(options) → the written profile as a string, or nil, message, code */
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

/* ---- the module ---------------------------------------------------------------------------------------- */

static void set_flag(lua_State *L, const char *key, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void set_string(lua_State *L, const char *key, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

/* formats() → a list of { name, summary, suffixes, reads, writes } */
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

static int is_diff(lua_State *L) {
    lua_pushboolean(L, fg_profile_is_diff(fg__lua_profile(L, 1)));
    return 1;
}

/* value_text(value, unit) → what a person reads: "12.3 s" */
static int value_text(lua_State *L) {
    char text[64];
    fg__value_text(text, sizeof text, luaL_checknumber(L, 1), luaL_checkstring(L, 2));
    lua_pushstring(L, text);
    return 1;
}

/* is_profile(value) → whether it is a profile, closed or not */
static int is_profile(lua_State *L) {
    lua_pushboolean(L, luaL_testudata(L, 1, type_name) != NULL);
    return 1;
}

static const luaL_Reg methods[] = {
    {"add", fg__lua_add},
    {"close", close_profile},
    {"filter", fg__lua_filter},
    {"format", format_profile},
    {"invert", invert},
    {"is_diff", is_diff},
    {"merge", merge},
    {"meta", meta},
    {"nodes", fg__lua_nodes},
    {"note", note},
    {"notes", notes},
    {"quality", quality},
    {"select", select_type},
    {"stacks", fg__lua_stacks},
    {"top", top},
    {"total", total},
    {"types", types},
    {"warnings", warnings},
    {"write", write_profile},
    {"__close", close_profile},
    {"__gc", close_profile},
    {"__tostring", to_string},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new", new_profile},
    {"read", read_profile},
    {"parse", parse_profile},
    {"merge", merge},
    {"diff", diff},
    {"outputs", outputs},
    {"formats", formats},
    {"is_profile", is_profile},
    {"value_text", value_text},
    {NULL, NULL},
};

int fg__lua_open_profile(lua_State *L) {
    luaL_newmetatable(L, type_name);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "profile"); /* getmetatable answers this: scripts cannot change the methods */
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushstring(L, fg_version());
    lua_setfield(L, -2, "version");
    return 1;
}
