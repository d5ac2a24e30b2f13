/*
 * How long each sample of a cpuprofile lasted.
 *
 * timeDeltas[i] is the time from sample i - 1 to sample i, and it belongs to the sample that ends it: a thread that
 * the machine kept waiting takes the sample as it goes on, where it was kept. (Chrome's DevTools give it to the
 * sample before. On a busy machine that was up to 5 points off a program's own clock, this at most 1.) The first
 * delta is from startTime on, with the profiler's own start in it: the first sample lasts as long as the others on
 * average. When the clock steps back, deltas are negative; such samples are put in the order of their times first.
 *
 * JavaScriptCore (Bun) takes no samples while the program waits, and the sample before each pause would last as
 * long as the pause. So in its profiles a delta of more than ten times the usual one counts as one usual delta,
 * and a note says how much was left out. V8 samples a program that waits: there a long delta is a sampler that
 * the machine kept waiting, and counts in full. The two are told apart by what both always write: Bun's
 * startTime is a date, V8's an uptime; and V8 has "(idle)" or "(program)", JavaScriptCore neither.
 *
 * Without deltas each hit is the same part of the time from startTime to endTime; without that too, there is
 * no time.
 */
#include "formats/cpuprofile.h"
#include <math.h>
#include <stdlib.h>

enum { PAUSE = 10 };

static int too_long(const cpuprofile *c) {
    return fg__fail(c->ctx, FG_ELIMIT, "the time deltas add up to more than 2^63 ns");
}

/* ---- samples that went back in time -------------------------------------------------------------------- */

typedef struct timed_sample {
    int64_t at;
    uint64_t id;
    size_t order;
} timed_sample;

static int by_time(const void *a, const void *b) {
    const timed_sample *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int sort_samples(cpuprofile *c) {
    timed_sample *sorted = fg__calloc(c->ctx, c->sample_count, sizeof *sorted);
    if (!sorted) return FG_ENOMEM;
    int64_t at = 0;
    for (size_t i = 0; i < c->sample_count; i++) {
        at += c->deltas[i];
        sorted[i] = (timed_sample){at, c->samples[i], i};
    }
    qsort(sorted, c->sample_count, sizeof *sorted, by_time);
    for (size_t i = 0; i < c->sample_count; i++) {
        c->samples[i] = sorted[i].id;
        c->deltas[i] = i ? sorted[i].at - sorted[i - 1].at : sorted[i].at;
    }
    fg_free(c->ctx, sorted);
    return 0;
}

/* Deltas from the second on are not negative afterwards, and their sum fits. */
static int check_deltas(cpuprofile *c) {
    bool back = false;
    int64_t sum = 0;
    for (size_t i = 0; i < c->delta_count; i++) {
        int64_t size = c->deltas[i] < 0 ? -c->deltas[i] : c->deltas[i];
        if (!fg__add64(&sum, sum, size)) return too_long(c);
        back |= i > 0 && c->deltas[i] < 0;
    }
    return back ? sort_samples(c) : 0;
}

/* ---- pauses -------------------------------------------------------------------------------------------- */

/* The median of the deltas, to an eighth or so: counted in classes by their first four binary digits. */
static int64_t usual_delta(const cpuprofile *c) {
    enum { STEPS = 8 };
    size_t classes[64 * STEPS] = {0}, total = 0;
    for (size_t i = 1; i < c->delta_count; i++) {
        uint64_t d = (uint64_t)c->deltas[i];
        if (d < STEPS) continue; /* nothing samples that fast */
        unsigned top = 63 - (unsigned)__builtin_clzll(d);
        classes[top * STEPS + (d >> (top - 3)) % STEPS]++;
        total++;
    }
    size_t seen = 0, k = 0;
    while (k < 64 * STEPS && (seen += classes[k]) * 2 < total) k++;
    return total ? (int64_t)((uint64_t)(STEPS + k % STEPS) << (k / STEPS - 3)) : 0;
}

static bool is_javascriptcore(const cpuprofile *c) {
    return fg__cpuprofile_dated(c) && !c->has_outside;
}

static int leave_out_pauses(cpuprofile *c) {
    int64_t usual = is_javascriptcore(c) ? usual_delta(c) : 0, left_out = 0, sum = 0;
    if (usual == 0) return 0;
    for (size_t i = 1; i < c->delta_count; i++) {
        sum += c->deltas[i];
        if (c->deltas[i] / PAUSE <= usual) continue;
        left_out += c->deltas[i] - usual;
        c->deltas[i] = usual;
    }
    if (left_out <= sum / 100) return 0;
    return fg_profile_note(c->p,
                           "%.2f s without samples were taken as waiting: this engine does not sample it",
                           (double)left_out / 1e9);
}

/* ---- times --------------------------------------------------------------------------------------------- */

static int node_of_sample(uint32_t *out, const cpuprofile *c, size_t i) {
    *out = fg__ids_find(&c->ids, c->samples[i]);
    if (*out != FG__NONE) return 0;
    return fg__fail(c->ctx, FG_EFORMAT, "sample %zu is of node %lld, which does not exist", i,
                    (long long)c->samples[i]);
}

static int64_t first_time(const cpuprofile *c) {
    size_t n = c->sample_count;
    int64_t sum = 0;
    for (size_t i = 1; i < n; i++) sum += c->deltas[i];
    if (n > 1) return sum / (int64_t)(n - 1);
    double rest = (c->end - c->start) * 1000 - (double)c->deltas[0];
    return rest > 0 && rest < 1e18 ? llround(rest) : c->deltas[0] > 0 ? c->deltas[0] : 0;
}

/* Of one process, all threads have the same clock: slices keep it (fg__profile_merge_threads). */
static int64_t start_of(const cpuprofile *c) {
    static const double longest = 1e15; /* µs: far from what 64 bits have room for */
    return c->start > 0 && c->start < longest ? llround(c->start * 1000) : 0;
}

static int time_samples(cpuprofile *c) {
    int err = check_deltas(c);
    if (!err) err = leave_out_pauses(c);
    if (err) return err;
    int64_t first = first_time(c), at = start_of(c);
    for (size_t i = 0; i < c->sample_count && !err; i++) {
        uint32_t node;
        err = node_of_sample(&node, c, i);
        if (err) break;
        int64_t time = i ? c->deltas[i] : first;
        c->nodes[node].count++;
        if (!fg__add64(&c->nodes[node].time, c->nodes[node].time, time)) err = too_long(c);
        if (!err && c->options->slices) {
            if (!fg__add64(&at, at, c->deltas[i])) at = INT64_MAX;
            err = fg__slices_add(&c->slices, c->ctx, at, node, time);
        }
    }
    return err;
}

static int count_samples(cpuprofile *c) {
    int err = 0;
    for (size_t i = 0; i < c->sample_count && !err; i++) {
        uint32_t node;
        err = node_of_sample(&node, c, i);
        if (!err) c->nodes[node].count++;
    }
    for (size_t i = 0; i < c->ids.count && c->sample_count == 0; i++) c->nodes[i].count = c->nodes[i].hits;
    return err;
}

/* Each hit is the same part of the whole. */
static bool share_time(cpuprofile *c) {
    double all = 0, span = (c->end - c->start) * 1000;
    for (size_t i = 0; i < c->ids.count; i++) all += (double)c->nodes[i].count;
    if (!(all > 0 && span >= all && span < 9e18)) return false;
    for (size_t i = 0; i < c->ids.count; i++)
        c->nodes[i].time = llround(span * ((double)c->nodes[i].count / all));
    return true;
}

int fg__cpuprofile_time(bool *timed, cpuprofile *c) {
    if (c->sample_count && c->delta_count) {
        if (c->sample_count != c->delta_count)
            return fg__fail(c->ctx, FG_EFORMAT, "%zu samples, but %zu timeDeltas", c->sample_count,
                            c->delta_count);
        *timed = true;
        return time_samples(c);
    }
    int err = count_samples(c);
    *timed = !err && share_time(c);
    return err;
}
