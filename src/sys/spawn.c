/*
 * A child process. One timer serves its phases in turn:
 *
 *   RUNNING ──exit──────────────────────────────▶ DRAINING ──pipes empty, or silence──▶ finished
 *      └─timeout, too much output, release─▶ ENDING (TERM) ─grace─▶ KILLED ─exit─▶ DRAINING
 *
 * Pipes can outlive the child, in the hands of its own children: DRAINING does not wait for those for ever.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "sys/op.h"

extern char **environ;

enum { READ_SIZE = 64 << 10 };
static const uint64_t DEFAULT_MAX_OUTPUT = (uint64_t)1 << 30;
static const double HASTE = 0.1, UNKILLABLE = 5.0; /* seconds */

struct spawn {
    fg__op op;
    fg__arena arena;
    uv_process_t process;
    uv_timer_t timer;
    uv_pipe_t pipes[3]; /* stdin, stdout, stderr; only those with `open` */
    bool open[3];
    uv_write_t write;
    fg__buffer captured[3];
    enum { RUNNING, ENDING, KILLED, DRAINING } phase;
    const char *name;
    double timeout;
    uint64_t max_output;
    bool group;
    int pid, status, signal;
    int why; /* the error that it was ended for */
};

static void on_timer(uv_timer_t *timer);

static void set_timer(struct spawn *s, double seconds) {
    if (!uv_is_closing((uv_handle_t *)&s->timer))
        uv_timer_start(&s->timer, on_timer, fg__milliseconds(seconds), 0);
}

static void close_pipe(struct spawn *s, int i) {
    if (s->open[i]) fg__op_close(&s->pipes[i]);
    s->open[i] = false;
}

static void send_signal(const struct spawn *s, int signal) {
    kill(s->group ? -s->pid : s->pid, signal); /* not reaped yet: the number is still its own */
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void finish(struct spawn *s) {
    for (int i = 0; i < 3; i++) close_pipe(s, i);
    if (s->why == FG_ETIMEOUT) {
        fg__op_finish(&s->op, s->why, "%s did not end within %g s and was ended — `timeout` allows more",
                      s->name, s->timeout);
    } else if (s->why == FG_ELIMIT) {
        fg__op_finish(&s->op, s->why,
                      "%s wrote more than %llu bytes and was ended — `max_output` allows more", s->name,
                      (unsigned long long)s->max_output);
    } else if (s->why) {
        fg__op_finish(&s->op, s->why, "out of memory for the output of %s", s->name);
    } else {
        fg__op_finish(&s->op, 0, NULL);
    }
    fg__op_close(&s->timer);
}

static void finish_if_drained(struct spawn *s) {
    if (s->phase == DRAINING && !s->open[1] && !s->open[2]) finish(s);
}

static void end(struct spawn *s, int why) {
    if (s->phase != RUNNING) return;
    s->phase = ENDING;
    s->why = why;
    send_signal(s, SIGTERM);
    set_timer(s, FG__GRACE);
}

static void on_timer(uv_timer_t *timer) {
    struct spawn *s = timer->data;
    if (s->phase == RUNNING) {
        end(s, FG_ETIMEOUT);
    } else if (s->phase == ENDING) {
        s->phase = KILLED;
        send_signal(s, SIGKILL);
        set_timer(s, UNKILLABLE);
    } else { /* drained enough; or asleep in the kernel: init inherits it */
        s->phase = DRAINING;
        fg__op_close(&s->process);
        finish(s);
    }
}

static void on_exit(uv_process_t *process, int64_t status, int signal) {
    struct spawn *s = process->data;
    bool hasty = s->phase != RUNNING;
    if (hasty && s->group) send_signal(s, SIGKILL); /* those of its session that did not listen */
    s->phase = DRAINING;
    s->signal = signal;
    s->status = signal ? -1 : (int)status;
    fg__op_close(&s->process);
    close_pipe(s, 0);
    set_timer(s, hasty ? HASTE : FG__GRACE);
    finish_if_drained(s);
}

/* ---- its pipes ----------------------------------------------------------------------------------------- */

static int index_of(const struct spawn *s, const uv_stream_t *stream) {
    return stream == (const uv_stream_t *)&s->pipes[1] ? 1 : 2;
}

/* Bytes are read to where they stay. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    (void)suggested;
    struct spawn *s = handle->data;
    fg__buffer *b = &s->captured[index_of(s, (uv_stream_t *)handle)];
    *buf = uv_buf_init(NULL, 0);
    if (!fg__grow(s->op.ctx, &b->bytes, &b->cap, b->n + READ_SIZE, 1))
        *buf = uv_buf_init(b->bytes + b->n, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    (void)buf;
    struct spawn *s = stream->data;
    int i = index_of(s, stream);
    if (n < 0) {
        close_pipe(s, i);
        if (n == UV_ENOBUFS) end(s, FG_ENOMEM);
        finish_if_drained(s);
        return;
    }
    s->captured[i].n += (size_t)n;
    if (s->captured[i].n > s->max_output) {
        s->captured[i].n = s->max_output;
        close_pipe(s, i);
        if (s->phase == DRAINING) s->why = FG_ELIMIT;
        end(s, FG_ELIMIT);
        finish_if_drained(s);
    } else if (s->phase == DRAINING && n > 0) {
        set_timer(s, FG__GRACE);
    }
}

static void on_written(uv_write_t *write, int status) {
    (void)status; /* a child need not read all of its input */
    close_pipe(write->handle->data, 0);
}

static void feed(struct spawn *s, const char *input, size_t n) {
    fg__sigpipe held;
    fg__sigpipe_hold(&held);
    uv_buf_t buf = {.base = (char *)input, .len = n};
    if (uv_write(&s->write, (uv_stream_t *)&s->pipes[0], &buf, 1, on_written)) close_pipe(s, 0);
    fg__sigpipe_restore(&held);
}

/* ---- start --------------------------------------------------------------------------------------------- */

static void stop(fg__op *op) {
    struct spawn *s = (struct spawn *)op;
    for (int i = 0; i < 3; i++) close_pipe(s, i);
    if (s->pid && s->phase < DRAINING) {
        end(s, 0);
    } else {
        fg__op_close(&s->timer);
    }
}

static void free_spawn(fg__op *op) {
    struct spawn *s = (struct spawn *)op;
    for (int i = 1; i < 3; i++) fg_free(op->ctx, s->captured[i].bytes);
    fg__arena_free(op->ctx, &s->arena);
}

static const char *progress(const fg__op *op, double *done, double *expected) {
    *done = (double)((const struct spawn *)op)->captured[1].n;
    *expected = -1;
    return "bytes";
}

static const fg__op_kind spawn_kind = {.stop = stop, .free = free_spawn, .progress = progress};

static bool overridden(const fg__spawn_options *options, const char *entry) {
    size_t n = strcspn(entry, "=");
    for (size_t i = 0; i < options->env_count; i++) {
        const char *name = options->env[2 * i];
        if (strlen(name) == n && !memcmp(name, entry, n)) return true;
    }
    return false;
}

/* Our environment with the changes; NULL: no memory. */
static char **make_env(struct spawn *s, const fg__spawn_options *options) {
    size_t count = 0, used = 0;
    while (environ[count]) count++;
    char **env = fg__arena_alloc(s->op.ctx, &s->arena, (count + options->env_count + 1) * sizeof *env);
    if (!env) return NULL;
    for (size_t i = 0; i < count; i++) {
        if (!overridden(options, environ[i])) env[used++] = environ[i];
    }
    for (size_t i = 0; i < options->env_count; i++) {
        const char *name = options->env[2 * i], *value = options->env[2 * i + 1];
        if (!value) continue;
        size_t size = strlen(name) + strlen(value) + 2;
        env[used] = fg__arena_alloc(s->op.ctx, &s->arena, size);
        if (!env[used]) return NULL;
        snprintf(env[used++], size, "%s=%s", name, value);
    }
    env[used] = NULL;
    return env;
}

static void connect_stream(struct spawn *s, uv_stdio_container_t *stdio, int i, fg__stream how) {
    *stdio = (uv_stdio_container_t){.flags = UV_IGNORE};
    if (how == FG__INHERIT) {
        stdio->flags = UV_INHERIT_FD;
        stdio->data.fd = i;
    } else if (how == FG__CAPTURE) {
        uv_pipe_init(fg__op_uv(&s->op), &s->pipes[i], 0);
        fg__op_own(&s->op, &s->pipes[i]);
        s->open[i] = true;
        stdio->flags = (uv_stdio_flags)(UV_CREATE_PIPE | (i ? UV_WRITABLE_PIPE : UV_READABLE_PIPE));
        stdio->data.stream = (uv_stream_t *)&s->pipes[i];
    }
}

static int fail(fg_ctx *ctx, const fg__spawn_options *options, int error) {
    const char *name = options->argv[0];
    if (options->cwd && access(options->cwd, X_OK)) {
        return fg__fail(ctx, FG_EIO, "cannot run %s in %s: %s", name, options->cwd, strerror(errno));
    }
    const char *remedy = "";
    if (error == UV_ENOENT)
        remedy = strchr(name, '/') ? " — is the path right?" : " — it is not in $PATH; is it installed?";
    if (error == UV_EACCES) remedy = " — is it a program, and executable?";
    return fg__fail(ctx, FG_EIO, "cannot run %s: %s%s", name, uv_strerror(error), remedy);
}

static int launch(struct spawn *s, const fg__spawn_options *options) {
    uv_stdio_container_t stdio[3];
    const fg__stream streams[3] = {options->in, options->out, options->err};
    for (int i = 0; i < 3; i++) connect_stream(s, &stdio[i], i, streams[i]);
    uv_process_options_t how = {
        .exit_cb = on_exit,
        .file = options->argv[0],
        .args = (char **)options->argv,
        .cwd = options->cwd,
        .flags = options->group ? UV_PROCESS_DETACHED : 0,
        .stdio_count = 3,
        .stdio = stdio,
    };
    if (options->env) {
        how.env = make_env(s, options);
        if (!how.env) return FG_ENOMEM;
    }
    int error = uv_spawn(fg__op_uv(&s->op), &s->process, &how);
    fg__op_own(&s->op, &s->process);
    if (error) {
        fg__op_close(&s->process);
        return fail(s->op.ctx, options, error);
    }
    s->pid = s->process.pid;
    return 0;
}

int fg__spawn_start(fg__op **out, fg__loop *loop, const fg__spawn_options *options) {
    struct spawn *s = fg__op_new(loop, &spawn_kind, sizeof *s);
    if (!s) return FG_ENOMEM;
    s->status = -1;
    s->timeout = options->timeout;
    s->max_output = options->max_output ? options->max_output : DEFAULT_MAX_OUTPUT;
    s->group = options->group;
    uv_timer_init(fg__op_uv(&s->op), &s->timer);
    fg__op_own(&s->op, &s->timer);
    s->name = fg__arena_copy(s->op.ctx, &s->arena, options->argv[0], strlen(options->argv[0]));
    const char *input = s->name;
    if (input && options->in == FG__CAPTURE) {
        input = fg__arena_copy(s->op.ctx, &s->arena, options->input, options->input_size);
    }
    int error = input ? launch(s, options) : FG_ENOMEM;
    if (error) return fg__op_abandon(&s->op, error);
    if (s->open[0]) feed(s, input, options->input_size);
    for (int i = 1; i < 3; i++) {
        if (s->open[i]) uv_read_start((uv_stream_t *)&s->pipes[i], on_alloc, on_read);
    }
    if (s->timeout > 0) set_timer(s, s->timeout);
    *out = &s->op;
    return 0;
}

fg__spawn_result fg__spawn_result_of(const fg__op *op) {
    const struct spawn *s = (const struct spawn *)op;
    return (fg__spawn_result){
        .pid = s->pid,
        .status = s->status,
        .signal = s->signal,
        .out = s->captured[1].n ? s->captured[1].bytes : "",
        .err = s->captured[2].n ? s->captured[2].bytes : "",
        .out_size = s->captured[1].n,
        .err_size = s->captured[2].n,
    };
}

int fg__spawn_kill(fg__op *op, int signal) {
    struct spawn *s = (struct spawn *)op;
    if (s->phase == DRAINING || !s->pid) return 0;
    send_signal(s, signal);
    return 0;
}
