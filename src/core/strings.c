/*
 * Text from outside becomes interned text. Everything that is shown later (SVG, terminals, Markdown) relies
 * on what is made sure of here, once for each different string: valid UTF-8, no NUL, no control or
 * bidirectional-override characters. What is not so becomes U+FFFD, so that a reader sees that something was
 * there.
 */
#include "core/core.h"

static bool plain(const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)(bytes[i] - 0x20) >= 0x5f) return false;
    return true;
}

/* The length of the valid UTF-8 sequence at `s` that is fit to be shown, or 0. */
static size_t sequence(const uint8_t *s, size_t n) {
    if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < len) return 0;
    uint32_t c = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = c >= 0xd800 && c <= 0xdfff, nonchar = (c & 0xfffe) == 0xfffe;
    bool c1 = c < 0xa0, bidi = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    bool separator = c == 0x2028 || c == 0x2029;
    if (c < least[len] || c > 0x10ffff || surrogate || nonchar || c1 || bidi || separator) return 0;
    return len;
}

/* Append the cleaned text to `out`; a run of bad bytes is one replacement character. */
static int clean(fg_ctx *ctx, fg__buffer *out, const char *bytes, size_t n) {
    bool bad = false;
    for (size_t i = 0; i < n;) {
        size_t len = sequence((const uint8_t *)bytes + i, n - i);
        int err = 0;
        if (len)
            err = fg__buffer_add(ctx, out, bytes + i, len);
        else if (!bad)
            err = fg__buffer_add(ctx, out, "\xef\xbf\xbd", 3);
        if (err) return err;
        bad = !len;
        i += len ? len : 1;
    }
    return 0;
}

static uint32_t find(const fg_profile *p, const char *bytes, size_t n, uint64_t hash) {
    const fg__table *t = &p->string_index;
    uint32_t id;
    for (uint32_t at = fg__table_first(t, hash); (id = fg__table_id(t, at)) != FG__NONE;
         at = fg__table_next(t, at)) {
        if (!fg__table_maybe(t, at, hash)) continue;
        fg__string s = p->strings[id];
        if (s.n == n && memcmp(s.bytes, bytes, n) == 0) return id;
    }
    return FG__NONE;
}

static int insert(uint32_t *out, fg_profile *p, const char *bytes, size_t n, uint64_t hash) {
    if (p->string_count >= FG__NONE - 1)
        return fg__fail(p->ctx, FG_ELIMIT, "more than 4 billion different names");
    int err = fg__grow(p->ctx, &p->strings, &p->string_cap, p->string_count + 1, sizeof *p->strings);
    if (err) return err;
    char *copy = fg__arena_copy(p->ctx, &p->arena, bytes, n);
    if (!copy) return FG_ENOMEM;
    uint32_t id = (uint32_t)p->string_count;
    err = fg__table_add(p->ctx, &p->string_index, hash, id);
    if (err) return err;
    p->strings[p->string_count++] = (fg__string){copy, (uint32_t)n};
    *out = id;
    return 0;
}

int fg__string_intern(uint32_t *out, fg_profile *p, const char *bytes, size_t n) {
    if (n > FG__STRING_MAX) n = FG__STRING_MAX;
    uint64_t hash = fg__hash(bytes, n);
    uint32_t id = find(p, bytes, n, hash);
    if (id != FG__NONE) {
        *out = id;
        return 0;
    }
    if (plain(bytes, n)) return insert(out, p, bytes, n, hash);

    fg__buffer cleaned = {0};
    int err = clean(p->ctx, &cleaned, bytes, n);
    if (!err) {
        const char *text = cleaned.bytes ? cleaned.bytes : "";
        hash = fg__hash(text, cleaned.n);
        id = find(p, text, cleaned.n, hash);
        if (id != FG__NONE)
            *out = id;
        else
            err = insert(out, p, text, cleaned.n, hash);
    }
    fg_free(p->ctx, cleaned.bytes);
    return err;
}
