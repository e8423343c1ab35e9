/* States of a key-value store with appends: checker/models/key_value.py, narrowed to one key as its `_refine` does.
 * A text is worth knowing as long as appending can make it one that somebody asks for, so every state but one is the
 * beginning of an asked text: it is known by the first of them, in sorted order, and its own length. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) {
    const Text *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, (size_t)(x->length < y->length ? x->length : y->length));
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

void texts_free(Texts *t) {
    free(t->ops), free(t->arguments), free(t->asked), free(t->of), free(t->from), free(t->until), free(t->table);
}

static uint32_t place_of(const Texts *t, int32_t from, int32_t length) {
    uint64_t x = ((uint64_t)(uint32_t)from << 32 | (uint32_t)length) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(x >> 32) & (uint32_t)(t->table_cap - 1);
}

static void put_in_table(Texts *t, int32_t state) {
    uint32_t at = place_of(t, t->from[state], t->of[state].length);
    while (t->table[at] != NOBODY) at = (at + 1) & (uint32_t)(t->table_cap - 1);
    t->table[at] = state;
}

static bool widen(Texts *t) {
    int32_t cap = t->cap ? 2 * t->cap : 16;
    Text *of = realloc(t->of, sizeof *of * (size_t)cap);
    if (of) t->of = of;
    int32_t *from = realloc(t->from, sizeof *from * (size_t)cap);
    if (from) t->from = from;
    int32_t *until = realloc(t->until, sizeof *until * (size_t)cap);
    if (until) t->until = until;
    if (!of || !from || !until) return false;
    t->cap = cap;
    if (2 * cap <= t->table_cap) return true;
    int32_t *table = realloc(t->table, sizeof *table * 2 * (size_t)t->table_cap);
    if (!table) return false;
    t->table = table, t->table_cap *= 2;
    for (int32_t i = 0; i < t->table_cap; i++) t->table[i] = NOBODY;
    for (int32_t i = 0; i < t->states_n; i++)
        if (t->from[i] < t->until[i] && i != t->none) put_in_table(t, i);
    return true;
}

/* A new state. from == until: no asked text begins with it. Returns its number, or BROKEN without memory. */
int32_t texts_add(Texts *t, Text text, int32_t from, int32_t until) {
    if (t->states_n == t->cap && !widen(t)) return BROKEN;
    int32_t state = t->states_n++;
    t->of[state] = text, t->from[state] = from, t->until[state] = until;
    if (from < until && state != t->none) put_in_table(t, state);
    return state;
}

/* Of the asked texts from `low` to `high`, which agree in their first `depth` bytes: where do those begin that go on with
 * something greater than `more` (or, if `past` is false, with `more` or something greater)? */
static int32_t bound(const Texts *t, int32_t low, int32_t high, int32_t depth, Text more, bool past) {
    while (low < high) {
        int32_t middle = low + (high - low) / 2, rest = t->asked[middle].length - depth;
        int32_t common = rest < more.length ? rest : more.length;
        int order = memcmp(t->asked[middle].bytes + depth, more.bytes, (size_t)common);
        bool less = order < 0 || (order == 0 && (rest < more.length || past));
        if (less)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first state, the start, becomes 0: `start`, or an absent key if that is NULL. Takes `asked` over. */
bool texts_start(Texts *t, const Text *start, Text *asked, int32_t asked_n, bool none_asked) {
    if (asked_n) qsort(asked, (size_t)asked_n, sizeof *asked, compare);
    t->asked = asked, t->asked_n = asked_n;
    t->table_cap = 64;
    t->table = malloc(sizeof *t->table * (size_t)t->table_cap);
    if (!t->table) return false;
    for (int32_t i = 0; i < t->table_cap; i++) t->table[i] = NOBODY;
    const Text nothing = {"", 0};
    bool none_leads = none_asked || asked_n > 0, leads = none_leads;
    t->none = start ? 2 : 0;
    if (start) {
        int32_t from = bound(t, 0, asked_n, 0, *start, false), until = bound(t, from, asked_n, 0, *start, true);
        if (texts_add(t, *start, from, until) < 0) return false;
        leads = from < until;
    } else if (texts_add(t, nothing, 0, asked_n) < 0)
        return false;
    t->elsewhere = leads || t->growing ? 1 : 0;
    if (texts_add(t, nothing, 0, 0) < 0) return false;
    return !start || texts_add(t, nothing, 0, asked_n) >= 0;
}

/* The state of the text that begins asked text `low` up to `depth`, and goes on with `more`; `elsewhere` if there is no such
 * asked text; BROKEN without memory. */
static int32_t go_on(Texts *t, int32_t low, int32_t high, int32_t depth, Text more) {
    int32_t from = bound(t, low, high, depth, more, false);
    if (from == high || t->asked[from].length - depth < more.length ||
        memcmp(t->asked[from].bytes + depth, more.bytes, (size_t)more.length))
        return t->elsewhere;
    Text text = {t->asked[from].bytes, depth + more.length};
    uint32_t at = place_of(t, from, text.length);
    for (; t->table[at] != NOBODY; at = (at + 1) & (uint32_t)(t->table_cap - 1)) {
        int32_t known = t->table[at];
        if (t->from[known] == from && t->of[known].length == text.length) return known;
    }
    return texts_add(t, text, from, bound(t, from, high, depth, more, true));
}

/* The state of a text, or `elsewhere` if no asked text begins with it; BROKEN without memory. */
int32_t texts_find(Texts *t, Text text) { return go_on(t, 0, t->asked_n, 0, text); }

static bool grows_towards(const Text *longest, Text now, Text more) {
    return now.length + more.length <= longest->length && !memcmp(longest->bytes, now.bytes, (size_t)now.length) &&
           !memcmp(longest->bytes + now.length, more.bytes, (size_t)more.length);
}

static int32_t append(Texts *t, int32_t state, Text more) {
    if (state == t->elsewhere) return state;
    Text now = t->of[state];
    if (t->growing && now.length < t->longest.length && !grows_towards(&t->longest, now, more)) return REFUSED;
    if (t->from[state] == t->until[state]) return t->elsewhere;
    return go_on(t, t->from[state], t->until[state], now.length, more);
}

/* Notes that a state has been met. False: memory ran out. */
bool texts_meet(Oracle *o, int32_t state) {
    if (o->states_cap < o->texts->cap) {
        size_t cap = (size_t)o->texts->cap;
        uint8_t *seen = realloc(o->seen, cap);
        if (seen) o->seen = seen;
        int32_t *order = realloc(o->seen_order, cap * sizeof *order);
        if (order) o->seen_order = order;
        if (!seen || !order) return false;
        memset(o->seen + o->states_cap, 0, cap - (size_t)o->states_cap);
        o->states_cap = (int32_t)cap;
    }
    oracle_meet(o, state);
    return true;
}

/* The state after an operation of class `kind`, asked once for each pair. */
int32_t texts_ask(void *host, Oracle *o, int32_t state, int32_t kind) {
    Texts *t = o->texts;
    const RegisterOp *op = &t->ops[kind];
    int32_t after = state;
    (void)host;
    switch (op->what) {
    case READ: after = state == op->from ? state : REFUSED; break;
    case READ_ANYTHING: break;
    case WRITE: after = op->to; break;
    case CAS_DONE: after = state == op->from ? op->to : REFUSED; break;
    case CAS_MAYBE: after = state == op->from ? op->to : state; break;
    case CAS_REFUSED: after = state == op->from ? REFUSED : state; break;
    default:
        after = append(t, state, t->arguments[op->to]);
        if (after == BROKEN) return BROKEN;
    }
    if (after >= 0 && !texts_meet(o, after)) return BROKEN;
    return after;
}
