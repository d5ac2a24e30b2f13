/* The quality record and the warnings that follow from it. One place, so that every picture and report says
 * the same. */
#include "core/noise.h"
#include <math.h>
#include <stdio.h>

/* From these shares on, what is missing changes what the picture says. */
static const double lost_much = 0.01, failed_much = 0.05, truncated_much = 0.05, unknown_much = 0.1;
enum { FEW_SAMPLES = 200 };

/* "[libc.so.6]" in /lib/libc.so.6: readers call what has no symbol by its module. */
static bool is_module(const char *name, const char *module) {
    const char *slash = strrchr(module, '/'), *base = slash ? slash + 1 : module;
    size_t n = strlen(base);
    if (*base == '[') return strcmp(name, base) == 0;
    return n && *name == '[' && strncmp(name + 1, base, n) == 0 && strcmp(name + 1 + n, "]") == 0;
}

/* "", "[unknown]", "[libc.so.6]", "0x7f…": nobody can read these. */
bool fg__nameless(const fg_profile *p, uint32_t frame) {
    const char *name = fg__frame_name(p, frame).bytes;
    if (!*name || strcmp(name, "[unknown]") == 0) return true;
    if (*name == '[') return is_module(name, fg__string_at(p, fg__frame_at(p, frame)->module).bytes);
    return strncmp(name, "0x", 2) == 0 && name[2 + strspn(name + 2, "0123456789abcdefABCDEF")] == '\0';
}

static bool any_nameless(const fg_profile *p) {
    for (uint32_t i = 0; i < p->frame_count; i++)
        if (fg__nameless(p, i)) return true;
    return false;
}

/* There are far fewer frames than stacks, and most profiles have none to look for. */
static double unknown_share(const fg_profile *p, size_t type) {
    double unknown = 0;
    if (!any_nameless(p)) return 0;
    for (size_t i = 0; i < p->stack_count; i++) {
        size_t n;
        const uint32_t *stack = fg__stack_at(p, i, &n);
        if (n && fg__nameless(p, stack[n - 1])) unknown += (double)p->values[type][i];
    }
    return p->totals[type] ? unknown / (double)p->totals[type] : 0;
}

static int64_t counted_samples(const fg_profile *p) {
    for (size_t t = 0; t < p->type_count; t++) {
        fg_value_type type = fg_profile_type(p, t);
        if (strcmp(type.name, "samples") == 0 && strcmp(type.unit, "count") == 0) return p->totals[t];
    }
    return 0;
}

fg_quality fg_profile_quality(const fg_profile *p) {
    fg_quality q = {.samples = fg_meta_number(p, "samples"),
                    .lost = fg_meta_number(p, "lost"),
                    .failed = fg_meta_number(p, "failed"),
                    .truncated = fg_meta_number(p, "truncated")};
    if (!q.samples) q.samples = counted_samples(p);
    int type = fg_profile_find_type(p, NULL);
    if (type >= 0) q.unknown = unknown_share(p, (size_t)type);
    return q;
}

static double share(int64_t part, int64_t rest) {
    double all = (double)part + (double)rest;
    return all > 0 ? (double)part / all : 0;
}

/* Off-CPU time is not sampled: every wait is in it. */
static bool is_sampled(const fg_profile *p) {
    int type = fg_profile_find_type(p, NULL);
    return type < 0 || strcmp(fg_profile_type(p, (size_t)type).name, "offcpu") != 0;
}

void fg_profile_warnings(const fg_profile *p, void (*say)(void *user, const char *text), void *user) {
    fg_quality q = fg_profile_quality(p);
    char text[256];
    const char *note;
    for (size_t i = 0; (note = fg_profile_note_at(p, i)); i++) say(user, note);
    if (fg_profile_is_diff(p)) { /* fg_diff made notes of what is wrong with each side */
        fg__noise_text(text, sizeof text, p);
        if (fg__noise_of(p) != FG__NOISE_RUNS) say(user, text);
        return;
    }
    if (fg_meta_number(p, "interrupted")) say(user, "the collection was ended early");
    if (q.samples > 0 && q.samples < FEW_SAMPLES && is_sampled(p)) {
        double points = 100 * 1.96 * sqrt(0.25 / (double)q.samples);
        snprintf(text, sizeof text, "only %lld sample%s: a share may be off by %.0f points",
                 (long long)q.samples, q.samples == 1 ? "" : "s", points > 100 ? 100 : points);
        say(user, text);
    }
    const struct {
        double share, much;
        const char *meaning;
    } gaps[] = {
        {share(q.lost, q.samples), lost_much, "of the samples were lost"},
        {share(q.failed, q.samples), failed_much, "of the attempts to take a sample failed"},
        {q.samples ? (double)q.truncated / (double)q.samples : 0, truncated_much,
         "of the stacks are cut short: their callers are missing"},
        {q.unknown, unknown_much, "is in frames without a name: symbols are missing"},
    };
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        if (gaps[i].share <= gaps[i].much) continue;
        snprintf(text, sizeof text, "%.0f %% %s", 100 * gaps[i].share, gaps[i].meaning);
        say(user, text);
    }
}
