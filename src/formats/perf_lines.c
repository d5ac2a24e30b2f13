/*
 * The two kinds of lines that `perf script` prints, taken apart. Which fields there are depends on its -F
 * option, and nothing but their look tells them apart, so words are classified from left to right:
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

/* ---- event lines -----------------------------------------------------------------------------------------
 */

typedef enum word_kind { OTHER, NUMBER, CPU, TIME } word_kind;

enum { CPU_DIGITS = 3 }; /* at least: perf prints %03d */
enum { NS_DIGITS = 9 };

typedef struct word {
    word_kind kind;
    const char *start, *end;
    const char *mark; /* the "/" or "." of "12/34" and "12.34:"; NULL: none */
} word;

static const char *skip_spaces(const char *p, const char *end) {
    while (p < end && *p == ' ') p++;
    return p;
}

static const char *skip_digits(const char *p, const char *end) {
    while (p < end && fg__is_digit(*p)) p++;
    return p;
}

/* With a sign. */
static const char *skip_number(const char *p, const char *end) {
    return skip_digits(p + (p < end && *p == '-'), end);
}

static const char *skip_word(const char *p, const char *end) {
    while (p < end && *p != ' ') p++;
    return p;
}

static bool ends(const char *p, const char *end) {
    return p == end || *p == ' ';
}

/* What the word is that starts with digits at w->start; w->end is set to where it stops being that. */
static void classify_digits(word *w, const char *end) {
    const char *q = w->end = skip_number(w->start, end);
    if (!fg__is_digit(q[-1])) return;
    if (q < end && (*q == '/' || *q == '.')) {
        w->mark = q;
        w->end = skip_number(q + 1, end);
        if (w->end == q + 1) return;
    }
    if (!w->mark || *w->mark == '/')
        w->kind = ends(w->end, end) ? NUMBER : OTHER;
    else if (fg__is_digit(*w->start) && w->end < end && *w->end == ':' && ends(w->end + 1, end))
        w->kind = TIME;
}

/* The word that starts at `p`. NUMBER: "12" or "12/34", -1 being a thread that is gone. CPU: "[001]". TIME:
 * "12.34:". */
static inline word word_at(const char *p, const char *end) {
    word w = {OTHER, p, p, NULL};
    if (p == end) return w;
    if (fg__is_digit(*p) || *p == '-') {
        classify_digits(&w, end);
    } else if (*p == '[') {
        w.end = skip_digits(p + 1, end);
        bool closed = w.end < end && *w.end == ']' && ends(w.end + 1, end);
        if (closed && w.end - p > CPU_DIGITS) w.kind = CPU;
    }
    w.end = skip_word(w.end, end);
    return w;
}

/* The digits from … end; -1: none, or too many. */
static int64_t number(const char *from, const char *end) {
    enum { SAFE = 18 }; /* so many digits fit for sure */
    uint64_t sum = 0;
    while (end - from > SAFE && *from == '0') from++;
    if (from == end || end - from > SAFE + 1) return -1;
    for (const char *p = from; p < end; p++) sum = sum * 10 + (uint64_t)(*p - '0');
    return sum <= INT64_MAX ? (int64_t)sum : -1;
}

/* "12.345678:" in nanoseconds, or -1. */
static int64_t time_stamp(const word *w) {
    int64_t seconds = number(w->start, w->mark), ns = 0;
    const char *p = w->mark + 1;
    for (int i = 0; i < NS_DIGITS; i++) ns = ns * 10 + (fg__is_digit(*p) ? *p++ - '0' : 0);
    if (seconds < 0 || __builtin_mul_overflow(seconds, 1000000000, &seconds) ||
        !fg__add64(&seconds, seconds, ns))
        return -1;
    return seconds;
}

static void set_thread(fg__perf_event *e, const word *w) {
    if (w->mark) e->pid = fg__slice_of(w->start, w->mark);
    e->tid = fg__slice_of(w->mark ? w->mark + 1 : w->start, w->end);
}

/*
 * Find the first word that is not of the comm; NULL: there is none; else where the line goes on. A number in
 * front of everything is a comm made of digits when another number follows ("123 4567 [000] …"), else it is
 * the thread.
 */
static const char *find_thread(fg__perf_event *e, fg__slice line) {
    const char *end = line.p + line.n;
    for (const char *p = skip_spaces(line.p, end); p < end;) {
        word w = word_at(p, end);
        p = skip_spaces(w.end, end);
        if (w.kind == OTHER) continue;
        if (w.start == line.p && w.kind == NUMBER && word_at(p, end).kind == NUMBER) continue;
        bool thread = w.kind == NUMBER;
        if (thread) set_thread(e, &w);
        e->comm = fg__slice_trim(fg__slice_of(line.p, w.start));
        e->thread_end = (size_t)((thread ? w.end : w.start) - line.p);
        return thread ? p : w.start;
    }
    return NULL;
}

/* "comm event:", a line without any number. */
static const char *find_event_only(fg__perf_event *e, fg__slice line) {
    fg__slice s = fg__slice_trim(line);
    if (s.n < 2 || s.p[s.n - 1] != ':') return NULL;
    const char *space = memrchr(s.p, ' ', s.n), *event = space ? space + 1 : s.p;
    e->comm = fg__slice_trim(fg__slice_of(s.p, event));
    e->thread_end = (size_t)(event - line.p);
    return event;
}

/* The CPU and the time stamp, and between them whatever else perf was asked to print there (-F misc). */
static const char *take_time(fg__perf_event *e, const char *from, const char *end) {
    for (const char *p = from; p < end;) {
        word w = word_at(p, end);
        p = skip_spaces(w.end, end);
        if (w.kind == CPU) from = p;
        if (w.kind == TIME) {
            e->time = time_stamp(&w);
            return p;
        }
        if (memchr(w.start, ':', (size_t)(w.end - w.start))) break; /* the event already */
    }
    return from;
}

/* "1001001 cycles:u: rest"; both the period and the event may be missing. */
static void take_event(fg__perf_event *e, const char *from, const char *end) {
    const char *period_end = NULL;
    word w = word_at(from, end);
    if (w.kind == NUMBER && !w.mark && fg__is_digit(*w.start)) {
        e->period = number(w.start, w.end);
        period_end = w.end;
        from = skip_spaces(w.end, end);
        w = word_at(from, end);
    }
    if (w.end - w.start > 1 && w.end[-1] == ':') {
        e->name = fg__slice_of(w.start, w.end - 1);
        e->weighs = e->time >= 0 && period_end && w.start == period_end + 1;
        from = w.end;
    }
    e->rest = fg__slice_trim(fg__slice_of(from, end));
}

bool fg__perf_event_parse(fg__perf_event *out, fg__slice line) {
    *out = (fg__perf_event){.pid = {"?", 1}, .tid = {"", 0}, .time = -1, .period = -1};
    const char *end = line.p + line.n, *from = find_thread(out, line);
    if (!from) from = find_event_only(out, line);
    if (!from) return false;
    take_event(out, take_time(out, from, end), end);
    return true;
}

bool fg__perf_event_certain(const fg__perf_event *event) {
    return event->time >= 0 && event->tid.n;
}

/* ---- frame lines -----------------------------------------------------------------------------------------
 */

static bool is_hex(fg__slice s) {
    for (size_t i = 0; i < s.n; i++)
        if (!fg__is_hex(s.p[i])) return false;
    return s.n > 0;
}

/* The "(" that belongs to the ")" at the end of `s`, at the start or behind a space; NULL: there is none. */
static const char *opening(fg__slice s) {
    int depth = 0;
    for (size_t i = s.n; i-- > 0;) {
        if (s.p[i] == ')') depth++;
        if (s.p[i] == '(' && --depth == 0) return i == 0 || s.p[i - 1] == ' ' ? s.p + i : NULL;
    }
    return NULL;
}

/* "symbol (module)": a module may have spaces and parentheses: "(/opt/My App/x (deleted))". */
static bool split_module(fg__perf_frame *f, fg__slice s) {
    if (s.n == 0 || s.p[s.n - 1] != ')') return false;
    const char *end = s.p + s.n - 1, *open = opening(s);
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
    if (!is_hex(f.address)) return false;
    bool named = split_module(&f, rest);
    if (!named) f.symbol = rest;
    f.symbol = fg__slice_trim(f.symbol);
    /* Nothing was printed for the symbol (-F ip, -F ip,dso), or an empty one between two spaces. */
    if (f.symbol.n == 0)
        f.symbol = named && rest.p[0] == ' ' ? (fg__slice){" ", 1} : (fg__slice){"[unknown]", 9};
    *out = f;
    return true;
}
