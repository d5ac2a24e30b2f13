/*
 * The functions that give and take memory. Which of them a program calls is its allocator's business; what matters is
 * that each block is counted once:
 *
 *   two names, one function      aligned_alloc and memalign in glibc: one probe
 *   realloc(NULL, n) → malloc    glibc; so for alignments up to 16: the call that it ends in is the one to count
 *   calloc → malloc, …           musl: malloc and free alone are looked at
 *   operator new → malloc        with libc; allocators of their own have an operator new that gives memory itself
 */
#include "sample/malloc.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NO = FG__NO_ARGUMENT, AX = FG__AX, DX = FG__DX, SI = FG__SI, DI = FG__DI, MALLOC_ALIGNMENT = 16 };

/* The first ones are those of libc, and what is last is of allocators that bring C++'s and further ones along. */
static const fg__malloc_function functions[] = {
    {"malloc", DI, NO, NO, NO, NO},
    {"free", NO, NO, NO, DI, NO},
    {"calloc", DI, SI, NO, NO, NO},
    {"realloc", SI, NO, NO, DI, NO},
    {"posix_memalign", DX, NO, SI, NO, DI},
    {"aligned_alloc", SI, NO, DI, NO, NO},
    {"memalign", SI, NO, DI, NO, NO},
    {"valloc", DI, NO, NO, NO, NO},
    {"pvalloc", DI, NO, NO, NO, NO},
    {"cfree", NO, NO, NO, DI, NO},
    {"_Znwm", DI, NO, NO, NO, NO},
    {"_Znam", DI, NO, NO, NO, NO},
    {"_ZnwmRKSt9nothrow_t", DI, NO, NO, NO, NO},
    {"_ZnamRKSt9nothrow_t", DI, NO, NO, NO, NO},
    {"_ZnwmSt11align_val_t", DI, NO, NO, NO, NO},
    {"_ZnamSt11align_val_t", DI, NO, NO, NO, NO},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", DI, NO, NO, NO, NO},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", DI, NO, NO, NO, NO},
    {"_ZdlPv", NO, NO, NO, DI, NO},
    {"_ZdaPv", NO, NO, NO, DI, NO},
    {"_ZdlPvm", NO, NO, NO, DI, NO},
    {"_ZdaPvm", NO, NO, NO, DI, NO},
    {"_ZdlPvRKSt9nothrow_t", NO, NO, NO, DI, NO},
    {"_ZdaPvRKSt9nothrow_t", NO, NO, NO, DI, NO},
    {"_ZdlPvSt11align_val_t", NO, NO, NO, DI, NO},
    {"_ZdaPvSt11align_val_t", NO, NO, NO, DI, NO},
    {"_ZdlPvmSt11align_val_t", NO, NO, NO, DI, NO},
    {"_ZdaPvmSt11align_val_t", NO, NO, NO, DI, NO},
    {"mallocx", DI, NO, NO, NO, NO},
    {"rallocx", SI, NO, NO, DI, NO},
    {"dallocx", NO, NO, NO, DI, NO},
    {"sdallocx", NO, NO, NO, DI, NO},
};
enum { COUNT = sizeof functions / sizeof *functions, OF_LIBC = 10, OF_MUSL = 2 };
_Static_assert((int)COUNT <= (int)FG__MALLOC_FUNCTIONS, "each has its place");

/*
 * Where malloc may be, the one that is in use first. `module`: a library; NULL: any, where it has the function `sign` as
 * well. What is linked into a program comes before its libc.
 */
static const struct {
    const char *module, *prefix, *sign;
    size_t functions;
    fg__nesting nesting;
} allocators[] = {
    {"libjemalloc.so.2", "", NULL, COUNT, FG__NESTS_NEVER},
    {"libtcmalloc.so.4", "", NULL, COUNT, FG__NESTS_NEVER},
    {"libtcmalloc_minimal.so.4", "", NULL, COUNT, FG__NESTS_NEVER},
    {"libmimalloc.so.2", "", NULL, COUNT, FG__NESTS_NEVER},
    {NULL, "_rjem_", "_rjem_mallctl", COUNT, FG__NESTS_NEVER},
    {NULL, "", "mallctl", COUNT, FG__NESTS_NEVER},
    {NULL, "", "tc_malloc", COUNT, FG__NESTS_NEVER},
    {NULL, "", "mi_malloc", COUNT, FG__NESTS_NEVER},
    {"libc.so.6", "", NULL, OF_LIBC, FG__NESTS_GLIBC},
    {"ld-musl-x86_64.so.1", "", NULL, OF_MUSL, FG__NESTS_MUSL},
    {NULL, "", "__libc_malloc_impl", OF_MUSL, FG__NESTS_MUSL},
    {NULL, "", "malloc", OF_LIBC, FG__NESTS_GLIBC},
};

static bool is_known(const fg__allocator *a, uint64_t entry) {
    for (size_t i = 0; i < a->n; i++)
        if (a->found[i].entry == entry) return true;
    return false;
}

static bool find_function(uint64_t *entry, fg__space *space, size_t allocator, const char *function) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", allocators[allocator].prefix, function);
    return fg__space_symbol(entry, space, allocators[allocator].module, name);
}

static void add(fg__allocator *a, fg__space *space, size_t allocator, const fg__malloc_function *f) {
    uint64_t entry;
    if (!find_function(&entry, space, allocator, f->name) || is_known(a, entry)) return;
    a->throws |= strncmp(f->name, "_Znw", 4) == 0;
    a->found[a->n].function = f;
    a->found[a->n++].entry = entry;
}

bool fg__malloc_find(fg__allocator *out, fg__space *space) {
    uint64_t at;
    for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++) {
        const char *sign = allocators[i].sign;
        if (sign && !fg__space_symbol(&at, space, NULL, sign)) continue;
        if (!find_function(&at, space, i, functions[0].name)) continue;
        *out = (fg__allocator){.nesting = allocators[i].nesting, .module = allocators[i].module};
        for (size_t k = 0; k < allocators[i].functions; k++) add(out, space, i, &functions[k]);
        return true;
    }
    return false;
}

/* Its messages begin with that, whoever has built it. */
bool fg__malloc_hides_jemalloc(uint64_t pid) {
    static const char mark[] = "<jemalloc>: ";
    char path[64];
    struct stat is;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%llu/exe", (unsigned long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    if (fstat(fd, &is) == 0 && is.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        found = bytes != MAP_FAILED && memmem(bytes, (size_t)is.st_size, mark, sizeof mark - 1);
        if (bytes != MAP_FAILED) munmap(bytes, (size_t)is.st_size);
    }
    close(fd);
    return found;
}

int fg__malloc_hidden(fg_ctx *ctx, uint64_t pid) {
    return fg__fail(ctx, FG_EUNSUPPORTED,
                    "process %llu has jemalloc linked in, but its symbols were stripped, so that none of its "
                    "functions can be found: build it with its symbol table (strip --strip-debug, or in "
                    "Cargo.toml strip = \"debuginfo\"), install its separate debug file, or let it serve its "
                    "heap profile over HTTP and give --url",
                    (unsigned long long)pid);
}

const fg__malloc_function *fg__malloc_at(const fg__allocator *a, uint64_t ip) {
    for (size_t i = 0; i < a->n; i++)
        if (a->found[i].entry == ip) return a->found[i].function;
    return NULL;
}

bool fg__malloc_gives(const fg__malloc_function *f) {
    return f->size != NO;
}

uint64_t fg__malloc_register(uint64_t mask, const uint64_t *registers, int which) {
    return registers[__builtin_popcountll(mask & ((UINT64_C(1) << which) - 1))];
}

fg__malloc_call fg__malloc_arguments(const fg__allocator *a, const fg__malloc_function *f, uint64_t mask,
                                     const uint64_t *registers) {
    uint64_t values[5] = {0, 1, 0, 0, 0};
    const int8_t places[5] = {f->size, f->times, f->alignment, f->old, f->pointer};
    for (int i = 0; i < 5; i++)
        if (places[i] != NO) values[i] = fg__malloc_register(mask, registers, places[i]);
    fg__malloc_call call = {.old = values[3], .pointer = values[4], .counts = fg__malloc_gives(f)};
    if (__builtin_mul_overflow(values[0], values[1], &call.size) || call.size > FG__MOST_BYTES)
        call.counts = false;
    bool elsewhere = f->old != NO ? !call.old : f->alignment != NO && values[2] <= MALLOC_ALIGNMENT;
    if (a->nesting == FG__NESTS_GLIBC && elsewhere) call.counts = false;
    if (f->old != NO && call.old && !call.size) call.counts = false; /* realloc to nothing is free */
    return call;
}
