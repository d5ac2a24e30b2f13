/*
 * Waits out of a recording of sched:sched_switch: each sample is of a thread that leaves its CPU, with its stack and
 * state, and the time until it is back is what it has waited.
 *
 *   SAMPLE   thread 7 leaves: stack, prev_state         SWITCH in (perf record --switch-events)   thread 7 is back
 *                                                    or SAMPLE of all threads (perf record -a)    next_pid is 7
 *
 * What is kept is one stack for each thread that waits.
 */
#include <stdio.h>
#include "formats/perf_data.h"

/* ---- is it such a recording? --------------------------------------------------------------------------- */

/* Where a field is in the raw data of the samples, by the text that the kernel describes the tracepoint with. */
static bool find_field(uint32_t *at, const char *text, const char *field, unsigned size) {
    char wanted[40];
    unsigned found = 0;
    snprintf(wanted, sizeof wanted, " %s;", field);
    const char *place = strstr(text, wanted);
    return place && sscanf(place + strlen(wanted), " offset:%u; size:%u", at, &found) == 2 && found == size;
}

static bool find_fields(fg__perf_waits *w, const fg__bytes *tracing) {
    static const char name[] = "name: sched_switch\n";
    char text[4096];
    size_t n = fg__bytes_left(tracing);
    const char *start = n ? memmem(tracing->p, n, name, sizeof name - 1) : NULL;
    if (!start) return false;
    n -= (size_t)(start - (const char *)tracing->p);
    snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), start);
    return find_field(&w->state_at, text, "prev_state", 8) && find_field(&w->next_at, text, "next_pid", 4);
}

/* Each switch is a sample. */
static const fg__perf_attr *find_attr(const fg__recording *d) {
    for (const fg__perf_attr *a = d->attrs; a < d->attrs + d->attr_count; a++)
        if (strncmp(a->name, "sched:sched_switch", 18) == 0 && (a->name[18] == ':' || !a->name[18]) &&
            a->sample_type & FG__SAMPLE_RAW && a->sample_type & FG__SAMPLE_TID && !a->by_frequency &&
            a->period == 1)
            return a;
    return NULL;
}

static bool tells_switches(const fg__recording *d) {
    bool any = false;
    for (size_t i = 0; i < d->attr_count; i++) any |= d->attrs[i].switches;
    return any && d->attrs[0].sample_id_all && d->attrs[0].sample_type & FG__SAMPLE_TID;
}

/* Whether it is of all threads there are: the one that stands for an idle CPU is among them. */
static bool is_of_all(const fg__recording *d, const fg__perf_attr *attr) {
    fg__perf_sample s;
    for (size_t i = 0; i < d->record_count; i++)
        if (fg__record_type(d->records[i].at) == FG__RECORD_SAMPLE &&
            fg__perf_sample_parse(&s, d, d->records[i].at) && s.attr == attr && s.tid == 0)
            return true;
    return false;
}

int fg__perf_waits_find(fg__recording *d) {
    const fg_read_options *o = d->options;
    fg__perf_waits *w = &d->waits;
    int err = fg__wait_filter_set(&w->filter, d->p->ctx, o->min_wait, o->max_wait, o->wait_states);
    const fg__perf_attr *attr = err || o->event ? NULL : find_attr(d);
    if (!attr || !find_fields(w, &d->tracing)) return err;
    w->by_next = !tells_switches(d);
    if (!w->by_next || is_of_all(d, attr)) w->attr = attr;
    return 0;
}

/* ---- waits --------------------------------------------------------------------------------------------- */

uint32_t fg__perf_wait_leaves(fg__recording *d, const fg__perf_sample *s) {
    const fg__perf_waits *w = &d->waits;
    uint32_t thread = s->tid ? fg__perf_find_thread(d, s->tid) : FG__NONE;
    if (thread < w->n && w->of[thread].goes_on) {
        d->lost++; /* its return, that is */
        w->of[thread].goes_on = false;
    }
    if (!s->tid || s->raw_size < 8 || w->state_at > s->raw_size - 8) return FG__STATE_GONE;
    uint32_t state = fg__wait_state(fg__load64(s->raw + w->state_at));
    return state != FG__STATE_GONE && w->filter.states >> state & 1 ? state : FG__STATE_GONE;
}

int fg__perf_wait_begins(fg__recording *d, const fg__perf_sample *s, uint32_t state, const uint32_t *frames,
                         size_t n) {
    fg_ctx *ctx = d->p->ctx;
    fg__perf_waits *w = &d->waits;
    uint32_t thread = fg__perf_find_thread(d, s->tid);
    if (thread == FG__NONE) return 0;
    int err = fg__grow(ctx, &w->of, &w->cap, (size_t)thread + 1, sizeof *w->of);
    for (; !err && w->n <= thread; w->n++) w->of[w->n] = (fg__perf_wait){0};
    if (!err) err = fg__grow(ctx, &w->of[thread].frames, &w->of[thread].cap, n, sizeof *frames);
    if (err) return err;
    fg__perf_wait *wait = &w->of[thread];
    memcpy(wait->frames, frames, n * sizeof *frames);
    wait->n = n;
    wait->goes_on = true;
    wait->since = s->time;
    wait->state = state;
    return 0;
}

const fg__perf_wait *fg__perf_wait_ends(uint64_t *ns, fg__recording *d, uint32_t thread, uint64_t time) {
    const fg__perf_waits *w = &d->waits;
    fg__perf_wait *wait = thread < w->n ? &w->of[thread] : NULL;
    if (!wait || !wait->goes_on) return NULL;
    bool counts = time >= wait->since && fg__wait_counts(&w->filter, wait->state, time - wait->since);
    *ns = counts ? time - wait->since : 0;
    wait->goes_on = false;
    return counts ? wait : NULL;
}

uint32_t fg__perf_who_returns(const fg__recording *d, const uint8_t *record) {
    if (d->waits.by_next || fg__record_misc(record) & FG__MISC_SWITCH_OUT) return FG__NONE;
    return fg__perf_find_thread(d, fg__perf_tid_of(d, record));
}

uint32_t fg__perf_who_is_next(const fg__recording *d, const fg__perf_sample *s) {
    if (!d->waits.by_next || s->raw_size < 4 || d->waits.next_at > s->raw_size - 4) return FG__NONE;
    return fg__perf_find_thread(d, fg__load32(s->raw + d->waits.next_at));
}

void fg__perf_waits_free(fg__recording *d) {
    for (size_t i = 0; i < d->waits.n; i++) fg_free(d->p->ctx, d->waits.of[i].frames);
    fg_free(d->p->ctx, d->waits.of);
}
