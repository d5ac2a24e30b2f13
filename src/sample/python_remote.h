/*
 * How code gets into a running CPython: which way at which moment, and the way that 3.14 and later have for it (PEP 768,
 * sys.remote_exec): a path in the main thread's state, a flag beside it, a bit that makes the interpreter look.
 *
 * What the interpreter publishes of itself says where these are; all of it is checked before it is believed.
 */
#ifndef FG_PYTHON_REMOTE_H
#define FG_PYTHON_REMOTE_H

#include "core/core.h"

/* ---- which way ----------------------------------------------------------------------------------------- */

/* Where the main thread is, and what the interpreter offers. */
typedef struct fg__python_moment {
    bool offers;   /* remote_exec, and it was not tried yet */
    bool waiting;  /* it sleeps in a system call */
    bool in_futex; /* … which is a futex: a lock, a join */
    bool resting;  /* … or one in which code can be run: read, poll, nanosleep */
    bool has_lock; /* … with the interpreter's lock in its hands */
} fg__python_moment;

typedef enum fg__python_way {
    FG__PYTHON_REMOTE,    /* a script for the interpreter, by its own protocol */
    FG__PYTHON_SOON,      /* a pending call */
    FG__PYTHON_INTERRUPT, /* a pending call, and EINTR for the futex, so that the interpreter looks around */
    FG__PYTHON_HERE,      /* the thread takes the lock and runs the code where it is */
    FG__PYTHON_LATER      /* nothing can be asked now */
} fg__python_way;

fg__python_way fg__python_choose(const fg__python_moment *moment);

/* ---- remote_exec --------------------------------------------------------------------------------------- */

enum { FG__PYTHON_WORDS = 111 }; /* what an interpreter of 3.15 publishes; earlier ones publish less */

/* Offsets that it publishes. */
typedef struct fg__python_offers {
    uint64_t interpreters, main_thread, enabled, breaker, pending, path, path_size;
} fg__python_offers;
/* False: these words are of no interpreter that has the protocol, or no offsets. */
bool fg__python_read_offers(fg__python_offers *out, const uint64_t *words);

/* Addresses in a process; pending 0: it has no such way, or does not allow it. */
typedef struct fg__python_remote {
    uint64_t breaker, pending, path, path_size;
} fg__python_remote;
/* Whether a process offers it now. It is no failure that it does not: then *out is zeroed. */
int fg__python_find_remote(fg__python_remote *out, fg_ctx *ctx, uint64_t pid);

#endif
