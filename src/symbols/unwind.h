/*
 * Unwinding: the registers of a thread and a copy of the top of its stack to the addresses of its callers, by the call
 * frame information (.eh_frame, .debug_frame) of the modules in its space. It needs no frame pointers and no debug
 * information; code without call frame information (a JIT's) is passed by its frame pointer.
 *
 * The rules for an address are worked out once and kept: a frame costs a look-up and two reads from the copy.
 */
#ifndef FG_UNWIND_H
#define FG_UNWIND_H

#include "symbols/symbols.h"

/* Kinds of machines whose stacks are understood; samples are only taken on the first one. */
typedef enum fg__machine { FG__X86_64, FG__AARCH64, FG__MACHINES } fg__machine;

/*
 * Registers of x86-64 as DWARF numbers them. On AArch64 those that a call preserves are followed, under the numbers that
 * have the same use here: FG__RBP is x29, FG__RSP is sp, FG__RIP is pc.
 */
enum { FG__REGISTERS = 17, FG__RBP = 6, FG__RSP = 7, FG__RIP = 16 };
typedef struct fg__registers {
    uint64_t value[FG__REGISTERS];
    uint32_t known; /* set of 1 << number */
    fg__machine machine;
} fg__registers;

/* Registers as the kernel gives them with PERF_SAMPLE_REGS_USER: one value for each bit of `mask`, the lowest first. */
void fg__registers_from_perf(fg__registers *out, uint64_t mask, const uint64_t *values);
/* The same of a recording that was made on another kind of machine. */
void fg__registers_of_machine(fg__registers *out, fg__machine machine, uint64_t mask, const uint64_t *values);
/* The mask to ask for (sample_regs_user); 0: not on this kind of machine. */
uint64_t fg__registers_mask(void);

/* How it ended. */
typedef enum fg__unwound {
    FG__UNWOUND_WHOLE, /* at the outermost frame */
    FG__UNWOUND_SHORT, /* the copy of the stack ended, or `most` was reached: frames are missing */
    FG__UNWOUND_LOST   /* at code about which nothing is known: frames may be missing */
} fg__unwound;

/*
 * Put at most `most` addresses into `out`, innermost first, the current one included, and how many into *n. All but the
 * first are return addresses (save behind a signal's frame). `stack` are `size` bytes as they were in memory from the
 * stack pointer on. It cannot fail: without memory nothing is kept of what was worked out.
 */
fg__unwound fg__unwind(uint64_t *out, size_t *n, size_t most, fg__space *space,
                       const fg__registers *registers, const uint8_t *stack, size_t size);
/* The same, and into `tops` the stack pointer that each had: its part of the stack begins there and ends at its caller's. */
fg__unwound fg__unwind_with_tops(uint64_t *out, uint64_t *tops, size_t *n, size_t most, fg__space *space,
                                 const fg__registers *registers, const uint8_t *stack, size_t size);

#endif
