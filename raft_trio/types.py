"""The nouns of Raft: identifiers, entries, hard state, configuration, roles.

Records only: no behaviour beyond what is true of the record itself, no messages (`raft_trio.messages`).
"""

from __future__ import annotations

from enum import Enum, StrEnum

import msgspec

__all__ = [
    "EMPTY_CONFIG",
    "Config",
    "EntryType",
    "HardState",
    "LogEntry",
    "LogIndex",
    "NodeId",
    "Role",
    "Snapshot",
    "Term",
]

NodeId = str
Term = int
"""Starts at 0; the first election is for term 1."""
LogIndex = int
"""The first entry has index 1; 0 means the empty log."""


class Role(StrEnum):
    """What a node is in the current term (Raft §5.1; pre-candidate: thesis §9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class EntryType(Enum):
    """What applying an entry does."""

    COMMAND = 0
    """`data` goes to the state machine under the entry's session."""
    NOOP = 1
    """Appended by a new leader so that entries of earlier terms can commit (Raft §8)."""
    OPEN_SESSION = 2
    """Registers a client; the entry's index becomes the session's id (thesis §6.3)."""
    CONFIGURATION = 3


class LogEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of the replicated log."""

    index: LogIndex
    term: Term
    type: EntryType
    operation: str = ""
    """Id of the client operation that caused it; travels in every message and into the trace."""
    session: int = 0
    """Session of the client, 0 outside any."""
    sequence: int = 0
    """Number of the command within its session, from 1: applied at most once."""
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must be durable before any message that depends on it leaves (Raft Figure 2, persistent state)."""

    term: Term = 0
    voted_for: NodeId | None = None
    commit: LogIndex = 0
    """A lower bound, written along with other records and never synced for its own sake."""


class Config(msgspec.Struct, frozen=True, array_like=True):
    """Members of the cluster, sorted. `voters_outgoing` is non-empty in joint consensus only (Raft §6)."""

    voters: tuple[NodeId, ...]
    voters_outgoing: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()


EMPTY_CONFIG = Config(voters=())


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The state after applying everything up to (index, term), in place of those entries (Raft §7)."""

    index: LogIndex
    term: Term
    config: Config
    """The membership that the log up to `index` leads to: the entries that say so are gone (S7)."""
    config_index: LogIndex
    """Where that membership stood in the log; 0: at bootstrap."""
    digest: int
    """crc32 of `data`; equal on all nodes that took a snapshot at the same index."""
    data: bytes
    """The state machine and the sessions, see `raft_trio.snapshots`."""
