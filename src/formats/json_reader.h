/*
 * JSON, streamed. A reader says in rules what it wants; everything else is checked for being JSON and passed
 * over.
 *
 *      static const fg__json_rule point[] = {{.key = "x", .number = on_x}, {.key = "name", .text = on_name},
 * {0}}; static const fg__json_rule points[] = {{.key = "", .inside = point, .close = on_point}, {0}}; static
 * const fg__json_rule file[] = {{.key = "points", .inside = points}, {0}};
 *
 *      {"points": [{"x": 1, "name": "a"}, {"x": 2}], "more": […]}
 *
 * Rules whose first key is "" are those of an array: of all its elements. Rules may hold themselves, for
 * trees. null is passed over. A value of another type than its rule is for is an error. The functions return
 * 0 or a negative error with a message (fg__fail), which gets its place from fg__json_read.
 */
#ifndef FG_JSON_READER_H
#define FG_JSON_READER_H

#include "formats/format.h"

typedef struct fg__json_number {
    double real;
    int64_t whole; /* where it is_whole */
    bool is_whole; /* without fraction and within 64 bits */
} fg__json_number;

typedef struct fg__json_rule {
    const char *key;
    const struct fg__json_rule *inside; /* of an object or an array */
    int (*open)(void *user);            /* an object or an array begins … */
    int (*close)(void *user);           /* … and ends */
    int (*number)(void *user, const fg__json_number *number);
    int (*text)(void *user, const char *bytes, size_t n); /* not NUL-terminated, perhaps not valid UTF-8 */
} fg__json_rule;

/* Read the whole input as one value, an object with these rules. */
int fg__json_read(fg_in *in, const fg__json_rule *rules, void *user);

/* Whether text looks like an object that has "key": within its first bytes. */
bool fg__json_has_key(const uint8_t *head, size_t n, const char *key);

#endif
