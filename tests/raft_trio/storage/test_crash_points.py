"""The storage stopped at every file operation, with every legal loss of what was not synced (issue #5, 6; ALICE)."""

from __future__ import annotations

from itertools import product

import pytest

from raft_trio.errors import Corrupt
from raft_trio.files import FileOp, FileResult, ListDir, Pwrite, Read, Rename, Sync, SyncDir, Truncate
from raft_trio.storage import snapshots
from raft_trio.storage.incarnation import next_incarnation
from tests.raft_trio.disk import FillingDisk, MemoryDisk
from tests.raft_trio.storage.crash_points import EXHAUSTIVE, SAMPLES, Recording, crash_everywhere, losses


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small snapshot is written in several."""
    monkeypatch.setattr(snapshots, "SLICE_BYTES", 100)


@pytest.mark.parametrize("disk_type", [MemoryDisk, FillingDisk])
def test_every_crash_point_and_every_loss_gives_back_what_was_synced_and_invents_nothing(
    disk_type: type[MemoryDisk],
) -> None:
    """A short workload; no crash of a sound disk is a reason to refuse a start."""
    recording = Recording(disk_type(), "short", 45, burst=12)
    tally = crash_everywhere(disk_type, recording, "short", nested=40)
    print(tally)
    assert all(recording.did.values()), recording.did
    assert tally.most > EXHAUSTIVE
    assert tally.tried > 2_000


@pytest.mark.soak
@pytest.mark.parametrize("disk_type", [MemoryDisk, FillingDisk])
@pytest.mark.parametrize("seed", range(6))
def test_every_crash_point_of_long_workloads(disk_type: type[MemoryDisk], seed: int) -> None:
    """The same with more of everything."""
    recording = Recording(disk_type(), f"long {seed}", 250, burst=16)
    tally = crash_everywhere(disk_type, recording, f"long {seed}", nested=10)
    print(f"seed {seed}, {disk_type.__name__}: {tally}; {recording.did}")
    assert all(recording.did.values()), recording.did
    assert tally.most > EXHAUSTIVE


class _NoDirectorySync(MemoryDisk):
    """P10: names are never durable."""

    def __call__(self, op: FileOp) -> FileResult:
        return super().__call__(ListDir("") if isinstance(op, SyncDir) else op)


class _NoLogSync(MemoryDisk):
    """P1: what the log holds is never durable."""

    def __call__(self, op: FileOp) -> FileResult:
        return super().__call__(ListDir("") if isinstance(op, Sync) and op.path.endswith(".wal") else op)


class _NoSnapshotSync(MemoryDisk):
    """S11: a snapshot gets its name before it is durable."""

    def __call__(self, op: FileOp) -> FileResult:
        return super().__call__(ListDir("") if isinstance(op, Sync) and op.path.endswith(".new") else op)


@pytest.mark.parametrize("disk_type", [_NoDirectorySync, _NoLogSync, _NoSnapshotSync])
def test_a_sync_left_out_is_noticed(disk_type: type[MemoryDisk]) -> None:
    """The oracle bites: the recording counts what such a disk pretends to have made durable."""
    real = Recording(MemoryDisk(), "short", 45, burst=0)
    with pytest.raises((AssertionError, Corrupt, FileNotFoundError)):
        crash_everywhere(disk_type, real, "short", nested=1_000)


@pytest.mark.parametrize("count", range(EXHAUSTIVE + 1))
def test_few_operations_are_lost_in_every_combination(count: int) -> None:
    """Against brute force."""
    tried = list(losses(count, "any"))
    brute = [sum(bit << place for place, bit in enumerate(bits)) for bits in product((0, 1), repeat=count)]
    assert sorted(tried) == sorted(brute)


@pytest.mark.parametrize("count", [EXHAUSTIVE + 1, 13, 20, 40])
def test_many_operations_are_lost_in_all_prefixes_single_omissions_and_a_sample(count: int) -> None:
    """Against brute force; the same seed draws the same sample."""
    tried = list(losses(count, "any"))
    assert len(tried) == len(set(tried)) == 2 * count + SAMPLES
    kept = [tuple(tried_ >> place & 1 for place in range(count)) for tried_ in tried]
    prefixes = [(1,) * length + (0,) * (count - length) for length in range(count + 1)]
    omissions = [(1,) * place + (0,) + (1,) * (count - place - 1) for place in range(count)]
    assert set(prefixes) | set(omissions) <= set(kept)
    assert tried == list(losses(count, "any"))
    assert tried != list(losses(count, "another"))


def test_survivors_are_what_a_replay_without_the_lost_operations_leaves() -> None:
    """The disk of these tests against a disk that never heard of the lost writes."""
    disk = MemoryDisk()
    next_incarnation(disk)
    assert disk.unsynced == 0
    first, names = Pwrite("a", 0, b"one"), (Sync("a"), SyncDir(""))
    disk(first)
    for op in names:
        disk(op)
    writes: list[Pwrite | Truncate] = [Pwrite("a", 1, b"22"), Truncate("a", 2), Pwrite("a", 4, b"4")]
    for write in writes:
        disk(write)
    disk(Rename("a", "b"))
    assert disk.unsynced == 4
    for kept in range(16):
        naive = MemoryDisk()
        naive(first)
        for bit, write in enumerate(writes, 1):
            if kept >> bit & 1:
                naive(write)
        name = "b" if kept & 1 else "a"
        assert disk.survivors(kept) == {name: naive.files["a"], "incarnation": b"1\n"}


def test_no_crash_while_a_start_is_counted_makes_a_number_come_twice() -> None:
    """Two starts with one number would take answers to the other's messages for their own."""
    for starts in range(3):
        sound = MemoryDisk()
        for _ in range(starts):
            next_incarnation(sound)
        image = dict(sound.files)
        sound.restart(image)
        next_incarnation(sound)
        disk = MemoryDisk()
        disk.restart(image)
        ops = [op for op in sound.ops if not isinstance(op, Read)]
        for number, op in enumerate(ops, 1):
            disk(op)
            for kept in losses(disk.unsynced, "incarnation"):
                again = MemoryDisk()
                again.restart(disk.survivors(kept))
                used = starts + 1 if number == len(ops) else starts
                assert next_incarnation(again) > used
