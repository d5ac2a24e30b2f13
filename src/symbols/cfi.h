/*
 * Call frame information: what .eh_frame and .debug_frame say of how a function's caller is found. DWARF 5, section
 * 6.4; the Linux Standard Base for .eh_frame and .eh_frame_hdr. Only src/symbols includes this.
 *
 *   cfi.c          sections, their entries, the entry for an address; rows kept by address
 *   cfi_program.c  an entry's instructions, run up to an address: a row
 *   expression.c   DWARF expressions, as rows have them
 *   unwind.c       rows applied to registers and a copy of a stack, frame by frame
 *
 *      address ──.eh_frame_hdr or an index──▶ FDE ──▶ its CIE's instructions, then its own ──▶ row
 *
 * Nothing of the bytes is believed: all reading is through a cursor that cannot leave its section.
 */
#ifndef FG_CFI_H
#define FG_CFI_H

#include "symbols/module.h"
#include "symbols/unwind.h"

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Where reading goes on; once it has failed, all that is read is 0. */
typedef struct fg__cursor {
    const uint8_t *p, *end;
    bool bad;
} fg__cursor;

/* An unsigned number of n bytes (1, 2, 4 or 8), and one that is sign-extended; little-endian, as x86-64 is. */
static inline uint64_t fg__cursor_bytes(fg__cursor *c, unsigned n) {
    uint64_t value = 0;
    if ((size_t)(c->end - c->p) < n) {
        c->bad = true;
        c->p = c->end;
        return 0;
    }
    memcpy(&value, c->p, n);
    c->p += n;
    return value;
}
static inline int64_t fg__cursor_signed(fg__cursor *c, unsigned n) {
    unsigned unused = 64 - 8 * n;
    return (int64_t)(fg__cursor_bytes(c, n) << unused) >> unused;
}
/* LEB128; `sign`: of the signed kind. What does not fit in 64 bits is bad. */
uint64_t fg__cursor_leb(fg__cursor *c, bool sign);
/* Cut the next n bytes off. */
fg__cursor fg__cursor_cut(fg__cursor *c, uint64_t n);

/* ---- machines ------------------------------------------------------------------------------------------- */

/* A register that is not followed. */
enum { FG__NO_REGISTER = 255 };
typedef struct fg__abi {
    const uint8_t *numbers; /* ours, by DWARF's */
    size_t count;
    uint32_t preserved; /* set of 1 << number: what a call leaves as it was, unless said otherwise */
    bool links;         /* a call puts the return address into a register, and only some functions store it */
    uint64_t code;      /* the bits of a code address: others may be a signature of it */
} fg__abi;
const fg__abi *fg__abi_of(fg__machine machine);
static inline uint32_t fg__abi_register(const fg__abi *abi, uint64_t number) {
    return number < abi->count ? abi->numbers[number] : (uint32_t)FG__NO_REGISTER;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* Where the caller's value of a register is. */
typedef struct fg__rule {
    enum {
        FG__RULE_SAME,          /* it was not changed */
        FG__RULE_UNDEFINED,     /* it is lost */
        FG__RULE_AT_OFFSET,     /* in memory at CFA + offset */
        FG__RULE_IS_OFFSET,     /* it is CFA + offset */
        FG__RULE_REGISTER,      /* it is register + offset: with offset 0 but for the CFA itself */
        FG__RULE_AT_EXPRESSION, /* in memory where the expression says */
        FG__RULE_IS_EXPRESSION  /* it is what the expression says */
    } how : 8;
    uint32_t reg : 8;
    uint32_t n : 16; /* bytes of the expression … */
    int32_t offset;  /* … which begins here in the row's section */
} fg__rule;

/* All rules for an address. The canonical frame address (CFA) is the stack pointer before the call. */
typedef struct fg__row {
    fg__rule
        cfa; /* FG__RULE_REGISTER or FG__RULE_IS_EXPRESSION; FG__RULE_SAME: nothing is known of this address */
    fg__rule rules[FG__REGISTERS];
    const uint8_t *section;  /* what the expressions are in */
    uint32_t return_address; /* the register that stands for it */
    uint32_t
        signal; /* 1: the frame that the kernel makes for a signal's handler: its caller was interrupted */
} fg__row;

/* An entry for a range of addresses (FDE), with what it shares with others (CIE). */
typedef struct fg__cfi_entry {
    const fg__abi *abi;
    const uint8_t *section;
    uint64_t start, size;
    fg__cursor common, own; /* instructions */
    uint64_t code_factor;
    int64_t data_factor;
    uint32_t return_address;
    bool signal;
    uint8_t encoding; /* of addresses */
    int64_t bias; /* from the section's bytes to their addresses, for those that are relative to themselves */
} fg__cfi_entry;

/* Run the entry's instructions up to `address`. False: they are no instructions, or beyond what is understood. */
bool fg__cfi_run(fg__row *out, const fg__cfi_entry *entry, uint64_t address);
/* An address as .eh_frame has it (DW_EH_PE_…); *bias as in fg__cfi_entry. */
uint64_t fg__cfi_address(fg__cursor *c, uint8_t encoding, int64_t bias);

/* ---- tables of a module -------------------------------------------------------------------------------- */

/*
 * Tables of these sections, of which any may be without bytes; the bytes stay the caller's and have to outlive it.
 * NULL: no memory.
 */
struct fg__cfi *fg__cfi_new(fg_ctx *ctx, fg__machine machine, const fg__section *eh,
                            const fg__section *eh_header, const fg__section *debug);
/*
 * The row for a module's own address; NULL: nothing is known of it. It is in `scratch` or kept until the next call.
 */
const fg__row *fg__cfi_row(struct fg__cfi *cfi, fg_ctx *ctx, uint64_t address, fg__row *scratch);
/* The tables of a module, opened once; NULL: it has none. */
struct fg__cfi *fg__module_cfi(fg__module *m);

/* ---- a stack ------------------------------------------------------------------------------------------- */

/* The registers of a frame and the copy of the stack. */
typedef struct fg__frame_state {
    fg__registers registers;
    const uint8_t *stack;
    uint64_t base; /* the address of the copy's first byte */
    size_t size;
    bool innermost; /* no step was made yet */
    bool beyond;    /* what could not be read is behind the copy's end: there it may well be */
} fg__frame_state;

/* Read `n` bytes (1, 2, 4 or 8) of the process's memory, which has to be in the copy. */
bool fg__frame_read(uint64_t *out, fg__frame_state *frame, uint64_t address, unsigned n);
static inline bool fg__frame_register(uint64_t *out, const fg__frame_state *frame, uint64_t number) {
    if (number >= FG__REGISTERS || !(frame->registers.known >> number & 1)) return false;
    *out = frame->registers.value[number];
    return true;
}
/* What the expression comes to, with *pushed on its stack at first (NULL: nothing). */
bool fg__expression(uint64_t *out, fg__frame_state *frame, fg__cursor code, const uint64_t *pushed);

#endif
