"""Judges one partition, such as one key, by a fixed sequence of searches.

Here belong the sequence of passes, the budget and what is known at the end; the search itself is `checker.search`, a
whole history is `checker.linearizability`, and making a violation understandable is `checker.explain`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from checker.history import Operation
from checker.linearization import linearize
from checker.model import Model
from checker.preparation import find_impossible, refined
from checker.problem import NEVER, Problem, compile_problem
from checker.search import Ending, Meter, OpenOperations, Pass, Search, SearchEnd, arrive
from checker.transitions import Transitions

__all__ = [
    "DEFAULT_BUDGET",
    "Budget",
    "Decision",
    "Result",
    "Statistics",
    "Stuck",
    "Survivor",
    "check_operations",
    "judge",
    "passes_for",
    "start_meter",
]

HINT_CHECKS_MAX = 50_000
"""Entries of the transition table filled before an illegal verdict, to catch a wrong hint: about 50 ms."""

HINT_CHECKS_MIN = 200
"""So many always; beyond that, four times the configurations that the search took: checking costs no more than it."""


SURVIVORS_MAX = 10
"""Configurations shown when the search is stuck; Jepsen cuts at the same number: nobody reads more."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much work a check may take before it answers *unknown*."""

    configurations: int = 1_000_000
    """Configurations expanded, over all keys; a million take 5 to 20 seconds. Alone it makes the answer repeatable."""
    seconds: float | None = None
    """Wall-clock limit in addition; None: none. With it, a slow machine may answer *unknown* sooner than a fast one."""


DEFAULT_BUDGET = Budget()


class Decision(StrEnum):
    """What is known about a partition."""

    OK = "ok"
    ILLEGAL = "illegal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the search cost."""

    configurations: int
    frontier_max: int
    states: int
    steps: int
    """Returns that the search had to place."""
    hints_verified: bool = False
    """The model's hints were checked in every reachable state, not only in those that the search met."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """One configuration that was possible just before: the state, what must and what may still take effect."""

    state: object
    must: tuple[Operation, ...]
    may: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """Where an illegal (or undecided) search ended."""

    operation: Operation
    """Illegal: it cannot be placed by its return. Unknown: the furthest return that the search worked on."""
    prefix: tuple[Operation, ...]
    """A linearization of what precedes that return: one of the longest there are."""
    step: int
    """So many returns could be placed."""
    survivors: tuple[Survivor, ...] = ()
    """Configurations that were possible then, at most ten."""
    relaxed: bool = False
    """Found with crashed operations allowed to take effect repeatedly; the verdict holds all the more without."""


@dataclass(frozen=True, slots=True)
class Result:
    """The judgement on one partition."""

    decision: Decision
    phase: str
    """The pass that decided."""
    statistics: Statistics
    linearization: tuple[Operation, ...] | None = None
    """Only for OK: an order that explains everything; crashed operations not in it never took effect."""
    stuck: Stuck | None = None
    """Only for ILLEGAL and UNKNOWN."""


def passes_for(operations: int, *, crashed: bool) -> tuple[Pass, ...]:
    """The sequence of passes: each is exact or safely one-sided; the last one decides if the budget lasts.

    Before all passes comes `Model.impossible`, which needs no search.
    Narrow first: most histories need a handful of configurations; a witness is cheap to find depth-first where
    breadth-first drowns; crashed operations drown the proof of a violation, unless they may be used again and again.
    """
    relaxed = (Pass("relaxed", frontier_max=2_000, relaxed=True),) if crashed else ()
    return (
        Pass("breadth-first", frontier_max=128),
        Pass("depth-first", width=4, configurations_max=20_000 + 30 * operations),
        *relaxed,
        Pass("breadth-first-wide", frontier_max=10_000),
        Pass("depth-first-to-the-end", width=64),
    )


def check_operations(
    operations: Sequence[Operation],
    model: Model[Any],
    *,
    budget: Budget = DEFAULT_BUDGET,
    passes: Sequence[Pass] | None = None,
) -> Result:
    """Judge one partition. Operations must be in the order of their calls.

    passes: another sequence than `passes_for`'s, for tests. Raises IllFormedHistory for an operation that the model
    does not know, ModelError for a wrong hint.
    """
    return judge(operations, model, start_meter(budget), passes)


def start_meter(budget: Budget) -> Meter:
    """A meter whose seconds begin now."""
    if budget.seconds is None:
        return Meter(budget.configurations)
    clock: Callable[[], float] = time.monotonic  # noqa: TID251  only for a caller who asks for a limit in seconds
    return Meter(budget.configurations, clock=clock, deadline=clock() + budget.seconds)


def judge(
    operations: Sequence[Operation], model: Model[Any], meter: Meter, passes: Sequence[Pass] | None = None
) -> Result:
    """As `check_operations`, on a meter that is already running."""
    model = refined(model, operations)
    problem = compile_problem(operations, model)
    transitions = Transitions(problem, model)
    impossible = find_impossible(model, operations) if passes is None else None
    if impossible is not None:
        unplaced = Stuck(operation=impossible, prefix=(), step=0)
        return Result(Decision.ILLEGAL, "necessary-condition", _statistics(transitions, meter), stuck=unplaced)
    if passes is None:
        passes = passes_for(len(problem.operations), crashed=NEVER in problem.deadlines and not model.unbounded)
    furthest, last = SearchEnd(Ending.SPENT, 0), "none"
    for how in passes:
        subject, table = (problem, transitions) if not how.relaxed else _relax(operations, model)
        end = Search(subject, table, how, meter).run()
        last = how.name
        if end.ending is Ending.LINEARIZED and not how.relaxed:
            order = linearize(problem, transitions, end.trail, len(problem.steps))
            placed = tuple(problem.operations[number] for number in order)
            return Result(Decision.OK, last, _statistics(transitions, meter), linearization=placed)
        if end.ending is Ending.STUCK:
            stuck = _stuck(subject, table, end, relaxed=how.relaxed)
            verified = table.close(min(HINT_CHECKS_MAX, HINT_CHECKS_MIN + 4 * meter.configurations))
            return Result(Decision.ILLEGAL, last, _statistics(table, meter, hints_verified=verified), stuck=stuck)
        if end.step > furthest.step and not how.relaxed:
            furthest = end
        if meter.spent():
            break
    stuck = _stuck(problem, transitions, furthest, relaxed=False)
    return Result(Decision.UNKNOWN, last, _statistics(transitions, meter), stuck=stuck)


def _relax(operations: Sequence[Operation], model: Model[Any]) -> tuple[Problem, Transitions]:
    """The problem with only the first crashed operation of each class: a relaxed pass may use it repeatedly."""
    seen: set[object] = set()
    kept = []
    for operation in operations:
        if operation.return_order is None:
            label = model.label(operation)
            if label in seen:
                continue
            seen.add(label)
        kept.append(operation)
    problem = compile_problem(kept, model)
    return problem, Transitions(problem, model)


def _statistics(transitions: Transitions, meter: Meter, *, hints_verified: bool = False) -> Statistics:
    return Statistics(
        configurations=meter.configurations,
        frontier_max=meter.frontier_max,
        states=len(transitions.states),
        steps=len(transitions.problem.steps),
        hints_verified=hints_verified,
    )


def _stuck(problem: Problem, transitions: Transitions, end: SearchEnd, *, relaxed: bool) -> Stuck | None:
    if not problem.steps:
        return None
    at = problem.steps[end.step]
    operations = problem.operations
    open_now = OpenOperations(problem)
    open_now.seek(end.step)
    arrived = arrive(problem, transitions, end.step, end.survivors)
    survivors = tuple(
        Survivor(
            state=transitions.states[
                _state_after(problem, transitions, linearize(problem, transitions, trail, end.step))
            ],
            must=tuple(operations[number] for bit, number in open_now.holder.items() if must & bit),
            may=tuple(operations[number] for bit, number in open_now.holder.items() if may & bit & ~must),
        )
        for _, must, may, trail in arrived[:SURVIVORS_MAX]
    )
    order = linearize(problem, transitions, end.survivors[-1][3], end.step) if end.survivors else ()
    return Stuck(
        operation=operations[at.returning],
        prefix=tuple(operations[number] for number in order),
        step=end.step,
        survivors=survivors,
        relaxed=relaxed,
    )


def _state_after(problem: Problem, transitions: Transitions, order: Sequence[int]) -> int:
    """The true state, where the search may know only that it is a value nobody asks for."""
    state = 0
    for number in order:
        state = transitions.step(state, problem.class_of[number])
    return state
