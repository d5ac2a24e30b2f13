/* What a URL says. Parsing is libcurl's, so that what is checked is what is asked. */
#ifndef FG_SYS_URL_H
#define FG_SYS_URL_H

#include "sys/sys.h"

typedef struct fg__origin {
    char scheme[8], host[256], port[8];
} fg__origin;

/* The origin of an http or https URL. False: it is none, or not a URL. */
bool fg__url_origin(fg__origin *out, const char *url);
bool fg__origin_same(const fg__origin *a, const fg__origin *b);
/* Whether the host is this machine by its name or number: no proxy stands between. */
bool fg__origin_loopback(const fg__origin *origin);

#endif
