/*
 * The inputs of the benchmarks: big, alike on every machine, and shaped like what profilers write.
 *
 *      bench_generate KIND SCALE > FILE        SCALE 1 is the full size, 0.1 a tenth of it
 *
 *   folded, folded2  1 M unique stacks in no order, 9 frames each on average, 5 000 names: some 240 MB. The
 * second one is "after a change": nine in ten of the same stacks with other counts, and new ones perf perf
 * script text: 105 k samples, 1.7 M lines, 125 MB cpuprofile       V8: 77 k nodes, 1.4 M samples, 30 MB pprof
 * protobuf, not compressed: 850 k samples, 50 MB
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- chance: splitmix64, so that a seed is all there is to a file -------------------------------------- */

static uint64_t seed = 1;

static uint64_t scramble(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t below(uint32_t n) {
    return (uint32_t)(((scramble(seed += 0x9e3779b97f4a7c15u) >> 32) * n) >> 32);
}

static void *allocate(size_t count, size_t size) {
    void *block = calloc(count, size);
    if (!block) {
        fprintf(stderr, "bench_generate: out of memory for %zu items of %zu bytes\n", count, size);
        exit(2);
    }
    return block;
}

/* ---- names --------------------------------------------------------------------------------------------- */

enum { NAMES = 5000, NAME_MAX_LENGTH = 96 };
static char names[NAMES][NAME_MAX_LENGTH];

static const char *const WORDS[] = {
    "parse", "read",   "write", "token",  "buffer", "index",  "lookup", "insert", "flush", "commit", "poll",
    "wait",  "encode", "hash",  "digest", "batch",  "stream", "socket", "query",  "plan",  "scan",   "merge",
    "sort",  "lock",   "queue", "worker", "state",  "cache",  "block",  "page",   "alloc", "collect"};
enum { WORD_COUNT = sizeof WORDS / sizeof *WORDS };

static const char *word(void) {
    return WORDS[below(WORD_COUNT)];
}

/* The number makes each name unique. */
static void make_names(void) {
    for (uint32_t i = 0; i < NAMES; i++) {
        char *to = names[i];
        switch (below(6)) {
        case 0: snprintf(to, NAME_MAX_LENGTH, "%s_%s_%u", word(), word(), i); break;
        case 1: snprintf(to, NAME_MAX_LENGTH, "%s::%s_%u", word(), word(), i); break;
        case 2:
            snprintf(to, NAME_MAX_LENGTH, "app::%s::%s::%s_%s%u", word(), word(), word(), word(), i);
            break;
        case 3: snprintf(to, NAME_MAX_LENGTH, "std::%s<%s, %u>::%s", word(), word(), i, word()); break;
        case 4:
            snprintf(to, NAME_MAX_LENGTH, "<%s::%s as core::%s>::%s_%u", word(), word(), word(), word(), i);
            break;
        default: snprintf(to, NAME_MAX_LENGTH, "__%s_%s_%s%u", word(), word(), word(), i); break;
        }
    }
}

/* ---- stacks: each takes over the start of an earlier one, as programs do ------------------------------- */

enum { MAX_DEPTH = 64 };

typedef struct {
    uint32_t *frames;
    size_t *start; /* count + 1 of them */
    size_t count;
} stack_set;

/* A set of hashes that tells a new stack from one there is. */
static bool is_new(uint64_t *slots, size_t mask, const uint32_t *frames, uint32_t n) {
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) h = scramble(h ^ ((uint64_t)frames[i] + 0x9e3779b97f4a7c15u));
    h |= 1;
    for (size_t at = h & mask;; at = (at + 1) & mask) {
        if (slots[at] == h) return false;
        if (!slots[at]) {
            slots[at] = h;
            return true;
        }
    }
}

/*
 * `count` unique stacks. Each keeps a part of an earlier stack, at most `keep` frames, and goes on with 1 … 2
 * × `more` frames of its own.
 */
static stack_set make_stacks(size_t count, uint32_t keep, uint32_t more) {
    stack_set set = {allocate(count * (keep + 2 * more) + MAX_DEPTH, sizeof *set.frames),
                     allocate(count + 1, sizeof *set.start), 0};
    size_t size = 4;
    while (size < 2 * count) size *= 2;
    uint64_t *slots = allocate(size, sizeof *slots);
    while (set.count < count) {
        uint32_t *to = set.frames + set.start[set.count], n = 0;
        if (set.count) {
            size_t model = below((uint32_t)set.count);
            size_t there = set.start[model + 1] - set.start[model];
            n = 1 + below((uint32_t)(there < keep ? there : keep));
            memcpy(to, set.frames + set.start[model], n * sizeof *to);
        }
        for (uint32_t own = 1 + below(2 * more); own; own--, n++) to[n] = n ? below(NAMES) : below(8);
        if (!is_new(slots, size - 1, to, n)) continue;
        set.start[set.count + 1] = set.start[set.count] + n;
        set.count++;
    }
    free(slots);
    return set;
}

static void free_stacks(stack_set *set) {
    free(set->frames);
    free(set->start);
}

/* ---- folded -------------------------------------------------------------------------------------------- */

static void folded_line(const stack_set *set, size_t i, uint32_t count) {
    for (size_t at = set->start[i]; at < set->start[i + 1]; at++) {
        if (at > set->start[i]) putchar(';');
        fputs(names[set->frames[at]], stdout);
    }
    printf(" %u\n", count);
}

static void write_folded(double scale, bool after) {
    size_t count = (size_t)(1e6 * scale), extra = count / 10;
    stack_set set = make_stacks(count + extra, 24, 3);
    for (size_t i = 0; i < count + extra; i++) {
        uint32_t n = 1 + below(1000), change = below(400);
        bool is_extra = i >= count;
        if (!after && !is_extra) folded_line(&set, i, n);
        if (after && (is_extra || i % 10)) folded_line(&set, i, 1 + n * (800 + change) / 1000);
    }
    free_stacks(&set);
}

/* ---- perf script --------------------------------------------------------------------------------------- */

/* Where a function's code is. A sample is in one of a few places of it: a loop. */
static void perf_frame(uint32_t frame) {
    static const char *const MODULES[] = {"/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/service",
                                          "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
                                          "[kernel.kallsyms]"};
    uint64_t fixed = scramble(frame);
    uint32_t offset = (uint32_t)(fixed % 64 + below(3) * 32);
    uint32_t module = (uint32_t)(fixed >> 8) % 4;
    uint64_t base = module == 3 ? 0xffffffff81000000u : 0x7f3a40000000u + ((uint64_t)module << 28);
    uint64_t address = base + (uint64_t)frame * 512 + offset;
    if (fixed % 97 == 0)
        printf("\t%16llx [unknown] (%s)\n", (unsigned long long)address, MODULES[module]);
    else
        printf("\t%16llx %s+0x%x (%s)\n", (unsigned long long)address, names[frame], offset, MODULES[module]);
}

static void write_perf(double scale) {
    size_t samples = (size_t)(105000 * scale);
    stack_set set = make_stacks(1 + samples / 4, 36, 6);
    uint64_t ns = 81234000000000u;
    puts("# ========\n# captured on    : Mon Jan  1 00:00:00 2024\n# ========\n#");
    for (size_t sample = 0; sample < samples; sample++) {
        size_t i = below((uint32_t)set.count);
        uint32_t thread = (uint32_t)(i % 8);
        ns += 100000 + below(900000);
        printf("worker-%u %5u/%u [%03u] %llu.%06llu: %10u cpu-clock:pppH: \n", thread, 4200, 4200 + thread,
               thread % 4, (unsigned long long)(ns / 1000000000), (unsigned long long)(ns / 1000 % 1000000),
               1010101);
        for (size_t at = set.start[i + 1]; at-- > set.start[i];) perf_frame(set.frames[at]);
        putchar('\n');
    }
    free_stacks(&set);
}

/* ---- cpuprofile ---------------------------------------------------------------------------------------- */

/* Node 0 is the root; each other one hangs below an earlier one. Node i has the id i + 1. */
static void cpuprofile_nodes(uint32_t count) {
    uint32_t *parent = allocate(count, sizeof *parent), *first = allocate(count + 1, sizeof *first);
    uint32_t *children = allocate(count, sizeof *children), *fill = allocate(count, sizeof *fill);
    for (uint32_t i = 1; i < count; i++) {
        parent[i] = i < 20 ? below(i) : i - 1 - below(i < 400 ? i - 1 : 400);
        first[parent[i] + 1]++;
    }
    for (uint32_t i = 0; i < count; i++) first[i + 1] += first[i];
    for (uint32_t i = 1; i < count; i++) children[first[parent[i]] + fill[parent[i]]++] = i + 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t frame = below(NAMES);
        printf("%s{\"id\":%u,\"callFrame\":{\"functionName\":\"%s\",\"scriptId\":\"%u\",\"url\":\"%s%u.js\","
               "\"lineNumber\":%u,\"columnNumber\":%u},\"hitCount\":%u",
               i ? "," : "", i + 1, i ? names[frame] : "(root)", frame % 300, i ? "file:///srv/app/lib/" : "",
               frame % 300, frame / 2, frame % 80, below(40));
        for (uint32_t at = first[i]; at < first[i + 1]; at++)
            printf("%s%u", at == first[i] ? ",\"children\":[" : ",", children[at]);
        fputs(first[i] < first[i + 1] ? "]}" : "}", stdout);
    }
    free(parent);
    free(first);
    free(children);
    free(fill);
}

static void write_cpuprofile(double scale) {
    uint32_t nodes = 20 + (uint32_t)(77000 * scale), samples = 1 + (uint32_t)(1.45e6 * scale);
    fputs("{\"nodes\":[", stdout);
    cpuprofile_nodes(nodes);
    printf("],\"startTime\":1000000,\"endTime\":%llu,\"samples\":[", 1000000 + 1250ull * samples);
    for (uint32_t i = 0; i < samples; i++) printf("%s%u", i ? "," : "", 2 + below(nodes - 1));
    fputs("],\"timeDeltas\":[", stdout);
    for (uint32_t i = 0; i < samples; i++) printf("%s%u", i ? "," : "", 1000 + below(500));
    fputs("]}\n", stdout);
}

/* ---- pprof --------------------------------------------------------------------------------------------- */

typedef struct {
    uint8_t bytes[1024];
    size_t n;
} message;

static void put_varint(message *m, uint64_t value) {
    for (; value > 127; value >>= 7) m->bytes[m->n++] = (uint8_t)(value | 128);
    m->bytes[m->n++] = (uint8_t)value;
}

static void put_number(message *m, uint32_t field, uint64_t value) {
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void put_bytes(message *m, uint32_t field, const void *bytes, size_t n) {
    put_varint(m, field << 3 | 2);
    put_varint(m, n);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

/* A field of the profile message, straight to the output. */
static void emit(uint32_t field, const void *bytes, size_t n) {
    message head = {.n = 0};
    put_varint(&head, field << 3 | 2);
    put_varint(&head, n);
    fwrite(head.bytes, 1, head.n, stdout);
    fwrite(bytes, 1, n, stdout);
}

static void emit_pair(uint32_t field, uint64_t one, uint64_t two) {
    message m = {.n = 0};
    put_number(&m, 1, one);
    put_number(&m, 2, two);
    emit(field, m.bytes, m.n);
}

/* Location 4 f + k + 1 is place k of function f, which has the id f + 1 and the name at string 7 + f. */
static void pprof_sample(const stack_set *set, size_t i) {
    message places = {.n = 0}, values = {.n = 0}, m = {.n = 0};
    for (size_t at = set->start[i + 1]; at-- > set->start[i];)
        put_varint(&places, (uint64_t)set->frames[at] * 4 + below(4) + 1);
    uint32_t count = 1 + below(9);
    put_varint(&values, count);
    put_varint(&values, count * 10000000u);
    put_bytes(&m, 1, places.bytes, places.n);
    put_bytes(&m, 2, values.bytes, values.n);
    emit(2, m.bytes, m.n);
}

static void pprof_tables(void) {
    emit_pair(3, 1, 7);
    for (uint32_t i = 0; i < NAMES * 4; i++) {
        message line = {.n = 0}, m = {.n = 0};
        put_number(&line, 1, i / 4 + 1);
        put_number(&line, 2, 10 + i % 4 * 3);
        put_number(&m, 1, i + 1);
        put_number(&m, 2, 1);
        put_number(&m, 3, 0x400000 + i * 64);
        put_bytes(&m, 4, line.bytes, line.n);
        emit(4, m.bytes, m.n);
    }
    for (uint32_t i = 0; i < NAMES; i++) {
        message m = {.n = 0};
        put_number(&m, 1, i + 1);
        put_number(&m, 2, 7 + i);
        put_number(&m, 4, 6);
        emit(5, m.bytes, m.n);
    }
}

static void write_pprof(double scale) {
    static const char *const STRINGS[] = {
        "", "samples", "count", "cpu", "nanoseconds", "/usr/bin/service", "service.c"};
    stack_set set = make_stacks((size_t)(8.5e5 * scale), 60, 10);
    emit_pair(1, 1, 2);
    emit_pair(1, 3, 4);
    for (size_t i = 0; i < set.count; i++) pprof_sample(&set, i);
    pprof_tables();
    for (size_t i = 0; i < sizeof STRINGS / sizeof *STRINGS; i++) emit(6, STRINGS[i], strlen(STRINGS[i]));
    for (uint32_t i = 0; i < NAMES; i++) emit(6, names[i], strlen(names[i]));
    message tail = {.n = 0};
    put_number(&tail, 9, 1700000000000000000u);
    put_number(&tail, 10, 30000000000u);
    fwrite(tail.bytes, 1, tail.n, stdout);
    emit_pair(11, 3, 4);
    message period = {.n = 0};
    put_number(&period, 12, 10000000);
    fwrite(period.bytes, 1, period.n, stdout);
    free_stacks(&set);
}

int main(int argc, char **argv) {
    double scale = argc == 3 ? strtod(argv[2], NULL) : 0;
    if (!(scale > 0 && scale <= 10)) {
        fputs("usage: bench_generate folded|folded2|perf|cpuprofile|pprof SCALE\n", stderr);
        return 2;
    }
    make_names();
    const char *kind = argv[1];
    if (!strcmp(kind, "folded"))
        write_folded(scale, false);
    else if (!strcmp(kind, "folded2"))
        write_folded(scale, true);
    else if (!strcmp(kind, "perf"))
        write_perf(scale);
    else if (!strcmp(kind, "cpuprofile"))
        write_cpuprofile(scale);
    else if (!strcmp(kind, "pprof"))
        write_pprof(scale);
    else {
        fprintf(stderr, "bench_generate: no input called '%s'\n", kind);
        return 2;
    }
    if (fflush(stdout) || ferror(stdout)) {
        perror("bench_generate: standard output");
        return 2;
    }
    return 0;
}
