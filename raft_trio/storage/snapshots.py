"""Snapshots on disk: one file each, written under another name first, so that a name always stands for a whole file.

Belongs here: the format, the order of operations, and how many are kept. When to take one is the node's affair; what
the log may forget because of one, `raft_trio.storage.wal`'s.

    magic 8 | crc32 4 | length 8 | msgpack of a `Snapshot`        little-endian

The checksum covers everything behind itself. A file under its final name was complete and durable before it got that
name: if it is damaged, the disk did it, and no crash. A leftover under the other name means nothing and is removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from zlib import crc32

import msgspec

from raft_trio.files import FileExecutor, FileOp, ListDir, Pwrite, Read, Rename, Sync, SyncDir, Unlink
from raft_trio.types import LogIndex, Snapshot

__all__ = ["KEPT", "SLICE_BYTES", "SnapshotFiles", "decode_snapshot", "encode_snapshot", "snapshot_path"]

KEPT = 2
"""The newest one, and the one before it in case a disk damages the newest."""

SLICE_BYTES = 1 << 20
"""Written at once; between slices the log gets its turn on the disk."""

_MAGIC = b"\xf5RTsnap1"
_HEAD = Struct("<8sI")
_LENGTH = Struct("<Q")
_NO_BYTES = msgspec.msgpack.encode(b"")
_SUFFIX = ".snap"
_NEW_SUFFIX = ".snap.new"
_decoder = msgspec.msgpack.Decoder(Snapshot)


def snapshot_path(index: LogIndex) -> str:
    """Name in the data directory; names sort as their indexes do."""
    return f"{index:016x}{_SUFFIX}"


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The whole file."""
    payload = msgspec.msgpack.encode(snapshot)
    covered = _LENGTH.pack(len(payload)) + payload
    return _HEAD.pack(_MAGIC, crc32(covered)) + covered


def decode_snapshot(data: bytes) -> Snapshot | None:
    """None for what is no whole and undamaged file."""
    body = _HEAD.size + _LENGTH.size
    if len(data) < body:
        return None
    magic, crc = _HEAD.unpack_from(data)
    (length,) = _LENGTH.unpack_from(data, _HEAD.size)
    covered = memoryview(data)[_HEAD.size :]
    if magic != _MAGIC or len(data) - body != length or crc32(covered) != crc:
        return None
    try:
        return _decoder.decode(covered[_LENGTH.size :])
    except msgspec.MsgspecError:
        return None


class SnapshotFiles:
    """The snapshot files of one node. Does no I/O but in `load`."""

    def __init__(self) -> None:
        self._indexes: list[LogIndex] = []
        """Of the files that exist, or will once the operations given out are done; rising."""

    def load(self, execute: FileExecutor) -> tuple[Snapshot | None, str]:
        """The newest undamaged snapshot, and the name of a damaged newer one, else "". Raises OSError."""
        names = execute(ListDir(""))
        assert isinstance(names, tuple)
        damaged = ""
        self._indexes = sorted(index for index in map(_index_of, names) if index is not None)
        for index in reversed(self._indexes):
            data = execute(Read(snapshot_path(index)))
            assert isinstance(data, bytes)
            snapshot = decode_snapshot(data)
            if snapshot is not None and snapshot.index == index:
                return snapshot, damaged
            damaged = damaged or snapshot_path(index)
        return None, damaged

    def leftovers(self, execute: FileExecutor) -> tuple[FileOp, ...]:
        """What removes the traces of writes that were interrupted. Raises OSError."""
        names = execute(ListDir(""))
        assert isinstance(names, tuple)
        return tuple(Unlink(name) for name in names if name.endswith(_NEW_SUFFIX))

    def write(self, snapshot: Snapshot) -> Iterator[tuple[FileOp, ...]]:
        """Batches to execute in order; with the last one the snapshot is durable. Each is made when it is asked for."""
        if snapshot.index not in self._indexes:
            self._indexes = sorted([*self._indexes, snapshot.index])
        return _slices(snapshot)

    def remove_old(self) -> tuple[FileOp, ...]:
        """Unlinks all but the newest `KEPT`; only after the newest is durable."""
        old: Sequence[LogIndex] = self._indexes[:-KEPT]
        self._indexes = self._indexes[-KEPT:]
        return tuple(Unlink(snapshot_path(index)) for index in old)


def _slices(snapshot: Snapshot) -> Iterator[tuple[FileOp, ...]]:
    """The file piece by piece; where it takes several, its head comes last, for it holds the checksum of them all."""
    path = snapshot_path(snapshot.index)
    new_path = f"{snapshot.index:016x}{_NEW_SUFFIX}"
    in_force = (Sync(new_path), Rename(new_path, path), SyncDir(""))
    if len(snapshot.data) < SLICE_BYTES // 2:
        yield (Pwrite(new_path, 0, encode_snapshot(snapshot)), *in_force)
        return
    before, data = _before_data(snapshot), memoryview(snapshot.data)
    piece, crc, offset, at = before, 0, _HEAD.size, 0
    while True:
        end = at + SLICE_BYTES - len(piece)
        piece += data[at:end]
        crc, at = crc32(piece, crc), end
        write = Pwrite(new_path, offset, piece)
        if end >= len(data):
            yield (write, Pwrite(new_path, 0, _HEAD.pack(_MAGIC, crc)), *in_force)
            return
        yield (write, Sync(new_path))
        offset, piece = offset + len(piece), b""


def _before_data(snapshot: Snapshot) -> bytes:
    """Length and payload of the file up to the state, the payload's last field, of which no copy is made."""
    size = len(snapshot.data)
    width, code = (8, 0xC4) if size < 1 << 8 else (16, 0xC5) if size < 1 << 16 else (32, 0xC6)
    without = msgspec.msgpack.encode(msgspec.structs.replace(snapshot, data=b""))[: -len(_NO_BYTES)]
    head = without + bytes([code]) + size.to_bytes(width // 8, "big")
    return _LENGTH.pack(len(head) + size) + head


def _index_of(name: str) -> LogIndex | None:
    stem, suffix = name[: -len(_SUFFIX)], name[-len(_SUFFIX) :]
    if suffix != _SUFFIX:
        return None
    try:
        return int(stem, 16)
    except ValueError:
        return None
