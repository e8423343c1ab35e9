"""The node: the core, its log on disk, and its service to clients, joined without any I/O.

The same class runs in production (`raft_trio.shell`) and in a simulator. Inputs are taken one by one; `flush` gives
everything they led to at once. Here belongs the order in which things become durable, known and said: messages that
promise something are held back until the disk has it. Elections and replication are `raft_trio.core`, clients are
`raft_trio.service`, bytes are `raft_trio.wire` and `raft_trio.storage`.

Networks may lose, repeat and reorder frames between nodes. A client's connection carries each request at most once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from random import Random

from raft_trio.administration import Administration
from raft_trio.build import Build
from raft_trio.config import RaftNodeConfig
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Outbound, Persist, Ready
from raft_trio.effects import NodeEffects
from raft_trio.errors import RaftError
from raft_trio.files import FileBatch, FileExecutor
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    ClientReply,
    ClientRequest,
    Forward,
    ForwardReply,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    Message,
    OpenSession,
    PeerFrame,
    Query,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVoteRequest,
    RequestVoteResponse,
    StatusReport,
    Submit,
    TimeoutNow,
)
from raft_trio.service import Service
from raft_trio.snapshots import SnapshotWriter
from raft_trio.storage.wal import Wal
from raft_trio.trace import Received, Sent, TraceEvent
from raft_trio.types import LogIndex, NodeId, Role, Term

__all__ = ["Node", "NodeEffects"]

_KINDS: dict[type[Message], str] = {
    RequestVoteRequest: "vote",
    RequestVoteResponse: "voted",
    TimeoutNow: "timeout_now",
    AppendEntriesRequest: "append",
    AppendEntriesResponse: "appended",
    InstallSnapshotRequest: "install",
    InstallSnapshotResponse: "installed",
    ReadIndexRequest: "read_index",
    ReadIndexResponse: "read_index_at",
    Forward: "forward",
    ForwardReply: "forwarded",
}
"""Kinds in traces: the tags of the messages."""

_BROKEN = (AssertionError, RaftError)
"""What the core raises when its invariants are broken: the node must end, for its state is not Raft's."""


class Node:
    """One incarnation of one node. All times are its own monotonic nanoseconds."""

    def __init__(self, node_id: NodeId, incarnation: int, config: RaftNodeConfig, build: Build, random: Random) -> None:
        """`incarnation` counts the node's starts from 1 and must never be used twice."""
        self._id = node_id
        self._incarnation = incarnation
        self._config = config
        self._build = build
        self._random = random
        self._core: RaftCore
        self._administration: Administration
        self._service: Service
        self._wal: Wal
        self._snapshots = SnapshotWriter()
        self._installing: int | None = None
        """Token of the newest batch that installs a snapshot."""
        self._failed: str | None = None
        self._outbox: dict[NodeId, list[Message]] = {}
        self._next_message = 0
        self._held: deque[tuple[int, tuple[Outbound, ...]]] = deque()
        """(token, messages that must not leave before that batch is done)."""
        self._written_token = self._done_token = 0
        self._trace: list[TraceEvent] = []

    # ── what it is; asked of a node that has started ─────────────────────────────────────────────────────────────────

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
        return self._service.applied_index

    @property
    def has_followers(self) -> bool:
        """It leads, and not itself alone."""
        return bool(self._core.followers())

    @property
    def read_rounds(self) -> int:
        """Rounds of heartbeats opened for reads so far."""
        return self._core.read_rounds

    def status(self) -> StatusReport:
        """What it knows of itself at this moment."""
        return self._administration.status("", self._service.applied_index)

    # ── inputs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, now_ns: int, execute: FileExecutor) -> None:
        """Recovers from disk. First call. A log that cannot be trusted or read ends the node (`NodeEffects.failed`)."""
        build = self._build
        try:
            self._wal, recovered = Wal.recover(
                build.disk(execute), self._id, build.codec, segment_bytes=self._config.wal_segment_bytes
            )
            self._core = RaftCore(
                self._id, self._config, recovered, rules=build.rules, random=self._random, now_ns=now_ns
            )
            term = recovered.hard_state.term
            timeout_ns = self._config.election_timeout_max_ns
            self._administration = Administration(self._id, self._core, timeout_ns=timeout_ns)
            self._service = Service(
                self._core,
                self._config,
                build,
                self._administration,
                incarnation=self._incarnation,
                restored_term=term,
            )
            if recovered.snapshot is not None:
                self._service.restore(recovered.snapshot)
        except (RaftError, OSError) as error:
            self._failed = f"cannot start: {error}"

    def frame(self, now_ns: int, frame: PeerFrame) -> None:
        """A peer's flush arrived: for the first time, again, or late."""
        if self._failed is not None:
            return
        source = frame.source
        number = frame.first
        detailed = self._config.detailed_trace
        try:
            for message in frame.messages:
                if detailed:
                    name = f"{source}.{frame.incarnation}.{number}"
                    self._trace.append(Received(name, _KINDS[type(message)], source))
                number += 1
                if isinstance(message, Forward):
                    self._service.take_forward(now_ns, source, message)
                elif isinstance(message, ForwardReply):
                    self._service.take_forward_reply(message)
                else:
                    self._core.step(now_ns, source, message)
        except _BROKEN as error:
            self._end(error)

    def request(self, now_ns: int, connection: str, request: ClientRequest) -> None:
        """A client asks. Each request is answered at most once; a connection that breaks is answered no more."""
        if self._failed is not None:
            return
        try:
            if isinstance(request, OpenSession | Submit | Query):
                self._service.request(now_ns, connection, request)
            else:
                applied = self._service.applied_index
                self._administration.request(now_ns, connection, request, applied=applied)
                self._snapshot_if_due()
        except _BROKEN as error:
            self._end(error)

    def disconnected(self, now_ns: int, connection: str) -> None:
        """A client is gone: what it asked for may still happen, but nobody is told."""
        if self._failed is None:
            self._service.disconnected(connection)
            self._administration.disconnected(connection)

    def io_done(self, now_ns: int, token: int, error: OSError | None) -> None:
        """The file batch `token` was executed. An error ends the node: after a failed sync nothing is certain."""
        if self._failed is not None:
            return
        if error is not None and not self._build.node_rules.goes_on_after_write_error(error):
            what = "log" if token > 0 else "snapshot"
            self._failed = f"batch {token} of the {what} failed: {error}"
            return
        try:
            if token > 0:
                self._log_written(now_ns, token)
            else:
                self._snapshot_written()
        except _BROKEN as broken:
            self._end(broken)

    def _log_written(self, now_ns: int, token: int) -> None:
        """Everything up to this batch of the log is durable."""
        self._wal.done(token)
        if self._installing is not None and token >= self._installing:
            self._installing = None
            self._snapshots.remove(self._wal.forget(self._core.snapshot_index))
            self._administration.snapshot_durable(self._core.snapshot_index)
        self._core.persisted(now_ns, token)
        self._done_token = token
        held = self._held
        while held and held[0][0] <= token:
            self._post(held.popleft()[1])

    def paused(self) -> None:
        """The process stood still, or the machine did: for whoever notices, on another clock than the node's."""
        if self._failed is None:
            self._core.paused()

    def wake(self, now_ns: int) -> None:
        """The time asked for has come, or passed."""
        if self._failed is not None:
            return
        try:
            self._core.wake(now_ns)
        except _BROKEN as error:
            self._end(error)

    # ── output ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def flush(self, now_ns: int) -> NodeEffects:
        """Everything that the inputs since the last flush led to."""
        if self._failed is not None:
            return self._last_effects()
        service = self._service
        service.expire(now_ns)
        try:
            ready = self._build.ready_filter(self._core.take_ready(now_ns))
            batches = self._act(ready)
        except _BROKEN as error:
            self._end(error)
            return self._last_effects()
        if self._administration.transfers:
            self._administration.look(now_ns)
        if self._administration.replies:
            self._take_answers()
        if service.outgoing:
            self._post(service.outgoing)
            service.outgoing.clear()
        if service.traced:
            self._trace += service.traced
            service.traced.clear()
        frames = self._take_frames() if self._outbox else ()
        replies: tuple[tuple[str, ClientReply], ...] = ()
        if service.replies:
            replies = tuple(service.replies)
            service.replies.clear()
        return NodeEffects(frames, replies, batches, self._wake_at_ns(), self._take_trace())

    def _take_answers(self) -> None:
        administration = self._administration
        self._service.replies += administration.replies
        administration.replies.clear()
        self._trace += administration.traced
        administration.traced.clear()

    def _act(self, ready: Ready) -> tuple[FileBatch, ...]:
        """Does what the core asks for. Returns what must be written."""
        self._trace += ready.trace
        batches: tuple[FileBatch, ...] = () if ready.persist is None else (self._persist(ready.persist),)
        if ready.messages:
            self._post(ready.messages)
        if ready.messages_after_sync:
            if self._written_token > self._done_token:
                self._held.append((self._written_token, ready.messages_after_sync))
            else:
                self._post(ready.messages_after_sync)
        if ready.snapshot is not None:
            self._service.restore(ready.snapshot)
        if ready.committed:
            self._service.apply(ready.committed)
            self._snapshot_if_due()
        if ready.read_states:
            self._service.take_read_states(ready.read_states)
        if ready.lost_leadership:
            self._service.leadership_lost()
            self._administration.leadership_lost()
        if self._snapshots.waiting and (batch := self._snapshots.next()) is not None:
            batches += (self._build.files(batch),)
        return batches

    def _snapshot_if_due(self) -> None:
        if self._snapshots.snapshot is not None:
            return
        service = self._service
        threshold = 1 if self._administration.wants_snapshot else self._config.snapshot_threshold
        index = self._build.node_rules.due_for_snapshot(service.applied_index, self._core.snapshot_index, threshold)
        if index is not None:
            snapshot = service.snapshot(index)
            self._snapshots.begin(snapshot, self._wal.snapshots.write(snapshot))

    def _snapshot_written(self) -> None:
        """A slice, a whole snapshot, or a removal is done."""
        snapshot = self._snapshots.done()
        if snapshot is not None:
            self._core.compact(snapshot)
            self._snapshots.remove(self._wal.forget(snapshot.index))
            self._administration.snapshot_durable(snapshot.index)
            self._snapshot_if_due()

    def _persist(self, persist: Persist) -> FileBatch:
        self._written_token = persist.token
        if persist.snapshot is not None:
            self._installing = persist.token
        return self._build.files(self._wal.append(persist))

    def _post(self, messages: Iterable[Outbound]) -> None:
        outbox = self._outbox
        for to, message in messages:
            if to in outbox:
                outbox[to].append(message)
            else:
                outbox[to] = [message]

    def _take_frames(self) -> tuple[tuple[NodeId, PeerFrame], ...]:
        node, incarnation, number, trace = self._id, self._incarnation, self._next_message, self._trace
        frames = []
        for to, messages in self._outbox.items():
            frames.append((to, PeerFrame(node, incarnation, number, tuple(messages))))
            if not self._config.detailed_trace:
                number += len(messages)
                continue
            for message in messages:
                trace.append(_sent(f"{node}.{incarnation}.{number}", to, message))
                number += 1
        self._next_message = number
        self._outbox.clear()
        return tuple(frames)

    def _take_trace(self) -> tuple[TraceEvent, ...]:
        if not self._trace:
            return ()
        trace = tuple(self._trace)
        self._trace.clear()
        return trace

    def _wake_at_ns(self) -> int:
        wake_ns, service_ns = self._core.deadline_ns(), self._service.deadline_ns()
        if service_ns is not None and service_ns < wake_ns:
            wake_ns = service_ns
        transfer_ns = self._administration.deadline_ns() if self._administration.transfers else None
        return wake_ns if transfer_ns is None else min(wake_ns, transfer_ns)

    def _end(self, error: Exception) -> None:
        self._failed = f"{type(error).__name__}: {error}"

    def _last_effects(self) -> NodeEffects:
        """A node that ended says what it did until then, and nothing to anybody else."""
        return NodeEffects(trace=self._take_trace(), failed=self._failed)


def _sent(name: str, to: NodeId, message: Message) -> Sent:
    """The trace of a message: the operation it carries first, or what it promises."""
    match message:
        case AppendEntriesResponse(term=term, success=True, match_index=match_index):
            return Sent(name, "appended", to, "", term, match_index)
        case RequestVoteResponse(term=term, granted=True, pre_vote=False):
            return Sent(name, "voted", to, "", term, 0, True)
        case _:
            return Sent(name, _KINDS[type(message)], to, _cause(message))


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
