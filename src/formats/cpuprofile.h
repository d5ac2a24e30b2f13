/*
 * V8's cpuprofile, as written by Node, Chrome, Bun and what speaks their protocol:
 *
 *      {"nodes": [{"id": 2, "callFrame": {"functionName", "url", "lineNumber" (from 0)}, "hitCount",
 * "children": [3], "positionTicks": [{"line" (from 1), "ticks"}]}, …], "startTime", "endTime" (µs),
 * "samples": [id, …], "timeDeltas": [µs, …]}
 *
 *   cpuprofile.c        the file, as it streams by, into tables
 *   cpuprofile_time.c   how long each sample lasted
 *   cpuprofile_tree.c   parents, cycles; the stacks
 */
#ifndef FG_CPUPROFILE_H
#define FG_CPUPROFILE_H

#include "formats/format.h"
#include "formats/ids.h"

enum { NODE_WORK, NODE_ROOT, NODE_IDLE, NODE_PROGRAM };

typedef struct cpu_node {
    uint32_t frame;
    uint32_t parent;     /* a node, or FG__NONE */
    uint32_t depth;      /* frames of its stack */
    uint32_t role;       /* NODE_… */
    int64_t hits;        /* hitCount */
    int64_t count, time; /* samples that end here, and how many nanoseconds they lasted */
} cpu_node;

/* Node `from` says that the node with this id is its child or, upwards, its parent. */
typedef struct cpu_link {
    uint64_t id;
    uint32_t from;
    bool upwards;
} cpu_link;

/* How many samples of a node were on a line. */
typedef struct cpu_tick {
    uint32_t node, line;
    int64_t ticks;
} cpu_tick;

typedef struct cpuprofile {
    fg_profile *p;
    fg_in *in;
    fg_ctx *ctx;
    const fg_read_options *options;

    cpu_node *nodes; /* as many as ids */
    size_t node_cap;
    fg__ids ids;
    cpu_link *links;
    size_t link_count, link_cap;
    cpu_tick *ticks; /* only for options->lines */
    size_t tick_count, tick_cap;

    uint64_t *samples; /* ids of nodes */
    size_t sample_count, sample_cap;
    int64_t *deltas; /* ns; deltas[i] is from sample i - 1 to sample i */
    size_t delta_count, delta_cap;
    double start, end; /* µs */
    fg__slices slices; /* by node; only for options->slices */
    bool has_outside;  /* "(idle)" or "(program)" is there: V8 samples what is not the program's code too */

    /* the node at work */
    fg__frame frame;
    uint64_t id;
    int64_t hits;
    cpu_tick tick;
    bool has_id, first_line;
} cpuprofile;

/* Whether startTime is a date (µs from 1970), as Bun writes it. V8 counts from the start of the machine, and
 * that cannot be so long ago. */
bool fg__cpuprofile_dated(const cpuprofile *c);
/* Connect the nodes. */
int fg__cpuprofile_tree(cpuprofile *c);
/* Fill count and time of the nodes; *timed: there are times. */
int fg__cpuprofile_time(bool *timed, cpuprofile *c);
/* Add the stacks of all nodes that have samples. */
int fg__cpuprofile_stacks(cpuprofile *c, bool timed);

#endif
