#include "symbols/unwind.h"
__attribute__((weak)) fg__unwound fg__unwind(uint64_t *out, size_t *n, size_t most, fg__space *space,
                                             const fg__registers *registers, const uint8_t *stack,
                                             size_t size) {
    (void)out;
    (void)most;
    (void)space;
    (void)registers;
    (void)stack;
    (void)size;
    *n = 0;
    return FG__UNWOUND_LOST;
}
__attribute__((weak)) void fg__registers_from_perf(fg__registers *out, uint64_t mask,
                                                   const uint64_t *values) {
    (void)out;
    (void)mask;
    (void)values;
}
__attribute__((weak)) uint64_t fg__registers_mask(void) {
    return 0;
}
