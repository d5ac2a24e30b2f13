/* What the two halves of the sampler "tracemalloc" share: the interpreter's side and the profile's. */
#ifndef FG_TRACEMALLOC_H
#define FG_TRACEMALLOC_H

#include "core/core.h"

/* What the values of a snapshot are. */
typedef enum fg__tracemalloc_as {
    FG__TRACEMALLOC_USE,    /* columns bytes and blocks */
    FG__TRACEMALLOC_BEFORE, /* bytes, in the first column of a diff */
    FG__TRACEMALLOC_AFTER   /* bytes, in the second */
} fg__tracemalloc_as;

/* Add a snapshot, as payloads/tracemalloc.py writes it, to a profile that has its columns. */
int fg__tracemalloc_read(fg_profile *p, const char *text, size_t n, fg__tracemalloc_as as);

#endif
