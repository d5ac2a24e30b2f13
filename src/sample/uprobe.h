/*
 * Uprobes for events of perf_event_open. Where tracefs can be written to, a probe is made there once and all events share
 * it; else each event makes one of its own, which takes the kernel some 50 ms to remove again, for each thread on each
 * CPU.
 *
 * A probe in tracefs has the number of our process in its name: those of processes that were killed are removed by the
 * next one that comes along. It is of no effect while no event is open on it.
 */
#ifndef FG_SAMPLE_UPROBE_H
#define FG_SAMPLE_UPROBE_H

#include <linux/perf_event.h>
#include "core/core.h"

typedef struct fg__uprobes {
    int folder; /* tracefs; -1: it is not used */
    uint64_t token;
    unsigned n;
} fg__uprobes;

/* Nothing is made yet. */
void fg__uprobes_begin(fg__uprobes *u);
/*
 * Make a probe at an offset of a file, or on the return of the function that begins there, and have `attr` ask for it.
 * `path` needs to live until the events are open. FG_EUNSUPPORTED: the kernel has none.
 */
int fg__uprobes_add(fg__uprobes *u, fg_ctx *ctx, struct perf_event_attr *attr, const char *path,
                    uint64_t offset, bool returns);
/* Remove those that were made; the events on them have to be closed before. */
void fg__uprobes_end(fg__uprobes *u);

#endif
