"""A key-value store: `get`, `put`, `append`, `cas`, `delete`. Every key is an object of its own, absent (nil) at first.

`append` adds text; to an absent key as if it held the empty text, to a value that is no text as if it held its JSON.
Porcupine's histories begin with every key holding the empty text: `--initial '""'` (its files imply it).
A failed cas is read as a register's is: it certainly did not happen, and with the error `cas-mismatch` it compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from itertools import pairwise

from checker.history import Frozen, Operation, Outcome, freeze
from checker.model import (
    ELSEWHERE,
    Footprint,
    Manual,
    Model,
    Refused,
    Traits,
    Word,
    describe_value,
)
from checker.models.key_value_anomalies import ANOMALIES, name_key_value_anomaly
from checker.models.register import MISMATCH
from checker.models.unwritten import find_unwritten

__all__ = ["KEY_VALUE"]


def _text(value: Hashable) -> str:
    """What an append finds."""
    match value:
        case None:
            return ""
        case str():
            return value
        case Frozen(text=text):
            return text
        case _:
            return str(value)


def _holds(state: Hashable, wanted: Hashable) -> Refused:
    return Refused(f"the key holds {describe_value(state)}, not {describe_value(wanted)}")


def _step(state: Hashable, operation: Operation) -> Hashable | Refused:
    match operation.f, operation.outcome:
        case "get", Outcome.INFO:
            return state
        case "get", _:
            result = freeze(operation.result)
            return state if state == result else _holds(state, result)
        case "put", _:
            return freeze(operation.value)
        case "append", _:
            return ELSEWHERE if state is ELSEWHERE else _text(state) + operation.value
        case "delete", _:
            return None
        case _:
            return _cas(state, operation)


def _cas(state: Hashable, operation: Operation) -> Hashable | Refused:
    expected, new = map(freeze, operation.value)
    match operation.outcome:
        case Outcome.OK:
            return new if state == expected else _holds(state, expected)
        case Outcome.INFO:
            return new if state == expected else state
        case Outcome.FAIL:
            holds = f"the key holds {describe_value(state)}, so the comparison would have succeeded"
            return state if state != expected else Refused(holds)


def _label(operation: Operation) -> Hashable:
    match operation.f:
        case "get":
            return ("get", operation.outcome, freeze(operation.result))
        case "put" | "append":
            return (operation.f, freeze(operation.value))
        case "delete":
            return ("put", None)
        case _:
            return ("cas", operation.outcome, *map(freeze, operation.value))


def _traits(operation: Operation) -> Traits:
    match operation.f, operation.outcome:
        case "get", outcome:
            return Traits(observer=True, total=outcome is Outcome.INFO)
        case (("put" | "delete"), _):
            return Traits(constant=True)
        case "append", _:
            return Traits(total=True)
        case _, Outcome.FAIL:
            return Traits(observer=True)
        case _, outcome:
            expected, new = map(freeze, operation.value)
            return Traits(observer=expected == new, total=outcome is Outcome.INFO)


def _footprint(operation: Operation) -> Footprint:
    """Only for keys without `append`: then a value is replaced as a whole."""
    match operation.f, operation.outcome:
        case "get", Outcome.INFO:
            return Footprint()
        case "get", _:
            return Footprint(mentions=(freeze(operation.result),), demands=True)
        case "put", _:
            return Footprint(makes=freeze(operation.value))
        case "delete", _:
            return Footprint(makes=None)
        case _, outcome:
            expected, new = map(freeze, operation.value)
            if outcome is Outcome.FAIL:
                return Footprint(mentions=(expected,), shuns=True)
            return Footprint(mentions=(expected,), makes=new, demands=outcome is Outcome.OK)


def _problem(operation: Operation) -> str | None:
    value = operation.value
    match operation.f:
        case "get" | "put" | "delete":
            return None
        case "append":
            return (
                None if isinstance(value, str) else f"the argument of append must be text, not {describe_value(value)}"
            )
        case "cas":
            pair = isinstance(value, list | tuple) and len(value) == 2
            return None if pair else f"the argument of cas must be [from, to], not {describe_value(value)}"
        case _:
            return f"a key-value store has no operation {operation.f!r}; it has get, put, append, cas and delete"


def _failure_observes(operation: Operation) -> bool:
    return operation.f == "cas" and operation.error == MISMATCH


# ── one key's history ────────────────────────────────────────────────────────────────────────────────────────────────


def _refine(model: Model[Hashable], operations: Sequence[Operation]) -> Model[Hashable]:
    """Without appends, a footprint; with nothing but appends, the one order that the gets allow; else, prefixes."""
    kinds = {one.f for one in operations}
    if "append" not in kinds:
        return replace(model, footprint=_footprint, unbounded=False)
    leads_to_something = _prefix_of(_asked_for(operations))
    if kinds <= {"append", "get"}:
        longest = max((freeze(one.result) for one in operations if _is_seen(one)), key=_length, default=None)
        return replace(model, step=_towards(_text(longest), leads_to_something), traits=_cautious_traits)

    def step(state: Hashable, operation: Operation) -> Hashable | Refused:
        after = _step(state, operation)
        return after if isinstance(after, Refused) or leads_to_something(after) else ELSEWHERE

    return replace(model, step=step, initial=model.initial if leads_to_something(model.initial) else ELSEWHERE)


def _is_seen(operation: Operation) -> bool:
    return operation.f == "get" and operation.outcome is Outcome.OK


def _length(value: Hashable) -> int:
    return len(_text(value))


def _asked_for(operations: Sequence[Operation]) -> set[Hashable]:
    """Every value that some operation tells from others."""
    asked: set[Hashable] = {freeze(one.result) for one in operations if _is_seen(one)}
    asked.update(freeze(one.value[0]) for one in operations if one.f == "cas")
    return asked


def _prefix_of(asked: set[Hashable]) -> Callable[[Hashable], bool]:
    """value -> is it asked for, or can appending to it lead to a value that is?"""
    texts = sorted(value for value in asked if isinstance(value, str))

    def leads_to_something(value: Hashable) -> bool:
        if value in asked:
            return True
        if value is ELSEWHERE:
            return False
        text = _text(value)
        place = bisect_left(texts, text)
        return place < len(texts) and texts[place].startswith(text)

    return leads_to_something


def _towards(
    longest: str, leads_to_something: Callable[[Hashable], bool]
) -> Callable[[Hashable, Operation], Hashable | Refused]:
    """A text that only grows must become `longest`, because somebody saw it; beyond that nobody asks."""

    def step(state: Hashable, operation: Operation) -> Hashable | Refused:
        after = _step(state, operation)
        if operation.f != "append" or isinstance(after, Refused):
            return after
        if state is ELSEWHERE or len(_text(state)) >= len(longest):
            return after if leads_to_something(after) else ELSEWHERE
        return after if longest.startswith(_text(after)) else Refused(f"the key became {longest}")

    return step


def _cautious_traits(operation: Operation) -> Traits:
    return Traits() if operation.f == "append" else _traits(operation)


def _impossible(model: Model[Hashable], operations: Sequence[Operation]) -> Operation | None:
    """A value that nothing can have written by then; of a growing text, two results that do not extend each other."""
    kinds = {one.f for one in operations}
    if "append" not in kinds:
        return find_unwritten(model.initial, operations, seen=_must_find, made=_makes)
    if not kinds <= {"append", "get"}:
        return None
    wrong: list[Operation] = []
    seen = sorted((one for one in operations if _is_seen(one)), key=lambda one: _length(freeze(one.result)))
    for shorter, longer in pairwise(seen):
        if not _text(freeze(longer.result)).startswith(_text(freeze(shorter.result))):
            wrong.append(max(shorter, longer, key=lambda one: one.return_order or 0))
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _must_find(operation: Operation) -> tuple[Hashable, ...]:
    if operation.outcome is not Outcome.OK:
        return ()
    if operation.f == "get":
        return (freeze(operation.result),)
    return (freeze(operation.value[0]),) if operation.f == "cas" else ()


def _makes(operation: Operation) -> tuple[Hashable, ...]:
    if operation.outcome is Outcome.FAIL:
        return ()
    match operation.f:
        case "put":
            return (freeze(operation.value),)
        case "delete":
            return (None,)
        case "cas":
            return (freeze(operation.value[1]),)
        case _:
            return ()


KEY_VALUE: Model[Hashable] = Model(
    name="key-value",
    initial=None,
    step=_step,
    label=_label,
    traits=_traits,
    problem=_problem,
    failure_observes=_failure_observes,
    anomaly=name_key_value_anomaly,
    refine=_refine,
    impossible=_impossible,
    unbounded=True,
    manual=Manual(
        about="per key: get, put, append, compare-and-set and delete",
        words=(
            Word("get", "", "the value; null: absent", "tells the value"),
            Word("put", "a value", "the argument", "replaces the value"),
            Word("append", "text", "the argument", "adds it at the end"),
            Word("cas", "[from, to]", "the argument", "replaces the value, if it is `from`"),
            Word("delete", "", "the argument", "makes the key absent"),
        ),
        start="every key absent; the value that every key has",
        failures=((f"cas: {MISMATCH}", "the key held another value than `from`"),),
        anomalies=ANOMALIES,
    ),
)
