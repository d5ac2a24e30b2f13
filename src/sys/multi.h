/* A libcurl transfer on the loop: http.c and whoever else speaks through libcurl. */
#ifndef FG_SYS_MULTI_H
#define FG_SYS_MULTI_H

#include <curl/curl.h>
#include "sys/op.h"

/* Load libcurl, once (curl.c): before anything else of it is used. 0 or a negative error, message set. */
int fg__curl_load(fg_ctx *ctx);

/* Lives in the op, as long as the transfer. */
typedef struct fg__transfer {
    CURL *easy; /* NULL: none */
    fg__op *op;
    void (*done)(struct fg__transfer *transfer, CURLcode code); /* may start the next one */
    bool running;
    bool kept; /* a connection only: it stays in libcurl's hands when it is done */
    struct fg__transfer *next_blind;
} fg__transfer;

/* Make the easy handle (and libcurl's half of the loop). 0 or a negative error, message set. */
int fg__transfer_init(fg__transfer *transfer, fg__op *op,
                      void (*done)(fg__transfer *transfer, CURLcode code));
int fg__transfer_start(fg__transfer *transfer);
/* Method and body (NULL: none; it has to stay where it is) of a transfer's next request. */
void fg__transfer_method(CURL *easy, const char *method, const char *body, size_t body_size);
/* Seconds as libcurl takes them, at least 1 ms. */
long fg__transfer_milliseconds(double seconds);
/* A list of headers: first what libcurl would add by itself and must not, then each. Freed by curl_slist_free_all. */
int fg__headers_begin(fg_ctx *ctx, struct curl_slist **list);
int fg__headers_add(fg_ctx *ctx, struct curl_slist **list, const fg__http_header *header);
/* End it wherever it is; never from inside a callback of libcurl. */
void fg__transfer_free(fg__transfer *transfer);

#endif
