/* flamegraph.profile: the Profile userdata. It holds one fg_profile * or, once closed, NULL. */
#include <string.h>
#include "lua/lua.h"

static const char *const type_name = "flamegraph.profile";

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

/***
 * Free the profile's memory now rather than when it is collected. It cannot be used any more.
 *
 * @function Profile:close
 */
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

static const fg__option read_rows[] = {
    {"name", FG__OPTION_TEXT, offsetof(fg_read_options, name)},
    {"expect", FG__OPTION_TEXT, offsetof(fg_read_options, format)},
    {"max_input", FG__OPTION_SIZE, offsetof(fg_read_options, max_input)},
    {"lines", FG__OPTION_BOOL, offsetof(fg_read_options, lines)},
    {"idle", FG__OPTION_BOOL, offsetof(fg_read_options, keep_idle)},
    {"kernel", FG__OPTION_BOOL, offsetof(fg_read_options, annotate_kernel)},
    {"jit", FG__OPTION_BOOL, offsetof(fg_read_options, annotate_jit)},
    {"addrs", FG__OPTION_BOOL, offsetof(fg_read_options, addresses)},
    {"pid", FG__OPTION_BOOL, offsetof(fg_read_options, with_pid)},
    {"tid", FG__OPTION_BOOL, offsetof(fg_read_options, with_tid)},
    {"inline", FG__OPTION_BOOL, offsetof(fg_read_options, inlined)},
    {"no_demangle", FG__OPTION_BOOL, offsetof(fg_read_options, mangled)},
    {"event_filter", FG__OPTION_TEXT, offsetof(fg_read_options, event)},
    {"slices", FG__OPTION_BOOL, offsetof(fg_read_options, slices)},
    {"min_wait", FG__OPTION_NUMBER, offsetof(fg_read_options, min_wait)},
    {"max_wait", FG__OPTION_NUMBER, offsetof(fg_read_options, max_wait)},
    {"wait_states", FG__OPTION_WORDS, offsetof(fg_read_options, wait_states)},
    {NULL, FG__OPTION_ANY, 0},
};

/***
 * Read a profile from a file. Its format is recognised by content; gzip and zstd are unwrapped.
 *
 * @function fg.read
 * @tparam string path "-" is standard input
 * @tparam[opt] table options
 * @tparam[opt] string options.expect insist on a format ("pprof") instead of recognising it
 * @tparam[opt] string options.name what messages call the input
 * @tparam[opt=1073741824] integer options.max_input cap on what a compressed input unpacks to, in bytes
 * @tparam[opt=false] boolean options.lines keep source lines apart
 * @tparam[opt=false] boolean options.idle keep the stacks that say the program did nothing
 * @tparam[opt=false] boolean options.pid perf: the process id in the outermost frame
 * @tparam[opt=false] boolean options.tid perf: process and thread id in the outermost frame
 * @tparam[opt=false] boolean options.addrs perf: addresses for what has no symbol
 * @tparam[opt=false] boolean options.kernel perf: mark kernel frames with `_[k]`
 * @tparam[opt=false] boolean options.jit perf: mark JIT frames with `_[j]`
 * @tparam[opt=false] boolean options.inline perf.data: calls that the compiler inlined are frames, by DWARF: slower
 * @tparam[opt=false] boolean options.no_demangle perf.data: names as the linker has them
 * @tparam[opt] string options.event_filter perf: only this event; otherwise the first one of a text, and a column for each of
 *   a perf.data
 * @tparam[opt=false] boolean options.slices keep what each slice of time gave, where the input tells when samples were
 *   taken: see Profile:slices
 * @tparam[opt] number options.min_wait perf.data of sched:sched_switch: leave out waits that are shorter, in seconds
 * @tparam[opt] number options.max_wait and those that are longer
 * @tparam[opt] {string,...} options.wait_states and all but those in these states: "sleeping", "uninterruptible", "runnable",
 *   "stopped", "traced"
 * @treturn Profile|nil nil, message, code: "IO", "FORMAT", "EMPTY", "LIMIT", "INVAL"
 * @usage local p = assert(fg.read "stacks.folded")
 */
static int read_profile(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    fg_read_options options = {.size = sizeof options};
    fg__lua_options(L, 2, "read", read_rows, &options);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_read(box, fg__lua_ctx(L), path, &options));
}

/***
 * Read a profile from a string.
 *
 * @function fg.parse
 * @tparam string bytes
 * @tparam[opt] table options as for fg.read
 * @treturn Profile|nil nil, message, code, as for fg.read
 * @usage local p = assert(fg.parse "main;parse 3")
 */
static int parse_profile(lua_State *L) {
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    fg_read_options options = {.size = sizeof options, .name = "input"};
    fg__lua_options(L, 2, "parse", read_rows, &options);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_parse(box, fg__lua_ctx(L), bytes, n, &options));
}

/* ---- algebra ------------------------------------------------------------------------------------------- */

static int merge_by(lua_State *L, int (*sum)(fg_profile **, fg_profile *const *, size_t)) {
    int n = lua_gettop(L);
    fg_profile **profiles = lua_newuserdatauv(L, (size_t)n * sizeof(fg_profile *), 0);
    for (int i = 0; i < n; i++) profiles[i] = fg__lua_profile(L, i + 1);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, sum(box, profiles, (size_t)n));
}

/***
 * The sum of this profile and others. Value types are matched by name and unit.
 *
 * @function Profile:merge
 * @tparam Profile ... the others
 * @treturn Profile|nil nil, message, code where they cannot be summed
 */
static int merge(lua_State *L) {
    return merge_by(L, fg_profile_merge);
}

/* merge_threads(profile, …): of one process, at the same time: what the slices of time and the duration follow from. */
static int merge_threads(lua_State *L) {
    return merge_by(L, fg__profile_merge_threads);
}

/***
 * Turn every stack around: leaves become roots ("who calls this?").
 *
 * @function Profile:invert
 * @treturn Profile
 */
static int invert(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_profile_invert(box, p));
}

/***
 * One value type of a profile as a profile.
 *
 * @function Profile:select
 * @tparam[opt] string type its name; otherwise the default one
 * @treturn Profile
 */
static int select_type(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    size_t type = fg__lua_type(L, 2, p);
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_profile_select(box, p, type));
}

/***
 * How many slices of time the profile knows the values of. A diff of one run a side, both with slices, tells from them
 * what is noise. Readers and samplers keep them where they are asked to (`slices = true`), and pictures carry them.
 *
 * @function Profile:slices
 * @treturn integer between 8 and 100; 0: none
 * @treturn number how long each is, in seconds: 0.1 at least
 */
static int slices(lua_State *L) {
    double seconds;
    lua_pushinteger(L, (lua_Integer)fg_profile_slices(fg__lua_profile(L, 1), &seconds));
    lua_pushnumber(L, seconds);
    return 2;
}

/***
 * What slices of time gave, as a profile of one value type without metadata.
 *
 * @function Profile:slice
 * @tparam integer first from 1 on
 * @tparam[opt=1] integer n how many
 * @treturn Profile|nil nil, message, "INVAL" where the profile has no such slices
 */
static int slice(lua_State *L) {
    fg_profile *p = fg__lua_profile(L, 1);
    lua_Integer first = luaL_checkinteger(L, 2), n = luaL_optinteger(L, 3, 1);
    luaL_argcheck(L, first >= 1, 2, "the first slice is number 1");
    luaL_argcheck(L, n >= 1, 3, "at least one slice");
    fg_profile **box = fg__lua_box(L);
    return fg__lua_return(L, fg_profile_slice(box, p, (size_t)first - 1, (size_t)n));
}

struct diff_options {
    const char *type, *normalize;
    double units_before, units_after;
};

/* The profiles of a side: one, or a list of runs. `*list` is owned by a userdata that is pushed. */
static size_t side_of(lua_State *L, int index, fg_profile ***list) {
    bool several = lua_type(L, index) == LUA_TTABLE;
    size_t n = several ? (size_t)luaL_len(L, index) : 1;
    luaL_argcheck(L, n > 0, index, "a side has at least one profile");
    *list = lua_newuserdatauv(L, n * sizeof **list, 0);
    if (!several) (*list)[0] = fg__lua_profile(L, index);
    for (size_t i = 0; several && i < n; i++) {
        lua_geti(L, index, (lua_Integer)i + 1);
        fg_profile **box = luaL_testudata(L, -1, type_name);
        luaL_argcheck(L, box && *box, index, "a side is a profile or a list of profiles");
        (*list)[i] = *box;
        lua_pop(L, 1);
    }
    return n;
}

/***
 * Compare two profiles. A diff is a profile with the value types `before` and `after`, both as measured;
 * pictures and summaries show what grew and what shrank. Of several runs a side, both are the sums of all runs, and
 * pictures tell from how much runs differ which changes are noise.
 *
 * @function fg.diff
 * @tparam Profile|{Profile,...} before
 * @tparam Profile|{Profile,...} after
 * @tparam[opt] table options
 * @tparam[opt] string options.type value type to compare; otherwise the default one
 * @tparam[opt="auto"] string options.normalize "absolute": values as measured; "share": shares of the whole;
 *   "per-unit": values by unit of work; "rate": values by second; "auto": as measured, where both lasted alike or until
 *   their targets ended, else by second, and shares where samples were counted at different rates
 * @tparam[opt] number options.units_before units of work (requests, iterations) in a run of before; otherwise the
 *   metadata `units`
 * @tparam[opt] number options.units_after
 * @tparam[opt] string|{string,...}|function options.rename as that of `filter`: frames are matched under these names
 * @treturn Profile|nil nil, message, code: "INVAL" where the sides cannot be compared
 * @usage assert(fg.diff(before, after)):write "diff.svg"
 */
static int diff(lua_State *L) {
    static const fg__option rows[] = {
        {"type", FG__OPTION_TEXT, offsetof(struct diff_options, type)},
        {"normalize", FG__OPTION_TEXT, offsetof(struct diff_options, normalize)},
        {"units_before", FG__OPTION_NUMBER, offsetof(struct diff_options, units_before)},
        {"units_after", FG__OPTION_NUMBER, offsetof(struct diff_options, units_after)},
        {"rename", FG__OPTION_ANY, 0},
        {NULL, FG__OPTION_ANY, 0},
    };
    static const char *const names[] = {"auto", "absolute", "share", "per-unit", "rate", NULL};
    static const fg_normalize values[] = {FG_NORMALIZE_AUTO, FG_NORMALIZE_ABSOLUTE, FG_NORMALIZE_SHARE,
                                          FG_NORMALIZE_PER_UNIT, FG_NORMALIZE_RATE};
    lua_settop(L, 3);
    fg_profile **before, **after;
    size_t n_before = side_of(L, 1, &before), n_after = side_of(L, 2, &after);
    struct diff_options options = {.normalize = "auto"};
    fg__lua_options(L, 3, "diff", rows, &options);
    int i = 0;
    while (names[i] && strcmp(names[i], options.normalize) != 0) i++;
    if (!names[i])
        return luaL_error(L, "diff: normalize is auto, absolute, share, per-unit or rate, not '%s'",
                          options.normalize);
    fg_filter filter = fg__lua_asking_script(L, 3);
    fg_profile **box = fg__lua_box(L);
    fg_diff_options how = {.size = sizeof how,
                           .type = options.type,
                           .normalize = values[i],
                           .units_before = options.units_before,
                           .units_after = options.units_after,
                           .user = filter.user,
                           .rename = filter.rename};
    return fg__lua_asked_script(L, &filter, fg_diff_runs(box, before, n_before, after, n_after, &how));
}

/* ---- the module ---------------------------------------------------------------------------------------- */

/* is_profile(value) → whether it is a profile, closed or not */
static int is_profile(lua_State *L) {
    lua_pushboolean(L, luaL_testudata(L, 1, type_name) != NULL);
    return 1;
}

static const luaL_Reg methods[] = {
    {"add", fg__lua_add},       {"close", close_profile},
    {"filter", fg__lua_filter}, {"invert", invert},
    {"merge", merge},           {"nodes", fg__lua_nodes},
    {"select", select_type},    {"slice", slice},
    {"slices", slices},         {"stacks", fg__lua_stacks},
    {"__close", close_profile}, {"__gc", close_profile},
    {"__tostring", to_string},  {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"diff", diff},         {"is_profile", is_profile},
    {"merge", merge},       {"merge_threads", merge_threads},
    {"new", new_profile},   {"parse", parse_profile},
    {"read", read_profile}, {NULL, NULL},
};

int fg__lua_open_profile(lua_State *L) {
    luaL_newmetatable(L, type_name);
    luaL_setfuncs(L, methods, 0);
    luaL_setfuncs(L, fg__lua_asking, 0);
    luaL_setfuncs(L, fg__lua_writing, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "profile"); /* getmetatable answers this: scripts cannot change the methods */
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    luaL_setfuncs(L, fg__lua_writing_functions, 0);
    lua_pushstring(L, fg_version());
    lua_setfield(L, -2, "version");
    return 1;
}
