/*
 * The two kinds of lines that `perf script` prints, taken apart. Which fields there are depends on its -F option, and
 * nothing but their look tells them apart, so words are classified from left to right:
 *
 *      comm, may have spaces    pid/tid    cpu    time            period  event     frame or payload
 *      V8 WorkerThread          12/34      [001]  5432.123456:    1001001 cycles:u: 7f3a main+0x4 (/bin/a)
 */
#include "formats/perf.h"

fg__slice fg__slice_trim(fg__slice s) {
    while (s.n && fg__is_space(s.p[s.n - 1])) s.n--;
    while (s.n && fg__is_space(s.p[0])) s = fg__slice_skip(s, 1);
    return s;
}

fg__slice fg__slice_word(fg__slice *rest) {
    const char *p = rest->p, *end = p + rest->n;
    while (p < end && *p == ' ') p++;
    const char *start = p;
    while (p < end && *p != ' ') p++;
    *rest = fg__slice_of(p, end);
    return fg__slice_of(start, p);
}

/* ---- event lines ---------------------------------------------------------------------------------------------------- */

typedef enum word_kind { OTHER, NUMBER, CPU, TIME } word_kind;

enum { CPU_DIGITS = 3 }; /* at least: perf prints %03d */

static size_t digits(fg__slice s) {
    size_t n = 0;
    while (n < s.n && fg__is_digit(s.p[n])) n++;
    return n;
}

/* NUMBER: "12" or "12/34". CPU: "[001]". TIME: "12.34:". */
static word_kind classify(fg__slice word) {
    if (word.n == 0) return OTHER;
    if (word.p[0] == '[') {
        size_t n = digits(fg__slice_skip(word, 1));
        return n >= CPU_DIGITS && n + 2 == word.n && word.p[n + 1] == ']' ? CPU : OTHER;
    }
    size_t n = digits(word);
    if (n == word.n) return NUMBER;
    if (n == 0 || (word.p[n] != '/' && word.p[n] != '.')) return OTHER;
    size_t m = digits(fg__slice_skip(word, n + 1));
    if (m == 0) return OTHER;
    if (word.p[n] == '/') return n + 1 + m == word.n ? NUMBER : OTHER;
    return n + m + 2 == word.n && word.p[n + m + 1] == ':' ? TIME : OTHER;
}

static bool number(int64_t *out, fg__slice s) {
    int64_t sum = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!fg__is_digit(s.p[i])) return false;
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, s.p[i] - '0', &sum)) return false;
    }
    *out = sum;
    return s.n > 0;
}

/* "12.345678:" in nanoseconds, or -1. */
static int64_t time_stamp(fg__slice word) {
    enum { NS_DIGITS = 9 };
    size_t dot = digits(word);
    fg__slice fraction = {word.p + dot + 1, word.n - dot - 2};
    int64_t seconds, ns = 0;
    if (!number(&seconds, (fg__slice){word.p, dot})) return -1;
    for (size_t i = 0; i < NS_DIGITS; i++) ns = ns * 10 + (i < fraction.n ? fraction.p[i] - '0' : 0);
    if (__builtin_mul_overflow(seconds, 1000000000, &seconds) || __builtin_add_overflow(seconds, ns, &seconds))
        return -1;
    return seconds;
}

static void set_thread(fg__perf_event *e, fg__slice word) {
    const char *slash = memchr(word.p, '/', word.n);
    e->pid = slash ? fg__slice_of(word.p, slash) : (fg__slice){"?", 1};
    e->tid = slash ? fg__slice_of(slash + 1, word.p + word.n) : word;
}

/*
 * Find the first word that is not of the comm. A number in front of everything is a comm made of digits when another
 * number follows ("123 4567 [000] …"), else it is the thread.
 */
static bool find_thread(fg__perf_event *e, fg__slice line, fg__slice *rest) {
    fg__slice left = line;
    for (;;) {
        fg__slice word = fg__slice_word(&left);
        if (word.n == 0) return false;
        word_kind kind = classify(word);
        if (kind == OTHER) continue;
        fg__slice after = left;
        if (word.p == line.p && kind == NUMBER && classify(fg__slice_word(&after)) == NUMBER) continue;
        e->comm = fg__slice_trim(fg__slice_of(line.p, word.p));
        e->thread_end = (size_t)((kind == NUMBER ? left.p : word.p) - line.p);
        if (kind == NUMBER) set_thread(e, word);
        *rest = kind == NUMBER ? left : fg__slice_of(word.p, left.p + left.n);
        return true;
    }
}

/* "comm event:", a line without any number. */
static bool find_event_only(fg__perf_event *e, fg__slice line, fg__slice *rest) {
    fg__slice s = fg__slice_trim(line);
    if (s.n < 2 || s.p[s.n - 1] != ':') return false;
    const char *space = memrchr(s.p, ' ', s.n);
    const char *event = space ? space + 1 : s.p;
    e->comm = fg__slice_trim(fg__slice_of(s.p, event));
    e->thread_end = (size_t)(event - line.p);
    *rest = fg__slice_of(event, s.p + s.n);
    return true;
}

/* The CPU and the time stamp, and between them whatever else perf was asked to print there (-F misc). */
static void take_time(fg__perf_event *e, fg__slice *rest) {
    const char *colon = memchr(rest->p, ':', rest->n);
    if (!colon) return;
    const char *start = colon;
    while (start > rest->p && start[-1] != ' ') start--;
    fg__slice word = fg__slice_of(start, colon + 1);
    if (classify(word) != TIME) return;
    e->time = time_stamp(word);
    *rest = fg__slice_of(colon + 1, rest->p + rest->n);
}

/* "1001001 cycles:u: rest"; both the period and the event may be missing. */
static void take_event(fg__perf_event *e, fg__slice rest) {
    fg__slice word = fg__slice_word(&rest);
    if (classify(word) == CPU) word = fg__slice_word(&rest);
    if (number(&e->period, word)) word = fg__slice_word(&rest);
    if (word.n > 1 && word.p[word.n - 1] == ':') {
        e->name = (fg__slice){word.p, word.n - 1};
        e->rest = fg__slice_trim(rest);
    } else {
        e->rest = fg__slice_trim(fg__slice_of(word.p, rest.p + rest.n));
    }
}

bool fg__perf_event_parse(fg__perf_event *out, fg__slice line) {
    fg__perf_event e = {.pid = {"?", 1}, .tid = {"", 0}, .time = -1, .period = -1};
    fg__slice rest;
    if (!find_thread(&e, line, &rest) && !find_event_only(&e, line, &rest)) return false;
    take_time(&e, &rest);
    take_event(&e, rest);
    *out = e;
    return true;
}

bool fg__perf_event_certain(const fg__perf_event *event) {
    return event->time >= 0 && event->tid.n;
}

/* ---- frame lines ------------------------------------------------------------------------------------------------------ */

static bool is_hex(fg__slice s) {
    for (size_t i = 0; i < s.n; i++)
        if (!fg__is_hex(s.p[i])) return false;
    return s.n > 0;
}

/* The last "(" of `s` that is at its start or behind a space. */
static const char *last_open(fg__slice s) {
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == '(' && (i == 0 || s.p[i - 1] == ' ')) return s.p + i;
    return NULL;
}

/* "symbol (module)": a module may have spaces, and "(deleted)" behind its name. */
static bool split_module(fg__perf_frame *f, fg__slice s) {
    if (s.n == 0 || s.p[s.n - 1] != ')') return false;
    const char *end = s.p + s.n - 1, *open = last_open(s);
    if (open && fg__slice_is(fg__slice_of(open, end), "(deleted)")) open = last_open(fg__slice_of(s.p, open));
    if (!open) return false;
    f->symbol = fg__slice_of(s.p, open);
    f->module = fg__slice_of(open + 1, end);
    const char *offset = memrchr(f->module.p, '+', f->module.n); /* -F dsoff: "/bin/a+0x12" */
    if (offset && fg__slice_starts(fg__slice_of(offset, end), "+0x") && is_hex(fg__slice_of(offset + 3, end)))
        f->module = fg__slice_of(f->module.p, offset);
    return true;
}

bool fg__perf_frame_parse(fg__perf_frame *out, fg__slice line) {
    fg__perf_frame f = {.module = {"", 0}};
    fg__slice rest = fg__slice_trim(line);
    f.address = fg__slice_word(&rest);
    if (rest.n) rest = fg__slice_skip(rest, 1);
    bool named = split_module(&f, rest);
    if (!named) {
        if (!is_hex(f.address)) return false;
        f.symbol = rest;
    }
    f.symbol = fg__slice_trim(f.symbol);
    /* Nothing was printed for the symbol (-F ip, -F ip,dso), or an empty one between two spaces. */
    if (f.symbol.n == 0) f.symbol = named && rest.p[0] == ' ' ? (fg__slice){" ", 1} : (fg__slice){"[unknown]", 9};
    *out = f;
    return true;
}
