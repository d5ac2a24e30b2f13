/*
 * The SVG: captions and legend, the static frames, the whole profile, and the viewer that takes over where
 * scripts run. It refers to nothing outside of itself.
 */
#include "render/svg.h"
#include "core/embedded.h"
#include "formats/payload.h"
#include "formats/svg.h"
#include <math.h>
#include <stdio.h>

enum {
    LINE = 16,       /* of text */
    TITLE = 28,      /* from the top to the title's baseline */
    MAX_ROWS = 1900, /* 30,400 px: what shows pictures gives up at 32,767 */
    SWATCH = 12,
    PART = 3 << 20, /* bytes of the profile in one element: XML parsers refuse 10 MB of text in one piece */
};
/* Width of a character of the captions, on the safe side. */
static const double caption_char = 6.5;
static const double default_width = 1200, default_min_width = 0.1;

typedef struct sheet {
    fg_out *out;
    fg__picture *pic;
    const fg__layout *layout;
    fg__caption caption;
    double width;
    double y;       /* where the next line's baseline goes */
    bool measuring; /* only move y */
} sheet;

/* ---- text above the frames ------------------------------------------------------------------- */

/* How much of `text` goes on a line of `room` bytes: up to a space where there is one, never through a
 * character. */
static size_t line_length(const char *text, size_t room) {
    size_t n = strcspn(text, "\n");
    if (n <= room) return n;
    size_t cut = room;
    while (cut && text[cut] != ' ') cut--;
    if (cut) return cut;
    for (cut = room; cut && ((unsigned char)text[cut] & 0xc0) == 0x80;) cut--;
    return cut;
}

static void put_line(sheet *s, const char *text, size_t n) {
    if (!s->measuring) {
        char line[8192];
        size_t fits = n < sizeof line ? n : sizeof line - 1;
        memcpy(line, text, fits);
        line[fits] = '\0';
        fg__out_format(s->out, "<text x=\"%d\" y=\"%.0f\">", FG__SVG_PAD, s->y);
        fg__out_xml(s->out, line);
        fg__out_text(s->out, "</text>\n");
    }
    s->y += LINE;
}

/* A paragraph for each line of `text`; each is wrapped. */
static void put_paragraphs(sheet *s, const char *class, const char *text, double scale) {
    size_t room = (size_t)((s->width - 2 * FG__SVG_PAD) / (caption_char * scale));
    while (*text) {
        if (!s->measuring) fg__out_format(s->out, "<g class=\"%s\">\n", class);
        do {
            size_t n = line_length(text, room);
            put_line(s, text, n);
            text += n;
            while (*text == ' ') text++;
        } while (*text && *text != '\n');
        if (*text) text++;
        if (!s->measuring) fg__out_text(s->out, "</g>\n");
    }
}

static double text_width(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return caption_char * (double)n;
}

static void put_legend_item(sheet *s, double x, unsigned shade, const char *text) {
    fg__out_format(s->out, "<rect class=\"fg%u\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\"/>", shade,
                   x, s->y - 10, SWATCH, SWATCH);
    fg__out_format(s->out, "<text x=\"%.0f\" y=\"%.0f\">", x + SWATCH + 4, s->y);
    fg__out_xml(s->out, text);
    fg__out_text(s->out, "</text>\n");
}

static void put_legend(sheet *s) {
    const fg__picture *pic = s->pic;
    double x = FG__SVG_PAD;
    bool any = false;
    if (!s->measuring) fg__out_text(s->out, "<g class=\"fg-legend\">\n");
    for (unsigned i = 0; i < pic->shades; i++) {
        char text[64];
        pic->view->legend(text, sizeof text, pic, i);
        if (!*text) continue;
        double width = SWATCH + 4 + text_width(text) + 12;
        if (any && x + width > s->width - FG__SVG_PAD) {
            s->y += LINE + 2;
            x = FG__SVG_PAD;
        }
        if (!s->measuring) put_legend_item(s, x, i + pic->palette->variants / 2, text);
        x += width;
        any = true;
    }
    if (any) s->y += LINE + 2;
    if (!s->measuring) fg__out_text(s->out, "</g>\n");
}

static void put_captions(sheet *s) {
    s->y = TITLE;
    put_paragraphs(s, "fg-title", s->caption.title.bytes, 1.5);
    s->y += 4;
    put_paragraphs(s, "fg-subtitle", s->caption.subtitle.bytes, 1);
    put_paragraphs(s, "fg-warning", s->caption.warnings.bytes, 1);
    if (s->layout->hidden) {
        char text[128];
        snprintf(text, sizeof text,
                 "%u rows that lie deeper are not drawn here; the viewer shows them where scripts run",
                 s->layout->hidden);
        put_paragraphs(s, "fg-warning fg-static", text, 1);
    }
    s->y += 6;
    put_legend(s);
}

/* ---- style ----------------------------------------------------------------------------------- */

static void put_shades(sheet *s, bool dark) {
    char hex[8];
    for (unsigned i = 0; i < s->pic->shades; i++) {
        fg__palette_hex(hex, s->pic->palette, i, s->pic->shades, dark);
        fg__out_format(s->out, ".fg%u{fill:%s;background:%s}", i, hex, hex);
    }
}

static void put_embedded(fg_out *out, const char *suffix) {
    for (const struct fg__embedded *e = fg__embedded_viewer; e->name; e++) {
        size_t n = strlen(e->name), m = strlen(suffix);
        if (n > m && strcmp(e->name + n - m, suffix) == 0) fg__out_bytes(out, e->bytes, e->n);
    }
}

static void put_style(sheet *s) {
    fg__out_text(s->out, "<style><![CDATA[\n");
    put_embedded(s->out, ".css");
    put_shades(s, false);
    fg__out_text(s->out, "\n@media (prefers-color-scheme:dark){");
    put_shades(s, true);
    fg__out_text(s->out, "}\n]]></style>\n");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int put_profile(sheet *s) {
    fg__picture *pic = s->pic;
    void *bytes;
    size_t n;
    const uint8_t *extra = pic->by_frame ? pic->by_frame : pic->noise.margins;
    size_t extra_n = pic->by_frame ? pic->p->frame_count : pic->noise.margins ? pic->noise.count : 0;
    int err =
        fg__payload_encode(&bytes, &n, &pic->walk, pic->reversed ? FG__PAYLOAD_REVERSED : 0, extra, extra_n);
    if (err) return err;
    for (size_t at = 0; at < n; at += PART) {
        fg__out_text(s->out, "<metadata class=\"" FG__PAYLOAD_CLASS "\">");
        fg__out_base64(s->out, (uint8_t *)bytes + at, n - at < PART ? n - at : PART);
        fg__out_text(s->out, "</metadata>\n");
    }
    fg_free(pic->ctx, bytes);
    return 0;
}

/* What the viewer needs to know beside the profile. */
static void put_settings(sheet *s) {
    const fg__picture *pic = s->pic;
    fg__out_format(
        s->out,
        " data-view=\"%s\" data-type=\"%zu\" data-shades=\"%u\" data-root-shade=\"%u\" data-variants=\"%u\"",
        pic->view->name, pic->type, pic->shades, pic->view->shade(pic, &s->layout->root),
        pic->palette->variants);
    fg__out_text(s->out, " data-unit=\"");
    fg__out_xml(s->out, pic->unit);
    fg__out_text(s->out, "\" data-steps=\"");
    for (size_t i = 0; i < FG__STEPS; i++) fg__out_format(s->out, "%s%g", i ? " " : "", fg__steps[i]);
    fg__out_char(s->out, '"');
    if (pic->diff)
        fg__out_format(s->out, " data-widths=\"%s\"", pic->options->widths ? pic->options->widths : "union");
    if (pic->noise.source == FG__NOISE_SAMPLING && pic->diff)
        fg__out_format(s->out, " data-noise=\"%.9g %.9g\"", pic->noise.square[0], pic->noise.square[1]);
    if (pic->options->inverted) fg__out_text(s->out, " data-inverted=\"\"");
}

static int put_svg(sheet *s) {
    fg_out *out = s->out;
    s->measuring = true;
    put_captions(s);
    double frames = s->y, height = frames + (double)s->layout->row_count * FG__SVG_ROW + FG__SVG_PAD;
    s->measuring = false;
    fg__out_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
                      "class=\"flame-graph\"");
    fg__out_format(
        out,
        " width=\"%g\" height=\"%.0f\" viewBox=\"0 0 %g %.0f\" font-family=\"sans-serif\" font-size=\"12\"",
        s->width, height, s->width, height);
    put_settings(s);
    fg__out_text(out, ">\n<title>");
    fg__out_xml(out, s->caption.title.bytes);
    fg__out_text(out, "</title>\n");
    put_style(s);
    fg__out_format(out, "<g class=\"fg-picture\">\n<rect class=\"fg-paper\" width=\"%g\" height=\"%.0f\"/>\n",
                   s->width, height);
    put_captions(s);
    fg__out_format(out, "<g class=\"fg-frames\" transform=\"translate(%d %.0f)\">\n", FG__SVG_PAD, frames);
    int err = fg__svg_frames(out, s->pic, s->layout);
    fg__out_text(out, "</g>\n</g>\n");
    if (!err) err = put_profile(s);
    if (err) return err;
    fg__out_text(out, "<script><![CDATA[\n(() => {\n'use strict';\n");
    put_embedded(out, ".js");
    fg__out_text(out, "})();\n]]></script>\n</svg>\n");
    return fg__out_status(out);
}

static int resolve_width(sheet *s, double *min_width) {
    const fg_write_options *o = s->pic->options;
    s->width = o->width == 0 ? default_width : o->width;
    *min_width = o->min_width == 0 ? default_min_width : fmax(0, o->min_width);
    if (s->width >= FG__WIDTH_LEAST && s->width <= FG__WIDTH_MOST) return 0;
    return fg__fail(s->pic->ctx, FG_EINVAL, "a picture can be %d to %d px wide, not %g", FG__WIDTH_LEAST,
                    FG__WIDTH_MOST, s->width);
}

static int write_svg(fg_out *out, fg_profile *p, const fg_write_options *options) {
    fg__picture pic;
    fg__layout layout = {0};
    sheet s = {.out = out, .pic = &pic, .layout = &layout};
    double min_width;
    int err = fg__picture_open(&pic, p, options);
    if (!err) err = resolve_width(&s, &min_width);
    if (!err) err = fg__layout_open(&layout, &pic, s.width - 2 * FG__SVG_PAD, min_width, MAX_ROWS);
    if (!err) err = fg__caption_open(&s.caption, &pic);
    if (!err) err = put_svg(&s);
    fg__caption_close(&s.caption, p->ctx);
    fg__layout_close(&layout, p->ctx);
    fg__picture_close(&pic);
    return err;
}

const fg_format fg__svg_writer = {
    .name = "svg",
    .summary = "flame graph that opens in a browser, with its whole profile inside",
    .suffixes = ".svg",
    .write = write_svg,
};
