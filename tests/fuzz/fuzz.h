/*
 * What every reader must hold for any bytes: it ends, it takes little memory, a failure has a code and a message, and
 * what it says is a profile is one, which every summary and format can be made of.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>
#include "formats/format.h"

enum { FUZZ_MAX_INPUT = 1 << 20 };

#define FUZZ_ASSERT(what) ((what) ? (void)0 : abort())

static inline void fuzz_check_profile(const fg_profile *p) {
    FUZZ_ASSERT(p->type_count > 0 && p->stack_count > 0);
    int64_t totals[FG_MAX_TYPES] = {0};
    for (size_t i = 0; i < p->stack_count; i++) {
        size_t n;
        const uint32_t *stack = fg_profile_stack(p, i, &n);
        for (size_t k = 0; k < n; k++) FUZZ_ASSERT(stack[k] < p->frame_count);
        for (size_t t = 0; t < p->type_count; t++) {
            FUZZ_ASSERT(fg_profile_value(p, i, t) >= 0);
            FUZZ_ASSERT(fg__add64(&totals[t], totals[t], fg_profile_value(p, i, t)));
        }
    }
    for (size_t t = 0; t < p->type_count; t++) FUZZ_ASSERT(totals[t] == fg_profile_total(p, t));
}

/* Freed with fg_free. */
static inline fg_out fuzz_write(const fg_format *format, fg_profile *p) {
    fg_write_options options = {.size = sizeof options};
    fg_out out;
    FUZZ_ASSERT(fg__out_memory(&out, p->ctx) == 0);
    FUZZ_ASSERT(format->write(&out, p, &options) == 0 && fg__out_status(&out) == 0);
    return out;
}

/* Read by one format; NULL: it was refused. */
static inline fg_profile *fuzz_read(fg_ctx *ctx, const fg_format *format, const void *data, size_t n,
                                    bool variant) {
    fg_read_options options = {.size = sizeof options,
                               .name = "fuzz",
                               .format = format->name,
                               .max_input = FUZZ_MAX_INPUT,
                               .lines = variant,
                               .keep_idle = variant};
    fg_profile *p = NULL;
    int err = fg_parse(&p, ctx, data, n, &options);
    FUZZ_ASSERT(err ? *fg_error(ctx) != '\0' && err < 0 && err != FG_EINVAL && !p : p != NULL);
    if (p) fuzz_check_profile(p);
    return p;
}

static inline void fuzz_reader(const fg_format *format, const uint8_t *data, size_t n) {
    static const fg_format *const writers[] = {&fg__json, &fg__markdown, &fg__speedscope, &fg__folded,
                                               &fg__pprof};
    format->probe(data, n);
    fg_ctx *ctx = fg_ctx_new();
    for (int variant = 0; variant < 2; variant++) {
        fg_profile *p = fuzz_read(ctx, format, data, n, variant);
        for (size_t i = 0; p && i < sizeof writers / sizeof *writers; i++)
            fg_free(ctx, fuzz_write(writers[i], p).buffer);
        fg_profile_free(p);
    }
    fg_ctx_free(ctx);
}

#endif
