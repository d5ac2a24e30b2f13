/* The nodes of a cpuprofile as a tree, and the stacks that are in it. Nothing here recurses: trees may be
 * deep. */
#include "formats/cpuprofile.h"

/* ---- parents ------------------------------------------------------------------------------------------- */

static int set_parent(cpuprofile *c, uint32_t child, uint32_t parent) {
    cpu_node *node = &c->nodes[child];
    if (node->parent != FG__NONE && node->parent != parent)
        return fg__fail(c->ctx, FG_EFORMAT, "node %lld is the child of two nodes",
                        (long long)c->ids.keys[child]);
    node->parent = parent;
    return 0;
}

static int connect(cpuprofile *c) {
    int err = 0;
    for (size_t i = 0; i < c->link_count && !err; i++) {
        const cpu_link *link = &c->links[i];
        uint32_t other = fg__ids_find(&c->ids, link->id);
        if (other == FG__NONE)
            return fg__fail(c->ctx, FG_EFORMAT, "node %lld has the %s %lld, which does not exist",
                            (long long)c->ids.keys[link->from], link->upwards ? "parent" : "child",
                            (long long)link->id);
        err = link->upwards ? set_parent(c, link->from, other) : set_parent(c, other, link->from);
    }
    return err;
}

/*
 * How deep each node is. From each one we climb to one whose depth is known or to a root, and come down
 * again; a node that is met while we climb from it is its own ancestor. Nodes that were climbed past point
 * back down meanwhile.
 */
static int measure(cpuprofile *c) {
    enum { UNKNOWN, CLIMBING, KNOWN };
    uint8_t *state = fg__calloc(c->ctx, c->ids.count, 1);
    uint32_t *below = fg__calloc(c->ctx, c->ids.count, sizeof *below);
    int err = state && below ? 0 : FG_ENOMEM;
    for (uint32_t i = 0; i < c->ids.count && !err; i++) {
        uint32_t at = i, from = FG__NONE;
        for (; at != FG__NONE && state[at] == UNKNOWN; at = c->nodes[at].parent) {
            state[at] = CLIMBING;
            below[at] = from;
            from = at;
        }
        if (at != FG__NONE && state[at] == CLIMBING)
            err = fg__fail(c->ctx, FG_EFORMAT, "node %lld is its own ancestor", (long long)c->ids.keys[at]);
        uint32_t depth = at == FG__NONE ? 0 : c->nodes[at].depth;
        for (; from != FG__NONE; from = below[from]) {
            cpu_node *node = &c->nodes[from];
            if (node->role == NODE_ROOT && node->parent != FG__NONE) node->role = NODE_WORK;
            node->depth = depth += node->role != NODE_ROOT;
            state[from] = KNOWN;
        }
    }
    fg_free(c->ctx, state);
    fg_free(c->ctx, below);
    return err;
}

int fg__cpuprofile_tree(cpuprofile *c) {
    int err = connect(c);
    return err ? err : measure(c);
}

/* ---- stacks -------------------------------------------------------------------------------------------- */

typedef struct stacks {
    cpuprofile *c;
    bool timed;
    uint32_t *frames;
    size_t cap;
    uint64_t budget; /* frames that all stacks together may still have */
    uint32_t *ids;   /* of the nodes' stacks; NULL: nobody asks */
} stacks;

static int add(stacks *s, size_t n, int64_t count, int64_t time, uint32_t *id) {
    int64_t values[] = {time, count};
    if (n > s->budget)
        return fg__fail(s->c->ctx, FG_ELIMIT,
                        "the stacks have too many frames; --max-input raises the limit");
    s->budget -= n;
    return fg__stack_put(s->c->p, s->frames, n, s->timed ? values : values + 1, id);
}

/* value × (to − from) / all, rounded so that parts that follow each other add up to the value. */
static int64_t portion(int64_t value, int64_t from, int64_t to, int64_t all) {
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)value * to / all - (wide)value * from / all);
}

/* The samples of a node by the lines they were on: ticks[from … to). */
static int add_by_line(stacks *s, const cpu_node *node, size_t from, size_t to) {
    const cpu_tick *ticks = s->c->ticks;
    int64_t all = 0, seen = 0;
    for (size_t i = from; i < to; i++)
        if (!fg__add64(&all, all, ticks[i].ticks))
            return fg__fail(s->c->ctx, FG_ELIMIT, "too many ticks in a node");
    int err = 0;
    for (size_t i = from; i < to && !err; i++) {
        fg__frame frame = *fg__frame_at(s->c->p, node->frame);
        frame.line = ticks[i].line;
        err = fg__frame_intern(&s->frames[node->depth - 1], s->c->p, &frame);
        int64_t next = seen + ticks[i].ticks;
        if (!err)
            err = add(s, node->depth, portion(node->count, seen, next, all),
                      portion(node->time, seen, next, all), NULL);
        seen = next;
    }
    return err;
}

static int add_node(stacks *s, uint32_t i, size_t from, size_t to) {
    const cpu_node *node = &s->c->nodes[i];
    int err = fg__grow(s->c->ctx, &s->frames, &s->cap, node->depth, sizeof *s->frames);
    if (err) return err;
    uint32_t at = i;
    for (size_t d = node->depth; d > 0; at = s->c->nodes[at].parent) s->frames[--d] = s->c->nodes[at].frame;
    if (from < to && node->depth) return add_by_line(s, node, from, to);
    return add(s, node->depth, node->count, node->time, s->ids ? &s->ids[i] : NULL);
}

static bool is_shown(const cpuprofile *c, const cpu_node *node) {
    return (node->count || node->time) && (node->role != NODE_IDLE || c->options->keep_idle);
}

/* Samples of a program that did nothing make no picture of where its time goes. */
static int check_work(const cpuprofile *c) {
    int64_t work = 0;
    for (size_t i = 0; i < c->ids.count; i++)
        if (c->nodes[i].role == NODE_WORK || (c->options->keep_idle && c->nodes[i].role == NODE_IDLE))
            work |= c->nodes[i].count;
    return work ? 0 : fg__fail(c->ctx, FG_EEMPTY, "no samples of work: drive load and try again");
}

/* A sample does not say which line of its function it was on: no slices where lines are apart. */
static int prepare_ids(stacks *s) {
    cpuprofile *c = s->c;
    if (!c->options->slices || c->tick_count) return 0;
    s->ids = fg__no_ids(c->ctx, c->ids.count + 1);
    return s->ids ? 0 : FG_ENOMEM;
}

int fg__cpuprofile_stacks(cpuprofile *c, bool timed) {
    stacks s = {.c = c, .timed = timed, .budget = fg__max_input(c->options) / sizeof *s.frames};
    int err = check_work(c);
    if (!err) err = prepare_ids(&s);
    size_t from = 0, to = 0; /* ticks are in the order of the nodes */
    for (uint32_t i = 0; i < c->ids.count && !err; i++, from = to) {
        while (to < c->tick_count && c->ticks[to].node == i) to++;
        if (is_shown(c, &c->nodes[i])) err = add_node(&s, i, from, to);
    }
    if (!err && s.ids) err = fg__slices_keep(&c->slices, c->p, 0, s.ids);
    fg_free(c->ctx, s.frames);
    fg_free(c->ctx, s.ids);
    return err;
}
