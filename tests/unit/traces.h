/* Traces of .NET runtimes (nettrace), put together by hand. */
#ifndef TRACES_H
#define TRACES_H

#include <string.h>

typedef struct trace {
    uint8_t bytes[16384];
    size_t n;
} trace;

static inline void put(trace *t, uint64_t number, size_t n) {
    assert_true(n <= 8 && t->n + n <= sizeof t->bytes);
    memcpy(t->bytes + t->n, &number, n);
    t->n += n;
}

static inline void put_varint(trace *t, uint64_t number) {
    for (; number >= 0x80; number >>= 7) put(t, (number & 0x7f) | 0x80, 1);
    put(t, number, 1);
}

static inline void put_all(trace *t, const void *bytes, size_t n) {
    assert_true(t->n + n <= sizeof t->bytes);
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
}

/* UTF-16; `text` is of units up to U+00FF. */
static inline void put_text(trace *t, const char *text) {
    do put(t, (uint8_t)*text, 2);
    while (*text++);
}

static inline void put_head(trace *t) {
    put_all(t, "Nettrace", 8);
    put(t, 20, 4);
    put_all(t, "!FastSerialization.1", 20);
}

/* An object: `body` behind its type; a block has its size and padding in front. */
static inline void put_object(trace *t, const char *name, const trace *body) {
    put_all(t, "\5\5\1", 3);
    put(t, 2, 4);
    put(t, 2, 4);
    put(t, strlen(name), 4);
    put_all(t, name, strlen(name));
    put(t, 6, 1);
    if (strcmp(name, "Trace") != 0) {
        put(t, body->n, 4);
        while (t->n % 4) put(t, 0, 1);
    }
    put_all(t, body->bytes, body->n);
    put(t, 6, 1);
}

enum { PERIOD = 1000000, CLOCK = 5000000, PID = 42 };

static inline void put_clocks_of(trace *t, uint64_t ticks, uint32_t pointer) {
    trace body = {.n = 0};
    static const uint16_t date[] = {2024, 2, 4, 29, 12, 30, 15, 250};
    put_all(&body, date, sizeof date);
    put(&body, CLOCK, 8);
    put(&body, ticks, 8);
    put(&body, pointer, 4);
    put(&body, PID, 4);
    put(&body, 2, 4);
    put(&body, PERIOD, 4);
    put_object(t, "Trace", &body);
}

static inline void put_clocks(trace *t) {
    put_clocks_of(t, 1000000000, 8);
}

/* A block of events begins with its own head, of which only its size and flags matter. */
static inline trace block(void) {
    trace b = {.n = 0};
    put(&b, 20, 2);
    put(&b, 1, 2);
    put(&b, 0, 8);
    put(&b, 0, 8);
    return b;
}

enum { SAMPLE = 1, METHOD, MODULE, OTHER };

static inline void put_metadata(trace *b, uint32_t number, const char *provider, uint32_t event) {
    trace payload = {.n = 0};
    put(&payload, number, 4);
    put_text(&payload, provider);
    put(&payload, event, 4);
    put_text(&payload, "");
    put(b, 0x80, 1);
    put_varint(b, 0);
    put_varint(b, payload.n);
    put_all(b, payload.bytes, payload.n);
}

static inline void put_meanings(trace *t) {
    trace b = block();
    put_metadata(&b, SAMPLE, "Microsoft-DotNETCore-SampleProfiler", 0);
    put_metadata(&b, METHOD, "Microsoft-Windows-DotNETRuntimeRundown", 144);
    put_metadata(&b, MODULE, "Microsoft-Windows-DotNETRuntimeRundown", 154);
    put_metadata(&b, OTHER, "Microsoft-Windows-DotNETRuntime", 1);
    put_object(t, "MetadataBlock", &b);
}

#define STACK(...) (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)
static inline void put_stack(trace *b, const uint64_t *addresses, size_t n) {
    put(b, n * 8, 4);
    for (size_t i = 0; i < n; i++) put(b, addresses[i], 8);
}

/* Stacks `first`, leaf first: 1: a called by main; 2: nothing is known of it; 3: b, called by the end of a, by main. */
static inline void put_stacks(trace *t, uint32_t first) {
    trace b = {.n = 0};
    put(&b, first, 4);
    put(&b, 3, 4);
    put_stack(&b, STACK(0x2010, 0x1020));
    put_stack(&b, STACK(0x9000));
    put_stack(&b, STACK(0x3000, 0x2080, 0x1020));
    put_object(t, "StackBlock", &b);
}

/* An event with all that a header can have. `gap`: how many of the writer's were lost in front of it. */
static inline void put_event(trace *b, uint32_t number, uint32_t gap, uint64_t thread, uint32_t stack,
                             int64_t later, const trace *payload) {
    put(b, 0xff & ~0x40, 1);
    put_varint(b, number);
    put_varint(b, gap);
    put_varint(b, 99); /* the writer */
    put_varint(b, 0);
    put_varint(b, thread);
    put_varint(b, stack);
    put_varint(b, (uint64_t)later);
    for (int i = 0; i < 4; i++) put(b, 0, 8); /* activities */
    put_varint(b, payload ? payload->n : 4);
    if (payload)
        put_all(b, payload->bytes, payload->n);
    else
        put(b, 2, 4);
}

static inline void put_sample(trace *b, uint64_t thread, uint32_t stack, int64_t later) {
    put_event(b, SAMPLE, 0, thread, stack, later, NULL);
}

static inline trace method(uint64_t start, uint32_t size, const char *space, const char *name) {
    trace m = {.n = 0};
    put(&m, 1, 8);
    put(&m, 77, 8); /* the module */
    put(&m, start, 8);
    put(&m, size, 4);
    put(&m, 0, 8);
    put_text(&m, space);
    put_text(&m, name);
    put_text(&m, "int32 (int32)");
    return m;
}

static inline void put_names(trace *t) {
    trace b = block(), m;
    m = method(0x1000, 0x100, "Shop.Program", "Main");
    put_event(&b, METHOD, 0, 0, 0, 0, &m);
    m = method(0x3000, 0x10, "", "b\xe9");
    put_event(&b, METHOD, 0, 0, 0, 0, &m);
    m = method(0x2000, 0x80, "Shop.Cart", "old");
    put_event(&b, METHOD, 0, 0, 0, 0, &m);
    m = method(0x2000, 0x80, "Shop.Cart", "a");
    put_event(&b, METHOD, 0, 0, 0, 0, &m);
    m = (trace){.n = 0};
    put(&m, 77, 8);
    put(&m, 0, 8);
    put(&m, 0, 8);
    put_text(&m, "/srv/shop/Shop.dll");
    put_event(&b, MODULE, 0, 0, 0, 0, &m);
    put_object(t, "EventBlock", &b);
}

/* Two threads, sampled three and two times, and an event that is nobody's. */
static inline trace a_trace(void) {
    trace t = {.n = 0}, b = block();
    put_head(&t);
    put_clocks(&t);
    put_meanings(&t);
    put_stacks(&t, 1);
    put_sample(&b, 7, 1, CLOCK + 1000000);
    put_sample(&b, 8, 3, 500);
    put_event(&b, OTHER, 0, 7, 0, 10, NULL);
    put_sample(&b, 7, 1, 2000000 - 510);
    put_sample(&b, 7, 2, 1000000);
    put_sample(&b, 8, 3, -1000); /* events of two writers are not in order */
    put_object(&t, "EventBlock", &b);
    put_names(&t);
    put(&t, 1, 1);
    return t;
}

#endif
