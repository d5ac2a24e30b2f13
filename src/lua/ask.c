/* Asking a profile: totals, rankings, metadata, quality. */
#include <string.h>
#include "lua/lua.h"

/***
 * The sum of a value type over all stacks.
 *
 * @function Profile:total
 * @tparam[opt] string type its name; otherwise the default one
 * @treturn integer
 */
static int total(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    lua_pushinteger(L, fg_profile_total(p, fg__lua_type(L, 2, p)));
    return 1;
}

/***
 * The value types: what is counted.
 *
 * @function Profile:types
 * @treturn {table,...} tables with `name` ("cpu") and `unit` ("nanoseconds")
 */
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

/*
 * Functions under the names that the script gives them. Pushes a table of the name of each frame by its id + 1, and a
 * userdata: the first frame that has the same name. NULL, and nil twice, where there is no function at `index`.
 */
static const uint32_t *push_names(lua_State *L, fg_profile *p, int index) {
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        lua_pushnil(L);
        return NULL;
    }
    luaL_argexpected(L, lua_isfunction(L, index), index, "function");
    uint32_t n = (uint32_t)fg_profile_frame_count(p);
    lua_newtable(L);
    uint32_t *as = lua_newuserdatauv(L, (n + (size_t)1) * sizeof *as, 0);
    lua_newtable(L); /* names: the frame of each */
    for (uint32_t i = 0; i < n; i++) {
        lua_pushvalue(L, index);
        lua_pushstring(L, fg_profile_frame_at(p, i).name);
        lua_call(L, 1, 1);
        if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "names: a %s is no name", luaL_typename(L, -1));
        lua_pushvalue(L, -1);
        lua_rawseti(L, -5, (lua_Integer)i + 1);
        lua_pushvalue(L, -1);
        as[i] = lua_rawget(L, -3) == LUA_TNIL ? i : (uint32_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
        lua_pushinteger(L, as[i]);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    return as;
}

struct top_options {
    const char *type;
    uint64_t limit;
};

/* Runs under lua_pcall: the entries (light userdata), their number, the profile, names or nil → a list. */
static int push_top(lua_State *L) {
    const fg_top_entry *entries = lua_touserdata(L, 1);
    lua_Integer n = lua_tointeger(L, 2);
    fg_profile *p = fg__lua_profile(L, 3);
    bool named = lua_istable(L, 4);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 0; i < n; i++) {
        fg_frame frame = fg_profile_frame_at(p, entries[i].frame);
        if (named) {
            lua_createtable(L, 0, 3);
            lua_rawgeti(L, 4, (lua_Integer)entries[i].frame + 1);
            lua_setfield(L, -2, "name");
        } else {
            fg__lua_push_frame(L, &frame);
        }
        lua_pushinteger(L, entries[i].self);
        lua_setfield(L, -2, "self");
        lua_pushinteger(L, entries[i].total);
        lua_setfield(L, -2, "total");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/***
 * Rank the frames by self, then by total.
 *
 * @function Profile:top
 * @tparam[opt] table options
 * @tparam[opt] string options.type value type; otherwise the default one
 * @tparam[opt=20] integer options.limit how many; 0: all
 * @tparam[opt] function options.names a function(name) → name: frames that get the same one are counted together, and
 *   only that name is told of them
 * @treturn {table,...} frames (as in `stacks`) with `self` (value of the stacks that end in the frame) and
 *   `total` (of those that contain it; recursion counts once)
 * @usage for _, f in ipairs(p:top { limit = 5 }) do print(f.name, f.self, f.total) end
 */
static int top(lua_State *L) {
    static const fg__option rows[] = {
        {"type", FG__OPTION_TEXT, offsetof(struct top_options, type)},
        {"limit", FG__OPTION_SIZE, offsetof(struct top_options, limit)},
        {"names", FG__OPTION_ANY, 0},
        {NULL, FG__OPTION_ANY, 0},
    };
    fg_profile *p = fg__lua_profile(L, 1);
    struct top_options options = {.limit = 20};
    fg__lua_options(L, 2, "top", rows, &options);
    lua_pushstring(L, options.type);
    size_t type = fg__lua_type(L, -1, p), n;
    fg_top_entry *entries;
    if (lua_istable(L, 2))
        lua_getfield(L, 2, "names");
    else
        lua_pushnil(L);
    const uint32_t *as = push_names(L, p, lua_gettop(L));
    int names = lua_gettop(L) - 1;
    int err = fg__top(&entries, &n, p, type, options.limit, as);
    if (err) return fg__lua_fail(L, err);
    lua_pushcfunction(L, push_top);
    lua_pushlightuserdata(L, entries);
    lua_pushinteger(L, (lua_Integer)n);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, names);
    int status = lua_pcall(L, 4, 1, 0);
    fg_free(fg_profile_ctx(p), entries);
    return status == LUA_OK ? 1 : lua_error(L);
}

/* Where the arguments of `callers` are, and what is made of them. */
enum { ASKED = 1, WANTED, NAMER, NAMED, GROUPS };

/* Which frames have a name that is a key of the table at WANTED; all where there is none. */
static uint8_t *wanted_frames(lua_State *L, fg_profile *p) {
    size_t n = fg_profile_frame_count(p);
    uint8_t *wanted = lua_newuserdatauv(L, n + 1, 0);
    memset(wanted, 1, n + 1);
    for (uint32_t i = 0; i < n && lua_istable(L, WANTED); i++) {
        if (lua_istable(L, NAMED))
            lua_rawgeti(L, NAMED, (lua_Integer)i + 1);
        else
            lua_pushstring(L, fg_profile_frame_at(p, i).name);
        lua_gettable(L, WANTED);
        wanted[i] = (uint8_t)lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    return wanted;
}

/* Where things are on the Lua stack while calls become tables. NAMES and SETS are by frame id + 1, so that each name is
 * made a string, and its set is looked up, once for each frame and not for each call. */
enum { CALLS = 1, CALL_COUNT, CALLED_PROFILE, NAMES, RESULT, SETS };

static void push_name(lua_State *L, const fg_profile *p, uint32_t frame) {
    if (lua_rawgeti(L, NAMES, (lua_Integer)frame + 1) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_pushstring(L, fg_profile_frame_at(p, frame).name);
    lua_pushvalue(L, -1);
    lua_rawseti(L, NAMES, (lua_Integer)frame + 1);
}

/* The set of the names that call a frame of this name. */
static void push_set(lua_State *L, const fg_profile *p, uint32_t frame) {
    if (lua_rawgeti(L, SETS, (lua_Integer)frame + 1) != LUA_TNIL) return;
    lua_pop(L, 1);
    push_name(L, p, frame);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, RESULT) == LUA_TNIL) { /* frames of one name share theirs */
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, RESULT);
    }
    lua_remove(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, SETS, (lua_Integer)frame + 1);
}

/* Calls (light userdata), how many, the profile, names or nil → name → set of the names that call it. */
static int push_calls(lua_State *L) {
    const fg__call_pair *calls = lua_touserdata(L, CALLS);
    lua_Integer n = lua_tointeger(L, CALL_COUNT);
    const fg_profile *p = fg__lua_profile(L, CALLED_PROFILE);
    if (lua_isnil(L, NAMES)) {
        lua_newtable(L);
        lua_replace(L, NAMES);
    }
    for (int i = RESULT; i <= SETS; i++) lua_newtable(L);
    for (lua_Integer i = 0; i < n; i++) {
        push_set(L, p, calls[i].callee);
        push_name(L, p, calls[i].caller);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    lua_settop(L, RESULT);
    return 1;
}

/***
 * Who calls whom.
 *
 * @function Profile:callers
 * @tparam[opt] table wanted a table whose keys are names: only of these, and of those that they call
 * @tparam[opt] function names as in `top`: functions are known by the names that this gives them
 * @treturn table name → table whose keys are the names of its callers; a function that calls itself is none
 * @usage for caller in pairs(p:callers().malloc or {}) do print(caller) end
 */
static int callers(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, ASKED);
    lua_settop(L, NAMER);
    const uint32_t *as = push_names(L, p, NAMER);
    const uint8_t *wanted = wanted_frames(L, p);
    fg__call_pair *calls;
    size_t n;
    int err = fg__calls(&calls, &n, p, wanted, as);
    if (err) return fg__lua_fail(L, err);
    lua_pushcfunction(L, push_calls);
    lua_pushlightuserdata(L, calls);
    lua_pushinteger(L, (lua_Integer)n);
    lua_pushvalue(L, ASKED);
    lua_pushvalue(L, NAMED);
    int status = lua_pcall(L, 4, 1, 0);
    fg_free(fg_profile_ctx(p), calls);
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

/***
 * What is known of how the profile was taken. Texts: `collector engine target host source title default_type
 * period_type normalize`. Whole numbers: `start` (ns since 1970), `duration` (ns), `period` (of
 * `period_type`), `interrupted` (1: ended early), `snapshot` (1: of one moment, without a duration),
 * `ended` (1: it lasted until the target ended by itself),
 * `samples`, `lost`, `failed`, `truncated`, `sampler_cpu` (ns), `units` (of work that was done: requests, iterations).
 * Real: `factor` (what the value type `after` of a diff is multiplied with before it is compared), `grain_before`,
 * `grain_after` (of a diff: the value of one sample).
 *
 * @function Profile:meta
 * @tparam[opt] string|table key a key: its value; a table: values to set; nothing: all that is set
 * @return the value or nil; after setting, the profile itself; a table
 * @usage p:meta { target = "process 42", duration = 30 * 1000000000 }
 */
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

/***
 * Add a note for the reader of the picture. The same note is kept once.
 *
 * @function Profile:note
 * @tparam string text
 * @treturn Profile itself
 */
static int note(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    int err = fg_profile_note(p, "%s", luaL_checkstring(L, 2));
    if (err) return fg__lua_fail(L, err);
    lua_settop(L, 1);
    return 1;
}

/***
 * The notes, in order.
 *
 * @function Profile:notes
 * @treturn {string,...}
 */
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

/***
 * How far the profile can be trusted.
 *
 * @function Profile:quality
 * @treturn table `samples` (0: not known), `lost`, `failed`, `truncated` (stacks cut short; each of the three is nil
 *   where nobody counted: most formats do not tell), `unknown` (share, 0 to 1, of what is in frames without a name)
 */
static int quality(lua_State *L) {
    const fg_profile *p = fg__lua_profile(L, 1);
    fg_quality q = fg_profile_quality(p);
    const struct {
        const char *key;
        int64_t count;
    } rows[] = {{"samples", q.samples}, {"lost", q.lost}, {"failed", q.failed}, {"truncated", q.truncated}};
    lua_createtable(L, 0, 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i && !fg_meta_has(p, rows[i].key)) continue;
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

/***
 * What could make a picture of the profile mislead: its notes, then what follows from its quality.
 *
 * @function Profile:warnings
 * @treturn {string,...}
 */
static int warnings(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    lua_settop(L, 1);
    lua_newtable(L);
    fg_profile_warnings(p, say_warning, L);
    return 1;
}

/***
 * Whether this is a diff: a profile with the value types `before` and `after`.
 *
 * @function Profile:is_diff
 * @treturn boolean
 */
static int is_diff(lua_State *L) {
    lua_pushboolean(L, fg_profile_is_diff(fg__lua_profile(L, 1)));
    return 1;
}

const luaL_Reg fg__lua_asking[] = {
    {"callers", callers}, {"is_diff", is_diff},   {"meta", meta}, {"note", note},
    {"notes", notes},     {"quality", quality},   {"top", top},   {"total", total},
    {"types", types},     {"warnings", warnings}, {NULL, NULL},
};
