/* What the files of the SVG format share. */
#ifndef FG_SVG_H
#define FG_SVG_H

#include "formats/format.h"

/* Elements of this class have the embedded profile as their text. */
#define FG__PAYLOAD_CLASS "flame-graph-profile"

/* Read a picture of flamegraph.pl or inferno. All of it is in the window; p is at its start. */
int fg__svg_titles_read(fg_profile *p, fg_in *in, const fg_read_options *options);

#endif
