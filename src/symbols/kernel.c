/*
 * The kernel's symbols, if they are those of the right kernel:
 *
 *      told       what a recording itself says of code that is made as the kernel runs: BPF programs, trampolines
 *      kept       a copy of /proc/kallsyms that perf record has made: a file, where the kernel makes the text anew for
 *                 each reader; its own functions keep their places to one another for as long as it is the same build
 *      running    /proc/kallsyms
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "symbols/kallsyms.h"

enum { PATH_LONG = 4352 };

struct fg__kernel {
    fg__symbol_table told;
    fg__arena names; /* of those */
    size_t told_sorted;
    bool tried, is_running;
    void *bytes; /* of the copy */
    size_t size;
    fg__kallsyms kept, running;
    fg__buffer text;
    bool running_read;
};

/* ---- which kernel -------------------------------------------------------------------------------------- */

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

/* Whether the kernel that runs is the one that the addresses are of; if that one is not known, it is. */
static bool is_running(fg__symbols *s) {
    fg__identity own = {.build_id_size = 0}, *wanted = &s->kernel_identity;
    size_t n = own.build_id_size = own_build_id(own.build_id, s->ctx);
    if (!wanted->build_id_size) {
        memcpy(wanted->build_id, own.build_id, n);
        wanted->build_id_size = n;
        return true;
    }
    if (n > wanted->build_id_size) n = wanted->build_id_size;
    return n && memcmp(own.build_id, wanted->build_id, n) == 0;
}

/* Where perf record keeps the symbols of the kernels that it has seen. False: no home. */
static bool kept_path(char *path, size_t n, const fg__identity *id) {
    char hex[2 * FG__BUILD_ID_MAX + 1] = "";
    const char *home = getenv("HOME");
    for (size_t i = 0; i < id->build_id_size; i++) sprintf(hex + 2 * i, "%02x", id->build_id[i]);
    return home && snprintf(path, n, "%s/.debug/[kernel.kallsyms]/%s/kallsyms", home, hex) < (int)n;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

static struct fg__kernel *tables_of(fg__symbols *s) {
    if (!s->kernel_tables) s->kernel_tables = fg__calloc(s->ctx, 1, sizeof *s->kernel_tables);
    return s->kernel_tables;
}

static void open_kept(fg__symbols *s, struct fg__kernel *k) {
    char path[PATH_LONG];
    struct stat st;
    if (!s->kernel_identity.build_id_size || !kept_path(path, sizeof path, &s->kernel_identity)) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            k->bytes = bytes;
            k->size = (size_t)st.st_size;
            fg__kallsyms_of(&k->kept, bytes, k->size);
        }
    }
    close(fd);
}

/* Where the kernel that runs has _text, by the first lines of its text; 0: not to be seen. */
static uint64_t own_text(fg_ctx *ctx) {
    enum { FIRST = 64 << 10 }; /* behind the symbols of processors, which come first */
    fg__buffer text;
    fg__kallsyms k;
    if (fg__read_text(&text, ctx, "/proc/kallsyms", FIRST)) return 0;
    fg__kallsyms_of(&k, text.bytes, text.n);
    fg_free(ctx, text.bytes);
    return k.base;
}

static void prepare(fg__symbols *s, struct fg__kernel *k) {
    if (k->tried) return;
    k->tried = true;
    k->is_running = is_running(s);
    open_kept(s, k);
    if (!s->kernel_text && k->is_running && k->kept.base) s->kernel_text = own_text(s->ctx);
    if (!k->is_running && !k->kept.base) s->kernel_is = FG__KERNEL_OTHER;
}

static int read_running(fg__symbols *s, struct fg__kernel *k) {
    enum { MOST = 256 << 20 };
    if (k->running_read || !k->is_running) return 0;
    k->running_read = true;
    int err = fg__read_text(&k->text, s->ctx, "/proc/kallsyms", MOST);
    if (!err) fg__kallsyms_of(&k->running, k->text.bytes, k->text.n);
    if (!k->running.base && !k->kept.base) s->kernel_is = FG__KERNEL_HIDDEN;
    return err == FG_ENOMEM ? err : 0;
}

void fg__kernel_free(fg_ctx *ctx, struct fg__kernel *k) {
    if (!k) return;
    fg__kallsyms_free(ctx, &k->kept);
    fg__kallsyms_free(ctx, &k->running);
    fg_free(ctx, k->text.bytes);
    if (k->bytes) munmap(k->bytes, k->size);
    fg_free(ctx, k->told.symbols);
    fg__arena_free(ctx, &k->names);
    fg_free(ctx, k);
}

/* ---- what a recording says ----------------------------------------------------------------------------- */

int fg__symbols_kernel_code(fg__symbols *s, uint64_t address, uint64_t size, const char *name, size_t n) {
    struct fg__kernel *k = tables_of(s);
    fg__symbol symbol = {.start = address, .n = (uint32_t)n, .frame = FG__NONE};
    if (!size || n > UINT16_MAX || __builtin_add_overflow(address, size, &symbol.end)) return 0;
    symbol.name = k ? fg__arena_copy(s->ctx, &k->names, name, n) : NULL;
    return symbol.name ? fg__symbol_table_add(s->ctx, &k->told, &symbol) : FG_ENOMEM;
}

static bool find_told(fg__symbol *out, struct fg__kernel *k, uint64_t address) {
    if (k->told_sorted != k->told.count) fg__symbol_table_sort(&k->told);
    k->told_sorted = k->told.count;
    const fg__symbol *symbol = fg__symbol_table_find(&k->told, address);
    if (symbol) *out = *symbol;
    return symbol != NULL;
}

/* ---- names --------------------------------------------------------------------------------------------- */

/* How far the table is from where the addresses are; false: it has nothing for them. */
static bool distance(uint64_t *out, const fg__symbols *s, const fg__kallsyms *table) {
    *out = s->kernel_text ? table->base - s->kernel_text : 0;
    return table->base != 0;
}

/* Of modules, only a text of the same boot knows where they are. */
static int find(fg__kernel_function *out, fg__symbols *s, fg__kallsyms *table, uint64_t address,
                bool others) {
    uint64_t moved;
    if (!distance(&moved, s, table)) return 0;
    out->found = fg__kallsyms_core(&out->symbol, table, address + moved);
    if (out->found || !others || moved) return 0;
    int err = fg__kallsyms_other(&out->symbol, &out->module, table, s->ctx, address);
    out->found = out->module.n != 0;
    return err;
}

int fg__kernel_find(fg__kernel_function *out, fg__symbols *s, uint64_t address) {
    struct fg__kernel *k = tables_of(s);
    *out = (fg__kernel_function){.found = false};
    if (!k) return FG_ENOMEM;
    out->found = find_told(&out->symbol, k, address);
    if (out->found) return 0;
    prepare(s, k);
    /* the copy does even for the kernel that runs, but not without knowing where that one is */
    bool usable = !k->is_running || s->kernel_text;
    int err = usable ? find(out, s, &k->kept, address, !k->is_running) : 0;
    if (err || out->found) return err;
    err = read_running(s, k);
    return err ? err : find(out, s, &k->running, address, true);
}

int fg__symbols_kernel(fg__module **out, fg__symbols *s) {
    static const fg__mapping mapping = {.path = "[kernel.kallsyms]"};
    if (!s->kernel) {
        s->kernel = fg__symbols_module(s, FG__MODULE_KERNEL, &mapping, NULL);
        if (s->kernel) s->kernel->table_read = true;
    }
    *out = s->kernel;
    return s->kernel ? 0 : FG_ENOMEM;
}
