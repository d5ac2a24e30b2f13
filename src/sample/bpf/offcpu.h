/* What the BPF program of offcpu.bpf.c and offcpu_bpf.c have in common. Both are little-endian 64-bit code. */
#ifndef FG_SAMPLE_BPF_OFFCPU_H
#define FG_SAMPLE_BPF_OFFCPU_H

enum {
    OFFCPU_FRAMES = 127,   /* the kernel's default limit (kernel.perf_event_max_stack) */
    OFFCPU_STACKS = 16384, /* different ones, of the user or the kernel */
    OFFCPU_SUMS = 16384,   /* different waits */
    OFFCPU_THREADS = 32768 /* that wait at the same time */
};

/* Known by the hash of its addresses, which is never 0. */
struct offcpu_stack {
    unsigned long long n;
    unsigned long long at[OFFCPU_FRAMES]; /* innermost first */
};

struct offcpu_side {
    unsigned long long kernel, user; /* stacks; 0: none */
    unsigned tgid, tid;
    char comm[16];
};

/* A wait: who, where, how. */
struct offcpu_key {
    struct offcpu_side waiter, waker; /* the waker has no name where it is not known */
    unsigned state, unused;           /* bits of prev_state */
};

struct offcpu_sum {
    unsigned long long ns, count;
};

/* A thread that waits now. */
struct offcpu_start {
    unsigned long long since;
    struct offcpu_key key;
};

struct offcpu_settings {
    unsigned long long min, max; /* ns */
    unsigned long long pidns;    /* the inode of the PID namespace that numbers are of */
    unsigned tgid;               /* of the target, there */
    unsigned wakers, states;     /* states: a set of bits, 1 for runnable, else prev_state << 1 */
};

struct offcpu_lost {
    unsigned long long stacks, sums, threads; /* for which there was no room */
};

#endif
