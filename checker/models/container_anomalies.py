"""What went wrong with a queue, a stack or a priority queue, in words."""

from __future__ import annotations

from collections.abc import Hashable

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, describe_value
from checker.models.telling import deed, once_called

__all__ = ["ANOMALIES", "name_container_anomaly"]

ANOMALIES = (
    ("phantom-element", "an element was taken that nothing ever put in"),
    ("future-element", "an element was taken before anything that puts it in was called"),
    ("duplicate-delivery", "an element was taken more often than it was put in"),
    ("false-empty", "it was said to be empty although something must have been in it"),
    ("wrong-order", "an element was taken although another one was due"),
)

_PUTS = ("enqueue", "push", "insert")


def name_container_anomaly(found: Contradiction) -> Anomaly:
    """The class of the contradiction and a sentence about it."""
    stuck = found.stuck
    told = deed(found, stuck)
    taken = None if stuck.outcome is Outcome.FAIL else freeze(stuck.result)
    if stuck.f in _PUTS:
        return Anomaly("wrong-order", f"{told}, which fits into no order in which the elements were taken")
    if taken is None:
        return Anomaly("false-empty", f"{told}, although something must have been there")
    puts = [one for one in found.operations if _puts(one, taken)]
    initially = _initial_count(found.initial, taken)
    if not puts and not initially:
        return Anomaly("phantom-element", f"{told}, but nothing ever put {describe_value(taken)} in")
    if not initially and not any(one in puts for one in once_called(puts, stuck)):
        return Anomaly("future-element", f"{told}, before anything put {describe_value(taken)} in")
    takes = [one for one in found.operations if one.f == stuck.f and _takes(one, taken)]
    if len(takes) > len(puts) + initially:
        count = f"{len(takes)} times, but put in {len(puts) + initially}"
        return Anomaly("duplicate-delivery", f"{told}; {describe_value(taken)} was taken {count}")
    return Anomaly("wrong-order", f"{told}, although another element was due")


def _puts(operation: Operation, element: Hashable) -> bool:
    return operation.f in _PUTS and operation.outcome is not Outcome.FAIL and freeze(operation.value) == element


def _takes(operation: Operation, element: Hashable) -> bool:
    return operation.outcome is Outcome.OK and freeze(operation.result) == element


def _initial_count(initial: object, element: Hashable) -> int:
    """A priority queue's start state is a set of one possible content."""
    content = next(iter(initial), ()) if isinstance(initial, frozenset) else initial
    return sum(_plain(one) == element for one in content) if isinstance(content, tuple) else 0


def _plain(element: object) -> object:
    match element:
        case (priority, None):
            return priority
        case (priority, item):
            return freeze([priority, item])
        case _:
            return element
