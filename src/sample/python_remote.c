/* Which way code gets into an interpreter, and where 3.14 wants to be told. */
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

enum { COOKIE, VERSION, HEAD = 5, MAIN = 10, BREAKER = 89, SUPPORT, ENABLED, PENDING, SCRIPT, SCRIPT_SIZE };
enum { LARGEST = 1 << 20, SHORTEST_PATH = 64, LONGEST_PATH = 4096 };

/* Only of 3.14, and of what was released: before, the words may be others. */
bool fg__python_read_offers(fg__python_offers *out, const uint64_t *words) {
    static const int offsets[] = {HEAD, MAIN, BREAKER, SUPPORT, ENABLED, PENDING, SCRIPT};
    uint64_t version = words[VERSION];
    if (memcmp(&words[COOKIE], "xdebugpy", 8) != 0) return false;
    if (version >> 16 != 0x030e || (version & 0xf0) != 0xf0) return false;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (!words[offsets[i]] && offsets[i] != PENDING) return false;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (words[offsets[i]] > LARGEST) return false;
    if (words[SCRIPT_SIZE] < SHORTEST_PATH || words[SCRIPT_SIZE] > LONGEST_PATH) return false;
    *out = (fg__python_offers){
        .interpreters = words[HEAD],
        .main_thread = words[MAIN],
        .enabled = words[ENABLED],
        .breaker = words[BREAKER],
        .pending = words[SUPPORT] + words[PENDING],
        .path = words[SUPPORT] + words[SCRIPT],
        .path_size = words[SCRIPT_SIZE],
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
