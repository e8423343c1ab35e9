"""The sans-IO operator of raft_trio: one order of the harness becomes requests, and answers become what was performed.

It looks for the leader, is refused, waits and asks again, until its patience is over. Only answers are counted: a
change whose answer was lost is seen in the next status, and not counted.
"""

from __future__ import annotations

from typing import Any, assert_never

from histrio.systems.system import Order, Performed
from raft_trio.messages import (
    AdminRequest,
    ChangeMembership,
    Done,
    OutcomeUnknown,
    Refused,
    SessionOpened,
    Status,
    StatusReport,
    TakeSnapshot,
    TransferLeadership,
)
from raft_trio.types import Config, Role
from workloads.session import Completion, Operation, Outcome, SessionStep

__all__ = ["RaftTrioOperator"]

MS = 1_000_000
PAUSE_NS = 20 * MS  # after a refusal
STATUS_PATIENCE_NS = 200 * MS  # a node that says nothing for so long is paused, or far away
CHANGE_PATIENCE_NS = 1000 * MS  # two elections
CAUGHT_UP = 64  # entries that a newcomer may lack: what fits in a message


class RaftTrioOperator:
    """Implements `workloads.session.Session` for operations that are `Order`s. Good for one order."""

    def __init__(self, nodes: tuple[str, ...], *, patience_ns: int) -> None:
        self._nodes, self._patience_ns = nodes, patience_ns
        self._order = Operation(Order.SNAPSHOT)
        self._id, self._asked = "", 0
        self._end_ns = self._wake_ns = 0
        self._node = nodes[0]
        self._waits = False  # for an answer; else for the end of a pause
        self._over = False
        self._concerned: tuple[str, ...] = ()
        self._before = 0  # index that a snapshot must be beyond, or a log must begin behind
        self._missing: int | None = None  # last index of the node that is to be outrun
        self._taken = 0

    # ── Session ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def invoke(self, now_ns: int, operation: Operation, operation_id: str) -> SessionStep:
        """Begin to look for whom the order concerns."""
        self._order, self._id = operation, operation_id
        self._end_ns = now_ns + self._patience_ns
        if operation.f in (Order.SNAPSHOT, Order.OUTRUN):
            self._node = operation.value
        return self._status(now_ns)

    def received(self, now_ns: int, payload: Any) -> SessionStep:
        """An answer; one that comes too late is none."""
        if self._over or not self._waits or payload.operation != self._request_id:
            return self._unchanged()
        match payload:
            case StatusReport():
                return self._informed(now_ns, payload)
            case Done():
                return self._done(now_ns, payload)
            case Refused(leader=leader):
                return self._pause(now_ns, leader)
            case OutcomeUnknown():
                return self._pause(now_ns, None)
            case SessionOpened():
                raise AssertionError("nobody asked for a session")
            case _:
                assert_never(payload)

    def disconnected(self, now_ns: int, *, delivered: bool) -> SessionStep:
        """Ask elsewhere."""
        return self._unchanged() if self._over else self._pause(now_ns, None)

    def wake(self, now_ns: int) -> SessionStep:
        """The end of a pause, or of patience with a node, or altogether."""
        if self._over or now_ns < self._wake_ns:
            return self._unchanged()
        if now_ns >= self._end_ns:
            return self._end(settled=False)
        if self._waits:
            self._turn_to(None)
        return self._status(now_ns)

    # ── what it does next ────────────────────────────────────────────────────────────────────────────────────────────

    def _informed(self, now_ns: int, report: StatusReport) -> SessionStep:
        match Order(self._order.f):
            case Order.SNAPSHOT:
                self._before, self._concerned = report.snapshot_index, (report.node,)
                return self._ask(now_ns, TakeSnapshot(self._next_id()), CHANGE_PATIENCE_NS)
            case Order.OUTRUN:
                return self._outrun(now_ns, report)
            case Order.MEMBERS:
                return self._reconfigure(now_ns, report) if _leads(report) else self._pause(now_ns, report.leader)
            case Order.TRANSFER:
                return self._transfer(now_ns, report) if _leads(report) else self._pause(now_ns, report.leader)
            case _:
                assert_never(self._order.f)

    def _done(self, now_ns: int, reply: Done) -> SessionStep:
        match Order(self._order.f):
            case Order.SNAPSHOT:
                taken = reply.index > self._before
                return self._end(settled=taken, counts={"snapshots_taken": int(taken)})
            case Order.OUTRUN:
                self._taken += 1
                return self._pause(now_ns, self._node)
            case Order.MEMBERS:
                return self._end(settled=False, counts={"changes_committed": 1})
            case Order.TRANSFER:
                return self._end(settled=True, counts={"transfers_done": 1})
            case _:
                assert_never(self._order.f)

    def _outrun(self, now_ns: int, report: StatusReport) -> SessionStep:
        if self._missing is None:
            self._missing = report.last_index
            self._turn_to(None)
            return self._status(now_ns)
        if not _leads(report):
            return self._pause(now_ns, report.leader)
        if report.first_index > self._missing + 1:
            return self._end(settled=True, counts={"snapshots_taken": self._taken})
        return self._ask(now_ns, TakeSnapshot(self._next_id()), CHANGE_PATIENCE_NS)

    def _reconfigure(self, now_ns: int, report: StatusReport) -> SessionStep:
        voters, learners = self._order.value
        config = report.config
        if config.voters_outgoing or report.config_index > report.commit_index:
            return self._pause(now_ns, self._node)
        if set(config.voters) == set(voters) and set(config.learners) == set(learners):
            return self._end(settled=True)
        change = self._change(config, report, voters, learners)
        if change is None:
            return self._pause(now_ns, self._node)
        self._concerned = (*change.add_learners, *change.promote, *change.demote, *change.remove)
        return self._ask(now_ns, change, CHANGE_PATIENCE_NS)

    def _change(
        self, config: Config, report: StatusReport, voters: tuple[str, ...], learners: tuple[str, ...]
    ) -> ChangeMembership | None:
        """The next change; None: those who are to vote have too little of the log yet.

        Newcomers are added first, without a vote. All else is one change, except that nobody waits for a node that
        cannot catch up, because it is down, while another could be promoted.
        """
        members = {*config.voters, *config.learners}
        added = tuple([node for node in (*voters, *learners) if node not in members])
        if added:
            return ChangeMembership(self._next_id(), add_learners=added)
        known = {peer.node: peer.match_index for peer in report.peers}
        promote = tuple([node for node in voters if node not in config.voters])
        ready = tuple([node for node in promote if known.get(node, 0) + CAUGHT_UP >= report.last_index])
        if ready != promote:
            return ChangeMembership(self._next_id(), promote=ready) if ready else None
        demote = tuple([node for node in learners if node in config.voters])
        remove = tuple([node for node in sorted(members) if node not in voters and node not in learners])
        return ChangeMembership(self._next_id(), promote=promote, demote=demote, remove=remove)

    def _transfer(self, now_ns: int, report: StatusReport) -> SessionStep:
        voters = [peer for peer in report.peers if peer.node in report.config.voters]
        wanted = self._order.value
        if wanted == "":
            wanted = min(voters, key=lambda peer: peer.match_index).node if voters else None
        if wanted == report.node:
            return self._end(settled=True)
        if wanted not in [peer.node for peer in voters]:
            wanted = None  # it has no vote: then to whom the leader likes
        self._concerned = (wanted or "",)
        return self._ask(now_ns, TransferLeadership(self._next_id(), wanted or ""), CHANGE_PATIENCE_NS)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _request_id(self) -> str:
        return f"{self._id}/{self._asked}"

    def _next_id(self) -> str:
        self._asked += 1
        return self._request_id

    def _status(self, now_ns: int) -> SessionStep:
        return self._ask(now_ns, Status(self._next_id()), STATUS_PATIENCE_NS)

    def _ask(self, now_ns: int, request: AdminRequest, patience_ns: int) -> SessionStep:
        self._waits = True
        self._wake_ns = min(self._end_ns, now_ns + patience_ns)
        return SessionStep(sends=(request,), node=self._node, deadline_ns=self._wake_ns)

    def _pause(self, now_ns: int, leader: str | None) -> SessionStep:
        """Ask for the status of the leader after a while, or of another node where none is known."""
        self._turn_to(leader)
        self._waits = False
        self._wake_ns = min(self._end_ns, now_ns + PAUSE_NS)
        return self._unchanged()

    def _turn_to(self, leader: str | None) -> None:
        """The node to ask next. Who is to be outrun is asked only for what it has, a snapshot only of its node."""
        if self._order.f == Order.SNAPSHOT or (self._order.f == Order.OUTRUN and self._missing is None):
            return
        place = self._nodes.index(self._node) + 1
        others = [*([leader] if leader in self._nodes else []), *self._nodes[place:], *self._nodes[:place]]
        behind = self._order.value if self._order.f == Order.OUTRUN else None
        self._node = next(node for node in others if node != behind)

    def _unchanged(self) -> SessionStep:
        return SessionStep(deadline_ns=None if self._over else self._wake_ns)

    def _end(self, *, settled: bool, counts: dict[str, int] | None = None) -> SessionStep:
        self._over = True
        performed = Performed(counts or {}, self._concerned, settled)
        outcome = Outcome.OK if settled or counts else Outcome.INFO
        return SessionStep(completion=Completion(outcome=outcome, value=performed))


def _leads(report: StatusReport) -> bool:
    return report.role is Role.LEADER
