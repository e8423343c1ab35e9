"""Snapshots on disk and the log behind them, against a naive list: power loss at every operation, damage, leftovers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio.core.ready import Persist, Recovered
from raft_trio.errors import Corrupt
from raft_trio.files import FileOp, Pwrite, Rename, Sync, SyncDir, Unlink
from raft_trio.storage.records import CODEC
from raft_trio.storage.recovery import segment_path
from raft_trio.storage.snapshots import SLICE_BYTES, SnapshotFiles, decode_snapshot, encode_snapshot, snapshot_path
from raft_trio.storage.wal import Wal
from raft_trio.types import Config, EntryType, HardState, LogEntry, Snapshot
from tests.raft_trio.disk import FillingDisk, MemoryDisk

NODE = "n1"
CONFIG = Config(("n1", "n2", "n3"))
SMALL = 500
"""Bytes of a segment: two or three batches each."""


def entry(index: int, term: int) -> LogEntry:
    return LogEntry(index, term, EntryType.COMMAND, f"o{index}.{term}", 7, index, b"x" * (index % 40))


def snapshot_at(log: tuple[LogEntry, ...], index: int, *, state: bytes = b"") -> Snapshot:
    state = state or b"state %d" % index
    return Snapshot(index, log[index - 1].term, CONFIG, 0, crc32(state), state)


def opened(disk: MemoryDisk) -> tuple[Wal, Recovered]:
    return Wal.recover(disk, NODE, CODEC, segment_bytes=SMALL)


@dataclass(frozen=True)
class Logical:
    """What a node has promised: its hard state, and the log as if nothing had ever been forgotten."""

    hard: HardState
    log: tuple[LogEntry, ...]

    def is_what(self, recovered: Recovered) -> bool:
        """Whether the disk gave back this, some of it as a snapshot."""
        base, entries, snapshot = recovered.base_index, recovered.entries, recovered.snapshot
        if recovered.hard_state != self.hard or base + len(entries) != len(self.log):
            return False
        if base and (snapshot is None or snapshot.index < base or recovered.base_term != self.log[base - 1].term):
            return False
        if snapshot is not None and snapshot.term != self.log[snapshot.index - 1].term:
            return False
        return entries == self.log[base:]


class Life:
    """One incarnation at work: batches as a node would submit them, and after which operation what is durable."""

    def __init__(self, disk: MemoryDisk, before: Logical, random: Random) -> None:
        self.disk, self.random = disk, random
        self.wal, recovered = opened(disk)
        assert before.is_what(recovered)
        self.covered = recovered.snapshot.index if recovered.snapshot else 0
        self.states = [before]
        self.durable: list[tuple[int, int]] = [(len(disk.ops), 0)]
        """(operations executed, number of the state that is durable from then on)."""
        self.token = 0
        self.installed = self.removed = 0

    @property
    def now(self) -> Logical:
        return self.states[-1]

    def step(self) -> None:
        choice = self.random.random()
        if choice < 0.2 and self.covered < len(self.now.log):
            self.take_snapshot()
        elif choice < 0.3:
            self.install()
        else:
            self.write()

    def write(self) -> None:
        """Maybe cut behind what is committed, append, maybe a new term."""
        random, log, hard = self.random, list(self.now.log), self.now.hard
        cut = None
        if len(log) > self.covered and random.random() < 0.2:
            cut = random.randint(self.covered + 1, len(log))
            del log[cut - 1 :]
        if random.random() < 0.4:
            hard = HardState(hard.term + random.randrange(2), random.choice((None, "n2")), self.covered)
        added = tuple(entry(len(log) + k, hard.term) for k in range(1, random.randint(2, 4)))
        changed = None if hard == self.now.hard else hard
        self._submit(Persist(self._next(), cut, added, changed, True), Logical(hard, (*log, *added)))

    def install(self) -> None:
        """A snapshot from a leader, further than everything here, and maybe an entry behind it."""
        hard = self.now.hard
        term = hard.term + self.random.randrange(2)
        foreign = [entry(index, term) for index in range(1, len(self.now.log) + self.random.randint(2, 5))]
        log = (*self.now.log[: self.covered], *foreign[self.covered :])
        snapshot = snapshot_at(log, len(log))
        # Power may fail between the snapshot and the word in the log that it is there.
        self.states.append(Logical(hard if term == hard.term else HardState(term, None, hard.commit), log))
        self.covered = snapshot.index
        changed = HardState(term, None, snapshot.index)
        behind = (entry(len(log) + 1, term),) if self.random.random() < 0.5 else ()
        self._submit(Persist(self._next(), None, behind, changed, True, snapshot), Logical(changed, (*log, *behind)))
        self._forget()
        self.installed += 1

    def take_snapshot(self) -> None:
        index = self.random.randint(self.covered + 1, len(self.now.log))
        for ops in self.wal.snapshots.write(snapshot_at(self.now.log, index)):
            self._execute(ops)
        self.covered = index
        self._forget()

    def _forget(self) -> None:
        ops = self.wal.forget(self.covered)
        self.removed += sum(isinstance(op, Unlink) for op in ops)
        self._execute(ops)

    def _submit(self, persist: Persist, after: Logical) -> None:
        self.states.append(after)
        self._execute(self.wal.append(persist).ops)
        self.wal.done(persist.token)
        self.durable.append((len(self.disk.ops), len(self.states) - 1))

    def _execute(self, ops: tuple[FileOp, ...]) -> None:
        for op in ops:
            self.disk(op)

    def _next(self) -> int:
        self.token += 1
        return self.token


@pytest.mark.parametrize("disk_type", [MemoryDisk, FillingDisk])
def test_every_crash_point_of_a_life_with_snapshots_gives_back_what_was_durable(disk_type: type[MemoryDisk]) -> None:
    """Issue 5, 6: stopped at every file operation, several outcomes of the power loss each (OSDI'14, ALICE; S11)."""
    disk, start = disk_type(), Logical(HardState(), ())
    life = Life(disk, start, Random("snapshots"))
    for _ in range(36):
        life.step()
    assert life.installed >= 3
    assert life.removed >= 8, "segments and old snapshots went"
    ops = list(disk.ops)
    tried = 0
    for crash_at in range(life.durable[0][0], len(ops) + 1):
        floor = max((number for position, number in life.durable if position <= crash_at), default=0)
        for outcome in range(5):
            copy = disk_type()
            for op in ops[:crash_at]:
                copy(op)
            copy.power_loss(Random(f"{crash_at}/{outcome}"))
            _, recovered = opened(copy)
            assert any(state.is_what(recovered) for state in life.states[floor:]), f"crash at operation {crash_at}"
            again, twice = opened(copy)
            assert twice == recovered
            goes_on(copy, again, recovered)
            tried += 1
    assert tried > 500


def goes_on(disk: MemoryDisk, wal: Wal, recovered: Recovered) -> None:
    """The log can be written on, and what is written comes back."""
    index = recovered.base_index + len(recovered.entries) + 1
    disk.execute(wal.append(Persist(1, None, (entry(index, 99),), None, must_sync=True)))
    assert opened(disk)[1].entries[-1] == entry(index, 99)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_lives_follow_each_other_through_power_losses(seed: int) -> None:
    """Every incarnation goes on where a random power loss of the one before left off."""
    random = Random(seed)
    disk, state = MemoryDisk(), Logical(HardState(), ())
    for _ in range(4):
        life = Life(disk, state, random)
        for _ in range(random.randrange(10)):
            life.step()
        disk.power_loss(random)
        _, recovered = opened(disk)
        floor = life.durable[-1][1]
        state = next(known for known in life.states[floor:] if known.is_what(recovered))


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def aged() -> tuple[MemoryDisk, Logical]:
    """Two snapshots, up to 10 and 20; segments before the second are gone."""
    disk = MemoryDisk()
    wal, _ = opened(disk)
    log: tuple[LogEntry, ...] = ()
    for token in range(1, 25):
        log += (entry(token, 1),)
        disk.execute(wal.append(Persist(token, None, log[-1:], HardState(1, "n1", 0), True)))
        wal.done(token)
        if token in (10, 20):
            for ops in (*wal.snapshots.write(snapshot_at(log, token)), wal.forget(token)):
                for op in ops:
                    disk(op)
    return disk, Logical(HardState(1, "n1", 0), log)


def test_segments_that_a_snapshot_covers_are_gone_and_term_and_vote_are_not() -> None:
    """Each segment begins with the hard state of its time."""
    disk, state = aged()
    assert segment_path(1) not in disk.files
    assert snapshot_path(10) in disk.files, "the one before is kept"
    _, recovered = opened(disk)
    assert state.is_what(recovered)
    assert recovered.hard_state.voted_for == "n1"
    assert recovered.base_index > 0


def test_a_third_snapshot_lets_the_first_go() -> None:
    disk, state = aged()
    wal, _ = opened(disk)
    for ops in (*wal.snapshots.write(snapshot_at(state.log, 24)), wal.forget(24)):
        for op in ops:
            disk(op)
    assert [path for path in disk.files if path.endswith(".snap")] == [snapshot_path(20), snapshot_path(24)]


def test_a_damaged_snapshot_without_which_entries_are_missing_refuses_to_start() -> None:
    """S11, P8: never go on without what was promised; the message names file and remedy, and nothing is changed."""
    disk, _ = aged()
    damage(disk, snapshot_path(20))
    files = dict(disk.files)
    with pytest.raises(Corrupt, match=snapshot_path(20)) as caught:
        opened(disk)
    assert "join as a new member" in caught.value.fix
    assert disk.files == files


def damage(disk: MemoryDisk, path: str) -> None:
    data = disk.files[path]
    disk.files[path] = data[:-1] + bytes([data[-1] ^ 1])


def test_a_damaged_snapshot_is_replaced_by_the_one_before_while_the_log_has_what_follows() -> None:
    disk = MemoryDisk()
    wal, _ = Wal.recover(disk, NODE, CODEC)
    log = tuple(entry(index, 1) for index in range(1, 9))
    disk.execute(wal.append(Persist(1, None, log, HardState(1, None, 0), True)))
    for index in (3, 6):
        for ops in wal.snapshots.write(snapshot_at(log, index)):
            for op in ops:
                disk(op)
    damage(disk, snapshot_path(6))
    _, recovered = opened(disk)
    assert recovered.snapshot == snapshot_at(log, 3)
    assert Logical(HardState(1, None, 0), log).is_what(recovered)


def test_a_missing_log_beside_a_snapshot_refuses_to_start() -> None:
    """Term and vote are in the log: without it the node could vote twice."""
    disk, _ = aged()
    for path in [path for path in disk.files if path.endswith(".wal")]:
        del disk.files[path]
    with pytest.raises(Corrupt, match="term and vote"):
        opened(disk)


def test_a_snapshot_that_was_installed_and_is_gone_refuses_to_start() -> None:
    disk = MemoryDisk()
    wal, _ = opened(disk)
    snapshot = Snapshot(5, 1, CONFIG, 0, crc32(b"s"), b"s")
    disk.execute(wal.append(Persist(1, None, (), HardState(1, None, 5), True, snapshot)))
    del disk.files[snapshot_path(5)]
    with pytest.raises(Corrupt, match="snapshot up to entry 5"):
        opened(disk)


def test_leftovers_of_interrupted_writes_are_removed() -> None:
    disk, state = aged()
    disk(Pwrite("0000000000000018.snap.new", 0, b"half a snapshot"))
    _, recovered = opened(disk)
    assert state.is_what(recovered)
    assert not [path for path in disk.files if path.endswith(".new")]


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_any_flipped_bit_and_any_cut_is_noticed() -> None:
    whole = encode_snapshot(snapshot_at((entry(1, 3),), 1))
    assert decode_snapshot(whole) == snapshot_at((entry(1, 3),), 1)
    for position in range(len(whole)):
        assert decode_snapshot(whole[:position]) is None
        flipped = whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :]
        assert decode_snapshot(flipped) is None
    assert decode_snapshot(whole + b"\0") is None


def test_a_large_snapshot_is_written_in_slices_so_that_the_log_has_its_turn() -> None:
    """A batch is executed as a whole; between batches the log may write."""
    state = bytes(2 * SLICE_BYTES + 5)
    batches = list(SnapshotFiles().write(snapshot_at((entry(1, 1),), 1, state=state)))
    assert len(batches) == 3
    assert all(sum(len(op.data) for op in ops if isinstance(op, Pwrite)) <= SLICE_BYTES for ops in batches)
    kinds = [type(op) for op in batches[-1]]
    assert kinds == [Pwrite, Pwrite, Sync, Rename, SyncDir], "the name comes when everything is durable"


@pytest.mark.parametrize("size", [0, 255, 256, 65535, 65536, SLICE_BYTES // 2, SLICE_BYTES - 1, 2 * SLICE_BYTES + 3])
def test_slices_together_are_the_file(size: int) -> None:
    """However many there are; the head of a large file comes last, when its checksum is known."""
    snapshot = Snapshot(1, 1, CONFIG, 0, 7, Random(size).randbytes(size))
    disk = MemoryDisk()
    for ops in SnapshotFiles().write(snapshot):
        for op in ops:
            disk(op)
    assert disk.files == {snapshot_path(1): encode_snapshot(snapshot)}
    assert decode_snapshot(disk.files[snapshot_path(1)]) == snapshot
