/* speedscope's file format, https://www.speedscope.app/file-format-schema.json: speedscope.c writes, speedscope_read.c reads. */
#ifndef FG_SPEEDSCOPE_H
#define FG_SPEEDSCOPE_H

#include "formats/format.h"

#define FG__SPEEDSCOPE_SCHEMA "https://www.speedscope.app/file-format-schema.json"
/* How the exporter of our own files begins: their profiles are value types. */
#define FG__SPEEDSCOPE_EXPORTER "flame-graph "

int fg__speedscope_probe(const uint8_t *head, size_t n);
int fg__speedscope_read(fg_profile *p, fg_in *in, const fg_read_options *options);

#endif
