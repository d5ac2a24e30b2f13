/* perf script: with every option, and what was seen before means what it meant the first time. */
#include "fuzz.h"

static fg_profile *read_text(fg_ctx *ctx, const void *data, size_t n, unsigned set) {
    fg_read_options options = {.size = sizeof options,
                               .name = "fuzz",
                               .format = "perf-script",
                               .max_input = FUZZ_MAX_INPUT,
                               .annotate_kernel = set & 1,
                               .annotate_jit = set & 2,
                               .addresses = set & 4,
                               .with_pid = set & 8,
                               .with_tid = set & 16,
                               .event = set & 32 ? "cycles" : NULL};
    fg_profile *p;
    return fg_parse(&p, ctx, data, n, &options) ? NULL : p;
}

/*
 * The text once and twice: the second time all of its lines were seen before. The event line in front sees to it that
 * frames without one are no samples, which they are only where there is none at all.
 */
static void twice(const uint8_t *data, size_t n) {
    static const char event[] = "a 1\n\n", end[] = "\n\n";
    fg_ctx *ctx = fg_ctx_new();
    fg__buffer text = {0};
    FUZZ_ASSERT(!fg__buffer_add(ctx, &text, event, strlen(event)) && !fg__buffer_add(ctx, &text, data, n));
    fg_profile *p = read_text(ctx, text.bytes, text.n, 0);
    FUZZ_ASSERT(!fg__buffer_add(ctx, &text, end, strlen(end)) && !fg__buffer_add(ctx, &text, data, n));
    fg_profile *q = read_text(ctx, text.bytes, text.n, 0);
    FUZZ_ASSERT(!q || p);
    if (p && q) {
        FUZZ_ASSERT(p->stack_count == q->stack_count && p->frame_count == q->frame_count);
        for (size_t t = 0; t < p->type_count; t++) FUZZ_ASSERT(q->totals[t] == 2 * p->totals[t]);
    }
    fg_profile_free(p);
    fg_profile_free(q);
    fg_free(ctx, text.bytes);
    fg_ctx_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__perf_script, data, n);
    fg_ctx *ctx = fg_ctx_new();
    fg_profile *p = n ? read_text(ctx, data + 1, n - 1, data[0]) : NULL;
    if (p) fuzz_check_profile(p);
    fg_profile_free(p);
    fg_ctx_free(ctx);
    if (n) twice(data, n);
    return 0;
}
