/*
 * The sampler "bun": the profiler of a running Bun, turned on from outside for the duration. What does it is a function
 * (inject/bun.c) that Bun's own event loop calls, by what Bun has for native addons: uv_async_t and v8::CpuProfiler.
 *
 *   1. a visit: memory for the code and its block; uv_async_init, uv_unref and uv_async_send are called
 *   2. the event loop calls the code, which starts the profiler, and a timer that stops it when it is told to
 *   3. what it wrote is read; a visit gives the memory back
 *
 * The three calls of the first visit use the allocator of the thread and the lists of its event loop. So they are made
 * only where the main thread runs JavaScript: its pc is in code of JavaScriptCore's JIT or of its interpreter, which calls
 * out for whatever else there is to do. Nothing of the heap of objects is touched, which such code may be in the middle of.
 *
 * Not in the epoll call of its event loop: from 1.4 on, another thread tidies up the allocator's memory meanwhile. A
 * thread that is found elsewhere is let go at once and looked at again later; one that sleeps is not stopped at all.
 */
#include "sample/inject/bun.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "core/embedded.h"
#include "formats/v8.h"
#include "sample/sample.h"
#include "symbols/symbols.h"
#include "sys/remote.h"
#include "sys/rights.h"

/* Seconds: `pace` between two looks at the thread until it fits, `look` between two whether it is still there. */
static const double default_timeout = 10, pace = 0.001, look = 0.25;
enum {
    DEFAULT_INTERVAL = 1000,
    PATH_LONG = 4352,
    LEAST_CODE = 24, /* bytes of a function; those that only say that they are missing have 14 */
    LEAST_POOL = 1 << 20,
    MOST_RANGES = 64,
    MOST_OPCODES = 4096,
    MOST_INTERPRETER = 4 << 20,
    TICK = 50, /* ms */
    LONGEST = 1000000,
    MOST_NODES = 1 << 22,
    DEEPEST = 4096
};

struct options {
    fg__sample_options common;
    uint64_t interval_us;
    double timeout; /* seconds for each thing that is asked of the process */
};

typedef struct range {
    uint64_t start, end;
} range;

typedef struct injector {
    fg__sampler s;
    struct options options;
    uint64_t pid;
    bun_functions functions;
    range places[MOST_RANGES]; /* where JavaScript is executed */
    size_t place_count;
    range opcodes; /* the addresses of what the interpreter does, as a table; 0: none is known */
    int memory;    /* of the process as it was at the first visit, whatever it has executed since; -1: none */
    uint64_t code, code_size, block_at; /* in the process; 0: nothing is there */
    bool left_over;                     /* its memory could not be given back */
    bun_block block;
    bun_node *nodes;
    char *texts;
} injector;

/* ---- what it has --------------------------------------------------------------------------------------- */

static int no_functions(injector *b, const char *name) {
    return fg__fail(b->s.ctx, FG_EUNSUPPORTED,
                    "the Bun of process %llu has no %s to get in by: it takes 1.4.4 or a later one",
                    (unsigned long long)b->pid, name);
}

static int find_functions(injector *b) {
#define NAME(name, symbol) symbol,
    static const char *const names[] = {BUN_FUNCTIONS(NAME)};
#undef NAME
    uint64_t *at = (uint64_t *)&b->functions;
    fg__symbols *symbols;
    fg__space *space;
    const char *missing = NULL;
    int err = fg__symbols_new(&symbols, b->s.ctx, NULL, NULL);
    if (err) return err;
    err = fg__space_new(&space, symbols, (uint32_t)b->pid, true);
    if (!err) err = fg__space_read(space);
    for (size_t i = 0; !err && !missing && i < sizeof names / sizeof *names; i++) {
        uint64_t size = 0;
        bool there = fg__space_sized(&at[i], &size, space, NULL, names[i]);
        bool library = strncmp(names[i], "uv_", 3) == 0; /* what Bun has not made yet ends the program */
        if (!there || (library && size < LEAST_CODE)) missing = names[i];
    }
    fg__symbols_free(symbols);
    return err ? err : missing ? no_functions(b, missing) : 0;
}

static bool read_memory(const injector *b, void *out, uint64_t address, size_t n) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/mem", (unsigned long long)b->pid);
    int fd = b->memory < 0 ? open(path, O_RDONLY | O_CLOEXEC) : b->memory;
    size_t done = 0;
    for (ssize_t m; done < n; done += (size_t)m)
        if ((m = pread(fd, (char *)out + done, n - done, (off_t)(address + done))) <= 0) break;
    if (b->memory < 0 && fd >= 0) close(fd);
    return done == n;
}

static int ended(const injector *b) {
    return fg__fail(
        b->s.ctx, FG_EIO,
        "process %llu has ended meanwhile, and what it had recorded with it: choose a shorter duration",
        (unsigned long long)b->pid);
}

/* What the interpreter has is one piece of assembly, its entries in a table that has a section of its own. */
static void find_opcodes(injector *b) {
    static const char name[] = "__DATA,__jsc_opcodes";
    char path[64], texts[4096];
    Elf64_Ehdr head;
    Elf64_Shdr names, section;
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)b->pid);
    FILE *file = fopen(path, "re");
    if (!file) return;
    bool good = fread(&head, sizeof head, 1, file) == 1 && head.e_type == ET_EXEC &&
                head.e_shentsize == sizeof section &&
                !fseeko(file, (off_t)(head.e_shoff + head.e_shstrndx * sizeof names), SEEK_SET) &&
                fread(&names, sizeof names, 1, file) == 1 && names.sh_size <= sizeof texts &&
                !fseeko(file, (off_t)names.sh_offset, SEEK_SET) &&
                fread(texts, 1, names.sh_size, file) == names.sh_size &&
                !fseeko(file, (off_t)head.e_shoff, SEEK_SET);
    for (unsigned i = 0; good && i < head.e_shnum && fread(&section, sizeof section, 1, file) == 1; i++)
        if (section.sh_name + sizeof name <= names.sh_size &&
            memcmp(texts + section.sh_name, name, sizeof name) == 0)
            b->opcodes = (range){section.sh_addr, section.sh_addr + section.sh_size};
    fclose(file);
}

static void add_place(injector *b, uint64_t start, uint64_t end) {
    if (b->place_count < MOST_RANGES) b->places[b->place_count++] = (range){start, end};
}

/* The interpreter: from its first entry to its last. */
static void add_interpreter(injector *b, const range *code) {
    uint64_t entries[MOST_OPCODES], n = b->opcodes.end - b->opcodes.start;
    range found = {UINT64_MAX, 0};
    if (!n || n > sizeof entries || !read_memory(b, entries, b->opcodes.start, n)) return;
    for (size_t i = 0; i < n / sizeof *entries; i++) {
        if (entries[i] < code->start || entries[i] >= code->end) continue;
        if (entries[i] < found.start) found.start = entries[i];
        if (entries[i] > found.end) found.end = entries[i];
    }
    if (found.end > found.start && found.end - found.start < MOST_INTERPRETER)
        add_place(b, found.start, found.end);
}

/* Where JavaScript is executed: pools of the JIT, which are no file, and the interpreter. */
static int look_around(injector *b) {
    char path[64], exe[PATH_LONG], line[PATH_LONG + 128], rights[8];
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)b->pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "/proc/%llu/maps", (unsigned long long)b->pid);
    FILE *maps = fopen(path, "re");
    if (!maps) return fg__fail(b->s.ctx, FG_EIO, "%s: %s", path, strerror(errno));
    b->place_count = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long long start, end, inode;
        int at = 0;
        if (sscanf(line, "%llx-%llx %7s %*x %*s %llu %n", &start, &end, rights, &inode, &at) < 4) continue;
        if (rights[2] != 'x') continue;
        line[strcspn(line, "\n")] = '\0';
        if (inode && strcmp(line + at, exe) == 0) add_interpreter(b, &(range){start, end});
        bool anonymous = !inode && (!line[at] || strncmp(line + at, "[anon:", 6) == 0);
        if (anonymous && end - start >= LEAST_POOL) add_place(b, start, end);
    }
    fclose(maps);
    return 0;
}

/* ---- where to stop ------------------------------------------------------------------------------------- */

static bool in_javascript(void *user, const fg__remote_thread *thread) {
    const injector *b = user;
    if (!thread->main || thread->waiting || thread->system_call >= 0) return false;
    if (!thread->ip) return true; /* seen from outside: it runs, and will be looked at when it stands */
    for (size_t i = 0; i < b->place_count; i++)
        if (thread->ip >= b->places[i].start && thread->ip < b->places[i].end) return true;
    return false;
}

/* Where it is not in our code, and cannot be about to return there. */
static bool is_away(void *user, const fg__remote_thread *thread) {
    return in_javascript(user, thread) || (thread->main && fg__remote_resting(NULL, thread));
}

typedef int (*task)(injector *b, fg__remote *r);

static int visit(injector *b, fg__remote_fit fit, task what, double until) {
    fg__remote *r;
    int err = look_around(b);
    if (!err) err = fg__remote_open(&r, b->s.ctx, b->pid, until);
    if (err) return err;
    fg__remote_set_pace(r, pace);
    err = fg__remote_stop_when(r, fit, b);
    fg__remote_thread thread = fg__remote_stopped(r);
    if (!err) err = look_around(b); /* it may have executed another program in between */
    if (!err && !fit(b, &thread)) err = ended(b);
    if (!err) err = what(b, r);
    int left = fg__remote_resume(r);
    fg__remote_close(r);
    return err ? err : left;
}

/* ---- the first visit ----------------------------------------------------------------------------------- */

static int put_code(injector *b, fg__remote *r) {
    const struct fg__embedded *code = fg__embedded_inject;
    while (code->name && strcmp(code->name, "bun") != 0) code++;
    if (!code->name) return fg__fail(b->s.ctx, FG_EUNSUPPORTED, "this is supported on x86-64 only");
    int64_t result = 0;
    int err = fg__remote_map(&b->code, r, code->n);
    if (!err) b->code_size = code->n;
    if (!err) err = fg__remote_write(r, b->code, code->bytes, code->n);
    const uint64_t arguments[] = {b->code, code->n, PROT_READ | PROT_EXEC};
    if (!err) err = fg__remote_syscall(&result, r, SYS_mprotect, arguments, 3);
    if (!err && result)
        err = fg__fail(b->s.ctx, FG_EUNSUPPORTED, "process %llu gets no memory to execute: %s",
                       (unsigned long long)b->pid, strerror((int)-result));
    return err;
}

static int put_block(injector *b, fg__remote *r) {
    bun_block *block = &b->block;
    int err = fg__remote_map(&b->block_at, r, sizeof *block);
    if (err) return err;
    *block = (bun_block){.f = b->functions,
                         .entry = b->code,
                         .seconds = (uint64_t)(b->options.common.duration + b->options.timeout) + 1,
                         .tick = TICK,
                         .interval = (uint32_t)b->options.interval_us,
                         .title = "flame-graph"};
    block->async[0] = block->timer[0] = b->block_at;
    return fg__remote_write(r, b->block_at, block, sizeof *block);
}

/* Read the block; false: it is not there any more. */
static bool is_there(injector *b) {
    bun_block block;
    if (!read_memory(b, &block, b->block_at, sizeof block) || block.async[0] != b->block_at) return false;
    b->block = block;
    return true;
}

static int unmap(injector *b, fg__remote *r) {
    const struct {
        uint64_t at, n;
    } pieces[] = {{b->code, b->code_size},
                  {b->block_at, sizeof b->block},
                  {b->block.nodes.address, b->block.nodes.size},
                  {b->block.texts.address, b->block.texts.size}};
    int err = 0;
    for (size_t i = 0; !err && i < sizeof pieces / sizeof *pieces; i++)
        if (pieces[i].at && pieces[i].n) err = fg__remote_unmap(r, pieces[i].at, pieces[i].n);
    b->code = b->block_at = 0;
    return err;
}

static int take_back(injector *b, fg__remote *r) {
    if (!is_there(b)) return ended(b);
    if (b->block.inside || b->block.state != BUN_CLOSED)
        return fg__fail(b->s.ctx, FG_EIO, "process %llu is not done yet", (unsigned long long)b->pid);
    return unmap(b, r);
}

static int ask(injector *b, fg__remote *r) {
    uint64_t loop = 0, result = 0;
    int err = fg__remote_call(&loop, r, b->functions.default_loop, NULL, 0);
    if (!err && !loop)
        err = fg__fail(b->s.ctx, FG_EUNSUPPORTED, "process %llu runs no JavaScript on its main thread",
                       (unsigned long long)b->pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/mem", (unsigned long long)b->pid);
    if (!err && (b->memory = open(path, O_RDWR | O_CLOEXEC)) < 0)
        err = fg__fail(b->s.ctx, FG_EIO, "%s: %s", path, strerror(errno));
    if (!err) err = put_code(b, r);
    if (!err) err = put_block(b, r);
    const uint64_t arguments[] = {loop, b->block_at, b->code};
    if (!err) err = fg__remote_call(&result, r, b->functions.async_init, arguments, 3);
    if (!err && (int32_t)result)
        err = fg__fail(b->s.ctx, FG_EUNSUPPORTED, "process %llu refuses a handle: %s",
                       (unsigned long long)b->pid, strerror(-(int32_t)result));
    if (err) {
        unmap(b, r);
        return err;
    }
    err = fg__remote_call(&result, r, b->functions.unref, &b->block_at, 1);
    return err ? err : fg__remote_call(&result, r, b->functions.async_send, &b->block_at, 1);
}

/* ---- until it is done ---------------------------------------------------------------------------------- */

/* Wait until it is in this state, or a later one. *late: it did not come to that. */
static int wait_for(injector *b, uint32_t state, double until, bool *late) {
    *late = false;
    for (double pause = 0.001;; pause = pause < 0.02 ? pause * 1.5 : pause) {
        if (!is_there(b)) return ended(b);
        if (b->block.state >= state) return 0;
        if (fg__loop_now() >= until) {
            *late = true;
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)(pause * 1e9)}, NULL);
    }
}

/* It is to end, whenever it gets to it; what was not begun is not begun any more. */
static bool tell_to_stop(injector *b) {
    static const uint32_t yes = 1;
    return pwrite(b->memory, &yes, sizeof yes, (off_t)(b->block_at + offsetof(bun_block, stop))) ==
           sizeof yes;
}

static int not_started(injector *b) {
    tell_to_stop(b);
    return fg__fail(
        b->s.ctx, FG_EUNSUPPORTED,
        "process %llu did not get back to its event loop in %g s; what it was asked was made to do nothing",
        (unsigned long long)b->pid, b->options.timeout);
}

static int not_ended(injector *b) {
    return fg__fail(
        b->s.ctx, FG_ETIMEOUT,
        "process %llu did not get back to its event loop in %g s: its profiler is on until it does",
        (unsigned long long)b->pid, b->options.timeout);
}

static int failed(injector *b) {
    static const char *const reasons[] = {
        [BUN_CANCELLED] = "it was too late",
        [BUN_NO_ISOLATE] = "its main thread runs no JavaScript",
        [BUN_NOT_STARTED] = "its profiler did not start",
        [BUN_OTHER_ISOLATE] = "it has begun anew meanwhile",
        [BUN_NO_PROFILE] = "its profiler gave nothing",
        [BUN_NO_MEMORY] = "the profile is too large for its memory",
    };
    uint32_t error = b->block.error;
    const char *reason =
        error < sizeof reasons / sizeof *reasons && reasons[error] ? reasons[error] : "it failed";
    return fg__fail(b->s.ctx, FG_EUNSUPPORTED, "process %llu: %s", (unsigned long long)b->pid, reason);
}

/* ---- the sampler --------------------------------------------------------------------------------------- */

static int open_injector(fg__sampler *s, const void *options) {
    injector *b = (injector *)s;
    b->options = *(const struct options *)options;
    b->pid = b->options.common.pid;
    b->memory = -1;
    if (b->options.timeout <= 0) b->options.timeout = default_timeout;
    if (!b->options.interval_us) b->options.interval_us = DEFAULT_INTERVAL;
    if (!b->pid) return fg__fail(s->ctx, FG_EINVAL, "this sampler needs the number of a process (pid)");
    if (!(b->options.common.duration > 0 && b->options.common.duration <= LONGEST))
        return fg__fail(s->ctx, FG_EINVAL, "this sampler needs a duration of at most %d s", LONGEST);
    if (b->options.interval_us > INT32_MAX)
        return fg__fail(s->ctx, FG_EINVAL, "an interval of that length is too long");
    fg__refusal refusal;
    int err = fg__rights_process(s->ctx, b->pid);
    if (!err && fg__rights_foreseen(&refusal, FG__RIGHT_PTRACE, b->pid))
        err = fg__rights_refused(s->ctx, FG__RIGHT_PTRACE, b->pid, EPERM);
    if (!err) err = find_functions(b);
    if (!err) find_opcodes(b);
    return err;
}

static int read_profile(injector *b) {
    const bun_memory *nodes = &b->block.nodes, *texts = &b->block.texts;
    if (!nodes->used || nodes->used / sizeof *b->nodes > MOST_NODES || texts->used > UINT32_MAX)
        return failed(b);
    b->nodes = fg__alloc(b->s.ctx, nodes->used);
    b->texts = fg__alloc(b->s.ctx, texts->used + 1);
    if (!b->nodes || !b->texts) return FG_ENOMEM;
    if (!read_memory(b, b->nodes, nodes->address, nodes->used) ||
        !read_memory(b, b->texts, texts->address, texts->used))
        return ended(b);
    b->texts[texts->used] = '\0';
    return 0;
}

/* The first visit, in pieces, as who waits may have enough of it. */
static int get_in(injector *b) {
    double until = fg__loop_now() + b->options.timeout;
    int err;
    do {
        double now = fg__loop_now();
        err = visit(b, in_javascript, ask, now + look < until ? now + look : until);
    } while (err == FG_ETIMEOUT && !b->block_at && fg__loop_now() < until && !fg__sampler_due(&b->s));
    if (err != FG_ETIMEOUT || b->block_at) return err;
    return fg__fail(
        b->s.ctx, err,
        "process %llu was not seen running JavaScript in %g s, and was left alone: give it something to do",
        (unsigned long long)b->pid, b->options.timeout);
}

static int run_injector(fg__sampler *s) {
    injector *b = (injector *)s;
    bool late;
    s->ends = (double)INFINITY;
    int err = get_in(b);
    if (!err) err = wait_for(b, BUN_STARTED, fg__loop_now() + b->options.timeout, &late);
    if (err) return err;
    if (late) return not_started(b);
    s->ends = fg__loop_now() + b->options.common.duration; /* the duration is that of the profiler */
    while (!err && !b->block.error && fg__sampler_sleep(s, fg__loop_now() + look))
        if (!is_there(b)) err = ended(b);
    if (err) return err;
    tell_to_stop(b);
    err = wait_for(b, BUN_CLOSED, fg__loop_now() + b->options.timeout, &late);
    if (!err && late) return not_ended(b);
    if (!err && b->block.error) err = failed(b);
    if (!err) err = read_profile(b);
    if (b->block.state == BUN_CLOSED)
        b->left_over = visit(b, is_away, take_back, fg__loop_now() + b->options.timeout) != 0;
    return err;
}

/* ---- the profile --------------------------------------------------------------------------------------- */

static int make_frame(uint32_t *out, injector *b, const bun_node *node) {
    fg_profile *p = b->s.profile;
    fg__frame frame = {.line = node->line > 0 ? fg__v8_line(node->line) : 0};
    uint64_t size = b->block.texts.used;
    if (node->name >= size || node->file >= size)
        return fg__fail(b->s.ctx, FG_EFORMAT, "the profile of process %llu is damaged",
                        (unsigned long long)b->pid);
    const char *name = b->texts + node->name, *file = b->texts + node->file;
    int err = fg__string_intern(&frame.name, p, name, strlen(name));
    if (!err) err = fg__v8_file(&frame.file, p, file, strlen(file));
    if (!err) err = fg__v8_complete(&frame, p);
    return err ? err : fg__frame_intern(out, p, &frame);
}

static int add_stack(injector *b, const uint32_t *frames, uint32_t i) {
    uint32_t stack[DEEPEST];
    size_t n = DEEPEST;
    int64_t hits = b->nodes[i].hits;
    for (; i && n; i = b->nodes[i].parent) stack[--n] = frames[i];
    return fg_profile_add(b->s.profile, stack + n, DEEPEST - n, &hits);
}

static int add_nodes(injector *b, uint32_t *frames, size_t count) {
    int64_t samples = 0;
    int err = 0;
    for (uint32_t i = 1; !err && i < count; i++) {
        if (b->nodes[i].parent >= i)
            return fg__fail(b->s.ctx, FG_EFORMAT, "the profile of process %llu is damaged",
                            (unsigned long long)b->pid);
        err = make_frame(&frames[i], b, &b->nodes[i]);
        if (!err && b->nodes[i].hits) err = add_stack(b, frames, i);
        samples += b->nodes[i].hits;
    }
    if (!err && !samples)
        err = fg__fail(b->s.ctx, FG_EEMPTY,
                       "the profile is empty: give process %llu something to do while it is profiled",
                       (unsigned long long)b->pid);
    return err ? err : fg_meta_set_number(b->s.profile, "samples", samples);
}

static int finish_injector(fg__sampler *s) {
    injector *b = (injector *)s;
    size_t count = b->block.nodes.used / sizeof *b->nodes;
    uint32_t *frames = fg__alloc(s->ctx, count * sizeof *frames);
    if (!frames) return FG_ENOMEM;
    int err = fg_profile_add_type(s->profile, "samples", "count");
    if (!err) err = add_nodes(b, frames, count);
    fg_free(s->ctx, frames);
    if (!err && b->left_over)
        err = fg_profile_note(s->profile, "the memory that was asked of the process could not be given back");
    return err;
}

static void close_injector(fg__sampler *s) {
    injector *b = (injector *)s;
    fg_free(s->ctx, b->nodes);
    fg_free(s->ctx, b->texts);
    if (b->memory >= 0) close(b->memory);
}

static const fg__option rows[] = {
    FG__SAMPLE_ROWS,
    {"interval_us", FG__OPTION_SIZE, offsetof(struct options, interval_us)},
    {"timeout", FG__OPTION_NUMBER, offsetof(struct options, timeout)},
    {NULL, FG__OPTION_ANY, 0},
};

const fg__sampler_kind fg__bun_sampler = {
    .name = "bun",
    .options = rows,
    .options_size = sizeof(struct options),
    .size = sizeof(injector),
    .open = open_injector,
    .run = run_injector,
    .finish = finish_injector,
    .close = close_injector,
};
