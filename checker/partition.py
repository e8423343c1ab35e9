"""Judges one partition, such as one key, by a fixed sequence of searches.

Here belong the sequence of passes, the budget and what is known at the end; the search itself is `checker.search`, a
whole history is `checker.linearizability`, and making a violation understandable is `checker.explain`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from checker.engines import Engine, PassEnd, Subject, prepare
from checker.history import Operation
from checker.model import Model
from checker.preparation import find_proposed, refined, relevant
from checker.result import Decision, Result, Statistics, Stuck, Survivor
from checker.search import Ending, Meter, Pass
from checker.zones import judge_by_zones

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


NARROW = Pass("breadth-first", frontier_max=128)
"""The first pass: most histories need a handful of configurations, and nothing is as cheap."""


LATE = (16, 32, 64, 128, 256)
"""How many steps before the furthest return a late pass begins: the nearer, the cheaper, and the less it knows."""


def passes_for(operations: int, *, crashed: bool) -> tuple[Pass, ...]:
    """The sequence of passes: each is exact or safely one-sided; the last one decides if the budget lasts.

    Before all passes comes `Model.impossible`, which needs no search; after the first one come zones
    (`checker.zones`), which need none either but more preparation.
    A witness is cheap to find depth-first where breadth-first drowns. A violation is cheap to prove where it is, from a
    few returns before the one where the search was stuck; crashed operations drown the proof, unless they may be used
    again and again.
    """
    relaxed = (Pass("relaxed", frontier_max=2_000, relaxed=True),) if crashed else ()
    return (
        NARROW,
        Pass("depth-first", width=4, configurations_max=5_000 + 10 * operations),
        *(Pass(f"late-{steps}", frontier_max=256, relaxed=crashed, late=steps) for steps in LATE),
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
    if passes is not None:
        return _search(subject, passes, meter)
    impossible = subject.impossible()
    if impossible is not None:
        statistics = _statistics(subject, meter)
        unplaced = Stuck(operation=impossible, prefix=(), step=0)
        return Result(Decision.ILLEGAL, "necessary-condition", statistics, subject.engine, stuck=unplaced)
    proposed = find_proposed(model, operations)
    if proposed is not None:
        return Result(Decision.OK, "proposed", _statistics(subject, meter), subject.engine, linearization=proposed)
    narrow = _search(subject, (NARROW,), meter)
    if narrow.decision is not Decision.UNKNOWN or meter.spent():
        return narrow
    others = passes_for(subject.operations, crashed=subject.worth_relaxing)[1:]
    return _by_zones(operations, model, subject, meter) or _search(subject, others, meter, narrow)


def _by_zones(operations: Sequence[Operation], model: Model[Any], subject: Subject, meter: Meter) -> Result | None:
    """Where every write is unique and nothing compares, no search is needed. None: it is not so."""
    zones = judge_by_zones(relevant(model, operations), refined(model, operations))
    if zones is None:
        return None
    statistics = _statistics(subject, meter)
    if zones.stuck is None:
        return Result(Decision.OK, "zones", statistics, subject.engine, linearization=zones.order)
    unplaced = Stuck(operation=zones.stuck, prefix=(), step=0)
    return Result(Decision.ILLEGAL, "zones", statistics, subject.engine, stuck=unplaced)


def _search(subject: Subject, passes: Sequence[Pass], meter: Meter, before: Result | None = None) -> Result:
    """One pass after another. before: what earlier passes found out, without an answer."""
    came = _Furthest(None if before is None else before.stuck)
    relaxed: Subject | None = None
    last = "none"
    for how in passes:
        begin = 0 if how.late is None else came.step - how.late
        if how.late is not None and not (begin > 0 and subject.can_begin_late):
            continue
        if how.relaxed:
            relaxed = relaxed or subject.relaxed()
        current = relaxed if how.relaxed and relaxed else subject
        end = current.run(how, meter, begin)
        last = how.name
        if end.ending is Ending.LINEARIZED and not how.relaxed and not begin:
            order = end.linearization()
            return Result(Decision.OK, last, _statistics(subject, meter), subject.engine, linearization=order)
        if end.ending is Ending.STUCK:
            stuck = came.completing(end.stuck())
            verified = current.verify_hints(min(HINT_CHECKS_MAX, HINT_CHECKS_MIN + 4 * meter.configurations))
            statistics = _statistics(current, meter, hints_verified=verified)
            return Result(Decision.ILLEGAL, last, statistics, current.engine, stuck=stuck)
        if not how.relaxed and not begin:
            came.note(end)
        if meter.spent():
            break
    return Result(Decision.UNKNOWN, last, _statistics(subject, meter), subject.engine, stuck=came.stuck())


class _Furthest:
    """How far the exact passes came."""

    def __init__(self, stuck: Stuck | None) -> None:
        self._stuck = stuck
        self._end: PassEnd | None = None
        self.step = -1 if stuck is None else stuck.step

    def note(self, end: PassEnd) -> None:
        if end.step > self.step:
            self._end, self.step = end, end.step

    def stuck(self) -> Stuck | None:
        """Written out only now, because it may be long."""
        return self._stuck if self._end is None else self._end.stuck()

    def completing(self, found: Stuck | None) -> Stuck | None:
        """What a late pass found, with what it cannot know: how things came about."""
        known = self.stuck() if found is not None and found.late else None
        if found is None or known is None:
            return found
        survivors = known.survivors if known.step == found.step else ()
        return replace(found, prefix=known.prefix, survivors=survivors)


def _statistics(subject: Subject, meter: Meter, *, hints_verified: bool = False) -> Statistics:
    return Statistics(
        configurations=meter.configurations,
        frontier_max=meter.frontier_max,
        states=subject.states(),
        steps=subject.steps,
        hints_verified=hints_verified,
    )
