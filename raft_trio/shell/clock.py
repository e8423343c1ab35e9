"""The only clock of a running node: trio's, monotonic, as integer nanoseconds. Its origin means nothing."""

from __future__ import annotations

import trio

__all__ = ["now_ns", "trio_time"]

_NS = 1_000_000_000


def now_ns() -> int:
    """The present."""
    return int(trio.current_time() * _NS)


def trio_time(at_ns: int) -> float:
    """The same instant for trio's deadlines, never earlier."""
    return (at_ns + 1_000) / _NS
