"""Finds a small part of an illegal partition that is illegal by itself, whatever the rest did.

Weakening is what keeps this sound. A read may be left out: that only removes a demand. A write may not: leaving it out
could make a read of its value look impossible. It is *weakened* instead: it counts as crashed, so that it may have
taken effect at any time after its call, or never. If the rest is illegal even then, it is illegal (docs/checker.md).
The method is delta debugging (Zeller and Hildebrandt, TSE 2002), on operations at full strength.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from checker.history import Operation, Outcome
from checker.model import Model
from checker.partition import Budget, Decision, Engine, Stuck, check_operations
from checker.preparation import relevant

__all__ = ["Core", "shrink"]


PLAIN_MAX = 20_000
"""Configurations for one search of the core without look-ahead: a fraction of a second."""

TRIAL_MAX = 20_000
"""Configurations for one attempt: a part that is hard to judge is not worth the time of many that are easy."""


@dataclass(frozen=True, slots=True)
class Core:
    """Operations that contradict each other. `minimal`: at full strength, none of them can be spared."""

    operations: tuple[Operation, ...]
    weakened: int
    """State-changing operations that count as crashed: whether they happened makes no difference."""
    stuck: Stuck
    minimal: bool


def shrink(
    operations: Sequence[Operation], stuck: Stuck, model: Model[Any], *, allowance: int, engine: Engine = "auto"
) -> Core:
    """The core of an illegal partition on which the search got `stuck`, with at most `allowance` units of work.

    A unit is a configuration expanded or a few operations read; 100,000 take about a second.
    """
    operations = relevant(model, operations)
    early = [operation for operation in operations if operation.return_order is not None]
    early.sort(key=lambda operation: operation.return_order or 0)
    place = next(place for place, operation in enumerate(early) if operation.index == stuck.operation.index)
    shrinker = _Shrinker(operations, model, allowance, engine)
    for reach in (0, 8, 64, 512, len(early)):  # the look-ahead may have given up before the return that fails
        core = shrinker.shrink(early[: place + reach + 1])
        if core is not None:
            return core
    return Core(tuple(early), len(operations) - len(early), stuck, minimal=False)


class _Shrinker:
    def __init__(self, operations: Sequence[Operation], model: Model[Any], allowance: int, engine: Engine) -> None:
        self._engine: Engine = engine
        self._operations = operations
        self._model = model
        self._left = allowance
        self._weak = {operation.index: _weakened(operation) for operation in operations if self._changes(operation)}

    def shrink(self, kept: list[Operation]) -> Core | None:
        """The smallest illegal part of `kept` that the allowance finds; None if `kept` is not found illegal."""
        stuck = self._illegal(kept)
        if stuck is None:
            return None
        kept, stuck = self._latest(kept, stuck)
        size, minimal = max(1, len(kept) // 2), False
        while not minimal and self._left > 0:
            before, place = len(kept), 0
            while place < len(kept) and self._left > 0:
                fewer = kept[:place] + kept[place + size :]
                smaller = self._illegal(fewer) if fewer else None
                if smaller is None:
                    place += size
                else:
                    kept, stuck = fewer, smaller
            minimal = size == 1 and len(kept) == before and self._left > 0
            size = max(1, size // 2)
        stuck = self._plainly_stuck(kept) or stuck
        weakened = sum(1 for index in self._weak if index not in {operation.index for operation in kept})
        return Core(tuple(kept), weakened, stuck, minimal)

    def _latest(self, kept: list[Operation], stuck: Stuck) -> tuple[list[Operation], Stuck]:
        """The fewest last operations that are illegal, to a power of two: most contradictions are close in time."""
        size = 2
        while size < len(kept):
            smaller = self._illegal(kept[-size:])
            if smaller is not None:
                return kept[-size:], smaller
            size *= 2
        return kept, stuck

    def _illegal(self, kept: Sequence[Operation]) -> Stuck | None:
        """Where the search gets stuck when only `kept` has its full strength."""
        subject = self._subject(kept)
        self._left -= 1 + len(self._operations) // 8 + len(subject) // 4
        if self._left <= 0:
            return None
        result = check_operations(subject, self._model, budget=Budget(min(self._left, TRIAL_MAX)), engine=self._engine)
        self._left -= result.statistics.configurations
        return result.stuck if result.decision is Decision.ILLEGAL else None

    def _plainly_stuck(self, kept: Sequence[Operation]) -> Stuck | None:
        """As `_illegal`, but without looking ahead: people look for the first return that could not be placed, the
        look-ahead gives up as soon as it sees that one will come, and a cheap condition does not look at all."""
        model = replace(self._model, footprint=None, refine=None, impossible=None)
        result = check_operations(self._subject(kept), model, budget=Budget(PLAIN_MAX), engine=self._engine)
        return result.stuck if result.decision is Decision.ILLEGAL else None

    def _subject(self, kept: Sequence[Operation]) -> list[Operation]:
        """`kept` at full strength, and all other state-changing operations weakened."""
        full = {operation.index: operation for operation in kept}
        last = max(operation.return_order or 0 for operation in kept)
        subject = [
            full.get(operation.index) or self._weak[operation.index]
            for operation in self._operations
            if operation.call_order <= last and (operation.index in full or operation.index in self._weak)
        ]
        return self._without_bystanders(subject)

    def _without_bystanders(self, subject: list[Operation]) -> list[Operation]:
        """Without weakened operations that lead to states which nobody asks for: they explain nothing."""
        footprint = self._model.footprint
        if footprint is None:
            return subject
        prints = [footprint(operation) for operation in subject]
        if any(made.shuns for made in prints):
            return subject  # somebody needs *another* state: any will do
        wanted: set[Hashable] = set()
        useful = [operation.return_order is not None for operation in subject]
        for place, made in enumerate(prints):
            if useful[place]:
                wanted.update(made.mentions)
        grown = True
        while grown:
            grown = False
            for place, made in enumerate(prints):
                if not useful[place] and made.makes in wanted:
                    useful[place] = grown = True
                    wanted.update(made.mentions)
        return [operation for operation, is_useful in zip(subject, useful, strict=True) if is_useful]

    def _changes(self, operation: Operation) -> bool:
        if operation.outcome is Outcome.FAIL:
            return False
        return self._model.problem(operation) is None and not self._model.traits(operation).observer


def _weakened(operation: Operation) -> Operation:
    return structs.replace(operation, outcome=Outcome.INFO, result=None, return_ns=None, return_order=None)
