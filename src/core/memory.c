/*
 * The allocator that a context has unless it is given another one. Small blocks are malloc's. Large ones are mappings of
 * their own, in whole huge pages: they grow without being copied, are given back when they are freed, and cost one page
 * fault for 2 MiB. With malloc alone, page faults and copies were a quarter of the time of reading a large profile.
 *
 *      [ header | block … ]        the header has what realloc needs to know
 */
#include "core/memory.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };
#ifdef FG_SANITIZED
static const size_t large = SIZE_MAX; /* the sanitizer sees what is done to malloc's blocks only */
#else
static const size_t large = HUGE_PAGE;
#endif

typedef union header {
    struct {
        size_t size;   /* of the block */
        size_t mapped; /* of the mapping, 0: from malloc */
    };
    max_align_t alignment;
} header;

/* `length` bytes of address space that begin at a multiple of HUGE_PAGE, a multiple of HUGE_PAGE long. */
static void *reserve(size_t length) {
    char *at = mmap(NULL, length + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return NULL;
    size_t before = -(uintptr_t)at % HUGE_PAGE;
    if (before) munmap(at, before);
    munmap(at + before + length, HUGE_PAGE - before);
    return at + before;
}

static header *map_block(size_t length) {
    void *at = reserve(length);
    if (at) (void)madvise(at, length, MADV_HUGEPAGE); /* advice: failing changes nothing */
    return at;
}

/* Pages move, bytes do not: to a place that is aligned too, so that huge pages stay whole. */
static header *move_block(header *old, size_t length) {
    void *to = reserve(length);
    if (!to) return NULL;
    void *moved = mremap(old, old->mapped, length, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    if (moved != MAP_FAILED) return moved;
    munmap(to, length);
    return NULL;
}

static header *resize_mapping(header *old, size_t length) {
    if (length == old->mapped) return old;
    if (length < old->mapped) {
        munmap((char *)old + length, old->mapped - length);
        return old;
    }
    return move_block(old, length);
}

static void release(header *old) {
    if (old && old->mapped)
        munmap(old, old->mapped);
    else
        free(old);
}

/* From the heap to a mapping or back. */
static header *copy_block(header *old, header *to, size_t size) {
    if (to && old) {
        memcpy(to + 1, old + 1, old->size < size ? old->size : size);
        release(old);
    }
    return to;
}

bool fg__default_zeroed(size_t size) {
    return size >= large; /* a mapping of its own */
}

void *fg__default_alloc(void *user, void *ptr, size_t size) {
    (void)user;
    header *old = ptr ? (header *)ptr - 1 : NULL, *block;
    if (size == 0) {
        release(old);
        return NULL;
    }
    if (size > PTRDIFF_MAX - 2 * (size_t)HUGE_PAGE) return NULL;
    size_t length = size < large ? 0 : (size + sizeof *block + HUGE_PAGE - 1) & ~((size_t)HUGE_PAGE - 1);
    size_t mapped = old ? old->mapped : 0;
    if (length && mapped)
        block = resize_mapping(old, length);
    else if (length)
        block = copy_block(old, map_block(length), size);
    else if (mapped)
        block = copy_block(old, malloc(sizeof *block + size), size);
    else
        block = realloc(old, sizeof *block + size);
    if (!block) return NULL;
    block->size = size;
    block->mapped = length;
    return block + 1;
}
