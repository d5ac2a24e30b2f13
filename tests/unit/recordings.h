/* Recordings of perf for the tests, put together record by record: what no perf writes is of interest as well. */
#ifndef RECORDINGS_H
#define RECORDINGS_H

#include <string.h>
#include "profiles.h"

enum {
    RECORD_MMAP = 1,
    RECORD_LOST = 2,
    RECORD_COMM = 3,
    RECORD_FORK = 7,
    RECORD_SAMPLE = 9,
    RECORD_MMAP2 = 10,
    RECORD_KSYMBOL = 17
};
enum {
    IP = 1,
    TID = 2,
    TIME = 4,
    CHAIN = 32,
    ID = 64,
    PERIOD = 256,
    BRANCHES = 2048,
    REGISTERS = 1 << 12,
    STACK = 1 << 13
};
enum { BP_SP_IP = 7 << 6 }; /* registers that are recorded with a copy of the stack */
enum { USUAL = IP | TID | TIME | CHAIN | PERIOD, HEADER = 104, ATTR = 128, ENTRY = ATTR + 16 };
static const uint64_t in_kernel = (uint64_t)-128, in_user = (uint64_t)-512, in_guest = (uint64_t)-2048;

typedef struct recording {
    uint8_t bytes[16384];
    size_t n, record, data;
    bool pipe; /* what comes out of `perf record -o -`: everything is a record */
    uint8_t features[4096];
    size_t feature_n[64], feature_at[64], features_used;
    uint64_t ids[4], event_count;
    bool has_ids;
} recording;

static inline void put(recording *r, const void *bytes, size_t n) {
    assert_true(n <= sizeof r->bytes - r->n);
    if (n) memcpy(r->bytes + r->n, bytes, n);
    r->n += n;
}
static inline void put8(recording *r, uint64_t number) {
    put(r, &number, 8);
}
static inline void put4(recording *r, uint32_t number) {
    put(r, &number, 4);
}
static inline void set8(recording *r, size_t at, uint64_t number) {
    memcpy(r->bytes + at, &number, 8);
}
/* Padded by NULs to a whole number of 8 bytes. */
static inline void put_string(recording *r, const char *text) {
    static const char zeros[8];
    size_t n = strlen(text) + 1;
    put(r, text, n);
    put(r, zeros, (8 - n % 8) % 8);
}

static inline void begin(recording *r, uint32_t type, uint16_t misc) {
    r->record = r->n;
    put4(r, type);
    put(r, &misc, 2), put(r, "\0\0", 2);
}
static inline void end(recording *r) {
    uint16_t size = (uint16_t)(r->n - r->record);
    memcpy(r->bytes + r->record + 6, &size, 2);
}

/* An event with at most one id. Events come before records, the first one starts the recording. */
static inline void put_event(recording *r, uint32_t type, uint64_t config, uint64_t sample_type,
                             uint64_t id) {
    enum { FREQUENCY = 1 << 10, ID_ALL = 1 << 18, PIPE_HEADER = 16, HEADER_ATTR = 64 };
    if (!r->n) r->n = r->pipe ? PIPE_HEADER : HEADER;
    if (r->pipe) begin(r, HEADER_ATTR, 0);
    size_t start = r->n;
    put4(r, type), put4(r, ATTR);
    put8(r, config), put8(r, 100), put8(r, sample_type), put8(r, 0), put8(r, FREQUENCY | ID_ALL);
    if (sample_type & REGISTERS) set8(r, start + 80, BP_SP_IP);
    r->n = start + ATTR;
    if (r->pipe)
        put8(r, id), end(r);
    else
        put8(r, 0), put8(r, 0); /* where its id is: finish() fills it in */
    r->ids[r->event_count++] = id;
    r->has_ids |= (sample_type & ID) != 0;
    r->data = r->n;
}

/* What is behind each record but samples. */
static inline void put_trailer(recording *r, uint32_t pid, uint64_t time) {
    put4(r, pid), put4(r, pid), put8(r, time);
    if (r->has_ids) put8(r, 0);
    end(r);
}
static inline void put_comm(recording *r, uint32_t pid, const char *name, bool exec, uint64_t time) {
    begin(r, RECORD_COMM, exec ? 1 << 13 : 0);
    put4(r, pid), put4(r, pid), put_string(r, name);
    put_trailer(r, pid, time);
}
static inline void put_fork(recording *r, uint32_t pid, uint32_t parent, uint64_t time) {
    begin(r, RECORD_FORK, 0);
    put4(r, pid), put4(r, parent), put4(r, pid), put4(r, parent), put8(r, time);
    put_trailer(r, pid, time);
}
static inline void put_mmap(recording *r, uint32_t pid, uint64_t start, uint64_t size, uint64_t offset,
                            const char *path, uint64_t time) {
    begin(r, RECORD_MMAP, 2);
    put4(r, pid), put4(r, pid), put8(r, start), put8(r, size), put8(r, offset), put_string(r, path);
    put_trailer(r, pid, time);
}
static inline void put_lost(recording *r, uint64_t count, uint64_t time) {
    begin(r, RECORD_LOST, 0);
    put8(r, 0), put8(r, count);
    put_trailer(r, 0, time);
}
/* `ID` and `BRANCHES` as the event's sample_type has them. */
static inline void put_sample(recording *r, uint64_t sample_type, uint64_t id, uint32_t pid, uint64_t time,
                              uint64_t period, const uint64_t *chain, size_t n) {
    begin(r, RECORD_SAMPLE, 2);
    put8(r, n > 1 ? chain[1] : 0), put4(r, pid), put4(r, pid), put8(r, time);
    if (sample_type & ID) put8(r, id);
    put8(r, period);
    put8(r, n), put(r, chain, n * 8);
    if (sample_type & BRANCHES) put8(r, 1), put8(r, 1), put8(r, 2), put8(r, 3);
    end(r);
}

/* A feature of the header, of `n` bytes. */
static inline void put_feature(recording *r, unsigned feature, const void *content, size_t n) {
    assert_true(r->features_used + n <= sizeof r->features);
    if (r->pipe) {
        begin(r, 80, 0);
        put8(r, feature), put(r, content, n);
        end(r);
        return;
    }
    memcpy(r->features + r->features_used, content, n);
    r->feature_at[feature] = r->features_used;
    r->feature_n[feature] = n;
    r->features_used += n;
}
/* A feature that is one text. */
static inline void put_text_feature(recording *r, unsigned feature, const char *text) {
    uint8_t content[256] = {0};
    uint32_t n = (uint32_t)strlen(text) + 1;
    memcpy(content, &n, 4);
    memcpy(content + 4, text, n);
    put_feature(r, feature, content, 4 + n);
}

/* Fill in the header; behind this, nothing is added. */
static inline void finish(recording *r) {
    size_t data_end = r->n, count = 0;
    uint64_t flags = 0;
    memcpy(r->bytes, "PERFILE2", 8);
    set8(r, 8, r->pipe ? 16 : HEADER);
    if (r->pipe) return;
    for (unsigned i = 0; i < 64; i++)
        if (r->feature_n[i]) count++, flags |= (uint64_t)1 << i;
    size_t at = data_end + count * 16;
    for (unsigned i = 0; i < 64; i++)
        if (r->feature_n[i]) put8(r, at + r->feature_at[i]), put8(r, r->feature_n[i]);
    put(r, r->features, r->features_used);
    for (uint64_t i = 0; i < r->event_count; i++) {
        set8(r, HEADER + i * ENTRY + ATTR, r->n), set8(r, HEADER + i * ENTRY + ATTR + 8, r->ids[i] ? 8 : 0);
        put8(r, r->ids[i]);
    }
    set8(r, 16, ENTRY), set8(r, 24, HEADER), set8(r, 32, r->event_count * ENTRY);
    set8(r, 40, r->data), set8(r, 48, data_end - r->data), set8(r, 72, flags);
}

#endif
