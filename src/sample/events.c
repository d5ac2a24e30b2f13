/* Events and their rings. */
#include "sample/events.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "sys/clock.h"

enum { RECORD_MAX = 64 << 10, LEAST_RING = 16 << 10, ATTACH_ROUNDS = 16, SETTLED_NS = 1000000 };

int fg__events_init(fg__events *e, fg_ctx *ctx, const struct perf_event_attr *attr, size_t ring_bytes) {
    *e = (fg__events){.ctx = ctx, .attr = *attr, .ring_bytes = ring_bytes};
    e->attr.size = sizeof e->attr;
    e->attr.sample_type |= PERF_SAMPLE_TID | PERF_SAMPLE_TIME;
    e->attr.sample_id_all = 1;
    e->attr.use_clockid = 1;
    e->attr.clockid = CLOCK_MONOTONIC;
    e->attr.watermark = 1;
    e->attr.wakeup_watermark = (uint32_t)(ring_bytes / 2);
    e->ring_n = (size_t)get_nprocs_conf();
    e->scratch = fg__alloc(ctx, RECORD_MAX);
    e->rings = fg__calloc(ctx, e->ring_n, sizeof *e->rings);
    if (!e->scratch || !e->rings) return FG_ENOMEM;
    for (size_t i = 0; i < e->ring_n; i++) e->rings[i].fd = -1;
    return 0;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static int perf_event_open(struct perf_event_attr *attr, uint32_t tid, int cpu) {
    return (int)syscall(SYS_perf_event_open, attr, (pid_t)tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The soft limit is there to find leaks; many threads on many CPUs are none. */
static bool raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max) return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* The ring that the event makes; smaller where the kernel's allowance for locked memory is used up. */
static int map_ring(fg__events *e, fg__ring *ring, int fd) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t bytes = e->ring_bytes; bytes >= LEAST_RING && bytes >= page; bytes /= 2) {
        void *at = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) {
            *ring = (fg__ring){.fd = fd, .page = at, .size = bytes};
            return 0;
        }
        if (errno != EPERM && errno != ENOMEM) break;
    }
    return errno;
}

static int open_on_cpu(fg__events *e, uint32_t tid, size_t cpu) {
    fg__ring *ring = &e->rings[cpu];
    if (fg__grow(e->ctx, &e->fds, &e->fd_cap, e->fd_n + 1, sizeof *e->fds)) return ENOMEM;
    int fd = perf_event_open(&e->attr, tid, (int)cpu);
    if (fd < 0 && errno == EMFILE && raise_file_limit()) fd = perf_event_open(&e->attr, tid, (int)cpu);
    if (fd < 0) return errno == ENODEV && cpu > 0 ? 0 : errno; /* a CPU that is switched off */
    int error = ring->page ? 0 : map_ring(e, ring, fd);
    e->unmapped = error != 0;
    if (!error && ring->fd != fd && ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd)) error = errno;
    if (error) {
        close(fd);
        return error;
    }
    e->fds[e->fd_n++] = fd;
    return 0;
}

int fg__events_open(fg__events *e, uint32_t tid) {
    for (size_t cpu = 0; cpu < e->ring_n; cpu++) {
        int error = open_on_cpu(e, tid, cpu);
        if (error) return error;
    }
    return 0;
}

void fg__events_another(fg__events *e) {
    for (size_t i = 0; i < e->ring_n; i++)
        if (e->rings[i].page)
            e->rings[i].since = __atomic_load_n(&e->rings[i].page->data_head, __ATOMIC_ACQUIRE);
}

/* While attaching, only who was born is of interest, and the records have to stay for later. */
static bool was_forked(const fg__events *e, uint32_t tid) {
    for (size_t i = e->forked_n; i-- > 0;)
        if (e->forked[i] == tid) return true;
    return false;
}

static void copy_out(const fg__ring *ring, uint64_t at, void *to, size_t n) {
    const uint8_t *data = (const uint8_t *)ring->page + ring->page->data_offset;
    uint64_t from = at & (ring->size - 1), first = ring->size - from < n ? ring->size - from : n;
    memcpy(to, data + from, first);
    memcpy((uint8_t *)to + first, data, n - first);
}

static int note_forks(fg__events *e) {
    e->forked_n = 0;
    for (size_t i = 0; i < e->ring_n; i++) {
        const fg__ring *ring = &e->rings[i];
        if (!ring->page) continue;
        uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
        struct perf_event_header header;
        uint64_t from = ring->page->data_tail > ring->since ? ring->page->data_tail : ring->since;
        for (uint64_t at = from; at + sizeof header <= head; at += header.size) {
            uint32_t ids[4]; /* pid, ppid, tid, ptid */
            copy_out(ring, at, &header, sizeof header);
            if (header.size < sizeof header) break;
            if (header.type != PERF_RECORD_FORK || header.size < sizeof header + sizeof ids) continue;
            copy_out(ring, at + sizeof header, ids, sizeof ids);
            if (fg__grow(e->ctx, &e->forked, &e->forked_cap, e->forked_n + 1, sizeof *e->forked))
                return ENOMEM;
            e->forked[e->forked_n++] = ids[2];
        }
    }
    return 0;
}

typedef struct threads {
    uint32_t *ids;
    size_t n, cap;
} threads;

static int list_threads(fg_ctx *ctx, threads *list, uint32_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *folder = opendir(path);
    if (!folder) return ESRCH;
    list->n = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        uint32_t tid = (uint32_t)strtoul(entry->d_name, NULL, 10);
        if (!tid) continue;
        if (fg__grow(ctx, &list->ids, &list->cap, list->n + 1, sizeof *list->ids)) break;
        list->ids[list->n++] = tid;
    }
    closedir(folder);
    return 0;
}

static bool holds(const threads *list, uint32_t tid) {
    for (size_t i = 0; i < list->n; i++)
        if (list->ids[i] == tid) return true;
    return false;
}

/* One look at the threads: opens those that are new and were not born of one that is open. */
static int attach_round(fg__events *e, uint32_t pid, threads *known, threads *found, bool *more) {
    int error = list_threads(e->ctx, found, pid);
    if (error) return 0; /* it has ended: what was sampled is a profile still */
    usleep(1000);        /* a thread is listed a moment before its record is written */
    if ((error = note_forks(e))) return error;
    *more = false;
    for (size_t i = 0; i < found->n; i++) {
        uint32_t tid = found->ids[i];
        if (holds(known, tid) || was_forked(e, tid)) continue;
        error = fg__events_open(e, tid);
        if (error == ESRCH) error = 0;
        if (!error)
            error = fg__grow(e->ctx, &known->ids, &known->cap, known->n + 1, sizeof *known->ids) ? ENOMEM : 0;
        if (error) return error;
        known->ids[known->n++] = tid;
        *more = true;
    }
    return 0;
}

int fg__events_attach(fg__events *e, uint32_t pid) {
    threads known = {0}, found = {0};
    bool more = true;
    int error = fg__grow(e->ctx, &known.ids, &known.cap, 1, sizeof *known.ids) ? ENOMEM : 0;
    if (!error) known.ids[known.n++] = pid;
    for (int round = 0; !error && more && round < ATTACH_ROUNDS; round++) {
        more = false;
        error = attach_round(e, pid, &known, &found, &more);
    }
    fg_free(e->ctx, known.ids);
    fg_free(e->ctx, found.ids);
    return error;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* The time of the record at the tail: behind pid and tid in a sample, at the end of all others. */
static void look_ahead(fg__ring *ring) {
    struct perf_event_header header;
    ring->next = UINT64_MAX;
    if (ring->head - ring->tail < sizeof header) return;
    copy_out(ring, ring->tail, &header, sizeof header);
    if (header.size < sizeof header + 16 || header.size > ring->head - ring->tail) {
        ring->tail = ring->head; /* cannot be; and there is no way to find the next one */
        return;
    }
    uint64_t at = header.type == PERF_RECORD_SAMPLE ? sizeof header + 8 : header.size - 8u;
    copy_out(ring, ring->tail + at, &ring->next, sizeof ring->next);
}

static fg__ring *oldest(fg__events *e) {
    fg__ring *best = NULL;
    for (size_t i = 0; i < e->ring_n; i++) {
        fg__ring *ring = &e->rings[i];
        if (ring->page && ring->tail < ring->head && (!best || ring->next < best->next)) best = ring;
    }
    return best;
}

static void take(const fg__events *e, const fg__ring *ring, fg__record *record, size_t *size) {
    struct perf_event_header header;
    const uint8_t *data = (const uint8_t *)ring->page + ring->page->data_offset;
    uint64_t from = ring->tail & (ring->size - 1);
    copy_out(ring, ring->tail, &header, sizeof header);
    const uint8_t *bytes = data + from;
    if (from + header.size > ring->size) {
        copy_out(ring, ring->tail, e->scratch, header.size);
        bytes = e->scratch;
    }
    bool sample = header.type == PERF_RECORD_SAMPLE;
    const uint8_t *ids = sample ? bytes + sizeof header : bytes + header.size - 16;
    *record = (fg__record){.type = header.type, .misc = header.misc, .time = ring->next};
    memcpy(&record->pid, ids, 4);
    memcpy(&record->tid, ids + 4, 4);
    record->body = bytes + sizeof header + (sample ? 16 : 0);
    record->size = header.size - sizeof header - 16;
    *size = header.size;
}

/* What is older has come in: the clock is that of the events. */
static uint64_t settled(const fg__events *e) {
    return e->stopped ? UINT64_MAX : (uint64_t)fg__clock_ns(CLOCK_MONOTONIC) - SETTLED_NS;
}

int fg__events_drain(fg__events *e, fg__visit *visit, void *user) {
    uint64_t until = settled(e);
    int err = 0;
    for (size_t i = 0; i < e->ring_n; i++) {
        fg__ring *ring = &e->rings[i];
        if (!ring->page) continue;
        ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
        ring->tail = ring->page->data_tail;
        look_ahead(ring);
    }
    for (fg__ring *ring; !err && (ring = oldest(e)) && ring->next <= until;) {
        fg__record record;
        size_t size;
        take(e, ring, &record, &size);
        err = visit(user, &record);
        ring->tail += size;
        __atomic_store_n(&ring->page->data_tail, ring->tail, __ATOMIC_RELEASE);
        look_ahead(ring);
    }
    return err;
}

void fg__events_wait(fg__events *e, const fg__sampler *s, int fd) {
    struct pollfd *polls = fg__calloc(e->ctx, e->ring_n + 2, sizeof *polls);
    if (!polls) return;
    bool hung = false;
    polls[0] = (struct pollfd){.fd = s->stop_fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = fd, .events = POLLIN};
    for (size_t i = 0; i < e->ring_n; i++) {
        polls[i + 2] = (struct pollfd){.fd = e->rings[i].hung ? -1 : e->rings[i].fd, .events = POLLIN};
        hung |= e->rings[i].hung;
    }
    double left = fmin(fmax(s->ends - fg__loop_now(), 0), hung ? 0.1 : 1);
    poll(polls, e->ring_n + 2, (int)ceil(left * 1000));
    for (size_t i = 0; i < e->ring_n; i++)
        if (polls[i + 2].revents & (POLLHUP | POLLERR)) e->rings[i].hung = true;
    fg_free(e->ctx, polls);
}

void fg__events_stop(fg__events *e) {
    for (size_t i = 0; i < e->fd_n; i++) ioctl(e->fds[i], PERF_EVENT_IOC_DISABLE, 0);
    e->stopped = true;
}

void fg__events_unmap(fg__events *e) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; e->rings && i < e->ring_n; i++) {
        if (e->rings[i].page) munmap(e->rings[i].page, e->rings[i].size + page);
        e->rings[i].page = NULL;
    }
}

void fg__events_close(fg__events *e) {
    fg__events_unmap(e);
    for (size_t i = 0; i < e->fd_n; i++) close(e->fds[i]);
    fg_free(e->ctx, e->fds);
    fg_free(e->ctx, e->rings);
    fg_free(e->ctx, e->scratch);
    fg_free(e->ctx, e->forked);
    *e = (fg__events){.ctx = e->ctx};
}

/* ---- samples ------------------------------------------------------------------------------------------- */

/* What is left of a sample's bytes. */
typedef struct rest {
    const uint8_t *at;
    size_t left;
    bool good;
} rest;

static const uint8_t *take_bytes(rest *r, uint64_t n) {
    const uint8_t *bytes = r->at;
    if (!r->good || n > r->left) {
        r->good = false;
        return NULL;
    }
    r->at += n;
    r->left -= (size_t)n;
    return bytes;
}

static uint64_t take_u64(rest *r) {
    uint64_t value = 0;
    const uint8_t *bytes = take_bytes(r, sizeof value);
    if (bytes) memcpy(&value, bytes, sizeof value);
    return value;
}

/* Records are aligned to 8 bytes, and so is each list in them. */
static const uint64_t *take_list(rest *r, uint64_t n) {
    if (n > r->left / sizeof(uint64_t)) r->good = false;
    return (const uint64_t *)(const void *)take_bytes(r, r->good ? n * sizeof(uint64_t) : 0);
}

bool fg__sample_parse(fg__perf_sample *out, const fg__events *e, const fg__record *record) {
    rest r = {record->body, record->size, true};
    uint64_t type = e->attr.sample_type;
    *out = (fg__perf_sample){0};
    if (type & PERF_SAMPLE_PERIOD) out->period = take_u64(&r);
    if (type & PERF_SAMPLE_CALLCHAIN) {
        out->chain_n = take_u64(&r);
        out->chain = take_list(&r, out->chain_n);
    }
    if (type & PERF_SAMPLE_RAW) {
        uint32_t n = 0;
        const uint8_t *bytes = take_bytes(&r, sizeof n);
        if (bytes) memcpy(&n, bytes, sizeof n);
        out->raw_n = n;
        out->raw = take_bytes(&r, n); /* with the padding that aligns what follows */
    }
    if (type & PERF_SAMPLE_REGS_USER) {
        out->abi = take_u64(&r);
        out->registers_n = out->abi ? (uint64_t)__builtin_popcountll(e->attr.sample_regs_user) : 0;
        out->registers = take_list(&r, out->registers_n);
    }
    out->copied =
        type & PERF_SAMPLE_STACK_USER && r.left; /* events without share the rings of those with it */
    if (out->copied) {
        uint64_t n = take_u64(&r);
        out->stack = take_bytes(&r, n);
        out->stack_n = n ? take_u64(&r) : 0; /* how much of it was filled */
        if (out->stack_n > n) r.good = false;
    }
    return r.good;
}
