/*
 * Load for scripts: op.load{ requests = { { url=, method=, headers={ name, value, … }, body=, ca= }, … }, rate=,
 * concurrency=, duration=, timeout= } → op, whose result is a table of counts and times; op.stop_load(op). fg.load
 * (lua/flamegraph/load.lua) has checked the options and tells what the table has.
 */
#include "lua/op.h"

/* Failures as scripts see them, in the order of fg__load_failure. */
static const char *const kinds[FG__LOAD_FAILURES] = {"refused", "time-out", "broken", "other", "unsent"};

static void set_number(lua_State *L, const char *key, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

static void set_count(lua_State *L, const char *key, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

/* The times of a histogram, in seconds, and its buckets as { upto, count, … }. */
static void set_times(lua_State *L, const char *key, const fg__histogram *h) {
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p75", 0.75}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    lua_createtable(L, 0, 10);
    set_count(L, "count", h->count);
    set_number(L, "min", h->least);
    set_number(L, "max", h->most);
    set_number(L, "mean", h->count ? h->sum / (double)h->count : 0);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        set_number(L, quantiles[i].name, fg__histogram_quantile(h, quantiles[i].share));
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t i = 0; i < FG__HISTOGRAM_BUCKETS; i++) {
        if (!h->buckets[i]) continue;
        lua_pushnumber(L, fg__histogram_upto(i));
        lua_rawseti(L, -2, ++n);
        lua_pushinteger(L, (lua_Integer)h->buckets[i]);
        lua_rawseti(L, -2, ++n);
    }
    lua_setfield(L, -2, "buckets");
    lua_setfield(L, -2, key);
}

static int load_result(lua_State *L, fg__op *op) {
    const fg__load_result *result = fg__load_result_of(op);
    lua_createtable(L, 0, 8);
    set_number(L, "elapsed", result->elapsed);
    set_count(L, "late", result->late);
    set_count(L, "bytes", result->bytes);
    set_times(L, "latency", &result->latency);
    set_times(L, "service", &result->service);
    lua_newtable(L);
    for (lua_Integer i = 0; i < FG__LOAD_STATUSES; i++) {
        if (!result->statuses[i]) continue;
        lua_pushinteger(L, (lua_Integer)result->statuses[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "statuses");
    lua_newtable(L);
    for (size_t i = 0; i < FG__LOAD_FAILURES; i++)
        if (result->failures[i]) set_count(L, kinds[i], result->failures[i]);
    lua_setfield(L, -2, "failures");
    if (*result->first_failure) {
        lua_pushstring(L, result->first_failure);
        lua_setfield(L, -2, "first_failure");
    }
    return 1;
}

/* The request on top of the stack; its headers stay below it, so that they live until the start. */
static fg__http_options request_at_top(lua_State *L) {
    lua_replace(L, 1); /* where fg__lua_text_field looks */
    fg__http_options request = {
        .url = fg__lua_text_field(L, "url", NULL),
        .method = fg__lua_text_field(L, "method", NULL),
        .ca_file = fg__lua_text_field(L, "ca", NULL),
    };
    request.body = fg__lua_text_field(L, "body", &request.body_size);
    request.headers = fg__lua_headers_field(L, &request.header_count);
    luaL_argcheck(L, request.url, 1, "a request has a url");
    return request;
}

static int fn_load(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    fg__load_options options = {
        .rate = fg__lua_number_field(L, "rate"),
        .concurrency = (unsigned)fg__lua_number_field(L, "concurrency"),
        .duration = fg__lua_number_field(L, "duration"),
        .timeout = fg__lua_number_field(L, "timeout"),
    };
    luaL_argcheck(L, lua_getfield(L, 1, "requests") == LUA_TTABLE, 1, "requests are a list");
    options.request_count = (size_t)lua_rawlen(L, 2);
    fg__http_options *requests = lua_newuserdatauv(L, (options.request_count + 1) * sizeof *requests, 0);
    luaL_checkstack(L, 2 * (int)options.request_count + LUA_MINSTACK, "too many requests");
    for (size_t i = 0; i < options.request_count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        requests[i] = request_at_top(L);
    }
    options.requests = requests;
    fg__op **op = fg__lua_op_new(L, load_result);
    return fg__lua_op_start(L, fg__load_start(op, fg__lua_loop(L), &options));
}

/* stop_load(op): nothing new is sent */
static int fn_stop_load(lua_State *L) {
    fg__load_stop(fg__lua_op_check(L, 1, load_result));
    return 0;
}

void fg__lua_load(lua_State *L) {
    static const luaL_Reg functions[] = {{"load", fn_load}, {"stop_load", fn_stop_load}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
