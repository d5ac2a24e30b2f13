/* The context: the allocator and the last error message. Nothing in the library is global; this is what
 * stands in. */
#include "core/memory.h"
#include <stdio.h>

enum { MESSAGE_MAX = 2048, ARENA_CHUNK = 64 << 10 };

struct fg_ctx {
    fg_alloc_fn alloc;
    void *user;
    char message[MESSAGE_MAX];
};

fg_ctx *fg_ctx_new_with(fg_alloc_fn alloc, void *user) {
    fg_ctx *ctx = alloc(user, NULL, sizeof *ctx);
    if (!ctx) return NULL;
    memset(ctx, 0, sizeof *ctx);
    ctx->alloc = alloc;
    ctx->user = user;
    return ctx;
}

fg_ctx *fg_ctx_new(void) {
    return fg_ctx_new_with(fg__default_alloc, NULL);
}

fg_ctx *fg__ctx_fork(const fg_ctx *ctx) {
    return fg_ctx_new_with(ctx->alloc, ctx->user);
}

void fg_ctx_free(fg_ctx *ctx) {
    if (ctx) ctx->alloc(ctx->user, ctx, 0);
}

const char *fg_error(const fg_ctx *ctx) {
    return ctx->message[0] ? ctx->message : "no error";
}

const char *fg_version(void) {
    return FG_VERSION;
}

static const char *const error_names[] = {
    [FG_OK] = "OK",
    [-FG_ENOMEM] = "NOMEM",
    [-FG_EINVAL] = "INVAL",
    [-FG_EFORMAT] = "FORMAT",
    [-FG_EEMPTY] = "EMPTY",
    [-FG_ELIMIT] = "LIMIT",
    [-FG_EIO] = "IO",
    [-FG_EUNSUPPORTED] = "UNSUPPORTED",
    [-FG_ENET] = "NET",
    [-FG_EREMOTE] = "REMOTE",
    [-FG_ETIMEOUT] = "TIMEOUT",
    [-FG_EINTERRUPTED] = "INTERRUPTED",
};

const char *fg_error_name(int code) {
    int count = (int)(sizeof error_names / sizeof *error_names);
    return code <= 0 && -code < count ? error_names[-code] : "UNKNOWN";
}

int fg__vfail(fg_ctx *ctx, int code, const char *format, va_list args) {
    char message[MESSAGE_MAX]; /* apart: an argument may be the message that there is */
    vsnprintf(message, sizeof message, format, args);
    memcpy(ctx->message, message, sizeof message);
    return code;
}

int fg__fail(fg_ctx *ctx, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fg__vfail(ctx, code, format, args);
    va_end(args);
    return code;
}

int fg__fail_in(fg_ctx *ctx, int code, const char *format, ...) {
    char prefix[MESSAGE_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    return fg__fail(ctx, code, "%s: %s", prefix, fg_error(ctx));
}

int fg__nomem(fg_ctx *ctx) {
    return fg__fail(ctx, FG_ENOMEM, "out of memory");
}

/* ---- memory -------------------------------------------------------------------------------------------- */

void *fg__realloc(fg_ctx *ctx, void *ptr, size_t size) {
    void *block = ctx->alloc(ctx->user, ptr, size ? size : 1);
    if (!block) fg__nomem(ctx);
    return block;
}

void *fg__alloc(fg_ctx *ctx, size_t size) {
    return fg__realloc(ctx, NULL, size);
}

void *fg__calloc(fg_ctx *ctx, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        fg__nomem(ctx);
        return NULL;
    }
    void *block = fg__alloc(ctx, bytes);
    bool zeroed = ctx->alloc == fg__default_alloc && fg__default_zeroed(bytes);
    if (block && !zeroed) memset(block, 0, bytes);
    return block;
}

uint32_t *fg__no_ids(fg_ctx *ctx, size_t count) {
    uint32_t *ids = fg__alloc(ctx, count * sizeof *ids);
    if (ids) memset(ids, 0xff, count * sizeof *ids);
    return ids;
}

void fg_free(fg_ctx *ctx, void *ptr) {
    if (ptr) ctx->alloc(ctx->user, ptr, 0);
}

int fg__grow_more(fg_ctx *ctx, void *array, size_t *cap, size_t need, size_t elem) {
    size_t wanted = *cap ? *cap : 16, bytes;
    while (wanted < need) {
        if (__builtin_mul_overflow(wanted, 2, &wanted)) return fg__nomem(ctx);
    }
    if (__builtin_mul_overflow(wanted, elem, &bytes)) return fg__nomem(ctx);
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = fg__realloc(ctx, old, bytes);
    if (!grown) return FG_ENOMEM;
    memcpy(array, &grown, sizeof grown);
    *cap = wanted;
    return 0;
}

struct fg__arena_chunk {
    struct fg__arena_chunk *next;
    max_align_t bytes[];
};

void *fg__arena_alloc(fg_ctx *ctx, fg__arena *arena, size_t n) {
    size_t rounded;
    if (__builtin_add_overflow(n, sizeof(void *) - 1, &rounded)) {
        fg__nomem(ctx);
        return NULL;
    }
    rounded &= ~(sizeof(void *) - 1);
    if (!arena->chunk || rounded > arena->size - arena->used) {
        size_t size = rounded > ARENA_CHUNK ? rounded : ARENA_CHUNK;
        if (size > SIZE_MAX - sizeof(struct fg__arena_chunk)) {
            fg__nomem(ctx);
            return NULL;
        }
        struct fg__arena_chunk *chunk = fg__alloc(ctx, sizeof *chunk + size);
        if (!chunk) return NULL;
        chunk->next = arena->chunk;
        arena->chunk = chunk;
        arena->used = 0;
        arena->size = size;
    }
    void *at = (char *)arena->chunk->bytes + arena->used;
    arena->used += rounded;
    return at;
}

char *fg__arena_copy(fg_ctx *ctx, fg__arena *arena, const char *bytes, size_t n) {
    char *copy = n < SIZE_MAX ? fg__arena_alloc(ctx, arena, n + 1) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

void fg__arena_free(fg_ctx *ctx, fg__arena *arena) {
    while (arena->chunk) {
        struct fg__arena_chunk *next = arena->chunk->next;
        fg_free(ctx, arena->chunk);
        arena->chunk = next;
    }
    arena->used = arena->size = 0;
}

int fg__buffer_add(fg_ctx *ctx, fg__buffer *buffer, const void *bytes, size_t n) {
    size_t need;
    if (__builtin_add_overflow(buffer->n, n, &need) || __builtin_add_overflow(need, 1, &need))
        return fg__nomem(ctx);
    int err = fg__grow(ctx, &buffer->bytes, &buffer->cap, need, 1);
    if (err) return err;
    if (n) memcpy(buffer->bytes + buffer->n, bytes, n);
    buffer->n += n;
    buffer->bytes[buffer->n] = '\0';
    return 0;
}
