/*
 * A command that is sampled from its first instruction: it waits until the events are open, then executes. Its
 * streams are ours, and it is in our group, so that Ctrl-C reaches it as it would without us.
 */
#ifndef FG_SAMPLE_COMMAND_H
#define FG_SAMPLE_COMMAND_H

#include "sample/sample.h"

typedef struct fg__command {
    int pid;        /* 0: none */
    int pidfd;      /* readable when it has ended */
    int go, report; /* pipes: we let it go, it tells that it cannot execute */
    int status;     /* exit status, 128 + signal; -1: runs still */
    const char *name;
} fg__command;

/* Nothing runs yet. */
#define FG__COMMAND_NONE ((fg__command){.pidfd = -1, .go = -1, .report = -1, .status = -1})

/* Fork; the child waits. `words` need to live until fg__command_go has returned. */
int fg__command_start(fg__command *c, fg_ctx *ctx, const char *const *words);
/* Let it execute. FG_EIO: there is no such program. */
int fg__command_go(fg__command *c, fg_ctx *ctx);
/* Whether it has ended; then c->status is set. */
bool fg__command_ended(fg__command *c);
/*
 * Wait for its end, which may be long after the sampling. Once the sampler is told to stop it has 2 s to end by
 * itself (Ctrl-C has reached it as well); then it gets SIGTERM, and 2 s later SIGKILL.
 */
void fg__command_wait(fg__command *c, const fg__sampler *s);
/* End it at once, where it runs still. */
void fg__command_close(fg__command *c);

#endif
