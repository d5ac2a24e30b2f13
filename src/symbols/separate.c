/*
 * Symbols and DWARF that are not in the file itself:
 *
 *      /usr/lib/debug/.build-id/ab/cdef….debug      by build id
 *      DIR/NAME  DIR/.debug/NAME  /usr/lib/debug/DIR/NAME      by .gnu_debuglink, with a checksum of the whole file
 *      .gnu_debugdata, a small ELF file compressed by xz, within the file
 */
#include <fcntl.h>
#include <lzma.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "symbols/module.h"

enum { PATH_LONG = 4352 };

static bool open_file(fg__elf *out, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return false;
    bool is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
              fg__elf_open_fd(out, fd, (uint64_t)st.st_size);
    close(fd);
    return is;
}

/* Try `path` as the process sees it, then as it is here; keep what `is` accepts. */
static bool try_path(fg__module *m, const char *path, bool (*is)(fg__module *m, uint32_t sum), uint32_t sum) {
    char inside[PATH_LONG];
    for (int i = m->pid ? 0 : 1; i < 2; i++) {
        snprintf(inside, sizeof inside, "/proc/%u/root%s", m->pid, path);
        if (!open_file(&m->debug, i == 0 ? inside : path)) continue;
        if (is(m, sum)) return true;
        fg__elf_close(m->symbols->ctx, &m->debug);
    }
    return false;
}

static bool is_same_build(fg__module *m, uint32_t sum) {
    (void)sum;
    uint8_t a[FG__BUILD_ID_MAX], b[FG__BUILD_ID_MAX];
    size_t n = fg__elf_build_id(a, m->elf.elf);
    return n && n == fg__elf_build_id(b, m->debug.elf) && memcmp(a, b, n) == 0;
}

static bool is_same_sum(fg__module *m, uint32_t sum) {
    if (is_same_build(m, sum)) return true;
    return crc32_z(0, m->debug.bytes, m->debug.size) == sum;
}

static bool by_build_id(fg__module *m) {
    uint8_t id[FG__BUILD_ID_MAX];
    char hex[2 * FG__BUILD_ID_MAX + 1] = "", path[PATH_LONG];
    size_t n = fg__elf_build_id(id, m->elf.elf);
    if (n < 2) return false;
    for (size_t i = 0; i < n; i++) sprintf(hex + 2 * i, "%02x", id[i]);
    snprintf(path, sizeof path, "/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
    return try_path(m, path, is_same_build, 0);
}

static void by_link(fg__module *m) {
    fg__section link;
    uint32_t sum;
    if (!fg__elf_section(&link, m->elf.elf, ".gnu_debuglink")) return;
    const char *name = (const char *)link.bytes, *slash = strrchr(m->path, '/');
    size_t n = strnlen(name, link.n), at = (n + 4) & ~(size_t)3;
    if (!slash || !n || n >= 256 || at + sizeof sum > link.n || memchr(name, '/', n)) return;
    memcpy(&sum, link.bytes + at, sizeof sum);
    static const char *const places[][2] = {{"", ""}, {"", "/.debug"}, {"/usr/lib/debug", ""}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[PATH_LONG];
        int length = snprintf(path, sizeof path, "%s%.*s%s/%s", places[i][0], (int)(slash - m->path), m->path,
                              places[i][1], name);
        if (length < (int)sizeof path && try_path(m, path, is_same_sum, sum)) return;
    }
}

void fg__separate_open(fg__module *m) {
    if (m->debug_tried || m->state != FG__MODULE_OPEN) return;
    m->debug_tried = true;
    if (!by_build_id(m)) by_link(m);
}

void fg__debugdata_open(fg__module *m) {
    enum { BLOCK = 1 << 16, MOST = 64 << 20, MEMORY = 256 << 20 };
    fg__section packed;
    fg__buffer out = {0};
    uint8_t block[BLOCK];
    lzma_stream stream = LZMA_STREAM_INIT;
    if (!fg__elf_section(&packed, m->elf.elf, ".gnu_debugdata")) return;
    if (lzma_stream_decoder(&stream, MEMORY, 0) != LZMA_OK) return;
    stream.next_in = packed.bytes;
    stream.avail_in = packed.n;
    lzma_ret status = LZMA_OK;
    while (status == LZMA_OK && out.n < MOST) {
        stream.next_out = block;
        stream.avail_out = sizeof block;
        status = lzma_code(&stream, LZMA_FINISH);
        if (fg__buffer_add(m->symbols->ctx, &out, block, sizeof block - stream.avail_out)) break;
    }
    lzma_end(&stream);
    if (status == LZMA_STREAM_END) fg__elf_open_memory(&m->packed, m->symbols->ctx, out.bytes, out.n);
    fg_free(m->symbols->ctx, out.bytes);
}
