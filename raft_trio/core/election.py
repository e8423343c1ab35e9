"""Elections: campaigns, votes, pre-votes, a leader's doubt in itself (Raft §5.2, §5.4.1; thesis §4.2.3, §6.2, §9.6).

Requests and responses of elections are handled here completely, terms included, because their terms mean something else
than those of other messages: a pre-vote's is a question, and an ignored request leaves our term alone.
"""

from __future__ import annotations

from raft_trio.core.quorum import VoteResult, is_voter, quorum_value
from raft_trio.core.roles import become_candidate, become_follower, become_leader, become_pre_candidate
from raft_trio.core.state import CoreState
from raft_trio.messages import RequestVoteRequest, RequestVoteResponse
from raft_trio.types import NodeId, Role, Term

__all__ = ["campaign", "campaign_at_once", "check_quorum", "count_own_vote", "step_vote_request", "step_vote_response"]


def campaign(state: CoreState, now_ns: int) -> None:
    """The election timeout has passed: try to become leader, first by asking if pre-vote is on."""
    if not _may_campaign(state):
        state.reset_election_timer(now_ns)
    elif state.config.pre_vote:
        become_pre_candidate(state, now_ns)
        _request_votes(state, state.term + 1, pre_vote=True)
        _conclude(state, now_ns)
    else:
        _stand(state, now_ns)


def campaign_at_once(state: CoreState, now_ns: int) -> None:
    """The leader asked for it (thesis §3.10): others need not wait for silence before they vote."""
    _stand(state, now_ns, transfer=True)


def count_own_vote(state: CoreState, now_ns: int, term: Term) -> None:
    """Our hard state of `term` is durable: if we stand in that term, our own vote counts from now on."""
    if state.role is Role.CANDIDATE and state.term == term:
        _record(state, now_ns, state.node, granted=True)


def step_vote_request(state: CoreState, now_ns: int, request: RequestVoteRequest) -> None:
    """Somebody asks for our vote, or whether we would give it."""
    # With leases also in a term that we have heard of already: the promise was made to a leader, not for a term.
    ignorable = request.term > state.term or state.config.lease_reads
    if ignorable and not request.transfer and _leader_is_alive(state, now_ns):
        return
    if request.pre_vote:
        _step_pre_vote(state, request)
        return
    if request.term > state.term:
        become_follower(state, now_ns, request.term, leader=None)
    current = request.term == state.term
    granted = current and state.rules.grant_vote(state.voted_for, request.candidate, _up_to_date(state, request))
    if granted:
        state.voted_for = request.candidate
    if current and state.role is Role.FOLLOWER and state.rules.vote_resets_timer(granted):
        state.reset_election_timer(now_ns)
    if current or state.rules.answers_old_term(request.term, state.term):
        state.send_after_sync(request.candidate, RequestVoteResponse(state.term, granted))


def step_vote_response(state: CoreState, now_ns: int, voter: NodeId, response: RequestVoteResponse) -> None:
    """An answer to our request; one that grants a pre-vote speaks of the term asked for, any other of the voter's."""
    promised = response.pre_vote and response.granted
    if response.term > state.term and not promised:
        become_follower(state, now_ns, response.term, leader=None)
    elif response.pre_vote:
        current = response.term == state.term + 1 if promised else True
        if state.role is Role.PRE_CANDIDATE and current:
            _record(state, now_ns, voter, granted=response.granted)
    elif state.role is Role.CANDIDATE and state.rules.response_is_current(response.term, state.term):
        _record(state, now_ns, voter, granted=response.granted)


def check_quorum(state: CoreState, now_ns: int) -> None:
    """Leader: step down when no quorum has answered within the longest election timeout (thesis §6.2)."""
    since_ns = now_ns - state.config.election_timeout_max_ns
    if not state.rules.keeps_leading(_quorum_heard_ns(state, now_ns) > since_ns):
        become_follower(state, now_ns, state.term, leader=None)


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _stand(state: CoreState, now_ns: int, *, transfer: bool = False) -> None:
    become_candidate(state, now_ns)
    _request_votes(state, state.term, pre_vote=False, transfer=transfer)


def _request_votes(state: CoreState, term: Term, *, pre_vote: bool, transfer: bool = False) -> None:
    """A real request leaves after our new term is durable.

    Otherwise a candidate could win, send entries, crash, forget the term, win the same term again from those who
    did not get the entries, and put others in their places.
    """
    log = state.log
    request = RequestVoteRequest(term, state.node, log.last_index, log.last_term, pre_vote, transfer)
    send = state.send if pre_vote else state.send_after_sync
    for peer in state.peers:
        if is_voter(peer, state.electorates):
            send(peer, request)


def _may_campaign(state: CoreState) -> bool:
    """By the newest configuration, and the one before it in the log while that is not known to be over."""
    index, latest = state.configs[-1]
    previous = latest if len(state.configs) == 1 else state.configs[-2][1]
    rules = state.rules
    return rules.may_campaign(state.node, rules.electorates(latest), rules.electorates(previous), index <= state.commit)


def _record(state: CoreState, now_ns: int, voter: NodeId, *, granted: bool) -> None:
    state.ballot = (*state.ballot, (voter, granted))
    _conclude(state, now_ns)


def _conclude(state: CoreState, now_ns: int) -> None:
    result = state.rules.election_result(state.ballot, state.electorates, state.rules.majority)
    if result is VoteResult.LOST:
        become_follower(state, now_ns, state.term, leader=None)
    elif result is VoteResult.WON:
        if state.role is Role.PRE_CANDIDATE:
            _stand(state, now_ns)
        else:
            become_leader(state, now_ns)


def _step_pre_vote(state: CoreState, request: RequestVoteRequest) -> None:
    """Granted or refused without touching term, vote or timer: it promises nothing, so it need not wait for a sync."""
    granted = state.rules.grant_pre_vote(request.term, state.term, _up_to_date(state, request))
    if request.term >= state.term or state.rules.answers_old_term(request.term, state.term):
        term = request.term if granted else state.term
        state.send(request.candidate, RequestVoteResponse(term, granted, True))


def _up_to_date(state: CoreState, request: RequestVoteRequest) -> bool:
    log = state.log
    return state.rules.log_up_to_date(request.last_term, request.last_index, log.last_term, log.last_index)


def _leader_is_alive(state: CoreState, now_ns: int) -> bool:
    """With leases also of a leader that is not ours any more, or that an earlier incarnation may have heard: it counts
    on our silence towards others since it asked."""
    if not state.config.stickiness or (state.leader is None and not state.config.lease_reads):
        return False
    leads = state.role is Role.LEADER
    heard_ns = _quorum_heard_ns(state, now_ns) if leads else state.heard_leader_ns
    return state.rules.leader_is_alive(now_ns - heard_ns, state.config.election_timeout_min_ns)


def _quorum_heard_ns(state: CoreState, now_ns: int) -> int:
    """The latest time since which a quorum has answered this leader."""
    heard = {peer: progress.heard_ns for peer, progress in state.progress.items()}
    heard[state.node] = now_ns
    return quorum_value(state.electorates, heard, state.rules.majority)
