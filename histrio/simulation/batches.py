"""How long a disk takes: the file batches of one incarnation, one after the other, and what a crash cuts off.

What the operations do is the affair of `disk.py`. A batch's operations take effect together when its time is up; a
crash in between lets a random number of them take effect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from histrio.simulation.agenda import Agenda
from histrio.simulation.disk import Disk
from histrio.simulation.disk_rules import DiskRules
from histrio.simulation.profile import DiskProfile
from raft_trio.files import FileBatch, FileOp, Pwrite, Sync, SyncDir

__all__ = ["BatchQueue"]

_NS_PER_S = 1_000_000_000


class _Submitted(NamedTuple):
    """A batch, and how much of each file it writes was durable when it was asked for."""

    batch: FileBatch
    durable: tuple[tuple[str, int], ...]


def _syncs(batch: FileBatch) -> int:
    return sum([isinstance(op, (Sync, SyncDir)) for op in batch.ops])


class BatchQueue:
    """The file batches of one incarnation. `done(token, error)` is called as each one ends."""

    __slots__ = (
        "_agenda",
        "_disk",
        "_done",
        "_label",
        "_open",
        "_overdue",
        "_profile",
        "_rng",
        "_rules",
        "_running",
        "_waiting",
    )

    def __init__(
        self,
        agenda: Agenda,
        disk: Disk,
        rules: DiskRules,
        profile: DiskProfile,
        rng: Random,
        label: str,
        done: Callable[[int, OSError | None], None],
    ) -> None:
        self._agenda, self._disk, self._rules, self._profile, self._rng = agenda, disk, rules, profile, rng
        self._label, self._done = label, done
        self._waiting: deque[_Submitted] = deque()
        self._running: _Submitted | None = None
        self._open = True
        self._overdue = False  # the running batch's time is up, but the disk hangs

    def submit(self, batch: FileBatch) -> None:
        """Execute `batch` after all earlier ones."""
        durable = tuple([(op.path, self._disk.durable_bytes(op.path)) for op in batch.ops if isinstance(op, Pwrite)])
        self._waiting.append(_Submitted(batch, durable))
        if self._rules.hanging:
            syncs = _syncs(batch)
            for rule in self._rules.hanging.values():
                rule.count += syncs
        self._start_next()

    def hold(self) -> None:
        """Begin no further batch: the process is stopped; the system call it is in goes on."""
        self._open = False

    def release(self) -> None:
        """Go on after `hold`."""
        self._open = True
        self._start_next()

    def go_on(self) -> None:
        """The disk does not hang any more."""
        if self._overdue and self._running is not None:
            self._end(self._running)
        elif self._open:
            self._start_next()

    @property
    def syncs(self) -> int:
        """Syncs under way and waiting."""
        running = [self._running] if self._running else []
        return sum([_syncs(submitted.batch) for submitted in (*running, *self._waiting)])

    @property
    def bytes_being_written(self) -> int:
        """Bytes of writes in the running batch."""
        ops = self._running.batch.ops if self._running else ()
        return sum([len(op.data) for op in ops if isinstance(op, Pwrite)])

    def finish(self) -> None:
        """Let everything take effect at once, in order: the process ends as it wishes to."""
        running = [self._running] if self._running else []
        for submitted in (*running, *self._waiting):
            self._execute(submitted.batch.ops)
        self._waiting.clear()
        self._running = None

    def cut(self, rng: Random, *, tear: bool = False) -> int:
        """The process dies. Batches not begun are gone; of the running one, some first operations took effect.

        tear: it dies between the write and the sync. Returns how many batches did not take effect as a whole.
        """
        lost = len(self._waiting)
        self._waiting.clear()
        self._open = False
        submitted, self._running = self._running, None
        if submitted is None:
            return lost
        ops = submitted.batch.ops
        executed = int(rng.random() * (len(ops) + 1))
        if tear:
            executed = max([place for place, op in enumerate(ops, 1) if isinstance(op, Pwrite)], default=0)
        self._execute(ops[:executed])
        return lost + (executed < len(ops))

    def _start_next(self) -> None:
        if self._running is None and self._open and self._waiting:
            self._running = submitted = self._waiting.popleft()
            duration_ns = self._duration(submitted.batch)
            self._agenda.push(self._agenda.now_ns + duration_ns, self._label, self._complete, submitted, None)
            if submitted.durable:
                self._rules.writing(duration_ns)

    def _complete(self, submitted: _Submitted, _: None) -> None:
        if submitted is not self._running:
            return  # cut off by a crash
        if self._rules.hanging and _syncs(submitted.batch):
            self._overdue = True
            return
        self._end(submitted)

    def _end(self, submitted: _Submitted) -> None:
        self._running, self._overdue = None, False
        error = self._execute(submitted.batch.ops)
        if error is None:
            for path, durable_bytes in submitted.durable:
                self._disk.vouch(path, durable_bytes)
        self._start_next()
        self._done(submitted.batch.token, error)

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
                for rule in self._rules.slow.values():
                    rule.count += 1
                    total += rule.delay_ns
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
