/* A sample taken apart, as far as its stack; and the times of all records. */
#include "formats/perf_data.h"

static unsigned bits(uint64_t set) {
    return (unsigned)__builtin_popcountll(set);
}

static const fg__perf_attr *attr_with_id(const fg__recording *d, uint64_t id) {
    size_t low = 0, high = d->id_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (d->ids[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->id_count && d->ids[low].id == id ? &d->attrs[d->ids[low].attr] : NULL;
}

/* Where a sample's id is: at its front, or behind fields that are the same for all events. */
static const fg__perf_attr *attr_of(const fg__recording *d, fg__bytes b) {
    const uint64_t before = FG__SAMPLE_IP | FG__SAMPLE_TID | FG__SAMPLE_TIME | FG__SAMPLE_ADDR;
    uint64_t type = d->attrs[0].sample_type;
    if (d->attr_count == 1) return &d->attrs[0];
    if (type & FG__SAMPLE_IDENTIFIER) return attr_with_id(d, fg__bytes_64(&b));
    if (!(type & FG__SAMPLE_ID)) return &d->attrs[0];
    fg__bytes_skip(&b, 8 * bits(type & before));
    return attr_with_id(d, fg__bytes_64(&b));
}

/* The time behind a record that is no sample: the fields there are those of a sample, of 8 bytes each. */
static uint64_t trailing_time(const fg__perf_attr *a, const uint8_t *record) {
    const uint64_t behind =
        FG__SAMPLE_TIME | FG__SAMPLE_ID | FG__SAMPLE_STREAM_ID | FG__SAMPLE_CPU | FG__SAMPLE_IDENTIFIER;
    size_t back = 8 * bits(a->sample_type & behind), size = fg__record_size(record);
    if (!a->sample_id_all || !(a->sample_type & FG__SAMPLE_TIME) || back + FG__RECORD_HEADER > size) return 0;
    return fg__load64(record + size - back);
}

uint64_t fg__perf_time_of(const fg__recording *d, const uint8_t *record) {
    if (!d->attr_count) return 0;
    if (fg__record_type(record) != FG__RECORD_SAMPLE) return trailing_time(&d->attrs[0], record);
    fg__bytes b = fg__record_body(record);
    const fg__perf_attr *a = attr_of(d, b);
    if (!a || !(a->sample_type & FG__SAMPLE_TIME)) return 0;
    fg__bytes_skip(&b, 8 * bits(a->sample_type & (FG__SAMPLE_IDENTIFIER | FG__SAMPLE_IP | FG__SAMPLE_TID)));
    return fg__bytes_64(&b);
}

uint32_t fg__perf_tid_of(const fg__recording *d, const uint8_t *record) {
    const uint64_t behind = FG__SAMPLE_TID | FG__SAMPLE_TIME | FG__SAMPLE_ID | FG__SAMPLE_STREAM_ID |
                            FG__SAMPLE_CPU | FG__SAMPLE_IDENTIFIER;
    const fg__perf_attr *a = d->attrs;
    size_t size = fg__record_size(record), back = a ? 8 * bits(a->sample_type & behind) : 0;
    if (!a || !a->sample_id_all || !(a->sample_type & FG__SAMPLE_TID) || back + FG__RECORD_HEADER > size)
        return 0;
    return fg__load32(record + size - back + 4);
}

static void skip_read(fg__bytes *b, uint64_t format) {
    enum { TIMES = 3, ID = 4, GROUP = 8, LOST = 16 };
    unsigned each = 1 + bits(format & (ID | LOST)), times = bits(format & TIMES);
    if (!(format & GROUP)) {
        fg__bytes_skip(b, 8 * (each + times));
        return;
    }
    uint64_t count = fg__bytes_64(b);
    fg__bytes_skip(b, 8 * times);
    fg__bytes_skip(b, count > UINT32_MAX ? UINT64_MAX : count * 8 * each);
}

static void skip_branches(fg__bytes *b, uint64_t branch_type) {
    enum { INDEX = 1 << 17, COUNTERS = 1 << 19, ENTRY = 24 };
    uint64_t count = fg__bytes_64(b);
    if (branch_type & INDEX) fg__bytes_64(b);
    uint64_t each = ENTRY + (branch_type & COUNTERS ? 8 : 0);
    fg__bytes_skip(b, count > UINT32_MAX ? UINT64_MAX : count * each);
}

static void take_stack(fg__perf_sample *s, fg__bytes *b, const fg__perf_attr *a) {
    if (a->sample_type & FG__SAMPLE_RAW) {
        s->raw_size = fg__bytes_32(b);
        s->raw = fg__bytes_skip(b, s->raw_size);
    }
    if (a->sample_type & FG__SAMPLE_BRANCH_STACK) skip_branches(b, a->branch_type);
    if (a->sample_type & FG__SAMPLE_REGS_USER) {
        s->regs_abi = fg__bytes_64(b);
        if (s->regs_abi) s->regs = fg__bytes_skip(b, 8 * bits(a->regs_user));
    }
    if (!(a->sample_type & FG__SAMPLE_STACK_USER)) return;
    uint64_t size = fg__bytes_64(b);
    if (!size) return;
    s->stack = fg__bytes_skip(b, size);
    uint64_t used = fg__bytes_64(b);
    s->stack_size = s->stack ? used < size ? used : size : 0;
}

bool fg__perf_sample_parse(fg__perf_sample *out, const fg__recording *d, const uint8_t *record) {
    fg__bytes b = fg__record_body(record);
    const fg__perf_attr *a = d->attr_count ? attr_of(d, b) : NULL;
    *out = (fg__perf_sample){.attr = a,
                             .in_user = (fg__record_misc(record) & FG__MISC_CPUMODE) == FG__MISC_USER};
    if (!a) return false;
    uint64_t type = a->sample_type;
    if (type & FG__SAMPLE_IDENTIFIER) fg__bytes_64(&b);
    if (type & FG__SAMPLE_IP) out->ip = fg__bytes_64(&b);
    if (type & FG__SAMPLE_TID) out->pid = fg__bytes_32(&b), out->tid = fg__bytes_32(&b);
    if (type & FG__SAMPLE_TIME) out->time = fg__bytes_64(&b);
    fg__bytes_skip(
        &b, 8 * bits(type & (FG__SAMPLE_ADDR | FG__SAMPLE_ID | FG__SAMPLE_STREAM_ID | FG__SAMPLE_CPU)));
    out->has_period = type & FG__SAMPLE_PERIOD;
    out->period = out->has_period ? fg__bytes_64(&b) : a->by_frequency ? 1 : a->period;
    if (type & FG__SAMPLE_READ) skip_read(&b, a->read_format);
    if (type & FG__SAMPLE_CALLCHAIN) {
        out->chain_count = fg__bytes_64(&b);
        out->chain = fg__bytes_skip(&b, out->chain_count > UINT16_MAX ? UINT64_MAX : out->chain_count * 8);
    }
    take_stack(out, &b, a);
    return !b.failed;
}
