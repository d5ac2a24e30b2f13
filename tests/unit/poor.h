/* Memory that runs out: each allocation of what is tested fails in turn, which has to be an error and leave nothing
 * behind (the sanitizer sees to that). */
#ifndef POOR_H
#define POOR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/core.h"

/* An allocator for fg_ctx_new_with: it fails once the `long` at `user` has been counted down. */
__attribute__((unused)) static void *failing_alloc(void *user, void *ptr, size_t size) {
    long *left = user;
    if (size == 0) {
        free(ptr);
        return NULL;
    }
    return (*left)-- > 0 ? realloc(ptr, size) : NULL;
}

/* Read a file with ever more memory, until there is enough. Gives how many allocations that takes. */
__attribute__((unused)) static long read_poorly(const void *bytes, size_t n, const fg_read_options *options) {
    int err = FG_ENOMEM;
    long allowed = 0;
    while (err) {
        long left = ++allowed;
        fg_ctx *poor = fg_ctx_new_with(failing_alloc, &left);
        if (!poor) continue;
        fg_profile *p = NULL;
        err = fg_parse(&p, poor, bytes, n, options);
        if (err && err != FG_ENOMEM) fail_msg("%s", fg_error(poor));
        fg_profile_free(p);
        fg_ctx_free(poor);
    }
    return allowed;
}

#endif
