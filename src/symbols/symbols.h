/*
 * symbols: addresses to names, and stacks to addresses. It uses core, libelf, libdw, and libiberty's demangler.
 *
 *   symbols.c   modules, and frames made of their symbols      module.c    files: found, opened, known by build id
 *   space.c     what is mapped where in a process              elf.c       one pass over each table of symbols
 *   proc.c      /proc/PID/maps                                 separate.c  separate files of debug information
 *   kernel.c    which kernel; kallsyms.c: its symbols          dwarf.c     inlined calls, lines: skim.c, image.c
 *   jit.c       perf maps and jitdump files                    demangle.c  C++ and Rust; names.c: made fit to be read
 *   unwind.h    a copy of a stack to addresses: cfi.c, unwind.c, expression.c
 *
 *      address ──space──▶ mapping ──▶ module + its own address ──▶ symbol ──▶ frames of the profile, innermost first
 *
 * An fg__symbols makes frames for one profile and owns everything else here. Modules are shared by the spaces that map
 * them; an address in a module becomes frames once. Nothing is read of a file before an address in it is asked for,
 * save that the files of a living process are opened when they are mapped: it may end, and its folders with it.
 *
 * What cannot be named is never guessed: "[libc.so.6]" is a place in a module without a symbol, "[unknown]" one in no
 * module. A file that is not the one which was mapped (another build id; where none is known, another inode) gives no
 * names; fg__symbols_notes says so.
 */
#ifndef FG_SYMBOLS_H
#define FG_SYMBOLS_H

#include "core/core.h"

typedef struct fg__symbols fg__symbols;
typedef struct fg__space fg__space;

/* How frames are made. Zero: one frame for each function, demangled. */
typedef struct fg__symbols_options {
    bool inlined;   /* calls that the compiler inlined are frames, by DWARF: dearer */
    bool lines;     /* frames have the source file and line of the address, by DWARF: dearer */
    bool mangled;   /* names as the linker has them */
    bool addresses; /* what has no symbol bears its address as well: "[libc.so.6 <7f3a>]" */
} fg__symbols_options;

/*
 * `profile` gets the frames; NULL: there will be none to make (only fg__space_symbol and unwinding). It has to outlive
 * the symbols. The caller frees *out, which frees its spaces.
 */
int fg__symbols_new(fg__symbols **out, fg_ctx *ctx, fg_profile *profile, const fg__symbols_options *options);
/* NULL is accepted. */
void fg__symbols_free(fg__symbols *symbols);
/*
 * Which kernel the addresses are of, where it is not the one that runs here and now: its build id (size 0: not known)
 * and where it had its symbol _text (0: not known).
 */
void fg__symbols_set_kernel(fg__symbols *symbols, const uint8_t *build_id, size_t size, uint64_t text);
/* What a recording says of code that the kernel has made as it ran, a BPF program's for example. */
int fg__symbols_kernel_code(fg__symbols *symbols, uint64_t address, uint64_t size, const char *name,
                            size_t n);
/* Add to the profile, as notes, what kept addresses from having names: call it once, behind the last address. */
int fg__symbols_notes(fg__symbols *symbols);

/* ---- spaces: what is mapped where in a process --------------------------------------------------------- */

/* A file mapped into memory. Only what can be executed matters here. */
typedef struct fg__mapping {
    uint64_t start, end; /* [start, end) */
    uint64_t offset;     /* in the file, in bytes */
    const char *path;    /* as the process sees it; "[vdso]", "//anon" and the like are no files */
    const uint8_t *build_id;
    size_t build_id_size; /* 0: not known */
    uint32_t major, minor;
    uint64_t inode; /* 0: not known */
} fg__mapping;

/*
 * An empty space. `pid` (as seen from here) is used to find files through /proc/PID and perf maps; 0: a process that
 * cannot be looked at, as one of a recording from elsewhere. `live`: it runs now, so that files are opened as soon as
 * they are mapped. Owned by the symbols.
 */
int fg__space_new(fg__space **out, fg__symbols *symbols, uint32_t pid, bool live);
/* The same mappings for another process: a fork. */
int fg__space_copy(fg__space **out, fg__space *from, uint32_t pid);
/* Map what /proc/PID/maps says. FG_EIO: no such process, or not to be looked at. */
int fg__space_read(fg__space *space);
/* Map one file; it replaces what was there before. */
int fg__space_map(fg__space *space, const fg__mapping *mapping);
/* Forget all mappings: the process has executed another program. */
void fg__space_clear(fg__space *space);
/*
 * Look for code that a JIT has described: /tmp/perf-PID.map in the process's own mount namespace and by its own pid,
 * and jit-PID.dump files that it has mapped. fg__space_frames does so by itself, once, at the first address that is in
 * no file; call it earlier for a process that may end, and again for code that is new since.
 */
int fg__space_read_jit(fg__space *space);

/* ---- names --------------------------------------------------------------------------------------------- */

/*
 * The frames at an address, innermost first (several only with `inlined`); *n is at least 1. `returning`: the address
 * is where a call returns to, so the call is before it (all but the innermost of a stack, unless interrupted there).
 * Valid until the next call. Kernel addresses are looked up in /proc/kallsyms.
 */
int fg__space_frames(const uint32_t **frames, size_t *n, fg__space *space, uint64_t address, bool returning);
/* Where a symbol of a mapped module is in memory. `module`: how the path ends ("/libpython3.11.so.1.0"); NULL: any. */
bool fg__space_symbol(uint64_t *address, fg__space *space, const char *module, const char *name);
/* The same, and how many bytes it has by its table; 0: that does not say. */
bool fg__space_sized(uint64_t *address, uint64_t *size, fg__space *space, const char *module,
                     const char *name);
/* Whether something that can be executed is mapped there. */
bool fg__space_mapped(const fg__space *space, uint64_t address);
/* The kernel's half of the address space. */
static inline bool fg__is_kernel_address(uint64_t address) {
    return address >> 63;
}

#endif
