/*
 * The frames of the static picture, which is what is seen where no script runs.
 *
 * Frames of at least TITLED px have a tooltip, and a label where it fits. Narrower ones cannot be pointed at:
 * those of one colour that touch are drawn as one, so that a row of 10,000 slivers costs a line of text and
 * not a megabyte.
 */
#include "render/svg.h"

static const float TITLED = 1;
/* Tenths of a pixel: frames wider than GAP_FROM end GAP early, so that neighbours can be told apart. */
enum { GAP = 5, GAP_FROM = 40 };

/* Positions are in tenths of a pixel. */
typedef struct run {
    long from, to;
    unsigned shade;
} run;

typedef struct painter {
    fg_out *out;
    const fg__picture *pic;
    run *runs; /* slivers of the row */
    size_t run_count, run_cap;
} painter;

static long tenths(float px) {
    return (long)(px * 10 + 0.5f);
}

static void put_tenths(fg_out *out, long number) {
    fg__out_i64(out, number / 10);
    if (number % 10) {
        fg__out_char(out, '.');
        fg__out_char(out, (char)('0' + number % 10));
    }
}

static void put_attribute(fg_out *out, const char *name, long number) {
    fg__out_text(out, name);
    put_tenths(out, number);
}

/* ---- labels ---------------------------------------------------------------------------------- */

/* The cells that a character takes in a fixed-width font: East Asian wide characters and emoji two. */
static unsigned cells(const unsigned char *s, size_t *bytes) {
    *bytes = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (*bytes < 3) return 1;
    if (*bytes == 4) return 2;
    return s[0] >= 0xe3 || (s[0] == 0xe1 && s[1] >= 0x84) ? 2 : 1;
}

/* How many bytes of `text` fit in `room` cells; *whole when that is all of it. */
static size_t fit(const char *text, unsigned room, bool *whole) {
    const unsigned char *s = (const unsigned char *)text;
    size_t all = 0, cut = 0;
    unsigned used = 0;
    while (s[all]) {
        size_t bytes;
        used += cells(s + all, &bytes);
        if (used > room) break;
        all += bytes;
        if (used < room) cut = all;
    }
    *whole = !s[all];
    return *whole ? all : cut;
}

static void put_escaped(fg_out *out, const char *text, size_t n) {
    char piece[256];
    while (n && !out->status) {
        size_t part = n < sizeof piece ? n : sizeof piece - 1;
        memcpy(piece, text, part);
        piece[part] = '\0';
        fg__out_xml(out, piece);
        text += part;
        n -= part;
    }
}

static const char *side_mark(const fg__picture *pic, const fg__box *box) {
    unsigned sides = fg__picture_sides(pic, box);
    return sides == FG__AFTER ? "+ " : sides == FG__BEFORE ? "− " : "";
}

static void put_label(painter *b, const fg__box *box) {
    const char *mark = side_mark(b->pic, box), *name = fg__picture_name(b->pic, box);
    float room = (box->width - 2 * FG__SVG_TEXT_PAD) / FG__SVG_CHAR;
    unsigned cell_count = room < 0 ? 0 : (unsigned)room, used = *mark ? 2 : 0;
    if (cell_count < used + 3) return;
    bool whole;
    size_t n = fit(name, cell_count - used, &whole);
    put_attribute(b->out, "<text x=\"", tenths(box->x + FG__SVG_TEXT_PAD));
    fg__out_text(b->out, "\" y=\"11.5\">");
    fg__out_text(b->out, mark);
    put_escaped(b->out, name, n);
    fg__out_text(b->out, whole ? "</text>" : "…</text>");
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void put_title(painter *b, const fg__box *box) {
    char text[256];
    fg_out *out = b->out;
    fg__out_text(out, "<title>");
    fg__out_xml(out, fg__picture_name(b->pic, box));
    b->pic->view->describe(text, sizeof text, b->pic, box);
    fg__out_xml(out, text);
    const fg__frame *f = box->node ? fg__frame_at(b->pic->p, box->frame) : NULL;
    if (f && f->file) {
        fg__out_text(out, "&#10;");
        fg__out_xml(out, fg__string_at(b->pic->p, f->file).bytes);
        if (f->line) {
            fg__out_char(out, ':');
            fg__out_i64(out, f->line);
        }
    }
    fg__out_text(out, "</title>");
}

static void put_class(fg_out *out, unsigned shade, unsigned sides) {
    fg__out_text(out, " class=\"fg");
    fg__out_i64(out, shade);
    if (sides != (FG__BEFORE | FG__AFTER)) fg__out_text(out, sides == FG__AFTER ? " fg-new" : " fg-gone");
    fg__out_char(out, '"');
}

static void put_frame(painter *b, const fg__box *box) {
    fg_out *out = b->out;
    long from = tenths(box->x), to = tenths(box->x + box->width);
    fg__out_text(out, "<g>");
    put_title(b, box);
    fg__out_text(out, "<rect");
    put_class(out, b->pic->view->shade(b->pic, box), fg__picture_sides(b->pic, box));
    put_attribute(out, " x=\"", from);
    put_attribute(out, "\" width=\"", to - from > GAP_FROM ? to - from - GAP : to - from);
    fg__out_text(out, "\" height=\"15\"/>");
    put_label(b, box);
    fg__out_text(out, "</g>\n");
}

/* ---- slivers --------------------------------------------------------------------------------- */

static int add_sliver(painter *b, const fg__box *box) {
    unsigned shade = b->pic->view->shade(b->pic, box), variants = b->pic->palette->variants;
    if (variants) shade = shade / variants * variants + variants / 2;
    run r = {tenths(box->x), tenths(box->x + box->width), shade};
    if (r.to == r.from) r.to++;
    run *last = b->run_count ? &b->runs[b->run_count - 1] : NULL;
    if (last && last->shade == shade && r.from <= last->to + 1) {
        if (r.to > last->to) last->to = r.to;
        return 0;
    }
    int err = fg__grow(b->pic->ctx, &b->runs, &b->run_cap, b->run_count + 1, sizeof r);
    if (!err) b->runs[b->run_count++] = r;
    return err;
}

/* One path for each colour of the row. */
static void put_slivers(painter *b) {
    bool present[FG__SHADES_MAX] = {false};
    for (size_t i = 0; i < b->run_count; i++) present[b->runs[i].shade] = true;
    for (unsigned shade = 0; shade < b->pic->shades; shade++) {
        if (!present[shade]) continue;
        fg__out_text(b->out, "<path");
        put_class(b->out, shade, FG__BEFORE | FG__AFTER);
        fg__out_text(b->out, " d=\"");
        for (size_t i = 0; i < b->run_count; i++) {
            const run *r = &b->runs[i];
            if (r->shade != shade) continue;
            put_attribute(b->out, "M", r->from);
            put_attribute(b->out, " 0H", r->to);
            put_attribute(b->out, "V15H", r->from);
        }
        fg__out_text(b->out, "\"/>\n");
    }
    b->run_count = 0;
}

int fg__svg_frames(fg_out *out, const fg__picture *pic, const fg__layout *layout) {
    painter b = {.out = out, .pic = pic};
    int err = 0;
    for (uint32_t r = 0; r < layout->row_count && !err; r++) {
        uint32_t from_top = pic->options->inverted ? r : layout->row_count - 1 - r;
        fg__out_format(out, "<g transform=\"translate(0 %u)\">\n", from_top * FG__SVG_ROW);
        for (uint32_t i = layout->rows[r]; i < layout->rows[r + 1] && !err; i++) {
            const fg__box *box = &layout->boxes[i];
            if (box->width < TITLED)
                err = add_sliver(&b, box);
            else
                put_frame(&b, box);
        }
        put_slivers(&b);
        fg__out_text(out, "</g>\n");
    }
    fg_free(pic->ctx, b.runs);
    return err;
}
