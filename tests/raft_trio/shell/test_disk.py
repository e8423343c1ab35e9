"""File operations on a real disk, and the task that groups them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import trio

from raft_trio.core.ready import Persist
from raft_trio.errors import Corrupt, IoError
from raft_trio.files import FileBatch, FileOp, ListDir, Pwrite, Read, Rename, Sync, SyncDir, Truncate, Unlink
from raft_trio.shell.disk import DataDirectory, DiskTask, operations
from raft_trio.storage.incarnation import next_incarnation
from raft_trio.storage.records import CODEC
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


async def test_a_failed_operation_is_reported_once_and_ends_the_task(tmp_path: Path) -> None:
    """Mutant P9, P18: nothing is written behind a write that failed."""
    directory, done = DataDirectory(tmp_path), list[tuple[int, OSError | None]]()
    task = DiskTask(directory, lambda token, error: done.append((token, error)))
    task.submit(FileBatch(1, (Pwrite("a", 0, b"x"), Sync("a"))))
    task.submit(FileBatch(2, (Unlink("absent"), Pwrite("a", 1, b"y"))))
    with trio.fail_after(5):
        await task.run()
    assert [token for token, _ in done] == [1]
    assert isinstance(done[0][1], FileNotFoundError)
    assert directory(Read("a")) == b"x"
    directory.close()


def test_incarnations_are_counted_durably_and_never_twice(tmp_path: Path) -> None:
    disk = DataDirectory(tmp_path)
    assert [next_incarnation(disk) for _ in range(11)] == list(range(1, 12))
    disk(Pwrite("incarnation.new", 0, b"longer than any number\n"))
    assert [next_incarnation(disk), next_incarnation(disk)] == [12, 13]
    disk(Pwrite("incarnation", 0, b"\0\0"))
    with pytest.raises(Corrupt, match="above any used before"):
        next_incarnation(disk)
    disk.close()
