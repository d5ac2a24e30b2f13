/*
 * sample: samplers. Each watches one target from a thread of its own and ends as a profile. It uses core, symbols and
 * sys, and knows nothing of Lua.
 *
 *   sample.c     a sampler as an op: its thread, its end       samplers.c   the table of all of them
 *   and a file or a few for each sampler
 *
 *   fg__sample_start ──▶ open     the caller's thread: whatever can be refused is refused here
 *                         │
 *                         ▼       a thread of its own
 *                        run ───▶ finish     time is up, fg__sample_stop, or the target is gone: names for addresses,
 *                                   │        a profile in the sampler's own context
 *                                   ▼
 *   fg__sample_take ◀── the op has finished; the profile belongs to the loop's context from now on
 *
 * A new sampler is one fg__sampler_kind and one row in samplers.c.
 */
#ifndef FG_SAMPLE_H
#define FG_SAMPLE_H

#include "core/core.h"
#include "sys/sys.h"

/* ---- for those who want a profile ---------------------------------------------------------------------- */

typedef struct fg__sampler_kind fg__sampler_kind;

/* The kind of that name, or NULL. */
const fg__sampler_kind *fg__sampler_named(const char *name);
/* Kind `i` of the table, or NULL past the last. */
const fg__sampler_kind *fg__sampler_at(size_t i);

/*
 * Start sampling. `options` is a struct that kind->options describes, zeroed where nothing was given; its texts need to
 * live until the call returns. The op finishes when the profile is made; a release stops the sampler and waits for
 * nothing.
 */
int fg__sample_start(fg__op **out, fg__loop *loop, const fg__sampler_kind *kind, const void *options);
/* End it early: what was sampled so far becomes the profile. */
void fg__sample_stop(fg__op *op);
/* The profile of an op that has finished without an error, once; then NULL. The caller frees it. */
fg_profile *fg__sample_take(fg__op *op);
/* The exit status of the command that the sampler ran (128 + signal where a signal ended it); -1: it ran none. */
int fg__sample_exit_status(const fg__op *op);

/* ---- for those who write a sampler --------------------------------------------------------------------- */

/* What every sampler's options begin with. */
typedef struct fg__sample_options {
    double duration; /* seconds; 0: until stopped or the target is gone */
    uint64_t pid;    /* 0: none given */
    double rate;     /* samples per second; 0: the sampler's usual one */
} fg__sample_options;

/* Their rows, for a struct that has them as its first member: `static const fg__option rows[] = {FG__SAMPLE_ROWS, …};` */
#define FG__SAMPLE_ROWS                                                                                      \
    {"duration", FG__OPTION_NUMBER, offsetof(fg__sample_options, duration)},                                 \
        {"pid", FG__OPTION_SIZE, offsetof(fg__sample_options, pid)}, {                                       \
        "rate", FG__OPTION_NUMBER, offsetof(fg__sample_options, rate)                                        \
    }

/* The base that each sampler's state starts with. */
typedef struct fg__sampler {
    const fg__sampler_kind *kind;
    fg_ctx *ctx;         /* its own: messages and memory of open, run and finish */
    double started;      /* fg__loop_now() when run began */
    double ends;         /* when it is to end; infinity: nobody knows */
    int stop_fd;         /* an eventfd that becomes readable when it is to stop, for poll */
    uint32_t stopping;   /* 1: fg__sample_stop was called; a futex. Read it through fg__sampler_due */
    fg_profile *profile; /* empty, for finish to fill */
    int exit_status;     /* of a command that it ran; -1: none */
} fg__sampler;

struct fg__sampler_kind {
    const char *name;          /* fg.sample { sampler = "…" } */
    const fg__option *options; /* rows; the struct begins with fg__sample_options */
    size_t options_size;       /* sizeof that struct */
    size_t size;               /* sizeof the state, whose first member is an fg__sampler */
    /* Attach: on the caller's thread. Refusals are told here, with the right that is missing and what grants it. */
    int (*open)(fg__sampler *s, const void *options);
    /* Sample until fg__sampler_due. A target that has gone is no error. */
    int (*run)(fg__sampler *s);
    /* Detach from the target first, then fill s->profile: value types, stacks, the quality record, notes. */
    int (*finish)(fg__sampler *s);
    /* Free what open and run made; called once, after finish, and after an open, run or finish that failed. */
    void (*close)(fg__sampler *s);
};

/* Whether it is to end: its time is up, or it was told to stop. */
bool fg__sampler_due(const fg__sampler *s);
/* Sleep until `when` on fg__loop_now's clock, or until it is due. True: go on, false: it is due. */
bool fg__sampler_sleep(fg__sampler *s, double when);

#endif
