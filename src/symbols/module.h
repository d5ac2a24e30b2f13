/*
 * What is behind symbols.h: modules and how they are looked into. Only src/symbols includes this.
 *
 *   fg__symbols ─┬─ modules: each a file, the kernel, or what one process's JITs have made
 *                ├─ spaces:  mappings, each into a module
 *                └─ places:  (module, address in it) → frames; asked for once, then looked up
 */
#ifndef FG_MODULE_H
#define FG_MODULE_H

#include <libelf.h>
#include "core/slice.h"
#include "symbols/symbols.h"

enum { FG__BUILD_ID_MAX = 32, FG__SEGMENTS_MAX = 32 };

/* ---- tables of symbols --------------------------------------------------------------------------------- */

typedef struct fg__symbol {
    uint64_t start, end; /* [start, end); end 0 until the table is sorted: up to the next one */
    const char *name;    /* as the linker has it; lives as long as its table */
    uint32_t n;          /* bytes of the name */
    uint32_t frame;      /* FG__NONE: not made yet */
    uint32_t rank;       /* of names for the same address, the highest is taken … */
    uint32_t order;      /* … then the last one: set when it is added */
} fg__symbol;

typedef struct fg__symbol_table {
    fg__symbol *symbols;
    size_t count, cap;
} fg__symbol_table;

int fg__symbol_table_add(fg_ctx *ctx, fg__symbol_table *table, const fg__symbol *symbol);
/* Sort by address, take the best name for each, close the gaps of those without a size. */
void fg__symbol_table_sort(fg__symbol_table *table);
/* The symbol that contains the address, or NULL. */
fg__symbol *fg__symbol_table_find(const fg__symbol_table *table, uint64_t address);

/* ---- modules ------------------------------------------------------------------------------------------- */

/* What is known of a file before it is opened. */
typedef struct fg__identity {
    uint8_t build_id[FG__BUILD_ID_MAX];
    size_t build_id_size; /* 0: not known */
    uint32_t major, minor;
    uint64_t inode; /* 0: not known */
} fg__identity;

/* An ELF file in memory. */
typedef struct fg__elf {
    Elf *elf;
    void *bytes;
    size_t size;
    bool mapped; /* else allocated, as what is unpacked from .gnu_debugdata */
} fg__elf;

typedef enum fg__module_state {
    FG__MODULE_UNTRIED,
    FG__MODULE_OPEN,
    FG__MODULE_MISSING,  /* there is no such file, or it is not to be read */
    FG__MODULE_REPLACED, /* the file is not the one that was mapped */
    FG__MODULE_NOT_ELF
} fg__module_state;

typedef enum fg__module_kind_of {
    FG__MODULE_FILE,
    FG__MODULE_KERNEL,
    FG__MODULE_JIT,
    FG__MODULE_ANONYMOUS /* memory that is no file and has no code of a JIT: "[heap]", "[stack]" */
} fg__module_kind_of;

typedef struct fg__module {
    fg__symbols *symbols;
    fg__module_kind_of is;
    char *path; /* as the process that maps it sees it */
    fg__identity identity;
    uint32_t pid;        /* a process that maps it; 0: none that can be looked at */
    bool live;           /* that process runs, and the pid is still its */
    uint64_t start, end; /* and where: the name of a file in /proc/PID/map_files */
    fg__module_state state;
    bool said_deleted;

    fg__elf elf;    /* what is mapped */
    fg__elf debug;  /* its separate file of debug information, if any */
    fg__elf packed; /* what was in .gnu_debugdata, if it was needed */
    bool debug_tried;
    struct {
        uint64_t offset, size, address;
        bool code;
    } segments
        [FG__SEGMENTS_MAX]; /* that can be loaded: where file offsets are in the module's own addresses */
    size_t segment_count;
    bool go;

    bool table_read;
    fg__symbol_table table; /* empty for the kernel: fg__kernel_find */
    fg__arena names;        /* of symbols whose names are in no file */
    bool dwarf_tried;
    struct fg__dwarf *dwarf;
    bool cfi_tried;
    struct fg__cfi *cfi;

    struct fg__jit_line *lines; /* where a JIT's code comes from, by address */
    size_t line_count, line_cap;
    uint32_t generation; /* of its table: a JIT's is read again */

    uint64_t asked; /* places in it that were asked for */
} fg__module;

/* Open it and see that it is what was mapped; the module's state says how that went. */
int fg__module_open(fg__module *m);
/* The module's own address of a byte of its file. */
uint64_t fg__module_address(const fg__module *m, uint64_t offset);
/* Read the tables of symbols, once. */
int fg__module_read_table(fg__module *m);
/* The value of any symbol, data included, by its name. False: there is none. */
bool fg__module_symbol(uint64_t *address, uint64_t *size, fg__module *m, const char *name);
void fg__module_close(fg__module *m);

/* ELF: false where there is none. */
bool fg__elf_open_fd(fg__elf *out, int fd, uint64_t size);
bool fg__elf_open_memory(fg__elf *out, fg_ctx *ctx, const void *bytes, size_t n);
void fg__elf_close(fg_ctx *ctx, fg__elf *elf);
size_t fg__elf_build_id(uint8_t *out, Elf *elf);
/* A section by its name: its bytes (decompressed) and address. False: there is none. */
typedef struct fg__section {
    const uint8_t *bytes;
    size_t n;
    uint64_t address, offset;
} fg__section;
bool fg__elf_section(fg__section *out, Elf *elf, const char *name);
/* Add the functions of .symtab (or, `dynamic`, of .dynsym and the stubs of .plt) and how many to *added. */
bool fg__elf_symbol_named(uint64_t *address, uint64_t *size, Elf *elf, const char *name);
int fg__elf_symbols(fg__symbol_table *table, size_t *added, fg__module *m, Elf *elf, bool dynamic);
/* Open m->debug, the separate file with symbols and DWARF, once: looked for by build id and .gnu_debuglink. */
void fg__separate_open(fg__module *m);
/* Unpack m->packed, the small table of symbols that some distributions put into .gnu_debugdata. */
void fg__debugdata_open(fg__module *m);

/* ---- DWARF --------------------------------------------------------------------------------------------- */

/* If the file's DWARF is compressed: what is needed of it, decompressed, as a file of its own. False: use the file. */
bool fg__dwarf_image(fg__elf *out, Elf *elf);

/* A call that was inlined, or the function itself. */
typedef struct fg__call {
    const char *name; /* as the linker has it; NULL: the symbol's own */
    const char *file; /* NULL: not known */
    uint32_t line;
} fg__call;

/* The calls at an address of the module, innermost first, the function itself the last; *n 0: nothing is known. */
int fg__dwarf_calls(const fg__call **calls, size_t *n, fg__module *m, uint64_t address);
void fg__dwarf_free(fg_ctx *ctx, struct fg__dwarf *dwarf);

/* ---- call frame information ---------------------------------------------------------------------------- */

void fg__cfi_free(fg_ctx *ctx, struct fg__cfi *cfi);

/* ---- spaces -------------------------------------------------------------------------------------------- */

typedef struct fg__area {
    uint64_t start, end, offset;
    fg__module *module;
} fg__area;

struct fg__space {
    fg__symbols *symbols;
    uint32_t pid;
    bool live, jit_read;
    fg__area *areas; /* by address; they do not overlap */
    size_t count, cap, last;
    fg__module *jit;  /* NULL: none yet */
    fg__buffer dumps; /* paths of the jitdump files that it has mapped, each with its NUL */
};

/* The area that contains the address, or NULL. */
const fg__area *fg__space_area(const fg__space *space, uint64_t address);
/* The module of the space's JITs, made when first asked for. NULL: no memory. */
fg__module *fg__space_jit(fg__space *space);

/* A place in the source of a JIT's code, from this address on. */
typedef struct fg__jit_line {
    uint64_t address;
    const char *file; /* in the module's arena */
    uint32_t line, order;
} fg__jit_line;
const fg__jit_line *fg__jit_line_at(const fg__module *m, uint64_t address, uint64_t function);

/* ---- all of it ----------------------------------------------------------------------------------------- */

/* (module, address in it) and its frames: frames[from … from + count) of fg__symbols. */
typedef struct fg__place {
    fg__module *module;
    uint64_t address;
    uint32_t generation, from, count;
} fg__place;

struct fg__symbols {
    fg_ctx *ctx;
    fg_profile *profile;
    fg__symbols_options options;

    fg__module **modules;
    size_t module_count, module_cap;
    fg__table module_index; /* by path */
    fg__space **spaces;
    size_t space_count, space_cap;
    fg__module *kernel;
    fg__identity kernel_identity; /* what is known of the kernel whose addresses these are */
    uint64_t kernel_text;         /* where it had its symbol _text; 0: where it is now */
    struct fg__kernel *kernel_tables;
    enum { FG__KERNEL_SHOWN, FG__KERNEL_HIDDEN, FG__KERNEL_OTHER } kernel_is;

    fg__place *places;
    size_t place_count, place_cap;
    fg__table place_index;
    uint32_t *frames;
    size_t frame_count, frame_cap;
    uint32_t one;           /* room for the answer that is no place */
    fg__buffer name, plain; /* scratch */
};

/* The module for a mapping: one that is known already, or a new one. NULL: no memory. */
fg__module *fg__symbols_module(fg__symbols *s, fg__module_kind_of is, const fg__mapping *mapping,
                               const fg__space *space);
int fg__symbols_kernel(fg__module **out, fg__symbols *s);
/* The kernel's function at an address; its module has brackets, "[nf_tables]", and is empty for the kernel itself. */
typedef struct fg__kernel_function {
    bool found;
    fg__symbol symbol;
    fg__slice module;
} fg__kernel_function;
int fg__kernel_find(fg__kernel_function *out, fg__symbols *s, uint64_t address);
void fg__kernel_free(fg_ctx *ctx, struct fg__kernel *kernel);
/* The text of a file of /proc, which has no length before it is read. The caller frees out->bytes. */
int fg__read_text(fg__buffer *out, fg_ctx *ctx, const char *path, size_t most);

/* Put the demangled name into `out`; false: it is not mangled. *rust is set to whether it is Rust's. */
bool fg__demangle(fg_ctx *ctx, fg__buffer *out, const char *name, bool *rust);

#endif
