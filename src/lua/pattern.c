/* flamegraph.pattern: regular expressions over frame names, by PCRE2. Names are valid UTF-8, so it is not
 * checked. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include "core/core.h"
#include "lua/lua.h"

/* A pattern from outside may not hang us: an honest one needs a tiny part of this. */
enum { MATCH_LIMIT = 1000000, HEAP_LIMIT_KIB = 64 << 10 };

struct fg__pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    char *text; /* the last replacement's result */
    size_t cap;
};

static int pattern_gc(lua_State *L) {
    struct fg__pattern *pattern = lua_touserdata(L, 1);
    pcre2_match_data_free(pattern->match);
    pcre2_match_context_free(pattern->limits);
    pcre2_code_free(pattern->code);
    free(pattern->text);
    memset(pattern, 0, sizeof *pattern);
    return 0;
}

static const char type_name[] = "flamegraph.pattern";

static struct fg__pattern *push(lua_State *L) {
    struct fg__pattern *pattern = lua_newuserdatauv(L, sizeof *pattern, 0);
    memset(pattern, 0, sizeof *pattern);
    if (luaL_newmetatable(L, type_name)) {
        lua_pushcfunction(L, pattern_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return pattern;
}

struct fg__pattern *fg__lua_pattern(lua_State *L, const char *text, size_t n) {
    struct fg__pattern *pattern = push(L);
    int error;
    PCRE2_SIZE where;
    pattern->code = pcre2_compile((PCRE2_SPTR)text, n, PCRE2_UTF, &error, &where, NULL);
    if (!pattern->code) {
        char why[160] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
        lua_pop(L, 1);
        lua_pushfstring(L, "pattern '%s': %s at character %I", text, why, (lua_Integer)where + 1);
        return NULL;
    }
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE); /* where there is no JIT, the interpreter does */
    pattern->match = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    pattern->limits = pcre2_match_context_create(NULL);
    if (!pattern->match || !pattern->limits) luaL_error(L, "out of memory");
    pcre2_set_match_limit(pattern->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(pattern->limits, HEAP_LIMIT_KIB);
    return pattern;
}

static int fail(fg_ctx *ctx, int error, const char *subject) {
    char why[160] = "";
    pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
    bool limit = error == PCRE2_ERROR_MATCHLIMIT || error == PCRE2_ERROR_HEAPLIMIT ||
                 error == PCRE2_ERROR_JIT_STACKLIMIT;
    if (error == PCRE2_ERROR_NOSUBSTRING) return fg__fail(ctx, FG_EINVAL, "the pattern has no such group");
    return fg__fail(ctx, limit ? FG_ELIMIT : FG_EINVAL, "pattern on '%.80s': %s%s", subject, why,
                    limit ? "; write it with fewer nested repetitions" : "");
}

int fg__pattern_match(struct fg__pattern *pattern, fg_ctx *ctx, const char *subject) {
    int n = pcre2_match(pattern->code, (PCRE2_SPTR)subject, strlen(subject), 0, PCRE2_NO_UTF_CHECK,
                        pattern->match, pattern->limits);
    if (n == PCRE2_ERROR_NOMATCH) return 0;
    return n < 0 ? fail(ctx, n, subject) : 1;
}

int fg__pattern_replace(const char **out, struct fg__pattern *pattern, fg_ctx *ctx, const char *subject,
                        const char *replacement) {
    size_t need = 256;
    for (;;) {
        if (need > pattern->cap) {
            char *text = realloc(pattern->text, need);
            if (!text) return fg__nomem(ctx);
            pattern->text = text;
            pattern->cap = need;
        }
        PCRE2_SIZE n = pattern->cap;
        int count = pcre2_substitute(pattern->code, (PCRE2_SPTR)subject, PCRE2_ZERO_TERMINATED, 0,
                                     PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_UNSET_EMPTY |
                                         PCRE2_SUBSTITUTE_OVERFLOW_LENGTH | PCRE2_NO_UTF_CHECK,
                                     pattern->match, pattern->limits, (PCRE2_SPTR)replacement,
                                     PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)pattern->text, &n);
        if (count == PCRE2_ERROR_NOMEMORY && n > pattern->cap && n <= FG__STRING_MAX) {
            need = n;
            continue;
        }
        if (count == PCRE2_ERROR_NOMEMORY)
            return fg__fail(ctx, FG_ELIMIT, "renaming '%.80s' makes it longer than 1 MiB", subject);
        if (count < 0) return fail(ctx, count, subject);
        *out = count == 0 ? subject : pattern->text;
        return 0;
    }
}

const char *fg__rename_split(const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (strncmp(p, "(?=", 3) == 0)
            p += 2;
        else if (strncmp(p, "(?<=", 4) == 0)
            p += 3;
        else if (*p == '=')
            return p;
    }
    return NULL;
}

static int check(lua_State *L, const char *text, size_t n) {
    bool good = fg__lua_pattern(L, text, n);
    if (good)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_insert(L, -2);
    return good ? 1 : 2;
}

/* check(text) → true, or nil and what is wrong with the pattern */
static int check_pattern(lua_State *L) {
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    return check(L, text, n);
}

/*
 * Push true, or nil and what is wrong with a replacement. It is tried: PATTERN| matches the empty text, whatever PATTERN
 * is, and knows the same groups.
 */
static int check_replacement(lua_State *L, const char *text, size_t n, const char *replacement) {
    lua_pushlstring(L, text, n);
    lua_pushliteral(L, "|");
    lua_concat(L, 2);
    size_t length;
    const char *anything = lua_tolstring(L, -1, &length);
    struct fg__pattern *pattern = fg__lua_pattern(L, anything, length);
    const char *out;
    if (!pattern || fg__pattern_replace(&out, pattern, fg__lua_ctx(L), "", replacement) == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "replacement '%s': %s", replacement, fg_error(fg__lua_ctx(L)));
    return 2;
}

/* check_rename(text) → true, or nil and what is wrong with PATTERN=REPLACEMENT */
static int check_rename(lua_State *L) {
    const char *text = luaL_checkstring(L, 1), *equals = fg__rename_split(text);
    if (equals) {
        int results = check(L, text, (size_t)(equals - text));
        return results == 1 ? check_replacement(L, text, (size_t)(equals - text), equals + 1) : results;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "'%s' has no '='", text);
    return 2;
}

/* compile(text) → a pattern; raises where the text is none */
static int compile_pattern(lua_State *L) {
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    return fg__lua_pattern(L, text, n) ? 1 : lua_error(L);
}

/* matches(pattern, name) → whether it matches somewhere in a frame's name */
static int matches(lua_State *L) {
    struct fg__pattern *pattern = luaL_checkudata(L, 1, type_name);
    int found = fg__pattern_match(pattern, fg__lua_ctx(L), luaL_checkstring(L, 2));
    if (found < 0) return luaL_error(L, "%s", fg_error(fg__lua_ctx(L)));
    lua_pushboolean(L, found);
    return 1;
}

int fg__lua_open_pattern(lua_State *L) {
    static const luaL_Reg functions[] = {{"check", check_pattern},
                                         {"check_rename", check_rename},
                                         {"compile", compile_pattern},
                                         {"matches", matches},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
