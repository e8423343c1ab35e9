/* The parts of the module that know Python. Only the limited API of 3.11, so that one build serves all later versions. */
#ifndef CHECKER_PYTHON_H
#define CHECKER_PYTHON_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>

#include "engine.h"

typedef struct {
    Problem problem;
    PyObject *operations;  /* the caller's, kept alive */
    PyObject *transitions; /* of a table */
    PyObject *values;      /* of a register: state -> value */
    PyThreadState *released; /* while the search runs without the interpreter's lock */
} Subject;

PyObject *subject_wrap(Subject *subject);
void subject_drop(Subject *subject);

extern const char compile_registers_doc[];
PyObject *compile_registers(PyObject *module, PyObject *args);

#endif
