/*
 * flamegraph.terminal: keys, as they are pressed. `raw(fd)` takes a terminal's line editing and echo away until its
 * result is closed; Ctrl-C stays a signal.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "lua/lua.h"

static const char raw_type[] = "flamegraph.raw";

struct raw {
    int fd; /* -1: given back */
    struct termios before;
};

static int raw_close(lua_State *L) {
    struct raw *raw = luaL_checkudata(L, 1, raw_type);
    if (raw->fd >= 0) tcsetattr(raw->fd, TCSANOW, &raw->before);
    raw->fd = -1;
    return 0;
}

/* raw(fd) → to be closed; nil, message where fd is no terminal */
static int fn_raw(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    struct raw *raw = lua_newuserdatauv(L, sizeof *raw, 0);
    raw->fd = -1;
    luaL_setmetatable(L, raw_type);
    struct termios changed;
    bool done = tcgetattr(fd, &raw->before) == 0;
    if (done) {
        changed = raw->before;
        changed.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        changed.c_cc[VMIN] = 1;
        changed.c_cc[VTIME] = 0;
        done = tcsetattr(fd, TCSANOW, &changed) == 0;
    }
    if (!done) {
        lua_pushnil(L);
        lua_pushstring(L, strerror(errno));
        return 2;
    }
    raw->fd = fd;
    return 1;
}

/* key(fd, seconds) → the bytes that one key sent ("a", "\27[A"), "" after that time or a signal, nil at the end */
static int fn_key(lua_State *L) {
    enum { ESCAPE = 27 };
    struct pollfd fd = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
    char bytes[16];
    int ready = poll(&fd, 1, (int)(luaL_checknumber(L, 2) * 1000));
    size_t n = 0;
    if (ready > 0) {
        if (read(fd.fd, bytes, 1) != 1) return 0;
        n = 1;
    }
    /* arrow keys send an escape and more, all at once */
    if (n && bytes[0] == ESCAPE && poll(&fd, 1, 10) > 0) {
        ssize_t more = read(fd.fd, bytes + 1, sizeof bytes - 1);
        if (more > 0) n += (size_t)more;
    }
    lua_pushlstring(L, bytes, n);
    return 1;
}

int fg__lua_open_terminal(lua_State *L) {
    static const luaL_Reg functions[] = {{"raw", fn_raw}, {"key", fn_key}, {NULL, NULL}};
    if (luaL_newmetatable(L, raw_type)) {
        lua_pushcfunction(L, raw_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, raw_close);
        lua_setfield(L, -2, "__close");
    }
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
