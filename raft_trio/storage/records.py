"""Records of the write-ahead log and the frames that carry them, as bytes.

Here belongs the format; what is written when is `raft_trio.storage.wal`, what damage means is
`raft_trio.storage.recovery`. A *frame* holds all records of one `Persist`, so a batch is replayed whole or not at all:

    magic 4 | crc32 4 | length 4 | chain 4 | synced 8 | payload        little-endian

The checksum covers everything after itself, so that a frame proves itself even behind a damaged one. `chain` is the
checksum of the frame before, so that bytes of another life of the file are never taken for a continuation. `synced` is
the length of this file that was known to be durable when the frame was made: damage before it is no torn write.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct

import msgspec

from raft_trio.types import HardState, LogEntry, LogIndex, NodeId, Term

__all__ = [
    "CODEC",
    "Frame",
    "HardStateRecord",
    "EntriesRecord",
    "Record",
    "RecordCodec",
    "SegmentHeader",
    "SnapshotRecord",
    "TruncateRecord",
    "encode_frame",
    "frame_at",
    "frames_after",
]

MAGIC = b"\xf5RTw"
"""Starts every frame. Its first byte never occurs in UTF-8, so text cannot look like a frame."""

_PREFIX = Struct("<4sI")
_COVERED = Struct("<IIQ")
_HEADER_BYTES = _PREFIX.size + _COVERED.size


class TruncateRecord(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="truncate"):
    """Entries from `index` on are no longer part of the log."""

    index: LogIndex


class EntriesRecord(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="entries"):
    """Consecutive entries that follow the last one."""

    entries: tuple[LogEntry, ...]


class HardStateRecord(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="hard_state"):
    """Replaces the hard state."""

    state: HardState


class SnapshotRecord(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="snapshot"):
    """A snapshot up to (index, term) came from the leader and is durable; the log begins anew behind it."""

    index: LogIndex
    term: Term


Record = TruncateRecord | EntriesRecord | HardStateRecord | SnapshotRecord


class SegmentHeader(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="segment"):
    """Payload of a segment's first frame."""

    version: int
    node: NodeId
    """A data directory belongs to one node: another one that started on it could vote twice."""
    sequence: int
    """Number of the segment, from 1."""
    next_index: LogIndex = 1
    """Where the log went on when the segment began: entries below it are in earlier segments or in a snapshot."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Record, ...])


@dataclass(frozen=True, slots=True)
class RecordCodec:
    """How the records of a batch become the payload of a frame. `decode` raises msgspec.MsgspecError."""

    encode: Callable[[tuple[Record, ...]], bytes]
    decode: Callable[[bytes], tuple[Record, ...]]
    checksum: Callable[[bytes, int], int]
    """(data, checksum so far) -> checksum; 32 bits."""


CODEC = RecordCodec(encode=_encoder.encode, decode=_decoder.decode, checksum=zlib.crc32)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame found in a file."""

    offset: int
    end: int
    crc: int
    chain: int
    synced: int
    payload: bytes


Checksum = Callable[[bytes, int], int]


def encode_frame(payload: bytes, *, chain: int, synced: int, checksum: Checksum) -> tuple[bytes, int]:
    """The frame's bytes and its checksum, which the next frame carries as `chain`."""
    covered = _COVERED.pack(len(payload), chain, synced) + payload
    crc = checksum(covered, 0)
    return _PREFIX.pack(MAGIC, crc) + covered, crc


def frame_at(data: bytes, offset: int, checksum: Checksum) -> Frame | None:
    """The frame that starts at `offset`; None where there is no whole and undamaged one."""
    body = offset + _HEADER_BYTES
    if body > len(data):
        return None
    magic, crc = _PREFIX.unpack_from(data, offset)
    length, chain, synced = _COVERED.unpack_from(data, offset + _PREFIX.size)
    end = body + length
    if magic != MAGIC or end > len(data) or checksum(data[offset + _PREFIX.size : end], 0) != crc:
        return None
    return Frame(offset, end, crc, chain, synced, data[body:end])


def frames_after(data: bytes, offset: int, checksum: Checksum) -> Iterator[Frame]:
    """Every undamaged frame that starts behind `offset`, wherever it lies: what survived behind damage."""
    found = data.find(MAGIC, offset + 1)
    while found >= 0:
        frame = frame_at(data, found, checksum)
        if frame is not None:
            yield frame
        found = data.find(MAGIC, found + 1 if frame is None else frame.end)
