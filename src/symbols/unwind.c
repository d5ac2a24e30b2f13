#include "symbols/module.h"
#include "symbols/unwind.h"
void fg__cfi_free(fg_ctx *ctx, struct fg__cfi *cfi) {
    (void)ctx, (void)cfi;
}
