/*
 * Short pieces of text, looked at many bytes at a time and without a branch on their length: names are of all
 * lengths, and a branch that is guessed wrongly costs more than comparing 64 bytes does. The price: more is
 * read than is asked for, FG__WIDE bytes from each pointer.
 */
#ifndef FG_WIDE_H
#define FG_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { FG__WIDE = 64 };

#if defined(__SSE2__)

static inline __m128i fg__wide_load(const void *p, int i) {
    return _mm_loadu_si128((const __m128i *)p + i);
}

/* One bit for each of 64 bytes: whether it is all ones. */
static inline uint64_t fg__wide_bits(__m128i a, __m128i b, __m128i c, __m128i d) {
    uint64_t low = (uint32_t)_mm_movemask_epi8(a) | (uint32_t)_mm_movemask_epi8(b) << 16;
    uint64_t high = (uint32_t)_mm_movemask_epi8(c) | (uint32_t)_mm_movemask_epi8(d) << 16;
    return low | high << 32;
}

/* Which of the 16 bytes at `p` are `c`: bit i for byte i. */
static inline unsigned fg__wide_is(const char *p, char c) {
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(fg__wide_load(p, 0), _mm_set1_epi8(c)));
}

/* Whether a[0 … n) and b[0 … n) are the same; n is at most FG__WIDE - 1. */
static inline bool fg__wide_same(const char *a, const char *b, size_t n) {
    uint64_t same = fg__wide_bits(_mm_cmpeq_epi8(fg__wide_load(a, 0), fg__wide_load(b, 0)),
                                  _mm_cmpeq_epi8(fg__wide_load(a, 1), fg__wide_load(b, 1)),
                                  _mm_cmpeq_epi8(fg__wide_load(a, 2), fg__wide_load(b, 2)),
                                  _mm_cmpeq_epi8(fg__wide_load(a, 3), fg__wide_load(b, 3)));
    return (~same & (((uint64_t)1 << n) - 1)) == 0;
}

/* Which of the 16 bytes at `p` are hexadecimal digits, in small letters: bit i for byte i. */
static inline unsigned fg__wide_hex(const char *p) {
    __m128i v = fg__wide_load(p, 0), nines = _mm_set1_epi8(9), fives = _mm_set1_epi8(5);
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0')), letter = _mm_sub_epi8(v, _mm_set1_epi8('a'));
    __m128i hex = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(digit, nines), digit),
                               _mm_cmpeq_epi8(_mm_min_epu8(letter, fives), letter));
    return (unsigned)_mm_movemask_epi8(hex);
}

#else

static inline unsigned fg__wide_is(const char *p, char c) {
    unsigned bits = 0;
    for (int i = 0; i < 16; i++) bits |= (unsigned)(p[i] == c) << i;
    return bits;
}

static inline bool fg__wide_same(const char *a, const char *b, size_t n) {
    return memcmp(a, b, n) == 0;
}

static inline unsigned fg__wide_hex(const char *p) {
    unsigned bits = 0;
    for (int i = 0; i < 16; i++) {
        bool digit = (unsigned char)(p[i] - '0') <= 9, letter = (unsigned char)(p[i] - 'a') <= 5;
        bits |= (unsigned)(digit || letter) << i;
    }
    return bits;
}

#endif

/* Which of the 64 bytes at `p` are `c`. */
static inline uint64_t fg__wide_find(const char *p, char c) {
    uint64_t low = fg__wide_is(p, c) | fg__wide_is(p + 16, c) << 16;
    uint64_t high = fg__wide_is(p + 32, c) | fg__wide_is(p + 48, c) << 16;
    return low | high << 32;
}

#endif
