/*
 * Threads that wait all the time: no event tells of a thread that is switched neither out nor in. The kernel counts the
 * switches of each thread; where that count has not changed, one look at the end says where it has been. And threads that
 * wait when watching begins: the event of their return does not tell where they were, one look at the beginning does.
 *
 *   /proc/PID/task/TID/status    switches so far          …/syscall    the user's stack pointer and where it is in code
 *   …/stat                       the state                …/stack      functions of the kernel (root), or …/wchan, the innermost
 *
 * All of it is only read: nothing stops the thread. Registers are not known but those two, so that callers are found as
 * long as call frame information does without the others.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include "sample/offcpu.h"
#include "symbols/names.h"
#include "symbols/unwind.h"
#include "sys/clock.h"
#include "sys/proc.h"

enum { STACK = 64 << 10, PIECES = 64, TEXT = 8192 };
static const double first_look = 0.2; /* seconds for stacks at the beginning: events are waiting to be read */
static const double much_earlier = 0.05;

/* ---- /proc --------------------------------------------------------------------------------------------- */

static bool read_file(char text[TEXT], const fg__offcpu *s, uint32_t tid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/task/%u/%s", s->pid, tid, name);
    return fg__proc_text(text, TEXT, path);
}

/* How often a thread was switched; UINT64_MAX: it is not there. */
static uint64_t switches_of(const fg__offcpu *s, uint32_t tid) {
    static const char *const keys[] = {"\nvoluntary_ctxt_switches:", "\nnonvoluntary_ctxt_switches:"};
    char text[TEXT];
    uint64_t sum = 0;
    if (!read_file(text, s, tid, "status")) return UINT64_MAX;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *at = strstr(text, keys[i]);
        if (!at) return UINT64_MAX;
        sum += strtoull(at + strlen(keys[i]), NULL, 10);
    }
    return sum;
}

static uint32_t state_of(const fg__offcpu *s, uint32_t tid) {
    char text[TEXT];
    const char *name_end = read_file(text, s, tid, "stat") ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' ? fg__wait_state_lettered(name_end[2]) : FG__STATE_GONE;
}

/* ---- stacks -------------------------------------------------------------------------------------------- */

/* "[<0>] futex_do_wait+0x46/0x90 [module]" */
static int add_kernel_line(fg__offcpu *s, fg__frames *frames, char *line) {
    char *name = strstr(line, "] "), *end = name ? strchr(name, '+') : NULL, *module = end;
    if (!end) return 0;
    if ((module = strchr(end, '['))) module[strcspn(module, "\n")] = '\0';
    *end = '\0';
    fg_frame frame = {.name = name + 2, .module = module ? module : "[kernel.kallsyms]"};
    frame.kind =
        s->with_cpu ? FG_KIND_WAITING : fg__module_kind((fg__slice){frame.module, strlen(frame.module)});
    int err = fg__grow(s->base.ctx, &frames->ids, &frames->cap, frames->n + 1, sizeof *frames->ids);
    if (!err) err = fg_profile_frame(&frames->ids[frames->n], s->base.profile, &frame);
    if (!err) frames->n++;
    return err;
}

static int add_kernel(fg__offcpu *s, fg__frames *frames, uint32_t tid) {
    char text[TEXT], *save = NULL;
    int err = 0;
    if (read_file(text, s, tid, "stack")) {
        for (char *line = strtok_r(text, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save))
            err = add_kernel_line(s, frames, line);
        return err;
    }
    if (!read_file(text, s, tid, "wchan") || strcmp(text, "0") == 0) return 0;
    char line[TEXT + 8];
    snprintf(line, sizeof line, "[] %s+", text);
    return add_kernel_line(s, frames, line);
}

/* Copy memory from `address` on, as much as there is: page by page, as one that is missing ends it. */
static size_t copy_memory(uint8_t *out, size_t most, uint32_t pid, uint64_t address) {
    struct iovec there[PIECES], here = {out, most};
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0, left = most;
    for (; n < PIECES && left; n++) {
        size_t part = page - address % page;
        if (part > left) part = left;
        there[n] = (struct iovec){(void *)(uintptr_t)address, part}; /* NOLINT: of another process */
        address += part;
        left -= part;
    }
    ssize_t got = process_vm_readv((pid_t)pid, &here, 1, there, n, 0);
    return got > 0 ? (size_t)got : 0;
}

/* "NUMBER six arguments SP PC", or "-1 SP PC" outside of a system call. */
static bool registers_of(fg__registers *out, const fg__offcpu *s, uint32_t tid) {
    char text[TEXT];
    *out = (fg__registers){.known = 1u << FG__RSP | 1u << FG__RIP};
    if (!fg__registers_mask() || !read_file(text, s, tid, "syscall")) return false;
    text[strcspn(text, "\n")] = '\0';
    char *pc = strrchr(text, ' ');
    if (!pc) return false;
    *pc++ = '\0';
    char *sp = strrchr(text, ' ');
    if (!sp) return false;
    out->value[FG__RSP] = strtoull(sp, NULL, 16);
    out->value[FG__RIP] = strtoull(pc, NULL, 16);
    return out->value[FG__RSP] && out->value[FG__RIP];
}

/* Where the program waits, into s->addresses. */
static int read_user(size_t *n, fg__offcpu *s, uint32_t space, uint32_t tid) {
    fg__registers registers;
    *n = 0;
    if (!registers_of(&registers, s, tid)) return 0;
    uint8_t *stack = fg__alloc(s->base.ctx, STACK);
    if (!stack) return FG_ENOMEM;
    size_t size = copy_memory(stack, STACK, s->pid, registers.value[FG__RSP]);
    s->watch.truncated += fg__unwind(s->addresses, n, FG__STACK_DEPTH, s->watch.spaces[space], &registers,
                                     stack, size) != FG__UNWOUND_WHOLE;
    fg_free(s->base.ctx, stack);
    return 0;
}

static int add_user(fg__offcpu *s, fg__frames *frames, uint32_t tid) {
    uint32_t space;
    size_t n = 0;
    int err = fg__watch_space(&space, &s->watch, s->pid);
    if (!err) err = read_user(&n, s, space, tid);
    return err ? err : fg__watch_frames(&s->watch, frames, space, s->addresses, n);
}

/* ---- the beginning ------------------------------------------------------------------------------------- */

/* As it would have been when the thread was switched out, but for the kernel's functions, which have no addresses here. */
static int look_at(uint32_t *out, fg__offcpu *s, uint32_t tid) {
    fg__raw_key key = {.tag = state_of(s, tid)};
    size_t n;
    *out = FG__NONE;
    if (key.tag == FG__STATE_GONE || key.tag == FG__STATE_RUNNABLE || !(s->filter.states >> key.tag & 1))
        return 0;
    int err = fg__watch_space(&key.space, &s->watch, s->pid);
    if (!err) err = fg__watch_name(&key.thread, &s->watch, s->pid, tid);
    if (!err) err = read_user(&n, s, key.space, tid);
    if (err) return err;
    key.user = (uint16_t)n;
    return fg__raws_find(out, s->base.ctx, &s->watch.raws, &key, s->addresses);
}

int fg__offcpu_look(fg__offcpu *s, bool stacks) {
    char path[64];
    int err = 0;
    double until = fg__loop_now() + first_look;
    snprintf(path, sizeof path, "/proc/%u/task", s->pid);
    s->began = (uint64_t)fg__clock_ns(CLOCK_MONOTONIC);
    if (s->sliced) err = fg__slices_add(&s->slices, s->base.ctx, (int64_t)s->began, 0, 0); /* the first */
    DIR *folder = opendir(path);
    for (struct dirent *entry; !err && folder && (entry = readdir(folder));) {
        uint32_t tid = (uint32_t)strtoul(entry->d_name, NULL, 10), stack = FG__NONE;
        uint64_t switches = tid ? switches_of(s, tid) : UINT64_MAX;
        if (switches == UINT64_MAX) continue;
        if (stacks && fg__loop_now() < until) err = look_at(&stack, s, tid);
        if (!err) err = fg__grow(s->base.ctx, &s->looks, &s->look_cap, s->look_n + 1, sizeof *s->looks);
        if (!err) s->looks[s->look_n++] = (fg__look){tid, stack, switches};
    }
    if (folder) closedir(folder);
    return err;
}

void fg__offcpu_waited(fg__offcpu *s, fg__waiting *thread, uint64_t time) {
    size_t i = 0;
    while (i < s->look_n && s->looks[i].tid != thread->tid) i++;
    if (i == s->look_n || s->looks[i].stack == FG__NONE || time < s->began) return;
    thread->stack = s->looks[i].stack;
    thread->since = s->began;
    s->earlier++;
    s->earlier_ns += (int64_t)(time - s->began);
}

/* ---- waits --------------------------------------------------------------------------------------------- */

static int add_wait(fg__offcpu *s, fg__frames *frames, uint32_t tid, uint32_t state, int64_t ns,
                    uint32_t *id) {
    fg_profile *p = s->base.profile;
    const int64_t values[] = {1, ns, 0, ns};
    uint32_t name;
    frames->n = 0;
    int err = fg__watch_word(&s->watch, frames, p, fg__wait_state_name(state), FG_KIND_WAITING);
    if (!err) err = add_kernel(s, frames, tid);
    if (!err) err = add_user(s, frames, tid);
    if (!err) err = fg__watch_name(&name, &s->watch, s->pid, tid);
    if (err) return err;
    const char *thread = s->watch.raws.names.bytes + s->watch.raws.name_at[name];
    err = fg__watch_word(&s->watch, frames, p, thread, FG_KIND_UNKNOWN);
    return err ? err : fg__watch_add(&s->watch, frames, p, values, id);
}

/* It is said where it is much of the picture. */
static int note_earlier(fg__offcpu *s) {
    const fg__raws *raws = &s->watch.raws;
    int64_t total = 0;
    for (size_t i = 0; i < raws->n; i++) total += raws->weights[i];
    if (!s->earlier || (double)s->earlier_ns <= much_earlier * (double)total) return 0;
    return fg_profile_note(s->base.profile,
                           "%lld wait%s had begun before: the kernel's functions are missing there",
                           (long long)s->earlier, s->earlier == 1 ? "" : "s");
}

int fg__offcpu_add_looks(fg__offcpu *s, fg__frames *frames, double seconds, uint32_t *ids) {
    int64_t ns = (int64_t)(seconds * 1e9), started = (int64_t)(s->base.started * 1e9), added = 0;
    int err = 0;
    if (ids)
        err = fg__slices_add(&s->slices, s->base.ctx, started + ns, 0, 0); /* the last slice ends there */
    for (size_t i = 0; i < s->look_n && !err; i++) {
        const fg__look *look = &s->looks[i];
        uint32_t state = fg__offcpu_knows(s, look->tid) || switches_of(s, look->tid) != look->switches
                             ? FG__STATE_GONE
                             : state_of(s, look->tid);
        if (state == FG__STATE_GONE || state == FG__STATE_RUNNABLE) continue; /* it had a CPU all the time */
        if (!fg__wait_counts(&s->filter, state, (uint64_t)ns)) continue;
        err = add_wait(s, frames, look->tid, state, ns, ids ? &ids[i] : NULL);
        if (!err && ids)
            err = fg__slices_span(&s->slices, s->base.ctx, started, started + ns,
                                  (uint32_t)(s->watch.raws.n + i), ns);
        added++;
    }
    s->watch.raws.total += added;
    if (!err) err = note_earlier(s);
    if (err || !added) return err;
    return fg_profile_note(s->base.profile,
                           "%lld thread%s waited all the time: where is known from one look at the end",
                           (long long)added, added == 1 ? "" : "s");
}
