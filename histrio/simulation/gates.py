"""What a rule may do to a unit before it is on its way: hold it in a queue, drop it by its kind, break its connection.

A rule is shared by the links it is in force on and counts for all of them; what one link has to remember of it is a
*gate*. Luck on the way is the affair of `links.py`; which rules are in force, that of `network.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Filter", "Gate", "GateRule", "Reset", "Throttle"]

_NS_PER_S = 1_000_000_000


class Gate(Protocol):
    """One rule on one link."""

    @property
    def breaks(self) -> bool:
        """Whether a unit that does not pass takes its connection with it, and what else is on its way."""
        ...

    def passes(self, departs_ns: int, kind: str, size: int) -> int | None:
        """When a unit that would leave at `departs_ns` leaves; None: it does not."""
        ...


class GateRule(Protocol):
    """A rule in force."""

    @property
    def count(self) -> int:
        """What it did so far: units held up, dropped, or connections reset."""
        ...

    def gate(self) -> Gate:
        """A gate for one more link."""
        ...


@dataclass(slots=True)
class Throttle:
    """Little bandwidth and a queue before it, which drops what would wait longer than `queue_ns`. Counts both."""

    bytes_per_second: int
    queue_ns: int
    overhead_bytes: int = 40
    """Of every unit, for headers: units that do not tell their size take bandwidth too. IPv4 and TCP: 40."""
    count: int = 0

    def gate(self) -> Gate:
        return _ThrottleGate(self)


class _ThrottleGate:
    __slots__ = ("_busy_until", "_rule")
    breaks = False

    def __init__(self, rule: Throttle) -> None:
        self._rule, self._busy_until = rule, 0

    def passes(self, departs_ns: int, kind: str, size: int) -> int | None:
        rule = self._rule
        begins_ns = max(self._busy_until, departs_ns)
        rule.count += 1
        if begins_ns - departs_ns > rule.queue_ns:
            return None
        self._busy_until = begins_ns + (size + rule.overhead_bytes) * _NS_PER_S // rule.bytes_per_second
        return self._busy_until


@dataclass(slots=True)
class Filter:
    """Drops units that contain a message of one kind: `Send.kind` names the kinds in a unit, joined by `+`."""

    message: str
    count: int = 0
    breaks: bool = False

    def gate(self) -> Gate:
        return self

    def passes(self, departs_ns: int, kind: str, size: int) -> int | None:
        if self.message not in kind.split("+"):
            return departs_ns
        self.count += 1
        return None


@dataclass(slots=True)
class Reset:
    """Whoever sends finds the connection reset. Counts resets."""

    count: int = 0
    breaks: bool = True

    def gate(self) -> Gate:
        return self

    def passes(self, departs_ns: int, kind: str, size: int) -> int | None:
        self.count += 1
        return None
