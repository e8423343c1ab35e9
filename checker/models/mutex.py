"""A mutex, with and without fencing tokens: `acquire` and `release`. One per key; free unless told.

The argument of both is the owner, any JSON value; without owners (null) any process may release. An `acquire` that
failed with the error `lock-held` is an observation: somebody held it. With fencing, a successful `acquire` returns a
token, an integer that is greater than that of every acquisition before it.

What a crashed `acquire` got is unknown: it counts as the smallest token possible, because every smaller choice leaves
at least the same future open.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.telling import deed, is_whole_number, over_before

__all__ = ["FENCED_MUTEX", "HELD", "MUTEX"]

HELD = "lock-held"
"""The error of an acquire that failed because somebody held the mutex."""

Holder = tuple[Hashable] | None
"""The owner, in a tuple of its own because an owner may be null; None: free."""

Fenced = tuple[Holder, int | None]
"""The holder and the last token; no token: none was given yet."""


def _step(holder: Holder, operation: Operation) -> Holder | Refused:
    owner = (freeze(operation.value),)
    match operation.f, operation.outcome:
        case "acquire", Outcome.INFO:
            return owner if holder is None else holder
        case "acquire", Outcome.FAIL:
            return Refused("nobody holds it") if holder is None else holder
        case "acquire", _:
            return owner if holder is None else Refused(f"it is {_describe(holder)}")
        case _, Outcome.INFO:
            return None if holder == owner else holder
        case _:
            return None if holder == owner else Refused(f"it is {_describe(holder)}")


def _fenced_step(state: Fenced, operation: Operation) -> Fenced | Refused:
    holder, last = state
    after = _step(holder, operation)
    if isinstance(after, Refused):
        return after
    if operation.f != "acquire" or holder is not None:
        return after, last
    if operation.outcome is Outcome.INFO:
        return after, None if last is None else last + 1
    if last is not None and operation.result <= last:
        return Refused(f"a token of {last} or more was given before")
    return after, operation.result


def _describe(holder: Holder) -> str:
    if holder is None:
        return "free"
    return "held" if holder == (None,) else f"held by {describe_value(holder[0])}"


def _describe_fenced(state: Fenced) -> str:
    holder, last = state
    return _describe(holder) + ("" if last is None else f", last token {last}")


def _label(operation: Operation) -> Hashable:
    if operation.outcome is Outcome.FAIL:
        return ("somebody holds it",)
    return (operation.f, operation.outcome, freeze(operation.value))


def _fenced_label(operation: Operation) -> Hashable:
    given = operation.f == "acquire" and operation.outcome is Outcome.OK
    return (_label(operation), operation.result) if given else _label(operation)


def _traits(operation: Operation) -> Traits:
    match operation.outcome:
        case Outcome.INFO:
            return Traits(total=True)
        case Outcome.FAIL:
            return Traits(observer=True)
        case Outcome.OK:
            return Traits()


def _problem(operation: Operation) -> str | None:
    if operation.f in ("acquire", "release"):
        return None
    return f"a mutex has no operation {operation.f!r}; it has acquire and release"


def _fenced_problem(operation: Operation) -> str | None:
    given = operation.f == "acquire" and operation.outcome is Outcome.OK
    if given and not is_whole_number(operation.result):
        return f"the result of acquire must be its token, an integer, not {describe_value(operation.result)}"
    return _problem(operation)


def _failure_observes(operation: Operation) -> bool:
    return operation.f == "acquire" and operation.error == HELD


def _grants(operations: Sequence[Operation]) -> list[Operation]:
    return [one for one in operations if one.f == "acquire" and one.outcome is Outcome.OK]


def _impossible(model: Model[Fenced], operations: Sequence[Operation]) -> Operation | None:
    """A token that is not greater than that of an acquisition that was over before: O(n log n)."""
    returned = sorted(_grants(operations), key=lambda one: one.return_order or 0)
    latest, place, seen = model.initial[1], 0, set()
    for one in sorted(returned, key=lambda one: one.call_order):
        while place < len(returned) and (returned[place].return_order or 0) < one.call_order:
            token = returned[place].result
            latest = token if latest is None else max(latest, token)
            place += 1
        if latest is not None and one.result <= latest:
            return one
    for one in returned:
        if one.result in seen:
            return one
        seen.add(one.result)
    return None


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck = found.stuck
    told = deed(found, stuck)
    if stuck.f == "release":
        return Anomaly("release-without-lock", f"{told}, but it did not hold the mutex")
    if stuck.outcome is Outcome.FAIL:
        return Anomaly("lock-refused", f"{told} that somebody holds the mutex, but nobody did")
    return Anomaly("two-holders", f"{told}, while another owner held the mutex")


def _name_fenced_anomaly(found: Contradiction) -> Anomaly:
    stuck = found.stuck
    if stuck.f == "acquire" and stuck.outcome is Outcome.OK:
        others = [one for one in _grants(found.operations) if one.index != stuck.index]
        before = [one.result for one in over_before(others, stuck)]
        same = any(one.result == stuck.result for one in others)
        if same or (before and stuck.result <= max(before)):
            return Anomaly("token-reused", f"{deed(found, stuck)}, which is not greater than all tokens given before")
    return _name_anomaly(found)


def _read_holder(value: Any) -> Holder:
    if value is None:
        return None
    if isinstance(value, dict) and set(value) == {"owner"}:
        return (freeze(value["owner"]),)
    raise ValueError('expected null or {"owner": …}')


def _read_fenced(value: Any) -> Fenced:
    if value is None or is_whole_number(value):
        return None, value
    if isinstance(value, dict) and set(value) == {"owner", "token"} and is_whole_number(value["token"]):
        return (freeze(value["owner"]),), value["token"]
    raise ValueError('expected null, the last token, or {"owner": …, "token": …}')


_ANOMALIES = (
    ("two-holders", "the mutex was acquired while another owner held it"),
    ("release-without-lock", "it was released by an owner that did not hold it"),
    ("lock-refused", "somebody was said to hold it although nobody did"),
)
_FAILURES = ((f"acquire: {HELD}", "somebody held it"),)
_RELEASE = Word("release", "the owner, or null", "the argument", "gives it back; only the owner that holds it can")

MUTEX: Model[Holder] = Model(
    name="mutex",
    initial=None,
    step=_step,
    describe_state=_describe,
    label=_label,
    traits=_traits,
    problem=_problem,
    failure_observes=_failure_observes,
    anomaly=_name_anomaly,
    read_initial=_read_holder,
    manual=Manual(
        about="per key: a lock that one owner can hold",
        words=(Word("acquire", "the owner, or null", "the argument", "takes the mutex, which must be free"), _RELEASE),
        start='free; null or {"owner": …}',
        failures=_FAILURES,
        anomalies=_ANOMALIES,
    ),
)
FENCED_MUTEX: Model[Fenced] = Model(
    name="fenced-mutex",
    initial=(None, None),
    step=_fenced_step,
    describe_state=_describe_fenced,
    label=_fenced_label,
    traits=_traits,
    problem=_fenced_problem,
    failure_observes=_failure_observes,
    anomaly=_name_fenced_anomaly,
    read_initial=_read_fenced,
    impossible=_impossible,
    manual=Manual(
        about="per key: a lock whose holders get ascending tokens",
        words=(
            Word("acquire", "the owner, or null", "the token, an integer", "takes the mutex, which must be free"),
            _RELEASE,
        ),
        start='free, no token given; the last token, or {"owner": …, "token": …}',
        failures=_FAILURES,
        anomalies=(("token-reused", "a token is not greater than one given before"), *_ANOMALIES),
    ),
)
