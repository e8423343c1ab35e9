"""A lock with leases and fencing tokens, and the list that it protects: `acquire`, `release`, `append`, `read`.

One per key. `acquire` tells a token greater than all before; from then on only that token appends and releases. A lease
may end unseen, and then an append or a release fails, which tells nothing; so a new acquisition is legal at any time,
and what must never happen is that an older token still counts after a newer one was given. Whether a lease was broken
before its time is another question (`checker.leases`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.telling import deed, is_whole_number, once_called, over_before

__all__ = ["LEASED_LOCK"]

State = tuple[int | None, int, tuple[Hashable, ...]]
"""The token that counts, if one does; the highest one given; the list."""


def _step(state: State, operation: Operation) -> State | Refused:
    token, last, content = state
    match operation.f, operation.outcome:
        case ("read", _):
            seen = operation.outcome is Outcome.INFO or tuple(map(freeze, operation.result)) == content
            return state if seen else Refused(f"the list is {_shown(content)}")
        case ("acquire", Outcome.INFO):
            return None, last, content
        case ("acquire", _):
            given = operation.result
            return (given, given, content) if given > last else Refused(f"token {last} was given before")
        case ("append", outcome):
            mine = operation.value[0] == token
            if mine:
                return token, last, (*content, freeze(operation.value))
            return state if outcome is Outcome.INFO else Refused(_counts(token))
        case (_, outcome):
            mine = operation.value == token
            if mine:
                return None, last, content
            return state if outcome is Outcome.INFO else Refused(_counts(token))


def _counts(token: int | None) -> str:
    return "nobody is known to hold the lock" if token is None else f"the lock is held under token {token}"


def _shown(content: tuple[Hashable, ...]) -> str:
    return "[" + " ".join(map(describe_value, content)) + "]"


def _describe(state: State) -> str:
    token, last, content = state
    return f"token {last}{'' if token is None else ', held'}, {_shown(content)}"


def _label(operation: Operation) -> Hashable:
    unseen = operation.outcome is Outcome.INFO
    match operation.f:
        case "read":
            return ("read", None if unseen else tuple(map(freeze, operation.result)))
        case "acquire":
            return ("acquire", None if unseen else operation.result)
        case _:
            return (operation.f, operation.outcome, freeze(operation.value))


def _traits(operation: Operation) -> Traits:
    unseen = operation.outcome is Outcome.INFO
    return Traits(observer=operation.f == "read", total=unseen)


def _problem(operation: Operation) -> str | None:
    match operation.f:
        case "acquire" if operation.outcome is Outcome.OK and not is_whole_number(operation.result):
            return f"the result of acquire must be its token, an integer, not {describe_value(operation.result)}"
        case "release" if not is_whole_number(operation.value):
            return f"the argument of release must be a token, not {describe_value(operation.value)}"
        case "append" if not _is_guarded(operation.value):
            return f"the argument of append must be [token, element], not {describe_value(operation.value)}"
        case "read" if operation.outcome is Outcome.OK and not isinstance(operation.result, list | tuple):
            return f"the result of read must be the list, not {describe_value(operation.result)}"
        case "acquire" | "release" | "append" | "read":
            return None
        case _:
            return f"a leased lock has no operation {operation.f!r}; it has acquire, release, append and read"


def _is_guarded(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and is_whole_number(value[0])


def _grants(operations: Sequence[Operation]) -> list[Operation]:
    return [one for one in operations if one.f == "acquire" and one.outcome is Outcome.OK]


def _is_seen(operation: Operation) -> bool:
    return operation.f == "read" and operation.outcome is Outcome.OK


def _impossible(model: Model[State], operations: Sequence[Operation]) -> Operation | None:
    """A token given twice, or not above one given before; a list whose tokens fall, or that lost what it had."""
    wrong: list[Operation] = []
    latest, place, seen = model.initial[1], 0, set[int]()
    returned = sorted(_grants(operations), key=lambda one: one.return_order or 0)
    for one in sorted(returned, key=lambda one: one.call_order):
        while place < len(returned) and (returned[place].return_order or 0) < one.call_order:
            latest = max(latest, returned[place].result)
            place += 1
        if one.result <= latest:
            wrong.append(one)
    for one in returned:
        if one.result in seen:
            wrong.append(one)
        seen.add(one.result)
    content = model.initial[2]
    for one in sorted((one for one in operations if _is_seen(one)), key=lambda one: len(one.result)):
        listed = tuple(map(freeze, one.result))
        if listed[: len(content)] != content:
            wrong.append(one)
        else:
            content = listed
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck, told = found.stuck, deed(found, found.stuck)
    if stuck.f == "acquire":
        return Anomaly("token-reused", f"{told}, which is not greater than all tokens given before")
    if stuck.f == "release":
        return Anomaly("stale-token", f"{told}, although a newer token had been given")
    if stuck.f == "append":
        return Anomaly("stale-token", f"{told}, although a newer token had been given or the lock been released")
    if _is_seen(stuck):
        listed = tuple(map(freeze, stuck.result))
        called = [one for one in once_called(found.operations, stuck) if one.f == "append"]
        missing = [one for one in over_before(called, stuck) if freeze(one.value) not in listed]
        if missing:
            process, value = missing[-1].process, describe_value(missing[-1].value)
            return Anomaly("lost-append", f"{told}, without {value}, which process {process} had appended")
        if any(_is_seen(one) for one in over_before(found.core, stuck)):
            return Anomaly("stale-read", f"{told}, which contradicts what had been seen before")
    return Anomaly("inconsistent-reads", f"{told}, which no single order of the operations explains")


def _read_initial(value: Any) -> State:
    if not is_whole_number(value):
        raise ValueError("expected the last token, an integer")
    return None, value, ()


LEASED_LOCK: Model[State] = Model(
    name="leased-lock",
    initial=(None, 0, ()),
    step=_step,
    describe_state=_describe,
    label=_label,
    traits=_traits,
    problem=_problem,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    impossible=_impossible,
    unbounded=True,
    manual=Manual(
        about="per key: a lock with leases and fencing tokens, and the list it protects",
        words=(
            Word("acquire", "who, and for how long", "the token, an integer", "takes the lock under a new token"),
            Word("release", "the token", "the argument", "gives the lock back; only the newest token can"),
            Word("append", "[token, element]", "the argument", "adds it to the list; only the newest token can"),
            Word("read", "", "the list", "tells the whole list"),
        ),
        start="free, last token 0, an empty list; the last token",
        anomalies=(
            ("token-reused", "a token is not greater than one given before"),
            ("stale-token", "an append or a release counted although its token no longer held the lock"),
            ("lost-append", "a list was read without something whose appending had been acknowledged"),
            ("stale-read", "an older list was seen after a newer one"),
            ("inconsistent-reads", "none of these: no single order of the operations explains what was seen"),
        ),
    ),
)
