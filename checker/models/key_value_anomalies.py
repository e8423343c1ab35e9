"""What went wrong with one key of a key-value store, in words: as a register, or as a text that was appended to."""

from __future__ import annotations

from msgspec import structs

from checker.history import Operation, Outcome
from checker.model import Anomaly, Contradiction, describe_value
from checker.models.register_anomalies import name_anomaly
from checker.models.telling import deed, once_called, over_before

__all__ = ["ANOMALIES", "name_key_value_anomaly"]

ANOMALIES = (
    ("impossible-read", "a value was read that nothing ever wrote"),
    ("future-read", "a value was read before anything that writes it was called"),
    (
        "lost-write",
        "an older value was read although a newer one had been acknowledged, and nobody ever saw the newer one",
    ),
    ("stale-read", "an older value was read although a newer one had been acknowledged or read"),
    ("impossible-cas", "a cas succeeded on a value, or failed on one, which the key could not hold then"),
    ("lost-append", "a text was read without something whose appending had been acknowledged"),
    ("duplicate-append", "a text was read that contains something more often than it was appended"),
    ("inconsistent-reads", "none of these: no single order of the changes explains what was read"),
)


def name_key_value_anomaly(found: Contradiction) -> Anomaly:
    """The class of the contradiction and a sentence about it."""
    if any(one.f == "append" for one in found.operations):
        return _of_text(found)
    return name_anomaly(
        Contradiction(
            tuple(map(_as_register, found.operations)),
            tuple(map(_as_register, found.core)),
            _as_register(found.stuck),
            found.clock,
            found.initial,
        )
    )


def _as_register(operation: Operation) -> Operation:
    match operation.f:
        case "get":
            return structs.replace(operation, f="read")
        case "put":
            return structs.replace(operation, f="write")
        case "delete":
            return structs.replace(operation, f="write", value=None, result=None)
        case _:
            return operation


def _of_text(found: Contradiction) -> Anomaly:
    stuck, told = found.stuck, deed(found, found.stuck)
    if stuck.f == "cas":
        return Anomaly("impossible-cas", f"{told}, which fits into no order of the changes")
    text = stuck.result
    if stuck.f != "get" or not (text is None or isinstance(text, str)):
        return Anomaly("inconsistent-reads", f"{told}, which fits into no order of the changes")
    text = text or ""
    called = [one for one in once_called(found.operations, stuck) if one.f == "append" and one.value]
    only_appended = all(one.f in ("append", "get") for one in found.operations if one.outcome is not Outcome.FAIL)
    more = [one for one in called if text.count(one.value) > _times(found, one)]
    if more and only_appended:
        return Anomaly("duplicate-append", f"{told}, with {describe_value(more[0].value)} more often than appended")
    missing = [one for one in over_before(called, stuck) if one.value not in text]
    if missing and only_appended:
        one = missing[-1]
        return Anomaly(
            "lost-append", f"{told}, without what process {one.process} had appended: {describe_value(one.value)}"
        )
    newer = [one for one in over_before(found.core, stuck) if one.f == "get" and one.result != stuck.result]
    if newer:
        return Anomaly(
            "stale-read", f"{told}, after process {newer[-1].process} had read {describe_value(newer[-1].result)}"
        )
    return Anomaly("inconsistent-reads", f"{told}, which no single order of the changes explains")


def _times(found: Contradiction, append: Operation) -> int:
    """How often its text can be there: in what was appended, and from the start."""
    texts = [one.value for one in found.operations if one.f == "append" and one.outcome is not Outcome.FAIL]
    texts += [found.initial] if isinstance(found.initial, str) else []
    return sum(text.count(append.value) for text in texts)
