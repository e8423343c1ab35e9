"""Reading snapshots and the write-ahead log back: what survived, and whether what did not survive may be missed.

Power may fail while a batch is being written: then the end of the last segment may be missing, zero or garbage. That is
a *torn tail*; nothing in it was promised to anybody, so it is dropped. Damage anywhere else hits what was durable: the
node refuses to start (`Corrupt`). The difference is decided by evidence: an undamaged frame behind the damage that says
that the damaged place had been synced before. Damage to the very last batch of a log leaves no such evidence and counts
as torn; nobody can tell the two apart without a second copy.

Segments begin with the hard state of their time, so the oldest ones may be gone once a snapshot covers their entries.
If the newest snapshot is damaged, an older one will do where the log still has everything that followed it; else the
node refuses to start.
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
    SnapshotRecord,
    TruncateRecord,
    frame_at,
    frames_after,
)
from raft_trio.storage.snapshots import SnapshotFiles
from raft_trio.types import HardState, LogEntry, LogIndex, NodeId, Snapshot

__all__ = ["SEGMENT_SUFFIX", "VERSION", "Replayed", "replay", "segment_path"]

VERSION = 2
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
    hard_state: HardState
    last_index: LogIndex
    """End of the log that the segments hold."""
    segments: tuple[tuple[int, LogIndex], ...]
    """(number, highest index of any entry in it or before it) of each segment, the last one included."""
    begins_anew: bool
    """A snapshot replaced the log, and the log does not say so yet."""
    stray: tuple[str, ...]
    """Segments before a gap: remains of an interrupted removal."""
    end: int
    """Length of the last segment's undamaged part; 0: not even its header survived."""
    size: int
    """Its length on disk; more than `end` after a torn write."""
    chain: int
    """Checksum of the last undamaged frame."""


def replay(execute: FileExecutor, node: NodeId, codec: RecordCodec, snapshots: SnapshotFiles) -> Replayed:
    """Reads everything. Changes nothing on disk. Raises Corrupt, OSError."""
    snapshot, damaged = snapshots.load(execute)
    numbers, stray = _segments(execute)
    state = _State()
    held: list[tuple[int, LogIndex]] = []
    chain: int | None = None
    end = size = 0
    for sequence in numbers:
        path = segment_path(sequence)
        data = execute(Read(path))
        assert isinstance(data, bytes)
        frames, end = _undamaged(path, data, chain, codec, last=sequence == numbers[-1])
        size = len(data)
        if frames:
            state.begin_segment(path, _header(path, frames[0], node, sequence), first=sequence == numbers[0])
            chain = frames[-1].crc
            for frame in frames[1:]:
                state.replay(path, frame, codec)
        held.append((sequence, state.highest))
    first_path = segment_path(numbers[0]) if numbers else segment_path(1)
    if not state.begun and (snapshot is not None or damaged or (numbers and numbers != [1])):
        raise _corrupt(first_path, 0, "the log is missing, and with it the node's term and vote")
    recovered = state.recovered(snapshot, damaged, first_path)
    anew = state.replaced_by_snapshot
    return Replayed(recovered, state.hard_state, state.last_index, tuple(held), anew, stray, end, size, chain or 0)


def _segments(execute: FileExecutor) -> tuple[list[int], tuple[str, ...]]:
    """Numbers of the newest unbroken run of segments, and the names of those before a gap."""
    names = execute(ListDir(""))
    assert isinstance(names, tuple)
    paths = [name for name in names if name.endswith(SEGMENT_SUFFIX)]
    numbers: list[int] = []
    for path in reversed(paths):
        try:
            number = int(path.removesuffix(SEGMENT_SUFFIX), 16)
        except ValueError:
            raise _corrupt(path, 0, "no name of a segment") from None
        if numbers and number != numbers[-1] - 1:
            break
        numbers.append(number)
    return numbers[::-1], tuple(paths[: len(paths) - len(numbers)])


def _undamaged(path: str, data: bytes, chain: int | None, codec: RecordCodec, *, last: bool) -> tuple[list[Frame], int]:
    """The frames up to the first damage and where they end. Raises Corrupt where the damage is no torn tail.

    `chain` None: the segment is the oldest there is, and may follow anything.
    """
    frames: list[Frame] = []
    offset = 0
    while offset < len(data):
        frame = frame_at(data, offset, codec.checksum)
        if frame is None or chain not in (None, frame.chain):
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


def _header(path: str, frame: Frame, node: NodeId, sequence: int) -> SegmentHeader:
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
    return header


class _State:
    """The log as the records build it up: entries `first` and following; what was before is in a snapshot."""

    def __init__(self) -> None:
        self.begun = False
        self.hard_state = HardState()
        self.highest: LogIndex = 0
        """Highest index that any entry had."""
        self._first: LogIndex = 1
        self._needed: LogIndex = 0
        """Up to where a snapshot must reach, for the log to be whole."""
        self._entries: list[LogEntry] = []
        self.replaced_by_snapshot = False

    @property
    def last_index(self) -> LogIndex:
        return self._first + len(self._entries) - 1

    def begin_segment(self, path: str, header: SegmentHeader, *, first: bool) -> None:
        """Checks that it goes on where the one before ended, or takes its word for what came before."""
        if first:
            self.begun = True
            self._first, self._needed = header.next_index, header.next_index - 1
            self.highest = header.next_index - 1
        elif header.next_index != self.last_index + 1:
            raise _corrupt(path, 0, f"goes on at entry {header.next_index}, the log ends at {self.last_index}")

    def recovered(self, snapshot: Snapshot | None, damaged: str, first_path: str) -> Recovered:
        """The log together with the snapshot. Raises Corrupt where the two do not meet."""
        covered = 0 if snapshot is None else snapshot.index
        if covered < self._needed:
            if damaged:
                raise _corrupt(damaged, 0, f"damaged, and the log has no entries before {self._needed + 1}")
            raise _corrupt(first_path, 0, f"segments or a snapshot up to entry {self._needed} are missing before it")
        entries, hard = self._entries, self.hard_state
        if snapshot is None:
            return Recovered(hard, tuple(entries))
        if hard.term < snapshot.term:  # installed, and then the power went before the log heard of it
            hard = HardState(snapshot.term, None, hard.commit)
        at = snapshot.index - self._first
        if not (0 <= at < len(entries) and entries[at].term == snapshot.term):
            self.replaced_by_snapshot = self._first != snapshot.index + 1
            following = () if self.replaced_by_snapshot else tuple(entries)
            return Recovered(hard, following, snapshot, snapshot.index, snapshot.term)
        first = entries[0]
        if first.index == 1:
            return Recovered(hard, tuple(entries), snapshot)
        return Recovered(hard, tuple(entries[1:]), snapshot, first.index, first.term)

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
            case SnapshotRecord(index):
                self._entries.clear()
                self._first, self._needed = index + 1, max(index, self._needed)
                self.highest = max(index, self.highest)
                return ""

    def _truncate(self, index: LogIndex) -> str:
        if not 0 < index <= self.last_index:
            return f"truncates from entry {index}, but the log ends at {self.last_index}"
        del self._entries[max(index - self._first, 0) :]
        self._first = min(self._first, index)
        return ""

    def _append(self, entries: tuple[LogEntry, ...]) -> str:
        for entry in entries:
            if entry.index != self.last_index + 1:
                return f"entry {entry.index} follows entry {self.last_index}"
            self._entries.append(entry)
        self.highest = max(self.highest, self.last_index)
        return ""

    def _replace(self, state: HardState) -> str:
        if state.term < self.hard_state.term:
            return f"term {state.term} follows term {self.hard_state.term}"
        self.hard_state = state
        return ""


def _corrupt(path: str, offset: int, problem: str) -> Corrupt:
    return Corrupt(
        f"{path}, byte {offset}: {problem}",
        why="the node may have promised what is lost, so it refuses to start",
        fix="restore this node's own data directory, or empty it and let the node join as a new member; "
        "`python -m raft_trio wal repair` cuts the log there, and loses what was promised behind",
    )
