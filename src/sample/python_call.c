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

enum {
    ANSWER_MAX = 1 << 30,
    CALL_SECONDS = 2,
    LATE_SECONDS = 1,
    PLEASE_STOP = 1 << 5 /* _PY_EVAL_PLEASE_STOP_BIT */
};

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
    return fg__python_find_remote(&out->remote, ctx, pid);
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
    const char *name;  /* of the answer, and of a script */
    char script[256];  /* as we see it; "": there is none */
    bool script_given; /* the interpreter was told of it */
    bool was_script;   /* … at any time */
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

/* A file that the process can read, and nobody else: *inside is its path as the process sees it. */
static int write_script(errand *e, char *inside, size_t size) {
    char path[64];
    struct stat owner;
    snprintf(path, sizeof path, "/proc/%llu", (unsigned long long)e->python->pid);
    int fd = -1;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && fd < 0; i++) {
        snprintf(inside, size, "%s/%s.py", folders[i], e->name);
        snprintf(e->script, sizeof e->script, "/proc/%llu/root%s", (unsigned long long)e->python->pid,
                 inside);
        fd = open(e->script, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        e->script[0] = '\0';
        return fg__fail(e->ctx, FG_EIO, "no script can be written for process %llu: %s",
                        (unsigned long long)e->python->pid, strerror(errno));
    }
    bool good = stat(path, &owner) == 0 && fchown(fd, owner.st_uid, owner.st_gid) == 0 &&
                write(fd, e->code, e->size - 1) == (ssize_t)(e->size - 1);
    int error = errno;
    if (close(fd) == 0 && good) return 0;
    return fg__fail(e->ctx, FG_EIO, "%s: %s", e->script, strerror(error));
}

/* By the protocol of PEP 768: the path, the flag, and last the bit that makes the interpreter look. */
static int run_script(errand *e, fg__remote *r) {
    const fg__python_remote *where = &e->python->remote;
    const int32_t pending = 1;
    uint64_t breaker;
    char inside[128];
    int err = write_script(e, inside, sizeof inside);
    if (!err && strlen(inside) >= where->path_size)
        err = fg__fail(e->ctx, FG_ELIMIT, "the path %s is too long for the interpreter", inside);
    if (!err) err = fg__remote_write(r, where->path, inside, strlen(inside) + 1);
    if (!err) err = fg__remote_write(r, where->pending, &pending, sizeof pending);
    if (err) return err;
    e->script_given = e->was_script = true;
    err = fg__remote_read(r, &breaker, where->breaker, sizeof breaker);
    breaker |= PLEASE_STOP;
    return err ? err : fg__remote_write(r, where->breaker, &breaker, sizeof breaker);
}

/* A script that was not run shall not be. */
static void take_script_back(errand *e) {
    fg__remote *r;
    const int32_t pending = 0;
    if (e->script[0]) unlink(e->script);
    e->script[0] = '\0';
    if (!e->script_given || fg__remote_open(&r, e->ctx, e->python->pid, fg__loop_now() + CALL_SECONDS) != 0)
        return;
    if (fg__remote_stop_when(r, fg__remote_is_main, NULL) == 0)
        fg__remote_write(r, e->python->remote.pending, &pending, sizeof pending);
    fg__remote_close(r);
    e->script_given = false;
}

static int go(errand *e, fg__remote *r, fg__python_way way, bool *handed) {
    switch (way) {
    case FG__PYTHON_REMOTE: return run_script(e, r);
    case FG__PYTHON_HERE: return run_here(e, r);
    case FG__PYTHON_LATER: *handed = false; return 0;
    case FG__PYTHON_SOON:
    case FG__PYTHON_INTERRUPT: break;
    }
    return run_soon(e, r, handed);
}

/* *handed: the code has run or will. False: try again. */
static int visit(errand *e, double deadline, bool *handed) {
    fg__remote *r;
    int err = fg__remote_open(&r, e->ctx, e->python->pid, deadline);
    if (err) return err;
    err = fg__remote_stop_when(r, fg__remote_is_main, NULL);
    fg__remote_thread main_thread = fg__remote_stopped(r);
    fg__python_moment moment = {.offers = e->python->remote.pending != 0,
                                .waiting = main_thread.waiting,
                                .in_futex = main_thread.waiting && main_thread.system_call == SYS_futex,
                                .resting = !err && fg__remote_resting(NULL, &main_thread)};
    uint64_t has_lock = 1;
    *handed = true;
    e->slept_in = main_thread.waiting ? main_thread.system_call : -1;
    if (moment.resting) err = fg__remote_call(&has_lock, r, e->python->gil_check, NULL, 0);
    e->has_lock = moment.has_lock = moment.resting && (int32_t)has_lock != 0;
    fg__python_way way = fg__python_choose(&moment);
    if (!err) err = go(e, r, way, handed);
    int left = !err && way == FG__PYTHON_INTERRUPT ? fg__remote_resume_interrupted(r) : fg__remote_resume(r);
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

/* Nothing may happen any more; what began a moment ago on a busy machine is waited for. */
static int last_look(errand *e, fg__buffer *out, bool *there) {
    bool asked = e->memory || e->script_given;
    take_sting(e);
    take_script_back(e);
    return await_answer(out, e->ctx, e->python, e->name, asked ? fg__loop_now() + LATE_SECONDS : 0, there);
}

static int gave_up(const errand *e, double timeout) {
    const char *why = "its main thread did not come back from C code to the interpreter";
    const char *left =
        e->memory || e->was_script ? "what it was asked was made to do nothing" : "nothing was changed";
    char place[64];
    if (e->has_lock) {
        why = "its main thread sleeps in a C function that keeps the interpreter's lock";
    } else if (e->slept_in >= 0) {
        snprintf(place, sizeof place, "its main thread sleeps in system call %lld", (long long)e->slept_in);
        why = place;
    }
    return fg__fail(e->ctx, FG_ETIMEOUT, "process %llu did not answer in %g s: %s; %s: try again later",
                    (unsigned long long)e->python->pid, timeout, why, left);
}

int fg__python_run(fg__buffer *out, fg_ctx *ctx, const fg__python *python, const char *code,
                   const char *answer, double timeout) {
    errand e = {.ctx = ctx, .python = python, .code = code, .size = strlen(code) + 1, .name = answer};
    double deadline = fg__loop_now() + timeout;
    bool handed = false, there = false;
    int err = 0;
    for (double pause = 0.01; !err && !handed && fg__loop_now() < deadline; pause *= pause < 0.5 ? 2 : 1) {
        err = visit(&e, deadline, &handed);
        if (!err && !handed) nanosleep(&(struct timespec){.tv_nsec = (long)(pause * 1e9)}, NULL);
    }
    if (!err) err = await_answer(out, ctx, python, answer, handed ? deadline + 1 : 0, &there);
    if (!err && !there) err = last_look(&e, out, &there);
    if (!err && !there) return gave_up(&e, timeout);
    if (!err) err = clean_up(&e);
    if (!err) e.script_given = false;
    take_script_back(&e);
    return err;
}
