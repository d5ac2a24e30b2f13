/* A libcurl transfer on the loop: http.c and whoever else speaks through libcurl. */
#ifndef FG_SYS_MULTI_H
#define FG_SYS_MULTI_H

#include <curl/curl.h>
#include "sys/op.h"

/* Lives in the op, as long as the transfer. */
typedef struct fg__transfer {
    CURL *easy; /* NULL: none */
    fg__op *op;
    void (*done)(fg__op *op, CURLcode code); /* may start the next one */
    bool running;
    struct fg__transfer *next_blind;
} fg__transfer;

/* Make the easy handle (and libcurl's half of the loop). 0 or a negative error, message set. */
int fg__transfer_init(fg__transfer *transfer, fg__op *op, void (*done)(fg__op *op, CURLcode code));
int fg__transfer_start(fg__transfer *transfer);
/* End it wherever it is; never from inside a callback of libcurl. */
void fg__transfer_free(fg__transfer *transfer);

#endif
