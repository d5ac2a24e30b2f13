/*
 * The sampler "jemalloc": the heap profile that jemalloc keeps by itself, dumped by a call of its mallctl in the
 * running process. Where profiling was turned off after the start (prof_active:false), it is on for the duration only.
 *
 * The call is made where no lock of the allocator can be held: by a thread that sleeps in read, poll or the like, else
 * by one that is just about to enter the allocator, else by one that computes in the executable, where that has no
 * part of the allocator in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "formats/heap.h"
#include "sample/malloc.h"
#include "sample/sample.h"
#include "symbols/symbols.h"
#include "sys/remote.h"
#include "sys/rights.h"

static const double default_timeout = 10;
enum { PAGE = 4096, VALUE = 1024, LENGTH = 1032, PATH = 1040, DUMP_MAX = 1 << 30, ENTRIES = 4 };

struct options {
    fg__sample_options common;
    bool growth;    /* two dumps: at the start and at the end */
    double timeout; /* seconds for each thing that is asked of the process */
};

typedef struct dumper {
    fg__sampler s;
    struct options options;
    uint64_t pid, mallctl, entries[ENTRIES];
    size_t entry_count;
    bool shared; /* jemalloc is a library of its own */
    bool turned_on;
    fg__buffer first, dump;
} dumper;

/* ---- where it is --------------------------------------------------------------------------------------- */

/* jemalloc's functions may have a prefix: Rust's crate and private copies give it one. */
static bool find_functions(dumper *d, fg__space *space) {
    static const char library[] = "libjemalloc.so.2"; /* libc has a malloc as well */
    static const struct {
        const char *module, *prefix;
    } kinds[] = {{library, ""}, {NULL, "_rjem_"}, {NULL, "je_"}, {NULL, ""}};
    static const char *const entries[ENTRIES] = {"malloc", "mallocx", "sdallocx", "free"};
    char name[64];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(name, sizeof name, "%smallctl", kinds[i].prefix);
        if (!fg__space_symbol(&d->mallctl, space, kinds[i].module, name)) continue;
        d->shared = kinds[i].module != NULL;
        for (size_t j = 0; j < ENTRIES; j++) {
            snprintf(name, sizeof name, "%s%s", kinds[i].prefix, entries[j]);
            if (fg__space_symbol(&d->entries[d->entry_count], space, kinds[i].module, name)) d->entry_count++;
        }
        return true;
    }
    return false;
}

static int find_jemalloc(dumper *d) {
    fg_ctx *ctx = d->s.ctx;
    fg__symbols *symbols;
    fg__space *space;
    int err = fg__symbols_new(&symbols, ctx, NULL, NULL);
    if (err) return err;
    err = fg__space_new(&space, symbols, (uint32_t)d->pid, true);
    if (!err) err = fg__space_read(space);
    if (!err && !find_functions(d, space))
        err = fg__malloc_hides_jemalloc(d->pid)
                  ? fg__malloc_hidden(ctx, d->pid)
                  : fg__fail(ctx, FG_EUNSUPPORTED, "process %llu has no jemalloc that can be found",
                             (unsigned long long)d->pid);
    fg__symbols_free(symbols);
    return err;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

/* The executable's own code. */
static bool in_executable(void *user, const fg__remote_thread *thread) {
    const dumper *d = user;
    char path[64], line[4096], exe[4096];
    bool found = false;
    if (thread->waiting || thread->system_call >= 0) return false;
    if (!thread->ip) return true; /* seen from outside: it runs, and will be looked at when it stands */
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)d->pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    snprintf(path, sizeof path, "/proc/%llu/maps", (unsigned long long)d->pid);
    FILE *file = n > 0 ? fopen(path, "re") : NULL;
    if (!file) return false;
    exe[n] = '\0';
    while (!found && fgets(line, sizeof line, file)) {
        unsigned long long start, end;
        const char *name = strchr(line, '/');
        found = sscanf(line, "%llx-%llx", &start, &end) == 2 && thread->ip >= start && thread->ip < end &&
                name && strncmp(name, exe, (size_t)n) == 0;
    }
    fclose(file);
    return found;
}

typedef int (*stopper)(fg__remote *r, dumper *d);

static int stop_resting(fg__remote *r, dumper *d) {
    (void)d;
    return fg__remote_stop_when(r, fg__remote_resting, NULL);
}

static int stop_entering(fg__remote *r, dumper *d) {
    return fg__remote_stop_at(r, d->entries, d->entry_count);
}

/* Where the allocator is a part of the executable, being in that says nothing. */
static int stop_computing(fg__remote *r, dumper *d) {
    if (!d->shared) return stop_resting(r, d);
    return fg__remote_stop_when(r, in_executable, d);
}

/* Stop a thread that cannot be inside the allocator. The caller closes *out. */
static int stop_outside(fg__remote **out, dumper *d) {
    static const struct {
        stopper stop;
        double seconds;
    } ways[] = {{stop_resting, 0.3}, {stop_entering, 1}, {stop_computing, 0.3}};
    double deadline = fg__loop_now() + d->options.timeout;
    for (size_t i = 0;; i = (i + 1) % (sizeof ways / sizeof *ways)) {
        fg__remote *r;
        int err = fg__remote_open(&r, d->s.ctx, d->pid, fg__loop_now() + ways[i].seconds);
        if (err) return err;
        err = ways[i].stop(r, d);
        if (!err) *out = r;
        if (err) fg__remote_close(r);
        if (err != FG_ETIMEOUT || fg__loop_now() >= deadline) return err;
    }
}

/* One mallctl: `old` (of `size` bytes) gets the value, unless NULL; `set` (as large) is the new one, unless NULL. */
static int control(int *result, fg__remote *r, dumper *d, uint64_t page, const char *name, void *old,
                   const void *set, uint64_t size) {
    uint64_t returned;
    int err = fg__remote_write(r, page, name, strlen(name) + 1);
    if (!err) err = fg__remote_write(r, page + LENGTH, &size, sizeof size);
    if (!err && set) err = fg__remote_write(r, page + VALUE, set, size);
    const uint64_t arguments[] = {page, old ? page + VALUE : 0, old ? page + LENGTH : 0,
                                  set ? page + VALUE : 0, set ? size : 0};
    if (!err) err = fg__remote_call(&returned, r, d->mallctl, arguments, 5);
    if (!err && old) err = fg__remote_read(r, old, page + VALUE, size);
    if (!err) *result = (int)(int32_t)returned;
    return err;
}

static int refused(dumper *d, const char *name, int error) {
    return fg__fail(d->s.ctx, FG_EUNSUPPORTED, "jemalloc in process %llu refuses %s: %s",
                    (unsigned long long)d->pid, name, strerror(error));
}

static int must_be_on(dumper *d, int error) {
    return fg__fail(d->s.ctx, FG_EUNSUPPORTED, "jemalloc in process %llu %s: %s", (unsigned long long)d->pid,
                    error ? "was built without profiling" : "was started without profiling",
                    error
                        ? "build it with --enable-prof (Rust: feature `profiling`)"
                        : "start the program with MALLOC_CONF=prof:true (Rust: _RJEM_MALLOC_CONF), to which "
                          "prof_active:false can be added: it is then on only while it is watched");
}

/* With a stopped thread and a page of its memory, do one thing. */
typedef int (*task)(fg__remote *r, dumper *d, uint64_t page);

static int with_page(dumper *d, task act) {
    fg__remote *r = NULL;
    uint64_t page;
    int err = stop_outside(&r, d);
    if (err) return err;
    err = fg__remote_map(&page, r, PAGE);
    if (!err) {
        err = act(r, d, page);
        if (fg__remote_stopped(r).tid) fg__remote_unmap(r, page, PAGE);
    }
    fg__remote_close(r);
    return err;
}

static int turn_on(fg__remote *r, dumper *d, uint64_t page) {
    bool on = false;
    int error = 0;
    int err = control(&error, r, d, page, "opt.prof", &on, NULL, sizeof on);
    if (err || error || !on) return err ? err : must_be_on(d, error);
    err = control(&error, r, d, page, "prof.active", &on, &(bool){true}, sizeof on);
    if (err || error) return err ? err : refused(d, "prof.active", error);
    d->turned_on = !on;
    return 0;
}

static int turn_off(fg__remote *r, dumper *d, uint64_t page) {
    int error = 0;
    int err = control(&error, r, d, page, "prof.active", NULL, &(bool){false}, sizeof(bool));
    if (!err && !error) d->turned_on = false;
    return err || !error ? err : refused(d, "prof.active", error);
}

static int read_dump(fg__buffer *out, dumper *d, const char *path) {
    char seen[256], bytes[65536];
    ssize_t n;
    int err = 0;
    snprintf(seen, sizeof seen, "/proc/%llu/root%s", (unsigned long long)d->pid, path);
    int fd = open(seen, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fg__fail(d->s.ctx, FG_EIO, "%s: %s", seen, strerror(errno));
    while (!err && (n = read(fd, bytes, sizeof bytes)) > 0) {
        err = fg__buffer_add(d->s.ctx, out, bytes, (size_t)n);
        if (!err && out->n > DUMP_MAX) err = fg__fail(d->s.ctx, FG_ELIMIT, "%s has more than 1 GiB", seen);
    }
    if (!err && n < 0) err = fg__fail(d->s.ctx, FG_EIO, "%s: %s", seen, strerror(errno));
    close(fd);
    return err;
}

/* Let the thread make a system call about a path. */
static int path_call(fg__remote *r, uint64_t page, long number, const char *path, uint64_t second) {
    int64_t result = -1;
    if (fg__remote_write(r, page + PATH, path, strlen(path) + 1)) return -1;
    const uint64_t arguments[] = {page + PATH, second};
    return fg__remote_syscall(&result, r, number, arguments, 2) || result < 0 ? -1 : 0;
}

/* A folder of the process's own that nobody else looks into: jemalloc makes the file for everybody to read. */
static int make_folder(fg__remote *r, dumper *d, uint64_t page, char *folder, size_t size) {
    static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};
    uint64_t token[2];
    if (getrandom(token, sizeof token, 0) != sizeof token)
        return fg__fail(d->s.ctx, FG_EIO, "the kernel gives no random bytes");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(folder, size, "%s/flame-graph-%016llx%016llx", places[i], (unsigned long long)token[0],
                 (unsigned long long)token[1]);
        if (!path_call(r, page, SYS_mkdir, folder, 0700)) return 0;
    }
    return fg__fail(d->s.ctx, FG_EIO, "process %llu can write to none of /tmp, /var/tmp and /dev/shm",
                    (unsigned long long)d->pid);
}

static int dump_to(fg__buffer *out, fg__remote *r, dumper *d, uint64_t page) {
    char folder[128], path[160];
    const uint64_t at = page + PATH;
    int error = 0;
    int err = make_folder(r, d, page, folder, sizeof folder);
    if (err) return err;
    snprintf(path, sizeof path, "%s/heap", folder);
    err = fg__remote_write(r, at, path, strlen(path) + 1);
    if (!err) err = control(&error, r, d, page, "prof.dump", NULL, &at, sizeof at);
    if (!err && error) err = refused(d, "prof.dump", error);
    if (!err) err = read_dump(out, d, path);
    if (fg__remote_stopped(r).tid) {
        path_call(r, page, SYS_unlink, path, 0);
        path_call(r, page, SYS_rmdir, folder, 0);
    }
    return err;
}

static int dump_first(fg__remote *r, dumper *d, uint64_t page) {
    return dump_to(&d->first, r, d, page);
}

static int dump_last(fg__remote *r, dumper *d, uint64_t page) {
    return dump_to(&d->dump, r, d, page);
}

/* ---- the sampler --------------------------------------------------------------------------------------- */

static int open_dumper(fg__sampler *s, const void *options) {
    dumper *d = (dumper *)s;
    fg__refusal refusal;
    d->options = *(const struct options *)options;
    if (d->options.timeout <= 0) d->options.timeout = default_timeout;
    d->pid = d->options.common.pid;
    if (!d->pid) return fg__fail(s->ctx, FG_EINVAL, "jemalloc needs the number of a process (pid)");
    int err = fg__rights_process(s->ctx, d->pid);
    if (!err && fg__rights_foreseen(&refusal, FG__RIGHT_PTRACE, d->pid))
        err = fg__rights_refused(s->ctx, FG__RIGHT_PTRACE, d->pid, EPERM);
    if (!err) err = find_jemalloc(d);
    return err ? err : with_page(d, turn_on);
}

/* What was on all the time is there already: only growth, and what is turned on now, need time. */
static int run_dumper(fg__sampler *s) {
    dumper *d = (dumper *)s;
    int err = d->options.growth ? with_page(d, dump_first) : 0;
    while (!err && (d->turned_on || d->options.growth) && fg__sampler_sleep(s, s->ends)) {}
    return err ? err : with_page(d, dump_last);
}

static int note(dumper *d, bool was_off) {
    fg_profile *p = d->s.profile;
    if (was_off) return fg_profile_note(p, "only what was allocated after the attach is seen");
    if (d->options.growth) return 0;
    int err = fg_meta_set_number(p, "snapshot", 1);
    return err ? err : fg_profile_note(p, "what was allocated since the program began");
}

static int read_dumps(dumper *d) {
    fg_profile *p = d->s.profile;
    if (!d->options.growth) return fg__heap_read_live(p, d->dump.bytes, d->dump.n, d->pid, FG__HEAP_USE);
    int err = fg__heap_read_live(p, d->first.bytes, d->first.n, d->pid, FG__HEAP_BEFORE);
    if (!err) err = fg__heap_read_live(p, d->dump.bytes, d->dump.n, d->pid, FG__HEAP_AFTER);
    if (!err) err = fg_meta_set_text(p, "normalize", "absolute");
    return err ? err : fg_meta_set_real(p, "factor", 1);
}

static int finish_dumper(fg__sampler *s) {
    dumper *d = (dumper *)s;
    bool was_off = d->turned_on;
    int err = was_off ? with_page(d, turn_off) : 0;
    if (err) return fg__fail_in(s->ctx, err, "profiling was turned on and is still on");
    err = read_dumps(d);
    if (!err && !fg_profile_stack_count(s->profile))
        err = fg__fail(s->ctx, FG_EEMPTY,
                       "jemalloc in process %llu sampled no allocation that is still in use%s",
                       (unsigned long long)d->pid, was_off ? ": give it work while it is watched" : "");
    return err ? err : note(d, was_off);
}

static void close_dumper(fg__sampler *s) {
    dumper *d = (dumper *)s;
    if (d->turned_on) with_page(d, turn_off);
    fg_free(s->ctx, d->first.bytes);
    fg_free(s->ctx, d->dump.bytes);
}

static const fg__option rows[] = {
    FG__SAMPLE_ROWS,
    {"growth", FG__OPTION_BOOL, offsetof(struct options, growth)},
    {"timeout", FG__OPTION_NUMBER, offsetof(struct options, timeout)},
    {NULL, FG__OPTION_ANY, 0},
};

const fg__sampler_kind fg__jemalloc_sampler = {
    .name = "jemalloc",
    .options = rows,
    .options_size = sizeof(struct options),
    .size = sizeof(dumper),
    .open = open_dumper,
    .run = run_dumper,
    .finish = finish_dumper,
    .close = close_dumper,
};
