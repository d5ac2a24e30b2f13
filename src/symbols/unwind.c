/* Rows of call frame information applied to registers and a copy of a stack, frame by frame. */
#include "symbols/cfi.h"

/* ---- registers ----------------------------------------------------------------------------------------- */

enum { NONE = FG__NO_REGISTER, LR = 12 };
/* Our number of each register, in the order of the kernel's asm/perf_regs.h … */
static const uint8_t X86_64_PERF[] = {
    0,       3,    2,    1,    4,    5,    FG__RBP, FG__RSP, /* ax bx cx dx si di bp sp */
    FG__RIP, NONE, NONE, NONE, NONE, NONE, NONE,    NONE,    /* ip flags cs ss ds es fs gs */
    8,       9,    10,   11,   12,   13,   14,      15};
/* … and in DWARF's, which on AArch64 is the same: x0 … x30 sp pc. */
static const uint8_t X86_64[] = {0, 1, 2, 3, 4, 5, FG__RBP, FG__RSP, 8, 9, 10, 11, 12, 13, 14, 15, FG__RIP};
static const uint8_t AARCH64[] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,    NONE, NONE,    NONE,
                                  NONE, NONE, NONE, NONE, NONE, 13,   14,   NONE,    0,    1,       2,
                                  3,    4,    5,    8,    9,    10,   11,   FG__RBP, LR,   FG__RSP, FG__RIP};
static const struct {
    fg__abi abi;
    const uint8_t *perf;
    size_t perf_count;
} MACHINES[FG__MACHINES] = {
    [FG__X86_64] = {{.numbers = X86_64,
                     .count = sizeof X86_64,
                     .preserved = 1 << 3 | 1 << FG__RBP | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15,
                     .code = UINT64_MAX},
                    X86_64_PERF,
                    sizeof X86_64_PERF},
    [FG__AARCH64] = {{.numbers = AARCH64,
                      .count = sizeof AARCH64,
                      .preserved = 0x3f | 1 << FG__RBP | 0xf << 8 | 1 << LR,
                      .links = true,
                      .code = UINT64_MAX >> 16},
                     AARCH64,
                     sizeof AARCH64},
};

const fg__abi *fg__abi_of(fg__machine machine) {
    return &MACHINES[machine].abi;
}

void fg__registers_from_perf(fg__registers *out, uint64_t mask, const uint64_t *values) {
    fg__registers_of_machine(out, FG__X86_64, mask, values);
}

void fg__registers_of_machine(fg__registers *out, fg__machine machine, uint64_t mask,
                              const uint64_t *values) {
    *out = (fg__registers){.machine = machine};
    for (unsigned i = 0; i < 64 && mask >> i; i++) {
        if (!(mask >> i & 1)) continue;
        uint64_t value = *values++;
        unsigned number = i < MACHINES[machine].perf_count ? MACHINES[machine].perf[i] : NONE;
        if (number == NONE) continue;
        out->value[number] = value;
        out->known |= 1u << number;
    }
}

uint64_t fg__registers_mask(void) {
    uint64_t mask = 0;
#ifdef __x86_64__
    for (unsigned i = 0; i < sizeof X86_64_PERF; i++)
        if (X86_64_PERF[i] != NONE) mask |= UINT64_C(1) << i;
#endif
    return mask;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

bool fg__frame_read(uint64_t *out, fg__frame_state *frame, uint64_t address, unsigned n) {
    enum { STACK = 8 << 20 }; /* as large as stacks are: what is farther away is not on this one */
    uint64_t at = address - frame->base;
    if (address >= frame->base && at <= frame->size && frame->size - at >= n) {
        uint64_t value = 0;
        memcpy(&value, frame->stack + at, n);
        *out = value;
        return true;
    }
    frame->beyond = address >= frame->base && at < STACK;
    return false;
}

/* ---- one frame ----------------------------------------------------------------------------------------- */

static fg__cursor expression_of(const fg__row *row, const fg__rule *rule) {
    const uint8_t *p = row->section + rule->offset;
    return (fg__cursor){p, p + rule->n, false};
}

static bool cfa_of(uint64_t *out, fg__frame_state *frame, const fg__row *row) {
    const fg__rule *rule = &row->cfa;
    if (rule->how == FG__RULE_IS_EXPRESSION)
        return fg__expression(out, frame, expression_of(row, rule), NULL);
    if (!fg__frame_register(out, frame, rule->reg)) return false;
    *out += (uint64_t)rule->offset;
    return true;
}

/* The caller's value of a register. */
static bool value_of(uint64_t *out, fg__frame_state *frame, const fg__row *row, unsigned number,
                     uint64_t cfa) {
    const fg__rule *rule = &row->rules[number];
    switch (rule->how) {
    case FG__RULE_SAME: return fg__frame_register(out, frame, number);
    case FG__RULE_AT_OFFSET: return fg__frame_read(out, frame, cfa + (uint64_t)rule->offset, 8);
    case FG__RULE_IS_OFFSET: *out = cfa + (uint64_t)rule->offset; return true;
    case FG__RULE_REGISTER: return fg__frame_register(out, frame, rule->reg);
    case FG__RULE_AT_EXPRESSION:
        return fg__expression(out, frame, expression_of(row, rule), &cfa) &&
               fg__frame_read(out, frame, *out, 8);
    case FG__RULE_IS_EXPRESSION: return fg__expression(out, frame, expression_of(row, rule), &cfa);
    default: return false;
    }
}

/* How a step went: on to a caller, or to an end. */
typedef enum step { STEP_ON, STEP_OUTERMOST, STEP_FAILED } step;

/*
 * Whether a frame's caller can be where it seems to be: stacks grow down. A signal's may have come from another one, and
 * where calls leave nothing on the stack, the innermost function may have nothing there.
 */
static step arrive(fg__frame_state *frame, const fg__registers *caller, bool signal) {
    const fg__abi *abi = fg__abi_of(frame->registers.machine);
    uint64_t from = frame->registers.value[FG__RSP], to = caller->value[FG__RSP];
    bool up = to > from || (to == from && abi->links && frame->innermost);
    frame->registers = *caller;
    frame->registers.value[FG__RIP] &= abi->code;
    frame->innermost = signal;
    if (!caller->value[FG__RIP]) return STEP_OUTERMOST;
    return up || signal ? STEP_ON : STEP_FAILED;
}

static step by_row(fg__frame_state *frame, const fg__row *row) {
    fg__registers caller = {.machine = frame->registers.machine};
    uint64_t cfa, value;
    if (row->rules[row->return_address].how == FG__RULE_UNDEFINED) return STEP_OUTERMOST;
    frame->beyond = false;
    if (!cfa_of(&cfa, frame, row)) return STEP_FAILED;
    for (unsigned i = 0; i < FG__REGISTERS; i++) {
        if (row->rules[i].how == FG__RULE_UNDEFINED || !value_of(&value, frame, row, i, cfa)) continue;
        caller.value[i] = value;
        caller.known |= 1u << i;
    }
    unsigned ra = row->return_address;
    frame->beyond = false; /* only what counts from here on */
    if (!value_of(&caller.value[FG__RIP], frame, row, ra, cfa)) return STEP_FAILED;
    caller.known |= 1u << FG__RIP;
    return caller.known >> FG__RSP & 1 ? arrive(frame, &caller, row->signal) : STEP_FAILED;
}

/*
 * Code that nothing is known of, as that of most JITs: by its frame pointer, if there is such a thing. It is taken for
 * one if what it leads to is a place in code.
 */
static step by_frame_pointer(fg__frame_state *frame, const fg__space *space) {
    fg__registers caller = {.known = 1u << FG__RBP | 1u << FG__RSP | 1u << FG__RIP,
                            .machine = frame->registers.machine};
    uint64_t at;
    frame->beyond = false;
    if (!fg__frame_register(&at, frame, FG__RBP)) return STEP_FAILED;
    if (at == 0) return STEP_OUTERMOST; /* as the ABI has it for a thread's first frame */
    if (at < frame->registers.value[FG__RSP] || at % 8) return STEP_FAILED;
    if (!fg__frame_read(&caller.value[FG__RBP], frame, at, 8)) return STEP_FAILED;
    if (!fg__frame_read(&caller.value[FG__RIP], frame, at + 8, 8)) return STEP_FAILED;
    caller.value[FG__RSP] = at + 16;
    caller.value[FG__RIP] &= fg__abi_of(caller.machine)->code;
    if (caller.value[FG__RIP] && !fg__space_mapped(space, caller.value[FG__RIP])) return STEP_FAILED;
    return arrive(frame, &caller, false);
}

/* ---- all of them --------------------------------------------------------------------------------------- */

/* The row for an address in a space; NULL: nothing is known of it. */
static const fg__row *find_row(fg__space *space, const fg__area *area, uint64_t address, fg__row *scratch) {
    if (area->module->is != FG__MODULE_FILE) return NULL;
    struct fg__cfi *cfi = fg__module_cfi(area->module);
    if (!cfi) return NULL;
    uint64_t own = fg__module_address(area->module, address - area->start + area->offset);
    return fg__cfi_row(cfi, space->symbols->ctx, own, scratch);
}

fg__unwound fg__unwind(uint64_t *out, size_t *n, size_t most, fg__space *space,
                       const fg__registers *registers, const uint8_t *stack, size_t size) {
    return fg__unwind_with_tops(out, NULL, n, most, space, registers, stack, size);
}

fg__unwound fg__unwind_with_tops(uint64_t *out, uint64_t *tops, size_t *n, size_t most, fg__space *space,
                                 const fg__registers *registers, const uint8_t *stack, size_t size) {
    enum { NEEDED = 1u << FG__RIP | 1u << FG__RSP };
    fg__frame_state frame = {.registers = *registers, .stack = stack, .size = size, .innermost = true};
    fg__row scratch;
    uint64_t returning = 0; /* 1: the address is where a call returns to, which may be in the next function */
    *n = 0;
    if ((registers->known & NEEDED) != NEEDED) return FG__UNWOUND_LOST;
    frame.base = registers->value[FG__RSP];
    while (*n < most) {
        uint64_t pc = frame.registers.value[FG__RIP];
        const fg__area *area = fg__space_area(space, pc - returning);
        if (!area && *n) return FG__UNWOUND_LOST; /* no code: what led here is wrong */
        if (tops) tops[*n] = frame.registers.value[FG__RSP];
        out[(*n)++] = pc;
        const fg__row *row = area ? find_row(space, area, pc - returning, &scratch) : NULL;
        step went = row ? by_row(&frame, row) : by_frame_pointer(&frame, space);
        if (went == STEP_OUTERMOST) return FG__UNWOUND_WHOLE;
        if (went == STEP_FAILED) return frame.beyond ? FG__UNWOUND_SHORT : FG__UNWOUND_LOST;
        returning = row && row->signal ? 0 : 1;
    }
    return FG__UNWOUND_SHORT;
}
