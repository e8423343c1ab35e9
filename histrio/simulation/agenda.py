"""The agenda: what happens next. One heap of events, one clock, one loop, one budget, one rolling hash.

Nothing here knows what an event means. Events of the same time happen in the order in which they were put down. The
hash covers every executed event and every note, so equal hashes mean equal runs; it does not depend on how a run was
cut into calls of `run_until`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

from histrio.simulation.errors import EventBudgetSpent

__all__ = ["Agenda", "Handler"]

Handler = Callable[[Any, Any], None]
"""A bound method: it is called with the two arguments of its event, and can be pickled."""

_EVENTS_PER_ROLL = 4096
# Hashing in chunks costs a fifth of hashing each event. Chunks end at multiples of the event count, never at the end
# of a call, or the hash would depend on the calls.


class Agenda:
    """Events in the order of (time, order of being put down)."""

    __slots__ = ("_budget", "_digest", "_heap", "_log", "_sequence", "_stopped", "_turn", "events", "now_ns")

    def __init__(self, event_budget: int) -> None:
        self.now_ns = 0
        self.events = 0
        self._heap: list[tuple[int, int, str, Handler, Any, Any]] = []
        self._sequence = 0
        self._budget = event_budget
        self._turn = min(_EVENTS_PER_ROLL, event_budget)
        self._stopped = False
        self._log: list[int | str] = []
        self._digest = b""

    def push(self, time_ns: int, label: str, handler: Handler, first: Any, second: Any) -> None:
        """Put down an event, not in the past. `label` says what it is, in the hash and in errors."""
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (time_ns, sequence, label, handler, first, second))

    def note(self, label: str) -> None:
        """Add to the hash what happens now without being an event of its own: a drop, a kill."""
        self._log.append(self.now_ns)
        self._log.append(label)

    def run_until(self, time_ns: int) -> None:
        """Execute every event up to and including `time_ns`. Raises EventBudgetSpent."""
        heap, log = self._heap, self._log.append
        self._stopped = False
        while heap and heap[0][0] <= time_ns:
            now, _, label, handler, first, second = heappop(heap)
            self.now_ns = now
            self.events = events = self.events + 1
            log(now)
            log(label)
            handler(first, second)
            # One comparison covers everything rare: a full log, a spent budget, a request to stop.
            if events >= self._turn and self._take_turn():
                return
        if time_ns > self.now_ns:
            self.now_ns = time_ns

    def stop(self) -> None:
        """Make `run_until` return after the current event, with the clock at that event."""
        self._stopped = True
        self._turn = 0

    def digest(self) -> str:
        """Hash of everything so far, 32 hexadecimal digits."""
        return self._rolled().hex()

    def _rolled(self) -> bytes:
        return blake2b(self._digest + repr(self._log).encode(), digest_size=16).digest()

    def _take_turn(self) -> bool:
        if self.events >= self._budget:
            raise EventBudgetSpent(self.events, self.now_ns, self._recent())
        if self.events % _EVENTS_PER_ROLL == 0:
            self._digest = self._rolled()
            self._log.clear()
        self._turn = min(self.events - self.events % _EVENTS_PER_ROLL + _EVENTS_PER_ROLL, self._budget)
        return self._stopped

    def _recent(self) -> dict[str, int]:
        labels = (entry for entry in self._log if isinstance(entry, str))
        return dict(Counter(labels).most_common(10))
