/* A loop for each test, made and freed around it; the address sanitizer sees what is left behind. */
#ifndef LOOPS_H
#define LOOPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "sys/sys.h"

static fg_ctx *ctx;
static fg__loop *loop;

__attribute__((unused)) static int open_loop(void **state) {
    (void)state;
    ctx = fg_ctx_new();
    return ctx ? fg__loop_new(&loop, ctx) : -1;
}

__attribute__((unused)) static int close_loop(void **state) {
    (void)state;
    fg__loop_free(loop);
    loop = NULL;
    fg_ctx_free(ctx);
    return 0;
}

/* Step until the op has finished; returns its code. */
__attribute__((unused)) static int wait_for(const fg__op *op) {
    double start = fg__loop_now();
    while (!fg__op_finished(op)) {
        assert_true(fg__loop_now() - start < 30);
        fg__loop_step(loop, 1);
        while (fg__loop_take(loop)) {}
    }
    return fg__op_code(op);
}

#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        if (!strstr(text, part)) fail_msg("\"%s\" does not contain \"%s\"", text, part);                     \
    } while (0)

#endif
