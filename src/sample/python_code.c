/* Code objects by their address: what they are called, and which line an instruction is of. */
#include <stdio.h>
#include "sample/python.h"

enum { CODE_SIZE = 256, MOST_TEXT = 4096, MOST_LINES = 1 << 20, FRAME_SPECIALS_3_11 = 9 };

/*
 * For how many seconds a code object is believed to be the same: as many as it has been so far, within bounds. Programs
 * that make code as they run are rare, and what they drop is young as a rule.
 */
static const double least_believed = 0.25, most_believed = 2, restless_for = 1;

/* ---- text ----------------------------------------------------------------------------------------------- */

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) return (void)(out[0] = (char)c), 1;
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18 & 7));
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* PyUnicodeObject: `state` has the width of a character in bits 2 to 4, compact in bit 5, ASCII in bit 6. */
static int read_text(uint32_t *out, py_codes *c, uint64_t address) {
    const py_layout *l = c->layout;
    uint8_t head[128], bytes[MOST_TEXT * 4];
    char text[MOST_TEXT * 4];
    *out = 0;
    if (!py_memory_read(c->memory, address, head, sizeof head)) return 0;
    uint64_t length = py_word(head + l->text_length);
    uint32_t state = (uint32_t)py_int(head + l->text_state);
    unsigned width = state >> 2 & 7;
    if (!(state & 1 << 5) || (width != 1 && width != 2 && width != 4)) return 0;
    size_t n = length < MOST_TEXT ? (size_t)length : MOST_TEXT, used = 0;
    uint64_t data = address + (state & 1 << 6 ? l->text_ascii : l->text_compact);
    if (n && !py_memory_read(c->memory, data, bytes, n * width)) return 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t character = 0;
        memcpy(&character, bytes + i * width, width);
        used += put_utf8(text + used, character);
    }
    return fg__string_intern(out, c->profile, text, used);
}

/* ---- code ----------------------------------------------------------------------------------------------- */

/* A type is known by its name: the pointer behind its head (PyVarObject) leads to it. */
static bool is_code_type(py_codes *c, uint64_t type) {
    uint64_t name;
    char text[5];
    return py_memory_read(c->memory, type + 24, &name, sizeof name) &&
           py_memory_read(c->memory, name, text, 5) && memcmp(text, "code", 5) == 0;
}

static void read_size(py_codes *c, py_code *code, const uint8_t *object) {
    const py_layout *l = c->layout;
    uint64_t units = 0;
    if (l->minor >= 11) {
        units = py_word(object + 16) * 2; /* ob_size: code units */
        int32_t words = l->minor >= 12 ? py_int(object + l->code_line + 8)
                                       : py_int(object + l->code_line + 4) +
                                             py_int(object + l->code_line - 4) + FRAME_SPECIALS_3_11;
        code->frame_words = words > 0 && words < 1 << 24 ? (uint32_t)words : 0;
    } else if (!py_memory_read(c->memory, py_word(object + l->code_bytes) + 16, &units, sizeof units)) {
        units = 0;
    }
    code->size = units < UINT32_MAX ? (uint32_t)units : 0;
}

/* Read what `code->address` has; false: it is no code object. */
static bool read_marks(py_codes *c, py_code *code) {
    const py_layout *l = c->layout;
    uint8_t object[CODE_SIZE];
    if (code->address & 7 || !py_memory_read(c->memory, code->address, object, sizeof object)) return false;
    uint64_t type = py_word(object + 8);
    if (type != c->type) {
        if (c->type || !is_code_type(c, type)) return false;
        c->type = type;
    }
    code->file = py_word(object + l->code_file);
    code->name = py_word(object + (l->code_qualname ? l->code_qualname : l->code_name));
    code->lines_at = py_word(object + l->code_lines);
    code->first_line = py_int(object + l->code_line);
    read_size(c, code, object);
    return true;
}

static bool is_same(const py_code *a, const py_code *b) {
    return a->file == b->file && a->name == b->name && a->lines_at == b->lines_at &&
           a->first_line == b->first_line && a->size == b->size && a->frame_words == b->frame_words;
}

static int make_frame(uint32_t *out, py_codes *c, const py_code *code, uint32_t line) {
    return fg__frame_intern(
        out, c->profile,
        &(fg__frame){.name = code->name_text, .file = code->file_text, .line = line, .kind = FG_KIND_PYTHON});
}

static int fill(py_codes *c, py_code *code) {
    int err = read_text(&code->name_text, c, code->name);
    if (!err) err = read_text(&code->file_text, c, code->file);
    return err ? err
               : make_frame(&code->frame, c, code, code->first_line > 0 ? (uint32_t)code->first_line : 0);
}

static int add(py_code **out, py_codes *c, const py_code *read) {
    fg_ctx *ctx = c->memory->ctx;
    int err = fg__grow(ctx, &c->all, &c->cap, c->count + 1, sizeof *c->all);
    if (err) return err;
    py_code *code = &c->all[c->count];
    *code = *read;
    err = fill(c, code);
    if (!err)
        err = fg__table_add(ctx, &c->index, fg__mix(code->address, 0x9e3779b97f4a7c15), (uint32_t)c->count);
    if (!err) c->count++;
    *out = code;
    return err;
}

static py_code *find(py_codes *c, uint64_t address) {
    uint64_t hash = fg__mix(address, 0x9e3779b97f4a7c15);
    if (!c->index.slots) return NULL;
    uint32_t id;
    for (uint32_t at = fg__table_first(&c->index, hash); (id = fg__table_id(&c->index, at)) != FG__NONE;
         at = fg__table_next(&c->index, at))
        if (c->all[id].address == address) return &c->all[id];
    return NULL;
}

/* Another code object has taken the place of one that is known. */
static int replace(py_codes *c, py_code *code, const py_code *read) {
    fg_free(c->memory->ctx, code->lines);
    *code = *read;
    c->restless = read->since + restless_for;
    return fill(c, code);
}

static double believed_until(const py_code *code, double now) {
    double age = now - code->since;
    return now + (age < least_believed ? least_believed : age < most_believed ? age : most_believed);
}

py_code *py_code_at(py_codes *c, uint64_t address, double now, int *err) {
    py_code *code = find(c, address), read = {.address = address, .since = now};
    if (code && now < code->believed && now >= c->restless) return code;
    if (!read_marks(c, &read)) return NULL;
    if (!code)
        *err = add(&code, c, &read);
    else if (!is_same(code, &read))
        *err = replace(c, code, &read);
    if (*err) return NULL;
    code->believed = believed_until(code, now);
    return code;
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

static int add_line(fg_ctx *ctx, py_code *code, size_t *cap, py_line line) {
    size_t n = code->line_count;
    if (n && code->lines[n - 1].line == line.line) return 0;
    if (n && code->lines[n - 1].from == line.from) {
        code->lines[n - 1] = line;
        return 0;
    }
    int err = fg__grow(ctx, &code->lines, cap, n + 1, sizeof *code->lines);
    if (err) return err;
    code->lines[code->line_count++] = line;
    return 0;
}

static int read_lines(py_codes *c, py_code *code) {
    fg_ctx *ctx = c->memory->ctx;
    uint64_t size = 0;
    size_t cap = 0;
    py_line line = {0, code->first_line > 0 ? (uint32_t)code->first_line : 0};
    int err = add_line(ctx, code, &cap, line);
    if (err) return err;
    if (!py_memory_read(c->memory, code->lines_at + 16, &size, sizeof size) || !size || size > MOST_LINES)
        return 0;
    uint8_t *table = fg__alloc(ctx, size);
    if (!table) return FG_ENOMEM;
    if (py_memory_read(c->memory, code->lines_at + c->layout->bytes_data, table, size)) {
        py_lines lines = {
            .at = table, .end = table + size, .line = code->first_line, .minor = c->layout->minor};
        while (!err && py_lines_next(&lines, &line)) err = add_line(ctx, code, &cap, line);
    }
    fg_free(ctx, table);
    return err;
}

static uint32_t line_at(const py_code *code, int64_t offset) {
    size_t low = 0, high = code->line_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (code->lines[middle].from <= offset)
            low = middle;
        else
            high = middle;
    }
    return code->lines[low].line;
}

int py_code_frame(uint32_t *out, py_codes *c, py_code *code, int64_t offset, bool lines) {
    *out = code->frame;
    if (!lines) return 0;
    int err = code->lines ? 0 : read_lines(c, code);
    return err ? err : make_frame(out, c, code, line_at(code, offset < 0 ? 0 : offset));
}

void py_codes_free(py_codes *c) {
    fg_ctx *ctx = c->memory->ctx;
    for (size_t i = 0; i < c->count; i++) fg_free(ctx, c->all[i].lines);
    fg_free(ctx, c->all);
    fg_free(ctx, c->index.slots);
}
