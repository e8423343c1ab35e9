/* What operations do to states: checker/transitions.py. A register is known here; any other model is asked once for each
 * pair of state and class, and the answer kept. */
#include "engine.h"

#include <stdlib.h>

/* Notes that a state has been met. False: it was known. */
bool oracle_meet(Oracle *o, int32_t state) {
    if (o->seen[state]) return false;
    o->seen[state] = 1;
    o->seen_order[o->states_n++] = state;
    return true;
}

static int32_t register_step(Oracle *o, int32_t state, int32_t kind) {
    const RegisterOp *op = &o->ops[kind];
    int32_t after = state;
    switch (op->what) {
    case READ: return state == op->from ? state : REFUSED;
    case READ_ANYTHING: return state;
    case CAS_REFUSED: return state == op->from ? REFUSED : state;
    case WRITE: after = op->to; break;
    case CAS_DONE:
        if (state != op->from) return REFUSED;
        after = op->to;
        break;
    default:
        if (state == op->from) after = op->to;
    }
    if (!o->seen[after]) oracle_meet(o, after);
    return after;
}

static size_t spread(uint64_t key) {
    key ^= key >> 32;
    key *= UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(key ^ key >> 29);
}

static bool widen(Oracle *o) {
    size_t cap = o->table_cap ? o->table_cap * 2 : 256;
    uint64_t *keys = calloc(cap, sizeof *keys);
    int32_t *after = malloc(sizeof *after * cap);
    if (!keys || !after) {
        free(keys), free(after);
        return false;
    }
    for (size_t i = 0; i < o->table_cap; i++)
        if (o->keys[i]) {
            size_t at = spread(o->keys[i]) & (cap - 1);
            while (keys[at]) at = (at + 1) & (cap - 1);
            keys[at] = o->keys[i], after[at] = o->after[i];
        }
    free(o->keys), free(o->after);
    o->keys = keys, o->after = after, o->table_cap = cap;
    return true;
}

/* The state after an operation of class `kind`; REFUSED; or BROKEN if the model raised or memory ran out. */
int32_t oracle_step(Oracle *o, int32_t state, int32_t kind) {
    if (o->ops) return register_step(o, state, kind);
    uint64_t key = ((uint64_t)(uint32_t)state << 32 | (uint32_t)kind) + 1;
    if (o->table_cap)
        for (size_t at = spread(key) & (o->table_cap - 1); o->keys[at]; at = (at + 1) & (o->table_cap - 1))
            if (o->keys[at] == key) return o->after[at];
    int32_t after = o->ask(o->host, o, state, kind);
    if (after == BROKEN || (2 * o->table_n >= o->table_cap && !widen(o))) return BROKEN;
    size_t at = spread(key) & (o->table_cap - 1);
    while (o->keys[at]) at = (at + 1) & (o->table_cap - 1);
    o->keys[at] = key, o->after[at] = after, o->table_n++;
    return after;
}

/* Of a register or texts: fill the table for all reachable states, at most so many entries; true if it is complete. */
bool oracle_close(Oracle *o, int32_t classes, int64_t entries_max) {
    for (int32_t i = 0; i < o->states_n; i++) {
        entries_max -= classes;
        if (entries_max < 0) return false;
        for (int32_t kind = 0; kind < classes; kind++) oracle_step(o, o->seen_order[i], kind);
    }
    return true;
}
