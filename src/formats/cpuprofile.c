/* Reading a cpuprofile: the file, as it streams by, into tables of nodes, samples and time deltas. */
#include "formats/cpuprofile.h"
#include <math.h>
#include "formats/json_reader.h"
#include "formats/v8.h"

/* ---- nodes --------------------------------------------------------------------------------------------- */

static int open_node(void *user) {
    cpuprofile *c = user;
    c->frame = (fg__frame){0};
    c->id = 0;
    c->hits = 0;
    c->has_id = false;
    return 0;
}

static int whole(cpuprofile *c, const fg__json_number *n, const char *what) {
    if (n->is_whole) return 0;
    return fg__fail(c->ctx, FG_EFORMAT, "%s is not a whole number", what);
}

static int on_id(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    c->id = (uint64_t)n->whole;
    c->has_id = true;
    return whole(c, n, "the id of a node");
}

static int on_hits(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    c->hits = n->whole;
    if (n->is_whole && n->whole < 0) return fg__fail(c->ctx, FG_EFORMAT, "a negative hitCount");
    return whole(c, n, "a hitCount");
}

static int add_link(cpuprofile *c, const fg__json_number *n, bool upwards) {
    int err = whole(c, n, "the id of a node");
    if (!err && c->ids.count >= FG__NONE - 1) err = fg__fail(c->ctx, FG_ELIMIT, "more than 4 billion nodes");
    if (!err) err = fg__grow(c->ctx, &c->links, &c->link_cap, c->link_count + 1, sizeof *c->links);
    if (!err) c->links[c->link_count++] = (cpu_link){(uint64_t)n->whole, (uint32_t)c->ids.count, upwards};
    return err;
}

static int on_child(void *user, const fg__json_number *n) {
    return add_link(user, n, false);
}
static int on_parent(void *user, const fg__json_number *n) {
    return add_link(user, n, true);
}

static int on_name(void *user, const char *bytes, size_t n) {
    cpuprofile *c = user;
    return n ? fg__string_intern(&c->frame.name, c->p, bytes, n) : 0;
}

static int on_url(void *user, const char *bytes, size_t n) {
    cpuprofile *c = user;
    return fg__v8_file(&c->frame.file, c->p, bytes, n);
}

static int on_line(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    c->frame.line = fg__v8_line(n->real + 1);
    return 0;
}

static int on_tick_line(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    c->tick.line = fg__v8_line(n->real);
    return 0;
}

static int on_tick_count(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    c->tick.ticks = n->is_whole && n->whole > 0 ? n->whole : 0;
    return 0;
}

static int close_tick(void *user) {
    cpuprofile *c = user;
    cpu_tick tick = c->tick;
    c->tick = (cpu_tick){0};
    if (!c->options->lines || !tick.ticks) return 0;
    int err = fg__grow(c->ctx, &c->ticks, &c->tick_cap, c->tick_count + 1, sizeof *c->ticks);
    tick.node = (uint32_t)c->ids.count;
    if (!err) c->ticks[c->tick_count++] = tick;
    return err;
}

/* V8 gives what is not the program's code a name in parentheses and no place. */
static uint32_t role_of(const cpuprofile *c, const char *name) {
    static const char *const names[] = {
        [NODE_ROOT] = "(root)", [NODE_IDLE] = "(idle)", [NODE_PROGRAM] = "(program)"};
    for (uint32_t role = NODE_ROOT; role <= NODE_PROGRAM && !c->frame.file; role++)
        if (strcmp(name, names[role]) == 0) return role;
    return NODE_WORK;
}

static int close_node(void *user) {
    cpuprofile *c = user;
    if (!c->has_id) return fg__fail(c->ctx, FG_EFORMAT, "node %zu has no id", c->ids.count);
    if (fg__ids_find(&c->ids, c->id) != FG__NONE)
        return fg__fail(c->ctx, FG_EFORMAT, "node %lld is there twice", (long long)c->id);
    int err = fg__grow(c->ctx, &c->nodes, &c->node_cap, c->ids.count + 1, sizeof *c->nodes);
    if (!err) err = fg__v8_complete(&c->frame, c->p);
    if (err) return err;
    cpu_node node = {.parent = FG__NONE, .hits = c->hits};
    node.role = role_of(c, fg__string_at(c->p, c->frame.name).bytes);
    c->has_outside |= node.role == NODE_IDLE || node.role == NODE_PROGRAM;
    if (!err) err = fg__frame_intern(&node.frame, c->p, &c->frame);
    if (!err) err = fg__ids_add(c->ctx, &c->ids, c->id);
    if (!err) c->nodes[c->ids.count - 1] = node;
    return err;
}

/* ---- samples ------------------------------------------------------------------------------------------- */

static int on_sample(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    if (!n->is_whole) return whole(c, n, "the id of a sample's node");
    int err = FG__LIKELY(c->sample_count < c->sample_cap)
                  ? 0
                  : fg__grow(c->ctx, &c->samples, &c->sample_cap, c->sample_count + 1, sizeof *c->samples);
    if (!err) c->samples[c->sample_count++] = (uint64_t)n->whole;
    return err;
}

static int on_delta(void *user, const fg__json_number *n) {
    cpuprofile *c = user;
    const double century = 3e15; /* µs */
    if (!(fabs(n->real) < century))
        return fg__fail(c->ctx, FG_EFORMAT, "a time delta of more than a century");
    int err = FG__LIKELY(c->delta_count < c->delta_cap)
                  ? 0
                  : fg__grow(c->ctx, &c->deltas, &c->delta_cap, c->delta_count + 1, sizeof *c->deltas);
    if (!err) c->deltas[c->delta_count++] = n->is_whole ? n->whole * 1000 : llround(n->real * 1000);
    return err;
}

static int on_start(void *user, const fg__json_number *n) {
    ((cpuprofile *)user)->start = n->real;
    return 0;
}
static int on_end(void *user, const fg__json_number *n) {
    ((cpuprofile *)user)->end = n->real;
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static const fg__json_rule call_frame[] = {{.key = "functionName", .text = on_name},
                                           {.key = "url", .text = on_url},
                                           {.key = "lineNumber", .number = on_line},
                                           {0}};
static const fg__json_rule children[] = {{.key = "", .number = on_child}, {0}};
static const fg__json_rule tick[] = {
    {.key = "line", .number = on_tick_line}, {.key = "ticks", .number = on_tick_count}, {0}};
static const fg__json_rule ticks[] = {{.key = "", .inside = tick, .close = close_tick}, {0}};
static const fg__json_rule node[] = {{.key = "id", .number = on_id},
                                     {.key = "callFrame", .inside = call_frame},
                                     {.key = "hitCount", .number = on_hits},
                                     {.key = "children", .inside = children},
                                     {.key = "positionTicks", .inside = ticks},
                                     {.key = "parent", .number = on_parent},
                                     {0}};
static const fg__json_rule nodes[] = {{.key = "", .inside = node, .open = open_node, .close = close_node},
                                      {0}};
static const fg__json_rule samples[] = {{.key = "", .number = on_sample}, {0}};
static const fg__json_rule deltas[] = {{.key = "", .number = on_delta}, {0}};
/* Answers of the DevTools protocol have the profile in {"id", "result": {"profile": …}}. */
static const fg__json_rule file[] = {
    {.key = "nodes", .inside = nodes},       {.key = "samples", .inside = samples},
    {.key = "timeDeltas", .inside = deltas}, {.key = "startTime", .number = on_start},
    {.key = "endTime", .number = on_end},    {.key = "profile", .inside = file},
    {.key = "result", .inside = file},       {0}};

static int add_types(cpuprofile *c, bool timed) {
    int err = timed ? fg_profile_add_type(c->p, "cpu", "nanoseconds") : 0;
    return err ? err : fg_profile_add_type(c->p, "samples", "count");
}

static const double year_2001 = 1e15; /* in µs; or an uptime of 31 years */

bool fg__cpuprofile_dated(const cpuprofile *c) {
    return c->start > year_2001 && c->start < 9 * year_2001;
}

static int set_times(cpuprofile *c) {
    double duration = c->end - c->start;
    int err = 0;
    if (duration > 0 && duration < year_2001)
        err = fg_meta_set_number(c->p, "duration", llround(duration * 1000));
    if (!err && fg__cpuprofile_dated(c)) err = fg_meta_set_number(c->p, "start", llround(c->start) * 1000);
    return err;
}

static int build(cpuprofile *c) {
    bool timed;
    int err = fg__cpuprofile_tree(c);
    if (!err) err = fg__cpuprofile_time(&timed, c);
    if (!err) err = add_types(c, timed);
    if (!err) err = set_times(c);
    return err ? err : fg__cpuprofile_stacks(c, timed);
}

static int read_cpuprofile(fg_profile *p, fg_in *in, const fg_read_options *options) {
    cpuprofile c = {.p = p, .in = in, .ctx = p->ctx, .options = options};
    int err = fg__json_read(in, file, &c);
    if (!err) {
        err = build(&c);
        if (err) fg__fail_in(p->ctx, err, "%s: cpuprofile", in->name);
    }
    void *owned[] = {c.nodes, c.links, c.ticks, c.samples, c.deltas};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    fg__ids_free(p->ctx, &c.ids);
    fg__slices_free(&c.slices, p->ctx);
    return err;
}

static int probe(const uint8_t *head, size_t n) {
    if (!fg__json_has_key(head, n, "nodes")) return 0;
    return fg__json_has_key(head, n, "callFrame") ? 90 : 40;
}

const fg_format fg__cpuprofile = {
    .name = "cpuprofile",
    .summary = "CPU profile of V8, as written by Node, Chrome and Bun",
    .suffixes = ".cpuprofile",
    .probe = probe,
    .read = read_cpuprofile,
};
