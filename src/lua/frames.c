/* A profile's frames, stacks and nodes as Lua values, and back. */
#include <string.h>
#include "lua/lua.h"

static void set_text(lua_State *L, const char *key, const char *text) {
    if (!text || !*text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

/* Into the table on top: what is not known is absent. */
static void set_frame(lua_State *L, const fg_frame *frame) {
    lua_pushstring(L, frame->name);
    lua_setfield(L, -2, "name");
    set_text(L, "file", frame->file);
    set_text(L, "module", frame->module);
    if (frame->line) {
        lua_pushinteger(L, frame->line);
        lua_setfield(L, -2, "line");
    }
    lua_pushstring(L, fg_kind_name(frame->kind));
    lua_setfield(L, -2, "kind");
}

void fg__lua_push_frame(lua_State *L, const fg_frame *frame) {
    lua_createtable(L, 0, 5);
    set_frame(L, frame);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* ---- iteration ----------------------------------------------------------------------------------------- */

/* Upvalues of an iterator. CACHE: frame id + 1 → its table, so that a frame that is met often is made once.
 */
enum { PROFILE = 1, NEXT, TYPE, CACHE };

static void push_iterator(lua_State *L, lua_CFunction step) {
    fg_profile *p = fg__lua_profile(L, 1);
    lua_Integer type = (lua_Integer)fg__lua_type(L, 2, p);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    lua_pushinteger(L, type);
    lua_newtable(L);
    lua_pushcclosure(L, step, 4);
}

/* The number of this step, counted from 0. */
static size_t step_number(lua_State *L) {
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(NEXT));
    lua_pushinteger(L, i + 1);
    lua_replace(L, lua_upvalueindex(NEXT));
    return (size_t)i;
}

static void push_cached_frame(lua_State *L, fg_profile *p, uint32_t id) {
    if (lua_rawgeti(L, lua_upvalueindex(CACHE), (lua_Integer)id + 1) != LUA_TNIL) return;
    lua_pop(L, 1);
    fg_frame frame = fg_profile_frame_at(p, id);
    fg__lua_push_frame(L, &frame);
    lua_pushvalue(L, -1);
    lua_rawseti(L, lua_upvalueindex(CACHE), (lua_Integer)id + 1);
}

static int next_stack(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, lua_upvalueindex(PROFILE));
    size_t i = step_number(L), n, types = fg_profile_type_count(p);
    if (i >= fg_profile_stack_count(p)) return 0;
    const uint32_t *frames = fg_profile_stack(p, i, &n);
    lua_createtable(L, (int)n, 0);
    for (size_t k = 0; k < n; k++) {
        push_cached_frame(L, p, frames[k]);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lua_pushinteger(L, fg_profile_value(p, i, (size_t)lua_tointeger(L, lua_upvalueindex(TYPE))));
    lua_createtable(L, (int)types, 0);
    for (size_t t = 0; t < types; t++) {
        lua_pushinteger(L, fg_profile_value(p, i, t));
        lua_rawseti(L, -2, (lua_Integer)t + 1);
    }
    return 3;
}

/***
 * Iterate over the unique stacks. A frame is a table: `name`, `kind` ("native", "js", …, "unknown"), and where
 * they are known `file`, `line`, `module`. The same frame is the same table.
 *
 * @function Profile:stacks
 * @tparam[opt] string type value type of `value`; otherwise the default one
 * @treturn function giving `frames` (a list, outermost first), `value`, `values` (in the order of `types`)
 * @usage for frames, value in p:stacks() do print(frames[#frames].name, value) end
 */
int fg__lua_stacks(lua_State *L) {
    push_iterator(L, next_stack);
    return 1;
}

static int next_node(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, lua_upvalueindex(PROFILE));
    const fg_tree *tree;
    if (fg_profile_tree(&tree, p)) return luaL_error(L, "%s", fg_error(fg__lua_ctx(L)));
    size_t i = step_number(L) + 1; /* the root has no frame */
    if (i >= tree->count) return 0;
    size_t type = (size_t)lua_tointeger(L, lua_upvalueindex(TYPE));
    fg_frame frame = fg_profile_frame_at(p, tree->frame[i]);
    lua_createtable(L, 0, 10);
    set_frame(L, &frame);
    set_integer(L, "depth", tree->depth[i]);
    set_integer(L, "index", (lua_Integer)i);
    set_integer(L, "parent", tree->parent[i]);
    set_integer(L, "self", tree->self[type][i]);
    set_integer(L, "total", tree->total[type][i]);
    return 1;
}

/***
 * Iterate over the nodes of the calling-context tree, parents before children, children by name. A node is a
 * new table with the fields of a frame and `depth` (the outermost have 1), `self`, `total`, `index` and
 * `parent` (the parent's index; 0: none).
 *
 * @function Profile:nodes
 * @tparam[opt] string type value type of `self` and `total`; otherwise the default one
 * @treturn function giving a node
 * @usage for node in p:nodes() do print(("  "):rep(node.depth) .. node.name, node.total) end
 */
int fg__lua_nodes(lua_State *L) {
    push_iterator(L, next_node);
    return 1;
}

/* ---- add ----------------------------------------------------------------------------------------------- */

static fg_kind check_kind(lua_State *L, const char *name) {
    for (int kind = 0; kind < FG_KIND_COUNT; kind++)
        if (strcmp(name, fg_kind_name((fg_kind)kind)) == 0) return (fg_kind)kind;
    return (fg_kind)luaL_error(L, "add: there is no kind of frame named '%s'", name);
}

struct given_frame {
    const char *name, *file, *module, *kind;
    uint64_t line;
};

/* The frame on top of the stack: a name or a table. Its strings live as long as it does. */
static fg_frame check_frame(lua_State *L, lua_Integer i) {
    static const fg__option rows[] = {
        {"name", FG__OPTION_TEXT, offsetof(struct given_frame, name)},
        {"file", FG__OPTION_TEXT, offsetof(struct given_frame, file)},
        {"module", FG__OPTION_TEXT, offsetof(struct given_frame, module)},
        {"kind", FG__OPTION_TEXT, offsetof(struct given_frame, kind)},
        {"line", FG__OPTION_SIZE, offsetof(struct given_frame, line)},
        {NULL, FG__OPTION_ANY, 0},
    };
    struct given_frame given = {0};
    if (lua_type(L, -1) == LUA_TSTRING) {
        given.name = lua_tostring(L, -1);
    } else {
        if (!lua_istable(L, -1))
            luaL_error(L, "add: frame %I is a %s, not a name or a table", i, luaL_typename(L, -1));
        fg__lua_options(L, -1, "add", rows, &given);
        if (!given.name) luaL_error(L, "add: frame %I has no name", i);
        if (given.line > UINT32_MAX) luaL_error(L, "add: the line of frame %I is too large", i);
    }
    return (fg_frame){.name = given.name,
                      .file = given.file,
                      .module = given.module,
                      .line = (uint32_t)given.line,
                      .kind = given.kind ? check_kind(L, given.kind) : FG_KIND_UNKNOWN};
}

static int64_t check_value(lua_State *L, int index) {
    int whole;
    lua_Integer value = lua_tointegerx(L, index, &whole);
    if (!whole || lua_type(L, index) != LUA_TNUMBER || value < 0)
        luaL_error(L, "add: a value is a whole number from 0, not %s", luaL_tolstring(L, index, NULL));
    return value;
}

static void check_values(lua_State *L, int index, fg_profile *p, int64_t *values) {
    size_t types = fg_profile_type_count(p);
    if (!lua_istable(L, index)) {
        if (types != 1)
            luaL_error(L, "add: this profile has %d value types: give a list of values", (int)types);
        values[0] = check_value(L, index);
        return;
    }
    if (luaL_len(L, index) != (lua_Integer)types)
        luaL_error(L, "add: %I values for %d value types", luaL_len(L, index), (int)types);
    for (size_t t = 0; t < types; t++) {
        lua_geti(L, index, (lua_Integer)t + 1);
        values[t] = check_value(L, -1);
        lua_pop(L, 1);
    }
}

enum { MAX_DEPTH = 1 << 20 };

/***
 * Add values to a stack.
 *
 * @function Profile:add
 * @tparam {string|table,...} frames names or frames (as in `stacks`), outermost first
 * @tparam integer|{integer,...} values one for each value type, not negative
 * @treturn boolean|nil true; nil, message, code where a sum does not fit
 * @usage p:add({ "main", { name = "parse", file = "parse.c", line = 12, kind = "native" } }, 3)
 */
int fg__lua_add(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t values[FG_MAX_TYPES];
    check_values(L, 3, p, values);
    lua_Integer n = luaL_len(L, 2);
    luaL_argcheck(L, n > 0 && n <= MAX_DEPTH, 2, "a stack has from 1 to 1,048,576 frames");
    uint32_t *frames = lua_newuserdatauv(L, (size_t)n * sizeof *frames, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 2, i);
        fg_frame frame = check_frame(L, i);
        int err = fg_profile_frame(&frames[i - 1], p, &frame);
        if (err) return fg__lua_fail(L, err);
        lua_pop(L, 1);
    }
    int err = fg_profile_add(p, frames, (size_t)n, values);
    if (err) return fg__lua_fail(L, err);
    lua_pushboolean(L, 1);
    return 1;
}
