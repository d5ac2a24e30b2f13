/*
 * One line from a terminal, a pipe or a file. libuv would make the descriptor non-blocking, which everybody
 * who has the same terminal open would notice; so it watches an epoll set of our own that has the descriptor
 * in it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "sys/op.h"

enum { LINE_MAX_BYTES = 64 << 10 };

struct line {
    fg__op op;
    uv_poll_t handle;
    int fd, set; /* set: of epoll; -1: none */
    fg__buffer text;
};

static bool ready(const struct line *line) {
    struct pollfd want = {.fd = line->fd, .events = POLLIN};
    return poll(&want, 1, 0) > 0;
}

static void finish(struct line *line) {
    if (line->text.n && line->text.bytes[line->text.n - 1] == '\r') line->text.bytes[--line->text.n] = '\0';
    fg__op_finish(&line->op, 0, NULL);
}

/* Byte by byte: what follows the line is somebody else's. */
static void read_ready(struct line *line) {
    while (!line->op.finished && ready(line)) {
        char byte;
        ssize_t n = read(line->fd, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (n < 0) {
            fg__op_finish(&line->op, FG_EIO, "cannot read a line: %s", strerror(errno));
        } else if (n == 0 && line->text.n == 0) {
            fg__op_finish(&line->op, FG_EEMPTY, "end of input");
        } else if (n == 0 || byte == '\n') {
            finish(line);
        } else if (line->text.n == LINE_MAX_BYTES) {
            fg__op_finish(&line->op, FG_ELIMIT, "a line of more than %d bytes", LINE_MAX_BYTES);
        } else if (fg__buffer_add(line->op.ctx, &line->text, &byte, 1)) {
            fg__op_finish(&line->op, FG_ENOMEM, "out of memory");
        }
    }
}

static void on_poll(uv_poll_t *handle, int status, int events) {
    (void)status;
    (void)events;
    read_ready(handle->data);
}

static void stop(fg__op *op) {
    struct line *line = (struct line *)op;
    if (line->op.handles) fg__op_close(&line->handle);
    if (line->set >= 0) close(line->set);
    line->set = -1;
}

static void free_line(fg__op *op) {
    fg_free(op->ctx, ((struct line *)op)->text.bytes);
}

static const fg__op_kind line_kind = {.stop = stop, .free = free_line};

static int watch(struct line *line) {
    int error = uv_poll_init(fg__op_uv(&line->op), &line->handle, line->set);
    if (error) return error;
    fg__op_own(&line->op, &line->handle);
    return uv_poll_start(&line->handle, UV_READABLE, on_poll);
}

int fg__line_start(fg__op **out, fg__loop *loop, int fd) {
    struct line *line = fg__op_new(loop, &line_kind, sizeof *line);
    if (!line) return FG_ENOMEM;
    line->fd = fd;
    line->set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    int error = line->set < 0 || epoll_ctl(line->set, EPOLL_CTL_ADD, fd, &event) ? errno : 0;
    bool file = error == EPERM; /* it would always be ready */
    if (file) error = 0;
    if (!file && !error) error = -watch(line);
    if (error) {
        fg__fail(line->op.ctx, FG_EIO, "cannot wait for a line: %s", strerror(error));
        return fg__op_abandon(&line->op, FG_EIO);
    }
    *out = &line->op;
    if (file) read_ready(line);
    return 0;
}

const char *fg__line_of(const fg__op *op, size_t *n) {
    const struct line *line = (const struct line *)op;
    *n = line->text.n;
    return line->text.n ? line->text.bytes : "";
}
