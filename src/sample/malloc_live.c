/*
 * Outstanding blocks by what a process calls.
 *
 *   entry of malloc and its like, one of so many     who asks, how much ─┐ the same thread, the same place on its
 *   return of malloc and its like, each              the address ────────┴ stack ──▶ a block
 *   entry of free and realloc, each                  the address           ──▶ it is gone
 *
 * A block that is given back is gone when that begins, as its address may be given again before it ends: a realloc that
 * fails puts it back. Records come in the order of time; what is under way is kept for each thread.
 */
#include <stdio.h>
#include <sys/uio.h>
#include "sample/malloc.h"
#include "symbols/unwind.h"

enum { INSIDE = 4 }; /* frames from a function of the allocator to one that it was called by */
enum {
    THREADS = 4096
}; /* two whose numbers are so far apart, in malloc at the same moment, get in each other's way */

typedef struct call {
    uint32_t tid, stack; /* stack FG__NONE: nobody's sample */
    uint64_t sp;         /* at the entry; 0: nothing is under way */
    uint64_t size, pointer;
    fg__block old; /* what a realloc has given back */
    bool by_pointer;
} call;

struct fg__live {
    fg_ctx *ctx;
    uint32_t pid;
    const fg__allocator *allocator;
    uint64_t mask;
    fg__blocks blocks;
    uint64_t trampoline; /* the page that the kernel makes watched functions return to; 0: not known yet */
    call calls[THREADS];
};

int fg__live_new(fg__live **out, fg_ctx *ctx, uint32_t pid, const fg__allocator *allocator, uint64_t mask) {
    fg__live *live = fg__calloc(ctx, 1, sizeof *live);
    *out = live;
    if (!live) return FG_ENOMEM;
    live->ctx = ctx;
    live->pid = pid;
    live->allocator = allocator;
    live->mask = mask;
    return 0;
}

void fg__live_free(fg__live *live) {
    if (!live) return;
    fg__blocks_free(live->ctx, &live->blocks);
    fg_free(live->ctx, live);
}

const fg__blocks *fg__live_blocks(const fg__live *live) {
    return &live->blocks;
}

void fg__live_lost(fg__live *live) {
    for (size_t i = 0; i < THREADS; i++) live->calls[i].sp = 0;
}

/*
 * The kernel maps it at the first return that is watched, and tells nobody. A return address counts as a part of what is
 * before it, and so does this one, where the page begins.
 */
int fg__live_see_returns(fg__live *live, fg__space *space) {
    char name[64], line[4352];
    unsigned long long start = 0;
    if (live->trampoline) return 0;
    snprintf(name, sizeof name, "/proc/%u/maps", live->pid);
    FILE *file = fopen(name, "re");
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, " [uprobes]") && sscanf(line, "%llx-", &start) == 1) break;
    if (file) fclose(file);
    if (!start) return 0;
    live->trampoline = start;
    const fg__mapping page = {.start = start - 1, .end = start + 1, .path = "[uprobes]"};
    return fg__space_map(space, &page);
}

/* The first frames are the allocator's: others have their returns watched for reasons of their own. */
bool fg__live_is_nested(const fg__live *live, const uint64_t *addresses, size_t n) {
    for (size_t i = 1; i < n && i <= INSIDE; i++)
        if (addresses[i] == live->trampoline) return true;
    return false;
}

void fg__live_clear(fg__live *live) {
    fg__live_lost(live);
    live->trampoline = 0;
    fg__blocks_free(live->ctx, &live->blocks);
}

static uint64_t stack_pointer(const fg__live *live, const fg__perf_sample *sample) {
    fg__registers registers;
    fg__registers_from_perf(&registers, live->mask, sample->registers);
    return registers.value[FG__RSP];
}

int fg__live_enter(fg__live *live, const fg__record *record, const fg__malloc_function *f,
                   const fg__perf_sample *sample, uint32_t stack) {
    fg__malloc_call arguments = fg__malloc_arguments(live->allocator, f, live->mask, sample->registers);
    uint64_t sp = stack_pointer(live, sample);
    call *c = &live->calls[record->tid % THREADS];
    if (record->pid != live->pid) return 0;
    if (!fg__malloc_gives(f)) {
        fg__block gone;
        fg__blocks_take(&live->blocks, &gone, arguments.old, record->time);
        return 0;
    }
    /* A realloc that is sampled has two records of its entry. */
    if (c->tid != record->tid || c->sp != sp || f->old == FG__NO_ARGUMENT)
        *c = (call){.tid = record->tid, .stack = FG__NONE, .sp = sp};
    if (stack != FG__NONE && arguments.counts) c->stack = stack;
    c->size = arguments.size;
    c->by_pointer = f->pointer != FG__NO_ARGUMENT;
    c->pointer = arguments.pointer;
    if (f->old != FG__NO_ARGUMENT) fg__blocks_take(&live->blocks, &c->old, arguments.old, record->time);
    return 0;
}

/* What posix_memalign has put where it was told to: mostly a variable of its caller, which is in the copy of the stack. */
static uint64_t pointed_to(const fg__live *live, uint64_t pointer, uint64_t sp,
                           const fg__perf_sample *sample) {
    uint64_t address = 0;
    if (pointer >= sp && pointer - sp < sample->stack_n &&
        sample->stack_n - (pointer - sp) >= sizeof address) {
        memcpy(&address, sample->stack + (pointer - sp), sizeof address);
        return address;
    }
    struct iovec here = {&address, sizeof address}, there = {(void *)(uintptr_t)pointer, sizeof address};
    return process_vm_readv((pid_t)live->pid, &here, 1, &there, 1, 0) == sizeof address ? address : 0;
}

int fg__live_leave(fg__live *live, const fg__record *record, const fg__perf_sample *sample) {
    call *c = &live->calls[record->tid % THREADS];
    uint64_t sp = stack_pointer(live, sample);
    if (record->pid != live->pid || c->tid != record->tid || !c->sp || c->sp + 8 != sp) return 0;
    uint64_t address = fg__malloc_register(live->mask, sample->registers, FG__AX);
    if (c->by_pointer) address = address ? 0 : pointed_to(live, c->pointer, sp, sample);
    c->sp = 0;
    if (!address && c->size && c->old.address) return fg__blocks_put(live->ctx, &live->blocks, &c->old);
    if (!address || c->stack == FG__NONE) return 0;
    const fg__block block = {.address = address, .time = record->time, .size = c->size, .stack = c->stack};
    return fg__blocks_put(live->ctx, &live->blocks, &block);
}
