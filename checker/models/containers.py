"""A FIFO queue and a stack: `enqueue`/`dequeue`, `push`/`pop`. One per key; start empty unless told.

Taking from an empty container is `ok` with the result null, or `fail` with the error `empty`: both are observations.
A taking that crashed removes the element that is due, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Manual, Model, Refused, Traits, Word, describe_value
from checker.models.container_anomalies import ANOMALIES, name_container_anomaly
from checker.models.container_order import Taking, find_wrong_taking, order_of_taking
from checker.models.queue_order import order_of_queue

__all__ = ["EMPTY", "FIFO_QUEUE", "STACK"]

EMPTY = "empty"
"""The error of a taking that failed because nothing was there."""

State = tuple[Hashable, ...]
"""A queue's head comes first, a stack's top last."""


@dataclass(frozen=True, slots=True)
class _Container:
    """What distinguishes a queue from a stack."""

    noun: str
    put: str
    take: str
    due: int
    """Place of the element that is taken next: 0 or -1."""

    def step(self, state: State, operation: Operation) -> State | Refused:
        if operation.f == self.put:
            return (*state, freeze(operation.value))
        if operation.outcome is Outcome.INFO:
            return self._rest(state) if state else state
        result = None if operation.outcome is Outcome.FAIL else freeze(operation.result)
        if not state:
            return state if result is None else Refused(f"the {self.noun} is empty")
        if result is None:
            return Refused(f"the {self.noun} is not empty")
        due = state[self.due]
        return self._rest(state) if due == result else Refused(f"{describe_value(due)} is due")

    def _rest(self, state: State) -> State:
        return state[1:] if self.due == 0 else state[:-1]

    def label(self, operation: Operation) -> Hashable:
        if operation.f == self.put:
            return (self.put, freeze(operation.value))
        if operation.outcome is Outcome.INFO:
            return ("unseen",)
        return (self.take, None if operation.outcome is Outcome.FAIL else freeze(operation.result))

    def traits(self, operation: Operation) -> Traits:
        if operation.f == self.put or operation.outcome is Outcome.INFO:
            return Traits(total=True)
        return Traits(observer=operation.outcome is Outcome.FAIL or operation.result is None)

    def problem(self, operation: Operation) -> str | None:
        if operation.f not in (self.put, self.take):
            return f"a {self.noun} has no operation {operation.f!r}; it has {self.put} and {self.take}"
        if operation.f == self.put and operation.value is None:
            return f"null cannot be an element: it is the result of {self.take} when nothing is there"
        return None

    def failure_observes(self, operation: Operation) -> bool:
        return operation.f == self.take and operation.error == EMPTY

    def _element(self, operation: Operation) -> Hashable:
        return freeze(operation.value if operation.f == self.put else operation.result)

    def takings(self, model: Model[State], operations: Sequence[Operation]) -> Taking:
        return Taking.of(operations, put=self.put, initial=model.initial, element=self._element)

    def refine(self, model: Model[State], operations: Sequence[Operation]) -> Model[State]:
        """Do not put an element where another one bars its way, or the other's: docs/checker.md."""
        order = order_of_taking(self.takings(model, operations))
        if order is None:
            return model

        def step(state: State, operation: Operation) -> State | Refused:
            if operation.f == self.put:
                new = freeze(operation.value)
                for old in state:
                    if order.too_late(old, new) if self.due == 0 else order.too_late(new, old):
                        return Refused(f"{describe_value(old)} would be in the way")
            return self.step(state, operation)

        return replace(model, step=step, traits=self._cautious_traits)

    def _cautious_traits(self, operation: Operation) -> Traits:
        return Traits() if operation.f == self.put else self.traits(operation)

    def impossible(self, model: Model[State], operations: Sequence[Operation]) -> Operation | None:
        return find_wrong_taking(self.takings(model, operations), first_in_first_out=self.due == 0)


def _propose(model: Model[State], operations: Sequence[Operation]) -> Sequence[Operation] | None:
    queue = _Container("queue", "enqueue", "dequeue", 0)
    taking = queue.takings(model, operations)
    if not taking.is_unambiguous():
        return None
    puts: dict[Hashable, Operation] = {freeze(one.value): one for one in operations if one.f == queue.put}
    takes = {element: found[0] for element, found in taking.takes.items()}
    return order_of_queue(model.initial, puts, takes, taking.empties)


def _read_initial(value: Any) -> State:
    if not isinstance(value, list) or None in value:
        raise ValueError("expected a list of elements, none of them null")
    return tuple(map(freeze, value))


def _model(name: str, container: _Container, about: str, order: str, turned: Callable[[str], str]) -> Model[State]:
    return Model(
        name=name,
        initial=(),
        step=container.step,
        label=container.label,
        traits=container.traits,
        problem=container.problem,
        failure_observes=container.failure_observes,
        anomaly=name_container_anomaly,
        read_initial=_read_initial,
        refine=container.refine,
        impossible=container.impossible,
        unbounded=True,
        manual=Manual(
            about=about,
            words=(
                Word(container.put, "an element, not null", "the argument", "puts it in"),
                Word(container.take, "", "the element; null: nothing was there", turned("takes out the element")),
            ),
            start=f"empty; a list of elements, {order}",
            failures=((f"{container.take}: {EMPTY}", "nothing was there"),),
            anomalies=ANOMALIES,
        ),
    )


FIFO_QUEUE = replace(
    _model(
        "fifo-queue",
        _Container("queue", "enqueue", "dequeue", 0),
        "per key: first in, first out",
        "the next one to be taken first",
        lambda what: f"{what} that came first",
    ),
    propose=_propose,
)
STACK = _model(
    "stack",
    _Container("stack", "push", "pop", -1),
    "per key: last in, first out",
    "the next one to be taken last",
    lambda what: f"{what} that came last",
)
