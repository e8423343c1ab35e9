"""File operations carried out on a real disk, and the task that does so without holding up anything else.

Here belongs what the operations of `raft_trio.files` mean to the operating system. A sync takes 0.2 ms on a good day
and 90 ms on a bad one, so it happens in a thread: heartbeats must not wait behind it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import trio

from raft_trio.errors import IoError
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

__all__ = ["DataDirectory", "DiskTask", "operations"]


class DataDirectory:
    """Executes file operations below one directory, which it creates and locks. Calls block."""

    def __init__(self, root: Path) -> None:
        """Raises OSError; IoError when another process has the directory."""
        root.mkdir(parents=True, exist_ok=True)
        _sync_directory(root.parent)
        self._root = root
        self._open: dict[str, int] = {}
        self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise IoError(
                f"{root} is in use by another process",
                why="two nodes on one log would destroy it",
                fix="stop the other process, or give this node a data_dir of its own",
            ) from None

    def __call__(self, op: FileOp) -> FileResult:
        """One operation. Raises OSError."""
        match op:
            case Pwrite(path, offset, data):
                _write_all(self._fd(path), data, offset)
            case Sync(path):
                os.fdatasync(self._fd(path))
            case Truncate(path, size):
                os.ftruncate(self._fd(path), size)
            case Rename(source, target):
                self._forget(source, target)
                (self._root / source).replace(self._root / target)
            case Unlink(path):
                self._forget(path)
                (self._root / path).unlink()
            case SyncDir(path):
                _sync_directory(self._root / path)
            case Read(path):
                return (self._root / path).read_bytes()
            case ListDir(path):
                return tuple(sorted(entry.name for entry in (self._root / path).iterdir() if entry.is_file()))
            case _:
                assert_never(op)
        return None

    def close(self) -> None:
        """Releases the lock and all files."""
        self._forget(*self._open)
        os.close(self._lock)

    def _fd(self, path: str) -> int:
        fd = self._open.get(path)
        if fd is None:
            fd = self._open[path] = os.open(self._root / path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return fd

    def _forget(self, *paths: str) -> None:
        for path in paths:
            fd = self._open.pop(path, None)
            if fd is not None:
                os.close(fd)


def operations(batches: list[FileBatch]) -> list[FileOp]:
    """What several waiting batches come to: of consecutive syncs of one file with only writes between, the last one.

    None of the batches is reported done before all are, so a sync that a later one repeats proves nothing to anybody.
    """
    ops: list[FileOp] = []
    pending: int | None = None
    """Place of a sync in `ops` which a later one of the same file would make superfluous."""
    for batch in batches:
        for op in batch.ops:
            if isinstance(op, Sync):
                if pending is not None and ops[pending] == op:
                    del ops[pending]
                pending = len(ops)
            elif not isinstance(op, Pwrite):
                pending = None
            ops.append(op)
    return ops


class DiskTask:
    """Executes batches in order in a thread and reports each one; several that wait share their syncs."""

    def __init__(self, directory: DataDirectory, done: Callable[[int, OSError | None], None]) -> None:
        self._directory = directory
        self._done = done
        self._waiting: list[FileBatch] = []
        self._kick = trio.Event()

    def submit(self, batch: FileBatch) -> None:
        """Queues a batch; returns at once."""
        self._waiting.append(batch)
        self._kick.set()

    async def run(self) -> None:
        """Until cancelled, or until an operation fails: after that nothing more is written."""
        while True:
            await self._kick.wait()
            self._kick = trio.Event()
            batches, self._waiting = self._waiting, []
            if not batches:
                continue
            error = await trio.to_thread.run_sync(self._execute, operations(batches))
            if error is not None:
                self._done(batches[0].token, error)
                return
            for batch in batches:
                self._done(batch.token, None)

    def _execute(self, ops: list[FileOp]) -> OSError | None:
        try:
            for op in ops:
                self._directory(op)
        except OSError as error:
            return error
        return None


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
