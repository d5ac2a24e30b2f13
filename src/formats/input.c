/*
 * Windows on input. A source gives bytes; a chain of them unwraps what is compressed:
 *
 *      file mapped │ file or pipe read │ memory   ──▶   gzip │ zstd (twice at most)   ──▶   window of fg_in
 *
 * A mapped file and memory are one window without a copy. Everything else is read into a buffer that holds
 * the unread bytes and what follows; it grows only when a reader keeps more unread than fits.
 */
#include "formats/input.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { BLOCK = 256 << 10, BITE = 1 << 30, WRAPPERS = 2 };

uint64_t fg__max_input(const fg_read_options *options) {
    return options->max_input ? options->max_input : 1u << 30;
}

typedef struct fg__source {
    /* Put up to n bytes at `to`; *got 0: the end. NULL: all there is was in the window from the start. */
    int (*pull)(struct fg__source *s, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got);
    void (*close)(struct fg__source *s, fg_ctx *ctx);
    int fd;
    int (*ask)(void *user, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got);
    void *user; /* of `ask` */
    void *mapped;
    size_t mapped_size;
    /* of a source that unwraps another: */
    struct fg__source *below;
    const uint8_t *packed; /* compressed bytes at hand: packed[at … have) */
    size_t at, have;
    uint8_t *block; /* where further ones are read to */
    size_t block_size;
    bool below_ended, member_ended;
    z_stream zlib;
    ZSTD_DStream *zstd;
} fg__source;

/* ---- where bytes come from ----------------------------------------------------------------------------- */

static int pull_fd(fg__source *s, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got) {
    ssize_t r;
    do r = read(s->fd, to, n);
    while (r < 0 && errno == EINTR);
    if (r < 0) return fg__fail(ctx, FG_EIO, "cannot read: %s", strerror(errno));
    *got = (size_t)r;
    return 0;
}

static int pull_asked(fg__source *s, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got) {
    return s->ask(s->user, ctx, to, n, got);
}

static void close_fd(fg__source *s, fg_ctx *ctx) {
    (void)ctx;
    if (s->fd != STDIN_FILENO) close(s->fd);
}

static void close_mapped(fg__source *s, fg_ctx *ctx) {
    (void)ctx;
    munmap(s->mapped, s->mapped_size);
}

static void close_nothing(fg__source *s, fg_ctx *ctx) {
    (void)s, (void)ctx;
}

/* ---- unwrapping ---------------------------------------------------------------------------------------- */

/* See that there are compressed bytes at hand, unless the source below has ended. */
static int refill(fg__source *s, fg_ctx *ctx) {
    if (s->at < s->have || s->below_ended) return 0;
    s->at = s->have = 0;
    int err = 0;
    s->packed = s->block; /* there is one wherever there is something to pull: it held the first bytes */
    if (s->below->pull) err = s->below->pull(s->below, ctx, s->block, s->block_size, &s->have);
    s->below_ended = !err && s->have == 0;
    return err;
}

static int pull_gzip(fg__source *s, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got) {
    *got = 0;
    while (*got == 0) {
        int err = refill(s, ctx);
        if (err) return err;
        if (s->below_ended)
            return s->member_ended ? 0
                                   : fg__fail(ctx, FG_EFORMAT, "gzip: the data end early (truncated file?)");
        if (s->member_ended && s->packed[s->at] != 0x1f) { /* padding behind the last member */
            s->at = s->have;
            continue;
        }
        if (s->member_ended) inflateReset(&s->zlib);
        s->member_ended = false;
        uInt packed = (uInt)(s->have - s->at < BITE ? s->have - s->at : BITE);
        s->zlib.next_in = (z_const Bytef *)(uintptr_t)(s->packed + s->at);
        s->zlib.avail_in = packed;
        s->zlib.next_out = to;
        s->zlib.avail_out = (uInt)(n < BITE ? n : BITE);
        uInt room = s->zlib.avail_out;
        int z = inflate(&s->zlib, Z_NO_FLUSH);
        s->at += packed - s->zlib.avail_in;
        *got = room - s->zlib.avail_out;
        if (z == Z_STREAM_END)
            s->member_ended = true;
        else if (z != Z_OK && z != Z_BUF_ERROR)
            return fg__fail(ctx, FG_EFORMAT, "gzip: %s (damaged file?)",
                            s->zlib.msg ? s->zlib.msg : "bad data");
    }
    return 0;
}

static void close_gzip(fg__source *s, fg_ctx *ctx) {
    inflateEnd(&s->zlib);
    fg_free(ctx, s->block);
}

static int pull_zstd(fg__source *s, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got) {
    *got = 0;
    while (*got == 0) {
        int err = refill(s, ctx);
        if (err) return err;
        if (s->below_ended && s->member_ended) return 0;
        ZSTD_inBuffer in = {s->packed, s->have, s->at};
        ZSTD_outBuffer out = {to, n, 0};
        size_t z = ZSTD_decompressStream(s->zstd, &out, &in);
        if (ZSTD_isError(z))
            return fg__fail(ctx, FG_EFORMAT, "zstd: %s (damaged file?)", ZSTD_getErrorName(z));
        if (s->below_ended && out.pos == 0)
            return fg__fail(ctx, FG_EFORMAT, "zstd: the data end early (truncated file?)");
        s->at = in.pos;
        s->member_ended = z == 0;
        *got = out.pos;
    }
    return 0;
}

static void close_zstd(fg__source *s, fg_ctx *ctx) {
    ZSTD_freeDStream(s->zstd);
    fg_free(ctx, s->block);
}

/* ---- the window ---------------------------------------------------------------------------------------- */

/* What an fg_in is to this file: `in` comes first. */
typedef struct opened {
    fg_in in;
    uint8_t *buffer;
    size_t cap;
    uint64_t max;
    bool wrapped;
} opened;

static int fail_limit(const opened *o) {
    return fg__fail(o->in.ctx, FG_ELIMIT,
                    "%s: more than %llu bytes once decompressed; --max-input raises the limit", o->in.name,
                    (unsigned long long)o->max);
}

int fg__in_more(fg_in *in) {
    opened *o = (opened *)in;
    if (in->ended) return 0;
    size_t unread = (size_t)(in->end - in->p);
    in->base += (uint64_t)(in->p - in->window);
    if (in->p != o->buffer && unread) memmove(o->buffer, in->p, unread);
    int err = fg__grow(in->ctx, &o->buffer, &o->cap, unread + BLOCK, 1);
    if (err) return err;
    in->window = in->p = o->buffer;
    in->end = o->buffer + unread;
    size_t got;
    err = in->source->pull(in->source, in->ctx, o->buffer + unread, o->cap - unread, &got);
    if (err) return fg__fail_in(in->ctx, err, "%s", in->name);
    in->end += got;
    in->ended = got == 0;
    if (o->wrapped && in->base + unread + got > o->max) return fail_limit(o);
    return got != 0;
}

int fg__in_need(fg_in *in, size_t n) {
    while ((size_t)(in->end - in->p) < n) {
        int more = fg__in_more(in);
        if (more <= 0) return more;
    }
    return 1;
}

int fg__in_line(fg_in *in, const char **line, size_t *n) {
    size_t scanned = 0;
    const uint8_t *newline;
    for (;;) {
        size_t unread = (size_t)(in->end - in->p);
        newline = unread > scanned ? memchr(in->p + scanned, '\n', unread - scanned) : NULL;
        if (newline) break;
        scanned = unread;
        int more = fg__in_more(in);
        if (more < 0) return more;
        if (more == 0) break;
    }
    if (!newline && in->p == in->end) return 0;
    *line = (const char *)in->p;
    *n = (size_t)((newline ? newline : in->end) - in->p);
    in->p = newline ? newline + 1 : in->end;
    if (*n && (*line)[*n - 1] == '\r') --*n;
    in->line++;
    return 1;
}

static int fail_at(fg_in *in, int code, const char *what, uint64_t where, const char *format, va_list args) {
    fg__vfail(in->ctx, code, format, args);
    return fg__fail_in(in->ctx, code, "%s: %s, %s %llu", in->name, in->format ? in->format : "unknown format",
                       what, (unsigned long long)where);
}

int fg__in_fail_line(fg_in *in, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail_at(in, code, "line", in->line, format, args);
    va_end(args);
    return code;
}

int fg__in_fail_byte(fg_in *in, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail_at(in, code, "byte", fg__in_offset(in), format, args);
    va_end(args);
    return code;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/*
 * Put a source that unwraps on top of the one there is. The compressed bytes that are in the window already
 * become its first input, with the buffer they are in.
 */
static int wrap(opened *o, bool gzip) {
    fg_ctx *ctx = o->in.ctx;
    fg__source *s = fg__calloc(ctx, 1, sizeof *s);
    if (!s) return FG_ENOMEM;
    bool ready = gzip ? inflateInit2(&s->zlib, 15 + 16) == Z_OK : (s->zstd = ZSTD_createDStream()) != NULL;
    if (!ready) {
        fg_free(ctx, s);
        return fg__nomem(ctx);
    }
    s->pull = gzip ? pull_gzip : pull_zstd;
    s->close = gzip ? close_gzip : close_zstd;
    s->packed = o->in.p;
    s->have = (size_t)(o->in.end - o->in.p);
    s->block = o->buffer;
    s->block_size = o->cap;
    s->below = o->in.source;
    o->in.source = s;
    o->buffer = NULL;
    o->cap = 0;
    o->in.p = o->in.end = o->in.window = NULL;
    o->in.base = 0;
    o->in.ended = false;
    o->wrapped = true;
    return 0;
}

static int peel(opened *o) {
    for (int i = 0; i <= WRAPPERS; i++) {
        int have = fg__in_need(&o->in, 4);
        if (have <= 0) return have;
        bool gzip = o->in.p[0] == 0x1f && o->in.p[1] == 0x8b;
        bool zstd = memcmp(o->in.p, "\x28\xb5\x2f\xfd", 4) == 0;
        if (!gzip && !zstd) return 0;
        if (i == WRAPPERS) break;
        int err = wrap(o, gzip);
        if (err) return err;
    }
    return fg__fail(o->in.ctx, FG_EFORMAT, "%s: compressed more than %d times over; decompress it first",
                    o->in.name, WRAPPERS);
}

void fg__in_close(fg_in *in) {
    if (!in) return;
    opened *o = (opened *)in;
    fg_ctx *ctx = in->ctx;
    for (fg__source *s = in->source, *below; s; s = below) {
        below = s->below;
        s->close(s, ctx);
        fg_free(ctx, s);
    }
    fg_free(ctx, o->buffer);
    fg_free(ctx, o);
}

/* An opened input with a source that has no bytes yet. */
static opened *new_input(fg_ctx *ctx, const char *name, const fg_read_options *options) {
    opened *o = fg__calloc(ctx, 1, sizeof *o);
    if (!o) return NULL;
    o->in.source = fg__calloc(ctx, 1, sizeof *o->in.source);
    if (!o->in.source) {
        fg_free(ctx, o);
        return NULL;
    }
    o->in.ctx = ctx;
    o->in.name = options->name ? options->name : name;
    o->in.source->fd = -1;
    o->in.source->close = close_nothing;
    o->max = fg__max_input(options);
    return o;
}

static void show(opened *o, const void *bytes, size_t n) {
    o->in.window = o->in.p = bytes;
    o->in.end = (const uint8_t *)bytes + n;
    o->in.ended = true;
}

static int hand_over(fg_in **out, opened *o, int err) {
    if (!err) err = peel(o);
    if (err)
        fg__in_close(&o->in);
    else
        *out = &o->in;
    return err;
}

int fg__in_open_memory(fg_in **out, fg_ctx *ctx, const void *bytes, size_t n,
                       const fg_read_options *options) {
    opened *o = new_input(ctx, "input", options);
    if (!o) return FG_ENOMEM;
    show(o, bytes, n);
    return hand_over(out, o, 0);
}

int fg__in_open_pull(fg_in **out, fg_ctx *ctx,
                     int (*pull)(void *user, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got), void *user,
                     const fg_read_options *options) {
    opened *o = new_input(ctx, "input", options);
    if (!o) return FG_ENOMEM;
    o->in.source->pull = pull_asked;
    o->in.source->ask = pull;
    o->in.source->user = user;
    *out = &o->in;
    return 0;
}

/* Map what can be mapped; everything else is read. */
static int open_file(opened *o, const char *path) {
    fg__source *s = o->in.source;
    bool standard = strcmp(path, "-") == 0;
    s->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return fg__fail(o->in.ctx, FG_EIO, "cannot open %s: %s", path, strerror(errno));
    s->close = close_fd;
    s->pull = pull_fd;
    struct stat st;
    if (fstat(s->fd, &st)) return fg__fail(o->in.ctx, FG_EIO, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return fg__fail(o->in.ctx, FG_EIO, "cannot read %s: it is a folder", path);
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || lseek(s->fd, 0, SEEK_CUR) != 0) return 0;
    void *mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, s->fd, 0);
    if (mapped == MAP_FAILED) return 0;
    (void)madvise(mapped, (size_t)st.st_size, MADV_SEQUENTIAL);
    close_fd(s, o->in.ctx);
    *s = (fg__source){.fd = -1, .close = close_mapped, .mapped = mapped, .mapped_size = (size_t)st.st_size};
    show(o, mapped, (size_t)st.st_size);
    return 0;
}

int fg__in_open(fg_in **out, fg_ctx *ctx, const char *path, const fg_read_options *options) {
    opened *o = new_input(ctx, strcmp(path, "-") == 0 ? "standard input" : path, options);
    if (!o) return FG_ENOMEM;
    return hand_over(out, o, open_file(o, path));
}
