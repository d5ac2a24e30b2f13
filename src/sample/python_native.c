/*
 * --native: what Python calls that is not Python. While a thread is held, its registers and the top of its stack are
 * copied beside its Python frames; when all go on again, the copies are unwound and both stacks become one.
 *
 *   native, innermost first                 Python                merged
 *   qsort_r              (libc)                                   qsort_r
 *   sort_rows            (extension)                              sort_rows
 *   cfunction_call       (interpreter)                            cfunction_call
 *   _PyEval_EvalFrameDefault            ◀── by_row, handle        by_row, handle
 *   _PyObject_Call       (interpreter)                            -
 *   on_event             (extension)                              on_event
 *   _PyEval_EvalFrameDefault            ◀── main                  main
 *   Py_RunMain, main, …                                           -
 *
 * A run of the interpreter's loop is a native frame and stands for the Python frames up to one that was entered from C.
 * From 3.12 on each run keeps a Python frame of its own among its local variables: the native frame with that in its part
 * of the stack is the run, whatever the compiler split the loop into, and whether it has a name or was stripped of it.
 * What the interpreter does between two runs is its own plumbing and is left out; on top of the last one it tells what
 * a built-in function is busy with. Where runs and entries do not match, as when the stack is too deep for the copy,
 * only what is on top of the innermost run is believed, and the profile says how often that was.
 */
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include "sample/python.h"
#include "symbols/unwind.h"

enum { STACK_SIZE = 64 << 10, PAGE = 4096, MOST_NATIVE = 1024, MOST_PENDING = 64 };
static const char loop_name[] = "_PyEval_EvalFrameDefault";
static const double map_interval = 1;

/* A thread as it was while it was held. */
typedef struct pending {
    uint32_t thread_frame;
    py_stack python;
    fg__registers registers;
    uint8_t stack[STACK_SIZE];
    size_t stack_size;
} pending;

struct py_native {
    fg_ctx *ctx;
    pid_t pid;
    fg_profile *profile;
    fg__symbols *symbols;
    fg__space *space;
    double mapped; /* when the space was read */
    pending *pending;
    size_t count;
    py_stack merged;
};

int py_native_open(py_native **out, fg_profile *profile, pid_t pid) {
    fg_ctx *ctx = profile->ctx;
    if (!fg__registers_mask())
        return fg__fail(ctx, FG_EINVAL,
                        "native stacks of Python programs are not read on this kind of machine");
    py_native *n = fg__calloc(ctx, 1, sizeof *n);
    if (!n) return FG_ENOMEM;
    *n = (py_native){.ctx = ctx, .pid = pid, .profile = profile};
    n->pending = fg__alloc(ctx, MOST_PENDING * sizeof *n->pending); /* untouched pages cost nothing */
    int err = n->pending ? 0 : FG_ENOMEM;
    if (!err) err = fg__symbols_new(&n->symbols, ctx, profile, &(fg__symbols_options){0});
    if (!err) err = fg__space_new(&n->space, n->symbols, (uint32_t)pid, true);
    if (!err) err = fg__space_read(n->space);
    if (err) {
        py_native_close(n);
        return err;
    }
    *out = n;
    return 0;
}

void py_native_close(py_native *n) {
    if (!n) return;
    fg__symbols_free(n->symbols);
    fg_free(n->ctx, n->pending);
    fg_free(n->ctx, n);
}

/* ---- while it is held ----------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static bool read_registers(fg__registers *out, pid_t tid) {
    struct user_regs_struct r;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &r) != 0) return false;
    const uint64_t by_dwarf[FG__REGISTERS] = {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
                                              r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
    memcpy(out->value, by_dwarf, sizeof by_dwarf);
    out->machine = FG__X86_64;
    out->known = (1u << FG__REGISTERS) - 1;
    return true;
}
#else
static bool read_registers(fg__registers *out, pid_t tid) {
    (void)out;
    (void)tid;
    return false;
}
#endif

/* As much as there is: a stack that is shallow ends before the copy is full. */
static void copy_stack(pending *t, py_memory *memory) {
    uint64_t top = t->registers.value[FG__RSP];
    size_t first = PAGE - top % PAGE;
    t->stack_size = 0;
    if (py_memory_read(memory, top, t->stack, sizeof t->stack)) {
        t->stack_size = sizeof t->stack;
        return;
    }
    for (size_t size = first; t->stack_size + size <= sizeof t->stack; size = PAGE) {
        if (!py_memory_read(memory, top + t->stack_size, t->stack + t->stack_size, size)) return;
        t->stack_size += size;
    }
}

bool py_native_take(py_native *n, py_memory *memory, pid_t tid, uint32_t thread_frame,
                    const py_stack *stack) {
    if (n->count == MOST_PENDING) return false;
    pending *t = &n->pending[n->count];
    if (!read_registers(&t->registers, tid)) return false;
    copy_stack(t, memory);
    t->thread_frame = thread_frame;
    t->python.count = stack->count;
    t->python.truncated = stack->truncated;
    memcpy(t->python.frames, stack->frames, stack->count * sizeof *stack->frames);
    n->count++;
    return true;
}

/* ---- when it goes on ------------------------------------------------------------------------------------ */

/* The frames of a native stack, and which of them are runs of the loop, or belong to the interpreter. */
typedef struct natives {
    uint32_t frames[MOST_NATIVE];
    enum { OTHER, INTERPRETER, LOOP } kind[MOST_NATIVE];
    size_t count, loops;
} natives;

/* A native stack as it was walked. */
typedef struct walked {
    uint64_t addresses[MOST_NATIVE], tops[MOST_NATIVE];
    size_t count;
} walked;

/* The first Python frame from `k` on whose run has a frame of its own at `address` or above it; `count`: there is none. */
static size_t next_shim(const py_stack *python, size_t k, uint64_t address) {
    while (k < python->count && (!python->frames[k].shim || python->frames[k].shim < address)) k++;
    return k;
}

/* Whether the one at `k` lies in a native frame's part of the stack. */
static bool holds_shim(const walked *w, size_t i, const py_stack *python, size_t k) {
    return k < python->count && (i + 1 == w->count || python->frames[k].shim < w->tops[i + 1]);
}

static int name_addresses(natives *out, py_native *n, const walked *w, const py_stack *python) {
    const char *interpreter = NULL;
    size_t shim = next_shim(python, 0, 0);
    bool by_place = shim < python->count;
    out->count = out->loops = 0;
    for (size_t i = 0; i < w->count; i++) {
        const uint32_t *frames;
        size_t several;
        int err = fg__space_frames(&frames, &several, n->space, w->addresses[i], i > 0);
        if (err) return err;
        shim = next_shim(python, shim, w->tops[i]); /* stacks grow down: the runs further out lie higher */
        bool is_run = holds_shim(w, i, python, shim);
        for (size_t k = 0; k < several && out->count < MOST_NATIVE; k++) {
            fg_frame frame = fg_profile_frame_at(n->profile, frames[k]);
            bool named = strncmp(frame.name, loop_name, sizeof loop_name - 1) == 0;
            bool is_loop = by_place ? is_run && k + 1 == several /* the others are inlined in it */ : named;
            if (named && !is_loop) continue; /* a run that has just begun, or ends */
            if (is_loop) interpreter = frame.module;
            out->loops += is_loop;
            out->kind[out->count] = is_loop ? LOOP : OTHER;
            out->frames[out->count++] = frames[k];
        }
    }
    for (size_t i = 0; interpreter && i < out->count; i++) {
        fg_frame frame = fg_profile_frame_at(n->profile, out->frames[i]);
        if (out->kind[i] == OTHER && frame.module && strcmp(frame.module, interpreter) == 0)
            out->kind[i] = INTERPRETER;
    }
    return 0;
}

static void put(py_stack *out, uint32_t frame) {
    if (out->count < PY_DEEPEST)
        out->frames[out->count++].id = frame;
    else
        out->truncated = true;
}

/* Whether runs and entries matched. */
static bool merge(py_native *n, const natives *native, const py_stack *python) {
    py_stack *out = &n->merged;
    size_t entered = 0, next = 0, loops = 0;
    out->count = 0;
    out->truncated = python->truncated;
    for (size_t i = 0; i < python->count; i++) entered += python->frames[i].entered;
    bool matched = native->loops == entered && !python->truncated;
    for (size_t i = 0; i < native->count && (loops < native->loops || !native->loops); i++) {
        if (native->kind[i] != LOOP) {
            if (loops == 0 || native->kind[i] == OTHER) put(out, native->frames[i]);
            continue;
        }
        loops++;
        if (!matched) break;
        do put(out, python->frames[next].id);
        while (!python->frames[next++].entered && next < python->count);
    }
    if (!native->loops) out->count = 0; /* a stack that has not been walked as far as Python */
    while (next < python->count) put(out, python->frames[next++].id);
    return matched;
}

static int map_anew(py_native *n, double now) {
    if (now - n->mapped < map_interval) return 0;
    n->mapped = now;
    int err = fg__space_read(n->space);
    return err == FG_ENOMEM ? err : 0; /* it may have ended */
}

int py_native_settle(py_native *n, double now, int64_t *unmatched,
                     int (*count)(void *, uint32_t, const py_stack *), void *user) {
    walked w;
    natives native;
    int err = 0;
    for (size_t i = 0; !err && i < n->count; i++) {
        pending *t = &n->pending[i];
        if (!fg__space_mapped(n->space, t->registers.value[FG__RIP])) err = map_anew(n, now);
        fg__unwind_with_tops(w.addresses, w.tops, &w.count, MOST_NATIVE, n->space, &t->registers, t->stack,
                             t->stack_size);
        if (!err) err = name_addresses(&native, n, &w, &t->python);
        if (err) break;
        *unmatched += !merge(n, &native, &t->python);
        err = count(user, t->thread_frame, &n->merged);
    }
    n->count = 0;
    return err;
}
