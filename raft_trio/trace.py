"""What a node reports of itself, for checkers and for people: one event per transition.

raft_trio's own vocabulary: it depends on no harness. A harness translates it; `raft_trio.shell` writes it as NDJSON.
"""

from __future__ import annotations

import msgspec

from raft_trio.types import LogIndex, NodeId, Role, Term

__all__ = [
    "Acknowledged",
    "Appended",
    "Applied",
    "Became",
    "Committed",
    "Configured",
    "Received",
    "Restored",
    "Sent",
    "Snapshotted",
    "Synced",
    "TraceEvent",
    "Truncated",
    "Voted",
]


class Restored(msgspec.Struct, frozen=True, gc=False, tag="restored"):
    """First event of every incarnation: what the disk gave back."""

    term: Term
    voted_for: NodeId | None
    last_index: LogIndex
    last_term: Term


class Became(msgspec.Struct, frozen=True, gc=False, tag="became"):
    """Entered `role` in `term`."""

    role: Role
    term: Term


class Voted(msgspec.Struct, frozen=True, gc=False, tag="voted"):
    """Granted a vote (not a pre-vote), also a candidate's own."""

    term: Term
    candidate: NodeId


class Appended(msgspec.Struct, frozen=True, gc=False, tag="appended"):
    """Entry put into the log in memory; `digest` is crc32 of type, operation, session, sequence and data."""

    index: LogIndex
    term: Term
    digest: int


class Truncated(msgspec.Struct, frozen=True, gc=False, tag="truncated"):
    """Entries from `index` on removed."""

    index: LogIndex


class Synced(msgspec.Struct, frozen=True, gc=False, tag="synced"):
    """The log up to `index`, of `term`, is durable."""

    index: LogIndex
    term: Term


class Committed(msgspec.Struct, frozen=True, gc=False, tag="committed"):
    """The commit index moved to `index`."""

    index: LogIndex


class Applied(msgspec.Struct, frozen=True, gc=False, tag="applied"):
    """Entry `index` given to the state machine; `digest` as in `Appended`."""

    index: LogIndex
    digest: int


class Snapshotted(msgspec.Struct, frozen=True, gc=False, tag="snapshot"):
    """A snapshot up to `index` came from the leader (`installed`), was taken here, or was read from disk at a start."""

    index: LogIndex
    term: Term
    digest: int
    installed: bool


class Configured(msgspec.Struct, frozen=True, gc=False, tag="configuration"):
    """The configuration at `index` (0: that of the bootstrap) is in force, committed or not."""

    index: LogIndex
    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...] = ()
    voters_outgoing: tuple[NodeId, ...] = ()
    """Not empty in joint consensus only: of them, too, a majority must agree."""


class Acknowledged(msgspec.Struct, frozen=True, gc=False, tag="acknowledged"):
    """A client was told that `operation` took effect at `index`."""

    operation: str
    index: LogIndex


class Sent(msgspec.Struct, frozen=True, gc=False, tag="sent", omit_defaults=True):
    """A message left; `cause` is the operation it carries first, empty for none."""

    message: str
    kind: str
    to: NodeId
    cause: str = ""
    term: Term = 0
    """Of what promises something: the term in which it does. 0: it promises nothing."""
    match: LogIndex = 0
    """Of an acknowledgement of entries: the index up to which the log is durable here and equals the leader's."""
    vote: bool = False
    """It grants the receiver a vote in `term`; pre-votes promise nothing."""


class Received(msgspec.Struct, frozen=True, gc=False, tag="received"):
    """A message was stepped."""

    message: str
    kind: str
    source: NodeId


TraceEvent = (
    Restored
    | Became
    | Voted
    | Appended
    | Truncated
    | Synced
    | Committed
    | Applied
    | Snapshotted
    | Configured
    | Acknowledged
    | Sent
    | Received
)
