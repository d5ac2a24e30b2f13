/* The opening of a WebSocket, RFC 6455 section 4: what is asked, and whether the answer is one. */
#ifndef FG_SYS_HANDSHAKE_H
#define FG_SYS_HANDSHAKE_H

#include "sys/sys.h"

enum { FG__HANDSHAKE_KEY = 25, FG__HANDSHAKE_ACCEPT = 29, FG__HANDSHAKE_MOST = 64 << 10 };

/* The URL as libcurl connects to it: ws as http, wss as https. NULL: it is none of these; free with fg_free. */
char *fg__handshake_url(fg_ctx *ctx, const char *url);
/* A key from 16 random bytes; false: the system gave none. */
bool fg__handshake_key(char key[FG__HANDSHAKE_KEY]);
/* What the server has to make of the key. */
void fg__handshake_accept(char accept[FG__HANDSHAKE_ACCEPT], const char *key);
/* Append the request to `out`. `url` is what fg__handshake_url returned. */
int fg__handshake_request(fg__buffer *out, fg_ctx *ctx, const char *url, const char *key,
                          const fg__http_header *headers, size_t header_count);
/* The length of the answer's head, its empty line included, once all of it is there, else 0. */
size_t fg__handshake_length(const char *bytes, size_t n);
/* 0 where the head accepts the key; else an error, its reason as the context's message. */
int fg__handshake_check(fg_ctx *ctx, const char *head, size_t n, const char *key);

#endif
