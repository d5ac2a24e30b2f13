/* Metadata: one table of keys. All that copies, shows or stores metadata walks the table. */
#include "core/core.h"
#include <stdio.h>

static const struct {
    const char *key;
    int type;
} keys[] = {
    {"title", FG_META_TEXT},         {"collector", FG_META_TEXT},   {"engine", FG_META_TEXT},
    {"target", FG_META_TEXT},        {"host", FG_META_TEXT},        {"source", FG_META_TEXT},
    {"default_type", FG_META_TEXT},  {"period_type", FG_META_TEXT}, {"normalize", FG_META_TEXT},
    {"start", FG_META_NUMBER},       {"duration", FG_META_NUMBER},  {"period", FG_META_NUMBER},
    {"interrupted", FG_META_NUMBER}, {"samples", FG_META_NUMBER},   {"lost", FG_META_NUMBER},
    {"failed", FG_META_NUMBER},      {"truncated", FG_META_NUMBER}, {"sampler_cpu", FG_META_NUMBER},
    {"units", FG_META_NUMBER},       {"factor", FG_META_REAL},      {"grain_before", FG_META_REAL},
    {"grain_after", FG_META_REAL},   {"snapshot", FG_META_NUMBER},  {"ended", FG_META_NUMBER},
};
_Static_assert(sizeof keys / sizeof *keys == FG__META_COUNT, "FG__META_COUNT is the number of keys");

const char *fg_meta_key(size_t i, int *type) {
    if (i >= FG__META_COUNT) return NULL;
    if (type) *type = keys[i].type;
    return keys[i].key;
}

static int find(const char *key, int type) {
    for (int i = 0; i < FG__META_COUNT; i++)
        if (keys[i].type == type && strcmp(keys[i].key, key) == 0) return i;
    return -1;
}

static int unknown(fg_profile *p, const char *key, const char *type) {
    return fg__fail(p->ctx, FG_EINVAL, "there is no %s metadata named \"%s\"", type, key);
}

int fg_meta_set_text(fg_profile *p, const char *key, const char *text) {
    int i = find(key, FG_META_TEXT);
    if (i < 0) return unknown(p, key, "text");
    p->meta[i].set = text && *text;
    return fg__string_intern(&p->meta[i].text, p, text ? text : "", text ? strlen(text) : 0);
}

int fg_meta_set_number(fg_profile *p, const char *key, int64_t number) {
    int i = find(key, FG_META_NUMBER);
    if (i < 0) return unknown(p, key, "number");
    p->meta[i].number = number;
    p->meta[i].set = true;
    return 0;
}

int fg_meta_set_real(fg_profile *p, const char *key, double real) {
    int i = find(key, FG_META_REAL);
    if (i < 0) return unknown(p, key, "real");
    p->meta[i].real = real;
    p->meta[i].set = true;
    return 0;
}

bool fg_meta_has(const fg_profile *p, const char *key) {
    for (size_t i = 0; i < FG__META_COUNT; i++)
        if (strcmp(keys[i].key, key) == 0) return p->meta[i].set;
    return false;
}

const char *fg_meta_text(const fg_profile *p, const char *key) {
    int i = find(key, FG_META_TEXT);
    return i < 0 ? "" : p->strings[p->meta[i].text].bytes;
}

int64_t fg_meta_number(const fg_profile *p, const char *key) {
    int i = find(key, FG_META_NUMBER);
    return i < 0 ? 0 : p->meta[i].number;
}

double fg_meta_real(const fg_profile *p, const char *key) {
    int i = find(key, FG_META_REAL);
    return i < 0 ? 0 : p->meta[i].real;
}

static int add_note(fg_profile *p, const char *text) {
    uint32_t id;
    int err = fg__string_intern(&id, p, text, strlen(text));
    if (err) return err;
    for (size_t i = 0; i < p->note_count; i++)
        if (p->notes[i] == id) return 0;
    err = fg__grow(p->ctx, &p->notes, &p->note_cap, p->note_count + 1, sizeof *p->notes);
    if (err) return err;
    p->notes[p->note_count++] = id;
    return 0;
}

int fg_profile_note(fg_profile *p, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return add_note(p, text);
}

const char *fg_profile_note_at(const fg_profile *p, size_t i) {
    return i < p->note_count ? p->strings[p->notes[i]].bytes : NULL;
}

int fg__meta_copy(fg_profile *to, const fg_profile *from) {
    int err = 0;
    for (size_t i = 0; i < FG__META_COUNT && !err; i++) {
        fg__meta_value value = from->meta[i];
        fg__string text = from->strings[value.text];
        err = fg__string_intern(&value.text, to, text.bytes, text.n);
        if (!err) to->meta[i] = value;
    }
    for (size_t i = 0; i < from->note_count && !err; i++) err = add_note(to, fg_profile_note_at(from, i));
    to->annotations |= from->annotations;
    return err;
}

int fg__meta_agree(fg_profile *to, const fg_profile *a, const fg_profile *b) {
    int err = 0;
    for (size_t i = 0; i < FG__META_COUNT && !err; i++) {
        fg__meta_value value = {0};
        fg__string x = a->strings[a->meta[i].text], y = b->strings[b->meta[i].text];
        if (x.n == y.n && memcmp(x.bytes, y.bytes, x.n) == 0)
            err = fg__string_intern(&value.text, to, x.bytes, x.n);
        if (a->meta[i].number == b->meta[i].number) value.number = a->meta[i].number;
        if (a->meta[i].real == b->meta[i].real) value.real = a->meta[i].real;
        value.set = a->meta[i].set && b->meta[i].set;
        if (!err) to->meta[i] = value;
    }
    to->annotations |= a->annotations | b->annotations;
    return err;
}
