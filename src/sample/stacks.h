/*
 * Stacks of addresses, as samplers see them: counted while sampling, named once, afterwards. Memory grows with the
 * number of different stacks, never with the samples.
 *
 *   stack: { space, thread name, tag, kernel and user addresses, innermost first } → { count, weight }
 */
#ifndef FG_SAMPLE_STACKS_H
#define FG_SAMPLE_STACKS_H

#include "core/core.h"

/* The most addresses of one stack; what is outside is cut off and counted. */
enum { FG__STACK_DEPTH = 1024 };

/* What a stack is told apart by. */
typedef struct fg__raw_key {
    uint32_t space;        /* whose addresses: see spaces.h */
    uint32_t thread;       /* an id of fg__raws.names */
    uint32_t tag;          /* the sampler's own: a state, a waker */
    uint16_t kernel, user; /* how many addresses of each */
} fg__raw_key;

typedef struct fg__raws {
    fg__raw_key *keys;
    uint64_t *starts; /* where each stack's addresses begin */
    int64_t *counts, *weights;
    uint64_t *addresses; /* all of them; of a stack: the kernel's, then the user's, innermost first */
    size_t n, key_cap, start_cap, count_cap, weight_cap, address_n, address_cap;
    fg__table index;
    fg__buffer names; /* NUL-terminated thread names, one behind the other */
    uint32_t *name_at;
    size_t name_n, name_cap;
    int64_t total; /* samples */
} fg__raws;

/* The id of a stack, in *out: counted as often as before, where it is new not yet. `addresses`: key->kernel + key->user. */
int fg__raws_find(uint32_t *out, fg_ctx *ctx, fg__raws *raws, const fg__raw_key *key,
                  const uint64_t *addresses);
/* Count so many more of this stack, which has an id. */
void fg__raws_count(fg__raws *raws, uint32_t id, int64_t count, int64_t weight);
/* The id of a thread's name. */
int fg__raws_name(uint32_t *out, fg_ctx *ctx, fg__raws *raws, const char *name);
void fg__raws_free(fg_ctx *ctx, fg__raws *raws);

#endif
