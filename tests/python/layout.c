/*
 * Prints where CPython keeps what the sampler reads, as the row of src/sample/python_layouts.h for one version. It is
 * compiled against that version's own headers and not run inside an interpreter:
 *
 *     cc -I/usr/include/python3.11 -I/usr/include/python3.11/internal -o layout tests/python/layout.c && ./layout
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <frameobject.h>
#include <stddef.h>
#include <stdio.h>
#if PY_VERSION_HEX < 0x03090000
#include <internal/pycore_pystate.h>
#else
#include <internal/pycore_interp.h>
#include <internal/pycore_runtime.h>
#endif
#if PY_VERSION_HEX >= 0x030B0000
#include <internal/pycore_frame.h>
#endif
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_interpframe_structs.h>
#endif

#define SHOW(name, value) printf(" ." #name " = %zu,", (size_t)(value))

static void runtime_and_interpreter(void) {
    SHOW(runtime_head, offsetof(_PyRuntimeState, interpreters.head));
    SHOW(interp_next, offsetof(PyInterpreterState, next));
    SHOW(interp_id, offsetof(PyInterpreterState, id));
#if PY_VERSION_HEX < 0x030B0000
    SHOW(interp_threads, offsetof(PyInterpreterState, tstate_head));
#else
    SHOW(interp_threads, offsetof(PyInterpreterState, threads.head));
#endif
#if PY_VERSION_HEX < 0x030C0000
    SHOW(runtime_gil, offsetof(_PyRuntimeState, ceval.gil));
#else
    SHOW(interp_gil, offsetof(PyInterpreterState, ceval.gil));
#endif
    SHOW(gil_holder, offsetof(struct _gil_runtime_state, last_holder));
    SHOW(gil_locked, offsetof(struct _gil_runtime_state, locked));
    puts("");
}

static void thread(void) {
    SHOW(thread_next, offsetof(PyThreadState, next));
    SHOW(thread_interp, offsetof(PyThreadState, interp));
    SHOW(thread_id, offsetof(PyThreadState, thread_id));
#if PY_VERSION_HEX < 0x030B0000
    SHOW(thread_frame, offsetof(PyThreadState, frame));
#else
    SHOW(thread_native_id, offsetof(PyThreadState, native_thread_id));
    SHOW(thread_chunk, offsetof(PyThreadState, datastack_chunk));
#if PY_VERSION_HEX < 0x030D0000
    SHOW(thread_frame, offsetof(PyThreadState, cframe));
    SHOW(cframe_frame, offsetof(_PyCFrame, current_frame));
#else
    SHOW(thread_frame, offsetof(PyThreadState, current_frame));
#endif
#endif
    puts("");
}

static void frame(void) {
#if PY_VERSION_HEX < 0x030B0000
    SHOW(frame_size, offsetof(PyFrameObject, f_blockstack));
    SHOW(frame_back, offsetof(PyFrameObject, f_back));
    SHOW(frame_code, offsetof(PyFrameObject, f_code));
    SHOW(frame_instruction, offsetof(PyFrameObject, f_lasti));
#if PY_VERSION_HEX < 0x030A0000
    SHOW(frame_state, offsetof(PyFrameObject, f_executing));
#else
    SHOW(frame_state, offsetof(PyFrameObject, f_state));
#endif
#else
    SHOW(frame_size, offsetof(_PyInterpreterFrame, localsplus));
    SHOW(frame_back, offsetof(_PyInterpreterFrame, previous));
#if PY_VERSION_HEX < 0x030D0000
    SHOW(frame_code, offsetof(_PyInterpreterFrame, f_code));
    SHOW(frame_instruction, offsetof(_PyInterpreterFrame, prev_instr));
#else
    SHOW(frame_code, offsetof(_PyInterpreterFrame, f_executable));
    SHOW(frame_instruction, offsetof(_PyInterpreterFrame, instr_ptr));
#endif
    SHOW(frame_state, offsetof(_PyInterpreterFrame, owner));
#endif
    puts("");
}

static void code(void) {
    SHOW(code_file, offsetof(PyCodeObject, co_filename));
    SHOW(code_name, offsetof(PyCodeObject, co_name));
    SHOW(code_line, offsetof(PyCodeObject, co_firstlineno));
#if PY_VERSION_HEX < 0x030A0000
    SHOW(code_lines, offsetof(PyCodeObject, co_lnotab));
#else
    SHOW(code_lines, offsetof(PyCodeObject, co_linetable));
#endif
#if PY_VERSION_HEX < 0x030B0000
    SHOW(code_bytes, offsetof(PyCodeObject, co_code));
#else
    SHOW(code_bytes, offsetof(PyCodeObject, co_code_adaptive));
    SHOW(code_qualname, offsetof(PyCodeObject, co_qualname));
#endif
    puts("");
}

static void text(void) {
    SHOW(text_length, offsetof(PyASCIIObject, length));
    SHOW(text_state, offsetof(PyASCIIObject, state));
    SHOW(text_ascii, sizeof(PyASCIIObject));
    SHOW(text_compact, sizeof(PyCompactUnicodeObject));
    SHOW(bytes_data, offsetof(PyBytesObject, ob_sval));
    puts("");
}

int main(void) {
    printf("{.minor = %d,", PY_MINOR_VERSION);
    runtime_and_interpreter();
    thread();
    frame();
    code();
    text();
    puts("},");
    return 0;
}
