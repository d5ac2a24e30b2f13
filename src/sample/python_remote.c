/* Which way code gets into an interpreter, and where 3.14 and later want to be told. */
#include "sample/python_remote.h"
#include "sample/python.h"

/* ---- which way ----------------------------------------------------------------------------------------- */

/*
 * The first row that fits. A script is only run between two bytecodes, so that it is for a thread that is at work; who
 * sleeps is woken, or works where it sleeps. A futex may be the interpreter's own lock: nothing is run there.
 */
fg__python_way fg__python_choose(const fg__python_moment *m) {
    const struct {
        bool fits;
        fg__python_way way;
    } rows[] = {
        {m->waiting && m->in_futex, FG__PYTHON_INTERRUPT},
        {m->waiting && m->resting && m->has_lock, FG__PYTHON_LATER},
        {m->waiting && m->resting, FG__PYTHON_HERE},
        {m->offers, FG__PYTHON_REMOTE},
        {true, FG__PYTHON_SOON},
    };
    size_t i = 0;
    while (!rows[i].fits) i++;
    return rows[i].way;
}

/* ---- remote_exec --------------------------------------------------------------------------------------- */

enum { COOKIE, VERSION, HEAD = 5, MAIN = 10 };
enum {
    BREAKER,
    SUPPORT,
    ENABLED,
    PENDING,
    SCRIPT,
    SCRIPT_SIZE
}; /* from where a version begins to speak of it */
enum { LARGEST = 1 << 20, SHORTEST_PATH = 64, LONGEST_PATH = 4096, RELEASED = 0xf0 };
static const struct {
    uint64_t version; /* 0x030e: 3.14 */
    size_t first;
} speakers[] = {{0x030e, 89}, {0x030f, 105}};

/* Only of what was released: before, the words may be others. */
static const uint64_t *support_of(const uint64_t *words) {
    if (memcmp(&words[COOKIE], "xdebugpy", 8) != 0 || (words[VERSION] & RELEASED) != RELEASED) return NULL;
    for (size_t i = 0; i < sizeof speakers / sizeof *speakers; i++)
        if (words[VERSION] >> 16 == speakers[i].version) return words + speakers[i].first;
    return NULL;
}

bool fg__python_read_offers(fg__python_offers *out, const uint64_t *words) {
    const uint64_t *support = support_of(words);
    if (!support) return false;
    const uint64_t offsets[] = {words[HEAD],      words[MAIN],      support[BREAKER],
                                support[SUPPORT], support[ENABLED], support[SCRIPT]};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (!offsets[i] || offsets[i] > LARGEST) return false;
    if (support[PENDING] > LARGEST) return false;
    if (support[SCRIPT_SIZE] < SHORTEST_PATH || support[SCRIPT_SIZE] > LONGEST_PATH) return false;
    *out = (fg__python_offers){
        .interpreters = words[HEAD],
        .main_thread = words[MAIN],
        .enabled = support[ENABLED],
        .breaker = support[BREAKER],
        .pending = support[SUPPORT] + support[PENDING],
        .path = support[SUPPORT] + support[SCRIPT],
        .path_size = support[SCRIPT_SIZE],
    };
    return true;
}

static bool follow(fg__python_remote *out, py_memory *m, uint64_t runtime) {
    uint64_t words[FG__PYTHON_WORDS], interpreter, thread;
    int32_t enabled, pending;
    fg__python_offers offers;
    if (!py_memory_read(m, runtime, words, sizeof words) || !fg__python_read_offers(&offers, words))
        return false;
    if (!py_memory_read(m, runtime + offers.interpreters, &interpreter, sizeof interpreter) || !interpreter ||
        !py_memory_read(m, interpreter + offers.enabled, &enabled, sizeof enabled) || enabled != 1 ||
        !py_memory_read(m, interpreter + offers.main_thread, &thread, sizeof thread) || !thread ||
        !py_memory_read(m, thread + offers.pending, &pending, sizeof pending) || pending != 0)
        return false; /* another one's script may be waiting */
    *out = (fg__python_remote){.breaker = thread + offers.breaker,
                               .pending = thread + offers.pending,
                               .path = thread + offers.path,
                               .path_size = offers.path_size};
    return true;
}

int fg__python_find_remote(fg__python_remote *out, fg_ctx *ctx, uint64_t pid) {
    py_memory memory;
    py_found found;
    *out = (fg__python_remote){0};
    int err = py_memory_open(&memory, ctx, (pid_t)pid);
    if (err) return err;
    if (py_find(&found, &memory) == 0) follow(out, &memory, found.runtime);
    py_memory_close(&memory);
    return 0;
}
