/*
 * perf.data: what `perf record` writes, after tools/perf/Documentation/perf.data-file-format.txt and the kernel's
 * include/uapi/linux/perf_event.h.
 *
 *   perf_data.c     the reader: records in the order of their times, and what they do
 *   perf_header.c   the file's header, the events recorded, the features behind the data
 *   perf_events.c   names of events, and the columns that they become
 *   perf_records.c  finding the records: as they lie in the file, out of a pipe, compressed
 *   perf_sample.c   a sample taken apart
 *   perf_tasks.c    processes and threads: names, forks, mappings
 *   perf_waits.c    how long threads were off their CPUs, where switches were recorded
 */
#ifndef FG_PERF_DATA_H
#define FG_PERF_DATA_H

#include <zstd.h>
#include "formats/perf.h"
#include "formats/waits.h"
#include "symbols/symbols.h"
#include "symbols/unwind.h"

/* ---- bytes --------------------------------------------------------------------------------------------- */

static inline uint16_t fg__load16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t fg__load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t fg__load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* A run of bytes that is read from its front; once it was too short, it stays `failed` and gives zeros. */
typedef struct fg__bytes {
    const uint8_t *p, *end;
    bool failed;
} fg__bytes;

static inline size_t fg__bytes_left(const fg__bytes *b) {
    return (size_t)(b->end - b->p);
}
static inline const uint8_t *fg__bytes_skip(fg__bytes *b, uint64_t n) {
    if (FG__UNLIKELY(n > fg__bytes_left(b))) {
        b->failed = true;
        b->p = b->end;
        return NULL;
    }
    const uint8_t *at = b->p;
    b->p += n;
    return at;
}
static inline uint64_t fg__bytes_64(fg__bytes *b) {
    const uint8_t *at = fg__bytes_skip(b, 8);
    return at ? fg__load64(at) : 0;
}
static inline uint32_t fg__bytes_32(fg__bytes *b) {
    const uint8_t *at = fg__bytes_skip(b, 4);
    return at ? fg__load32(at) : 0;
}
/* A text in a field of `n` bytes, up to its NUL. */
static inline fg__slice fg__bytes_text(fg__bytes *b, uint64_t n) {
    const uint8_t *at = fg__bytes_skip(b, n);
    return at ? (fg__slice){(const char *)at, strnlen((const char *)at, n)} : (fg__slice){"", 0};
}

/* ---- events -------------------------------------------------------------------------------------------- */

/* Bits of sample_type that say where things are; others only have to be passed over. */
enum {
    FG__SAMPLE_IP = 1 << 0,
    FG__SAMPLE_TID = 1 << 1,
    FG__SAMPLE_TIME = 1 << 2,
    FG__SAMPLE_ADDR = 1 << 3,
    FG__SAMPLE_READ = 1 << 4,
    FG__SAMPLE_CALLCHAIN = 1 << 5,
    FG__SAMPLE_ID = 1 << 6,
    FG__SAMPLE_CPU = 1 << 7,
    FG__SAMPLE_PERIOD = 1 << 8,
    FG__SAMPLE_STREAM_ID = 1 << 9,
    FG__SAMPLE_RAW = 1 << 10,
    FG__SAMPLE_BRANCH_STACK = 1 << 11,
    FG__SAMPLE_REGS_USER = 1 << 12,
    FG__SAMPLE_STACK_USER = 1 << 13,
    FG__SAMPLE_IDENTIFIER = 1 << 16
};

/* An event that was recorded: what is used of its struct perf_event_attr. */
typedef struct fg__perf_attr {
    uint32_t type;
    uint64_t config, period, sample_type, read_format, branch_type, regs_user;
    uint16_t stack_max; /* frames that a call chain has at most; 0: as many as the kernel takes by itself */
    bool by_frequency, sample_id_all, switches;
    int column;    /* its values are in; -1: its samples are not read */
    char name[64]; /* "" until it is known */
} fg__perf_attr;

typedef struct fg__perf_id {
    uint64_t id;
    uint32_t attr;
} fg__perf_id;

/* Which file has which build id. */
typedef struct fg__perf_build {
    fg__slice path;
    const uint8_t *id;
    size_t size;
} fg__perf_build;

/* ---- records ------------------------------------------------------------------------------------------- */

enum {
    FG__RECORD_MMAP = 1,
    FG__RECORD_LOST = 2,
    FG__RECORD_COMM = 3,
    FG__RECORD_EXIT = 4,
    FG__RECORD_FORK = 7,
    FG__RECORD_SAMPLE = 9,
    FG__RECORD_MMAP2 = 10,
    FG__RECORD_LOST_SAMPLES = 13,
    FG__RECORD_SWITCH = 14,
    FG__RECORD_SWITCH_CPU_WIDE = 15,
    FG__RECORD_KSYMBOL = 17,
    FG__RECORD_USER = 64, /* from here on they are not the kernel's, but perf's own */
    FG__RECORD_HEADER_ATTR = 64,
    FG__RECORD_TRACING_DATA = 66,
    FG__RECORD_BUILD_ID = 67,
    FG__RECORD_AUXTRACE = 71,
    FG__RECORD_EVENT_UPDATE = 78,
    FG__RECORD_FEATURE = 80,
    FG__RECORD_COMPRESSED = 81,
    FG__RECORD_COMPRESSED2 = 83
};

/* Bits of a record's `misc`. */
enum {
    FG__MISC_CPUMODE = 7,
    FG__MISC_KERNEL = 1,
    FG__MISC_USER = 2,
    FG__MISC_DATA = 1 << 13, /* of an mmap: of memory that is not executed; of a comm: by exec */
    FG__MISC_SWITCH_OUT = 1 << 13,
    FG__MISC_BUILD_ID = 1 << 14,
    FG__MISC_BUILD_ID_SIZE = 1 << 15
};

typedef struct fg__perf_record {
    uint64_t time;
    const uint8_t *at; /* its header: u32 type, u16 misc, u16 size */
} fg__perf_record;

enum { FG__RECORD_HEADER = 8 };
static inline uint32_t fg__record_type(const uint8_t *at) {
    return fg__load32(at);
}
static inline uint16_t fg__record_misc(const uint8_t *at) {
    return fg__load16(at + 4);
}
static inline uint16_t fg__record_size(const uint8_t *at) {
    return fg__load16(at + 6);
}
/* What is behind its header. */
static inline fg__bytes fg__record_body(const uint8_t *at) {
    return (fg__bytes){at + FG__RECORD_HEADER, at + fg__record_size(at), false};
}

/* ---- samples ------------------------------------------------------------------------------------------- */

typedef struct fg__perf_sample {
    const fg__perf_attr *attr;
    uint64_t ip, time, period;
    uint32_t pid, tid;
    bool has_period;
    const uint8_t *chain; /* chain_count addresses of 8 bytes, not aligned */
    uint64_t chain_count;
    bool in_user;
    uint64_t regs_abi;           /* 0: no registers */
    const uint8_t *regs, *stack; /* NULL: none */
    uint64_t stack_size;
    const uint8_t *raw; /* what the tracepoint tells */
    uint32_t raw_size;
} fg__perf_sample;

/* ---- tasks --------------------------------------------------------------------------------------------- */

typedef struct fg__perf_process {
    uint32_t pid;
    fg__space *space;
    bool shared; /* with another process since a fork: copied before it is changed */
} fg__perf_process;

typedef struct fg__perf_thread_state {
    uint32_t tid;
    uint32_t process; /* index */
    char comm[32];
    uint32_t frame; /* its outermost frame; FG__NONE: not made since its name was set */
} fg__perf_thread_state;

/* ---- waits --------------------------------------------------------------------------------------------- */

/* Where a thread waits: frames, innermost first. */
typedef struct fg__perf_wait {
    uint64_t since;
    uint32_t state;
    uint32_t *frames;
    size_t n, cap;
    bool goes_on;
} fg__perf_wait;

typedef struct fg__perf_waits {
    const fg__perf_attr *attr; /* whose samples are the begins of waits; NULL: the recording is of no waits */
    uint32_t state_at, next_at; /* where prev_state and next_pid are in their raw data */
    bool by_next;               /* a thread is back when it is the next of another one */
    fg__wait_filter filter;
    fg__perf_wait *of; /* by the index of the thread */
    size_t n, cap;
} fg__perf_waits;

/* ---- all of it ----------------------------------------------------------------------------------------- */

typedef struct fg__recording {
    fg_profile *p;
    fg_in *in;
    const fg_read_options *options;
    fg__symbols *symbols;
    const uint8_t *start, *end; /* the whole file */
    bool pipe;

    fg__perf_attr *attrs;
    size_t attr_count, attr_cap;
    fg__perf_id *ids; /* sorted once all are known */
    size_t id_count, id_cap;
    fg__perf_build *builds;
    size_t build_count, build_cap;
    fg__table build_index; /* by path */
    size_t column_count;   /* of events */
    bool elsewhere;        /* recorded on another machine, */
    bool other_kernel;     /* or under another kernel */
    fg__machine machine;   /* FG__MACHINES: one whose stacks are not understood */
    const uint8_t *kernel_id;
    size_t kernel_id_size;

    fg__perf_record *records;
    size_t record_count, record_cap;
    ZSTD_DStream *zstd;
    fg__arena unpacked;
    uint64_t unpacked_bytes;
    fg__buffer rest; /* of a record that goes on in the next compressed one */

    fg__perf_process *processes;
    size_t process_count, process_cap;
    fg__table process_index;
    fg__perf_thread_state *threads;
    size_t thread_count, thread_cap;
    fg__table thread_index;
    fg__bytes tracing; /* what the kernel says of tracepoints */
    fg__perf_waits waits;
    int64_t lost;
    uint64_t damaged; /* records that are too short for what they should hold */
} fg__recording;

/* perf_header.c */
int fg__perf_read_header(fg__recording *d, fg__bytes *data);
int fg__perf_add_attr(fg__recording *d, fg__bytes attr, fg__bytes ids);
int fg__perf_add_build(fg__recording *d, const uint8_t *record);
int fg__perf_feature(fg__recording *d, uint64_t feature, fg__bytes content);
/* perf_events.c. All attributes are known: sort what is searched, name what has no name. */
void fg__perf_attrs_done(fg__recording *d);
void fg__perf_set_name(fg__perf_attr *a, fg__slice name);
/* A column for each event, or for the one asked for; with a single one, its samples are counted in a second. */
int fg__perf_set_columns(fg__recording *d);
/* The names of the events with a column, or of those without, separated by commas. The caller frees out->bytes. */
int fg__perf_event_names(fg__buffer *out, const fg__recording *d, bool with_column);
/* perf_records.c */
int fg__perf_find_records(fg__recording *d, fg__bytes data);
/* perf_sample.c */
uint64_t fg__perf_time_of(const fg__recording *d, const uint8_t *record);
bool fg__perf_sample_parse(fg__perf_sample *out, const fg__recording *d, const uint8_t *record);
/* The thread that a record is of, which is no sample; 0: it does not say so. */
uint32_t fg__perf_tid_of(const fg__recording *d, const uint8_t *record);
/* perf_tasks.c */
/* Its index; FG__NONE: nothing is known of it. */
uint32_t fg__perf_find_thread(const fg__recording *d, uint32_t tid);
/* Tell the symbols which kernel it was; `text` is where it had _text, 0 where that is not known. */
void fg__perf_set_kernel(fg__recording *d, uint64_t text);
int fg__perf_on_task(fg__recording *d, const uint8_t *record);
/* Code that the kernel has made as it ran: noted before any sample is looked at. */
int fg__perf_on_kernel_code(fg__recording *d, const uint8_t *record);
int fg__perf_thread_of(fg__perf_thread_state **out, fg__recording *d, uint32_t pid, uint32_t tid);
/* perf_waits.c */
/* Whether the recording is of waits: sets d->waits.attr. Records are known, columns are not yet. */
int fg__perf_waits_find(fg__recording *d);
/* A thread leaves its CPU: in which state. FG__STATE_GONE: that is no wait, or none that counts. */
uint32_t fg__perf_wait_leaves(fg__recording *d, const fg__perf_sample *s);
/* … and these are its frames; it is known as a thread. */
int fg__perf_wait_begins(fg__recording *d, const fg__perf_sample *s, uint32_t state, const uint32_t *frames,
                         size_t n);
/* It is back: the wait, valid until its next one, and its time. NULL: there was none that counts. */
const fg__perf_wait *fg__perf_wait_ends(uint64_t *ns, fg__recording *d, uint32_t thread, uint64_t time);
/* The thread that comes back with this record of a switch, or when this sample's one leaves; FG__NONE: none. */
uint32_t fg__perf_who_returns(const fg__recording *d, const uint8_t *record);
uint32_t fg__perf_who_is_next(const fg__recording *d, const fg__perf_sample *s);
void fg__perf_waits_free(fg__recording *d);

#endif
