/*
 * One thread's frames. A stack is torn when its frames were read at different times and do not belong together. What
 * gives it away: a frame without a code object, an instruction outside of its code, a chain that does not end or runs
 * in a circle, before 3.11 a caller that is not executing, from 3.11 on a frame that begins before its caller's end.
 *
 * A generator that has just yielded has no caller any more. This happens all the time, as tight loops resume one each
 * few nanoseconds; but the caller is who resumes it next, or where the thread is now, so that the walk goes on from there.
 */
#include "sample/python.h"

enum { EXECUTING_3_8 = 1, EXECUTING_3_10 = 0, CHUNK_HEAD = 24 };
enum { OWNED_BY_THREAD = 0, OWNED_BY_GENERATOR = 1, OWNED_BY_C = 3 };
enum { MOST_CHUNK = 1 << 20, ROUND = 512, LOOKS = 4 };

typedef struct walk {
    py_codes *codes;
    py_memory *memory;
    const py_layout *layout;
    uint64_t frame;  /* address of the one at hand; 0: the end */
    uint64_t callee; /* of the frame that it called, if both are in the chunks; 0: none */
    uint64_t chunk;  /* the thread's chunk of frames, and how much of it is used */
    uint64_t chunk_used;
} walk;

/* Copy as much of a chunk as is used: then all frames in it are copies of one moment. */
static void copy_chunk(walk *w, const uint8_t *thread) {
    if (!w->layout->thread_chunk) return;
    uint64_t chunk = py_word(thread + w->layout->thread_chunk),
             top = py_word(thread + w->layout->thread_chunk + 8);
    if (top <= chunk || top - chunk > MOST_CHUNK) return;
    w->chunk = chunk;
    w->chunk_used = top - chunk;
    py_memory_get(w->memory, chunk, (size_t)(w->chunk_used + ROUND - 1) & ~(size_t)(ROUND - 1));
}

/* A frame below the first chunk is in one that was filled before it: each begins with its predecessor, size and top. */
static void copy_older_chunk(walk *w) {
    for (int i = 0; i < 64 && w->chunk; i++) {
        if (w->frame >= w->chunk && w->frame - w->chunk < w->chunk_used) {
            py_memory_get(w->memory, w->chunk, w->chunk_used);
            return;
        }
        const uint8_t *head = py_memory_get(w->memory, w->chunk, CHUNK_HEAD);
        w->chunk = head ? py_word(head) : 0;
        head = w->chunk ? py_memory_get(w->memory, w->chunk, CHUNK_HEAD) : NULL;
        uint64_t used = head ? CHUNK_HEAD + py_word(head + 16) * 8 : 0;
        w->chunk_used = used <= MOST_CHUNK ? used : 0;
    }
}

static bool begin(walk *w, const uint8_t *thread) {
    w->frame = py_word(thread + w->layout->thread_frame);
    if (w->frame && py_has_chunks(w->layout) && w->layout->minor <= 12) {
        const uint8_t *cframe = py_memory_get(w->memory, w->frame, w->layout->cframe_frame + 8);
        if (!cframe) return false;
        w->frame = py_word(cframe + w->layout->cframe_frame);
    }
    if (w->frame) copy_chunk(w, thread);
    return true;
}

/* The thread's frame as it is now; 0: none, or it cannot be read. */
static uint64_t frame_now(const walk *w, uint64_t thread) {
    uint64_t frame = 0, at = thread + w->layout->thread_frame;
    if (!py_memory_read(w->memory, at, &frame, sizeof frame)) return 0;
    if (!frame || !py_has_chunks(w->layout) || w->layout->minor > 12) return frame;
    at = frame + w->layout->cframe_frame;
    return py_memory_read(w->memory, at, &frame, sizeof frame) ? frame : 0;
}

/*
 * The caller of a generator that had just yielded when its frame was copied. It may run again by now, for the same
 * caller as a rule: then its frame tells. To read the whole stack anew instead would prefer what runs for longer at a
 * time, which is the caller: tight loops over generators would lose a fifth of these.
 */
static uint64_t resumer(const walk *w, uint64_t thread) {
    uint64_t back = 0, now = 0;
    for (int i = 0; i < LOOKS; i++) {
        if (!py_memory_read(w->memory, w->frame + w->layout->frame_back, &back, sizeof back)) return 0;
        if (back) return back;
        now = frame_now(w, thread);
    }
    return now == w->frame ? 0 : now;
}

/* Whether a frame belongs to a generator, of whatever kind; before 3.11 one that is not executing must. */
static bool is_generator(const py_layout *l, const uint8_t *frame) {
    if (l->minor < 10) return frame[l->frame_state] != EXECUTING_3_8;
    if (l->minor == 10) return frame[l->frame_state] != EXECUTING_3_10;
    return frame[l->frame_state] == OWNED_BY_GENERATOR;
}

static int64_t offset_of(const walk *w, const py_code *code, const uint8_t *frame) {
    const py_layout *l = w->layout;
    if (l->minor >= 11)
        return (int64_t)(py_word(frame + l->frame_instruction) - (code->address + l->code_bytes));
    int64_t last = py_int(frame + l->frame_instruction);
    return l->minor == 10 ? last * 2 : last;
}

/* Whether the frame, as it was copied, can have called the one before. */
static bool belongs(walk *w, const py_code *code, const uint8_t *frame, int64_t offset, bool innermost) {
    const py_layout *l = w->layout;
    if (offset < -8 || offset > (int64_t)code->size + 8)
        return l->free_threaded; /* code can be a thread's own there */
    if (l->minor < 10) return innermost || frame[l->frame_state] == EXECUTING_3_8;
    if (l->minor == 10) return innermost || frame[l->frame_state] == EXECUTING_3_10;
    if (frame[l->frame_state] != OWNED_BY_THREAD) return true;
    uint64_t end = w->frame + code->frame_words * 8ull;
    if (w->callee > w->frame && w->callee - w->frame < MOST_CHUNK && w->callee < end) return false;
    w->callee = w->frame;
    return true;
}

/* Frames of C code between Python's have no code of their own. */
static bool is_foreign(const walk *w, const uint8_t *frame) {
    return w->layout->minor >= 12 && frame[w->layout->frame_state] >= OWNED_BY_C;
}

/* Whether C called it, as far as the frame tells: before 3.11 always; from 3.12 on a frame of C is below it instead. */
static bool is_entry(const py_layout *l, const uint8_t *frame) {
    return l->minor < 11 || (l->minor == 11 && frame[l->frame_state - 1]);
}

/* A frame of C is next: it is that of the run in which the last one was, unless there was one for it. */
static void enter(py_stack *out, uint64_t shim) {
    py_frame *last = out->count ? &out->frames[out->count - 1] : NULL;
    if (!last || last->entered) return;
    last->entered = true;
    last->shim = shim;
}

static int add_frame(py_stack *out, walk *w, const uint8_t *frame, double now, bool lines,
                     py_verdict *verdict) {
    int err = 0;
    /* 3.14 marks references that it does not count in the lowest bits */
    py_code *code = py_code_at(w->codes, py_word(frame + w->layout->frame_code) & ~7ull, now, &err);
    int64_t offset = code ? offset_of(w, code, frame) : 0;
    if (!code || !belongs(w, code, frame, offset, out->count == 0)) {
        *verdict = PY_TORN;
        return err;
    }
    py_frame *added = &out->frames[out->count++];
    *added = (py_frame){.entered = is_entry(w->layout, frame)};
    return py_code_frame(&added->id, w->codes, code, offset, lines);
}

int py_stack_read(py_stack *out, py_codes *codes, uint64_t address, const uint8_t *thread, double now,
                  bool lines, py_verdict *verdict) {
    walk w = {.codes = codes, .memory = codes->memory, .layout = codes->layout};
    out->count = 0;
    out->truncated = false;
    *verdict = PY_TORN;
    if (!begin(&w, thread)) return 0;
    *verdict = PY_WHOLE;
    for (size_t steps = 0; w.frame; steps++) {
        if (out->count == PY_DEEPEST || steps == 2 * PY_DEEPEST) {
            out->truncated = true;
            break;
        }
        if (w.chunk && w.frame - w.chunk >= w.chunk_used) copy_older_chunk(&w);
        const uint8_t *frame = py_memory_get(w.memory, w.frame, w.layout->frame_size);
        if (!frame) *verdict = PY_TORN;
        bool foreign = frame && is_foreign(&w, frame);
        if (foreign) enter(out, w.frame);
        int err = frame && !foreign ? add_frame(out, &w, frame, now, lines, verdict) : 0;
        if (err || *verdict == PY_TORN) return err;
        uint64_t back = py_word(frame + w.layout->frame_back);
        if (!back && is_generator(w.layout, frame)) {
            back = resumer(&w, address);
            if (!back) {
                *verdict = PY_TORN;
                return 0;
            }
        }
        w.frame = back;
    }
    if (out->count) out->frames[out->count - 1].entered = true;
    if (!out->count) *verdict = PY_EMPTY;
    return 0;
}
