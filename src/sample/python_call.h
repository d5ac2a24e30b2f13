/*
 * Run a piece of code in a running CPython, 3.8 and later, without harm: by which way, where its main thread is decides.
 *
 *   the main thread is …                       the way
 *   running, anywhere                          3.14: a script, by the interpreter's own protocol (python_remote.h);
 *                                              else a pending call: the interpreter makes it between two bytecodes
 *   asleep in a futex (a lock, a join)         a pending call, and EINTR for the futex: the interpreter looks around
 *   asleep in read, poll, accept, nanosleep …  it is made to take the interpreter's lock and run the code right there,
 *                                              unless it has the lock itself
 *   asleep in something else                   the pending call waits until that ends
 *
 * A futex is no place to run code at: it may be the interpreter's lock that the thread waits for.
 */
#ifndef FG_PYTHON_CALL_H
#define FG_PYTHON_CALL_H

#include "sample/python_remote.h"
#include "symbols/symbols.h"

/* The functions of an interpreter that are called, by their addresses in its process. */
typedef struct fg__python {
    uint64_t pid;
    uint64_t add_pending_call, run_string, gil_check, gil_ensure, gil_release;
    fg__python_remote remote;
} fg__python;

/* FG_EUNSUPPORTED: they cannot be found, so it is no CPython or its symbols are hidden. */
int fg__python_find(fg__python *out, fg_ctx *ctx, uint64_t pid);

/*
 * Run `code`; it has to end by making the file `answer` in one of the temporary folders of the process, which is read
 * into *out and removed. `timeout`: seconds until it is given up; the code must do nothing after that by itself.
 * The caller frees out->bytes.
 */
int fg__python_run(fg__buffer *out, fg_ctx *ctx, const fg__python *python, const char *code,
                   const char *answer, double timeout);

#endif
