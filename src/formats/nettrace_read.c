/*
 * A trace as a profile: the time by the clock on the wall, for each sample that which passed since the thread was seen
 * before. Which threads were on a CPU is not in the trace; src/sample/dotnet.c finds it out while it records.
 */
#include <stdio.h>
#include "formats/nettrace.h"

/* When a thread was seen last. */
typedef struct seen {
    uint64_t thread;
    int64_t time;
} seen;

typedef struct reader {
    fg_ctx *ctx;
    fg__nettrace *trace;
    bool by_thread, sliced;
    fg__slices slices; /* by row of the tally; only where they are asked for */
    int64_t samples, first, last;
    fg__tally tally;
    seen *threads;
    size_t thread_count, thread_cap;
    fg__table thread_index;
} reader;

static int find_thread(seen **out, reader *r, uint64_t thread) {
    uint64_t hash = fg__hash(&thread, sizeof thread);
    uint32_t id;
    for (uint32_t at = fg__table_first(&r->thread_index, hash);
         (id = fg__table_id(&r->thread_index, at)) != FG__NONE; at = fg__table_next(&r->thread_index, at)) {
        *out = &r->threads[id];
        if ((*out)->thread == thread) return 0;
    }
    int err = fg__grow(r->ctx, &r->threads, &r->thread_cap, r->thread_count + 1, sizeof *r->threads);
    if (!err) err = fg__table_add(r->ctx, &r->thread_index, hash, (uint32_t)r->thread_count);
    if (err) return err;
    *out = &r->threads[r->thread_count++];
    **out = (seen){thread, INT64_MIN};
    return 0;
}

static int on_sample(void *user, const fg__nettrace_sample *s) {
    reader *r = user;
    seen *thread;
    int err = find_thread(&thread, r, s->thread);
    if (err) return err;
    int64_t passed = fg__nettrace_head_of(r->trace).period, since;
    if (thread->time != INT64_MIN)
        passed = __builtin_sub_overflow(s->time, thread->time, &since) || since < 0 ? 0 : since;
    thread->time = s->time;
    if (r->samples++ == 0) r->first = s->time;
    r->last = s->time;
    err = fg__tally_add(r->ctx, &r->tally, r->by_thread ? s->thread : 0, s->stack, 1, passed);
    if (err || !r->sliced) return err;
    return fg__slices_add(&r->slices, r->ctx, s->time, r->tally.latest, passed);
}

/* The frame of a thread goes outermost where threads are to be told apart. */
static int thread_frame(uint32_t *out, fg_profile *p, uint64_t thread) {
    *out = FG__NONE;
    if (!thread) return 0;
    char name[40];
    snprintf(name, sizeof name, "thread %llu", (unsigned long long)thread);
    return fg_profile_frame(out, p, &(fg_frame){.name = name});
}

static int add_stacks(reader *r, fg_profile *p) {
    int err = 0;
    uint32_t *ids = r->sliced ? fg__calloc(r->ctx, r->tally.n + 1, sizeof *ids) : NULL;
    if (r->sliced && !ids) return FG_ENOMEM;
    for (size_t i = 0; i < r->tally.n && !err; i++) {
        const fg__tally_row *row = &r->tally.rows[i];
        int64_t values[] = {row->count, row->value};
        uint32_t prefix;
        err = thread_frame(&prefix, p, row->thread);
        if (!err) err = fg__nettrace_add(r->trace, p, prefix, row->stack, values, ids ? &ids[i] : NULL);
    }
    if (!err && ids) err = fg__slices_keep(&r->slices, p, 1, ids);
    fg_free(r->ctx, ids);
    return err;
}

static int describe(reader *r, fg_profile *p) {
    fg__nettrace_head head = fg__nettrace_head_of(r->trace);
    int64_t duration;
    if (__builtin_sub_overflow(r->last, head.clock, &duration) || duration < 0) duration = 0;
    const struct {
        const char *key;
        int64_t number;
    } numbers[] = {{"start", head.start},
                   {"duration", duration},
                   {"period", head.period},
                   {"samples", r->samples},
                   {"lost", fg__nettrace_lost(r->trace)}};
    int err = fg_meta_set_text(p, "default_type", "wall");
    if (!err) err = fg_meta_set_text(p, "period_type", "wall");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++)
        err = fg_meta_set_number(p, numbers[i].key, numbers[i].number);
    return err ? err : fg_profile_note(p, "wall-clock time: threads that wait are in it");
}

static int read_nettrace(fg_profile *p, fg_in *in, const fg_read_options *options) {
    reader r = {.ctx = p->ctx, .by_thread = options->with_tid, .sliced = options->slices};
    int err = fg_profile_add_type(p, "samples", "count");
    if (!err) err = fg_profile_add_type(p, "wall", "nanoseconds");
    if (!err) err = fg__nettrace_new(&r.trace, in, fg__max_input(options), on_sample, &r);
    int more = err ? err : 1;
    while (more > 0) more = fg__nettrace_next(r.trace);
    err = more;
    if (!err) err = add_stacks(&r, p);
    if (!err) err = describe(&r, p);
    fg__nettrace_free(r.trace);
    fg__tally_free(r.ctx, &r.tally);
    fg__slices_free(&r.slices, r.ctx);
    fg_free(r.ctx, r.threads);
    fg_free(r.ctx, r.thread_index.slots);
    return err;
}

static int probe(const uint8_t *head, size_t n) {
    static const char magic[] = "Nettrace";
    return n >= sizeof magic - 1 && memcmp(head, magic, sizeof magic - 1) == 0 ? 100 : 0;
}

const fg_format fg__nettrace_format = {
    .name = "nettrace",
    .summary = "a trace of the .NET runtime, as dotnet-trace collects it",
    .suffixes = ".nettrace",
    .probe = probe,
    .read = read_nettrace,
};
