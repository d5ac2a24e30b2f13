/* fg_read and fg_parse: open, recognise, read, check that there is something. */
#include "formats/input.h"

enum { HEAD = 64 << 10 };

static int recognise(const fg_format **out, fg_in *in) {
    int err = fg__in_need(in, HEAD);
    if (err < 0) return err;
    size_t n = (size_t)(in->end - in->p);
    if (n == 0) return fg__fail(in->ctx, FG_EEMPTY, "%s: empty input: no samples", in->name);
    const fg_format *best = NULL;
    int sure = 0;
    for (size_t i = 0; fg__formats[i]; i++) {
        int score = fg__formats[i]->probe ? fg__formats[i]->probe(in->p, n < HEAD ? n : HEAD) : 0;
        if (score > sure) {
            best = fg__formats[i];
            sure = score;
        }
    }
    if (!best)
        return fg__fail(
            in->ctx, FG_EFORMAT,
            "%s: not a profile in a format that is known here; `flame-graph help formats` lists them",
            in->name);
    *out = best;
    return 0;
}

static int named(const fg_format **out, fg_in *in, const char *name) {
    const fg_format *format = fg__format_named(fg__formats, name);
    if (!format) return fg__fail(in->ctx, FG_EINVAL, "there is no format named \"%s\"", name);
    if (!format->read) return fg__fail(in->ctx, FG_EINVAL, "the format %s is only written, not read", name);
    *out = format;
    return 0;
}

static int read_all(fg_profile *p, fg_in *in, const fg_read_options *options) {
    const fg_format *format = NULL;
    int err = options->format ? named(&format, in, options->format) : recognise(&format, in);
    if (err) return err;
    in->format = format->name;
    err = format->read(p, in, options);
    if (err) return err;
    int64_t sum = 0;
    for (size_t t = 0; t < p->type_count; t++) sum |= p->totals[t];
    if (p->stack_count == 0 || sum == 0)
        return fg__fail(p->ctx, FG_EEMPTY, "%s: %s without a single sample", in->name, format->name);
    if (!*fg_meta_text(p, "source")) err = fg_meta_set_text(p, "source", format->name);
    return err;
}

/* `in` is closed here. */
static int read_input(fg_profile **out, fg_in *in, const fg_read_options *options) {
    fg_profile *p;
    int err = fg_profile_new(&p, in->ctx);
    if (!err) {
        err = read_all(p, in, options);
        if (err)
            fg_profile_free(p);
        else
            *out = p;
    }
    fg__in_close(in);
    return err;
}

static const fg_read_options defaults = {.size = sizeof defaults};

static int check(fg_ctx *ctx, const fg_read_options **options) {
    if (!*options) *options = &defaults;
    if ((*options)->size == sizeof defaults) return 0;
    return fg__fail(ctx, FG_EINVAL, "fg_read_options.size is %zu, not %zu", (*options)->size,
                    sizeof defaults);
}

int fg_read(fg_profile **out, fg_ctx *ctx, const char *path, const fg_read_options *options) {
    fg_in *in;
    int err = check(ctx, &options);
    if (!err) err = fg__in_open(&in, ctx, path, options);
    return err ? err : read_input(out, in, options);
}

int fg_parse(fg_profile **out, fg_ctx *ctx, const void *bytes, size_t n, const fg_read_options *options) {
    fg_in *in;
    int err = check(ctx, &options);
    if (!err) err = fg__in_open_memory(&in, ctx, bytes, n, options);
    return err ? err : read_input(out, in, options);
}
