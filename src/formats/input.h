/* How an input is opened: files are mapped, pipes are read, compressed bytes are unwrapped on the way. */
#ifndef FG_INPUT_H
#define FG_INPUT_H

#include "formats/format.h"

int fg__in_open(fg_in **out, fg_ctx *ctx, const char *path, const fg_read_options *options);
int fg__in_open_memory(fg_in **out, fg_ctx *ctx, const void *bytes, size_t n, const fg_read_options *options);
/* NULL is accepted. */
void fg__in_close(fg_in *in);

#endif
