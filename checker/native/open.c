/* Which operations are open during a step; can be sought forwards and backwards. Lists of classes keep the order in which
 * a Python dictionary would hold them: the search must try moves in the same order. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

bool open_start(Open *open, const Problem *p) {
    memset(open, 0, sizeof *open);
    open->place = -1;
    open->free = NOBODY;
    open->changing = open->observers = (ClassList){NOBODY, NOBODY, 0};
    open->at = malloc(sizeof *open->at * ((size_t)p->classes + 1));
    open->absorbable = calloc((size_t)p->words, sizeof *open->absorbable);
    open->reusable = calloc((size_t)p->words, sizeof *open->reusable);
    open->holder = malloc(sizeof *open->holder * ((size_t)p->slots + 1));
    if (!open->at || !open->absorbable || !open->reusable || !open->holder) return false;
    for (int32_t i = 0; i < p->classes; i++) open->at[i] = NOBODY;
    for (int32_t i = 0; i < p->slots; i++) open->holder[i] = NOBODY;
    return true;
}

void open_free(Open *open) {
    for (int32_t i = 0; i < open->pool_n; i++) free(open->pool[i].queue);
    free(open->pool), free(open->masks), free(open->at), free(open->absorbable), free(open->reusable), free(open->holder);
    memset(open, 0, sizeof *open);
}

static int32_t take_class(Open *open, const Problem *p, int32_t kind, ClassList *list) {
    int32_t at = open->free;
    if (at != NOBODY)
        open->free = open->pool[at].next;
    else {
        if (open->pool_n == open->pool_cap) {
            int32_t cap = open->pool_cap ? 2 * open->pool_cap : 16;
            OpenClass *pool = realloc(open->pool, sizeof *pool * (size_t)cap);
            if (pool) open->pool = pool;
            uint64_t *masks = realloc(open->masks, sizeof *masks * (size_t)cap * (size_t)p->words);
            if (masks) open->masks = masks;
            if (!pool || !masks) return NOBODY;
            open->pool_cap = cap;
        }
        at = open->pool_n++;
        open->pool[at] = (OpenClass){0};
    }
    OpenClass *opened = &open->pool[at];
    opened->kind = kind, opened->queued = 0, opened->previous = list->last, opened->next = NOBODY;
    memset(open->masks + (size_t)at * (size_t)p->words, 0, sizeof *open->masks * (size_t)p->words);
    if (list->last == NOBODY)
        list->first = at;
    else
        open->pool[list->last].next = at;
    list->last = at, list->n++;
    open->at[kind] = at;
    return at;
}

static void drop_class(Open *open, int32_t at, ClassList *list) {
    OpenClass *opened = &open->pool[at];
    *(opened->previous == NOBODY ? &list->first : &open->pool[opened->previous].next) = opened->next;
    *(opened->next == NOBODY ? &list->last : &open->pool[opened->next].previous) = opened->previous;
    list->n--;
    open->at[opened->kind] = NOBODY;
    opened->next = open->free;
    open->free = at;
}

static bool enqueue(OpenClass *opened, Queued queued) {
    if (opened->queued == opened->queue_cap) {
        int32_t cap = opened->queue_cap ? 2 * opened->queue_cap : 4;
        Queued *queue = realloc(opened->queue, sizeof *queue * (size_t)cap);
        if (!queue) return false;
        opened->queue = queue, opened->queue_cap = cap;
    }
    int32_t i = opened->queued++;
    for (; i > 0; i--) {
        Queued before = opened->queue[i - 1];
        if (before.until < queued.until || (before.until == queued.until && before.number < queued.number)) break;
        opened->queue[i] = before;
    }
    opened->queue[i] = queued;
    return true;
}

static bool enter(Open *open, const Problem *p, int32_t number) {
    int32_t kind = p->class_of[number], slot = p->slot[number], deadline = p->deadline[number];
    uint64_t bit = UINT64_C(1) << (slot & 63);
    ClassList *list = p->traits[kind] & OBSERVER ? &open->observers : &open->changing;
    int32_t at = open->at[kind];
    if (at == NOBODY && (at = take_class(open, p, kind, list)) == NOBODY) return false;
    open->holder[slot] = number;
    open->masks[(size_t)at * (size_t)p->words + (size_t)(slot >> 6)] |= bit;
    if (!enqueue(&open->pool[at], (Queued){deadline < p->lapse[number] ? deadline : p->lapse[number], slot, number})) return false;
    if (list == &open->observers) return true;
    if (deadline == NEVER) {
        if (!p->exact || !p->exact[kind]) open->reusable[slot >> 6] |= bit;
    } else if (p->traits[kind] & (TOTAL | CONSTANT))
        open->absorbable[slot >> 6] |= bit;
    return true;
}

static void leave(Open *open, const Problem *p, int32_t number) {
    int32_t kind = p->class_of[number], slot = p->slot[number], at = open->at[kind], i = 0;
    uint64_t bit = UINT64_C(1) << (slot & 63);
    OpenClass *opened = &open->pool[at];
    open->holder[slot] = NOBODY;
    open->masks[(size_t)at * (size_t)p->words + (size_t)(slot >> 6)] &= ~bit;
    while (opened->queue[i].slot != slot) i++;
    opened->queued--;
    memmove(opened->queue + i, opened->queue + i + 1, sizeof *opened->queue * (size_t)(opened->queued - i));
    open->absorbable[slot >> 6] &= ~bit;
    open->reusable[slot >> 6] &= ~bit;
    if (!opened->queued) drop_class(open, at, p->traits[kind] & OBSERVER ? &open->observers : &open->changing);
}

/* Go to a step, forwards or backwards. False: memory ran out. */
bool open_seek(Open *open, const Problem *p, int32_t place) {
    while (open->place < place) {
        if (open->place >= 0) leave(open, p, p->returning[open->place]);
        open->place++;
        for (int32_t i = p->lapsing_from[open->place]; i < p->lapsing_from[open->place + 1]; i++)
            leave(open, p, p->lapsing[i]);
        for (int32_t i = p->calls_from[open->place]; i < p->calls_from[open->place + 1]; i++)
            if (!enter(open, p, p->calls[i])) return false;
    }
    while (open->place > place) {
        for (int32_t i = p->calls_from[open->place]; i < p->calls_from[open->place + 1]; i++)
            leave(open, p, p->calls[i]);
        for (int32_t i = p->lapsing_from[open->place]; i < p->lapsing_from[open->place + 1]; i++)
            if (!enter(open, p, p->lapsing[i])) return false;
        open->place--;
        if (!enter(open, p, p->returning[open->place])) return false;
    }
    return true;
}
