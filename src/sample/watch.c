/* The tasks and spaces of a watch. */
#include "sample/watch.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include "sys/proc.h"

int fg__watch_init(fg__watch *w, fg_ctx *ctx, fg_profile *profile, const fg__naming_options *naming) {
    const fg__symbols_options options = {
        .inlined = naming->inlined, .lines = naming->lines, .mangled = naming->mangled};
    *w = (fg__watch){.ctx = ctx};
    return fg__symbols_new(&w->symbols, ctx, profile, &options);
}

void fg__watch_free(fg__watch *w) {
    if (!w->ctx) return;
    fg__symbols_free(w->symbols);
    fg_free(w->ctx, w->spaces);
    fg_free(w->ctx, w->space_pid);
    fg_free(w->ctx, w->by_pid.slots);
    fg_free(w->ctx, w->tasks);
    fg_free(w->ctx, w->by_tid.slots);
    fg__raws_free(w->ctx, &w->raws);
    *w = (fg__watch){0};
}

bool fg__watch_ended(int pidfd, uint32_t pid) {
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    return pidfd < 0 ? kill((pid_t)pid, 0) && errno == ESRCH : poll(&ended, 1, 0) > 0;
}

static uint64_t hash_of(uint32_t id) {
    return fg__mix(id + UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf58476d1ce4e5b9));
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static uint32_t latest_space(const fg__watch *w, uint32_t pid) {
    uint32_t best = FG__NONE, id;
    if (!w->by_pid.slots) return best;
    for (uint32_t at = fg__table_first(&w->by_pid, hash_of(pid));
         (id = fg__table_id(&w->by_pid, at)) != FG__NONE; at = fg__table_next(&w->by_pid, at)) {
        if (w->space_pid[id] == pid && (best == FG__NONE || id > best)) best = id;
    }
    return best;
}

static int add_space(uint32_t *out, fg__watch *w, uint32_t pid, fg__space *space) {
    int err = fg__grow(w->ctx, &w->spaces, &w->space_cap, w->space_n + 1, sizeof *w->spaces);
    if (!err) err = fg__grow(w->ctx, &w->space_pid, &w->space_pid_cap, w->space_n + 1, sizeof *w->space_pid);
    if (!err) err = fg__table_add(w->ctx, &w->by_pid, hash_of(pid), (uint32_t)w->space_n);
    if (err) return err;
    w->spaces[w->space_n] = space;
    w->space_pid[w->space_n] = pid;
    *out = (uint32_t)w->space_n++;
    return 0;
}

static int new_space(uint32_t *out, fg__watch *w, uint32_t pid, bool read) {
    fg__space *space;
    int err = fg__space_new(&space, w->symbols, pid, true);
    if (!err && read && (err = fg__space_read(space)) == FG_EIO) err = 0; /* gone already */
    return err ? err : add_space(out, w, pid, space);
}

int fg__watch_space(uint32_t *out, fg__watch *w, uint32_t pid) {
    *out = latest_space(w, pid);
    return *out == FG__NONE ? new_space(out, w, pid, true) : 0;
}

static int fork_space(fg__watch *w, uint32_t pid, uint32_t parent) {
    uint32_t id = latest_space(w, parent);
    fg__space *space;
    if (id == FG__NONE) return new_space(&id, w, pid, true);
    int err = fg__space_copy(&space, w->spaces[id], pid);
    return err ? err : add_space(&id, w, pid, space);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

static struct fg__task *find_task(const fg__watch *w, uint32_t tid) {
    uint32_t id;
    if (!w->by_tid.slots) return NULL;
    for (uint32_t at = fg__table_first(&w->by_tid, hash_of(tid));
         (id = fg__table_id(&w->by_tid, at)) != FG__NONE; at = fg__table_next(&w->by_tid, at)) {
        if (w->tasks[id].tid == tid) return &w->tasks[id];
    }
    return NULL;
}

static int set_name(fg__watch *w, uint32_t tid, uint32_t name) {
    struct fg__task *task = find_task(w, tid);
    if (!task) {
        int err = fg__grow(w->ctx, &w->tasks, &w->task_cap, w->task_n + 1, sizeof *w->tasks);
        if (!err) err = fg__table_add(w->ctx, &w->by_tid, hash_of(tid), (uint32_t)w->task_n);
        if (err) return err;
        task = &w->tasks[w->task_n++];
    }
    *task = (struct fg__task){tid, name};
    return 0;
}

int fg__watch_rename(fg__watch *w, uint32_t tid, const char *name) {
    uint32_t id;
    int err = fg__raws_name(&id, w->ctx, &w->raws, name);
    return err ? err : set_name(w, tid, id);
}

static bool read_name(char name[32], uint32_t pid, uint32_t tid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/task/%u/comm", pid, tid);
    return fg__proc_line(name, 32, path);
}

int fg__watch_name(uint32_t *out, fg__watch *w, uint32_t pid, uint32_t tid) {
    const struct fg__task *task = find_task(w, tid);
    char name[32];
    int err = 0;
    if (!task && !read_name(name, pid, tid)) {
        task = find_task(w, pid); /* a thread that has gone is called as its process */
        if (!task && !read_name(name, pid, pid)) snprintf(name, sizeof name, "thread %u", tid);
    }
    if (!task) {
        err = fg__watch_rename(w, tid, name);
        if (!err) task = find_task(w, tid);
    }
    if (task) *out = task->name;
    return err;
}

/* ---- records ------------------------------------------------------------------------------------------- */

/* The text that ends a record, from `at` on; NULL where it has no end. */
static const char *text_at(const fg__record *r, size_t at) {
    if (at >= r->size || !memchr(r->body + at, 0, r->size - at)) return NULL;
    return (const char *)r->body + at;
}

static int on_fork(fg__watch *w, const fg__record *r) {
    uint32_t ids[4]; /* pid, ppid, tid, ptid */
    if (r->size < sizeof ids) return 0;
    memcpy(ids, r->body, sizeof ids);
    uint32_t name;
    int err = fg__watch_name(&name, w, ids[1], ids[3]); /* of the parent: the child may be gone already */
    w->forked++;
    if (!err) err = set_name(w, ids[2], name);
    return err || ids[0] == ids[1] ? err : fork_space(w, ids[0], ids[1]);
}

static int on_comm(fg__watch *w, const fg__record *r) {
    uint32_t ids[2]; /* pid, tid */
    const char *name = text_at(r, sizeof ids);
    if (!name) return 0;
    memcpy(ids, r->body, sizeof ids);
    uint32_t space;
    int err = fg__watch_rename(w, ids[1], name);
    return !err && (r->misc & PERF_RECORD_MISC_COMM_EXEC) ? new_space(&space, w, ids[0], false) : err;
}

struct mmap2 {
    uint32_t pid, tid;
    uint64_t start, length, offset;
    union {
        struct {
            uint32_t major, minor;
            uint64_t inode, generation;
        } file;
        struct {
            uint8_t size, reserved[3], bytes[20];
        } build;
    };
    uint32_t protection, flags;
};

static int on_mmap2(fg__watch *w, const fg__record *r) {
    struct mmap2 m;
    const char *path = text_at(r, sizeof m);
    uint32_t id;
    if (!path) return 0;
    memcpy(&m, r->body, sizeof m);
    int err = fg__watch_space(&id, w, m.pid);
    if (err) return err;
    fg__mapping mapping = {.start = m.start, .end = m.start + m.length, .offset = m.offset, .path = path};
    if (mapping.end <= mapping.start) return 0;
    if (r->misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
        mapping.build_id = m.build.bytes;
        mapping.build_id_size = m.build.size <= sizeof m.build.bytes ? m.build.size : 0;
    } else {
        mapping.major = m.file.major;
        mapping.minor = m.file.minor;
        mapping.inode = m.file.inode;
    }
    return fg__space_map(w->spaces[id], &mapping);
}

static int on_lost(fg__watch *w, const fg__record *r) {
    uint64_t count, skip = r->type == PERF_RECORD_LOST ? 8 : 0; /* behind the event's id */
    if (r->size < skip + sizeof count) return 0;
    memcpy(&count, r->body + skip, sizeof count);
    w->lost += (int64_t)count;
    return 0;
}

static int on_throttle(fg__watch *w, const fg__record *r) {
    (void)r;
    w->throttled++;
    return 0;
}

static void forget(fg__watch *w, uint32_t pid) {
    for (uint32_t id; (id = latest_space(w, pid)) != FG__NONE;) w->space_pid[id] = 0;
}

bool fg__watch_concerns(fg__watch *w, const fg__record *r) {
    uint32_t ids[2]; /* pid, ppid */
    if (r->type != PERF_RECORD_FORK || r->size < sizeof ids) return latest_space(w, r->pid) != FG__NONE;
    memcpy(ids, r->body, sizeof ids);
    bool ours = latest_space(w, ids[1]) != FG__NONE && (ids[0] == ids[1] || !w->alone);
    if (!ours && ids[0] != ids[1]) forget(w, ids[0]);
    return ours;
}

int fg__watch_record(fg__watch *w, const fg__record *record) {
    static const struct {
        uint32_t type;
        int (*take)(fg__watch *, const fg__record *);
    } rows[] = {
        {PERF_RECORD_FORK, on_fork}, {PERF_RECORD_COMM, on_comm},         {PERF_RECORD_MMAP2, on_mmap2},
        {PERF_RECORD_LOST, on_lost}, {PERF_RECORD_LOST_SAMPLES, on_lost}, {PERF_RECORD_THROTTLE, on_throttle},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == record->type) return rows[i].take(w, record);
    return 0;
}
