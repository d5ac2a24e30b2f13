/* flamegraph.system: what Lua's own library lacks: folders, terminals, clocks, who and where we are. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lua/lua.h"
#include "sys/clock.h"

static int dir_gc(lua_State *L) {
    DIR **dir = lua_touserdata(L, 1);
    if (*dir) closedir(*dir);
    *dir = NULL;
    return 0;
}

static int fail(lua_State *L, const char *what) {
    int error = errno;
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, strerror(error));
    return 2;
}

/* folder(path) → the names in it, unsorted, or nil, message */
static int folder(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    DIR **dir = lua_newuserdatauv(L, sizeof *dir, 0);
    *dir = NULL;
    if (luaL_newmetatable(L, "flamegraph.dir")) {
        lua_pushcfunction(L, dir_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *dir = opendir(path);
    if (!*dir) return fail(L, path);
    lua_newtable(L);
    lua_Integer i = 0;
    for (struct dirent *entry; (entry = readdir(*dir));) {
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++i);
    }
    closedir(*dir);
    *dir = NULL;
    return 1;
}

/* columns(fd) → the width of the terminal at fd, and its height; or nil where it is none */
static int columns(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    if (!isatty(fd)) return 0;
    struct winsize size = {0};
    ioctl(fd, TIOCGWINSZ, &size);
    lua_pushinteger(L, size.ws_col ? size.ws_col : 80);
    lua_pushinteger(L, size.ws_row ? size.ws_row : 24);
    return 2;
}

/* writable(path) → whether a file can be made or written there, or nil, message */
static int writable(lua_State *L) {
    const char *path = luaL_checkstring(L, 1), *slash = strrchr(path, '/');
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return fail(L, path);
    }
    bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    lua_pushlstring(L, path, slash > path ? (size_t)(slash - path) : 1);
    const char *folder = slash ? lua_tostring(L, -1) : ".";
    const char *needed = special ? path : folder; /* a file is replaced: that changes its folder */
    if (access(needed, W_OK)) return fail(L, needed);
    lua_pushboolean(L, 1);
    return 1;
}

/* time() → nanoseconds since 1970 */
static int wall_time(lua_State *L) {
    lua_pushinteger(L, fg__clock_ns(CLOCK_REALTIME));
    return 1;
}

/* clock() → seconds on a clock that only goes forward */
static int monotonic(lua_State *L) {
    lua_pushnumber(L, (lua_Number)fg__clock_ns(CLOCK_MONOTONIC) / 1e9);
    return 1;
}

/* host() → this machine's name */
static int host(lua_State *L) {
    char name[256] = "";
    if (gethostname(name, sizeof name - 1)) return fail(L, "gethostname");
    lua_pushstring(L, name);
    return 1;
}

static int push_link(lua_State *L, const char *path) {
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target);
    if (n < 0) return fail(L, path);
    if ((size_t)n == sizeof target) {
        errno = ENAMETOOLONG;
        return fail(L, path);
    }
    lua_pushlstring(L, target, (size_t)n);
    return 1;
}

/* readlink(path) → what a symbolic link says, or nil, message */
static int link_target(lua_State *L) {
    return push_link(L, luaL_checkstring(L, 1));
}

/* executable() → the path of the running program, or nil, message */
static int executable(lua_State *L) {
    return push_link(L, "/proc/self/exe");
}

/* identity(path) → the same text for the same file, whatever it is called; or nil, message */
static int identity(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    struct stat st;
    if (stat(path, &st)) return fail(L, path);
    lua_pushfstring(L, "%I:%I", (LUAI_UACINT)st.st_dev, (LUAI_UACINT)st.st_ino);
    return 1;
}

/* ticks() → how many clock ticks of /proc are a second */
static int ticks(lua_State *L) {
    lua_pushinteger(L, sysconf(_SC_CLK_TCK));
    return 1;
}

int fg__lua_open_system(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"folder", folder}, {"columns", columns},       {"time", wall_time},    {"clock", monotonic},
        {"host", host},     {"executable", executable}, {"writable", writable}, {"readlink", link_target},
        {"ticks", ticks},   {"identity", identity},     {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
