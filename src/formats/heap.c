/*
 * Heap profiles as text, of jemalloc's prof.dump and of gperftools' heap profiler.
 *
 *   heap_v2/524288                              heap profile: 3: 52 [ 3: 52 ] @ heap_v2/524288
 *     t*: 3: 52 [3: 52]     totals                 1: 20 [ 1: 20 ] @ 0x55f0 0x55a0
 *   @ 0x55f0 0x55a0         innermost first
 *     t*: 1: 20 [1: 20]     in use: objects: bytes [allocated since the start: objects: bytes]
 *   MAPPED_LIBRARIES:                           MAPPED_LIBRARIES:
 *   …                       /proc/PID/maps      …
 *
 * Both sample: an allocation of s bytes is seen with the probability 1 − exp(−s/R), R being the mean number of bytes
 * between two samples. Each stack's numbers are divided by that for its mean size. The mappings come last, so that
 * stacks are kept as addresses until then.
 */
#include "formats/heap.h"
#include <math.h>
#include <stdlib.h>
#include "core/slice.h"
#include "symbols/symbols.h"

enum { IN_USE_OBJECTS, IN_USE_BYTES, ALLOCATED_OBJECTS, ALLOCATED_BYTES, NUMBERS, DEPTH_MAX = 4096 };

typedef struct stack {
    size_t from, n; /* addresses[from … from + n), innermost first */
    double numbers[NUMBERS];
} stack;

typedef struct reader {
    fg_profile *p;
    fg_in *in;
    fg__space *space;
    bool live;   /* the space is that of the process: no need for mappings */
    double rate; /* R; 0: every allocation was seen */
    bool jemalloc, maps;
    fg__heap_as as;
    uint64_t *addresses;
    size_t address_count, address_cap;
    stack *stacks;
    size_t stack_count, stack_cap;
    uint32_t *frames;
    size_t frame_cap;
} reader;

/* ---- numbers ------------------------------------------------------------------------------------------- */

static void skip_spaces(fg__slice *s) {
    while (s->n && *s->p == ' ') *s = fg__slice_skip(*s, 1);
}

static bool take(fg__slice *s, char c) {
    skip_spaces(s);
    if (!s->n || *s->p != c) return false;
    *s = fg__slice_skip(*s, 1);
    return true;
}

static bool take_number(fg__slice *s, double *out) {
    uint64_t n = 0;
    size_t digits = 0;
    skip_spaces(s);
    while (s->n && fg__is_digit(*s->p) && digits++ < 18) {
        n = n * 10 + (uint64_t)(*s->p - '0');
        *s = fg__slice_skip(*s, 1);
    }
    *out = (double)n;
    return digits > 0 && digits <= 18;
}

static bool take_hex(fg__slice *s, uint64_t *out) {
    uint64_t n = 0;
    size_t digits = 0;
    while (s->n && fg__is_hex(*s->p) && digits < 16) {
        char c = *s->p;
        n = n << 4 | (uint64_t)(fg__is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
        digits++;
        *s = fg__slice_skip(*s, 1);
    }
    *out = n;
    return digits > 0;
}

/* "3: 52 [3: 52]" */
static bool take_numbers(fg__slice *s, double *numbers) {
    return take_number(s, &numbers[IN_USE_OBJECTS]) && take(s, ':') &&
           take_number(s, &numbers[IN_USE_BYTES]) && take(s, '[') &&
           take_number(s, &numbers[ALLOCATED_OBJECTS]) && take(s, ':') &&
           take_number(s, &numbers[ALLOCATED_BYTES]) && take(s, ']');
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static int bad(reader *r, const char *why) {
    return fg__in_fail_line(r->in, FG_EFORMAT, "%s", why);
}

static bool is_jemalloc(fg__slice line) {
    return fg__slice_starts(line, "heap_v2/");
}

static bool is_gperftools(fg__slice line) {
    return fg__slice_starts(line, "heap profile:") && fg__slice_has(line, "] @ heap");
}

static int read_head(reader *r, fg__slice line) {
    double ignored[NUMBERS];
    r->jemalloc = is_jemalloc(line);
    if (r->jemalloc) {
        line = fg__slice_skip(line, strlen("heap_v2/"));
    } else {
        if (!is_gperftools(line)) return bad(r, "it does not begin as a heap profile does");
        line = fg__slice_skip(line, strlen("heap profile:"));
        if (!take_numbers(&line, ignored) || !take(&line, '@')) return bad(r, "a head without totals");
        skip_spaces(&line);
        if (!fg__slice_starts(line, "heap_v2/")) {
            if (fg__slice_starts(line, "heapprofile")) return 0;
            return bad(r, "the kinds heapprofile and heap_v2 are known, not this one");
        }
        line = fg__slice_skip(line, strlen("heap_v2/"));
    }
    return take_number(&line, &r->rate) && r->rate >= 1 ? 0 : bad(r, "a head without a sampling rate");
}

static int add_stack(reader *r, fg__slice addresses, const double *numbers) {
    fg_ctx *ctx = r->in->ctx;
    stack new = {.from = r->address_count};
    for (uint64_t address;
         take(&addresses, '0') && take(&addresses, 'x') && take_hex(&addresses, &address);) {
        if (new.n == DEPTH_MAX) return bad(r, "a stack of more than 4096 frames");
        int err = fg__grow(ctx, &r->addresses, &r->address_cap, r->address_count + 1, sizeof *r->addresses);
        if (err) return err;
        r->addresses[r->address_count++] = address;
        new.n++;
    }
    skip_spaces(&addresses);
    if (addresses.n) return bad(r, "a stack that is no list of addresses");
    if (numbers) memcpy(new.numbers, numbers, sizeof new.numbers);
    int err = fg__grow(ctx, &r->stacks, &r->stack_cap, r->stack_count + 1, sizeof *r->stacks);
    if (!err) r->stacks[r->stack_count++] = new;
    return err;
}

/* jemalloc: "@ 0x… 0x…", then a line for all threads, then one for each thread, which is not needed. */
static int read_jemalloc(reader *r, fg__slice line) {
    if (take(&line, '@')) return add_stack(r, line, NULL);
    if (!take(&line, 't')) return line.n ? bad(r, "neither a stack nor numbers") : 0;
    if (!take(&line, '*') || !r->stack_count) return 0;
    if (!take(&line, ':') || !take_numbers(&line, r->stacks[r->stack_count - 1].numbers))
        return bad(r, "no numbers");
    return 0;
}

static int read_gperftools(reader *r, fg__slice line) {
    double numbers[NUMBERS];
    skip_spaces(&line);
    if (!line.n) return 0;
    if (!take_numbers(&line, numbers) || !take(&line, '@')) return bad(r, "neither numbers nor a stack");
    return add_stack(r, line, numbers);
}

/* "55f0-5600 r-xp 00001000 fd:01 1234   /usr/bin/true" */
static int read_mapping(reader *r, fg__slice line) {
    fg__mapping m = {0};
    uint64_t major, minor;
    double inode;
    if (!take_hex(&line, &m.start) || !take(&line, '-') || !take_hex(&line, &m.end)) return 0;
    skip_spaces(&line);
    bool executable = line.n >= 4 && line.p[2] == 'x';
    if (!executable || m.end <= m.start) return 0;
    line = fg__slice_skip(line, 4);
    skip_spaces(&line);
    if (!take_hex(&line, &m.offset)) return 0;
    skip_spaces(&line);
    if (!take_hex(&line, &major) || !take(&line, ':') || !take_hex(&line, &minor) ||
        !take_number(&line, &inode))
        return 0;
    skip_spaces(&line);
    fg__buffer path = {0};
    int err = fg__buffer_add(r->in->ctx, &path, line.p, line.n);
    m.path = line.n ? path.bytes : "//anon";
    m.major = (uint32_t)major;
    m.minor = (uint32_t)minor;
    m.inode = (uint64_t)inode;
    if (!err) err = fg__space_map(r->space, &m);
    fg_free(r->in->ctx, path.bytes);
    return err;
}

static int read_lines(reader *r) {
    const char *bytes;
    size_t n;
    int more = fg__in_line(r->in, &bytes, &n);
    if (more <= 0) return more < 0 ? more : bad(r, "it is empty");
    int err = read_head(r, (fg__slice){bytes, n});
    while (!err && (more = fg__in_line(r->in, &bytes, &n)) > 0) {
        fg__slice line = {bytes, n};
        if (fg__slice_starts(line, "MAPPED_LIBRARIES:"))
            r->maps = true;
        else if (r->maps)
            err = r->live ? 0 : read_mapping(r, line);
        else
            err = r->jemalloc ? read_jemalloc(r, line) : read_gperftools(r, line);
    }
    return err ? err : more < 0 ? more : 0;
}

/* ---- the profile --------------------------------------------------------------------------------------- */

/* Whether a frame is a part of the allocator: each stack begins with some of them, which say nothing. */
static bool is_allocator(const fg_profile *p, uint32_t id) {
    static const char *const names[] = {
        "malloc",         "calloc",        "realloc", "reallocarray", "valloc",        "pvalloc",  "memalign",
        "posix_memalign", "aligned_alloc", "mallocx", "rallocx",      "fallback_impl", "do_malloc"};
    static const char *const starts[] = {
        "prof_",
        "je_",
        "_rjem_",
        "rjem_",
        "imalloc",
        "ialloc",
        "do_rallocx",
        "operator new",
        "__rdl_",
        "__rustc::__r",
        "__rg_",
        "__rust_al",
        "__rust_realloc",
        "alloc::alloc::",
        "<alloc::alloc::Global",
        "std::alloc::",
        "tcmalloc::",
        "tc_",
        "tikv_jemallocator::",
        "<tikv_jemallocator::",
    };
    fg_frame frame = fg_profile_frame_at(p, id);
    if (strstr(frame.module, "libjemalloc") || strstr(frame.module, "libtcmalloc")) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(frame.name, names[i]) == 0) return true;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(frame.name, starts[i], strlen(starts[i])) == 0) return true;
    return false;
}

size_t fg__heap_allocator_frames(const fg_profile *p, const uint32_t *frames, size_t n) {
    size_t first = 0;
    while (first < n && is_allocator(p, frames[first])) first++;
    return first < n ? first : 0;
}

/* The true numbers behind what was sampled, of objects whose mean size is known. */
static void unsample(double *objects, double *bytes, double rate) {
    if (*objects <= 0 || *bytes <= 0 || rate <= 0) return;
    double scale = 1 / -expm1(-*bytes / *objects / rate);
    *objects *= scale;
    *bytes *= scale;
}

static int64_t whole(double number) {
    return number < 0x1p62 ? (int64_t)llround(number) : (int64_t)1 << 62;
}

/* Frames of a stack into r->frames, innermost first; *n of them. */
static int resolve(reader *r, const stack *s, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t *frames;
        size_t count;
        int err = fg__space_frames(&frames, &count, r->space, r->addresses[s->from + i], true);
        if (!err) err = fg__grow(r->in->ctx, &r->frames, &r->frame_cap, *n + count, sizeof *r->frames);
        if (err) return err;
        memcpy(r->frames + *n, frames, count * sizeof *frames);
        *n += count;
    }
    return 0;
}

static int put_stack(reader *r, stack *s) {
    size_t n, first;
    double *v = s->numbers;
    int err = resolve(r, s, &n);
    if (err || !n) return err;
    first = fg__heap_allocator_frames(r->p, r->frames, n);
    for (size_t i = first, j = n; i + 1 < j; i++) {
        uint32_t frame = r->frames[i];
        r->frames[i] = r->frames[--j];
        r->frames[j] = frame;
    }
    unsample(&v[IN_USE_OBJECTS], &v[IN_USE_BYTES], r->rate);
    unsample(&v[ALLOCATED_OBJECTS], &v[ALLOCATED_BYTES], r->rate);
    const int64_t bytes = whole(v[IN_USE_BYTES]);
    const int64_t all[NUMBERS] = {bytes, whole(v[IN_USE_OBJECTS]), whole(v[ALLOCATED_BYTES]),
                                  whole(v[ALLOCATED_OBJECTS])};
    const int64_t sides[2] = {r->as == FG__HEAP_BEFORE ? bytes : 0, r->as == FG__HEAP_AFTER ? bytes : 0};
    return fg_profile_add(r->p, r->frames + first, n - first, r->as == FG__HEAP_USE ? all : sides);
}

static int add_types(reader *r) {
    static const char *const types[][2] = {{"inuse_space", "bytes"},
                                           {"inuse_objects", "count"},
                                           {"alloc_space", "bytes"},
                                           {"alloc_objects", "count"}};
    static const char *const sides[][2] = {{"before", "bytes"}, {"after", "bytes"}};
    size_t n = 2; /* what was ever allocated is counted only where that was asked of the allocator */
    if (r->as == FG__HEAP_AFTER) return 0;
    for (size_t i = 0; r->as == FG__HEAP_USE && i < r->stack_count; i++)
        if (r->stacks[i].numbers[ALLOCATED_OBJECTS] > 0) n = 4;
    int err = 0;
    for (size_t i = 0; !err && i < n; i++) {
        const char *const *type = r->as == FG__HEAP_USE ? types[i] : sides[i];
        err = fg_profile_add_type(r->p, type[0], type[1]);
    }
    return err;
}

/* How many samples there were, and how far apart. */
static int add_quality(reader *r, double samples) {
    if (r->rate <= 0) return 0;
    int err = fg_meta_set_number(r->p, "samples", whole(samples));
    if (!err) err = fg_meta_set_number(r->p, "period", whole(r->rate));
    return err ? err : fg_meta_set_text(r->p, "period_type", "space/bytes");
}

static int make_profile(reader *r) {
    double samples = 0;
    int err = add_types(r);
    for (size_t i = 0; !err && i < r->stack_count; i++) {
        const double *v = r->stacks[i].numbers;
        samples += fmax(v[IN_USE_OBJECTS], v[ALLOCATED_OBJECTS]);
        err = put_stack(r, &r->stacks[i]);
    }
    return err ? err : add_quality(r, samples);
}

static int read_with(fg_profile *p, fg_in *in, uint64_t pid, fg__heap_as as) {
    reader r = {.p = p, .in = in, .live = pid != 0, .as = as};
    fg__symbols *symbols;
    int err = fg__symbols_new(&symbols, in->ctx, p, &(fg__symbols_options){.inlined = true});
    if (err) return err;
    err = fg__space_new(&r.space, symbols, (uint32_t)pid, r.live);
    if (!err && r.live) err = fg__space_read(r.space);
    if (!err) err = read_lines(&r);
    if (!err) err = make_profile(&r);
    if (!err) err = fg__symbols_notes(symbols);
    fg_free(in->ctx, r.addresses);
    fg_free(in->ctx, r.stacks);
    fg_free(in->ctx, r.frames);
    fg__symbols_free(symbols);
    return err;
}

static int read_heap(fg_profile *p, fg_in *in, const fg_read_options *options) {
    (void)options;
    return read_with(p, in, 0, FG__HEAP_USE);
}

int fg__heap_read_live(fg_profile *p, const void *bytes, size_t n, uint64_t pid, fg__heap_as as) {
    fg_in in = {.p = bytes, .ctx = fg_profile_ctx(p), .name = "the dump", .format = "heap", .window = bytes};
    in.end = in.p + n;
    in.ended = true;
    return read_with(p, &in, pid, as);
}

static int probe_heap(const uint8_t *head, size_t n) {
    fg__slice text = {(const char *)head, n};
    const char *eol = memchr(text.p, '\n', n);
    if (eol) text = fg__slice_of(text.p, eol);
    return is_jemalloc(text) || is_gperftools(text) ? 100 : 0;
}

const fg_format fg__heap = {
    .name = "heap",
    .summary = "heap profiles of jemalloc (heap_v2) and gperftools",
    .suffixes = ".heap",
    .probe = probe_heap,
    .read = read_heap,
};
