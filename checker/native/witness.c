/* Writes out orders from what a search remembers: checker/linearization.py, and what checker.partition says of where it
 * got stuck. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    Problem *problem;
    uint8_t *explicit; /* per operation: the search applied it */
    int32_t *watching, watching_n; /* observers that were not legal yet */
    int32_t *absorbable, absorbable_n;
    int32_t *order, order_n;
    int32_t state;
    bool broken;
} Writer;

static bool legal(Writer *w, int32_t number) {
    int32_t after = oracle_step(&w->problem->oracle, w->state, w->problem->class_of[number]);
    w->broken |= after == BROKEN;
    return after >= 0;
}

static void write_call(Writer *w, int32_t number) {
    const Problem *p = w->problem;
    uint8_t traits = p->traits[p->class_of[number]];
    if (traits & OBSERVER) {
        if (legal(w, number))
            w->order[w->order_n++] = number;
        else
            w->watching[w->watching_n++] = number;
    } else if (traits & (TOTAL | CONSTANT) && p->deadline[number] != NEVER && !w->explicit[number])
        w->absorbable[w->absorbable_n++] = number;
}

static void write_application(Writer *w, int32_t number) {
    const Problem *p = w->problem;
    int32_t kind = p->class_of[number], waiting = 0;
    if (p->traits[kind] & CONSTANT) {
        memcpy(w->order + w->order_n, w->absorbable, sizeof *w->order * (size_t)w->absorbable_n);
        w->order_n += w->absorbable_n;
        w->absorbable_n = 0;
    }
    w->order[w->order_n++] = number;
    int32_t after = oracle_step(&w->problem->oracle, w->state, kind);
    w->broken |= after < 0;
    w->state = after < 0 ? w->state : after;
    for (int32_t i = 0; i < w->watching_n; i++) {
        if (legal(w, w->watching[i]))
            w->order[w->order_n++] = w->watching[i];
        else
            w->watching[waiting++] = w->watching[i];
    }
    w->watching_n = waiting;
}

/* The trail, oldest first, into `applied` (operations) and `steps`. */
static int32_t unroll(const Trail *t, int32_t last, int32_t *applied, int32_t *steps) {
    int32_t n = 0;
    for (int32_t node = last; node != NOBODY; node = t->before[node]) n++;
    for (int32_t node = last, i = n; node != NOBODY; node = t->before[node]) {
        applied[--i] = t->operation[node];
        steps[i] = t->step[node];
    }
    return n;
}

static void write_all(Writer *w, const Trail *t, int32_t last, int32_t until, int32_t *applied, int32_t *steps) {
    const Problem *p = w->problem;
    int32_t n = unroll(t, last, applied, steps), next = 0;
    for (int32_t i = 0; i < n; i++) w->explicit[applied[i]] = 1;
    for (int32_t step = 0; step < until && !w->broken; step++) {
        for (int32_t i = p->calls_from[step]; i < p->calls_from[step + 1]; i++) write_call(w, p->calls[i]);
        for (; next < n && steps[next] == step; next++) write_application(w, applied[next]);
    }
}

/* A relaxed pass may apply an operation repeatedly: the longest a trail can be is its own length. */
static size_t room_for(const Problem *p, const Trail *t, int32_t last) {
    size_t n = (size_t)p->operations + 1;
    for (int32_t node = last; node != NOBODY; node = t->before[node]) n++;
    return n;
}

/* The order in which a configuration's operations took effect, up to the return that ends step `until` - 1, into
 * `*order` (to be freed), and the true state after it. Returns its length, NOBODY without memory, BROKEN if the model
 * raised. */
int32_t write_order(Problem *p, const Trail *t, int32_t last, int32_t until, int32_t **order, int32_t *state) {
    size_t room = room_for(p, t, last);
    int32_t *block = malloc(sizeof *block * 4 * room);
    Writer w = {.problem = p, .explicit = calloc((size_t)p->operations + 1, 1), .order = malloc(sizeof *block * room)};
    if (!block || !w.explicit || !w.order) {
        free(block), free(w.explicit), free(w.order);
        return NOBODY;
    }
    w.watching = block + 2 * room, w.absorbable = block + 3 * room;
    write_all(&w, t, last, until, block, block + room);
    free(block), free(w.explicit);
    *order = w.order, *state = w.state;
    return w.broken ? BROKEN : w.order_n;
}

/* Adds what the calls of a step add to a configuration that arrives there, and takes away what lapses. False: the model raised. */
bool arrive_at(Problem *p, int32_t step, uint64_t *c) {
    Oracle *o = &p->oracle;
    int32_t state = (int32_t)(uint32_t)c[0];
    if (o->looks_ahead && o->facts[state].mentioned_until < step) state = o->elsewhere;
    for (int32_t i = p->lapsing_from[step]; i < p->lapsing_from[step + 1]; i++) {
        int32_t slot = p->slot[p->lapsing[i]];
        c[1 + p->words + (slot >> 6)] &= ~(UINT64_C(1) << (slot & 63));
    }
    for (int32_t i = p->calls_from[step]; i < p->calls_from[step + 1]; i++) {
        int32_t number = p->calls[i], slot = p->slot[number], kind = p->class_of[number];
        uint64_t bit = UINT64_C(1) << (slot & 63);
        if (p->traits[kind] & OBSERVER) {
            int32_t after = oracle_step(o, state, kind);
            if (after == BROKEN) return false;
            if (after < 0) c[1 + (slot >> 6)] |= bit;
            continue;
        }
        c[1 + p->words + (slot >> 6)] |= bit;
        if (p->deadline[number] != NEVER) c[1 + (slot >> 6)] |= bit;
    }
    return true;
}
