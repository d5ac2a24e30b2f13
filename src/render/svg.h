/* What the files of the SVG share: sizes in px, and the parts. */
#ifndef FG_RENDER_SVG_H
#define FG_RENDER_SVG_H

#include "render/render.h"

enum { FG__SVG_PAD = 10, FG__SVG_ROW = 16, FG__SVG_TEXT_PAD = 3 };
/* Width of a character of the frames' font: 11 px, fixed width. The widest such font in use has 0.605 em. */
#define FG__SVG_CHAR 6.66f

/* The frames, with the first row of them at y 0. */
int fg__svg_frames(fg_out *out, const fg__picture *pic, const fg__layout *layout);

#endif
