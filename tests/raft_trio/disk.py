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

__all__ = ["FillingDisk", "MemoryDisk"]


class MemoryDisk:
    """Executes file operations at once; `power_loss` forgets some of what was not synced."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ops: list[FileOp] = []
        self._inodes: dict[str, int] = {}
        self._durable: dict[int, bytes] = {}
        self._pending: dict[int, list[Pwrite | Truncate]] = {}
        self._names: dict[str, int] = {}
        """Durable ones."""
        self._changes: list[dict[str, int | None]] = []
        """Of names, not durable yet; each one happens as a whole or not at all."""

    def __call__(self, op: FileOp) -> FileResult:
        self.ops.append(op)
        match op:
            case Pwrite() | Truncate():
                self._create(op.path)
                self.files[op.path] = _changed(self.files[op.path], op)
                self._pending.setdefault(self._inodes[op.path], []).append(op)
            case Sync(path):
                self._durable[self._inodes[path]] = self.files[path]
                self._pending.pop(self._inodes[path], None)
            case SyncDir():
                for change in self._changes:
                    _rename(self._names, change)
                self._changes = []
            case Read(path):
                if path not in self.files:
                    raise FileNotFoundError(path)
                return self.files[path]
            case ListDir():
                return tuple(sorted(self.files))
            case Rename(source, target):
                self.files[target] = self.files.pop(source)
                self._change({target: self._inodes[source], source: None})
            case Unlink(path):
                del self.files[path]
                self._change({path: None})
        return None

    def execute(self, batch: FileBatch) -> None:
        for op in batch.ops:
            self(op)

    def power_loss(self, random: Random) -> None:
        for change in self._changes:
            if random.random() < 0.5:
                _rename(self._names, change)
        survivors = {}
        for path, inode in sorted(self._names.items()):
            data = self._durable.get(inode, b"")
            for op in self._pending.get(inode, []):
                data = _survivor(data, op, random)
            survivors[path] = data
        self.files = survivors
        self._inodes = dict(self._names)
        self._durable = {inode: survivors[path] for path, inode in self._names.items()}
        self._changes = []
        self._pending = {}

    @property
    def unsynced(self) -> int:
        """How many operations a power loss might still undo."""
        return len(self._changes) + sum(len(ops) for ops in self._pending.values())

    def survivors(self, kept: int) -> dict[str, bytes]:
        """The files after a power loss that undoes all unsynced operations but those of `kept`, bits of a number.

        Bits stand for changes of names in their order, then for writes, by file and in their order. Each operation
        happened as a whole or not at all; tearing is `power_loss`'s affair.
        """
        names = dict(self._names)
        for bit, change in enumerate(self._changes):
            if kept >> bit & 1:
                _rename(names, change)
        bit, contents = len(self._changes), {}
        for inode, ops in sorted(self._pending.items()):
            data = self._durable.get(inode, b"")
            for op in ops:
                data = _changed(data, op) if kept >> bit & 1 else data
                bit += 1
            contents[inode] = data
        return {path: contents.get(inode, self._durable.get(inode, b"")) for path, inode in sorted(names.items())}

    def restart(self, survivors: dict[str, bytes]) -> None:
        """Goes on with these files, all of them durable."""
        self.files = dict(survivors)
        self._inodes = {path: -number for number, path in enumerate(self.files, 1)}
        self._names = dict(self._inodes)
        self._durable = {inode: self.files[path] for path, inode in self._inodes.items()}
        self._changes, self._pending, self.ops = [], {}, []

    def _create(self, path: str) -> None:
        if path not in self.files:
            self.files[path] = b""
            self._change({path: len(self.ops)})

    def _change(self, change: dict[str, int | None]) -> None:
        _rename(self._inodes, change)
        self._changes.append(change)


def _rename(names: dict[str, int], change: dict[str, int | None]) -> None:
    for path, inode in change.items():
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


class FillingDisk(MemoryDisk):
    """New segments are files of zeros that were made and synced beforehand, as a real data directory makes them."""

    FILLED_BYTES = 1200

    def _create(self, path: str) -> None:
        fresh = path not in self.files
        super()._create(path)
        if fresh and path.endswith(".wal"):
            self.files[path] = self._durable[self._inodes[path]] = bytes(self.FILLED_BYTES)


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
