/*
 * A WebSocket: libcurl connects (TLS and proxies are its business) and hands the socket over, libwslay makes and reads
 * frames, the loop tells when there is something to do.
 *
 *   CONNECTING ──on_connected──▶ OPENING ──the answer──▶ OPEN ──close frame, end, error──▶ finished
 *
 * The connection is an op that is under way as long as it is open. Whoever waits for it holds an arrival, an op of its
 * own that finishes when the connection opens, has a message, or ends; messages are then taken one by one. A peer that
 * sends faster than messages are taken is not read from meanwhile.
 */
#include <stdio.h>
#include <sys/random.h>
#include <wslay/wslay.h>
#include "sys/handshake.h"
#include "sys/multi.h"
#include "sys/url.h"

enum { DEFAULT_CONNECT_TIMEOUT = 10, MOST_QUEUED = 64 << 20, MOST_WAITING = 16 << 20 };
static const uint64_t DEFAULT_MAX_MESSAGE = (uint64_t)1 << 30;

struct message {
    struct message *next;
    bool binary;
    size_t n;
    char bytes[];
};

enum state { CONNECTING, OPENING, OPEN };

struct arrival;

struct websocket {
    fg__op op;
    fg__transfer transfer;
    enum state state;
    char shown[FG__URL_SHOWN];
    char *url; /* as libcurl takes it */
    char key[FG__HANDSHAKE_KEY], detail[CURL_ERROR_SIZE];
    double connect_timeout;
    uint64_t max_message;
    fg__buffer request, answer;
    size_t sent, taken; /* bytes of the request; of the answer, its head and what wslay has read */
    wslay_event_context_ptr frames;
    uv_poll_t poll;
    uv_timer_t timer;
    bool polled, ended, nomem;
    struct message *first, **last;
    size_t waiting; /* bytes of messages that nobody took yet */
    struct arrival *arrivals;
};

struct arrival {
    fg__op op;
    struct websocket *ws; /* NULL: it told already, or the connection is gone */
    struct arrival *next;
};

/* ---- arrivals ------------------------------------------------------------------------------------------ */

static void forget_arrival(struct arrival *a) {
    if (!a->ws) return;
    struct arrival **at = &a->ws->arrivals;
    while (*at && *at != a) at = &(*at)->next;
    if (*at) *at = a->next;
    a->ws = NULL;
}

static void stop_arrival(fg__op *op) {
    forget_arrival((struct arrival *)op);
}

static void tell(struct websocket *ws) {
    while (ws->arrivals) fg__op_finish(&ws->arrivals->op, 0, NULL); /* which takes it off the list */
}

static const fg__op_kind arrival_kind = {.stop = stop_arrival};

int fg__websocket_arrival(fg__op **out, fg__op *op) {
    struct websocket *ws = (struct websocket *)op;
    struct arrival *a = op->loop ? fg__op_new(op->loop, &arrival_kind, sizeof *a) : NULL;
    if (!a) return op->loop ? FG_ENOMEM : fg__fail(op->ctx, FG_EINTERRUPTED, "the loop was closed");
    a->ws = ws;
    a->next = ws->arrivals;
    ws->arrivals = a;
    *out = &a->op;
    if (ws->first || op->finished) fg__op_finish(&a->op, 0, NULL);
    return 0;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void stop(fg__op *op) {
    struct websocket *ws = (struct websocket *)op;
    if (ws->frames && !wslay_event_get_close_sent(ws->frames)) { /* as good as it gets without waiting */
        wslay_event_queue_close(ws->frames, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
        wslay_event_send(ws->frames);
    }
    if (ws->polled) fg__op_close(&ws->poll);
    fg__op_close(&ws->timer);
    fg__transfer_free(&ws->transfer);
    tell(ws);
}

static void free_websocket(fg__op *op) {
    struct websocket *ws = (struct websocket *)op;
    struct message *next;
    for (struct message *m = ws->first; m; m = next) {
        next = m->next;
        fg_free(op->ctx, m);
    }
    wslay_event_context_free(ws->frames);
    fg_free(op->ctx, ws->request.bytes);
    fg_free(op->ctx, ws->answer.bytes);
    fg_free(op->ctx, ws->url);
}

static const fg__op_kind websocket_kind = {.stop = stop, .free = free_websocket};

static void broken(struct websocket *ws, const char *why) {
    if (ws->nomem) {
        fg__op_finish(&ws->op, FG_ENOMEM, "%s", fg_error(ws->op.ctx));
    } else {
        fg__op_finish(&ws->op, FG_ENET, "the connection to %s broke: %s", ws->shown, why);
    }
}

/* The peer said good-bye, or sent what cannot be read: wslay then has queued a close of its own. */
static void closed(struct websocket *ws) {
    unsigned status = wslay_event_get_status_code_received(ws->frames);
    unsigned own = wslay_event_get_status_code_sent(ws->frames);
    if (ws->nomem) {
        broken(ws, "");
    } else if (wslay_event_get_close_received(ws->frames)) {
        fg__op_finish(&ws->op, FG_ENET, "%s closed the connection (status %u)", ws->shown, status);
    } else if (own == WSLAY_CODE_MESSAGE_TOO_BIG) {
        fg__op_finish(&ws->op, FG_ELIMIT, "a message of %s is larger than %llu bytes (max_message)",
                      ws->shown, (unsigned long long)ws->max_message);
    } else if (ws->ended) {
        broken(ws, "the other side ended it");
    } else {
        fg__op_finish(&ws->op, FG_EFORMAT, "%s sent what is no WebSocket frame (status %u)", ws->shown, own);
    }
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

static CURLcode send_bytes(struct websocket *ws, const void *bytes, size_t n, size_t *sent) {
    *sent = 0;
    return curl_easy_send(ws->transfer.easy, bytes, n, sent);
}

/* What came behind the answer's head belongs to frames. */
static ssize_t left_over(struct websocket *ws, uint8_t *to, size_t n) {
    size_t left = ws->answer.n - ws->taken;
    if (n > left) n = left;
    memcpy(to, ws->answer.bytes + ws->taken, n);
    ws->taken += n;
    return (ssize_t)n;
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *to, size_t n, int flags, void *user) {
    (void)flags;
    struct websocket *ws = user;
    if (ws->taken < ws->answer.n) return left_over(ws, to, n);
    if (ws->waiting > MOST_WAITING) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t got = 0;
    CURLcode code = curl_easy_recv(ws->transfer.easy, to, n, &got);
    if (code == CURLE_OK && got > 0) return (ssize_t)got;
    if (code != CURLE_AGAIN) ws->ended = true;
    wslay_event_set_error(frames, code == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t n, int flags,
                       void *user) {
    (void)flags;
    size_t sent;
    CURLcode code = send_bytes(user, bytes, n, &sent);
    if (code == CURLE_OK && sent > 0) return (ssize_t)sent;
    bool again = code == CURLE_OK || code == CURLE_AGAIN;
    wslay_event_set_error(frames, again ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* RFC 6455 section 5.3: not to be foreseen by whoever made the bytes. */
static int on_mask(wslay_event_context_ptr frames, uint8_t *mask, size_t n, void *user) {
    (void)user;
    if (!getentropy(mask, n)) return 0;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user) {
    struct websocket *ws = user;
    if (arg->opcode != WSLAY_TEXT_FRAME && arg->opcode != WSLAY_BINARY_FRAME) return;
    struct message *m = fg__alloc(ws->op.ctx, sizeof *m + arg->msg_length);
    if (!m) {
        ws->nomem = true;
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
        return;
    }
    *m = (struct message){.binary = arg->opcode == WSLAY_BINARY_FRAME, .n = arg->msg_length};
    if (m->n) memcpy(m->bytes, arg->msg, m->n);
    *ws->last = m;
    ws->last = &m->next;
    ws->waiting += m->n + sizeof *m;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch(struct websocket *ws, bool writing) {
    bool reading = ws->waiting <= MOST_WAITING;
    int events = (reading ? UV_READABLE : 0) | (writing ? UV_WRITABLE : 0);
    if (!events) {
        uv_poll_stop(&ws->poll);
    } else if (uv_poll_start(&ws->poll, events, on_poll)) {
        broken(ws, "its socket cannot be watched");
    }
}

/* Send and read what can be. */
static void exchange(struct websocket *ws) {
    int error = wslay_event_recv(ws->frames);
    if (!error) error = wslay_event_send(ws->frames);
    bool over = !wslay_event_want_read(ws->frames) && !wslay_event_want_write(ws->frames);
    bool said = wslay_event_get_close_received(ws->frames) || wslay_event_get_close_sent(ws->frames);
    if (error || over || ws->ended || ws->nomem) {
        closed(ws);
    } else if (said && !wslay_event_want_write(ws->frames)) {
        closed(ws);
    } else {
        watch(ws, wslay_event_want_write(ws->frames));
    }
    if (ws->first) tell(ws);
}

static int make_frames(struct websocket *ws) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_message,
    };
    if (wslay_event_context_client_init(&ws->frames, &callbacks, ws)) return fg__nomem(ws->op.ctx);
    wslay_event_config_set_max_recv_msg_length(ws->frames, ws->max_message);
    return 0;
}

/* ---- the opening --------------------------------------------------------------------------------------- */

static void send_request(struct websocket *ws) {
    size_t sent;
    CURLcode code = send_bytes(ws, ws->request.bytes + ws->sent, ws->request.n - ws->sent, &sent);
    ws->sent += sent;
    if (code && code != CURLE_AGAIN) {
        broken(ws, curl_easy_strerror(code));
    } else {
        watch(ws, ws->sent < ws->request.n);
    }
}

static void opened(struct websocket *ws, size_t head) {
    int error = fg__handshake_check(ws->op.ctx, ws->answer.bytes, head, ws->key);
    if (error) {
        fg__op_finish(&ws->op, error, "%s: %s", ws->shown, fg_error(ws->op.ctx));
    } else if (make_frames(ws)) {
        fg__op_finish(&ws->op, FG_ENOMEM, "%s", fg_error(ws->op.ctx));
    } else {
        ws->taken = head;
        ws->state = OPEN;
        uv_timer_stop(&ws->timer);
        tell(ws);
        exchange(ws);
    }
}

static void read_answer(struct websocket *ws) {
    char bytes[4096];
    size_t n = 0;
    CURLcode code = curl_easy_recv(ws->transfer.easy, bytes, sizeof bytes, &n);
    if (code == CURLE_AGAIN) return;
    if (code || !n) {
        broken(ws, code ? curl_easy_strerror(code) : "the other side ended it");
    } else if (ws->answer.n + n > FG__HANDSHAKE_MOST) {
        fg__op_finish(&ws->op, FG_ELIMIT, "the answer of %s has too long a head", ws->shown);
    } else if (fg__buffer_add(ws->op.ctx, &ws->answer, bytes, n)) {
        fg__op_finish(&ws->op, FG_ENOMEM, "%s", fg_error(ws->op.ctx));
    } else {
        size_t head = fg__handshake_length(ws->answer.bytes, ws->answer.n);
        if (head) opened(ws, head);
    }
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    struct websocket *ws = handle->data;
    if (status < 0) {
        broken(ws, uv_strerror(status));
    } else if (ws->state == OPEN) {
        exchange(ws);
    } else {
        if (events & UV_WRITABLE) send_request(ws);
        if (!ws->op.finished && (events & UV_READABLE)) read_answer(ws);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct websocket *ws = timer->data;
    fg__op_finish(&ws->op, FG_ETIMEOUT,
                  "no WebSocket at %s within %g s — is the host up, and is this its port?", ws->shown,
                  ws->connect_timeout);
}

/* libcurl's message, or the operating system's, which is clearer where there is one. */
static const char *connect_failure(struct websocket *ws, CURLcode code) {
    long error = 0;
    curl_easy_getinfo(ws->transfer.easy, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_COULDNT_CONNECT && error) return strerror((int)error);
    return ws->detail[0] ? ws->detail : curl_easy_strerror(code);
}

static void on_connected(fg__transfer *transfer, CURLcode code) {
    fg__op *op = transfer->op;
    struct websocket *ws = (struct websocket *)op;
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (code == CURLE_OUT_OF_MEMORY) {
        fg__nomem(op->ctx);
        fg__op_finish(op, FG_ENOMEM, "%s", fg_error(op->ctx));
        return;
    }
    if (code) {
        fg__op_finish(op, FG_ENET, "cannot connect to %s: %s", ws->shown, connect_failure(ws, code));
        return;
    }
    curl_easy_getinfo(ws->transfer.easy, CURLINFO_ACTIVESOCKET, &socket);
    if (socket == CURL_SOCKET_BAD || uv_poll_init_socket(fg__op_uv(op), &ws->poll, socket)) {
        broken(ws, "its socket cannot be watched");
        return;
    }
    fg__op_own(op, &ws->poll);
    ws->polled = true;
    ws->state = OPENING;
    send_request(ws);
}

static int connect_to(struct websocket *ws, const fg__websocket_options *options) {
    CURL *easy = ws->transfer.easy;
    fg__origin origin;
    if (!fg__url_origin(&origin, ws->url))
        return fg__fail(ws->op.ctx, FG_EINVAL, "%s is not a URL", ws->shown);
    curl_easy_setopt(easy, CURLOPT_URL, ws->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, ws->detail);
    if (fg__origin_loopback(&origin)) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (options->ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    ws->transfer.kept = true;
    return fg__transfer_start(&ws->transfer);
}

static int prepare(struct websocket *ws, const fg__websocket_options *options) {
    fg_ctx *ctx = ws->op.ctx;
    fg__url_shown(ws->shown, options->url);
    ws->last = &ws->first;
    ws->connect_timeout = options->connect_timeout > 0 ? options->connect_timeout : DEFAULT_CONNECT_TIMEOUT;
    ws->max_message = options->max_message ? options->max_message : DEFAULT_MAX_MESSAGE;
    ws->url = fg__handshake_url(ctx, options->url);
    if (!ws->url && fg_error(ctx)[0] && !strncmp(fg_error(ctx), "out of memory", 13)) return FG_ENOMEM;
    if (!ws->url)
        return fg__fail(ctx, FG_EINVAL, "%s is not a URL that starts with ws:// or wss://", ws->shown);
    if (!fg__handshake_key(ws->key)) return fg__fail(ctx, FG_EIO, "the system gives no random numbers");
    int error = fg__curl_load(ctx);
    if (!error) error = fg__http_headers_check(ctx, options->headers, options->header_count);
    return error ? error
                 : fg__handshake_request(&ws->request, ctx, ws->url, ws->key, options->headers,
                                         options->header_count);
}

/* ---- what owners do ------------------------------------------------------------------------------------ */

int fg__websocket_start(fg__op **out, fg__loop *loop, const fg__websocket_options *options) {
    struct websocket *ws = fg__op_new(loop, &websocket_kind, sizeof *ws);
    if (!ws) return FG_ENOMEM;
    uv_timer_init(fg__op_uv(&ws->op), &ws->timer);
    fg__op_own(&ws->op, &ws->timer);
    int error = prepare(ws, options);
    if (!error) error = fg__transfer_init(&ws->transfer, &ws->op, on_connected);
    if (!error) error = connect_to(ws, options);
    if (error) return fg__op_abandon(&ws->op, error);
    uv_timer_start(&ws->timer, on_timer, fg__milliseconds(ws->connect_timeout), 0);
    *out = &ws->op;
    return 0;
}

bool fg__websocket_opened(const fg__op *op) {
    return ((const struct websocket *)op)->state == OPEN;
}

int fg__websocket_send(fg__op *op, const char *bytes, size_t n, bool binary) {
    struct websocket *ws = (struct websocket *)op;
    if (op->finished) return fg__fail(op->ctx, op->code ? op->code : FG_ENET, "%s", op->message);
    if (ws->state != OPEN) return fg__fail(op->ctx, FG_EINVAL, "%s is not open yet", ws->shown);
    if (n > MOST_QUEUED || wslay_event_get_queued_msg_length(ws->frames) > MOST_QUEUED - n)
        return fg__fail(op->ctx, FG_ELIMIT, "%s does not take what is sent as fast as it is", ws->shown);
    struct wslay_event_msg m = {.opcode = binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME,
                                .msg = (const uint8_t *)bytes,
                                .msg_length = n};
    if (wslay_event_queue_msg(ws->frames, &m)) return fg__nomem(op->ctx);
    if (wslay_event_send(ws->frames)) {
        broken(ws, "it cannot be written to");
        return fg__fail(op->ctx, op->code, "%s", op->message);
    }
    watch(ws, wslay_event_want_write(ws->frames));
    return 0;
}

bool fg__websocket_take(fg__op *op, fg__websocket_message *out) {
    struct websocket *ws = (struct websocket *)op;
    struct message *m = ws->first;
    if (!m) return false;
    *out = (fg__websocket_message){.bytes = m->bytes, .n = m->n, .binary = m->binary};
    return true;
}

void fg__websocket_drop(fg__op *op) {
    struct websocket *ws = (struct websocket *)op;
    struct message *m = ws->first;
    if (!m) return;
    bool full = ws->waiting > MOST_WAITING;
    ws->first = m->next;
    if (!ws->first) ws->last = &ws->first;
    ws->waiting -= m->n + sizeof *m;
    fg_free(op->ctx, m);
    /* what TLS has read already is announced by nobody */
    if (full && ws->waiting <= MOST_WAITING && ws->state == OPEN && !op->finished) exchange(ws);
}
