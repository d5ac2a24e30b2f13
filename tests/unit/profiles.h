/* Small profiles for the unit tests: made from "a;b;c", shown as sorted text. Each test program has one
 * context. */
#ifndef PROFILES_H
#define PROFILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/core.h"
#include "poor.h"

static fg_ctx *ctx;

__attribute__((unused)) static int open_ctx(void **state) {
    (void)state;
    return (ctx = fg_ctx_new()) ? 0 : -1;
}

__attribute__((unused)) static int close_ctx(void **state) {
    (void)state;
    fg_ctx_free(ctx);
    return 0;
}

__attribute__((unused)) static fg_profile *new_profile(const char *type, const char *unit) {
    fg_profile *p;
    assert_int_equal(fg_profile_new(&p, ctx), 0);
    assert_int_equal(fg_profile_add_type(p, type, unit), 0);
    return p;
}

/* add(p, "a;b;c", 3) */
__attribute__((unused)) static void add(fg_profile *p, const char *stack, int64_t value) {
    uint32_t frames[64];
    size_t n = 0;
    char text[256], *save;
    snprintf(text, sizeof text, "%s", stack);
    for (char *name = strtok_r(text, ";", &save); name; name = strtok_r(NULL, ";", &save)) {
        fg_frame frame = {.name = name};
        assert_int_equal(fg_profile_frame(&frames[n++], p, &frame), 0);
    }
    int64_t values[FG_MAX_TYPES] = {value};
    assert_int_equal(fg_profile_add(p, frames, n, values), 0);
}

static inline int compare_lines(const void *a, const void *b) {
    return strcmp(a, b);
}

/* The stacks as sorted lines, "a;b 3\n…", a number for each column. Valid until the next call. */
__attribute__((unused)) static const char *text_of(const fg_profile *p) {
    static char lines[64][256], all[64 * 256];
    size_t count = fg_profile_stack_count(p);
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        size_t n, at = 0, size = sizeof lines[i];
        const uint32_t *stack = fg_profile_stack(p, i, &n);
        lines[i][0] = '\0';
        for (size_t k = 0; k < n; k++)
            at += (size_t)snprintf(lines[i] + at, size - at, "%s%s", k ? ";" : "",
                                   fg_profile_frame_at(p, stack[k]).name);
        for (size_t t = 0; t < fg_profile_type_count(p); t++)
            at += (size_t)snprintf(lines[i] + at, size - at, " %lld", (long long)fg_profile_value(p, i, t));
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    all[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strcat(all, lines[i]);
        strcat(all, "\n");
    }
    return all;
}

#endif
