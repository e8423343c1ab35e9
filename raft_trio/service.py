"""What a node does for clients: proposes or forwards commands, applies what is committed, and answers honestly.

Three answers exist, never two: it took effect, it certainly never will, nobody can know. A refusal is given only where
no copy of the request can be in any log. Here belongs who waits for what; elections, replication and the order of disk
and network are elsewhere (`raft_trio.core`, `raft_trio.node`).
"""

from __future__ import annotations

from typing import assert_never

from raft_trio.administration import Administration
from raft_trio.build import Build
from raft_trio.config import RaftNodeConfig
from raft_trio.core.configurations import config_of
from raft_trio.core.log import entry_digest
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Outbound, ReadState
from raft_trio.forwarding import Arrivals
from raft_trio.messages import (
    ClientReply,
    Done,
    Forward,
    ForwardReply,
    OpenSession,
    OutcomeUnknown,
    Query,
    Refusal,
    Refused,
    SessionOpened,
    Submit,
)
from raft_trio.sessions import Applied as CommandApplied
from raft_trio.sessions import Expired, Outcome, Sessions, Superseded
from raft_trio.snapshots import restore_state, take_snapshot
from raft_trio.trace import Acknowledged, Applied, Snapshotted, TraceEvent
from raft_trio.types import EntryType, LogEntry, LogIndex, NodeId, Role, Snapshot, Term
from raft_trio.waiting import Asker, Forwarded, Proposed, WaitingRead

__all__ = ["COMMAND_BYTES_MAX", "Service"]

COMMAND_BYTES_MAX = 1 << 20
"""A longer command is refused: it would have to travel in one message and be held in memory by every node."""

_CONTEXT_BITS = 40
"""Request numbers of one incarnation; a trillion. The incarnation stands above them, so that no number comes twice."""


class Service:
    """The clients' side of one incarnation of a node. The node drains `replies`, `outgoing` and `traced`."""

    def __init__(
        self,
        core: RaftCore,
        config: RaftNodeConfig,
        build: Build,
        administration: Administration,
        *,
        incarnation: int,
        restored_term: Term,
    ) -> None:
        """`restored_term` is the term the disk gave back."""
        self._core = core
        self._administration = administration
        self._timeout_ns = config.election_timeout_max_ns
        self._rules = build.node_rules
        self._detailed = config.detailed_trace
        self._machine = build.machine()
        self._sessions = Sessions(is_new=build.node_rules.is_new_command)
        self._restored_term = restored_term
        self._next_context = incarnation << _CONTEXT_BITS
        self._arrivals = Arrivals()
        self._proposed: dict[LogIndex, Proposed] = {}
        self._forwarded: dict[int, Forwarded] = {}
        """By context, in the order of deadlines."""
        self._reads: dict[int, WaitingRead] = {}
        """By context; the core answers every one, late by an election timeout at most."""
        self._readable: list[tuple[LogIndex, WaitingRead]] = []
        """Reads whose index is known but not yet applied."""
        self.applied_index: LogIndex = 0
        self.applied_term: Term = 0
        self.replies: list[tuple[str, ClientReply]] = []
        self.outgoing: list[Outbound] = []
        self.traced: list[TraceEvent] = []

    # ── from clients and from peers on behalf of theirs ──────────────────────────────────────────────────────────────

    def request(self, now_ns: int, connection: str, request: OpenSession | Submit | Query) -> None:
        """A client asks. Each request is answered at most once."""
        match request:
            case Query():
                self._query(now_ns, connection, request)
            case Submit() if not _is_possible(request):
                self.replies.append((connection, self._refused(request.operation, Refusal.BAD_REQUEST)))
            case OpenSession() | Submit():
                self._command(now_ns, connection, request)

    def disconnected(self, connection: str) -> None:
        """A client is gone: what it asked for may still happen, but nobody is told."""
        self._proposed = {i: p for i, p in self._proposed.items() if p.asker.connection != connection}
        self._forwarded = {c: f for c, f in self._forwarded.items() if f.connection != connection}
        self._reads = {c: read for c, read in self._reads.items() if read.connection != connection}
        self._readable = [(i, read) for i, read in self._readable if read.connection != connection]
        self.replies = [(c, reply) for c, reply in self.replies if c != connection]

    def take_forward(self, now_ns: int, source: NodeId, message: Forward) -> None:
        """Decides on a peer's client's request: proposes it, or refuses it where that is certain to be true.

        The sender saw this node lead `message.term`. If that was before this node's restart, another copy may have been
        proposed by its earlier incarnation, and nothing certain can be said: no answer, the sender's deadline decides.
        """
        if not self._arrivals.is_first(source, message.context) or message.term <= self._restored_term:
            return
        asker = Asker(message.request.operation, None, source, message.context)
        if self._core.role is Role.LEADER:
            self._propose(now_ns, asker, message.request)
        else:
            self._answer(asker, self._refused(asker.operation, Refusal.NOT_LEADER))

    def take_forward_reply(self, message: ForwardReply) -> None:
        """The leader answered what this node forwarded; late and repeated answers find nobody waiting."""
        forwarded = self._forwarded.pop(message.context, None)
        if forwarded is not None:
            self.replies.append((forwarded.connection, message.reply))

    # ── from the core ────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, committed: tuple[LogEntry, ...]) -> None:
        """Gives newly committed entries to the state machine, in order, and answers who waited for them."""
        sessions, machine, proposed, traced = self._sessions, self._machine, self._proposed, self.traced
        detailed = self._detailed
        for entry in committed:
            assert entry.index == self.applied_index + 1, f"entry {entry.index} applied after {self.applied_index}"
            outcome: Outcome | None = None
            if entry.type is EntryType.COMMAND:
                outcome = sessions.apply(entry, machine)
            elif entry.type is EntryType.OPEN_SESSION:
                sessions.open(entry)
            elif entry.type is EntryType.CONFIGURATION:
                self._administration.configuration_applied(entry, final=not config_of(entry).voters_outgoing)
            self.applied_index, self.applied_term = entry.index, entry.term
            if detailed:
                traced.append(Applied(entry.index, entry_digest(entry)))
            if proposed and entry.index in proposed:
                self._settle(proposed.pop(entry.index), entry, outcome)
        if self._readable:
            self._answer_readable()

    def restore(self, snapshot: Snapshot) -> None:
        """Puts a snapshot in the place of the state. Raises Corrupt."""
        restore_state(snapshot, self._machine, self._sessions)
        self.applied_index, self.applied_term = snapshot.index, snapshot.term
        if self._readable:
            self._answer_readable()

    def snapshot(self, index: LogIndex) -> Snapshot:
        """The state as a snapshot, which is to be that of `index`."""
        rules, core = self._rules, self._core
        config_index, config = core.config_at(min(index, self.applied_index))
        snapshot = take_snapshot(
            self._machine,
            rules.sessions_in_snapshot(self._sessions.snapshot()),
            index=index,
            term=rules.term_of_snapshot(self.applied_term, core.term),
            configuration=(config_index, rules.config_in_snapshot(config)),
        )
        self.traced.append(Snapshotted(snapshot.index, snapshot.term, snapshot.digest, False))
        return snapshot

    def take_read_states(self, states: tuple[ReadState, ...]) -> None:
        """The core says from which index on reads are recent enough, or that they cannot be served."""
        for state in states:
            read = self._reads.pop(state.context, None)
            if read is None:
                continue
            if state.index is None:
                self._refuse_read(read)
            elif self._rules.may_read(self.applied_index, state.index):
                self._answer_read(read)
            else:
                self._readable.append((state.index, read))

    def leadership_lost(self) -> None:
        """What is not committed yet may be later, or may not."""
        core = self._core
        kept: dict[LogIndex, Proposed] = {}
        for index, proposed in self._proposed.items():
            if core.role is Role.LEADER and proposed.term == core.term:
                kept[index] = proposed
            else:
                self._answer(proposed.asker, OutcomeUnknown(proposed.asker.operation, "leadership-lost"))
        self._proposed = kept

    def expire(self, now_ns: int) -> None:
        """Gives up forwarded requests that the leader did not answer: whether it heard of them is not known."""
        while self._forwarded:
            context, forwarded = next(iter(self._forwarded.items()))
            if forwarded.deadline_ns > now_ns:
                return
            del self._forwarded[context]
            self.replies.append((forwarded.connection, OutcomeUnknown(forwarded.operation, "timeout")))

    def deadline_ns(self) -> int | None:
        """When `expire` next has something to do."""
        for forwarded in self._forwarded.values():
            return forwarded.deadline_ns
        return None

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, now_ns: int, connection: str, request: OpenSession | Submit) -> None:
        core = self._core
        if core.role is Role.LEADER:
            self._propose(now_ns, Asker(request.operation, connection), request)
        elif core.leader is None:
            self.replies.append((connection, self._refused(request.operation, Refusal.NO_LEADER)))
        else:
            context = self._new_context()
            self._forwarded[context] = Forwarded(connection, request.operation, now_ns + self._timeout_ns)
            self.outgoing.append((core.leader, Forward(core.term, context, request)))

    def _propose(self, now_ns: int, asker: Asker, request: OpenSession | Submit) -> None:
        index = self._append(now_ns, request)
        if index is None:
            transferring = self._core.transferee is not None
            reason = Refusal.TRANSFER_IN_PROGRESS if transferring else Refusal.OVERLOADED
            self._answer(asker, self._refused(asker.operation, reason))
            return
        replaced = self._proposed.pop(index, None)
        if replaced is not None:
            self._answer(replaced.asker, OutcomeUnknown(replaced.asker.operation, "leadership-lost"))
        early = self._rules.result_at_append(self._machine, request.command) if isinstance(request, Submit) else None
        if early is None:
            self._proposed[index] = Proposed(self._core.term, asker)
        else:
            self._answer_done(asker, early, self._core.term, index)

    def _append(self, now_ns: int, request: OpenSession | Submit) -> LogIndex | None:
        if isinstance(request, OpenSession):
            return self._core.propose(now_ns, EntryType.OPEN_SESSION, operation=request.operation)
        return self._core.propose(
            now_ns,
            EntryType.COMMAND,
            operation=request.operation,
            session=request.session,
            sequence=request.sequence,
            data=request.command,
        )

    def _settle(self, proposed: Proposed, entry: LogEntry, outcome: Outcome | None) -> None:
        """Answers the request that this node proposed at the entry's index."""
        asker = proposed.asker
        if proposed.term != entry.term:
            # Another leader's entry was committed in its place, so it never will be (Raft §5.4.3).
            self._answer(asker, self._refused(asker.operation, Refusal.NOT_LEADER))
            return
        match outcome:
            case CommandApplied(_, result, term, index):
                self._answer_done(asker, result, term, index)
            case Expired():
                self._answer(asker, self._refused(asker.operation, Refusal.SESSION_EXPIRED))
            case Superseded():
                self._answer(asker, OutcomeUnknown(asker.operation, "superseded"))
            case None:
                self.traced.append(Acknowledged(asker.operation, entry.index))
                self._answer(asker, SessionOpened(asker.operation, entry.index))
            case _:
                assert_never(outcome)

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _query(self, now_ns: int, connection: str, query: Query) -> None:
        context = self._new_context()
        self._reads[context] = WaitingRead(connection, query)
        self._core.read_index(now_ns, context, query.operation)

    def _answer_readable(self) -> None:
        waiting: list[tuple[LogIndex, WaitingRead]] = []
        for index, read in self._readable:
            if self._rules.may_read(self.applied_index, index):
                self._answer_read(read)
            else:
                waiting.append((index, read))
        self._readable = waiting

    def _answer_read(self, read: WaitingRead) -> None:
        result = self._machine.query(read.query.command)
        reply = Done(read.query.operation, result, self.applied_term, self.applied_index)
        self.replies.append((read.connection, reply))

    def _refuse_read(self, read: WaitingRead) -> None:
        """A read that is not answered certainly had no effect."""
        reason = Refusal.NO_LEADER if self._core.leader is None else Refusal.NOT_LEADER
        self.replies.append((read.connection, self._refused(read.query.operation, reason)))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _new_context(self) -> int:
        self._next_context += 1
        return self._next_context

    def _refused(self, operation: str, reason: Refusal) -> Refused:
        return Refused(operation, reason, self._core.leader)

    def _answer_done(self, asker: Asker, result: bytes, term: Term, index: LogIndex) -> None:
        if self._detailed:
            self.traced.append(Acknowledged(asker.operation, index))
        self._answer(asker, Done(asker.operation, result, term, index))

    def _answer(self, asker: Asker, reply: Done | SessionOpened | Refused | OutcomeUnknown) -> None:
        if asker.connection is not None:
            self.replies.append((asker.connection, reply))
        else:
            self.outgoing.append((asker.node, ForwardReply(self._core.term, asker.context, reply)))


def _is_possible(request: Submit) -> bool:
    return request.session > 0 and request.sequence > 0 and len(request.command) <= COMMAND_BYTES_MAX
