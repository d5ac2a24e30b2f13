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
#include "poor.h"

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

/* Start an op on a loop of its own and wait for it, with the first, the second, … allocation failing; each
 * time it has to end with FG_ENOMEM, until there are enough of them. */
__attribute__((unused)) static void fail_each_allocation(int (*begin)(fg__op **out, fg__loop *on)) {
    int code = FG_ENOMEM;
    for (long n = 1; code; n++) {
        long left = n;
        fg_ctx *poor = fg_ctx_new_with(failing_alloc, &left);
        fg__loop *on = NULL;
        fg__op *op = NULL;
        code = fg__loop_new(&on, poor);
        if (!code) code = begin(&op, on);
        while (op && !fg__op_finished(op)) fg__loop_step(on, 10);
        if (op) code = fg__op_code(op);
        if (code != FG_ENOMEM && code != 0) fail_msg("%s: %s", fg_error_name(code), fg__op_message(op));
        assert_true(code || n > 2);
        fg__op_release(op);
        fg__loop_free(on);
        fg_ctx_free(poor);
    }
}

#define assert_contains(text, part)                                                                          \
    do {                                                                                                     \
        if (!strstr(text, part)) fail_msg("\"%s\" does not contain \"%s\"", text, part);                     \
    } while (0)

#endif
