/* The compiled search: the types that its parts share. It is the search of checker/search.py, step for step: the same
 * configurations in the same order, the same charges to the budget. Nothing here knows Python; module.c does. */
#ifndef CHECKER_ENGINE_H
#define CHECKER_ENGINE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER INT32_MAX /* the deadline of an operation that never returned */
#define REFUSED (-1)    /* a transition: the operation is illegal in the state */
#define BROKEN (-2)     /* a transition: the model raised; the search ends with FAILED */
#define NOBODY (-1)     /* no operation, no class, no trail */

enum { OBSERVER = 1, TOTAL = 2, CONSTANT = 4 };

/* What the rest of the history asks of one value: checker.lookahead.ValueFacts. */
typedef struct {
    int32_t mentioned_until, demanded_until, made_until;
    int32_t demanders_n, makers_n;
    int32_t *demanders, *makers;
} Facts;

/* What a class of operations of a register does; `from` and `to` are states. */
enum { READ, READ_ANYTHING, WRITE, CAS_DONE, CAS_MAYBE, CAS_REFUSED, APPEND };
typedef struct {
    int32_t what, from, to;
} RegisterOp;

typedef struct {
    const char *bytes;
    int32_t length;
} Text;

/* A key-value store with appends. A state is a text that can still become one that somebody asks for; all others are
 * one state, `elsewhere`. See texts.c. */
typedef struct {
    RegisterOp *ops; /* per class; `to` of an APPEND is a place in `arguments` */
    Text *arguments;
    Text *asked; /* sorted */
    int32_t asked_n;
    Text *of;               /* per state */
    int32_t *from, *until;  /* per state: the texts in `asked` that begin with it */
    int32_t states_n, cap;
    int32_t *table; /* hash of (from, length) -> state */
    int32_t table_cap;
    int32_t none, elsewhere; /* the states of an absent key and of all texts that lead nowhere */
    bool growing;            /* nothing but appends and gets: the text must become `longest` */
    Text longest;
} Texts;

/* The model: either the register known to C, or a table that a callback fills. */
typedef struct Oracle {
    int32_t states_n, states_cap; /* states seen so far, as in Transitions.states */
    bool looks_ahead;
    int32_t elsewhere;
    Facts *facts; /* per state, if it looks ahead */
    int32_t facts_n, facts_cap;
    int32_t *fact_pool; /* one block for the lists of all facts, where they are known beforehand */
    /* register */
    RegisterOp *ops;     /* per class; NULL: a table */
    int32_t *seen_order; /* states in the order in which they were first met */
    uint8_t *seen;
    int32_t values_n;
    Texts *texts; /* key-value with appends; NULL: not that */
    /* table */
    uint64_t *keys; /* (state << 32 | class) + 1; 0 is empty */
    int32_t *after;
    size_t table_cap, table_n;
    int32_t (*ask)(void *host, struct Oracle *oracle, int32_t state, int32_t kind);
    void *host;
} Oracle;

/* One partition, compiled to integers: checker.problem.Problem. */
typedef struct {
    int32_t operations, classes, steps, slots;
    int words; /* of 64 bits, for a set of slots */
    bool crashed;
    int32_t *class_of, *deadline, *slot; /* per operation */
    int32_t *lapse;                      /* per operation: the step at which nobody needs it any more, or NEVER */
    int32_t *lapsing, *lapsing_from;     /* crashed operations by the step at which they lapse, as `calls` */
    int32_t *source;                     /* per operation: its place in the caller's sequence */
    int32_t *calls;                      /* operations in the order of their calls */
    int32_t *calls_from;                 /* per step and one more: where its calls begin in `calls` */
    int32_t *returning;                  /* per step */
    uint8_t *traits;                     /* per class */
    uint8_t *exact; /* per class: a relaxed pass may use its crashed operations only once each; NULL: none is */
    int32_t impossible;                  /* an operation that no order can place, or NOBODY; only of a register */
    Oracle oracle;
} Problem;

/* How configurations came about: node -> the one before, the operation applied, the step it was applied in. */
typedef struct {
    int32_t *before, *operation, *step;
    int32_t n, cap;
} Trail;

/* Configurations in a row: word 0 is state | trail << 32, then the words of MUST, then those of MAY. */
typedef struct {
    uint64_t *words;
    int32_t n, cap;
} Row;

typedef struct {
    int32_t state, head, tail, length;
    uint32_t place; /* in the hash table */
} Chain;

/* Configurations none of which is at least as good as another, by state; in the order in which they came. */
typedef struct {
    Row row;
    int32_t *next;
    Chain *chains;
    int32_t chains_n, chains_cap;
    int32_t *table; /* hash of the state -> chain, only when there are many */
    uint32_t table_cap;
    bool hashed;
} Antichain;

typedef struct {
    int32_t until, slot, number;
} Queued;

/* The open operations of one class, the one that closes earliest first; of those that stay open, the one called first. */
typedef struct {
    int32_t kind, previous, next, queued, queue_cap;
    Queued *queue;
} OpenClass;

typedef struct {
    int32_t first, last, n;
} ClassList;

/* Which operations are open during a step: checker.search.OpenOperations. */
typedef struct {
    int32_t place;
    OpenClass *pool;
    uint64_t *masks; /* per class in the pool */
    int32_t pool_n, pool_cap, free;
    int32_t *at; /* per class: its place in the pool, or NOBODY */
    ClassList changing, observers;
    uint64_t *absorbable, *reusable;
    int32_t *holder; /* per slot */
} Open;

typedef struct {
    int32_t step, queue_from, head;
    Row waiting;
} Frame;

typedef struct {
    int32_t after, slot;
    bool constant;
} Move;

enum { LINEARIZED, STUCK, TOO_WIDE, SPENT, FAILED, NO_MEMORY };

/* How to search once; 0 means without limit. */
typedef struct {
    int32_t width, burst;
    int64_t frontier_max, stop_at;
    bool relaxed;
    int32_t begin;         /* the step to begin at; 0 but for a late pass */
    const int32_t *starts; /* of a late pass: the states that it begins in; NULL: the first one */
    int32_t starts_n;
    size_t bytes_max;
    double seconds;                 /* left; negative: no limit */
    bool (*interrupted)(void *host); /* asked now and then */
    void *host;
} Pass;

/* How one pass ended. It owns what is needed to write out orders afterwards. */
typedef struct {
    int ending;
    int32_t step;
    int64_t configurations, frontier_max; /* in: used before; out: after */
    Trail trail;
    int32_t last; /* trail of the linearization */
    Row survivors;
} End;

/* problem.c */
bool problem_build(Problem *problem, const int64_t *called, const int64_t *returned, int32_t horizon);
bool problem_relax(const Problem *problem, Problem *relaxed, uint8_t *exact);
bool problem_look_ahead(Problem *problem);
bool problem_states_before(Problem *problem, int32_t step, int32_t **states, int32_t *n);
void problem_free(Problem *problem);

/* oracle.c */
int32_t oracle_step(Oracle *oracle, int32_t state, int32_t kind);
bool oracle_close(Oracle *oracle, int32_t classes, int64_t entries_max);
bool oracle_meet(Oracle *oracle, int32_t state);

/* texts.c */
bool texts_start(Texts *texts, const Text *start, Text *asked, int32_t asked_n, bool none_asked);
int32_t texts_find(Texts *texts, Text text);
int32_t texts_add(Texts *texts, Text text, int32_t from, int32_t until);
int32_t texts_ask(void *host, Oracle *oracle, int32_t state, int32_t kind);
bool texts_meet(Oracle *oracle, int32_t state);
void texts_free(Texts *texts);

/* open.c */
bool open_start(Open *open, const Problem *problem);
bool open_seek(Open *open, const Problem *problem, int32_t place);
void open_free(Open *open);

/* search.c */
void search(Problem *problem, const Pass *pass, End *end);
void end_free(End *end);

/* witness.c */
int32_t write_order(Problem *problem, const Trail *trail, int32_t last, int32_t until, int32_t **order, int32_t *state);
bool arrive_at(Problem *problem, int32_t step, uint64_t *configuration);

double seconds_now(void);

#endif
