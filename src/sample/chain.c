/* The stack of a sample. */
#include "sample/callers.h"
#include "sample/watch.h"
#include "symbols/unwind.h"

enum { USUAL_STACK = 8192, MOST_STACK = 65528 };
enum { MUCH = 5 }; /* one in so many stacks is cut short: that is worth a hint */

int fg__unwinding_choose(fg__unwinding *out, fg_ctx *ctx, const char *how, uint64_t stack) {
    *out = (fg__unwinding){.dwarf = how && strcmp(how, "dwarf") == 0};
    if (how && !out->dwarf && strcmp(how, "fp") != 0)
        return fg__fail(ctx, FG_EINVAL, "stacks are unwound by \"fp\" or \"dwarf\", not by \"%s\"", how);
    if (out->dwarf && !fg__registers_mask())
        return fg__fail(ctx, FG_EUNSUPPORTED,
                        "this build cannot unwind by call frame information: --unwind fp is what there is");
    if (stack > MOST_STACK)
        return fg__fail(ctx, FG_EINVAL, "the kernel copies at most %d bytes of a stack", MOST_STACK);
    if (out->dwarf)
        out->copied = (uint32_t)(stack ? stack & ~UINT64_C(7) : USUAL_STACK);
    else if (fg__registers_mask())
        out->copied = FG__CALLERS_COPY;
    return 0;
}

void fg__unwinding_ask(struct perf_event_attr *attr, const fg__unwinding *unwinding) {
    if (!unwinding->copied) return;
    attr->exclude_callchain_user = unwinding->dwarf;
    attr->sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
    attr->sample_regs_user = fg__registers_mask();
    attr->sample_stack_user = unwinding->copied;
}

/* No code of a program is there: what a frame pointer register held was none, and the kernel followed it. */
static bool is_stray(uint64_t address) {
    return address < 4096 || address >> 63;
}

int fg__unwinding_note(fg_profile *p, const fg__unwinding *unwinding, const fg__watch *w) {
    if (w->truncated <= w->raws.total / MUCH || !fg__registers_mask()) return 0;
    if (!unwinding->dwarf)
        return fg_profile_note(p, "--unwind dwarf finds callers in programs that have no frame pointers");
    return fg_profile_note(p, "--stack finds more callers: %u bytes of each stack were copied (64k at most)",
                           (unsigned)unwinding->copied);
}

/* The kernel's list has both halves, each behind a mark. */
void fg__watch_chain(fg__raw_key *key, uint64_t *addresses, const fg__perf_sample *sample) {
    uint64_t context = PERF_CONTEXT_USER;
    size_t n = 0, kernel = 0;
    for (uint64_t i = 0; i < sample->chain_n && n < FG__STACK_DEPTH; i++) {
        uint64_t address = sample->chain[i];
        if (address >= PERF_CONTEXT_MAX) {
            context = address;
        } else if (context == PERF_CONTEXT_KERNEL) {
            addresses[n++] = address;
            kernel++;
        } else if (context == PERF_CONTEXT_USER) {
            if (is_stray(address)) break;
            addresses[n++] = address;
        }
    }
    key->kernel = (uint16_t)kernel;
    key->user = (uint16_t)(n - kernel);
}

/* The addresses that a sample's copy of the stack leads to. */
static fg__unwound unwind(fg__watch *w, const fg__raw_key *key, const fg__events *e,
                          const fg__perf_sample *sample, uint64_t *out, size_t *n, size_t most) {
    fg__registers registers;
    *n = 0;
    if (sample->abi != PERF_SAMPLE_REGS_ABI_64)
        return sample->abi == PERF_SAMPLE_REGS_ABI_NONE ? FG__UNWOUND_WHOLE : FG__UNWOUND_LOST;
    fg__registers_from_perf(&registers, e->attr.sample_regs_user, sample->registers);
    return fg__unwind(out, n, most, w->spaces[key->space], &registers, sample->stack, sample->stack_n);
}

void fg__watch_user(fg__watch *w, fg__raw_key *key, uint64_t *addresses, const fg__events *e,
                    const fg__perf_sample *sample, const fg__unwinding *unwinding) {
    uint64_t near[FG__CALLERS_NEAR], *user = addresses + key->kernel;
    size_t n, most = (size_t)(FG__STACK_DEPTH - key->kernel);
    if (unwinding->dwarf) {
        w->truncated += unwind(w, key, e, sample, user, &n, most) != FG__UNWOUND_WHOLE;
    } else if (sample->abi != PERF_SAMPLE_REGS_ABI_NONE) {
        bool whole = unwind(w, key, e, sample, near, &n, FG__CALLERS_NEAR) == FG__UNWOUND_WHOLE;
        n = fg__callers_join(user, key->user, most, near, n, whole);
    } else {
        n = key->user;
    }
    key->user = (uint16_t)n;
}
