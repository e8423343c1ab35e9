"""The node: the core, its log on disk, its state machine and its clients, joined without any I/O.

The same class runs in production (`raft_trio.shell`) and in a simulator. Inputs are taken one by one; `flush` gives
everything they led to at once, in the order of durability. Here belongs what a node does around the core: holding
messages back until the disk has what they promise, applying, and answering clients honestly. Elections and replication
are `raft_trio.core`; bytes are `raft_trio.wire` and `raft_trio.storage`.

Networks may lose, repeat and reorder frames between nodes. A client's connection carries each request at most once.
"""

from __future__ import annotations

from collections import deque
from random import Random

import msgspec

from raft_trio.build import Build
from raft_trio.config import RaftNodeConfig
from raft_trio.core.log import entry_digest
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Outbound, Persist, ReadState
from raft_trio.errors import RaftError
from raft_trio.files import FileBatch, FileExecutor
from raft_trio.forwarding import Arrivals
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    ClientReply,
    ClientRequest,
    Done,
    Forward,
    ForwardReply,
    Message,
    OpenSession,
    OutcomeUnknown,
    PeerFrame,
    Query,
    ReadIndexRequest,
    ReadIndexResponse,
    Refusal,
    Refused,
    RequestVoteRequest,
    RequestVoteResponse,
    SessionOpened,
    Submit,
)
from raft_trio.sessions import Applied as CommandApplied
from raft_trio.sessions import Expired, Outcome, Sessions, Superseded
from raft_trio.storage.wal import Wal
from raft_trio.trace import Acknowledged, Applied, Received, Sent, TraceEvent
from raft_trio.types import EntryType, LogEntry, LogIndex, NodeId, Role, Term

__all__ = ["COMMAND_BYTES_MAX", "Node", "NodeEffects"]

COMMAND_BYTES_MAX = 1 << 20
"""A longer command is refused: it would have to travel in one message and be held in memory by every node."""

_CONTEXT_BITS = 40
"""Request numbers of one incarnation; a trillion. The incarnation stands above them, so that no number comes twice."""

_KINDS: dict[type[Message], str] = {
    RequestVoteRequest: "vote",
    RequestVoteResponse: "voted",
    AppendEntriesRequest: "append",
    AppendEntriesResponse: "appended",
    ReadIndexRequest: "read_index",
    ReadIndexResponse: "read_index_at",
    Forward: "forward",
    ForwardReply: "forwarded",
}


class NodeEffects(msgspec.Struct, frozen=True):
    """What one flush asks of the world, in this order: trace, then everything else."""

    frames: tuple[tuple[NodeId, PeerFrame], ...] = ()
    """At most one per peer. What waits for the disk comes in a later flush."""
    replies: tuple[tuple[str, ClientReply], ...] = ()
    """(connection, reply)."""
    batches: tuple[FileBatch, ...] = ()
    """To be executed in order, one after the other; `Node.io_done` takes the outcome of each."""
    wake_at_ns: int | None = None
    """Call `Node.wake` then; replaces what was asked before."""
    trace: tuple[TraceEvent, ...] = ()
    """In causal order; to be written before the frames leave."""
    failed: str | None = None
    """The node has ended for this reason and must not be called again."""


class _Asker(msgspec.Struct, frozen=True, gc=False):
    """Who waits for an answer: a client of this node, or the node that forwarded a client's request."""

    operation: str
    connection: str | None
    node: NodeId = ""
    context: int = 0


class _Proposed(msgspec.Struct, frozen=True, gc=False):
    """A request that this node appended as leader of `term`."""

    term: Term
    asker: _Asker


class _Forwarded(msgspec.Struct, frozen=True, gc=False):
    """A client's request that the leader was asked to carry out."""

    connection: str
    operation: str
    deadline_ns: int


class _Read(msgspec.Struct, frozen=True, gc=False):
    """A client's query that waits for its read index, or for that index to be applied."""

    connection: str
    query: Query


class Node:
    """One incarnation of one node. All times are its own monotonic nanoseconds."""

    def __init__(self, node_id: NodeId, incarnation: int, config: RaftNodeConfig, build: Build, random: Random) -> None:
        """`incarnation` counts the node's starts from 1 and must never be used twice."""
        self._id = node_id
        self._incarnation = incarnation
        self._config = config
        self._build = build
        self._rules = build.node_rules
        self._random = random
        self._machine = build.machine()
        self._sessions = Sessions(is_new=build.node_rules.is_new_command)
        self._core: RaftCore
        self._wal: Wal
        self._failed: str | None = None
        self._restored_term: Term = 0
        self._applied_index: LogIndex = 0
        self._applied_term: Term = 0
        # Requests and who waits for them.
        self._next_context = incarnation << _CONTEXT_BITS
        self._proposed: dict[LogIndex, _Proposed] = {}
        self._forwarded: dict[int, _Forwarded] = {}
        """By context, in the order of deadlines."""
        self._reads: dict[int, _Read] = {}
        """By context; the core answers every one, late by an election timeout at most."""
        self._readable: list[tuple[LogIndex, _Read]] = []
        """Reads whose index is known but not yet applied."""
        self._arrivals = Arrivals()
        # What the next flush gives away.
        self._outbox: dict[NodeId, list[Message]] = {}
        self._held: deque[tuple[int, tuple[Outbound, ...]]] = deque()
        """(token, messages that must not leave before that batch is done)."""
        self._written_token = self._done_token = 0
        self._replies: list[tuple[str, ClientReply]] = []
        self._inputs_traced: list[TraceEvent] = []
        self._outputs_traced: list[TraceEvent] = []
        self._next_message = 0

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def role(self) -> Role:
        """Role in the current term."""
        return self._core.role

    @property
    def term(self) -> Term:
        """Current term."""
        return self._core.term

    @property
    def leader(self) -> NodeId | None:
        """The leader of the current term, where known."""
        return self._core.leader

    @property
    def applied_index(self) -> LogIndex:
        """Last entry given to the state machine."""
        return self._applied_index

    # ── inputs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, now_ns: int, execute: FileExecutor) -> None:
        """Recovers from disk. First call. A log that cannot be trusted or read ends the node (`NodeEffects.failed`)."""
        try:
            self._wal, recovered = Wal.recover(execute, self._id, self._build.codec)
            self._restored_term = recovered.hard_state.term
            self._core = RaftCore(
                self._id, self._config, recovered, rules=self._build.rules, random=self._random, now_ns=now_ns
            )
        except (RaftError, OSError) as error:
            self._failed = f"cannot start: {error}"

    def frame(self, now_ns: int, frame: PeerFrame) -> None:
        """A peer's flush arrived: for the first time, again, or late."""
        if self._failed is not None:
            return
        source = frame.source
        prefix = f"{source}.{frame.incarnation}."
        traced = self._inputs_traced
        step = self._core.step
        try:
            for number, message in enumerate(frame.messages, frame.first):
                kind = type(message)
                traced.append(Received(f"{prefix}{number}", _KINDS[kind], source))
                if isinstance(message, Forward):
                    self._take_forward(now_ns, source, message)
                elif isinstance(message, ForwardReply):
                    self._take_forward_reply(message)
                else:
                    step(now_ns, source, message)
        except (AssertionError, RaftError) as error:
            self._end(error)

    def request(self, now_ns: int, connection: str, request: ClientRequest) -> None:
        """A client asks. Each request is answered at most once; a connection that breaks is answered no more."""
        if self._failed is not None:
            return
        try:
            if isinstance(request, Query):
                self._query(now_ns, connection, request)
            else:
                self._command(now_ns, connection, request)
        except (AssertionError, RaftError) as error:
            self._end(error)

    def disconnected(self, now_ns: int, connection: str) -> None:
        """A client is gone: what it asked for may still happen, but nobody is told."""
        self._proposed = {i: p for i, p in self._proposed.items() if p.asker.connection != connection}
        self._forwarded = {c: f for c, f in self._forwarded.items() if f.connection != connection}
        self._reads = {c: read for c, read in self._reads.items() if read.connection != connection}
        self._readable = [(i, read) for i, read in self._readable if read.connection != connection]
        self._replies = [(c, reply) for c, reply in self._replies if c != connection]

    def io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        """The file batch `token` was executed. An error ends the node: after a failed sync nothing is certain."""
        if self._failed is not None:
            return
        if error is not None:
            self._failed = f"batch {token} of the log failed: {error}"
            return
        try:
            self._wal.done(token)
            self._core.persisted(now_ns, token)
        except (AssertionError, RaftError) as broken:
            self._end(broken)
        self._done_token = token
        held = self._held
        while held and held[0][0] <= token:
            self._post(held.popleft()[1])

    def wake(self, now_ns: int) -> None:
        """The time asked for has come, or passed."""
        if self._failed is not None:
            return
        try:
            self._core.wake(now_ns)
        except (AssertionError, RaftError) as error:
            self._end(error)

    # ── output ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def flush(self, now_ns: int) -> NodeEffects:
        """Everything that the inputs since the last flush led to."""
        if self._failed is not None:
            return self._last_effects()
        try:
            batches = self._work(now_ns)
        except (AssertionError, RaftError) as error:
            self._end(error)
            return self._last_effects()
        frames = self._frames() if self._outbox else ()
        trace = (*self._inputs_traced, *self._outputs_traced)
        self._inputs_traced.clear()
        self._outputs_traced.clear()
        replies: tuple[tuple[str, ClientReply], ...] = ()
        if self._replies:
            replies = tuple(self._replies)
            self._replies.clear()
        return NodeEffects(frames, replies, batches, self._wake_at_ns(), trace)

    def _work(self, now_ns: int) -> tuple[FileBatch, ...]:
        """Acts on what the core asks for. Returns what must be written."""
        if self._forwarded:
            self._expire(now_ns)
        ready = self._build.ready_filter(self._core.take_ready(now_ns))
        self._inputs_traced += ready.trace
        batches = () if ready.persist is None else (self._persist(ready.persist),)
        if ready.messages:
            self._post(ready.messages)
        if ready.messages_after_sync:
            if self._written_token > self._done_token:
                self._held.append((self._written_token, ready.messages_after_sync))
            else:
                self._post(ready.messages_after_sync)
        if ready.committed:
            self._apply(ready.committed)
        for state in ready.read_states:
            self._take_read_state(state)
        if ready.lost_leadership:
            self._give_up_proposed()
        return batches

    def _persist(self, persist: Persist) -> FileBatch:
        self._written_token = persist.token
        return self._build.files(self._wal.append(persist))

    def _post(self, messages: tuple[Outbound, ...]) -> None:
        outbox = self._outbox
        for to, message in messages:
            if to in outbox:
                outbox[to].append(message)
            else:
                outbox[to] = [message]

    def _frames(self) -> tuple[tuple[NodeId, PeerFrame], ...]:
        frames = []
        number = self._next_message
        prefix = f"{self._id}.{self._incarnation}."
        traced = self._outputs_traced
        for to, messages in self._outbox.items():
            frames.append((to, PeerFrame(self._id, self._incarnation, number, tuple(messages))))
            for message in messages:
                traced.append(Sent(f"{prefix}{number}", _KINDS[type(message)], to, _cause(message)))
                number += 1
        self._next_message = number
        self._outbox = {}
        return tuple(frames)

    def _wake_at_ns(self) -> int:
        deadline_ns = self._core.deadline_ns()
        if self._forwarded:
            first = next(iter(self._forwarded.values()))
            return min(deadline_ns, first.deadline_ns)
        return deadline_ns

    def _end(self, error: Exception) -> None:
        self._failed = f"{type(error).__name__}: {error}"

    def _last_effects(self) -> NodeEffects:
        trace = (*self._inputs_traced, *self._outputs_traced)
        self._inputs_traced.clear()
        self._outputs_traced.clear()
        return NodeEffects(trace=trace, failed=self._failed)

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, now_ns: int, connection: str, request: OpenSession | Submit) -> None:
        asker = _Asker(request.operation, connection)
        if isinstance(request, Submit) and not _is_possible(request):
            self._answer(asker, Refused(request.operation, Refusal.BAD_REQUEST, self._core.leader))
        elif self._core.role is Role.LEADER:
            self._propose(now_ns, asker, request)
        elif self._core.leader is None:
            self._answer(asker, Refused(request.operation, Refusal.NO_LEADER))
        else:
            self._forward(now_ns, connection, self._core.leader, request)

    def _propose(self, now_ns: int, asker: _Asker, request: OpenSession | Submit) -> None:
        core = self._core
        if isinstance(request, Submit):
            index = core.propose(
                now_ns,
                EntryType.COMMAND,
                operation=request.operation,
                session=request.session,
                sequence=request.sequence,
                data=request.command,
            )
        else:
            index = core.propose(now_ns, EntryType.OPEN_SESSION, operation=request.operation)
        if index is None:
            self._answer(asker, Refused(request.operation, Refusal.OVERLOADED, core.leader))
            return
        replaced = self._proposed.pop(index, None)
        if replaced is not None:
            self._answer_unknown(replaced.asker, "leadership-lost")
        early = self._rules.result_at_append(self._machine, request.command) if isinstance(request, Submit) else None
        if early is None:
            self._proposed[index] = _Proposed(core.term, asker)
        else:
            self._answer_done(asker, early, core.term, index)

    def _forward(self, now_ns: int, connection: str, leader: NodeId, request: OpenSession | Submit) -> None:
        context = self._new_context()
        deadline_ns = now_ns + self._config.election_timeout_max_ns
        self._forwarded[context] = _Forwarded(connection, request.operation, deadline_ns)
        self._post(((leader, Forward(self._core.term, context, request)),))

    def _new_context(self) -> int:
        self._next_context += 1
        return self._next_context

    def _take_forward(self, now_ns: int, source: NodeId, message: Forward) -> None:
        """Decides on a peer's client's request: proposes it, or refuses it where that is certain to be true.

        The sender saw this node lead `message.term`. If that was before this node's restart, another copy may have been
        proposed by its earlier incarnation, and nothing certain can be said: no answer, the sender's deadline decides.
        """
        if not self._arrivals.is_first(source, message.context) or message.term <= self._restored_term:
            return
        request = message.request
        asker = _Asker(request.operation, None, source, message.context)
        if self._core.role is Role.LEADER:
            self._propose(now_ns, asker, request)
        else:
            self._answer(asker, Refused(request.operation, Refusal.NOT_LEADER, self._core.leader))

    def _take_forward_reply(self, message: ForwardReply) -> None:
        forwarded = self._forwarded.pop(message.context, None)
        if forwarded is not None:
            self._replies.append((forwarded.connection, message.reply))

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _query(self, now_ns: int, connection: str, query: Query) -> None:
        context = self._new_context()
        self._reads[context] = _Read(connection, query)
        self._core.read_index(now_ns, context, query.operation)

    def _take_read_state(self, state: ReadState) -> None:
        read = self._reads.pop(state.context, None)
        if read is None:
            return
        if state.index is None:
            self._refuse_read(read)
        elif self._rules.may_read(self._applied_index, state.index):
            self._answer_read(read)
        else:
            self._readable.append((state.index, read))

    def _answer_readable(self) -> None:
        waiting: list[tuple[LogIndex, _Read]] = []
        for index, read in self._readable:
            if self._rules.may_read(self._applied_index, index):
                self._answer_read(read)
            else:
                waiting.append((index, read))
        self._readable = waiting

    def _answer_read(self, read: _Read) -> None:
        result = self._machine.query(read.query.command)
        reply = Done(read.query.operation, result, self._applied_term, self._applied_index)
        self._replies.append((read.connection, reply))

    def _refuse_read(self, read: _Read) -> None:
        """A read that is not answered certainly had no effect."""
        leader = self._core.leader
        reason = Refusal.NO_LEADER if leader is None else Refusal.NOT_LEADER
        self._replies.append((read.connection, Refused(read.query.operation, reason, leader)))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, committed: tuple[LogEntry, ...]) -> None:
        sessions, machine, proposed = self._sessions, self._machine, self._proposed
        for entry in committed:
            assert entry.index == self._applied_index + 1
            outcome: Outcome | None = None
            if entry.type is EntryType.COMMAND:
                outcome = sessions.apply(entry, machine)
            elif entry.type is EntryType.OPEN_SESSION:
                sessions.open(entry)
            self._applied_index, self._applied_term = entry.index, entry.term
            self._outputs_traced.append(Applied(entry.index, entry_digest(entry)))
            if proposed and entry.index in proposed:
                self._settle(proposed.pop(entry.index), entry, outcome)
        if self._readable:
            self._answer_readable()

    def _settle(self, proposed: _Proposed, entry: LogEntry, outcome: Outcome | None) -> None:
        """Answers the request that this node proposed at the entry's index."""
        asker = proposed.asker
        if proposed.term != entry.term:
            # Another leader's entry was committed in its place, so it never will be (Raft §5.4.3).
            self._answer(asker, Refused(asker.operation, Refusal.NOT_LEADER, self._core.leader))
            return
        match outcome:
            case CommandApplied(_, result, term, index):
                self._answer_done(asker, result, term, index)
            case Expired():
                self._answer(asker, Refused(asker.operation, Refusal.SESSION_EXPIRED, self._core.leader))
            case Superseded():
                self._answer_unknown(asker, "superseded")
            case None:
                self._outputs_traced.append(Acknowledged(asker.operation, entry.index))
                self._answer(asker, SessionOpened(asker.operation, entry.index))

    def _give_up_proposed(self) -> None:
        """Leadership was lost: what is not committed yet may be, or may not."""
        core = self._core
        kept: dict[LogIndex, _Proposed] = {}
        for index, proposed in self._proposed.items():
            if core.role is Role.LEADER and proposed.term == core.term:
                kept[index] = proposed
            else:
                self._answer_unknown(proposed.asker, "leadership-lost")
        self._proposed = kept

    def _expire(self, now_ns: int) -> None:
        """The leader did not answer in time: whether it heard of the request is not known."""
        expired = []
        for context, forwarded in self._forwarded.items():
            if forwarded.deadline_ns > now_ns:
                break
            expired.append(context)
        for context in expired:
            forwarded = self._forwarded.pop(context)
            self._replies.append((forwarded.connection, OutcomeUnknown(forwarded.operation, "timeout")))

    def _answer_done(self, asker: _Asker, result: bytes, term: Term, index: LogIndex) -> None:
        self._outputs_traced.append(Acknowledged(asker.operation, index))
        self._answer(asker, Done(asker.operation, result, term, index))

    def _answer_unknown(self, asker: _Asker, reason: str) -> None:
        self._answer(asker, OutcomeUnknown(asker.operation, reason))

    def _answer(self, asker: _Asker, reply: Done | SessionOpened | Refused | OutcomeUnknown) -> None:
        if asker.connection is not None:
            self._replies.append((asker.connection, reply))
        else:
            self._post(((asker.node, ForwardReply(self._core.term, asker.context, reply)),))


def _is_possible(request: Submit) -> bool:
    return request.session > 0 and request.sequence > 0 and len(request.command) <= COMMAND_BYTES_MAX


def _cause(message: Message) -> str:
    """The client operation that a message carries first."""
    match message:
        case AppendEntriesRequest():
            return message.entries[0].operation if message.entries else ""
        case Forward():
            return message.request.operation
        case ForwardReply():
            return message.reply.operation
        case ReadIndexRequest():
            return message.operation
        case _:
            return ""
