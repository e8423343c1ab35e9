"""Judges one partition, such as one key, by a fixed sequence of searches.

Here belong the sequence of passes, the budget and what is known at the end; the search itself is `checker.search`, a
whole history is `checker.linearizability`, and making a violation understandable is `checker.explain`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from checker.engines import Engine, PassEnd, Subject, prepare
from checker.history import Operation
from checker.linearization import replay
from checker.model import Model
from checker.preparation import find_proposed, refined, relevant
from checker.relaxation import distinct, most_overused
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
    """Configurations expanded, over all keys; a million take a second, 5 to 20 with the pure Python engine. Without
    `seconds` the answer is repeatable."""
    seconds: float | None = None
    """Wall-clock limit in addition; None: none. With it, a slow machine may answer *unknown* sooner than a fast one."""
    per_operation: int = 0
    """So many more for each operation: what is easy needs a few, however long the history is."""

    def limit(self, operations: int) -> int:
        """Configurations for a history of so many operations."""
        return self.configurations + self.per_operation * operations


DEFAULT_BUDGET = Budget(per_operation=30)


GLANCE = Pass("breadth-first", frontier_max=8)
"""The first pass: most histories need a handful of configurations, and nothing is as cheap."""

DIVE_MAX = 2_000
"""Operations up to which it is worth trying whether the first guesses hold: diving keeps all steps in mind."""

NARROW = Pass("breadth-first", frontier_max=128)
"""Before anything that needs preparation."""


HORIZON = 1_024
"""Most crashed operations take effect soon or never: within so many returns."""

SOON = Pass("soon", frontier_max=1_000, horizon=HORIZON)
"""Before the first pass, if that would have to keep in mind many crashed operations."""

LONG = 2 * HORIZON
"""Returns from which on SOON is worth its preparation."""

TIGHTENINGS_MAX = 16
"""So many times a relaxed pass is made a little stricter."""

LATE = (16, 32, 64, 128, 256)
"""How many steps before the furthest return a late pass begins: the nearer, the cheaper, and the less it knows."""


def first_passes(subject: Subject) -> tuple[Pass, ...]:
    """What decides nearly all histories."""
    soon = (SOON,) if subject.crashed and subject.steps > LONG else ()
    dive = (Pass("dive", width=1, burst=1, configurations_max=2 * subject.operations),)
    return (*soon, GLANCE, *(dive if subject.operations <= DIVE_MAX else ()), NARROW)


def passes_for(operations: int, *, crashed: bool) -> tuple[Pass, ...]:
    """The passes after the first ones: each is exact or safely one-sided; the last one decides if the budget lasts.

    Before all passes comes `Model.impossible`, which needs no search; between the first ones and these come zones
    (`checker.zones`), which need none either but more preparation.
    A witness is cheap to find depth-first where breadth-first drowns. A violation is cheap to prove where it is, from a
    few returns before the one where the search was stuck; crashed operations drown the proof, unless they may be used
    again and again.
    """
    relaxed = (Pass("relaxed", frontier_max=2_000, relaxed=True),) if crashed else ()
    return (
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
    return judge(operations, model, start_meter(budget, len(operations)), passes, engine=engine)


def start_meter(budget: Budget, operations: int) -> Meter:
    """A meter for so many operations, whose seconds begin now."""
    limit = budget.limit(operations)
    if budget.seconds is None:
        return Meter(limit)
    clock: Callable[[], float] = time.monotonic  # noqa: TID251  only for a caller who asks for a limit in seconds
    return Meter(limit, clock=clock, deadline=clock() + budget.seconds)


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
        search = _Search(operations, model, subject, meter)
        return search.run(passes) or search.undecided()
    impossible = subject.impossible()
    if impossible is not None:
        statistics = _statistics(subject, meter)
        unplaced = Stuck(operation=impossible, prefix=(), step=0)
        return Result(Decision.ILLEGAL, "necessary-condition", statistics, subject.engine, stuck=unplaced)
    proposed = find_proposed(model, operations)
    if proposed is not None:
        return Result(Decision.OK, "proposed", _statistics(subject, meter), subject.engine, linearization=proposed)
    search = _Search(operations, model, subject, meter)
    found = search.run(first_passes(subject))
    if found is None and not meter.spent():
        found = _by_zones(operations, model, subject, meter) or search.run(
            passes_for(subject.operations, crashed=subject.worth_relaxing)
        )
    return found or search.undecided()


def _by_zones(operations: Sequence[Operation], model: Model[Any], subject: Subject, meter: Meter) -> Result | None:
    """Where every write is unique and nothing compares, no search is needed. None: it is not so."""
    zones = judge_by_zones(relevant(model, operations), refined(model, operations))
    if zones is None:
        return None
    if zones.order is not None:
        if replay(operations, zones.order, model) is not None:
            return None  # the footprints are wrong; the search will say so
        return Result(Decision.OK, "zones", _statistics(subject, meter), subject.engine, linearization=zones.order)
    assert zones.stuck is not None, "exactly one is set"
    unplaced = Stuck(operation=zones.stuck, prefix=(), step=0)
    return Result(Decision.ILLEGAL, "zones", _verified(subject, meter), subject.engine, stuck=unplaced)


class _Search:
    """One pass after another, and how far they came."""

    def __init__(self, operations: Sequence[Operation], model: Model[Any], subject: Subject, meter: Meter) -> None:
        self._operations, self._model = operations, model
        self._subject, self._meter = subject, meter
        self._relaxed: Subject | None = None
        self._exact: frozenset[Hashable] = frozenset()
        """Labels of crashed operations that the relaxed subject takes as they are."""
        self._furthest: PassEnd | None = None
        """Of the exact passes."""
        self._suspect = 0
        """The furthest step that any pass reached whose answer is about the whole history."""
        self._last = "none"

    def run(self, passes: Sequence[Pass]) -> Result | None:
        """None: no pass has decided."""
        for how in passes:
            begin = 0 if how.late is None else self._suspect - how.late
            if how.late is not None and not (begin > 0 and self._subject.can_begin_late):
                continue
            current = self._subject_of(how)
            end = current.run(how, self._meter, begin)
            self._last = how.name
            if end.ending is Ending.LINEARIZED and not how.relaxed and not begin:
                order = end.linearization()
                return Result(
                    Decision.OK, how.name, _statistics(current, self._meter), current.engine, linearization=order
                )
            if end.ending is Ending.STUCK and how.horizon is None:
                return self._illegal(current, how, end)
            if how.relaxed and not begin and end.ending is Ending.LINEARIZED:
                found = self._tighten(how, end)
                if found is not None:
                    return found
            if not how.relaxed and not begin:
                self._suspect = max(self._suspect, end.step)
                if how.horizon is None and (self._furthest is None or end.step > self._furthest.step):
                    self._furthest = end
            if self._meter.spent():
                break
        return None

    def _tighten(self, how: Pass, end: PassEnd) -> Result | None:
        """Relaxed, there was an order. If it uses no crashed operation more often than it was called, it is one; else
        take the class that it abuses most as it is, and search again."""
        for _ in range(TIGHTENINGS_MAX):
            overused = most_overused(self._operations, self._model, end.uses())
            current = self._subject_of(how)
            if overused is None:
                order = distinct(self._operations, self._model, end.linearization())
                if replay(self._operations, order, self._model) is not None:
                    return None
                statistics = _statistics(current, self._meter)
                return Result(Decision.OK, how.name, statistics, current.engine, linearization=order)
            self._exact |= {overused}
            self._relaxed = None
            current = self._subject_of(how)
            end = current.run(how, self._meter)
            if end.ending is Ending.STUCK:
                return self._illegal(current, how, end)
            if end.ending is not Ending.LINEARIZED:
                return None
        return None

    def undecided(self) -> Result:
        """What is known when no pass has decided."""
        came = None if self._furthest is None else self._furthest.stuck()
        statistics = _statistics(self._subject, self._meter)
        return Result(Decision.UNKNOWN, self._last, statistics, self._subject.engine, stuck=came)

    def _subject_of(self, how: Pass) -> Subject:
        if how.relaxed:
            self._relaxed = self._relaxed or self._subject.relaxed(self._exact)
            return self._relaxed
        return self._subject if how.horizon is None else self._subject.within(how.horizon)

    def _illegal(self, current: Subject, how: Pass, end: PassEnd) -> Result:
        stuck, known = end.stuck(), self._furthest
        if stuck is not None and stuck.late and known is not None:  # how things came about, a late pass cannot know
            came = known.stuck()
            survivors = came.survivors if came is not None and came.step == stuck.step else ()
            stuck = replace(stuck, prefix=() if came is None else came.prefix, survivors=survivors)
        return Result(Decision.ILLEGAL, how.name, _verified(current, self._meter), current.engine, stuck=stuck)


def _verified(subject: Subject, meter: Meter) -> Statistics:
    """Before an illegal verdict. Raises ModelError for a wrong hint."""
    verified = subject.verify_hints(min(HINT_CHECKS_MAX, HINT_CHECKS_MIN + 4 * meter.configurations))
    return _statistics(subject, meter, hints_verified=verified)


def _statistics(subject: Subject, meter: Meter, *, hints_verified: bool = False) -> Statistics:
    return Statistics(
        configurations=meter.configurations,
        frontier_max=meter.frontier_max,
        states=subject.states(),
        steps=subject.steps,
        hints_verified=hints_verified,
    )
