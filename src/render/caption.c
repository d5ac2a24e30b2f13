/*
 * What stands above the frames: a title, how the profile was taken, and what could mislead. Every picture has
 * the last two, whatever the caller says above them.
 */
#include "render/render.h"
#include <stdio.h>
#include <time.h>

typedef struct writer {
    const fg__picture *pic;
    fg__buffer *to;
    int err;
    size_t count; /* of warnings */
} writer;

enum { MOST_WARNINGS = 12 }; /* the frames are the picture */

static void add(writer *w, const char *text) {
    if (!w->err) w->err = fg__buffer_add(w->pic->ctx, w->to, text, strlen(text));
}

/* One more thing, after a separator. */
static void FG_PRINTF(2, 3) say(writer *w, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (w->to->n) add(w, " · ");
    add(w, text);
}

static const char *value(char text[64], double number, const char *unit) {
    fg__value_text(text, 64, number, unit);
    return text;
}

static bool counts_samples(const fg__picture *pic) {
    fg_value_type type = fg_profile_type(pic->p, pic->type);
    return strcmp(type.name, "samples") == 0 && strcmp(type.unit, "count") == 0;
}

/* How the sides are compared, by the metadata `normalize`. */
static const char *comparison_of(const fg_profile *p) {
    static const char *const ways[][2] = {{"share", "compared by share"},
                                          {"per-unit", "compared per unit of work"},
                                          {"rate", "compared per second"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(fg_meta_text(p, "normalize"), ways[i][0]) == 0) return ways[i][1];
    return "compared as measured";
}

/* What is drawn: "cpu in nanoseconds: 12.3 s", "before 12.3 s, after 14.0 s". */
static void say_value(writer *w) {
    const fg__picture *pic = w->pic;
    char x[64], y[64];
    fg_value_type type = fg_profile_type(pic->p, pic->type);
    value(x, (double)pic->totals[0], pic->unit);
    if (!pic->diff) {
        if (counts_samples(pic) || strcmp(type.name, type.unit) == 0)
            say(w, "%s", x);
        else if (strcmp(type.unit, "count") == 0)
            say(w, "%s: %s", type.name, x);
        else
            say(w, "%s in %s: %s", type.name, type.unit, x);
        return;
    }
    value(x, (double)pic->totals[0], pic->unit);
    value(y, (double)pic->totals[1], pic->unit);
    say(w, "before %s, after %s", x, y);
    say(w, "%s", comparison_of(pic->p));
    if (pic->p->runs[0] && !pic->p->slice_length[0])
        say(w, "sums of %u and %u runs", pic->p->runs[0], pic->p->runs[1]);
    say(w, "after × %.4g", pic->factor);
    if (pic->options->widths && strcmp(pic->options->widths, "union") != 0)
        say(w, "as wide as %s", pic->options->widths);
    if (fg__noise_of(pic->p) != FG__NOISE_RUNS) return; /* else it is a warning */
    char noise[256];
    fg__noise_text(noise, sizeof noise, pic->p);
    say(w, "%s", noise);
}

static void say_origin(writer *w) {
    const fg_profile *p = w->pic->p;
    char text[64];
    const char *collector = fg_meta_text(p, "collector"), *engine = fg_meta_text(p, "engine");
    const char *target = fg_meta_text(p, "target"), *host = fg_meta_text(p, "host");
    if (*collector)
        say(w, "collected by %s%s%s", collector, *engine ? ", engine " : "", engine);
    else if (*engine)
        say(w, "engine %s", engine);
    if (*target) say(w, "target %s", target);
    if (*host) say(w, "host %s", host);
    time_t start = (time_t)(fg_meta_number(p, "start") / 1000000000);
    struct tm utc;
    if (start > 0 && gmtime_r(&start, &utc) && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc))
        say(w, "%s", text);
    int64_t duration = fg_meta_number(p, "duration");
    if (duration > 0) say(w, "over %s", value(text, (double)duration, "nanoseconds"));
}

/* A diff says of each side what could mislead; the numbers would be of neither. */
static void say_quality(writer *w) {
    const fg_profile *p = w->pic->p;
    if (w->pic->diff) return;
    fg_quality q = fg_profile_quality(p);
    char text[64];
    bool said = counts_samples(w->pic) && q.samples == w->pic->totals[0];
    if (q.samples && !said) say(w, "%s", value(text, (double)q.samples, "count"));
    if (fg_meta_has(p, "lost")) say(w, "%lld lost", (long long)q.lost);
    if (q.failed) say(w, "%lld failed", (long long)q.failed);
    if (q.truncated) say(w, "%lld stacks cut short", (long long)q.truncated);
    say(w, "%.1f %% unknown", 100 * q.unknown);
    int64_t cpu = fg_meta_number(p, "sampler_cpu");
    if (cpu > 0) say(w, "the sampler took %s of CPU", value(text, (double)cpu, "nanoseconds"));
    if (w->pic->reversed) say(w, "reversed: callees first");
}

static void say_title(writer *w) {
    const fg__picture *pic = w->pic;
    const char *title = *pic->title ? pic->title : fg_meta_text(pic->p, "title");
    const char *target = fg_meta_text(pic->p, "target");
    if (*title) {
        add(w, title);
        return;
    }
    add(w, pic->view->title);
    if (!*target) return;
    add(w, ": ");
    add(w, target);
}

static void add_warning(void *user, const char *text) {
    writer *w = user;
    if (w->count++ >= MOST_WARNINGS) return;
    if (w->to->n) add(w, "\n");
    add(w, text);
}

static void say_warnings(writer *w) {
    char text[64];
    add(w, "");
    fg_profile_warnings(w->pic->p, add_warning, w);
    if (w->count <= MOST_WARNINGS) return;
    snprintf(text, sizeof text, "\nand %zu more", w->count - MOST_WARNINGS);
    add(w, text);
}

int fg__caption_open(fg__caption *out, const fg__picture *pic) {
    *out = (fg__caption){0};
    writer title = {.pic = pic, .to = &out->title}, subtitle = {.pic = pic, .to = &out->subtitle},
           warnings = {.pic = pic, .to = &out->warnings};
    say_title(&title);
    add(&subtitle, pic->subtitle);
    say_value(&subtitle);
    say_origin(&subtitle);
    say_quality(&subtitle);
    say_warnings(&warnings);
    return title.err ? title.err : subtitle.err ? subtitle.err : warnings.err;
}

void fg__caption_close(fg__caption *caption, fg_ctx *ctx) {
    fg_free(ctx, caption->title.bytes);
    fg_free(ctx, caption->subtitle.bytes);
    fg_free(ctx, caption->warnings.bytes);
}
