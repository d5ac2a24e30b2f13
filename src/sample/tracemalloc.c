/*
 * The sampler "tracemalloc": what a running CPython allocates from now on, by its own tracemalloc, which is turned on
 * for the duration, and off again if it was off.
 */
#include "sample/tracemalloc.h"
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include "core/embedded.h"
#include "sample/python_call.h"
#include "sample/sample.h"
#include "sys/rights.h"

static const double default_timeout = 10;
enum { DEFAULT_DEPTH = 16, MOST_DEPTH = 1000, TOKEN_BYTES = 16, OWN_LINE = 499, AGAIN = 2 };

struct options {
    fg__sample_options common;
    uint64_t depth; /* frames that are kept of each stack */
    bool growth;    /* two snapshots: at half of the time and at its end */
    bool held;      /* the caller has it on all the time: that is its doing, not the program's */
    double timeout; /* seconds for each thing that is asked of the process */
};

typedef struct tracer {
    fg__sampler s;
    struct options options;
    fg__python python;
    bool was_on, on;
    unsigned long depth;
    fg__buffer half, end;
} tracer;

/* ---- asking -------------------------------------------------------------------------------------------- */

/* A name that nobody can know in advance. */
static int make_name(fg_ctx *ctx, char *name, size_t size) {
    uint8_t token[TOKEN_BYTES];
    if (getrandom(token, sizeof token, 0) != sizeof token)
        return fg__fail(ctx, FG_EIO, "the kernel gives no random bytes");
    int n = snprintf(name, size, "flame-graph-");
    for (size_t i = 0; i < sizeof token; i++) n += snprintf(name + n, size - (size_t)n, "%02x", token[i]);
    return 0;
}

/*
 * One expression that leaves no names behind in __main__, and trusts none there. It is on a line of its own far down,
 * by which what it allocates itself is known.
 */
static int make_code(fg__buffer *code, fg_ctx *ctx, const char *wish, const char *name, uint64_t value,
                     double timeout) {
    static const char before[] = "(lambda b: b.exec(b.compile(b.bytes.fromhex('";
    const struct fg__embedded *payload = fg__embedded_payloads;
    struct timespec now;
    char text[256];
    while (strcmp(payload->name, "tracemalloc.py") != 0) payload++;
    int err = 0;
    for (int line = 1; !err && line < OWN_LINE; line++) err = fg__buffer_add(ctx, code, "\n", 1);
    if (!err) err = fg__buffer_add(ctx, code, before, sizeof before - 1);
    for (size_t i = 0; !err && i < payload->n; i++) {
        snprintf(text, sizeof text, "%02x", (uint8_t)payload->bytes[i]);
        err = fg__buffer_add(ctx, code, text, 2);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    int n = snprintf(text, sizeof text,
                     "').decode(), '<flame-graph>', 'exec'), {'wish': '%s', 'expires': %.3f, 'name': '%s', "
                     "'number': %llu, 'line': %d}))(__import__('builtins'))",
                     wish, (double)now.tv_sec + timeout, name, (unsigned long long)value, OWN_LINE);
    return err ? err : fg__buffer_add(ctx, code, text, (size_t)n);
}

/* Have `wish` done; the caller frees answer->bytes. */
static int ask(fg__buffer *answer, tracer *t, const char *wish, uint64_t value) {
    fg_ctx *ctx = t->s.ctx;
    fg__buffer code = {0};
    char name[64];
    int err = make_name(ctx, name, sizeof name);
    if (!err) err = make_code(&code, ctx, wish, name, value, t->options.timeout);
    if (!err) err = fg__python_run(answer, ctx, &t->python, code.bytes, name, t->options.timeout);
    fg_free(ctx, code.bytes);
    if (err || answer->n < 2) return err;
    if (answer->bytes[0] == 'e')
        return fg__fail(ctx, FG_EREMOTE, "tracemalloc in process %llu: %.*s",
                        (unsigned long long)t->python.pid, (int)strcspn(answer->bytes + 2, "\n"),
                        answer->bytes + 2);
    return 0;
}

static int turn_on(tracer *t) {
    fg__buffer answer = {0};
    unsigned was;
    int err = ask(&answer, t, "start", t->options.depth);
    if (!err && (!answer.bytes || sscanf(answer.bytes, "s %u %lu", &was, &t->depth) != 2))
        err = fg__fail(t->s.ctx, FG_EFORMAT, "the answer of process %llu is none",
                       (unsigned long long)t->python.pid);
    if (!err) {
        t->was_on = was != 0;
        t->on = true;
    }
    fg_free(t->s.ctx, answer.bytes);
    return err;
}

/* ---- the sampler --------------------------------------------------------------------------------------- */

static int open_tracer(fg__sampler *s, const void *options) {
    tracer *t = (tracer *)s;
    t->options = *(const struct options *)options;
    if (!t->options.depth) t->options.depth = DEFAULT_DEPTH;
    if (t->options.timeout <= 0) t->options.timeout = default_timeout;
    if (t->options.depth > MOST_DEPTH)
        return fg__fail(s->ctx, FG_EINVAL, "a depth of %llu is too much: at most %d",
                        (unsigned long long)t->options.depth, MOST_DEPTH);
    uint64_t pid = t->options.common.pid;
    if (!pid) return fg__fail(s->ctx, FG_EINVAL, "tracemalloc needs the number of a process (pid)");
    fg__refusal refusal;
    int err = fg__rights_process(s->ctx, pid);
    if (!err && fg__rights_foreseen(&refusal, FG__RIGHT_PTRACE, pid))
        err = fg__rights_refused(s->ctx, FG__RIGHT_PTRACE, pid, EPERM);
    return err ? err : fg__python_find(&t->python, s->ctx, pid);
}

static int run_tracer(fg__sampler *s) {
    tracer *t = (tracer *)s;
    int err = turn_on(t);
    if (err) return err;
    double began = fg__loop_now(), half = t->options.common.duration / 2;
    s->ends += began - s->started; /* the duration is that of tracing */
    if (t->options.growth && fg__sampler_sleep(s, began + half)) err = ask(&t->half, t, "snapshot", 0);
    while (!err && fg__sampler_sleep(s, s->ends)) {}
    int at_end = ask(&t->end, t, "snapshot", !t->was_on);
    for (int again = 0; at_end == FG_ETIMEOUT && !t->was_on && again < AGAIN; again++)
        at_end =
            ask(&t->end, t, "snapshot", true); /* what was turned on is not left so for one missed time-out */
    if (at_end && !t->was_on)
        fg__fail_in(s->ctx, at_end, "tracemalloc was turned on and is still on (tracemalloc.stop() ends it)");
    return at_end ? at_end : err;
}

static int note(tracer *t) {
    fg_profile *p = t->s.profile;
    int err = t->was_on && !t->options.held
                  ? fg_profile_note(p, "tracemalloc was on already, with %lu frames a stack, and still is",
                                    t->depth)
                  : fg_profile_note(p, "only what was allocated after the attach is seen");
    if (!err)
        err = fg_profile_note(p,
                              "up to 50 KiB where the main thread was interrupted are those of the question");
    if (!err) err = fg_profile_note(p, "stacks keep their %lu innermost frames", t->depth);
    return err;
}

static int finish_tracer(fg__sampler *s) {
    tracer *t = (tracer *)s;
    fg_profile *p = s->profile;
    bool growth = t->options.growth && t->half.n;
    int err = fg_profile_add_type(p, growth ? "before" : "bytes", "bytes");
    if (!err) err = fg_profile_add_type(p, growth ? "after" : "blocks", growth ? "bytes" : "blocks");
    if (!err && growth) err = fg__tracemalloc_read(p, t->half.bytes, t->half.n, FG__TRACEMALLOC_BEFORE);
    if (!err && growth) err = fg_meta_set_text(p, "normalize", "absolute");
    if (!err && growth) err = fg_meta_set_real(p, "factor", 1);
    if (!err)
        err = fg__tracemalloc_read(p, t->end.bytes, t->end.n,
                                   growth ? FG__TRACEMALLOC_AFTER : FG__TRACEMALLOC_USE);
    if (!err && !fg_profile_stack_count(p))
        err = fg__fail(s->ctx, FG_EEMPTY,
                       "process %llu allocated nothing that it still has: give it work while it is watched",
                       (unsigned long long)t->python.pid);
    return err ? err : note(t);
}

static void close_tracer(fg__sampler *s) {
    tracer *t = (tracer *)s;
    fg_free(s->ctx, t->half.bytes);
    fg_free(s->ctx, t->end.bytes);
}

static const fg__option rows[] = {
    FG__SAMPLE_ROWS,
    {"depth", FG__OPTION_SIZE, offsetof(struct options, depth)},
    {"growth", FG__OPTION_BOOL, offsetof(struct options, growth)},
    {"held", FG__OPTION_BOOL, offsetof(struct options, held)},
    {"timeout", FG__OPTION_NUMBER, offsetof(struct options, timeout)},
    {NULL, FG__OPTION_ANY, 0},
};

const fg__sampler_kind fg__tracemalloc_sampler = {
    .name = "tracemalloc",
    .options = rows,
    .options_size = sizeof(struct options),
    .size = sizeof(tracer),
    .open = open_tracer,
    .run = run_tracer,
    .finish = finish_tracer,
    .close = close_tracer,
};
