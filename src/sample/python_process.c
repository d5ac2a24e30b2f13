/* One process: its interpreters and their threads, which of them are at work, and what each is doing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "sample/python.h"
#include "sys/proc.h"

enum {
    MOST_INTERPRETERS = 64,
    MOST_THREADS = 4096,
    THREAD_SIZE = 320,
    TRIES = 4,
    GLIBC_TID = 720,
    MOST_PTHREAD = 2304
};

/* ---- threads of the system ------------------------------------------------------------------------------ */

static bool has_task(const py_process *p, pid_t tid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d", (int)p->pid, (int)tid);
    return tid > 0 && access(path, F_OK) == 0;
}

/* The last number of the line NSpid: what the thread is called in its own namespace. */
static pid_t inner_number(pid_t pid, pid_t tid) {
    char path[64], line[256];
    pid_t number = tid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "NSpid:", 6) != 0) continue;
        const char *last = strrchr(line, '\t');
        if (last) number = atoi(last);
    }
    if (status) fclose(status);
    return number;
}

/* Our number for a thread that its process calls `inner`; 0: there is none. */
static pid_t our_number(const py_process *p, pid_t inner) {
    if (p->nspid == p->pid) return has_task(p, inner) ? inner : 0;
    char path[64];
    pid_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)p->pid);
    DIR *tasks = opendir(path);
    for (struct dirent *entry; tasks && !found && (entry = readdir(tasks));) {
        pid_t tid = atoi(entry->d_name);
        if (tid > 0 && inner_number(p->pid, tid) == inner) found = tid;
    }
    if (tasks) closedir(tasks);
    return found;
}

static bool is_tid_offset(py_process *p, uint64_t id, uint32_t offset) {
    int32_t inner;
    return py_memory_read(&p->memory, id + offset, &inner, sizeof inner) && inner > 0 &&
           our_number(p, inner) > 0;
}

/* Before 3.11 Python knows only the C library's handle, which is the address of its struct of the thread. */
static void seek_tid_offset(py_process *p, uint64_t id) {
    p->tid_sought = true;
    if (is_tid_offset(p, id, GLIBC_TID)) {
        p->tid_offset = GLIBC_TID;
        return;
    }
    for (uint32_t offset = 16; offset < MOST_PTHREAD && !p->tid_offset; offset += 4) {
        int32_t inner;
        if (py_memory_read(&p->memory, id + offset, &inner, sizeof inner) && inner == p->nspid)
            p->tid_offset = offset;
    }
}

static pid_t tid_of(py_process *p, const uint8_t *state) {
    const py_layout *l = &p->found.layout;
    uint64_t id = py_word(state + l->thread_id);
    int32_t inner = l->thread_native_id ? (int32_t)py_word(state + l->thread_native_id) : 0;
    pid_t tid = inner ? our_number(p, inner) : 0;
    if (tid) return tid;
    if (!p->tid_sought) seek_tid_offset(p, id);
    if (!p->tid_offset || !py_memory_read(&p->memory, id + p->tid_offset, &inner, sizeof inner)) return 0;
    return our_number(p, inner);
}

/* ---- threads as they are known -------------------------------------------------------------------------- */

static int name_frame(uint32_t *out, fg_profile *profile, const char *kind, pid_t pid, pid_t tid) {
    char path[64], comm[64], text[160];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid, (int)tid);
    fg__proc_line(comm, sizeof comm, path);
    snprintf(text, sizeof text, *comm ? "%s %d (%s)" : "%s %d", kind, (int)tid, comm);
    return fg_profile_frame(out, profile, &(fg_frame){.name = text});
}

/* Of the two files that tell whether a thread runs, `syscall` takes a quarter of the time, but not everybody has it. */
static void open_state(py_thread *t, pid_t pid) {
    char path[64], byte;
    for (int i = 0; i < 2 && t->fd < 0 && t->tid; i++) {
        snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)t->tid,
                 i == 0 ? "syscall" : "stat");
        t->fd = open(path, O_RDONLY | O_CLOEXEC);
        t->is_syscall = i == 0;
        if (t->fd < 0 || pread(t->fd, &byte, 1, 0) == 1) continue;
        close(t->fd);
        t->fd = -1;
    }
}

static bool is_running(const py_thread *t) {
    char text[512];
    ssize_t n = t->fd < 0 ? -1 : pread(t->fd, text, sizeof text - 1, 0);
    if (n <= 0) return false;
    text[n] = '\0';
    if (t->is_syscall) return text[0] == 'r' || text[0] == '-'; /* "running"; "-1 …": held, and in no call */
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' && end[2] == 'R';
}

static void forget(py_thread *t) {
    if (t->fd >= 0) close(t->fd);
}

static int know(py_thread *t, py_process *p, uint64_t address, const uint8_t *state) {
    *t = (py_thread){
        .state = address, .id = py_word(state + p->found.layout.thread_id), .fd = -1, .frame = FG__NONE};
    t->tid = tid_of(p, state);
    open_state(t, p->pid);
    if (!p->wishes->threads || !t->tid) return 0;
    return name_frame(&t->frame, p->profile, "thread", p->pid, t->tid);
}

static int thread_at(py_thread **out, py_process *p, uint64_t address, const uint8_t *state) {
    uint64_t id = py_word(state + p->found.layout.thread_id);
    py_thread *t = NULL;
    int err = 0;
    for (size_t i = 0; i < p->thread_count && !t; i++)
        if (p->threads[i].state == address) t = &p->threads[i];
    if (t && t->id != id) {
        forget(t);
        err = know(t, p, address, state);
    } else if (!t) {
        err = fg__grow(p->ctx, &p->threads, &p->thread_cap, p->thread_count + 1, sizeof *p->threads);
        if (err) return err;
        t = &p->threads[p->thread_count];
        err = know(t, p, address, state);
        p->thread_count++;
    }
    t->seen = p->tick;
    *out = t;
    return err;
}

static void forget_those_that_ended(py_process *p) {
    for (size_t i = p->thread_count; i-- > 0;) {
        if (p->threads[i].seen == p->tick) continue;
        forget(&p->threads[i]);
        p->threads[i] = p->threads[--p->thread_count];
    }
}

/* ---- a sample ------------------------------------------------------------------------------------------- */

/* The thread state that holds the GIL of an interpreter; 0: nobody, or it is not known. */
static uint64_t gil_holder(py_process *p, uint64_t interp) {
    const py_layout *l = &p->found.layout;
    uint64_t gil = p->found.runtime + l->runtime_gil;
    if (l->free_threaded) return 0;
    if (l->interp_gil) {
        const uint8_t *at = py_memory_get(&p->memory, interp + l->interp_gil, 8);
        gil = at ? py_word(at) : 0;
    }
    uint32_t first = l->gil_holder < l->gil_locked ? l->gil_holder : l->gil_locked;
    uint32_t last = l->gil_holder < l->gil_locked ? l->gil_locked : l->gil_holder;
    const uint8_t *at = gil ? py_memory_get(&p->memory, gil + first, last - first + 8) : NULL;
    if (!at || py_int(at + l->gil_locked - first) != 1) return 0;
    return py_word(at + l->gil_holder - first);
}

/* Changes with each call and return, as far as these are still to be seen when the next sample is taken. */
static uint64_t place_of(const py_layout *l, const uint8_t *state) {
    uint64_t top = l->thread_chunk ? py_word(state + l->thread_chunk + 8) : 0;
    return py_word(state + l->thread_frame) * 0x9e3779b97f4a7c15 + top;
}

/*
 * For how many samples a thread counts in this one; 0: it is not wanted. Asking the system whether a thread runs is a
 * good part of a sample, and most threads of a pool sleep most of the time: one that has slept for a while at one place
 * is asked in one sample of four, after longer in one of eight, at random, and counts for as many when it runs. So no
 * share is shifted, whatever the thread does. One that is seen to hold the GIL or to have moved has not slept.
 */
static unsigned weight_of(py_process *p, py_thread *t, const uint8_t *state, bool holds_gil) {
    enum { AWHILE = 16, FOR_LONG = 48 };
    uint64_t place = place_of(&p->found.layout, state);
    if (holds_gil || place != t->place) t->slept = 0;
    t->place = place;
    if (p->wishes->gil || p->wishes->idle || holds_gil) return holds_gil || p->wishes->idle;
    unsigned bits = p->wishes->blocking || t->slept < AWHILE ? 0 : t->slept < FOR_LONG ? 2 : 3;
    if (bits && py_random(&p->random) >> (64 - bits)) return 0;
    bool runs = is_running(t);
    t->slept = runs ? 0 : t->slept + (t->slept < FOR_LONG);
    return runs ? 1u << bits : 0;
}

static int count_stack(py_process *p, uint32_t thread_frame, const py_stack *stack, double now,
                       const int64_t *value, py_counts *counts) {
    uint32_t frames[PY_DEEPEST + 2];
    size_t n = 0;
    if (p->frame != FG__NONE) frames[n++] = p->frame;
    if (thread_frame != FG__NONE) frames[n++] = thread_frame;
    for (size_t i = stack->count; i-- > 0;) frames[n++] = stack->frames[i].id;
    counts->samples++;
    counts->truncated += stack->truncated;
    p->counted += value[1];
    uint32_t id;
    int err = fg__stack_put(p->profile, frames, n, value, &id);
    return err || !p->slices ? err : fg__slices_add(p->slices, p->ctx, (int64_t)(now * 1e9), id, value[1]);
}

typedef struct moment {
    double now;
    const int64_t *value;
    py_counts *counts;
    bool torn;
    pid_t done[64]; /* threads that were counted: one can have a state in several interpreters */
    size_t done_count;
} moment;

static bool is_done(moment *at, pid_t tid) {
    for (size_t i = 0; tid && i < at->done_count; i++)
        if (at->done[i] == tid) return true;
    return false;
}

static int sample_thread(py_process *p, uint64_t address, const uint8_t *state, bool holds_gil, moment *at) {
    py_thread *t;
    py_verdict verdict;
    int err = thread_at(&t, p, address, state);
    unsigned weight = err || is_done(at, t->tid) ? 0 : weight_of(p, t, state, holds_gil);
    if (!weight) return err;
    err = py_stack_read(&p->stack, &p->codes, address, state, at->now, p->wishes->lines, &verdict);
    if (err) return err;
    for (int i = 1; i < TRIES && verdict == PY_TORN && !py_memory_gone(&p->memory); i++) {
        at->counts->torn++;
        py_memory_refresh(&p->memory);
        state = py_memory_get(&p->memory, address, THREAD_SIZE);
        if (!state) break;
        err = py_stack_read(&p->stack, &p->codes, address, state, at->now, p->wishes->lines, &verdict);
        if (err) return err;
    }
    if (verdict == PY_TORN) at->counts->failed++;
    if (verdict != PY_WHOLE) return 0;
    if (t->tid && at->done_count < 64) at->done[at->done_count++] = t->tid;
    if (p->native && t->tid && py_native_take(p->native, &p->memory, t->tid, t->frame, &p->stack)) return 0;
    const int64_t value[] = {at->value[0] * weight, at->value[1] * weight};
    return count_stack(p, t->frame, &p->stack, at->now, value, at->counts);
}

static int sample_interpreter(py_process *p, uint64_t interp, uint64_t *next, moment *at) {
    const py_layout *l = &p->found.layout;
    uint32_t first = l->interp_next < l->interp_threads ? l->interp_next : l->interp_threads;
    uint32_t last = l->interp_next < l->interp_threads ? l->interp_threads : l->interp_next;
    const uint8_t *fields = py_memory_get(&p->memory, interp + first, last - first + 8);
    if (!fields) return 0;
    *next = py_word(fields + l->interp_next - first);
    uint64_t holder = gil_holder(p, interp), thread = py_word(fields + l->interp_threads - first);
    for (int i = 0; thread && i < MOST_THREADS; i++) {
        const uint8_t *state = py_memory_get(&p->memory, thread, THREAD_SIZE);
        if (!state || py_word(state + l->thread_interp) != interp) return 0; /* the thread has just ended */
        uint64_t following = py_word(state + l->thread_next);
        int err = sample_thread(p, thread, state, thread == holder, at);
        if (err) return err;
        thread = following;
    }
    return 0;
}

/* The first interpreter; 0: there is none. The GIL of all of them is near, before 3.12: the copy has both. */
static uint64_t first_interpreter(py_process *p) {
    enum { NEAR = 2048 };
    const py_layout *l = &p->found.layout;
    bool is_near = !l->interp_gil && l->runtime_gil > l->runtime_head && l->runtime_gil < NEAR;
    size_t size = is_near ? l->runtime_gil + l->gil_locked + 8 - l->runtime_head : 8;
    const uint8_t *head = py_memory_get(&p->memory, p->found.runtime + l->runtime_head, size);
    return head ? py_word(head) : 0;
}

int py_process_sample(py_process *p, double now, const int64_t *value, py_counts *counts) {
    moment at = {.now = now, .value = value, .counts = counts};
    p->tick++;
    py_memory_refresh(&p->memory);
    uint64_t interp = first_interpreter(p);
    for (int i = 0; interp && i < MOST_INTERPRETERS; i++) {
        uint64_t next = 0;
        int err = sample_interpreter(p, interp, &next, &at);
        if (err) return err;
        interp = next;
    }
    forget_those_that_ended(p);
    return 0;
}

typedef struct settling {
    py_process *process;
    double now;
    const int64_t *value;
    py_counts *counts;
} settling;

static int count_merged(void *user, uint32_t thread_frame, const py_stack *stack) {
    const settling *s = user;
    return count_stack(s->process, thread_frame, stack, s->now, s->value, s->counts);
}

int py_process_settle(py_process *p, double now, const int64_t *value, py_counts *counts) {
    return p->native ? py_native_settle(p->native, now, &counts->unmatched, count_merged,
                                        &(settling){p, now, value, counts})
                     : 0;
}

/* ---- its life ------------------------------------------------------------------------------------------- */

/* That a process has taken so far; one that has ended has it until its parent collects it. */
static double cpu_so_far(pid_t pid) {
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) return -1;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double py_process_cpu(const py_process *p) {
    return p->cpu_begun < 0 ? -1 : cpu_so_far(p->pid) - p->cpu_begun;
}

int py_process_open(py_process **out, fg_profile *profile, pid_t pid, const py_wishes *wishes) {
    fg_ctx *ctx = profile->ctx;
    py_process *p = fg__calloc(ctx, 1, sizeof *p);
    if (!p) return FG_ENOMEM;
    *p = (py_process){.ctx = ctx, .pid = pid, .profile = profile, .wishes = wishes, .frame = FG__NONE};
    p->nspid = inner_number(pid, pid);
    int err = py_memory_open(&p->memory, ctx, pid);
    if (!err) err = py_find(&p->found, &p->memory);
    p->codes = (py_codes){.memory = &p->memory, .layout = &p->found.layout, .profile = profile};
    if (!err && wishes->native) err = py_native_open(&p->native, profile, pid);
    if (!err && wishes->subprocesses) err = name_frame(&p->frame, profile, "process", pid, pid);
    if (err) {
        py_process_close(p);
        return err;
    }
    p->cpu_begun = cpu_so_far(pid); /* to find it can take a while: that is not watched yet */
    *out = p;
    return 0;
}

void py_process_close(py_process *p) {
    if (!p) return;
    for (size_t i = 0; i < p->thread_count; i++) forget(&p->threads[i]);
    if (p->codes.memory) py_codes_free(&p->codes);
    py_native_close(p->native);
    py_memory_close(&p->memory);
    fg_free(p->ctx, p->threads);
    fg_free(p->ctx, p);
}
