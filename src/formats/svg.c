/*
 * Reading pictures. Ours carry their profile (payload.h) in one or more elements of the class
 * FG__PAYLOAD_CLASS, base64, to be joined in their order; it is read back exactly. Those of flamegraph.pl and
 * inferno are read from what they show: svg_titles.c.
 */
#include "formats/svg.h"
#include "formats/format.h"
#include "formats/payload.h"

static int probe(const uint8_t *head, size_t n) {
    if (n >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0) head += 3, n -= 3;
    while (n && strchr(" \t\r\n", *head) && *head) head++, n--;
    return n && *head == '<' && memmem(head, n, "<svg", 4) ? 95 : 0;
}

/* The value of a base64 digit; 64 for what is none. */
static unsigned digit_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z') return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9') return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* Append the bytes of the element's text, which starts at in->p; `out` has room for them. */
static int decode_base64(uint8_t **out, fg_in *in) {
    uint32_t bits = 0;
    unsigned have = 0;
    for (; in->p < in->end && *in->p != '<'; in->p++) {
        if (*in->p == '=' || *in->p == '\n' || *in->p == '\r' || *in->p == ' ') continue;
        unsigned digit = digit_of(*in->p);
        if (digit == 64) return fg__in_fail_byte(in, FG_EFORMAT, "the embedded profile is not base64");
        bits = bits << 6 | digit;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        *(*out)++ = (uint8_t)(bits >> have);
    }
    return in->p < in->end ? 0 : fg__in_fail_byte(in, FG_EFORMAT, "the embedded profile is cut short");
}

/* Move to the text of the next element that has a part of the profile. */
static bool next_part(fg_in *in) {
    static const char mark[] = "class=\"" FG__PAYLOAD_CLASS "\"";
    const uint8_t *at = memmem(in->p, (size_t)(in->end - in->p), mark, sizeof mark - 1);
    if (!at) return false;
    const uint8_t *text = memchr(at, '>', (size_t)(in->end - at));
    in->p = text ? text + 1 : in->end;
    return true;
}

static int read_payload(fg_profile *p, fg_in *in, const fg_read_options *options) {
    uint8_t *bytes = fg__alloc(in->ctx, (size_t)(in->end - in->p)), *at = bytes;
    if (!bytes) return FG_ENOMEM;
    int err = 0;
    do err = decode_base64(&at, in);
    while (!err && next_part(in));
    if (!err) {
        err = fg__payload_decode(p, bytes, (size_t)(at - bytes), options->max_input);
        if (err) fg__fail_in(in->ctx, err, "%s: %s", in->name, in->format);
    }
    fg_free(in->ctx, bytes);
    return err;
}

static int read_svg(fg_profile *p, fg_in *in, const fg_read_options *options) {
    int more;
    do more = fg__in_more(in);
    while (more > 0);
    if (more < 0) return more;
    if (!memmem(in->p, (size_t)(in->end - in->p), "</svg", 5))
        return fg__fail(in->ctx, FG_EFORMAT,
                        "%s: svg: the picture is cut off: it ends without </svg>; make or copy it again",
                        in->name);
    return next_part(in) ? read_payload(p, in, options) : fg__svg_titles_read(p, in, options);
}

const fg_format fg__svg_reader = {
    .name = "svg",
    .summary = "flame graph that opens in a browser, with its whole profile inside",
    .suffixes = ".svg",
    .probe = probe,
    .read = read_svg,
};
