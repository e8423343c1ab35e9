/* Compiles the operations of a register, or of one key of a key-value store, without asking the model: checker/problem.py
 * and checker/models/register.py or key_value.py in one. Anything unusual (an unknown operation, a malformed argument) is left to Python, which says what is wrong. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

const char compile_registers_doc[] =
    "compile_registers(operations, initial, vocabulary, looks_ahead, freeze, outcomes, elsewhere, mismatch, horizon)\n"
    "  -> problem or None\n\n"
    "operations: a tuple, in the order of their calls. vocabulary: 0 a register, 1 with compare-and-set (one that failed\n"
    "with the error `mismatch` observes), 2 a key of a key-value store. freeze: checker.history.freeze. outcomes: ok, fail, info.\n"
    "None: let Python judge.";

enum { REGISTER, CAS_REGISTER, KEY_VALUE };

enum { F, VALUE, RESULT, OUTCOME, ERROR_, CALL_ORDER, RETURN_ORDER, NAMES };
static const char *const NAME[NAMES] = {"f", "value", "result", "outcome", "error", "call_order", "return_order"};

typedef struct {
    Subject *subject;
    PyObject *names[NAMES], *freeze, *elsewhere, *mismatch, *ok, *fail, *info, *numbers; /* numbers: value -> state */
    int vocabulary, horizon;
    bool unusual, appends, replaces; /* met: an append; a put, delete or cas */
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
    case APPEND: return 0; /* total too, unless the text only grows */
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
    c->table[at] = p->classes++;
    return c->table[at];
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

typedef struct {
    const char *f;
    int32_t what;
    int vocabularies; /* bits */
} Word;
static const Word WORDS_KNOWN[] = {
    {"read", READ, 1 << REGISTER | 1 << CAS_REGISTER},
    {"write", WRITE, 1 << REGISTER | 1 << CAS_REGISTER},
    {"cas", CAS_DONE, 1 << CAS_REGISTER | 1 << KEY_VALUE},
    {"get", READ, 1 << KEY_VALUE},
    {"put", WRITE, 1 << KEY_VALUE},
    {"append", APPEND, 1 << KEY_VALUE},
    {"delete", CAS_REFUSED, 1 << KEY_VALUE}, /* told from a cas by its name */
};

static const Word *word_of(const Compiler *c, PyObject *f) {
    for (size_t i = 0; i < sizeof WORDS_KNOWN / sizeof *WORDS_KNOWN; i++)
        if (WORDS_KNOWN[i].vocabularies >> c->vocabulary & 1 &&
            PyUnicode_CompareWithASCIIString(f, WORDS_KNOWN[i].f) == 0)
            return &WORDS_KNOWN[i];
    return NULL;
}

/* What an operation does. False with an error or `unusual` set. */
static bool read_deed(Compiler *c, PyObject *operation, const Word *word, PyObject *outcome, RegisterOp *op) {
    c->appends |= word->what == APPEND;
    c->replaces |= word->what != APPEND && word->what != READ;
    *op = (RegisterOp){word->what, 0, 0};
    if (word->what == READ && outcome == c->info) {
        op->what = READ_ANYTHING;
        return true;
    }
    if (word->what == CAS_REFUSED) {
        *op = (RegisterOp){WRITE, 0, number_of(c, Py_None)};
        return op->to != NOBODY;
    }
    PyObject *value = get(c, operation, word->what == READ ? RESULT : VALUE);
    if (!value) return false;
    bool done;
    if (word->what == CAS_DONE) {
        op->what = outcome == c->ok ? CAS_DONE : outcome == c->info ? CAS_MAYBE : CAS_REFUSED;
        done = read_pair(c, value, op);
    } else {
        int32_t number = number_of(c, value);
        *(word->what == READ ? &op->from : &op->to) = number;
        done = number != NOBODY;
    }
    Py_DECREF(value);
    return done;
}

/* Of a failed operation: does its failure tell something? 1, 0, or -1 with an error set. */
static int failure_observes(Compiler *c, PyObject *operation, PyObject *f) {
    if (c->vocabulary == REGISTER || PyUnicode_CompareWithASCIIString(f, "cas") != 0) return 0;
    PyObject *error = get(c, operation, ERROR_);
    if (!error) return -1;
    int observes = PyUnicode_Check(error) && PyUnicode_Compare(error, c->mismatch) == 0;
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
    const Word *word = taken && counts ? word_of(c, f) : NULL;
    if (taken && counts) {
        RegisterOp op;
        c->unusual |= !word;
        taken = counts > 0 && word && read_deed(c, operation, word, outcome, &op);
        int32_t kind = taken ? class_of(c, op) : NOBODY;
        taken = kind != NOBODY && keep(c, operation, place, kind);
    }
    Py_XDECREF(f), Py_XDECREF(outcome);
    return taken;
}

/* ── texts ───────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* The text of value `number`; only of ASCII, so that its length in bytes is the one that Python sees. */
static bool text_of(Compiler *c, int32_t number, Text *text) {
    PyObject *value = PyList_GetItem(c->subject->values, number);
    Py_ssize_t bytes = 0;
    if (PyUnicode_Check(value) && PyUnicode_GetLength(value) < INT32_MAX / 2) {
        text->bytes = PyUnicode_AsUTF8AndSize(value, &bytes);
        text->length = (int32_t)bytes;
        if (text->bytes && bytes == PyUnicode_GetLength(value)) return true;
        PyErr_Clear();
    }
    c->unusual = true;
    return false;
}

/* Every value that some operation tells from others. */
static bool list_asked(Compiler *c, Text *asked, int32_t *asked_n, bool *none_asked) {
    const Problem *p = &c->subject->problem;
    Py_ssize_t values = PyList_Size(c->subject->values);
    uint8_t *is_asked = calloc((size_t)values, 1);
    if (!is_asked) return false;
    for (int32_t kind = 0; kind < p->classes; kind++) {
        const RegisterOp *op = &p->oracle.ops[kind];
        if (op->what == READ || op->what == CAS_DONE || op->what == CAS_MAYBE || op->what == CAS_REFUSED)
            is_asked[op->from] = 1;
    }
    bool listed = true;
    for (Py_ssize_t i = 0; listed && i < values; i++) {
        if (i == 1 || !is_asked[i]) continue;
        if (PyList_GetItem(c->subject->values, i) == Py_None)
            *none_asked = true;
        else
            listed = text_of(c, (int32_t)i, &asked[(*asked_n)++]);
    }
    free(is_asked);
    return listed;
}

static bool is_none(const Compiler *c, int32_t number) { return PyList_GetItem(c->subject->values, number) == Py_None; }

/* The state that a value is; only for values that are asked for, or lead to some (`elsewhere` for all others). */
static int32_t state_of_value(Compiler *c, Texts *t, int32_t number, bool none_leads) {
    Text text;
    if (is_none(c, number)) return none_leads ? t->none : t->elsewhere;
    return text_of(c, number, &text) ? texts_find(t, text) : BROKEN;
}

/* From numbers of values to numbers of states. */
static bool translate(Compiler *c, Texts *t, bool none_leads) {
    Problem *p = &c->subject->problem;
    t->arguments = calloc((size_t)p->classes + 1, sizeof *t->arguments);
    if (!t->arguments) return false;
    for (int32_t kind = 0; kind < p->classes; kind++) {
        RegisterOp *op = &t->ops[kind];
        if (op->what == APPEND) {
            if (!text_of(c, op->to, &t->arguments[kind])) return false;
            op->to = kind;
            p->traits[kind] = t->growing ? 0 : TOTAL;
            continue;
        }
        if (op->what != WRITE && op->what != READ_ANYTHING) op->from = state_of_value(c, t, op->from, true);
        if (op->what == WRITE || op->what == CAS_DONE || op->what == CAS_MAYBE)
            op->to = state_of_value(c, t, op->to, none_leads);
        if (op->from == BROKEN || op->to == BROKEN) return false;
    }
    return true;
}

/* The longest text that a get returned, the first one of that length. */
static bool find_longest(Compiler *c, Texts *t) {
    const Problem *p = &c->subject->problem;
    t->longest = (Text){"", 0};
    for (int32_t i = 0; i < p->operations; i++) {
        Text text;
        const RegisterOp *op = &p->oracle.ops[p->class_of[i]];
        if (op->what != READ || is_none(c, op->from)) continue;
        if (!text_of(c, op->from, &text)) return false;
        if (text.length > t->longest.length) t->longest = text;
    }
    return true;
}

typedef struct {
    Text text;
    int32_t number;
} Seen;

static int by_length(const void *a, const void *b) {
    const Seen *x = a, *y = b;
    return x->text.length != y->text.length ? (x->text.length > y->text.length) - (x->text.length < y->text.length)
                                            : (x->number > y->number) - (x->number < y->number);
}

/* Of a growing text, two results neither of which extends the other: the one that returned later, of the first such
 * pair. False without memory, or if a text is unusual. */
static bool find_fork(Compiler *c) {
    Problem *p = &c->subject->problem;
    Seen *seen = malloc(sizeof *seen * ((size_t)p->operations + 1));
    int32_t n = 0;
    bool read = seen != NULL;
    for (int32_t i = 0; read && i < p->operations; i++) {
        const RegisterOp *op = &p->oracle.ops[p->class_of[i]];
        if (op->what != READ) continue;
        seen[n].number = i, seen[n].text = (Text){"", 0};
        read = is_none(c, op->from) || text_of(c, op->from, &seen[n].text);
        n++;
    }
    if (read && n) qsort(seen, (size_t)n, sizeof *seen, by_length);
    for (int32_t i = 1; read && i < n; i++) {
        if (!memcmp(seen[i].text.bytes, seen[i - 1].text.bytes, (size_t)seen[i - 1].text.length)) continue;
        int32_t a = seen[i - 1].number, b = seen[i].number, later = c->returned[b] > c->returned[a] ? b : a;
        if (p->impossible == NOBODY || c->returned[later] < c->returned[p->impossible]) p->impossible = later;
    }
    free(seen);
    return read;
}

/* A key with appends. False with `unusual` set, or without memory. */
static bool start_texts(Compiler *c) {
    Problem *p = &c->subject->problem;
    Oracle *o = &p->oracle;
    Texts *t = o->texts = calloc(1, sizeof *t);
    Text *asked = malloc(sizeof *asked * (size_t)PyList_Size(c->subject->values)), start;
    int32_t asked_n = 0;
    bool none_asked = false, none_starts = is_none(c, 0);
    p->impossible = NOBODY;
    if (!t || !asked || !list_asked(c, asked, &asked_n, &none_asked) || (!none_starts && !text_of(c, 0, &start))) {
        free(asked);
        return false;
    }
    t->growing = !c->replaces;
    if (t->growing && !(find_longest(c, t) && find_fork(c))) {
        free(asked);
        return false;
    }
    bool started = texts_start(t, none_starts ? NULL : &start, asked, asked_n, none_asked);
    t->ops = o->ops, o->ops = NULL; /* from here on it is no register */
    o->ask = texts_ask, o->looks_ahead = false, o->elsewhere = BROKEN;
    return started && translate(c, t, none_asked || asked_n > 0) && texts_meet(o, 0);
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
    return !PyErr_Occurred() && number_of(c, initial) == 0 && PyList_Append(c->subject->values, c->elsewhere) == 0 &&
           widen(c);
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
    bool done = c->appends ? start_texts(c) : true;
    done = done && problem_build(p, c->called, c->returned, c->horizon) && (c->appends || problem_look_ahead(p));
    if (!done && !c->unusual && !PyErr_Occurred()) PyErr_NoMemory();
    return done;
}

PyObject *compile_registers(PyObject *module, PyObject *args) {
    PyObject *operations, *initial;
    int looks_ahead;
    Compiler c = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "O!OipO(OOO)OO!i", &PyTuple_Type, &operations, &initial, &c.vocabulary, &looks_ahead,
                          &c.freeze, &c.ok, &c.fail, &c.info, &c.elsewhere,
                          &PyUnicode_Type, &c.mismatch, &c.horizon))
        return NULL;
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
