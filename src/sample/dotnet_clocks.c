/*
 * The CPU clocks of a process's threads. The kernel brings the clock of a running thread up to date at each tick of its
 * own, a few milliseconds apart, and that of a thread that goes to sleep at once.
 */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "sample/dotnet.h"
#include "sys/rights.h"
#include "sys/sys.h"

static const double interval = 0.002, interval_of_ticks = 0.05, list_interval = 0.05,
                    most_of_a_core = 1 / 30.0;
enum { OPEN_MAX = 100 };

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

int dn_thread_find(dn_thread **out, fg_ctx *ctx, dn_threads *threads, uint64_t id) {
    uint64_t hash = fg__hash(&id, sizeof id);
    uint32_t i;
    for (uint32_t at = fg__table_first(&threads->index, hash);
         (i = fg__table_id(&threads->index, at)) != FG__NONE; at = fg__table_next(&threads->index, at)) {
        *out = &threads->at[i];
        if ((*out)->id == id) return 0;
    }
    int err = fg__grow(ctx, &threads->at, &threads->cap, threads->count + 1, sizeof *threads->at);
    if (!err) err = fg__table_add(ctx, &threads->index, hash, (uint32_t)threads->count);
    if (err) return err;
    *out = &threads->at[threads->count++];
    **out = (dn_thread){.id = id, .owing = INT64_MAX, .seen = INT64_MIN, .last_stack = FG__NONE, .fd = -1};
    return 0;
}

void dn_threads_free(fg_ctx *ctx, dn_threads *threads) {
    for (size_t i = 0; i < threads->count; i++) {
        if (threads->at[i].fd >= 0) close(threads->at[i].fd);
        fg_free(ctx, threads->at[i].stretches);
        fg_free(ctx, threads->at[i].sightings);
    }
    fg_free(ctx, threads->at);
    fg_free(ctx, threads->index.slots);
}

/* ---- one clock --------------------------------------------------------------------------------------------------------- */

static int open_file(const dn_clocks *clocks, uint64_t id, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "%llu/%s", (unsigned long long)id, name);
    return openat(clocks->tasks, path, O_RDONLY | O_CLOEXEC);
}

/* False: its thread has gone. */
static bool read_text(int fd, char *text, size_t size) {
    ssize_t n = fd < 0 ? -1 : pread(fd, text, size - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool read_file(const dn_clocks *clocks, uint64_t id, const char *name, char *text, size_t size) {
    int fd = open_file(clocks, id, name);
    bool ok = read_text(fd, text, size);
    if (fd >= 0) close(fd);
    return ok;
}

/* User and system time of /proc/PID/task/TID/stat, fields 14 and 15; the name before may have spaces. */
static bool parse_ticks(int64_t *ns, const char *text) {
    unsigned long long user, system;
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return false;
    *ns = (int64_t)((double)(user + system) * 1e9 / (double)sysconf(_SC_CLK_TCK));
    return true;
}

static const char *clock_file(const dn_clocks *clocks) {
    return clocks->ticks ? "stat" : "schedstat";
}

static bool read_clock(int64_t *ns, const dn_clocks *clocks, const dn_thread *thread) {
    char text[1024];
    bool ok = thread->fd >= 0 ? read_text(thread->fd, text, sizeof text)
                              : read_file(clocks, thread->id, clock_file(clocks), text, sizeof text);
    if (ok && clocks->ticks) return parse_ticks(ns, text);
    if (ok) *ns = (int64_t)strtoull(text, NULL, 10);
    return ok;
}

static void read_name(const dn_clocks *clocks, dn_thread *thread) {
    char text[64];
    read_file(clocks, thread->id, "comm", text, sizeof text);
    snprintf(thread->name, sizeof thread->name, "%.*s", (int)strcspn(text, "\n"), text);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------- */

int dn_clocks_open(dn_clocks *clocks, fg_ctx *ctx, uint64_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/task", (unsigned long long)pid);
    *clocks = (dn_clocks){.tasks = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (clocks->tasks < 0) return fg__rights_process(ctx, pid);
    char text[128];
    clocks->ticks = !read_file(clocks, pid, "schedstat", text, sizeof text);
    return 0;
}

void dn_clocks_close(dn_clocks *clocks) {
    if (clocks->tasks >= 0) close(clocks->tasks);
    clocks->tasks = -1;
}

/*
 * A stretch without CPU time goes on in the next one without. Where one with CPU time follows, some of that may have been
 * taken since the kernel's tick before: the end of the idle stretch belongs to the busy one.
 */
static int add_stretch(fg_ctx *ctx, dn_thread *thread, int64_t until, int64_t cpu) {
    dn_stretch *last =
        thread->stretch_count > thread->stretch_at ? &thread->stretches[thread->stretch_count - 1] : NULL;
    if (last && last->cpu == 0 && cpu == 0) {
        last->until = until;
        return 0;
    }
    int64_t idle_until = last ? last->until - DN_KERNEL_TICK : 0;
    if (last && last->cpu == 0) last->until = idle_until > last->from ? idle_until : last->from;
    int64_t from = last ? last->until : INT64_MIN;
    int err =
        fg__grow(ctx, &thread->stretches, &thread->stretch_cap, thread->stretch_count + 1, sizeof *last);
    if (!err) thread->stretches[thread->stretch_count++] = (dn_stretch){from, until, cpu};
    thread->total += cpu;
    return err;
}

/* A thread that is there: its name, and its clock for as long as it is. */
static int list_thread(dn_clocks *clocks, fg_ctx *ctx, dn_threads *threads, uint64_t id) {
    dn_thread *thread;
    int err = dn_thread_find(&thread, ctx, threads, id);
    if (err || (thread->listed && !thread->gone)) return err;
    thread->listed = true;
    thread->gone = false;
    thread->clock = 0;
    read_name(clocks, thread);
    if (clocks->open < OPEN_MAX) thread->fd = open_file(clocks, id, clock_file(clocks));
    if (thread->fd >= 0) clocks->open++;
    return 0;
}

static int list_threads(dn_clocks *clocks, fg_ctx *ctx, dn_threads *threads) {
    int err = 0,
        copy = clocks->tasks < 0 ? -1 : openat(clocks->tasks, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (copy >= 0 && !folder) close(copy);
    for (struct dirent *entry; folder && !err && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            err = list_thread(clocks, ctx, threads, strtoull(entry->d_name, NULL, 10));
    if (folder) closedir(folder);
    return err;
}

static int read_thread(dn_clocks *clocks, fg_ctx *ctx, dn_thread *thread) {
    int64_t ns, before = thread->clock;
    if (!thread->listed || thread->gone) return 0;
    if (!read_clock(&ns, clocks, thread)) {
        thread->gone = true;
        if (thread->fd >= 0) {
            close(thread->fd);
            clocks->open--;
        }
        thread->fd = -1;
        return 0;
    }
    thread->clock = ns;
    if (!clocks->began) return 0;
    return add_stretch(ctx, thread, (int64_t)(fg__loop_now() * 1e9), ns > before ? ns - before : 0);
}

int dn_clocks_read(dn_clocks *clocks, fg_ctx *ctx, dn_threads *threads) {
    double start = fg__loop_now();
    int err = 0;
    if (start >= clocks->list_due) {
        err = list_threads(clocks, ctx, threads);
        clocks->list_due = start + list_interval;
    }
    for (size_t i = 0; i < threads->count && !err; i++) err = read_thread(clocks, ctx, &threads->at[i]);
    clocks->began = true;
    double now = fg__loop_now(), least = clocks->ticks ? interval_of_ticks : interval;
    clocks->due = now + fmax(least, (now - start) / most_of_a_core);
    return err;
}
