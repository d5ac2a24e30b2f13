/*
 * The profile inside a picture: all of it, as a block of bytes that can be read back exactly.
 *
 *      "FGPROF" version flags │ section │ section │ …
 *      section: tag (1 byte), method (1 byte), size (u32), stored size (u32), stored bytes
 *
 *      'S' strings   'F' frames   'T' value types   'M' metadata   'N' notes        tables
 *      'D' depth     'I' frame    'V' self, one section for each value type         columns of the tree
 *      'L' what slices of time gave                                                 if the profile has any
 *      'X' what a viewer wants to know besides; readers skip it, as any tag they do not know
 *
 * Columns go depth first. Each section is gzip'ed by itself (method 1), or stored as it is (method 0) where
 * that would gain little: columns of ids of a big profile are nearly random, and took half of all the time.
 * Byte by byte: docs/formats.md. The other reader of this is src/render/viewer/decode.js.
 */
#ifndef FG_PAYLOAD_H
#define FG_PAYLOAD_H

#include "core/walk.h"

#define FG__PAYLOAD_MAGIC "FGPROF"
enum { FG__PAYLOAD_STORED, FG__PAYLOAD_GZIP }; /* methods */
enum {
    FG__PAYLOAD_VERSION = 1,
    FG__PAYLOAD_HEADER = 8,   /* bytes of magic, version, flags */
    FG__PAYLOAD_SECTION = 10, /* bytes of tag, method and sizes */
    FG__PAYLOAD_REVERSED = 1  /* flag: stacks are stored innermost frame first */
};

/*
 * All of the walk's profile as bytes; the caller frees *out with fg_free. `extra` (of `extra_n` bytes) is section 'X', left
 * out when there is none.
 */
int fg__payload_encode(void **out, size_t *n, fg__walk *walk, unsigned flags, const void *extra,
                       size_t extra_n);
/* Fill the empty profile `p`. At most `max` bytes when decompressed; 0: the default of fg_read_options. */
int fg__payload_decode(fg_profile *p, const void *bytes, size_t n, uint64_t max);

#endif
