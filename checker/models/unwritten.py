"""Values that were found although nothing can have put them there: for models whose value is replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from checker.history import Operation

__all__ = ["find_unwritten"]


def find_unwritten(
    initial: Hashable,
    operations: Sequence[Operation],
    *,
    seen: Callable[[Operation], tuple[Hashable, ...]],
    made: Callable[[Operation], tuple[Hashable, ...]],
) -> Operation | None:
    """The first operation, by return, that must find a value which nothing had been called to make by then. Linear.

    seen: the values that an operation must find; made: those that it can put there.
    """
    calls: dict[Hashable, int] = {initial: -1}
    for one in operations:
        for value in made(one):
            calls[value] = min(calls.get(value, one.call_order), one.call_order)
    wrong = [
        one
        for one in operations
        if one.return_order is not None and any(_too_early(calls.get(value), one.return_order) for value in seen(one))
    ]
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _too_early(first_call: int | None, last: int) -> bool:
    return first_call is None or first_call > last
