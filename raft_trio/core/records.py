"""Things a node of Raft has under way, as records: writes, reads, a snapshot that arrives, a hand-over of leadership.

The variables that hold them are `raft_trio.core.state`'s.
"""

from __future__ import annotations

import msgspec

from raft_trio.types import HardState, LogIndex, NodeId, Term

__all__ = ["Incoming", "PendingRead", "ReadRound", "Transfer", "WriteMark"]


class WriteMark(msgspec.Struct, gc=False):
    """A hand-over to storage that is not known durable: what its completion will prove."""

    token: int
    log_index: LogIndex
    lowest_cut: LogIndex
    """Lowest index truncated since; log_index + 1 when none was."""
    hard_state: HardState | None


class PendingRead(msgspec.Struct, frozen=True, gc=False):
    """A read that waits at the leader. `asker` None: this node's own; `context` is the asker's number."""

    asker: NodeId | None
    context: int
    expires_ns: int


class ReadRound(msgspec.Struct, frozen=True, gc=False):
    """Reads that one round of heartbeats confirms, all at `index`."""

    number: int
    index: LogIndex
    reads: tuple[PendingRead, ...]


class Incoming(msgspec.Struct, gc=False):
    """A snapshot that arrives in chunks: what it is to become, and what is here of it."""

    index: LogIndex
    digest: int
    term: Term
    """Of the leader that sent the last chunk."""
    data: bytearray


class Transfer(msgspec.Struct, gc=False):
    """Leadership being handed over."""

    target: NodeId
    deadline_ns: int
    told: bool = False
    """The target was told to campaign."""
