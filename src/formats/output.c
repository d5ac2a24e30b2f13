/* Buffered output, escaping, and files that appear whole or not at all. */
#include "formats/format.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 256 << 10 };

static int open_buffer(fg_out *out, fg_ctx *ctx, int fd) {
    *out = (fg_out){.ctx = ctx, .fd = fd};
    out->buffer = fg__alloc(ctx, BUFFER);
    if (!out->buffer) return out->status = FG_ENOMEM;
    out->cap = BUFFER;
    return 0;
}

int fg__out_memory(fg_out *out, fg_ctx *ctx) {
    return open_buffer(out, ctx, -1);
}

static void flush(fg_out *out) {
    size_t done = 0;
    while (done < out->n && !out->status) {
        ssize_t n = write(out->fd, out->buffer + done, out->n - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            out->status = fg__fail(out->ctx, FG_EIO, "cannot write: %s", strerror(errno));
    }
    out->n = 0;
}

void fg__out_bytes(fg_out *out, const void *bytes, size_t n) {
    const char *from = bytes;
    while (n && !out->status) {
        if (out->n == out->cap && out->fd >= 0) flush(out);
        if (out->fd < 0 && n > out->cap - out->n) {
            if (n > SIZE_MAX - out->n)
                out->status = fg__nomem(out->ctx);
            else
                out->status = fg__grow(out->ctx, &out->buffer, &out->cap, out->n + n, 1);
            if (out->status) return;
        }
        size_t part = out->cap - out->n < n ? out->cap - out->n : n;
        memcpy(out->buffer + out->n, from, part);
        out->n += part;
        from += part;
        n -= part;
    }
}

void fg__out_text(fg_out *out, const char *text) {
    fg__out_bytes(out, text, strlen(text));
}

void fg__out_format(fg_out *out, const char *format, ...) {
    char small[512], *text = small;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n >= (int)sizeof small) {
        text = fg__alloc(out->ctx, (size_t)n + 1);
        if (!text) {
            out->status = FG_ENOMEM;
            return;
        }
        va_start(args, format);
        vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
    }
    if (n > 0) fg__out_bytes(out, text, (size_t)n);
    if (text != small) fg_free(out->ctx, text);
}

void fg__out_i64(fg_out *out, int64_t number) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) *--at = '-';
    fg__out_bytes(out, at, (size_t)(digits + sizeof digits - at));
}

void fg__out_varint(fg_out *out, uint64_t number) {
    for (; number >= 0x80; number >>= 7) fg__out_char(out, (char)(number | 0x80));
    fg__out_char(out, (char)number);
}

/* ---- escaping: text was cleaned when it was interned, so there are no control characters to think of --- */

void fg__out_json(fg_out *out, const char *text) {
    fg__out_char(out, '"');
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20) {
            fg__out_format(out, "\\u%04x", *text);
            continue;
        }
        if (*text == '"' || *text == '\\') fg__out_char(out, '\\');
        fg__out_char(out, *text);
    }
    fg__out_char(out, '"');
}

void fg__out_xml(fg_out *out, const char *text) {
    for (; *text; text++) switch (*text) {
        case '&': fg__out_text(out, "&amp;"); break;
        case '<': fg__out_text(out, "&lt;"); break;
        case '>': fg__out_text(out, "&gt;"); break;
        case '"': fg__out_text(out, "&quot;"); break;
        default: fg__out_char(out, *text);
        }
}

void fg__out_base64(fg_out *out, const void *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = bytes;
    char block[4096];
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v =
            (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
        block[used++] = digits[v >> 18];
        block[used++] = digits[v >> 12 & 63];
        block[used++] = left > 1 ? digits[v >> 6 & 63] : '=';
        block[used++] = left > 2 ? digits[v & 63] : '=';
        if (used == sizeof block) {
            fg__out_bytes(out, block, used);
            used = 0;
        }
    }
    fg__out_bytes(out, block, used);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static int run(fg_profile *p, const fg_format *format, int fd, const fg_write_options *options) {
    fg_out out;
    int err = open_buffer(&out, p->ctx, fd);
    if (err) return err;
    err = format->write(&out, p, options);
    if (!err) flush(&out);
    fg_free(p->ctx, out.buffer);
    return err ? err : out.status;
}

/* A temporary file beside `path`, renamed to it once it is whole. */
static int write_file(fg_profile *p, const fg_format *format, const char *path,
                      const fg_write_options *options) {
    fg__buffer name = {0};
    int err = fg__buffer_add(p->ctx, &name, path, strlen(path));
    if (!err) err = fg__buffer_add(p->ctx, &name, ".XXXXXX", 7);
    int fd = err ? -1 : mkstemp(name.bytes);
    if (!err && fd < 0) err = fg__fail(p->ctx, FG_EIO, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0) {
        mode_t mask = umask(0);
        umask(mask);
        err = run(p, format, fd, options);
        if (err) fg__fail_in(p->ctx, err, "%s", path);
        if (!err && (fchmod(fd, 0666 & ~mask) || close(fd)))
            err = fg__fail(p->ctx, FG_EIO, "cannot write %s: %s", path, strerror(errno));
        else if (err)
            close(fd);
        if (!err && rename(name.bytes, path))
            err = fg__fail(p->ctx, FG_EIO, "cannot write %s: %s", path, strerror(errno));
        if (err) unlink(name.bytes);
    }
    fg_free(p->ctx, name.bytes);
    return err;
}

/* A device or a pipe (/dev/null, /dev/stdout, a FIFO) is written to, not replaced. */
static bool is_special(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int fg__write_path(fg_profile *p, const fg_format *format, const char *path,
                   const fg_write_options *options) {
    if (strcmp(path, "-") == 0) return run(p, format, STDOUT_FILENO, options);
    if (!is_special(path)) return write_file(p, format, path, options);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fg__fail(p->ctx, FG_EIO, "cannot write %s: %s", path, strerror(errno));
    int err = run(p, format, fd, options);
    close(fd);
    return err;
}
