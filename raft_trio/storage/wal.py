"""The write-ahead log: what the core asks to persist, as file operations. Does no I/O itself.

One `Persist` is one frame, one write and at most one sync; hard state and entries share the log, so their order on
disk is the order of decisions. Segments are only ever appended to. Deleting old segments belongs to snapshots.
"""

from __future__ import annotations

from collections import deque

import msgspec

from raft_trio.core.ready import Persist, Recovered
from raft_trio.files import FileBatch, FileExecutor, FileOp, Pwrite, Sync, SyncDir, Truncate
from raft_trio.storage.records import (
    EntriesRecord,
    HardStateRecord,
    Record,
    RecordCodec,
    SegmentHeader,
    TruncateRecord,
    encode_frame,
)
from raft_trio.storage.recovery import VERSION, Replayed, replay, segment_path
from raft_trio.types import NodeId

__all__ = ["SEGMENT_BYTES", "Wal"]

SEGMENT_BYTES = 16 << 20
"""A segment that would grow beyond this is closed. Recovery reads one segment at a time into memory."""


class Wal:
    """The writing end. Made by `Wal.recover`."""

    def __init__(self, node: NodeId, codec: RecordCodec, replayed: Replayed, *, segment_bytes: int) -> None:
        self._node = node
        self._codec = codec
        self._segment_bytes = segment_bytes
        self._sequence = replayed.sequence
        self._path = segment_path(replayed.sequence)
        self._offset = replayed.end
        self._chain = replayed.chain
        self._synced = replayed.end
        self._syncing: deque[tuple[int, int, int]] = deque()
        """(token, segment, length of it) of the batches that sync and are not done."""

    @classmethod
    def recover(
        cls, execute: FileExecutor, node: NodeId, codec: RecordCodec, *, segment_bytes: int = SEGMENT_BYTES
    ) -> tuple[Wal, Recovered]:
        """Reads the log, removes a torn tail, and makes durable what it found. Raises Corrupt, OSError.

        The sync at the end matters: after a crash of the process alone the file holds bytes that were never synced, and
        from now on the node answers for them.
        """
        replayed = replay(execute, node, codec)
        wal = cls(node, codec, replayed, segment_bytes=segment_bytes)
        for op in wal._repairs(replayed):
            execute(op)
        return wal, replayed.recovered

    def append(self, persist: Persist) -> FileBatch:
        """The operations that persist it. The batch carries the token of `persist`."""
        payload = self._codec.encode(_records(persist))
        frame, crc = encode_frame(payload, chain=self._chain, synced=self._synced, checksum=self._codec.checksum)
        if self._offset + len(frame) > self._segment_bytes:
            return self._append_to_next_segment(persist, payload)
        return FileBatch(persist.token, self._write(persist, frame, crc))

    def done(self, token: int) -> None:
        """The batch `token`, and so every one before it, was executed."""
        while self._syncing and self._syncing[0][0] <= token:
            _, sequence, end = self._syncing.popleft()
            if sequence == self._sequence:
                self._synced = end

    def _write(self, persist: Persist, frame: bytes, crc: int) -> tuple[FileOp, ...]:
        write = Pwrite(self._path, self._offset, frame)
        self._chain = crc
        self._offset += len(frame)
        if not persist.must_sync:
            return (write,)
        self._syncing.append((persist.token, self._sequence, self._offset))
        return (write, Sync(self._path))

    def _append_to_next_segment(self, persist: Persist, payload: bytes) -> FileBatch:
        closing = (Truncate(self._path, self._offset), Sync(self._path))  # a disk may have filled it with zeros
        opening = self._begin_segment(self._sequence + 1)
        frame, crc = encode_frame(payload, chain=self._chain, synced=self._synced, checksum=self._codec.checksum)
        return FileBatch(persist.token, (*closing, *opening, *self._write(persist, frame, crc)))

    def _begin_segment(self, sequence: int) -> tuple[FileOp, ...]:
        """Header and name of a segment, durable before the first batch goes in."""
        header = msgspec.msgpack.encode(SegmentHeader(VERSION, self._node, sequence))
        frame, self._chain = encode_frame(header, chain=self._chain, synced=0, checksum=self._codec.checksum)
        self._sequence, self._path = sequence, segment_path(sequence)
        self._offset = self._synced = len(frame)
        return (Pwrite(self._path, 0, frame), Sync(self._path), SyncDir(""))

    def _repairs(self, replayed: Replayed) -> tuple[FileOp, ...]:
        if replayed.sequence == 0:
            return self._begin_segment(1)
        torn = (Truncate(self._path, replayed.end),) if replayed.size > replayed.end else ()
        if replayed.end == 0:
            return (*torn, *self._begin_segment(replayed.sequence))
        return (*torn, Sync(self._path), SyncDir(""))


def _records(persist: Persist) -> tuple[Record, ...]:
    """In the order in which they must be replayed."""
    records: list[Record] = []
    if persist.truncate_from is not None:
        records.append(TruncateRecord(persist.truncate_from))
    if persist.entries:
        records.append(EntriesRecord(persist.entries))
    if persist.hard_state is not None:
        records.append(HardStateRecord(persist.hard_state))
    return tuple(records)
