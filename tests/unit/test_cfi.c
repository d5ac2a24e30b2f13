/*
 * Call frame information: each row of a real library against what elfutils' decoder says; expressions; entries made by
 * hand and broken ones.
 */
#include "profiles.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>
#include <unistd.h>
#include "symbols/cfi.h"

static fg__symbols *symbols;
static fg__space *space;

static void begin(void) {
    assert_int_equal(fg__symbols_new(&symbols, ctx, NULL, NULL), 0);
    assert_int_equal(fg__space_new(&space, symbols, (uint32_t)getpid(), true), 0);
    assert_int_equal(fg__space_read(space), 0);
}

static fg__module *module_of(const char *name) {
    for (size_t i = 0; i < symbols->module_count; i++)
        if (strstr(symbols->modules[i]->path, name)) return symbols->modules[i];
    fail_msg("%s is not mapped", name);
    return NULL;
}

/* ---- against another decoder --------------------------------------------------------------------------- */

/* "7+16": a register and an offset; "": something else. */
static void libdw_cfa(char *out, Dwarf_Frame *frame) {
    Dwarf_Op *ops;
    size_t n;
    *out = '\0';
    if (dwarf_frame_cfa(frame, &ops, &n) || n != 1) return;
    if (ops->atom >= DW_OP_breg0 && ops->atom <= DW_OP_breg31)
        sprintf(out, "%d%+lld", ops->atom - DW_OP_breg0, (long long)ops->number);
    else if (ops->atom == DW_OP_bregx)
        sprintf(out, "%llu%+lld", (unsigned long long)ops->number, (long long)ops->number2);
}

/*
 * "c-16": in memory at CFA - 16; "same"; "": something else, or nothing said, where this library does not know of an ABI
 * and we do.
 */
static void libdw_rule(char *out, Dwarf_Frame *frame, int reg) {
    Dwarf_Op memory[3], *ops;
    size_t n;
    *out = '\0';
    if (dwarf_frame_register(frame, reg, memory, &ops, &n)) return;
    if (n == 0 && (!ops || reg == FG__RIP)) strcpy(out, ops ? "undefined" : "same");
    if (n == 1 && ops[0].atom == DW_OP_call_frame_cfa) strcpy(out, "c+0");
    if (n == 2 && ops[0].atom == DW_OP_call_frame_cfa && ops[1].atom == DW_OP_plus_uconst)
        sprintf(out, "c%+lld", (long long)ops[1].number);
}

static void our_rule(char *out, const fg__rule *rule) {
    *out = '\0';
    if (rule->how == FG__RULE_SAME) strcpy(out, "same");
    if (rule->how == FG__RULE_UNDEFINED) strcpy(out, "undefined");
    if (rule->how == FG__RULE_AT_OFFSET) sprintf(out, "c%+d", rule->offset);
}

static size_t compare_row(const fg__row *row, Dwarf_Frame *frame, uint64_t address) {
    static const int registers[] = {3, FG__RBP, 12, 13, 14, 15, FG__RIP};
    char ours[64], theirs[64];
    size_t compared = 0;
    libdw_cfa(theirs, frame);
    if (*theirs) {
        assert_int_equal(row->cfa.how, FG__RULE_REGISTER);
        sprintf(ours, "%d%+d", row->cfa.reg, row->cfa.offset);
        if (strcmp(ours, theirs) != 0)
            fail_msg("CFA at %#llx: %s, not %s", (unsigned long long)address, ours, theirs);
        compared++;
    }
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
        libdw_rule(theirs, frame, registers[i]);
        our_rule(ours, &row->rules[registers[i]]);
        if (*theirs && strcmp(ours, theirs) != 0)
            fail_msg("register %d at %#llx: %s, not %s", registers[i], (unsigned long long)address, ours,
                     theirs);
        compared += *theirs != 0;
    }
    return compared;
}

static void rows_are_those_of_elfutils(void **state) {
    (void)state;
    begin();
    fg__module *m = module_of("/libc.so.6");
    assert_int_equal(fg__module_open(m), 0);
    struct fg__cfi *cfi = fg__module_cfi(m);
    assert_non_null(cfi);
    Dwarf_CFI *theirs = dwarf_getcfi_elf(m->elf.elf);
    assert_non_null(theirs);
    fg__section text;
    assert_true(fg__elf_section(&text, m->elf.elf, ".text"));
    size_t known = 0, compared = 0;
    for (uint64_t at = text.address; at < text.address + text.n; at += 61) {
        Dwarf_Frame *frame = NULL;
        fg__row scratch;
        const fg__row *row = fg__cfi_row(cfi, ctx, at, &scratch);
        bool has = dwarf_cfi_addrframe(theirs, at, &frame) == 0;
        if (has != (row != NULL))
            fail_msg("a row at %#llx: %d, not %d", (unsigned long long)at, row != NULL, has);
        if (!has) continue;
        known++;
        compared += compare_row(row, frame, at);
        free(frame);
    }
    dwarf_cfi_end(theirs);
    assert_in_range(known, 10000, 1000000);
    assert_in_range(compared, 3 * known, 8 * known);
    fg__symbols_free(symbols);
}

/* Without the linker's table, all entries are found by one pass over them. */
static void rows_are_the_same_without_header(void **state) {
    (void)state;
    begin();
    fg__module *m = module_of("/libc.so.6");
    fg__section eh, header, text, none = {0};
    assert_int_equal(fg__module_open(m), 0);
    assert_true(fg__elf_section(&eh, m->elf.elf, ".eh_frame"));
    assert_true(fg__elf_section(&header, m->elf.elf, ".eh_frame_hdr"));
    assert_true(fg__elf_section(&text, m->elf.elf, ".text"));
    struct fg__cfi *a = fg__cfi_new(ctx, FG__X86_64, &eh, &header, &none),
                   *b = fg__cfi_new(ctx, FG__X86_64, &eh, &none, &none);
    for (uint64_t at = text.address; at < text.address + text.n; at += 509) {
        fg__row x, y;
        const fg__row *p = fg__cfi_row(a, ctx, at, &x), *q = fg__cfi_row(b, ctx, at, &y);
        assert_int_equal(p != NULL, q != NULL);
        if (p) assert_memory_equal(p, q, sizeof *p);
    }
    fg__cfi_free(ctx, a);
    fg__cfi_free(ctx, b);
    fg__symbols_free(symbols);
}

/* ---- by hand ------------------------------------------------------------------------------------------- */

/* One CIE and one FDE for [0x1000, 0x1100), as .debug_frame. */
// clang-format off
static const uint8_t BY_HAND[] = {
    0x14, 0, 0, 0,  0xff, 0xff, 0xff, 0xff,  4, 0, 8, 0, 1, 0x78, 16, /* CIE, version 4: factors 1 and -8 */
    DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1, 0, 0, 0, 0,
    0x2d, 0, 0, 0,  0, 0, 0, 0,  0, 0x10, 0, 0, 0, 0, 0, 0,  0, 1, 0, 0, 0, 0, 0, 0, /* FDE */
    DW_CFA_nop,
    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,
    DW_CFA_advance_loc1, 0x0f, DW_CFA_remember_state, DW_CFA_def_cfa_register, 6,
    DW_CFA_advance_loc2, 0x30, 0, DW_CFA_restore_state, DW_CFA_same_value, 6,
    DW_CFA_advance_loc4, 0x40, 0, 0, 0, DW_CFA_undefined, 16, DW_CFA_nop};
// clang-format on

static const fg__row *row_by_hand(struct fg__cfi *cfi, uint64_t address) {
    static fg__row scratch;
    return fg__cfi_row(cfi, ctx, address, &scratch);
}

static void entries_by_hand(void **state) {
    (void)state;
    fg__section none = {0}, section = {BY_HAND, sizeof BY_HAND, 0, 0};
    struct fg__cfi *cfi = fg__cfi_new(ctx, FG__X86_64, &none, &none, &section);
    assert_null(row_by_hand(cfi, 0xfff));
    assert_null(row_by_hand(cfi, 0x1100));
    const fg__row *row = row_by_hand(cfi, 0x1000);
    assert_non_null(row);
    assert_true(row->cfa.reg == 7 && row->cfa.offset == 8 && row->rules[FG__RBP].how == FG__RULE_SAME);
    row = row_by_hand(cfi, 0x100f);
    assert_true(row->cfa.reg == 7 && row->cfa.offset == 16 && row->rules[FG__RBP].offset == -16);
    row = row_by_hand(cfi, 0x1010);
    assert_true(row->cfa.reg == 6 && row->cfa.offset == 16);
    row = row_by_hand(cfi, 0x1040);
    assert_true(row->cfa.reg == 7 && row->rules[FG__RBP].how == FG__RULE_SAME);
    row = row_by_hand(cfi, 0x10ff);
    assert_true(row->rules[FG__RIP].how == FG__RULE_UNDEFINED);
    fg__cfi_free(ctx, cfi);
}

/* Each byte broken in turn, and each length: no row, or some row; nothing is read that is not there. */
static void broken_entries(void **state) {
    (void)state;
    fg__section none = {0};
    for (size_t i = 0; i < sizeof BY_HAND; i++)
        for (int kind = 0; kind < 6; kind++) {
            static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x40, 0x0f};
            size_t n = kind == 5 ? i : sizeof BY_HAND;
            uint8_t *bytes = malloc(n + 1); /* so that a sanitizer sees where it ends */
            memcpy(bytes, BY_HAND, n);
            bytes = realloc(bytes, n ? n : 1);
            if (kind < 5) bytes[i] ^= masks[kind];
            for (int eh = 0; eh < 2; eh++) {
                fg__section section = {bytes, n, 0, 0};
                struct fg__cfi *cfi = eh ? fg__cfi_new(ctx, FG__X86_64, &section, &section, &none)
                                         : fg__cfi_new(ctx, FG__X86_64, &none, &none, &section);
                for (uint64_t at = 0xff8; at < 0x1108; at += 8) row_by_hand(cfi, at);
                fg__cfi_free(ctx, cfi);
            }
            free(bytes);
        }
}

/* ---- expressions --------------------------------------------------------------------------------------- */

static bool evaluate(uint64_t *out, const uint8_t *code, size_t n, uint64_t rip) {
    static const uint64_t stack[] = {0x1111, 0x2222222233333333};
    fg__frame_state frame = {.stack = (const uint8_t *)stack, .base = 0x7000, .size = sizeof stack};
    frame.registers.known = 1u << FG__RIP | 1u << FG__RSP;
    frame.registers.value[FG__RIP] = rip;
    frame.registers.value[FG__RSP] = 0x7000;
    return fg__expression(out, &frame, (fg__cursor){code, code + n, false}, &(uint64_t){5});
}

static void the_expression_of_plt(void **state) {
    (void)state;
    /* as linkers make it: rsp + 8 + ((rip & 15) >= 11) << 3: before or behind the push of a stub */
    static const uint8_t code[] = {DW_OP_breg7, 8,        DW_OP_breg16, 0,         DW_OP_lit15, DW_OP_and,
                                   DW_OP_lit11, DW_OP_ge, DW_OP_lit3,   DW_OP_shl, DW_OP_plus};
    uint64_t value;
    assert_true(evaluate(&value, code, sizeof code, 0x1016));
    assert_int_equal(value, 0x7008);
    assert_true(evaluate(&value, code, sizeof code, 0x101b));
    assert_int_equal(value, 0x7010);
}

static void expressions(void **state) {
    (void)state;
    static const struct {
        uint8_t code[12], n;
        bool good;
        uint64_t value;
    } cases[] = {
        {{DW_OP_nop}, 1, true, 5}, /* what was pushed */
        {{DW_OP_breg7, 8, DW_OP_deref}, 3, true, 0x2222222233333333},
        {{DW_OP_breg7, 8, DW_OP_deref_size, 4}, 4, true, 0x33333333},
        {{DW_OP_breg7, 16, DW_OP_deref}, 3, false, 0}, /* behind the copy */
        {{DW_OP_breg7, 12, DW_OP_deref}, 3, false, 0}, /* half of it */
        {{DW_OP_breg7, 0, DW_OP_deref_size, 3}, 4, false, 0},
        {{DW_OP_breg0, 0}, 2, false, 0}, /* a register that is not known */
        {{DW_OP_const1s, 0xfe, DW_OP_abs}, 3, true, 2},
        {{DW_OP_const1s, 0x80, DW_OP_lit2, DW_OP_shra}, 4, true, (uint64_t)-32},
        {{DW_OP_lit7, DW_OP_const1s, 0xff, DW_OP_div}, 4, true, (uint64_t)-7},
        {{DW_OP_lit1, DW_OP_const1u, 64, DW_OP_shl}, 4, true, 0},
        {{DW_OP_lit7, DW_OP_lit0, DW_OP_div}, 3, false, 0},
        {{DW_OP_lit7, DW_OP_lit0, DW_OP_mod}, 3, false, 0},
        {{DW_OP_lit1, DW_OP_lit2, DW_OP_lit3, DW_OP_rot, DW_OP_drop}, 5, true, 1},
        {{DW_OP_lit9, DW_OP_swap}, 2, true, 5},
        {{DW_OP_pick, 1}, 2, false, 0},
        {{DW_OP_drop}, 1, false, 0},
        {{DW_OP_drop, DW_OP_drop}, 2, false, 0},
        {{DW_OP_plus}, 1, false, 0},
        {{DW_OP_lit1, DW_OP_bra, 1, 0, DW_OP_drop, DW_OP_nop}, 6, true, 5},
        {{DW_OP_skip, 0xfd, 0xff}, 3, false, 0},            /* for ever */
        {{DW_OP_skip, 0x00, 0x80}, 3, false, 0},            /* before the beginning */
        {{DW_OP_dup, DW_OP_skip, 0xfc, 0xff}, 4, false, 0}, /* too deep */
        {{DW_OP_const8u, 1, 2}, 3, false, 0},
        {{DW_OP_consts, 0x80, 0x7f}, 3, true, (uint64_t)-128},
        {{DW_OP_call4, 0, 0, 0, 0}, 5, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value = 0;
        bool good = evaluate(&value, cases[i].code, cases[i].n, 0);
        if (good != cases[i].good || (good && value != cases[i].value))
            fail_msg("case %zu: %d, %#llx", i, good, (unsigned long long)value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_elfutils),
        cmocka_unit_test(rows_are_the_same_without_header),
        cmocka_unit_test(entries_by_hand),
        cmocka_unit_test(broken_entries),
        cmocka_unit_test(the_expression_of_plt),
        cmocka_unit_test(expressions),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
