/* Folded text: whatever is read is written, and what was written reads as the same totals. */
#include <stdlib.h>
#include "formats/format.h"

static fg_profile *read_text(fg_ctx *ctx, const void *text, size_t n) {
    fg_read_options options = {
        .size = sizeof options, .name = "fuzz", .format = "folded", .max_input = 16 << 20};
    fg_profile *p;
    return fg_parse(&p, ctx, text, n, &options) ? NULL : p;
}

static int64_t total(fg_profile *p) {
    int64_t sum = fg_profile_total(p, 0);
    if (fg_profile_is_diff(p)) sum ^= fg_profile_total(p, 1);
    return sum;
}

/* The comment in front changes nothing; a line of one count says that names may end in numbers. */
static void read_again(fg_ctx *ctx, fg_profile *p) {
    static const char one_column[] = "one column 0\n", comment[] = "# two\n";
    fg_write_options options = {.size = sizeof options};
    fg_out out;
    if (fg__out_memory(&out, ctx)) abort();
    fg__out_text(&out, fg_profile_is_diff(p) ? comment : one_column);
    if (fg__folded.write(&out, p, &options)) abort();
    fg_profile *q = read_text(ctx, out.buffer, out.n);
    if (!q || total(q) != total(p) || fg_profile_is_diff(q) != fg_profile_is_diff(p)) abort();
    fg_profile_free(q);
    fg_free(ctx, out.buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fg__folded.probe(data, n);
    fg_ctx *ctx = fg_ctx_new();
    fg_profile *p = read_text(ctx, data, n);
    if (p) read_again(ctx, p);
    fg_profile_free(p);
    fg_ctx_free(ctx);
    return 0;
}
