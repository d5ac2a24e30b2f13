/* The header of perf.data: events, and the features behind the data; or the same as records, out of a pipe. */
#include <sys/utsname.h>
#include "formats/perf_data.h"

enum { FILE_HEADER = 104, PIPE_HEADER = 16, ATTR_MIN = 64, ATTRS_MAX = 4096, IDS_MAX = 1 << 22 };
enum {
    FEATURE_TRACING_DATA = 1,
    FEATURE_BUILD_ID = 2,
    FEATURE_HOSTNAME = 3,
    FEATURE_OSRELEASE = 4,
    FEATURE_ARCH = 6,
    FEATURE_CMDLINE = 11,
    FEATURE_EVENT_DESC = 12,
    FEATURES = 256
};

/* ---- events -------------------------------------------------------------------------------------------- */

/* A field of struct perf_event_attr, which older ones may not have. */
static uint64_t field(fg__bytes attr, size_t at) {
    return fg__bytes_skip(&attr, at) ? fg__bytes_64(&attr) : 0;
}

int fg__perf_add_attr(fg__recording *d, fg__bytes attr, fg__bytes ids) {
    enum { FREQUENCY = 1 << 10, ID_ALL = 1 << 18, SWITCHES = 1 << 26 };
    fg_ctx *ctx = d->p->ctx;
    if (fg__bytes_left(&attr) < ATTR_MIN || d->attr_count == ATTRS_MAX) return 0;
    int err = fg__grow(ctx, &d->attrs, &d->attr_cap, d->attr_count + 1, sizeof *d->attrs);
    if (err) return err;
    uint64_t flags = field(attr, 40);
    fg__perf_attr *a = &d->attrs[d->attr_count];
    *a = (fg__perf_attr){.type = fg__load32(attr.p),
                         .config = field(attr, 8),
                         .period = field(attr, 16),
                         .sample_type = field(attr, 24),
                         .read_format = field(attr, 32),
                         .branch_type = field(attr, 72),
                         .regs_user = field(attr, 80),
                         .stack_max = (uint16_t)(field(attr, 104) >> 32),
                         .by_frequency = flags & FREQUENCY,
                         .sample_id_all = flags & ID_ALL,
                         .switches = flags & SWITCHES};
    for (; fg__bytes_left(&ids) >= 8 && d->id_count < IDS_MAX && !err;) {
        err = fg__grow(ctx, &d->ids, &d->id_cap, d->id_count + 1, sizeof *d->ids);
        if (!err) d->ids[d->id_count++] = (fg__perf_id){fg__bytes_64(&ids), (uint32_t)d->attr_count};
    }
    d->attr_count++;
    return err;
}

/* ---- features ------------------------------------------------------------------------------------------ */

/* A length of 4 bytes and so many bytes, padded by NULs. */
static fg__slice text(fg__bytes *b) {
    uint32_t n = fg__bytes_32(b);
    return fg__bytes_text(b, n);
}

static int set_text(fg__recording *d, const char *key, fg__buffer *value) {
    int err = value->n ? fg_meta_set_text(d->p, key, value->bytes) : 0;
    fg_free(d->p->ctx, value->bytes);
    return err;
}

/* A machine of another name is another machine: its processes and files are not those that are here. */
static int on_hostname(fg__recording *d, fg__bytes b) {
    fg__buffer value = {0};
    struct utsname here;
    fg__slice host = text(&b);
    d->elsewhere = host.n && uname(&here) == 0 && !fg__slice_is(host, here.nodename);
    int err = fg__buffer_add(d->p->ctx, &value, host.p, host.n);
    return err ? err : set_text(d, "host", &value);
}

static int on_osrelease(fg__recording *d, fg__bytes b) {
    struct utsname here;
    fg__slice release = text(&b);
    d->other_kernel = release.n && uname(&here) == 0 && !fg__slice_is(release, here.release);
    return 0;
}

static int on_cmdline(fg__recording *d, fg__bytes b) {
    fg__buffer value = {0};
    uint32_t count = fg__bytes_32(&b);
    int err = 0;
    for (uint32_t i = 0; i < count && !b.failed && !err; i++) {
        fg__slice word = text(&b);
        if (i) err = fg__buffer_add(d->p->ctx, &value, " ", 1);
        if (!err) err = fg__buffer_add(d->p->ctx, &value, word.p, word.n);
    }
    if (!err) return set_text(d, "target", &value);
    fg_free(d->p->ctx, value.bytes);
    return err;
}

static int on_tracing_data(fg__recording *d, fg__bytes b) {
    d->tracing = b;
    return 0;
}

static int on_arch(fg__recording *d, fg__bytes b) {
    fg__slice name = text(&b);
    d->machine = fg__slice_is(name, "x86_64")    ? FG__X86_64
                 : fg__slice_is(name, "aarch64") ? FG__AARCH64
                                                 : FG__MACHINES;
    return 0;
}

/* The names of the events, in the order of the events; their attributes and ids are known from elsewhere. */
static int on_event_desc(fg__recording *d, fg__bytes b) {
    uint32_t count = fg__bytes_32(&b), size = fg__bytes_32(&b);
    for (uint32_t i = 0; i < count && i < d->attr_count && !b.failed; i++) {
        fg__bytes_skip(&b, size);
        uint32_t ids = fg__bytes_32(&b);
        fg__slice name = text(&b);
        fg__bytes_skip(&b, (uint64_t)ids * 8);
        if (!b.failed) fg__perf_set_name(&d->attrs[i], name);
    }
    return 0;
}

/* A record: pid, the build id in 24 bytes, the path. */
int fg__perf_add_build(fg__recording *d, const uint8_t *record) {
    enum { ID = 20, FIELD = 24 };
    fg__bytes b = fg__record_body(record);
    fg__bytes_32(&b);
    const uint8_t *id = fg__bytes_skip(&b, FIELD);
    fg__slice path = fg__bytes_text(&b, fg__bytes_left(&b));
    if (!id || !path.n) return 0;
    size_t size = fg__record_misc(record) & FG__MISC_BUILD_ID_SIZE && id[ID] && id[ID] <= ID ? id[ID] : ID;
    if ((fg__record_misc(record) & FG__MISC_CPUMODE) == FG__MISC_KERNEL &&
        fg__slice_starts(path, "[kernel.kallsyms]")) {
        d->kernel_id = id;
        d->kernel_id_size = size;
    }
    int err = fg__grow(d->p->ctx, &d->builds, &d->build_cap, d->build_count + 1, sizeof *d->builds);
    if (!err)
        err = fg__table_add(d->p->ctx, &d->build_index, fg__hash(path.p, path.n), (uint32_t)d->build_count);
    if (!err) d->builds[d->build_count++] = (fg__perf_build){path, id, size};
    return err;
}

static int on_build_ids(fg__recording *d, fg__bytes b) {
    int err = 0;
    while (!err && fg__bytes_left(&b) >= FG__RECORD_HEADER) {
        const uint8_t *record = b.p;
        uint16_t size = fg__record_size(record);
        if (size < FG__RECORD_HEADER || !fg__bytes_skip(&b, size)) break;
        err = fg__perf_add_build(d, record);
    }
    return err;
}

int fg__perf_feature(fg__recording *d, uint64_t feature, fg__bytes content) {
    static const struct {
        uint64_t feature;
        int (*read)(fg__recording *d, fg__bytes content);
    } readers[] = {{FEATURE_BUILD_ID, on_build_ids},       {FEATURE_HOSTNAME, on_hostname},
                   {FEATURE_OSRELEASE, on_osrelease},      {FEATURE_ARCH, on_arch},
                   {FEATURE_CMDLINE, on_cmdline},          {FEATURE_EVENT_DESC, on_event_desc},
                   {FEATURE_TRACING_DATA, on_tracing_data}};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i].feature == feature) return readers[i].read(d, content);
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* A section is an offset and a size of 8 bytes each. False: it is not within the file. */
static bool section(fg__bytes *out, const fg__recording *d, fg__bytes *from) {
    uint64_t offset = fg__bytes_64(from), size = fg__bytes_64(from);
    *out = (fg__bytes){d->start, d->end, false};
    if (!fg__bytes_skip(out, offset) || size > fg__bytes_left(out)) return false;
    out->end = out->p + size;
    return true;
}

static int read_attrs(fg__recording *d, fg__bytes attrs, uint64_t entry) {
    enum { SECTION = 16 };
    int err = 0;
    if (entry < ATTR_MIN + SECTION)
        return fg__in_fail_byte(d->in, FG_EFORMAT, "descriptions of events of %llu bytes",
                                (unsigned long long)entry);
    while (!err && fg__bytes_left(&attrs) >= entry) {
        fg__bytes attr = {attrs.p, attrs.p + entry - SECTION, false},
                  where = {attr.end, attr.end + SECTION, false}, ids;
        fg__bytes_skip(&attrs, entry);
        if (!section(&ids, d, &where)) ids = (fg__bytes){d->end, d->end, false};
        err = fg__perf_add_attr(d, attr, ids);
    }
    return err;
}

static int read_features(fg__recording *d, const uint8_t *behind, const uint8_t *flags) {
    fg__bytes table = {behind, d->end, false}, content;
    int err = 0;
    for (uint64_t i = 0; i < FEATURES && !err; i++) {
        if (!(flags[i / 8] >> (i % 8) & 1)) continue;
        if (fg__bytes_left(&table) < 16) break; /* perf was killed: the features are missing */
        if (section(&content, d, &table)) err = fg__perf_feature(d, i, content);
    }
    return err;
}

int fg__perf_read_header(fg__recording *d, fg__bytes *data) {
    fg__bytes head = {d->start, d->end, false};
    fg__bytes_64(&head); /* magic */
    uint64_t size = fg__bytes_64(&head);
    d->pipe = size == PIPE_HEADER;
    if (d->pipe) {
        *data = head;
        return 0;
    }
    uint64_t entry = fg__bytes_64(&head);
    fg__bytes attrs;
    if (size < FILE_HEADER || fg__bytes_left(&head) < FILE_HEADER - 24)
        return fg__in_fail_byte(d->in, FG_EFORMAT, "the header is cut short");
    if (!section(&attrs, d, &head))
        return fg__in_fail_byte(d->in, FG_EFORMAT, "the list of events is not within the file");
    uint64_t offset = fg__load64(head.p), length = fg__load64(head.p + 8);
    fg__bytes_skip(&head, 32); /* the data, and a table that is not used any more */
    *data = (fg__bytes){d->start, d->end, false};
    if (!fg__bytes_skip(data, offset))
        return fg__in_fail_byte(d->in, FG_EFORMAT, "the data are not within the file");
    if (length && length <= fg__bytes_left(data))
        data->end = data->p + length; /* 0: perf was killed before it knew */
    int err = read_attrs(d, attrs, entry);
    return err ? err : read_features(d, data->end, head.p);
}
