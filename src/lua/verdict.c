/* flamegraph.verdict: the statistics of core as Lua functions; lua/flamegraph/gate*.lua decide with them. */
#include <math.h>
#include "core/stats.h"
#include "core/verdict.h"
#include "lua/lua.h"

/* The rows of the list at `index` into a matrix, `features` numbers each. */
static void read_rows(lua_State *L, int index, double *to, size_t rows, size_t features) {
    for (size_t r = 0; r < rows; r++) {
        lua_geti(L, index, (lua_Integer)r + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        for (size_t f = 0; f < features; f++) {
            lua_geti(L, -1, (lua_Integer)f + 1);
            double value = luaL_checknumber(L, -1);
            luaL_argcheck(L, value >= 0 && isfinite(value), index, "counts are finite and not negative");
            to[r * features + f] = value;
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

static void push_change(lua_State *L, const fg__change *c) {
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"before", c->before},
        {"after", c->after},
        {"growth", c->growth},
        {"low", c->low},
        {"high", c->high},
        {"dispersion", c->dispersion},
        {"df", c->df},
        {"p", c->p},
        {"adjusted", c->adjusted},
        {"beyond", c->beyond},
        {"settled", c->settled},
        {"detectable", c->detectable},
    };
    lua_createtable(L, 0, 16);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        lua_pushnumber(L, numbers[i].value);
        lua_setfield(L, -2, numbers[i].name);
    }
    lua_pushboolean(L, c->judged);
    lua_setfield(L, -2, "judged");
    lua_pushboolean(L, c->borrows);
    lua_setfield(L, -2, "borrows");
}

/* What the list at `index` knows of dispersions: { dispersion, df } for each feature. NULL: there is no list. */
static const fg__known *read_known(lua_State *L, int index, size_t features) {
    if (lua_isnoneornil(L, index)) return NULL;
    luaL_checktype(L, index, LUA_TTABLE);
    fg__known *known = lua_newuserdatauv(L, (features + 1) * sizeof *known, 0);
    for (size_t f = 0; f < features; f++) {
        lua_geti(L, index, (lua_Integer)f + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_geti(L, -1, 1);
        lua_geti(L, -2, 2);
        known[f] = (fg__known){luaL_checknumber(L, -2), luaL_checknumber(L, -1)};
        lua_pop(L, 3);
    }
    return known;
}

/*
 * judge(before, after, budgets, factor, floor, level, sampling, known) → changes. before and after are lists of runs, a
 * run is a list of counts, one for each of `budgets`; `known` may be nil.
 */
static int judge(lua_State *L) {
    lua_settop(L, 8);
    for (int i = 1; i <= 3; i++) luaL_checktype(L, i, LUA_TTABLE);
    fg__runs runs = {.before = (size_t)luaL_len(L, 1),
                     .after = (size_t)luaL_len(L, 2),
                     .features = (size_t)luaL_len(L, 3),
                     .factor = luaL_checknumber(L, 4),
                     .floor = luaL_checknumber(L, 5),
                     .level = luaL_checknumber(L, 6),
                     .sampling = lua_toboolean(L, 7)};
    luaL_argcheck(L, runs.factor > 0 && isfinite(runs.factor), 4, "a factor is more than 0");
    luaL_argcheck(L, runs.level > 0 && runs.level < 1, 6, "a level is between 0 and 1");
    size_t rows = runs.before + runs.after;
    double *counts = lua_newuserdatauv(L, rows * runs.features * sizeof(double), 0);
    double *budgets = lua_newuserdatauv(L, runs.features * sizeof(double), 0);
    fg__change *changes = lua_newuserdatauv(L, runs.features * sizeof *changes, 0);
    read_rows(L, 1, counts, runs.before, runs.features);
    read_rows(L, 2, counts + runs.before * runs.features, runs.after, runs.features);
    for (size_t f = 0; f < runs.features; f++) {
        lua_geti(L, 3, (lua_Integer)f + 1);
        budgets[f] = luaL_checknumber(L, -1);
        luaL_argcheck(L, budgets[f] >= 0, 3, "budgets are not negative");
        lua_pop(L, 1);
    }
    runs.counts = counts;
    runs.budgets = budgets;
    runs.known = read_known(L, 8, runs.features);
    int err = fg__verdict(changes, fg__lua_ctx(L), &runs);
    if (err) return fg__lua_fail(L, err);
    lua_createtable(L, (int)runs.features, 0);
    for (size_t f = 0; f < runs.features; f++) {
        push_change(L, &changes[f]);
        lua_seti(L, -2, (lua_Integer)f + 1);
    }
    return 1;
}

/* block_dispersion(list) → variance over mean of what slices of time have, in blocks; its degrees of freedom */
static int block_dispersion(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t n = (size_t)luaL_len(L, 1);
    double *values = lua_newuserdatauv(L, (n + 1) * sizeof *values, 0), df;
    for (size_t i = 0; i < n; i++) {
        lua_geti(L, 1, (lua_Integer)i + 1);
        values[i] = luaL_checknumber(L, -1);
        lua_pop(L, 1);
    }
    lua_pushnumber(L, fg__block_dispersion(&df, values, n));
    lua_pushnumber(L, df);
    return 2;
}

/* spent(level, done) → what may be spent of the level until that share of the planned runs */
static int spent(lua_State *L) {
    lua_pushnumber(L, fg__spent(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
    return 1;
}

/* t_tail(t, df) → P(T > t) */
static int t_tail(lua_State *L) {
    lua_pushnumber(L, fg__t_tail(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
    return 1;
}

int fg__lua_open_verdict(lua_State *L) {
    static const luaL_Reg functions[] = {{"block_dispersion", block_dispersion},
                                         {"judge", judge},
                                         {"spent", spent},
                                         {"t_tail", t_tail},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
