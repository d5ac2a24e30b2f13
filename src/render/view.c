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

static double percent(double part, double whole) {
    return fg__halves_up(100 * ratio(part, whole), 2);
}

static void describe_total(char *text, size_t n, const fg__picture *pic, const fg__box *box) {
    double total = (double)box->total[0], whole = (double)pic->totals[0];
    char value[64];
    fg__value_text(value, sizeof value, total, pic->unit);
    snprintf(text, n, " (%s, %.2f %%)", value, percent(total, whole));
}

/* ---- flame: colours say what runs ------------------------------------------------------------ */

static unsigned shade_by_frame(const fg__picture *pic, const fg__box *box) {
    return box->node               ? pic->by_frame[box->frame]
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

static unsigned shade_by_self(const fg__picture *pic, const fg__box *box) {
    return level(ratio((double)box->self[0], (double)pic->totals[0]));
}

static void describe_self(char *text, size_t n, const fg__picture *pic, const fg__box *box) {
    double self = (double)box->self[0], whole = (double)pic->totals[0];
    double all = (double)box->total[0];
    char total[64], value[64];
    fg__value_text(total, sizeof total, all, pic->unit);
    fg__value_text(value, sizeof value, self, pic->unit);
    snprintf(text, n, " (%s, %.2f %%; self %s, %.2f %%)", total, percent(all, whole), value,
             percent(self, whole));
}

static void legend_of_shares(char *text, size_t n, const fg__picture *pic, unsigned i) {
    (void)pic;
    if (i == 0)
        snprintf(text, n, "self under %g %%", 100 * fg__steps[0]);
    else
        snprintf(text, n, "%s%g %%", i == FG__STEPS ? "≥ " : "", 100 * fg__steps[i - 1]);
}

/* ---- diff: colours say what has grown -------------------------------------------------------- */

static double after_of(const fg__picture *pic, const int64_t *values) {
    return (double)values[1] * pic->factor;
}

/* A node's sides as they are compared, and half the width of the interval of its change; 0: not known. */
typedef struct change {
    double before, after, margin;
} change;

static change change_of(const fg__picture *pic, const fg__box *box) {
    change c = {.before = (double)box->total[0], .after = after_of(pic, box->total)};
    c.margin = fg__noise_margin(&pic->noise, box->node, c.before, c.after);
    return c;
}

static bool within_noise(const change *c) {
    return fabs(c->after - c->before) <= c->margin;
}

static unsigned shade_by_change(const fg__picture *pic, const fg__box *box) {
    change c = change_of(pic, box);
    if (within_noise(&c)) return FG__STEPS;
    double whole = fmax((double)pic->totals[0], after_of(pic, pic->totals));
    unsigned n = level(ratio(fabs(c.after - c.before), whole));
    return c.after < c.before ? FG__STEPS - n : FG__STEPS + n;
}

/* With its sign, and never "-0". */
static void signed_text(char *text, size_t n, double number, int digits) {
    double least = 0.5 / pow(10, digits);
    snprintf(text, n, "%+.*f", digits, fabs(number) < least ? 0.0 : fg__halves_up(number, digits));
}

/* "+14 % ± 5 %", "new", "+0 %" */
static void growth_text(char *text, size_t n, double before, double after, double margin) {
    char growth[32] = "+0";
    int digits = margin < 0.1 * before ? 1 : 0;
    const char *word = before == after ? NULL : before == 0 ? "new" : after == 0 ? "gone" : NULL;
    if (before > 0) signed_text(growth, sizeof growth, 100 * (after - before) / before, 0);
    if (word)
        snprintf(text, n, "%s", word);
    else if (margin > 0 && before > 0)
        snprintf(text, n, "%s %% ± %.*f %%", growth, digits, fg__halves_up(100 * margin / before, digits));
    else
        snprintf(text, n, "%s %%", growth);
}

/*
 * "12.3 s → 14.0 s, +14 % ± 5 % (+2.1 pp)": values as they are compared, the growth with its interval where the noise is
 * known, points as shares of each side's own whole.
 */
static void describe_change(char *text, size_t n, const fg__picture *pic, const fg__box *box) {
    change c = change_of(pic, box);
    double points = 100 * (ratio((double)box->total[1], (double)pic->totals[1]) -
                           ratio((double)box->total[0], (double)pic->totals[0]));
    char x[64], y[64], growth[96], moved[32];
    fg__value_text(x, sizeof x, c.before, pic->unit);
    fg__value_text(y, sizeof y, c.after, pic->unit);
    signed_text(moved, sizeof moved, points, 1);
    growth_text(growth, sizeof growth, c.before, c.after, c.margin);
    snprintf(text, n, ": %s → %s, %s (%s pp%s)", x, y, growth, moved,
             c.margin > 0 && within_noise(&c) ? ", within noise" : "");
}

static void legend_of_changes(char *text, size_t n, const fg__picture *pic, unsigned i) {
    unsigned from_middle = i > FG__STEPS ? i - FG__STEPS : FG__STEPS - i;
    bool shown = from_middle == 0 || from_middle % 3 == 2; /* every third one says enough */
    const char *sign = i > FG__STEPS ? "+" : "−";
    if (!shown)
        *text = '\0';
    else if (from_middle == 0)
        snprintf(text, n, pic->noise.source != FG__NOISE_UNKNOWN ? "within noise" : "no change");
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
