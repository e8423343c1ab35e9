"""How long a disk takes: the file batches of one incarnation, one after the other, and what a crash cuts off.

What the operations do is the affair of `disk.py`. A batch's operations take effect together when its time is up; a
crash in between lets a random number of them take effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from histrio.simulation.agenda import Agenda
from histrio.simulation.disk import Disk
from histrio.simulation.profile import DiskProfile
from raft_trio.files import FileBatch, FileOp, Pwrite, Sync, SyncDir

__all__ = ["BatchQueue"]

_NS_PER_S = 1_000_000_000


class BatchQueue:
    """The file batches of one incarnation. `done(token, error)` is called as each one ends."""

    __slots__ = ("_agenda", "_disk", "_done", "_label", "_open", "_profile", "_rng", "_running", "_waiting")

    def __init__(
        self,
        agenda: Agenda,
        disk: Disk,
        profile: DiskProfile,
        rng: Random,
        label: str,
        done: Callable[[int, OSError | None], None],
    ) -> None:
        self._agenda, self._disk, self._profile, self._rng = agenda, disk, profile, rng
        self._label, self._done = label, done
        self._waiting: deque[FileBatch] = deque()
        self._running: FileBatch | None = None
        self._open = True

    def submit(self, batch: FileBatch) -> None:
        """Execute `batch` after all earlier ones."""
        self._waiting.append(batch)
        self._start_next()

    def hold(self) -> None:
        """Begin no further batch: the process is stopped; the system call it is in goes on."""
        self._open = False

    def release(self) -> None:
        """Go on after `hold`."""
        self._open = True
        self._start_next()

    def cut(self, rng: Random) -> int:
        """The process dies. Batches not begun are gone; of the running one, some first operations took effect.

        Returns how many batches did not take effect as a whole.
        """
        lost = len(self._waiting)
        self._waiting.clear()
        self._open = False
        batch, self._running = self._running, None
        if batch is None:
            return lost
        executed = int(rng.random() * (len(batch.ops) + 1))
        self._execute(batch.ops[:executed])
        return lost + (executed < len(batch.ops))

    def _start_next(self) -> None:
        if self._running is None and self._open and self._waiting:
            self._running = batch = self._waiting.popleft()
            due = self._agenda.now_ns + self._duration(batch)
            self._agenda.push(due, self._label, self._complete, batch, None)

    def _complete(self, batch: FileBatch, _: None) -> None:
        if batch is not self._running:
            return  # cut off by a crash
        self._running = None
        error = self._execute(batch.ops)
        self._start_next()
        self._done(batch.token, error)

    def _execute(self, ops: tuple[FileOp, ...]) -> OSError | None:
        try:
            for op in ops:
                self._disk.execute(op)
        except OSError as error:
            return error
        return None

    def _duration(self, batch: FileBatch) -> int:
        profile, total = self._profile, 0
        for op in batch.ops:
            if isinstance(op, (Sync, SyncDir)):
                total += self._sync_duration()
            else:
                total += profile.operation_ns
                if isinstance(op, Pwrite) and profile.bytes_per_second:
                    total += len(op.data) * _NS_PER_S // profile.bytes_per_second
        return total

    def _sync_duration(self) -> int:
        """One draw decides both whether it stalls and for how long, so that a stall does not shift later draws."""
        profile, draw = self._profile, self._rng.random()
        share = profile.stall_probability
        if draw < share:
            return profile.stall_min_ns + int(draw / share * (profile.stall_max_ns - profile.stall_min_ns))
        return profile.sync_min_ns + int((draw - share) / (1 - share) * (profile.sync_max_ns - profile.sync_min_ns))
