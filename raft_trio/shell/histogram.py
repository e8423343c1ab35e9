"""Counting durations in buckets, as Prometheus wants them. Pure; adding costs one search in a short tuple."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

__all__ = ["SYNC_SECONDS", "Histogram"]

SYNC_SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds: from a good disk's sync to one that costs leadership."""


class Histogram:
    """How many values were at most each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """`bounds` rise."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Counts one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self._counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """(upper bound, how many are at most that), ending with +Inf."""
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield bound, total
