/* The JSON summary: metadata, quality, every function with self and total. docs/formats.md has its shape. */
#include "core/noise.h"
#include "formats/summary.h"
#include <math.h>

/* Output with a memory of whether a comma is due. */
typedef struct json {
    fg_out *out;
    bool comma;
} json;

static void open(json *j, const char *bracket) {
    if (j->comma) fg__out_char(j->out, ',');
    fg__out_text(j->out, bracket);
    j->comma = false;
}

static void close(json *j, const char *bracket) {
    fg__out_text(j->out, bracket);
    j->comma = true;
}

static void key(json *j, const char *name) {
    if (j->comma) fg__out_char(j->out, ',');
    fg__out_json(j->out, name);
    fg__out_char(j->out, ':');
    j->comma = false;
}

static void text(json *j, const char *name, const char *value) {
    key(j, name);
    fg__out_json(j->out, value);
    j->comma = true;
}

static void whole(json *j, const char *name, int64_t value) {
    key(j, name);
    fg__out_i64(j->out, value);
    j->comma = true;
}

static void real(json *j, const char *name, double value) {
    key(j, name);
    if (isfinite(value))
        fg__out_format(j->out, "%.15g", value);
    else
        fg__out_text(j->out, "null");
    j->comma = true;
}

static void write_meta(json *j, const fg_profile *p) {
    key(j, "meta");
    open(j, "{");
    const char *name;
    int type;
    for (size_t i = 0; (name = fg_meta_key(i, &type)); i++) {
        if (type == FG_META_TEXT && *fg_meta_text(p, name)) text(j, name, fg_meta_text(p, name));
        if (type == FG_META_NUMBER && fg_meta_number(p, name)) whole(j, name, fg_meta_number(p, name));
        if (type == FG_META_REAL && fg_meta_real(p, name) != 0) real(j, name, fg_meta_real(p, name));
    }
    close(j, "}");
}

static void write_types(json *j, const fg_profile *p) {
    key(j, "types");
    open(j, "[");
    for (size_t t = 0; t < fg_profile_type_count(p); t++) {
        fg_value_type type = fg_profile_type(p, t);
        open(j, "{");
        text(j, "name", type.name);
        text(j, "unit", type.unit);
        whole(j, "total", fg_profile_total(p, t));
        close(j, "}");
    }
    close(j, "]");
}

static void warn(void *user, const char *warning) {
    json *j = user;
    open(j, "");
    fg__out_json(j->out, warning);
    j->comma = true;
}

static void write_quality(json *j, const fg_profile *p) {
    fg_quality q = fg_profile_quality(p);
    whole(j, "samples", q.samples);
    if (fg_meta_has(p, "lost")) whole(j, "lost", q.lost);
    if (fg_meta_has(p, "failed")) whole(j, "failed", q.failed);
    if (fg_meta_has(p, "truncated")) whole(j, "truncated", q.truncated);
    real(j, "unknown_share", q.unknown);
    key(j, "warnings");
    open(j, "[");
    fg_profile_warnings(p, warn, j);
    close(j, "]");
}

static void write_row(json *j, const fg__summary *s, const fg__summary_row *row) {
    fg_frame frame = fg_profile_frame_at(s->p, row->frame);
    open(j, "\n{");
    text(j, "name", frame.name);
    if (*frame.file) text(j, "file", frame.file);
    if (frame.line) whole(j, "line", frame.line);
    if (*frame.module) text(j, "module", frame.module);
    if (frame.kind) text(j, "kind", fg_kind_name(frame.kind));
    double before = (double)s->sum[0], after = (double)s->sum[1];
    if (s->diff) {
        whole(j, "self_before", row->self[0]);
        whole(j, "self_after", row->self[1]);
        real(j, "self_change", row->change);
        real(j, "self_share_change",
             fg__share((double)row->self[1], after) - fg__share((double)row->self[0], before));
        whole(j, "total_before", row->total[0]);
        whole(j, "total_after", row->total[1]);
        real(j, "total_change", row->total_change);
        real(j, "total_share_change",
             fg__share((double)row->total[1], after) - fg__share((double)row->total[0], before));
    } else {
        whole(j, "self", row->self[0]);
        whole(j, "total", row->total[0]);
        real(j, "self_share", fg__share((double)row->self[0], before));
        real(j, "total_share", fg__share((double)row->total[0], before));
    }
    close(j, "}");
}

static void write_summary(json *j, const fg__summary *s, size_t limit) {
    open(j, "{");
    whole(j, "version", 1);
    text(j, "type", s->diff ? "diff" : fg_profile_type(s->p, s->type).name);
    text(j, "unit", fg_profile_type(s->p, s->type).unit);
    if (s->diff) {
        whole(j, "total_before", s->sum[0]);
        whole(j, "total_after", s->sum[1]);
        real(j, "factor", s->factor);
        char noise[256];
        fg__noise_text(noise, sizeof noise, s->p);
        text(j, "noise", noise);
    } else {
        whole(j, "total", s->sum[0]);
    }
    write_quality(j, s->p);
    write_meta(j, s->p);
    write_types(j, s->p);
    key(j, "top");
    open(j, "[");
    for (size_t i = 0; i < s->count && i < limit; i++) write_row(j, s, &s->rows[i]);
    close(j, "\n]");
    close(j, "}\n");
}

static int write_json(fg_out *out, fg_profile *p, const fg_write_options *options) {
    fg__summary s;
    json j = {out, false};
    int err = fg__summary_make(&s, p, options);
    if (!err) write_summary(&j, &s, options->limit ? options->limit : SIZE_MAX);
    fg__summary_free(&s);
    return err ? err : fg__out_status(out);
}

const fg_format fg__json = {.name = "json",
                            .summary = "summary for programs: every function, self and total",
                            .suffixes = ".json",
                            .write = write_json};
