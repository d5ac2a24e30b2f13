/*
 * V8's heapprofile: who has allocated what the heap holds, by sampling. What Node's and Chrome's DevTools save, `node
 * --heap-prof`, and HeapProfiler.stopSampling of the protocol:
 *
 *      {"head": {"callFrame": {"functionName", "url", "lineNumber" (from 0)}, "selfSize", "id", "children": [ … ]},
 *       "samples": [{"size", "nodeId", "ordinal"}, …]}
 *
 * Sizes are estimates of V8's already (v8/src/profiler/sampling-heap-profiler.cc, ScaleSample), and stay as they are.
 * Nodes are in preorder, and so lie behind their parents.
 */
#include "formats/json_reader.h"
#include "formats/v8.h"

typedef struct heap_node {
    uint32_t frame, parent; /* parent: a node, or FG__NONE */
    uint32_t depth;         /* with the root, which is 1 */
    int64_t size;
} heap_node;

typedef struct heapprofile {
    fg_profile *p;
    fg_ctx *ctx;
    heap_node *nodes;
    size_t count, cap;
    uint32_t open; /* the node that we are in, or FG__NONE */
    fg__frame frame;
    int64_t samples;
    bool has_head;
} heapprofile;

/* ---- nodes --------------------------------------------------------------------------------------------- */

static int open_node(void *user) {
    heapprofile *h = user;
    if (h->count >= FG__NONE - 1) return fg__fail(h->ctx, FG_ELIMIT, "more than 4 billion nodes");
    int err = fg__grow(h->ctx, &h->nodes, &h->cap, h->count + 1, sizeof *h->nodes);
    if (err) return err;
    uint32_t depth = h->open == FG__NONE ? 1 : h->nodes[h->open].depth + 1;
    h->nodes[h->count] = (heap_node){.frame = FG__NONE, .parent = h->open, .depth = depth};
    h->open = (uint32_t)h->count++;
    return 0;
}

static int open_head(void *user) {
    heapprofile *h = user;
    if (h->has_head) return fg__fail(h->ctx, FG_EFORMAT, "a second head");
    h->has_head = true;
    return open_node(h);
}

static int close_node(void *user) {
    heapprofile *h = user;
    const heap_node *node = &h->nodes[h->open];
    if (node->frame == FG__NONE) return fg__fail(h->ctx, FG_EFORMAT, "node %u has no callFrame", h->open);
    h->open = node->parent;
    return 0;
}

static int on_size(void *user, const fg__json_number *n) {
    heapprofile *h = user;
    if (!n->is_whole || n->whole < 0)
        return fg__fail(h->ctx, FG_EFORMAT, "the selfSize of node %u is not a number of bytes", h->open);
    h->nodes[h->open].size = n->whole;
    return 0;
}

/* ---- call frames --------------------------------------------------------------------------------------- */

static int open_frame(void *user) {
    ((heapprofile *)user)->frame = (fg__frame){0};
    return 0;
}

static int on_name(void *user, const char *bytes, size_t n) {
    heapprofile *h = user;
    return n ? fg__string_intern(&h->frame.name, h->p, bytes, n) : 0;
}

static int on_url(void *user, const char *bytes, size_t n) {
    heapprofile *h = user;
    return fg__v8_file(&h->frame.file, h->p, bytes, n);
}

static int on_line(void *user, const fg__json_number *n) {
    ((heapprofile *)user)->frame.line = fg__v8_line(n->real + 1);
    return 0;
}

static int close_frame(void *user) {
    heapprofile *h = user;
    int err = fg__v8_complete(&h->frame, h->p);
    return err ? err : fg__frame_intern(&h->nodes[h->open].frame, h->p, &h->frame);
}

static int on_sample(void *user, const fg__json_number *n) {
    (void)n;
    ((heapprofile *)user)->samples++;
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static const fg__json_rule call_frame[] = {{.key = "functionName", .text = on_name},
                                           {.key = "url", .text = on_url},
                                           {.key = "lineNumber", .number = on_line},
                                           {0}};
static const fg__json_rule children[];
static const fg__json_rule node_rules[] = {
    {.key = "callFrame", .inside = call_frame, .open = open_frame, .close = close_frame},
    {.key = "selfSize", .number = on_size},
    {.key = "children", .inside = children},
    {0}};
static const fg__json_rule children[] = {
    {.key = "", .inside = node_rules, .open = open_node, .close = close_node}, {0}};
static const fg__json_rule sample[] = {{.key = "nodeId", .number = on_sample}, {0}};
static const fg__json_rule samples[] = {{.key = "", .inside = sample}, {0}};
/* Answers of the DevTools protocol have the profile in {"id", "result": {"profile": …}}. */
static const fg__json_rule file[] = {
    {.key = "head", .inside = node_rules, .open = open_head, .close = close_node},
    {.key = "samples", .inside = samples},
    {.key = "profile", .inside = file},
    {.key = "result", .inside = file},
    {0}};

/* The root, which is nobody's call, is left out. */
static int add_stack(heapprofile *h, uint32_t *frames, uint32_t i) {
    const heap_node *node = &h->nodes[i];
    size_t n = node->depth - 1, d = n;
    for (uint32_t at = i; d > 0; at = h->nodes[at].parent) frames[--d] = h->nodes[at].frame;
    return fg__stack_put(h->p, frames, n, &node->size, NULL);
}

static int build(heapprofile *h, const fg_read_options *options) {
    uint64_t budget = fg__max_input(options) / sizeof(uint32_t); /* frames of all stacks together */
    uint32_t *frames = NULL;
    size_t cap = 0;
    int64_t total = 0;
    if (!h->has_head) return fg__fail(h->ctx, FG_EFORMAT, "there is no head");
    int err = fg_profile_add_type(h->p, "inuse_space", "bytes");
    for (uint32_t i = 0; i < h->count && !err; i++) {
        const heap_node *at = &h->nodes[i];
        if (!at->size) continue;
        if (!fg__add64(&total, total, at->size)) err = fg__fail(h->ctx, FG_ELIMIT, "the sizes are too large");
        if (!err && at->depth > budget)
            err =
                fg__fail(h->ctx, FG_ELIMIT, "the stacks have too many frames; --max-input raises the limit");
        if (!err) err = fg__grow(h->ctx, &frames, &cap, at->depth, sizeof *frames);
        if (!err) err = add_stack(h, frames, i);
        budget -= at->depth;
    }
    fg_free(h->ctx, frames);
    if (!err && !total) err = fg__fail(h->ctx, FG_EEMPTY, "nothing was allocated: drive load and try again");
    if (!err && h->samples) err = fg_meta_set_number(h->p, "samples", h->samples);
    return err;
}

static int read_heapprofile(fg_profile *p, fg_in *in, const fg_read_options *options) {
    heapprofile h = {.p = p, .ctx = p->ctx, .open = FG__NONE};
    int err = fg__json_read(in, file, &h);
    if (!err) {
        err = build(&h, options);
        if (err) fg__fail_in(p->ctx, err, "%s: heapprofile", in->name);
    }
    fg_free(p->ctx, h.nodes);
    return err;
}

static int probe(const uint8_t *head, size_t n) {
    return fg__json_has_key(head, n, "head") && fg__json_has_key(head, n, "callFrame") ? 90 : 0;
}

const fg_format fg__heapprofile = {
    .name = "heapprofile",
    .summary = "sampled heap of V8, as written by Node and Chrome",
    .suffixes = ".heapprofile",
    .probe = probe,
    .read = read_heapprofile,
};
