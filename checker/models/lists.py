"""A list that only grows: `append`, `read`. One per key; starts empty unless told.

A list shows its own history, so where every element is appended once, the longest list that was read fixes the order of
everything that matters, and no search is needed: each read stands after the element that it ends with, and what nobody
read comes last.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.telling import deed, once_called, over_before

__all__ = ["LIST_APPEND"]

State = tuple[Hashable, ...]


def _step(state: State, operation: Operation) -> State | Refused:
    if operation.f == "append":
        return (*state, freeze(operation.value))
    if operation.outcome is Outcome.INFO or _elements(operation) == state:
        return state
    return Refused(f"the list is {_describe(state)}")


def _elements(read: Operation) -> State:
    return tuple(map(freeze, read.result))


def _describe(state: State) -> str:
    return "[" + " ".join(map(describe_value, state)) + "]"


def _label(operation: Operation) -> Hashable:
    if operation.f == "append":
        return ("append", freeze(operation.value))
    return ("unseen",) if operation.outcome is Outcome.INFO else ("read", _elements(operation))


def _traits(operation: Operation) -> Traits:
    if operation.f == "append":
        return Traits(total=True)
    return Traits(observer=True, total=operation.outcome is Outcome.INFO)


def _problem(operation: Operation) -> str | None:
    if operation.f not in ("append", "read"):
        return f"a list has no operation {operation.f!r}; it has append and read"
    if operation.f == "read" and operation.outcome is Outcome.OK and not isinstance(operation.result, list | tuple):
        return f"the result of read must be the list of the elements, not {describe_value(operation.result)}"
    return None


# ── without a search ─────────────────────────────────────────────────────────────────────────────────────────────────


def _is_seen(operation: Operation) -> bool:
    return operation.f == "read" and operation.outcome is Outcome.OK


def _appends(operations: Sequence[Operation]) -> dict[Hashable, Operation] | None:
    """Element -> its append; None if an element was appended twice."""
    appends: dict[Hashable, Operation] = {}
    for one in operations:
        if one.f == "append":
            if freeze(one.value) in appends:
                return None
            appends[freeze(one.value)] = one
    return appends


def _propose(model: Model[State], operations: Sequence[Operation]) -> list[Operation] | None:
    """The only order that the longest read leaves, but for what commutes; None if it names what nobody appended."""
    appends = _appends(operations)
    if appends is None or any(element in appends for element in model.initial):
        return None
    reads = sorted((one for one in operations if _is_seen(one)), key=lambda one: (len(one.result), one.call_order))
    longest = _elements(reads[-1]) if reads else model.initial
    if longest[: len(model.initial)] != model.initial or len(set(longest)) < len(longest):
        return None
    order: list[Operation] = []
    place = 0
    for length in range(len(model.initial), len(longest) + 1):
        if length > len(model.initial):
            append = appends.get(longest[length - 1])
            if append is None:
                return None
            order.append(append)
        while place < len(reads) and len(reads[place].result) <= length:
            if _elements(reads[place]) != longest[:length]:
                return None
            order.append(reads[place])
            place += 1
    shown = set(longest)
    unseen = [one for element, one in appends.items() if element not in shown and one.outcome is Outcome.OK]
    return order + sorted(unseen, key=lambda one: one.call_order)


def _impossible(model: Model[State], operations: Sequence[Operation]) -> Operation | None:
    """What contradicts the order that the longest read leaves, or keeps there from being one. O(n · length)."""
    appends = _appends(operations)
    if appends is None or any(element in appends for element in model.initial):
        return None
    order = _propose(model, operations)
    if order is None:
        return _misread(model, operations, appends)
    latest: Operation | None = None
    wrong: list[Operation] = []
    for one in order:
        if latest is not None and one.return_order is not None and one.return_order < latest.call_order:
            wrong.append(latest if latest.return_order is not None and _is_seen(latest) else one)
        if latest is None or one.call_order > latest.call_order:
            latest = one
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _misread(
    model: Model[State], operations: Sequence[Operation], appends: dict[Hashable, Operation]
) -> Operation | None:
    """A read of what was not appended, of an element twice, or of a list that another read does not extend."""
    reads = sorted((one for one in operations if _is_seen(one)), key=lambda one: len(one.result))
    known = {*appends, *model.initial}
    wrong = [one for one in reads if len(set(_elements(one))) < len(one.result) or not known.issuperset(_elements(one))]
    before = model.initial
    for one in reads:
        if one in wrong:
            continue
        if _elements(one)[: len(before)] != before:
            wrong.append(one)
        else:
            before = _elements(one)
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck, told = found.stuck, deed(found, found.stuck)
    if not _is_seen(stuck):
        return Anomaly("inconsistent-reads", f"{told}, which no single order of the appends explains")
    seen = _elements(stuck)
    offered = [*found.initial, *(freeze(one.value) for one in found.operations if _may_have_appended(one))]
    for element in seen:
        if seen.count(element) > offered.count(element) > 0:
            return Anomaly("duplicate-append", f"{told}, with {describe_value(element)} more often than appended")
    called = [one for one in once_called(found.operations, stuck) if one.f == "append"]
    begun = {*found.initial, *(freeze(one.value) for one in called)}
    phantoms = [element for element in seen if element not in begun]
    if phantoms:
        return Anomaly("phantom-append", f"{told}, but nothing had appended {describe_value(phantoms[0])} by then")
    newer = [one for one in over_before(found.operations, stuck) if _is_seen(one) and len(one.result) > len(seen)]
    if newer and _elements(newer[-1])[: len(seen)] == seen:
        return Anomaly("stale-read", f"{told}, after {deed(found, newer[-1])}")
    missing = [one for one in over_before(called, stuck) if freeze(one.value) not in seen]
    if missing:
        process, value = missing[-1].process, describe_value(missing[-1].value)
        return Anomaly("lost-append", f"{told}, without {value}, which process {process} had appended")
    return Anomaly("inconsistent-reads", f"{told}, which no single order of the appends explains")


def _may_have_appended(one: Operation) -> bool:
    return one.f == "append" and one.outcome is not Outcome.FAIL


def _read_initial(value: Any) -> State:
    if not isinstance(value, list):
        raise ValueError("expected a list of elements")
    return tuple(map(freeze, value))


LIST_APPEND: Model[State] = Model(
    name="list-append",
    initial=(),
    step=_step,
    describe_state=_describe,
    label=_label,
    traits=_traits,
    problem=_problem,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    impossible=_impossible,
    propose=_propose,
    unbounded=True,
    manual=Manual(
        about="per key: a list that is appended to and read whole",
        words=(
            Word("append", "an element", "the argument", "adds it at the end"),
            Word("read", "", "the list", "tells the whole list"),
        ),
        start="empty; a list of elements",
        anomalies=(
            ("duplicate-append", "a list was read that contains something more often than it was appended"),
            ("phantom-append", "something was read that nothing had appended by then"),
            ("stale-read", "a shorter list was read after a longer one"),
            ("lost-append", "a list was read without something whose appending had been acknowledged"),
            ("inconsistent-reads", "none of these: no single order of the appends explains what was read"),
        ),
    ),
)
