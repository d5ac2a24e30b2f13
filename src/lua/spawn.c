/*
 * Children for scripts: op.spawn{ "cmd", "arg", …, env={ name, value or false, … }, stdin=, stdout=, … } →
 * op, whose result is { pid=, status=, signal=, stdout=, stderr= }. fg.spawn (lua/flamegraph/spawn.lua) has
 * checked the options.
 */
#include <signal.h>
#include <string.h>
#include "lua/op.h"

static const char *signal_name(int number) {
    const char *name = sigabbrev_np(number);
    return name ? name : "unknown";
}

/* pid, status or signal, and the output so far. */
static int spawn_result(lua_State *L, fg__op *op) {
    fg__spawn_result result = fg__spawn_result_of(op);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, result.pid);
    lua_setfield(L, -2, "pid");
    if (result.signal) {
        lua_pushstring(L, signal_name(result.signal));
        lua_setfield(L, -2, "signal");
    } else if (result.status >= 0) {
        lua_pushinteger(L, result.status);
        lua_setfield(L, -2, "status");
    }
    fg__lua_set_text(L, "stdout", result.out, result.out_size);
    fg__lua_set_text(L, "stderr", result.err, result.err_size);
    return 1;
}

/* The list at `index` as an array of texts (false: NULL) that ends with NULL, on top of the stack. */
static const char **texts(lua_State *L, int index, size_t *count) {
    size_t n = (size_t)lua_rawlen(L, index);
    const char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
    for (size_t i = 0; i < n; i++) {
        int type = lua_rawgeti(L, index, (lua_Integer)(i + 1));
        if (type != LUA_TSTRING && type != LUA_TBOOLEAN) luaL_error(L, "a list of texts is needed");
        list[i] = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        lua_pop(L, 1);
    }
    list[n] = NULL;
    *count = n;
    return list;
}

static fg__stream stream_field(lua_State *L, const char *key) {
    static const char *const names[] = {"capture", "inherit", "null", NULL};
    lua_getfield(L, 1, key);
    int stream = luaL_checkoption(L, -1, "capture", names);
    lua_pop(L, 1);
    return (fg__stream)stream;
}

/* stdin: a text to read, true: ours, else nothing */
static void read_stdin(lua_State *L, fg__spawn_options *options) {
    options->input = fg__lua_text_field(L, "stdin", &options->input_size);
    options->in = options->input ? FG__CAPTURE : fg__lua_bool_field(L, "stdin") ? FG__INHERIT : FG__NULL;
}

static int fn_spawn(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t count;
    fg__spawn_options options = {
        .cwd = fg__lua_text_field(L, "cwd", NULL),
        .out = stream_field(L, "stdout"),
        .err = stream_field(L, "stderr"),
        .timeout = fg__lua_number_field(L, "timeout"),
        .max_output = (uint64_t)fg__lua_number_field(L, "max_output"),
        .group = fg__lua_bool_field(L, "group"),
    };
    read_stdin(L, &options);
    options.argv = texts(L, 1, &count);
    for (size_t i = 0; i < count || i == 0; i++) luaL_argcheck(L, options.argv[i], 1, "a command is needed");
    if (lua_getfield(L, 1, "env") == LUA_TTABLE) {
        options.env = texts(L, lua_gettop(L), &count);
        options.env_count = count / 2;
    }
    fg__op **op = fg__lua_op_new(L, spawn_result);
    return fg__lua_op_start(L, fg__spawn_start(op, fg__lua_loop(L), &options));
}

/* child(op) → what is known of it now */
static int fn_child(lua_State *L) {
    return spawn_result(L, fg__lua_op_check(L, 1, spawn_result));
}

static int signal_number(const char *name) {
    if (!strncmp(name, "SIG", 3)) name += 3;
    for (int number = 1; number < NSIG; number++) {
        const char *known = sigabbrev_np(number);
        if (known && !strcmp(known, name)) return number;
    }
    return 0;
}

/* kill(op, "TERM") → true; false where there is no such signal */
static int fn_kill(lua_State *L) {
    fg__op *op = fg__lua_op_check(L, 1, spawn_result);
    int number = signal_number(luaL_checkstring(L, 2));
    if (number) fg__spawn_kill(op, number);
    lua_pushboolean(L, number != 0);
    return 1;
}

void fg__lua_spawn(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"spawn", fn_spawn}, {"child", fn_child}, {"kill", fn_kill}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
