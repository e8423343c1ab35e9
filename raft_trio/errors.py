"""Errors of raft_trio, one tree. Every message says what happened, why, and how to fix it.

    RaftError
    ├── ConfigError                  the caller's settings
    ├── NotLeader, NoLeader          definite refusals of a request
    ├── ProposalDropped              definite: the leader has too much uncommitted
    ├── ChangeRefused                definite: the leader cannot change the cluster so, or not now
    ├── SessionExpired               definite: this attempt was not executed
    ├── RequestTimeout               INDEFINITE: the request may still take effect
    ├── ElectionTimeout              no leader within the time allowed
    ├── InvalidTerm, InvalidLogIndex, LogInconsistency, Compacted    misuse of the log
    ├── SerializationEncodeError, SerializationDecodeError           bytes that are not ours
    ├── IoError, Corrupt, SnapshotFailed                             storage
    └── Internal

The names are those of the seed crate `ruvector-raft` where it has one. Broken invariants of the algorithm are not
here: they are `AssertionError`s, because no caller can handle them.
"""

from __future__ import annotations

from raft_trio.types import LogIndex, NodeId, Term

__all__ = [
    "RaftError",
    "ChangeRefused",
    "Compacted",
    "ConfigError",
    "Corrupt",
    "ElectionTimeout",
    "Internal",
    "InvalidLogIndex",
    "InvalidTerm",
    "IoError",
    "LogInconsistency",
    "NoLeader",
    "NotLeader",
    "ProposalDropped",
    "RequestTimeout",
    "SerializationDecodeError",
    "SerializationEncodeError",
    "SessionExpired",
    "SnapshotFailed",
]


class RaftError(Exception):
    """Base of the tree: `what` happened, `why` it matters or came about, the `fix`."""

    definite = True
    """The request that raised it certainly had and will have no effect."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return "".join((self.what, f": {self.why}" if self.why else "", f" (fix: {self.fix})" if self.fix else ""))


class ConfigError(RaftError):
    """A setting of `RaftNodeConfig` is impossible."""


class NotLeader(RaftError):
    """This node does not lead; `leader` is the one it knows, or None."""

    def __init__(self, what: str, *, leader: NodeId | None = None, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.leader = leader


class NoLeader(RaftError):
    """No leader is known."""


class ProposalDropped(RaftError):
    """The leader holds too many uncommitted bytes to take one more entry."""


class ChangeRefused(RaftError):
    """A change of the members or of the leader is impossible, or not possible now."""


class SessionExpired(RaftError):
    """The session is unknown to the state machine; the command was not executed by this attempt."""


class RequestTimeout(RaftError):
    """No answer in time: the outcome is unknown, and stays unknown for ever."""

    definite = False


class ElectionTimeout(RaftError):
    """No leader was elected within the time allowed."""


class InvalidTerm(RaftError):
    """A term that cannot be: negative, or older than one already seen."""

    def __init__(self, term: Term, *, why: str = "", fix: str = "") -> None:
        super().__init__(f"term {term} is not possible here", why=why, fix=fix)
        self.term = term


class InvalidLogIndex(RaftError):
    """An index outside the log."""

    def __init__(self, index: LogIndex, *, why: str = "", fix: str = "") -> None:
        super().__init__(f"log index {index} does not exist", why=why, fix=fix)
        self.index = index


class LogInconsistency(RaftError):
    """A log that no correct node can have: a hole, a term that goes back, a commit index beyond the end."""


class Compacted(RaftError):
    """The entries asked for were replaced by a snapshot."""

    def __init__(self, index: LogIndex, *, base_index: LogIndex) -> None:
        super().__init__(
            f"log index {index} is no longer in the log",
            why=f"entries up to {base_index} were compacted into a snapshot",
            fix="send the snapshot instead",
        )
        self.index = index
        self.base_index = base_index


class SerializationEncodeError(RaftError):
    """A value cannot be written in the wire or disk format."""


class SerializationDecodeError(RaftError):
    """Bytes are not in the wire or disk format."""


class IoError(RaftError):
    """The operating system refused a read, write or sync; after a failed sync the process must end."""

    definite = False


class Corrupt(RaftError):
    """Durable data is damaged in a way a crash cannot explain; the node refuses to start."""


class SnapshotFailed(RaftError):
    """A snapshot could not be taken, sent or installed."""


class Internal(RaftError):
    """A fault of this library."""

    definite = False
