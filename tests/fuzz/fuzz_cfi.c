/*
 * Call frame information: the input is an .eh_frame, an .eh_frame_hdr and a .debug_frame, of which the first two bytes
 * tell the lengths of the first two in units of 16 bytes, and at once the stack that is unwound by them.
 */
#include "fuzz.h"
#include "symbols/cfi.h"

enum { CODE = 0x1000, CODE_SIZE = 0x1000, STACK = 0x70000, MOST = 64 };

/* A module with these tables in a space of its own. */
static fg__space *make_space(fg__symbols *symbols, fg_ctx *ctx, fg__machine machine,
                             const fg__section sections[3]) {
    fg__space *space;
    fg__mapping mapping = {.start = CODE, .end = CODE + CODE_SIZE, .offset = CODE, .path = "/fuzz"};
    FUZZ_ASSERT(fg__space_new(&space, symbols, 0, false) == 0);
    FUZZ_ASSERT(fg__space_map(space, &mapping) == 0);
    fg__module *m = fg__space_area(space, CODE)->module;
    m->state = FG__MODULE_MISSING; /* what is not opened has its own addresses as they are in the file */
    m->cfi_tried = true;
    m->cfi = fg__cfi_new(ctx, machine, &sections[0], &sections[1], &sections[2]);
    return space;
}

static void unwind(fg__space *space, fg__machine machine, const uint8_t *data, size_t n) {
    uint64_t out[MOST];
    size_t count;
    for (uint64_t at = CODE; at < CODE + CODE_SIZE; at += 61) {
        fg__registers registers = {.known = (1u << FG__REGISTERS) - 1, .machine = machine};
        for (uint64_t i = 0; i < FG__REGISTERS; i++) registers.value[i] = STACK + 8 * i;
        registers.value[FG__RSP] = STACK;
        registers.value[FG__RIP] = at;
        fg__unwound how = fg__unwind(out, &count, MOST, space, &registers, data, n);
        FUZZ_ASSERT(how <= FG__UNWOUND_LOST && count >= 1 && count <= MOST && out[0] == at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    enum { UNIT = 16 };
    if (n < 2 || n > 4096) return 0;
    size_t eh = data[0] * (size_t)UNIT, header = data[1] * (size_t)UNIT;
    data += 2;
    n -= 2;
    if (eh > n) eh = n;
    if (header > n - eh) header = n - eh;
    fg__section sections[3] = {{data, eh, 0x3000, 0x3000},
                               {data + eh, header, 0x2000, 0x2000},
                               {data + eh + header, n - eh - header, 0, 0}};
    for (fg__machine machine = 0; machine < FG__MACHINES; machine++) {
        fg_ctx *ctx = fg_ctx_new();
        fg__symbols *symbols;
        FUZZ_ASSERT(fg__symbols_new(&symbols, ctx, NULL, NULL) == 0);
        fg__space *space = make_space(symbols, ctx, machine, sections);
        unwind(space, machine, data, n);
        fg__symbols_free(symbols);
        fg_ctx_free(ctx);
    }
    return 0;
}
