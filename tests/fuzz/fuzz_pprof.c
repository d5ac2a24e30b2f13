/* pprof: what was read is written, and reads as the same stacks with the same values. */
#include "fuzz.h"

static void there_and_back(const uint8_t *data, size_t n) {
    fg_ctx *ctx = fg_ctx_new();
    fg_profile *p = fuzz_read(ctx, &fg__pprof, data, n, false);
    if (p) {
        fg_out out = fuzz_write(&fg__pprof, p);
        fg_profile *q;
        fg_read_options options = {.size = sizeof options, .format = "pprof"};
        FUZZ_ASSERT(fg_parse(&q, ctx, out.buffer, out.n, &options) == 0);
        for (size_t t = 0; t < p->type_count; t++) FUZZ_ASSERT(p->totals[t] == q->totals[t]);
        FUZZ_ASSERT(p->stack_count == q->stack_count && p->stack_frame_count == q->stack_frame_count);
        fg_profile_free(q);
        fg_free(ctx, out.buffer);
    }
    fg_profile_free(p);
    fg_ctx_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__pprof, data, n);
    there_and_back(data, n);
    return 0;
}
