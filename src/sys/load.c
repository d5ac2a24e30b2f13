/*
 * Requests by the thousand, over libcurl's half of the loop.
 *
 *      due ──▶ a free slot? ──yes──▶ sent ──▶ answer: counted, the slot is free again
 *                    └──no──▶ it waits, and its latency counts from here
 *
 * With a rate, request i falls due at start + i / rate, whatever became of those before it (open loop). A request that
 * found all slots busy is measured from when it fell due; one that found a slot, from when it was sent: that the loop
 * came to it a little later is not the service's doing. Without a rate, each slot sends again as soon as it is free.
 *
 * The op finishes from its timer only, never from inside a callback of libcurl, which may hold on to other slots.
 */
#include <math.h>
#include <stdio.h>
#include "sys/multi.h"
#include "sys/url.h"

enum { MOST_AT_ONCE = 10000, TICK_MS = 1 };
static const double MOST_PER_SECOND = 1e6, DEFAULT_TIMEOUT = 10, LATE = 0.01, STOP_SECONDS = 1;

/* A request, ready to be sent. */
struct request {
    const char *url, *method, *body, *ca_file;
    size_t body_size;
    struct curl_slist *headers;
    bool loopback;
};

/* Sends one request at a time. */
struct slot {
    fg__transfer transfer; /* first */
    struct load *load;
    struct slot *next_free;
    const struct request *set; /* the one that the easy handle is set up for */
    double due, sent;
    char detail[CURL_ERROR_SIZE];
};

struct load {
    fg__op op;
    uv_timer_t timer;
    fg__arena arena;
    struct request *requests;
    size_t request_count;
    struct slot *slots, *free_slots;
    unsigned slot_count, busy;
    double rate, timeout, start, end, give_up;
    double all_busy_since; /* INFINITY: there is a free slot */
    uint64_t next;         /* request */
    uint64_t count; /* of requests that fall due before the end; without a rate UINT64_MAX until then */
    fg__load_result result;
};

/* ---- what comes back ----------------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    (void)bytes;
    ((struct slot *)user)->load->result.bytes += size * count;
    return size * count;
}

static fg__load_failure kind_of(CURLcode code) {
    switch (code) {
    case CURLE_COULDNT_CONNECT: return FG__LOAD_REFUSED;
    case CURLE_OPERATION_TIMEDOUT: return FG__LOAD_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return FG__LOAD_BROKEN;
    default: return FG__LOAD_OTHER;
    }
}

static void count_failure(struct slot *slot, CURLcode code) {
    fg__load_result *result = &slot->load->result;
    result->failures[kind_of(code)]++;
    if (*result->first_failure) return;
    snprintf(result->first_failure, sizeof result->first_failure, "%s",
             *slot->detail ? slot->detail : curl_easy_strerror(code));
}

static void count_answer(struct slot *slot) {
    fg__load_result *result = &slot->load->result;
    double now = fg__loop_now();
    long status = 0;
    curl_easy_getinfo(slot->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    result->statuses[status > 0 && status < FG__LOAD_STATUSES ? status : 0]++;
    fg__histogram_add(&result->latency, now - slot->due);
    fg__histogram_add(&result->service, now - slot->sent);
}

static void pump(struct load *load, double now);

static void on_done(fg__transfer *transfer, CURLcode code) {
    struct slot *slot = (struct slot *)transfer;
    struct load *load = slot->load;
    if (code)
        count_failure(slot, code);
    else
        count_answer(slot);
    slot->next_free = load->free_slots;
    load->free_slots = slot;
    load->busy--;
    double now = fg__loop_now();
    load->result.elapsed = now - load->start;
    pump(load, now);
}

/* ---- what goes out ------------------------------------------------------------------------------------- */

static void set_up(struct slot *slot, const struct request *request) {
    CURL *easy = slot->transfer.easy;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->detail);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, fg__transfer_milliseconds(slot->load->timeout));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "flame-graph/" FG_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    if (request->loopback) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (request->ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    fg__transfer_method(easy, request->method, request->body, request->body_size);
    slot->set = request;
}

/* The next request falls due at … */
static double next_due(const struct load *load, double now) {
    return load->rate > 0 ? load->start + (double)load->next / load->rate : now;
}

static void send_next(struct load *load, double due, double now) {
    struct slot *slot = load->free_slots;
    const struct request *request = &load->requests[load->next++ % load->request_count];
    load->free_slots = slot->next_free;
    load->busy++;
    bool held_back = due >= load->all_busy_since;
    if (!held_back && now - due > LATE) load->result.late++;
    slot->due = held_back ? due : now;
    slot->sent = now;
    if (slot->set != request) set_up(slot, request);
    *slot->detail = '\0';
    if (fg__transfer_start(&slot->transfer)) {
        count_failure(slot, CURLE_OUT_OF_MEMORY);
        slot->next_free = load->free_slots;
        load->free_slots = slot;
        load->busy--;
    }
}

/* Send what is due, as far as there are free slots. */
static void pump(struct load *load, double now) {
    for (double due = next_due(load, now); load->free_slots && load->next < load->count && due <= now;
         due = next_due(load, now)) {
        send_next(load, due, now);
    }
    if (load->free_slots)
        load->all_busy_since = INFINITY;
    else if (isinf(load->all_busy_since))
        load->all_busy_since = now;
}

/* ---- its end ------------------------------------------------------------------------------------------- */

/* What fell due before the end and was not sent, and what is still under way when nobody waits for it any more. */
static void count_left(struct load *load) {
    fg__load_result *result = &load->result;
    result->failures[FG__LOAD_TIMEOUT] += load->busy;
    result->failures[FG__LOAD_UNSENT] += load->count - load->next;
}

/* No request falls due from now on. */
static void close_queue(struct load *load, double now) {
    load->end = now;
    load->count = load->next;
}

static void on_timer(uv_timer_t *timer) {
    struct load *load = timer->data;
    double now = fg__loop_now();
    if (now >= load->end && load->count == UINT64_MAX) close_queue(load, now);
    pump(load, now);
    bool all_sent = load->next == load->count;
    if (now < load->end || ((load->busy || !all_sent) && now < load->give_up)) return;
    count_left(load);
    fg__op_finish(&load->op, 0, NULL);
}

void fg__load_stop(fg__op *op) {
    struct load *load = (struct load *)op;
    double now = fg__loop_now();
    if (now < load->end) close_queue(load, now);
    if (now + STOP_SECONDS < load->give_up) load->give_up = now + STOP_SECONDS;
}

static void stop(fg__op *op) {
    struct load *load = (struct load *)op;
    for (unsigned i = 0; i < load->slot_count; i++) fg__transfer_free(&load->slots[i].transfer);
    if (load->timer.data) fg__op_close(&load->timer);
}

static void free_load(fg__op *op) {
    struct load *load = (struct load *)op;
    for (size_t i = 0; load->requests && i < load->request_count; i++)
        curl_slist_free_all(load->requests[i].headers);
    fg_free(op->ctx, load->requests);
    fg_free(op->ctx, load->slots);
    fg__arena_free(op->ctx, &load->arena);
}

static const char *progress(const fg__op *op, double *done, double *expected) {
    const struct load *load = (const struct load *)op;
    *done = fg__loop_now() - load->start;
    *expected = load->end - load->start;
    return "seconds";
}

static const fg__op_kind load_kind = {.stop = stop, .free = free_load, .progress = progress};

/* ---- its start ----------------------------------------------------------------------------------------- */

static int check(fg_ctx *ctx, const fg__load_options *options) {
    if (!options->request_count) return fg__fail(ctx, FG_EINVAL, "there is no request to send");
    if (!(options->duration > 0)) return fg__fail(ctx, FG_EINVAL, "how long is the load to last?");
    if (options->rate < 0 || options->rate > MOST_PER_SECOND)
        return fg__fail(ctx, FG_EINVAL, "a rate is at most %g requests per second", MOST_PER_SECOND);
    if (options->concurrency < 1 || options->concurrency > MOST_AT_ONCE)
        return fg__fail(ctx, FG_EINVAL, "from 1 to %d requests can be under way at once", MOST_AT_ONCE);
    int error = 0;
    for (size_t i = 0; !error && i < options->request_count; i++)
        error = fg__http_check(ctx, &options->requests[i]);
    return error;
}

static const char *copy(struct load *load, const char *text) {
    return text ? fg__arena_copy(load->op.ctx, &load->arena, text, strlen(text)) : NULL;
}

static int prepare(struct load *load, struct request *request, const fg__http_options *from) {
    fg_ctx *ctx = load->op.ctx;
    fg__origin origin;
    request->loopback = fg__url_origin(&origin, from->url) && fg__origin_loopback(&origin);
    request->url = copy(load, from->url);
    request->method = copy(load, from->method ? from->method : from->body ? "POST" : "GET");
    request->ca_file = copy(load, from->ca_file);
    request->body_size = from->body_size;
    if (from->body) request->body = fg__arena_copy(ctx, &load->arena, from->body, from->body_size);
    bool missing = !request->url || !request->method || (from->ca_file && !request->ca_file) ||
                   (from->body && !request->body);
    int error = missing ? FG_ENOMEM : fg__headers_begin(ctx, &request->headers);
    for (size_t i = 0; !error && i < from->header_count; i++)
        error = fg__headers_add(ctx, &request->headers, &from->headers[i]);
    return error;
}

static int prepare_all(struct load *load, const fg__load_options *options) {
    fg_ctx *ctx = load->op.ctx;
    load->requests = fg__calloc(ctx, options->request_count, sizeof *load->requests);
    load->slots = fg__calloc(ctx, options->concurrency, sizeof *load->slots);
    int error = load->requests && load->slots ? 0 : FG_ENOMEM;
    for (size_t i = 0; !error && i < options->request_count; i++) {
        load->request_count = i + 1; /* counted first: what a failure leaves behind is freed */
        error = prepare(load, &load->requests[i], &options->requests[i]);
    }
    for (; !error && load->slot_count < options->concurrency; load->slot_count++) {
        struct slot *slot = &load->slots[load->slot_count];
        slot->load = load;
        slot->next_free = load->free_slots;
        load->free_slots = slot;
        error = fg__transfer_init(&slot->transfer, &load->op, on_done);
    }
    return error;
}

int fg__load_start(fg__op **out, fg__loop *loop, const fg__load_options *options) {
    struct load *load = fg__op_new(loop, &load_kind, sizeof *load);
    if (!load) return FG_ENOMEM;
    int error = check(load->op.ctx, options);
    if (!error) error = prepare_all(load, options);
    if (error) return fg__op_abandon(&load->op, error);
    load->rate = options->rate;
    load->timeout = options->timeout > 0 ? options->timeout : DEFAULT_TIMEOUT;
    load->start = fg__loop_now();
    load->end = load->start + options->duration;
    load->give_up = load->end + load->timeout;
    load->count = UINT64_MAX;
    if (options->rate > 0) load->count = (uint64_t)ceil(options->duration * options->rate - 1e-6);
    load->all_busy_since = INFINITY;
    uv_timer_init(fg__op_uv(&load->op), &load->timer);
    fg__op_own(&load->op, &load->timer);
    uv_timer_start(&load->timer, on_timer, TICK_MS, TICK_MS);
    *out = &load->op;
    return 0;
}

const fg__load_result *fg__load_result_of(const fg__op *op) {
    return &((const struct load *)op)->result;
}
