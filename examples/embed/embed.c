/*
 * libflamegraph in a program of one's own: read a profile of any format, name its hottest functions, draw it.
 *
 *      cmake -S examples/embed -B build-embed && cmake --build build-embed
 *      build-embed/embed profile.pb.gz picture.svg
 */
#include <flamegraph.h>
#include <stdio.h>

static int print_hottest(fg_profile *profile) {
    fg_top_entry *top;
    size_t count;
    int err = fg_profile_top(&top, &count, profile, 0, 5);
    if (err) return err;
    double whole = (double)fg_profile_total(profile, 0);
    for (size_t i = 0; i < count; i++)
        printf("%5.1f %%  %s\n", 100 * (double)top[i].self / whole,
               fg_profile_frame_at(profile, top[i].frame).name);
    fg_free(fg_profile_ctx(profile), top);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: embed PROFILE PICTURE.svg\n");
        return 2;
    }
    fg_ctx *ctx = fg_ctx_new();
    if (!ctx) return 2;
    fg_profile *profile = NULL;
    int err = fg_read(&profile, ctx, argv[1], NULL);
    if (!err) err = print_hottest(profile);
    if (!err) err = fg_write(profile, argv[2], NULL);
    if (err) fprintf(stderr, "embed: %s\n", fg_error(ctx));
    fg_profile_free(profile);
    fg_ctx_free(ctx);
    return err ? 2 : 0;
}
