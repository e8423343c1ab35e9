"""Linearizations: written out from what a search remembers, and replayed by code that knows nothing of the search.

`replay` is the judge of the search's positive answers and shares no line with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.model import Model, Refused
from checker.problem import NEVER, Problem
from checker.search import Trail
from checker.transitions import REFUSED, Transitions

__all__ = ["linearize", "replay"]


def replay(operations: Sequence[Operation], order: Sequence[Operation], model: Model[Any]) -> str | None:
    """Why `order` is no linearization of `operations`; None if it is one. Crashed operations may be left out."""
    placed = {operation.index for operation in order}
    if len(placed) != len(order):
        return "an operation is placed twice"
    for operation in operations:
        happened = operation.outcome is Outcome.OK or (
            operation.outcome is Outcome.FAIL and model.failure_observes(operation)
        )
        if happened and operation.index not in placed:
            return f"operation {operation.index} is missing"
    state, latest_call = model.initial, -1
    for operation in order:
        latest_call = max(latest_call, operation.call_order)
        if operation.return_order is not None and operation.return_order < latest_call:
            return f"operation {operation.index} is placed after one that was called after its return"
        if operation.outcome is Outcome.FAIL and not model.failure_observes(operation):
            return f"operation {operation.index} is placed, but did not happen"
        state = model.step(state, operation)
        if isinstance(state, Refused):
            return f"operation {operation.index} is refused: {state.reason}"
    return None


def linearize(problem: Problem, transitions: Transitions, trail: Trail, until: int) -> tuple[int, ...]:
    """The order in which a configuration's operations took effect, up to the return that ends step `until` - 1.

    The trail holds the operations that the search applied. Observers and absorbed operations took effect in passing:
    an observer as soon as it was legal, an absorbed one just before the constant operation that hid it.
    """
    applied: dict[int, list[int]] = {}
    while trail is not None:
        trail, number, step = trail
        applied.setdefault(step, []).append(number)
    writer = _Writer(problem, transitions, {number for numbers in applied.values() for number in numbers})
    for place in range(until):
        for number in problem.steps[place].calls:
            writer.call(number)
        for number in reversed(applied.get(place, [])):
            writer.apply(number)
    return tuple(writer.order)


class _Writer:
    def __init__(self, problem: Problem, transitions: Transitions, explicit: set[int]) -> None:
        self._problem, self._transitions, self._explicit = problem, transitions, explicit
        self._state = 0
        self._observers: list[int] = []
        self._absorbable: list[int] = []
        self.order: list[int] = []

    def call(self, number: int) -> None:
        problem = self._problem
        traits = problem.traits[problem.class_of[number]]
        if traits.observer:
            self._observers.append(number)
            self._observe()
        elif (traits.total or traits.constant) and problem.deadlines[number] != NEVER and number not in self._explicit:
            self._absorbable.append(number)

    def apply(self, number: int) -> None:
        kind = self._problem.class_of[number]
        if self._problem.traits[kind].constant:
            self.order.extend(self._absorbable)
            self._absorbable.clear()
        self.order.append(number)
        self._state = self._transitions.step(self._state, kind)
        self._observe()

    def _observe(self) -> None:
        waiting: list[int] = []
        for number in self._observers:
            legal = self._transitions.step(self._state, self._problem.class_of[number]) != REFUSED
            (self.order if legal else waiting).append(number)
        self._observers = waiting
