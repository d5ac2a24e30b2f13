/* The table of events. */
#include "sample/perf_event.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>
#include "sys/rights.h"

static const struct row {
    const char *name;
    uint32_t type;
    uint64_t config;
    const char *value, *unit;
    bool each;
} events[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, "cycles", "count", false},
    {"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, "cpu", "nanoseconds", false},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, "cpu", "nanoseconds", false},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, "instructions", "count", false},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES, "cache_references", "count",
     false},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, "cache_misses", "count", false},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS, "branches", "count", false},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES, "branch_misses", "count", false},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, "page_faults", "count", true},
    {"minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN, "minor_faults", "count", true},
    {"major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ, "major_faults", "count", true},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES, "context_switches", "count",
     true},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, "cpu_migrations", "count", true},
};
enum { EVENTS = sizeof events / sizeof *events };

/* A tracefs that is mounted nowhere: only this process can look into it, and closing it leaves nothing behind. */
static int own_tracefs(void) {
    int fs = fsopen("tracefs", FSOPEN_CLOEXEC), mounted = -1;
    if (fs >= 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mounted = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    if (fs >= 0) close(fs);
    return mounted;
}

bool fg__tracepoint_number(uint64_t *out, int folder, const char *group, const char *name) {
    char path[256], text[32] = "";
    snprintf(path, sizeof path, "events/%s/%s/id", group, name);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) close(fd);
    *out = n > 0 ? strtoull(text, NULL, 10) : 0;
    return n > 0;
}

int fg__tracefs_open(void) {
    const char *path = fg__tracefs();
    return path ? open(path, O_DIRECTORY | O_CLOEXEC) : own_tracefs();
}

/* A name that is used in a path. */
static bool is_word(const char *text) {
    return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")];
}

/* The folder of the descriptions; the caller closes *out. */
static int open_tracefs(int *out, fg_ctx *ctx, const char *group, const char *name) {
    if (!is_word(group) || !is_word(name))
        return fg__fail(ctx, FG_EINVAL, "a tracepoint is named GROUP:NAME, not \"%s:%s\"", group, name);
    *out = fg__tracefs_open();
    return *out < 0 ? fg__rights_refused(ctx, FG__RIGHT_TRACEFS, 0, errno) : 0;
}

static int refuse_tracepoint(fg_ctx *ctx, int error, const char *group, const char *name) {
    if (error != ENOENT) return fg__rights_refused(ctx, FG__RIGHT_TRACEFS, 0, error);
    return fg__fail(ctx, FG_EINVAL, "this kernel has no tracepoint %s:%s", group, name);
}

int fg__tracepoint_id(uint64_t *out, fg_ctx *ctx, const char *group, const char *name) {
    int folder, err = open_tracefs(&folder, ctx, group, name);
    if (err) return err;
    bool found = fg__tracepoint_number(out, folder, group, name);
    int error = errno;
    close(folder);
    return found ? 0 : refuse_tracepoint(ctx, error, group, name);
}

/* "field:long prev_state;	offset:32;	size:8;" */
static bool find_field(uint32_t *out, const char *text, const char *field) {
    char wanted[80];
    unsigned size = 0;
    snprintf(wanted, sizeof wanted, " %s;", field);
    const char *at = strstr(text, wanted);
    return at && sscanf(at + strlen(wanted), " offset:%u; size:%u", out, &size) == 2 && size == 8;
}

int fg__tracepoint_field(uint32_t *out, fg_ctx *ctx, const char *group, const char *name, const char *field) {
    char path[256], text[8192];
    int folder, err = open_tracefs(&folder, ctx, group, name);
    if (err) return err;
    snprintf(path, sizeof path, "events/%s/%s/format", group, name);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    int error = errno;
    if (fd >= 0) close(fd);
    close(folder);
    if (n < 0) return refuse_tracepoint(ctx, error, group, name);
    text[n] = '\0';
    if (find_field(out, text, field)) return 0;
    return fg__fail(ctx, FG_EUNSUPPORTED, "this kernel's tracepoint %s:%s has no field %s", group, name,
                    field);
}

static int unknown(fg_ctx *ctx, const char *name) {
    char known[512] = "";
    size_t n = 0;
    for (int i = 0; i < EVENTS; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s, ", events[i].name);
    return fg__fail(ctx, FG_EINVAL, "there is no event \"%s\": choose %sor a tracepoint (GROUP:NAME)", name,
                    known);
}

static int of_tracepoint(fg__perf_event *out, fg_ctx *ctx, const char *name) {
    char group[64];
    const char *colon = strchr(name, ':');
    snprintf(group, sizeof group, "%.*s", (int)(colon - name), name);
    *out = (fg__perf_event){.type = PERF_TYPE_TRACEPOINT, .value = "events", .unit = "count", .each = true};
    snprintf(out->name, sizeof out->name, "%s", name);
    return fg__tracepoint_id(&out->config, ctx, group, colon + 1);
}

int fg__perf_event_named(fg__perf_event *out, fg_ctx *ctx, const char *name) {
    if (strchr(name, ':')) return of_tracepoint(out, ctx, name);
    for (int i = 0; i < EVENTS; i++) {
        const struct row *row = &events[i];
        if (strcmp(row->name, name) != 0) continue;
        *out = (fg__perf_event){.type = row->type,
                                .config = row->config,
                                .value = row->value,
                                .unit = row->unit,
                                .each = row->each};
        snprintf(out->name, sizeof out->name, "%s", name);
        return 0;
    }
    return unknown(ctx, name);
}
