/*
 * What the sampler "bun" (bun.c) and the code that it puts into a Bun (inject/bun.c) share: one block of memory of that
 * process, which the code is handed by Bun's event loop.
 *
 *   bun.c                                        inject/bun.c, called by the event loop between two tasks
 *   NEW: uv_async_init, uv_async_send ─────────▶ STARTED: the profiler runs, and a timer that looks at `stop`
 *   stop = 1 ──────────────────────────────────▶ CLOSING: the profile is in the memory of the process
 *   read it, unmap everything ◀───────────────── CLOSED: the event loop has forgotten both handles
 */
#ifndef FG_INJECT_BUN_H
#define FG_INJECT_BUN_H

#include <stdint.h>

enum { BUN_NEW, BUN_STARTED, BUN_CLOSING, BUN_CLOSED };
/* What went wrong; 0: nothing. */
enum { BUN_CANCELLED = 1, BUN_NO_ISOLATE, BUN_NOT_STARTED, BUN_OTHER_ISOLATE, BUN_NO_PROFILE, BUN_NO_MEMORY };
/* Words of a uv_async_t and a uv_timer_t (16 and 19 in libuv 1), and then some; bytes of a v8::HandleScope (24). */
enum { BUN_HANDLE_WORDS = 32, BUN_SCOPE_WORDS = 16 };

/* Functions of the process. */
#define BUN_FUNCTIONS(X)                                                                                     \
    X(default_loop, "uv_default_loop")                                                                       \
    X(async_init, "uv_async_init")                                                                           \
    X(async_send, "uv_async_send")                                                                           \
    X(timer_init, "uv_timer_init")                                                                           \
    X(timer_start, "uv_timer_start")                                                                         \
    X(unref, "uv_unref")                                                                                     \
    X(close, "uv_close")                                                                                     \
    X(isolate, "_ZN2v87Isolate13TryGetCurrentEv")                                                            \
    X(open_scope, "_ZN2v811HandleScopeC1EPNS_7IsolateE")                                                     \
    X(close_scope, "_ZN2v811HandleScopeD1Ev")                                                                \
    X(new_string, "_ZN2v86String11NewFromUtf8EPNS_7IsolateEPKcNS_13NewStringTypeEi")                         \
    X(string_length, "_ZNK2v86String10Utf8LengthEPNS_7IsolateE")                                             \
    X(string_write, "_ZNK2v86String9WriteUtf8EPNS_7IsolateEPciPii")                                          \
    X(profiler_new,                                                                                          \
      "_ZN2v811CpuProfiler3NewEPNS_7IsolateENS_22CpuProfilingNamingModeENS_23CpuProfilingLoggingModeE")      \
    X(profiler_interval, "_ZN2v811CpuProfiler19SetSamplingIntervalEi")                                       \
    X(profiler_start, "_ZN2v811CpuProfiler5StartENS_5LocalINS_6StringEEENS_16CpuProfilingModeEbj")           \
    X(profiler_stop, "_ZN2v811CpuProfiler4StopEj")                                                           \
    X(profiler_dispose, "_ZN2v811CpuProfiler7DisposeEv")                                                     \
    X(profile_root, "_ZNK2v810CpuProfile14GetTopDownRootEv")                                                 \
    X(profile_delete, "_ZN2v810CpuProfile6DeleteEv")                                                         \
    X(node_name, "_ZNK2v814CpuProfileNode18GetFunctionNameStrEv")                                            \
    X(node_file, "_ZNK2v814CpuProfileNode21GetScriptResourceNameEv")                                         \
    X(node_line, "_ZNK2v814CpuProfileNode13GetLineNumberEv")                                                 \
    X(node_hits, "_ZNK2v814CpuProfileNode11GetHitCountEv")                                                   \
    X(node_children, "_ZNK2v814CpuProfileNode16GetChildrenCountEv")                                          \
    X(node_child, "_ZNK2v814CpuProfileNode8GetChildEi")

#define BUN_WORD(name, symbol) uint64_t name;
typedef struct bun_functions {
    BUN_FUNCTIONS(BUN_WORD)
} bun_functions;
#undef BUN_WORD

/* A node of the profile, behind its parent. */
typedef struct bun_node {
    uint64_t handle; /* a v8::CpuProfileNode, gone by the time that this is read */
    uint32_t parent; /* of the root: 0 */
    uint32_t hits;
    int32_t line;        /* 0: none */
    uint32_t name, file; /* where their texts begin, each with a NUL behind it */
} bun_node;

/* Memory that grows. */
typedef struct bun_memory {
    uint64_t address, size, used;
} bun_memory;

typedef struct bun_block {
    uint64_t async[BUN_HANDLE_WORDS],
        timer[BUN_HANDLE_WORDS]; /* the first word of each is the address of this block */
    uint64_t scope[BUN_SCOPE_WORDS];
    bun_functions f;
    uint64_t entry;    /* the code */
    uint64_t seconds;  /* after which it ends by itself */
    uint64_t until;    /* when that is, CLOCK_MONOTONIC */
    uint32_t tick;     /* ms between two looks at `stop` */
    uint32_t interval; /* µs */
    uint32_t stop;     /* set from outside: it is to end */
    uint32_t state, inside, closed, error;
    uint32_t id;
    char title[12];
    uint64_t isolate, profiler;
    bun_memory nodes, texts;
} bun_block;

#endif
