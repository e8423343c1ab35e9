"""What is wrong with one node's disk at present: which operations fail, which take long, which bytes are damaged.

Rules go by name, overlap freely, and count what they did. What operations do when nothing is wrong is the affair of
`disk.py`, how long they take that of `batches.py`; which rules are in force is decided elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from raft_trio.files import FileOp, Pwrite

__all__ = ["DiskRules", "Failing", "Hanging", "Misdirection", "SlowSyncs"]


@dataclass(slots=True)
class Failing:
    """Operations of some types fail."""

    operations: tuple[type[FileOp], ...]
    errno: int
    count: int = 0
    """Operations that failed."""


@dataclass(slots=True)
class SlowSyncs:
    """Every sync takes longer."""

    delay_ns: int
    count: int = 0
    """Syncs that did."""


@dataclass(slots=True)
class Hanging:
    """No sync comes back."""

    count: int = 0
    """Syncs that did not."""


@dataclass(slots=True)
class Misdirection:
    """One write lands elsewhere in its file; `done` is called when it has."""

    rng: Random
    done: Callable[[], None]
    count: int = 0


class DiskRules:
    """The rules in force on one disk. `on_release`: what hung may go on."""

    __slots__ = (
        "_at_write",
        "_on_release",
        "damaged",
        "failed",
        "failing",
        "hanging",
        "misdirecting",
        "nodes_ended",
        "slow",
    )

    def __init__(self, on_release: Callable[[], None] = lambda: None) -> None:
        self._on_release = on_release
        self._at_write: list[Callable[[int], None]] = []
        self.failing: dict[str, Failing] = {}
        self.slow: dict[str, SlowSyncs] = {}
        self.hanging: dict[str, Hanging] = {}
        self.misdirecting: dict[str, Misdirection] = {}
        self.damaged: dict[str, None] = {}
        """Rules that have damaged stored bytes and have not been undone."""
        self.failed = False
        """Whether an operation of the present incarnation has failed."""
        self.nodes_ended = 0
        """Ends of processes that the disk was to blame for."""

    @property
    def can_end_a_node(self) -> bool:
        """A node may well end itself again if it is started now."""
        return bool(self.failing or self.damaged)

    def refuse(self, op: FileOp) -> None:
        """Raises OSError for an operation that fails, the one error of the first rule that makes it; each counts."""
        refusing = [rule for rule in self.failing.values() if isinstance(op, rule.operations)]
        for rule in refusing:
            rule.count += 1
        if refusing:
            self.failed = True
            code = refusing[0].errno
            raise OSError(code, os.strerror(code), op.path if not hasattr(op, "source") else op.source)

    def misdirect(self, op: Pwrite, vouched: int) -> int | None:
        """Where the write lands instead, within the first `vouched` bytes; None: where it should."""
        room = vouched - len(op.data)
        if room < 0 or not op.data:
            return None
        for rule in self.misdirecting.values():
            if rule.count == 0:
                rule.count = 1
                return int(rule.rng.random() * (room + 1))
        return None

    def hang(self, rule: str, syncs: int) -> None:
        """From now on no sync comes back; `syncs`: those under way and waiting."""
        self.hanging[rule] = Hanging(syncs)

    def release(self, rule: str) -> Hanging:
        """Lift a hang."""
        lifted = self.hanging.pop(rule)
        if not self.hanging:
            self._on_release()
        return lifted

    def call_at_write(self, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call once, when the next write begins, with the nanoseconds it takes. Returns what cancels that."""
        self._at_write.append(callback)

        def cancel() -> None:
            self._at_write = [other for other in self._at_write if other is not callback]

        return cancel

    def writing(self, duration_ns: int) -> None:
        """A write begins."""
        if self._at_write:
            waiting, self._at_write = self._at_write, []
            for callback in waiting:
                callback(duration_ns)
