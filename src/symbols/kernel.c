/* The kernel's symbols: /proc/kallsyms, or a copy of it that perf has kept, if they are those of the right kernel. */
#include <stdio.h>
#include <stdlib.h>
#include "symbols/module.h"

enum { PATH_LONG = 4352 };

/* The build id of the kernel that runs; its size, or 0. */
static size_t own_build_id(uint8_t *out, fg_ctx *ctx) {
    enum { MOST = 1 << 16, HEADER = 12 };
    fg__buffer notes;
    size_t found = 0;
    if (fg__read_text(&notes, ctx, "/sys/kernel/notes", MOST)) return 0;
    for (size_t at = 0; !found && notes.n - at >= HEADER;) {
        uint32_t head[3]; /* size of the name, of the content, type */
        memcpy(head, notes.bytes + at, sizeof head);
        size_t name = ((size_t)head[0] + 3) & ~(size_t)3, content = ((size_t)head[1] + 3) & ~(size_t)3;
        at += HEADER;
        if (name > notes.n - at || content > notes.n - at - name) break;
        bool is = head[2] == NT_GNU_BUILD_ID && head[0] == 4 && memcmp(notes.bytes + at, "GNU", 4) == 0;
        if (is && head[1] && head[1] <= FG__BUILD_ID_MAX) {
            found = head[1];
            memcpy(out, notes.bytes + at + name, found);
        }
        at += name + content;
    }
    fg_free(ctx, notes.bytes);
    return found;
}

/* Whether the kernel that runs is the one that the addresses are of. */
static bool is_running(fg__symbols *s) {
    uint8_t id[FG__BUILD_ID_MAX];
    const fg__identity *wanted = &s->kernel_identity;
    if (!wanted->build_id_size) return true;
    size_t n = own_build_id(id, s->ctx);
    if (n > wanted->build_id_size) n = wanted->build_id_size;
    return n && memcmp(id, wanted->build_id, n) == 0;
}

/* Where perf record keeps the symbols of the kernels that it has seen. False: no home. */
static bool kept_path(char *path, size_t n, const fg__identity *id) {
    char hex[2 * FG__BUILD_ID_MAX + 1] = "";
    const char *home = getenv("HOME");
    for (size_t i = 0; i < id->build_id_size; i++) sprintf(hex + 2 * i, "%02x", id->build_id[i]);
    return home && snprintf(path, n, "%s/.debug/[kernel.kallsyms]/%s/kallsyms", home, hex) < (int)n;
}

/* "ffffffff81000000 T name\t[module]": functions only. */
static int add_line(fg__symbols *s, fg__module *m, char *line, uint64_t *text) {
    char *end, *name;
    uint64_t address = strtoull(line, &end, 16);
    if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ' || !address) return 0;
    char type = (char)(end[1] | 0x20);
    if (type != 't' && type != 'w') return 0;
    name = end + 3;
    if (strcmp(name, "_text") == 0) *text = address;
    size_t whole = strlen(name), n = strcspn(name, "\t");
    char *copy = fg__arena_copy(s->ctx, &m->names, name, whole);
    if (!copy) return FG_ENOMEM;
    uint32_t rank =
        (uint32_t)(end[1] == 'T') << 1 | (uint32_t)(type == 't'); /* of aliases a strong and global one */
    return fg__symbol_table_add(
        s->ctx, &m->table,
        &(fg__symbol){.start = address, .name = copy, .n = (uint32_t)n, .frame = FG__NONE, .rank = rank});
}

static int read_symbols(fg__symbols *s, fg__module *m, const char *path) {
    enum { MOST = 256 << 20 };
    fg__buffer text;
    char *save = NULL;
    uint64_t at = 0;
    int err = fg__read_text(&text, s->ctx, path, MOST);
    if (err) return err == FG_ENOMEM ? err : 0;
    for (char *line = strtok_r(text.bytes, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save))
        err = add_line(s, m, line, &at);
    fg_free(s->ctx, text.bytes);
    fg__symbol_table_sort(&m->table);
    if (at && s->kernel_text) s->kernel_moved = at - s->kernel_text;
    return err;
}

int fg__symbols_kernel(fg__module **out, fg__symbols *s) {
    static const fg__mapping mapping = {.path = "[kernel.kallsyms]"};
    *out = s->kernel;
    if (s->kernel) return 0;
    fg__module *m = fg__symbols_module(s, FG__MODULE_KERNEL, &mapping, NULL);
    if (!m) return FG_ENOMEM;
    m->table_read = true;
    *out = s->kernel = m;
    char kept[PATH_LONG];
    const char *path = is_running(s)                                       ? "/proc/kallsyms"
                       : kept_path(kept, sizeof kept, &s->kernel_identity) ? kept
                                                                           : NULL;
    int err = path ? read_symbols(s, m, path) : 0;
    if (!m->table.count) s->kernel_is = is_running(s) ? FG__KERNEL_HIDDEN : FG__KERNEL_OTHER;
    return err;
}
