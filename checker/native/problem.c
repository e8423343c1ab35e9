/* Compiles calls and returns into steps, as checker/problem.py does, and looks ahead, as checker/lookahead.py does. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

/* Stable, by the rank in which operations returned; those that never did are left out. Returns how many, or -1. */
static int32_t sort_returns(const int64_t *returned, int32_t n, int32_t **sorted) {
    int64_t lowest = INT64_MAX, highest = INT64_MIN;
    int32_t count = 0, *from = malloc(sizeof *from * ((size_t)n + 1)), *to = malloc(sizeof *to * ((size_t)n + 1));
    uint32_t *starts = malloc(sizeof *starts * 2049);
    if (!from || !to || !starts) {
        free(from), free(to), free(starts);
        return -1;
    }
    for (int32_t i = 0; i < n; i++)
        if (returned[i] != INT64_MAX) {
            from[count++] = i;
            lowest = returned[i] < lowest ? returned[i] : lowest;
            highest = returned[i] > highest ? returned[i] : highest;
        }
    uint64_t span = count ? (uint64_t)highest - (uint64_t)lowest : 0;
    for (int shift = 0; shift < 64 && span >> shift; shift += 11) {
        memset(starts, 0, sizeof *starts * 2049);
        for (int32_t i = 0; i < count; i++)
            starts[1 + ((((uint64_t)returned[from[i]] - (uint64_t)lowest) >> shift) & 2047)]++;
        for (int digit = 0; digit < 2048; digit++) starts[digit + 1] += starts[digit];
        for (int32_t i = 0; i < count; i++)
            to[starts[(((uint64_t)returned[from[i]] - (uint64_t)lowest) >> shift) & 2047]++] = from[i];
        int32_t *swap = from;
        from = to, to = swap;
    }
    free(to), free(starts);
    *sorted = from;
    return count;
}

/* Steps and deadlines: at equal rank, calls come first. */
static void merge_events(Problem *p, const int64_t *called, const int64_t *returned, const int32_t *returns) {
    int32_t call = 0;
    for (int32_t step = 0; step < p->steps; step++) {
        p->calls_from[step] = call;
        while (call < p->operations && called[call] <= returned[returns[step]]) {
            p->calls[call] = call;
            call++;
        }
        p->returning[step] = returns[step];
        p->deadline[returns[step]] = step;
    }
    p->calls_from[p->steps] = call;
}

/* Sorts the operations that lapse by step; those that would lapse after the last never do. */
static bool list_lapses(Problem *p) {
    p->lapsing = malloc(sizeof *p->lapsing * ((size_t)(p->crashed ? p->operations : 0) + 1));
    p->lapsing_from = calloc((size_t)p->steps + 2, sizeof *p->lapsing_from);
    if (!p->lapsing || !p->lapsing_from) return false;
    if (!p->crashed) return true;
    for (int32_t i = 0; i < p->operations; i++) {
        if (p->lapse[i] >= p->steps) p->lapse[i] = NEVER;
        if (p->lapse[i] != NEVER) p->lapsing_from[p->lapse[i] + 2]++;
    }
    for (int32_t step = 1; step <= p->steps; step++) p->lapsing_from[step + 1] += p->lapsing_from[step];
    for (int32_t i = 0; i < p->operations; i++)
        if (p->lapse[i] != NEVER) p->lapsing[p->lapsing_from[p->lapse[i] + 1]++] = i;
    return true;
}

/* Slots are used again after the return, or the lapse, last freed first. */
static bool give_slots(Problem *p) {
    int32_t *idle = malloc(sizeof *idle * ((size_t)p->operations + 1)), idle_n = 0;
    if (!idle) return false;
    for (int32_t step = 0; step < p->steps; step++) {
        for (int32_t i = p->lapsing_from[step]; i < p->lapsing_from[step + 1]; i++)
            idle[idle_n++] = p->slot[p->lapsing[i]];
        for (int32_t i = p->calls_from[step]; i < p->calls_from[step + 1]; i++)
            p->slot[p->calls[i]] = idle_n ? idle[--idle_n] : p->slots++;
        idle[idle_n++] = p->slot[p->returning[step]];
    }
    free(idle);
    return true;
}

static int32_t mentioned(const RegisterOp *op) { return op->what == READ_ANYTHING || op->what == WRITE ? NOBODY : op->from; }
static int32_t made(const RegisterOp *op) {
    return op->what == WRITE || op->what == CAS_DONE || op->what == CAS_MAYBE ? op->to : NOBODY;
}
static bool demands(const RegisterOp *op) { return op->what == READ || op->what == CAS_DONE; }

/* Of a register: when nobody needs a crashed operation any more. checker/retirement.py. `called_in`: the steps in which
 * operations are called; `asked`: per value, scratch. */
static void retire(Problem *p, const int32_t *called_in, int32_t *asked) {
    const Oracle *o = &p->oracle;
    int32_t shunned = -1;
    for (int32_t i = 0; i < o->values_n; i++) asked[i] = -1;
    for (int32_t i = 0; i < p->operations; i++) {
        const RegisterOp *op = &o->ops[p->class_of[i]];
        if (p->deadline[i] == NEVER) continue;
        if (op->what == CAS_REFUSED && p->deadline[i] > shunned) shunned = p->deadline[i];
        if (mentioned(op) != NOBODY && asked[op->from] < p->deadline[i]) asked[op->from] = p->deadline[i];
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int32_t i = p->calls_from[p->steps] - 1; i >= 0; i--) {
            if (p->deadline[i] != NEVER) continue;
            const RegisterOp *op = &o->ops[p->class_of[i]];
            int32_t last = asked[op->to] > shunned ? asked[op->to] : shunned;
            if (last < called_in[i]) last = called_in[i];
            p->lapse[i] = last + 1;
            if (mentioned(op) != NOBODY && asked[op->from] < last) asked[op->from] = last, changed = true;
        }
    }
}

/* The steps at which crashed operations lapse. horizon: at the latest, so many steps after their calls; 0: none. */
static bool set_lapses(Problem *p, int32_t horizon) {
    if (!p->lapse) {
        p->lapse = malloc(sizeof *p->lapse * ((size_t)p->operations + 1));
        if (!p->lapse) return false;
        for (int32_t i = 0; i < p->operations; i++) p->lapse[i] = NEVER;
    }
    if (!p->crashed) return true;
    bool narrowed = p->oracle.ops && p->oracle.looks_ahead;
    int32_t *called_in = malloc(sizeof *called_in * ((size_t)p->operations + 1));
    int32_t *asked = malloc(sizeof *asked * ((size_t)p->oracle.values_n + 1));
    bool done = called_in && asked;
    if (done) {
        for (int32_t step = 0; step < p->steps; step++)
            for (int32_t i = p->calls_from[step]; i < p->calls_from[step + 1]; i++) called_in[i] = step;
        if (narrowed) retire(p, called_in, asked);
        for (int32_t i = 0; horizon && i < p->calls_from[p->steps]; i++)
            if (p->deadline[i] == NEVER && p->lapse[i] > called_in[i] + horizon) p->lapse[i] = called_in[i] + horizon;
    }
    free(called_in), free(asked);
    return done;
}

/* From `operations`, `classes`, `class_of`, `source` and `traits` on; operations are in the order of their calls. Of a
 * table, `lapse` is given too. */
bool problem_build(Problem *p, const int64_t *called, const int64_t *returned, int32_t horizon) {
    int32_t *returns = NULL, n = sort_returns(returned, p->operations, &returns);
    if (n < 0) return false;
    size_t room = (size_t)p->operations + 1;
    p->steps = n;
    p->crashed = n < p->operations;
    p->deadline = malloc(sizeof *p->deadline * room);
    p->slot = calloc(room, sizeof *p->slot);
    p->calls = malloc(sizeof *p->calls * room);
    p->calls_from = malloc(sizeof *p->calls_from * room);
    p->returning = malloc(sizeof *p->returning * room);
    if (!p->deadline || !p->slot || !p->calls || !p->calls_from || !p->returning) {
        free(returns);
        return false;
    }
    for (int32_t i = 0; i < p->operations; i++) p->deadline[i] = NEVER;
    merge_events(p, called, returned, returns);
    free(returns);
    if (!set_lapses(p, horizon) || !list_lapses(p) || !give_slots(p)) return false;
    p->words = p->slots > 64 ? (p->slots + 63) / 64 : 1;
    return true;
}

static void *copy(const void *from, size_t bytes) {
    void *to = malloc(bytes ? bytes : 1);
    if (to && bytes) memcpy(to, from, bytes);
    return to;
}

static int32_t keep_first_crashed(const Problem *p, Problem *r, int64_t *called, int64_t *returned, uint8_t *met) {
    int32_t kept = 0, step = 0;
    for (int32_t i = 0; i < p->operations; i++) {
        while (step < p->steps && p->calls_from[step + 1] <= i) step++;
        int32_t kind = p->class_of[i];
        if (p->deadline[i] == NEVER && !r->exact[kind] && met[kind]++) {
            met[kind] = 1;
            continue;
        }
        called[kept] = 2 * (int64_t)step;
        returned[kept] = p->deadline[i] == NEVER ? INT64_MAX : 2 * (int64_t)p->deadline[i] + 1;
        r->class_of[kept] = kind;
        r->source[kept++] = p->source[i];
    }
    return kept;
}

/* The problem of a register with only the first crashed operation of each class, but all of those in `exact` (per class;
 * taken over). */
bool problem_relax(const Problem *p, Problem *r, uint8_t *exact) {
    memset(r, 0, sizeof *r);
    r->exact = exact;
    size_t room = (size_t)p->operations + 1;
    int64_t *called = malloc(sizeof *called * room), *returned = malloc(sizeof *returned * room);
    uint8_t *met = calloc((size_t)p->classes + 1, 1);
    r->classes = p->classes;
    r->class_of = malloc(sizeof *r->class_of * room);
    r->source = malloc(sizeof *r->source * room);
    r->traits = copy(p->traits, (size_t)p->classes);
    r->oracle.ops = copy(p->oracle.ops, sizeof *p->oracle.ops * (size_t)p->classes);
    r->oracle.values_n = p->oracle.values_n;
    r->oracle.looks_ahead = p->oracle.looks_ahead;
    r->oracle.elsewhere = p->oracle.elsewhere;
    bool done = called && returned && met && r->class_of && r->source && r->traits && r->oracle.ops;
    if (done) {
        r->operations = keep_first_crashed(p, r, called, returned, met);
        done = problem_build(r, called, returned, 0) && problem_look_ahead(r);
    }
    free(called), free(returned), free(met);
    if (!done) problem_free(r);
    return done;
}

/* The lists of classes per value, laid out in one block. */
static bool name_classes(Problem *p) {
    Oracle *o = &p->oracle;
    size_t entries = 0;
    for (int32_t kind = 0; kind < p->classes; kind++) {
        if (demands(&o->ops[kind])) o->facts[mentioned(&o->ops[kind])].demanders_n++, entries++;
        if (made(&o->ops[kind]) != NOBODY) o->facts[made(&o->ops[kind])].makers_n++, entries++;
    }
    int32_t *free_from = o->fact_pool = malloc(sizeof *o->fact_pool * (entries + 1));
    if (!free_from) return false;
    for (int32_t value = 0; value < o->values_n; value++) {
        Facts *about = &o->facts[value];
        about->demanders = free_from, free_from += about->demanders_n;
        about->makers = free_from, free_from += about->makers_n;
        about->demanders_n = about->makers_n = 0;
    }
    for (int32_t kind = 0; kind < p->classes; kind++) {
        const RegisterOp *op = &o->ops[kind];
        if (demands(op)) {
            Facts *about = &o->facts[mentioned(op)];
            about->demanders[about->demanders_n++] = kind;
        }
        if (made(op) != NOBODY) {
            Facts *about = &o->facts[made(op)];
            about->makers[about->makers_n++] = kind;
        }
    }
    return true;
}

/* For a register: what is asked of each value, and which states have been met (none but the first). */
bool problem_look_ahead(Problem *p) {
    Oracle *o = &p->oracle;
    o->seen = calloc((size_t)o->values_n + 1, 1);
    o->seen_order = malloc(sizeof *o->seen_order * ((size_t)o->values_n + 1));
    if (!o->seen || !o->seen_order) return false;
    o->states_cap = o->values_n;
    oracle_meet(o, 0);
    if (!o->looks_ahead) return true;
    oracle_meet(o, o->elsewhere);
    o->facts = calloc((size_t)o->values_n + 1, sizeof *o->facts);
    if (!o->facts) return false;
    for (int32_t value = 0; value < o->values_n; value++)
        o->facts[value].mentioned_until = o->facts[value].demanded_until = o->facts[value].made_until = -1;
    for (int32_t step = 0; step < p->steps; step++)
        for (int32_t i = p->calls_from[step]; i < p->calls_from[step + 1]; i++) {
            int32_t number = p->calls[i], deadline = p->deadline[number], lapse = p->lapse[number];
            const RegisterOp *op = &o->ops[p->class_of[number]];
            if (mentioned(op) != NOBODY) {
                Facts *about = &o->facts[mentioned(op)];
                int32_t last = lapse == NEVER ? deadline : lapse - 1;
                if (about->mentioned_until < last) about->mentioned_until = last;
                if (demands(op) && deadline != NEVER) about->demanded_until = step;
            }
            if (made(op) != NOBODY) o->facts[made(op)].made_until = step;
        }
    return name_classes(p);
}

/* Every value that a register may hold when step `step` begins, whatever came before: checker.lookahead.possible_before.
 * `states` is to be freed. False: memory ran out. */
bool problem_states_before(Problem *p, int32_t step, int32_t **states, int32_t *n) {
    Oracle *o = &p->oracle;
    int32_t replaced = -1, *until = malloc(sizeof *until * ((size_t)o->values_n + 1));
    *n = 0, *states = malloc(sizeof **states * ((size_t)o->values_n + 1));
    if (!until || !*states) {
        free(until), free(*states);
        return false;
    }
    for (int32_t i = 0; i < o->values_n; i++) until[i] = -2;
    until[0] = -1, (*states)[(*n)++] = 0;
    for (int32_t s = 0; s < step; s++)
        for (int32_t i = p->calls_from[s]; i < p->calls_from[s + 1]; i++) {
            int32_t number = p->calls[i], deadline = p->deadline[number];
            const RegisterOp *op = &o->ops[p->class_of[number]];
            if (made(op) == NOBODY || p->traits[p->class_of[number]] & OBSERVER) continue;
            if (until[op->to] == -2) (*states)[(*n)++] = op->to;
            if (until[op->to] < deadline) until[op->to] = deadline;
            if (deadline < step && op->what != CAS_MAYBE) replaced = s;
        }
    int32_t kept = 0;
    for (int32_t i = 0; i < *n; i++)
        if (until[(*states)[i]] >= replaced) oracle_meet(o, (*states)[kept++] = (*states)[i]);
    *n = kept;
    free(until);
    return true;
}

static void oracle_free(Oracle *o) {
    if (o->facts && !o->fact_pool)
        for (int32_t i = 0; i < o->facts_n; i++) free(o->facts[i].demanders), free(o->facts[i].makers);
    free(o->facts), free(o->fact_pool), free(o->ops), free(o->seen_order), free(o->seen);
    free(o->keys), free(o->after);
    if (o->texts) texts_free(o->texts);
    free(o->texts);
}

void problem_free(Problem *p) {
    free(p->class_of), free(p->deadline), free(p->slot), free(p->source), free(p->calls), free(p->calls_from);
    free(p->returning), free(p->traits), free(p->exact), free(p->lapse), free(p->lapsing), free(p->lapsing_from);
    oracle_free(&p->oracle);
    memset(p, 0, sizeof *p);
}
