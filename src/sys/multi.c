/*
 * libcurl's sockets and its timer on the loop. libcurl says which sockets it wants watched (on_socket) and
 * when it wants to be woken (on_timeout); the loop tells it what happened (on_poll, on_timer). And what all requests
 * through libcurl have in common.
 *
 *   fg__multi ─┬─ timer                closed by fg__multi_free, which also closes what libcurl keeps open;
 *              └─ poller per socket    the last handle to close frees the memory
 */
#include "sys/multi.h"

struct fg__multi {
    CURLM *curl;
    fg_ctx *ctx;
    uv_loop_t *uv;
    uv_timer_t timer;
    unsigned handles;
    fg__transfer *blind; /* transfers whose socket cannot be watched */
};

typedef struct poller {
    uv_poll_t handle;
    fg__multi *multi;
    curl_socket_t socket;
} poller;

static void closed(fg__multi *multi) {
    if (--multi->handles == 0) fg_free(multi->ctx, multi);
}

static void on_timer_closed(uv_handle_t *handle) {
    closed(handle->data);
}

static void on_poller_closed(uv_handle_t *handle) {
    poller *p = handle->data;
    fg__multi *multi = p->multi;
    fg_free(multi->ctx, p);
    closed(multi);
}

/* ---- what happened ------------------------------------------------------------------------------------- */

static void end(fg__multi *multi, CURL *easy, CURLcode code) {
    fg__transfer *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    if (!transfer->kept || code) {
        curl_multi_remove_handle(multi->curl, easy);
        transfer->running = false;
    }
    transfer->done(transfer, code);
}

static void report_done(fg__multi *multi) {
    CURLMsg *message;
    int left;
    while (multi->blind) {
        CURL *easy = multi->blind->easy;
        multi->blind = multi->blind->next_blind;
        end(multi, easy, CURLE_OUT_OF_MEMORY);
    }
    while ((message = curl_multi_info_read(multi->curl, &left))) {
        if (message->msg == CURLMSG_DONE) end(multi, message->easy_handle, message->data.result);
    }
}

static void act(fg__multi *multi, curl_socket_t socket, int what) {
    int running;
    curl_multi_socket_action(multi->curl, socket, what, &running);
    report_done(multi);
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    const poller *p = handle->data;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE) what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) what |= CURL_CSELECT_OUT;
    act(p->multi, p->socket, what);
}

static void on_timer(uv_timer_t *timer) {
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- what libcurl wants -------------------------------------------------------------------------------- */

static int on_timeout(CURLM *curl, long milliseconds, void *user) {
    (void)curl;
    fg__multi *multi = user;
    if (uv_is_closing((uv_handle_t *)&multi->timer)) return 0;
    if (milliseconds < 0) {
        uv_timer_stop(&multi->timer);
    } else {
        uv_timer_start(&multi->timer, on_timer, (uint64_t)milliseconds, 0);
    }
    return 0;
}

static poller *watch(fg__multi *multi, curl_socket_t socket) {
    poller *p = fg__calloc(multi->ctx, 1, sizeof *p);
    if (!p) return NULL;
    if (uv_poll_init_socket(multi->uv, &p->handle, socket)) {
        fg_free(multi->ctx, p);
        return NULL;
    }
    p->handle.data = p;
    p->multi = multi;
    p->socket = socket;
    multi->handles++;
    curl_multi_assign(multi->curl, socket, p);
    return p;
}

/* An error from on_socket would end all transfers, for good; so it is put aside until libcurl has returned.
 */
static void give_up(fg__multi *multi, CURL *easy) {
    fg__transfer *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    for (const fg__transfer *t = multi->blind; t; t = t->next_blind) {
        if (t == transfer) return;
    }
    transfer->next_blind = multi->blind;
    multi->blind = transfer;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *assigned) {
    poller *p = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (p) uv_close((uv_handle_t *)&p->handle, on_poller_closed);
        return 0;
    }
    if (!p) p = watch(user, socket);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!p || uv_poll_start(&p->handle, events, on_poll)) give_up(user, easy);
    return 0;
}

/* ---- making and ending --------------------------------------------------------------------------------- */

static CURLcode global_status;

static void init_once(void) {
    global_status = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static fg__multi *multi_new(fg__op *op) {
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, init_once);
    fg__multi *multi = global_status ? NULL : fg__calloc(op->ctx, 1, sizeof *multi);
    if (!multi) return NULL;
    multi->ctx = op->ctx;
    multi->uv = fg__op_uv(op);
    multi->curl = curl_multi_init();
    if (!multi->curl) {
        fg_free(op->ctx, multi);
        return NULL;
    }
    uv_timer_init(multi->uv, &multi->timer);
    multi->timer.data = multi;
    multi->handles = 1;
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    return multi;
}

void fg__multi_free(fg__multi *multi) {
    if (!multi) return;
    uv_close((uv_handle_t *)&multi->timer, on_timer_closed);
    curl_multi_cleanup(multi->curl); /* closes pollers by on_socket */
}

int fg__transfer_init(fg__transfer *transfer, fg__op *op,
                      void (*done)(fg__transfer *transfer, CURLcode code)) {
    fg__multi **multi = fg__loop_multi(op->loop);
    if (!*multi) *multi = multi_new(op);
    CURL *easy = *multi ? curl_easy_init() : NULL;
    if (!easy) return fg__fail(op->ctx, FG_ENOMEM, "libcurl cannot be started");
    *transfer = (fg__transfer){.easy = easy, .op = op, .done = done};
    return 0;
}

int fg__transfer_start(fg__transfer *transfer) {
    fg__multi *multi = *fg__loop_multi(transfer->op->loop);
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    CURLMcode code = curl_multi_add_handle(multi->curl, transfer->easy);
    if (code) return fg__fail(transfer->op->ctx, FG_ENOMEM, "libcurl: %s", curl_multi_strerror(code));
    transfer->running = true;
    return 0;
}

void fg__transfer_free(fg__transfer *transfer) {
    if (!transfer->easy) return;
    if (transfer->running) {
        curl_multi_remove_handle((*fg__loop_multi(transfer->op->loop))->curl, transfer->easy);
        transfer->running = false;
    }
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
}

/* ---- what is sent -------------------------------------------------------------------------------------- */

long fg__transfer_milliseconds(double seconds) {
    return seconds > 1e-3 ? (long)fg__milliseconds(seconds < 1e6 ? seconds : 1e6) : 1;
}

void fg__transfer_method(CURL *easy, const char *method, const char *body, size_t body_size) {
    if (body || !strcmp(method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body ? body : "");
    }
    if (!strcmp(method, "HEAD")) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (strcmp(method, "GET") != 0 || body) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static int append(fg_ctx *ctx, struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer) return fg__nomem(ctx);
    *list = longer;
    return 0;
}

int fg__headers_begin(fg_ctx *ctx, struct curl_slist **list) {
    static const char *const unasked[] = {"Expect:", "Content-Type:"}; /* "Name:" takes it out */
    int error = 0;
    for (size_t i = 0; !error && i < sizeof unasked / sizeof *unasked; i++)
        error = append(ctx, list, unasked[i]);
    return error;
}

int fg__headers_add(fg_ctx *ctx, struct curl_slist **list, const fg__http_header *header) {
    fg__buffer line = {0};
    int error = fg__buffer_add(ctx, &line, header->name, strlen(header->name));
    const char *colon = *header->value ? ": " : ";"; /* libcurl's way to send an empty one */
    if (!error) error = fg__buffer_add(ctx, &line, colon, strlen(colon));
    if (!error) error = fg__buffer_add(ctx, &line, header->value, strlen(header->value));
    if (!error) error = append(ctx, list, line.bytes);
    fg_free(ctx, line.bytes);
    return error;
}
