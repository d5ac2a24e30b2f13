/*
 * Node's inspector, opened from outside: Node opens it when SIGUSR1 comes, if nobody put another handler in place. The
 * same signal runs the program's own handler, or ends a program that has none, so it is only sent to a process that was
 * asked by a visit (remote.h) what its handler is, and while that visit holds it.
 */
#ifndef FG_SYS_WAKE_H
#define FG_SYS_WAKE_H

#include "core/core.h"

/* What a process does with a signal, as the kernel keeps it. */
typedef struct fg__disposition {
    uint64_t handler; /* 0: what the kernel does by itself, 1: nothing */
    uint64_t flags;   /* SA_… */
} fg__disposition;

/* Whose handler it is. */
typedef enum fg__handler {
    FG__HANDLER_NONE,
    FG__HANDLER_NODE,   /* Node's own, which opens the inspector */
    FG__HANDLER_SCRIPT, /* libuv's: a script listens, process.on("SIGUSR1") */
    FG__HANDLER_OTHER   /* a native module's, a sanitizer's … */
} fg__handler;

/* `file`: what is mapped where the handler is. */
fg__handler fg__handler_of(const fg__disposition *disposition, const char *file, const char *exe);

/*
 * Send SIGUSR1 to Node process `pid`. FG_EUNSUPPORTED and the reason where its handler is not Node's own (nothing was
 * sent), or where we may not ask.
 */
int fg__node_wake(fg_ctx *ctx, uint64_t pid);

#endif
