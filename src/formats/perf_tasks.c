/* Processes and threads, as the records tell of them. */
#include <stdio.h>
#include "formats/perf_data.h"

static uint32_t find(const fg__table *t, uint32_t id, uint32_t (*id_at)(const fg__recording *, uint32_t),
                     const fg__recording *d) {
    uint64_t hash = fg__mix(id + 1, 0x9e3779b97f4a7c15u);
    uint32_t i;
    for (uint32_t at = fg__table_first(t, hash); (i = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at))
        if (fg__table_maybe(t, at, hash) && id_at(d, i) == id) return i;
    return FG__NONE;
}

static uint32_t pid_at(const fg__recording *d, uint32_t i) {
    return d->processes[i].pid;
}

static uint32_t tid_at(const fg__recording *d, uint32_t i) {
    return d->threads[i].tid;
}

/* By what /proc knows it; 0: not at all. */
static uint32_t pid_here(const fg__recording *d, uint32_t pid) {
    return pid == UINT32_MAX || d->elsewhere ? 0 : pid;
}

static int process_of(uint32_t *out, fg__recording *d, uint32_t pid) {
    fg_ctx *ctx = d->p->ctx;
    *out = find(&d->process_index, pid, pid_at, d);
    if (*out != FG__NONE) return 0;
    int err = fg__grow(ctx, &d->processes, &d->process_cap, d->process_count + 1, sizeof *d->processes);
    fg__space *space = NULL;
    if (!err) err = fg__space_new(&space, d->symbols, pid_here(d, pid), false);
    if (!err)
        err = fg__table_add(ctx, &d->process_index, fg__mix(pid + 1, 0x9e3779b97f4a7c15u),
                            (uint32_t)d->process_count);
    if (err) return err;
    *out = (uint32_t)d->process_count;
    d->processes[d->process_count++] = (fg__perf_process){pid, space, false};
    return 0;
}

uint32_t fg__perf_find_thread(const fg__recording *d, uint32_t tid) {
    return d->thread_index.slots ? find(&d->thread_index, tid, tid_at, d) : FG__NONE;
}

int fg__perf_thread_of(fg__perf_thread_state **out, fg__recording *d, uint32_t pid, uint32_t tid) {
    fg_ctx *ctx = d->p->ctx;
    uint32_t process, i = find(&d->thread_index, tid, tid_at, d);
    int err = process_of(&process, d, pid);
    if (!err && i == FG__NONE) {
        err = fg__grow(ctx, &d->threads, &d->thread_cap, d->thread_count + 1, sizeof *d->threads);
        if (!err)
            err = fg__table_add(ctx, &d->thread_index, fg__mix(tid + 1, 0x9e3779b97f4a7c15u),
                                (uint32_t)d->thread_count);
        if (err) return err;
        i = (uint32_t)d->thread_count++;
        d->threads[i] = (fg__perf_thread_state){.tid = tid, .frame = FG__NONE};
        snprintf(d->threads[i].comm, sizeof d->threads[i].comm, tid ? ":%d" : "swapper", (int)tid);
    }
    if (err) return err;
    d->threads[i].process = process;
    *out = &d->threads[i];
    return 0;
}

static int on_exec(fg__recording *d, uint32_t process) {
    fg__perf_process *p = &d->processes[process];
    if (!p->shared) {
        fg__space_clear(p->space);
        return 0;
    }
    p->shared = false;
    return fg__space_new(&p->space, d->symbols, pid_here(d, p->pid), false);
}

static int on_comm(fg__recording *d, const uint8_t *record, fg__bytes b) {
    uint32_t pid = fg__bytes_32(&b), tid = fg__bytes_32(&b);
    fg__slice name = fg__bytes_text(&b, fg__bytes_left(&b));
    fg__perf_thread_state *t;
    int err = fg__perf_thread_of(&t, d, pid, tid);
    if (err || b.failed) return err;
    snprintf(t->comm, sizeof t->comm, "%.*s", (int)(name.n < sizeof t->comm ? name.n : sizeof t->comm - 1),
             name.p);
    t->frame = FG__NONE;
    return fg__record_misc(record) & FG__MISC_DATA ? on_exec(d, t->process) : 0;
}

static int on_fork(fg__recording *d, fg__bytes b) {
    uint32_t pid = fg__bytes_32(&b), ppid = fg__bytes_32(&b), tid = fg__bytes_32(&b), ptid = fg__bytes_32(&b);
    fg__perf_thread_state *parent, *child;
    if (b.failed) return 0;
    int err = fg__perf_thread_of(&parent, d, ppid, ptid);
    if (err) return err;
    char comm[sizeof parent->comm];
    memcpy(comm, parent->comm, sizeof comm);
    uint32_t from = parent->process;
    err = fg__perf_thread_of(&child, d, pid, tid);
    if (err) return err;
    memcpy(child->comm, comm, sizeof comm);
    child->frame = FG__NONE;
    if (pid == ppid) return 0;
    fg__perf_process *a = &d->processes[from], *c = &d->processes[child->process];
    c->space = a->space;
    a->shared = c->shared = true;
    return 0;
}

/* The build id that the header has for a path. */
static void set_build_id(const fg__recording *d, fg__mapping *m) {
    const fg__table *t = &d->build_index;
    uint64_t hash = fg__hash(m->path, strlen(m->path));
    uint32_t i;
    for (uint32_t at = fg__table_first(t, hash); (i = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, hash) || !fg__slice_is(d->builds[i].path, m->path)) continue;
        m->build_id = d->builds[i].id;
        m->build_id_size = d->builds[i].size;
        return;
    }
}

void fg__perf_set_kernel(fg__recording *d, uint64_t text) {
    static const uint8_t no_kernel[20]; /* no kernel's build id: its addresses get no names */
    if (d->kernel_id_size)
        fg__symbols_set_kernel(d->symbols, d->kernel_id, d->kernel_id_size, text);
    else if (d->elsewhere || d->other_kernel)
        fg__symbols_set_kernel(d->symbols, no_kernel, sizeof no_kernel, text);
    else
        fg__symbols_set_kernel(d->symbols, NULL, 0, text);
}

/* Map into a process's own space. */
static int map(fg__recording *d, uint32_t pid, const fg__mapping *m) {
    uint32_t process;
    int err = process_of(&process, d, pid);
    if (err) return err;
    fg__perf_process *p = &d->processes[process];
    if (p->shared) err = fg__space_copy(&p->space, p->space, pid_here(d, pid));
    p->shared &= err != 0;
    return err ? err : fg__space_map(p->space, m);
}

static int on_mmap(fg__recording *d, const uint8_t *record, fg__bytes b, bool second) {
    enum { ID_FIELD = 24, ID_MAX = 20 };
    uint16_t misc = fg__record_misc(record);
    uint32_t pid = fg__bytes_32(&b);
    fg__bytes_32(&b);
    uint64_t start = fg__bytes_64(&b), length = fg__bytes_64(&b);
    fg__mapping m = {.start = start, .end = start + length, .offset = fg__bytes_64(&b)};
    const uint8_t *file = second ? fg__bytes_skip(&b, ID_FIELD) : NULL;
    if (second) fg__bytes_64(&b); /* protection, flags */
    fg__slice path = fg__bytes_text(&b, fg__bytes_left(&b));
    if (b.failed || m.end < start || misc & FG__MISC_DATA ||
        path.n == fg__bytes_left(&(fg__bytes){(const uint8_t *)path.p, b.end, false}))
        return 0;
    if ((misc & FG__MISC_CPUMODE) == FG__MISC_KERNEL) {
        if (fg__slice_starts(path, "[kernel.kallsyms]")) fg__perf_set_kernel(d, m.offset);
        return 0;
    }
    m.path = path.p;
    if (second && misc & FG__MISC_BUILD_ID) {
        m.build_id = file + 4;
        m.build_id_size = file[0] <= ID_MAX ? file[0] : 0;
    } else if (second) {
        m.major = fg__load32(file);
        m.minor = fg__load32(file + 4);
        m.inode = fg__load64(file + 8);
    }
    if (!m.build_id_size) set_build_id(d, &m);
    if (!m.build_id_size && d->elsewhere) m.inode = UINT64_MAX; /* no file's: one here is not taken for it */
    return map(d, pid, &m);
}

int fg__perf_on_kernel_code(fg__recording *d, const uint8_t *record) {
    enum { GONE = 1 };
    fg__bytes b = fg__record_body(record);
    uint64_t address = fg__bytes_64(&b);
    uint32_t size = fg__bytes_32(&b), kind_and_flags = fg__bytes_32(&b);
    fg__slice name = fg__bytes_text(&b, fg__bytes_left(&b));
    if (b.failed || !name.n || kind_and_flags >> 16 & GONE) return 0;
    return fg__symbols_kernel_code(d->symbols, address, size, name.p, name.n);
}

int fg__perf_on_task(fg__recording *d, const uint8_t *record) {
    fg__bytes b = fg__record_body(record);
    switch (fg__record_type(record)) {
    case FG__RECORD_COMM: return on_comm(d, record, b);
    case FG__RECORD_FORK: return on_fork(d, b);
    case FG__RECORD_MMAP: return on_mmap(d, record, b, false);
    case FG__RECORD_MMAP2: return on_mmap(d, record, b, true);
    default: return 0;
    }
}
