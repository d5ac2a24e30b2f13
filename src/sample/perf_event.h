/* What can be sampled: the events of perf_event_open by their names. */
#ifndef FG_SAMPLE_PERF_EVENT_H
#define FG_SAMPLE_PERF_EVENT_H

#include "core/core.h"

typedef struct fg__perf_event {
    char name[64];
    uint32_t type; /* of perf_event_attr */
    uint64_t config;
    const char *value, *unit; /* what a sample's period counts */
    bool each;                /* every one is a sample, and not so many a second */
} fg__perf_event;

/* "cycles", "page-faults", "sched:sched_switch". FG_EINVAL: there is no such event; the message has the list. */
int fg__perf_event_named(fg__perf_event *out, fg_ctx *ctx, const char *name);
/* The folder of tracefs, or one that only this process sees (root); -1 and errno. The caller closes it. */
int fg__tracefs_open(void);
/* The number of a tracepoint in that folder; false: there is none. */
bool fg__tracepoint_number(uint64_t *out, int folder, const char *group, const char *name);
/* The number of a tracepoint, by tracefs; where it is not mounted, by one that only this process sees (root). */
int fg__tracepoint_id(uint64_t *out, fg_ctx *ctx, const char *group, const char *name);
/* Where a field of 8 bytes is in the tracepoint's records. */
int fg__tracepoint_field(uint32_t *out, fg_ctx *ctx, const char *group, const char *name, const char *field);

#endif
