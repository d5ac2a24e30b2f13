/* The events of a block, and what metadata says they mean. Their headers are differences to the event before. */
#include "formats/nettrace_inside.h"

/* ---- bytes -------------------------------------------------------------------------------------------------------- */

uint64_t fg__nettrace_varint(bytes *b) {
    uint64_t value = 0;
    for (unsigned shift = 0; b->p < b->end; shift += 7) {
        uint8_t byte = *b->p++;
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    b->wrong = "a number that does not end, or of more than 64 bits";
    b->p = b->end;
    return 0;
}

bytes fg__nettrace_part(bytes *b, size_t n) {
    size_t left = (size_t)(b->end - b->p);
    if (n > left) {
        b->wrong = "a length that is larger than what is there";
        n = left;
    }
    bytes part = {b->p, b->p + n, b->wrong};
    b->p += n;
    return part;
}

/* ---- metadata ------------------------------------------------------------------------------------------------------ */

/* The runtime gives these events no names, only numbers. */
static const struct {
    const char *provider;
    uint32_t event;
    meaning meaning;
} known[] = {
    {"Microsoft-DotNETCore-SampleProfiler", 0, MEANS_SAMPLE},
    {"Microsoft-Windows-DotNETRuntimeRundown", 144, MEANS_METHOD}, /* MethodDCEndVerbose */
    {"Microsoft-Windows-DotNETRuntimeRundown", 143, MEANS_METHOD}, /* MethodDCStartVerbose */
    {"Microsoft-Windows-DotNETRuntimeRundown", 154, MEANS_MODULE}, /* ModuleDCEnd */
    {"Microsoft-Windows-DotNETRuntimeRundown", 153, MEANS_MODULE}, /* ModuleDCStart */
    {"Microsoft-Windows-DotNETRuntime", 143, MEANS_METHOD},        /* MethodLoadVerbose */
    {"Microsoft-Windows-DotNETRuntime", 152, MEANS_MODULE},        /* ModuleLoad */
};

enum { MEANINGS_MAX = 1 << 20 };

/* What is in front of an event. */
typedef struct header {
    uint32_t number, sequence, stack, size;
    uint64_t writer, thread, time;
} header;

static int add_meaning(fg__nettrace *trace, const header *h, bytes *b) {
    (void)h;
    events *e = &trace->events;
    uint32_t number = take_u32(b);
    e->text.n = 0;
    int err = fg__nettrace_text(trace->ctx, &e->text, b);
    uint32_t event = take_u32(b);
    if (err || b->wrong) return err;
    meaning means = MEANS_NOTHING;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].event == event && strcmp(known[i].provider, e->text.bytes) == 0)
            means = known[i].meaning;
    if (number >= MEANINGS_MAX) {
        b->wrong = "an event with a number that no runtime gives";
        return 0;
    }
    err = fg__grow(trace->ctx, &e->meanings, &e->meaning_cap, (size_t)number + 1, 1);
    if (err) return err;
    while (e->meaning_count <= number) e->meanings[e->meaning_count++] = MEANS_NOTHING;
    e->meanings[number] = (uint8_t)means;
    return 0;
}

/* ---- headers ------------------------------------------------------------------------------------------------------- */

enum {
    HAS_NUMBER = 0x01,
    HAS_WRITER = 0x02,
    HAS_THREAD = 0x04,
    HAS_STACK = 0x08,
    HAS_ACTIVITY = 0x10,
    HAS_RELATED = 0x20,
    HAS_SIZE = 0x80,
    ID_SIZE = 16
};

static void next_header(header *h, bytes *b) {
    uint64_t flags = take_fixed(b, 1);
    if (flags & HAS_NUMBER) h->number = (uint32_t)fg__nettrace_varint(b);
    if (flags & HAS_WRITER) {
        h->sequence += (uint32_t)fg__nettrace_varint(b);
        h->writer = fg__nettrace_varint(b);
        fg__nettrace_varint(b); /* the processor */
    }
    if (h->number) h->sequence++;
    if (flags & HAS_THREAD) h->thread = fg__nettrace_varint(b);
    if (flags & HAS_STACK) h->stack = (uint32_t)fg__nettrace_varint(b);
    h->time += fg__nettrace_varint(b); /* wraps: a difference can be negative */
    if (flags & HAS_ACTIVITY) fg__nettrace_part(b, ID_SIZE);
    if (flags & HAS_RELATED) fg__nettrace_part(b, ID_SIZE);
    if (flags & HAS_SIZE) h->size = (uint32_t)fg__nettrace_varint(b);
}

/* The block's own head: its size, flags, and the times between which its events are. */
static bool skip_head(bytes *b) {
    uint16_t size = take_u16(b), flags = take_u16(b);
    if (!b->wrong && size < 4) b->wrong = "a head that is too short";
    if (!b->wrong && !(flags & 1))
        b->wrong = "events whose headers are not compressed, which is not known here";
    fg__nettrace_part(b, size < 4 ? 0 : size - 4u);
    return !b->wrong;
}

/* ---- what is lost --------------------------------------------------------------------------------------------------- */

static int find_writer(writer **out, fg__nettrace *trace, uint64_t thread) {
    events *e = &trace->events;
    uint64_t hash = fg__hash(&thread, sizeof thread);
    uint32_t id;
    for (uint32_t at = fg__table_first(&e->writer_index, hash);
         (id = fg__table_id(&e->writer_index, at)) != FG__NONE; at = fg__table_next(&e->writer_index, at)) {
        *out = &e->writers[id];
        if ((*out)->thread == thread) return 0;
    }
    int err = fg__grow(trace->ctx, &e->writers, &e->writer_cap, e->writer_count + 1, sizeof *e->writers);
    if (!err) err = fg__table_add(trace->ctx, &e->writer_index, hash, (uint32_t)e->writer_count);
    if (err) return err;
    *out = &e->writers[e->writer_count++];
    **out = (writer){.thread = thread};
    return 0;
}

/* Numbers that were left out are events that found no room. One that goes back is a thread that is not the same. */
static void count_lost(writer *w, uint32_t sequence) {
    uint32_t gap = sequence - w->sequence;
    if (gap < UINT32_MAX / 2) w->lost += gap;
    w->sequence = sequence;
}

int64_t fg__nettrace_lost(const fg__nettrace *trace) {
    int64_t sum = 0;
    for (size_t i = 0; i < trace->events.writer_count; i++)
        if (trace->events.writers[i].samples) sum += trace->events.writers[i].lost;
    return sum;
}

/* ---- events --------------------------------------------------------------------------------------------------------- */

static int64_t nanoseconds(const fg__nettrace *trace, uint64_t ticks) {
    __extension__ typedef unsigned __int128 u128;
    return (int64_t)(uint64_t)((u128)ticks * 1000000000u / trace->ticks);
}

static int sample(fg__nettrace *trace, const header *h) {
    fg__nettrace_sample s = {.thread = h->thread,
                             .time = nanoseconds(trace, h->time),
                             .stack = fg__nettrace_find_stack(&trace->stacks, h->stack),
                             .observer = h->writer};
    return trace->sink(trace->user, &s);
}

static int event(fg__nettrace *trace, const header *h, bytes *payload) {
    const events *e = &trace->events;
    meaning means = h->number < e->meaning_count ? e->meanings[h->number] : MEANS_NOTHING;
    writer *w = NULL;
    int err = find_writer(&w, trace, h->writer);
    if (err) return err;
    count_lost(w, h->sequence - 1);
    w->sequence = h->sequence;
    switch (means) {
    case MEANS_SAMPLE: w->samples = true; return sample(trace, h);
    case MEANS_METHOD: return fg__nettrace_read_method(trace->ctx, &trace->names, payload);
    case MEANS_MODULE: return fg__nettrace_read_module(trace->ctx, &trace->names, payload);
    case MEANS_NOTHING: break;
    }
    return 0;
}

/* Each event of a block; `visit` gets its payload alone. */
static int each_event(fg__nettrace *trace, bytes *b, int (*visit)(fg__nettrace *, const header *, bytes *)) {
    header h = {0};
    int err = 0;
    if (!skip_head(b)) return 0;
    while (b->p < b->end && !err && !b->wrong) {
        next_header(&h, b);
        bytes payload = fg__nettrace_part(b, h.size);
        if (!b->wrong) err = visit(trace, &h, &payload);
        if (!b->wrong) b->wrong = payload.wrong;
    }
    return err;
}

int fg__nettrace_read_metadata(fg__nettrace *trace, bytes *b) {
    return each_event(trace, b, add_meaning);
}

int fg__nettrace_read_events(fg__nettrace *trace, bytes *b) {
    return each_event(trace, b, event);
}

int fg__nettrace_read_sequence_point(fg__nettrace *trace, bytes *b) {
    take_u64(b);
    uint32_t n = take_u32(b);
    for (uint32_t i = 0; i < n && !b->wrong; i++) {
        uint64_t thread = take_u64(b);
        uint32_t sequence = take_u32(b);
        writer *w = NULL;
        int err = b->wrong ? 0 : find_writer(&w, trace, thread);
        if (err) return err;
        if (w) count_lost(w, sequence);
    }
    fg__nettrace_forget_stacks(&trace->stacks);
    return 0;
}
