/* The server of tests/servers/http.js, on the loop of a test. */
#ifndef SERVER_H
#define SERVER_H

#include "loops.h"
#include <string.h>

static fg__op *server;

/* Start it; `ports` is what it says of where it listens. -1: it does not start. */
static int start_server(char *ports, size_t size) {
    const char *argv[] = {"node", FG_TEST_SERVERS "/http.js", NULL};
    fg__spawn_options options = {.argv = argv, .in = FG__NULL, .err = FG__INHERIT};
    if (fg__spawn_start(&server, loop, &options)) {
        fprintf(stderr, "%s (apt-get install nodejs)\n", fg_error(ctx));
        return -1;
    }
    fg__spawn_result started;
    do {
        fg__loop_step(loop, 10);
        started = fg__spawn_result_of(server);
    } while (!memchr(started.out, '\n', started.out_size) && !fg__op_finished(server));
    if (fg__op_finished(server)) return -1;
    snprintf(ports, size, "%.*s", (int)started.out_size, started.out);
    return 0;
}

static int port_of(const char *ports, const char *name) {
    char key[16];
    snprintf(key, sizeof key, "\"%s\":", name);
    return atoi(strstr(ports, key) + strlen(key));
}

static int close_server(void **state) {
    fg__op_release(server);
    return close_loop(state);
}

#endif
