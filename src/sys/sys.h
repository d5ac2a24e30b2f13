/*
 * sys: the outside world on one event loop: time, HTTP, child processes, lines from the terminal, Ctrl-C.
 * It uses core, libuv and libcurl, and knows nothing of Lua. Whoever waits for something holds an op:
 *
 *   fg__x_start                fg__loop_step           fg__loop_take                 fg__op_release
 *   ───────────▶  under way  ───────────────▶ finished ─────────────▶ its owner's ──────────────────▶ gone
 *                     │                                                                                 ▲
 *                     └──────────── fg__op_release: cancelled, nothing is reported ─────────────────────┘
 *
 *   loop.c    the loop, the life of an op       signal.c  Ctrl-C and the termination signals
 *   timer.c   a time to wait                    spawn.c   a child process and its pipes
 *   multi.c   libcurl's sockets on the loop     line.c    a line from a terminal or a pipe
 *   http.c    one request and its redirects     url.c     what a URL says: origin, loopback, what is shown
 *   load.c    requests by the thousand          histogram.c  times in buckets
 *   curl.c    libcurl itself, when it is needed
 *   websocket.c  a connection for messages      handshake.c  how one is opened
 *
 * Apart from the loop are remote.h (calls made in another process, by ptrace), wake.h (a signal for Node) and rights.h
 * (may we, and why not).
 * op.h is for those who implement ops. Nothing calls back: the owner steps the loop and takes what has
 * finished, so that a Lua coroutine is never resumed from inside the loop. An op that was released cleans up
 * behind the scenes; a loop can be freed at any time, before or after its ops.
 */
#ifndef FG_SYS_H
#define FG_SYS_H

#include "core/core.h"
#include "sys/histogram.h"

/* ---- the loop ------------------------------------------------------------------------------------------ */

typedef struct fg__loop fg__loop;
typedef struct fg__op fg__op;

int fg__loop_new(fg__loop **out, fg_ctx *ctx);
/*
 * Cancel what is under way, end the children (this waits for them: FG__GRACE seconds, then they are killed)
 * and free the loop. Ops that their owners have not released yet stay valid, finished, until they do. NULL is
 * accepted.
 */
void fg__loop_free(fg__loop *loop);
/* Let things happen: wait up to `seconds` for the first (negative: as long as it takes, 0: not at all). */
void fg__loop_step(fg__loop *loop, double seconds);
/* The next op that has finished; each is handed out once. NULL: none. Its owner is who started it. */
fg__op *fg__loop_take(fg__loop *loop);
/* How many ops have been started and neither finished nor been released. */
size_t fg__loop_under_way(const fg__loop *loop);
/* Seconds on the monotonic clock. */
double fg__loop_now(void);

/* ---- ops ----------------------------------------------------------------------------------------------- */

/* The owner needs it no more. Under way: it is cancelled. NULL is accepted. */
void fg__op_release(fg__op *op);
bool fg__op_finished(const fg__op *op);
/* 0, or why a finished op failed, and the message. */
int fg__op_code(const fg__op *op);
const char *fg__op_message(const fg__op *op);
/* How far it has come, and in what: "bytes", "seconds" or "". *expected < 0: not known. */
const char *fg__op_progress(const fg__op *op, double *done, double *expected);

/* ---- signals ------------------------------------------------------------------------------------------- */

/*
 * Catch SIGINT, SIGTERM and SIGHUP (those that are not ignored) for this loop; `on` false gives them back.
 * The first one is counted and wakes the loop. The second is too, but where the loop is not waiting, it ends
 * the process as if it had not been caught; so does the third in any case. One loop of a process can have the
 * signals: FG_EUNSUPPORTED.
 */
int fg__loop_signals(fg__loop *loop, bool on);
/* How many came. */
int fg__loop_interrupts(const fg__loop *loop);

/* ---- time ---------------------------------------------------------------------------------------------- */

int fg__timer_start(fg__op **out, fg__loop *loop, double seconds);

/* ---- HTTP ---------------------------------------------------------------------------------------------- */

typedef struct fg__http_header {
    const char *name, *value;
} fg__http_header;

/* A request. Everything is copied. */
typedef struct fg__http_options {
    const char *url;    /* http or https */
    const char *method; /* NULL: GET, or POST where there is a body */
    const fg__http_header *headers;
    size_t header_count;
    const char *body; /* NULL: none */
    size_t body_size;
    double timeout;         /* seconds for everything, redirects included; 0: 60 */
    double connect_timeout; /* seconds for the connection; 0: 10 */
    uint64_t max_body;      /* cap on the decoded body; 0: 1 GiB */
    unsigned max_redirects; /* 0: a redirect is an answer like any other */
    const char *ca_file;    /* PEM certificates to trust instead of the system's; NULL: the system's */
    const char *socket;     /* path of a Unix socket to connect to; NULL: the host of the URL */
} fg__http_options;

/*
 * Start a request. On a redirect to another origin (scheme, host, port) only the headers of a short list of
 * harmless ones go along, and a body never does: such a redirect is an error. A bad URL or header is
 * FG_EINVAL.
 */
int fg__http_start(fg__op **out, fg__loop *loop, const fg__http_options *options);

typedef struct fg__http_response {
    int status;
    const char *url;     /* the last one asked */
    double elapsed;      /* seconds */
    const char *headers; /* pairs "name\0value\0", names in lower case, in the order of the answer */
    size_t headers_size;
    const char *body;
    size_t body_size;
    bool withheld; /* a redirect led elsewhere and headers of the request stayed behind */
} fg__http_response;

/* What a finished request got; owned by the op. Only where fg__op_code is 0. */
fg__http_response fg__http_response_of(const fg__op *op);
/* Whether a failed request found nobody listening: nothing can have been sent. */
bool fg__http_refused(const fg__op *op);

/* Whether URL, method and headers can be sent: 0 or FG_EINVAL with a message. */
int fg__http_check(fg_ctx *ctx, const fg__http_options *options);
/* 0 where names and values can be sent as headers. */
int fg__http_headers_check(fg_ctx *ctx, const fg__http_header *headers, size_t count);

/* A URL as it may be shown: without user, password, query and fragment, not overly long. Returns `shown`. */
enum { FG__URL_SHOWN = 256 };
const char *fg__url_shown(char shown[FG__URL_SHOWN], const char *url);

/* ---- load ---------------------------------------------------------------------------------------------- */

/*
 * What is to be sent, and how. Of each request url, method, headers, body and ca_file count; they are sent in turn. A
 * redirect is an answer.
 */
typedef struct fg__load_options {
    const fg__http_options *requests;
    size_t request_count;
    double rate;          /* requests that fall due in a second, whatever became of those before; 0: a new one
                             follows each answer */
    unsigned concurrency; /* how many are under way at once, at most */
    double duration;      /* seconds */
    double timeout;       /* seconds for one request, and for all that are left at the end */
} fg__load_options;

typedef enum fg__load_failure {
    FG__LOAD_REFUSED, /* no connection */
    FG__LOAD_TIMEOUT, /* no answer in time */
    FG__LOAD_BROKEN,  /* the connection ended before the answer did */
    FG__LOAD_OTHER,   /* no such host, no trust, no HTTP, … */
    FG__LOAD_UNSENT,  /* it fell due and was never sent: all connections were busy to the end */
    FG__LOAD_FAILURES
} fg__load_failure;

enum { FG__LOAD_STATUSES = 600 };

typedef struct fg__load_result {
    uint64_t statuses[FG__LOAD_STATUSES]; /* answers by status; [0]: of a strange one */
    uint64_t failures[FG__LOAD_FAILURES];
    uint64_t late;  /* sent late by us, who were not given our turn */
    uint64_t bytes; /* of bodies */
    double elapsed; /* seconds, from the first request to the last answer */
    /*
     * From when a request fell due to its answer: what waited for a free connection has waited, so that a service
     * that stalls is not spared those requests that it kept from being sent. `service` is from when it was sent.
     */
    fg__histogram latency, service;
    char first_failure[256];
} fg__load_result;

/* Send requests for a time. The result is there when the op has finished, whatever failed. */
int fg__load_start(fg__op **out, fg__loop *loop, const fg__load_options *options);
/* Nothing new is sent from now on; the op finishes when the answers are there, or after a second. */
void fg__load_stop(fg__op *op);
/* Of a finished one; owned by the op. */
const fg__load_result *fg__load_result_of(const fg__op *op);

/* ---- WebSocket ----------------------------------------------------------------------------------------- */

/* A connection. Everything is copied. */
typedef struct fg__websocket_options {
    const char *url; /* ws or wss */
    const fg__http_header *headers;
    size_t header_count;
    double connect_timeout; /* seconds until it is open; 0: 10 */
    uint64_t max_message;   /* cap on a message that comes in; 0: 1 GiB */
    const char *ca_file;    /* as of a request */
} fg__websocket_options;

typedef struct fg__websocket_message {
    const char *bytes;
    size_t n;
    bool binary;
} fg__websocket_message;

/* Start a connection. Its op is under way until the connection ends, which always is an error; a release closes it. */
int fg__websocket_start(fg__op **out, fg__loop *loop, const fg__websocket_options *options);
/* An op that finishes when the connection opens, has a message or ends, at once where it has one or has ended. */
int fg__websocket_arrival(fg__op **out, fg__op *websocket);
/* Whether it has opened; it may have ended since. */
bool fg__websocket_opened(const fg__op *op);
/* Send a message, or queue what the connection does not take at once. FG_ELIMIT: too much is queued. */
int fg__websocket_send(fg__op *op, const char *bytes, size_t n, bool binary);
/* The oldest message that has come, valid until it is dropped. False: none. */
bool fg__websocket_take(fg__op *op, fg__websocket_message *out);
void fg__websocket_drop(fg__op *op);

/* ---- child processes ----------------------------------------------------------------------------------- */

/* Seconds between the request to end and the kill. */
#define FG__GRACE 2.0

typedef enum fg__stream { FG__CAPTURE, FG__INHERIT, FG__NULL } fg__stream;

/* A child. Everything is copied. */
typedef struct fg__spawn_options {
    const char *const *argv; /* ended by NULL; argv[0] is looked up in $PATH */
    const char *const *env;  /* pairs name, value ("": empty, NULL: taken out); NULL: ours as it is */
    size_t env_count;        /* pairs */
    const char *cwd;         /* NULL: ours */
    fg__stream in, out, err; /* FG__CAPTURE for `in`: it reads `input` */
    const char *input;
    size_t input_size;
    double timeout;      /* seconds, then it is ended; 0: none */
    uint64_t max_output; /* cap on each captured stream; 0: 1 GiB */
    bool group;          /* its own session: signals go to all of its descendants, Ctrl-C does not reach it */
} fg__spawn_options;

/* Start a child. The op finishes when it has ended and its pipes are empty; a release ends the child. */
int fg__spawn_start(fg__op **out, fg__loop *loop, const fg__spawn_options *options);

typedef struct fg__spawn_result {
    int pid;
    int status; /* exit status; -1: still running or ended by a signal */
    int signal; /* 0: none */
    const char *out, *err;
    size_t out_size, err_size;
} fg__spawn_result;

/* What is known of a child; its output so far while it runs. Owned by the op, valid until the next step. */
fg__spawn_result fg__spawn_result_of(const fg__op *op);
/* Send a signal; nothing happens to a child that has ended. */
int fg__spawn_kill(fg__op *op, int signal);

/* ---- lines --------------------------------------------------------------------------------------------- */

/*
 * Read one line from a descriptor and not a byte more. The descriptor's flags stay as they are: a terminal is
 * shared with the shell. The end before any byte is FG_EEMPTY.
 */
int fg__line_start(fg__op **out, fg__loop *loop, int fd);
/* The line without its end; owned by the op. */
const char *fg__line_of(const fg__op *op, size_t *n);

#endif
