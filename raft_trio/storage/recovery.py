"""Reading the write-ahead log back: what survived, and whether what did not survive may be missed.

Power may fail while a batch is being written: then the end of the last segment may be missing, zero or garbage. That is
a *torn tail*; nothing in it was promised to anybody, so it is dropped. Damage anywhere else hits what was durable: the
node refuses to start (`Corrupt`). The difference is decided by evidence: an undamaged frame behind the damage that says
that the damaged place had been synced before. Damage to the very last batch of a log leaves no such evidence and counts
as torn; nobody can tell the two apart without a second copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from raft_trio.core.ready import Recovered
from raft_trio.errors import Corrupt
from raft_trio.files import FileExecutor, ListDir, Read
from raft_trio.storage.records import (
    EntriesRecord,
    Frame,
    HardStateRecord,
    Record,
    RecordCodec,
    SegmentHeader,
    TruncateRecord,
    frame_at,
    frames_after,
)
from raft_trio.types import HardState, LogEntry, LogIndex, NodeId

__all__ = ["SEGMENT_SUFFIX", "VERSION", "Replayed", "replay", "segment_path"]

VERSION = 1
SEGMENT_SUFFIX = ".wal"
"""Of every segment's name."""
_header_decoder = msgspec.msgpack.Decoder(SegmentHeader)


def segment_path(sequence: int) -> str:
    """Name of a segment in the data directory; names sort as their numbers do."""
    return f"{sequence:016x}{SEGMENT_SUFFIX}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the segments say, and where writing goes on."""

    recovered: Recovered
    sequence: int
    """The last segment, 0 when there is none."""
    end: int
    """Length of its undamaged part; 0: not even its header survived."""
    size: int
    """Its length on disk; more than `end` after a torn write."""
    chain: int
    """Checksum of the last undamaged frame."""


def replay(execute: FileExecutor, node: NodeId, codec: RecordCodec) -> Replayed:
    """Reads all segments. Changes nothing on disk. Raises Corrupt, OSError."""
    names = execute(ListDir(""))
    assert isinstance(names, tuple)
    paths = [name for name in names if name.endswith(SEGMENT_SUFFIX)]
    state = _State()
    chain = end = size = 0
    for sequence, path in enumerate(paths, start=1):
        if path != segment_path(sequence):
            raise _corrupt(path, 0, f"segment {segment_path(sequence)} is missing before it")
        data = execute(Read(path))
        assert isinstance(data, bytes)
        frames, end = _undamaged(path, data, chain, codec, last=sequence == len(paths))
        size = len(data)
        if frames:
            _check_header(path, frames[0], node, sequence)
            chain = frames[-1].crc
            for frame in frames[1:]:
                state.replay(path, frame, codec)
    return Replayed(state.recovered(), len(paths), end, size, chain)


def _undamaged(path: str, data: bytes, chain: int, codec: RecordCodec, *, last: bool) -> tuple[list[Frame], int]:
    """The frames up to the first damage and where they end. Raises Corrupt where the damage is no torn tail."""
    frames: list[Frame] = []
    offset = 0
    while offset < len(data):
        frame = frame_at(data, offset, codec.checksum)
        if frame is None or frame.chain != chain:
            _check_torn(path, data, offset, codec, last=last)
            break
        frames.append(frame)
        offset, chain = frame.end, frame.crc
    if not frames and not last:
        raise _corrupt(path, 0, "the segment is empty although a later one exists")
    return frames, offset


def _check_torn(path: str, data: bytes, offset: int, codec: RecordCodec, *, last: bool) -> None:
    """Raises Corrupt unless the damage at `offset` can be a write that power loss interrupted."""
    if not last:
        raise _corrupt(path, offset, "damaged, and a later segment proves that this one was complete")
    for frame in frames_after(data, offset, codec.checksum):
        if frame.synced > offset:
            raise _corrupt(path, offset, f"damaged, and the frame at byte {frame.offset} proves that it was synced")


def _check_header(path: str, frame: Frame, node: NodeId, sequence: int) -> None:
    try:
        header = _header_decoder.decode(frame.payload)
    except msgspec.MsgspecError as error:
        raise _corrupt(path, 0, f"no segment header: {error}") from error
    if header.version != VERSION:
        raise _corrupt(path, 0, f"format version {header.version}, this program reads {VERSION}")
    if header.node != node:
        raise _corrupt(path, 0, f"written by node {header.node!r}, this is node {node!r}")
    if header.sequence != sequence:
        raise _corrupt(path, 0, f"says that it is segment {header.sequence}")


class _State:
    """The log as the records build it up."""

    def __init__(self) -> None:
        self._entries: list[LogEntry] = []
        self._hard_state = HardState()

    def recovered(self) -> Recovered:
        return Recovered(hard_state=self._hard_state, entries=tuple(self._entries))

    def replay(self, path: str, frame: Frame, codec: RecordCodec) -> None:
        try:
            records = codec.decode(frame.payload)
        except msgspec.MsgspecError as error:
            raise _corrupt(path, frame.offset, f"undamaged bytes that are no records: {error}") from error
        for record in records:
            problem = self._apply(record)
            if problem:
                raise _corrupt(path, frame.offset, problem)

    def _apply(self, record: Record) -> str:
        """Empty, or how the record contradicts the ones before it."""
        match record:
            case TruncateRecord(index):
                return self._truncate(index)
            case EntriesRecord(entries):
                return self._append(entries)
            case HardStateRecord(state):
                return self._replace(state)

    def _truncate(self, index: LogIndex) -> str:
        if not 0 < index <= len(self._entries):
            return f"truncates from entry {index}, but the log has {len(self._entries)}"
        del self._entries[index - 1 :]
        return ""

    def _append(self, entries: tuple[LogEntry, ...]) -> str:
        for entry in entries:
            if entry.index != len(self._entries) + 1:
                return f"entry {entry.index} follows entry {len(self._entries)}"
            self._entries.append(entry)
        return ""

    def _replace(self, state: HardState) -> str:
        if state.term < self._hard_state.term:
            return f"term {state.term} follows term {self._hard_state.term}"
        self._hard_state = state
        return ""


def _corrupt(path: str, offset: int, problem: str) -> Corrupt:
    return Corrupt(
        f"{path}, byte {offset}: {problem}",
        why="the node may have promised what is lost, so it refuses to start",
        fix="restore this node's own data directory, or empty it and let the node join as a new member",
    )
