/* The allocator of contexts that are not given one. */
#ifndef FG_MEMORY_H
#define FG_MEMORY_H

#include "core/core.h"

/* An fg_alloc_fn; `user` is not used. */
void *fg__default_alloc(void *user, void *ptr, size_t size);
/* Whether a new block of this size is all zeros. */
bool fg__default_zeroed(size_t size);

#endif
