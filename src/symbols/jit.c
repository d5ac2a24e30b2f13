/*
 * Code that a JIT has described.
 *
 *   /tmp/perf-PID.map     "START SIZE NAME" in hexadecimal, a line for each function; later lines replace earlier ones
 *   jit-PID.dump          linux/tools/perf/Documentation/jitdump-specification.txt: code loaded and moved, source lines
 */
#include <stdio.h>
#include <stdlib.h>
#include "symbols/module.h"

enum { PATH_LONG = 4352, FILE_MAX = 1 << 30 };

/* ---- perf maps ----------------------------------------------------------------------------------------- */

static int add_symbol(fg__module *m, uint64_t start, uint64_t size, const char *name, size_t n) {
    if (!n || n > FG__STRING_MAX || start + size < start) return 0;
    char *copy = fg__arena_copy(m->symbols->ctx, &m->names, name, n);
    if (!copy) return FG_ENOMEM;
    fg__symbol symbol = {
        .start = start, .end = start + size, .name = copy, .n = (uint32_t)n, .frame = FG__NONE};
    return fg__symbol_table_add(m->symbols->ctx, &m->table, &symbol);
}

static int map_line(fg__module *m, const char *line, size_t n) {
    char *end;
    uint64_t start = strtoull(line, &end, 16);
    if (end == line || *end != ' ') return 0;
    const char *second = end + 1;
    uint64_t size = strtoull(second, &end, 16);
    if (end == second || *end != ' ' || end >= line + n) return 0;
    return add_symbol(m, start, size, end + 1, (size_t)(line + n - end - 1));
}

static int read_map(fg__module *m, const char *path) {
    fg__buffer text;
    int err = fg__read_text(&text, m->symbols->ctx, path, FILE_MAX);
    if (err) return err == FG_ENOMEM ? err : 0;
    for (const char *line = text.bytes, *end = line + text.n, *next; line < end && !err; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline) break; /* it is being written */
        next = newline + 1;
        err = map_line(m, line, (size_t)(newline - line));
    }
    fg_free(m->symbols->ctx, text.bytes);
    return err;
}

/* ---- jitdump ------------------------------------------------------------------------------------------- */

enum { LOAD = 0, MOVE = 1, DEBUG_INFO = 2, MAGIC = 0x4a695444, VERSION = 1 };

/* What is left to read of a record; `ok` turns false where it is too short. */
typedef struct cursor {
    const char *p, *end;
    bool ok;
} cursor;

static uint64_t take(cursor *c, size_t n) {
    uint64_t value = 0;
    if ((size_t)(c->end - c->p) < n) {
        c->ok = false;
        return 0;
    }
    memcpy(&value, c->p, n); /* little-endian, as the process that wrote it */
    c->p += n;
    return value;
}

static fg__slice take_text(cursor *c) {
    const char *end = memchr(c->p, '\0', (size_t)(c->end - c->p));
    if (!end) {
        c->ok = false;
        return (fg__slice){"", 0};
    }
    fg__slice text = fg__slice_of(c->p, end);
    c->p = end + 1;
    return text;
}

static int on_load(fg__module *m, cursor c) {
    take(&c, 4 + 4); /* pid, tid */
    take(&c, 8);     /* vma */
    uint64_t address = take(&c, 8), size = take(&c, 8);
    take(&c, 8); /* index */
    fg__slice name = take_text(&c);
    return c.ok ? add_symbol(m, address, size, name.p, name.n) : 0;
}

static int on_move(fg__module *m, cursor c) {
    take(&c, 4 + 4);
    take(&c, 8);
    uint64_t from = take(&c, 8), to = take(&c, 8), size = take(&c, 8);
    for (size_t i = m->table.count; c.ok && i-- > 0;) {
        if (m->table.symbols[i].start != from) continue;
        fg__symbol old = m->table.symbols[i];
        return add_symbol(m, to, size, old.name, old.n);
    }
    return 0;
}

static int on_debug_info(fg__module *m, cursor c) {
    fg_ctx *ctx = m->symbols->ctx;
    take(&c, 8);
    uint64_t count = take(&c, 8);
    const char *file = NULL;
    for (uint64_t i = 0; i < count && c.ok; i++) {
        uint64_t address = take(&c, 8), line = take(&c, 4);
        take(&c, 4); /* discriminator */
        fg__slice name = take_text(&c);
        if (!c.ok) break;
        bool same = name.n == 2 && (uint8_t)name.p[0] == 0xff; /* "\xff": the file of the entry before */
        if (name.n == 1 && (uint8_t)name.p[0] == 0xff) same = true;
        if (!same) file = fg__arena_copy(ctx, &m->names, name.p, name.n);
        if (!file) return same ? 0 : FG_ENOMEM;
        int err = fg__grow(ctx, &m->lines, &m->line_cap, m->line_count + 1, sizeof *m->lines);
        if (err) return err;
        m->lines[m->line_count] = (fg__jit_line){address, file, (uint32_t)line, (uint32_t)m->line_count};
        m->line_count++;
    }
    return 0;
}

static int on_record(fg__module *m, uint32_t id, cursor c) {
    switch (id) {
    case LOAD: return on_load(m, c);
    case MOVE: return on_move(m, c);
    case DEBUG_INFO: return on_debug_info(m, c);
    default: return 0;
    }
}

static int read_dump(fg__module *m, const char *path) {
    enum { HEADER = 40, RECORD = 16 };
    fg__buffer text;
    int err = fg__read_text(&text, m->symbols->ctx, path, FILE_MAX);
    if (err) return err == FG_ENOMEM ? err : 0;
    cursor head = {text.bytes, text.bytes + text.n, true};
    uint64_t magic = take(&head, 4), version = take(&head, 4), size = take(&head, 4);
    bool is = head.ok && magic == MAGIC && version == VERSION && size >= HEADER && size <= text.n;
    for (size_t at = is ? size : text.n; text.n - at >= RECORD && !err;) {
        cursor c = {text.bytes + at, text.bytes + text.n, true};
        uint32_t id = (uint32_t)take(&c, 4), length = (uint32_t)take(&c, 4);
        take(&c, 8); /* time */
        if (length < RECORD || length > text.n - at) break;
        c.end = text.bytes + at + length;
        err = on_record(m, id, c);
        at += length;
    }
    fg_free(m->symbols->ctx, text.bytes);
    return err;
}

static int by_address(const void *a, const void *b) {
    const fg__jit_line *x = a, *y = b;
    if (x->address != y->address) return x->address < y->address ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

const fg__jit_line *fg__jit_line_at(const fg__module *m, uint64_t address, uint64_t function) {
    size_t low = 0, high = m->line_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->lines[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && m->lines[low - 1].address >= function ? &m->lines[low - 1] : NULL;
}

/* ---- of a space ---------------------------------------------------------------------------------------- */

/* The pid by which the process knows itself, in its own namespace. */
static uint32_t own_pid(const fg__space *space) {
    char path[64];
    fg__buffer text;
    uint32_t pid = space->pid;
    snprintf(path, sizeof path, "/proc/%u/status", space->pid);
    if (fg__read_text(&text, space->symbols->ctx, path, 1 << 16)) return pid;
    const char *line = strstr(text.bytes, "\nNSpid:");
    const char *end = line ? strchr(line + 1, '\n') : NULL;
    while (end && end > line && end[-1] >= '0' && end[-1] <= '9') end--;
    if (end) pid = (uint32_t)strtoul(end, NULL, 10);
    fg_free(space->symbols->ctx, text.bytes);
    return pid ? pid : space->pid;
}

fg__module *fg__space_jit(fg__space *space) {
    char path[64];
    if (space->jit) return space->jit;
    snprintf(path, sizeof path, "/tmp/perf-%u.map", own_pid(space));
    fg__mapping mapping = {.path = path, .inode = (uint64_t)space->symbols->space_count << 32 | space->pid};
    fg__module *m = fg__symbols_module(space->symbols, FG__MODULE_JIT, &mapping, space);
    if (m) m->table_read = true;
    return space->jit = m;
}

/* As the process sees it, and as it is seen from here: what it had may be left when it has ended. */
static int read_either(fg__module *m, uint32_t pid, const char *path,
                       int (*read)(fg__module *, const char *)) {
    char inside[PATH_LONG];
    size_t before = m->table.count;
    snprintf(inside, sizeof inside, "/proc/%u/root%s", pid, path);
    int err = pid ? read(m, inside) : 0;
    return err || m->table.count > before ? err : read(m, path);
}

int fg__space_read_jit(fg__space *space) {
    fg__module *m = fg__space_jit(space);
    if (!m) return FG_ENOMEM;
    space->jit_read = true;
    if (!space->pid) return 0;
    m->table.count = m->line_count = 0;
    m->generation++;
    int err = read_either(m, space->pid, m->path, read_map);
    for (size_t at = 0; at < space->dumps.n && !err; at += strlen(space->dumps.bytes + at) + 1)
        err = read_either(m, space->pid, space->dumps.bytes + at, read_dump);
    fg__symbol_table_sort(&m->table);
    if (m->line_count) qsort(m->lines, m->line_count, sizeof *m->lines, by_address);
    return err;
}
