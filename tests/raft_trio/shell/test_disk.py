"""File operations on a real disk, and the task that groups them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from raft_trio.core.ready import Persist
from raft_trio.errors import Corrupt, IoError
from raft_trio.files import (
    FileBatch,
    FileOp,
    FileResult,
    ListDir,
    Pwrite,
    Read,
    Rename,
    Sync,
    SyncDir,
    Truncate,
    Unlink,
)
from raft_trio.shell.disk import INLINE_BYTES_MAX, DataDirectory, Disk, operations
from raft_trio.storage.incarnation import next_incarnation
from raft_trio.storage.records import CODEC
from raft_trio.storage.recovery import SEGMENT_SUFFIX
from raft_trio.storage.wal import Wal
from raft_trio.types import EntryType, HardState, LogEntry
from tests.raft_trio.disk import MemoryDisk


def test_operations_mean_the_same_on_a_real_disk_as_in_memory(tmp_path: Path) -> None:
    real, memory, random = DataDirectory(tmp_path / "d"), MemoryDisk(), Random("ops")
    for _ in range(60):
        path, position = random.choice(("a", "b")), random.randrange(50)
        op: FileOp = random.choice((Pwrite(path, position, random.randbytes(9)), Truncate(path, position)))
        for step in (op, Sync(path), SyncDir("")):
            real(step)
            memory(step)
        assert real(Read(path)) == memory(Read(path))
    names = real(ListDir(""))
    assert isinstance(names, tuple)
    assert set(names) == {"a", "b", "lock"}
    real(Rename("a", "b"))
    assert real(Read("b")) == memory.files["a"]
    real(Unlink("b"))
    with pytest.raises(FileNotFoundError):
        real(Read("b"))
    real.close()


def test_a_log_on_a_real_disk_is_read_back(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    wal, _ = Wal.recover(directory, "n1", CODEC, segment_bytes=400)
    entries = tuple(LogEntry(k, 1, EntryType.COMMAND, data=b"x" * 90) for k in range(1, 12))
    for token, entry in enumerate(entries, start=1):
        for op in wal.append(Persist(token, None, (entry,), HardState(1, "n1", 0), must_sync=True)).ops:
            directory(op)
    directory.close()
    again = DataDirectory(tmp_path)
    _, recovered = Wal.recover(again, "n1", CODEC)
    assert recovered.entries == entries
    again.close()


def test_a_log_filled_with_zeros_ahead_is_read_back_over_segments_and_restarts(tmp_path: Path) -> None:
    """What is prepared for later writes must never be taken for damage, nor cost an entry."""
    entries: list[LogEntry] = []
    spares = 0
    for _ in range(3):
        directory = DataDirectory(tmp_path)
        wal, recovered = Wal.recover(directory, "n1", CODEC, segment_bytes=600)
        assert recovered.entries == tuple(entries)
        directory.fill_last(SEGMENT_SUFFIX, 600)
        for token in range(1, 9):
            if not directory.has_spare:
                directory.prepare_spare(SEGMENT_SUFFIX, 600)
                spares += 1
            entries.append(LogEntry(len(entries) + 1, 1, EntryType.COMMAND, data=b"x" * 90))
            for op in wal.append(Persist(token, None, (entries[-1],), HardState(1, "n1", 0), must_sync=True)).ops:
                directory(op)
        directory.close()
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.wal"))]
    assert spares > 3
    assert sizes[-1] == 600
    assert all(size < 600 for size in sizes[:-1])


def test_a_spare_is_taken_for_a_new_segment_only(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.prepare_spare(SEGMENT_SUFFIX, 3_000_000)
    assert directory.has_spare
    directory(Pwrite("other", 0, b"x"))
    assert directory.has_spare
    directory(Pwrite("1.wal", 0, b"x"))
    assert not directory.has_spare
    assert directory(Read("1.wal")) == b"x" + bytes(2_999_999)
    directory.close()


def test_a_directory_serves_one_process_at_a_time(tmp_path: Path) -> None:
    """Two nodes writing one log would destroy it."""
    first = DataDirectory(tmp_path)
    with pytest.raises(IoError, match="in use"):
        DataDirectory(tmp_path)
    first.close()
    DataDirectory(tmp_path).close()


def test_batches_that_wait_share_a_sync_and_keep_their_order() -> None:
    """Group commit. A sync before a rename or of another file is never given up."""
    write = [Pwrite("a", k, b"x") for k in range(3)]
    batches = [FileBatch(k, (write[k], Sync("a"))) for k in range(3)]
    assert operations(batches) == [*write, Sync("a")]
    rolled = [FileBatch(1, (write[0], Sync("a"), SyncDir(""))), FileBatch(2, (write[1], Sync("a")))]
    assert operations(rolled) == [write[0], Sync("a"), SyncDir(""), write[1], Sync("a")]
    others = [FileBatch(1, (write[0], Sync("a"))), FileBatch(2, (Sync("b"), Sync("a")))]
    assert operations(others) == [write[0], Sync("a"), Sync("b"), Sync("a")]


class SlowDisk:
    """Takes what it is told for every operation, on a clock of its own; may fail."""

    def __init__(self) -> None:
        self.clock = MockClock()
        self.takes_s = 0.0
        self.done: list[FileOp] = []
        self.error: OSError | None = None

    def __call__(self, op: FileOp) -> FileResult:
        if self.error is not None:
            raise self.error
        self.clock.jump(self.takes_s)
        self.done.append(op)
        return None


def batch(token: int, size: int = 1) -> FileBatch:
    return FileBatch(token, (Pwrite("a", token, bytes(size)), Sync("a")))


Reports = list[tuple[list[int], OSError | None]]


def run_disk(check: Callable[[SlowDisk, Disk, Reports], Awaitable[None]]) -> None:
    slow, reports = SlowDisk(), Reports()

    async def main() -> None:
        disk = Disk(slow, lambda tokens, error: reports.append((list(tokens), error)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disk.run)
            await check(slow, disk, reports)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=slow.clock)


async def until_idle(disk: Disk) -> None:
    for _ in range(10_000):
        if disk.is_idle:
            return
        await trio.lowlevel.checkpoint()
    raise AssertionError("the disk never comes to rest")


def test_short_writes_are_done_at_once_and_after_a_slow_one_a_thread_does_them() -> None:
    """raft.md §4.4: a thread costs 128 us where a sync takes 150; §4.1: stalls of 90 ms, heartbeats come every 50."""

    async def check(slow: SlowDisk, disk: Disk, reports: Reports) -> None:
        assert disk.submit(batch(1))
        slow.takes_s = 0.01
        assert disk.submit(batch(2))
        slow.takes_s = 0.0
        assert not disk.submit(batch(3))
        assert not disk.submit(batch(4))
        assert reports == []
        await until_idle(disk)
        assert reports == [([3, 4], None)]
        assert slow.done[-3:] == [Pwrite("a", 3, b"\0"), Pwrite("a", 4, b"\0"), Sync("a")]
        assert disk.submit(batch(5))
        assert disk.in_thread == 1

    run_disk(check)


def test_a_write_never_overtakes_one_that_waits_for_the_thread() -> None:
    async def check(slow: SlowDisk, disk: Disk, reports: Reports) -> None:
        assert not disk.submit(batch(1, INLINE_BYTES_MAX + 1))
        assert not disk.submit(batch(2))
        await until_idle(disk)
        assert [op.offset for op in slow.done if isinstance(op, Pwrite)] == [1, 2]
        assert [token for tokens, _ in reports for token in tokens] == [1, 2]

    run_disk(check)


@pytest.mark.parametrize("size", [1, INLINE_BYTES_MAX + 1])
def test_a_failed_operation_is_reported_once_and_nothing_is_written_behind_it(size: int) -> None:
    """Mutant P9, P18: fsync is not tried again; in the loop as in the thread."""

    async def check(slow: SlowDisk, disk: Disk, reports: Reports) -> None:
        slow.error = OSError("no more")
        assert not disk.submit(batch(1, size))
        await until_idle(disk)
        slow.error = None
        assert not disk.submit(batch(2))
        await until_idle(disk)
        assert [tokens for tokens, _ in reports] == [[1]]
        assert isinstance(reports[0][1], OSError)
        assert slow.done == []

    run_disk(check)


def test_incarnations_are_counted_durably_and_never_twice(tmp_path: Path) -> None:
    disk = DataDirectory(tmp_path)
    assert [next_incarnation(disk) for _ in range(11)] == list(range(1, 12))
    disk(Pwrite("incarnation.new", 0, b"longer than any number\n"))
    assert [next_incarnation(disk), next_incarnation(disk)] == [12, 13]
    disk(Pwrite("incarnation", 0, b"\0\0"))
    with pytest.raises(Corrupt, match="above any used before"):
        next_incarnation(disk)
    disk.close()
