"""The write-ahead log: what the core asks to persist, as file operations. Does no I/O itself.

One `Persist` is one frame, one write and at most one sync; hard state and entries share the log, so their order on
disk is the order of decisions. Segments are only ever appended to, and removed as a whole once a snapshot covers them.
Snapshots have files of their own (`raft_trio.storage.snapshots`); one that came from the leader is written here, too,
because the log goes on behind it.
"""

from __future__ import annotations

from collections import deque
from itertools import chain

import msgspec

from raft_trio.core.ready import Persist, Recovered
from raft_trio.files import FileBatch, FileExecutor, FileOp, Pwrite, Sync, SyncDir, Truncate, Unlink
from raft_trio.storage.records import (
    EntriesRecord,
    HardStateRecord,
    Record,
    RecordCodec,
    SegmentHeader,
    SnapshotRecord,
    TruncateRecord,
    encode_frame,
)
from raft_trio.storage.recovery import VERSION, Replayed, replay, segment_path
from raft_trio.storage.snapshots import SnapshotFiles
from raft_trio.types import LogIndex, NodeId

__all__ = ["SEGMENT_BYTES", "Wal"]

SEGMENT_BYTES = 16 << 20
"""A segment that would grow beyond this is closed. Recovery reads one segment at a time into memory."""


class Wal:
    """The writing end. Made by `Wal.recover`."""

    def __init__(
        self, node: NodeId, codec: RecordCodec, replayed: Replayed, snapshots: SnapshotFiles, *, segment_bytes: int
    ) -> None:
        self.snapshots = snapshots
        self._node = node
        self._codec = codec
        self._segment_bytes = segment_bytes
        self._segments: deque[tuple[int, LogIndex]] = deque(replayed.segments)
        """(number, highest index in it or before it), the one that is written last; its index is not up to date."""
        self._sequence = replayed.segments[-1][0] if replayed.segments else 0
        self._path = segment_path(self._sequence)
        self._hard_state = replayed.hard_state
        self._last_index = replayed.last_index
        self._highest: LogIndex = replayed.segments[-1][1] if replayed.segments else 0
        self._offset = replayed.end
        self._chain = replayed.chain
        self._synced = replayed.end
        self._syncing: deque[tuple[int, int, int]] = deque()
        """(token, segment, length of it) of the batches that sync and are not done."""

    @classmethod
    def recover(
        cls, execute: FileExecutor, node: NodeId, codec: RecordCodec, *, segment_bytes: int = SEGMENT_BYTES
    ) -> tuple[Wal, Recovered]:
        """Reads log and snapshots, removes a torn tail, makes durable what it found. Raises Corrupt, OSError.

        The sync at the end matters: after a crash of the process alone the file holds bytes that were never synced, and
        from now on the node answers for them.
        """
        snapshots = SnapshotFiles()
        replayed = replay(execute, node, codec, snapshots)
        wal = cls(node, codec, replayed, snapshots, segment_bytes=segment_bytes)
        for op in (*snapshots.leftovers(execute), *wal._repairs(replayed)):
            execute(op)
        return wal, replayed.recovered

    def append(self, persist: Persist) -> FileBatch:
        """The operations that persist it. The batch carries the token of `persist`."""
        before: tuple[FileOp, ...] = ()
        if persist.snapshot is not None:
            before = tuple(chain.from_iterable(self.snapshots.write(persist.snapshot)))
        records = _records(persist)
        payload = self._codec.encode(records)
        frame, crc = encode_frame(payload, chain=self._chain, synced=self._synced, checksum=self._codec.checksum)
        if self._offset + len(frame) > self._segment_bytes:
            before += self._next_segment()
            frame, crc = encode_frame(payload, chain=self._chain, synced=self._synced, checksum=self._codec.checksum)
        self._follow(persist)
        return FileBatch(persist.token, before + self._write(persist, frame, crc))

    def done(self, token: int) -> None:
        """The batch `token`, and so every one before it, was executed."""
        while self._syncing and self._syncing[0][0] <= token:
            _, sequence, end = self._syncing.popleft()
            if sequence == self._sequence:
                self._synced = end

    def forget(self, index: LogIndex) -> tuple[FileOp, ...]:
        """Removes what a durable snapshot up to `index` makes superfluous: segments, the oldest first, and snapshots.

        A removal that a power loss undoes in part leaves strays, which recovery removes.
        """
        gone: list[FileOp] = []
        while len(self._segments) > 1 and self._segments[0][1] <= index:
            gone.append(Unlink(segment_path(self._segments.popleft()[0])))
        gone += self.snapshots.remove_old()
        return (*gone, SyncDir("")) if gone else ()

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, persist: Persist, frame: bytes, crc: int) -> tuple[FileOp, ...]:
        write = Pwrite(self._path, self._offset, frame)
        self._chain = crc
        self._offset += len(frame)
        if not persist.must_sync:
            return (write,)
        self._syncing.append((persist.token, self._sequence, self._offset))
        return (write, Sync(self._path))

    def _follow(self, persist: Persist) -> None:
        """Keep account of where the log ends."""
        if persist.snapshot is not None:
            self._last_index = persist.snapshot.index
        if persist.truncate_from is not None:
            self._last_index = persist.truncate_from - 1
        if persist.entries:
            self._last_index = persist.entries[-1].index
        if self._last_index > self._highest:
            self._highest = self._last_index
        if persist.hard_state is not None:
            self._hard_state = persist.hard_state

    def _next_segment(self) -> tuple[FileOp, ...]:
        closing = (Truncate(self._path, self._offset), Sync(self._path))  # a disk may have filled it with zeros
        self._segments[-1] = (self._sequence, self._highest)
        return (*closing, *self._begin_segment(self._sequence + 1))

    def _begin_segment(self, sequence: int) -> tuple[FileOp, ...]:
        """Header and name of a segment, durable before the first batch goes in."""
        header = msgspec.msgpack.encode(SegmentHeader(VERSION, self._node, sequence, self._last_index + 1))
        first, head = encode_frame(header, chain=self._chain, synced=0, checksum=self._codec.checksum)
        known = self._codec.encode((HardStateRecord(self._hard_state),))
        second, self._chain = encode_frame(known, chain=head, synced=0, checksum=self._codec.checksum)
        self._sequence, self._path = sequence, segment_path(sequence)
        self._segments.append((sequence, self._highest))
        self._offset = self._synced = len(first) + len(second)
        return (Pwrite(self._path, 0, first + second), Sync(self._path), SyncDir(""))

    def _repairs(self, replayed: Replayed) -> tuple[FileOp, ...]:
        strays = tuple(Unlink(path) for path in replayed.stray)
        if not replayed.segments:
            return (*strays, *self._begin_segment(1))
        torn = (Truncate(self._path, replayed.end),) if replayed.size > replayed.end else ()
        if replayed.end == 0:
            self._segments.pop()
            return (*strays, *torn, *self._begin_segment(self._sequence), *self._catch_up(replayed))
        return (*strays, *torn, *self._catch_up(replayed), Sync(self._path), SyncDir(""))

    def _catch_up(self, replayed: Replayed) -> tuple[FileOp, ...]:
        """Says in the log that it begins anew behind a snapshot, if power failed before that could be said."""
        snapshot = replayed.recovered.snapshot
        if snapshot is None or not replayed.begins_anew:
            return ()
        persist = Persist(0, None, (), replayed.recovered.hard_state, True, snapshot)
        frame, crc = encode_frame(
            self._codec.encode(_records(persist)),
            chain=self._chain,
            synced=self._synced,
            checksum=self._codec.checksum,
        )
        self._follow(persist)
        write = self._write(persist, frame, crc)
        self.done(0)
        return write


def _records(persist: Persist) -> tuple[Record, ...]:
    """In the order in which they must be replayed."""
    records: list[Record] = []
    if persist.snapshot is not None:
        records.append(SnapshotRecord(persist.snapshot.index, persist.snapshot.term))
    if persist.truncate_from is not None:
        records.append(TruncateRecord(persist.truncate_from))
    if persist.entries:
        records.append(EntriesRecord(persist.entries))
    if persist.hard_state is not None:
        records.append(HardStateRecord(persist.hard_state))
    return tuple(records)
