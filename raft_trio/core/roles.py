"""Becoming a follower, pre-candidate, candidate or leader: what each change of role resets.

Belongs here: the transitions. When to make one is decided in `election` and in the dispatcher.
"""

from __future__ import annotations

from raft_trio.core.lease import void_lease
from raft_trio.core.progress import Progress
from raft_trio.core.reads import refuse_all
from raft_trio.core.replication import append_own
from raft_trio.core.state import CoreState
from raft_trio.trace import Became
from raft_trio.types import EntryType, NodeId, Role, Term

__all__ = ["become_candidate", "become_follower", "become_leader", "become_pre_candidate"]


def become_follower(state: CoreState, now_ns: int, term: Term, *, leader: NodeId | None) -> None:
    """Follow `leader` (None: nobody known) in `term` >= ours; the vote of our own term is kept (Raft §5.1)."""
    assert term >= state.term, f"{state.node} in term {state.term} was told to go back to term {term}"
    changed = state.role is not Role.FOLLOWER or term != state.term
    if state.role is Role.LEADER:
        _stop_leading(state, now_ns)
    if changed:
        state.ballot = ()
        state.voted_for = state.rules.vote_after_term_seen(state.term, term, state.voted_for)
        state.term = term
        refuse_all(state)
        _enter(state, Role.FOLLOWER)
    state.leader = leader


def become_pre_candidate(state: CoreState, now_ns: int) -> None:
    """Ask around first; term and vote stay (thesis §9.6). A pre-vote promises nothing, so our own counts at once."""
    _start_campaign(state, now_ns)
    state.ballot = (*state.ballot, (state.node, True))
    _enter(state, Role.PRE_CANDIDATE)


def become_candidate(state: CoreState, now_ns: int) -> None:
    """A new term and a vote for ourselves, which counts once it is durable (Raft §5.2)."""
    _start_campaign(state, now_ns)
    state.term += 1
    state.voted_for = state.rules.vote_when_campaigning(state.node)
    _enter(state, Role.CANDIDATE)


def become_leader(state: CoreState, now_ns: int) -> None:
    """Raft Figure 2, Leaders: assume nothing of the followers, tell all of them at once, append the no-op."""
    state.leader = state.node
    state.ballot = ()
    state.uncommitted_bytes = 0
    state.lease_is_void = False
    void_lease(state)
    following = state.log.last_index + 1
    state.progress = {peer: Progress(next_index=following, heard_ns=now_ns) for peer in state.peers}
    state.heartbeat_due_ns = now_ns + state.config.heartbeat_interval_ns
    _enter(state, Role.LEADER)
    if state.config.noop_on_election:
        append_own(state, EntryType.NOOP, "", 0, 0, b"")


def _enter(state: CoreState, role: Role) -> None:
    state.role = role
    state.trace.append(Became(role, state.term))


def _start_campaign(state: CoreState, now_ns: int) -> None:
    state.leader = state.rules.leader_after_timeout(state.leader)
    refuse_all(state)
    state.ballot = state.rules.ballot_at_start(state.ballot)
    state.reset_election_timer(now_ns)


def _stop_leading(state: CoreState, now_ns: int) -> None:
    """The timer of a leader stands still: set it, or the deposed leader campaigns at once (seed fault 19).

    Other roles keep theirs: a higher term alone is no sign of a leader, and a stale node could keep us quiet (E19).
    """
    state.reset_election_timer(now_ns)
    state.progress = {}
    state.transfer = None
    void_lease(state)
    state.uncommitted_bytes = 0
    state.lost_leadership = True
