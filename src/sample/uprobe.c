/* Uprobes, in tracefs or by the unit of perf. */
#include "sample/uprobe.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>
#include "sample/perf_event.h"
#include "sys/proc.h"

#define GROUP "flame_graph"

/* Commands are lines; anything but appending would remove the probes of everybody. */
static bool command(const fg__uprobes *u, const char *line) {
    int fd = openat(u->folder, "uprobe_events", O_WRONLY | O_APPEND | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);
    if (fd >= 0) close(fd);
    return good;
}

static void remove_named(const fg__uprobes *u, const char *name) {
    char line[320];
    snprintf(line, sizeof line, "-:" GROUP "/%s\n", name);
    command(u, line);
}

/* What processes have left that were killed. */
static void remove_orphans(const fg__uprobes *u) {
    int fd = openat(u->folder, "events/" GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder && fd >= 0) close(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int pid;
        if (sscanf(entry->d_name, "of_%d_", &pid) == 1 && kill(pid, 0) && errno == ESRCH)
            remove_named(u, entry->d_name);
    }
    if (folder) closedir(folder);
}

void fg__uprobes_begin(fg__uprobes *u) {
    *u = (fg__uprobes){.folder = fg__tracefs_open()};
    bool writable = u->folder >= 0 && faccessat(u->folder, "uprobe_events", W_OK, 0) == 0;
    if (writable && getrandom(&u->token, sizeof u->token, 0) == sizeof u->token) {
        remove_orphans(u);
        return;
    }
    if (u->folder >= 0) close(u->folder);
    u->folder = -1;
}

static void name_of(char *name, size_t size, const fg__uprobes *u, unsigned i) {
    snprintf(name, size, "of_%d_%016llx_%u", getpid(), (unsigned long long)u->token, i);
}

/* False: tracefs takes it not, for whatever reason. */
static bool make(fg__uprobes *u, struct perf_event_attr *attr, const char *path, uint64_t offset,
                 bool returns) {
    char name[64], line[512];
    uint64_t id;
    if (u->folder < 0) return false;
    name_of(name, sizeof name, u, u->n);
    int n = snprintf(line, sizeof line, "%c:" GROUP "/%s %s:0x%llx\n", returns ? 'r' : 'p', name, path,
                     (unsigned long long)offset);
    if (n >= (int)sizeof line || !command(u, line)) return false;
    u->n++;
    if (!fg__tracepoint_number(&id, u->folder, GROUP, name)) return false;
    attr->type = PERF_TYPE_TRACEPOINT;
    attr->config = id;
    attr->uprobe_path = attr->probe_offset = 0;
    return true;
}

int fg__uprobes_add(fg__uprobes *u, fg_ctx *ctx, struct perf_event_attr *attr, const char *path,
                    uint64_t offset, bool returns) {
    if (make(u, attr, path, offset, returns)) return 0;
    attr->type =
        (uint32_t)fg__proc_number("/sys/bus/event_source/devices/uprobe/type", 0); /* 0: there is none */
    attr->config = returns;
    attr->uprobe_path = (uint64_t)(uintptr_t)path;
    attr->probe_offset = offset;
    if (attr->type) return 0;
    return fg__fail(ctx, FG_EUNSUPPORTED, "this kernel has no uprobes (CONFIG_UPROBE_EVENTS)");
}

void fg__uprobes_end(fg__uprobes *u) {
    char name[64];
    for (unsigned i = 0; i < u->n; i++) {
        name_of(name, sizeof name, u, i);
        remove_named(u, name);
    }
    if (u->folder >= 0) close(u->folder);
    *u = (fg__uprobes){.folder = -1};
}
