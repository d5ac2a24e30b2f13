/*
 * python: samples CPython from outside. Nothing runs in the target and nothing stops it: its memory is copied with
 * process_vm_readv, a few times per sample, and everything that is read is checked before it is believed.
 *
 *   python.c          the sampler kind: options, the clock, child processes    python_layout.c   offsets per version
 *   python_process.c  one process: interpreters, threads, who is at work       python_find.c     where the runtime is
 *   python_stack.c    one thread's frames, and whether they belong together    python_elf.c      what its file says
 *   python_code.c     code objects: names and lines, cached                    python_memory.c   the window
 *   python_lines.c    line tables                                              python_stop.c     --blocking
 *   python_native.c   --native: frames that are not Python's
 *
 *   _PyRuntime ─▶ interpreter ─▶ interpreter ─▶ …
 *                     └─▶ thread ─▶ thread ─▶ …
 *                            └─▶ frame ─▶ frame ─▶ …     innermost first; each has its code object
 *
 * The target runs on while it is read, so that a stack can be torn: the upper frames from before a call, the lower ones
 * from after it. The window (python_memory.c) copies all that the last sample needed in one system call, which leaves
 * microseconds for that to happen; python_stack.c tells most torn stacks by what neighbours must have in common. These
 * are read again, and counted as failed where that does not help.
 */
#ifndef FG_SAMPLE_PYTHON_H
#define FG_SAMPLE_PYTHON_H

#include <errno.h>
#include <sys/types.h>
#include "core/core.h"

/* ---- layouts: offsets in bytes; 0 where a version has no such field ------------------------------------- */

typedef struct py_layout {
    uint32_t minor; /* of version 3 */
    uint32_t runtime_head, runtime_gil;
    uint32_t interp_next, interp_id, interp_threads, interp_gil;
    uint32_t gil_holder, gil_locked;
    uint32_t thread_next, thread_interp, thread_id, thread_native_id, thread_chunk, thread_frame;
    uint32_t cframe_frame; /* 3.11 and 3.12: thread_frame leads to a struct, which has the frame here */
    uint32_t frame_size, frame_back, frame_code, frame_instruction, frame_state;
    uint32_t code_file, code_name, code_qualname, code_line, code_lines, code_bytes;
    uint32_t text_length, text_state, text_ascii, text_compact, bytes_data;
    bool free_threaded;
} py_layout;

/* From 3.11 on frames are in chunks that belong to the thread; before, each was an object on the heap. */
static inline bool py_has_chunks(const py_layout *layout) {
    return layout->minor >= 11;
}

/* The row of a minor version; false: there is none. */
bool py_layout_of(py_layout *out, uint32_t minor);
enum { PY_FIRST_MINOR = 8, PY_LAST_MINOR = 15 };
/* What an interpreter of 3.13 or later publishes at the start of its runtime: PY_PUBLISHED words. */
enum { PY_PUBLISHED = 93 };
/* Whether these words are such a record: then the layout is made from it. */
bool py_layout_published(py_layout *out, const uint64_t *words);

/* ---- memory -------------------------------------------------------------------------------------------- */

typedef struct py_region {
    uint64_t address;
    uint32_t size, at; /* at: where its copy is in `bytes` */
    uint8_t unused;    /* for so many refreshes */
} py_region;

typedef struct py_memory {
    fg_ctx *ctx;
    pid_t pid;
    py_region *regions;
    size_t count, hint;
    uint8_t *bytes;
    size_t filled;
    int error; /* errno of the last read that failed; ESRCH: the process has gone */
} py_memory;

int py_memory_open(py_memory *m, fg_ctx *ctx, pid_t pid);
void py_memory_close(py_memory *m);
/* Copy anew what the last samples used, in one system call; forget the rest. */
void py_memory_refresh(py_memory *m);
/* Whether the process has gone. */
static inline bool py_memory_gone(const py_memory *m) {
    return m->error == ESRCH;
}
/* The copy of `size` bytes at an address, made where there is none; valid until the refresh. NULL: not readable. */
const uint8_t *py_memory_get(py_memory *m, uint64_t address, size_t size);
/* Read past the window. */
bool py_memory_read(py_memory *m, uint64_t address, void *out, size_t size);

static inline uint64_t py_word(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
static inline int32_t py_int(const uint8_t *at) {
    int32_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

/* ---- where the runtime is ------------------------------------------------------------------------------ */

typedef struct py_found {
    py_layout layout;
    uint64_t runtime; /* address of _PyRuntime in the target */
    char how[32];     /* "symbol", "section" or "scan" */
} py_found;

/* Find the interpreter in a process. FG_EUNSUPPORTED: there is none, or one that is too old or too new. */
int py_find(py_found *out, py_memory *m);

/* What the ELF file of a module says. Addresses are the file's: the loader adds a bias. */
typedef struct py_segment {
    uint64_t address, size, offset, file_size;
    bool writable;
} py_segment;
typedef struct py_elf {
    uint64_t runtime; /* _PyRuntime; 0: no such symbol */
    uint64_t version; /* Py_Version */
    uint64_t section; /* .PyRuntime; 0: no such section */
    py_segment segments[16];
    size_t segment_count;
} py_elf;
/* False where the file is no 64-bit ELF file of this machine's byte order. */
bool py_elf_read(py_elf *out, int fd);

/* ---- code objects -------------------------------------------------------------------------------------- */

typedef struct py_line {
    uint32_t from; /* bytes from the start of the code */
    uint32_t line;
} py_line;

/* What is known of a code object; what each sample needs is in front, as it is read on cold caches. */
typedef struct py_code {
    uint64_t address;
    double believed;      /* until when it is, without another look */
    uint32_t size;        /* bytes of code */
    uint32_t frame_words; /* size of its frames in words; 0: not known */
    uint32_t frame;       /* of the profile, with the function's first line */
    int32_t first_line;
    py_line *lines; /* sorted; NULL: not read yet */
    size_t line_count;
    uint64_t file, name, lines_at;
    uint32_t name_text, file_text; /* strings of the profile */
    double since;                  /* when it was first seen */
} py_code;

typedef struct py_codes {
    py_memory *memory;
    const py_layout *layout;
    fg_profile *profile;
    py_code *all;
    size_t count, cap;
    fg__table index;
    uint64_t type;   /* the address of PyCode_Type, once one was seen */
    double restless; /* until when each is checked each time: some were replaced lately */
} py_codes;

/* Code object at `address`; NULL: it is none (or there is no memory: *err). */
py_code *py_code_at(py_codes *codes, uint64_t address, double now, int *err);
/* The frame of the profile for a place in it: an offset in bytes. */
int py_code_frame(uint32_t *out, py_codes *codes, py_code *code, int64_t offset, bool lines);
void py_codes_free(py_codes *codes);

/* The steps of a line table (python_lines.c): false where it is malformed. */
typedef struct py_lines {
    const uint8_t *at, *end;
    int64_t line, offset;
    uint32_t minor;
} py_lines;
/* The next run of code and its line (0: none); false at the end. */
bool py_lines_next(py_lines *lines, py_line *out);

/* ---- stacks -------------------------------------------------------------------------------------------- */

enum { PY_DEEPEST = 4096 };

typedef enum py_verdict {
    PY_WHOLE,
    PY_EMPTY, /* a thread outside of Python code */
    PY_TORN
} py_verdict;

typedef struct py_frame {
    uint64_t
        shim; /* where its run of the interpreter's loop has a Python frame on the native stack; 0: before 3.12 */
    uint32_t id;  /* of the profile */
    bool entered; /* it was called from C: a run of the interpreter's loop begins with it */
} py_frame;

typedef struct py_stack {
    size_t count;
    bool truncated;
    py_frame frames[PY_DEEPEST]; /* innermost first */
} py_stack;

/* Read the frames of a thread state. A negative error: no memory. */
int py_stack_read(py_stack *out, py_codes *codes, uint64_t address, const uint8_t *thread, double now,
                  bool lines, py_verdict *verdict);

/* ---- a process ----------------------------------------------------------------------------------------- */

typedef struct py_wishes {
    bool idle, gil, lines, threads, subprocesses, blocking, native, slices;
} py_wishes;

/*
 * The seconds that a sample stands for, `elapsed` after the one before it; `owed`: those that none stands for yet. On
 * time, it is all of them; beyond two periods a part, so that a gap comes to its end where the samples after it are on
 * time, and to a balance where there are always fewer than there should be.
 */
static inline double py_pay(double *owed, double elapsed, double period) {
    double most = 2 * period, due = *owed + elapsed, paid = due <= most ? due : most + (due - most) / 16;
    *owed = due - paid;
    return paid;
}

/* The next of a row of random numbers; those that are left of it are the better bits. */
static inline uint64_t py_random(uint64_t *state) {
    return *state = *state * 6364136223846793005u + 1442695040888963407u;
}

typedef struct py_native py_native;

typedef struct py_counts {
    int64_t samples, failed, torn, truncated, unmatched;
} py_counts;

typedef struct py_thread {
    uint64_t state;  /* address of its PyThreadState */
    uint64_t id;     /* what Python calls it */
    pid_t tid;       /* 0: not known */
    int fd;          /* tells whether it runs; -1: none */
    bool is_syscall; /* the file is `syscall`, not `stat` */
    uint32_t frame;  /* "thread 42 (name)" */
    uint64_t seen;   /* tick */
    uint64_t place;  /* where in Python it was last */
    unsigned slept;  /* how many times in a row, when it was asked, it slept at that place */
} py_thread;

typedef struct py_process {
    fg_ctx *ctx;
    pid_t pid, nspid;
    py_memory memory;
    py_found found;
    py_codes codes;
    fg_profile *profile;
    const py_wishes *wishes;
    py_thread *threads;
    size_t thread_count, thread_cap;
    uint32_t frame;      /* "process 42 (name)"; FG__NONE: not wanted */
    uint32_t tid_offset; /* of the thread's number in the C library's own struct; 0: not known */
    bool tid_sought;
    uint64_t tick, random;
    double cpu_begun;   /* seconds of CPU time that it had taken when it was opened; negative: not known */
    int64_t counted;    /* nanoseconds, in all of its stacks */
    py_native *native;  /* NULL: not wanted */
    fg__slices *slices; /* NULL: not wanted */
    py_stack stack;     /* of the thread at hand */
} py_process;

/* Attach to a process. The message says why not. */
int py_process_open(py_process **out, fg_profile *profile, pid_t pid, const py_wishes *wishes);
void py_process_close(py_process *p);
/* Seconds of CPU time that it has taken since it was opened, in all of its threads; negative: not known. */
double py_process_cpu(const py_process *p);
/* Take one sample of all of its threads; each stack counts `value` (samples, nanoseconds). */
int py_process_sample(py_process *p, double now, const int64_t *value, py_counts *counts);
/* With --native, count what the last sample has taken, once the process goes on. */
int py_process_settle(py_process *p, double now, const int64_t *value, py_counts *counts);

/* ---- holding a process still (python_stop.c) ------------------------------------------------------------ */

enum { PY_MOST_HELD = 1024 };
typedef struct py_held {
    struct py_held_thread {
        pid_t tid;
        int signal; /* that was on its way to it; 0: none */
    } all[PY_MOST_HELD];
    size_t count;
} py_held;

/* Stop the threads of a process, and let them go; both on one thread of ours. */
void py_hold(py_held *held, pid_t pid);
void py_let_go(py_held *held);
/* 0 where we may stop a process, else the errno. It was stopped for a moment. */
int py_may_hold(pid_t pid);

/* ---- frames that are not Python's (python_native.c) ------------------------------------------------------- */

int py_native_open(py_native **out, fg_profile *profile, pid_t pid);
void py_native_close(py_native *n);
/* Copy what there is of a thread that is held. False: it cannot be had, count its Python frames alone. */
bool py_native_take(py_native *n, py_memory *memory, pid_t tid, uint32_t thread_frame, const py_stack *stack);
/*
 * Merge the stacks that were taken and hand each over, with the thread's frame. *unmatched grows by those of which only
 * the innermost native frames are believed.
 */
int py_native_settle(py_native *n, double now, int64_t *unmatched,
                     int (*count)(void *, uint32_t, const py_stack *), void *user);

#endif
