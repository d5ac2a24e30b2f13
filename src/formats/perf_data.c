/* perf.data: records in the order of their times. Tasks and mappings are kept up to date, samples become stacks. */
#include <stdio.h>
#include "formats/perf_data.h"

enum { USUAL_DEPTH = 127, UNWOUND_MAX = 1024 };

typedef struct reader {
    fg__recording d;
    uint32_t *stack; /* fills from its end: the innermost frame comes first */
    size_t top, cap;
    int64_t samples, empty, truncated;
    bool periods_differ, has_period;
    uint64_t period, first_time, last_time;
    uint32_t events_met; /* set of 1 << column */
    fg__slices slices;   /* of the first column that is met; only for options->slices */
    size_t slice_column;
} reader;

/* ---- stacks -------------------------------------------------------------------------------------------- */

static int push(reader *r, uint32_t frame) {
    if (r->top == 0) {
        size_t used = r->cap;
        int err = fg__grow(r->d.p->ctx, &r->stack, &r->cap, used + 1, sizeof *r->stack);
        if (err) return err;
        r->top = r->cap - used;
        memmove(r->stack + r->top, r->stack, used * sizeof *r->stack);
    }
    r->stack[--r->top] = frame;
    return 0;
}

static int push_address(reader *r, fg__space *space, uint64_t address, bool returning) {
    const uint32_t *frames;
    size_t n;
    int err = fg__space_frames(&frames, &n, space, address, returning);
    for (size_t i = 0; i < n && !err; i++) err = push(r, frames[i]);
    return err;
}

/*
 * The kernel's call chain: addresses, and marks between them that say in whose code those that follow are. Behind the
 * mark of the user's code, an address in the kernel's half is nothing that is known: it was no chain of frame pointers.
 * Nor is one of a virtual machine's guest, whose kernel is another one.
 */
static int push_chain(reader *r, fg__space *space, const fg__perf_sample *s, size_t *depth) {
    const uint64_t marks = (uint64_t)-4095, user = (uint64_t)-512, guest = (uint64_t)-2048;
    bool first = true, in_user = false, in_guest = false;
    int err = 0;
    for (uint64_t i = 0; i < s->chain_count && !err; i++) {
        uint64_t address = fg__load64(s->chain + 8 * i);
        if (address >= marks) {
            first = true;
            in_user = address == user;
            in_guest = address <= guest;
            continue;
        }
        if (in_guest || (in_user && fg__is_kernel_address(address))) address = 0;
        err = push_address(r, space, address, !first);
        first = false;
        ++*depth;
    }
    return err;
}

/* What the registers and the copy of the stack lead to: all that was in user code, where they were recorded. */
static int push_copy(reader *r, fg__space *space, const fg__perf_sample *s) {
    enum { ABI_64 = 2 };
    uint64_t addresses[UNWOUND_MAX], values[64] = {0};
    fg__registers registers;
    size_t n = 0;
    int err = 0;
    if (s->regs_abi != ABI_64 || r->d.machine == FG__MACHINES)
        return s->in_user && s->ip ? push_address(r, space, s->ip, false) : 0;
    for (int i = 0; i < __builtin_popcountll(s->attr->regs_user); i++)
        values[i] = fg__load64(s->regs + 8 * i);
    fg__registers_of_machine(&registers, r->d.machine, s->attr->regs_user, values);
    r->truncated += fg__unwind(addresses, &n, UNWOUND_MAX, space, &registers, s->stack, s->stack_size) !=
                    FG__UNWOUND_WHOLE;
    if (!n && s->in_user && s->ip) addresses[n++] = s->ip;
    for (size_t i = 0; i < n && !err; i++) err = push_address(r, space, addresses[i], i > 0);
    return err;
}

/* The outermost frame: the thread's name, and its numbers where they are asked for. */
static int thread_frame(uint32_t *out, reader *r, fg__perf_thread_state *t, const fg__perf_sample *s) {
    const fg_read_options *o = r->d.options;
    if (t->frame == FG__NONE) {
        char text[96], comm[sizeof t->comm];
        memcpy(comm, t->comm, sizeof comm);
        for (char *c = comm; *c; c++)
            if (*c == ' ') *c = '_';
        if (o->with_tid)
            snprintf(text, sizeof text, "%s-%d/%d", comm, (int)s->pid, (int)s->tid);
        else if (o->with_pid)
            snprintf(text, sizeof text, "%s-%d", comm, (int)s->pid);
        else
            snprintf(text, sizeof text, "%s", comm);
        fg_frame frame = {.name = text};
        int err = fg_profile_frame(&t->frame, r->d.p, &frame);
        if (err) return err;
    }
    *out = t->frame;
    return 0;
}

/* ---- samples ------------------------------------------------------------------------------------------- */

static void count_sample(reader *r, const fg__perf_sample *s) {
    if (!r->samples++) r->period = s->period;
    if (!r->first_time) r->first_time = s->time;
    r->has_period |= s->has_period || !s->attr->by_frequency;
    r->periods_differ |= s->period != r->period;
    r->events_met |= 1u << s->attr->column;
    if (s->time > r->last_time) r->last_time = s->time;
}

/* What weighs nothing is counted: see set_types. */
static bool is_counted(const reader *r) {
    return r->d.column_count == 1 && !r->has_period;
}

static int add_stack(reader *r, const fg__perf_sample *s, const uint32_t *frames, size_t n) {
    count_sample(r, s);
    fg_profile *p = r->d.p;
    int64_t values[FG_MAX_TYPES] = {0};
    if (r->d.column_count == 1) values[1] = 1;
    values[s->attr->column] = s->period <= INT64_MAX ? (int64_t)s->period : INT64_MAX;
    uint32_t id;
    int err = fg__stack_put(p, frames, n, values, &id);
    if (err || !r->d.options->slices || s->time > INT64_MAX) return err;
    if (r->samples == 1) r->slice_column = is_counted(r) ? 1 : (size_t)s->attr->column;
    if (!values[r->slice_column]) return 0;
    int64_t time = (int64_t)s->time, value = values[r->slice_column];
    if (s->attr == r->d.waits.attr) return fg__slices_span(&r->slices, p->ctx, time - value, time, id, value);
    return fg__slices_add(&r->slices, p->ctx, time, id, value);
}

/* Push the sample's frames, innermost first. */
static int push_stack(reader *r, fg__space *space, const fg__perf_sample *s) {
    size_t depth = 0, most = s->attr->stack_max ? s->attr->stack_max : USUAL_DEPTH;
    int err = 0;
    if (s->chain)
        err = push_chain(r, space, s, &depth);
    else if (s->ip)
        err = push_address(r, space, s->ip, false);
    r->truncated += depth >= most;
    bool copied = s->attr->sample_type & FG__SAMPLE_STACK_USER;
    return err || !copied ? err : push_copy(r, space, s);
}

/* A thread is back on a CPU: what it did until then is a wait. */
static int end_wait(reader *r, uint32_t thread, uint64_t time) {
    uint64_t ns;
    const fg__perf_wait *wait = fg__perf_wait_ends(&ns, &r->d, thread, time);
    if (!wait) return 0;
    fg__perf_sample s = {.attr = r->d.waits.attr, .time = time, .period = ns, .has_period = true};
    return add_stack(r, &s, wait->frames, wait->n);
}

/* They begin where the first wait does, not where it ends. */
static int begin_slices(reader *r, uint64_t time) {
    if (!r->d.options->slices || time > INT64_MAX) return 0;
    return fg__slices_add(&r->slices, r->d.p->ctx, (int64_t)time, 0, 0);
}

/* A thread leaves its CPU, and another one may come back with that: pushes the innermost frame. */
static int leave(uint32_t *state, reader *r, const fg__perf_sample *s) {
    uint32_t id, next = fg__perf_who_is_next(&r->d, s);
    *state = fg__perf_wait_leaves(&r->d, s);
    int err = r->first_time ? 0 : begin_slices(r, s->time);
    if (!r->first_time) r->first_time = s->time;
    if (!err && next != FG__NONE) err = end_wait(r, next, s->time);
    if (err || *state == FG__STATE_GONE) return err;
    fg_frame frame = {.name = fg__wait_state_name(*state), .kind = FG_KIND_WAITING};
    err = fg_profile_frame(&id, r->d.p, &frame);
    return err ? err : push(r, id);
}

static int on_switch(reader *r, const fg__perf_record *record) {
    if (!r->d.waits.attr) return 0;
    uint32_t thread = fg__perf_who_returns(&r->d, record->at);
    return thread == FG__NONE ? 0 : end_wait(r, thread, record->time);
}

/* Who waits still has waited until the end. */
static int end_waits(reader *r) {
    int err = 0;
    uint64_t time = r->d.record_count ? r->d.records[r->d.record_count - 1].time : 0;
    for (size_t i = 0; i < r->d.waits.n && !err; i++) err = end_wait(r, (uint32_t)i, time);
    return err;
}

static int on_sample(reader *r, const uint8_t *record) {
    fg__perf_sample s;
    fg__perf_thread_state *t;
    uint32_t outermost, state = FG__STATE_RUNNABLE;
    if (!fg__perf_sample_parse(&s, &r->d, record)) {
        r->d.damaged++;
        return 0;
    }
    if (s.attr->column < 0) return 0;
    bool waits = s.attr == r->d.waits.attr;
    r->top = r->cap;
    int err = waits ? leave(&state, r, &s) : 0;
    if (err || state == FG__STATE_GONE) return err;
    size_t before = r->cap - r->top;
    err = fg__perf_thread_of(&t, &r->d, s.pid, s.tid);
    if (!err) err = push_stack(r, r->d.processes[t->process].space, &s);
    if (err) return err;
    if (r->cap - r->top == before) {
        r->empty++;
        return 0;
    }
    err = thread_frame(&outermost, r, t, &s);
    if (!err) err = push(r, outermost);
    if (err) return err;
    const uint32_t *frames = r->stack + r->top;
    size_t n = r->cap - r->top;
    return waits ? fg__perf_wait_begins(&r->d, &s, state, frames, n) : add_stack(r, &s, frames, n);
}

static void on_lost(fg__recording *d, const uint8_t *record) {
    fg__bytes b = fg__record_body(record);
    if (fg__record_type(record) == FG__RECORD_LOST) fg__bytes_64(&b); /* of which event */
    uint64_t n = fg__bytes_64(&b);
    if (n < INT32_MAX) d->lost += (int64_t)n;
}

static int replay(reader *r) {
    int err = 0;
    for (size_t i = 0; i < r->d.record_count && !err; i++) {
        const uint8_t *record = r->d.records[i].at;
        uint32_t type = fg__record_type(record);
        if (type == FG__RECORD_SAMPLE)
            err = on_sample(r, record);
        else if (type == FG__RECORD_LOST || type == FG__RECORD_LOST_SAMPLES)
            on_lost(&r->d, record);
        else if (type == FG__RECORD_SWITCH || type == FG__RECORD_SWITCH_CPU_WIDE)
            err = on_switch(r, &r->d.records[i]);
        else
            err = fg__perf_on_task(&r->d, record);
    }
    return err ? err : end_waits(r);
}

/* ---- the profile --------------------------------------------------------------------------------------- */

/* The default column: that of the first event which has samples, unless nothing says what a sample weighs. */
static int set_types(reader *r) {
    fg_profile *p = r->d.p;
    size_t column = (size_t)__builtin_ctz(r->events_met);
    const char *name = fg_profile_type(p, column).name, *unit = fg_profile_type(p, column).unit;
    bool single = r->d.column_count == 1;
    char type[96];
    snprintf(type, sizeof type, "%s/%s", name, unit);
    int err = fg_meta_set_text(p, "default_type", is_counted(r) ? "samples" : name);
    if (!err && single) err = fg_meta_set_text(p, "period_type", type);
    if (!err && single && !r->periods_differ && r->period <= INT64_MAX)
        err = fg_meta_set_number(p, "period", (int64_t)r->period);
    return err;
}

/* "WHAT: cycles, instructions": the events with a column, or those without. */
static int note_events(reader *r, bool with_column, const char *format) {
    fg__buffer names;
    int err = fg__perf_event_names(&names, &r->d, with_column);
    if (!err && names.n) err = fg_profile_note(r->d.p, format, (int)names.n, names.bytes);
    fg_free(r->d.p->ctx, names.bytes);
    return err;
}

static int add_notes(reader *r) {
    fg_profile *p = r->d.p;
    int err = 0;
    if (r->d.column_count > 1)
        err = note_events(r, true, "the recording has several events, of which --type chooses one: %.*s");
    if (!err) err = note_events(r, false, "the recording has events that are left out: %.*s");
    if (!err && r->d.elsewhere)
        err = fg_profile_note(p,
                              "recorded on another machine, %s: only binaries that are here with the same "
                              "build id give names",
                              fg_meta_text(p, "host"));
    if (!err && r->d.damaged)
        err = fg_profile_note(p, "%llu samples are cut short in the file and left out",
                              (unsigned long long)r->d.damaged);
    return err ? err : fg__symbols_notes(r->d.symbols);
}

static int set_metadata(reader *r) {
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"samples", r->samples},
                   {"failed", r->empty},
                   {"truncated", r->truncated},
                   {"lost", r->d.lost},
                   {"duration", (int64_t)(r->last_time - r->first_time)}};
    int err = set_types(r);
    if (!err) err = fg_meta_set_text(r->d.p, "collector", "perf");
    if (!err) err = fg_meta_set_text(r->d.p, "source", "perf.data");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++)
        err = fg_meta_set_number(r->d.p, numbers[i].key, numbers[i].value);
    if (!err) err = fg__slices_keep(&r->slices, r->d.p, r->slice_column, NULL);
    return err ? err : add_notes(r);
}

static int fail_empty(reader *r) {
    fg_ctx *ctx = r->d.p->ctx;
    fg__buffer names;
    int err = fg__perf_event_names(&names, &r->d, false);
    if (err) return err;
    if (r->empty)
        err = fg__fail(ctx, FG_EEMPTY,
                       "%s: perf.data: none of the %lld samples has a stack: record with `perf record -g`",
                       r->d.in->name, (long long)r->empty);
    else if (r->d.options->event && names.n)
        err = fg__fail(ctx, FG_EEMPTY, "%s: perf.data: no sample of the event \"%s\"; there are: %.*s",
                       r->d.in->name, r->d.options->event, (int)names.n, names.bytes);
    else if (r->d.waits.attr)
        err = fg__fail(ctx, FG_EEMPTY, "%s: perf.data: no thread waited in a way that counts", r->d.in->name);
    else
        err = fg__fail(ctx, FG_EEMPTY, "%s: perf.data: no samples: did the program run while perf recorded?",
                       r->d.in->name);
    fg_free(ctx, names.bytes);
    return err;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static int read_whole(fg_in *in, const fg_read_options *options) {
    int more;
    while ((more = fg__in_more(in)) > 0)
        if ((uint64_t)(in->end - in->p) > fg__max_input(options))
            return fg__fail(in->ctx, FG_ELIMIT, "%s: more than %llu bytes; --max-input raises the limit",
                            in->name, (unsigned long long)fg__max_input(options));
    return more;
}

static int read_records(reader *r) {
    fg__bytes data;
    int err = fg__perf_read_header(&r->d, &data);
    if (!err) err = fg__perf_find_records(&r->d, data);
    if (!err) err = fg__perf_waits_find(&r->d);
    if (!err) err = fg__perf_set_columns(&r->d);
    if (!err) fg__perf_set_kernel(&r->d, 0);
    if (!err) err = replay(r);
    if (!err) err = r->samples ? set_metadata(r) : fail_empty(r);
    return err;
}

static void release(reader *r) {
    fg_ctx *ctx = r->d.p->ctx;
    fg__symbols_free(r->d.symbols);
    fg__perf_waits_free(&r->d);
    void *blocks[] = {r->d.attrs,     r->d.ids,
                      r->d.builds,    r->d.build_index.slots,
                      r->d.records,   r->d.rest.bytes,
                      r->d.processes, r->d.process_index.slots,
                      r->d.threads,   r->d.thread_index.slots,
                      r->stack};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) fg_free(ctx, blocks[i]);
    fg__slices_free(&r->slices, ctx);
    if (r->d.zstd) ZSTD_freeDStream(r->d.zstd);
    fg__arena_free(ctx, &r->d.unpacked);
}

static bool is_foreign(const uint8_t *head, size_t n) {
    return n >= 8 && memcmp(head, "2ELIFREP", 8) == 0;
}

static int read_perf_data(fg_profile *p, fg_in *in, const fg_read_options *options) {
    int err = fg__in_need(in, 16);
    if (err < 0) return err;
    if (is_foreign(in->p, (size_t)(in->end - in->p)))
        return fg__fail(in->ctx, FG_EUNSUPPORTED,
                        "%s: perf.data of a machine with the other byte order: print it there with `perf "
                        "script > perf.txt` and give that",
                        in->name);
    if (err == 0 || memcmp(in->p, "PERFILE2", 8) != 0)
        return fg__in_fail_byte(in, FG_EFORMAT, "it does not begin with PERFILE2");
    err = read_whole(in, options);
    if (err < 0) return err;
    reader r = {.d = {.p = p, .in = in, .options = options, .start = in->p, .end = in->end}};
    if (options->annotate_kernel) p->annotations |= 1u << FG_KIND_KERNEL;
    if (options->annotate_jit) p->annotations |= 1u << FG_KIND_JIT;
    fg__symbols_options how = {.lines = options->lines,
                               .addresses = options->addresses,
                               .mangled = options->mangled,
                               .inlined = options->inlined};
    err = fg__symbols_new(&r.d.symbols, in->ctx, p, &how);
    if (!err) err = read_records(&r);
    release(&r);
    in->p = in->end;
    return err;
}

static int probe(const uint8_t *head, size_t n) {
    return (n >= 8 && memcmp(head, "PERFILE2", 8) == 0) || is_foreign(head, n) ? 100 : 0;
}

const fg_format fg__perf_data = {
    .name = "perf.data",
    .summary = "recording by `perf record`",
    .suffixes = ".data",
    .probe = probe,
    .read = read_perf_data,
};
