/*
 * Line tables, one step at a time. Three formats: co_lnotab (3.8, 3.9: Objects/lnotab_notes.txt), the line table of
 * 3.10 (PEP 626, same file) and the location table from 3.11 on (Objects/locations.md, later InternalDocs).
 */
#include "sample/python.h"

static uint32_t shown(int64_t line) {
    return line > 0 && line <= INT32_MAX ? (uint32_t)line : 0;
}

/* Pairs (bytes, lines): the line changes after so many bytes. */
static bool next_lnotab(py_lines *l, py_line *out) {
    if (l->end - l->at < 2) return false;
    l->offset += l->at[0];
    l->line += (int8_t)l->at[1];
    l->at += 2;
    *out = (py_line){(uint32_t)l->offset, shown(l->line)};
    return true;
}

/* Pairs (bytes, lines): the next so many bytes are of the line that is so much further; -128: of no line. */
static bool next_linetable(py_lines *l, py_line *out) {
    if (l->end - l->at < 2) return false;
    int8_t delta = (int8_t)l->at[1];
    if (delta != -128) l->line += delta;
    *out = (py_line){(uint32_t)l->offset, delta == -128 ? 0 : shown(l->line)};
    l->offset += l->at[0];
    l->at += 2;
    return true;
}

/* Six bits at a time, the lowest first, while bit 6 is set. */
static uint64_t read_varint(py_lines *l) {
    uint64_t value = 0;
    for (unsigned shift = 0; l->at < l->end && shift < 60; shift += 6) {
        uint8_t byte = *l->at++;
        value |= (uint64_t)(byte & 63) << shift;
        if (!(byte & 64)) break;
    }
    return value;
}

static int64_t read_signed(py_lines *l) {
    uint64_t value = read_varint(l);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* An entry: 1, a kind in four bits, the number of code units less one in three; then what the kind has. */
static bool next_location(py_lines *l, py_line *out) {
    if (l->at >= l->end) return false;
    enum { ONE_LINE = 10, NO_COLUMNS = 13, LONG = 14, NO_LINE = 15 };
    uint8_t head = *l->at++;
    unsigned kind = head >> 3 & 15;
    if (kind == LONG || kind == NO_COLUMNS) l->line += read_signed(l);
    if (kind >= ONE_LINE && kind < NO_COLUMNS) l->line += kind - ONE_LINE;
    *out = (py_line){(uint32_t)l->offset, kind == NO_LINE ? 0 : shown(l->line)};
    l->offset += ((head & 7) + 1) * 2;
    while (l->at < l->end && !(*l->at & 128)) l->at++; /* columns; only the start of an entry has bit 7 */
    return true;
}

bool py_lines_next(py_lines *l, py_line *out) {
    if (l->minor < 10) return next_lnotab(l, out);
    return l->minor == 10 ? next_linetable(l, out) : next_location(l, out);
}
