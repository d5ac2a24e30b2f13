/*
 * The Markdown summary: what fits a comment on a pull request. Names stand in code spans, where nothing is a
 * link, a mention or a tag; only backticks and the table's bars need care.
 */
#include "core/noise.h"
#include "formats/summary.h"
#include <stdio.h>

enum { ROWS = 20, NAME_MAX_BYTES = 120 };

/* A name as a code span, cut at a character's edge when it is long. */
static void code(fg_out *out, const char *text) {
    size_t n = strlen(text), run = 0, longest = 0;
    bool cut = n > NAME_MAX_BYTES;
    if (cut)
        for (n = NAME_MAX_BYTES; n && ((unsigned char)text[n] & 0xc0) == 0x80;) n--;
    for (size_t i = 0; i < n; i++) {
        run = text[i] == '`' ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    for (size_t i = 0; i <= longest; i++) fg__out_char(out, '`');
    if (longest) fg__out_char(out, ' ');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '|') fg__out_char(out, '\\');
        fg__out_char(out, text[i]);
    }
    if (n == 0) fg__out_text(out, "(no name)");
    if (cut) fg__out_text(out, "…");
    if (longest) fg__out_char(out, ' ');
    for (size_t i = 0; i <= longest; i++) fg__out_char(out, '`');
}

static void write_function(fg_out *out, const fg_profile *p, uint32_t id) {
    fg_frame frame = fg_profile_frame_at(p, id);
    code(out, frame.name);
    if (!*frame.file) return;
    char place[4096];
    if (frame.line)
        snprintf(place, sizeof place, "%s:%u", frame.file, frame.line);
    else
        snprintf(place, sizeof place, "%s", frame.file);
    fg__out_char(out, ' ');
    code(out, place);
}

static void warn(void *user, const char *warning) {
    fg_out *out = user;
    fg__out_text(out, "> ⚠ ");
    code(out, warning);
    fg__out_text(out, "  \n");
}

/* "api · `http://…` · 30.0 s · 12,345 samples" */
static void write_facts(fg_out *out, const fg__summary *s) {
    const fg_profile *p = s->p;
    char value[64];
    static const char *const names[] = {"collector", "engine", "target", "host"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!*fg_meta_text(p, names[i])) continue;
        fg__out_format(out, "%s ", names[i]);
        code(out, fg_meta_text(p, names[i]));
        fg__out_text(out, " · ");
    }
    if (fg_meta_number(p, "duration")) {
        fg__value_text(value, sizeof value, (double)fg_meta_number(p, "duration"), "nanoseconds");
        fg__out_format(out, "over %s · ", value);
    }
    int64_t samples = fg_profile_quality(p).samples;
    const char *unit = fg_profile_type(p, s->type).unit;
    if (samples && !s->diff && strcmp(unit, "count") != 0) {
        fg__value_text(value, sizeof value, (double)samples, "count");
        fg__out_format(out, "%s · ", value);
    }
    fg__value_text(value, sizeof value, (double)s->sum[0], unit);
    fg__out_text(out, value);
    if (!s->diff && strcmp(unit, "count") != 0)
        fg__out_format(out, " of %s", fg_profile_type(p, s->type).name);
    if (!s->diff) return;
    fg__value_text(value, sizeof value, (double)s->sum[1], unit);
    fg__out_format(out, " → %s · compared by %s", value, fg_meta_text(p, "normalize"));
    fg__out_format(out, " (after × %.4g)", s->factor);
    if (fg__noise_of(p) != FG__NOISE_RUNS) return;
    char noise[256];
    fg__noise_text(noise, sizeof noise, p);
    fg__out_format(out, " · %s", noise);
}

static void write_rows(fg_out *out, const fg__summary *s, size_t limit) {
    fg__out_text(out, "| self | total | function |\n|---:|---:|---|\n");
    for (size_t i = 0; i < limit; i++) {
        const fg__summary_row *row = &s->rows[i];
        double sum = (double)s->sum[0];
        fg__out_format(out, "| %.1f %% | %.1f %% | ", 100 * fg__share((double)row->self[0], sum),
                       100 * fg__share((double)row->total[0], sum));
        write_function(out, s->p, row->frame);
        fg__out_text(out, " |\n");
    }
}

/* Where values are compared as they are: "12.3 s → 14.0 s". Where shares are: "32.6 % → 34.2 %". */
static void write_sides(fg_out *out, const fg__summary *s, const int64_t value[2], const char *unit) {
    char side[2][64];
    for (size_t i = 0; i < 2; i++) {
        double share = 100 * fg__share((double)value[i], (double)s->sum[i]);
        if (s->factor != 1)
            snprintf(side[i], sizeof side[i], "%.1f %%", share);
        else
            fg__value_text(side[i], sizeof side[i], (double)value[i], unit);
    }
    fg__out_format(out, "| %s → %s | ", side[0], side[1]);
}

/* By how many points of the whole. */
static double points(const fg__summary *s, const int64_t value[2]) {
    return 100 *
           (fg__share((double)value[1], (double)s->sum[1]) - fg__share((double)value[0], (double)s->sum[0]));
}

static void write_change(fg_out *out, const fg__summary *s, const fg__summary_row *row, const char *unit) {
    write_sides(out, s, row->self, unit);
    if (!row->self[0])
        fg__out_text(out, row->self[1] ? "new" : "");
    else if (!row->self[1])
        fg__out_text(out, "gone");
    else
        fg__out_format(out, "%+.0f %%", 100 * row->change / (double)row->self[0]);
    fg__out_format(out, " | %+.1f pp | %+.1f pp | ", points(s, row->self), points(s, row->total));
    write_function(out, s->p, row->frame);
    fg__out_text(out, " |\n");
}

static void write_changes(fg_out *out, const fg__summary *s, size_t limit) {
    fg__out_text(out, "| self: before → after | change | self, of all | total, of all | function |\n"
                      "|---:|---:|---:|---:|---|\n");
    const char *unit = fg_profile_type(s->p, 0).unit;
    for (size_t i = 0; i < limit && (s->rows[i].change != 0 || s->rows[i].total_change != 0); i++)
        write_change(out, s, &s->rows[i], unit);
}

static void write_summary(fg_out *out, const fg__summary *s, const fg_write_options *options) {
    const char *title = options->title ? options->title : fg_meta_text(s->p, "title");
    fg__out_text(out, "### ");
    if (*title)
        code(out, title);
    else
        fg__out_text(out, s->diff ? "Profile diff" : "Profile");
    fg__out_text(out, "\n\n");
    write_facts(out, s);
    fg__out_text(out, "\n\n");
    fg_profile_warnings(s->p, warn, out);
    fg__out_text(out, "\n");
    size_t limit = options->limit ? options->limit : ROWS;
    if (limit > s->count) limit = s->count;
    if (s->diff)
        write_changes(out, s, limit);
    else
        write_rows(out, s, limit);
}

static int write_markdown(fg_out *out, fg_profile *p, const fg_write_options *options) {
    fg__summary s;
    int err = fg__summary_make(&s, p, options);
    if (!err) write_summary(out, &s, options);
    fg__summary_free(&s);
    return err ? err : fg__out_status(out);
}

const fg_format fg__markdown = {.name = "md",
                                .summary = "summary for people: the top functions, as a Markdown table",
                                .suffixes = ".md .markdown",
                                .write = write_markdown};
