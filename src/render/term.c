/*
 * The picture for a terminal: an icicle, roots at the top, of a row of text for each depth, and the hottest functions
 * below it. Colours are those of the 256 that nearly every terminal has; without them boxes stand between bars.
 *
 *      |main                         |
 *      |parse          |sort   |
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "formats/summary.h"
#include "render/render.h"

enum { COLUMNS = 100, COLUMNS_LEAST = 40, COLUMNS_MOST = 1000, ROWS_MOST = 60, TOP_ROWS = 10 };

typedef struct term {
    fg_out *out;
    fg__picture pic;
    fg__layout layout;
    fg__caption caption;
    size_t columns;
    bool plain;
} term;

/* ---- text ---------------------------------------------------------------------------------------------- */

/* Bytes of the first `columns` characters. Names are valid UTF-8; a character counts as a column. */
static size_t fitting(const char *text, size_t columns) {
    const char *p = text;
    for (; *p && columns; columns--)
        for (p++; ((unsigned char)*p & 0xc0) == 0x80;) p++;
    return (size_t)(p - text);
}

static size_t characters(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Exactly `columns` columns: cut with an ellipsis, or filled up. */
static void put_cell(fg_out *out, const char *text, size_t columns) {
    size_t n = characters(text);
    bool cut = n > columns;
    size_t kept = cut ? columns - 1 : n;
    if (columns == 0) return;
    fg__out_bytes(out, text, fitting(text, kept));
    if (cut) fg__out_text(out, "…");
    for (size_t i = cut ? columns : n; i < columns; i++) fg__out_char(out, ' ');
}

/* At most `columns` columns. */
static void put_cut(fg_out *out, const char *text, size_t columns) {
    size_t n = characters(text);
    put_cell(out, text, n < columns ? n : columns);
}

/* Text at the words' ends in lines of at most t->columns. */
static void put_wrapped(term *t, const char *text) {
    size_t at = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " ");
        char word[512];
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), p);
        size_t wide = characters(word);
        if (at && at + 1 + wide > t->columns) {
            fg__out_char(t->out, '\n');
            at = 0;
        }
        if (at) fg__out_char(t->out, ' ');
        put_cut(t->out, word, t->columns);
        at += (at != 0) + (wide < t->columns ? wide : t->columns);
        p += n + strspn(p + n, " ");
    }
    fg__out_char(t->out, '\n');
}

/* ---- colours ------------------------------------------------------------------------------------------- */

/* The nearest of the 6 × 6 × 6 colours that begin at 16; their steps are 0, 95, 135, … 255. */
static int nearest_colour(const char *hex) {
    unsigned long rgb = strtoul(hex + 1, NULL, 16);
    int index = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        long part = (long)(rgb >> shift & 255);
        index = 6 * index + (int)(part < 48 ? 0 : part < 115 ? 1 : (part - 35) / 40);
    }
    return 16 + index;
}

static void begin_box(term *t, const fg__box *box) {
    char hex[8];
    if (t->plain) return;
    fg__palette_hex(hex, t->pic.palette, t->pic.view->shade(&t->pic, box), t->pic.shades, false);
    fg__out_format(t->out, "\033[30;48;5;%dm", nearest_colour(hex));
}

static void end_box(term *t) {
    if (!t->plain) fg__out_text(t->out, "\033[0m");
}

/* ---- the icicle ---------------------------------------------------------------------------------------- */

static void put_row(term *t, uint32_t row) {
    size_t at = 0;
    for (uint32_t i = t->layout.rows[row]; i < t->layout.rows[row + 1]; i++) {
        const fg__box *box = &t->layout.boxes[i];
        size_t from = (size_t)lroundf(box->x), to = (size_t)lroundf(box->x + box->width);
        if (to > t->columns) to = t->columns;
        if (from < at || to <= from) continue;
        for (; at < from; at++) fg__out_char(t->out, ' ');
        begin_box(t, box);
        /* the first column keeps neighbours of one colour apart */
        fg__out_text(t->out, t->plain ? "|" : "▏");
        put_cell(t->out, fg__picture_name(&t->pic, box), to - from - 1);
        end_box(t);
        at = to;
    }
    fg__out_char(t->out, '\n');
}

static void put_icicle(term *t) {
    for (uint32_t row = 0; row < t->layout.row_count; row++) put_row(t, row);
    if (t->layout.hidden) fg__out_format(t->out, "… %u deeper rows\n", t->layout.hidden);
}

/* ---- the table ----------------------------------------------------------------------------------------- */

enum { CELLS = 3, CELL_MOST = 64 };

/* Before, after and the change as they are compared: shares of each side, or values, those of after × factor. */
static void change_cells(char cells[CELLS][CELL_MOST], const term *t, const fg__summary *s,
                         const fg__summary_row *row) {
    bool shares = strcmp(fg_meta_text(s->p, "normalize"), "share") == 0;
    const double values[2] = {(double)row->self[0], (double)row->self[1] * s->factor};
    for (size_t side = 0; side < 2; side++)
        if (shares)
            snprintf(cells[side], CELL_MOST, "%.1f %%",
                     100 * fg__share((double)row->self[side], (double)s->sum[side]));
        else
            fg__value_text(cells[side], CELL_MOST, values[side], t->pic.unit);
    if (!row->self[0])
        snprintf(cells[2], CELL_MOST, "%s", row->self[1] ? "new" : "");
    else if (!row->self[1])
        snprintf(cells[2], CELL_MOST, "gone");
    else
        snprintf(cells[2], CELL_MOST, "%+.1f %%", 100 * row->change / values[0]);
}

static void put_right(fg_out *out, const char *text, size_t columns) {
    for (size_t n = characters(text); n < columns; n++) fg__out_char(out, ' ');
    fg__out_text(out, text);
}

static void put_name(term *t, const fg__summary *s, const fg__summary_row *row, size_t in_front) {
    static const size_t least = 8; /* in a narrow terminal the line grows rather than the name disappears */
    const char *name = fg__frame_name(s->p, row->frame).bytes;
    put_cut(t->out, *name ? name : "(no name)",
            t->columns > in_front + least ? t->columns - in_front : least);
    fg__out_char(t->out, '\n');
}

static void put_changes(term *t, const fg__summary *s, size_t limit) {
    static const char *const heads[CELLS] = {"before", "after", "change"};
    char cells[CELLS][CELL_MOST];
    size_t wide[CELLS], in_front = 2;
    for (size_t c = 0; c < CELLS; c++) wide[c] = characters(heads[c]);
    for (size_t i = 0; i < limit; i++) {
        change_cells(cells, t, s, &s->rows[i]);
        for (size_t c = 0; c < CELLS; c++)
            if (characters(cells[c]) > wide[c]) wide[c] = characters(cells[c]);
    }
    fg__out_char(t->out, '\n');
    for (size_t c = 0; c < CELLS; c++) {
        put_right(t->out, heads[c], wide[c] + 2);
        in_front += wide[c] + 2;
    }
    fg__out_text(t->out, "  self of\n");
    for (size_t i = 0; i < limit; i++) {
        change_cells(cells, t, s, &s->rows[i]);
        for (size_t c = 0; c < CELLS; c++) put_right(t->out, cells[c], wide[c] + 2);
        fg__out_text(t->out, "  ");
        put_name(t, s, &s->rows[i], in_front);
    }
}

static void put_shares(term *t, const fg__summary *s, const fg__summary_row *row) {
    double sum = (double)s->sum[0];
    fg__out_format(t->out, "%6.1f %%%6.1f %%  ", 100 * fg__share((double)row->self[0], sum),
                   100 * fg__share((double)row->total[0], sum));
}

static void put_rows(term *t, const fg__summary *s, size_t limit) {
    static const size_t shares = 18; /* columns in front of the name */
    fg__out_text(t->out, "\n    self   total  function\n");
    for (size_t i = 0; i < limit; i++) {
        put_shares(t, s, &s->rows[i]);
        put_name(t, s, &s->rows[i], shares);
    }
}

static int put_table(term *t, const fg_write_options *options) {
    fg__summary s;
    int err = fg__summary_make(&s, t->pic.p, options);
    size_t limit = options->limit ? options->limit : TOP_ROWS;
    if (limit > s.count) limit = s.count;
    if (!err) (s.diff ? put_changes : put_rows)(t, &s, limit);
    fg__summary_free(&s);
    return err;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static int choose_columns(term *t, fg_ctx *ctx, double width) {
    if (width == 0) width = COLUMNS;
    if (!(width >= COLUMNS_LEAST && width <= COLUMNS_MOST))
        return fg__fail(ctx, FG_EINVAL, "a picture in a terminal can be %d to %d columns wide, not %g",
                        COLUMNS_LEAST, COLUMNS_MOST, width);
    t->columns = (size_t)width;
    return 0;
}

static void put_captions(term *t) {
    put_wrapped(t, t->caption.title.bytes);
    put_wrapped(t, t->caption.subtitle.bytes);
    for (const char *line = t->caption.warnings.bytes; line && *line;) {
        size_t n = strcspn(line, "\n");
        char text[1024];
        snprintf(text, sizeof text, "careful: %.*s", (int)(n < 1000 ? n : 1000), line);
        put_wrapped(t, text);
        line += n + (line[n] == '\n');
    }
    fg__out_char(t->out, '\n');
}

static int write_term(fg_out *out, fg_profile *p, const fg_write_options *options) {
    term t = {.out = out, .plain = options->plain};
    int err = choose_columns(&t, p->ctx, options->width);
    if (err) return err;
    err = fg__picture_open(&t.pic, p, options);
    if (!err) err = fg__layout_open(&t.layout, &t.pic, (double)t.columns, 0.5, ROWS_MOST);
    if (!err) err = fg__caption_open(&t.caption, &t.pic);
    if (!err) {
        put_captions(&t);
        put_icicle(&t);
        err = put_table(&t, options);
    }
    fg__caption_close(&t.caption, p->ctx);
    fg__layout_close(&t.layout, p->ctx);
    fg__picture_close(&t.pic);
    return err ? err : fg__out_status(out);
}

const fg_format fg__term = {.name = "term",
                            .summary = "flame graph and hottest functions for a terminal (--output term)",
                            .suffixes = ".term",
                            .write = write_term};
