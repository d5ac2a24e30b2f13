/* perf.data: files and pipes, compressed records, and every option. */
#include <sched.h>
#include <sys/mount.h>
#include "fuzz.h"

/* The kernel's symbols take longer than all the rest: without them where that can be had. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        (void)!mount("/dev/null", "/proc/kallsyms", NULL, MS_BIND, NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    fuzz_reader(&fg__perf_data, data, n);
    if (!n) return 0;
    fg_read_options options = {.size = sizeof options,
                               .name = "fuzz",
                               .format = "perf.data",
                               .max_input = FUZZ_MAX_INPUT,
                               .annotate_kernel = data[0] & 1,
                               .mangled = data[0] & 2,
                               .inlined = data[0] & 64,
                               .addresses = data[0] & 4,
                               .with_pid = data[0] & 8,
                               .with_tid = data[0] & 16,
                               .event = data[0] & 32 ? "cpu-clock" : NULL};
    fg_ctx *ctx = fg_ctx_new();
    fg_profile *p;
    if (fg_parse(&p, ctx, data + 1, n - 1, &options) == 0) {
        fuzz_check_profile(p);
        fg_profile_free(p);
    }
    fg_ctx_free(ctx);
    return 0;
}
