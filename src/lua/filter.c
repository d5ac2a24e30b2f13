/*
 * p:filter{ focus =, ignore =, hide =, rename = }. Each of the first three is a pattern, a list of patterns
 * or a function(frame) → boolean; rename is "PATTERN=REPLACEMENT", a list of these, or a function(name,
 * frame) → name.
 *
 * Patterns become userdata in one table at PATTERNS, so that they live as long as the call. Functions of the
 * script are called under lua_pcall; what they raise is kept and raised again when the library has returned.
 */
#include <string.h>
#include "core/core.h"
#include "lua/lua.h"

/* Where things are on the Lua stack while a filter runs, above what was there. */
enum { PATTERNS = 1, RULES, ERROR, NAME, FILE_NAME, MODULE, PLACES = MODULE };
enum { RENAMED = 4 }; /* what `rename` returns: name, file, line, module */

enum { MAX_PATTERNS = 256 };

struct rule {
    int flag; /* FG_FRAME_…; 0: rename */
    struct fg__pattern *pattern;
    const char *replacement; /* owned by the Lua table at PATTERNS */
};

struct filter {
    lua_State *L;
    fg_ctx *ctx;
    int base; /* the stack as it was found */
    struct rule rules[MAX_PATTERNS];
    size_t count;
    bool focusing, renames;
    bool raised; /* a function of the script raised: its error is at ERROR */
};

static const struct {
    const char *key;
    int flag;
} kinds[] = {{"focus", FG_FRAME_FOCUS}, {"ignore", FG_FRAME_IGNORE}, {"hide", FG_FRAME_HIDE}, {"rename", 0}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Add the pattern text on top of the stack (it stays there). */
static void add_pattern(struct filter *f, const char *key, int flag) {
    lua_State *L = f->L;
    if (lua_type(L, -1) != LUA_TSTRING)
        luaL_error(L, "filter: '%s' is a pattern, a list of patterns or a function, not a %s", key,
                   luaL_typename(L, -1));
    size_t n;
    const char *text = lua_tolstring(L, -1, &n), *equals = text;
    if (flag == 0) {
        equals = fg__rename_split(text);
        if (!equals) luaL_error(L, "filter: rename is PATTERN=REPLACEMENT; '%s' has no '='", text);
        n = (size_t)(equals - text);
    }
    if (f->count == MAX_PATTERNS) luaL_error(L, "filter: more than %d patterns", MAX_PATTERNS);
    lua_pushlstring(L, text, n);
    struct fg__pattern *pattern = fg__lua_pattern(L, lua_tostring(L, -1), n);
    if (!pattern) luaL_error(L, "%s: %s", key, lua_tostring(L, -1));
    f->rules[f->count++] = (struct rule){flag, pattern, equals + 1};
    f->focusing |= flag == FG_FRAME_FOCUS;
    lua_rawseti(L, f->base + PATTERNS, (lua_Integer)f->count * 2);
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, f->base + PATTERNS, (lua_Integer)f->count * 2 + 1);
}

/* The option's value is on top of the stack. Functions are kept in the table at RULES by their kind. */
static void add_option(struct filter *f, int kind) {
    lua_State *L = f->L;
    f->renames |= kinds[kind].flag == 0 && !lua_isnil(L, -1);
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, -1);
        lua_rawseti(L, f->base + RULES, kind + 1);
        f->focusing |= kinds[kind].flag == FG_FRAME_FOCUS;
    } else if (lua_istable(L, -1)) {
        lua_Integer n = luaL_len(L, -1);
        for (lua_Integer i = 1; i <= n; i++) {
            lua_geti(L, -1, i);
            add_pattern(f, kinds[kind].key, kinds[kind].flag);
            lua_pop(L, 1);
        }
    } else if (!lua_isnil(L, -1)) {
        add_pattern(f, kinds[kind].key, kinds[kind].flag);
    }
}

/* Runs under lua_pcall: function, frame → what the function returned. The name comes first for `rename`. */
static int call(lua_State *L) {
    const fg_frame *frame = lua_touserdata(L, 2);
    bool rename = lua_toboolean(L, 3);
    lua_settop(L, 1);
    if (rename) lua_pushstring(L, frame->name);
    fg__lua_push_frame(L, frame);
    lua_call(L, lua_gettop(L) - 1, rename ? RENAMED : 1);
    return rename ? RENAMED : 1;
}

/* Ask the script's function of this kind. 1: the answer (of rename: RENAMED of them) is on the stack, 0: there is none, or
 * an error. */
static int ask(struct filter *f, int kind, const fg_frame *frame) {
    lua_State *L = f->L;
    if (lua_rawgeti(L, f->base + RULES, kind + 1) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return 0;
    }
    lua_pushcfunction(L, call);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, (void *)frame);
    bool rename = kinds[kind].flag == 0;
    lua_pushboolean(L, rename);
    if (lua_pcall(L, 3, rename ? RENAMED : 1, 0) == LUA_OK) return 1;
    lua_replace(L, f->base + ERROR);
    f->raised = true;
    return FG_EINVAL;
}

static int classify(void *user, const fg_frame *frame) {
    struct filter *f = user;
    int set = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct rule *rule = &f->rules[i];
        if (!rule->flag || set & rule->flag) continue;
        int found = fg__pattern_match(rule->pattern, f->ctx, frame->name);
        if (found < 0) return found;
        if (found) set |= rule->flag;
    }
    for (int kind = 0; kind < KINDS; kind++) {
        if (!kinds[kind].flag) continue;
        int answer = ask(f, kind, frame);
        if (answer < 0) return answer;
        if (answer == 0) continue;
        if (lua_toboolean(f->L, -1)) set |= kinds[kind].flag;
        lua_pop(f->L, 1);
    }
    return set;
}

/* What `rename` returned is on top of the stack and is no name. */
static int bad_name(struct filter *f) {
    luaL_where(f->L, 1);
    lua_pushfstring(f->L, "filter: rename returned a %s, not a name or nil", luaL_typename(f->L, -2));
    lua_concat(f->L, 2);
    lua_replace(f->L, f->base + ERROR);
    lua_pop(f->L, 1);
    f->raised = true;
    return FG_EINVAL;
}

static int rename_frame(void *user, fg_frame *frame) {
    struct filter *f = user;
    for (size_t i = 0; i < f->count; i++) {
        const struct rule *rule = &f->rules[i];
        if (rule->flag) continue;
        int err = fg__pattern_replace(&frame->name, rule->pattern, f->ctx, frame->name, rule->replacement);
        if (err) return err;
    }
    int answer = ask(f, KINDS - 1, frame);
    if (answer <= 0) return answer;
    lua_State *L = f->L;
    int at = lua_gettop(L) - RENAMED + 1;
    if (lua_type(L, at) != LUA_TSTRING && !lua_isnil(L, at)) {
        lua_settop(L, at);
        return bad_name(f);
    }
    if (lua_isinteger(L, at + 2) && lua_tointeger(L, at + 2) >= 0)
        frame->line = (uint32_t)lua_tointeger(L, at + 2);
    const struct {
        int from, slot; /* the slot keeps the text alive until the next call */
        const char **to;
    } texts[] = {
        {at, NAME, &frame->name}, {at + 1, FILE_NAME, &frame->file}, {at + 3, MODULE, &frame->module}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (lua_type(L, texts[i].from) != LUA_TSTRING) continue;
        *texts[i].to = lua_tostring(L, texts[i].from);
        lua_pushvalue(L, texts[i].from);
        lua_replace(L, f->base + texts[i].slot);
    }
    lua_settop(L, at - 1);
    return 0;
}

fg_filter fg__lua_asking_script(lua_State *L, int options) {
    int base = lua_gettop(L);
    lua_newtable(L);
    lua_newtable(L);
    lua_settop(L, base + PLACES);
    struct filter *f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = (struct filter){.L = L, .ctx = fg__lua_ctx(L), .base = base};
    for (int kind = 0; kind < KINDS && lua_istable(L, options); kind++) {
        lua_getfield(L, options, kinds[kind].key);
        add_option(f, kind);
        lua_pop(L, 1);
    }
    return (fg_filter){.size = sizeof(fg_filter),
                       .user = f,
                       .focusing = f->focusing,
                       .classify = classify,
                       .rename = f->renames ? rename_frame : NULL};
}

int fg__lua_asked_script(lua_State *L, const fg_filter *filter, int err) {
    const struct filter *f = filter->user;
    if (!f->raised) return fg__lua_return(L, err);
    lua_pushvalue(L, f->base + ERROR);
    return lua_error(L);
}

/***
 * Keep, drop, hide and rename frames. Patterns are regular expressions (PCRE2) that may match anywhere in a
 * name. A function is called once for each different frame (see `stacks`).
 *
 * @function Profile:filter
 * @tparam table options
 * @tparam[opt] string|{string,...}|function options.focus keep the stacks that have a matching frame
 * @tparam[opt] string|{string,...}|function options.ignore drop the stacks that have a matching frame
 * @tparam[opt] string|{string,...}|function options.hide take matching frames out of their stacks; the callee's
 *   time goes to the caller
 * @tparam[opt] string|{string,...}|function options.rename "PATTERN=REPLACEMENT" ($1 is a group), or a
 *   function(name, frame) that returns the new name or nil and, where these change too, file, line and module
 * @treturn Profile|nil nil, message, code: "EMPTY" where nothing is left
 * @usage p = assert(p:filter { hide = "^std::", focus = function(frame) return frame.module == "libc" end })
 */
int fg__lua_filter(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    static const fg__option rows[] = {{"focus", FG__OPTION_ANY, 0},
                                      {"ignore", FG__OPTION_ANY, 0},
                                      {"hide", FG__OPTION_ANY, 0},
                                      {"rename", FG__OPTION_ANY, 0},
                                      {NULL, FG__OPTION_ANY, 0}};
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    fg__lua_options(L, 2, "filter", rows, NULL);
    fg_filter filter = fg__lua_asking_script(L, 2);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_asked_script(L, &filter, fg_profile_filter(box, p, &filter));
}
