/*
 * Colours. They are made in OKLCH, where equal lightness looks equal: every shade that text stands on keeps a
 * contrast of 4.5 to 1 with it, light and dark (tests/unit/test_palette.c measures that), and comes out as
 * plain sRGB, which anything that shows SVG understands.
 */
#include "render/render.h"
#include <math.h>
#include <stdio.h>

/* Runtimes, hues some 30° apart. Unknown is the classical warm range, nameless is grey. */
static const fg__stop runtimes[FG__GROUP_COUNT] = {
    [FG_KIND_UNKNOWN] = {.84f, .48f, .085f, 68, 34},    [FG_KIND_NATIVE] = {.87f, .51f, .115f, 95, 22},
    [FG_KIND_KERNEL] = {.80f, .48f, .105f, 18, 22},     [FG_KIND_JIT] = {.87f, .50f, .115f, 120, 22},
    [FG_KIND_INLINED] = {.86f, .49f, .075f, 185, 22},   [FG_KIND_JS] = {.85f, .49f, .105f, 148, 22},
    [FG_KIND_PYTHON] = {.82f, .50f, .085f, 258, 22},    [FG_KIND_RUST] = {.81f, .50f, .110f, 50, 22},
    [FG_KIND_GO] = {.85f, .50f, .085f, 218, 22},        [FG_KIND_DOTNET] = {.81f, .50f, .095f, 298, 22},
    [FG_KIND_JAVA] = {.82f, .50f, .095f, 345, 22},      [FG_KIND_WAITING] = {.80f, .44f, .055f, 240, 14},
    [FG__GROUP_NAMELESS] = {.84f, .43f, .006f, 260, 0},
};

static const fg__stop hot[] = {
    {.83f, .49f, .115f, 32, 16}, {.86f, .50f, .115f, 60, 16}, {.89f, .51f, .115f, 90, 16}};
static const fg__stop mem[] = {{.84f, .48f, .095f, 140, 16}, {.86f, .50f, .085f, 165, 16}};
static const fg__stop io[] = {{.82f, .48f, .080f, 262, 16}, {.85f, .50f, .075f, 236, 16}};
static const fg__stop wakeup[] = {{.84f, .48f, .065f, 195, 14}, {.82f, .48f, .085f, 300, 14}};
static const fg__stop wheel[] = {{.83f, .49f, .095f, 25, 50},  {.87f, .50f, .095f, 85, 50},
                                 {.86f, .50f, .095f, 145, 50}, {.86f, .49f, .075f, 200, 50},
                                 {.82f, .49f, .085f, 260, 50}, {.82f, .49f, .090f, 320, 50}};

/* From cold to hot. */
static const fg__stop red_hot[] = {{.78f, .42f, .085f, 252, 0},
                                   {.90f, .33f, .025f, 230, 0},
                                   {.91f, .45f, .100f, 95, 0},
                                   {.81f, .49f, .130f, 60, 0},
                                   {.69f, .51f, .180f, 27, 0}};
/* Lightness tells as much as hue does: readable with any colour vision, and in grey. */
static const fg__stop safe_hot[] = {
    {.66f, .28f, .085f, 258, 0}, {.79f, .40f, .020f, 100, 0}, {.94f, .53f, .125f, 98, 0}};

/* From shrinkage to growth; the middle is no change. */
static const fg__stop red_blue[] = {{.69f, .51f, .140f, 252, 0},
                                    {.85f, .42f, .065f, 245, 0},
                                    {.94f, .31f, .003f, 260, 0},
                                    {.85f, .42f, .085f, 22, 0},
                                    {.69f, .51f, .180f, 25, 0}};
static const fg__stop safe_diff[] = {
    {.67f, .51f, .125f, 255, 0}, {.94f, .30f, .003f, 260, 0}, {.76f, .51f, .150f, 65, 0}};

enum { VARIANTS = 6 };
#define STOPS(array) array, sizeof array / sizeof *array

/* The first one of a view is its default. */
static const fg__palette palettes[] = {
    {"runtime", "flame", STOPS(runtimes), VARIANTS, true},
    {"hot", "flame", STOPS(hot), VARIANTS, false},
    {"mem", "flame", STOPS(mem), VARIANTS, false},
    {"io", "flame", STOPS(io), VARIANTS, false},
    {"wakeup", "flame", STOPS(wakeup), VARIANTS, false},
    {"hash", "flame", STOPS(wheel), VARIANTS, false},
    {"redblue", "hotcold", STOPS(red_hot), 0, false},
    {"colorblind", "hotcold", STOPS(safe_hot), 0, false},
    {"redblue", "diff", STOPS(red_blue), 0, false},
    {"colorblind", "diff", STOPS(safe_diff), 0, false},
};
enum { PALETTES = sizeof palettes / sizeof *palettes };
_Static_assert(FG__GROUP_COUNT *VARIANTS <= FG__SHADES_MAX, "FG__SHADES_MAX is enough");

const fg__palette *fg__palette_find(const char *view, const char *name) {
    for (size_t i = 0; i < PALETTES; i++)
        if (strcmp(palettes[i].view, view) == 0 && (!name || strcmp(palettes[i].name, name) == 0))
            return &palettes[i];
    return NULL;
}

void fg__palette_names(char *text, size_t n, const char *view) {
    size_t at = 0;
    for (size_t i = 0; i < PALETTES && at < n; i++)
        if (strcmp(palettes[i].view, view) == 0)
            at += (size_t)snprintf(text + at, n - at, "%s%s", at ? ", " : "", palettes[i].name);
}

/* ---- OKLCH to sRGB (Björn Ottosson, "A perceptual color space for image processing") --------- */

typedef struct lab {
    double l, a, b;
} lab;

static lab lab_of(const fg__stop *s, double turn, bool dark) {
    double hue = (s->hue + turn) * acos(-1) / 180;
    return (lab){dark ? s->dark : s->light, s->chroma * cos(hue), s->chroma * sin(hue)};
}

static unsigned channel(double linear) {
    double x = fmin(1, fmax(0, linear));
    x = x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
    return (unsigned)lround(255 * x);
}

static void hex_of(char hex[8], lab c) {
    double l = pow(c.l + 0.3963377774 * c.a + 0.2158037573 * c.b, 3);
    double m = pow(c.l - 0.1055613458 * c.a - 0.0638541728 * c.b, 3);
    double s = pow(c.l - 0.0894841775 * c.a - 1.2914855480 * c.b, 3);
    unsigned r = channel(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s);
    unsigned g = channel(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s);
    unsigned b = channel(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);
    snprintf(hex, 8, "#%02x%02x%02x", r & 0xff, g & 0xff, b & 0xff);
}

static lab between(lab x, lab y, double t) {
    return (lab){x.l + (y.l - x.l) * t, x.a + (y.a - x.a) * t, x.b + (y.b - x.b) * t};
}

void fg__palette_hex(char hex[8], const fg__palette *palette, unsigned i, unsigned count, bool dark) {
    if (palette->variants) {
        const fg__stop *s = &palette->stops[i / palette->variants];
        double t = (double)(i % palette->variants) / (palette->variants - 1) - 0.5;
        hex_of(hex, lab_of(s, s->spread * t, dark));
        return;
    }
    double at = (double)i * (palette->stop_count - 1) / (count - 1);
    unsigned from = (unsigned)at < palette->stop_count - 1 ? (unsigned)at : palette->stop_count - 2;
    lab x = lab_of(&palette->stops[from], 0, dark), y = lab_of(&palette->stops[from + 1], 0, dark);
    hex_of(hex, between(x, y, at - from));
}

/* ---- which colour a frame has ---------------------------------------------------------------- */

typedef enum where { NAME_STARTS, NAME_HAS, NAME_ENDS, FILE_ENDS, MODULE_HAS, MODULE_ENDS } where;

/* How a frame of unknown kind gives itself away. The first row that fits decides. */
static const struct {
    where where;
    const char *text;
    fg_kind kind;
} signs[] = {
    {NAME_ENDS, "_[k]", FG_KIND_KERNEL},
    {NAME_ENDS, "_[j]", FG_KIND_JIT},
    {NAME_ENDS, "_[i]", FG_KIND_INLINED},
    {MODULE_HAS, "[kernel", FG_KIND_KERNEL},
    {MODULE_ENDS, ".ko", FG_KIND_KERNEL},
    {MODULE_ENDS, "vmlinux", FG_KIND_KERNEL},
    {FILE_ENDS, ".js", FG_KIND_JS},
    {FILE_ENDS, ".mjs", FG_KIND_JS},
    {FILE_ENDS, ".cjs", FG_KIND_JS},
    {FILE_ENDS, ".ts", FG_KIND_JS},
    {FILE_ENDS, ".tsx", FG_KIND_JS},
    {FILE_ENDS, ".jsx", FG_KIND_JS},
    {FILE_ENDS, ".py", FG_KIND_PYTHON},
    {FILE_ENDS, ".rs", FG_KIND_RUST},
    {FILE_ENDS, ".go", FG_KIND_GO},
    {FILE_ENDS, ".cs", FG_KIND_DOTNET},
    {FILE_ENDS, ".fs", FG_KIND_DOTNET},
    {FILE_ENDS, ".java", FG_KIND_JAVA},
    {FILE_ENDS, ".kt", FG_KIND_JAVA},
    {FILE_ENDS, ".scala", FG_KIND_JAVA},
    {FILE_ENDS, ".c", FG_KIND_NATIVE},
    {FILE_ENDS, ".h", FG_KIND_NATIVE},
    {FILE_ENDS, ".cc", FG_KIND_NATIVE},
    {FILE_ENDS, ".cpp", FG_KIND_NATIVE},
    {FILE_ENDS, ".cxx", FG_KIND_NATIVE},
    {FILE_ENDS, ".hpp", FG_KIND_NATIVE},
    {FILE_ENDS, ".S", FG_KIND_NATIVE},
    {MODULE_ENDS, ".dll", FG_KIND_DOTNET},
    {MODULE_HAS, ".so", FG_KIND_NATIVE},
    {NAME_HAS, ".py:", FG_KIND_PYTHON},
    {NAME_HAS, ".js:", FG_KIND_JS},
    {NAME_HAS, ".mjs:", FG_KIND_JS},
    {NAME_HAS, ".ts:", FG_KIND_JS},
    {NAME_HAS, " node:", FG_KIND_JS},
    {NAME_HAS, ".rs:", FG_KIND_RUST},
    {NAME_HAS, ".go:", FG_KIND_GO},
    {NAME_HAS, ".(*", FG_KIND_GO},
    {NAME_STARTS, "runtime.", FG_KIND_GO},
    {NAME_STARTS, "main.main", FG_KIND_GO},
    {NAME_STARTS, "java/", FG_KIND_JAVA},
    {NAME_STARTS, "java.", FG_KIND_JAVA},
    {NAME_STARTS, "Ljava/", FG_KIND_JAVA},
    {NAME_STARTS, "System.", FG_KIND_DOTNET},
    {NAME_HAS, "{{closure}}", FG_KIND_RUST},
    {NAME_STARTS, "_ZN", FG_KIND_NATIVE},
    {NAME_HAS, "(", FG_KIND_NATIVE}, /* C++ shows its parameters */
    {NAME_HAS, "::", FG_KIND_RUST},
};

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with) {
    size_t n = strlen(text), m = strlen(with);
    return n >= m && strcmp(text + n - m, with) == 0;
}

static bool fits(const fg_frame *f, where in, const char *text) {
    switch (in) {
    case NAME_STARTS: return starts(f->name, text);
    case NAME_HAS: return strstr(f->name, text);
    case NAME_ENDS: return ends(f->name, text);
    case FILE_ENDS: return ends(f->file, text);
    case MODULE_HAS: return strstr(f->module, text);
    case MODULE_ENDS: return ends(f->module, text);
    }
    return false;
}

unsigned fg__frame_group(const fg_profile *p, uint32_t id) {
    fg_frame frame = fg_profile_frame_at(p, id);
    if (fg__nameless(p, id)) return FG__GROUP_NAMELESS;
    if (frame.kind != FG_KIND_UNKNOWN) return frame.kind;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (fits(&frame, signs[i].where, signs[i].text)) return signs[i].kind;
    return FG_KIND_UNKNOWN;
}

const char *fg__group_name(unsigned group) {
    static const char *const names[FG__GROUP_COUNT] = {
        [FG_KIND_UNKNOWN] = "other",
        [FG_KIND_NATIVE] = "native",
        [FG_KIND_KERNEL] = "kernel",
        [FG_KIND_JIT] = "JIT",
        [FG_KIND_INLINED] = "inlined",
        [FG_KIND_JS] = "JavaScript",
        [FG_KIND_PYTHON] = "Python",
        [FG_KIND_RUST] = "Rust",
        [FG_KIND_GO] = "Go",
        [FG_KIND_DOTNET] = ".NET",
        [FG_KIND_JAVA] = "Java",
        [FG_KIND_WAITING] = "waiting",
        [FG__GROUP_NAMELESS] = "no symbol",
    };
    return names[group];
}

/* FNV-1a: colours must not change when the hash of the tables does. */
static uint32_t name_hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
    return h ^ h >> 15;
}

unsigned fg__frame_shade(const fg__palette *palette, const fg_profile *p, uint32_t frame) {
    uint32_t hash = name_hash(fg__frame_name(p, frame).bytes);
    if (!palette->by_kind) return hash % (palette->stop_count * palette->variants);
    return fg__frame_group(p, frame) * palette->variants + hash % palette->variants;
}
