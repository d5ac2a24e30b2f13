/* What a picture carries of a profile, for tests. */
#ifndef FG_TESTS_PAYLOADS_H
#define FG_TESTS_PAYLOADS_H

#include "formats/payload.h"

static inline int encode_payload(void **bytes, size_t *n, fg_profile *p, unsigned flags, const char *extra) {
    fg__walk walk;
    int err = fg__walk_open(&walk, p);
    if (!err) err = fg__payload_encode(bytes, n, &walk, flags, extra, strlen(extra));
    fg__walk_close(&walk);
    return err;
}

#endif
