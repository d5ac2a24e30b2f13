/* The smallest program that uses the installed library: folded text in, an SVG out. */
#include <flamegraph.h>
#include <stdio.h>

int main(int argc, char **argv) {
    fg_ctx *ctx = fg_ctx_new();
    fg_profile *profile = NULL;
    const char text[] = "main;parse;read 3\nmain;hash 4\n";
    int err = argc == 2 ? fg_parse(&profile, ctx, text, sizeof text - 1, NULL) : FG_EINVAL;
    if (!err) err = fg_write(profile, argv[1], NULL);
    if (err)
        fprintf(stderr, "%s: %s\n", fg_error_name(err), fg_error(ctx));
    else
        printf("%s %lld\n", fg_version(), (long long)fg_profile_total(profile, 0));
    fg_profile_free(profile);
    fg_ctx_free(ctx);
    return err ? 1 : 0;
}
