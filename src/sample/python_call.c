/*
 * Code for a running CPython. What it leaves behind is nothing: the memory that the code was handed over in is unmapped
 * when the answer is there.
 *
 * A pending call that was never made stays in the interpreter's list, and its memory with it: the code that it finds
 * there later knows that its time is over.
 */
#include "sample/python_call.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "sys/remote.h"
#include "sys/sys.h"

enum { ANSWER_MAX = 1 << 30, CALL_SECONDS = 2 };

static const char *const folders[] = {"/tmp", "/var/tmp", "/dev/shm"};

/* ---- the interpreter ----------------------------------------------------------------------------------- */

int fg__python_find(fg__python *out, fg_ctx *ctx, uint64_t pid) {
    fg__python found = {.pid = pid};
    const struct {
        const char *name;
        uint64_t *at;
    } functions[] = {
        {"Py_AddPendingCall", &found.add_pending_call}, {"PyRun_SimpleString", &found.run_string},
        {"PyGILState_Check", &found.gil_check},         {"PyGILState_Ensure", &found.gil_ensure},
        {"PyGILState_Release", &found.gil_release},
    };
    fg__symbols *symbols;
    fg__space *space;
    const char *missing = NULL;
    int err = fg__symbols_new(&symbols, ctx, NULL, NULL);
    if (err) return err;
    err = fg__space_new(&space, symbols, (uint32_t)pid, true);
    if (!err) err = fg__space_read(space);
    for (size_t i = 0; !err && i < sizeof functions / sizeof *functions; i++)
        if (!fg__space_symbol(functions[i].at, space, NULL, functions[i].name)) missing = functions[i].name;
    fg__symbols_free(symbols);
    if (err) return err;
    if (missing)
        return fg__fail(
            ctx, FG_EUNSUPPORTED,
            "process %llu has no function %s that can be found: it is no CPython, or one without symbols",
            (unsigned long long)pid, missing);
    *out = found;
    return 0;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

static int answer_failed(fg_ctx *ctx, int fd, const char *path) {
    int error = errno;
    close(fd);
    return fg__fail(ctx, FG_EIO, "%s: %s", path, strerror(error));
}

static int read_answer(fg__buffer *out, fg_ctx *ctx, int fd, const char *path) {
    char bytes[65536];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0) {
        if (out->n + (size_t)n > ANSWER_MAX) {
            close(fd);
            return fg__fail(ctx, FG_ELIMIT, "%s has more than 1 GiB", path);
        }
        int err = fg__buffer_add(ctx, out, bytes, (size_t)n);
        if (!err) continue;
        close(fd);
        return err;
    }
    if (n < 0) return answer_failed(ctx, fd, path);
    close(fd);
    return 0;
}

/* Read the answer, if it is there: in the temporary folders as the process sees them. *there: whether it was. */
static int take_answer(fg__buffer *out, fg_ctx *ctx, const fg__python *python, const char *answer,
                       bool *there) {
    *there = false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && !*there; i++) {
        char path[256];
        snprintf(path, sizeof path, "/proc/%llu/root%s/%s", (unsigned long long)python->pid, folders[i],
                 answer);
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) continue;
        *there = true;
        int err = read_answer(out, ctx, fd, path);
        unlink(path);
        if (err) return err;
    }
    return 0;
}

static int await_answer(fg__buffer *out, fg_ctx *ctx, const fg__python *python, const char *answer,
                        double until, bool *there) {
    for (;;) {
        int err = take_answer(out, ctx, python, answer, there);
        if (err || *there || fg__loop_now() >= until) return err;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

/* ---- the ways ------------------------------------------------------------------------------------------ */

/* What a visit is about. */
typedef struct errand {
    fg_ctx *ctx;
    const fg__python *python;
    const char *code;
    size_t size;     /* with its NUL */
    uint64_t memory; /* where the code is in the process; 0: nowhere */
    bool has_lock;   /* the main thread slept and had the interpreter's lock */
    int64_t slept_in;
} errand;

static int hand_over(errand *e, fg__remote *r) {
    int err = fg__remote_map(&e->memory, r, e->size);
    return err ? err : fg__remote_write(r, e->memory, e->code, e->size);
}

static int take_back(errand *e, fg__remote *r) {
    int err = e->memory ? fg__remote_unmap(r, e->memory, e->size) : 0;
    e->memory = 0;
    return err;
}

/* What waits to be called shall do nothing any more: its memory has to stay. */
static void take_sting(errand *e) {
    fg__remote *r;
    if (!e->memory || fg__remote_open(&r, e->ctx, e->python->pid, fg__loop_now() + CALL_SECONDS)) return;
    fg__remote_write(r, e->memory, "", 1);
    fg__remote_close(r);
}

/* Here and now, with the interpreter's lock. Waiting for that is never broken off: it would leave a lock half taken. */
static int run_here(errand *e, fg__remote *r) {
    uint64_t state, result;
    int err = hand_over(e, r);
    if (err) return err;
    fg__remote_set_overtime(r, (double)INFINITY);
    err = fg__remote_call(&state, r, e->python->gil_ensure, NULL, 0);
    if (!err) err = fg__remote_call(&result, r, e->python->run_string, &e->memory, 1);
    if (!err) err = fg__remote_call(&result, r, e->python->gil_release, &state, 1);
    return err ? err : take_back(e, r);
}

/* *queued false: the interpreter's list is full. */
static int run_soon(errand *e, fg__remote *r, bool *queued) {
    uint64_t result;
    int err = hand_over(e, r);
    if (err) return err;
    const uint64_t arguments[] = {e->python->run_string, e->memory};
    fg__remote_set_overtime(r, fg__loop_now() + CALL_SECONDS);
    err = fg__remote_call(&result, r, e->python->add_pending_call, arguments, 2);
    *queued = !err && (int32_t)result == 0;
    return err || *queued ? err : take_back(e, r);
}

/* *handed: the code has run or will. False: try again. */
static int visit(errand *e, double deadline, bool *handed) {
    fg__remote *r;
    int err = fg__remote_open(&r, e->ctx, e->python->pid, deadline);
    if (err) return err;
    err = fg__remote_stop_when(r, fg__remote_is_main, NULL);
    fg__remote_thread main_thread = fg__remote_stopped(r);
    bool resting = !err && fg__remote_resting(NULL, &main_thread);
    uint64_t has_lock = 1;
    *handed = true;
    e->slept_in = main_thread.waiting ? main_thread.system_call : -1;
    if (resting) err = fg__remote_call(&has_lock, r, e->python->gil_check, NULL, 0);
    e->has_lock = resting && (int32_t)has_lock != 0;
    if (!err && e->has_lock)
        *handed = false; /* nothing can be asked now */
    else if (!err && resting)
        err = run_here(e, r);
    else if (!err)
        err = run_soon(e, r, handed);
    int left = !err && e->slept_in == SYS_futex ? fg__remote_resume_interrupted(r) : fg__remote_resume(r);
    fg__remote_close(r);
    return err ? err : left;
}

/* Unmap the memory of a pending call that has been made. */
static int clean_up(errand *e) {
    fg__remote *r;
    if (!e->memory) return 0;
    int err = fg__remote_open(&r, e->ctx, e->python->pid, fg__loop_now() + CALL_SECONDS);
    if (err) return err;
    err = fg__remote_stop_when(r, fg__remote_is_main, NULL);
    if (!err) err = take_back(e, r);
    fg__remote_close(r);
    return err;
}

static int gave_up(errand *e, double timeout) {
    const char *why = "its main thread did not come back from C code to the interpreter";
    const char *left = e->memory ? "what it was asked was made to do nothing" : "nothing was changed";
    char place[64];
    if (e->has_lock) {
        why = "its main thread sleeps in a C function that keeps the interpreter's lock";
    } else if (e->slept_in >= 0) {
        snprintf(place, sizeof place, "its main thread sleeps in system call %lld", (long long)e->slept_in);
        why = place;
    }
    take_sting(e);
    return fg__fail(e->ctx, FG_ETIMEOUT, "process %llu did not answer in %g s: %s; %s: try again later",
                    (unsigned long long)e->python->pid, timeout, why, left);
}

int fg__python_run(fg__buffer *out, fg_ctx *ctx, const fg__python *python, const char *code,
                   const char *answer, double timeout) {
    errand e = {.ctx = ctx, .python = python, .code = code, .size = strlen(code) + 1};
    double deadline = fg__loop_now() + timeout;
    bool handed = false, there = false;
    int err = 0;
    for (double pause = 0.01; !err && !handed && fg__loop_now() < deadline; pause *= pause < 0.5 ? 2 : 1) {
        err = visit(&e, deadline, &handed);
        if (!err && !handed) nanosleep(&(struct timespec){.tv_nsec = (long)(pause * 1e9)}, NULL);
    }
    if (!err) err = await_answer(out, ctx, python, answer, handed ? deadline + 1 : 0, &there);
    if (!err && !there) return gave_up(&e, timeout);
    if (!err && there) err = clean_up(&e);
    return err;
}
