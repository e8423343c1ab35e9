"""The page that a node and the harness share: orders in, counts out. Slots are those of shim.h.

A page is a file in the folder of the node's records, so that it outlives the node; counts are never reset.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path

__all__ = ["PAGE_BYTES", "Count", "Order", "Page"]

PAGE_BYTES = 4096
_DIRTY_FIRST, _DIRTY_WORDS = 128, 128


class Order(IntEnum):
    """What the harness may order; 0 is as if there were no shim."""

    WALL_OFFSET_NS = 1
    STROBE_NS = 2
    STROBE_HALF_NS = 3
    RATE_PPM = 4
    RATE_GENERATION = 5
    FULL = 6
    READ_ONLY = 7
    FAIL_WRITES = 8
    FAIL_SYNCS = 9
    FAIL_READS = 10
    HANG = 11
    SYNC_DELAY_NS = 12
    LIE = 13
    STOP_AT_SYNC = 14
    JOURNAL = 15


class Count(IntEnum):
    """What the shim counts, over all processes of the node."""

    STARTS = 32
    WALL_READS_SHIFTED = 33
    CLOCK_STEPS_SEEN = 34
    CLOCK_READS_SHIFTED = 35
    TIMERS_SHIFTED = 36
    SYNCS_DELAYED = 37
    SYNCS_HELD = 38
    SYNCS_LIED = 39
    STOPS = 40
    WRITE_ERRORS = 41
    SYNC_ERRORS = 42
    READ_ERRORS = 43
    FILE_ERRORS = 44
    RECORDS = 45


class Page:
    """One node's page, mapped."""

    def __init__(self, path: Path) -> None:
        """Raises OSError: there is no page, the node runs without a shim."""
        with path.open("r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), PAGE_BYTES)).cast("q")

    @staticmethod
    def create(path: Path) -> None:
        """An empty page, for a node of any user to write to."""
        path.write_bytes(bytes(PAGE_BYTES))
        path.chmod(0o666)

    def order(self, slot: Order, value: int) -> None:
        """In force from the node's next call on."""
        self._words[slot] = value  # one aligned word: the node sees the old or the new value, nothing between

    def ordered(self, slot: Order) -> int:
        """What is in force."""
        return self._words[slot]

    def count(self, slot: Count) -> int:
        """How often, since the run began."""
        return self._words[slot]

    def forget_unsynced(self) -> None:
        """Nothing of the node's is unsynced any more: the undo journal was emptied. The node must be down."""
        for slot in range(_DIRTY_FIRST, _DIRTY_FIRST + _DIRTY_WORDS):
            self._words[slot] = 0

    @property
    def attached(self) -> bool:
        """Some process of the node has loaded the shim."""
        return self._words[Count.STARTS] > 0
