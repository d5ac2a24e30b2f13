/* Options and a profile, resolved to what is drawn. */
#include "render/render.h"
#include <math.h>
#include <stdio.h>

static int choose_view(fg__picture *pic, const fg_write_options *options) {
    bool diff = fg_profile_is_diff(pic->p);
    const char *name = options->view ? options->view : diff ? "diff" : "flame";
    for (size_t i = 0; i < fg__view_count; i++)
        if (strcmp(fg__views[i].name, name) == 0) pic->view = &fg__views[i];
    if (!pic->view)
        return fg__fail(pic->ctx, FG_EINVAL,
                        "there is no view \"%s\": choose flame or hotcold, or diff for a diff", name);
    if (strcmp(name, "diff") == 0 && !diff)
        return fg__fail(pic->ctx, FG_EINVAL, "the view \"diff\" is for a diff, and this profile is none");
    return 0;
}

static int choose_palette(fg__picture *pic, const fg_write_options *options) {
    const char *name = options->colors;
    if (!name && options->hash && fg__palette_find(pic->view->name, "hash")) name = "hash";
    if (!name && strcmp(fg_profile_type(pic->p, pic->type).unit, "bytes") == 0 &&
        fg__palette_find(pic->view->name, "mem"))
        name = "mem"; /* memory looks like memory */
    pic->palette = fg__palette_find(pic->view->name, name);
    if (pic->palette) {
        pic->shades =
            pic->palette->variants ? pic->palette->stop_count * pic->palette->variants : pic->view->levels;
        return 0;
    }
    char names[256];
    fg__palette_names(names, sizeof names, pic->view->name);
    return fg__fail(pic->ctx, FG_EINVAL, "there are no colours \"%s\" for the view \"%s\": choose from %s",
                    name, pic->view->name, names);
}

static int choose_type(fg__picture *pic, const fg_write_options *options) {
    int type = fg_profile_find_type(pic->p, options->type);
    if (type < 0) return fg__fail_type(pic->p, "", options->type);
    pic->type = (size_t)type;
    if (!*pic->unit) pic->unit = fg_profile_type(pic->p, pic->type).unit;
    return 0;
}

/* Text of the caller's is cleaned as all text from outside is: by interning it. */
static int clean_texts(fg__picture *pic, const fg_write_options *options) {
    const char *const given[] = {options->title, options->subtitle, options->count_name};
    const char **const cleaned[] = {&pic->title, &pic->subtitle, &pic->unit};
    int err = fg_profile_new(&pic->texts, pic->ctx);
    uint32_t ids[3];
    for (size_t i = 0; i < 3 && !err; i++)
        err =
            fg__string_intern(&ids[i], pic->texts, given[i] ? given[i] : "", given[i] ? strlen(given[i]) : 0);
    for (size_t i = 0; i < 3 && !err; i++) *cleaned[i] = fg__string_at(pic->texts, ids[i]).bytes;
    return err;
}

static int shade_frames(fg__picture *pic) {
    if (!pic->palette->variants) return 0;
    size_t n = pic->p->frame_count;
    pic->by_frame = fg__alloc(pic->ctx, n + 1);
    if (!pic->by_frame) return FG_ENOMEM;
    for (size_t i = 0; i < n; i++)
        pic->by_frame[i] = (uint8_t)fg__frame_shade(pic->palette, pic->p, (uint32_t)i);
    return 0;
}

/*
 * A diff is drawn as the union of its sides: what a node has of its own is as wide as the larger side of it,
 * and a node as wide as all that is below it. So children fit into their parents whatever has moved. Or as one side was:
 * then what the other side alone has is not drawn.
 */
static int choose_widths(fg__picture *pic) {
    static const struct {
        const char *name;
        bool before, after;
    } words[] = {{"union", true, true}, {"before", true, false}, {"after", false, true}};
    const char *name = pic->options->widths ? pic->options->widths : words[0].name;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].name, name) != 0) continue;
        pic->widths[0] = words[i].before ? 1 : 0;
        pic->widths[1] = words[i].after ? pic->factor : 0;
        return 0;
    }
    return fg__fail(pic->ctx, FG_EINVAL, "widths are before, after or union, not \"%s\"", name);
}

static int choose_columns(fg__picture *pic) {
    pic->factor = fg_meta_real(pic->p, "factor") > 0 ? fg_meta_real(pic->p, "factor") : 1;
    pic->diff = strcmp(pic->view->name, "diff") == 0;
    pic->totals[0] = pic->p->totals[pic->diff ? 0 : pic->type];
    pic->widths[0] = 1;
    if (!pic->diff) return 0;
    pic->totals[1] = pic->p->totals[1];
    return choose_widths(pic);
}

static int measure(fg__picture *pic) {
    int64_t values[2];
    for (uint32_t i = 0; i < pic->p->stack_count; i++) pic->whole += fg__picture_values(values, pic, i);
    if (pic->whole > 0) return 0;
    return fg__fail(pic->ctx, FG_EEMPTY, "nothing to draw: the column %s is all zero",
                    fg_profile_type(pic->p, pic->type).name);
}

unsigned fg__picture_sides(const fg__picture *pic, const fg__box *box) {
    if (!pic->diff) return FG__BEFORE | FG__AFTER;
    return (box->total[0] ? FG__BEFORE : 0) | (box->total[1] ? FG__AFTER : 0);
}

const char *fg__picture_name(const fg__picture *pic, const fg__box *box) {
    if (box->node == 0) return "all";
    const char *name = fg__frame_name(pic->p, box->frame).bytes;
    return *name ? name : "[no name]";
}

int fg__picture_open(fg__picture *pic, fg_profile *p, const fg_write_options *options) {
    *pic = (fg__picture){.ctx = p->ctx, .p = p, .options = options};
    int err = clean_texts(pic, options);
    if (!err) err = choose_view(pic, options);
    if (!err) err = choose_type(pic, options);
    if (!err) err = choose_palette(pic, options);
    if (!err && options->reverse) {
        err = fg_profile_invert(&pic->reversed, p);
        if (!err) pic->p = pic->reversed;
    }
    if (!err) err = choose_columns(pic);
    if (!err) err = measure(pic);
    if (!err) err = shade_frames(pic);
    if (!err) err = fg__walk_open(&pic->walk, pic->p);
    if (!err && pic->diff) err = fg__noise_open(&pic->noise, &pic->walk, pic->factor);
    return err;
}

void fg__picture_close(fg__picture *pic) {
    fg_free(pic->ctx, pic->by_frame);
    fg__noise_close(&pic->noise, pic->ctx);
    fg__walk_close(&pic->walk);
    fg_profile_free(pic->reversed);
    fg_profile_free(pic->texts);
}
