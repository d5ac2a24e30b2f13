/* The opening of a WebSocket: key, request, answer. SHA-1 (FIPS 180-4) is what RFC 6455 asks for; it guards nothing,
 * it only shows that the other side knows the protocol. */
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>
#include "sys/handshake.h"

/* ---- SHA-1 and base64 ---------------------------------------------------------------------------------- */

static uint32_t rotated(uint32_t x, int by) {
    return x << by | x >> (32 - by);
}

static void sha1_block(uint32_t state[5], const uint8_t block[64]) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d), k = 0x5a827999;
        } else if (i < 40) {
            f = b ^ c ^ d, k = 0x6ed9eba1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d, k = 0xca62c1d6;
        }
        uint32_t next = rotated(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* Of a text that fits into two blocks with its padding. */
static void sha1_short(uint8_t digest[20], const char *text, size_t n) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    size_t used = n + 9 <= 64 ? 64 : 128;
    memcpy(blocks, text, n);
    blocks[n] = 0x80;
    for (int i = 0; i < 8; i++) blocks[used - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    for (size_t at = 0; at < used; at += 64) sha1_block(state, blocks + at);
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(char *out, const uint8_t *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (i + 2 < n ? bytes[i + 2] : 0);
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = i + 1 < n ? digits[three >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[three & 63] : '=';
    }
    *out = '\0';
}

bool fg__handshake_key(char key[FG__HANDSHAKE_KEY]) {
    uint8_t bytes[16];
    if (getentropy(bytes, sizeof bytes)) return false;
    base64(key, bytes, sizeof bytes);
    return true;
}

void fg__handshake_accept(char accept[FG__HANDSHAKE_ACCEPT], const char *key) {
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[FG__HANDSHAKE_KEY + sizeof suffix];
    uint8_t digest[20];
    int n = snprintf(text, sizeof text, "%s%s", key, suffix);
    sha1_short(digest, text, (size_t)n);
    base64(accept, digest, sizeof digest);
}

/* ---- the request --------------------------------------------------------------------------------------- */

char *fg__handshake_url(fg_ctx *ctx, const char *url) {
    static const struct {
        const char *scheme, *spoken;
    } schemes[] = {{"ws://", "http://"}, {"wss://", "https://"}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i].scheme);
        if (strncasecmp(url, schemes[i].scheme, n) != 0) continue;
        size_t size = strlen(schemes[i].spoken) + strlen(url + n) + 1;
        char *spoken = fg__alloc(ctx, size);
        if (spoken) snprintf(spoken, size, "%s%s", schemes[i].spoken, url + n);
        return spoken;
    }
    return NULL;
}

static int add(fg__buffer *out, fg_ctx *ctx, const char *text) {
    return fg__buffer_add(ctx, out, text, strlen(text));
}

/* Append a part of the URL behind `before`; nothing where there is none. */
static int add_part(fg__buffer *out, fg_ctx *ctx, CURLU *url, CURLUPart part, const char *before) {
    char *text = NULL;
    int error = 0;
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK) {
        error = add(out, ctx, before);
        if (!error) error = add(out, ctx, text);
    }
    curl_free(text);
    return error;
}

int fg__handshake_request(fg__buffer *out, fg_ctx *ctx, const char *url, const char *key,
                          const fg__http_header *headers, size_t header_count) {
    CURLU *parsed = curl_url();
    if (!parsed || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK) {
        curl_url_cleanup(parsed);
        return fg__fail(ctx, FG_EINVAL, "this is not a URL");
    }
    int error = add_part(out, ctx, parsed, CURLUPART_PATH, "GET ");
    if (!error) error = add_part(out, ctx, parsed, CURLUPART_QUERY, "?");
    if (!error) error = add(out, ctx, " HTTP/1.1\r\n");
    if (!error) error = add_part(out, ctx, parsed, CURLUPART_HOST, "Host: ");
    if (!error) error = add_part(out, ctx, parsed, CURLUPART_PORT, ":");
    if (!error)
        error = add(out, ctx,
                    "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "User-Agent: flame-graph/" FG_VERSION "\r\nSec-WebSocket-Key: ");
    if (!error) error = add(out, ctx, key);
    for (size_t i = 0; i < header_count && !error; i++) {
        error = add(out, ctx, "\r\n");
        if (!error) error = add(out, ctx, headers[i].name);
        if (!error) error = add(out, ctx, ": ");
        if (!error) error = add(out, ctx, headers[i].value);
    }
    if (!error) error = add(out, ctx, "\r\n\r\n");
    curl_url_cleanup(parsed);
    return error;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

size_t fg__handshake_length(const char *bytes, size_t n) {
    const char *end = n ? memmem(bytes, n, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - bytes) + 4 : 0;
}

/* The value of a header, without the spaces around it; NULL: there is none. */
static const char *header(const char *head, size_t n, const char *name, size_t *length) {
    size_t wanted = strlen(name);
    const char *line = head, *end = head + n, *next;
    for (; (next = memmem(line, (size_t)(end - line), "\r\n", 2)); line = next + 2) {
        if ((size_t)(next - line) <= wanted || line[wanted] != ':' || strncasecmp(line, name, wanted) != 0)
            continue;
        const char *value = line + wanted + 1;
        while (value < next && (*value == ' ' || *value == '\t')) value++;
        while (next > value && (next[-1] == ' ' || next[-1] == '\t')) next--;
        *length = (size_t)(next - value);
        return value;
    }
    return NULL;
}

int fg__handshake_check(fg_ctx *ctx, const char *head, size_t n, const char *key) {
    int status = 0;
    char line[64];
    snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line), head);
    if (sscanf(line, "HTTP/1.%*1d %3d", &status) != 1)
        return fg__fail(ctx, FG_EFORMAT, "it does not answer in HTTP: is this the port of a WebSocket?");
    if (status != 101)
        return fg__fail(ctx, FG_EREMOTE, "it answered with the status %d and does not speak WebSocket there",
                        status);
    char accept[FG__HANDSHAKE_ACCEPT];
    size_t length = 0;
    fg__handshake_accept(accept, key);
    const char *upgrade = header(head, n, "upgrade", &length);
    bool ok = upgrade && length == 9 && !strncasecmp(upgrade, "websocket", length);
    const char *given = header(head, n, "sec-websocket-accept", &length);
    ok &= given && length == strlen(accept) && !memcmp(given, accept, length);
    return ok ? 0 : fg__fail(ctx, FG_EFORMAT, "its answer to the opening of a WebSocket is not one");
}
