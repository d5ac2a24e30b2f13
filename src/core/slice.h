/* Pieces of text that is somebody else's: nothing is copied, nothing ends in a NUL. */
#ifndef FG_SLICE_H
#define FG_SLICE_H

#include "core/core.h"

/* A piece of somebody else's text. */
typedef struct fg__slice {
    const char *p;
    size_t n;
} fg__slice;

static inline fg__slice fg__slice_of(const char *p, const char *end) {
    return (fg__slice){p, (size_t)(end - p)};
}
static inline fg__slice fg__slice_skip(fg__slice s, size_t n) {
    return (fg__slice){s.p + n, s.n - n};
}
static inline bool fg__slice_is(fg__slice s, const char *text) {
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}
static inline bool fg__slice_starts(fg__slice s, const char *text) {
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.p, text, n) == 0;
}
static inline bool fg__slice_ends(fg__slice s, const char *text) {
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.p + s.n - n, text, n) == 0;
}
static inline bool fg__slice_has(fg__slice s, const char *text) {
    return memmem(s.p, s.n, text, strlen(text)) != NULL;
}
static inline bool fg__is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline bool fg__is_digit(char c) {
    return c >= '0' && c <= '9';
}
static inline bool fg__is_hex(char c) {
    return fg__is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
#endif
