/*
 * formats: bytes to profiles and back. One file per format, one row each in formats.c; may include core and
 * symbols.
 *
 *   formats.c  the table, recognition by content         input.c   windows on files, pipes and memory; gzip,
 * zstd output.c   buffered output that appears whole         read.c    fg_read, fg_parse and a file for each
 * format: folded.c perf_script.c pprof.c cpuprofile.c heapprofile.c svg.c speedscope.c summary.c …
 */
#ifndef FG_FORMAT_H
#define FG_FORMAT_H

#include "core/core.h"

/* ---- input --------------------------------------------------------------------------------------------- */

/*
 * A window on the input. Unread bytes are p … end; a reader moves p. When it needs more than there is, it
 * calls fg__in_more: the unread bytes stay (p and end may move), more follow. A mapped file is one window
 * from the start: readers work on it in place.
 */
typedef struct fg_in {
    const uint8_t *p, *end;
    fg_ctx *ctx;
    const char *name;      /* what messages call it */
    const char *format;    /* of the reader at work, for messages; NULL: not known yet */
    const uint8_t *window; /* where the window starts … */
    uint64_t base;         /* … and how far into the (decompressed) input that is */
    uint64_t line;         /* lines read by fg__in_line so far */
    bool ended;            /* nothing follows `end` */
    struct fg__source *source;
} fg_in;

/* The cap on decompressed bytes that is in force. Readers bound by it what they make of a few bytes, too. */
uint64_t fg__max_input(const fg_read_options *options);
/* 1: the window has grown. 0: the input has ended. Negative: an error. */
int fg__in_more(fg_in *in);
/* See that at least `n` unread bytes are in the window: 1; 0 where the input ends before; negative: an error.
 */
int fg__in_need(fg_in *in, size_t n);
/* The next line without its "\n" or "\r\n": 1, at the end 0, or an error. Valid until the next call on `in`.
 */
int fg__in_line(fg_in *in, const char **line, size_t *n);
/* How far p is into the input, in bytes. */
static inline uint64_t fg__in_offset(const fg_in *in) {
    return in->base + (uint64_t)(in->p - in->window);
}
/* "NAME: FORMAT, line L: message" or "…, byte B: message"; returns `code`. */
int fg__in_fail_line(fg_in *in, int code, const char *format, ...) FG_PRINTF(3, 4);
int fg__in_fail_byte(fg_in *in, int code, const char *format, ...) FG_PRINTF(3, 4);

/* ---- output -------------------------------------------------------------------------------------------- */

/* Buffered output. An error sticks and later writes do nothing: writers check once, by returning
 * fg__out_status. */
typedef struct fg_out {
    fg_ctx *ctx;
    char *buffer;
    size_t n, cap;
    int fd; /* -1: memory only, the buffer grows */
    int status;
} fg_out;

void fg__out_bytes(fg_out *out, const void *bytes, size_t n);
void fg__out_text(fg_out *out, const char *text);
void fg__out_format(fg_out *out, const char *format, ...) FG_PRINTF(2, 3);
void fg__out_i64(fg_out *out, int64_t number);
void fg__out_varint(fg_out *out, uint64_t number); /* LEB128 */
/* Text escaped for its surroundings, quotes of a JSON string included. */
void fg__out_json(fg_out *out, const char *text);
void fg__out_xml(fg_out *out, const char *text);
void fg__out_base64(fg_out *out, const void *bytes, size_t n);
static inline void fg__out_char(fg_out *out, char c) {
    if (FG__LIKELY(out->n < out->cap))
        out->buffer[out->n++] = c;
    else
        fg__out_bytes(out, &c, 1);
}
static inline int fg__out_status(const fg_out *out) {
    return out->status;
}
/* In memory: free out->buffer with fg_free. */
int fg__out_memory(fg_out *out, fg_ctx *ctx);

/* ---- the table ----------------------------------------------------------------------------------------- */

/*
 * A format. `probe` sees the first bytes (all there are, or some 64 KiB) and says how sure it is, 0 (no) to
 * 100; the highest wins, and text formats that take nearly anything answer low. `read` fills an empty
 * profile; `write` may be NULL, as may `probe` and `read` of a format that is only written.
 */
typedef struct fg_format {
    const char *name, *summary;
    const char *suffixes; /* space-separated, with their dots; the first one is the usual one */
    int (*probe)(const uint8_t *head, size_t n);
    int (*read)(fg_profile *p, fg_in *in, const fg_read_options *options);
    int (*write)(fg_out *out, fg_profile *p, const fg_write_options *options);
} fg_format;

extern const fg_format fg__folded, fg__perf_script, fg__perf_data, fg__pprof, fg__cpuprofile, fg__svg_reader,
    fg__speedscope, fg__json, fg__markdown, fg__nettrace_format, fg__heap, fg__heapprofile;

/* NULL-terminated. */
extern const fg_format *const fg__formats[];
/* The row of that name, or NULL. */
const fg_format *fg__format_named(const fg_format *const *table, const char *name);
/* The row one of whose suffixes ends `path` (longest first), or NULL. */
const fg_format *fg__format_for(const fg_format *const *table, const char *path);
/* Write by a row of a table: `path` as in fg_write. */
int fg__write_path(fg_profile *p, const fg_format *format, const char *path, const fg_write_options *options);

/*
 * The number to print with so many digits: halves go up, away from zero, as browsers round and people do. printf sends what
 * lies exactly between two to the even one, so such a number is moved by the least that there is.
 */
double fg__halves_up(double number, int digits);

/* A value for a person: "12.3 s", "4.0 MiB", "1,234 samples". `n` bytes at `text`. */
void fg__value_text(char *text, size_t n, double value, const char *unit);

#endif
