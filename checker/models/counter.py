"""A counter: `add`, `add-and-get`, `read`. One per key; starts at 0 unless told."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from itertools import accumulate
from typing import Any

from checker.history import Operation, Outcome
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.telling import deed, is_whole_number

__all__ = ["COUNTER"]


def _step(state: int, operation: Operation) -> int | Refused:
    match operation.f, operation.outcome:
        case "read", Outcome.INFO:
            return state
        case "read", _:
            return state if operation.result == state else Refused(f"the counter is {state}, not {operation.result}")
        case "add-and-get", Outcome.OK:
            after = state + int(operation.value)
            return after if operation.result == after else Refused(f"the sum is {after}, not {operation.result}")
        case _:
            return state + int(operation.value)


def _label(operation: Operation) -> Hashable:
    if operation.outcome is Outcome.INFO or operation.f == "add":
        return ("read",) if operation.f == "read" else ("add", operation.value)
    return (operation.f, operation.value, operation.result)


def _traits(operation: Operation) -> Traits:
    sees = operation.f != "add" and operation.outcome is not Outcome.INFO
    return Traits(observer=operation.f == "read" or operation.value == 0, total=not sees)


def _problem(operation: Operation) -> str | None:
    if operation.f not in ("add", "add-and-get", "read"):
        return f"a counter has no operation {operation.f!r}; it has add, add-and-get and read"
    if operation.f != "read" and not is_whole_number(operation.value):
        return f"the argument of {operation.f} must be an integer, not {describe_value(operation.value)}"
    if operation.f != "add" and operation.outcome is Outcome.OK and not is_whole_number(operation.result):
        return f"the result of {operation.f} must be an integer, not {describe_value(operation.result)}"
    return None


class _Sums:
    """Sums over additions: those that had returned before a moment, those that had been called by then."""

    def __init__(self, adds: Sequence[Operation]) -> None:
        by_call = sorted(adds, key=lambda one: one.call_order)
        by_return = sorted((one for one in adds if one.return_order is not None), key=lambda one: one.return_order or 0)
        self._calls = [one.call_order for one in by_call]
        self._returns = [one.return_order or 0 for one in by_return]
        self._called = [_running(by_call, sign) for sign in (-1, 1)]
        self._returned = [_running(by_return, sign) for sign in (-1, 1)]

    def bounds(self, moment: Operation) -> tuple[int, int]:
        """What the additions that can precede `moment` sum up to, at least and at most; its own is not left out."""
        assert moment.return_order is not None
        done = bisect_left(self._returns, moment.call_order)
        begun = bisect_right(self._calls, moment.return_order)
        sure = self._returned[0][done] + self._returned[1][done]
        low, high = (self._called[side][begun] - self._returned[side][done] for side in (0, 1))
        return sure + low, sure + high


def _running(adds: Sequence[Operation], sign: int) -> list[int]:
    return list(accumulate((one.value if one.value * sign > 0 else 0 for one in adds), initial=0))


def _impossible(model: Model[int], operations: Sequence[Operation]) -> Operation | None:
    """A result outside of what the additions that can precede it, each done or not, sum up to: O(n log n)."""
    sums = _Sums([one for one in operations if one.f != "read"])
    wrong = [
        one
        for one in operations
        if one.outcome is Outcome.OK and one.f != "add" and not _possible(model.initial, sums, one)
    ]
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _possible(initial: int, sums: _Sums, one: Operation) -> bool:
    low, high = sums.bounds(one)
    own = 0 if one.f == "read" else one.value
    return bool(initial + low + max(0, own) <= one.result <= initial + high + min(0, own))


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck = found.stuck
    adds = [one for one in found.operations if one.f != "read" and one.outcome is not Outcome.FAIL]
    if stuck.outcome is Outcome.OK and stuck.f != "add":
        low, high = _Sums(adds).bounds(stuck)
        own = 0 if stuck.f == "read" else stuck.value
        low, high = found.initial + low + max(0, own), found.initial + high + min(0, own)
        if stuck.result < low:
            return Anomaly("lost-add", f"{deed(found, stuck)}, but what had been added by then makes at least {low}")
        if stuck.result > high:
            return Anomaly("phantom-add", f"{deed(found, stuck)}, but all that was asked for makes at most {high}")
    return Anomaly("inconsistent-reads", f"{deed(found, stuck)}, which no single order of the additions explains")


def _read_initial(value: Any) -> int:
    if not is_whole_number(value):
        raise ValueError("expected an integer")
    return int(value)


COUNTER: Model[int] = Model(
    name="counter",
    initial=0,
    step=_step,
    label=_label,
    traits=_traits,
    problem=_problem,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    impossible=_impossible,
    unbounded=True,
    manual=Manual(
        about="per key: a number that is added to and read",
        words=(
            Word("add", "an integer", "the argument", "adds it"),
            Word("add-and-get", "an integer", "the new sum", "adds it and tells the sum"),
            Word("read", "", "the sum", "tells the sum"),
        ),
        start="0; an integer",
        anomalies=(
            ("lost-add", "a result is smaller than all that had certainly been added by then"),
            ("phantom-add", "a result is larger than all that could have been added by then"),
            ("inconsistent-reads", "none of these: no single order of the additions explains all results"),
        ),
    ),
)
