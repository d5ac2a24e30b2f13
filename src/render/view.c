/* The views. A new one is its functions and its row in the table; the viewer's half is viewer/view.js. */
#include "render/render.h"
#include <math.h>
#include <stdio.h>

/* 1, 2, 5: each level is about twice the one before, so that 0.1 % and 10 % can both be told from nothing. */
const double fg__steps[FG__STEPS] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1};

static unsigned level(double share) {
    unsigned n = 0;
    while (n < FG__STEPS && share >= fg__steps[n]) n++;
    return n;
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

static void describe_total(char *text, size_t n, const fg__picture *pic, uint32_t node) {
    double total = (double)pic->tree->total[pic->type][node], whole = (double)pic->tree->total[pic->type][0];
    char value[64];
    fg__value_text(value, sizeof value, total, pic->unit);
    snprintf(text, n, " (%s, %.2f %%)", value, 100 * ratio(total, whole));
}

/* ---- flame: colours say what runs ------------------------------------------------------------ */

static unsigned shade_by_frame(const fg__picture *pic, uint32_t node) {
    return node                    ? pic->by_frame[pic->tree->frame[node]]
           : pic->palette->by_kind ? FG__GROUP_NAMELESS * pic->palette->variants
                                   : 0;
}

static void legend_of_kinds(char *text, size_t n, const fg__picture *pic, unsigned i) {
    bool named = pic->palette->by_kind && i % pic->palette->variants == 0;
    unsigned group = named ? i / pic->palette->variants : 0;
    bool present = false;
    for (size_t f = 0; named && f < pic->p->frame_count && !present; f++)
        present = pic->by_frame[f] / pic->palette->variants == group;
    snprintf(text, n, "%s", present ? fg__group_name(group) : "");
}

/* ---- hotcold: colours say where values are the frame's own ----------------------------------- */

static unsigned shade_by_self(const fg__picture *pic, uint32_t node) {
    return level(ratio((double)pic->tree->self[pic->type][node], (double)pic->tree->total[pic->type][0]));
}

static void describe_self(char *text, size_t n, const fg__picture *pic, uint32_t node) {
    double self = (double)pic->tree->self[pic->type][node], whole = (double)pic->tree->total[pic->type][0];
    double all = (double)pic->tree->total[pic->type][node];
    char total[64], value[64];
    fg__value_text(total, sizeof total, all, pic->unit);
    fg__value_text(value, sizeof value, self, pic->unit);
    snprintf(text, n, " (%s, %.2f %%; self %s, %.2f %%)", total, 100 * ratio(all, whole), value,
             100 * ratio(self, whole));
}

static void legend_of_shares(char *text, size_t n, const fg__picture *pic, unsigned i) {
    (void)pic;
    if (i == 0)
        snprintf(text, n, "self under %g %%", 100 * fg__steps[0]);
    else
        snprintf(text, n, "%s%g %%", i == FG__STEPS ? "≥ " : "", 100 * fg__steps[i - 1]);
}

/* ---- diff: colours say what has grown -------------------------------------------------------- */

static double before_of(const fg__picture *pic, uint32_t node) {
    return (double)pic->tree->total[0][node];
}

static double after_of(const fg__picture *pic, uint32_t node) {
    return (double)pic->tree->total[1][node] * pic->factor;
}

/* Half the width of the interval of a node's change; 0: not known. */
static double margin_of(const fg__picture *pic, uint32_t node) {
    if (!pic->margins) return 0;
    return fg__noise_margin(pic->margins[node], fmax(before_of(pic, node), after_of(pic, node)));
}

static unsigned shade_by_change(const fg__picture *pic, uint32_t node) {
    double change = after_of(pic, node) - before_of(pic, node);
    if (fabs(change) <= margin_of(pic, node)) return FG__STEPS;
    unsigned n = level(ratio(fabs(change), fmax(before_of(pic, 0), after_of(pic, 0))));
    return change < 0 ? FG__STEPS - n : FG__STEPS + n;
}

/* With its sign, and never "-0". */
static void signed_text(char *text, size_t n, double number, int digits) {
    double least = 0.5 / pow(10, digits);
    snprintf(text, n, "%+.*f", digits, fabs(number) < least ? 0.0 : number);
}

/* "+14 % ± 5 %", "new", "+0 %" */
static void growth_text(char *text, size_t n, double before, double after, double margin) {
    char growth[32] = "+0";
    const char *word = before == after ? NULL : before == 0 ? "new" : after == 0 ? "gone" : NULL;
    if (before > 0) signed_text(growth, sizeof growth, 100 * (after - before) / before, 0);
    if (word)
        snprintf(text, n, "%s", word);
    else if (margin > 0 && before > 0)
        snprintf(text, n, "%s %% ± %.*f %%", growth, margin < 0.1 * before ? 1 : 0, 100 * margin / before);
    else
        snprintf(text, n, "%s %%", growth);
}

/*
 * "12.3 s → 14.0 s, +14 % ± 5 % (+2.1 pp)": values as they are compared, the growth with its interval where the noise is
 * known, points as shares of each side's own whole.
 */
static void describe_change(char *text, size_t n, const fg__picture *pic, uint32_t node) {
    double before = before_of(pic, node), after = after_of(pic, node);
    double points = 100 * (ratio(after, after_of(pic, 0)) - ratio(before, before_of(pic, 0)));
    char x[64], y[64], growth[96], moved[32];
    double margin = margin_of(pic, node);
    bool noise = margin > 0 && fabs(after - before) <= margin;
    fg__value_text(x, sizeof x, before, pic->unit);
    fg__value_text(y, sizeof y, after, pic->unit);
    signed_text(moved, sizeof moved, points, 1);
    growth_text(growth, sizeof growth, before, after, margin);
    snprintf(text, n, ": %s → %s, %s (%s pp%s)", x, y, growth, moved, noise ? ", within noise" : "");
}

static void legend_of_changes(char *text, size_t n, const fg__picture *pic, unsigned i) {
    unsigned from_middle = i > FG__STEPS ? i - FG__STEPS : FG__STEPS - i;
    bool shown = from_middle == 0 || from_middle % 3 == 2; /* every third one says enough */
    const char *sign = i > FG__STEPS ? "+" : "−";
    if (!shown)
        *text = '\0';
    else if (from_middle == 0)
        snprintf(text, n, pic->margins ? "within noise" : "no change");
    else
        snprintf(text, n, "%s%g %%%s", sign, 100 * fg__steps[from_middle - 1],
                 from_middle == FG__STEPS ? " or more" : "");
}

const fg__view fg__views[] = {
    {"flame", "Flame graph", 0, shade_by_frame, describe_total, legend_of_kinds},
    {"hotcold", "Hot and cold flame graph", FG__STEPS + 1, shade_by_self, describe_self, legend_of_shares},
    {"diff", "Differential flame graph", 2 * FG__STEPS + 1, shade_by_change, describe_change,
     legend_of_changes},
};
const size_t fg__view_count = sizeof fg__views / sizeof *fg__views;
