/* Modules: finding the file that was mapped, seeing that it is that one, and reading its symbols. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "symbols/module.h"

enum { PATH_LONG = 4352 };

/* ---- is it the one that was mapped? -------------------------------------------------------------------- */

static bool is_same_inode(const fg__identity *wanted, const struct stat *st) {
    return wanted->inode == st->st_ino && wanted->major == major(st->st_dev) &&
           wanted->minor == minor(st->st_dev);
}

/*
 * By its build id where one is known. Else by its inode: device numbers differ between what the kernel and stat say of
 * some file systems (btrfs, overlayfs), so another device alone is no sign of another file.
 */
static bool is_wanted(const fg__identity *wanted, Elf *elf, const struct stat *st) {
    uint8_t id[FG__BUILD_ID_MAX];
    if (wanted->build_id_size) {
        size_t n = fg__elf_build_id(id, elf);
        if (n > wanted->build_id_size) n = wanted->build_id_size; /* perf keeps 20 bytes */
        return n && memcmp(id, wanted->build_id, n) == 0;
    }
    return !wanted->inode || wanted->inode == st->st_ino;
}

/* Open `path` if it is the file that was mapped. `exact`: it cannot be another one. True: this was it. */
static bool try_path(fg__module *m, const char *path, bool exact) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    struct stat st;
    bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
    bool elf = file && fg__elf_open_fd(&m->elf, fd, (uint64_t)st.st_size);
    close(fd);
    if (!file) return false;
    if (!elf) {
        bool same = exact || is_same_inode(&m->identity, &st) || !m->identity.inode;
        if (same) m->state = FG__MODULE_NOT_ELF;
        return same;
    }
    if (exact || is_wanted(&m->identity, m->elf.elf, &st)) {
        m->state = FG__MODULE_OPEN;
        return true;
    }
    fg__elf_close(m->symbols->ctx, &m->elf);
    m->state = FG__MODULE_REPLACED;
    return false;
}

/* The path without " (deleted)", which the kernel puts behind the name of what is no longer there. */
static size_t path_length(const fg__module *m) {
    static const char deleted[] = " (deleted)";
    size_t n = strlen(m->path), d = sizeof deleted - 1;
    return n > d && strcmp(m->path + n - d, deleted) == 0 ? n - d : n;
}

static bool try_build_id_cache(fg__module *m) {
    char path[PATH_LONG], hex[2 * FG__BUILD_ID_MAX + 1] = "";
    const char *home = getenv("HOME");
    for (size_t i = 0; i < m->identity.build_id_size; i++)
        sprintf(hex + 2 * i, "%02x", m->identity.build_id[i]);
    if (!home || m->identity.build_id_size < 2) return false;
    snprintf(path, sizeof path, "%s/.debug/.build-id/%.2s/%s/elf", home, hex, hex + 2);
    return try_path(m, path, false);
}

/* The code that the kernel maps into each process: ours is that of all processes of the same kind. */
static void open_vdso(fg__module *m) {
    const uint8_t *at = (const uint8_t *)getauxval(AT_SYSINFO_EHDR); // NOLINT: an address, as a number
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)at;
    if (!at || header->e_ident[EI_CLASS] != ELFCLASS64) return;
    size_t n = (size_t)header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    if (!fg__elf_open_memory(&m->elf, m->symbols->ctx, at, n)) return;
    struct stat no_file = {0};
    bool other = m->identity.build_id_size && !is_wanted(&m->identity, m->elf.elf, &no_file);
    m->state = other ? FG__MODULE_REPLACED : FG__MODULE_OPEN;
    if (other) fg__elf_close(m->symbols->ctx, &m->elf);
}

static void find(fg__module *m) {
    char path[PATH_LONG];
    m->state = FG__MODULE_MISSING;
    if (strcmp(m->path, "[vdso]") == 0) {
        open_vdso(m);
        return;
    }
    if (m->path[0] != '/') return;
    if (m->live) { /* the very file, even when it is deleted; it takes a privilege */
        snprintf(path, sizeof path, "/proc/%u/map_files/%llx-%llx", m->pid, (unsigned long long)m->start,
                 (unsigned long long)m->end);
        if (try_path(m, path, true)) return;
    }
    if (m->pid) {
        snprintf(path, sizeof path, "/proc/%u/root%.*s", m->pid, (int)path_length(m), m->path);
        if (try_path(m, path, false)) return;
    }
    snprintf(path, sizeof path, "%.*s", (int)path_length(m), m->path);
    if (try_path(m, path, false)) return;
    fg__module_state why = m->state;
    if (try_build_id_cache(m)) return;
    m->state = why;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void read_segments(fg__module *m) {
    size_t count;
    GElf_Phdr header;
    if (elf_getphdrnum(m->elf.elf, &count)) return;
    for (size_t i = 0; i < count && m->segment_count < FG__SEGMENTS_MAX; i++) {
        if (!gelf_getphdr(m->elf.elf, (int)i, &header) || header.p_type != PT_LOAD) continue;
        m->segments[m->segment_count].offset = header.p_offset;
        m->segments[m->segment_count].size = header.p_filesz;
        m->segments[m->segment_count].code = header.p_flags & PF_X;
        m->segments[m->segment_count++].address = header.p_vaddr;
    }
}

int fg__module_open(fg__module *m) {
    if (m->state != FG__MODULE_UNTRIED || m->is != FG__MODULE_FILE) return 0;
    find(m);
    if (m->state != FG__MODULE_OPEN) return 0;
    fg__section go;
    read_segments(m);
    m->go = fg__elf_section(&go, m->elf.elf, ".note.go.buildid");
    return 0;
}

/*
 * Pages are mapped whole, and segments begin and end within them: a page may be of two. What is asked about is where
 * code is mapped, so that a segment of code has it before others, even for what is beside it on its pages.
 */
uint64_t fg__module_address(const fg__module *m, uint64_t offset) {
    enum { PAGE = 4096 };
    for (int pass = 0; pass < 4; pass++) {
        bool code = pass < 2;
        uint64_t slack = pass % 2 ? PAGE : 0;
        for (size_t i = 0; i < m->segment_count; i++) {
            uint64_t from = slack ? m->segments[i].offset & ~(slack - 1) : m->segments[i].offset;
            if (m->segments[i].code == code && offset >= from && offset - from < m->segments[i].size + slack)
                return offset - m->segments[i].offset + m->segments[i].address;
        }
    }
    return offset;
}

int fg__module_read_table(fg__module *m) {
    if (m->table_read) return 0;
    m->table_read = true;
    int err = fg__module_open(m);
    if (err || m->state != FG__MODULE_OPEN) return err;
    size_t full, dynamic;
    err = fg__elf_symbols(&m->table, &full, m, m->elf.elf, false);
    if (!err && !full) {
        fg__separate_open(m);
        if (m->debug.elf) err = fg__elf_symbols(&m->table, &full, m, m->debug.elf, false);
    }
    if (!err && !full) {
        fg__debugdata_open(m);
        if (m->packed.elf) err = fg__elf_symbols(&m->table, &full, m, m->packed.elf, false);
    }
    if (!err) err = fg__elf_symbols(&m->table, &dynamic, m, m->elf.elf, true);
    fg__symbol_table_sort(&m->table);
    return err;
}

bool fg__module_symbol(uint64_t *address, uint64_t *size, fg__module *m, const char *name) {
    if (fg__module_open(m) || m->state != FG__MODULE_OPEN) return false;
    if (fg__elf_symbol_named(address, size, m->elf.elf, name)) return true;
    fg__separate_open(m);
    return m->debug.elf && fg__elf_symbol_named(address, size, m->debug.elf, name);
}

void fg__module_close(fg__module *m) {
    fg_ctx *ctx = m->symbols->ctx;
    fg__dwarf_free(ctx, m->dwarf);
    fg__cfi_free(ctx, m->cfi);
    fg__elf_close(ctx, &m->packed);
    fg__elf_close(ctx, &m->debug);
    fg__elf_close(ctx, &m->elf);
    fg__arena_free(ctx, &m->names);
    fg_free(ctx, m->table.symbols);
    fg_free(ctx, m->lines);
    fg_free(ctx, m->path);
    fg_free(ctx, m);
}
