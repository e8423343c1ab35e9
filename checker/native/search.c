/* One pass of the antichain search over one compiled partition: checker/search.py, step for step.
 * docs/checker.md argues every rule. Memory errors, spent budgets and broken models leave by a jump to `search`. */
#include "antichain.h"
#include "engine.h"

#include <time.h>

#define COMPARISONS_PER_CONFIGURATION 256
#define CLASSES_PER_CONFIGURATION 32
#define CLOCK_EVERY 512
#define INTERRUPT_EVERY 65536
#define TRAIL_MIN (1 << 16) /* nodes before the first sweep */

typedef struct {
    int32_t *steps, n, cap;
    Antichain **of; /* per step */
} Memory;

typedef struct {
    Problem *problem;
    const Pass *pass;
    End *end;
    jmp_buf escape;
    Purse purse;
    int64_t next_clock, next_interrupt, sweep_at;
    double stop_seconds;
    Open open;
    Memory visited, passed;
    Antichain **idle; /* cleared, to be used again */
    int32_t idle_n, idle_cap, antichains_n;
    Antichain onward;
    Frame *frames;
    int32_t frames_n, frames_cap;
    Row scratch, found, sorted; /* one configuration; successors; a row being sorted */
    int64_t *keys; /* for sorting */
    int32_t keys_cap;
    Move *moves;
    int32_t moves_cap;
    uint64_t *called_must, *called_may, *lapsed;
    int32_t *watchers, watchers_n; /* observers called in this step */
    int32_t watchers_cap;
} Search;

double seconds_now(void) {
#if defined(_WIN32)
    return (double)clock() / CLOCKS_PER_SEC;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#endif
}

static void leave_with(Search *s, int ending) { longjmp(s->escape, ending + 1); }

static int32_t step_of(Search *s, int32_t state, int32_t kind) {
    int32_t after = oracle_step(&s->problem->oracle, state, kind);
    if (after == BROKEN) leave_with(s, FAILED);
    return after;
}

/* ── memory of what was explored ─────────────────────────────────────────────────────────────────────────────────── */

static Antichain *remembered(Search *s, Memory *memory, int32_t step) {
    if (memory->of[step]) return memory->of[step];
    if (!s->idle_n) {
        if (s->antichains_n == s->idle_cap) {
            size_t cap = s->idle_cap ? 2 * (size_t)s->idle_cap : 8;
            s->idle = grow(&s->purse, s->idle, (size_t)s->idle_cap * sizeof *s->idle, cap * sizeof *s->idle);
            s->idle_cap = (int32_t)cap;
        }
        Antichain *fresh = grow(&s->purse, NULL, 0, sizeof *fresh);
        memset(fresh, 0, sizeof *fresh);
        s->idle[s->idle_n++] = fresh;
        s->antichains_n++;
    }
    if (memory->n == memory->cap) {
        size_t cap = memory->cap ? 2 * (size_t)memory->cap : 16;
        memory->steps = grow(&s->purse, memory->steps, (size_t)memory->cap * sizeof *memory->steps, cap * sizeof *memory->steps);
        memory->cap = (int32_t)cap;
    }
    memory->steps[memory->n++] = step;
    return memory->of[step] = s->idle[--s->idle_n];
}

static void forget(Search *s, Memory *memory) {
    for (; memory->n; memory->n--) {
        int32_t step = memory->steps[memory->n - 1];
        antichain_clear(memory->of[step]);
        s->idle[s->idle_n++] = memory->of[step];
        memory->of[step] = NULL;
    }
}

/* ── trails ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

static int32_t trail_add(Search *s, int32_t before, int32_t operation, int32_t step) {
    Trail *t = &s->end->trail;
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * (size_t)t->cap : 1024, was = (size_t)t->cap;
        if (cap > INT32_MAX / 2) leave_with(s, SPENT);
        t->before = grow(&s->purse, t->before, was * sizeof *t->before, cap * sizeof *t->before);
        t->operation = grow(&s->purse, t->operation, was * sizeof *t->operation, cap * sizeof *t->operation);
        t->step = grow(&s->purse, t->step, was * sizeof *t->step, cap * sizeof *t->step);
        t->cap = (int32_t)cap;
    }
    t->before[t->n] = before, t->operation[t->n] = operation, t->step[t->n] = step;
    return t->n++;
}

/* Calls `visit` for all trails that may still be asked for: of what waits, of what is unexplored, of the survivors. */
static void each_root(Search *s, int32_t *renamed, void (*visit)(uint64_t *, int32_t *)) {
    int W = s->problem->words;
    for (int32_t f = 0; f < s->frames_n; f++) {
        Frame *frame = &s->frames[f];
        for (int32_t i = 0; i < frame->waiting.n; i++) visit(row_at(&frame->waiting, i, W), renamed);
        Antichain *visited = s->visited.of[frame->step];
        for (int32_t i = frame->head; visited && i < visited->row.n; i++) visit(row_at(&visited->row, i, W), renamed);
    }
    for (int32_t i = 0; i < s->end->survivors.n; i++) visit(row_at(&s->end->survivors, i, W), renamed);
}

static void mark_root(uint64_t *c, int32_t *renamed) {
    if (trail_of(c) != NOBODY) renamed[trail_of(c)] = 0;
}

static void rename_root(uint64_t *c, int32_t *renamed) {
    if (trail_of(c) != NOBODY) c[0] = head_word(state_of(c), renamed[trail_of(c)]);
}

/* Drops nodes that nothing leads back to. A node is younger than the one before it, so one look at each is enough. */
static void trail_sweep(Search *s) {
    Trail *t = &s->end->trail;
    size_t size = (size_t)t->n * sizeof(int32_t);
    int32_t *renamed = grow(&s->purse, NULL, 0, size), kept = 0;
    memset(renamed, 0xff, size); /* NOBODY */
    each_root(s, renamed, mark_root);
    for (int32_t i = t->n - 1; i >= 0; i--)
        if (renamed[i] != NOBODY && t->before[i] != NOBODY) renamed[t->before[i]] = 0;
    for (int32_t i = 0; i < t->n; i++)
        if (renamed[i] != NOBODY) {
            t->before[kept] = t->before[i] == NOBODY ? NOBODY : renamed[t->before[i]];
            t->operation[kept] = t->operation[i], t->step[kept] = t->step[i];
            renamed[i] = kept++;
        }
    t->n = kept;
    each_root(s, renamed, rename_root);
    free(renamed);
    s->purse.bytes -= size;
    s->sweep_at = 2 * (int64_t)kept > TRAIL_MIN ? 2 * (int64_t)kept : TRAIL_MIN;
}

/* ── the meter ───────────────────────────────────────────────────────────────────────────────────────────────────── */

static void charge(Search *s, int64_t queued, int64_t compared) {
    End *end = s->end;
    end->configurations += 1 + s->open.changing.n / CLASSES_PER_CONFIGURATION;
    end->configurations += compared / COMPARISONS_PER_CONFIGURATION;
    if (s->pass->frontier_max && queued > 8 * s->pass->frontier_max) leave_with(s, TOO_WIDE);
    if (end->configurations >= s->pass->stop_at) leave_with(s, SPENT);
    if (s->pass->seconds >= 0 && end->configurations >= s->next_clock) {
        s->next_clock = end->configurations + CLOCK_EVERY;
        if (seconds_now() >= s->stop_seconds) leave_with(s, SPENT);
    }
    if (end->configurations >= s->next_interrupt) {
        s->next_interrupt = end->configurations + INTERRUPT_EVERY;
        if (s->pass->interrupted && s->pass->interrupted(s->pass->host)) leave_with(s, FAILED);
    }
}

/* ── one step ────────────────────────────────────────────────────────────────────────────────────────────────────── */

#define BIT(slot) (UINT64_C(1) << ((slot) & 63))
INLINE bool has(const uint64_t *set, int32_t slot) { return set[slot >> 6] >> (slot & 63) & 1; }

INLINE bool meet(const uint64_t *a, const uint64_t *b, const int W) {
    uint64_t both = 0;
    for (int w = 0; w < W; w++) both |= a[w] & b[w];
    return both != 0;
}

INLINE bool empty(const uint64_t *a, const int W) {
    uint64_t any = 0;
    for (int w = 0; w < W; w++) any |= a[w];
    return !any;
}

INLINE const uint64_t *mask_of(const Search *s, int32_t at, const int W) { return s->open.masks + (size_t)at * (size_t)W; }

/* What the calls of a step add to every configuration, and what has lapsed takes away. */
static void collect_calls(Search *s, int32_t step) {
    const Problem *p = s->problem;
    size_t size = (size_t)p->words * sizeof *s->called_must;
    memset(s->called_must, 0, size), memset(s->called_may, 0, size), memset(s->lapsed, 0, size);
    s->watchers_n = 0;
    for (int32_t i = p->lapsing_from[step]; i < p->lapsing_from[step + 1]; i++)
        s->lapsed[p->slot[p->lapsing[i]] >> 6] |= BIT(p->slot[p->lapsing[i]]);
    for (int32_t i = p->calls_from[step]; i < p->calls_from[step + 1]; i++) {
        int32_t number = p->calls[i], slot = p->slot[number];
        if (p->traits[p->class_of[number]] & OBSERVER) {
            if (s->watchers_n == s->watchers_cap) {
                size_t cap = s->watchers_cap ? 2 * (size_t)s->watchers_cap : 16, was = (size_t)s->watchers_cap;
                s->watchers = grow(&s->purse, s->watchers, was * sizeof *s->watchers, cap * sizeof *s->watchers);
                s->watchers_cap = (int32_t)cap;
            }
            s->watchers[s->watchers_n++] = number;
            continue;
        }
        s->called_may[slot >> 6] |= BIT(slot);
        if (p->deadline[number] != NEVER) s->called_must[slot >> 6] |= BIT(slot);
    }
}

/* A configuration after the calls of a step: an observer that is legal at once is done at once. */
INLINE void arrive(Search *s, int32_t step, uint64_t *c, const int W) {
    const Problem *p = s->problem;
    const Oracle *o = &p->oracle;
    int32_t state = state_of(c);
    if (o->looks_ahead && o->facts[state].mentioned_until < step) {
        state = o->elsewhere;
        c[0] = head_word(state, trail_of(c));
    }
    for (int w = 0; w < W; w++) {
        c[1 + w] |= s->called_must[w];
        c[1 + W + w] = (c[1 + W + w] & ~s->lapsed[w]) | s->called_may[w];
    }
    for (int32_t i = 0; i < s->watchers_n; i++) {
        int32_t number = s->watchers[i], slot = p->slot[number];
        if (step_of(s, state, p->class_of[number]) < 0) c[1 + (slot >> 6)] |= BIT(slot);
    }
}

INLINE bool stranded(const Search *s, const Facts *about, int32_t step, const uint64_t *owed, const uint64_t *left, const int W) {
    const Open *open = &s->open;
    if (about->made_until > step) return false;
    if (about->demanded_until <= step) {
        bool demanded = false;
        for (int32_t i = 0; i < about->demanders_n && !demanded; i++) {
            int32_t at = open->at[about->demanders[i]];
            demanded = at != NOBODY && meet(owed, mask_of(s, at, W), W);
        }
        if (!demanded) return false;
    }
    for (int32_t i = 0; i < about->makers_n; i++) {
        int32_t at = open->at[about->makers[i]];
        if (at != NOBODY && !(s->problem->traits[about->makers[i]] & OBSERVER) && meet(left, mask_of(s, at, W), W))
            return false;
    }
    return true;
}

/* Let all open observers that are legal here take effect. */
INLINE void observe(Search *s, int32_t state, uint64_t *owed, const int W) {
    const Open *open = &s->open;
    for (int32_t at = open->observers.first; at != NOBODY; at = open->pool[at].next) {
        const uint64_t *mask = mask_of(s, at, W);
        if (meet(owed, mask, W) && step_of(s, state, open->pool[at].kind) >= 0)
            for (int w = 0; w < W; w++) owed[w] &= ~mask[w];
    }
}

static Move *move_add(Search *s, int32_t n) {
    if (n == s->moves_cap) {
        size_t cap = s->moves_cap ? 2 * (size_t)s->moves_cap : 64;
        s->moves = grow(&s->purse, s->moves, (size_t)s->moves_cap * sizeof *s->moves, cap * sizeof *s->moves);
        s->moves_cap = (int32_t)cap;
    }
    return &s->moves[n];
}

/* The operations of a class worth using: the one that must return first, and one that need not if it would be lost
 * earlier; of a constant class the earliest alone. Returns how many. */
INLINE int choices(const OpenClass *opened, bool constant, const uint64_t *must, const uint64_t *may, int32_t *slots) {
    int32_t spare = NOBODY;
    for (int32_t i = 0; i < opened->queued; i++) {
        int32_t slot = opened->queue[i].slot;
        if (!has(may, slot)) continue;
        if (constant || has(must, slot)) {
            slots[0] = slot, slots[1] = spare;
            return spare == NOBODY ? 1 : 2;
        }
        if (spare == NOBODY) spare = slot;
        if (opened->queue[i].until == NEVER) break; /* no later one must return */
    }
    slots[0] = spare;
    return 1;
}

/* Which open operations are worth applying next. Returns how many, in `moves`. */
INLINE int32_t list_moves(Search *s, const uint64_t *c, int32_t step, const int W) {
    const Problem *p = s->problem;
    const Oracle *o = &p->oracle;
    const Open *open = &s->open;
    int32_t state = state_of(c), n = 0, unasked = NOBODY, unasked_until = 0;
    for (int32_t at = open->changing.first; at != NOBODY; at = open->pool[at].next) {
        const OpenClass *opened = &open->pool[at];
        if (!meet(c + 1 + W, mask_of(s, at, W), W)) continue;
        int32_t slots[2], after = step_of(s, state, opened->kind);
        if (after < 0) continue;
        bool constant = p->traits[opened->kind] & CONSTANT;
        int chosen = choices(opened, constant, c + 1, c + 1 + W, slots);
        if (o->looks_ahead && o->facts[after].mentioned_until < step) {
            after = o->elsewhere;
            if (constant) { /* all such writes are one class: the earliest deadline will do */
                int32_t number = open->holder[slots[0]];
                int32_t until = p->deadline[number] < p->lapse[number] ? p->deadline[number] : p->lapse[number];
                if (unasked == NOBODY || until < unasked_until ||
                    (until == unasked_until && number < open->holder[unasked]))
                    unasked = slots[0], unasked_until = until;
                continue;
            }
        }
        for (int i = 0; i < chosen; i++)
            if (after != state || constant || has(c + 1, slots[i])) *move_add(s, n++) = (Move){after, slots[i], constant};
    }
    if (unasked != NOBODY) *move_add(s, n++) = (Move){o->elsewhere, unasked, true};
    return n;
}

/* What one more state-changing operation, and all that takes effect in passing, can lead to: in `found`, with the slot
 * applied in place of the trail. */
INLINE void list_successors(Search *s, const uint64_t *c, int32_t step, const int W) {
    const Oracle *o = &s->problem->oracle;
    int32_t state = state_of(c), moves = list_moves(s, c, step, W);
    s->found.n = 0;
    for (int32_t i = 0; i < moves; i++) {
        Move move = s->moves[i];
        uint64_t *successor = row_push(&s->purse, &s->found, W), *owed = successor + 1, *left = successor + 1 + W;
        memcpy(owed, c + 1, 2 * (size_t)W * sizeof *owed);
        successor[0] = head_word(move.after, move.slot);
        owed[move.slot >> 6] &= ~BIT(move.slot);
        if (move.constant)
            for (int w = 0; w < W; w++) owed[w] &= ~s->open.absorbable[w];
        if (!(s->pass->relaxed && has(s->open.reusable, move.slot))) left[move.slot >> 6] &= ~BIT(move.slot);
        if (move.after == state || empty(owed, W)) continue;
        observe(s, move.after, owed, W);
        if (o->looks_ahead && stranded(s, &o->facts[state], step, owed, left, W)) s->found.n--;
    }
}

/* Go on from one unexplored configuration. */
INLINE void expand(Search *s, Frame *frame, Antichain *visited, int32_t returning, const int W) {
    uint64_t *c = s->scratch.words;
    memcpy(c, row_at(&visited->row, frame->head++, W), WORDS(W) * sizeof *c);
    list_successors(s, c, frame->step, W);
    int64_t chain = antichain_find(visited, state_of(c))->length;
    charge(s, visited->row.n - frame->queue_from, s->found.n * chain);
    for (int32_t i = 0; i < s->found.n; i++) {
        uint64_t *successor = row_at(&s->found, i, W), *owed = successor + 1, *left = successor + 1 + W;
        int32_t operation = s->open.holder[trail_of(successor)], node = NOBODY;
        if (has(owed, returning) || has(left, returning)) {
            int32_t at = antichain_insert(&s->purse, visited, successor, W);
            if (at != NOBODY) {
                node = trail_add(s, trail_of(c), operation, frame->step);
                row_at(&visited->row, at, W)[0] = head_word(state_of(successor), node);
            }
        }
        if (!has(owed, returning)) {
            left[returning >> 6] &= ~BIT(returning);
            int32_t at = antichain_insert(&s->purse, &s->onward, successor, W);
            if (at == NOBODY) continue;
            if (node == NOBODY) node = trail_add(s, trail_of(c), operation, frame->step);
            row_at(&s->onward.row, at, W)[0] = head_word(state_of(successor), node);
        }
    }
}

/* Apply open operations, in every order that matters, until the returning one has taken effect. */
INLINE void explore(Search *s, Frame *frame, Antichain *visited, int32_t returning, const int W) {
    int64_t pause = s->pass->width ? frame->head + (int64_t)s->pass->burst * s->pass->width : INT64_MAX;
    while (frame->head < visited->row.n) {
        if (frame->head >= pause && s->onward.chains_n) return;
        if (visited->next[frame->head] == BEATEN)
            frame->head++;
        else
            expand(s, frame, visited, returning, W);
    }
}

INLINE int32_t burden(const uint64_t *c, const int W) {
    int32_t sum = 0;
    for (int w = 0; w < W; w++) sum += POPCOUNT(c[1 + w]) - POPCOUNT(c[1 + W + w]);
    return sum;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Those that owe most and offer least first; equal ones stay in order, because their places are part of the keys. */
static void sort_by_burden(Search *s, Row *row, const int W) {
    if (row->n < 2) return;
    if (row->n > s->keys_cap) {
        size_t cap = 2 * (size_t)row->n;
        s->keys = grow(&s->purse, s->keys, (size_t)s->keys_cap * sizeof *s->keys, cap * sizeof *s->keys);
        s->keys_cap = (int32_t)cap;
    }
    for (int32_t i = 0; i < row->n; i++)
        s->keys[i] = (int64_t)(s->problem->slots - burden(row_at(row, i, W), W)) * ((int64_t)1 << 32) + i;
    qsort(s->keys, (size_t)row->n, sizeof *s->keys, ascending);
    s->sorted.n = 0;
    for (int32_t i = 0; i < row->n; i++)
        memcpy(row_push(&s->purse, &s->sorted, W), row_at(row, (int32_t)(s->keys[i] & UINT32_MAX), W),
               WORDS(W) * sizeof *row->words);
    Row swap = *row;
    *row = s->sorted, s->sorted = swap;
}

/* What can go on to the next step, best last, becomes `onward_row`. */
INLINE void list_onward(Search *s, Row *onward_row, const int W) {
    onward_row->n = 0;
    for (int32_t k = 0; k < s->onward.chains_n; k++)
        for (int32_t i = s->onward.chains[k].head; i != NOBODY; i = s->onward.next[i])
            memcpy(row_push(&s->purse, onward_row, W), row_at(&s->onward.row, i, W), WORDS(W) * sizeof(uint64_t));
    if (onward_row->n > s->end->frontier_max) s->end->frontier_max = onward_row->n;
    if (s->pass->frontier_max && onward_row->n > s->pass->frontier_max) leave_with(s, TOO_WIDE);
    if (s->pass->width) sort_by_burden(s, onward_row, W);
}

/* Work on a step: breadth-first all of it, depth-first a chunk. */
INLINE void advance(Search *s, Frame *frame, Row *onward_row, const int W) {
    const Problem *p = s->problem;
    if (!open_seek(&s->open, p, frame->step)) leave_with(s, NO_MEMORY);
    collect_calls(s, frame->step);
    Antichain *visited = remembered(s, &s->visited, frame->step);
    antichain_clear(&s->onward);
    int32_t returning = p->slot[p->returning[frame->step]], n = frame->waiting.n;
    int32_t taken = s->pass->width && s->pass->width < n ? s->pass->width : n;
    for (int32_t i = n - taken; i < n; i++) {
        uint64_t *c = row_at(&frame->waiting, i, W);
        arrive(s, frame->step, c, W);
        if (has(c + 1, returning) || has(c + 1 + W, returning)) antichain_insert(&s->purse, visited, c, W);
        if (!has(c + 1, returning)) {
            c[1 + W + (returning >> 6)] &= ~BIT(returning);
            antichain_insert(&s->purse, &s->onward, c, W);
        }
    }
    frame->waiting.n = n - taken;
    explore(s, frame, visited, returning, W);
    list_onward(s, onward_row, W);
}

/* ── one pass ────────────────────────────────────────────────────────────────────────────────────────────────────── */

static Frame *frame_push(Search *s, int32_t step) {
    if (s->frames_n == s->frames_cap) {
        size_t cap = s->frames_cap ? 2 * (size_t)s->frames_cap : 16, was = (size_t)s->frames_cap;
        s->frames = grow(&s->purse, s->frames, was * sizeof *s->frames, cap * sizeof *s->frames);
        memset(s->frames + was, 0, (cap - was) * sizeof *s->frames);
        s->frames_cap = (int32_t)cap;
    }
    Frame *frame = &s->frames[s->frames_n++];
    Antichain *visited = s->visited.of[step];
    frame->step = step;
    frame->queue_from = frame->head = visited ? visited->row.n : 0;
    frame->waiting.n = 0;
    return frame;
}

INLINE void copy_row(Search *s, Row *to, const Row *from, const int W) {
    to->n = 0;
    for (int32_t i = 0; i < from->n; i++)
        memcpy(row_push(&s->purse, to, W), row_at(from, i, W), WORDS(W) * sizeof *from->words);
}

/* Leaves in `row` those that are better than all that came this way before. */
INLINE void drop_seen(Search *s, Row *row, int32_t step, const int W) {
    Antichain *passed = remembered(s, &s->passed, step);
    int32_t kept = 0;
    for (int32_t i = 0; i < row->n; i++)
        if (antichain_insert(&s->purse, passed, row_at(row, i, W), W) != NOBODY)
            memmove(row_at(row, kept++, W), row_at(row, i, W), WORDS(W) * sizeof *row->words);
    row->n = kept;
}

/* The configurations to begin with. Late: every state that may be, all open operations on offer, and nothing owed. */
INLINE void push_starts(Search *s, Row *waiting, const int W) {
    const Problem *p = s->problem;
    const Pass *pass = s->pass;
    for (int32_t k = 0; k < (pass->starts ? pass->starts_n : 1); k++) {
        uint64_t *c = row_push(&s->purse, waiting, W);
        memset(c, 0, WORDS(W) * sizeof *c);
        c[0] = head_word(pass->starts ? pass->starts[k] : 0, NOBODY);
        for (int32_t i = 0; i < p->calls_from[pass->begin]; i++) {
            int32_t number = p->calls[i], slot = p->slot[number];
            if (p->deadline[number] >= pass->begin && p->lapse[number] >= pass->begin && !(p->traits[p->class_of[number]] & OBSERVER))
                c[1 + W + (slot >> 6)] |= BIT(slot);
        }
    }
}

INLINE void run(Search *s, Row *onward, const int W) {
    const Problem *p = s->problem;
    s->end->step = s->pass->begin;
    push_starts(s, &frame_push(s, s->pass->begin)->waiting, W);
    copy_row(s, &s->end->survivors, &s->frames[0].waiting, W);
    while (s->frames_n) {
        if (s->end->trail.n >= s->sweep_at) trail_sweep(s);
        Frame *frame = &s->frames[s->frames_n - 1];
        int32_t next = frame->step + 1;
        advance(s, frame, onward, W);
        if (!frame->waiting.n && frame->head == s->visited.of[frame->step]->row.n) s->frames_n--;
        if (!s->frames_n)
            forget(s, &s->visited), forget(s, &s->passed);
        else if (onward->n)
            drop_seen(s, onward, next, W);
        if (!onward->n) continue;
        if (next == p->steps) {
            s->end->step = next;
            s->end->last = trail_of(row_at(onward, onward->n - 1, W));
            leave_with(s, LINEARIZED);
        }
        if (next > s->end->step) {
            s->end->step = next;
            copy_row(s, &s->end->survivors, onward, W);
        }
        Row *waiting = &frame_push(s, next)->waiting, swap = *waiting;
        *waiting = *onward, *onward = swap;
    }
    leave_with(s, STUCK);
}

static void run_1(Search *s, Row *onward) { run(s, onward, 1); }
static void run_2(Search *s, Row *onward) { run(s, onward, 2); }
static void run_4(Search *s, Row *onward) { run(s, onward, 4); }
static void run_any(Search *s, Row *onward) { run(s, onward, s->problem->words); }

static void search_start(Search *s) {
    Problem *p = s->problem;
    size_t words = (size_t)p->words, steps = (size_t)p->steps + 1;
    if (!open_start(&s->open, p)) leave_with(s, NO_MEMORY);
    s->called_must = grow(&s->purse, NULL, 0, words * sizeof *s->called_must);
    s->called_may = grow(&s->purse, NULL, 0, words * sizeof *s->called_may);
    s->lapsed = grow(&s->purse, NULL, 0, words * sizeof *s->lapsed);
    s->visited.of = grow(&s->purse, NULL, 0, steps * sizeof *s->visited.of);
    memset(s->visited.of, 0, steps * sizeof *s->visited.of);
    s->passed.of = grow(&s->purse, NULL, 0, steps * sizeof *s->passed.of);
    memset(s->passed.of, 0, steps * sizeof *s->passed.of);
    row_push(&s->purse, &s->scratch, p->words);
    s->sweep_at = TRAIL_MIN;
    s->next_interrupt = s->end->configurations + INTERRUPT_EVERY;
    if (s->pass->seconds >= 0) s->stop_seconds = seconds_now() + s->pass->seconds;
}

static void memory_free(Memory *memory) {
    for (int32_t i = 0; i < memory->n; i++) {
        antichain_free(memory->of[memory->steps[i]]);
        free(memory->of[memory->steps[i]]);
    }
    free(memory->of), free(memory->steps);
}

static void search_free(Search *s) {
    open_free(&s->open);
    if (s->visited.of) memory_free(&s->visited);
    if (s->passed.of) memory_free(&s->passed);
    for (int32_t i = 0; i < s->idle_n; i++) antichain_free(s->idle[i]), free(s->idle[i]);
    for (int32_t i = 0; i < s->frames_cap; i++) free(s->frames[i].waiting.words);
    antichain_free(&s->onward);
    free(s->idle), free(s->frames), free(s->scratch.words), free(s->found.words), free(s->sorted.words);
    free(s->moves), free(s->keys), free(s->called_must), free(s->called_may), free(s->lapsed), free(s->watchers);
}

/* Search until there is an answer or the pass must stop. `end` must be zero but for the meter. */
void search(Problem *problem, const Pass *pass, End *end) {
    Search *s = calloc(1, sizeof *s);
    Row *onward = calloc(1, sizeof *onward);
    end->last = NOBODY;
    if (!s || !onward) {
        end->ending = NO_MEMORY;
    } else if (!problem->steps) {
        end->ending = LINEARIZED;
    } else {
        s->problem = problem, s->pass = pass, s->end = end;
        s->purse.bytes_max = pass->bytes_max, s->purse.escape = &s->escape;
        int code = setjmp(s->escape);
        if (code == 0) {
            search_start(s);
            (problem->words == 1 ? run_1 : problem->words == 2 ? run_2 : problem->words == 4 ? run_4 : run_any)(s, onward);
        }
        end->ending = code - 1;
        search_free(s);
    }
    if (onward) free(onward->words);
    free(onward), free(s);
}

void end_free(End *end) {
    free(end->trail.before), free(end->trail.operation), free(end->trail.step), free(end->survivors.words);
    memset(end, 0, sizeof *end);
}
