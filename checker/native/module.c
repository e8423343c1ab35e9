/* The module checker.native._engine: what Python sees of the compiled search. All that knows Python is here and in
 * registers.c. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

/* ── capsules ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static const char *const PROBLEM = "checker.native.problem", *const END = "checker.native.end";

static void subject_free(PyObject *capsule) {
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    problem_free(&subject->problem);
    Py_XDECREF(subject->transitions);
    Py_XDECREF(subject->operations);
    Py_XDECREF(subject->values);
    free(subject);
}

PyObject *subject_wrap(Subject *subject) {
    PyObject *capsule = PyCapsule_New(subject, PROBLEM, subject_free);
    if (!capsule) subject_drop(subject);
    return capsule;
}

void subject_drop(Subject *subject) {
    problem_free(&subject->problem);
    Py_XDECREF(subject->transitions);
    Py_XDECREF(subject->operations);
    Py_XDECREF(subject->values);
    free(subject);
}

typedef struct {
    End end;
    PyObject *capsule; /* of the problem */
} Ended;

static void ended_free(PyObject *capsule) {
    Ended *ended = PyCapsule_GetPointer(capsule, END);
    end_free(&ended->end);
    Py_XDECREF(ended->capsule);
    free(ended);
}

/* ── a model asked through Python ────────────────────────────────────────────────────────────────────────────────── */

static bool read_number(PyObject *owner, const char *name, int32_t *to) {
    PyObject *found = PyObject_GetAttrString(owner, name);
    if (!found) return false;
    long long value = PyLong_AsLongLong(found);
    Py_DECREF(found);
    if (value == -1 && PyErr_Occurred()) return false;
    *to = value > NEVER ? NEVER : (int32_t)value;
    return true;
}

static bool read_list(PyObject *owner, const char *name, int32_t **to, int32_t *n) {
    PyObject *found = PyObject_GetAttrString(owner, name);
    Py_ssize_t size = found ? PyList_Size(found) : -1;
    bool read = size >= 0;
    if (read) {
        *to = malloc(sizeof **to * ((size_t)size + 1));
        *n = (int32_t)size;
        if (!*to) PyErr_NoMemory(), read = false;
    }
    for (Py_ssize_t i = 0; read && i < size; i++) {
        long value = PyLong_AsLong(PyList_GetItem(found, i));
        read = value != -1 || !PyErr_Occurred();
        (*to)[i] = (int32_t)value;
    }
    Py_XDECREF(found);
    return read;
}

/* Takes over the facts about states that have become known. */
static bool read_facts(Subject *subject) {
    Oracle *o = &subject->problem.oracle;
    PyObject *facts = PyObject_GetAttrString(subject->transitions, "facts");
    Py_ssize_t n = facts ? PyList_Size(facts) : -1;
    bool read = n >= 0;
    if (read && n > o->facts_cap) {
        int32_t cap = n > 2 * o->facts_cap ? (int32_t)n + 16 : 2 * o->facts_cap;
        Facts *grown = realloc(o->facts, sizeof *grown * (size_t)cap);
        if (grown)
            o->facts = grown, o->facts_cap = cap;
        else
            PyErr_NoMemory(), read = false;
    }
    for (; read && o->facts_n < n; ) {
        PyObject *about = PyList_GetItem(facts, o->facts_n);
        Facts *to = &o->facts[o->facts_n++];
        memset(to, 0, sizeof *to);
        read = about && read_number(about, "mentioned_until", &to->mentioned_until) &&
               read_number(about, "demanded_until", &to->demanded_until) &&
               read_number(about, "made_until", &to->made_until) &&
               read_list(about, "demanders", &to->demanders, &to->demanders_n) &&
               read_list(about, "makers", &to->makers, &to->makers_n);
    }
    Py_XDECREF(facts);
    return read;
}

/* Called without the interpreter's lock. */
static int32_t ask_python(void *host, Oracle *oracle, int32_t state, int32_t kind) {
    Subject *subject = host;
    int32_t after = BROKEN;
    if (subject->released) PyEval_RestoreThread(subject->released);
    PyObject *answer = PyObject_CallMethod(subject->transitions, "step", "ii", (int)state, (int)kind);
    if (answer) {
        long number = PyLong_AsLong(answer);
        Py_DECREF(answer);
        if (!PyErr_Occurred() && (!oracle->looks_ahead || read_facts(subject))) after = (int32_t)number;
    }
    if (subject->released) subject->released = PyEval_SaveThread();
    return after;
}

static bool interrupted(void *host) {
    Subject *subject = host;
    PyEval_RestoreThread(subject->released);
    bool stop = PyErr_CheckSignals() != 0;
    subject->released = PyEval_SaveThread();
    return stop;
}

/* ── compile ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

static bool read_rank(PyObject *operation, PyObject *name, int64_t *to) {
    PyObject *found = PyObject_GetAttr(operation, name);
    if (!found) return false;
    *to = found == Py_None ? INT64_MAX : PyLong_AsLongLong(found);
    Py_DECREF(found);
    return !PyErr_Occurred();
}

static bool fill_table(Subject *subject, PyObject *class_of, PyObject *traits, PyObject *lapses, int64_t *called,
                       int64_t *returned) {
    Problem *p = &subject->problem;
    PyObject *call_order = PyUnicode_InternFromString("call_order");
    PyObject *return_order = PyUnicode_InternFromString("return_order");
    bool filled = call_order && return_order;
    for (int32_t i = 0; filled && i < p->operations; i++) {
        PyObject *operation = PyTuple_GetItem(subject->operations, i), *kind = PyTuple_GetItem(class_of, i);
        filled = operation && kind && read_rank(operation, call_order, &called[i]) &&
                 read_rank(operation, return_order, &returned[i]);
        if (filled) p->class_of[i] = (int32_t)PyLong_AsLong(kind), p->source[i] = i;
        PyObject *lapse = filled ? PyTuple_GetItem(lapses, i) : NULL;
        filled = lapse != NULL;
        if (filled) {
            long long step = PyLong_AsLongLong(lapse);
            p->lapse[i] = step > NEVER ? NEVER : (int32_t)step;
        }
        filled = filled && !PyErr_Occurred();
    }
    for (int32_t i = 0; filled && i < p->classes; i++) {
        PyObject *bits = PyTuple_GetItem(traits, i);
        if (bits) p->traits[i] = (uint8_t)PyLong_AsLong(bits);
        filled = !PyErr_Occurred();
    }
    Py_XDECREF(call_order), Py_XDECREF(return_order);
    return filled;
}

PyDoc_STRVAR(compile_table_doc,
    "compile_table(operations, class_of, traits, lapses, transitions, looks_ahead) -> problem\n\n"
    "A problem whose model is asked through `transitions` (checker.transitions.Transitions), once for each pair.\n"
    "traits: per class, 1 observer + 2 total + 4 constant.");

static PyObject *compile_table(PyObject *module, PyObject *args) {
    PyObject *operations, *class_of, *traits, *lapses, *transitions;
    int looks_ahead;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O!O!O!Op", &PyTuple_Type, &operations, &PyTuple_Type, &class_of, &PyTuple_Type, &traits,
                          &PyTuple_Type, &lapses, &transitions, &looks_ahead))
        return NULL;
    Subject *subject = calloc(1, sizeof *subject);
    if (!subject) return PyErr_NoMemory();
    Problem *p = &subject->problem;
    subject->operations = Py_NewRef(operations), subject->transitions = Py_NewRef(transitions);
    p->operations = (int32_t)PyTuple_Size(operations), p->classes = (int32_t)PyTuple_Size(traits);
    size_t room = (size_t)p->operations + 1;
    p->class_of = malloc(sizeof *p->class_of * room), p->source = malloc(sizeof *p->source * room);
    p->traits = malloc((size_t)p->classes + 1), p->lapse = malloc(sizeof *p->lapse * room);
    p->oracle.ask = ask_python, p->oracle.host = subject;
    p->oracle.looks_ahead = looks_ahead, p->oracle.elsewhere = looks_ahead ? 1 : BROKEN;
    int64_t *called = malloc(sizeof *called * room), *returned = malloc(sizeof *returned * room);
    bool built = p->class_of && p->source && p->traits && p->lapse && called && returned;
    if (built) built = fill_table(subject, class_of, traits, lapses, called, returned) && problem_build(p, called, returned, 0);
    free(called), free(returned);
    if (built && looks_ahead) built = read_facts(subject);
    if (built) return subject_wrap(subject);
    subject_drop(subject);
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

/* Marks the classes in a tuple of numbers. NULL with an error set. */
static uint8_t *read_kinds(PyObject *kinds, int32_t classes) {
    uint8_t *marked = calloc((size_t)classes + 1, 1);
    if (!marked) PyErr_NoMemory();
    for (Py_ssize_t i = 0; marked && i < PyTuple_Size(kinds); i++) {
        long kind = PyLong_AsLong(PyTuple_GetItem(kinds, i));
        if (kind >= 0 && kind < classes) marked[kind] = 1;
    }
    if (PyErr_Occurred()) {
        free(marked);
        return NULL;
    }
    return marked;
}

PyDoc_STRVAR(relax_doc,
    "relax(problem, exact) -> problem\n\n"
    "Of a register: with only the first crashed operation of each class, but all of those in `exact`.");

static PyObject *relax(PyObject *module, PyObject *args) {
    PyObject *capsule, *kinds;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!", &capsule, &PyTuple_Type, &kinds)) return NULL;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    uint8_t *exact = read_kinds(kinds, subject->problem.classes);
    if (!exact) return NULL;
    Subject *relaxed = calloc(1, sizeof *relaxed);
    if (!relaxed || !problem_relax(&subject->problem, &relaxed->problem, exact)) {
        if (!relaxed) free(exact);
        free(relaxed);
        return PyErr_NoMemory();
    }
    relaxed->operations = Py_NewRef(subject->operations), relaxed->values = Py_NewRef(subject->values);
    return subject_wrap(relaxed);
}

PyDoc_STRVAR(hold_doc, "hold(problem, exact)\n\nA relaxed pass may use the crashed operations of these classes only once each.");

static PyObject *hold(PyObject *module, PyObject *args) {
    PyObject *capsule, *kinds;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!", &capsule, &PyTuple_Type, &kinds)) return NULL;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    uint8_t *exact = subject ? read_kinds(kinds, subject->problem.classes) : NULL;
    if (!exact) return NULL;
    free(subject->problem.exact);
    subject->problem.exact = exact;
    return Py_NewRef(Py_None);
}

PyDoc_STRVAR(crashed_doc,
    "crashed(problem) -> [(operation, class), …]\n\nThose that count and never returned, in the order of their calls.");

static PyObject *crashed(PyObject *module, PyObject *capsule) {
    (void)module;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    PyObject *list = subject ? PyList_New(0) : NULL;
    for (int32_t i = 0; list && i < subject->problem.operations; i++) {
        if (subject->problem.deadline[i] != NEVER) continue;
        PyObject *operation = PySequence_GetItem(subject->operations, subject->problem.source[i]);
        PyObject *pair = operation ? Py_BuildValue("(Ni)", operation, (int)subject->problem.class_of[i]) : NULL;
        if (!pair || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

PyDoc_STRVAR(figures_doc,
    "figures(problem) -> (operations, steps, slots, states, crashed, looks_ahead)\n\n"
    "states: met so far; only for a register.");

static PyObject *figures(PyObject *module, PyObject *capsule) {
    (void)module;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    const Problem *p = &subject->problem;
    return Py_BuildValue("(iiiiOO)", (int)p->operations, (int)p->steps, (int)p->slots, (int)p->oracle.states_n,
                         p->crashed ? Py_True : Py_False, p->oracle.looks_ahead ? Py_True : Py_False);
}

PyDoc_STRVAR(impossible_doc,
    "impossible(problem) -> operation or None\n\n"
    "Of a register: the first operation that must find what nothing had been called to write by its return.");

static PyObject *impossible(PyObject *module, PyObject *capsule) {
    (void)module;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    const Problem *p = &subject->problem;
    return p->impossible == NOBODY ? Py_NewRef(Py_None)
                                   : PySequence_GetItem(subject->operations, p->source[p->impossible]);
}

PyDoc_STRVAR(close_doc,
    "close(problem, entries_max) -> bool\n\n"
    "Of a register or texts: as Transitions.close, visit all reachable states; False if there are too many.");

static PyObject *close_table(PyObject *module, PyObject *args) {
    PyObject *capsule;
    long long entries_max;
    (void)module;
    if (!PyArg_ParseTuple(args, "OL", &capsule, &entries_max)) return NULL;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    return PyBool_FromLong(oracle_close(&subject->problem.oracle, subject->problem.classes, entries_max));
}

PyDoc_STRVAR(states_before_doc,
    "states_before(problem, step) -> tuple of states\n\n"
    "Of a register that looks ahead: what it may hold when a step begins, whatever came before.");

static PyObject *states_before(PyObject *module, PyObject *args) {
    PyObject *capsule;
    int step;
    int32_t *states, n;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oi", &capsule, &step)) return NULL;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    if (!problem_states_before(&subject->problem, step, &states, &n)) return PyErr_NoMemory();
    PyObject *tuple = PyTuple_New(n);
    for (int32_t i = 0; tuple && i < n; i++) {
        PyObject *number = PyLong_FromLong(states[i]);
        if (!number || PyTuple_SetItem(tuple, i, number) < 0) Py_CLEAR(tuple);
    }
    free(states);
    return tuple;
}

/* ── search ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

PyDoc_STRVAR(search_doc,
    "search(problem, width, burst, frontier_max, relaxed, stop_at, configurations, frontier, seconds, bytes_max, begin,\n"
    "       starts) -> (ending, step, configurations, frontier, end)\n\n"
    "One pass. 0: no limit; seconds negative: no limit. ending: 0 linearized, 1 stuck, 2 too wide, 3 spent. A register is\n"
    "searched without the interpreter's lock; other models take it when they are asked something new. starts: the states in\n"
    "which a late pass begins at the step `begin`; None: at the first step, in the first state.");

static bool read_starts(PyObject *from, int32_t **starts, int32_t *n) {
    if (from == Py_None) return true;
    Py_ssize_t size = PyTuple_Size(from);
    if (size < 0) return false;
    *starts = malloc(sizeof **starts * ((size_t)size + 1));
    if (!*starts) {
        PyErr_NoMemory();
        return false;
    }
    *n = (int32_t)size;
    for (Py_ssize_t i = 0; i < size; i++) (*starts)[i] = (int32_t)PyLong_AsLong(PyTuple_GetItem(from, i));
    return !PyErr_Occurred();
}

static PyObject *run_search(PyObject *module, PyObject *args) {
    PyObject *capsule;
    Pass pass = {0};
    int relaxed;
    long long frontier_max, stop_at, configurations, frontier, bytes_max;
    PyObject *from;
    int32_t *starts = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OiiLpLLLdLiO", &capsule, &pass.width, &pass.burst, &frontier_max, &relaxed, &stop_at,
                          &configurations, &frontier, &pass.seconds, &bytes_max, &pass.begin, &from))
        return NULL;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    if (from != Py_None && subject->problem.oracle.looks_ahead && subject->transitions && !read_facts(subject)) return NULL;
    Ended *ended = read_starts(from, &starts, &pass.starts_n) ? calloc(1, sizeof *ended) : NULL;
    if (!ended) {
        free(starts);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    pass.starts = starts;
    pass.frontier_max = frontier_max, pass.relaxed = relaxed, pass.stop_at = stop_at, pass.bytes_max = (size_t)bytes_max;
    pass.interrupted = interrupted, pass.host = subject;
    ended->end.configurations = configurations, ended->end.frontier_max = frontier;
    ended->capsule = Py_NewRef(capsule);
    subject->released = PyEval_SaveThread();
    search(&subject->problem, &pass, &ended->end);
    PyEval_RestoreThread(subject->released);
    subject->released = NULL;
    free(starts);
    End *end = &ended->end;
    PyObject *wrapped = PyCapsule_New(ended, END, ended_free);
    if (!wrapped) {
        end_free(end), Py_DECREF(ended->capsule), free(ended);
        return NULL;
    }
    if (end->ending == NO_MEMORY || end->ending == FAILED) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        Py_DECREF(wrapped);
        return NULL;
    }
    return Py_BuildValue("(iiLLN)", end->ending, (int)end->step, (long long)end->configurations,
                         (long long)end->frontier_max, wrapped);
}

/* ── what was found ──────────────────────────────────────────────────────────────────────────────────────────────── */

static PyObject *operation_at(const Subject *subject, int32_t number) {
    PyObject *found = PySequence_GetItem(subject->operations, subject->problem.source[number]);
    return found;
}

/* The operations in an order that a search found, as a tuple; and the state after them. */
static PyObject *order_of(Subject *subject, const Trail *trail, int32_t last, int32_t until, int32_t *state) {
    int32_t *order = NULL, n = write_order(&subject->problem, trail, last, until, &order, state);
    PyObject *tuple = n < 0 ? NULL : PyTuple_New(n);
    for (int32_t i = 0; tuple && i < n; i++) {
        PyObject *operation = operation_at(subject, order[i]);
        if (!operation || PyTuple_SetItem(tuple, i, operation) < 0) Py_CLEAR(tuple);
    }
    if (n >= 0 || order) free(order);
    if (!tuple && !PyErr_Occurred()) PyErr_NoMemory();
    return tuple;
}

static Subject *subject_of(PyObject *capsule, Ended **ended) {
    *ended = PyCapsule_GetPointer(capsule, END);
    return *ended ? PyCapsule_GetPointer((*ended)->capsule, PROBLEM) : NULL;
}

PyDoc_STRVAR(linearization_doc, "linearization(end) -> tuple of operations\n\nOf a pass that ended linearized.");

static PyObject *linearization(PyObject *module, PyObject *capsule) {
    (void)module;
    Ended *ended;
    Subject *subject = subject_of(capsule, &ended);
    int32_t state;
    if (!subject) return NULL;
    return order_of(subject, &ended->end.trail, ended->end.last, subject->problem.steps, &state);
}

PyDoc_STRVAR(uses_doc,
    "uses(end) -> [(operation, step), …]\n\nOf a pass that ended linearized: each use of a crashed operation, in order.");

static PyObject *uses(PyObject *module, PyObject *capsule) {
    (void)module;
    Ended *ended;
    Subject *subject = subject_of(capsule, &ended);
    PyObject *list = subject ? PyList_New(0) : NULL;
    const Trail *t = subject ? &ended->end.trail : NULL;
    for (int32_t node = list ? ended->end.last : NOBODY; list && node != NOBODY; node = t->before[node]) {
        if (subject->problem.deadline[t->operation[node]] != NEVER) continue;
        PyObject *operation = operation_at(subject, t->operation[node]);
        PyObject *pair = operation ? Py_BuildValue("(Ni)", operation, (int)t->step[node]) : NULL;
        if (!pair || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    if (list && PyList_Reverse(list) < 0) Py_CLEAR(list);
    return list;
}

/* The open operations in `c` as two tuples: those that must, and those that only may take effect. */
static PyObject *open_operations(const Subject *subject, const uint64_t *c, int32_t step) {
    const Problem *p = &subject->problem;
    PyObject *must = PyList_New(0), *may = PyList_New(0), *both = NULL;
    bool listed = must && may;
    for (int32_t i = 0; listed && i < p->calls_from[step + 1]; i++) {
        int32_t number = p->calls[i], slot = p->slot[number];
        if (p->deadline[number] < step || p->lapse[number] <= step) continue;
        bool owes = c[1 + (slot >> 6)] >> (slot & 63) & 1, offers = c[1 + p->words + (slot >> 6)] >> (slot & 63) & 1;
        if (!owes && !offers) continue;
        PyObject *operation = operation_at(subject, number);
        listed = operation && PyList_Append(owes ? must : may, operation) == 0;
        Py_XDECREF(operation);
    }
    if (listed) both = Py_BuildValue("(NN)", PyList_AsTuple(must), PyList_AsTuple(may));
    Py_XDECREF(must), Py_XDECREF(may);
    return both;
}

static PyObject *survivor(Subject *subject, const End *end, int32_t i) {
    Problem *p = &subject->problem;
    size_t words = 1 + 2 * (size_t)p->words;
    uint64_t *c = malloc(words * sizeof *c);
    PyObject *found = NULL;
    if (!c) return PyErr_NoMemory();
    memcpy(c, end->survivors.words + (size_t)i * words, words * sizeof *c);
    int32_t *order = NULL, state = 0;
    int32_t n = write_order(p, &end->trail, (int32_t)(uint32_t)(c[0] >> 32), end->step, &order, &state);
    free(order);
    if (n >= 0 && arrive_at(p, end->step, c)) {
        PyObject *sets = open_operations(subject, c, end->step);
        if (sets) found = Py_BuildValue("(iN)", (int)state, sets);
    }
    free(c);
    if (!found && !PyErr_Occurred()) PyErr_NoMemory();
    return found;
}

PyDoc_STRVAR(stuck_doc,
    "stuck(end, survivors_max) -> (operation, prefix, [(state, (must, may)), …])\n\n"
    "Where a pass that did not linearize ended. survivors_max 0: no prefix either, for a late pass knows none.");

static PyObject *stuck(PyObject *module, PyObject *args) {
    PyObject *capsule;
    int survivors_max;
    (void)module;
    Ended *ended;
    if (!PyArg_ParseTuple(args, "Oi", &capsule, &survivors_max)) return NULL;
    Subject *subject = subject_of(capsule, &ended);
    if (!subject) return NULL;
    const End *end = &ended->end;
    int32_t n = end->survivors.n, state;
    PyObject *survivors = PyList_New(0), *prefix = NULL;
    bool listed = survivors != NULL;
    for (int32_t i = 0; listed && i < n && i < survivors_max; i++) {
        PyObject *one = survivor(subject, end, i);
        listed = one && PyList_Append(survivors, one) == 0;
        Py_XDECREF(one);
    }
    if (listed && n && survivors_max) {
        const uint64_t *last = end->survivors.words + (size_t)(n - 1) * (1 + 2 * (size_t)subject->problem.words);
        prefix = order_of(subject, &end->trail, (int32_t)(uint32_t)(last[0] >> 32), end->step, &state);
    } else if (listed)
        prefix = PyTuple_New(0);
    if (!prefix) {
        Py_XDECREF(survivors);
        return NULL;
    }
    PyObject *operation = operation_at(subject, subject->problem.returning[end->step]);
    return Py_BuildValue("(NNN)", operation, prefix, survivors);
}

PyDoc_STRVAR(state_doc, "state(problem, number) -> the state\n\nOf a register, or a key of a key-value store.");

static PyObject *state_value(PyObject *module, PyObject *args) {
    PyObject *capsule;
    int number;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oi", &capsule, &number)) return NULL;
    Subject *subject = PyCapsule_GetPointer(capsule, PROBLEM);
    if (!subject) return NULL;
    const Texts *texts = subject->problem.oracle.texts;
    if (!texts) return PySequence_GetItem(subject->values, number);
    if (number == texts->elsewhere) return PySequence_GetItem(subject->values, 1);
    if (number == texts->none) return Py_NewRef(Py_None);
    if (number < 0 || number >= texts->states_n) return PyErr_Format(PyExc_IndexError, "no state %d", number);
    return PyUnicode_FromStringAndSize(texts->of[number].bytes, texts->of[number].length);
}

static PyMethodDef METHODS[] = {
    {"compile_registers", compile_registers, METH_VARARGS, compile_registers_doc},
    {"compile_table", compile_table, METH_VARARGS, compile_table_doc},
    {"relax", relax, METH_VARARGS, relax_doc},
    {"hold", hold, METH_VARARGS, hold_doc},
    {"crashed", crashed, METH_O, crashed_doc},
    {"figures", figures, METH_O, figures_doc},
    {"impossible", impossible, METH_O, impossible_doc},
    {"close", close_table, METH_VARARGS, close_doc},
    {"states_before", states_before, METH_VARARGS, states_before_doc},
    {"search", run_search, METH_VARARGS, search_doc},
    {"linearization", linearization, METH_O, linearization_doc},
    {"uses", uses, METH_O, uses_doc},
    {"stuck", stuck, METH_VARARGS, stuck_doc},
    {"state", state_value, METH_VARARGS, state_doc},
    {NULL, NULL, 0, NULL},
};

/* Which sources it was built from: see checker/native/__init__.py. */
#ifndef SOURCES
#define SOURCES ""
#endif
static int tell_sources(PyObject *module) { return PyModule_AddStringConstant(module, "SOURCES", SOURCES); }

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, tell_sources}, {0, NULL}};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_engine",
    .m_doc = "The compiled search of the linearizability checker. Use checker.native, not this.",
    .m_size = 0,
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__engine(void) { return PyModuleDef_Init(&MODULE); }
