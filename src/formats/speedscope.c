/* Writing speedscope's JSON: a "sampled" profile for each value type. */
#include "formats/speedscope.h"

/* The schema knows these units; all else is "none". */
static const char *unit_of(const char *unit) {
    static const char *const known[] = {"nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], unit) == 0) return unit;
    return "none";
}

static void write_frames(fg_out *out, const fg_profile *p) {
    for (uint32_t i = 0; i < fg_profile_frame_count(p); i++) {
        fg_frame frame = fg_profile_frame_at(p, i);
        fg__out_text(out, i ? ",\n{\"name\":" : "\n{\"name\":");
        fg__out_json(out, frame.name);
        if (*frame.file) {
            fg__out_text(out, ",\"file\":");
            fg__out_json(out, frame.file);
        }
        if (frame.line) fg__out_format(out, ",\"line\":%u", frame.line);
        fg__out_char(out, '}');
    }
}

static void write_samples(fg_out *out, const fg_profile *p, size_t type) {
    const char *between = "\n[";
    for (size_t i = 0; i < fg_profile_stack_count(p); i++) {
        if (!fg_profile_value(p, i, type)) continue;
        size_t n;
        const uint32_t *stack = fg_profile_stack(p, i, &n);
        fg__out_text(out, between);
        between = ",\n[";
        for (size_t k = 0; k < n; k++) {
            if (k) fg__out_char(out, ',');
            fg__out_i64(out, stack[k]);
        }
        fg__out_char(out, ']');
    }
}

static void write_weights(fg_out *out, const fg_profile *p, size_t type) {
    const char *between = "\n";
    for (size_t i = 0; i < fg_profile_stack_count(p); i++) {
        if (!fg_profile_value(p, i, type)) continue;
        fg__out_text(out, between);
        between = ",";
        fg__out_i64(out, fg_profile_value(p, i, type));
    }
}

static int write_speedscope(fg_out *out, fg_profile *p, const fg_write_options *options) {
    int active = fg_profile_find_type(p, options->type);
    if (active < 0) return fg__fail_type(p, "", options->type);
    const char *title = options->title ? options->title : fg_meta_text(p, "title");
    fg__out_text(out, "{\"$schema\":\"" FG__SPEEDSCOPE_SCHEMA "\",\"name\":");
    fg__out_json(out, *title ? title : "flame-graph");
    fg__out_format(out,
                   ",\"exporter\":\"" FG__SPEEDSCOPE_EXPORTER
                   "%s\",\"activeProfileIndex\":%d,\"shared\":{\"frames\":[",
                   FG_VERSION, active);
    write_frames(out, p);
    fg__out_text(out, "\n]},\"profiles\":[");
    for (size_t t = 0; t < fg_profile_type_count(p); t++) {
        fg_value_type type = fg_profile_type(p, t);
        fg__out_text(out, t ? ",\n{\"type\":\"sampled\",\"name\":" : "\n{\"type\":\"sampled\",\"name\":");
        fg__out_json(out, type.name);
        fg__out_format(out, ",\"unit\":\"%s\",\"startValue\":0,\"endValue\":", unit_of(type.unit));
        fg__out_i64(out, fg_profile_total(p, t));
        fg__out_text(out, ",\"samples\":[");
        write_samples(out, p, t);
        fg__out_text(out, "\n],\"weights\":[");
        write_weights(out, p, t);
        fg__out_text(out, "\n]}");
    }
    fg__out_text(out, "\n]}\n");
    return fg__out_status(out);
}

const fg_format fg__speedscope = {.name = "speedscope",
                                  .summary = "speedscope's JSON, for speedscope.app",
                                  .suffixes = ".speedscope.json .speedscope",
                                  .probe = fg__speedscope_probe,
                                  .read = fg__speedscope_read,
                                  .write = write_speedscope};
