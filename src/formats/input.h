/* How an input is opened: files are mapped, pipes are read, compressed bytes are unwrapped on the way. */
#ifndef FG_INPUT_H
#define FG_INPUT_H

#include "formats/format.h"

int fg__in_open(fg_in **out, fg_ctx *ctx, const char *path, const fg_read_options *options);
int fg__in_open_memory(fg_in **out, fg_ctx *ctx, const void *bytes, size_t n, const fg_read_options *options);
/*
 * An input that is asked for: `pull` puts up to n bytes at `to`, waiting as long as it likes; *got 0: the end. Nothing
 * is unwrapped.
 */
int fg__in_open_pull(fg_in **out, fg_ctx *ctx,
                     int (*pull)(void *user, fg_ctx *ctx, uint8_t *to, size_t n, size_t *got), void *user,
                     const fg_read_options *options);
/* NULL is accepted. */
void fg__in_close(fg_in *in);

#endif
