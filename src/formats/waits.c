/* The table of states. */
#include "formats/waits.h"
#include <math.h>

/* By the bits of prev_state (trace/events/sched.h); a thread that was only pushed aside has none of them. */
static const struct state {
    uint64_t bit;
    const char *name;
    char letter; /* of /proc/PID/stat */
} states[] = {
    [FG__STATE_RUNNABLE] = {0, "runnable", 'R'}, /* others have the CPU */
    {0x01, "sleeping", 'S'},                     /* until something happens, or a signal */
    {0x02, "uninterruptible", 'D'},              /* a disk, mostly */
    {0x04, "stopped", 'T'},
    {0x08, "traced", 't'},
    {0x40, "parked", 'P'},
    {0x80, "idle", 'I'},
};
enum { STATES = sizeof states / sizeof *states, LEAVING = 0x30 };

uint32_t fg__wait_state(uint64_t prev_state) {
    if (prev_state & LEAVING) return FG__STATE_GONE;
    for (uint32_t i = 1; i < STATES; i++)
        if (prev_state & states[i].bit) return i;
    return FG__STATE_RUNNABLE;
}

uint32_t fg__wait_state_lettered(char letter) {
    uint32_t i = 0;
    while (i < STATES && states[i].letter != letter) i++;
    return i < STATES ? i : FG__STATE_GONE;
}

const char *fg__wait_state_name(uint32_t state) {
    return states[state].name;
}

static int set_states(fg__wait_filter *f, fg_ctx *ctx, const char *const *names) {
    f->states = names ? 0 : UINT32_MAX;
    for (; names && *names; names++) {
        uint32_t i = 0;
        while (i < STATES && strcmp(states[i].name, *names) != 0) i++;
        if (i == STATES) return fg__fail(ctx, FG_EINVAL, "no thread waits in the state \"%s\"", *names);
        f->states |= 1u << i;
    }
    return 0;
}

int fg__wait_filter_set(fg__wait_filter *out, fg_ctx *ctx, double min, double max, const char *const *names) {
    out->min = min > 0 ? (uint64_t)llround(fmin(min, 1e9) * 1e9) : 0;
    out->max = max > 0 ? (uint64_t)llround(fmin(max, 1e9) * 1e9) : UINT64_MAX;
    if (out->min > out->max)
        return fg__fail(ctx, FG_EINVAL, "no wait is at least %g s (--min) and at most %g s (--max)", min,
                        max);
    return set_states(out, ctx, names);
}
