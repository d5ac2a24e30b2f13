/*
 * The window: copies of the places in the target that the last samples needed. Samples of one program resemble each
 * other, so all of these are copied anew in one system call when the next one begins. What was not foreseen is read on
 * the way, microseconds later, and belongs to the window from then on: for as long as KEPT samples do without it, since
 * a function that is entered every other sample would else never be read in one piece.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "sample/python.h"

enum { MOST_REGIONS = 8192, WINDOW_SIZE = 8 << 20, BATCH = 128, KEPT = 32 };

/* Pages that are not touched cost nothing, unless they are huge: to clear one of these takes as long as some samples. */
static uint8_t *make_window(void) {
    void *bytes = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) return NULL;
    (void)madvise(bytes, WINDOW_SIZE, MADV_NOHUGEPAGE); /* advice: failing changes nothing */
    return bytes;
}

int py_memory_open(py_memory *m, fg_ctx *ctx, pid_t pid) {
    *m = (py_memory){.ctx = ctx, .pid = pid};
    m->regions = fg__alloc(ctx, MOST_REGIONS * sizeof *m->regions);
    m->bytes = m->regions ? make_window() : NULL;
    if (m->bytes) return 0;
    py_memory_close(m);
    return fg__nomem(ctx);
}

void py_memory_close(py_memory *m) {
    fg_free(m->ctx, m->regions);
    if (m->bytes) munmap(m->bytes, WINDOW_SIZE);
    m->regions = NULL;
    m->bytes = NULL;
}

/* An address that user memory can have; the kernel would refuse others as well, but with the whole call. */
static bool plausible(uint64_t address, size_t size) {
    return address >= 4096 && address < (1ull << 56) && size <= WINDOW_SIZE;
}

bool py_memory_read(py_memory *m, uint64_t address, void *out, size_t size) {
    if (!plausible(address, size)) return false;
    struct iovec here = {out, size},
                 there = {(void *)(uintptr_t)address, size}; // NOLINT: an address of the target
    ssize_t n = process_vm_readv(m->pid, &here, 1, &there, 1, 0);
    if (n == (ssize_t)size) return true;
    m->error = n < 0 ? errno : EFAULT;
    return false;
}

/* Keep what was used lately, each with its place in the buffer. */
static void compact(py_memory *m) {
    size_t kept = 0;
    m->filled = 0;
    for (size_t i = 0; i < m->count; i++) {
        py_region *r = &m->regions[i];
        if (r->unused > KEPT || !r->size) continue;
        m->regions[kept] = (py_region){r->address, r->size, (uint32_t)m->filled, (uint8_t)(r->unused + 1)};
        m->filled += (r->size + 15u) & ~15u;
        kept++;
    }
    m->count = kept;
    m->hint = 0;
}

/* Copy regions first … first + n - 1. Returns how many of them were copied whole before one was not. */
static size_t copy(py_memory *m, size_t first, size_t n) {
    struct iovec here[BATCH], there[BATCH];
    for (size_t i = 0; i < n; i++) {
        const py_region *r = &m->regions[first + i];
        here[i] = (struct iovec){m->bytes + r->at, r->size};
        there[i] = (struct iovec){(void *)(uintptr_t)r->address, r->size};
    }
    ssize_t got = process_vm_readv(m->pid, here, n, there, n, 0);
    if (got < 0) {
        m->error = errno;
        return 0;
    }
    size_t whole = 0;
    while (whole < n && got >= (ssize_t)here[whole].iov_len) got -= (ssize_t)here[whole++].iov_len;
    return whole;
}

void py_memory_refresh(py_memory *m) {
    compact(m);
    m->error = 0;
    for (size_t first = 0; first < m->count && m->error != ESRCH;) {
        size_t n = m->count - first < BATCH ? m->count - first : BATCH;
        size_t whole = copy(m, first, n);
        first += whole;
        if (whole < n) m->regions[first++].size = 0; /* it is not there any more */
    }
}

static const uint8_t *add(py_memory *m, uint64_t address, size_t size) {
    if (m->count == MOST_REGIONS || size > WINDOW_SIZE - m->filled) {
        m->error = ENOMEM;
        return NULL;
    }
    uint8_t *bytes = m->bytes + m->filled;
    if (!py_memory_read(m, address, bytes, size)) return NULL;
    m->regions[m->count++] = (py_region){address, (uint32_t)size, (uint32_t)m->filled, 0};
    m->filled += (size + 15u) & ~(size_t)15u;
    if (m->filled > WINDOW_SIZE) m->filled = WINDOW_SIZE;
    return bytes;
}

const uint8_t *py_memory_get(py_memory *m, uint64_t address, size_t size) {
    for (size_t k = 0, i = m->hint; k < m->count; k++, i++) {
        if (i >= m->count) i = 0;
        py_region *r = &m->regions[i];
        if (address < r->address || size > r->size || address - r->address > r->size - size) continue;
        r->unused = 0;
        m->hint = i;
        return m->bytes + r->at + (address - r->address);
    }
    return add(m, address, size);
}
