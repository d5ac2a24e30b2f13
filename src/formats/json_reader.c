/*
 * libyajl finds the tokens, the rules say what becomes of them.
 *
 *   levels  what is open: [ rule of the file │ rule of "points" │ rule of its elements ]
 *   rule    of the value that comes next; NULL: nobody wants it
 *   passed  how deep we are in something that nobody wants
 *
 * yajl does not look whether its buffers could grow, so its memory is kept in a list: when there is none, we
 * leave it with longjmp and free the list.
 */
#include "formats/json_reader.h"
#include <math.h>
#include <setjmp.h>
#include <yajl/yajl_parse.h>

typedef union block {
    struct {
        union block *next, *previous;
        size_t size;
    };
    max_align_t aligned;
} block;

typedef struct json {
    fg_ctx *ctx;
    void *user;
    const fg__json_rule **levels;
    size_t depth, cap;
    const fg__json_rule *rule;
    uint64_t passed;
    int err;
    block blocks; /* head of the list */
    jmp_buf out_of_memory;
} json;

/* ---- yajl's memory ------------------------------------------------------------------------------------- */

static void *json_realloc(void *user, void *ptr, size_t size) {
    json *j = user;
    block *old = ptr ? (block *)ptr - 1 : NULL;
    block *b = size < SIZE_MAX - sizeof *b ? fg__realloc(j->ctx, old, size + sizeof *b) : NULL;
    if (!b) {
        j->err = fg__nomem(j->ctx);
        longjmp(j->out_of_memory, 1);
    }
    if (!old) {
        b->next = j->blocks.next;
        b->previous = &j->blocks;
    }
    b->size = size;
    b->previous->next = b;
    b->next->previous = b;
    return b + 1;
}

static void *json_malloc(void *user, size_t size) {
    return json_realloc(user, NULL, size);
}

static void json_free(void *user, void *ptr) {
    json *j = user;
    if (!ptr) return;
    block *b = (block *)ptr - 1;
    b->previous->next = b->next;
    b->next->previous = b->previous;
    fg_free(j->ctx, b);
}

/* ---- rules --------------------------------------------------------------------------------------------- */

static bool is_array(const fg__json_rule *rule) {
    return rule->inside && *rule->inside->key == '\0';
}

static int wrong_type(json *j, const char *found) {
    const fg__json_rule *r = j->rule;
    const char *wanted = r->inside   ? is_array(r) ? "an array" : "an object"
                         : r->number ? "a number"
                                     : "a string";
    if (*r->key)
        j->err = fg__fail(j->ctx, FG_EFORMAT, "\"%s\" is %s, not %s", r->key, found, wanted);
    else
        j->err = fg__fail(j->ctx, FG_EFORMAT, "an element is %s, not %s", found, wanted);
    return 0;
}

static int open_level(json *j, bool array) {
    if (!j->rule || j->passed) {
        j->passed++;
        return 1;
    }
    if (!j->rule->inside || is_array(j->rule) != array)
        return wrong_type(j, array ? "an array" : "an object");
    j->err = fg__grow(j->ctx, &j->levels, &j->cap, j->depth + 1, sizeof *j->levels);
    if (j->err) return 0;
    j->levels[j->depth++] = j->rule;
    if (j->rule->open) j->err = j->rule->open(j->user);
    j->rule = array ? j->rule->inside : NULL;
    return !j->err;
}

static int close_level(json *j) {
    if (j->passed) {
        j->passed--;
        return 1;
    }
    const fg__json_rule *closed = j->levels[--j->depth];
    j->rule = j->depth && is_array(j->levels[j->depth - 1]) ? j->levels[j->depth - 1]->inside : NULL;
    if (closed->close) j->err = closed->close(j->user);
    return !j->err;
}

static int on_null(void *user) {
    (void)user;
    return 1;
}

static int on_boolean(void *user, int yes) {
    (void)yes;
    json *j = user;
    return !j->rule || j->passed ? 1 : wrong_type(j, "a boolean");
}

static int on_string(void *user, const unsigned char *bytes, size_t n) {
    json *j = user;
    if (!j->rule || j->passed) return 1;
    if (!j->rule->text) return wrong_type(j, "a string");
    j->err = j->rule->text(j->user, (const char *)bytes, n);
    return !j->err;
}

static int on_key(void *user, const unsigned char *bytes, size_t n) {
    json *j = user;
    if (j->passed) return 1;
    const fg__json_rule *r = j->levels[j->depth - 1]->inside;
    const char *key = (const char *)bytes;
    while (r->key && (n == 0 || *r->key != *key || strncmp(r->key, key, n) != 0 || r->key[n])) r++;
    j->rule = r->key ? r : NULL;
    return 1;
}

static int on_open_object(void *user) {
    return open_level(user, false);
}
static int on_open_array(void *user) {
    return open_level(user, true);
}
static int on_close(void *user) {
    return close_level(user);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* 10^n by squaring; infinite where that is out of range. */
static double power_of_ten(int64_t n) {
    double power = 1, base = 10;
    for (int64_t left = n < 1000 ? n : 1000; left; left /= 2, base *= base)
        if (left % 2) power *= base;
    return power;
}

/* The "e-12" of a number; beyond all doubles it does not matter by how much. */
static int64_t to_exponent(const char *p, const char *end) {
    bool minus = *p == '-';
    int64_t e = 0;
    for (p += *p == '-' || *p == '+'; p < end && e < 10000; p++) e = e * 10 + (*p - '0');
    return minus ? -e : e;
}

/*
 * yajl has checked the form. Not strtod: that reads as the program's locale says. Digits beyond the
 * nineteenth only count as tenfold, which is exact for all that a profile holds and off by some 1e-16 at
 * worst for others.
 */
static fg__json_number to_number(const char *bytes, size_t n) {
    const char *p = bytes, *end = bytes + n;
    bool negative = *p == '-', dot = false, exact = true;
    uint64_t digits = 0;
    int64_t exponent = 0;
    for (p += negative; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            dot = true;
        } else if (digits < UINT64_MAX / 10 - 1) {
            digits = digits * 10 + (uint64_t)(*p - '0');
            exponent -= dot;
        } else {
            exact = false;
            exponent += !dot;
        }
    }
    if (p < end) exponent += to_exponent(p + 1, end);
    double real = (double)digits;
    if (exponent && digits)
        real = exponent < 0 ? real / power_of_ten(-exponent) : real * power_of_ten(exponent);
    fg__json_number number = {.real = negative ? -real : real};
    if (exponent == 0 && exact && digits <= INT64_MAX) {
        number.is_whole = true;
        number.whole = negative ? -(int64_t)digits : (int64_t)digits;
    } else if (fabs(real) < 0x1p53 && real == floor(real)) { /* 5.0, 1e3 */
        number.is_whole = true;
        number.whole = (int64_t)number.real;
    }
    return number;
}

/* Nearly all numbers of a profile are a few digits. */
static bool is_short(const char *bytes, size_t n, int64_t *out) {
    if (n > 18) return false;
    int64_t digits = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)bytes[i] - '0';
        if (digit > 9) return false;
        digits = digits * 10 + digit;
    }
    *out = digits;
    return true;
}

static int on_number(void *user, const char *bytes, size_t n) {
    json *j = user;
    if (!j->rule || j->passed) return 1;
    if (!j->rule->number) return wrong_type(j, "a number");
    fg__json_number number = {.is_whole = true};
    if (is_short(bytes, n, &number.whole))
        number.real = (double)number.whole;
    else
        number = to_number(bytes, n);
    j->err = j->rule->number(j->user, &number);
    return !j->err;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* What a rule said, or yajl's own message: its first line, without what it says of itself. */
static int stopped(json *j, fg_in *in, yajl_handle yajl) {
    if (j->err) return fg__in_fail_byte(in, j->err, "%s", fg_error(in->ctx));
    unsigned char *message = yajl_get_error(yajl, 0, NULL, 0);
    const char *text = (const char *)message;
    if (strncmp(text, "parse error: ", 13) == 0) text += 13;
    if (strncmp(text, "lexical error: ", 15) == 0) text += 15;
    int err = fg__in_fail_byte(in, FG_EFORMAT, "not valid JSON: %.*s", (int)strcspn(text, "\n"), text);
    yajl_free_error(yajl, message);
    return err;
}

static int feed(json *j, fg_in *in, yajl_handle yajl) {
    int more;
    do {
        if (yajl_parse(yajl, in->p, (size_t)(in->end - in->p)) != yajl_status_ok) {
            in->p += yajl_get_bytes_consumed(yajl);
            return stopped(j, in, yajl);
        }
        in->p = in->end;
        more = fg__in_more(in);
    } while (more > 0);
    if (more < 0) return more;
    return yajl_complete_parse(yajl) == yajl_status_ok ? 0 : stopped(j, in, yajl);
}

/* Apart from its caller, whose variables must outlive the longjmp. */
static int parse(json *j, fg_in *in) {
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_open_object,
        .yajl_map_key = on_key,
        .yajl_end_map = on_close,
        .yajl_start_array = on_open_array,
        .yajl_end_array = on_close,
    };
    yajl_alloc_funcs memory = {json_malloc, json_realloc, json_free, j};
    if (setjmp(j->out_of_memory)) return j->err;
    yajl_handle yajl = yajl_alloc(&callbacks, &memory, j);
    yajl_config(yajl, yajl_dont_validate_strings, 1); /* names are cleaned when they are interned */
    return feed(j, in, yajl);
}

int fg__json_read(fg_in *in, const fg__json_rule *rules, void *user) {
    const fg__json_rule file = {.key = "", .inside = rules};
    json j = {.ctx = in->ctx, .user = user, .rule = &file};
    j.blocks.next = j.blocks.previous = &j.blocks;
    int err = parse(&j, in);
    while (j.blocks.next != &j.blocks) json_free(&j, j.blocks.next + 1);
    fg_free(in->ctx, j.levels);
    return err;
}

bool fg__json_has_key(const uint8_t *head, size_t n, const char *key) {
    size_t i = 0, length = strlen(key);
    while (i < n && (head[i] == ' ' || (head[i] >= '\t' && head[i] <= '\r'))) i++;
    if (i == n || head[i] != '{') return false;
    for (const uint8_t *p = head + i, *end = head + n; (p = memmem(p, (size_t)(end - p), key, length)); p++) {
        if (p[-1] != '"' || p + length >= end || p[length] != '"') continue;
        const uint8_t *colon = p + length + 1;
        while (colon < end && (*colon == ' ' || (*colon >= '\t' && *colon <= '\r'))) colon++;
        if (colon < end && *colon == ':') return true;
    }
    return false;
}
