/*
 * Folded text, the lingua franca of flame graphs: `outermost;…;innermost count`, a line for each stack. This
 * half reads; folded_write.c writes. docs/formats.md has the rules for what is not plain.
 *
 * The text is taken in chunks of whole lines:
 *
 *      scan       places of all `;` and newlines in the chunk                     (scan.h)
 *      lines      count from the end of the line; frames by a look-up of their text; hash of the stack
 *      add        all stacks of the chunk, their slots in the stack table fetched beforehand
 *
 * A file of a million unique stacks misses the caches at nearly every add. With the slots asked for a chunk
 * ahead the misses overlap. A line's first frames that are, byte for byte, those of the line before are not
 * looked up again: folded files are sorted, as a rule.
 */
#include "formats/format.h"
#include "formats/scan.h"
#include "formats/folded.h"
#include "formats/words.h"

enum {
    CHUNK = 64 << 10, /* the first one decides whether counts are one column or two */
    LINE_MAX_BYTES = 64 << 20,
    PROBED_LINES = 16,
    AT_ONCE = 16 /* frames that are looked up together */
};

/* A line of the chunk; its frames are frames[from … from + n). */
typedef struct line {
    size_t from, n;
    uint64_t hash;
    int64_t values[2];
} line;

typedef struct reader {
    fg_profile *p;
    fg_in *in;
    bool diff;
    uint64_t rounded; /* counts that had a fraction */
    fg__words words;  /* texts of frames: their ids */
    size_t chunk, mark_cap, frame_cap, line_cap;
    uint32_t *marks, *frames;
    line *lines;
    size_t line_count, frame_count;
} reader;

const fg__annotation fg__annotations[] = {
    {"_[k]", FG_KIND_KERNEL}, {"_[j]", FG_KIND_JIT}, {"_[i]", FG_KIND_INLINED}, {"", FG_KIND_UNKNOWN}};

/* ---- counts -------------------------------------------------------------------------------------------- */

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_digit(uint8_t c) {
    return (uint8_t)(c - '0') < 10;
}

static const uint8_t *trim_end(const uint8_t *from, const uint8_t *end) {
    while (end > from && is_space(end[-1])) end--;
    return end;
}

typedef enum count_error { COUNT_OK, COUNT_NONE, COUNT_NEGATIVE, COUNT_TOO_LARGE } count_error;

/* A word as a count: digits, perhaps a point and more digits, rounded to nearest with halves up. */
static count_error parse_count(int64_t *out, bool *rounded, const uint8_t *word, const uint8_t *end) {
    bool negative = word < end && *word == '-';
    word += negative;
    if (word == end || !is_digit(*word)) return COUNT_NONE;
    bool fits = true;
    int64_t value = 0;
    for (; word < end && is_digit(*word); word++)
        fits = fits && !__builtin_mul_overflow(value, 10, &value) && fg__add64(&value, value, *word - '0');
    if (word < end && *word == '.') {
        const uint8_t *fraction = ++word;
        for (; word < end && is_digit(*word); word++) *rounded |= *word != '0';
        if (fraction < word && *fraction >= '5') fits = fits && fg__add64(&value, value, 1);
    }
    if (word != end) return COUNT_NONE;
    if (negative) return COUNT_NEGATIVE;
    if (!fits) return COUNT_TOO_LARGE;
    *out = value;
    return COUNT_OK;
}

/* The last word of from … *end as a count that has something before it; *end moves to the end of that. */
static count_error take_count(int64_t *out, bool *rounded, const uint8_t *from, const uint8_t **end) {
    const uint8_t *word = *end;
    while (word > from && !is_space(word[-1])) word--;
    if (word == from) return COUNT_NONE;
    count_error err = parse_count(out, rounded, word, *end);
    if (!err) *end = trim_end(from, word);
    return err;
}

/* Whether the line from … *end ends in a count, good or bad; *end moves before it. */
static bool ends_in_count(const uint8_t *from, const uint8_t **end) {
    int64_t count;
    bool rounded = false;
    return take_count(&count, &rounded, from, end) != COUNT_NONE;
}

/* Nothing, or a comment: `#` and a space, or any text after `#` that does not end in a count. */
static bool is_blank(const uint8_t *from, const uint8_t *end) {
    if (from == end) return true;
    if (*from != '#') return false;
    if (from + 1 == end || is_space(from[1])) return true;
    return !ends_in_count(from, &end);
}

/*
 * The next line of *text … end that is not blank, without the white space around it; *text moves behind it. A
 * last line without a newline is one if `ended`.
 */
static bool next_line(const uint8_t **from, const uint8_t **to, const uint8_t **text, const uint8_t *end,
                      bool ended) {
    while (*text < end) {
        const uint8_t *newline = memchr(*text, '\n', (size_t)(end - *text));
        if (!newline && !ended) return false;
        *from = *text;
        *to = trim_end(*from, newline ? newline : end);
        *text = newline ? newline + 1 : end;
        while (*from < *to && is_space(**from)) ++*from;
        if (!is_blank(*from, *to)) return true;
    }
    return false;
}

static int fail_count(reader *r, count_error why, const uint8_t *from, const uint8_t *end) {
    const uint8_t *word = end;
    while (word > from && !is_space(word[-1])) word--;
    int n = end - word < 40 ? (int)(end - word) : 40;
    if (why == COUNT_NEGATIVE)
        return fg__in_fail_line(
            r->in, FG_EFORMAT,
            "the count %.*s is negative; a folded file has counts of samples, a difference is "
            "two columns of them (`stack before after`)",
            n, (const char *)word);
    if (why == COUNT_TOO_LARGE)
        return fg__in_fail_line(r->in, FG_ELIMIT, "the count %.*s is larger than 2^63 - 1", n,
                                (const char *)word);
    if (r->diff)
        return fg__in_fail_line(r->in, FG_EFORMAT,
                                "not `stack before after` with two counts, as the lines before it are");
    return fg__in_fail_line(r->in, FG_EFORMAT,
                            "no count at the end; a line is `outermost;…;innermost count`");
}

/* Take the counts from the end of a line that is not blank. */
static int take_counts(reader *r, int64_t *values, const uint8_t *from, const uint8_t **end) {
    bool rounded = false;
    count_error err = take_count(&values[r->diff], &rounded, from, end);
    if (!err && r->diff) err = take_count(&values[0], &rounded, from, end);
    if (FG__UNLIKELY(err)) return fail_count(r, err, from, *end);
    r->rounded += rounded;
    return 0;
}

/* ---- frames -------------------------------------------------------------------------------------------- */

/* The frame of a text that was not met before. */
static int new_frame(uint32_t *out, reader *r, const char *text, uint32_t n) {
    fg_profile *p = r->p;
    fg__frame frame = {.kind = FG_KIND_UNKNOWN};
    uint32_t name = n;
    for (const fg__annotation *a = fg__annotations; *a->text; a++) {
        if (n <= FG__ANNOTATION || memcmp(text + n - FG__ANNOTATION, a->text, FG__ANNOTATION) != 0) continue;
        frame.kind = a->kind;
        p->annotations |= 1u << a->kind;
        name = n - FG__ANNOTATION;
    }
    int err = fg__string_intern(&frame.name, p, text, name);
    return err ? err : fg__frame_intern(out, p, &frame);
}

static inline int find_frame(uint32_t *out, reader *r, fg__sought *sought, uint64_t hash) {
    const fg__word *known = fg__words_find(&r->words, sought, hash);
    if (FG__LIKELY(known != NULL)) {
        *out = known->value;
        return 0;
    }
    int err = new_frame(out, r, (const char *)sought->text, sought->word.n);
    sought->word.value = *out;
    return err ? err : fg__words_add(r->p->ctx, &r->words, sought, hash);
}

/*
 * The frames from `at` on, whose texts end at `marks`. Names are more than the first cache holds: those of some frames
 * are asked for before the first one is looked at.
 */
static int find_frames(uint32_t *frames, reader *r, const uint8_t *at, const uint8_t *const *ends, size_t n) {
    fg__sought words[AT_ONCE];
    uint64_t hashes[AT_ONCE];
    for (size_t i = 0; i < n; i++) {
        fg__word_load(&words[i], at, (uint32_t)(ends[i] - at), r->in->end);
        hashes[i] = fg__word_hash(&words[i]);
        fg__words_prefetch_slot(&r->words, hashes[i]);
        at = ends[i] + 1;
    }
    for (size_t i = 0; i < n; i++) fg__words_prefetch(&r->words, hashes[i]);
    int err = 0;
    for (size_t i = 0; i < n && !err; i++) err = find_frame(&frames[i], r, &words[i], hashes[i]);
    return err;
}

/* ---- lines --------------------------------------------------------------------------------------------- */

/* Where a line is in the chunk. Its marks are its `;` and, last, its end. */
typedef struct span {
    size_t from, end;
    const uint32_t *marks;
    size_t mark_count;
} span;

static uint64_t load64(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* How many frames at the start of two lines are the same text, the `;` behind them included. */
static size_t shared_frames(const uint8_t *text, const span *a, const span *b) {
    size_t most = a->end - a->from, n = b->end - b->from, same = 0, k = 0;
    if (n < most) most = n;
    while (same + 8 <= most && load64(text + a->from + same) == load64(text + b->from + same)) same += 8;
    while (same < most && text[a->from + same] == text[b->from + same]) same++;
    while (k + 1 < a->mark_count && a->marks[k] < a->from + same) k++;
    return k;
}

/* Frames of a line whose text ends at `end`, the count not included. */
static int read_frames(reader *r, line *l, const uint8_t *text, const span *now, const span *before,
                       const uint8_t *end) {
    size_t known = before->mark_count ? shared_frames(text, before, now) : 0, last = now->mark_count - 1;
    uint32_t *frames = r->frames + r->frame_count;
    if (known) memcpy(frames, r->frames + l[-1].from, known * sizeof *frames);
    const uint8_t *at = text + (known ? now->marks[known - 1] + 1 : now->from);
    for (size_t i = known; i <= last;) {
        const uint8_t *ends[AT_ONCE];
        size_t n = 0;
        for (; n < AT_ONCE && i + n <= last; n++) ends[n] = i + n < last ? text + now->marks[i + n] : end;
        int err = find_frames(frames + i, r, at, ends, n);
        if (err) return err;
        at = ends[n - 1] + 1;
        i += n;
    }
    l->from = r->frame_count;
    l->n = last + 1;
    l->hash = fg__stack_hash(frames, l->n);
    fg__stack_prefetch(r->p, l->hash);
    r->frame_count += l->n;
    r->line_count++;
    return 0;
}

/* `before` is the line before, without marks when that gave no stack; it becomes this one. */
static int read_line(reader *r, const uint8_t *text, span now, span *before) {
    r->in->line++;
    const uint8_t *end = trim_end(text + now.from, text + now.end);
    while (text + now.from < end && is_space(text[now.from])) now.from++;
    if (text + now.from == end || text[now.from] == '#') {
        before->mark_count = 0;
        if (is_blank(text + now.from, end)) return 0;
    }
    int err = fg__grow(r->p->ctx, &r->lines, &r->line_cap, r->line_count + 1, sizeof *r->lines);
    if (err) return err;
    line *l = &r->lines[r->line_count];
    err = take_counts(r, l->values, text + now.from, &end);
    if (!err) err = read_frames(r, l, text, &now, before, end);
    *before = now;
    return err;
}

/* Whole lines: text[0 … n), the newline of the last one being at n - 1, or at n where the input ends without
 * one. */
static int read_chunk(reader *r, const uint8_t *text, size_t n, size_t mark_count) {
    int err =
        fg__grow(r->p->ctx, &r->frames, &r->frame_cap, mark_count, sizeof *r->frames); /* each ends a frame */
    size_t from = 0, first = 0;
    span before = {0};
    r->frame_count = r->line_count = 0;
    for (size_t i = 0; i < mark_count && !err; i++) {
        size_t at = r->marks[i];
        if (at < n && text[at] == ';') continue;
        err = read_line(r, text, (span){from, at, r->marks + first, i + 1 - first}, &before);
        from = at + 1;
        first = i + 1;
    }
    for (size_t i = 0; i < r->line_count && !err; i++) {
        const line *l = &r->lines[i];
        err = fg__stack_add(r->p, r->frames + l->from, l->n, l->hash, l->values, NULL);
    }
    return err;
}

/* ---- the input ----------------------------------------------------------------------------------------- */

/* Whether each line with a stack, and there is one, ends in two counts. */
static bool has_two_counts(const uint8_t *text, size_t n, bool ended) {
    bool any = false;
    const uint8_t *line_end, *from;
    for (const uint8_t *end = text + n; next_line(&from, &line_end, &text, end, ended);) {
        if (!ends_in_count(from, &line_end) || !ends_in_count(from, &line_end)) return false;
        any = true;
    }
    return any;
}

static int fail_long(reader *r) {
    r->in->line++;
    return fg__in_fail_line(r->in, FG_EFORMAT, "the line is longer than %d MiB; is this folded text?",
                            LINE_MAX_BYTES >> 20);
}

/* See that the chunk holds a whole line: `*n` bytes of text are there then. 0 bytes: the input has ended. */
static int find_line(reader *r, size_t *n) {
    for (;; r->chunk *= 2) {
        int more = fg__in_need(r->in, r->chunk);
        if (more < 0) return more;
        *n = (size_t)(r->in->end - r->in->p);
        if (*n > r->chunk) *n = r->chunk;
        if (!more || memrchr(r->in->p, '\n', *n)) return 0;
        if (r->chunk >= LINE_MAX_BYTES) return fail_long(r);
    }
}

static int start(reader *r) {
    size_t n;
    int err = find_line(r, &n);
    if (err) return err;
    r->diff = has_two_counts(r->in->p, n, n < r->chunk);
    if (!r->diff) return fg_profile_add_type(r->p, "samples", "count");
    err = fg_profile_add_type(r->p, "before", "count");
    if (!err) err = fg_profile_add_type(r->p, "after", "count");
    if (!err) err = fg_meta_set_text(r->p, "normalize", "absolute");
    return err ? err : fg_meta_set_real(r->p, "factor", 1);
}

static int read_chunks(reader *r) {
    for (;;) {
        size_t n;
        int err = find_line(r, &n);
        if (err || n == 0) return err;
        err = fg__grow(r->p->ctx, &r->marks, &r->mark_cap, n + FG__SCAN_SLACK, sizeof *r->marks);
        if (err) return err;
        const uint8_t *text = r->in->p, *newline = memrchr(text, '\n', n);
        size_t used = newline ? (size_t)(newline - text) + 1 : n;
        size_t count = fg__scan(r->marks, text, used, ';', '\n');
        if (!newline) r->marks[count++] = (uint32_t)n;
        err = read_chunk(r, text, used, count);
        if (err) return err;
        r->in->p += used;
    }
}

static int finish(reader *r) {
    if (!r->rounded) return 0;
    fg_profile *p = r->p;
    if (p->totals[0] == 0 && (!r->diff || p->totals[1] == 0))
        return fg__fail(
            p->ctx, FG_EFORMAT,
            "%s: folded: every count is less than one half and rounds to 0; write whole numbers in a "
            "smaller unit",
            r->in->name);
    return fg_profile_note(p, "%llu counts had a fraction and were rounded", (unsigned long long)r->rounded);
}

static int read_folded(fg_profile *p, fg_in *in, const fg_read_options *options) {
    (void)options;
    reader r = {.p = p, .in = in, .chunk = CHUNK};
    int err = start(&r);
    if (!err) err = read_chunks(&r);
    if (!err) err = finish(&r);
    void *owned[] = {r.marks, r.frames, r.lines};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) fg_free(p->ctx, owned[i]);
    fg__words_free(p->ctx, &r.words);
    return err;
}

/* Nearly any text with numbers looks like this, so the answer is low: every other format goes first. */
static int probe(const uint8_t *head, size_t n) {
    int good = 0, bad = 0;
    const uint8_t *from, *line_end, *text = head;
    bool cut = memchr(head, '\n', n) == NULL;
    while (good + bad < PROBED_LINES && next_line(&from, &line_end, &text, head + n, cut)) {
        bool deep = cut && n >= CHUNK && memchr(from, ';', (size_t)(line_end - from));
        if (deep || ends_in_count(from, &line_end))
            good++;
        else
            bad++;
    }
    return good == 0 ? 0 : bad == 0 ? 20 : good >= bad ? 10 : 0;
}

const fg_format fg__folded = {
    .name = "folded",
    .summary = "folded stacks, `outermost;…;innermost count`, one or two columns",
    .suffixes = ".folded .collapsed .txt",
    .probe = probe,
    .read = read_folded,
    .write = fg__folded_write,
};
