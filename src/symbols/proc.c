/* /proc/PID/maps: what a living process has mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "symbols/module.h"

int fg__read_text(fg__buffer *out, fg_ctx *ctx, const char *path, size_t most) {
    enum { BLOCK = 64 << 10 };
    *out = (fg__buffer){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fg__fail(ctx, FG_EIO, "cannot open %s: %s", path, strerror(errno));
    int err = fg__buffer_add(ctx, out, "", 0);
    while (!err && out->n < most) {
        err = fg__grow(ctx, &out->bytes, &out->cap, out->n + BLOCK + 1, 1);
        ssize_t n = err ? 0 : read(fd, out->bytes + out->n, BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) err = fg__fail(ctx, FG_EIO, "cannot read %s: %s", path, strerror(errno));
        if (n <= 0) break;
        out->n += (size_t)n;
    }
    close(fd);
    if (err) {
        fg_free(ctx, out->bytes);
        *out = (fg__buffer){0};
    } else {
        out->bytes[out->n] = '\0';
    }
    return err;
}

/* "start-end perms offset major:minor inode   path", the path with "\012" for a newline. */
static int map_line(fg__space *space, char *line) {
    unsigned long long start, end, offset, inode;
    unsigned device_major, device_minor;
    char rights[8];
    int path = 0;
    int n = sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %n", &start, &end, rights, &offset, &device_major,
                   &device_minor, &inode, &path);
    if (n < 7 || !path) return 0;
    fg__mapping mapping = {.start = start,
                           .end = end,
                           .offset = offset,
                           .path = line + path,
                           .major = device_major,
                           .minor = device_minor,
                           .inode = inode};
    return rights[2] == 'x' ? fg__space_map(space, &mapping) : 0;
}

int fg__space_read(fg__space *space) {
    enum { MOST = 256 << 20 };
    char path[64], *save = NULL;
    fg__buffer text;
    snprintf(path, sizeof path, "/proc/%u/maps", space->pid);
    int err = fg__read_text(&text, space->symbols->ctx, path, MOST);
    if (err) return err;
    for (char *line = strtok_r(text.bytes, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save))
        err = map_line(space, line);
    fg_free(space->symbols->ctx, text.bytes);
    return err;
}
