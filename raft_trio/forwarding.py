"""Each forwarded request is looked at once by a node, however often the network delivers it.

Needed for honest refusals: if one copy of a request is proposed and another one refused ("not leader"), the client is
told that an operation certainly has no effect which then takes effect.
"""

from __future__ import annotations

from raft_trio.types import NodeId

__all__ = ["WINDOW", "Arrivals"]

WINDOW = 4096
"""Numbers remembered per sender. An older one is ignored: the sender gets no answer, which is always safe."""


class Arrivals:
    """Which numbered requests of each sender have arrived. Numbers are never used twice, also across restarts."""

    def __init__(self, *, window: int = WINDOW) -> None:
        self._window = window
        self._seen: dict[NodeId, dict[int, None]] = {}
        self._floor: dict[NodeId, int] = {}

    def is_first(self, sender: NodeId, number: int) -> bool:
        """Whether `number` came for the first time; remembers it."""
        seen = self._seen.setdefault(sender, {})
        if number in seen or number <= self._floor.get(sender, 0):
            return False
        seen[number] = None
        if len(seen) > self._window:
            oldest = next(iter(seen))
            del seen[oldest]
            self._floor[sender] = max(oldest, self._floor.get(sender, 0))
        return True
