"""What an order that a relaxed pass found is worth: it may use a crashed operation again and again.

Here belongs counting such uses and, where each is covered by an operation of its own, naming those. The passes are
`checker.partition`'s business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.model import Model

__all__ = ["distinct", "most_overused"]


def most_overused(
    operations: Sequence[Operation], model: Model[Any], uses: Sequence[tuple[Operation, int]]
) -> Hashable | None:
    """The label of the crashed operations that were used most often beyond what had been called by then.

    uses: in order, each with the number of returns that came before. None: every use is covered.
    """
    calls = {label: [one.call_order for one in crashed] for label, crashed in _crashed(operations, model).items()}
    returned = [one.return_order for one in operations if _counts(one, model)]
    returns = sorted(rank for rank in returned if rank is not None)
    used: dict[Hashable, int] = {}
    excess: dict[Hashable, int] = {}
    for one, step in uses:
        label = model.label(one)
        used[label] = used.get(label, 0) + 1
        beyond = used[label] - bisect_right(calls[label], returns[step])
        if beyond > excess.get(label, 0):
            excess[label] = beyond
    return max(excess, key=excess.__getitem__, default=None)


def distinct(operations: Sequence[Operation], model: Model[Any], order: Sequence[Operation]) -> tuple[Operation, ...]:
    """`order` with another crashed operation of the same label for each use of one, the first called first."""
    left = {label: iter(crashed) for label, crashed in _crashed(operations, model).items()}
    return tuple(one if one.return_order is not None else next(left[model.label(one)], one) for one in order)


def _counts(operation: Operation, model: Model[Any]) -> bool:
    return operation.outcome is not Outcome.FAIL or model.failure_observes(operation)


def _crashed(operations: Sequence[Operation], model: Model[Any]) -> dict[Hashable, list[Operation]]:
    found: dict[Hashable, list[Operation]] = {}
    for one in operations:
        if one.return_order is None and _counts(one, model):
            found.setdefault(model.label(one), []).append(one)
    return found
