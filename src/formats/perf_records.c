/*
 * Finding the records. They are noted with their times and put in order: each processor's buffer is in order, but they
 * were written one after the other, and a mapping must be known before a sample in it is looked at.
 */
#include "formats/perf_data.h"

/* ---- sorting ------------------------------------------------------------------------------------------- */

/* Where the run of records in order ends that begins at `from`. */
static size_t run_end(const fg__perf_record *r, size_t from, size_t n) {
    size_t i = from + 1;
    while (i < n && r[i - 1].time <= r[i].time) i++;
    return i < n ? i : n;
}

static void merge(fg__perf_record *to, const fg__perf_record *r, size_t from, size_t middle, size_t end) {
    size_t a = from, b = middle;
    for (size_t i = from; i < end; i++)
        to[i] = a < middle && (b == end || r[a].time <= r[b].time) ? r[a++] : r[b++];
}

/* Merge neighbouring runs until one is left: few passes, as the runs are long. Equal times stay in their order. */
static int sort(fg__recording *d) {
    size_t n = d->record_count;
    if (n == 0 || run_end(d->records, 0, n) == n) return 0;
    fg__perf_record *from = d->records, *to = fg__alloc(d->p->ctx, n * sizeof *to), *spare = to;
    if (!to) return FG_ENOMEM;
    for (bool sorted = false; !sorted;) {
        sorted = true;
        for (size_t start = 0, middle, end; start < n; start = end) {
            middle = run_end(from, start, n);
            end = middle < n ? run_end(from, middle, n) : n;
            merge(to, from, start, middle, end);
            if (start || end < n) sorted = false;
        }
        fg__perf_record *swap = from;
        from = to;
        to = swap;
    }
    d->records = from;
    d->record_cap = n;
    fg_free(d->p->ctx, from == spare ? to : spare);
    return 0;
}

/* ---- compressed records -------------------------------------------------------------------------------- */

static int walk(fg__recording *d, fg__bytes *data, bool packed);

/* Room for what one compressed record unpacks to, behind the rest of the last one. */
static int unpack(fg__recording *d, fg__bytes packed) {
    enum { BLOCK = 1 << 17 };
    fg_ctx *ctx = d->p->ctx;
    if (!d->zstd && !(d->zstd = ZSTD_createDStream())) return fg__nomem(ctx);
    ZSTD_inBuffer in = {packed.p, fg__bytes_left(&packed), 0};
    size_t produced = 1;
    while (in.pos < in.size || produced) {
        int err = fg__grow(ctx, &d->rest.bytes, &d->rest.cap, d->rest.n + BLOCK, 1);
        if (err) return err;
        ZSTD_outBuffer out = {d->rest.bytes + d->rest.n, BLOCK, 0};
        size_t before = in.pos, z = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(z))
            return fg__in_fail_byte(d->in, FG_EFORMAT, "a compressed record: %s (damaged file?)",
                                    ZSTD_getErrorName(z));
        produced = out.pos;
        d->rest.n += produced;
        d->unpacked_bytes += produced;
        if (d->unpacked_bytes > fg__max_input(d->options))
            return fg__fail(ctx, FG_ELIMIT,
                            "%s: more than %llu bytes once decompressed; --max-input raises the limit",
                            d->in->name, (unsigned long long)fg__max_input(d->options));
        if (!produced && in.pos == before) break;
    }
    return 0;
}

static int on_compressed(fg__recording *d, fg__bytes packed) {
    int err = unpack(d, packed);
    if (err || !d->rest.n) return err;
    char *kept = fg__arena_copy(d->p->ctx, &d->unpacked, d->rest.bytes, d->rest.n);
    if (!kept) return FG_ENOMEM;
    fg__bytes data = {(const uint8_t *)kept, (const uint8_t *)kept + d->rest.n, false};
    err = walk(d, &data, true);
    size_t left = fg__bytes_left(&data);
    if (left) memmove(d->rest.bytes, data.p, left);
    d->rest.n = left;
    return err;
}

/* ---- walking ------------------------------------------------------------------------------------------- */

/* Names of events that came out of a pipe: "EVENT_UPDATE" of kind NAME. */
static int on_event_update(fg__recording *d, fg__bytes b) {
    enum { NAME = 2 };
    uint64_t kind = fg__bytes_64(&b), id = fg__bytes_64(&b);
    fg__slice name = fg__bytes_text(&b, fg__bytes_left(&b));
    for (size_t i = 0; i < d->id_count && kind == NAME; i++)
        if (d->ids[i].id == id) fg__perf_set_name(&d->attrs[d->ids[i].attr], name);
    return 0;
}

static int on_attr(fg__recording *d, fg__bytes b) {
    uint64_t size = fg__bytes_left(&b) >= 8 ? fg__load32(b.p + 4) : 0;
    fg__bytes attr = b;
    if (!size || !fg__bytes_skip(&b, size)) return 0;
    attr.end = b.p;
    return fg__perf_add_attr(d, attr, b);
}

/* Records of perf's own, which come before what they are about. */
static int on_own(fg__recording *d, const uint8_t *record, uint32_t type) {
    fg__bytes b = fg__record_body(record);
    switch (type) {
    case FG__RECORD_HEADER_ATTR: return on_attr(d, b);
    case FG__RECORD_BUILD_ID: return fg__perf_add_build(d, record);
    case FG__RECORD_EVENT_UPDATE: return on_event_update(d, b);
    case FG__RECORD_FEATURE: {
        uint64_t feature = fg__bytes_64(&b);
        return fg__perf_feature(d, feature, b);
    }
    default: return 0;
    }
}

/* Records that are followed by bytes which are none; how many. */
static uint64_t tail_of(const uint8_t *record, uint32_t type) {
    fg__bytes b = fg__record_body(record);
    if (type == FG__RECORD_AUXTRACE) return fg__bytes_64(&b);
    if (type == FG__RECORD_TRACING_DATA) return ((uint64_t)fg__bytes_32(&b) + 7) & ~(uint64_t)7;
    return 0;
}

static int note_record(fg__recording *d, const uint8_t *record) {
    int err = fg__grow(d->p->ctx, &d->records, &d->record_cap, d->record_count + 1, sizeof *d->records);
    if (!err) d->records[d->record_count++] = (fg__perf_record){0, record};
    return err;
}

/* `packed`: the last record may go on in what is unpacked next; data->p is left at its start. */
static int walk(fg__recording *d, fg__bytes *data, bool packed) {
    while (fg__bytes_left(data) >= FG__RECORD_HEADER) {
        const uint8_t *record = data->p;
        uint32_t type = fg__record_type(record), size = fg__record_size(record);
        if (size < FG__RECORD_HEADER) {
            d->in->p = packed ? d->in->p : record;
            return fg__in_fail_byte(d->in, FG_EFORMAT, "a record of %u bytes (damaged file?)", size);
        }
        if (size > fg__bytes_left(data)) break;
        data->p += size;
        int err = 0;
        fg__bytes body = fg__record_body(record);
        if (type < FG__RECORD_USER)
            err = note_record(d, record);
        else if (type == FG__RECORD_COMPRESSED && !packed)
            err = on_compressed(d, body);
        else if (type == FG__RECORD_COMPRESSED2 && !packed) {
            uint64_t n = fg__bytes_64(&body);
            if (n < fg__bytes_left(&body)) body.end = body.p + n;
            err = on_compressed(d, body);
        } else
            err = on_own(d, record, type);
        if (err) return err;
        uint64_t tail = tail_of(record, type);
        const uint8_t *behind = tail ? fg__bytes_skip(data, tail) : NULL;
        if (tail && !behind) break;
        if (type == FG__RECORD_TRACING_DATA) d->tracing = (fg__bytes){behind, data->p, false};
    }
    return 0;
}

int fg__perf_find_records(fg__recording *d, fg__bytes data) {
    int err = walk(d, &data, false);
    if (err) return err;
    bool cut = fg__bytes_left(&data) || d->rest.n;
    if (cut) err = fg_profile_note(d->p, "the file ends in the middle of a record: what follows is missing");
    fg__perf_attrs_done(d);
    for (size_t i = 0; i < d->record_count && !err; i++) {
        fg__perf_record *r = &d->records[i];
        r->time = fg__perf_time_of(d, r->at);
        if (fg__record_type(r->at) == FG__RECORD_KSYMBOL) err = fg__perf_on_kernel_code(d, r->at);
    }
    return err ? err : sort(d);
}
