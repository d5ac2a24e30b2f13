/*
 * Commands on the socket of a .NET runtime's diagnostics. All numbers are little-endian.
 *
 *   "DOTNET_IPC_V1\0"  u16 size of it all  u8 command set  u8 command  u16 0  payload
 *
 * A reply has command set 0xff and command 0, or 0xff and an HRESULT that says why not.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "sample/dotnet.h"

static const char magic[14] = "DOTNET_IPC_V1";
enum {
    HEADER = 20,
    EVENT_PIPE = 2,
    STOP_TRACING = 1,
    COLLECT_TRACING_2 = 3,
    SERVER = 0xff,
    OK = 0,
    BUFFER_MB = 64,
    NETTRACE = 1,
    INFORMATIONAL = 4,
    REPLY_MS = 10000,
    CONNECT_S = 2
};
static const char provider[] = "Microsoft-DotNETCore-SampleProfiler";

/* ---- where it listens ------------------------------------------------------------------------------------------------ */

int dn_endpoint_open(dn_endpoint *endpoint, fg_ctx *ctx, const char *path, uint64_t pid) {
    *endpoint = (dn_endpoint){.folder = -1, .pid = pid};
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || strlen(slash + 1) >= sizeof endpoint->name)
        return fg__fail(ctx, FG_EINVAL, "the dotnet sampler takes `socket`, an absolute path, not \"%s\"",
                        path);
    char folder[4096];
    int n = snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    if (n < 0 || (size_t)n >= sizeof folder)
        return fg__fail(ctx, FG_EINVAL, "the path of the socket is too long");
    snprintf(endpoint->name, sizeof endpoint->name, "%s", slash + 1);
    endpoint->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (endpoint->folder >= 0) return 0;
    return fg__fail(ctx, FG_EIO, "cannot open %s: %s", folder, strerror(errno));
}

void dn_endpoint_close(dn_endpoint *endpoint) {
    if (endpoint->folder >= 0) close(endpoint->folder);
    endpoint->folder = -1;
}

static int refused(fg_ctx *ctx, const dn_endpoint *endpoint, int error) {
    unsigned long long pid = endpoint->pid;
    if (error == EACCES || error == EPERM)
        return fg__fail(
            ctx, FG_EUNSUPPORTED,
            "process %llu belongs to another user, and so does its diagnostics socket: run as that user, or "
            "with sudo",
            pid);
    if (error == ENOENT || error == ECONNREFUSED)
        return fg__fail(ctx, FG_EIO,
                        "process %llu does not listen on its diagnostics socket: it has ended, or just begun",
                        pid);
    if (error == EAGAIN)
        return fg__fail(
            ctx, FG_EIO,
            "process %llu does not answer on its diagnostics socket: others wait there already. Is it "
            "stopped, or in a debugger?",
            pid);
    return fg__fail(ctx, FG_EIO, "cannot connect to the diagnostics socket of process %llu: %s", pid,
                    strerror(error));
}

/*
 * A path in a sockaddr has 107 bytes at most; this one is short whatever the folder is. A runtime that has others waiting
 * gets a moment: a socket that does not block is refused where their queue is full.
 */
int dn_connect(int *fd, fg_ctx *ctx, const dn_endpoint *endpoint) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", endpoint->folder,
                     endpoint->name);
    if (n < 0 || (size_t)n >= sizeof address.sun_path) return refused(ctx, endpoint, ENAMETOOLONG);
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) return fg__fail(ctx, FG_EIO, "cannot make a socket: %s", strerror(errno));
    const struct timeval patience = {.tv_sec = CONNECT_S};
    setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(made, (struct sockaddr *)&address, sizeof address) || fcntl(made, F_SETFL, O_NONBLOCK)) {
        int error = errno;
        close(made);
        return refused(ctx, endpoint, error);
    }
    *fd = made;
    return 0;
}

/* ---- messages -------------------------------------------------------------------------------------------------------- */

typedef struct message {
    uint8_t bytes[256];
    size_t n;
} message;

static void put(message *m, uint64_t value, size_t n) {
    memcpy(m->bytes + m->n, &value, n);
    m->n += n;
}

/* A string: how many UTF-16 units with its NUL, and these; all of ours are ASCII. */
static void put_text(message *m, const char *text) {
    put(m, strlen(text) + 1, 4);
    do put(m, (uint8_t)*text, 2);
    while (*text++);
}

static message begin(uint8_t command) {
    message m = {.n = sizeof magic};
    memcpy(m.bytes, magic, sizeof magic);
    put(&m, 0, 2); /* the size, once it is known */
    put(&m, EVENT_PIPE, 1);
    put(&m, command, 1);
    put(&m, 0, 2);
    return m;
}

/* Messages are shorter than the buffer of any socket: they are sent whole, or there is nobody. */
static bool send_message(int fd, message *m) {
    memcpy(m->bytes + sizeof magic, &(uint16_t){(uint16_t)m->n}, 2);
    return send(fd, m->bytes, m->n, MSG_NOSIGNAL) == (ssize_t)m->n;
}

static int no_reply(fg_ctx *ctx, uint64_t pid, const char *why) {
    return fg__fail(ctx, FG_ETIMEOUT, "process %llu does not answer on its diagnostics socket: %s",
                    (unsigned long long)pid, why);
}

static int receive(fg_ctx *ctx, int fd, int stop_fd, uint64_t pid, void *to, size_t n) {
    for (size_t at = 0; at < n;) {
        struct pollfd ready[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        int count = poll(ready, 2, REPLY_MS);
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) return no_reply(ctx, pid, "nothing came for 10 s; is it stopped, or about to end?");
        if (!ready[0].revents) return fg__fail(ctx, FG_EINTERRUPTED, "interrupted");
        ssize_t got = recv(fd, (uint8_t *)to + at, n - at, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) return no_reply(ctx, pid, "the connection was closed; has it ended?");
        at += (size_t)got;
    }
    return 0;
}

static int explain(fg_ctx *ctx, uint64_t pid, uint32_t result) {
    static const struct {
        uint32_t result;
        const char *why;
    } reasons[] = {
        {0x80131384, "it does not understand what it was sent"},
        {0x80131385, "it does not know the command: it is older than .NET Core 3.1"},
        {0x80131386, "it speaks another protocol: it is newer than what is known here"},
        {0x80131387, "it failed"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].result == result)
            return fg__fail(ctx, FG_EREMOTE, "process %llu refuses to be sampled: %s",
                            (unsigned long long)pid, reasons[i].why);
    return fg__fail(ctx, FG_EREMOTE, "process %llu refuses to be sampled: error 0x%08x of its runtime",
                    (unsigned long long)pid, result);
}

static int read_reply(uint64_t *value, fg_ctx *ctx, int fd, int stop_fd, uint64_t pid) {
    uint8_t header[HEADER];
    uint16_t size;
    int err = receive(ctx, fd, stop_fd, pid, header, sizeof header);
    if (err) return err;
    memcpy(&size, header + sizeof magic, 2);
    bool ok = header[16] == SERVER && header[17] == OK;
    size_t n = ok ? 8 : 4;
    if (memcmp(header, magic, sizeof magic) != 0 || header[16] != SERVER || size < HEADER + n)
        return fg__fail(ctx, FG_EREMOTE,
                        "what listens on the diagnostics socket of process %llu is no .NET runtime",
                        (unsigned long long)pid);
    *value = 0;
    err = receive(ctx, fd, stop_fd, pid, value, n);
    return err || ok ? err : explain(ctx, pid, (uint32_t)*value);
}

/* ---- commands --------------------------------------------------------------------------------------------------------- */

int dn_collect(uint64_t *session, fg_ctx *ctx, int fd, int stop_fd, uint64_t pid) {
    message m = begin(COLLECT_TRACING_2);
    put(&m, BUFFER_MB, 4);
    put(&m, NETTRACE, 4);
    put(&m, true, 1); /* names of all methods at the end */
    put(&m, 1, 4);    /* providers: keywords, level, name, filter */
    put(&m, 0, 8);
    put(&m, INFORMATIONAL, 4);
    put_text(&m, provider);
    put(&m, 0, 4);
    if (!send_message(fd, &m)) return no_reply(ctx, pid, "the connection was closed; has it ended?");
    return read_reply(session, ctx, fd, stop_fd, pid);
}

int dn_stop(const dn_endpoint *endpoint, uint64_t session) {
    fg_ctx *ctx = fg_ctx_new(); /* nobody is told that a target has gone */
    int fd = -1;
    message m = begin(STOP_TRACING);
    put(&m, session, 8);
    if (ctx && dn_connect(&fd, ctx, endpoint) == 0) send_message(fd, &m);
    fg_ctx_free(ctx);
    return fd;
}
