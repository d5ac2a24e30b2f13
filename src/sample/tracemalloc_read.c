/*
 * A snapshot of tracemalloc, as payloads/tracemalloc.py writes it: files, functions, stacks, a line each. The process
 * wrote it, so nothing of it is taken on trust.
 */
#include "core/slice.h"
#include "sample/tracemalloc.h"
#include <stdlib.h>

enum { STACK_MAX = 65536 };

/* A function: the lines of a file from first to last, and what is nested in it has lines in between. */
typedef struct function {
    uint32_t file, first, last, frame;
    fg__slice name;
} function;

typedef struct reader {
    fg_profile *p;
    fg_ctx *ctx;
    fg__tracemalloc_as as;
    fg__slice *files;
    uint32_t *modules; /* for each file the frame of what is in no function */
    size_t file_count, file_cap, module_cap;
    function *functions;
    size_t function_count, function_cap;
    bool sorted;
    uint32_t *stack;
    size_t stack_cap;
    uint64_t line; /* of the text */
} reader;

static int bad(reader *r, const char *why) {
    return fg__fail(r->ctx, FG_EFORMAT, "the answer of the process, line %llu: %s",
                    (unsigned long long)r->line, why);
}

static bool number(uint64_t *out, fg__slice *text, uint64_t most) {
    uint64_t n = 0;
    size_t i = 0;
    while (i < text->n && fg__is_digit(text->p[i])) {
        n = n * 10 + (uint64_t)(text->p[i++] - '0');
        if (n > most) return false;
    }
    *text = fg__slice_skip(*text, i);
    *out = n;
    return i > 0;
}

static bool separator(fg__slice *text, char c) {
    if (!text->n || *text->p != c) return false;
    *text = fg__slice_skip(*text, 1);
    return true;
}

/* "N PATH" */
static int read_file(reader *r, fg__slice text) {
    uint64_t n;
    if (!number(&n, &text, UINT32_MAX) || !separator(&text, ' ') || n != r->file_count)
        return bad(r, "no file");
    int err = fg__grow(r->ctx, &r->files, &r->file_cap, r->file_count + 1, sizeof *r->files);
    if (!err) err = fg__grow(r->ctx, &r->modules, &r->module_cap, r->file_count + 1, sizeof *r->modules);
    if (err) return err;
    r->modules[r->file_count] = FG__NONE;
    r->files[r->file_count++] = text;
    return 0;
}

/* "N FIRST LAST NAME" */
static int read_function(reader *r, fg__slice text) {
    uint64_t file, first, last;
    if (!number(&file, &text, UINT32_MAX) || !separator(&text, ' ') || !number(&first, &text, INT32_MAX) ||
        !separator(&text, ' ') || !number(&last, &text, INT32_MAX) || !separator(&text, ' ') ||
        file >= r->file_count)
        return bad(r, "no function");
    int err = fg__grow(r->ctx, &r->functions, &r->function_cap, r->function_count + 1, sizeof *r->functions);
    if (err) return err;
    r->functions[r->function_count++] =
        (function){(uint32_t)file, (uint32_t)first, (uint32_t)last, FG__NONE, text};
    return 0;
}

static int by_place(const void *a, const void *b) {
    const function *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->last > y->last ? -1 : x->last < y->last; /* what is nested comes behind */
}

/* The innermost function around a line, or NULL. */
static function *find_function(reader *r, uint32_t file, uint32_t line) {
    size_t low = 0, high = r->function_count;
    while (low < high) { /* the first that begins behind the line */
        size_t middle = (low + high) / 2;
        const function *f = &r->functions[middle];
        if (f->file < file || (f->file == file && f->first <= line))
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0 && r->functions[low - 1].file == file)
        if (r->functions[--low].last >= line) return &r->functions[low];
    return NULL;
}

static int make_frame(uint32_t *out, reader *r, fg__slice name, uint32_t file, uint32_t line) {
    fg__frame frame = {.line = line, .kind = FG_KIND_PYTHON};
    int err = fg__string_intern(&frame.name, r->p, name.p, name.n);
    if (!err) err = fg__string_intern(&frame.file, r->p, r->files[file].p, r->files[file].n);
    return err ? err : fg__frame_intern(out, r->p, &frame);
}

static int frame_at(uint32_t *out, reader *r, uint32_t file, uint32_t line) {
    static const fg__slice module = {"<module>", 8};
    function *f = find_function(r, file, line);
    uint32_t *known = f ? &f->frame : &r->modules[file];
    int err = *known != FG__NONE ? 0 : make_frame(known, r, f ? f->name : module, file, f ? f->first : 0);
    *out = *known;
    return err;
}

static int add_stack(reader *r, size_t n, int64_t bytes, int64_t blocks) {
    int64_t values[2] = {bytes, blocks};
    if (r->as == FG__TRACEMALLOC_BEFORE) values[1] = 0;
    if (r->as == FG__TRACEMALLOC_AFTER) values[0] = 0, values[1] = bytes;
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t frame = r->stack[i];
        r->stack[i] = r->stack[n - 1 - i];
        r->stack[n - 1 - i] = frame;
    }
    return fg_profile_add(r->p, r->stack, n, values);
}

/* "BYTES BLOCKS FILE:LINE …", innermost first */
static int read_stack(reader *r, fg__slice text) {
    uint64_t bytes, blocks, file, line;
    size_t n = 0;
    if (!r->sorted && r->function_count)
        qsort(r->functions, r->function_count, sizeof *r->functions, by_place);
    r->sorted = true;
    if (!number(&bytes, &text, INT64_MAX / 16) || !separator(&text, ' ') ||
        !number(&blocks, &text, INT64_MAX / 16))
        return bad(r, "no memory");
    while (separator(&text, ' ') && text.n) {
        if (!number(&file, &text, UINT32_MAX) || !separator(&text, ':') || !number(&line, &text, INT32_MAX) ||
            file >= r->file_count || n == STACK_MAX)
            return bad(r, "no stack");
        int err = fg__grow(r->ctx, &r->stack, &r->stack_cap, n + 1, sizeof *r->stack);
        if (!err) err = frame_at(&r->stack[n++], r, (uint32_t)file, (uint32_t)line);
        if (err) return err;
    }
    if (text.n || !n) return bad(r, "no stack");
    return add_stack(r, n, (int64_t)bytes, (int64_t)blocks);
}

static int read_line(reader *r, fg__slice line) {
    static const struct {
        const char *start;
        int (*read)(reader *r, fg__slice text);
    } kinds[] = {{"f ", read_file}, {"d ", read_function}, {"t ", read_stack}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (fg__slice_starts(line, kinds[i].start)) return kinds[i].read(r, fg__slice_skip(line, 2));
    return bad(r, "unknown");
}

int fg__tracemalloc_read(fg_profile *p, const char *text, size_t n, fg__tracemalloc_as as) {
    reader r = {.p = p, .ctx = fg_profile_ctx(p), .as = as};
    const char *end = text + n;
    int err = 0;
    while (!err && text < end) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        r.line++;
        err = eol ? read_line(&r, fg__slice_of(text, eol)) : bad(&r, "it is cut off");
        text = eol ? eol + 1 : end;
    }
    fg_free(r.ctx, r.files);
    fg_free(r.ctx, r.modules);
    fg_free(r.ctx, r.functions);
    fg_free(r.ctx, r.stack);
    return err;
}
