"""Every crash point of a recorded workload: what was recorded, which losses are tried, what may come back.

Belongs here: the workload, the choice of losses, and the oracle. A crash point is a place between two file operations;
a loss keeps some of the operations that nothing had made durable there and undoes the others (OSDI'14, ALICE).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from zlib import crc32

from raft_trio.core.ready import Persist, Recovered
from raft_trio.files import FileOp, Pwrite, Sync, Truncate, Unlink
from raft_trio.shell.disk import operations
from raft_trio.storage.records import CODEC
from raft_trio.storage.wal import Wal
from raft_trio.types import Config, EntryType, HardState, LogEntry, Snapshot
from tests.raft_trio.disk import MemoryDisk

__all__ = ["EXHAUSTIVE", "SAMPLES", "Recording", "Tally", "crash_everywhere", "losses"]

NODE = "n1"
SEGMENT_BYTES = 900
CONFIG = Config(("n1", "n2", "n3"))
EXHAUSTIVE = 10
"""Up to so many unsynced operations, every subset is tried."""
SAMPLES = 200
"""Beyond, so many seeded subsets, besides all prefixes and all single omissions."""


def losses(count: int, seed: str) -> Iterator[int]:
    """Subsets of `count` unsynced operations to keep, as bits; none twice."""
    if count <= EXHAUSTIVE:
        yield from range(1 << count)
        return
    whole = (1 << count) - 1
    seen = {(1 << length) - 1 for length in range(count + 1)} | {whole & ~(1 << bit) for bit in range(count)}
    yield from sorted(seen)
    random, drawn = Random(f"{seed}/losses"), 0
    while drawn < SAMPLES:
        kept = random.getrandbits(count)
        if kept not in seen:
            seen.add(kept)
            drawn += 1
            yield kept


def entry(index: int, term: int) -> LogEntry:
    return LogEntry(index, term, EntryType.COMMAND, f"o{index}.{term}", 7, index, b"x" * (index % 40))


def opened(disk: MemoryDisk) -> tuple[Wal, Recovered]:
    return Wal.recover(disk, NODE, CODEC, segment_bytes=SEGMENT_BYTES)


@dataclass(frozen=True)
class Logical:
    """What a node has on disk: its hard state, and the log as if nothing had ever been forgotten."""

    hard: HardState
    log: tuple[LogEntry, ...]

    def is_what(self, recovered: Recovered) -> bool:
        """Whether the disk gave back this, some of it as a snapshot."""
        base, entries, snapshot = recovered.base_index, recovered.entries, recovered.snapshot
        if recovered.hard_state != self.hard or base + len(entries) != len(self.log):
            return False
        if base and (snapshot is None or snapshot.index < base or recovered.base_term != self.log[base - 1].term):
            return False
        if snapshot is not None and snapshot != _snapshot(self.log, snapshot.index):
            return False
        return entries == self.log[base:]


def _snapshot(log: tuple[LogEntry, ...], index: int) -> Snapshot:
    """The state after the first `index` entries: it says what they were."""
    state = repr([(entry.index, entry.term) for entry in log[:index]][-12:]).encode()
    return Snapshot(index, log[index - 1].term, CONFIG, 0, crc32(state), state)


@dataclass
class _Known:
    """A state that may come back, from the operation `born` on; certain to, once operation `durable` is executed."""

    state: Logical
    number: int
    """States follow each other; from the moment one is durable, none with a smaller number may come back."""
    write: Pwrite | None = None
    written: bool = False
    born: int = 0
    durable: int | None = None

    @property
    def path(self) -> str:
        """Of the file that its frame is written to."""
        return "" if self.write is None else self.write.path


class Recording:
    """A seeded workload as a node submits it, batches that wait together sharing their syncs, and its operations."""

    def __init__(self, disk: MemoryDisk, seed: str, steps: int, *, burst: int) -> None:
        """`burst`: batches that are written without a sync at two places, as changes of the commit index are."""
        self._random = Random(f"{seed}/workload")
        self._wal, recovered = opened(disk)
        self._disk = disk
        self._token = self._number = self._covered = 0
        self._now = Logical(recovered.hard_state, recovered.entries)
        self.begin = len(disk.ops)
        self.known = [_Known(self._now, 0, born=0, durable=0)]
        self._slices: list[tuple[FileOp, ...]] = []
        self._taking = 0
        self.did = dict.fromkeys(
            ("entries", "hard states", "truncations", "taken", "installed", "removed", "rolled"), 0
        )
        for step in range(steps):
            if step in (steps // 3, 2 * steps // 3):
                for _ in range(burst):
                    self._run([self._commit_only()])
            self._step()
        self.ops = list(disk.ops)
        self.did["rolled"] = sum(isinstance(op, Truncate) for op in self.ops)

    def floor(self, crash_at: int) -> int:
        """The state that is durable when the operations before `crash_at` were executed."""
        return max(k.number for k in self.known if k.durable is not None and k.durable <= crash_at)

    def possible(self, crash_at: int) -> list[Logical]:
        """States that may come back: durable ones or later ones that were being written."""
        floor = self.floor(crash_at)
        return [k.state for k in self.known if k.number >= floor and k.born <= crash_at]

    # ── what a node does ─────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self) -> None:
        choice = self._random.random()
        if self._slices and choice < 0.5:
            self._next_slice()
        elif not self._slices and choice < 0.15 and self._covered < len(self._now.log):
            self._taking = self._covered = self._random.randint(self._covered + 1, len(self._now.log))
            self._slices = list(self._wal.snapshots.write(_snapshot(self._now.log, self._taking)))
        elif choice < 0.22:
            self._run([self._install()])
            self._forget(self._covered)
            self.did["installed"] += 1
        else:
            self._run([self._write() for _ in range(self._random.choice((1, 1, 2, 3)))])

    def _next_slice(self) -> None:
        self._execute(self._slices.pop(0))
        if not self._slices:
            self.did["taken"] += 1
            self._forget(self._taking)

    def _forget(self, index: int) -> None:
        ops = self._wal.forget(index)
        self.did["removed"] += sum(isinstance(op, Unlink) for op in ops)
        self._execute(ops)

    def _write(self) -> Persist:
        """Maybe cut behind what is committed, append, maybe a new term or vote."""
        random, log, hard = self._random, list(self._now.log), self._now.hard
        cut = None
        if len(log) > self._covered and random.random() < 0.2:
            cut = random.randint(self._covered + 1, len(log))
            del log[cut - 1 :]
            self.did["truncations"] += 1
        if random.random() < 0.4:
            hard = HardState(hard.term + random.randrange(2), random.choice((None, "n2")), self._covered)
        added = tuple(entry(len(log) + k, hard.term) for k in range(1, random.randint(2, 4)))
        self.did["entries"] += len(added)
        return self._persist(Logical(hard, (*log, *added)), cut, added, must_sync=True)

    def _commit_only(self) -> Persist:
        hard = self._now.hard
        return self._persist(Logical(HardState(hard.term, hard.voted_for, hard.commit + 1), self._now.log), None, ())

    def _install(self) -> Persist:
        """A snapshot from a leader, further than everything here, and maybe an entry behind it."""
        hard, random = self._now.hard, self._random
        term = hard.term + random.randrange(2)
        foreign = [entry(index, term) for index in range(1, len(self._now.log) + random.randint(2, 5))]
        log = (*self._now.log[: self._covered], *foreign[self._covered :])
        snapshot = _snapshot(log, len(log))
        # Power may fail between the snapshot and the word in the log that it is there.
        for k in list(self.known):
            was = k.state.hard
            between = was if was.term >= term else HardState(term, None, was.commit)
            self.known.append(_Known(Logical(between, log), k.number, born=len(self._disk.ops)))
        self._covered = snapshot.index
        behind = (entry(len(log) + 1, term),) if random.random() < 0.5 else ()
        after = Logical(HardState(term, None, snapshot.index), (*log, *behind))
        return self._persist(after, None, behind, must_sync=True, snapshot=snapshot)

    def _persist(
        self,
        after: Logical,
        cut: int | None,
        added: tuple[LogEntry, ...],
        *,
        must_sync: bool = False,
        snapshot: Snapshot | None = None,
    ) -> Persist:
        self._token += 1
        hard = None if after.hard == self._now.hard else after.hard
        self.did["hard states"] += hard is not None
        self._now = after
        self._number += 1
        self.known.append(_Known(after, self._number))
        return Persist(self._token, cut, added, hard, must_sync, snapshot)

    def _run(self, group: list[Persist]) -> None:
        """What waits together is executed together, and then reported."""
        batches = [self._wal.append(persist) for persist in group]
        began = len(self._disk.ops)
        fresh = [k for k in self.known if k.born == 0 and k.number > self._number - len(group)]
        for k, batch in zip(fresh, batches, strict=True):
            k.write = next(op for op in reversed(batch.ops) if isinstance(op, Pwrite))
            k.born = began
        self._execute(tuple(operations(batches)))
        for persist in group:
            if persist.must_sync:
                self._wal.done(persist.token)

    def _execute(self, ops: tuple[FileOp, ...]) -> None:
        for op in ops:
            self._disk(op)
            executed = len(self._disk.ops)
            for k in self.known:
                if k.write is op:
                    k.born, k.written = executed, True
                elif isinstance(op, Sync) and k.written and k.durable is None and k.path == op.path:
                    k.durable = executed


@dataclass
class Tally:
    """How much was tried, of what was possible."""

    points: int = 0
    tried: int = 0
    possible: int = 0
    images: int = 0
    """Different contents of the disk among them."""
    nested: int = 0
    """Second crashes, while the first was being recovered from."""
    most: int = 0
    """Largest number of unsynced operations."""

    def __str__(self) -> str:
        return (
            f"{self.points} crash points, up to {self.most} unsynced operations, {self.tried} losses tried of "
            f"{self.possible} possible, {self.images} different disks, {self.nested} second crashes"
        )


def crash_everywhere(disk_type: type[MemoryDisk], recording: Recording, seed: str, *, nested: int) -> Tally:
    """Crashes at every operation, with every loss; each `nested`-th disk is crashed once more while it recovers."""
    tally, disk = Tally(), disk_type()
    for op in recording.ops[: recording.begin]:
        disk(op)
    for crash_at in range(recording.begin, len(recording.ops) + 1):
        possible, seen = recording.possible(crash_at), set()
        tally.points += 1
        tally.most = max(tally.most, disk.unsynced)
        tally.possible += 1 << disk.unsynced
        for kept in losses(disk.unsynced, f"{seed}/{crash_at}"):
            tally.tried += 1
            image = disk.survivors(kept)
            key = tuple(image.items())
            if key in seen:
                continue
            seen.add(key)
            tally.images += 1
            recovered = _restart(disk_type, image)
            where = f"crash before operation {crash_at}, kept {kept:b} of {disk.unsynced}"
            assert any(state.is_what(recovered) for state in possible), where
            if tally.images % nested == 0:
                tally.nested += _crash_again(disk_type, image, recovered, f"{seed}/{crash_at}/{kept}")
        if crash_at < len(recording.ops):
            disk(recording.ops[crash_at])
    return tally


def _restart(disk_type: type[MemoryDisk], image: dict[str, bytes]) -> Recovered:
    """What comes back; it can be written on, and then comes back with what was written. Raises Corrupt."""
    disk = disk_type()
    disk.restart(image)
    wal, recovered = opened(disk)
    more = entry(recovered.base_index + len(recovered.entries) + 1, 99)
    disk.execute(wal.append(Persist(1, None, (more,), None, must_sync=True)))
    disk.restart(disk.survivors(0))
    _, again = opened(disk)
    assert again.entries == (*recovered.entries, more)
    assert (again.hard_state, again.snapshot, again.base_index) == (
        recovered.hard_state,
        recovered.snapshot,
        recovered.base_index,
    )
    return recovered


def _crash_again(disk_type: type[MemoryDisk], image: dict[str, bytes], recovered: Recovered, seed: str) -> int:
    """Crashes at every operation of the recovery from `image`, with every loss: the same comes back."""
    disk = disk_type()
    disk.restart(image)
    opened(disk)
    ops, tried = disk.ops, 0
    disk = disk_type()
    disk.restart(image)
    for op in ops:
        disk(op)
        for kept in losses(disk.unsynced, seed):
            assert _restart(disk_type, disk.survivors(kept)) == recovered
            tried += 1
    return tried
