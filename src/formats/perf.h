/*
 * The pieces of the `perf script` reader.
 *
 *   perf_script.c  the reader: samples, metadata, errors
 *   perf_seen.c    lines seen before, and the frames that they stand for
 *   perf_lines.c   an event line and a frame line, taken apart
 *
 * What perf prints for a symbol is made fit to be read by symbols/names.h.
 */
#ifndef FG_PERF_H
#define FG_PERF_H

#include "formats/format.h"
#include "symbols/names.h"

/* Without the white space around it. */
fg__slice fg__slice_trim(fg__slice s);
/* The next word, words being separated by spaces; *rest is what follows it. Empty: there is none. */
fg__slice fg__slice_word(fg__slice *rest);

/* ---- lines -----------------------------------------------------------------------------------------------
 */

/* An event line: "V8 Worker 12/34 [001] 5.678901:   1001001 cycles:u:  7f3a main+0x4 (/bin/a)". */
typedef struct fg__perf_event {
    fg__slice comm;
    fg__slice pid, tid; /* "?" and "" where the text has none */
    fg__slice name;     /* of the event, its modifiers included: "cycles:u" */
    fg__slice rest;     /* behind the event: a frame, or a tracepoint's payload */
    int64_t time;       /* ns; -1: none */
    int64_t period;     /* -1: none */
    bool weighs;        /* the period is what others count: it is between a time stamp and the event's name */
    size_t thread_end;  /* the part of the line that names the thread */
} fg__perf_event;

/* False: this is no event line. */
bool fg__perf_event_parse(fg__perf_event *out, fg__slice line);
/* Whether it is an event line beyond doubt: one with a thread and a time stamp. */
bool fg__perf_event_certain(const fg__perf_event *event);

/* A frame line: "7f3a main+0x4 (/bin/a)". */
typedef struct fg__perf_frame {
    fg__slice address, symbol, module; /* module: empty where the text has none */
} fg__perf_frame;

/* False: this is no frame line. */
bool fg__perf_frame_parse(fg__perf_frame *out, fg__slice line);

/* ---- lines seen before -----------------------------------------------------------------------------------
 */

/* Where the text of a frame line starts as perf lays it out: "\t%16lx symbol". */
enum { FG__PERF_DIGITS = 16, FG__PERF_TEXT = 1 + FG__PERF_DIGITS + 1 };
/* What a line stands for. */
typedef struct fg__perf_seen {
    uint32_t frame; /* its frame or, when count > 1, where its frames start in `inlined`, innermost first */
    uint32_t count; /* of frames; 0: it stands for none */
    bool java;      /* of a JVM */
    bool unknown;   /* no symbol: it bears the name of its module */
    bool inlined;   /* by the compiler: no frame of its own on the machine's stack */
} fg__perf_seen;

typedef struct fg__perf_lines {
    fg_profile *p;
    const fg_read_options *options;
    uint8_t *entries; /* one behind the other: see perf_seen.c */
    size_t used, cap;
    fg__table index;
    uint32_t *inlined; /* the frames of lines that stand for several */
    size_t inlined_count, inlined_cap;
    fg__buffer symbol, name; /* scratch */
    fg__table recent;        /* entries by address */
} fg__perf_lines;

/* The outermost frame of an event line's thread. */
int fg__perf_thread(fg__perf_seen *out, fg__perf_lines *lines, const fg__perf_event *event, fg__slice line);
/*
 * What the frame line `whole` stands for, in a thread of a JVM or not; `text` is all of it that is behind its
 * address and the space behind that. 1: *out is set. 0: this is no frame line. Negative: an error.
 */
int fg__perf_frames(fg__perf_seen *out, fg__perf_lines *lines, fg__slice whole, fg__slice text, bool java);
/* The same for a line that is laid out as perf does it. FG__WIDE bytes behind its end may be read. */
int fg__perf_laid_out_frames(fg__perf_seen *out, fg__perf_lines *lines, fg__slice text, bool java);
void fg__perf_lines_free(fg__perf_lines *lines);

#endif
