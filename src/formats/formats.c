/* The table of formats. A new format is its file and its row here. */
#include "formats/format.h"
#include <math.h>
#include <stdio.h>

/* clang-format off */
const fg_format *const fg__formats[] = {
    &fg__folded,
    &fg__pprof,
    &fg__cpuprofile,
    &fg__heapprofile,
    &fg__perf_data,
    &fg__heap,
    &fg__perf_script,
    &fg__speedscope,
    &fg__nettrace_format,
    &fg__json,
    &fg__markdown,
    &fg__svg_reader,
    NULL,
};
/* clang-format on */

const fg_format *fg__format_named(const fg_format *const *table, const char *name) {
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0) return *table;
    return NULL;
}

/* The length of the suffix in a space-separated list that ends `path`, or 0. */
static size_t suffix_length(const char *suffixes, const char *path) {
    size_t n = strlen(path), best = 0;
    for (const char *s = suffixes; *s;) {
        size_t len = strcspn(s, " ");
        if (len > best && len < n && strncmp(path + n - len, s, len) == 0) best = len;
        s += len;
        s += strspn(s, " ");
    }
    return best;
}

const fg_format *fg__format_for(const fg_format *const *table, const char *path) {
    const fg_format *found = NULL;
    size_t best = 0;
    for (; *table; table++) {
        size_t len = suffix_length((*table)->suffixes, path);
        if (len > best) {
            best = len;
            found = *table;
        }
    }
    return found;
}

/* ---- values for people --------------------------------------------------------------------------------- */

typedef struct step {
    double from; /* of this many base units on */
    const char *unit;
} step;

static const step seconds[] = {{1e9 * 60, "min"}, {1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {0, "ns"}, {0, NULL}};
static const step bytes[] = {{0x1p40, "TiB"}, {0x1p30, "GiB"}, {0x1p20, "MiB"},
                             {0x1p10, "KiB"}, {0, "B"},        {0, NULL}};

static const struct {
    const char *unit;
    double base;
    const step *steps;
} scales[] = {
    {"nanoseconds", 1, seconds},
    {"microseconds", 1e3, seconds},
    {"milliseconds", 1e6, seconds},
    {"seconds", 1e9, seconds},
    {"bytes", 1, bytes},
    {"kilobytes", 0x1p10, bytes},
    {"megabytes", 0x1p20, bytes},
};

double fg__halves_up(double number, int digits) {
    double scale = pow(10, digits), scaled = number * scale, beyond = scaled - trunc(scaled);
    bool exact = fma(number, scale, -scaled) == 0;
    return exact && fabs(beyond) == 0.5 ? nextafter(number, copysign(INFINITY, number)) : number;
}

/* 1234567 → "1,234,567" */
static void grouped(char *text, size_t n, double value) {
    char digits[48];
    int len = snprintf(digits, sizeof digits, "%.0f", fg__halves_up(fabs(value), 0));
    size_t at = 0;
    if (value <= -0.5 && n > 1) text[at++] = '-';
    for (int i = 0; i < len && at + 2 < n; i++) {
        if (i && (len - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
}

void fg__value_text(char *text, size_t n, double value, const char *unit) {
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        if (strcmp(scales[i].unit, unit) != 0) continue;
        double base = value * scales[i].base;
        const step *s = scales[i].steps;
        while (s->from > fabs(base)) s++;
        double shown = base / (s->from > 0 ? s->from : 1);
        int digits = s->from == 0 || fabs(shown) >= 99.95 ? 0 : fabs(shown) >= 9.995 ? 1 : 2;
        snprintf(text, n, "%.*f %s", digits, fg__halves_up(shown, digits), s->unit);
        return;
    }
    char number[64];
    grouped(number, sizeof number, value);
    bool one = fabs(value) == 1;
    snprintf(text, n, "%s %s", number, strcmp(unit, "count") != 0 ? unit : one ? "sample" : "samples");
}
