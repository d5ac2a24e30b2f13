/*
 * DWARF expressions (DWARF 5, section 2.5) of integers, registers and memory of the stack: what call frame information
 * needs, as for the stubs of .plt and the frames of signals. Nothing of types, of frame bases and of other objects.
 */
#include <dwarf.h>
#include "symbols/cfi.h"

enum { DEPTH = 64, STEPS = 1000 };

typedef struct machine {
    uint64_t stack[DEPTH];
    size_t n;
    fg__frame_state *frame;
    fg__cursor code;
    const uint8_t *begin;
} machine;

static bool push(machine *m, uint64_t value) {
    if (m->n == DEPTH) return false;
    m->stack[m->n++] = value;
    return true;
}

/* A copy of what is `down` from the top. */
static bool pick(machine *m, uint64_t down) {
    return down < m->n && push(m, m->stack[m->n - 1 - (size_t)down]);
}

static bool push_register(machine *m, uint64_t number) {
    uint64_t value, offset = fg__cursor_leb(&m->code, true);
    uint32_t reg = fg__abi_register(fg__abi_of(m->frame->registers.machine), number);
    return fg__frame_register(&value, m->frame, reg) && push(m, value + offset);
}

static bool jump(machine *m, int64_t by) {
    int64_t to = m->code.p - m->begin + by;
    if (to < 0 || to > m->code.end - m->begin) return false;
    m->code.p = m->begin + to;
    return true;
}

/* The top one replaced by what is in memory there. */
static bool dereference(machine *m, uint64_t n) {
    if (!m->n || n == 0 || n > 8 || n & (n - 1)) return false;
    return fg__frame_read(&m->stack[m->n - 1], m->frame, m->stack[m->n - 1], (unsigned)n);
}

/* Operators of one operand: the top is replaced. */
static bool unary(machine *m, uint8_t op) {
    if (!m->n) return false;
    uint64_t *top = &m->stack[m->n - 1];
    switch (op) {
    case DW_OP_abs: *top = (int64_t)*top < 0 ? 0 - *top : *top; return true;
    case DW_OP_neg: *top = 0 - *top; return true;
    case DW_OP_not: *top = ~*top; return true;
    default: *top += fg__cursor_leb(&m->code, false); return true; /* DW_OP_plus_uconst */
    }
}

static uint64_t shift_arithmetic(uint64_t a, uint64_t by) {
    return (uint64_t)((int64_t)a >> (by < 63 ? by : 63));
}

/* Operators of two operands; `b` is the top one. Comparisons and divisions are of signed numbers. */
static bool binary(machine *m, uint8_t op) {
    if (m->n < 2) return false;
    uint64_t b = m->stack[--m->n], a = m->stack[m->n - 1], *out = &m->stack[m->n - 1];
    int64_t x = (int64_t)a, y = (int64_t)b;
    switch (op) {
    case DW_OP_and: *out = a & b; break;
    case DW_OP_or: *out = a | b; break;
    case DW_OP_xor: *out = a ^ b; break;
    case DW_OP_plus: *out = a + b; break;
    case DW_OP_minus: *out = a - b; break;
    case DW_OP_mul: *out = a * b; break;
    case DW_OP_div:
        if (y == 0) return false;
        *out = y == -1 ? 0 - a : (uint64_t)(x / y);
        break;
    case DW_OP_mod:
        if (b == 0) return false;
        *out = a % b;
        break;
    case DW_OP_shl: *out = b < 64 ? a << b : 0; break;
    case DW_OP_shr: *out = b < 64 ? a >> b : 0; break;
    case DW_OP_shra: *out = shift_arithmetic(a, b); break;
    case DW_OP_eq: *out = a == b; break;
    case DW_OP_ne: *out = a != b; break;
    case DW_OP_ge: *out = x >= y; break;
    case DW_OP_gt: *out = x > y; break;
    case DW_OP_le: *out = x <= y; break;
    default: *out = x < y; break; /* DW_OP_lt */
    }
    return true;
}

static bool rearrange(machine *m, uint8_t op) {
    size_t n = m->n;
    uint64_t *s = m->stack, top;
    switch (op) {
    case DW_OP_dup: return pick(m, 0);
    case DW_OP_over: return pick(m, 1);
    case DW_OP_drop: return n && (m->n--, true);
    case DW_OP_swap:
        if (n < 2) return false;
        top = s[n - 1], s[n - 1] = s[n - 2], s[n - 2] = top;
        return true;
    default: /* DW_OP_rot: the top one goes below the two that are under it */
        if (n < 3) return false;
        top = s[n - 1], s[n - 1] = s[n - 2], s[n - 2] = s[n - 3], s[n - 3] = top;
        return true;
    }
}

static bool branch(machine *m) {
    int64_t by = fg__cursor_signed(&m->code, 2);
    return m->n && (m->stack[--m->n] == 0 || jump(m, by));
}

static bool execute(machine *m, uint8_t op) {
    fg__cursor *c = &m->code;
    if (op >= DW_OP_lit0 && op <= DW_OP_lit31) return push(m, op - (uint64_t)DW_OP_lit0);
    if (op >= DW_OP_breg0 && op <= DW_OP_breg31) return push_register(m, op - (uint64_t)DW_OP_breg0);
    switch (op) {
    case DW_OP_nop: return true;
    case DW_OP_addr:
    case DW_OP_const8u:
    case DW_OP_const8s: return push(m, fg__cursor_bytes(c, 8));
    case DW_OP_const1u: return push(m, fg__cursor_bytes(c, 1));
    case DW_OP_const2u: return push(m, fg__cursor_bytes(c, 2));
    case DW_OP_const4u: return push(m, fg__cursor_bytes(c, 4));
    case DW_OP_const1s: return push(m, (uint64_t)fg__cursor_signed(c, 1));
    case DW_OP_const2s: return push(m, (uint64_t)fg__cursor_signed(c, 2));
    case DW_OP_const4s: return push(m, (uint64_t)fg__cursor_signed(c, 4));
    case DW_OP_constu: return push(m, fg__cursor_leb(c, false));
    case DW_OP_consts: return push(m, fg__cursor_leb(c, true));
    case DW_OP_bregx: return push_register(m, fg__cursor_leb(c, false));
    case DW_OP_pick: return pick(m, fg__cursor_bytes(c, 1));
    case DW_OP_deref: return dereference(m, 8);
    case DW_OP_deref_size: return dereference(m, fg__cursor_bytes(c, 1));
    case DW_OP_skip: return jump(m, fg__cursor_signed(c, 2));
    case DW_OP_bra: return branch(m);
    case DW_OP_dup:
    case DW_OP_over:
    case DW_OP_drop:
    case DW_OP_swap:
    case DW_OP_rot: return rearrange(m, op);
    case DW_OP_abs:
    case DW_OP_neg:
    case DW_OP_not:
    case DW_OP_plus_uconst: return unary(m, op);
    default:
        return ((op >= DW_OP_and && op <= DW_OP_xor) || (op >= DW_OP_eq && op <= DW_OP_ne)) && binary(m, op);
    }
}

bool fg__expression(uint64_t *out, fg__frame_state *frame, fg__cursor code, const uint64_t *pushed) {
    machine m;
    m.n = 0;
    m.frame = frame;
    m.code = code;
    m.begin = code.p;
    if (pushed) push(&m, *pushed);
    for (int steps = 0; m.code.p < m.code.end; steps++) {
        uint8_t op = *m.code.p++;
        if (steps == STEPS || !execute(&m, op) || m.code.bad) return false;
    }
    if (!m.n) return false;
    *out = m.stack[m.n - 1];
    return true;
}
