/* fg_write, fg_write_memory, fg_format_at: the formats, and the renderers, which are above them. */
#include "render/render.h"
#include <stdio.h>

/* Pictures. One that the formats read has the name of its reader. */
/* clang-format off */
static const fg_format *const renderers[] = {
    &fg__svg_writer,
    &fg__term,
    NULL,
};
/* clang-format on */

static const fg_write_options defaults = {.size = sizeof defaults};

static const fg_format *find(const fg_format *const *table, const char *path, const char *name) {
    return name ? fg__format_named(table, name) : path ? fg__format_for(table, path) : NULL;
}

static void list_writers(char *text, size_t n) {
    size_t at = 0;
    fg_format_info info;
    for (size_t i = 0; fg_format_at(&info, i) && at < n; i++)
        if (info.writes) at += (size_t)snprintf(text + at, n - at, "%s%s", at ? ", " : "", info.name);
}

static int choose(const fg_format **out, fg_ctx *ctx, const char *path, const char *name) {
    const fg_format *format = find(renderers, path, name);
    if (!format) format = find(fg__formats, path, name);
    char names[256];
    list_writers(names, sizeof names);
    if (!format && name)
        return fg__fail(ctx, FG_EINVAL, "there is no format named \"%s\": choose from %s", name, names);
    if (!format)
        return fg__fail(ctx, FG_EINVAL, "%s: no format has this suffix: name one of %s",
                        path ? path : "memory", names);
    if (!format->write)
        return fg__fail(ctx, FG_EINVAL, "the format %s is only read, not written: choose from %s",
                        format->name, names);
    *out = format;
    return 0;
}

static int check(const fg_write_options **options, fg_ctx *ctx) {
    if (!*options) *options = &defaults;
    if ((*options)->size == sizeof defaults) return 0;
    return fg__fail(ctx, FG_EINVAL, "fg_write_options.size is %zu, not %zu", (*options)->size,
                    sizeof defaults);
}

/*
 * What to write: p, or *turned, p turned around. A picture turns around what it draws and still embeds p as it is; a
 * summary, which nothing reads back, has no stacks.
 */
static int turn(fg_profile **turned, fg_profile *p, const fg_format *format,
                const fg_write_options *options) {
    *turned = NULL;
    bool stacks = format->read && !fg__format_named(renderers, format->name);
    return options->reverse && stacks ? fg_profile_invert(turned, p) : 0;
}

int fg_write(fg_profile *p, const char *path, const fg_write_options *options) {
    const fg_format *format;
    int err = check(&options, p->ctx);
    if (!err) err = choose(&format, p->ctx, path, options->format);
    fg_profile *turned = NULL;
    if (!err) err = turn(&turned, p, format, options);
    if (!err) err = fg__write_path(turned ? turned : p, format, path, options);
    fg_profile_free(turned);
    return err;
}

int fg_write_memory(void **out, size_t *n, fg_profile *p, const fg_write_options *options) {
    const fg_format *format;
    int err = check(&options, p->ctx);
    if (!err) err = choose(&format, p->ctx, NULL, options->format);
    if (err) return err;
    fg_out memory;
    err = fg__out_memory(&memory, p->ctx);
    fg_profile *turned = NULL;
    if (!err) err = turn(&turned, p, format, options);
    if (!err) err = format->write(&memory, turned ? turned : p, options);
    if (!err) err = fg__out_status(&memory);
    fg_profile_free(turned);
    if (err) {
        fg_free(p->ctx, memory.buffer);
        return err;
    }
    *out = memory.buffer;
    *n = memory.n;
    return 0;
}

/* Row `i` of both tables as one: what one reads and the other writes is one row. */
static const fg_format *row_at(size_t i) {
    for (size_t k = 0; fg__formats[k]; k++)
        if (i-- == 0) return fg__formats[k];
    for (size_t k = 0; renderers[k]; k++)
        if (!fg__format_named(fg__formats, renderers[k]->name) && i-- == 0) return renderers[k];
    return NULL;
}

bool fg_format_at(fg_format_info *out, size_t i) {
    const fg_format *row = row_at(i);
    if (!row) return false;
    *out = (fg_format_info){.name = row->name,
                            .summary = row->summary,
                            .suffixes = row->suffixes,
                            .reads = row->read != NULL,
                            .writes = row->write || fg__format_named(renderers, row->name)};
    return true;
}
