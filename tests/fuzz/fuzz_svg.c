/*
 * Pictures: whatever is read is drawn, and the picture reads as the same profile. The input is a picture, or (where it
 * does not look like one) the embedded profile alone, so that the fuzzer need not find out about base64.
 */
#include "fuzz.h"
#include "formats/payload.h"
#include "render/render.h"

static void draw_and_read_again(fg_ctx *ctx, fg_profile *p) {
    fg_out out = fuzz_write(&fg__svg_writer, p);
    fg_read_options options = {.size = sizeof options, .name = "again", .max_input = 256 << 20};
    fg_profile *q;
    FUZZ_ASSERT(fg_parse(&q, ctx, out.buffer, out.n, &options) == 0);
    FUZZ_ASSERT(q->type_count == p->type_count && q->frame_count == p->frame_count);
    for (size_t t = 0; t < p->type_count; t++) FUZZ_ASSERT(q->totals[t] == p->totals[t]);
    fg_profile_free(q);
    fg_free(ctx, out.buffer);
}

static fg_profile *read_payload(fg_ctx *ctx, const uint8_t *data, size_t n) {
    fg_profile *p;
    if (fg_profile_new(&p, ctx)) abort();
    if (fg__payload_decode(p, data, n, FUZZ_MAX_INPUT) == 0 && p->stack_count) return p;
    fg_profile_free(p);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fg_ctx *ctx = fg_ctx_new();
    bool picture = fg__svg_reader.probe(data, n) > 0;
    fg_profile *p = picture ? fuzz_read(ctx, &fg__svg_reader, data, n, false) : read_payload(ctx, data, n);
    if (p && fg_profile_total(p, (size_t)fg_profile_find_type(p, NULL)) > 0) draw_and_read_again(ctx, p);
    fg_profile_free(p);
    fg_ctx_free(ctx);
    return 0;
}
