"""What a snapshot contains, and when a node takes one.

State machine and sessions go together: a machine restored without its sessions would apply a retried command twice
(thesis §6.3; S8). How a snapshot reaches the disk is `raft_trio.storage.snapshots`, how another node
`raft_trio.core.installation`.
"""

from __future__ import annotations

from collections import deque
from zlib import crc32

import msgspec

from raft_trio.core.configurations import Positioned
from raft_trio.errors import Corrupt
from raft_trio.files import FileBatch, FileOp
from raft_trio.machine import StateMachine
from raft_trio.sessions import Sessions
from raft_trio.types import LogIndex, Snapshot, Term

__all__ = ["SnapshotWriter", "restore_state", "take_snapshot"]


class _Content(msgspec.Struct, frozen=True, array_like=True):
    machine: bytes
    sessions: bytes


_decoder = msgspec.msgpack.Decoder(_Content)


def take_snapshot(
    machine: StateMachine, sessions: bytes, *, index: LogIndex, term: Term, configuration: Positioned
) -> Snapshot:
    """The state after applying everything up to (index, term); equal states give equal digests."""
    data = msgspec.msgpack.encode(_Content(machine.snapshot(), sessions))
    config_index, config = configuration
    return Snapshot(index, term, config, config_index, crc32(data), data)


def restore_state(snapshot: Snapshot, machine: StateMachine, sessions: Sessions) -> None:
    """Replaces the state of both. Raises Corrupt for what neither of them wrote."""
    try:
        content = _decoder.decode(snapshot.data)
        machine.restore(content.machine)
        sessions.restore(content.sessions)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Corrupt(
            f"the snapshot up to entry {snapshot.index} cannot be read: {error}",
            why="its bytes are undamaged, so another version or another state machine wrote it",
            fix="run the version that wrote it, or empty the data directory and let the node join as a new member",
        ) from error


class SnapshotWriter:
    """One snapshot on its way to the disk, slice by slice; and the removal of what it makes superfluous.

    Tokens are negative and never used twice, so that they cannot be taken for those of the log.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        """The one being written; None: nothing is."""
        self.waiting: deque[tuple[FileOp, ...]] = deque()
        """What `next` has still to give out."""
        self._token = 0
        self._open: FileBatch | None = None

    def begin(self, snapshot: Snapshot, batches: tuple[tuple[FileOp, ...], ...]) -> None:
        """Starts writing."""
        assert self.snapshot is None, "one snapshot at a time"
        self.snapshot = snapshot
        self.waiting.extend(batches)

    def remove(self, ops: tuple[FileOp, ...]) -> None:
        """Has files removed, after all that waits."""
        if ops:
            self.waiting.append(ops)

    def next(self) -> FileBatch | None:
        """What to execute now, once; None: nothing, or something is under way."""
        if self._open is not None or not self.waiting:
            return None
        self._token -= 1
        self._open = FileBatch(self._token, self.waiting.popleft())
        return self._open

    def done(self) -> Snapshot | None:
        """The open batch was executed; the snapshot that is durable now, if it was its last one."""
        self._open = None
        if self.snapshot is None or self.waiting:
            return None
        written, self.snapshot = self.snapshot, None
        return written
