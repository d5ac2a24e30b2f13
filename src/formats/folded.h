/* What the two halves of the folded format share. */
#ifndef FG_FOLDED_H
#define FG_FOLDED_H

#include "formats/format.h"

enum { FG__ANNOTATION = 4 };

/* What an annotation at the end of a name says of the frame. The last one has the text "". */
typedef struct fg__annotation {
    char text[FG__ANNOTATION + 1];
    fg_kind kind;
} fg__annotation;
extern const fg__annotation fg__annotations[];

int fg__folded_write(fg_out *out, fg_profile *p, const fg_write_options *options);

#endif
