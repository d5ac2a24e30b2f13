/*
 * What runs inside of a Bun: one function that its event loop calls, as it calls the callbacks of a native addon: between
 * two tasks, on the thread of JavaScript, with no lock held and no script running. It does what such an addon may do, by
 * functions that Bun exports for addons, and runs no JavaScript.
 */
#include "sample/inject/bun.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum { FIRST = 1 << 16, MOST = 1 << 28 };

static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}

/* Functions of the process, whose parameters are integers and addresses. */
typedef uint64_t (*function0)(void);
typedef uint64_t (*function1)(uint64_t);
typedef uint64_t (*function2)(uint64_t, uint64_t);
typedef uint64_t (*function3)(uint64_t, uint64_t, uint64_t);
typedef uint64_t (*function4)(uint64_t, uint64_t, uint64_t, uint64_t);
typedef uint64_t (*function5)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef uint64_t (*function6)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

#define CALL0(name) ((function0)b->f.name)()
#define CALL1(name, x) ((function1)b->f.name)((uint64_t)(x))
#define CALL2(name, x, y) ((function2)b->f.name)((uint64_t)(x), (uint64_t)(y))
#define CALL3(name, x, y, z) ((function3)b->f.name)((uint64_t)(x), (uint64_t)(y), (uint64_t)(z))
#define CALL4(name, x, y, z, u)                                                                              \
    ((function4)b->f.name)((uint64_t)(x), (uint64_t)(y), (uint64_t)(z), (uint64_t)(u))
#define CALL5(name, x, y, z, u, v)                                                                           \
    ((function5)b->f.name)((uint64_t)(x), (uint64_t)(y), (uint64_t)(z), (uint64_t)(u), (uint64_t)(v))
#define CALL6(name, x, y, z, u, v, w)                                                                        \
    ((function6)b->f.name)((uint64_t)(x), (uint64_t)(y), (uint64_t)(z), (uint64_t)(u), (uint64_t)(v),        \
                           (uint64_t)(w))

/* ---- memory -------------------------------------------------------------------------------------------- */

/* Room for `n` bytes more. */
static bool grow(bun_memory *m, uint64_t n) {
    if (m->used + n <= m->size) return true;
    uint64_t size = m->size ? m->size : FIRST;
    while (size < m->used + n) size *= 2;
    if (size > MOST) return false;
    long at =
        m->size ? call6(SYS_mremap, (long)m->address, (long)m->size, (long)size, MREMAP_MAYMOVE, 0, 0)
                : call6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096) return false;
    m->address = (uint64_t)at;
    m->size = size;
    return true;
}

/* ---- the profile --------------------------------------------------------------------------------------- */

static bool put_text(bun_block *b, uint32_t *at, const char *text) {
    uint64_t n = 0;
    while (text && text[n]) n++;
    if (!grow(&b->texts, n + 1)) return false;
    char *to = (char *)(b->texts.address + b->texts.used);
    for (uint64_t i = 0; i < n; i++) to[i] = text[i];
    to[n] = '\0';
    *at = (uint32_t)b->texts.used;
    b->texts.used += n + 1;
    return true;
}

static bool put_string(bun_block *b, uint32_t *at, uint64_t node) {
    bool good = true;
    CALL2(open_scope, b->scope, b->isolate);
    uint64_t string = CALL1(node_file, node);
    int n = string ? (int)CALL2(string_length, string, b->isolate) : 0;
    good = n >= 0 && grow(&b->texts, (uint64_t)n + 1);
    if (good) {
        char *to = (char *)(b->texts.address + b->texts.used);
        for (int i = 0; i <= n; i++) to[i] = '\0';
        if (n) CALL6(string_write, string, b->isolate, to, n, 0, 0);
        *at = (uint32_t)b->texts.used;
        b->texts.used += (uint64_t)n + 1;
    }
    CALL1(close_scope, b->scope);
    return good;
}

static bool put_node(bun_block *b, uint64_t handle, uint32_t parent) {
    if (!handle || !grow(&b->nodes, sizeof(bun_node))) return false;
    bun_node *node = (bun_node *)(b->nodes.address + b->nodes.used);
    b->nodes.used += sizeof(bun_node);
    node->handle = handle;
    node->parent = parent;
    node->hits = (uint32_t)CALL1(node_hits, handle);
    node->line = (int32_t)CALL1(node_line, handle);
    return put_text(b, &node->name, (const char *)CALL1(node_name, handle)) &&
           put_string(b, &node->file, handle);
}

/* Breadth first, as then what was put down already is the list of what there is to do. */
static bool put_profile(bun_block *b, uint64_t profile) {
    bool good = put_node(b, CALL1(profile_root, profile), 0);
    for (uint32_t i = 0; good && i < b->nodes.used / sizeof(bun_node); i++) {
        uint64_t handle = ((bun_node *)b->nodes.address)[i].handle;
        int children = (int)CALL1(node_children, handle);
        for (int j = 0; good && j < children; j++) good = put_node(b, CALL2(node_child, handle, j), i);
    }
    return good;
}

/* ---- the course of things ------------------------------------------------------------------------------ */

static uint32_t start_profiler(bun_block *b) {
    b->isolate = CALL0(isolate);
    if (!b->isolate) return BUN_NO_ISOLATE;
    b->profiler = CALL3(profiler_new, b->isolate, 0, 0);
    CALL2(profiler_interval, b->profiler, b->interval);
    CALL2(open_scope, b->scope, b->isolate);
    uint64_t title = CALL4(new_string, b->isolate, b->title, 0, -1);
    /* v8::CpuProfilingResult: the number, and above it the status, 0 for good */
    uint64_t result = title ? CALL5(profiler_start, b->profiler, title, 0, 0, 0) : 1ull << 32;
    CALL1(close_scope, b->scope);
    b->id = (uint32_t)result;
    if (result >> 32 == 0) return 0;
    CALL1(profiler_dispose, b->profiler);
    return BUN_NOT_STARTED;
}

static uint32_t stop_profiler(bun_block *b) {
    if (CALL0(isolate) !=
        b->isolate) { /* its VM has another global object now: what is of the old one may be gone */
        uint32_t error = start_profiler(b);
        uint64_t profile = error ? 0 : CALL2(profiler_stop, b->profiler, b->id);
        if (profile) CALL1(profile_delete, profile);
        if (!error) CALL1(profiler_dispose, b->profiler);
        return BUN_OTHER_ISOLATE;
    }
    uint64_t profile = CALL2(profiler_stop, b->profiler, b->id);
    uint32_t error = !profile ? BUN_NO_PROFILE : put_profile(b, profile) ? 0 : BUN_NO_MEMORY;
    if (profile) CALL1(profile_delete, profile);
    CALL1(profiler_dispose, b->profiler);
    return error;
}

static uint64_t seconds_now(void) {
    struct timespec now = {0};
    call6(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
    return (uint64_t)now.tv_sec;
}

static void begin(bun_block *b) {
    b->error = b->stop ? BUN_CANCELLED : start_profiler(b);
    b->until = seconds_now() + b->seconds;
    CALL2(timer_init, CALL0(default_loop), b->timer);
    CALL1(unref, b->timer);
    if (!b->error) CALL4(timer_start, b->timer, b->entry, b->tick, b->tick);
    if (!b->error) b->state = BUN_STARTED;
}

static void end(bun_block *b) {
    if (!b->error) b->error = stop_profiler(b);
    b->state = BUN_CLOSING;
    CALL2(close, b->timer, b->entry);
    CALL2(close, b->async, b->entry);
}

/* Each handle's first word is the block. */
__attribute__((section(".text.entry"), used)) void entry(uint64_t *handle);

void entry(uint64_t *handle) {
    bun_block *b = (bun_block *)*handle;
    b->inside = 1;
    if (b->state == BUN_CLOSING) {
        if (++b->closed == 2) b->state = BUN_CLOSED;
    } else if (b->state == BUN_STARTED) {
        if (b->stop || seconds_now() > b->until) end(b);
    } else if (b->state == BUN_NEW) {
        begin(b);
        if (b->error) end(b);
    }
    b->inside = 0;
}
