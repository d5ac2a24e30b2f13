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
 * _Py_DebugOffsets (Include/internal/pycore_debug_offsets.h) is a struct of words: which one is which, by version.
 */
enum { COOKIE, VERSION, FREE_THREADED };
enum { FIRST = 13, VERSIONS = 3 };
static const struct {
    uint32_t field; /* in py_layout */
    uint8_t words[VERSIONS];
} published[] = {
    {offsetof(py_layout, runtime_head), {5, 5, 5}},
    {offsetof(py_layout, interp_id), {7, 7, 7}},
    {offsetof(py_layout, interp_next), {8, 8, 8}},
    {offsetof(py_layout, interp_threads), {9, 9, 9}},
    {offsetof(py_layout, interp_gil), {14, 15, 15}},
    {offsetof(py_layout, thread_next), {21, 24, 24}},
    {offsetof(py_layout, thread_interp), {22, 25, 25}},
    {offsetof(py_layout, thread_frame), {23, 26, 26}},
    {offsetof(py_layout, thread_id), {24, 27, 30}},
    {offsetof(py_layout, thread_native_id), {25, 28, 31}},
    {offsetof(py_layout, thread_chunk), {26, 29, 32}},
    {offsetof(py_layout, frame_back), {29, 32, 40}},
    {offsetof(py_layout, frame_code), {30, 33, 41}},
    {offsetof(py_layout, frame_instruction), {31, 34, 42}},
    {offsetof(py_layout, frame_size), {32, 35, 43}},
    {offsetof(py_layout, frame_state), {33, 36, 44}},
    {offsetof(py_layout, code_file), {35, 40, 48}},
    {offsetof(py_layout, code_name), {36, 41, 49}},
    {offsetof(py_layout, code_qualname), {37, 42, 50}},
    {offsetof(py_layout, code_lines), {38, 43, 51}},
    {offsetof(py_layout, code_line), {39, 44, 52}},
    {offsetof(py_layout, code_bytes), {43, 48, 56}},
    {offsetof(py_layout, bytes_data), {66, 76, 88}},
    {offsetof(py_layout, text_state), {68, 78, 90}},
    {offsetof(py_layout, text_length), {69, 79, 91}},
    {offsetof(py_layout, text_ascii), {70, 80, 92}},
};
/* The GIL's own offsets follow that of an interpreter's part about it; its parts are from the start of an interpreter. */
enum { GIL_STATE = 1, GIL_LOCKED = 3, GIL_HOLDER = 4 };

/* No struct that is read is larger: an offset beyond this is no offset. */
enum { LARGEST = 1 << 20, LARGEST_READ = 4096 };

bool py_layout_published(py_layout *out, const uint64_t *words) {
    if (memcmp(words, "xdebugpy", 8) != 0) return false;
    uint32_t minor = (uint32_t)(words[VERSION] >> 16) & 0xff;
    if (words[VERSION] >> 24 != 3 || minor < FIRST || minor >= FIRST + VERSIONS || !py_layout_of(out, minor))
        return false;
    const uint64_t *gil = words;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        uint8_t word = published[i].words[minor - FIRST];
        if (words[word] > LARGEST) return false;
        uint32_t offset = (uint32_t)words[word];
        memcpy((char *)out + published[i].field, &offset, sizeof offset);
        if (published[i].field == offsetof(py_layout, interp_gil)) gil = words + word;
    }
    uint64_t locked = gil[GIL_LOCKED] - gil[GIL_STATE], holder = gil[GIL_HOLDER] - gil[GIL_STATE];
    if (locked > LARGEST_READ || holder > LARGEST_READ) return false;
    out->gil_locked = (uint32_t)locked;
    out->gil_holder = (uint32_t)holder;
    out->free_threaded = words[FREE_THREADED] != 0;
    return out->frame_size <= LARGEST_READ && out->code_bytes <= LARGEST_READ &&
           out->thread_chunk <= LARGEST_READ;
}
