/* What V8's profiles have in common: {"functionName", "url", "lineNumber" (from 0)} of a call frame. */
#ifndef FG_V8_H
#define FG_V8_H

#include "formats/format.h"

/* The file of a URL: file:///a%20b.js is shown as its path, others stay (node:fs, https://…, wasm://…). */
int fg__v8_file(uint32_t *file, fg_profile *p, const char *bytes, size_t n);
/* A line as it was given (counted from 1), or 0: none that a frame can have. */
uint32_t fg__v8_line(double line);
/* Fill in what a frame has to have: a name, and the kind that its place tells. */
int fg__v8_complete(fg__frame *frame, fg_profile *p);

#endif
