/*
 * flamegraph.h: the whole public C API of libflamegraph.
 *
 *      bytes ──fg_read──▶ fg_profile ──fg_write──▶ svg, folded, pprof, speedscope, json, md
 *                          │      ▲
 *                          └ diff, merge, filter, invert, top, tree
 *
 * Conventions
 * - A function that can fail returns 0 or a negative FG_E… code; fg_error(ctx) then has the message: what,
 * where, why, and what to do. Nothing is printed, nothing exits, nothing is global.
 * - Out-parameters come first and are set on success only. Who owns a returned pointer is in its comment.
 * - A context and all that was made from it belong to one thread at a time. Contexts share nothing.
 * - Strings are UTF-8. Text from outside is cleaned when it enters a profile: no control characters, no NUL,
 * valid.
 *
 * Example: a folded file to a picture.
 *
 *      fg_ctx *ctx = fg_ctx_new();
 *      fg_profile *p;
 *      if (fg_read(&p, ctx, "stacks.folded", NULL) || fg_write(p, "out.svg", NULL))
 *          fprintf(stderr, "%s\n", fg_error(ctx));
 *      fg_profile_free(p);
 *      fg_ctx_free(ctx);
 */
#ifndef FLAMEGRAPH_H
#define FLAMEGRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FG_API __attribute__((visibility("default")))
#define FG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define FG_API
#define FG_PRINTF(fmt, args)
#endif

#define FG_VERSION "0.1.0"

/* ---- errors and the context ---------------------------------------------------------------------------- */

/** What went wrong, as a number. Each has a name for scripts: fg_error_name(FG_EFORMAT) is "FORMAT". */
enum {
    FG_OK = 0,
    FG_ENOMEM = -1,       /**< out of memory */
    FG_EINVAL = -2,       /**< the caller's mistake: a wrong argument or option */
    FG_EFORMAT = -3,      /**< input that is not what it says it is */
    FG_EEMPTY = -4,       /**< well-formed input without a single sample */
    FG_ELIMIT = -5,       /**< a cap was reached; the message names the option that raises it */
    FG_EIO = -6,          /**< the operating system said no */
    FG_EUNSUPPORTED = -7, /**< known, but not possible here */
    FG_ENET = -8,         /**< the other side could not be reached, or the connection broke */
    FG_EREMOTE = -9,      /**< the other side answered with a refusal */
    FG_ETIMEOUT = -10,    /**< no answer in time */
    FG_EINTERRUPTED = -11 /**< ended early by the user */
};

/** A context: the allocator, the last error message. Every profile belongs to one and must be freed before
 * it. */
typedef struct fg_ctx fg_ctx;

/**
 * An allocator: realloc and free in one, as lua_Alloc. size 0 frees `ptr` and returns NULL; else the block,
 * grown or shrunk to `size` bytes, or NULL when there is no memory (then `ptr` stays valid).
 */
typedef void *(*fg_alloc_fn)(void *user, void *ptr, size_t size);

/** Make a context on malloc. NULL: out of memory. The caller frees it with fg_ctx_free. */
FG_API fg_ctx *fg_ctx_new(void);
/** Make a context on an allocator of one's own; `user` is handed to each of its calls. */
FG_API fg_ctx *fg_ctx_new_with(fg_alloc_fn alloc, void *user);
/** Free a context. All profiles made from it must have been freed. NULL is accepted. */
FG_API void fg_ctx_free(fg_ctx *ctx);
/** The message of the last failure, never NULL. Owned by the context, valid until the next call that fails.
 */
FG_API const char *fg_error(const fg_ctx *ctx);
/** The name of an error code without its prefix ("FORMAT"), a static string. */
FG_API const char *fg_error_name(int code);
/** The library's version, a static string. */
FG_API const char *fg_version(void);

/* ---- the profile --------------------------------------------------------------------------------------- */

/**
 * A profile: a table of unique stacks with one 64-bit count per value type, and what is known of how it was
 * taken. Its memory grows with unique stacks, never with samples.
 */
typedef struct fg_profile fg_profile;

/** What a column of values counts, as in pprof: ("cpu", "nanoseconds"), ("samples", "count"). */
typedef struct fg_value_type {
    const char *name;
    const char *unit;
} fg_value_type;

/** Where a frame runs. FG_KIND_UNKNOWN is the honest default; pictures then guess the colour from the file
 * name. */
typedef enum fg_kind {
    FG_KIND_UNKNOWN,
    FG_KIND_NATIVE,
    FG_KIND_KERNEL,
    FG_KIND_JIT,
    FG_KIND_INLINED,
    FG_KIND_JS,
    FG_KIND_PYTHON,
    FG_KIND_RUST,
    FG_KIND_GO,
    FG_KIND_DOTNET,
    FG_KIND_JAVA,
    FG_KIND_WAITING,
    FG_KIND_COUNT
} fg_kind;

/** The kind's name ("kernel"), a static string; "unknown" for a number that is none. */
FG_API const char *fg_kind_name(fg_kind kind);

/** One line of a stack. NULL and "" are the same: not known. line 0: not known. */
typedef struct fg_frame {
    const char *name;   /**< function, as a person would call it */
    const char *file;   /**< source file */
    const char *module; /**< binary, package or script that holds it */
    uint32_t line;      /**< 1-based line in `file` */
    fg_kind kind;
} fg_frame;

/** No frame: what the tree's root has. */
#define FG_NO_FRAME UINT32_MAX
/** The most value types that one profile has. */
#define FG_MAX_TYPES 16

/** Make an empty profile. The caller frees it with fg_profile_free. */
FG_API int fg_profile_new(fg_profile **out, fg_ctx *ctx);
/** Free a profile and all it owns. NULL is accepted. */
FG_API void fg_profile_free(fg_profile *p);
/** The context that the profile was made from. */
FG_API fg_ctx *fg_profile_ctx(const fg_profile *p);

/** Add a value type (a column). Only before the first stack; at most FG_MAX_TYPES. */
FG_API int fg_profile_add_type(fg_profile *p, const char *name, const char *unit);
/** How many value types there are. */
FG_API size_t fg_profile_type_count(const fg_profile *p);
/** Value type `i`; its strings are owned by the profile. */
FG_API fg_value_type fg_profile_type(const fg_profile *p, size_t i);
/** The column named `name` ("cpu"), or -1; NULL asks for the default column (metadata `default_type`, else
 * 0). */
FG_API int fg_profile_find_type(const fg_profile *p, const char *name);

/** Intern a frame: the same frame gives the same id. Strings are copied. */
FG_API int fg_profile_frame(uint32_t *out, fg_profile *p, const fg_frame *frame);
/** The frame with this id; its strings (never NULL) are owned by the profile. */
FG_API fg_frame fg_profile_frame_at(const fg_profile *p, uint32_t id);
/** How many different frames there are; ids run from 0 to this, less one. */
FG_API size_t fg_profile_frame_count(const fg_profile *p);

/**
 * Add values to a stack. `frames` are `n` ids, outermost (root) first; `values` has one entry for each value
 * type, none negative. A sum beyond INT64_MAX is FG_ELIMIT.
 */
FG_API int fg_profile_add(fg_profile *p, const uint32_t *frames, size_t n, const int64_t *values);
/** How many unique stacks there are. */
FG_API size_t fg_profile_stack_count(const fg_profile *p);
/** Stack `i`: returns its frame ids, outermost first, and sets *n to their number. Valid until the next add.
 */
FG_API const uint32_t *fg_profile_stack(const fg_profile *p, size_t i, size_t *n);
/** The value of stack `i` in column `type`. */
FG_API int64_t fg_profile_value(const fg_profile *p, size_t i, size_t type);
/** The sum of column `type` over all stacks. */
FG_API int64_t fg_profile_total(const fg_profile *p, size_t type);

/* ---- metadata: how the profile was taken --------------------------------------------------------------- */

/**
 * Metadata is a fixed set of keys (fg_meta_key lists them), each text, a whole number or a real number:
 *   text    collector engine target host source title default_type period_type normalize
 *   numbers start (ns since 1970), duration (ns), period (of period_type), interrupted (0 or 1),
 *           snapshot (1: of one moment, without a duration),
 *           ended (1: it lasted until the target ended by itself, so that duration is how long that took),
 *           samples, lost, failed, truncated, sampler_cpu (ns): the quality record;
 *           units (of work that was done: requests, iterations)
 *   real    factor (what the column `after` of a diff is multiplied with before it is compared),
 *           grain_before, grain_after (of a diff: the value of one sample; 0: not known)
 * An unset text is "", an unset number 0: fg_meta_has tells "none were lost" from "nobody counted".
 */
FG_API int fg_meta_set_text(fg_profile *p, const char *key, const char *text);
FG_API int fg_meta_set_number(fg_profile *p, const char *key, int64_t number);
FG_API int fg_meta_set_real(fg_profile *p, const char *key, double real);
/** The value of a key; "" or 0 where it is unset, unknown or of another type. Text is owned by the profile.
 */
FG_API const char *fg_meta_text(const fg_profile *p, const char *key);
FG_API int64_t fg_meta_number(const fg_profile *p, const char *key);
FG_API double fg_meta_real(const fg_profile *p, const char *key);
/** Whether a key was set, a number to 0 perhaps. */
FG_API bool fg_meta_has(const fg_profile *p, const char *key);
/** The name of key `i` and its type (FG_META_…), or NULL past the last. */
FG_API const char *fg_meta_key(size_t i, int *type);
enum { FG_META_TEXT, FG_META_NUMBER, FG_META_REAL };

/** Add a note for the reader of the picture ("17 samples lost"). Notes are kept in order; the same note once.
 */
FG_API int fg_profile_note(fg_profile *p, const char *format, ...) FG_PRINTF(2, 3);
/** Note `i`, or NULL past the last. Owned by the profile. */
FG_API const char *fg_profile_note_at(const fg_profile *p, size_t i);

/**
 * The quality record: how far a picture of this profile can be trusted. What is 0 may be not known: most formats do not
 * tell of losses, and fg_meta_has(p, "lost") says whether this profile does.
 */
typedef struct fg_quality {
    int64_t samples;   /**< taken; 0: not known */
    int64_t lost;      /**< taken by the kernel or runtime, but never seen */
    int64_t failed;    /**< attempts that gave nothing */
    int64_t truncated; /**< stacks that are cut short */
    double unknown;    /**< share (0 to 1) of the default column whose innermost frame has no name */
} fg_quality;

/** The profile's quality record. Where the metadata has no sample count, a column samples/count gives it.
 */
FG_API fg_quality fg_profile_quality(const fg_profile *p);
/**
 * Call `say` with each thing that could make a picture of this profile mislead, as a sentence without a full
 * stop: its notes first, then what follows from the quality record (few samples, losses, cut stacks, missing
 * names, an early end). The text is valid during the call only.
 */
FG_API void fg_profile_warnings(const fg_profile *p, void (*say)(void *user, const char *text), void *user);

/* ---- the tree and other derived views ------------------------------------------------------------------ */

/**
 * The calling-context tree, a structure of arrays in depth-first order, children sorted by name. Node 0 is
 * the root and has FG_NO_FRAME; the subtree of node i is i … end[i]-1. self[t][i] and total[t][i] are in
 * value type t.
 */
typedef struct fg_tree {
    uint32_t count;         /**< nodes, the root included */
    uint32_t type_count;    /**< columns of self and total */
    uint32_t max_depth;     /**< depth of the deepest node; the root has 0 */
    const uint32_t *parent; /**< parent[0] is 0 */
    const uint32_t *frame;
    const uint32_t *depth;
    const uint32_t *end;
    const int64_t *self[FG_MAX_TYPES];
    const int64_t *total[FG_MAX_TYPES];
} fg_tree;

/** The profile's tree: made when first asked for, owned by the profile, valid until the profile changes. */
FG_API int fg_profile_tree(const fg_tree **out, fg_profile *p);

/** One line of a ranking. */
typedef struct fg_top_entry {
    uint32_t frame;
    int64_t self;  /**< value of the stacks that end in this frame */
    int64_t total; /**< value of the stacks that contain it; recursion counts once */
} fg_top_entry;

/**
 * Rank frames by self, then by total, then by name. Sets *out to an array of *count entries that the caller
 * frees with fg_free. `type` is a column; `limit` 0 means all.
 */
FG_API int fg_profile_top(fg_top_entry **out, size_t *count, fg_profile *p, size_t type, size_t limit);
/** Free what the library allocated for the caller. */
FG_API void fg_free(fg_ctx *ctx, void *ptr);

/* ---- algebra: each makes a new profile that the caller frees ------------------------------------------- */

/** What fg_profile_filter does with a frame: a set of these. */
enum {
    FG_FRAME_FOCUS = 1,  /**< keep the stacks that have such a frame (if any frame of the profile has this) */
    FG_FRAME_IGNORE = 2, /**< drop the stacks that have such a frame */
    FG_FRAME_HIDE = 4    /**< take the frame out of its stacks; the callee's time goes to the caller */
};

/** A filter. Each function may be NULL; each is called once for each different frame. */
typedef struct fg_filter {
    size_t size; /**< sizeof(fg_filter) */
    void *user;
    bool focusing; /**< keep only stacks with an FG_FRAME_FOCUS frame, even when no frame has it */
    /** A set of FG_FRAME_…, or a negative error, which ends the filter. */
    int (*classify)(void *user, const fg_frame *frame);
    /** Change *frame in place: its strings need to live until the next call only. 0 or a negative error. */
    int (*rename)(void *user, fg_frame *frame);
} fg_filter;

/** Keep, drop, hide and rename. FG_EEMPTY when nothing is left. */
FG_API int fg_profile_filter(fg_profile **out, fg_profile *p, const fg_filter *filter);
/**
 * The sum of `n` profiles, one at least. Columns are matched by name and unit; a column that a profile lacks
 * counts as 0 there, but the default column of the first has to be in all of them (FG_EINVAL).
 */
FG_API int fg_profile_merge(fg_profile **out, fg_profile *const *profiles, size_t n);
/** Turn every stack around: leaves become roots ("who calls this?"). */
FG_API int fg_profile_invert(fg_profile **out, fg_profile *p);
/** One column of a profile as a profile. */
FG_API int fg_profile_select(fg_profile **out, fg_profile *p, size_t type);

/**
 * How many slices of time a profile knows the values of, each `*seconds` long (NULL: never mind): between 8 and 100, of
 * 0.1 s at least. 0: none; fg_read_options.slices asks readers for them, and pictures keep them.
 */
FG_API size_t fg_profile_slices(const fg_profile *p, double *seconds);
/** What `n` slices from `first` on gave, as a profile of one value type without metadata. The caller frees *out. */
FG_API int fg_profile_slice(fg_profile **out, fg_profile *p, size_t first, size_t n);

/** How two sides of a diff are made comparable. */
typedef enum fg_normalize {
    FG_NORMALIZE_AUTO, /**< absolute, where both lasted alike or until their targets ended; else rate; share where
                              samples were counted at different rates */
    FG_NORMALIZE_ABSOLUTE, /**< as measured */
    FG_NORMALIZE_SHARE,    /**< after × (total before / total after): shares of the whole are compared */
    FG_NORMALIZE_PER_UNIT, /**< after × (units before / units after): values by unit of work are compared */
    FG_NORMALIZE_RATE      /**< after × (duration before / duration after): values by second are compared */
} fg_normalize;

/**
 * A diff: a profile with the columns `before` and `after`, both as measured, and in its metadata `normalize`
 * and the `factor` that `after` is to be multiplied with before it is compared. `type` names the value type,
 * NULL: the default one; both sides must have it in units that can be converted (ns, us, ms, s; bytes, KiB…).
 */
FG_API int fg_diff(fg_profile **out, fg_profile *before, fg_profile *after, const char *type,
                   fg_normalize normalize);

/** How two sides are compared. Zero everywhere but in `size` is the default. */
typedef struct fg_diff_options {
    size_t size;      /**< sizeof(fg_diff_options) */
    const char *type; /**< value type; NULL: the default one */
    fg_normalize normalize;
    double units_before; /**< units of work in a run of before; 0: what the metadata `units` says */
    double units_after;  /**< units of work in a run of after */
    void *user;
    /** As that of fg_filter: frames are matched under the names that it gives them. NULL: as they are. */
    int (*rename)(void *user, fg_frame *frame);
} fg_diff_options;

/**
 * A diff of several runs a side, one at least: the columns are the sums of the runs, the factor allows for their numbers,
 * and pictures tell from how much runs differ which changes are noise. With one run a side they know the noise of sampling
 * alone.
 */
FG_API int fg_diff_runs(fg_profile **out, fg_profile *const *before, size_t n_before,
                        fg_profile *const *after, size_t n_after, const fg_diff_options *options);
/** Whether this profile is a diff: exactly the columns `before` and `after`. */
FG_API bool fg_profile_is_diff(const fg_profile *p);

/* ---- reading and writing ------------------------------------------------------------------------------- */

/** How to read. Zero everywhere is the default. */
typedef struct fg_read_options {
    size_t size;          /**< sizeof(fg_read_options) */
    const char *name;     /**< what messages call the input; NULL: the path */
    const char *format;   /**< insist on this format; NULL: recognise it by content */
    uint64_t max_input;   /**< cap on what a compressed input unpacks to, in bytes; 0: 1 GiB */
    bool lines;           /**< keep source lines apart; false: one frame a function */
    bool keep_idle;       /**< keep the stacks that say the program did nothing (idle tasks) */
    bool annotate_kernel; /**< perf: mark kernel frames `_[k]` */
    bool annotate_jit;    /**< perf: mark JIT frames `_[j]` */
    bool addresses;       /**< perf: addresses for what has no symbol */
    bool with_pid;        /**< perf: the process id in the outermost frame */
    bool with_tid;        /**< perf: process and thread id in the outermost frame */
    bool inlined;         /**< perf.data: calls that the compiler inlined are frames */
    bool mangled;         /**< perf.data: names as the linker has them */
    const char
        *event;  /**< perf: only this event; NULL: the first of a text, a column for each of a perf.data */
    bool slices; /**< keep what each slice of time gave, where the input tells when samples were taken */
    double min_wait; /**< perf.data of sched:sched_switch: leave out waits that are shorter, in seconds */
    double max_wait; /**< … and those that are longer; 0: none is too long */
    const char *const
        *wait_states; /**< … and all but those in these states, NULL behind the last; NULL: none */
} fg_read_options;

/** Read a profile from a file; "-" is standard input. The caller frees *out. NULL options: the defaults. */
FG_API int fg_read(fg_profile **out, fg_ctx *ctx, const char *path, const fg_read_options *options);
/** Read a profile from memory. The bytes are not kept. */
FG_API int fg_parse(fg_profile **out, fg_ctx *ctx, const void *bytes, size_t n,
                    const fg_read_options *options);

/** How to write. Zero everywhere is the default; a format ignores what it has no use for. */
typedef struct fg_write_options {
    size_t size;            /**< sizeof(fg_write_options) */
    const char *format;     /**< "svg", "folded", "pprof", …; NULL: by the suffix of the path */
    const char *type;       /**< value type to show; NULL: the default one */
    const char *title;      /**< NULL: made from the metadata */
    const char *subtitle;   /**< NULL: made from the metadata */
    const char *colors;     /**< name of a palette; NULL: by the view */
    const char *view;       /**< "flame" or "hotcold"; NULL: "flame", or "diff" for a diff */
    const char *count_name; /**< what a value is called; NULL: the value type's unit */
    double width;           /**< of the picture, in px; 0: 1200. term: in columns; 0: 100 */
    double min_width; /**< frames narrower than this (px) are not drawn statically; 0: 0.1, negative: none */
    bool inverted;    /**< icicle: root at the top */
    bool reverse;     /**< turn stacks around first: leaves become roots */
    bool hash;        /**< colours by a hash of the name alone */
    size_t limit;     /**< rows in summaries; 0: 20 in Markdown, 10 in term, all in JSON */
    bool plain;       /**< term: no colours */
    const char *widths; /**< of a diff: how wide frames are: "before", "after" or "union"; NULL: "union" */
} fg_write_options;

/** Write a profile to a file; "-" is standard output (name a format). The file appears whole or not at all.
 */
FG_API int fg_write(fg_profile *p, const char *path, const fg_write_options *options);
/** Write a profile to memory. Sets *out to *n bytes that the caller frees with fg_free. */
FG_API int fg_write_memory(void **out, size_t *n, fg_profile *p, const fg_write_options *options);

/** One row of the table of formats. Static. */
typedef struct fg_format_info {
    const char *name;     /**< "pprof" */
    const char *summary;  /**< one line for a person */
    const char *suffixes; /**< space-separated, as in ".pb.gz .pprof"; the first one is the usual one */
    bool reads, writes;
} fg_format_info;

/** Row `i` of the table of formats; false past the last. */
FG_API bool fg_format_at(fg_format_info *out, size_t i);

#ifdef __cplusplus
}
#endif
#endif
