/* Stacks of this very program for the tests of unwinding: registers and a copy of the stack, as perf would take them. */
#ifndef UNWINDING_H
#define UNWINDING_H

#include "profiles.h"
#include <execinfo.h>
#include <pthread.h>
#include <ucontext.h>
#include <unistd.h>
#include "symbols/unwind.h"

/* A frame that only call frame information can get past. */
#ifdef __clang__
#define WITHOUT_FRAME_POINTER __attribute__((noinline))
#else
#define WITHOUT_FRAME_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
#endif

enum { STACK_MOST = 1 << 20, FRAMES_MOST = 128 };

typedef struct sample {
    fg__registers registers;
    uint8_t stack[STACK_MOST];
    size_t size;
    void *truth[FRAMES_MOST]; /* what backtrace says */
    int truth_count;
} sample;

static sample taken;

/* Byte by byte and unseen by the sanitizers, which have marks between the variables of a stack. */
__attribute__((no_sanitize("address"), noinline, unused)) static void
copy_stack(sample *s, const volatile uint8_t *from, size_t n) {
    for (size_t i = 0; i < n; i++) s->stack[i] = from[i];
    s->size = n;
}

/* Where the stack of this thread ends. */
static inline uint64_t stack_end(void) {
    pthread_attr_t attr;
    void *low;
    size_t size;
    assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
    assert_int_equal(pthread_attr_getstack(&attr, &low, &size), 0);
    pthread_attr_destroy(&attr);
    return (uint64_t)(uintptr_t)low + size;
}

static inline void set_registers(fg__registers *out, const greg_t *from) {
    /* DWARF's order: rax rdx rcx rbx rsi rdi rbp rsp r8 … r15 rip */
    static const int order[FG__REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                             REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                             REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    out->known = (1u << FG__REGISTERS) - 1;
    for (int i = 0; i < FG__REGISTERS; i++) out->value[i] = (uint64_t)from[order[i]];
}

/* The sanitizers' backtrace has a frame of its own. */
#ifdef FG_SANITIZED
enum { TRUTH_SKIPPED = 1 };
#else
enum { TRUTH_SKIPPED = 0 };
#endif
static inline void take_truth(int count) {
    taken.truth_count = count - TRUTH_SKIPPED;
    memmove(taken.truth, taken.truth + TRUTH_SKIPPED, (size_t)taken.truth_count * sizeof *taken.truth);
}

/* Take this place's registers, its stack and the truth about it into `taken`; a macro, to add no frame of its own. */
#define TAKE_SAMPLE()                                                                                        \
    do {                                                                                                     \
        ucontext_t context_;                                                                                 \
        assert_int_equal(getcontext(&context_), 0);                                                          \
        set_registers(&taken.registers, context_.uc_mcontext.gregs);                                         \
        uint64_t sp_ = taken.registers.value[FG__RSP], n_ = stack_end() - sp_;                               \
        copy_stack(&taken, (const volatile uint8_t *)sp_, n_ < STACK_MOST ? (size_t)n_ : STACK_MOST);        \
        take_truth(backtrace(taken.truth, FRAMES_MOST));                                                     \
    } while (0)

#endif
