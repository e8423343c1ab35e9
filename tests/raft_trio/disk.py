"""A disk in memory that can lose power: only what was synced is certain to survive.

The naive oracle of the storage tests. Unsynced writes may be kept, lost, torn at any byte, or filled with garbage;
unsynced names may be absent (OSDI'14, ALICE; `raft_trio.files`).
"""

from __future__ import annotations

from random import Random

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

__all__ = ["MemoryDisk"]


class MemoryDisk:
    """Executes file operations at once; `power_loss` forgets some of what was not synced."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._durable: dict[str, bytes] = {}
        self._named: set[str] = set()
        self._pending: dict[str, list[Pwrite | Truncate]] = {}
        self.ops: list[FileOp] = []

    def __call__(self, op: FileOp) -> FileResult:
        self.ops.append(op)
        match op:
            case Pwrite() | Truncate():
                self.files[op.path] = _changed(self.files.get(op.path, b""), op)
                self._pending.setdefault(op.path, []).append(op)
            case Sync(path):
                self._durable[path] = self.files[path]
                self._pending.pop(path, None)
            case SyncDir():
                self._named = set(self.files)
            case Read(path):
                if path not in self.files:
                    raise FileNotFoundError(path)
                return self.files[path]
            case ListDir():
                return tuple(sorted(self.files))
            case Rename() | Unlink():
                raise AssertionError(f"not expected of a write-ahead log: {op}")
        return None

    def execute(self, batch: FileBatch) -> None:
        for op in batch.ops:
            self(op)

    def power_loss(self, random: Random) -> None:
        survivors = {}
        for path in sorted(self.files):
            if path not in self._named and random.random() < 0.5:
                continue
            data = self._durable.get(path, b"")
            for op in self._pending.get(path, []):
                data = _survivor(data, op, random)
            survivors[path] = data
        self.files = survivors
        self._durable = dict(survivors)
        self._named = set(survivors)
        self._pending = {}


def _changed(data: bytes, op: Pwrite | Truncate) -> bytes:
    match op:
        case Pwrite(_, offset, written):
            return data[:offset].ljust(offset, b"\0") + written + data[offset + len(written) :]
        case Truncate(_, size):
            return data[:size].ljust(size, b"\0")


def _survivor(data: bytes, op: Pwrite | Truncate, random: Random) -> bytes:
    fate = random.choice(("kept", "lost", "short", "zeros", "hole", "garbage"))
    if fate == "lost":
        return data
    if fate == "kept" or isinstance(op, Truncate):
        return _changed(data, op)
    cut = random.randrange(len(op.data))
    torn = {
        "short": op.data[:cut],
        "zeros": bytes(len(op.data)),
        "hole": op.data[:cut] + bytes(min(512, len(op.data) - cut)) + op.data[cut + 512 :],
        "garbage": op.data[:cut] + random.randbytes(len(op.data) - cut),
    }[fate]
    return _changed(data, Pwrite(op.path, op.offset, torn))
