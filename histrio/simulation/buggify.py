"""Points at which a simulated node may do something unlikely that is allowed. FoundationDB's BUGGIFY.

A point is activated for a whole run with 25 %, and an active one fires with 25 % each time it is passed. So each run
has a few of them, often enough to matter. Every point and every incarnation of a node has a stream of its own: a fault
removed changes the luck of no point it did not touch.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = ["ACTIVATED", "FIRES", "Buggify", "Points", "never"]

ACTIVATED = 0.25
"""Share of the runs in which a point is active."""
FIRES = 0.25
"""Share of the passes at which an active point fires."""

Points = Callable[[str], bool]
"""Name of a point -> whether it fires now."""


def never(point: str) -> bool:
    """No point fires."""
    return False


class Buggify:
    """The points of one run."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active: dict[str, bool] = {}

    def is_active(self, point: str) -> bool:
        """Whether the point is active in this run."""
        if point not in self._active:
            self._active[point] = Random(f"{self._seed}/buggify/{point}").random() < ACTIVATED
        return self._active[point]

    def of(self, node: str, incarnation: int) -> Points:
        """The points as one incarnation of a node passes them."""
        streams: dict[str, Random | None] = {}

        def fires(point: str) -> bool:
            if point not in streams:
                stream = f"{self._seed}/buggify/{point}/{node}/{incarnation}"
                streams[point] = Random(stream) if self.is_active(point) else None
            random = streams[point]
            return random is not None and random.random() < FIRES

        return fires
