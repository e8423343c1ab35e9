"""What nodes and clients say to each other. Records only; bytes are `raft_trio.wire`'s affair.

Every message that concerns a client operation carries that operation's id. Message names and fields are those of Raft
Figure 2, as far as they go.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from raft_trio.types import Config, LogEntry, LogIndex, NodeId, Role, Term

__all__ = [
    "AdminRequest",
    "AppendEntriesRequest",
    "AppendEntriesResponse",
    "ClientReply",
    "ClientRequest",
    "Done",
    "Forward",
    "ForwardReply",
    "InstallSnapshotRequest",
    "InstallSnapshotResponse",
    "Message",
    "OpenSession",
    "OutcomeUnknown",
    "PeerFrame",
    "Query",
    "ReadIndexRequest",
    "ReadIndexResponse",
    "Refusal",
    "Refused",
    "RequestVoteRequest",
    "RequestVoteResponse",
    "SessionOpened",
    "ChangeMembership",
    "PeerStatus",
    "Status",
    "StatusReport",
    "Submit",
    "TakeSnapshot",
    "TimeoutNow",
    "TransferLeadership",
]


# ── between nodes ────────────────────────────────────────────────────────────────────────────────────────────────────


class RequestVoteRequest(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="vote"):
    """Raft §5.2, §5.4.1. With `pre_vote`, `term` is the term the sender would campaign in (thesis §9.6)."""

    term: Term
    candidate: NodeId
    last_index: LogIndex
    last_term: Term
    pre_vote: bool = False
    transfer: bool = False
    """The leader asked for this election: stickiness does not apply (thesis §3.10)."""


class RequestVoteResponse(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="voted"):
    """`term`: of a granted pre-vote the term asked for, else the responder's."""

    term: Term
    granted: bool
    pre_vote: bool = False


class AppendEntriesRequest(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="append"):
    """Raft §5.3; with no entries a heartbeat, which still carries a real `prev`."""

    term: Term
    leader: NodeId
    prev_index: LogIndex
    prev_term: Term
    entries: tuple[LogEntry, ...]
    commit: LogIndex
    round: int = 0
    """Number of the leader's newest read round at sending; echoed, so that reads know which quorum heard them."""


class AppendEntriesResponse(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="appended"):
    """On success `match_index` is prev_index + len(entries), never the responder's last index.

    On refusal `match_index` is 0 and the hint says where to try next: the first index of the conflicting term, or the
    responder's last index + 1 with term 0 when its log is too short (Raft §5.3, last paragraphs).
    """

    term: Term
    success: bool
    prev_index: LogIndex
    """Echo of the request, so that stale refusals are recognised."""
    match_index: LogIndex = 0
    conflict_index: LogIndex = 0
    conflict_term: Term = 0
    round: int = 0


class InstallSnapshotRequest(msgspec.Struct, frozen=True, array_like=True, tag="install"):
    """One chunk of a snapshot up to (index, index_term) (Raft §7, Figure 13).

    (index, digest) names the snapshot: equal snapshots of two leaders are one, so a transfer outlives its leader.
    """

    term: Term
    leader: NodeId
    index: LogIndex
    index_term: Term
    config: Config
    config_index: LogIndex
    digest: int
    """crc32 of the whole."""
    total: int
    """Bytes of the whole."""
    offset: int
    data: bytes
    checksum: int
    """crc32 of this chunk."""


class InstallSnapshotResponse(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="installed"):
    """`installed`: everything up to `index` is durable here, by this snapshot or without it.

    Else the chunk at `offset` was looked at, and the one at `next_offset` is wanted.
    """

    term: Term
    index: LogIndex
    digest: int
    offset: int
    next_offset: int
    installed: bool = False


class TimeoutNow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="timeout_now"):
    """The leader of `term` wants the receiver to campaign at once (thesis §3.10)."""

    term: Term
    leader: NodeId


class ReadIndexRequest(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="read_index"):
    """A follower asks the leader for a read index (thesis §6.4). `context` is the asker's own number."""

    term: Term
    context: int
    operation: str = ""


class ReadIndexResponse(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="read_index_at"):
    """The asker may read once it has applied `index`. `index` 0: not leader, ask again or refuse."""

    term: Term
    context: int
    index: LogIndex


class Forward(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="forward"):
    """A client's request handed to the leader under the same operation id. `context` is the sender's own number."""

    term: Term
    context: int
    request: OpenSession | Submit


class ForwardReply(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="forwarded"):
    """The leader's answer to `Forward`."""

    term: Term
    context: int
    reply: Done | SessionOpened | Refused | OutcomeUnknown


# ── between client and node ──────────────────────────────────────────────────────────────────────────────────────────


class OpenSession(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="open"):
    """Ask for a session, under which commands are applied at most once (thesis §6.3)."""

    operation: str


class Submit(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="submit"):
    """A command that changes state. `sequence` counts the session's commands from 1; a retry repeats it."""

    operation: str
    session: int
    sequence: int
    command: bytes


class Query(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="query"):
    """A linearizable read."""

    operation: str
    command: bytes


class ChangeMembership(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="change_membership"):
    """Ask the leader for other members; answered when the last configuration of the change is committed.

    A newcomer is added as a learner, which has no vote, and promoted once it has caught up (thesis §4.2.1).
    """

    operation: str
    add_learners: tuple[NodeId, ...] = ()
    promote: tuple[NodeId, ...] = ()
    """Learners that become voters."""
    demote: tuple[NodeId, ...] = ()
    """Voters that become learners."""
    remove: tuple[NodeId, ...] = ()


class TransferLeadership(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="transfer_leadership"):
    """Ask the leader to hand over to `target`, or to whom it likes when that is empty (thesis §3.10)."""

    operation: str
    target: NodeId = ""


class TakeSnapshot(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="take_snapshot"):
    """Ask this very node for a snapshot now; answered when there is a durable one of all that is applied."""

    operation: str


class Status(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="status"):
    """Ask this very node how it is."""

    operation: str


class PeerStatus(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A follower as its leader sees it. `state`: probe, replicate or snapshot."""

    node: NodeId
    state: str
    match_index: LogIndex
    next_index: LogIndex


class StatusReport(msgspec.Struct, frozen=True, array_like=True, tag="status_report"):
    """How a node is. Nothing here is agreed upon: it is the node's own view, and may be old."""

    operation: str
    node: NodeId
    role: Role
    term: Term
    leader: NodeId | None
    commit_index: LogIndex
    applied_index: LogIndex
    first_index: LogIndex
    last_index: LogIndex
    snapshot_index: LogIndex
    config: Config
    config_index: LogIndex
    peers: tuple[PeerStatus, ...] = ()
    """Only of a leader."""


class SessionOpened(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="opened"):
    """The session's id is the index of the entry that opened it."""

    operation: str
    session: int


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="done"):
    """The operation took effect at (term, index); for a read: the state read is that of `index`."""

    operation: str
    result: bytes
    term: Term
    index: LogIndex


class Refusal(StrEnum):
    """Why a request certainly had and will have no effect."""

    NO_LEADER = "no-leader"
    NOT_LEADER = "not-leader"
    OVERLOADED = "overloaded"
    SESSION_EXPIRED = "session-expired"
    BAD_REQUEST = "bad-request"
    TRANSFER_IN_PROGRESS = "transfer-in-progress"
    CHANGE_IN_PROGRESS = "change-in-progress"
    """Another change of the membership is not committed yet."""
    NOT_READY = "not-ready"
    """The leader has not committed anything in its term yet."""
    NOT_CAUGHT_UP = "not-caught-up"
    """A learner that is to have a vote lacks too much of the log."""


class Refused(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="refused"):
    """Definite: the operation did not and will not take effect."""

    operation: str
    reason: Refusal
    leader: NodeId | None = None


class OutcomeUnknown(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="unknown"):
    """Indefinite: leadership was lost, or the leader did not answer in time; the command may still take effect."""

    operation: str
    reason: str


AdminRequest = ChangeMembership | TransferLeadership | TakeSnapshot | Status
ClientRequest = OpenSession | Submit | Query | AdminRequest
ClientReply = SessionOpened | Done | Refused | OutcomeUnknown | StatusReport

Message = (
    RequestVoteRequest
    | RequestVoteResponse
    | AppendEntriesRequest
    | AppendEntriesResponse
    | InstallSnapshotRequest
    | InstallSnapshotResponse
    | TimeoutNow
    | ReadIndexRequest
    | ReadIndexResponse
    | Forward
    | ForwardReply
)


class PeerFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that one flush has for one peer. Message k of it is `{source}.{incarnation}.{first + k}` in traces."""

    source: NodeId
    incarnation: int
    first: int
    messages: tuple[Message, ...]
