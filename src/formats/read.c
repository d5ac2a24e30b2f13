/* fg_read and fg_parse: open, recognise, read, check that there is something. */
#include "formats/input.h"

enum {
    HEAD = 64 << 10,     /* what formats are told apart by */
    LONG_HEAD = 1 << 20, /* when that tells nothing: the first line may be long */
    LOOKS = 20           /* the score from which on it is worth telling what an input looks like */
};

/* The format that is surest that these bytes are its own; NULL: none. */
static const fg_format *surest(int *sure, const uint8_t *head, size_t n) {
    const fg_format *best = NULL;
    *sure = 0;
    for (size_t i = 0; fg__formats[i]; i++) {
        int score = fg__formats[i]->probe ? fg__formats[i]->probe(head, n) : 0;
        if (score <= *sure) continue;
        best = fg__formats[i];
        *sure = score;
    }
    return best;
}

/* *out NULL: no format has it for its own. */
static int recognise(const fg_format **out, int *sure, fg_in *in) {
    *out = NULL;
    for (size_t head = HEAD; !*out && head <= LONG_HEAD; head *= LONG_HEAD / HEAD) {
        int more = fg__in_need(in, head);
        if (more < 0) return more;
        size_t n = (size_t)(in->end - in->p);
        if (n) *out = surest(sure, in->p, n < head ? n : head);
        if (!more) break;
    }
    return 0;
}

static int fail_unknown(fg_in *in) {
    if (in->p == in->end) return fg__fail(in->ctx, FG_EEMPTY, "%s: empty input: no samples", in->name);
    return fg__fail(in->ctx, FG_EFORMAT,
                    "%s: not a profile in a format that is known here; `flame-graph help formats` lists them",
                    in->name);
}

static int named(const fg_format **out, fg_in *in, const char *name) {
    const fg_format *format = fg__format_named(fg__formats, name);
    if (!format) return fg__fail(in->ctx, FG_EINVAL, "there is no format named \"%s\"", name);
    if (!format->read) return fg__fail(in->ctx, FG_EINVAL, "the format %s is only written, not read", name);
    *out = format;
    return 0;
}

static int read_as(fg_profile *p, fg_in *in, const fg_format *format, const fg_read_options *options) {
    in->format = format->name;
    int err = format->read(p, in, options);
    if (err) return err;
    int64_t sum = 0;
    for (size_t t = 0; t < p->type_count; t++) sum |= p->totals[t];
    if (p->stack_count == 0 || sum == 0)
        return fg__fail(p->ctx, FG_EEMPTY, "%s: %s without a single sample", in->name, format->name);
    return *fg_meta_text(p, "source") ? 0 : fg_meta_set_text(p, "source", format->name);
}

static int read_all(fg_profile *p, fg_in *in, const fg_read_options *options) {
    const fg_format *format = NULL, *likely = NULL;
    int sure = 0, err = options->format ? named(&format, in, options->format) : 0;
    if (!err) err = recognise(&likely, &sure, in);
    if (err) return err;
    if (!format) format = likely;
    if (!format) return fail_unknown(in);
    err = read_as(p, in, format, options);
    bool wrong = (err == FG_EFORMAT || err == FG_EEMPTY) && likely && likely != format && sure >= LOOKS;
    return wrong ? fg__fail(in->ctx, err, "%s; this looks like %s", fg_error(in->ctx), likely->name) : err;
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
