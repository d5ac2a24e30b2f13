/* An extension that works without letting the interpreter's lock go: holding.work(seconds). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noinline)) double held_spin(double seconds) {
    volatile double sum = 0;
    for (double end = now() + seconds; now() < end;)
        for (int i = 0; i < 1000; i++) sum = sum + i;
    return sum;
}

static PyObject *work(PyObject *self, PyObject *seconds) {
    (void)self;
    return PyFloat_FromDouble(held_spin(PyFloat_AsDouble(seconds)));
}

static PyMethodDef methods[] = {{"work", work, METH_O, "Spin, holding the lock"}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "holding", .m_size = -1,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit_holding(void) {
    return PyModule_Create(&module);
}
