/*
 * What samplers that use events have in common: who runs where. A watch follows the tasks of a process by the records
 * of their lives, so that every address can be named when all is over and those that had it are gone.
 *
 *   FORK, COMM, MMAP2 ──▶ names of threads, spaces of processes           samples ──▶ fg__raws
 *
 * A process that executes another program gets a new space: what was sampled before keeps the old one.
 */
#ifndef FG_SAMPLE_WATCH_H
#define FG_SAMPLE_WATCH_H

#include "sample/events.h"
#include "sample/stacks.h"
#include "symbols/symbols.h"

typedef struct fg__watch {
    fg_ctx *ctx;
    fg__symbols *symbols;
    fg__space **spaces;
    uint32_t *space_pid;
    size_t space_n, space_cap, space_pid_cap;
    fg__table by_pid; /* the latest of a process has the highest id */
    struct fg__task {
        uint32_t tid, name;
    } * tasks;
    size_t task_n, task_cap;
    fg__table by_tid;
    fg__raws raws;
    bool alone; /* what its processes start is none of its business */
    int64_t lost, failed, truncated, throttled, forked;
} fg__watch;

/* How stacks get their names: options of each sampler. */
typedef struct fg__naming_options {
    bool inlined, lines, mangled;
} fg__naming_options;
#define FG__NAMING_ROWS(type, member)                                                                        \
    {"inline", FG__OPTION_BOOL, offsetof(type, member.inlined)},                                             \
        {"lines", FG__OPTION_BOOL, offsetof(type, member.lines)}, {                                          \
        "mangled", FG__OPTION_BOOL, offsetof(type, member.mangled)                                           \
    }

int fg__watch_init(fg__watch *w, fg_ctx *ctx, fg_profile *profile, const fg__naming_options *naming);
void fg__watch_free(fg__watch *w);
/* Take over what a record other than a sample says. */
int fg__watch_record(fg__watch *w, const fg__record *record);
/*
 * Whether a record is of a process that is watched, where records of all come in: those that have a space, and what they
 * start (not where the watch is `alone`). A number that another process has by now is forgotten.
 */
bool fg__watch_concerns(fg__watch *w, const fg__record *record);
/* The space of a process: known, or read from /proc now. */
int fg__watch_space(uint32_t *out, fg__watch *w, uint32_t pid);
/* The name of a thread: known, or read from /proc now. */
int fg__watch_name(uint32_t *out, fg__watch *w, uint32_t pid, uint32_t tid);
/* It has this name from now on. */
int fg__watch_rename(fg__watch *w, uint32_t tid, const char *name);

/* Whether a process has ended, which `pidfd` tells where it is not -1 (before Linux 5.3). */
bool fg__watch_ended(int pidfd, uint32_t pid);

/* ---- chain.c: the addresses of a sample, into FG__STACK_DEPTH of them ---------------------------------- */

/* How the user's half is walked. */
typedef struct fg__unwinding {
    bool dwarf;      /* by call frame information alone */
    uint32_t copied; /* bytes of each stack; 0: none, as this kind of machine has no unwinding */
} fg__unwinding;
/* As an option says: "dwarf", with so many bytes of each stack (0: as usual); "fp" or NULL. */
int fg__unwinding_choose(fg__unwinding *out, fg_ctx *ctx, const char *how, uint64_t stack);
/* Have samples bring what that takes. */
void fg__unwinding_ask(struct perf_event_attr *attr, const fg__unwinding *unwinding);
/* Where many stacks are cut short: the option that finds more of them. */
int fg__unwinding_note(fg_profile *p, const fg__unwinding *unwinding, const fg__watch *w);

/* As the kernel has walked them: sets key->kernel and key->user. */
void fg__watch_chain(fg__raw_key *key, uint64_t *addresses, const fg__perf_sample *sample);
/*
 * The user's half by the copy of the stack: the whole of it (dwarf; what is not whole is counted as truncated), or only
 * the innermost callers, which frame pointers miss (callers.h).
 */
void fg__watch_user(fg__watch *w, fg__raw_key *key, uint64_t *addresses, const fg__events *e,
                    const fg__perf_sample *sample, const fg__unwinding *unwinding);

/* ---- naming: raw stacks to frames, afterwards ---------------------------------------------------------- */

/* Frames as they are gathered, innermost first. */
typedef struct fg__frames {
    uint32_t *ids;
    size_t n, cap;
} fg__frames;

/* Append the frames of `n` addresses; the first is where the program was, the others are where calls return to. */
int fg__watch_frames(fg__watch *w, fg__frames *out, uint32_t space, const uint64_t *addresses, size_t n);
/* Append a frame that is no code: a thread, a state. */
int fg__watch_word(fg__watch *w, fg__frames *out, fg_profile *p, const char *name, fg_kind kind);
/* Add the gathered stack, turned around. *id, unless it is NULL, is which stack of the profile that is. */
int fg__watch_add(fg__watch *w, fg__frames *frames, fg_profile *p, const int64_t *values, uint32_t *id);
/* Whether the outermost frame of `n` user's ones is where threads begin; false: callers are missing. */
bool fg__watch_whole(const fg_profile *p, uint32_t outermost, size_t n);
/* The quality record and the notes of what went wrong. */
int fg__watch_quality(const fg__watch *w, fg_profile *p);
/* The metadata `target`: "nginx (process 42)". */
int fg__watch_target(fg_profile *p, uint64_t pid);

#endif
