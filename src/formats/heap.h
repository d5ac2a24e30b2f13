/* Heap profiles as text: what jemalloc (heap_v2) and gperftools write. */
#ifndef FG_HEAP_H
#define FG_HEAP_H

#include "formats/format.h"

/* What of a dump is wanted: all of it, or the bytes in use as one side of a diff (the types before and after). */
typedef enum fg__heap_as { FG__HEAP_USE, FG__HEAP_BEFORE, FG__HEAP_AFTER } fg__heap_as;

/*
 * Read a dump of the running process `pid` into a profile, an empty one unless it is FG__HEAP_AFTER: names by what is mapped there now, through its own
 * folders. (The reader of the format goes by the list of mappings that ends a dump.)
 */
int fg__heap_read_live(fg_profile *p, const void *bytes, size_t n, uint64_t pid, fg__heap_as as);

/* How many of the innermost frames (the first ones here) are the allocator's own; 0 where all are. */
size_t fg__heap_allocator_frames(const fg_profile *p, const uint32_t *frames, size_t n);

#endif
