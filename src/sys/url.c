/* What a URL says: origin, loopback, what may be shown of it. */
#include <curl/curl.h>
#include <stdio.h>
#include <strings.h>
#include "sys/url.h"

static bool part(char *out, size_t size, CURLU *url, CURLUPart what, unsigned flags) {
    char *text = NULL;
    bool ok = curl_url_get(url, what, &text, flags) == CURLUE_OK && strlen(text) < size;
    if (ok) memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    return ok;
}

bool fg__url_origin(fg__origin *out, const char *url) {
    CURLU *parsed = curl_url();
    if (!parsed) return false;
    bool ok = curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
              part(out->scheme, sizeof out->scheme, parsed, CURLUPART_SCHEME, 0) &&
              part(out->host, sizeof out->host, parsed, CURLUPART_HOST, 0) &&
              part(out->port, sizeof out->port, parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT) &&
              (!strcmp(out->scheme, "http") || !strcmp(out->scheme, "https"));
    curl_url_cleanup(parsed);
    return ok;
}

bool fg__origin_same(const fg__origin *a, const fg__origin *b) {
    return !strcmp(a->scheme, b->scheme) && !strcasecmp(a->host, b->host) && !strcmp(a->port, b->port);
}

bool fg__origin_loopback(const fg__origin *origin) {
    static const char name[] = "localhost", dotted[] = ".localhost";
    const char *host = origin->host;
    size_t n = strlen(host), suffix = sizeof dotted - 1;
    return !strcasecmp(host, name) || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]") ||
           (n > suffix && !strcasecmp(host + n - suffix, dotted));
}

const char *fg__url_shown(char shown[FG__URL_SHOWN], const char *url) {
    const char *authority = strstr(url, "://");
    authority = authority ? authority + 3 : url;
    size_t n = strcspn(authority, "/?#");
    const char *host = authority;
    for (size_t i = 0; i < n; i++) {
        if (authority[i] == '@') host = authority + i + 1;
    }
    size_t rest = strcspn(host, "?#");
    bool query = host[rest] == '?';
    size_t at = 0;
    const size_t room = FG__URL_SHOWN - sizeof "?……";
    for (const char *c = url; c < authority && at < room; c++) shown[at++] = *c;
    for (size_t i = 0; i < rest && at < room; i++) shown[at++] = (unsigned char)host[i] < ' ' ? '?' : host[i];
    snprintf(shown + at, FG__URL_SHOWN - at, "%s%s", at == room ? "…" : "", query ? "?…" : "");
    return shown;
}
