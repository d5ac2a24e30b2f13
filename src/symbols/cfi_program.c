/* Call frame instructions, run up to an address. DWARF 5, section 6.4.2. */
#include <dwarf.h>
#include "symbols/cfi.h"

enum { REMEMBERED = 8 }; /* states on the stack of DW_CFA_remember_state; compilers need one or two */

typedef struct machine {
    fg__row row, initial;
    fg__row remembered[REMEMBERED];
    size_t remembered_count;
    const fg__cfi_entry *entry;
    uint64_t at, wanted;
    fg__cursor code;
} machine;

/* What an instruction's operands are: u, s: LEB128; 1, 2, 4: that many bytes; a: an address; b: an expression. */
static const char *const OPERANDS[64] = {
    [DW_CFA_nop] = "",
    [DW_CFA_set_loc] = "a",
    [DW_CFA_advance_loc1] = "1",
    [DW_CFA_advance_loc2] = "2",
    [DW_CFA_advance_loc4] = "4",
    [DW_CFA_offset_extended] = "uu",
    [DW_CFA_restore_extended] = "u",
    [DW_CFA_undefined] = "u",
    [DW_CFA_same_value] = "u",
    [DW_CFA_register] = "uu",
    [DW_CFA_remember_state] = "",
    [DW_CFA_restore_state] = "",
    [DW_CFA_def_cfa] = "uu",
    [DW_CFA_def_cfa_register] = "u",
    [DW_CFA_def_cfa_offset] = "u",
    [DW_CFA_def_cfa_expression] = "b",
    [DW_CFA_expression] = "ub",
    [DW_CFA_offset_extended_sf] = "us",
    [DW_CFA_def_cfa_sf] = "us",
    [DW_CFA_def_cfa_offset_sf] = "s",
    [DW_CFA_val_offset] = "uu",
    [DW_CFA_val_offset_sf] = "us",
    [DW_CFA_val_expression] = "ub",
    [DW_CFA_GNU_window_save] = "", /* on AArch64: from here on the return address is signed, or no longer */
    [DW_CFA_GNU_args_size] = "u",
    [DW_CFA_GNU_negative_offset_extended] = "uu",
};

typedef struct operands {
    uint64_t value[2];
    fg__cursor block;
} operands;

static bool read_operands(operands *out, machine *m, uint8_t op) {
    const char *kinds = OPERANDS[op];
    if (!kinds) return false;
    for (size_t i = 0; kinds[i]; i++) switch (kinds[i]) {
        case 'u': out->value[i] = fg__cursor_leb(&m->code, false); break;
        case 's': out->value[i] = fg__cursor_leb(&m->code, true); break;
        case 'a': out->value[i] = fg__cfi_address(&m->code, m->entry->encoding, m->entry->bias); break;
        case 'b': out->block = fg__cursor_cut(&m->code, fg__cursor_leb(&m->code, false)); break;
        default: out->value[i] = fg__cursor_bytes(&m->code, (unsigned)(kinds[i] - '0'));
        }
    return !m->code.bad;
}

/* An offset as the instructions have it: in units of the data alignment factor. */
static bool factored(fg__rule *rule, const machine *m, uint64_t value) {
    int64_t offset;
    if (__builtin_mul_overflow((int64_t)value, m->entry->data_factor, &offset)) return false;
    if (offset != (int32_t)offset) return false;
    rule->offset = (int32_t)offset;
    return true;
}

static bool plain(fg__rule *rule, uint64_t value) {
    rule->offset = (int32_t)value;
    return value <= INT32_MAX;
}

static bool block(fg__rule *rule, const machine *m, const fg__cursor *code) {
    size_t n = (size_t)(code->end - code->p), from = (size_t)(code->p - m->entry->section);
    if (n > UINT16_MAX || from > INT32_MAX) return false;
    rule->n = (uint32_t)n & UINT16_MAX;
    rule->offset = (int32_t)from;
    return true;
}

/* The rules of registers that are not followed, as those for floating point, go here and are forgotten. */
static fg__rule *rule_of(machine *m, uint64_t number, fg__rule *forgotten) {
    uint32_t reg = fg__abi_register(m->entry->abi, number);
    return reg < FG__REGISTERS ? &m->row.rules[reg] : forgotten;
}

static bool define_cfa(machine *m, uint64_t number) {
    uint32_t reg = fg__abi_register(m->entry->abi, number);
    m->row.cfa.how = FG__RULE_REGISTER;
    m->row.cfa.reg = (uint32_t)reg & UINT8_MAX;
    return reg < FG__REGISTERS;
}

static bool set_register(machine *m, fg__rule *rule, uint64_t from) {
    uint32_t reg = fg__abi_register(m->entry->abi, from);
    *rule = (fg__rule){.how = FG__RULE_REGISTER, .reg = reg & UINT8_MAX};
    if (reg >= FG__REGISTERS) rule->how = FG__RULE_UNDEFINED;
    return true;
}

static bool remember(machine *m) {
    if (m->remembered_count == REMEMBERED) return false;
    m->remembered[m->remembered_count++] = m->row;
    return true;
}

static bool recall(machine *m) {
    if (!m->remembered_count) return false;
    m->row = m->remembered[--m->remembered_count];
    return true;
}

static void restore(machine *m, uint64_t number) {
    uint32_t reg = fg__abi_register(m->entry->abi, number);
    if (reg < FG__REGISTERS) m->row.rules[reg] = m->initial.rules[reg];
}

/* Move on; past the wanted address, what follows is not for it. */
static bool advance(machine *m, uint64_t by) {
    return !__builtin_mul_overflow(by, m->entry->code_factor, &by) &&
           !__builtin_add_overflow(m->at, by, &m->at);
}

static bool execute(machine *m, uint8_t op) {
    operands o = {0};
    if (!read_operands(&o, m, op)) return false;
    fg__rule forgotten, *rule = rule_of(m, o.value[0], &forgotten);
    switch (op) {
    case DW_CFA_nop:
    case DW_CFA_GNU_args_size: return true;
    case DW_CFA_GNU_window_save: return m->entry->abi->links;
    case DW_CFA_set_loc: m->at = o.value[0]; return true;
    case DW_CFA_advance_loc1:
    case DW_CFA_advance_loc2:
    case DW_CFA_advance_loc4: return advance(m, o.value[0]);
    case DW_CFA_restore_extended: restore(m, o.value[0]); return true;
    case DW_CFA_undefined: *rule = (fg__rule){.how = FG__RULE_UNDEFINED}; return true;
    case DW_CFA_same_value: *rule = (fg__rule){.how = FG__RULE_SAME}; return true;
    case DW_CFA_register: return set_register(m, rule, o.value[1]);
    case DW_CFA_remember_state: return remember(m);
    case DW_CFA_restore_state: return recall(m);
    case DW_CFA_def_cfa: return define_cfa(m, o.value[0]) && plain(&m->row.cfa, o.value[1]);
    case DW_CFA_def_cfa_sf: return define_cfa(m, o.value[0]) && factored(&m->row.cfa, m, o.value[1]);
    case DW_CFA_def_cfa_register: return m->row.cfa.how == FG__RULE_REGISTER && define_cfa(m, o.value[0]);
    case DW_CFA_def_cfa_offset: return m->row.cfa.how == FG__RULE_REGISTER && plain(&m->row.cfa, o.value[0]);
    case DW_CFA_def_cfa_offset_sf:
        return m->row.cfa.how == FG__RULE_REGISTER && factored(&m->row.cfa, m, o.value[0]);
    case DW_CFA_def_cfa_expression:
        m->row.cfa = (fg__rule){.how = FG__RULE_IS_EXPRESSION};
        return block(&m->row.cfa, m, &o.block);
    case DW_CFA_offset_extended:
    case DW_CFA_offset_extended_sf:
        *rule = (fg__rule){.how = FG__RULE_AT_OFFSET};
        return factored(rule, m, o.value[1]);
    case DW_CFA_GNU_negative_offset_extended:
        *rule = (fg__rule){.how = FG__RULE_AT_OFFSET};
        return factored(rule, m, 0 - o.value[1]);
    case DW_CFA_val_offset:
    case DW_CFA_val_offset_sf:
        *rule = (fg__rule){.how = FG__RULE_IS_OFFSET};
        return factored(rule, m, o.value[1]);
    case DW_CFA_expression:
        *rule = (fg__rule){.how = FG__RULE_AT_EXPRESSION};
        return block(rule, m, &o.block);
    case DW_CFA_val_expression:
        *rule = (fg__rule){.how = FG__RULE_IS_EXPRESSION};
        return block(rule, m, &o.block);
    default: return false;
    }
}

/* Three instructions have an operand in their own lower six bits. */
static bool execute_short(machine *m, uint8_t op, uint8_t low) {
    fg__rule forgotten, *rule = rule_of(m, low, &forgotten);
    switch (op) {
    case DW_CFA_advance_loc: return advance(m, low);
    case DW_CFA_restore: restore(m, low); return true;
    default:
        *rule = (fg__rule){.how = FG__RULE_AT_OFFSET};
        return factored(rule, m, fg__cursor_leb(&m->code, false)) && !m->code.bad;
    }
}

static bool run(machine *m, fg__cursor code) {
    enum { SHORT = 0xc0 };
    m->code = code;
    while (m->code.p < m->code.end) {
        uint8_t op = *m->code.p++;
        bool good = op & SHORT ? execute_short(m, op & SHORT, op & (uint8_t)~SHORT) : execute(m, op);
        if (!good) return false;
        if (m->at > m->wanted) break; /* the instructions that move on change no rules */
    }
    return true;
}

/* What holds where nothing is said: the ABI's registers that a call preserves are; the stack pointer is the CFA. */
static void begin(fg__row *row, const fg__cfi_entry *entry) {
    memset(row, 0, sizeof *row); /* rows are compared byte by byte */
    for (unsigned i = 0; i < FG__REGISTERS; i++)
        row->rules[i].how = entry->abi->preserved >> i & 1 ? FG__RULE_SAME : FG__RULE_UNDEFINED;
    row->rules[FG__RSP].how = FG__RULE_IS_OFFSET;
    row->section = entry->section;
    row->return_address = entry->return_address;
    row->signal = entry->signal;
}

bool fg__cfi_run(fg__row *out, const fg__cfi_entry *entry, uint64_t address) {
    machine m;
    m.remembered_count = 0;
    m.entry = entry;
    m.at = entry->start;
    m.wanted = address;
    begin(&m.row, entry);
    m.initial = m.row;
    if (entry->return_address >= FG__REGISTERS || !run(&m, entry->common)) return false;
    m.initial = m.row;
    m.at = entry->start; /* the common ones are for all addresses */
    if (!run(&m, entry->own)) return false;
    *out = m.row;
    return out->cfa.how != FG__RULE_SAME;
}
