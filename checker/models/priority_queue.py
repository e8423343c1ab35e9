"""A priority queue: `insert` and `pop`, the smallest priority first. One per key; starts empty unless told.

An element is an integer, its own priority, or `[priority, item]`. Among equal priorities any may come first, so a
crashed `pop` can lead to several states: this is a nondeterministic model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Manual, Model, Refused, Traits, Word, describe_value
from checker.models.container_anomalies import ANOMALIES, name_container_anomaly
from checker.models.container_order import Order, Taking, find_wrong_taking, order_of_taking
from checker.models.telling import is_whole_number
from checker.nondeterministic import NondeterministicModel

__all__ = ["PRIORITY_QUEUE"]

EMPTY = "empty"

Element = tuple[int, Hashable]
"""(priority, item); the item of an element that is only a priority is None."""

State = tuple[Element, ...]
"""Ascending by priority, then by item in an order of no meaning."""


def _parse(value: Any) -> Element | None:
    """The element that a JSON value means; None if it means none."""
    if is_whole_number(value):
        return (value, None)
    if isinstance(value, list | tuple) and len(value) == 2 and is_whole_number(value[0]):
        return (value[0], freeze(value[1]))
    return None


def _place(element: Element) -> tuple[int, str]:
    return element[0], repr(element[1])


def _step(state: State, operation: Operation) -> Sequence[State] | Refused:
    if operation.f == "insert":
        return (_with(state, operation),)
    if operation.outcome is Outcome.INFO:
        return _any_first(state) if state else (state,)
    taken = _taken(operation)
    if not state:
        return (state,) if taken is None else Refused("the queue is empty")
    if taken is None:
        return Refused("the queue is not empty")
    if taken in state and taken[0] == state[0][0]:
        return (_without(state, taken),)
    return Refused(f"{_describe_element(state[0])} is due")


def _with(state: State, insert: Operation) -> State:
    element = _parse(insert.value)
    assert element is not None, "judged only if it has no problem"
    place = bisect_left(state, _place(element), key=_place)
    return (*state[:place], element, *state[place:])


def _without(state: State, element: Element) -> State:
    place = state.index(element)
    return (*state[:place], *state[place + 1 :])


def _any_first(state: State) -> Sequence[State]:
    first = state[0][0]
    return tuple(dict.fromkeys(_without(state, element) for element in state if element[0] == first))


def _taken(operation: Operation) -> Element | None:
    return None if operation.outcome is Outcome.FAIL else _parse(operation.result)


def _describe_element(element: Element) -> str:
    priority, item = element
    return str(priority) if item is None else f"[{priority} {describe_value(item)}]"


def _describe(state: State) -> str:
    return "[" + " ".join(map(_describe_element, state)) + "]"


def _label(operation: Operation) -> Hashable:
    if operation.f == "insert":
        return ("insert", _parse(operation.value))
    return ("unseen",) if operation.outcome is Outcome.INFO else ("pop", _taken(operation))


def _traits(operation: Operation) -> Traits:
    if operation.f == "insert" or operation.outcome is Outcome.INFO:
        return Traits(total=True)
    return Traits(observer=_taken(operation) is None)


def _problem(operation: Operation) -> str | None:
    if operation.f not in ("insert", "pop"):
        return f"a priority queue has no operation {operation.f!r}; it has insert and pop"
    shown = operation.value if operation.f == "insert" else operation.result
    none_is_fine = operation.f == "pop" and shown is None
    if none_is_fine or _parse(shown) is not None:
        return None
    return f"an element must be an integer or [priority, item], not {describe_value(shown)}"


def _element(operation: Operation) -> Hashable:
    return _parse(operation.value) if operation.f == "insert" else _taken(operation)


def _takings(model: Model[frozenset[State]], operations: Sequence[Operation]) -> Taking:
    (content,) = model.initial
    return Taking.of(operations, put="insert", initial=content, element=_element)


def _impossible(model: Model[frozenset[State]], operations: Sequence[Operation]) -> Operation | None:
    return find_wrong_taking(_takings(model, operations), first_in_first_out=False)


def _refine(model: Model[frozenset[State]], operations: Sequence[Operation]) -> Model[frozenset[State]]:
    """Do not insert an element where a smaller one would bar the way of a larger one: docs/checker.md."""
    order = order_of_taking(_takings(model, operations))
    if order is None:
        return model
    narrowed = _nondeterministic(_cautious(order), _cautious_traits).to_model()
    return replace(model, step=narrowed.step, traits=narrowed.traits)


def _cautious(order: Order) -> Callable[[State, Operation], Sequence[State] | Refused]:
    def step(state: State, operation: Operation) -> Sequence[State] | Refused:
        if operation.f == "insert":
            new = _parse(operation.value)
            assert new is not None
            for old in state:
                smaller, larger = sorted((old, new), key=_place)
                if smaller[0] < larger[0] and order.too_late(smaller, larger):
                    return Refused(f"{_describe_element(smaller)} would be in the way")
        return _step(state, operation)

    return step


def _cautious_traits(operation: Operation) -> Traits:
    return Traits() if operation.f == "insert" else _traits(operation)


def _read_initial(value: Any) -> frozenset[State]:
    elements = [_parse(one) for one in value] if isinstance(value, list) else [None]
    known = [one for one in elements if one is not None]
    if len(known) < len(elements):
        raise ValueError("expected a list of elements, each an integer or [priority, item]")
    return frozenset({tuple(sorted(known, key=_place))})


def _failure_observes(operation: Operation) -> bool:
    return operation.f == "pop" and operation.error == EMPTY


def _nondeterministic(
    step: Callable[[State, Operation], Sequence[State] | Refused], traits: Callable[[Operation], Traits]
) -> NondeterministicModel[State]:
    return NondeterministicModel(
        name="priority-queue",
        initial=((),),
        step=step,
        describe_state=_describe,
        label=_label,
        traits=traits,
        problem=_problem,
        failure_observes=_failure_observes,
    )


PRIORITY_QUEUE: Model[frozenset[State]] = replace(
    _nondeterministic(_step, _traits).to_model(),
    anomaly=name_container_anomaly,
    read_initial=_read_initial,
    refine=_refine,
    impossible=_impossible,
    unbounded=True,
    manual=Manual(
        about="per key: the smallest priority first; among equal ones any",
        words=(
            Word("insert", "an integer, or [priority, item]", "the argument", "puts it in"),
            Word("pop", "", "the element; null: nothing was there", "takes out one of the smallest priority"),
        ),
        start="empty; a list of elements",
        failures=((f"pop: {EMPTY}", "nothing was there"),),
        anomalies=ANOMALIES,
    ),
)
