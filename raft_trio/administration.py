"""What a node does for those who run the cluster: members, transfers of leadership, snapshots, its own status.

Here belongs who waits for what, and the answers; the decisions are the core's. Changes and transfers are for the
leader: other nodes refuse and say who leads. Snapshot and status are about the node that is asked.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from raft_trio.core.configurations import changed
from raft_trio.core.raft import RaftCore
from raft_trio.messages import (
    AdminRequest,
    ChangeMembership,
    ClientReply,
    Done,
    OutcomeUnknown,
    Refusal,
    Refused,
    Status,
    StatusReport,
    TakeSnapshot,
    TransferLeadership,
)
from raft_trio.trace import Acknowledged, TraceEvent
from raft_trio.types import LogEntry, LogIndex, NodeId, Role, Term

__all__ = ["Administration"]


class _Change(msgspec.Struct, frozen=True, gc=False):
    """A change of the membership that this node leads."""

    connection: str
    operation: str
    index: LogIndex
    """Of its first configuration."""


class _Transfer(msgspec.Struct, frozen=True, gc=False):
    """A transfer that this node began; `target` may have been its own choice."""

    connection: str
    operation: str
    target: NodeId
    term: Term
    deadline_ns: int


class Administration:
    """One incarnation's side of `AdminRequest`. The node drains `replies` and `traced`."""

    def __init__(self, node: NodeId, core: RaftCore, *, timeout_ns: int) -> None:
        """`timeout_ns`: how long to wait for a new leader after a transfer."""
        self._node = node
        self._core = core
        self._timeout_ns = timeout_ns
        self._change: _Change | None = None
        self.transfers: list[_Transfer] = []
        """Begun by this node and not decided; look at them once per flush."""
        self._snapshots: list[tuple[str, str, LogIndex]] = []
        """(connection, operation, index that a snapshot must reach)."""
        self.replies: list[tuple[str, ClientReply]] = []
        self.traced: list[TraceEvent] = []

    @property
    def wants_snapshot(self) -> bool:
        """Somebody waits for one."""
        return bool(self._snapshots)

    def request(self, now_ns: int, connection: str, request: AdminRequest, *, applied: LogIndex) -> None:
        """Each request is answered at most once. `applied`: up to where the node's state machine is."""
        match request:
            case ChangeMembership():
                self._begin_change(connection, request)
            case TransferLeadership():
                self._begin_transfer(now_ns, connection, request)
            case TakeSnapshot(operation):
                if applied <= self._core.snapshot_index:
                    self._done(connection, operation, self._core.snapshot_index)
                else:
                    self._snapshots.append((connection, operation, applied))
            case Status(operation):
                self.replies.append((connection, self.status(operation, applied)))
            case _:
                assert_never(request)

    def status(self, operation: str, applied: LogIndex) -> StatusReport:
        """How this node is; `applied`: up to where its state machine is."""
        core = self._core
        config_index, config = core.config_at(core.last_index)
        return StatusReport(
            operation,
            self._node,
            core.role,
            core.term,
            core.leader,
            core.commit_index,
            applied,
            core.first_index,
            core.last_index,
            core.snapshot_index,
            config,
            config_index,
            core.followers(),
        )

    def disconnected(self, connection: str) -> None:
        """Nobody is told any more."""
        if self._change is not None and self._change.connection == connection:
            self._change = None
        self.transfers = [waiting for waiting in self.transfers if waiting.connection != connection]
        self._snapshots = [waiting for waiting in self._snapshots if waiting[0] != connection]
        self.replies = [(to, reply) for to, reply in self.replies if to != connection]

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────────

    def configuration_applied(self, entry: LogEntry, *, final: bool) -> None:
        """A configuration was committed; `final`: it is not joint."""
        change = self._change
        if change is not None and final and entry.index >= change.index:
            self._change = None
            self.traced.append(Acknowledged(change.operation, entry.index))
            self._done(change.connection, change.operation, entry.index)

    def snapshot_durable(self, index: LogIndex) -> None:
        """There is a durable snapshot up to `index`."""
        waiting, self._snapshots = self._snapshots, []
        for connection, operation, wanted in waiting:
            if index >= wanted:
                self._done(connection, operation, index)
            else:
                self._snapshots.append((connection, operation, wanted))

    def leadership_lost(self) -> None:
        """What is not committed yet may be later, or may not."""
        change, self._change = self._change, None
        if change is not None:
            self.replies.append((change.connection, OutcomeUnknown(change.operation, "leadership-lost")))

    def look(self, now_ns: int) -> None:
        """Once per flush while `transfers` has any: answers those that are decided."""
        waiting, self.transfers = self.transfers, []
        for transfer in waiting:
            end = self._end_of(transfer, now_ns)
            if end is None:
                self.transfers.append(transfer)
            else:
                self.replies.append((transfer.connection, end))

    def deadline_ns(self) -> int | None:
        """When `look` has something to do at the latest."""
        return min((transfer.deadline_ns for transfer in self.transfers), default=None)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_change(self, connection: str, request: ChangeMembership) -> None:
        core = self._core
        target = changed(
            core.config,
            add_learners=request.add_learners,
            promote=request.promote,
            demote=request.demote,
            remove=request.remove,
        )
        if target is None:
            self._refuse(connection, request.operation, Refusal.BAD_REQUEST)
            return
        begun = core.change_membership(target, request.operation)
        if isinstance(begun, Refusal):
            self._refuse(connection, request.operation, begun)
        elif begun <= core.commit_index:
            self._done(connection, request.operation, begun)
        else:
            self._change = _Change(connection, request.operation, begun)

    def _begin_transfer(self, now_ns: int, connection: str, request: TransferLeadership) -> None:
        core = self._core
        if core.role is Role.LEADER and request.target == self._node:
            self._done(connection, request.operation, core.commit_index)
            return
        refusal = core.transfer_leadership(now_ns, request.target)
        if refusal is not None:
            self._refuse(connection, request.operation, refusal)
            return
        assert core.transferee is not None, "a transfer has begun"
        deadline_ns = now_ns + 2 * self._timeout_ns
        self.transfers.append(_Transfer(connection, request.operation, core.transferee, core.term, deadline_ns))

    def _end_of(self, transfer: _Transfer, now_ns: int) -> Done | OutcomeUnknown | None:
        """None: not decided yet. What came to nothing may still come about: the target may have been told."""
        core = self._core
        if core.leader == transfer.target and core.term > transfer.term:
            return Done(transfer.operation, b"", core.term, core.commit_index)
        aborted = core.role is Role.LEADER and core.transferee is None
        other = core.leader is not None and core.term > transfer.term
        if aborted or other or now_ns >= transfer.deadline_ns:
            return OutcomeUnknown(transfer.operation, "transfer-aborted")
        return None

    def _done(self, connection: str, operation: str, index: LogIndex) -> None:
        self.replies.append((connection, Done(operation, b"", self._core.term, index)))

    def _refuse(self, connection: str, operation: str, reason: Refusal) -> None:
        self.replies.append((connection, Refused(operation, reason, self._core.leader)))
