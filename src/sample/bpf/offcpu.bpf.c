/*
 * Sums the time that threads of one process are off their CPU, by thread, stacks and state. The structs of the kernel
 * have here what is read of them; libbpf finds where that is in the kernel that runs (CO-RE).
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "offcpu.h"

#define KERNELS __attribute__((preserve_access_index))

struct ns_common {
    unsigned inum;
} KERNELS;
struct pid_namespace {
    struct ns_common ns;
} KERNELS;
struct upid {
    int nr;
    struct pid_namespace *ns;
} KERNELS;
struct pid {
    unsigned level;
    struct upid numbers[1];
} KERNELS;
struct task_struct {
    int pid, tgid, exit_state;
    unsigned __state;
    struct task_struct *group_leader;
    struct pid *thread_pid;
    char comm[16];
} KERNELS;
struct task_struct___old { /* before Linux 5.14 */
    long state;
} KERNELS;

char terms[] SEC("license") = "Dual MIT/GPL";

volatile const struct offcpu_settings settings;
struct offcpu_lost lost;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, OFFCPU_THREADS);
    __type(key, int); /* the kernel's own number of the thread */
    __type(value, struct offcpu_start);
} starts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, OFFCPU_SUMS);
    __type(key, struct offcpu_key);
    __type(value, struct offcpu_sum);
} sums SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, OFFCPU_STACKS);
    __type(key, unsigned long long);
    __type(value, struct offcpu_stack);
} stacks SEC(".maps");

/* A stack has no room on the program's own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, int);
    __type(value, struct offcpu_stack);
} scratch SEC(".maps");

/*
 * The kernel's own map of stacks gives two of them one place, and drops the second, long before it is full. Both
 * tracepoints are hit with interrupts off: nobody else uses the scratch meanwhile.
 */
static __always_inline unsigned long long stack_of(void *ctx, unsigned long long flags) {
    int zero = 0;
    unsigned long long hash = 0x9e3779b97f4a7c15;
    struct offcpu_stack *stack = bpf_map_lookup_elem(&scratch, &zero);
    if (!stack) return 0;
    long size = bpf_get_stack(ctx, stack->at, sizeof stack->at, flags);
    if (size <= 0) return 0;
    stack->n = (unsigned long)size / sizeof stack->at[0];
    for (int i = 0; i < OFFCPU_FRAMES && i < stack->n; i++) {
        hash = (hash ^ stack->at[i]) * 0xbf58476d1ce4e5b9;
        hash ^= hash >> 29;
    }
    hash |= !hash;
    if (bpf_map_lookup_elem(&stacks, &hash)) return hash;
    if (!bpf_map_update_elem(&stacks, &hash, stack, BPF_ANY)) return hash;
    __sync_fetch_and_add(&lost.stacks, 1);
    return 0;
}

/* The number of a task in the namespace of who asks; 0: it has none there. */
static __always_inline unsigned number_of(struct task_struct *task) {
    struct pid *pid = BPF_CORE_READ(task, thread_pid);
    unsigned level = BPF_CORE_READ(pid, level);
    const char *numbers = (const char *)pid + bpf_core_field_offset(struct pid, numbers);
    for (unsigned i = 0; i < 8 && i <= level; i++) {
        const struct upid *upid = (const struct upid *)(numbers + i * bpf_core_type_size(struct upid));
        if (BPF_CORE_READ(upid, ns, ns.inum) == settings.pidns) return (unsigned)BPF_CORE_READ(upid, nr);
    }
    return 0;
}

static __always_inline void describe(void *ctx, struct offcpu_side *side, struct task_struct *task) {
    side->tgid = number_of(BPF_CORE_READ(task, group_leader));
    side->tid = number_of(task);
    BPF_CORE_READ_STR_INTO(&side->comm, task, comm);
    side->kernel = stack_of(ctx, 0);
    side->user = stack_of(ctx, BPF_F_USER_STACK);
}

static __always_inline unsigned state_of(struct task_struct *task) {
    struct task_struct___old *old = (void *)task;
    if (bpf_core_field_exists(task->__state)) return BPF_CORE_READ(task, __state);
    return (unsigned)BPF_CORE_READ(old, state);
}

static __always_inline void leaves(void *ctx, int preempted, struct task_struct *task) {
    struct offcpu_start start = {};
    int id = BPF_CORE_READ(task, pid);
    unsigned state = preempted ? 0 : state_of(task) & 0xff;
    if (number_of(BPF_CORE_READ(task, group_leader)) != settings.tgid) return;
    if (BPF_CORE_READ(task, exit_state)) return;
    if (!((state ? state << 1 : 1) & settings.states)) return;
    describe(ctx, &start.key.waiter, task);
    start.key.state = state;
    start.since = bpf_ktime_get_ns();
    if (bpf_map_update_elem(&starts, &id, &start, BPF_ANY)) __sync_fetch_and_add(&lost.threads, 1);
}

static __always_inline void comes_back(struct task_struct *task) {
    int id = BPF_CORE_READ(task, pid);
    struct offcpu_start *start = bpf_map_lookup_elem(&starts, &id);
    if (!start) return;
    unsigned long long ns = bpf_ktime_get_ns() - start->since;
    if (ns >= settings.min && ns <= settings.max) {
        struct offcpu_sum one = {ns, 1}, *sum = bpf_map_lookup_elem(&sums, &start->key);
        if (sum) {
            __sync_fetch_and_add(&sum->ns, ns);
            __sync_fetch_and_add(&sum->count, 1);
        } else if (bpf_map_update_elem(&sums, &start->key, &one, BPF_NOEXIST)) {
            __sync_fetch_and_add(&lost.sums, 1);
        }
    }
    bpf_map_delete_elem(&starts, &id);
}

/* args: preempt, prev, next, and the state of prev since Linux 5.18 */
SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx) {
    leaves(ctx, (int)ctx->args[0] & 1, (struct task_struct *)ctx->args[1]);
    comes_back((struct task_struct *)ctx->args[2]);
    return 0;
}

/* In who wakes: who runs now is the waker, also where an interrupt did it. */
SEC("raw_tp/sched_waking")
int on_waking(struct bpf_raw_tracepoint_args *ctx) {
    int id = BPF_CORE_READ((struct task_struct *)ctx->args[0], pid);
    struct offcpu_start *start = bpf_map_lookup_elem(&starts, &id);
    if (!settings.wakers || !start || start->key.waker.comm[0]) return 0;
    describe(ctx, &start->key.waker, (struct task_struct *)bpf_get_current_task());
    return 0;
}
