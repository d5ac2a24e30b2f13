/*
 * Which stacks a thread's CPU time went to. Known are the CPU time of each stretch of 10 ms and the stacks that were
 * seen in it, of which some may have been asleep: a loop that works for 5 ms and sleeps for 10 is seen asleep in most of
 * the stretches in which it took CPU time. A stretch without CPU time tells nothing but that, and is dropped.
 *
 * A sighting belongs to a place: where its innermost frame is and is called from. Each place p has an unknown rate r(p),
 * the CPU time of a sighting there. The CPU time of a stretch is divided in proportion to the rates of what was seen in
 * it; from what all stretches gave to a place follows a better rate, and so on:
 *
 *      share(stretch, p) = cpu(stretch) · n(stretch, p) · r(p) / Σ n(stretch, q) · r(q)
 *      r(p)              = Σ share(stretch, p) / Σ n(stretch, p)
 *
 * (expectation maximisation, as it is used to take a blur out of counts). Nothing is lost or made: what is divided sums
 * to the clocks.
 */
#include <math.h>
#include "sample/dotnet.h"

enum { ROUNDS = 40, USUAL_RATE = 1000000, SPENT_MAX = 256 };

/* ---- bringing together --------------------------------------------------------------------------------------------------- */

static int find_place(uint32_t *out, dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, uint32_t stack) {
    size_t n;
    const uint64_t *addresses = fg__nettrace_stack(trace, stack, &n);
    uint64_t hash = n ? fg__hash(addresses, (n < 2 ? n : 2) * sizeof *addresses) : 0;
    uint32_t id;
    for (uint32_t at = fg__table_first(&cpu->index, hash); (id = fg__table_id(&cpu->index, at)) != FG__NONE;
         at = fg__table_next(&cpu->index, at)) {
        *out = id;
        if (cpu->places[id] == hash) return 0;
    }
    int err = fg__grow(ctx, &cpu->places, &cpu->place_cap, cpu->place_count + 1, sizeof *cpu->places);
    if (!err) err = fg__grow(ctx, &cpu->rates, &cpu->rate_cap, cpu->place_count + 1, sizeof *cpu->rates);
    if (!err) err = fg__table_add(ctx, &cpu->index, hash, (uint32_t)cpu->place_count);
    if (err) return err;
    *out = (uint32_t)cpu->place_count++;
    cpu->places[*out] = hash;
    cpu->rates[*out] = USUAL_RATE;
    return 0;
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
static int match_stretch(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_thread *thread,
                         dn_stretch stretch, bool by_thread) {
    int err = 0;
    dn_span span = {.thread = by_thread ? thread->id : 0, .first = cpu->cell_count};
    thread->owed += stretch.cpu;
    for (; thread->sighting_at < thread->sighting_count && !err; thread->sighting_at++) {
        dn_sighting s = thread->sightings[thread->sighting_at];
        if (s.time >= stretch.until) break;
        if (thread->owed) err = add_cell(cpu, ctx, trace, &span, s.stack);
    }
    if (err || span.n == 0) return err;
    err = fg__grow(ctx, &cpu->spans, &cpu->span_cap, cpu->span_count + 1, sizeof *cpu->spans);
    if (err) return err;
    span.cpu = thread->owed;
    thread->owed = 0;
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

int dn_cpu_match(dn_cpu *cpu, fg_ctx *ctx, const fg__nettrace *trace, dn_thread *thread, int64_t time,
                 bool by_thread) {
    int err = 0;
    while (thread->stretch_at < thread->stretch_count && !err) {
        dn_stretch stretch = thread->stretches[thread->stretch_at];
        if (stretch.until > time) break;
        err = match_stretch(cpu, ctx, trace, thread, stretch, by_thread);
        thread->stretch_at++;
    }
    drop_spent(thread->stretches, sizeof *thread->stretches, &thread->stretch_at, &thread->stretch_count);
    drop_spent(thread->sightings, sizeof *thread->sightings, &thread->sighting_at, &thread->sighting_count);
    return err;
}

/* ---- dividing ------------------------------------------------------------------------------------------------------------ */

static double weight_of(const dn_cpu *cpu, const dn_span *span) {
    double sum = 0;
    for (size_t i = span->first; i < span->first + span->n; i++)
        sum += cpu->cells[i].n * cpu->rates[cpu->cells[i].place];
    return sum;
}

/* One round of better rates; `given` and `seen` are as long as `rates`. */
static void improve(dn_cpu *cpu, double *given, double *seen) {
    for (size_t i = 0; i < cpu->place_count; i++) given[i] = seen[i] = 0;
    for (size_t i = 0; i < cpu->span_count; i++) {
        const dn_span *span = &cpu->spans[i];
        double weight = weight_of(cpu, span);
        for (size_t c = span->first; c < span->first + span->n; c++) {
            const dn_cell *cell = &cpu->cells[c];
            seen[cell->place] += cell->n;
            if (weight > 0)
                given[cell->place] += (double)span->cpu * cell->n * cpu->rates[cell->place] / weight;
        }
    }
    for (size_t i = 0; i < cpu->place_count; i++)
        if (seen[i] > 0) cpu->rates[i] = given[i] / seen[i];
}

/* What a stretch gave: whole nanoseconds, the rest of one cell in the next. */
static int divide(dn_cpu *cpu, fg_ctx *ctx, fg__tally *tally, const dn_span *span, int64_t period) {
    double weight = weight_of(cpu, span), sum = 0;
    int64_t given = 0;
    int err = 0;
    for (size_t c = span->first; c < span->first + span->n && !err; c++) {
        const dn_cell *cell = &cpu->cells[c];
        bool last = c + 1 == span->first + span->n;
        sum += weight > 0 ? cell->n * cpu->rates[cell->place] / weight : (double)cell->n;
        int64_t until = last ? span->cpu : (int64_t)((double)span->cpu * fmin(sum, 1)), value = until - given;
        given = until;
        cpu->counted += (double)value / (double)period;
        int64_t count = (int64_t)fmin(floor(cpu->counted), cell->n);
        cpu->counted -= (double)count;
        if (value) err = fg__tally_add(ctx, tally, span->thread, cell->stack, count, value);
    }
    return err;
}

int dn_cpu_share(dn_cpu *cpu, fg_ctx *ctx, fg__tally *tally, int64_t period) {
    double *scratch = fg__calloc(ctx, 2 * cpu->place_count + 1, sizeof *scratch);
    if (!scratch) return FG_ENOMEM;
    int err = 0;
    for (int i = 0; i < ROUNDS; i++) improve(cpu, scratch, scratch + cpu->place_count);
    for (size_t i = 0; i < cpu->span_count && !err; i++)
        err = divide(cpu, ctx, tally, &cpu->spans[i], period);
    cpu->span_count = cpu->cell_count = 0;
    fg_free(ctx, scratch);
    return err;
}

void dn_cpu_free(fg_ctx *ctx, dn_cpu *cpu) {
    void *owned[] = {cpu->cells, cpu->spans, cpu->rates, cpu->places, cpu->index.slots};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(ctx, owned[i]);
}
