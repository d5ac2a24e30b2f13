/* Protobuf messages for the tests, put together by hand: what no writer writes is of interest as well. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <string.h>
#include "profiles.h"

typedef struct message {
    uint8_t bytes[8192];
    size_t n;
} message;

static inline void put_varint(message *m, uint64_t number) {
    for (; number >= 0x80; number >>= 7) m->bytes[m->n++] = (uint8_t)(number | 0x80);
    m->bytes[m->n++] = (uint8_t)number;
}

static inline void put_number(message *m, unsigned field, uint64_t number) {
    put_varint(m, field << 3);
    put_varint(m, number);
}

static inline void put_bytes(message *m, unsigned field, const void *bytes, size_t n) {
    put_varint(m, field << 3 | 2);
    put_varint(m, n);
    assert_true(n < sizeof m->bytes - m->n);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static inline void put_text(message *m, unsigned field, const char *text) {
    put_bytes(m, field, text, strlen(text));
}

static inline void put_message(message *m, unsigned field, const message *inner) {
    put_bytes(m, field, inner->bytes, inner->n);
}

/* Numbers, packed. */
static inline void put_packed(message *m, unsigned field, const uint64_t *numbers, size_t n) {
    message packed = {.n = 0};
    for (size_t i = 0; i < n; i++) put_varint(&packed, numbers[i]);
    put_message(m, field, &packed);
}

/* A message of numbers: fields 1, 2, 3…; zeros are left out. */
#define put_row(m, field, ...)                                                                               \
    put_row_of(m, field, (const uint64_t[]){__VA_ARGS__},                                                    \
               sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
static inline void put_row_of(message *m, unsigned field, const uint64_t *numbers, size_t n) {
    message row = {.n = 0};
    for (unsigned i = 0; i < n; i++)
        if (numbers[i]) put_number(&row, i + 1, numbers[i]);
    put_message(m, field, &row);
}

#endif
