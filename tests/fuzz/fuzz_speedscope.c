/* speedscope's files: what was read is written, and reads as the same totals. */
#include "fuzz.h"

static void there_and_back(const uint8_t *data, size_t n) {
    fg_ctx *ctx = fg_ctx_new();
    fg_profile *p = fuzz_read(ctx, &fg__speedscope, data, n, false), *q;
    /* sums of more than 2^53 have no exact double, and two columns of one name are one when read again */
    if (p && p->type_count == 1 && fg_profile_total(p, 0) < INT64_C(1) << 53) {
        fg_out out = fuzz_write(&fg__speedscope, p);
        fg_read_options options = {.size = sizeof options, .format = "speedscope"};
        FUZZ_ASSERT(fg_parse(&q, ctx, out.buffer, out.n, &options) == 0);
        FUZZ_ASSERT(fg_profile_total(p, 0) == fg_profile_total(q, 0) && p->stack_count == q->stack_count);
        fg_profile_free(q);
        fg_free(ctx, out.buffer);
    }
    fg_profile_free(p);
    fg_ctx_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__speedscope, data, n);
    there_and_back(data, n);
    return 0;
}
