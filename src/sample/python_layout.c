/* Offsets by version: our table, and what interpreters from 3.13 on say of themselves. */
#include "sample/python.h"

static const py_layout layouts[] = {
#include "sample/python_layouts.h"
};

bool py_layout_of(py_layout *out, uint32_t minor) {
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (layouts[i].minor != minor) continue;
        *out = layouts[i];
        return true;
    }
    return false;
}

/*
 * _Py_DebugOffsets (Include/internal/pycore_debug_offsets.h) is a struct of words: which one is which, in 3.13 and 3.14.
 */
enum { COOKIE, VERSION, FREE_THREADED };
static const struct {
    uint32_t field; /* in py_layout */
    uint8_t word13, word14;
} published[] = {
    {offsetof(py_layout, runtime_head), 5, 5},    {offsetof(py_layout, interp_id), 7, 7},
    {offsetof(py_layout, interp_next), 8, 8},     {offsetof(py_layout, interp_threads), 9, 9},
    {offsetof(py_layout, interp_gil), 14, 15},    {offsetof(py_layout, thread_next), 21, 24},
    {offsetof(py_layout, thread_interp), 22, 25}, {offsetof(py_layout, thread_frame), 23, 26},
    {offsetof(py_layout, thread_id), 24, 27},     {offsetof(py_layout, thread_native_id), 25, 28},
    {offsetof(py_layout, thread_chunk), 26, 29},  {offsetof(py_layout, frame_back), 29, 32},
    {offsetof(py_layout, frame_code), 30, 33},    {offsetof(py_layout, frame_instruction), 31, 34},
    {offsetof(py_layout, frame_size), 32, 35},    {offsetof(py_layout, frame_state), 33, 36},
    {offsetof(py_layout, code_file), 35, 40},     {offsetof(py_layout, code_name), 36, 41},
    {offsetof(py_layout, code_qualname), 37, 42}, {offsetof(py_layout, code_lines), 38, 43},
    {offsetof(py_layout, code_line), 39, 44},     {offsetof(py_layout, code_bytes), 43, 48},
    {offsetof(py_layout, bytes_data), 66, 76},    {offsetof(py_layout, text_state), 68, 78},
    {offsetof(py_layout, text_length), 69, 79},   {offsetof(py_layout, text_ascii), 70, 80},
};
/* The parts of the GIL are published from the start of an interpreter. */
enum { GIL13 = 15, GIL14 = 16, GIL_LOCKED = 2, GIL_HOLDER = 3 };

/* No struct that is read is larger: an offset beyond this is no offset. */
enum { LARGEST = 1 << 20, LARGEST_READ = 4096 };

bool py_layout_published(py_layout *out, const uint64_t *words) {
    if (memcmp(words, "xdebugpy", 8) != 0) return false;
    uint32_t minor = (uint32_t)(words[VERSION] >> 16) & 0xff;
    if (words[VERSION] >> 24 != 3 || minor < 13 || !py_layout_of(out, minor)) return false;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        uint64_t offset = words[minor == 13 ? published[i].word13 : published[i].word14];
        if (offset > LARGEST) return false;
        uint32_t small = (uint32_t)offset;
        memcpy((char *)out + published[i].field, &small, sizeof small);
    }
    const uint64_t *gil = words + (minor == 13 ? GIL13 : GIL14);
    if (gil[GIL_LOCKED] - gil[0] > LARGEST_READ || gil[GIL_HOLDER] - gil[0] > LARGEST_READ) return false;
    out->gil_locked = (uint32_t)(gil[GIL_LOCKED] - gil[0]);
    out->gil_holder = (uint32_t)(gil[GIL_HOLDER] - gil[0]);
    out->free_threaded = words[FREE_THREADED] != 0;
    return out->frame_size <= LARGEST_READ && out->code_bytes <= LARGEST_READ &&
           out->thread_chunk <= LARGEST_READ;
}
