/* Raw stacks to frames, when sampling is over: each address is looked up once (symbols keeps what it found). */
#include <stdio.h>
#include "sample/watch.h"
#include "sys/proc.h"

int fg__watch_frames(fg__watch *w, fg__frames *out, uint32_t space, const uint64_t *addresses, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const uint32_t *frames;
        size_t count;
        int err = fg__space_frames(&frames, &count, w->spaces[space], addresses[i], i > 0);
        if (!err) err = fg__grow(w->ctx, &out->ids, &out->cap, out->n + count, sizeof *out->ids);
        if (err) return err;
        memcpy(out->ids + out->n, frames, count * sizeof *frames);
        out->n += count;
    }
    return 0;
}

int fg__watch_word(fg__watch *w, fg__frames *out, fg_profile *p, const char *name, fg_kind kind) {
    const fg_frame frame = {.name = name, .kind = kind};
    int err = fg__grow(w->ctx, &out->ids, &out->cap, out->n + 1, sizeof *out->ids);
    if (!err) err = fg_profile_frame(&out->ids[out->n], p, &frame);
    if (!err) out->n++;
    return err;
}

int fg__watch_add(fg__watch *w, fg__frames *frames, fg_profile *p, const int64_t *values, uint32_t *id) {
    (void)w;
    for (size_t i = 0, j = frames->n; i + 1 < j; i++) {
        uint32_t frame = frames->ids[i];
        frames->ids[i] = frames->ids[--j];
        frames->ids[j] = frame;
    }
    return fg__stack_put(p, frames->ids, frames->n, values, id);
}

/* ---- is the stack whole? ------------------------------------------------------------------------------- */

static bool any_starts(const char *const *list, const char *text) {
    for (; *list; list++)
        if (strncmp(text, *list, strlen(*list)) == 0) return true;
    return false;
}

/*
 * Threads begin in these. Debian's C library has names for few of its own functions: a stack whose outermost frame is
 * some place in it, with a caller's frame below, is taken for whole, because that is where main and threads return to.
 */
bool fg__watch_whole(const fg_profile *p, uint32_t outermost, size_t n) {
    static const char *const begins[] = {"_start",
                                         "__libc_start",
                                         "start_thread",
                                         "clone",
                                         "__clone",
                                         "thread_start",
                                         "runtime.goexit",
                                         "runtime.mstart",
                                         "runtime.rt0_go",
                                         "_rt0_",
                                         "runtime.mcall",
                                         "__restore_rt",
                                         "_dl_start",
                                         "start_kernel",
                                         "runtime.systemstack",
                                         "runtime.asmcgocall",
                                         NULL};
    static const char *const libraries[] = {"libc.so", "libc-", "libpthread", "ld-linux", "ld-musl", NULL};
    fg_frame frame = fg_profile_frame_at(p, outermost);
    const char *slash = strrchr(frame.module, '/');
    if (any_starts(begins, frame.name)) return true;
    return n > 1 && frame.name[0] == '[' && any_starts(libraries, slash ? slash + 1 : frame.module);
}

/* ---- the record ---------------------------------------------------------------------------------------- */

int fg__watch_quality(const fg__watch *w, fg_profile *p) {
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"samples", w->raws.total}, {"lost", w->lost}, {"failed", w->failed}, {"truncated", w->truncated}};
    int err = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && !err; i++)
        err = fg_meta_set_number(p, numbers[i].key, numbers[i].value);
    if (!err && w->throttled)
        err = fg_profile_note(p, "the kernel held the sampling back %lld time%s: a lower --rate helps",
                              (long long)w->throttled, w->throttled == 1 ? "" : "s");
    return err ? err : fg__symbols_notes(w->symbols);
}

int fg__watch_target(fg_profile *p, uint64_t pid) {
    char path[64], text[96], name[32];
    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
    fg__proc_line(name, sizeof name, path);
    snprintf(text, sizeof text, name[0] ? "%s (process %llu)" : "%sprocess %llu", name,
             (unsigned long long)pid);
    return fg_meta_set_text(p, "target", text);
}
