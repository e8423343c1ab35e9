/* Compiles the operations of a register without asking the model: checker/problem.py and checker/models/register.py in
 * one. Anything unusual (an unknown operation, a malformed argument) is left to Python, which says what is wrong. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

const char compile_registers_doc[] =
    "compile_registers(operations, initial, cas, looks_ahead, freeze, outcomes) -> problem or None\n\n"
    "operations: a tuple, in the order of their calls. cas: compare-and-set is known, and one that failed with `mismatch`\n"
    "observes. freeze: checker.history.freeze. outcomes: ok, fail, info. None: let Python judge.";

enum { F, VALUE, RESULT, OUTCOME, ERROR_, CALL_ORDER, RETURN_ORDER, NAMES };
static const char *const NAME[NAMES] = {"f", "value", "result", "outcome", "error", "call_order", "return_order"};

typedef struct {
    Subject *subject;
    PyObject *names[NAMES], *freeze, *ok, *fail, *info, *numbers; /* numbers: value -> state */
    bool cas, unusual;
    int32_t *table, table_cap, ops_cap; /* hash of (what, from, to) -> class */
    int64_t *called, *returned;
    int64_t *made_at; /* per value: when something that makes it was first called */
    int32_t made_cap;
} Compiler;

static PyObject *get(Compiler *c, PyObject *operation, int name) { return PyObject_GetAttr(operation, c->names[name]); }

/* The number of a value, or NOBODY with an error set. Integers, strings and None are their own frozen form. */
static int32_t number_of(Compiler *c, PyObject *value) {
    PyObject *frozen = NULL;
    bool plain = value == Py_None || (PyObject *)Py_TYPE(value) == (PyObject *)&PyLong_Type ||
                 (PyObject *)Py_TYPE(value) == (PyObject *)&PyUnicode_Type;
    if (!plain) {
        frozen = PyObject_CallFunctionObjArgs(c->freeze, value, NULL);
        if (!frozen) return NOBODY;
        value = frozen;
    }
    int32_t number = NOBODY;
    PyObject *known = PyDict_GetItemWithError(c->numbers, value);
    if (known)
        number = (int32_t)PyLong_AsLong(known);
    else if (!PyErr_Occurred()) {
        Py_ssize_t next = PyList_Size(c->subject->values);
        PyObject *fresh = PyLong_FromSsize_t(next);
        if (fresh && PyDict_SetItem(c->numbers, value, fresh) == 0 && PyList_Append(c->subject->values, value) == 0)
            number = (int32_t)next;
        Py_XDECREF(fresh);
    }
    Py_XDECREF(frozen);
    return number;
}

static uint32_t spread(RegisterOp op) {
    uint64_t x = ((uint64_t)(uint32_t)op.from << 32 | (uint32_t)op.to) * 8 + (uint64_t)op.what;
    x *= UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(x >> 32);
}

static bool widen(Compiler *c) {
    Problem *p = &c->subject->problem;
    int32_t cap = c->table_cap ? 2 * c->table_cap : 256;
    int32_t *table = malloc(sizeof *table * (size_t)cap);
    RegisterOp *ops = realloc(p->oracle.ops, sizeof *ops * (size_t)cap / 2);
    if (ops) p->oracle.ops = ops;
    uint8_t *traits = realloc(p->traits, (size_t)cap / 2);
    if (traits) p->traits = traits;
    if (!table || !ops || !traits) {
        free(table);
        PyErr_NoMemory();
        return false;
    }
    for (int32_t i = 0; i < cap; i++) table[i] = NOBODY;
    for (int32_t kind = 0; kind < p->classes; kind++) {
        uint32_t at = spread(ops[kind]) & (uint32_t)(cap - 1);
        while (table[at] != NOBODY) at = (at + 1) & (uint32_t)(cap - 1);
        table[at] = kind;
    }
    free(c->table);
    c->table = table, c->table_cap = cap, c->ops_cap = cap / 2;
    return true;
}

static uint8_t traits_of(RegisterOp op) {
    switch (op.what) {
    case READ: return OBSERVER;
    case READ_ANYTHING: return OBSERVER | TOTAL;
    case WRITE: return CONSTANT;
    case CAS_DONE: return op.from == op.to ? OBSERVER : 0;
    case CAS_MAYBE: return op.from == op.to ? OBSERVER | TOTAL : TOTAL;
    default: return OBSERVER;
    }
}

static int32_t class_of(Compiler *c, RegisterOp op) {
    Problem *p = &c->subject->problem;
    if (p->classes == c->ops_cap && !widen(c)) return NOBODY;
    uint32_t at = spread(op) & (uint32_t)(c->table_cap - 1);
    for (; c->table[at] != NOBODY; at = (at + 1) & (uint32_t)(c->table_cap - 1)) {
        const RegisterOp *other = &p->oracle.ops[c->table[at]];
        if (other->what == op.what && other->from == op.from && other->to == op.to) return c->table[at];
    }
    p->oracle.ops[p->classes] = op;
    p->traits[p->classes] = traits_of(op);
    return c->table[at] = p->classes++;
}

/* `[from, to]`, by number. False with an error or `unusual` set. */
static bool read_pair(Compiler *c, PyObject *value, RegisterOp *op) {
    bool list = PyList_Check(value);
    if (!(list ? PyList_Size(value) == 2 : PyTuple_Check(value) && PyTuple_Size(value) == 2)) {
        c->unusual = true;
        return false;
    }
    op->from = number_of(c, list ? PyList_GetItem(value, 0) : PyTuple_GetItem(value, 0));
    op->to = op->from == NOBODY ? NOBODY : number_of(c, list ? PyList_GetItem(value, 1) : PyTuple_GetItem(value, 1));
    return op->to != NOBODY;
}

/* What an operation does. False with an error or `unusual` set. */
static bool read_deed(Compiler *c, PyObject *operation, PyObject *f, PyObject *outcome, RegisterOp *op) {
    bool read = PyUnicode_CompareWithASCIIString(f, "read") == 0;
    if (read && outcome == c->info) {
        *op = (RegisterOp){READ_ANYTHING, 0, 0};
        return true;
    }
    PyObject *value = get(c, operation, read ? RESULT : VALUE);
    if (!value) return false;
    bool done = true;
    if (read) {
        *op = (RegisterOp){READ, number_of(c, value), 0};
        done = op->from != NOBODY;
    } else if (PyUnicode_CompareWithASCIIString(f, "write") == 0) {
        *op = (RegisterOp){WRITE, 0, number_of(c, value)};
        done = op->to != NOBODY;
    } else if (c->cas && PyUnicode_CompareWithASCIIString(f, "cas") == 0) {
        op->what = outcome == c->ok ? CAS_DONE : outcome == c->info ? CAS_MAYBE : CAS_REFUSED;
        done = read_pair(c, value, op);
    } else {
        c->unusual = true;
        done = false;
    }
    Py_DECREF(value);
    return done;
}

/* Of a failed operation: does its failure tell something? 1, 0, or -1 with an error set. */
static int failure_observes(Compiler *c, PyObject *operation, PyObject *f) {
    if (!c->cas || PyUnicode_CompareWithASCIIString(f, "cas") != 0) return 0;
    PyObject *error = get(c, operation, ERROR_);
    if (!error) return -1;
    int observes = PyUnicode_Check(error) && PyUnicode_CompareWithASCIIString(error, "mismatch") == 0;
    Py_DECREF(error);
    return observes;
}

static bool read_rank(Compiler *c, PyObject *operation, int name, int64_t *rank) {
    PyObject *found = get(c, operation, name);
    if (!found) return false;
    *rank = found == Py_None ? INT64_MAX : PyLong_AsLongLong(found);
    Py_DECREF(found);
    return !PyErr_Occurred();
}

static bool note_made(Compiler *c, RegisterOp op, int64_t called) {
    if (op.what != WRITE && op.what != CAS_DONE && op.what != CAS_MAYBE) return true;
    if (op.to >= c->made_cap) {
        int32_t cap = 2 * op.to + 16;
        int64_t *made_at = realloc(c->made_at, sizeof *made_at * (size_t)cap);
        if (!made_at) {
            PyErr_NoMemory();
            return false;
        }
        for (int32_t i = c->made_cap; i < cap; i++) made_at[i] = i ? INT64_MAX : INT64_MIN; /* the first is there */
        c->made_at = made_at, c->made_cap = cap;
    }
    if (called < c->made_at[op.to]) c->made_at[op.to] = called;
    return true;
}

/* The first operation, by return, that must find a value which nothing had been called to make by then. */
static int32_t find_unwritten(const Compiler *c) {
    const Problem *p = &c->subject->problem;
    int32_t found = NOBODY;
    for (int32_t i = 0; i < p->operations; i++) {
        const RegisterOp *op = &p->oracle.ops[p->class_of[i]];
        if (c->returned[i] == INT64_MAX || (op->what != READ && op->what != CAS_DONE)) continue;
        int64_t made_at = op->from < c->made_cap ? c->made_at[op->from] : op->from ? INT64_MAX : INT64_MIN;
        if (made_at > c->returned[i] && (found == NOBODY || c->returned[i] < c->returned[found])) found = i;
    }
    return found;
}

static bool keep(Compiler *c, PyObject *operation, int32_t place, int32_t kind) {
    Problem *p = &c->subject->problem;
    int32_t n = p->operations;
    if (!read_rank(c, operation, CALL_ORDER, &c->called[n]) || !read_rank(c, operation, RETURN_ORDER, &c->returned[n]))
        return false;
    if (!note_made(c, p->oracle.ops[kind], c->called[n])) return false;
    if (c->returned[n] == INT64_MAX && p->traits[kind] & OBSERVER) return true; /* it can always be left out */
    if (c->returned[n] < c->called[n] || (n && c->called[n] < c->called[n - 1])) {
        c->unusual = true;
        return false;
    }
    p->class_of[n] = kind;
    p->source[n] = place;
    p->operations++;
    return true;
}

/* Reads one operation. False with an error or `unusual` set. */
static bool take(Compiler *c, PyObject *operation, int32_t place) {
    PyObject *f = get(c, operation, F), *outcome = f ? get(c, operation, OUTCOME) : NULL;
    bool taken = f && outcome;
    if (taken && !(PyUnicode_Check(f) && (outcome == c->ok || outcome == c->fail || outcome == c->info)))
        c->unusual = true, taken = false;
    int counts = !taken ? 0 : outcome == c->fail ? failure_observes(c, operation, f) : 1;
    if (taken && counts) {
        RegisterOp op;
        taken = counts > 0 && read_deed(c, operation, f, outcome, &op);
        int32_t kind = taken ? class_of(c, op) : NOBODY;
        taken = kind != NOBODY && keep(c, operation, place, kind);
    }
    Py_XDECREF(f), Py_XDECREF(outcome);
    return taken;
}

static bool start(Compiler *c, PyObject *initial, Py_ssize_t n) {
    Problem *p = &c->subject->problem;
    size_t room = (size_t)n + 1;
    for (int i = 0; i < NAMES; i++)
        if (!(c->names[i] = PyUnicode_InternFromString(NAME[i]))) return false;
    c->numbers = PyDict_New();
    c->subject->values = PyList_New(0);
    p->class_of = malloc(sizeof *p->class_of * room);
    p->source = malloc(sizeof *p->source * room);
    c->called = malloc(sizeof *c->called * room);
    c->returned = malloc(sizeof *c->returned * room);
    if (!p->class_of || !p->source || !c->called || !c->returned) PyErr_NoMemory();
    return !PyErr_Occurred() && number_of(c, initial) == 0 && PyList_Append(c->subject->values, Py_None) == 0 && widen(c);
}

static bool compile(Compiler *c, PyObject *operations, PyObject *initial, int looks_ahead) {
    Problem *p = &c->subject->problem;
    Py_ssize_t n = PyTuple_Size(operations);
    if (n >= INT32_MAX / 4) {
        c->unusual = true;
        return false;
    }
    if (!start(c, initial, n)) return false;
    for (int32_t i = 0; i < n; i++)
        if (!take(c, PyTuple_GetItem(operations, i), i)) return false;
    p->impossible = find_unwritten(c);
    p->oracle.values_n = (int32_t)PyList_Size(c->subject->values);
    p->oracle.looks_ahead = looks_ahead, p->oracle.elsewhere = looks_ahead ? 1 : BROKEN;
    if (problem_build(p, c->called, c->returned) && problem_look_ahead(p)) return true;
    PyErr_NoMemory();
    return false;
}

PyObject *compile_registers(PyObject *module, PyObject *args) {
    PyObject *operations, *initial;
    int cas, looks_ahead;
    Compiler c = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "O!OppO(OOO)", &PyTuple_Type, &operations, &initial, &cas, &looks_ahead, &c.freeze, &c.ok,
                          &c.fail, &c.info))
        return NULL;
    c.cas = cas;
    c.subject = calloc(1, sizeof *c.subject);
    if (!c.subject) return PyErr_NoMemory();
    c.subject->operations = Py_NewRef(operations);
    bool compiled = compile(&c, operations, initial, looks_ahead);
    for (int i = 0; i < NAMES; i++) Py_XDECREF(c.names[i]);
    Py_XDECREF(c.numbers);
    free(c.table), free(c.called), free(c.returned), free(c.made_at);
    if (compiled) return subject_wrap(c.subject);
    subject_drop(c.subject);
    if (c.unusual && !PyErr_Occurred()) return Py_NewRef(Py_None);
    return NULL;
}
