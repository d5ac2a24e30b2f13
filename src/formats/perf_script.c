/*
 * The text that `perf script` prints.
 *
 *      V8 Worker 12/34 [001] 5432.123456:    1001001 cycles:u:          an event line: who, when, what
 *              7f3a20 parse+0x4 (/usr/bin/a)                            its frames, innermost first
 *              7f3a90 main+0x1c (/usr/bin/a)
 *                                                                       a blank line ends the sample
 *
 * Samples become rows of the stack table at once: memory is bounded by what is different in the text.
 */
#include "formats/perf.h"
#include "formats/wide.h"
#include <stdio.h>

enum { EVENT_MAX = 256, EVENTS_LISTED = 8, LISTED_MAX = 64 };
enum { WAITING = 64 };
enum { PERF_MAX_STACK = 127 }; /* what the kernel records unless told otherwise (perf_event_max_stack) */

typedef enum state {
    OUTSIDE, /* a blank line was last: an event line is next */
    SAMPLE,
    SKIPPED, /* a sample of another event */
    JUNK     /* an event line was expected and not found */
} state;

/* A sample that waits for its place in the stack table. */
typedef struct waiting {
    size_t from, n; /* its frames are waiting_frames[from … from + n) */
    uint64_t hash;
    int64_t period, time;
} waiting;

typedef struct reader {
    fg_profile *p;
    fg_in *in;
    const fg_read_options *options;
    fg__perf_lines lines;

    /* The sample at hand. Its stack fills from the end of the array, for perf prints the innermost frame
     * first. */
    state state;
    uint32_t *stack;
    size_t top, cap;
    fg__perf_seen thread;
    int64_t period;
    size_t unknown, inlined;
    bool weighs; /* some periods are what others count */
    bool alone;  /* the last line was one frame: a source line that follows is about it */

    /* Samples are added some at a time: meanwhile the caches fetch the slots that their stacks will look at.
     */
    waiting waiting[WAITING];
    uint32_t *waiting_frames;
    size_t waiting_count, waiting_frame_count, waiting_cap;

    char event[EVENT_MAX]; /* the one that is read; "": the first one met will be */
    char others[EVENTS_LISTED][LISTED_MAX];
    size_t other_count;

    int64_t samples, empty, truncated, lost, frames, unknown_frames;
    int64_t least_period, most_period, first_time, last_time; /* -1: none */
    bool backwards; /* time went back: those are no time stamps but differences */
    bool named;     /* there are event lines */
    uint64_t events, odd_lines, first_odd_line;
    fg__slices slices; /* only for options->slices */
} reader;

static int odd_line(reader *r) {
    if (!r->odd_lines++) r->first_odd_line = r->in->line;
    return 0;
}

/* ---- stacks ----------------------------------------------------------------------------------------------
 */

static int grow_stack(reader *r) {
    size_t used = r->cap;
    int err = fg__grow(r->p->ctx, &r->stack, &r->cap, used + 1, sizeof *r->stack);
    if (err) return err;
    r->top = r->cap - used;
    memmove(r->stack + r->top, r->stack, used * sizeof *r->stack);
    return 0;
}

static inline int push(reader *r, uint32_t frame) {
    int err = FG__UNLIKELY(r->top == 0) ? grow_stack(r) : 0;
    if (!err) r->stack[--r->top] = frame;
    return err;
}

/* How many frames the sample at hand has. */
static size_t depth(const reader *r) {
    return r->cap - r->top;
}

static inline int push_seen(reader *r, const fg__perf_seen *seen) {
    r->unknown += seen->unknown;
    r->inlined += seen->inlined;
    r->alone = seen->count == 1;
    if (FG__LIKELY(seen->count == 1)) return push(r, seen->frame);
    int err = 0;
    for (uint32_t i = 0; i < seen->count && !err; i++) err = push(r, r->lines.inlined[seen->frame + i]);
    return err;
}

/* A frame line taken word by word: `text` is what is behind its address. */
static int on_words(reader *r, fg__slice whole, fg__slice text) {
    fg__perf_seen seen;
    int found = fg__perf_frames(&seen, &r->lines, whole, text, r->thread.java);
    return found > 0 ? push_seen(r, &seen) : found < 0 ? found : odd_line(r);
}

/* A frame line that is laid out as perf does it. */
static inline int on_frames(reader *r, fg__slice text) {
    fg__perf_seen seen;
    int found = fg__perf_laid_out_frames(&seen, &r->lines, text, r->thread.java);
    return FG__LIKELY(found > 0) ? push_seen(r, &seen) : found < 0 ? found : odd_line(r);
}

/* What follows a word of the line and the space behind it. */
static fg__slice behind_word(fg__slice word, fg__slice line) {
    const char *end = line.p + line.n, *behind = word.p + word.n;
    return fg__slice_of(behind < end ? behind + 1 : end, end);
}

static int add_waiting(reader *r) {
    int err = 0;
    for (size_t i = 0; i < r->waiting_count && !err; i++) {
        const waiting *w = &r->waiting[i];
        const int64_t values[] = {w->period < 0 ? 1 : w->period, 1};
        uint32_t id;
        err = fg__stack_add(r->p, r->waiting_frames + w->from, w->n, w->hash, values, &id);
        if (FG__UNLIKELY(r->options->slices) && !err && w->time >= 0)
            err = fg__slices_add(&r->slices, r->p->ctx, w->time, id, values[0]);
    }
    r->waiting_count = r->waiting_frame_count = 0;
    return err;
}

static int let_wait(reader *r, const uint32_t *frames, size_t n) {
    waiting w = {r->waiting_frame_count, n, fg__stack_hash(frames, n), r->period, r->last_time};
    int err = fg__grow(r->p->ctx, &r->waiting_frames, &r->waiting_cap, w.from + n, sizeof *frames);
    if (err) return err;
    fg__stack_prefetch(r->p, w.hash);
    memcpy(r->waiting_frames + w.from, frames, n * sizeof *frames);
    r->waiting_frame_count += n;
    r->waiting[r->waiting_count++] = w;
    return r->waiting_count == WAITING ? add_waiting(r) : 0;
}

static int add_sample(reader *r) {
    size_t n = depth(r);
    r->frames += (int64_t)n;
    r->unknown_frames += (int64_t)r->unknown;
    r->truncated += n - r->inlined == PERF_MAX_STACK;
    if (!r->samples++) r->least_period = r->most_period = r->period;
    if (r->period < r->least_period) r->least_period = r->period;
    if (r->period > r->most_period) r->most_period = r->period;
    int err = r->thread.count ? push(r, r->thread.frame) : 0;
    if (err) return err;
    return let_wait(r, r->stack + r->top, depth(r));
}

static int end_sample(reader *r) {
    int err = 0;
    if (r->state == SAMPLE && depth(r))
        err = add_sample(r);
    else
        r->empty += r->state == SAMPLE;
    r->top = r->cap;
    r->state = OUTSIDE;
    return err;
}

/* ---- events ----------------------------------------------------------------------------------------------
 */

/* Whether `name` is the event `wanted`, or one of its kin: "cycles" is "cycles:u" and "cycles:k" too. */
static bool is_event(fg__slice name, const char *wanted) {
    size_t n = strlen(wanted);
    return fg__slice_starts(name, wanted) && (name.n == n || name.p[n] == ':');
}

/* Without its modifiers: "cycles:u" is "cycles", but "sched:sched_switch" is itself. */
static fg__slice without_modifiers(fg__slice name) {
    const char *colon = memrchr(name.p, ':', name.n);
    if (!colon || colon == name.p || colon + 1 == name.p + name.n) return name;
    for (const char *c = colon + 1; c < name.p + name.n; c++)
        if (!memchr("ukhGHpPSDIWebR", *c, 14)) return name;
    return fg__slice_of(name.p, colon);
}

static void set_event(reader *r, fg__slice name) {
    if (name.n >= EVENT_MAX) name.n = EVENT_MAX - 1;
    memcpy(r->event, name.p, name.n);
    r->event[name.n] = '\0';
}

static void list_other(reader *r, fg__slice name) {
    char text[LISTED_MAX] = "";
    for (size_t i = 0; i < name.n && i < LISTED_MAX - 1; i++)
        text[i] = name.p[i] > ' ' && name.p[i] < 0x7f ? name.p[i] : '?';
    for (size_t i = 0; i < r->other_count; i++)
        if (strcmp(r->others[i], text) == 0) return;
    if (r->other_count < EVENTS_LISTED) memcpy(r->others[r->other_count++], text, LISTED_MAX);
}

/* Different events are not to be added up: only the wanted one, or the first one met, is read. */
static bool accepts(reader *r, fg__slice name) {
    if (name.n == 0) return true;
    if (!r->event[0]) set_event(r, without_modifiers(name));
    if (is_event(name, r->event)) return true;
    list_other(r, name);
    return false;
}

static void set_time(reader *r, int64_t time) {
    if (time < 0) return;
    if (r->first_time < 0) r->first_time = time;
    if (time < r->last_time) r->backwards = true;
    r->last_time = time;
}

/* A record that is no sample, as in "PERF_RECORD_LOST lost 12". */
static void on_record(reader *r, fg__slice record) {
    static const char lost[] = " lost ";
    const char *at = memmem(record.p, record.n, lost, sizeof lost - 1), *end = record.p + record.n;
    if (!at || !fg__slice_starts(record, "PERF_RECORD_LOST")) return;
    int64_t count = 0;
    for (at += sizeof lost - 1; at < end && fg__is_digit(*at) && count < INT32_MAX; at++)
        count = count * 10 + (*at - '0');
    r->lost += count;
}

/* A frame behind the event, where perf printed no call chain. Anything else there is a tracepoint's payload.
 */
static int on_rest(reader *r, fg__slice rest) {
    fg__perf_frame frame;
    if (!rest.n || !fg__perf_frame_parse(&frame, rest) || !frame.module.n) return 0;
    int err = on_words(r, rest, behind_word(frame.address, rest));
    return err ? err : end_sample(r);
}

static int begin_sample(reader *r, const fg__perf_event *e, fg__slice line) {
    r->state = OUTSIDE;
    const char *record = e->name.n ? e->name.p : e->rest.p;
    if (record && fg__slice_starts(fg__slice_of(record, line.p + line.n), "PERF_RECORD_")) {
        on_record(r, fg__slice_of(record, line.p + line.n));
        return 0;
    }
    r->events++;
    r->state = SKIPPED;
    if (!accepts(r, e->name)) return 0;
    r->state = SAMPLE;
    r->period = e->period;
    r->weighs |= e->weighs;
    r->unknown = r->inlined = 0;
    r->alone = false;
    set_time(r, e->time);
    int err = fg__perf_thread(&r->thread, &r->lines, e, line);
    return err ? err : on_rest(r, e->rest);
}

/* ---- lines -----------------------------------------------------------------------------------------------
 */

/* Lines of the header that are worth keeping: "# hostname : db1". */
static const struct {
    const char *start, *key;
} header_lines[] = {{"# hostname :", "host"}, {"# cmdline :", "target"}};

static int on_comment(reader *r, fg__slice line) {
    int err = 0;
    for (size_t i = 0; i < sizeof header_lines / sizeof *header_lines && !err && !r->events; i++) {
        if (!fg__slice_starts(line, header_lines[i].start)) continue;
        fg__slice value = fg__slice_trim(fg__slice_skip(line, strlen(header_lines[i].start)));
        r->lines.name.n = 0;
        err = fg__buffer_add(r->p->ctx, &r->lines.name, value.p, value.n);
        if (!err) err = fg_meta_set_text(r->p, header_lines[i].key, r->lines.name.bytes);
    }
    return err;
}

/* "  file.c:12" (-F srcline): where the frame just read is. */
static int on_source_line(reader *r, fg__slice line) {
    fg__slice s = fg__slice_trim(line);
    const char *bracket = memmem(s.p, s.n, " (discriminator ", 16);
    const char *end = bracket ? bracket : s.p + s.n, *digits = end;
    while (digits > s.p && fg__is_digit(digits[-1])) digits--;
    if (!r->alone || digits == end || digits - s.p < 2 || digits[-1] != ':') return 0;
    uint64_t number = 0;
    for (const char *c = digits; c < end && number <= UINT32_MAX; c++)
        number = number * 10 + (uint64_t)(*c - '0');

    uint32_t *innermost = &r->stack[r->top];
    fg__frame frame = *fg__frame_at(r->p, *innermost);
    int err = fg__string_intern(&frame.file, r->p, s.p, (size_t)(digits - 1 - s.p));
    if (r->options->lines && number <= UINT32_MAX) frame.line = (uint32_t)number;
    return err ? err : fg__frame_intern(innermost, r->p, &frame);
}

static int on_event_line(reader *r, fg__slice line) {
    fg__perf_event event;
    if (fg__perf_event_parse(&event, line)) {
        r->named = true;
        return begin_sample(r, &event, line);
    }
    r->state = JUNK;
    return odd_line(r);
}

/* A line within a sample that is not laid out as perf's frames are. */
static int on_other_line(reader *r, fg__slice line) {
    fg__perf_event event;
    if (fg__perf_event_parse(&event, line) &&
        fg__perf_event_certain(&event)) { /* the last one has no frames */
        int err = end_sample(r);
        return err ? err : begin_sample(r, &event, line);
    }
    if (r->state == SKIPPED) return 0;
    fg__perf_frame frame;
    if (fg__perf_frame_parse(&frame, line)) { return on_words(r, line, behind_word(frame.address, line)); }
    bool source = line.n > 2 && line.p[0] == ' ' && line.p[1] == ' ' && line.p[2] != ' ';
    return source ? on_source_line(r, line) : odd_line(r);
}

/*
 * Where the text of a frame line starts that is laid out as perf does it. NULL: the line is of another kind, or has to
 * be taken apart word by word. `line` may go on behind the line's end.
 */
static inline const char *laid_out_text(fg__slice line) {
    enum { ALL = (1 << FG__PERF_DIGITS) - 1 };
    if (line.n <= FG__PERF_TEXT || line.p[0] != '\t' || line.p[FG__PERF_TEXT - 1] != ' ') return NULL;
    unsigned spaces = fg__wide_is(line.p + 1, ' '), digits = fg__wide_hex(line.p + 1);
    bool padded = (spaces & (spaces + 1)) == 0 && spaces != ALL; /* spaces come first: the low bits */
    return padded && (spaces | digits) == ALL ? line.p + FG__PERF_TEXT : NULL;
}

/* A frame line outside of a sample. In a text without any event line it begins one: -F ip,sym prints that. */
static int begin_nameless(reader *r) {
    static const fg__perf_event nobody = {.time = -1, .period = -1};
    if (!r->named) return begin_sample(r, &nobody, (fg__slice){"", 0});
    r->state = JUNK;
    return odd_line(r);
}

static int on_line(reader *r, fg__slice line) {
    const char *behind = laid_out_text(line);
    if (FG__LIKELY(behind != NULL)) {
        int err = r->state == OUTSIDE ? begin_nameless(r) : 0;
        if (err || r->state != SAMPLE) return err;
        return on_words(r, line, fg__slice_of(behind, line.p + line.n));
    }
    if (line.n && line.p[0] == '#') return on_comment(r, line);
    while (line.n && fg__is_space(line.p[line.n - 1])) line.n--;
    if (line.n == 0) return end_sample(r);
    return r->state == SAMPLE || r->state == SKIPPED ? on_other_line(r, line) : on_event_line(r, line);
}

/* ---- the whole text --------------------------------------------------------------------------------------
 */

static int fail_no_event(reader *r) {
    char list[EVENTS_LISTED * LISTED_MAX + 1] = "";
    for (size_t i = 0; i < r->other_count; i++) {
        if (i) strcat(list, " ");
        strcat(list, r->others[i]);
    }
    return fg__fail(r->p->ctx, FG_EEMPTY, "%s: perf script: no sample of the event \"%s\"; there are: %s%s",
                    r->in->name, r->event, list, r->other_count == EVENTS_LISTED ? " …" : "");
}

static int fail_empty(reader *r) {
    fg_ctx *ctx = r->p->ctx;
    if (r->empty)
        return fg__fail(
            ctx, FG_EEMPTY,
            "%s: perf script: none of the %lld samples has a stack: record with `perf record -g`, and "
            "see that `perf script` prints the fields ip, sym and dso",
            r->in->name, (long long)r->empty);
    if (r->events) return fail_no_event(r);
    if (!r->odd_lines)
        return fg__fail(ctx, FG_EEMPTY,
                        "%s: perf script: no samples: did the program run while perf recorded?", r->in->name);
    r->in->line = r->first_odd_line;
    return fg__in_fail_line(r->in, FG_EFORMAT,
                            "expected \"COMMAND PID TIME: EVENT:\"; is this what `perf script` printed?");
}

/* Columns are there before the first sample; what they are is known behind the last one. */
static int set_types(reader *r) {
    fg_profile *p = r->p;
    if (r->most_period < 0) { /* without periods both columns have counted samples */
        p->types[0] = p->types[1];
        p->type_count = 1;
        return 0;
    }
    const char *event = r->event[0] ? r->event : "period";
    bool clock = strcmp(event, "cpu-clock") == 0 || strcmp(event, "task-clock") == 0;
    const char *unit = clock ? "nanoseconds" : "count";
    int err = fg__string_intern(&p->types[0].name, p, event, strlen(event));
    if (!err) err = fg__string_intern(&p->types[0].unit, p, unit, strlen(unit));
    char type[EVENT_MAX + 16];
    snprintf(type, sizeof type, "%s/%s", event, unit);
    if (!err) err = fg_meta_set_text(p, "period_type", type);
    if (!err) err = fg_meta_set_text(p, "default_type", r->weighs ? event : "samples");
    return err || r->least_period != r->most_period ? err : fg_meta_set_number(p, "period", r->most_period);
}

static int add_notes(reader *r) {
    int err = 0;
    if (r->other_count)
        err = fg_profile_note(r->p, "this is %s alone; the recording has other events too: %s%s", r->event,
                              r->others[0], r->other_count > 1 ? " …" : "");
    if (!err && r->unknown_frames > r->frames / 10)
        err = fg_profile_note(r->p, "%lld %% of the frames have no symbol and bear the name of their binary",
                              (long long)(100 * r->unknown_frames / r->frames));
    if (!err && r->odd_lines)
        err = fg_profile_note(r->p, "lines that were not understood and left out: %llu, line %llu the first",
                              (unsigned long long)r->odd_lines, (unsigned long long)r->first_odd_line);
    return err;
}

static int set_metadata(reader *r) {
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"samples", r->samples},
        {"failed", r->empty},
        {"truncated", r->truncated},
        {"lost", r->lost},
        {"duration", r->backwards ? 0 : r->last_time - r->first_time},
    };
    int err = set_types(r);
    if (!err) err = fg_meta_set_text(r->p, "collector", "perf");
    if (!err) err = fg_meta_set_text(r->p, "source", "perf script");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++)
        err = fg_meta_set_number(r->p, numbers[i].key, numbers[i].value);
    if (!err && !r->backwards) err = fg__slices_keep(&r->slices, r->p, 0, NULL);
    return err ? err : add_notes(r);
}

/* The newline behind `text`, of which 2 * FG__WIDE bytes may be read. NULL: there is none before `end`. */
static inline const char *line_end(const char *text, const char *end) {
    uint64_t low = fg__wide_find(text, '\n'), high = fg__wide_find(text + FG__WIDE, '\n');
    if (FG__LIKELY((low | high) != 0)) /* both halves are always looked at: no branch to guess */
        return text + (low ? __builtin_ctzll(low) : FG__WIDE + __builtin_ctzll(high | (uint64_t)1 << 63));
    return memchr(text + 2 * FG__WIDE, '\n', (size_t)(end - text) - 2 * FG__WIDE);
}

/* Read frame lines as long as they are laid out, and the blank line behind them. */
static int read_frames(reader *r) {
    enum { ROOM = FG__PERF_TEXT + 2 * FG__WIDE, AHEAD = 1024 };
    const char *p = (const char *)r->in->p, *end = (const char *)r->in->end - FG__WIDE;
    int err = 0;
    while (end - p >= ROOM && !err) {
        const char *text = laid_out_text((fg__slice){p, ROOM}), *newline = text ? line_end(text, end) : NULL;
        if (!newline) break;
        __builtin_prefetch(text + AHEAD); /* the window is as long as the file: it comes from afar */
        p = newline + 1;
        r->in->line++;
        err = on_frames(r, fg__slice_of(text, newline - (newline[-1] == '\r')));
    }
    if (!err && end - p >= ROOM && *p == '\n') {
        p++;
        r->in->line++;
        err = end_sample(r);
    }
    r->in->p = (const uint8_t *)p;
    return err;
}

static int read_lines(reader *r) {
    fg__slice line;
    int more;
    while ((more = fg__in_line(r->in, &line.p, &line.n)) > 0) {
        int err = on_line(r, line);
        if (!err && r->state == SAMPLE) err = read_frames(r);
        if (err) return err;
    }
    if (more < 0) return more;
    int err = end_sample(r);
    return err ? err : add_waiting(r);
}

static int read_perf_script(fg_profile *p, fg_in *in, const fg_read_options *options) {
    reader r = {.p = p,
                .in = in,
                .options = options,
                .lines = {.p = p, .options = options},
                .first_time = -1,
                .last_time = -1};
    if (options->event) set_event(&r, (fg__slice){options->event, strlen(options->event)});
    if (options->annotate_kernel) p->annotations |= 1u << FG_KIND_KERNEL;
    if (options->annotate_jit) p->annotations |= 1u << FG_KIND_JIT;
    int err = fg_profile_add_type(p, "period", "count");
    if (!err) err = fg_profile_add_type(p, "samples", "count");
    if (!err) err = read_lines(&r);
    if (!err) err = r.samples ? set_metadata(&r) : fail_empty(&r);
    fg__perf_lines_free(&r.lines);
    fg__slices_free(&r.slices, in->ctx);
    fg_free(in->ctx, r.stack);
    fg_free(in->ctx, r.waiting_frames);
    return err;
}

/* ---- recognition -----------------------------------------------------------------------------------------
 */

/* Sure of an event line beyond doubt, and of any event line with a frame line behind it; less of a frame line alone. */
/* A line with a byte that no text has says nothing: in binary files some look like events, and some like frames. */
static bool is_text(fg__slice line) {
    for (size_t i = 0; i < line.n; i++)
        if ((uint8_t)line.p[i] < ' ' && !fg__is_space(line.p[i])) return false;
    return true;
}

static int judge(fg__slice head) {
    enum { LINES = 64 };
    bool event_before = false;
    for (int lines = 0; head.n && lines < LINES; lines++) {
        const char *newline = memchr(head.p, '\n', head.n), *end = head.p + head.n;
        fg__slice line = fg__slice_of(head.p, newline ? newline : end), text = fg__slice_trim(line);
        head = fg__slice_of(newline ? newline + 1 : end, end);
        if (fg__slice_starts(line, "#")) continue;
        if (!is_text(line)) {
            event_before = false;
            continue;
        }
        fg__perf_event event;
        fg__perf_frame frame;
        if (event_before && text.n && fg__is_space(line.p[0]) && fg__perf_frame_parse(&frame, line))
            return 95;
        if (laid_out_text(line) && fg__perf_frame_parse(&frame, line)) return 70;
        event_before = text.n && fg__perf_event_parse(&event, text);
        if (event_before && fg__perf_event_certain(&event)) return 90;
    }
    return 0;
}

static int probe(const uint8_t *head, size_t n) {
    fg__slice s = {(const char *)head, n};
    return fg__slice_starts(s, "# ========\n# captured on") ? 95 : judge(s);
}

const fg_format fg__perf_script = {
    .name = "perf-script",
    .summary = "text printed by `perf script`",
    .suffixes = ".perf .perf.txt",
    .probe = probe,
    .read = read_perf_script,
};
