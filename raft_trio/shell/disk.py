"""File operations carried out on a real disk, without holding up anything else for long.

Here belongs what the operations of `raft_trio.files` mean to the operating system. A sync takes 0.1 to 0.2 ms on a good
day and 90 ms on a bad one. On a good day handing it to a thread and hearing back costs as much again; on a bad one
heartbeats must not wait behind it. So while syncs are short they happen at once, and from the first slow one on they
happen in a thread until they are short again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import assert_never

import trio

from raft_trio.errors import IoError
from raft_trio.files import (
    FileBatch,
    FileExecutor,
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
from raft_trio.shell.histogram import SYNC_SECONDS, Histogram

__all__ = ["INLINE_BYTES_MAX", "INLINE_NS_MAX", "DataDirectory", "Disk", "operations"]


_SPARE = "spare"
_FILL_BYTES = 1 << 20


class DataDirectory:
    """Executes file operations below one directory, which it creates and locks. Calls block."""

    def __init__(self, root: Path) -> None:
        """Raises OSError; IoError when another process has the directory."""
        root.mkdir(parents=True, exist_ok=True)
        _sync_directory(root.parent)
        self._root = root
        self._open: dict[str, int] = {}
        self.end = 0
        """Where the last write ended in its file."""
        self._spare_for: str | None = None
        """Suffix of the names the spare file is meant for; None: there is none."""
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
                self.end = offset + len(data)
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

    def fill_last(self, suffix: str, size: int) -> None:
        """Extends the last file of those names to `size` with zeros, durably; a full disk is no reason to fail.

        Overwriting what is there changes no metadata, so a sync need not wait for the file system's journal: it takes
        two thirds of the time, and is not held up by what others do to the file system.
        """
        names = [entry.name for entry in self._root.iterdir() if entry.name.endswith(suffix)]
        if names:
            _fill(self._fd(max(names)), size)

    def prepare_spare(self, suffix: str, size: int) -> None:
        """Makes a file of zeros that the next new file of such a name will be made of. For a thread: it takes long."""
        path = self._root / _SPARE
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            if _fill(fd, size):
                self._spare_for = suffix
        finally:
            os.close(fd)

    @property
    def has_spare(self) -> bool:
        """A file of zeros is ready."""
        return self._spare_for is not None

    def close(self) -> None:
        """Releases the lock and all files."""
        self._forget(*self._open)
        os.close(self._lock)

    def _fd(self, path: str) -> int:
        fd = self._open.get(path)
        if fd is None:
            if self._spare_for is not None and path.endswith(self._spare_for) and not (self._root / path).exists():
                (self._root / _SPARE).rename(self._root / path)
                self._spare_for = None
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


INLINE_NS_MAX = 5_000_000
"""A sync that took longer sends the next ones to a thread: a tenth of the time between heartbeats."""
INLINE_BYTES_MAX = 256 << 10
"""Larger batches go to the thread: writing them takes as long as handing them over."""


class Disk:
    """Executes batches in order and reports them; several that wait share their syncs."""

    def __init__(
        self,
        directory: FileExecutor,
        done: Callable[[Sequence[int], OSError | None], None],
        *,
        inline_ns_max: int = INLINE_NS_MAX,
    ) -> None:
        """`done` takes the tokens of what was executed in a thread, or one token and why it failed.

        After a failure nothing more is written.
        """
        self._directory = directory
        self._done = done
        self._clock = trio.lowlevel.current_clock()
        self._inline_ns_max = inline_ns_max
        self._waiting: list[FileBatch] = []
        self._kick = trio.Event()
        self._busy = False
        self._failed = False
        self._last_ns = 0
        self.durations = Histogram(SYNC_SECONDS)
        """Of writes with a sync."""
        self.in_thread = 0
        """How many of them went to a thread."""

    @property
    def is_idle(self) -> bool:
        """Nothing waits or is under way."""
        return not self._waiting and not self._busy

    def submit(self, batch: FileBatch) -> bool:
        """Executes a batch at once (True: it is done) or queues it (False: `done` will tell, if it ever is)."""
        if self._failed:
            return False
        if self._busy or self._waiting or self._last_ns > self._inline_ns_max or _size(batch) > INLINE_BYTES_MAX:
            self._waiting.append(batch)
            self._kick.set()
            return False
        error = self._execute(batch.ops)
        if error is not None:
            self._fail(batch.token, error)
        return error is None

    async def run(self) -> None:
        """Until cancelled, or until an operation fails."""
        while not self._failed:
            await self._kick.wait()
            self._kick = trio.Event()
            while self._waiting and not self._failed:
                await self._work()

    async def _work(self) -> None:
        """What waits, in a thread. Cancelling waits for it: half a batch must not go on behind our back."""
        batches, self._waiting = self._waiting, []
        self._busy = True
        self.in_thread += 1
        error = await trio.to_thread.run_sync(self._execute, operations(batches))
        self._busy = False
        if error is not None:
            self._fail(batches[0].token, error)
        else:
            self._done([batch.token for batch in batches], None)

    def _execute(self, ops: Sequence[FileOp]) -> OSError | None:
        began = self._clock.current_time()
        try:
            for op in ops:
                self._directory(op)
        except OSError as error:
            return error
        took = self._clock.current_time() - began
        self._last_ns = int(took * 1_000_000_000)
        self.durations.add(took)
        return None

    def _fail(self, token: int, error: OSError) -> None:
        self._failed = True
        self._waiting.clear()
        self._done((token,), error)


def _size(batch: FileBatch) -> int:
    return sum([len(op.data) for op in batch.ops if isinstance(op, Pwrite)])


def _fill(fd: int, size: int) -> bool:
    """Zeros from the file's end to `size`, synced piece by piece so that other syncs need not wait for all of it."""
    before = os.fstat(fd).st_size
    zeros = bytes(_FILL_BYTES)
    try:
        for offset in range(before, size, _FILL_BYTES):
            _write_all(fd, zeros[: size - offset], offset)
            os.fdatasync(fd)
    except OSError:
        os.ftruncate(fd, before)
        os.fdatasync(fd)
        return False
    return True


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
