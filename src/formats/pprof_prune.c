/*
 * drop_frames and keep_frames: what the maker of a pprof wants left out, usually the insides of an allocator.
 * The patterns are RE2's, which PCRE2 understands; they are from outside, so matching has a limit, and a
 * pattern that cannot be used is a note and not a failure.
 */
#include "formats/pprof.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { PATTERN_MAX = 64 << 10, STEPS_MAX = 100000, HEAP_MAX_KIB = 1024 };

typedef struct pattern {
    const char *field;
    bool wanted;
    pcre2_general_context *memory;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
} pattern;

static void *allocate(PCRE2_SIZE n, void *ctx) {
    return fg__alloc(ctx, n);
}

static void release(void *block, void *ctx) {
    fg_free(ctx, block);
}

static void pattern_close(pattern *r) {
    pcre2_match_context_free(r->limits);
    pcre2_match_data_free(r->match);
    pcre2_code_free(r->code);
    pcre2_general_context_free(r->memory);
}

static int cannot_use(pprof *f, const pattern *r, int error) {
    PCRE2_UCHAR reason[120];
    if (pcre2_get_error_message(error, reason, sizeof reason) < 0) *reason = '\0';
    return fg_profile_note(f->p, "the profile's %s pattern is not applied: %s", r->field, (char *)reason);
}

/* No code: the profile has no such pattern, or none that can be used. */
static int pattern_open(pattern *r, pprof *f, int field, const char *name) {
    r->field = name;
    uint32_t id;
    int err = fg__pprof_string(&id, f, f->scalars[field], f->in->p);
    if (err || !id) return err;
    r->wanted = true;
    fg__string text = fg__string_at(f->p, id);
    if (text.n > PATTERN_MAX) return cannot_use(f, r, PCRE2_ERROR_NOMEMORY);
    r->memory = pcre2_general_context_create(allocate, release, f->ctx);
    pcre2_compile_context *memory = r->memory ? pcre2_compile_context_create(r->memory) : NULL;
    if (!memory) return FG_ENOMEM;
    const uint32_t flags = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;
    int error;
    PCRE2_SIZE where;
    r->code = pcre2_compile((PCRE2_SPTR)text.bytes, text.n, flags, &error, &where, memory);
    pcre2_compile_context_free(memory);
    if (!r->code) return error == PCRE2_ERROR_HEAP_FAILED ? FG_ENOMEM : cannot_use(f, r, error);
    r->match = pcre2_match_data_create_from_pattern(r->code, r->memory);
    r->limits = r->match ? pcre2_match_context_create(r->memory) : NULL;
    if (!r->limits) return FG_ENOMEM;
    pcre2_set_match_limit(r->limits, STEPS_MAX);
    pcre2_set_heap_limit(r->limits, HEAP_MAX_KIB);
    return 0;
}

/*
 * The part of a function's name that patterns are held against: without a leading dot and without the list of
 * parameters, for which "(anonymous namespace)" and "operator()" are not taken.
 */
static fg__string simple_name(fg__string name) {
    static const char *const kept[] = {"(anonymous namespace)", "operator()"};
    if (name.n && *name.bytes == '.') name = (fg__string){name.bytes + 1, name.n - 1};
    for (uint32_t i = 0; i < name.n;) {
        size_t skip = 0;
        for (size_t k = 0; k < sizeof kept / sizeof *kept && !skip; k++)
            if (strncmp(name.bytes + i, kept[k], strlen(kept[k])) == 0) skip = strlen(kept[k]);
        if (!skip && name.bytes[i] == '(') return (fg__string){name.bytes, i};
        i += skip ? (uint32_t)skip : 1;
    }
    return name;
}

/* 1, 0, or PCRE2's reason why that cannot be told. */
static int matches(const pattern *r, fg__string name) {
    int n = pcre2_match(r->code, (PCRE2_SPTR)name.bytes, name.n, 0, PCRE2_NO_UTF_CHECK, r->match, r->limits);
    return n >= 0 ? 1 : n == PCRE2_ERROR_NOMATCH ? 0 : n;
}

static int mark(pprof *f, const pattern *drop, const pattern *keep) {
    f->pruned = fg__calloc(f->ctx, f->p->frame_count, 1);
    if (!f->pruned) return FG_ENOMEM;
    for (uint32_t i = 0; i < f->p->frame_count; i++) {
        fg__string name = simple_name(fg__frame_name(f->p, i));
        int yes = matches(drop, name);
        int no = yes > 0 && keep->code ? matches(keep, name) : 0;
        if (yes < 0 || no < 0) { /* some frames with it and some without would be neither picture */
            fg_free(f->ctx, f->pruned);
            f->pruned = NULL;
            return cannot_use(f, yes < 0 ? drop : keep, yes < 0 ? yes : no);
        }
        f->pruned[i] = yes && !no;
    }
    return 0;
}

int fg__pprof_prune(pprof *f) {
    pattern drop = {0}, keep = {0};
    int err = pattern_open(&drop, f, PROFILE_DROP_FRAMES, "drop_frames");
    if (!err && drop.code) err = pattern_open(&keep, f, PROFILE_KEEP_FRAMES, "keep_frames");
    if (!err && drop.code && (keep.code || !keep.wanted)) err = mark(f, &drop, &keep);
    pattern_close(&drop);
    pattern_close(&keep);
    return err;
}
