"""Judges one partition, such as one key, by a fixed sequence of searches.

Here belong the sequence of passes, the budget and what is known at the end; the search itself is `checker.search`, a
whole history is `checker.linearizability`, and making a violation understandable is `checker.explain`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from checker.engines import Engine, PassEnd, Subject, prepare
from checker.history import Operation
from checker.model import Model
from checker.preparation import find_proposed
from checker.result import Decision, Result, Statistics, Stuck, Survivor
from checker.search import Ending, Meter, Pass

__all__ = [
    "DEFAULT_BUDGET",
    "Budget",
    "Decision",
    "Engine",
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


@dataclass(frozen=True, slots=True)
class Budget:
    """How much work a check may take before it answers *unknown*."""

    configurations: int = 1_000_000
    """Configurations expanded, over all keys; a million take 5 to 20 seconds. Alone it makes the answer repeatable."""
    seconds: float | None = None
    """Wall-clock limit in addition; None: none. With it, a slow machine may answer *unknown* sooner than a fast one."""


DEFAULT_BUDGET = Budget()


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
    engine: Engine = "auto",
) -> Result:
    """Judge one partition. Operations must be in the order of their calls.

    passes: another sequence than `passes_for`'s, for tests. engine: `auto` is the compiled one where it was built.
    Raises IllFormedHistory for an operation that the model does not know, ModelError for a wrong hint,
    EngineUnavailable if the engine asked for is not there.
    """
    return judge(operations, model, start_meter(budget), passes, engine=engine)


def start_meter(budget: Budget) -> Meter:
    """A meter whose seconds begin now."""
    if budget.seconds is None:
        return Meter(budget.configurations)
    clock: Callable[[], float] = time.monotonic  # noqa: TID251  only for a caller who asks for a limit in seconds
    return Meter(budget.configurations, clock=clock, deadline=clock() + budget.seconds)


def judge(
    operations: Sequence[Operation],
    model: Model[Any],
    meter: Meter,
    passes: Sequence[Pass] | None = None,
    *,
    engine: Engine = "auto",
) -> Result:
    """As `check_operations`, on a meter that is already running."""
    subject = prepare(operations, model, engine)
    impossible = subject.impossible() if passes is None else None
    if impossible is not None:
        unplaced = Stuck(operation=impossible, prefix=(), step=0)
        statistics = _statistics(subject, meter)
        return Result(Decision.ILLEGAL, "necessary-condition", statistics, subject.engine, stuck=unplaced)
    proposed = find_proposed(model, operations) if passes is None else None
    if proposed is not None:
        return Result(Decision.OK, "proposed", _statistics(subject, meter), subject.engine, linearization=proposed)
    if passes is None:
        passes = passes_for(subject.operations, crashed=subject.worth_relaxing)
    furthest: PassEnd | None = None
    last = "none"
    for how in passes:
        current = subject.relaxed() if how.relaxed else subject
        end = current.run(how, meter)
        last = how.name
        if end.ending is Ending.LINEARIZED and not how.relaxed:
            order = end.linearization()
            return Result(Decision.OK, last, _statistics(subject, meter), subject.engine, linearization=order)
        if end.ending is Ending.STUCK:
            stuck = end.stuck()
            verified = current.verify_hints(min(HINT_CHECKS_MAX, HINT_CHECKS_MIN + 4 * meter.configurations))
            statistics = _statistics(current, meter, hints_verified=verified)
            return Result(Decision.ILLEGAL, last, statistics, current.engine, stuck=stuck)
        if not how.relaxed and (furthest is None or end.step > furthest.step):
            furthest = end
        if meter.spent():
            break
    stuck = None if furthest is None else furthest.stuck()
    return Result(Decision.UNKNOWN, last, _statistics(subject, meter), subject.engine, stuck=stuck)


def _statistics(subject: Subject, meter: Meter, *, hints_verified: bool = False) -> Statistics:
    return Statistics(
        configurations=meter.configurations,
        frontier_max=meter.frontier_max,
        states=subject.states(),
        steps=subject.steps,
        hints_verified=hints_verified,
    )
