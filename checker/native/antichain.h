/* Rows and antichains of configurations. `W`, the number of words in a set, is a constant wherever it is small. */
#ifndef CHECKER_ANTICHAIN_H
#define CHECKER_ANTICHAIN_H

#include "engine.h"

#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define POPCOUNT(word) __builtin_popcountll(word)
#else
#define INLINE static inline
static inline int POPCOUNT(uint64_t word) {
    int n = 0;
    for (; word; word &= word - 1) n++;
    return n;
}
#endif

#define WORDS(W) (1 + 2 * (size_t)(W))
#define BEATEN (-2) /* in place of the next one: a better configuration has come */
#define FEW_CHAINS 8 /* looked through one by one; more are hashed */

/* Memory is charged to a purse; when it is empty or there is none left, the search is left by a jump. */
typedef struct {
    size_t bytes, bytes_max;
    jmp_buf *escape;
} Purse;

static inline void *grow(Purse *purse, void *block, size_t before, size_t after) {
    if (purse->bytes_max && purse->bytes + (after - before) > purse->bytes_max) longjmp(*purse->escape, SPENT + 1);
    void *grown = realloc(block, after);
    if (!grown) longjmp(*purse->escape, NO_MEMORY + 1);
    purse->bytes += after - before;
    return grown;
}

INLINE int32_t state_of(const uint64_t *c) { return (int32_t)(uint32_t)c[0]; }
INLINE int32_t trail_of(const uint64_t *c) { return (int32_t)(uint32_t)(c[0] >> 32); }
INLINE uint64_t head_word(int32_t state, int32_t trail) { return (uint64_t)(uint32_t)trail << 32 | (uint32_t)state; }

INLINE uint64_t *row_at(const Row *row, int32_t i, const int W) { return row->words + (size_t)i * WORDS(W); }

INLINE uint64_t *row_push(Purse *purse, Row *row, const int W) {
    if (row->n == row->cap) {
        int32_t cap = row->cap ? 2 * row->cap : 4;
        size_t size = WORDS(W) * sizeof *row->words;
        row->words = grow(purse, row->words, (size_t)row->cap * size, (size_t)cap * size);
        row->cap = cap;
    }
    return row_at(row, row->n++, W);
}

static inline uint32_t scatter(int32_t state) {
    uint32_t x = (uint32_t)state * UINT32_C(0x9E3779B1);
    return x ^ x >> 15;
}

static void antichain_hash(Purse *purse, Antichain *a, uint32_t cap) {
    if (cap > a->table_cap) {
        a->table = grow(purse, a->table, a->table_cap * sizeof *a->table, cap * sizeof *a->table);
        a->table_cap = cap;
    }
    for (uint32_t i = 0; i < a->table_cap; i++) a->table[i] = NOBODY;
    for (int32_t i = 0; i < a->chains_n; i++) {
        uint32_t at = scatter(a->chains[i].state) & (a->table_cap - 1);
        while (a->table[at] != NOBODY) at = (at + 1) & (a->table_cap - 1);
        a->table[at] = i;
        a->chains[i].place = at;
    }
    a->hashed = true;
}

static inline Chain *antichain_find(const Antichain *a, int32_t state) {
    if (!a->hashed) {
        for (int32_t i = 0; i < a->chains_n; i++)
            if (a->chains[i].state == state) return &a->chains[i];
        return NULL;
    }
    for (uint32_t at = scatter(state) & (a->table_cap - 1); a->table[at] != NOBODY; at = (at + 1) & (a->table_cap - 1))
        if (a->chains[a->table[at]].state == state) return &a->chains[a->table[at]];
    return NULL;
}

static Chain *antichain_open(Purse *purse, Antichain *a, int32_t state) {
    if (a->chains_n == a->chains_cap) {
        int32_t cap = a->chains_cap ? 2 * a->chains_cap : 4;
        size_t size = sizeof *a->chains;
        a->chains = grow(purse, a->chains, (size_t)a->chains_cap * size, (size_t)cap * size);
        a->chains_cap = cap;
    }
    Chain *chain = &a->chains[a->chains_n++];
    *chain = (Chain){state, NOBODY, NOBODY, 0, 0};
    if (a->hashed ? 2 * (uint32_t)a->chains_n > a->table_cap : a->chains_n > FEW_CHAINS)
        antichain_hash(purse, a, a->hashed ? 2 * a->table_cap : 64);
    else if (a->hashed) {
        uint32_t at = scatter(state) & (a->table_cap - 1);
        while (a->table[at] != NOBODY) at = (at + 1) & (a->table_cap - 1);
        a->table[at] = a->chains_n - 1;
        chain->place = at;
    }
    return chain;
}

/* Add a configuration unless one that is at least as good is there; remove those that it is better than.
 * At least as good: the same state, owing no more and offering no less. Returns its place, or NOBODY. */
INLINE int32_t antichain_insert(Purse *purse, Antichain *a, const uint64_t *c, const int W) {
    Chain *chain = antichain_find(a, state_of(c));
    if (!chain) chain = antichain_open(purse, a, state_of(c));
    const uint64_t *must = c + 1, *may = c + 1 + W;
    for (int32_t i = chain->head, before = NOBODY; i != NOBODY;) {
        const uint64_t *other = row_at(&a->row, i, W) + 1;
        uint64_t not_as_good = 0, not_worse = 0;
        for (int w = 0; w < W; w++) {
            not_as_good |= (other[w] & ~must[w]) | (may[w] & ~other[W + w]);
            not_worse |= (must[w] & ~other[w]) | (other[W + w] & ~may[w]);
        }
        if (!not_as_good) return NOBODY;
        int32_t next = a->next[i];
        if (not_worse)
            before = i;
        else {
            a->next[i] = BEATEN;
            *(before == NOBODY ? &chain->head : &a->next[before]) = next;
            if (next == NOBODY) chain->tail = before;
            chain->length--;
        }
        i = next;
    }
    int32_t cap = a->row.cap, place = a->row.n;
    memcpy(row_push(purse, &a->row, W), c, WORDS(W) * sizeof *c);
    if (a->row.cap != cap)
        a->next = grow(purse, a->next, (size_t)cap * sizeof *a->next, (size_t)a->row.cap * sizeof *a->next);
    a->next[place] = NOBODY;
    *(chain->tail == NOBODY ? &chain->head : &a->next[chain->tail]) = place;
    chain->tail = place;
    chain->length++;
    return place;
}

static inline void antichain_clear(Antichain *a) {
    if (a->hashed)
        for (int32_t i = 0; i < a->chains_n; i++) a->table[a->chains[i].place] = NOBODY;
    a->hashed = false;
    a->row.n = a->chains_n = 0;
}

static inline void antichain_free(Antichain *a) {
    free(a->row.words), free(a->next), free(a->chains), free(a->table);
    memset(a, 0, sizeof *a);
}

#endif
