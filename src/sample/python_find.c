/*
 * Where the runtime is: the symbol _PyRuntime, which even a stripped interpreter exports as a rule; else the section
 * .PyRuntime (3.11 and later); else whatever in the writable memory of the module looks like it and proves to be it,
 * by leading to an interpreter whose thread points back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "sample/python.h"
#include "sys/rights.h"

/* A file that is mapped, and where. */
typedef struct module {
    char path[512], range[64];
    uint64_t start, end; /* of its first mapping */
    uint64_t offset;
    uint32_t minor; /* from its name; 0: not told */
} module;

typedef struct modules {
    module all[64];
    size_t count;
    char exe[512];
} modules;

/* ---- which files ---------------------------------------------------------------------------------------- */

/* The N of "python3.N", "libpython3.Nm.so.1.0"; 0: none, and -1 where it is no Python at all. */
static int minor_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strncmp(name, "lib", 3) == 0) name += 3;
    if (strncmp(name, "python", 6) != 0) return -1;
    return strncmp(name + 6, "3.", 2) == 0 ? atoi(name + 8) : 0;
}

static void add_module(modules *list, const char *line) {
    module m = {0};
    int path_at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4s %" SCNx64 " %*s %*s %n", &m.start, &m.end, &m.offset,
               &path_at) < 3)
        return;
    const char *path = line + path_at;
    if (*path != '/' || strlen(path) >= sizeof m.path || list->count == sizeof list->all / sizeof *list->all)
        return;
    int minor = minor_of(path);
    if (minor < 0 && strcmp(path, list->exe) != 0) return;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->all[i].path, path) == 0) return;
    m.minor = minor > 0 ? (uint32_t)minor : 0;
    snprintf(m.path, sizeof m.path, "%s", path);
    snprintf(m.range, sizeof m.range, "%" PRIx64 "-%" PRIx64, m.start, m.end);
    list->all[list->count++] = m;
}

static int list_modules(modules *list, py_memory *m) {
    char path[64], line[1024];
    *list = (modules){0};
    snprintf(path, sizeof path, "/proc/%d/exe", (int)m->pid);
    ssize_t n = readlink(path, list->exe, sizeof list->exe - 1);
    list->exe[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "/proc/%d/maps", (int)m->pid);
    FILE *maps = fopen(path, "re");
    if (!maps) return fg__rights_refused(m->ctx, FG__RIGHT_READ_MEMORY, (uint64_t)m->pid, errno);
    while (fgets(line, sizeof line, maps)) {
        line[strcspn(line, "\n")] = '\0';
        add_module(list, line);
    }
    fclose(maps);
    return 0;
}

/* The very file that is mapped, be it in a container or deleted by now. */
static int open_module(const module *m, pid_t pid) {
    char path[640];
    snprintf(path, sizeof path, "/proc/%d/map_files/%s", (int)pid, m->range);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return fd;
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, m->path);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* ---- which version -------------------------------------------------------------------------------------- */

static bool is_known(uint32_t minor) {
    return minor >= PY_FIRST_MINOR && minor <= PY_LAST_MINOR;
}

/* The N that "python3.N" has most often in the file: the interpreter knows where its library is. */
static uint32_t minor_in_file(int fd) {
    enum { PIECE = 1 << 20, OVERLAP = 16 };
    uint32_t seen[PY_LAST_MINOR + 1] = {0}, best = 0;
    char *bytes = malloc(PIECE);
    ssize_t n;
    for (off_t at = 0; bytes && (n = pread(fd, bytes, PIECE, at)) > OVERLAP; at += n - OVERLAP) {
        const char *end = bytes + n, *p = bytes;
        while ((p = memmem(p, (size_t)(end - p), "python3.", 8)) && p + 10 < end) {
            p += 8;
            uint32_t minor = (uint32_t)(*p - '0');
            if (minor == 1 && p[1] >= '0' && p[1] <= '9') minor = 10 + (uint32_t)(p[1] - '0');
            if (is_known(minor)) seen[minor]++;
        }
    }
    free(bytes);
    for (uint32_t minor = PY_FIRST_MINOR; minor <= PY_LAST_MINOR; minor++)
        if (seen[minor] > seen[best]) best = minor;
    return best;
}

static uint32_t minor_of_module(const module *mod, const py_elf *elf, uint64_t bias, py_memory *m, int fd) {
    uint64_t version;
    if (elf->version && py_memory_read(m, elf->version + bias, &version, sizeof version) &&
        (version & 0xffffffff) >> 24 == 3)
        return (uint32_t)(version >> 16) & 0xff;
    return mod->minor ? mod->minor : minor_in_file(fd);
}

/* ---- is it there ---------------------------------------------------------------------------------------- */

static uint64_t read_word(py_memory *m, uint64_t address) {
    uint64_t word = 0;
    return py_memory_read(m, address, &word, sizeof word) ? word : 0;
}

/* Whether `interp` is an interpreter: it has a thread, and that thread is its. */
static bool is_interpreter(py_memory *m, const py_layout *l, uint64_t interp) {
    if (interp < 4096 || interp & 7) return false;
    uint64_t thread = read_word(m, interp + l->interp_threads);
    if (thread < 4096 || thread & 7) return false;
    return read_word(m, thread + l->thread_interp) == interp;
}

static bool is_runtime(py_memory *m, const py_layout *l, uint64_t runtime) {
    return is_interpreter(m, l, read_word(m, runtime + l->runtime_head));
}

static bool take(py_found *out, py_memory *m, uint32_t minor, uint64_t runtime, const char *how) {
    uint64_t words[PY_PUBLISHED];
    py_layout layout;
    bool known = py_memory_read(m, runtime, words, sizeof words) && py_layout_published(&layout, words);
    if (!known && !py_layout_of(&layout, minor)) return false;
    if (!is_runtime(m, &layout, runtime)) return false;
    *out = (py_found){.layout = layout, .runtime = runtime};
    snprintf(out->how, sizeof out->how, "%s", how);
    return true;
}

/* The main interpreter has the number 0, and its newest thread has none before it: lists have no such words there. */
static bool is_main(py_memory *m, const py_layout *l, uint64_t interp) {
    uint64_t id = 1, previous = 1, code;
    return is_interpreter(m, l, interp) && py_memory_read(m, interp + l->interp_id, &id, sizeof id) &&
           id == 0 &&
           py_memory_read(m, read_word(m, interp + l->interp_threads), &previous, sizeof previous) &&
           previous == 0 &&
           py_memory_read(m, read_word(m, read_word(m, interp + l->interp_threads) + l->thread_frame), &code,
                          8);
}

/*
 * Look through writable memory. The runtime has the head of the list of interpreters and behind it, from the start on,
 * the main one: two equal words that point to an interpreter. 3.13 and later begin with a mark.
 */
static bool scan_words(py_found *out, py_memory *m, uint32_t minor, uint64_t address, const uint64_t *words,
                       size_t n) {
    py_layout l;
    bool has_layout = py_layout_of(&l, minor);
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t at = address + i * sizeof *words;
        if (memcmp(&words[i], "xdebugpy", 8) == 0 && take(out, m, minor, at, "scan")) return true;
        if (!has_layout || minor >= 13 || !words[i] || words[i] != words[i + 1]) continue;
        if (!is_main(m, &l, words[i])) continue;
        if (take(out, m, minor, at - l.runtime_head, "scan")) return true;
    }
    return false;
}

static bool scan(py_found *out, py_memory *m, uint32_t minor, const py_elf *elf, uint64_t bias) {
    enum { PIECE = 1 << 20, MOST = 64 << 20 };
    uint64_t *words = malloc(PIECE);
    bool found = false;
    for (size_t i = 0; words && i < elf->segment_count && !found; i++) {
        const py_segment *s = &elf->segments[i];
        if (!s->writable || s->size > MOST) continue;
        uint64_t at = (s->address + bias + 7) & ~7ull, end = s->address + bias + s->size;
        while (at + 8 <= end && !found) {
            size_t size = end - at < PIECE ? (size_t)(end - at) & ~7u : PIECE;
            if (!py_memory_read(m, at, words, size)) {
                at = (at | 4095) + 1; /* a hole: go on behind the page */
                continue;
            }
            found = scan_words(out, m, minor, at, words, size / sizeof *words);
            at += size > 8 && at + size < end ? size - 8 : size;
        }
    }
    free(words);
    return found;
}

/* ---- together ------------------------------------------------------------------------------------------- */

/* The difference between addresses in memory and in the file. */
static bool bias_of(uint64_t *bias, const module *mod, const py_elf *elf) {
    for (size_t i = 0; i < elf->segment_count; i++) {
        const py_segment *s = &elf->segments[i];
        if ((s->offset & ~4095ull) != mod->offset) continue;
        *bias = mod->start - (s->address & ~4095ull);
        return true;
    }
    return false;
}

static bool find_in(py_found *out, py_memory *m, const module *mod, uint32_t *minor) {
    py_elf elf;
    uint64_t bias;
    int fd = open_module(mod, m->pid);
    if (fd < 0) return false;
    bool found = py_elf_read(&elf, fd) && bias_of(&bias, mod, &elf);
    if (found) {
        uint32_t told = minor_of_module(mod, &elf, bias, m, fd);
        if (told) *minor = told;
        found = (elf.runtime && take(out, m, *minor, elf.runtime + bias, "symbol")) ||
                (elf.section && take(out, m, *minor, elf.section + bias, "section")) ||
                (is_known(*minor) && scan(out, m, *minor, &elf, bias));
    }
    close(fd);
    return found;
}

static int not_found(py_memory *m, const modules *list, uint32_t minor) {
    int pid = (int)m->pid;
    if (m->error == EPERM || m->error == EACCES)
        return fg__rights_refused(m->ctx, FG__RIGHT_READ_MEMORY, (uint64_t)pid, m->error);
    if (m->error == ESRCH) return fg__fail(m->ctx, FG_EIO, "process %d has ended", pid);
    if (!list->count) return fg__fail(m->ctx, FG_EUNSUPPORTED, "process %d has no Python in it", pid);
    if (minor && !is_known(minor))
        return fg__fail(m->ctx, FG_EUNSUPPORTED, "process %d runs Python 3.%u: this reads 3.%d to 3.%d", pid,
                        minor, PY_FIRST_MINOR, PY_LAST_MINOR);
    return fg__fail(
        m->ctx, FG_EUNSUPPORTED,
        "cannot find the Python interpreter in process %d (%s): it has not started yet, is no CPython, or "
        "was built in a way that is not known",
        pid, list->all[0].path);
}

/* A library comes first: the executable that uses it has no runtime of its own. */
int py_find(py_found *out, py_memory *m) {
    modules list;
    uint32_t minor = 0;
    int err = list_modules(&list, m);
    if (err) return err;
    for (int libraries = 1; libraries >= 0; libraries--)
        for (size_t i = 0; i < list.count; i++)
            if ((strstr(list.all[i].path, "/libpython") != NULL) == (libraries == 1) &&
                find_in(out, m, &list.all[i], &minor))
                return 0;
    return not_found(m, &list, minor);
}
