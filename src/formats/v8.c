/* Call frames of V8. */
#include "formats/v8.h"

static int hex(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

int fg__v8_file(uint32_t *file, fg_profile *p, const char *bytes, size_t n) {
    if (n < 7 || strncmp(bytes, "file://", 7) != 0) return fg__string_intern(file, p, bytes, n);
    bytes += 7;
    n -= 7;
    if (!memchr(bytes, '%', n)) return fg__string_intern(file, p, bytes, n);
    char *path = fg__alloc(p->ctx, n);
    if (!path) return FG_ENOMEM;
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        bool coded = bytes[i] == '%' && n - i > 2 && hex(bytes[i + 1]) >= 0 && hex(bytes[i + 2]) >= 0;
        path[length++] = coded ? (char)(hex(bytes[i + 1]) * 16 + hex(bytes[i + 2])) : bytes[i];
        if (coded) i += 2;
    }
    int err = fg__string_intern(file, p, path, length);
    fg_free(p->ctx, path);
    return err;
}

uint32_t fg__v8_line(double line) {
    return line >= 1 && line <= INT32_MAX ? (uint32_t)line : 0;
}

int fg__v8_complete(fg__frame *frame, fg_profile *p) {
    frame->kind = frame->file || frame->line ? FG_KIND_JS : FG_KIND_NATIVE;
    return frame->name ? 0 : fg__string_intern(&frame->name, p, "(anonymous)", 11);
}
