/*
 * core: the Profile and its algebra. No I/O, no operating system, no Lua; it uses nothing but the C library.
 * Other folders include this header; `fg__` names are theirs to use and are not exported.
 *
 *   ctx.c      context: allocator, error message            memory.c  the allocator that it has by itself
 *   strings.c  cleaning and interning of text               frames.c  interned (name, file, module, line, kind)
 *   stacks.c   the stack table                              table.c   the index that interners share
 *   walk.c     stacks in the order of the tree (order.c)    tree.c    the tree derived from them
 *   meta.c     metadata, the quality record, notes          algebra.c merge, invert, select, filter
 *   batch.c    stacks of one profile into another           calls.c   who calls whom
 *   top.c      ranking                                      diff.c    two columns from two profiles
 *   quality.c  what a picture could mislead about           parts.c   values by run
 *   noise.c    which changes of a diff are more than noise  slices.c  values by slice of time
 *   stats.c    distributions, multiple testing              verdict.c two sets of runs compared (power.c)
 *
 *   stack table         frames: [ a b c | a b d | a e ]     one flat array of frame ids, outermost first
 *                       start:  [ 0     3     6   8 ]       stack i is frames[start[i] … start[i+1])
 *                       values: [ 5     1     7 ] per type  one i64 column each
 *                       index:  hash of the whole sequence → i
 */
#ifndef FG_CORE_H
#define FG_CORE_H

#include <stdarg.h>
#include <string.h>
#include "flamegraph.h"

#define FG__LIKELY(x) __builtin_expect(!!(x), 1)
#define FG__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define FG__NONE UINT32_MAX

/* ---- context ------------------------------------------------------------------------------------------- */

/* Set the context's message and return `code`: `return fg__fail(ctx, FG_EFORMAT, "…", …);` */
int fg__fail(fg_ctx *ctx, int code, const char *format, ...) FG_PRINTF(3, 4);
int fg__vfail(fg_ctx *ctx, int code, const char *format, va_list args);
/* Put "prefix: " in front of the message there is, and return `code`. */
int fg__fail_in(fg_ctx *ctx, int code, const char *format, ...) FG_PRINTF(3, 4);
int fg__nomem(fg_ctx *ctx);

/* A context of its own, for another thread, on the allocator of `ctx` (which has to be safe to call from both). */
fg_ctx *fg__ctx_fork(const fg_ctx *ctx);

/* NULL when there is no memory; the message is set. */
void *fg__alloc(fg_ctx *ctx, size_t size);
void *fg__calloc(fg_ctx *ctx, size_t count, size_t size);
/* So many ids, all FG__NONE; NULL: no memory. */
uint32_t *fg__no_ids(fg_ctx *ctx, size_t count);
void *fg__realloc(fg_ctx *ctx, void *ptr, size_t size);

/*
 * Make *array (of `elem`-sized items, *cap of them) hold at least `need`; it doubles. 0 or a negative error.
 */
int fg__grow_more(fg_ctx *ctx, void *array, size_t *cap, size_t need, size_t elem);
static inline int fg__grow(fg_ctx *ctx, void *array, size_t *cap, size_t need, size_t elem) {
    return FG__LIKELY(need <= *cap) ? 0 : fg__grow_more(ctx, array, cap, need, elem);
}

/* Bytes that live as long as the arena. `fg__arena_copy` adds a NUL. NULL: no memory, message set. */
typedef struct fg__arena {
    struct fg__arena_chunk *chunk;
    size_t used, size;
} fg__arena;
void *fg__arena_alloc(fg_ctx *ctx, fg__arena *arena, size_t n);
char *fg__arena_copy(fg_ctx *ctx, fg__arena *arena, const char *bytes, size_t n);
void fg__arena_free(fg_ctx *ctx, fg__arena *arena);

/* A growing string that is always NUL-terminated once something was added; the caller frees `bytes` with
 * fg_free. */
typedef struct fg__buffer {
    char *bytes;
    size_t n, cap;
} fg__buffer;
int fg__buffer_add(fg_ctx *ctx, fg__buffer *buffer, const void *bytes, size_t n);

/* ---- options ------------------------------------------------------------------------------------------- */

/* One option by its name for scripts, and where its value goes in a struct. A list of rows ends with a NULL key. */
typedef struct fg__option {
    const char *key;
    enum {
        FG__OPTION_TEXT,   /* const char *; NULL: not given */
        FG__OPTION_BOOL,   /* bool */
        FG__OPTION_NUMBER, /* double */
        FG__OPTION_SIZE,   /* uint64_t, not negative */
        FG__OPTION_WORDS,  /* const char *const *, a list that ends with NULL; NULL: not given */
        FG__OPTION_ANY     /* any value: looked up by the caller, here for the check of the key */
    } type;
    size_t offset;
} fg__option;

/* ---- hashing ------------------------------------------------------------------------------------------- */

/* 64 × 64 → 128 bit multiplication, folded: the step of the hash. */
static inline uint64_t fg__mix(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 u128;
    u128 m = (u128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}
uint64_t fg__hash(const void *bytes, size_t n);

/*
 * An index from hashes to u32 ids: open addressing, the id and 32 bits of the hash in each slot. The owner of
 * the ids compares the keys; the table knows only hashes:
 *
 *      for (uint32_t at = fg__table_first(t, h); (id = fg__table_id(t, at)) != FG__NONE; at = fg__table_next(t, at))
 *          if (fg__table_maybe(t, at, h) && same(id)) return id;
 */
typedef struct fg__slot {
    uint32_t id; /* id + 1; 0: free */
    uint32_t tag;
} fg__slot;
typedef struct fg__table {
    fg__slot *slots;
    uint32_t mask, count;
} fg__table;
int fg__table_add(fg_ctx *ctx, fg__table *table, uint64_t hash, uint32_t id);
int fg__table_grow(fg_ctx *ctx, fg__table *table, size_t count);
/* Make room for `count` ids at once. */
static inline int fg__table_reserve(fg_ctx *ctx, fg__table *table, size_t count) {
    size_t size = table->slots ? (size_t)table->mask + 1 : 0;
    return FG__LIKELY(count <= size - size / 4) ? 0 : fg__table_grow(ctx, table, count);
}
/* Add an id at the free slot where a search for its hash has ended; room was made before. */
static inline void fg__table_put(fg__table *table, uint32_t at, uint64_t hash, uint32_t id) {
    table->slots[at] = (fg__slot){id + 1, (uint32_t)(hash >> 32)};
    table->count++;
}
/* A slot keeps only the upper half of the hash; its home follows from that, so that a table can grow by
 * itself. */
static inline uint32_t fg__table_first(const fg__table *t, uint64_t hash) {
    return (uint32_t)(hash >> 32) & t->mask;
}
static inline uint32_t fg__table_next(const fg__table *t, uint32_t at) {
    return (at + 1) & t->mask;
}
static inline uint32_t fg__table_id(const fg__table *t, uint32_t at) {
    return t->slots ? t->slots[at].id - 1 : FG__NONE;
}
static inline bool fg__table_maybe(const fg__table *t, uint32_t at, uint64_t hash) {
    return t->slots[at].tag == (uint32_t)(hash >> 32);
}

/* ---- the profile --------------------------------------------------------------------------------------- */

/* A frame of interned strings; string 0 is "". */
typedef struct fg__frame {
    uint32_t name, file, module, line, kind;
} fg__frame;

typedef struct fg__string {
    const char *bytes; /* NUL-terminated, valid UTF-8, no control characters */
    uint32_t n;
} fg__string;

typedef struct fg__meta_value {
    uint32_t text;
    int64_t number;
    double real;
    bool set; /* somebody has said so, though it be nothing */
} fg__meta_value;

enum { FG__META_COUNT = 24 }; /* rows of the table in meta.c */

/*
 * A diff of several runs keeps what each run gave to each stack, sparse: that is what its noise is estimated from. Runs
 * of `before` come first. Where a stack became part of another one, as a filter makes it, there are several entries.
 * Slices of time are kept the same way, by a profile and by a diff of two that have them.
 */
typedef struct fg__part {
    uint32_t run, stack;
    int64_t value;
} fg__part;

struct fg_profile {
    fg_ctx *ctx;

    fg__arena arena;
    fg__string *strings;
    size_t string_count, string_cap;
    fg__table string_index;

    fg__frame *frames;
    size_t frame_count, frame_cap;
    fg__table frame_index;

    struct {
        uint32_t name, unit;
    } types[FG_MAX_TYPES];
    size_t type_count;

    uint32_t *stack_frames; /* all stacks, one behind the other */
    size_t stack_frame_count, stack_frame_cap;
    uint64_t *stack_start; /* stack_count + 1 entries once there is a stack */
    size_t stack_count, stack_start_cap;
    int64_t *values[FG_MAX_TYPES];
    size_t value_cap[FG_MAX_TYPES];
    fg__table stack_index; /* of the first stacks, as many as it counts: see fg__stack_append */
    int64_t totals[FG_MAX_TYPES];

    fg__meta_value meta[FG__META_COUNT];
    uint32_t *notes; /* interned */
    size_t note_count, note_cap;
    uint32_t annotations; /* set of 1 << kind: kinds that the folded writer marks `_[k]`, `_[j]`, `_[i]` */

    fg__part *parts;
    size_t part_count, part_cap;
    uint32_t
        runs[2]; /* of before and of after; {0, 0}: no diff, or of two profiles. Or whole slices of time: */
    int64_t slice_length[2]; /* ns; of a diff, of each side. 0: parts are runs */
    size_t slice_type;       /* the value type that slices have; of a diff, both columns */
    int64_t
        slice_time[2]; /* ns: when the first began, and the last moment; {0, 0}: not known, as of a file */

    struct fg__tree *tree; /* NULL until asked for; dropped by each change */
};

/* FG_EINVAL: the profile, of this side of a comparison or "", has no such value type; the message lists those it has. */
int fg__fail_type(const fg_profile *p, const char *side, const char *name);

/* Intern `n` bytes of text from outside: cleaned first. At most FG__STRING_MAX bytes are kept. */
enum { FG__STRING_MAX = 1 << 20 };
int fg__string_intern(uint32_t *out, fg_profile *p, const char *bytes, size_t n);
static inline fg__string fg__string_at(const fg_profile *p, uint32_t id) {
    return p->strings[id];
}
/* Intern a frame whose strings are interned in the same profile. */
int fg__frame_intern(uint32_t *out, fg_profile *p, const fg__frame *frame);
static inline const fg__frame *fg__frame_at(const fg_profile *p, uint32_t id) {
    return &p->frames[id];
}
static inline fg__string fg__frame_name(const fg_profile *p, uint32_t id) {
    return p->strings[p->frames[id].name];
}

/*
 * fg_profile_add for readers: the hash is the caller's (fg__stack_hash of the same frames), and the stack's
 * id comes back. `frames` must be valid ids. fg__stack_prefetch fetches the slot that an add of this hash
 * will look at.
 */
int fg__stack_add(fg_profile *p, const uint32_t *frames, size_t n, uint64_t hash, const int64_t *values,
                  uint32_t *id);
uint64_t fg__stack_hash(const uint32_t *frames, size_t n);
/* The same where nobody needs the hash besides. */
static inline int fg__stack_put(fg_profile *p, const uint32_t *frames, size_t n, const int64_t *values,
                                uint32_t *id) {
    return fg__stack_add(p, frames, n, fg__stack_hash(frames, n), values, id);
}
static inline void fg__stack_prefetch(const fg_profile *p, uint64_t hash) {
    if (p->stack_index.slots)
        __builtin_prefetch(&p->stack_index.slots[fg__table_first(&p->stack_index, hash)]);
}
/* What a stack with this hash is, if it is there, nearly always; FG__NONE: nothing can be said. */
static inline uint32_t fg__stack_likely(const fg_profile *p, uint64_t hash) {
    const fg__table *t = &p->stack_index;
    uint32_t at = fg__table_first(t, hash), id = fg__table_id(t, at);
    return id != FG__NONE && fg__table_maybe(t, at, hash) ? id : FG__NONE;
}
/*
 * Add a stack that is not there yet, as the caller knows. Stacks added so are put into the index when one is looked up,
 * which may be never.
 */
int fg__stack_append(fg_profile *p, const uint32_t *frames, size_t n, const int64_t *values, uint32_t *id);
/*
 * For walks over stacks in an order that is not theirs, where nearly each is a cache miss: fetch the entry that says
 * where a stack is, 2 * FG__AHEAD places before it is needed, and its frames from `at` on, FG__AHEAD places before.
 */
enum { FG__AHEAD = 16 };
static inline void fg__stack_fetch_start(const fg_profile *p, uint32_t i) {
    __builtin_prefetch(&p->stack_start[i]);
}
static inline void fg__stack_fetch(const fg_profile *p, uint32_t i, size_t at) {
    __builtin_prefetch(&p->stack_frames[p->stack_start[i] + at]);
}
/* Add more to a stack that is there already. */
int fg__stack_bump(fg_profile *p, uint32_t id, const int64_t *values);
static inline const uint32_t *fg__stack_at(const fg_profile *p, size_t i, size_t *n) {
    *n = (size_t)(p->stack_start[i + 1] - p->stack_start[i]);
    return p->stack_frames + p->stack_start[i];
}
/* fg_profile_top, each frame being counted as as[frame]; NULL: as itself. */
int fg__top(fg_top_entry **out, size_t *count, fg_profile *p, size_t type, size_t limit, const uint32_t *as);
/*
 * Who calls whom: each pair once, in the order of their appearance, of those where wanted[frame] is set for one of the
 * two, each frame being taken for as[frame] (NULL: for itself); a frame that calls itself is none. The caller frees them
 * with fg_free.
 */
typedef struct fg__call_pair {
    uint32_t caller, callee;
} fg__call_pair;
int fg__calls(fg__call_pair **out, size_t *count, fg_profile *p, const uint8_t *wanted, const uint32_t *as);

/* Copy metadata, notes and annotations; value types when there are none yet. */
int fg__meta_copy(fg_profile *to, const fg_profile *from);
int fg__types_copy(fg_profile *to, const fg_profile *from);
/* Metadata on which `a` and `b` agree, and the annotations of both. `to` may be `a`. No notes. */
int fg__meta_agree(fg_profile *to, const fg_profile *a, const fg_profile *b);
/*
 * Frames of one profile under the names that they have in another: map[id] is the frame there. Zeroed at first;
 * the caller frees the map with fg_free, also after an error.
 */
typedef struct fg__renamed {
    uint32_t *map;
    bool apart; /* no two have become one: stacks that were different stay so */
} fg__renamed;
int fg__rename_frames(fg__renamed *out, fg_profile *to, const fg_profile *from,
                      int (*rename)(void *user, fg_frame *frame), void *user);

/*
 * Add the stacks of `from`: its value type t goes to column[t] (negative: nowhere), times `scale`; as what `run` gave,
 * where that is not FG__NONE. ids[i], unless ids is NULL, is set to what stack i is in `to`, where it has a value.
 * `renamed` has what its frames are in `to`; NULL: the same.
 */
int fg__stacks_import(fg_profile *to, const fg_profile *from, const fg__renamed *renamed, const int *column,
                      int64_t scale, uint32_t run, uint32_t *ids);
/* Room for the ids that the stacks of `from` get elsewhere; NULL, and no error, where `from` has no parts. */
int fg__parts_map(uint32_t **ids, const fg_profile *from);
/* Add the parts of `from`, whose stack i is ids[i] in `to` or, FG__NONE, not there. */
int fg__parts_copy(fg_profile *to, const fg_profile *from, const uint32_t *ids);
int fg__part_add(fg_profile *p, fg__part part);

/*
 * Slices of time, gathered: zeroed at first. Whoever knows when something was adds it, as of any id; in the end
 * fg__slices_keep says which stacks the ids are (ids[id], FG__NONE: none of them; NULL: the same) and of which value type
 * the values were. Moments are nanoseconds on any clock; those before the first are taken for it.
 */
enum { FG__SLICES_LEAST = 8, FG__SLICES_MOST = 100 };
typedef struct fg__slices {
    fg__part *entries; /* `run` is the slice, `stack` the id */
    size_t n, cap;
    uint32_t *last; /* the entry of each id that is the latest, plus one */
    size_t last_cap;
    int64_t origin, end;
    uint64_t length; /* of a slice; 0: nothing came yet */
    bool given_up;
} fg__slices;
int fg__slices_add(fg__slices *s, fg_ctx *ctx, int64_t time, uint32_t id, int64_t value);
/* The value is spread evenly over the time from `from` to `to`; where that is none, it is of that moment. */
int fg__slices_span(fg__slices *s, fg_ctx *ctx, int64_t from, int64_t to, uint32_t id, int64_t value);
/* Make it the profile's log, if it is long enough for one. What is left is freed by fg__slices_free, always. */
int fg__slices_keep(fg__slices *s, fg_profile *p, size_t type, const uint32_t *ids);
void fg__slices_free(fg__slices *s, fg_ctx *ctx);
/*
 * Add what a profile has, by time: its slices, or, where it was too short for any, all of its values over its time.
 * `ids`: what its stacks are called here.
 */
int fg__slices_gather(fg__slices *s, fg_ctx *ctx, const fg_profile *from, const uint32_t *ids);
/*
 * The sum of profiles of threads that were recorded at the same time: the duration is that of all of them together. Their
 * slices are summed as well, where all of them tell time by the same clock.
 */
int fg__profile_merge_threads(fg_profile **out, fg_profile *const *profiles, size_t n);

/* Intern frame `id` of `from` in `to`. `map` caches, one entry for each frame of `from`, FG__NONE at first.
 */
int fg__frame_import(uint32_t *out, fg_profile *to, const fg_profile *from, uint32_t id, uint32_t *map);
/* A map for fg__frame_import; NULL: no memory. Freed with fg_free. */
uint32_t *fg__frame_map(fg_ctx *ctx, const fg_profile *from);
/* Whether the frame has no name that a person could read: none, "[unknown]", its module's, an address. */
bool fg__nameless(const fg_profile *p, uint32_t frame);
/* Hand a profile over to another context that has the same allocator: one forked from the other. */
void fg__profile_move(fg_profile *p, fg_ctx *to);
/* Forget what was derived from the stacks. */
void fg__profile_changed(fg_profile *p);

/* a + b into *sum; false when it does not fit. */
static inline bool fg__add64(int64_t *sum, int64_t a, int64_t b) {
    return !__builtin_add_overflow(a, b, sum);
}

#endif
