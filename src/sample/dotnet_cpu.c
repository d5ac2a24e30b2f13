/*
 * Which stacks a thread's CPU time went to. Known are the CPU time of each stretch of some milliseconds and the stacks that
 * were seen in it, of which some may have been asleep: a loop that works for 2 ms and waits for 5 is seen waiting in most
 * of the stretches in which it took CPU time.
 *
 * A sighting belongs to a place: where its innermost frame is and is called from. Each place p has an unknown rate r(p),
 * the CPU time of a sighting there. The CPU time of a stretch is divided in proportion to the rates of what was seen in
 * it; from what all stretches gave to a place, those without CPU time included, follows a better rate, and so on:
 *
 *      share(stretch, p) = cpu(stretch) · n(stretch, p) · r(p) / Σ n(stretch, q) · r(q)
 *      r(p)              = Σ share(stretch, p) / Σ n(stretch, p)
 *
 * (expectation maximisation, as it is used to take a blur out of counts). A thread that works for a moment is often seen
 * waiting before and after, and not in between. So a stretch that took several times the CPU time that its sightings
 * explain gives the rest back: it goes to all that its thread was seen at, as far as that took CPU time. Nothing is lost
 * or made: what is divided sums to the clocks.
 */
#include <math.h>
#include "sample/dotnet.h"

enum { ROUNDS = 40, USUAL_RATE = 1000000, SPENT_MAX = 256 };
static const double most_explained = 3; /* times what the rates of a stretch's sightings say */

/* ---- bringing together --------------------------------------------------------------------------------------------------- */

static int find_place(uint32_t *out, dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, uint32_t stack) {
    size_t n;
    const uint64_t *addresses = fg__nettrace_stack(trace, stack, &n);
    uint64_t hash = n ? fg__hash(addresses, (n < 2 ? n : 2) * sizeof *addresses) : 0;
    uint32_t id;
    for (uint32_t at = fg__table_first(&cpu->index, hash); (id = fg__table_id(&cpu->index, at)) != FG__NONE;
         at = fg__table_next(&cpu->index, at)) {
        *out = id;
        if (cpu->places[id].hash == hash) return 0;
    }
    int err = fg__grow(ctx, &cpu->places, &cpu->place_cap, cpu->place_count + 1, sizeof *cpu->places);
    if (!err) err = fg__table_add(ctx, &cpu->index, hash, (uint32_t)cpu->place_count);
    if (err) return err;
    *out = (uint32_t)cpu->place_count++;
    cpu->places[*out] = (dn_place){.hash = hash, .rate = USUAL_RATE};
    return 0;
}

static int add_idle(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, uint32_t stack) {
    uint32_t place;
    int err = find_place(&place, cpu, ctx, trace, stack);
    if (!err) cpu->places[place].idle++;
    return err;
}

static int add_cell(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_span *span, uint32_t stack) {
    for (size_t i = span->first; i < span->first + span->n; i++) {
        if (cpu->cells[i].stack != stack) continue;
        cpu->cells[i].n++;
        return 0;
    }
    dn_cell cell = {.stack = stack, .n = 1};
    int err = find_place(&cell.place, cpu, ctx, trace, stack);
    if (!err) err = fg__grow(ctx, &cpu->cells, &cpu->cell_cap, cpu->cell_count + 1, sizeof *cpu->cells);
    if (err) return err;
    cpu->cells[cpu->cell_count++] = cell;
    span->n++;
    return 0;
}

/* One stretch. CPU time for which no stack was seen, as while garbage was collected, waits for the next that is. */
static int match_stretch(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_threads *threads, size_t i,
                         dn_stretch stretch) {
    int err = 0;
    dn_thread *thread = &threads->at[i];
    dn_span span = {.thread = i,
                    .from = stretch.from == INT64_MIN ? stretch.until - stretch.cpu : stretch.from,
                    .until = stretch.until,
                    .cpu = stretch.cpu,
                    .late = thread->owed,
                    .first = cpu->cell_count};
    for (; thread->sighting_at < thread->sighting_count && !err; thread->sighting_at++) {
        dn_sighting s = thread->sightings[thread->sighting_at];
        if (s.time >= stretch.until) break;
        err = stretch.cpu ? add_cell(cpu, ctx, trace, &span, s.stack) : add_idle(cpu, ctx, trace, s.stack);
    }
    if (!err && span.n == 0) {
        thread->owed += stretch.cpu;
        if (stretch.cpu && span.from < thread->owing) thread->owing = span.from;
        if (cpu->slices && stretch.cpu && thread->seen == INT64_MIN)
            err = fg__slices_span(cpu->slices, ctx, span.from, span.until, dn_slice_thread(i), stretch.cpu);
    }
    if (err || span.n == 0) return err;
    err = fg__grow(ctx, &cpu->spans, &cpu->span_cap, cpu->span_count + 1, sizeof *cpu->spans);
    if (err) return err;
    thread->owed = 0;
    if (thread->owing < span.from) span.from = thread->owing;
    thread->owing = INT64_MAX;
    cpu->spans[cpu->span_count++] = span;
    return 0;
}

/* Move what is still to be looked at to the front of its list. */
static void drop_spent(void *list, size_t size, size_t *at, size_t *count) {
    if (*at < SPENT_MAX && *at < *count) return;
    if (*at) memmove(list, (char *)list + *at * size, (*count - *at) * size);
    *count -= *at;
    *at = 0;
}

/* Where the last stretch goes on without CPU time, so that a thread may sleep for days. */
static int pass_idle(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_thread *thread) {
    int err = 0;
    if (thread->stretch_at == thread->stretch_count) return 0;
    const dn_stretch *stretch = &thread->stretches[thread->stretch_at];
    for (; stretch->cpu == 0 && thread->sighting_at < thread->sighting_count && !err; thread->sighting_at++) {
        const dn_sighting *s = &thread->sightings[thread->sighting_at];
        if (s->time >= stretch->until - DN_KERNEL_TICK) break;
        err = add_idle(cpu, ctx, trace, s->stack);
    }
    return err;
}

static int match_thread(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_threads *threads, size_t i,
                        int64_t time) {
    int err = 0;
    dn_thread *thread = &threads->at[i];
    bool whole = time == INT64_MAX; /* else where the last stretch ends is not certain yet */
    while (thread->stretch_at + !whole < thread->stretch_count && !err) {
        dn_stretch stretch = thread->stretches[thread->stretch_at];
        if (stretch.until > time) break;
        err = match_stretch(cpu, ctx, trace, threads, i, stretch);
        thread->stretch_at++;
    }
    if (!err) err = pass_idle(cpu, ctx, trace, thread);
    drop_spent(thread->stretches, sizeof *thread->stretches, &thread->stretch_at, &thread->stretch_count);
    drop_spent(thread->sightings, sizeof *thread->sightings, &thread->sighting_at, &thread->sighting_count);
    return err;
}

int dn_cpu_match(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_threads *threads, int64_t time) {
    int err = 0;
    for (size_t i = 0; i < threads->count && !err; i++) err = match_thread(cpu, ctx, trace, threads, i, time);
    return err;
}

/* ---- dividing ------------------------------------------------------------------------------------------------------------ */

static double weight_of(const dn_cpu *cpu, const dn_span *span) {
    double sum = 0;
    for (size_t i = span->first; i < span->first + span->n; i++)
        sum += cpu->cells[i].n * cpu->places[cpu->cells[i].place].rate;
    return sum;
}

static double explained(const dn_span *span, double weight) {
    return fmin((double)span->cpu, most_explained * weight);
}

static void improve(dn_cpu *cpu) {
    for (size_t i = 0; i < cpu->place_count; i++) {
        cpu->places[i].seen = cpu->places[i].idle;
        cpu->places[i].given = 0;
    }
    for (size_t i = 0; i < cpu->span_count; i++) {
        const dn_span *span = &cpu->spans[i];
        double weight = weight_of(cpu, span);
        for (size_t c = span->first; c < span->first + span->n; c++) {
            dn_place *place = &cpu->places[cpu->cells[c].place];
            place->seen += cpu->cells[c].n;
            if (weight > 0) place->given += explained(span, weight) * cpu->cells[c].n * place->rate / weight;
        }
    }
    for (size_t i = 0; i < cpu->place_count; i++)
        if (cpu->places[i].seen > 0) cpu->places[i].rate = cpu->places[i].given / cpu->places[i].seen;
}

/* What a stretch takes more than its sightings explain goes to where its thread's CPU time went otherwise. */
static void balance(dn_cpu *cpu, dn_threads *threads) {
    for (size_t i = 0; i < threads->count; i++) threads->at[i].explained = threads->at[i].rest = 0;
    for (size_t i = 0; i < cpu->span_count; i++) {
        dn_span *span = &cpu->spans[i];
        double part = explained(span, weight_of(cpu, span));
        if (part < (double)span->cpu) { /* what is late was not seen either */
            span->cpu += span->late;
            span->late = 0;
        }
        threads->at[span->thread].explained += part;
        threads->at[span->thread].rest += (double)span->cpu - part;
    }
    for (size_t i = 0; i < cpu->span_count; i++) {
        dn_span *span = &cpu->spans[i];
        dn_thread *thread = &threads->at[span->thread];
        double part = explained(span, weight_of(cpu, span));
        if (thread->explained <= 0) continue;
        /* whole nanoseconds; what they lack waits in `owed`, for the thread's next or its end */
        int64_t balanced = (int64_t)(part * (1 + thread->rest / thread->explained));
        thread->owed += span->cpu - balanced;
        span->cpu = balanced;
    }
}

/* What a stretch gave: whole nanoseconds, the rest of one cell in the next. */
static int divide(dn_cpu *cpu, fg_ctx *ctx, fg__tally *tally, const dn_span *span, uint64_t thread,
                  int64_t period) {
    double weight = weight_of(cpu, span), sum = 0;
    int64_t whole = span->cpu + span->late, given = 0;
    int err = 0;
    for (size_t c = span->first; c < span->first + span->n && !err; c++) {
        const dn_cell *cell = &cpu->cells[c];
        bool last = c + 1 == span->first + span->n;
        sum += weight > 0 ? cell->n * cpu->places[cell->place].rate / weight : (double)cell->n;
        int64_t until = last ? whole : (int64_t)((double)whole * fmin(sum, 1)), value = until - given;
        given = until;
        cpu->counted += (double)value / (double)period;
        int64_t count = (int64_t)fmin(floor(cpu->counted), cell->n);
        cpu->counted -= (double)count;
        if (value) err = fg__tally_add(ctx, tally, thread, cell->stack, count, value);
        if (!err && value && cpu->slices)
            err = fg__slices_span(cpu->slices, ctx, span->from, span->until, dn_slice_row(tally->latest),
                                  value);
    }
    return err;
}

int dn_cpu_share(dn_cpu *cpu, fg_ctx *ctx, fg__tally *tally, dn_threads *threads, int64_t period,
                 bool by_thread) {
    int err = 0;
    for (int i = 0; i < ROUNDS; i++) improve(cpu);
    balance(cpu, threads);
    for (size_t i = 0; i < cpu->span_count && !err; i++) {
        const dn_span *span = &cpu->spans[i];
        err = divide(cpu, ctx, tally, span, by_thread ? threads->at[span->thread].id : 0, period);
    }
    cpu->span_count = cpu->cell_count = 0;
    for (size_t i = 0; i < cpu->place_count; i++) cpu->places[i].idle = 0;
    return err;
}

void dn_cpu_free(fg_ctx *ctx, dn_cpu *cpu) {
    void *owned[] = {cpu->cells, cpu->spans, cpu->places, cpu->index.slots};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(ctx, owned[i]);
}
