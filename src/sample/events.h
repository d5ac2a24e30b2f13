/*
 * Events of perf_event_open on the tasks of a process: opened for each thread on each CPU, because only then may an
 * event be inherited by what the threads start; all those of a CPU write to one ring.
 *
 *   thread 1 ─┬─ event, CPU 0 ──▶ ring 0 ─┐
 *   thread 2 ─┼─ event, CPU 0 ──▶ ring 0 ─┼─ fg__events_drain: records of all rings in the order of time
 *             └─ event, CPU 1 ──▶ ring 1 ─┘
 *
 * Or on every task (FG__EVERY_TASK): one event for each CPU, whose timer runs on when tasks come and go.
 *
 * A record counts only once its time has come: those that come with it from other rings are seen first if they are
 * older, so that a mapping is known before the first sample in it, and a block of memory before its release. What is
 * younger than a millisecond waits, as an older record may be on its way to a ring that was looked at before.
 */
#ifndef FG_SAMPLE_EVENTS_H
#define FG_SAMPLE_EVENTS_H

#include <linux/perf_event.h>
#include "sample/sample.h"

#define FG__EVERY_TASK UINT32_MAX /* takes more rights than a task of one's own */

typedef struct fg__ring {
    int fd; /* of the event that owns it; -1: no such CPU */
    struct perf_event_mmap_page *page;
    uint64_t size;             /* of the data, a power of two */
    uint64_t head, tail, next; /* next: the time of the record at tail */
    uint64_t since;            /* where the records begin that tell of births since attaching began */
    bool hung;                 /* nothing writes there that could be waited for */
} fg__ring;

typedef struct fg__events {
    fg_ctx *ctx;
    struct perf_event_attr attr;
    size_t ring_bytes; /* wanted; less where the kernel allows less */
    int *fds;
    size_t fd_n, fd_cap;
    fg__ring *rings; /* one for each CPU */
    size_t ring_n;
    uint8_t *scratch; /* a record that lies around the end of its ring */
    uint32_t *forked; /* threads that came into being since attaching began */
    size_t forked_n, forked_cap;
    bool stopped;  /* no record is on its way any more */
    bool unmapped; /* the kernel gave an event, but no memory for its ring */
} fg__events;

/* A record, with what all of them have (attr.sample_id_all, TID and TIME). */
typedef struct fg__record {
    uint32_t type, misc, pid, tid;
    uint64_t time;
    const uint8_t *body; /* behind the header; of a sample: behind pid, tid, time */
    size_t size;
} fg__record;

/* What a sample holds, where the attributes ask for it. */
typedef struct fg__perf_sample {
    uint64_t period, chain_n, raw_n, abi, registers_n, stack_n;
    const uint64_t *chain, *registers;
    const uint8_t *raw, *stack;
    bool copied; /* it is of an event that copies stacks */
} fg__perf_sample;

/*
 * Prepare events with these attributes; TID, TIME, sample_id_all and a size are added. Nothing is opened yet.
 */
int fg__events_init(fg__events *e, fg_ctx *ctx, const struct perf_event_attr *attr, size_t ring_bytes);
/*
 * Open the event on one task, or on every task, on every CPU. Returns 0 or the errno of the kernel (positive): the
 * caller knows what it can do without. ENOMEM stands for ours as well.
 */
int fg__events_open(fg__events *e, uint32_t tid);
/* A further event is going to be opened: who was born until now is without it. */
void fg__events_another(fg__events *e);
/* Open it on all threads of a process, whose first one is open already, until there is none without. */
int fg__events_attach(fg__events *e, uint32_t pid);
/* Hand all records that are there to `visit`, the oldest first. It returns 0 or an error, which ends it. */
typedef int fg__visit(void *user, const fg__record *record);
int fg__events_drain(fg__events *e, fg__visit *visit, void *user);
/* Wait until a ring is half full, the sampler is to stop, `fd` (-1: none) is readable, or it is time. */
void fg__events_wait(fg__events *e, const fg__sampler *s, int fd);
/* No more records from now on; those that are there stay. */
void fg__events_stop(fg__events *e);
/* Give the memory of the rings back, and whatever is left in them; the events are still there. */
void fg__events_unmap(fg__events *e);
void fg__events_close(fg__events *e);

/* Take a sample apart; false where it is not what the attributes say. */
bool fg__sample_parse(fg__perf_sample *out, const fg__events *e, const fg__record *record);

#endif
