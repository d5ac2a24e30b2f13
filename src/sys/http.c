/*
 * One HTTP request and its redirects. libcurl is told not to follow them: here they are followed hop by hop,
 * and each hop is set up from nothing, so that what must not go along is not there to go along. Once a
 * redirect has led to another origin, only `harmless` headers are sent, for good, and a body is not.
 */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include "sys/multi.h"
#include "sys/url.h"

enum { MAX_HEADERS = 256 << 10, DEFAULT_TIMEOUT = 60, DEFAULT_CONNECT_TIMEOUT = 10 };
static const uint64_t DEFAULT_MAX_BODY = (uint64_t)1 << 30;

struct http {
    fg__op op;
    fg__transfer transfer;
    fg__arena arena; /* holds the options and the URLs */
    fg__http_options asked;
    fg__http_header *headers;
    const char *url, *method; /* of this hop */
    struct curl_slist *sent;
    fg__origin origin;
    bool elsewhere, withheld, bodiless; /* another origin; headers, the body stayed behind */
    unsigned redirects;
    double started, elapsed;
    int status;
    fg__buffer in_headers, in_body;
    const char *over; /* the cap that was exceeded, of `cap` bytes */
    uint64_t cap;
    bool nomem, refused;
    char detail[CURL_ERROR_SIZE];
};

/* ---- what comes in ------------------------------------------------------------------------------------- */

/* A callback's way to end a transfer. */
static size_t too_large(struct http *http, const char *what, uint64_t cap) {
    http->over = what;
    http->cap = cap;
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    struct http *http = user;
    size_t n = size * count;
    if (n > http->asked.max_body - http->in_body.n)
        return too_large(http, "`max_body`", http->asked.max_body);
    http->nomem = fg__buffer_add(http->op.ctx, &http->in_body, bytes, n) != 0;
    return http->nomem ? 0 : n;
}

static int add_header(struct http *http, const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    if (!colon) return 0;
    size_t name = (size_t)(colon - line), value = name + 1;
    while (value < n && isspace((unsigned char)line[value])) value++;
    while (n > value && isspace((unsigned char)line[n - 1])) n--;
    if (memchr(line, '\0', n)) return 0;
    size_t at = http->in_headers.n;
    int error = fg__buffer_add(http->op.ctx, &http->in_headers, line, name);
    for (; !error && at < http->in_headers.n; at++) {
        http->in_headers.bytes[at] = (char)tolower((unsigned char)http->in_headers.bytes[at]);
    }
    if (!error) error = fg__buffer_add(http->op.ctx, &http->in_headers, "", 1);
    if (!error) error = fg__buffer_add(http->op.ctx, &http->in_headers, line + value, n - value);
    if (!error) error = fg__buffer_add(http->op.ctx, &http->in_headers, "", 1);
    return error;
}

static size_t on_header(char *line, size_t size, size_t count, void *user) {
    struct http *http = user;
    size_t n = size * count;
    bool begins = n >= 5 && !memcmp(line, "HTTP/", 5); /* there can be several: 100 Continue, a proxy's */
    if (begins) http->in_headers.n = 0;
    if (n > MAX_HEADERS - http->in_headers.n) return too_large(http, "headers", MAX_HEADERS);
    http->nomem = add_header(http, line, n) != 0;
    return http->nomem ? 0 : n;
}

/* ---- what goes out ------------------------------------------------------------------------------------- */

static bool in_list(const char *name, const char *const *list) {
    for (; *list; list++) {
        if (!strcasecmp(name, *list)) return true;
    }
    return false;
}

static bool goes_along(struct http *http, const fg__http_header *header) {
    static const char *const harmless[] = {"accept", "accept-encoding", "accept-language", "user-agent",
                                           NULL};
    static const char *const of_body[] = {"content-encoding", "content-language", "content-length",
                                          "content-type", NULL};
    if (http->bodiless && in_list(header->name, of_body)) return false;
    if (!http->elsewhere || in_list(header->name, harmless)) return true;
    http->withheld = true;
    return false;
}

static int set_headers(struct http *http) {
    curl_slist_free_all(http->sent);
    http->sent = NULL;
    int error = fg__headers_begin(http->op.ctx, &http->sent);
    for (size_t i = 0; !error && i < http->asked.header_count; i++) {
        const fg__http_header *header = &http->headers[i];
        if (goes_along(http, header)) error = fg__headers_add(http->op.ctx, &http->sent, header);
    }
    return error;
}

/* One hop, from nothing. */
static int ask(struct http *http) {
    CURL *easy = http->transfer.easy;
    curl_easy_reset(easy);
    int error = set_headers(http);
    if (error) return error;
    double left = http->asked.timeout - (fg__loop_now() - http->started);
    http->detail[0] = 0;
    curl_easy_setopt(easy, CURLOPT_URL, http->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancelled look-up of a name is not waited for */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->detail);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, fg__transfer_milliseconds(left));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, fg__transfer_milliseconds(http->asked.connect_timeout));
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "flame-graph/" FG_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->sent);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    if (fg__origin_loopback(&http->origin)) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (http->asked.ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, http->asked.ca_file);
    const char *socket = http->elsewhere ? NULL : http->asked.socket;
    if (socket) curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket);
    bool body = http->asked.body && !http->bodiless;
    fg__transfer_method(easy, http->method, body ? http->asked.body : NULL, body ? http->asked.body_size : 0);
    return fg__transfer_start(&http->transfer);
}

/* ---- redirects ----------------------------------------------------------------------------------------- */

static const char *copy(struct http *http, const char *text) {
    return text ? fg__arena_copy(http->op.ctx, &http->arena, text, strlen(text)) : NULL;
}

static bool is_redirect(const struct http *http) {
    int status = http->status;
    return http->asked.max_redirects &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static void refuse_redirect(struct http *http, const char *to, const char *why) {
    char shown[FG__URL_SHOWN], shown_to[FG__URL_SHOWN];
    fg__op_finish(&http->op, FG_EREMOTE, "%s redirects to %s%s", fg__url_shown(shown, http->url),
                  fg__url_shown(shown_to, to), why);
}

/* Why the redirect must not be followed; NULL: it may. */
static const char *objection(const struct http *http, bool is_url) {
    if (!is_url) return ", which is neither http nor https";
    if (http->redirects > http->asked.max_redirects) return ": one redirect too many; is it a circle?";
    if (http->elsewhere && http->asked.body && !http->bodiless) {
        return ", where the body of the request is not sent: give that URL if it is the right one";
    }
    return NULL;
}

static void follow(struct http *http, const char *to) {
    fg__origin origin;
    bool is_url = fg__url_origin(&origin, to);
    bool to_get = http->status == 303 ||
                  ((http->status == 301 || http->status == 302) && !strcmp(http->method, "POST"));
    if (to_get && strcmp(http->method, "HEAD") != 0) {
        http->method = "GET";
        http->bodiless = true;
    }
    if (!is_url || !fg__origin_same(&origin, &http->origin)) http->elsewhere = true;
    http->redirects++;
    const char *why = objection(http, is_url);
    if (why) {
        refuse_redirect(http, to, why);
        return;
    }
    http->origin = origin;
    http->url = copy(http, to);
    http->in_body.n = http->in_headers.n = 0;
    if (!http->url || ask(http)) fg__op_finish(&http->op, FG_ENOMEM, "%s", fg_error(http->op.ctx));
}

/* ---- how it ended -------------------------------------------------------------------------------------- */

static void fail_timeout(struct http *http, const char *url) {
    curl_off_t connected = 0;
    curl_easy_getinfo(http->transfer.easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    bool all = http->elapsed >= http->asked.timeout * 0.99;
    if (connected || all) {
        fg__op_finish(&http->op, FG_ETIMEOUT,
                      "no answer from %s within %g s — is it busy? `timeout` allows more", url,
                      http->asked.timeout);
    } else {
        fg__op_finish(
            &http->op, FG_ETIMEOUT,
            "no connection to %s within %g s — is the host up and reachable? `connect_timeout` allows more",
            url, http->asked.connect_timeout);
    }
}

/* What libcurl's codes mean to a person: "HEAD URL: detail TAIL". The last one is for all others. */
static const struct failure {
    CURLcode curl;
    int code;
    const char *head, *tail;
} failures[] = {
    {CURLE_COULDNT_CONNECT, FG_ENET, "cannot connect to", " — is the service running, and is the URL right?"},
    {CURLE_COULDNT_RESOLVE_HOST, FG_ENET, "cannot find the host of",
     " — is its name right, and is there a network?"},
    {CURLE_COULDNT_RESOLVE_PROXY, FG_ENET, "cannot find the proxy for",
     " — see the variables http_proxy, https_proxy, no_proxy"},
    {CURLE_PEER_FAILED_VERIFICATION, FG_ENET, "cannot trust",
     " — `ca` names a file with the certificate of its authority"},
    {CURLE_SSL_CONNECT_ERROR, FG_ENET, "no secure connection to", " — does this port speak TLS?"},
    {CURLE_SSL_CACERT_BADFILE, FG_EIO, "cannot read the certificates for", " — see `ca`"},
    {CURLE_BAD_CONTENT_ENCODING, FG_EFORMAT, "a damaged body from",
     " — its content-encoding is not what it says"},
    {CURLE_UNSUPPORTED_PROTOCOL, FG_EFORMAT, "no HTTP answer from", " — is this the port of an HTTP server?"},
    {CURLE_WEIRD_SERVER_REPLY, FG_EFORMAT, "no HTTP answer from", " — is this the port of an HTTP server?"},
    {CURLE_OUT_OF_MEMORY, FG_ENOMEM, "cannot hold the answer of", ""},
    {CURLE_OK, FG_ENET, "the connection broke:", " — did the service end, or something between?"},
};

/* libcurl's message, or the operating system's, which is clearer where there is one. */
static const char *detail_of(struct http *http, CURLcode code) {
    long error = 0;
    curl_easy_getinfo(http->transfer.easy, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_COULDNT_CONNECT && error) return strerror((int)error);
    if (code == CURLE_COULDNT_RESOLVE_HOST) return "no such name";
    return http->detail[0] ? http->detail : curl_easy_strerror(code);
}

static void fail(struct http *http, CURLcode code) {
    char url[FG__URL_SHOWN];
    fg__url_shown(url, http->url);
    if (http->nomem) code = CURLE_OUT_OF_MEMORY;
    if (http->over) {
        fg__op_finish(&http->op, FG_ELIMIT, "the answer of %s is larger than %llu bytes (%s)", url,
                      (unsigned long long)http->cap, http->over);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        fail_timeout(http, url);
    } else {
        const struct failure *f = failures;
        while (f->curl && f->curl != code) f++;
        http->refused = code == CURLE_COULDNT_CONNECT;
        fg__op_finish(&http->op, f->code, "%s %s: %s%s", f->head, url, detail_of(http, code), f->tail);
    }
}

static void on_done(fg__transfer *transfer, CURLcode code) {
    struct http *http = (struct http *)transfer->op;
    long status = 0;
    char *to = NULL;
    http->elapsed = fg__loop_now() - http->started;
    if (code) {
        fail(http, code);
        return;
    }
    curl_easy_getinfo(http->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->transfer.easy, CURLINFO_REDIRECT_URL, &to);
    http->status = (int)status;
    if (to && is_redirect(http)) {
        follow(http, to);
    } else {
        fg__op_finish(&http->op, 0, NULL);
    }
}

/* ---- start and end ------------------------------------------------------------------------------------- */

static void stop(fg__op *op) {
    fg__transfer_free(&((struct http *)op)->transfer);
}

static void free_http(fg__op *op) {
    struct http *http = (struct http *)op;
    curl_slist_free_all(http->sent);
    fg_free(op->ctx, http->in_headers.bytes);
    fg_free(op->ctx, http->in_body.bytes);
    fg__arena_free(op->ctx, &http->arena);
}

/* In bytes on the wire: the only ones that the length of the answer can be compared with. */
static const char *progress(const fg__op *op, double *done, double *expected) {
    const struct http *http = (const struct http *)op;
    curl_off_t received = (curl_off_t)http->in_body.n, length = -1;
    if (http->transfer.easy) {
        curl_easy_getinfo(http->transfer.easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
        curl_easy_getinfo(http->transfer.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    }
    *done = (double)received;
    *expected = (double)length;
    return "bytes";
}

static const fg__op_kind http_kind = {.stop = stop, .free = free_http, .progress = progress};

/* RFC 9110: what methods and the names of headers are made of. */
static bool is_token(const char *text) {
    return *text &&
           !text[strspn(text,
                        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

int fg__http_headers_check(fg_ctx *ctx, const fg__http_header *headers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const fg__http_header *header = &headers[i];
        if (!is_token(header->name))
            return fg__fail(ctx, FG_EINVAL, "'%.80s' cannot be the name of a header", header->name);
        for (const char *c = header->value; *c; c++) {
            if (((unsigned char)*c < ' ' && *c != '\t') ||
                *c == 0x7f) { /* the value may be secret: it is not shown */
                return fg__fail(ctx, FG_EINVAL,
                                "the header %s has a control character (a newline?) in its value",
                                header->name);
            }
        }
    }
    return 0;
}

int fg__http_check(fg_ctx *ctx, const fg__http_options *options) {
    fg__origin origin;
    char shown[FG__URL_SHOWN];
    int error = fg__curl_load(ctx); /* the URL is for libcurl to parse */
    if (error) return error;
    if (!fg__url_origin(&origin, options->url)) {
        return fg__fail(ctx, FG_EINVAL, "%s is not a URL that starts with http:// or https://",
                        fg__url_shown(shown, options->url));
    }
    if (options->method && !is_token(options->method))
        return fg__fail(ctx, FG_EINVAL, "the method is not one of HTTP");
    return fg__http_headers_check(ctx, options->headers, options->header_count);
}

static int copy_options(struct http *http, const fg__http_options *options) {
    fg__http_options *asked = &http->asked;
    *asked = *options;
    http->url = asked->url = copy(http, options->url);
    http->method = copy(http, options->method ? options->method : options->body ? "POST" : "GET");
    asked->ca_file = copy(http, options->ca_file);
    asked->socket = copy(http, options->socket);
    http->headers =
        fg__arena_alloc(http->op.ctx, &http->arena, (options->header_count + 1) * sizeof *http->headers);
    if (options->body)
        asked->body = fg__arena_copy(http->op.ctx, &http->arena, options->body, options->body_size);
    bool missing = !http->url || !http->method || !http->headers || (options->ca_file && !asked->ca_file) ||
                   (options->socket && !asked->socket) || (options->body && !asked->body);
    for (size_t i = 0; !missing && i < options->header_count; i++) {
        fg__http_header *header = &http->headers[i];
        header->name = copy(http, options->headers[i].name);
        header->value = copy(http, options->headers[i].value);
        missing = !header->name || !header->value;
    }
    if (!(asked->timeout > 0)) asked->timeout = DEFAULT_TIMEOUT;
    if (!(asked->connect_timeout > 0)) asked->connect_timeout = DEFAULT_CONNECT_TIMEOUT;
    if (!asked->max_body) asked->max_body = DEFAULT_MAX_BODY;
    return missing ? FG_ENOMEM : 0;
}

int fg__http_start(fg__op **out, fg__loop *loop, const fg__http_options *options) {
    struct http *http = fg__op_new(loop, &http_kind, sizeof *http);
    if (!http) return FG_ENOMEM;
    http->started = fg__loop_now();
    int error = fg__http_check(http->op.ctx, options);
    if (!error) error = copy_options(http, options);
    if (!error) error = fg__transfer_init(&http->transfer, &http->op, on_done);
    if (error) return fg__op_abandon(&http->op, error);
    fg__url_origin(&http->origin, http->url);
    error = ask(http);
    if (error) return fg__op_abandon(&http->op, error);
    *out = &http->op;
    return 0;
}

fg__http_response fg__http_response_of(const fg__op *op) {
    const struct http *http = (const struct http *)op;
    return (fg__http_response){
        .status = http->status,
        .url = http->url,
        .elapsed = http->elapsed,
        .headers = http->in_headers.bytes,
        .headers_size = http->in_headers.n,
        .body = http->in_body.n ? http->in_body.bytes : "",
        .body_size = http->in_body.n,
        .withheld = http->withheld,
    };
}

bool fg__http_refused(const fg__op *op) {
    return ((const struct http *)op)->refused;
}
