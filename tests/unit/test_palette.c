/* Colours: text is readable on every shade, and a name keeps its colour. */
#include "profiles.h"
#include <math.h>
#include "render/render.h"

static const char *const views[] = {"flame", "hotcold", "diff"};
/* The text on frames, light and dark: viewer.css. */
static const char *const ink[] = {"#15171a", "#f5f6f7"};

static double luminance(const char *hex) {
    double sum = 0;
    static const double weights[] = {0.2126, 0.7152, 0.0722};
    for (int i = 0; i < 3; i++) {
        char digits[3] = {hex[1 + 2 * i], hex[2 + 2 * i], 0};
        double c = (double)strtol(digits, NULL, 16) / 255;
        sum += weights[i] * (c <= 0.03928 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(const char *a, const char *b) {
    double x = luminance(a), y = luminance(b);
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

static unsigned shades_of(const fg__palette *palette, const char *view) {
    if (palette->variants) return palette->stop_count * palette->variants;
    for (size_t i = 0; i < fg__view_count; i++)
        if (strcmp(fg__views[i].name, view) == 0) return fg__views[i].levels;
    return 0;
}

static void text_is_readable_on_every_shade(void **state) {
    (void)state;
    size_t seen = 0;
    for (size_t v = 0; v < 3; v++) {
        char names[256], *save;
        fg__palette_names(names, sizeof names, views[v]);
        for (char *name = strtok_r(names, ", ", &save); name; name = strtok_r(NULL, ", ", &save), seen++) {
            const fg__palette *palette = fg__palette_find(views[v], name);
            unsigned count = shades_of(palette, views[v]);
            assert_true(count >= 9 && count <= FG__SHADES_MAX);
            for (unsigned i = 0; i < 2 * count; i++) {
                char hex[8];
                fg__palette_hex(hex, palette, i / 2, count, i % 2);
                double c = contrast(hex, ink[i % 2]);
                if (c < 4.5)
                    fail_msg("%s of %s: shade %u is %s, contrast %.2f", name, views[v], i / 2, hex, c);
            }
        }
    }
    assert_int_equal(seen, 10);
}

static void colour_blind_palettes_differ_in_lightness(void **state) {
    (void)state;
    char low[8], middle[8], high[8];
    const fg__palette *hotcold = fg__palette_find("hotcold", "colorblind");
    for (int dark = 0; dark < 2; dark++) {
        fg__palette_hex(low, hotcold, 0, 9, dark);
        fg__palette_hex(middle, hotcold, 4, 9, dark);
        fg__palette_hex(high, hotcold, 8, 9, dark);
        assert_true(luminance(low) * 1.2 < luminance(middle) && luminance(middle) * 1.2 < luminance(high));
    }
}

static unsigned group(fg_profile *p, fg_frame frame) {
    uint32_t id;
    assert_int_equal(fg_profile_frame(&id, p, &frame), 0);
    return fg__frame_group(p, id);
}

static void kinds_are_known_or_guessed(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count");
    const struct {
        fg_frame frame;
        unsigned group;
    } cases[] = {
        {{.name = "read", .kind = FG_KIND_KERNEL, .file = "a.py"}, FG_KIND_KERNEL},
        {{.name = "f", .file = "/srv/app.mjs"}, FG_KIND_JS},
        {{.name = "f", .file = "x.ts"}, FG_KIND_JS},
        {{.name = "f", .file = "x.py"}, FG_KIND_PYTHON},
        {{.name = "f (x.py:12)"}, FG_KIND_PYTHON},
        {{.name = "f", .file = "x.go"}, FG_KIND_GO},
        {{.name = "net/http.(*conn).serve"}, FG_KIND_GO},
        {{.name = "core::fmt::write"}, FG_KIND_RUST},
        {{.name = "app::run::{{closure}}"}, FG_KIND_RUST},
        {{.name = "std::vector<int>::push_back(int const&)"}, FG_KIND_NATIVE},
        {{.name = "vfs_read_[k]"}, FG_KIND_KERNEL},
        {{.name = "f", .module = "/lib/libc.so.6"}, FG_KIND_NATIVE},
        {{.name = "java/util/HashMap.get"}, FG_KIND_JAVA},
        {{.name = "[unknown]"}, FG__GROUP_NAMELESS},
        {{.name = "0x7f12"}, FG__GROUP_NAMELESS},
        {{.name = "main"}, FG_KIND_UNKNOWN},
        {{.name = "all"}, FG_KIND_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (group(p, cases[i].frame) != cases[i].group)
            fail_msg("%s is %s, not %s", cases[i].frame.name, fg__group_name(group(p, cases[i].frame)),
                     fg__group_name(cases[i].group));
    fg_profile_free(p);
}

/* The numbers are part of the format in so far as pictures of two days are held side by side. */
static void a_name_keeps_its_colour(void **state) {
    (void)state;
    fg_profile *p = new_profile("samples", "count"), *q = new_profile("samples", "count");
    uint32_t id, other;
    assert_int_equal(fg_profile_frame(&id, p, &(fg_frame){.name = "core::fmt::write"}), 0);
    assert_int_equal(fg_profile_frame(&other, q, &(fg_frame){.name = "something else"}), 0);
    assert_int_equal(fg_profile_frame(&other, q, &(fg_frame){.name = "core::fmt::write"}), 0);
    assert_int_not_equal(id, other);
    const fg__palette *runtime = fg__palette_find("flame", NULL), *hash = fg__palette_find("flame", "hash");
    assert_int_equal(fg__frame_shade(runtime, p, id), fg__frame_shade(runtime, q, other));
    assert_int_equal(fg__frame_shade(runtime, p, id), FG_KIND_RUST * 6 + 5);
    assert_int_equal(fg__frame_shade(hash, p, id), 5);
    fg_profile_free(p);
    fg_profile_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_readable_on_every_shade),
        cmocka_unit_test(colour_blind_palettes_differ_in_lightness),
        cmocka_unit_test(kinds_are_known_or_guessed),
        cmocka_unit_test(a_name_keeps_its_colour),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
