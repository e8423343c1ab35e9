"""Phrases that every model's sentences about contradictions are made of. No model is known here."""

from __future__ import annotations

from collections.abc import Sequence

from checker.history import Operation, Outcome
from checker.model import Contradiction, describe, describe_value

__all__ = ["deed", "is_whole_number", "of_key", "once_called", "over_before"]


def deed(found: Contradiction, operation: Operation) -> str:
    """`process 7 was told dequeue -> 3 at 12.413 s`."""
    when = found.clock.at(operation.return_ns, operation.return_order)
    return f"process {operation.process} was told {describe(operation)}{of_key(operation)} {when}"


def of_key(operation: Operation) -> str:
    """` (key x)`, or nothing where there is only one object."""
    return "" if operation.key is None else f" (key {describe_value(operation.key)})"


def over_before(operations: Sequence[Operation], moment: Operation) -> list[Operation]:
    """The operations that succeeded before `moment` was called."""
    return [
        one
        for one in operations
        if one.outcome is Outcome.OK and one.return_order is not None and one.return_order < moment.call_order
    ]


def once_called(operations: Sequence[Operation], moment: Operation) -> list[Operation]:
    """The operations that may have taken effect by the time `moment` returned."""
    last = moment.return_order
    return [one for one in operations if one.outcome is not Outcome.FAIL and (last is None or one.call_order <= last)]


def is_whole_number(value: object) -> bool:
    """JSON integers, without booleans."""
    return type(value) is int
