"""`RaftCore`: one node of Raft as a deterministic function of events. Start here.

Belongs here: the public face, the comparison of terms that every message goes through (Raft §5.1), and the hand-over.
The parts of the algorithm: `election` and `roles`, `replication`, `reads`; the decisions: `raft_trio.rules`.

    core.step(now, source, message); core.propose(now, ...); core.wake(now)     any number of times
    ready = core.take_ready()        persist it, send, apply, answer: see `Ready`
    core.persisted(now, token)       when the write is durable
    core.deadline_ns()               when to call wake

Time is the node's monotonic clock in integer nanoseconds and never goes back. Nothing here blocks, and nothing but the
given `Random` is random. Broken invariants raise `AssertionError`: the node must end, for its state is not Raft's.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from raft_trio.config import RaftNodeConfig
from raft_trio.core import reads
from raft_trio.core.change import begin_change, settle
from raft_trio.core.configurations import Positioned
from raft_trio.core.election import campaign, check_quorum, count_own_vote, step_vote_request, step_vote_response
from raft_trio.core.installation import step_install, step_installed
from raft_trio.core.lease import note_asked, void_lease
from raft_trio.core.log import ENTRY_OVERHEAD
from raft_trio.core.membership import config_at, forget_configurations
from raft_trio.core.ready import Persist, Ready, Recovered
from raft_trio.core.replication import append_own, count_own, replicate, step_append, step_appended
from raft_trio.core.roles import become_follower
from raft_trio.core.state import CoreState, WriteMark
from raft_trio.core.transfer import begin_transfer, end_if_overdue, go_on_with_transfer, step_timeout_now
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    Message,
    PeerStatus,
    ReadIndexRequest,
    ReadIndexResponse,
    Refusal,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNow,
)
from raft_trio.rules import Rules
from raft_trio.trace import Synced, Voted
from raft_trio.types import Config, EntryType, HardState, LogEntry, LogIndex, NodeId, Role, Snapshot, Term

__all__ = ["RaftCore"]

NOTHING = Ready()

T = TypeVar("T")

# Looking a member up in its enumeration costs as much as a call, and these are asked for on every event.
_LEADER = Role.LEADER
_FOLLOWER = Role.FOLLOWER


class RaftCore:
    """One incarnation of one node. Raises `LogInconsistency` when `recovered` cannot come from a correct disk."""

    __slots__ = ("_state",)

    def __init__(
        self,
        node_id: NodeId,
        config: RaftNodeConfig,
        recovered: Recovered,
        *,
        rules: Rules,
        random: Random,
        now_ns: int,
    ) -> None:
        self._state = CoreState(node_id, config, recovered, rules=rules, random=random, now_ns=now_ns)

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, now_ns: int, source: NodeId, message: Message) -> None:
        """A peer's message arrived. Requests are heard from anybody: who is a member may be news (thesis §4.1)."""
        _STEPS[type(message)](self, now_ns, source, message)

    def wake(self, now_ns: int) -> None:
        """Time has passed; does what is due, nothing when called early."""
        state = self._state
        if state.role is _LEADER:
            if now_ns - state.heartbeat_due_ns > state.config.election_timeout_min_ns // 2:
                self.paused()
            if now_ns >= state.heartbeat_due_ns:
                self._heartbeat(now_ns)
        elif now_ns >= state.election_due_ns:
            campaign(state, now_ns)
        reads.expire(state, now_ns)

    def paused(self) -> None:
        """This process stood still, or its clock cannot be trusted to have counted all the time: believe no lease."""
        void_lease(self._state)

    def propose(
        self,
        now_ns: int,
        type: EntryType,  # noqa: A002
        *,
        operation: str = "",
        session: int = 0,
        sequence: int = 0,
        data: bytes = b"",
    ) -> LogIndex | None:
        """Index at which the entry was appended, of the current term; None: this node does not take it.

        Because it does not lead, is handing leadership over (`transferee`), or has too much uncommitted.
        Not a promise: the entry has an effect once it comes back in `Ready.committed` with this index and term.
        """
        state = self._state
        if state.role is not _LEADER or state.transfer is not None:
            return None
        outstanding = state.uncommitted_bytes
        if outstanding and outstanding + ENTRY_OVERHEAD + len(data) > state.config.max_uncommitted_bytes:
            return None
        return append_own(state, type, operation, session, sequence, data)

    def change_membership(self, target: Config, operation: str = "") -> LogIndex | Refusal:
        """Change to the voters and learners of `target`, by joint consensus where the voters change (Raft §6).

        Index of the first configuration of the change. The change is done when a configuration at or behind it without
        `voters_outgoing` comes back in `Ready.committed`.
        """
        return begin_change(self._state, target, operation)

    def transfer_leadership(self, now_ns: int, target: NodeId) -> Refusal | None:
        """Hand leadership over to `target`, or to whoever is the furthest when it is empty; None: begun.

        It ended well when `leader` is the target, and came to nothing when this node leads with `transferee` None.
        """
        return begin_transfer(self._state, now_ns, target)

    def read_index(self, now_ns: int, context: int, operation: str = "") -> None:
        """Ask at which index a linearizable read may be served; the answer is a `ReadState` with `context`.

        A leader asks its quorum, a follower its leader. The index is None at once where no leader is known, and later
        where leadership is lost or no answer comes within an election timeout: the read was not served.
        """
        reads.ask(self._state, now_ns, context, operation)

    def persisted(self, now_ns: int, token: int) -> None:
        """The `Persist` with this token, and every earlier one, is durable."""
        state = self._state
        synced = state.log.synced_index
        while state.write_marks and state.write_marks[0].token <= token:
            mark = state.write_marks.popleft()
            synced = max(synced, state.rules.synced_up_to(mark.log_index, mark.lowest_cut))
            if mark.hard_state is not None:
                self._hard_state_is_durable(now_ns, mark.hard_state)
        self._synced(min(synced, state.log.last_index))

    def compact(self, snapshot: Snapshot) -> None:
        """A snapshot that this node took is durable: forget what it covers, but for the trailing entries."""
        state = self._state
        if state.snapshot is not None and snapshot.index <= state.snapshot.index:
            return
        state.snapshot = snapshot
        state.log.compact(state.rules.compact_up_to(snapshot.index, state.config.trailing_logs))
        forget_configurations(state)

    # ── hand-over ────────────────────────────────────────────────────────────────────────────────────────────────────

    def take_ready(self, now_ns: int) -> Ready:
        """Everything to do since the last call, once. A leader's batch of proposals and reads closes here."""
        state = self._state
        if state.role is _LEADER:
            if state.config_unsettled:
                settle(state, now_ns)  # after which it may lead no more; then nothing below has anything to do
            if state.waiting_reads:
                reads.open_round(state, now_ns)
            replicate(state, now_ns)
            if state.transfer is not None:
                go_on_with_transfer(state)
        installed = state.installed
        if installed is not None:
            state.installed = None
        persist = self._take_persist(installed)
        committed = self._take_committed() if state.commit > state.handed_index else ()
        if not (persist or committed or state.messages or state.after_sync or state.read_states or state.trace):
            return NOTHING
        lost_leadership, state.lost_leadership = state.lost_leadership, False
        return Ready(
            persist,
            _taken(state.messages) if state.messages else (),
            _taken(state.after_sync) if state.after_sync else (),
            committed,
            _taken(state.read_states) if state.read_states else (),
            lost_leadership,
            _taken(state.trace) if state.trace else (),
            installed,
        )

    def deadline_ns(self) -> int:
        """When `wake` is wanted next."""
        state = self._state
        due_ns = state.heartbeat_due_ns if state.role is _LEADER else state.election_due_ns
        expiry_ns = reads.expiry_ns(state)
        return expiry_ns if expiry_ns is not None and expiry_ns < due_ns else due_ns

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def role(self) -> Role:
        """Role in the current term."""
        return self._state.role

    @property
    def term(self) -> Term:
        """Current term, possibly not durable yet."""
        return self._state.term

    @property
    def leader(self) -> NodeId | None:
        """Leader of the current term as far as known; this node itself when it leads."""
        return self._state.leader

    @property
    def transferee(self) -> NodeId | None:
        """Whom this leader is handing over to."""
        return None if self._state.transfer is None else self._state.transfer.target

    @property
    def voted_for(self) -> NodeId | None:
        """Vote in the current term, possibly not durable yet."""
        return self._state.voted_for

    @property
    def commit_index(self) -> LogIndex:
        """Highest index known to be committed."""
        return self._state.commit

    @property
    def last_index(self) -> LogIndex:
        """Last entry in memory."""
        return self._state.log.last_index

    @property
    def config(self) -> Config:
        """Membership in force."""
        return self._state.membership

    @property
    def read_rounds(self) -> int:
        """Rounds of heartbeats opened for reads so far."""
        return self._state.round_sent

    @property
    def snapshot_index(self) -> LogIndex:
        """Up to where the newest snapshot reaches; 0: there is none."""
        return 0 if self._state.snapshot is None else self._state.snapshot.index

    @property
    def first_index(self) -> LogIndex:
        """First entry that is still in the log, or would be."""
        return self._state.log.base_index + 1

    def followers(self) -> tuple[PeerStatus, ...]:
        """How far everybody is, as this leader knows it; empty when it is none."""
        known = self._state.progress.items()
        return tuple(PeerStatus(peer, follower.state, follower.match, follower.next) for peer, follower in known)

    def config_at(self, index: LogIndex) -> Positioned:
        """The configuration that the log up to `index` leads to, and where it stands. Not below `first_index` - 1."""
        return config_at(self._state, index)

    def term_at(self, index: LogIndex) -> Term | None:
        """Term of an entry; 0 at index 0; None outside the log."""
        return self._state.log.term_at(index)

    # ── terms ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _step_appended(self, now_ns: int, source: NodeId, response: AppendEntriesResponse) -> None:
        state = self._state
        if response.term > state.term:
            self._see_term(now_ns, response.term)
        if state.role is _LEADER and state.rules.response_is_current(response.term, state.term):
            step_appended(state, now_ns, source, response)

    def _step_installed(self, now_ns: int, source: NodeId, response: InstallSnapshotResponse) -> None:
        state = self._state
        self._see_term(now_ns, response.term)
        if state.role is _LEADER and state.rules.response_is_current(response.term, state.term):
            step_installed(state, now_ns, source, response)

    def _step_vote(self, now_ns: int, source: NodeId, request: RequestVoteRequest) -> None:
        step_vote_request(self._state, now_ns, request)

    def _step_voted(self, now_ns: int, source: NodeId, response: RequestVoteResponse) -> None:
        if self._state.rules.is_member(source, self._state.membership):
            step_vote_response(self._state, now_ns, source, response)

    def _step_timeout_now(self, now_ns: int, source: NodeId, message: TimeoutNow) -> None:
        step_timeout_now(self._state, now_ns, source, message)

    def _step_read(self, now_ns: int, source: NodeId, request: ReadIndexRequest) -> None:
        self._see_term(now_ns, request.term)
        reads.step_request(self._state, now_ns, source, request)

    def _step_read_answer(self, now_ns: int, source: NodeId, response: ReadIndexResponse) -> None:
        self._see_term(now_ns, response.term)
        reads.step_answer(self._state, response)

    def _step_append(self, now_ns: int, source: NodeId, request: AppendEntriesRequest) -> None:
        state = self._state
        if state.rules.message_is_old(request.term, state.term):
            if state.rules.answers_old_term(request.term, state.term):
                refusal = AppendEntriesResponse(state.term, False, request.prev_index)
                state.send_after_sync(request.leader, refusal)
        elif self._follow(now_ns, request):
            step_append(state, request)

    def _step_install(self, now_ns: int, source: NodeId, request: InstallSnapshotRequest) -> None:
        state = self._state
        if state.rules.message_is_old(request.term, state.term):
            if state.rules.answers_old_term(request.term, state.term):
                refusal = InstallSnapshotResponse(state.term, request.index, request.digest, request.offset, 0)
                state.send_after_sync(request.leader, refusal)
        elif self._follow(now_ns, request):
            step_install(state, request)

    def _follow(self, now_ns: int, request: AppendEntriesRequest | InstallSnapshotRequest) -> bool:
        """Hear the sender as our leader; False: a candidate that does not yield."""
        state = self._state
        known = request.term == state.term and state.role is _FOLLOWER and state.leader == request.leader
        if not known and not self._become_its_follower(now_ns, request):
            return False
        state.heard_leader_ns = now_ns
        state.reset_election_timer(now_ns)
        return True

    def _become_its_follower(self, now_ns: int, request: AppendEntriesRequest | InstallSnapshotRequest) -> bool:
        state = self._state
        if request.term == state.term:
            assert state.role is not Role.LEADER, (
                f"{state.node} and {request.leader} both lead term {request.term}: no Election Safety (Raft §5.2)"
            )
            if state.role is not Role.FOLLOWER and not state.rules.candidate_yields(state.role):
                return False
        become_follower(state, now_ns, max(request.term, state.term), leader=request.leader)
        return True

    def _see_term(self, now_ns: int, term: Term) -> None:
        """A higher term makes anybody a follower (Raft §5.1)."""
        if term > self._state.term:
            become_follower(self._state, now_ns, term, leader=None)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _heartbeat(self, now_ns: int) -> None:
        state = self._state
        if state.config.check_quorum:
            check_quorum(state, now_ns)
        if state.role is Role.LEADER:
            end_if_overdue(state, now_ns)
            state.heartbeat_due_ns = now_ns + state.config.heartbeat_interval_ns
            for progress in state.progress.values():
                progress.contact_due = True
            if state.config.lease_reads:
                state.round_sent += 1
                note_asked(state, now_ns)

    def _hard_state_is_durable(self, now_ns: int, hard: HardState) -> None:
        state = self._state
        if hard.voted_for is not None:
            state.trace.append(Voted(hard.term, hard.voted_for))
        count_own_vote(state, now_ns, hard.term)

    def _synced(self, index: LogIndex) -> None:
        state = self._state
        log = state.log
        if index > log.synced_index:
            log.synced_index = index
            state.trace.append(Synced(index, log.term_at(index) or 0))
            if state.role is _LEADER:
                count_own(state)

    def _take_persist(self, installed: Snapshot | None) -> Persist | None:
        """The write of this hand-over. The commit index travels along but is no reason to write: a lower bound."""
        state = self._state
        handed = state.handed_hard_state
        promises = handed.term != state.term or handed.voted_for != state.voted_for
        log = state.log
        if not promises and not log.has_unsaved and installed is None:
            return None
        cut, entries = log.take_unsaved()
        hard = None
        if promises or handed.commit != state.commit:
            hard = state.handed_hard_state = HardState(state.term, state.voted_for, state.commit)
        token = state.next_token
        state.next_token += 1
        mark = WriteMark(token, log.last_index, log.last_index + 1, hard if promises else None)
        state.write_marks.append(mark)
        return Persist(token, cut, entries, hard, True, installed)

    def _take_committed(self) -> tuple[LogEntry, ...]:
        state = self._state
        committed = state.log.between(state.handed_index + 1, state.commit)
        state.handed_index = state.commit
        return committed


# A table is twice as fast as a match statement over nine types, and this runs for every message.
_STEPS: dict[type[Message], Callable[[RaftCore, int, NodeId, Any], None]] = {
    AppendEntriesRequest: RaftCore._step_append,
    AppendEntriesResponse: RaftCore._step_appended,
    InstallSnapshotRequest: RaftCore._step_install,
    InstallSnapshotResponse: RaftCore._step_installed,
    RequestVoteRequest: RaftCore._step_vote,
    RequestVoteResponse: RaftCore._step_voted,
    TimeoutNow: RaftCore._step_timeout_now,
    ReadIndexRequest: RaftCore._step_read,
    ReadIndexResponse: RaftCore._step_read_answer,
}
"""`Forward` and `ForwardReply` are the node's affair."""


def _taken(gathered: list[T]) -> tuple[T, ...]:
    """What was gathered, which begins anew."""
    taken = tuple(gathered)
    gathered.clear()
    return taken
