/* What the files of the nettrace reader share. */
#ifndef FG_NETTRACE_INSIDE_H
#define FG_NETTRACE_INSIDE_H

#include "formats/nettrace.h"

/* Bytes of a block that are still to be read. Reading past the end gives 0 and sets `wrong`. */
typedef struct bytes {
    const uint8_t *p, *end;
    const char *wrong; /* static; NULL: nothing */
} bytes;

static inline uint64_t take_fixed(bytes *b, size_t n) {
    uint64_t value = 0;
    if ((size_t)(b->end - b->p) < n) {
        b->wrong = "it ends in the middle of a number";
        b->p = b->end;
        return 0;
    }
    memcpy(&value, b->p, n); /* little-endian, as all that the project runs on */
    b->p += n;
    return value;
}
static inline uint16_t take_u16(bytes *b) {
    return (uint16_t)take_fixed(b, 2);
}
static inline uint32_t take_u32(bytes *b) {
    return (uint32_t)take_fixed(b, 4);
}
static inline uint64_t take_u64(bytes *b) {
    return take_fixed(b, 8);
}
/* 7 bits a byte, the lowest first; ten bytes at most. */
uint64_t fg__nettrace_varint(bytes *b);
/* The next n bytes as bytes of their own. */
bytes fg__nettrace_part(bytes *b, size_t n);
/* UTF-16 up to its NUL, as UTF-8 that is valid but for surrogates that stand alone; added to `text` with a NUL behind. */
int fg__nettrace_text(fg_ctx *ctx, fg__buffer *text, bytes *b);

/* ---- stacks ------------------------------------------------------------------------------------------------------- */

typedef struct stack_range { /* numbers first … first + n - 1 are ids[from …] */
    uint64_t first;
    size_t n, from;
} stack_range;

typedef struct stacks {
    uint64_t *addresses; /* all stacks, one behind the other */
    size_t address_count, address_cap;
    size_t *start; /* count + 1 entries once there is one */
    size_t count, start_cap;
    fg__table index;
    uint32_t *ids; /* what the trace's numbers mean at the moment */
    size_t id_count, id_cap;
    stack_range *ranges;
    size_t range_count, range_cap;
} stacks;

/* The body of a StackBlock. */
int fg__nettrace_read_stacks(fg_ctx *ctx, stacks *s, bytes *b);
/* The trace's numbers mean nothing any more. */
void fg__nettrace_forget_stacks(stacks *s);
/* FG__NONE: there is no stack of that number, or it is empty. */
uint32_t fg__nettrace_find_stack(const stacks *s, uint32_t number);
void fg__nettrace_free_stacks(fg_ctx *ctx, stacks *s);

/* ---- names -------------------------------------------------------------------------------------------------------- */

typedef struct method {
    uint64_t start, module;
    uint32_t size;
    uint32_t order; /* of two that start at the same place, the later one is there now */
    const char *name;
    uint32_t frame; /* of the profile; FG__NONE: not met yet */
} method;

typedef struct module {
    uint64_t id;
    const char *name;
} module;

typedef struct names {
    method *methods;
    size_t method_count, method_cap;
    module *modules;
    size_t module_count, module_cap;
    fg__arena arena;
    fg__buffer text;
    bool sorted;
    uint32_t unknown, stub; /* frames of what no method has; FG__NONE: not met yet */
} names;

int fg__nettrace_read_method(fg_ctx *ctx, names *n, bytes *b);
int fg__nettrace_read_module(fg_ctx *ctx, names *n, bytes *b);
/*
 * The frame of an address. `called`: it is innermost, and called by a method. Where methods have names, that is a stub
 * that the runtime made for a call of native code: those are in no rundown.
 */
int fg__nettrace_frame(uint32_t *out, names *n, fg_profile *p, uint64_t address, bool called);
void fg__nettrace_free_names(fg_ctx *ctx, names *n);

/* ---- events ------------------------------------------------------------------------------------------------------- */

typedef enum meaning { MEANS_NOTHING, MEANS_SAMPLE, MEANS_METHOD, MEANS_MODULE } meaning;

/* The last sequence number of a thread that writes events. */
typedef struct writer {
    uint64_t thread;
    uint32_t sequence;
    bool samples; /* it writes samples */
    int64_t lost;
} writer;

typedef struct events {
    uint8_t *meanings; /* of the events, by the numbers that metadata gives them */
    size_t meaning_count, meaning_cap;
    writer *writers;
    size_t writer_count, writer_cap;
    fg__table writer_index;
    fg__buffer text;
} events;

struct fg__nettrace {
    fg_ctx *ctx;
    fg_in *in;
    fg__nettrace_sink *sink;
    void *user;
    bool began, cut;
    fg__nettrace_head head;
    uint64_t ticks; /* of its clock in a second */
    stacks stacks;
    names names;
    events events;
    uint32_t *frames; /* of one stack */
    size_t frame_cap;
    uint64_t budget; /* frames that all stacks together may still have */
};

/* The bodies of a MetadataBlock and an EventBlock. */
int fg__nettrace_read_metadata(fg__nettrace *trace, bytes *b);
int fg__nettrace_read_events(fg__nettrace *trace, bytes *b);
/* The body of an SPBlock. */
int fg__nettrace_read_sequence_point(fg__nettrace *trace, bytes *b);

#endif
