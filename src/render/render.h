/*
 * render: profiles to pictures. May use formats and core.
 *
 *   writers.c  fg_write, fg_write_memory, fg_format_at, and the table of renderers
 *   picture.c  options and profile resolved to what is drawn: column, view, colours, widths
 *   layout.c   which frame goes where                    view.c     the views: flame, hotcold, diff
 *   palette.c  colours                                   caption.c  title, subtitle and warnings
 *   svg.c      the SVG           term.c for a terminal    viewer/    what a browser runs and how it looks
 *
 *      options ┐
 *      profile ┴▶ picture ──layout──▶ boxes, row by row ──▶ static frames ┐
 *                    │                                                     ├▶ SVG
 *                    └──payload──▶ the whole profile, for viewer and fg_read ┘
 *
 * Each arrow is a walk over the stacks (core/walk.h). There is no tree: of the nodes of a large one, hardly any is as wide
 * as a pixel.
 */
#ifndef FG_RENDER_H
#define FG_RENDER_H

#include "core/noise.h"
#include "formats/format.h"

/* Rows of the table in writers.c. */
extern const fg_format fg__svg_writer, fg__term;

/* ---- colours --------------------------------------------------------------------------------- */

/* A colour in OKLCH, once for a light and once for a dark background, so that text stays readable on both. */
typedef struct fg__stop {
    float light, dark; /* lightness, 0 to 1 */
    float chroma, hue; /* hue in degrees */
    float spread;      /* how far the hues of its variants lie apart, degrees */
} fg__stop;

/*
 * A palette of some view. Its shades are either `variants` around each stop, chosen by a hash of the frame's
 * name, or (variants 0) as many as the view has levels, interpolated from the first stop to the last.
 */
typedef struct fg__palette {
    const char *name, *view;
    const fg__stop *stops;
    unsigned stop_count, variants;
    bool by_kind; /* stop k is for frames of group k, see fg__frame_group; else the hash alone chooses */
} fg__palette;

enum {
    FG__GROUP_NAMELESS = FG_KIND_COUNT, /* frames that nobody can read */
    FG__GROUP_COUNT,
    FG__SHADES_MAX = 128
};

/* The palette of that name for a view; name NULL: the first one. NULL: there is none; see fg__palette_names.
 */
const fg__palette *fg__palette_find(const char *view, const char *name);
/* The names that a view can choose from, as "a, b, c". */
void fg__palette_names(char *text, size_t n, const char *view);
/* Shade `i` of `count` as "#rrggbb". */
void fg__palette_hex(char hex[8], const fg__palette *palette, unsigned i, unsigned count, bool dark);
/* The kind, FG__GROUP_NAMELESS, or where the kind is not known a guess from the names. */
unsigned fg__frame_group(const fg_profile *p, uint32_t frame);
const char *fg__group_name(unsigned group);
/* The shade that a palette with variants gives a frame: by name, so it is the same in every picture. */
unsigned fg__frame_shade(const fg__palette *palette, const fg_profile *p, uint32_t frame);

/* ---- pictures -------------------------------------------------------------------------------- */

typedef struct fg__picture fg__picture;

/* A node, as it is drawn. */
typedef struct fg__box {
    uint32_t node, frame; /* the number in the order of the walk, 0: the root */
    float x, width;
    int64_t self[2], total[2]; /* of the column that is drawn; of a diff, of both */
} fg__box;

/* A view: what colours say. */
typedef struct fg__view {
    const char *name, *title;
    unsigned levels; /* shades that it asks of a palette without variants */
    unsigned (*shade)(const fg__picture *pic, const fg__box *box);
    /* What follows a node's name in its tooltip: " (1.2 s, 3.40 %)". `n` bytes at `text`. */
    void (*describe)(char *text, size_t n, const fg__picture *pic, const fg__box *box);
    /* The meaning of shade `i`, or "" when the legend leaves it out. */
    void (*legend)(char *text, size_t n, const fg__picture *pic, unsigned i);
} fg__view;

/* How wide a picture can be, px. */
enum { FG__WIDTH_LEAST = 200, FG__WIDTH_MOST = 30000 };

/* Shares of the whole at which a level ends, for views that go by share. */
enum { FG__STEPS = 8 };
extern const double fg__steps[FG__STEPS];

extern const fg__view fg__views[];
extern const size_t fg__view_count;

/* On which sides of a diff a node is. */
enum { FG__BEFORE = 1, FG__AFTER = 2 };

/* What is drawn. */
struct fg__picture {
    fg_ctx *ctx;
    fg_profile *p; /* the profile, or a reversed copy of it */
    fg_profile *reversed;
    fg_profile *texts;            /* owns the texts of the options, cleaned */
    const char *title, *subtitle; /* of the options, "" where unset */
    const fg_write_options *options;
    fg__walk walk; /* over `p` */
    const fg__view *view;
    const fg__palette *palette;
    const char *unit;  /* what values are called */
    unsigned shades;   /* of the palette in this view */
    uint8_t *by_frame; /* shade of each frame; NULL where the view goes by node */
    bool diff;         /* both columns are drawn; else the one `type` */
    size_t type;
    int64_t totals[2]; /* of what is drawn, as `total` of a box */
    double factor;     /* of a diff: what `after` is multiplied with */
    double widths[2];  /* what a value of each column counts in the width of its node; 0: nothing */
    double whole;      /* width of the root */
    fg__noise noise;   /* of a diff */
};

/* Resolve. The caller calls fg__picture_close, after a failure too. */
int fg__picture_open(fg__picture *pic, fg_profile *p, const fg_write_options *options);
void fg__picture_close(fg__picture *pic);
/* The values of a stack as a box has them, and the width that it adds to each of its nodes. */
static inline double fg__picture_values(int64_t values[2], const fg__picture *pic, uint32_t stack) {
    values[0] = pic->p->values[pic->diff ? 0 : pic->type][stack];
    values[1] = pic->diff ? pic->p->values[1][stack] : 0;
    double one = (double)values[0] * pic->widths[0], other = (double)values[1] * pic->widths[1];
    return one > other ? one : other;
}
/* The sides of a diff that have the node; both where it is no diff. */
unsigned fg__picture_sides(const fg__picture *pic, const fg__box *box);
/* What a node is called. */
const char *fg__picture_name(const fg__picture *pic, const fg__box *box);

/* ---- layout ---------------------------------------------------------------------------------- */

typedef struct fg__layout {
    fg__box root;
    fg__box *boxes; /* row by row, the root's first; in a row from left to right */
    size_t count;
    uint32_t *rows; /* row r has boxes rows[r] … rows[r + 1] */
    uint32_t row_count;
    uint32_t hidden; /* rows below the cap that have frames */
} fg__layout;

/*
 * Place the nodes that are at least `min_width` wide in `width`, at most `max_rows` deep, both in units of the picture. The
 * caller calls fg__layout_close, after a failure too.
 */
int fg__layout_open(fg__layout *out, fg__picture *pic, double width, double min_width, uint32_t max_rows);
void fg__layout_close(fg__layout *layout, fg_ctx *ctx);

/* ---- captions -------------------------------------------------------------------------------- */

/* Paragraphs above the frames, each NUL-terminated text; freed by fg__caption_close. */
typedef struct fg__caption {
    fg__buffer title;
    fg__buffer subtitle; /* how the profile was taken */
    fg__buffer warnings; /* one a line; "" when there are none */
} fg__caption;

int fg__caption_open(fg__caption *out, const fg__picture *pic);
void fg__caption_close(fg__caption *caption, fg_ctx *ctx);

#endif
