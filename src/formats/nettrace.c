/* nettrace: objects, and the trace as a profile of wall-clock time. */
#include "formats/nettrace.h"
#include <time.h>
#include "formats/nettrace_inside.h"

static const char magic[] = "Nettrace", serialization[] = "!FastSerialization.1";
enum {
    MAGIC = sizeof magic - 1,
    SERIALIZATION = sizeof serialization - 1,
    HEAD = MAGIC + 4 + SERIALIZATION,
    BEGIN_OBJECT = 5,
    END_OBJECT = 6,
    NULL_REFERENCE = 1,
    NAME_MAX = 64,
    TRACE_SIZE = 48,
    BLOCK_MAX = 256 << 20,
    BLOCK_ALIGN = 4,
    WRITERS_MAX_VERSION = 5 /* 6 is laid out otherwise */
};

/* ---- windows on the input ------------------------------------------------------------------------------------------- */

/* See that n bytes are in the window. */
static int need(fg__nettrace *trace, size_t n) {
    int more = fg__in_need(trace->in, n);
    if (more) return more < 0 ? more : 0;
    trace->cut = true;
    trace->in->p = trace->in->end;
    return fg__in_fail_byte(trace->in, FG_EFORMAT, "the trace ends early: was it cut off?");
}

static int take(bytes *out, fg__nettrace *trace, size_t n) {
    int err = need(trace, n);
    if (err) return err;
    *out = (bytes){trace->in->p, trace->in->p + n, NULL};
    return 0;
}

static int expect_tag(fg__nettrace *trace, uint8_t tag) {
    int err = need(trace, 1);
    if (err) return err;
    if (*trace->in->p != tag)
        return fg__in_fail_byte(trace->in, FG_EFORMAT, "tag %d where %d belongs", *trace->in->p, tag);
    trace->in->p++;
    return 0;
}

/* ---- objects -------------------------------------------------------------------------------------------------------- */

static int read_head(fg__nettrace *trace) {
    bytes b;
    int err = take(&b, trace, HEAD);
    if (err) return err;
    if (memcmp(b.p, magic, MAGIC) != 0)
        return fg__in_fail_byte(trace->in, FG_EFORMAT, "it does not begin with %s", magic);
    b.p += MAGIC;
    if (take_u32(&b) != SERIALIZATION || memcmp(b.p, serialization, SERIALIZATION) != 0)
        return fg__in_fail_byte(
            trace->in, FG_EFORMAT,
            "this version of nettrace is not known here; .NET Core 3 to .NET 10 write version 4");
    trace->in->p += HEAD;
    trace->began = true;
    return 0;
}

static int64_t since_1970(bytes *b) {
    struct tm tm = {0};
    tm.tm_year = take_u16(b) - 1900;
    tm.tm_mon = take_u16(b) - 1;
    take_u16(b); /* the day of the week */
    tm.tm_mday = take_u16(b);
    tm.tm_hour = take_u16(b);
    tm.tm_min = take_u16(b);
    tm.tm_sec = take_u16(b);
    int64_t milliseconds = take_u16(b), seconds = timegm(&tm);
    bool fits = seconds >= 0 && seconds < INT64_MAX / 1000000000 - 100;
    return fits ? seconds * 1000000000 + milliseconds * 1000000 : 0;
}

static int read_trace(fg__nettrace *trace) {
    bytes b;
    int err = take(&b, trace, TRACE_SIZE);
    if (err) return err;
    trace->head.start = since_1970(&b);
    uint64_t clock = take_u64(&b);
    trace->ticks = take_u64(&b);
    uint32_t pointer = take_u32(&b);
    trace->head.pid = take_u32(&b);
    take_u32(&b); /* processors */
    trace->head.period = take_u32(&b);
    if (trace->ticks == 0 || trace->ticks > INT64_MAX)
        return fg__in_fail_byte(trace->in, FG_EFORMAT, "a clock of %llu ticks a second",
                                (unsigned long long)trace->ticks);
    if (pointer != sizeof(uint64_t))
        return fg__in_fail_byte(trace->in, FG_EUNSUPPORTED,
                                "addresses of %u bytes: only 64-bit processes are read", pointer);
    __extension__ typedef unsigned __int128 u128;
    trace->head.clock = (int64_t)(uint64_t)((u128)clock * 1000000000u / trace->ticks);
    trace->in->p += TRACE_SIZE;
    return 0;
}

static int read_stack_block(fg__nettrace *trace, bytes *b) {
    return fg__nettrace_read_stacks(trace->ctx, &trace->stacks, b);
}

/* What is in the blocks of each kind; others are passed over. */
static const struct {
    const char *name;
    int (*read)(fg__nettrace *trace, bytes *b);
} blocks[] = {
    {"EventBlock", fg__nettrace_read_events},
    {"MetadataBlock", fg__nettrace_read_metadata},
    {"StackBlock", read_stack_block},
    {"SPBlock", fg__nettrace_read_sequence_point},
};

/* A block: its size, bytes up to a multiple of 4 from the start of the input, and what is in it. */
static int read_block(fg__nettrace *trace, const char *name) {
    bytes b;
    int err = take(&b, trace, 4);
    if (err) return err;
    uint32_t size = take_u32(&b);
    if (size > BLOCK_MAX)
        return fg__in_fail_byte(trace->in, FG_EFORMAT, "a block of %u bytes, more than any runtime writes",
                                size);
    trace->in->p += 4;
    size_t padding = (size_t)(-fg__in_offset(trace->in) & (BLOCK_ALIGN - 1));
    err = take(&b, trace, padding + size);
    if (err) return err;
    b.p += padding;
    if (!trace->ticks) b.wrong = "a block before the trace's clock is known";
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks && !b.wrong; i++)
        if (strcmp(blocks[i].name, name) == 0) err = blocks[i].read(trace, &b);
    if (!err && b.wrong) err = fg__in_fail_byte(trace->in, FG_EFORMAT, "%s: %s", name, b.wrong);
    trace->in->p += padding + size;
    return err;
}

/* An object's type is an object itself: begin, begin, null, version, least version, name, end. */
static int read_type(char name[NAME_MAX], fg__nettrace *trace) {
    static const uint8_t tags[] = {BEGIN_OBJECT, NULL_REFERENCE};
    bytes b;
    for (size_t i = 0; i < sizeof tags; i++) {
        int err = expect_tag(trace, tags[i]);
        if (err) return err;
    }
    int err = take(&b, trace, 12);
    if (err) return err;
    uint32_t version = take_u32(&b), least = take_u32(&b), n = take_u32(&b);
    if (least > WRITERS_MAX_VERSION)
        return fg__in_fail_byte(trace->in, FG_EUNSUPPORTED,
                                "version %u of the format, which is not known here", version);
    if (n >= NAME_MAX) return fg__in_fail_byte(trace->in, FG_EFORMAT, "an object with a name of %u bytes", n);
    trace->in->p += 12;
    err = take(&b, trace, n);
    if (err) return err;
    memcpy(name, b.p, n);
    name[n] = '\0';
    trace->in->p += n;
    return expect_tag(trace, END_OBJECT);
}

int fg__nettrace_next(fg__nettrace *trace) {
    char name[NAME_MAX];
    int err = trace->began ? 0 : read_head(trace);
    if (!err) err = need(trace, 1);
    if (err) return err;
    if (*trace->in->p == NULL_REFERENCE) {
        trace->in->p++;
        return 0;
    }
    err = expect_tag(trace, BEGIN_OBJECT);
    if (!err) err = read_type(name, trace);
    if (!err) err = strcmp(name, "Trace") == 0 ? read_trace(trace) : read_block(trace, name);
    if (!err) err = expect_tag(trace, END_OBJECT);
    return err ? err : 1;
}

/* ---- the decoder ---------------------------------------------------------------------------------------------------- */

int fg__nettrace_new(fg__nettrace **out, fg_in *in, uint64_t max, fg__nettrace_sink *sink, void *user) {
    fg__nettrace *trace = fg__calloc(in->ctx, 1, sizeof *trace);
    if (!trace) return FG_ENOMEM;
    *trace = (fg__nettrace){.ctx = in->ctx,
                            .in = in,
                            .sink = sink,
                            .user = user,
                            .budget = max / sizeof *trace->frames,
                            .names.unknown = FG__NONE,
                            .names.stub = FG__NONE};
    *out = trace;
    return 0;
}

void fg__nettrace_free(fg__nettrace *trace) {
    if (!trace) return;
    fg_ctx *ctx = trace->ctx;
    fg__nettrace_free_stacks(ctx, &trace->stacks);
    fg__nettrace_free_names(ctx, &trace->names);
    void *owned[] = {trace->events.meanings,   trace->events.writers, trace->events.writer_index.slots,
                     trace->events.text.bytes, trace->frames,         trace};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(ctx, owned[i]);
}

bool fg__nettrace_is_cut(const fg__nettrace *trace) {
    return trace->cut;
}

fg__nettrace_head fg__nettrace_head_of(const fg__nettrace *trace) {
    return trace->head;
}

const uint64_t *fg__nettrace_stack(const fg__nettrace *trace, uint32_t stack, size_t *n) {
    const stacks *s = &trace->stacks;
    *n = 0;
    if (stack == FG__NONE) return NULL;
    *n = s->start[stack + 1] - s->start[stack];
    return s->addresses + s->start[stack];
}

int fg__nettrace_add(fg__nettrace *trace, fg_profile *p, uint32_t prefix, uint32_t stack,
                     const int64_t *values, uint32_t *id) {
    size_t n, count = 0;
    const uint64_t *addresses = fg__nettrace_stack(trace, stack, &n);
    if (n + 1 > trace->budget)
        return fg__fail(trace->ctx, FG_ELIMIT, "the stacks of the trace take too much room; raise max_input");
    trace->budget -= n + 1;
    int err = fg__grow(trace->ctx, &trace->frames, &trace->frame_cap, n + 1, sizeof *trace->frames);
    if (err) return err;
    if (prefix != FG__NONE) trace->frames[count++] = prefix;
    for (size_t i = n; i-- > 0;) {
        /* an address that is returned to is behind its call, which may be the last instruction of its method */
        err = fg__nettrace_frame(&trace->frames[count++], &trace->names, p, addresses[i] - (i > 0),
                                 i == 0 && n > 1);
        if (err) return err;
    }
    return fg__stack_put(p, trace->frames, count, values, id);
}

/* ---- the tally ------------------------------------------------------------------------------------------------------ */

int fg__tally_add(fg_ctx *ctx, fg__tally *tally, uint64_t thread, uint32_t stack, int64_t count,
                  int64_t value) {
    uint64_t hash = fg__mix(thread ^ 0x9e3779b97f4a7c15u, stack ^ 0xd6e8feb86659fd93u);
    uint32_t id;
    for (uint32_t at = fg__table_first(&tally->index, hash);
         (id = fg__table_id(&tally->index, at)) != FG__NONE; at = fg__table_next(&tally->index, at)) {
        fg__tally_row *row = &tally->rows[id];
        if (row->thread != thread || row->stack != stack) continue;
        tally->latest = id;
        bool fits = fg__add64(&row->count, row->count, count) && fg__add64(&row->value, row->value, value);
        return fits ? 0 : fg__fail(ctx, FG_ELIMIT, "the time of a stack is more than 2^63 - 1 ns");
    }
    int err = fg__grow(ctx, &tally->rows, &tally->cap, tally->n + 1, sizeof *tally->rows);
    if (!err) err = fg__table_add(ctx, &tally->index, hash, (uint32_t)tally->n);
    if (err) return err;
    tally->latest = (uint32_t)tally->n;
    tally->rows[tally->n++] = (fg__tally_row){thread, stack, count, value};
    return 0;
}

void fg__tally_free(fg_ctx *ctx, fg__tally *tally) {
    fg_free(ctx, tally->rows);
    fg_free(ctx, tally->index.slots);
}
