"""Deliberately wrong rules, by the codes of the bug catalogue: what the tests must notice.

Belongs here: the wrong decisions alone. Each is one function put in the place of the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from raft_trio.core.log import RaftLog
from raft_trio.core.quorum import Electorates, VoteResult
from raft_trio.messages import AppendEntriesRequest
from raft_trio.rules import RULES, Merge, Rules, VoteReply
from raft_trio.types import NodeId, Role

__all__ = ["PLANTED"]


def truncates_always(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    """L2: what follows `prev` goes, whether it matches or not."""
    return (request.prev_index + 1 if request.prev_index < log.last_index else None), request.entries


def keeps_conflicts(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    """L4: only entries beyond the end are taken."""
    return None, tuple(entry for entry in request.entries if entry.index > log.last_index)


def keeps_tail(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    """L3: a conflicting entry is replaced, what follows it stays."""
    cut, entries = RULES.merge(log, request)
    if cut is None or not entries:
        return cut, entries
    tail = log.between(entries[-1].index + 1, log.last_index)
    return cut, entries + tuple(entry for entry in tail if entry.term >= entries[-1].term)


def counts_replies(
    replies: tuple[VoteReply, ...], electorates: Electorates, majority: Callable[[int], int]
) -> VoteResult:
    """E5: every granting reply is a vote."""
    granted = sum(1 for _, grant in replies if grant)
    return VoteResult.WON if granted >= majority(len(electorates[0])) else VoteResult.PENDING


def no_vote(node: NodeId) -> NodeId | None:
    """E7: a candidate does not note its own vote."""
    return None if node else node


PLANTED: dict[str, Rules] = {
    "E1 votes twice in a term": replace(RULES, grant_vote=lambda voted_for, candidate, up_to_date: up_to_date),
    "E2 forgets its vote in the same term": replace(RULES, vote_after_term_seen=lambda own, seen, voted_for: None),
    "E3 does not look at the candidate's log": replace(RULES, log_up_to_date=lambda lt, li, olt, oli: True),
    "E4 compares lengths only": replace(RULES, log_up_to_date=lambda lt, li, olt, oli: li >= oli),
    "E5 counts replies instead of voters": replace(RULES, election_result=counts_replies),
    "E7 does not note its own vote": replace(RULES, vote_when_campaigning=no_vote),
    "E9 takes half for a majority": replace(RULES, majority=lambda size: (size + 1) // 2),
    "E13 keeps the votes of the last campaign": replace(RULES, ballot_at_start=lambda previous: previous),
    "E21 obeys a leader of an earlier term": replace(RULES, message_is_old=lambda term, own: False),
    "L1 does not look at prev": replace(
        RULES, accepts_append=lambda log, request: request.prev_index <= log.last_index
    ),
    "L2 truncates matching entries": replace(RULES, merge=truncates_always),
    "L3 keeps the tail behind a conflict": replace(RULES, merge=keeps_tail),
    "L4 keeps conflicting entries": replace(RULES, merge=keeps_conflicts),
    "L6 acknowledges its own last index": replace(RULES, match_to_acknowledge=lambda request, last: last),
    "L5 appends what is there again": replace(RULES, merge=lambda log, request: (None, request.entries)),
    "L7 proves nothing by its heartbeats and believes the answers": replace(
        RULES, heartbeat_prev=lambda match, following: 0, match_to_acknowledge=lambda request, last: last
    ),
    "L10 takes acknowledgements of old terms": replace(RULES, response_is_current=lambda term, own: term <= own),
    "L11 goes back one entry too few": replace(
        RULES, next_after_refusal=lambda log, response: RULES.next_after_refusal(log, response) + 1
    ),
    "L17 drops what is large": replace(
        RULES, message_entries=lambda entries, room: tuple(entry for entry in entries if len(entry.data) < 2)
    ),
    "C1 commits older terms by counting": replace(
        RULES, leader_commit=lambda commit, on_quorum, quorum_term, term: max(commit, on_quorum)
    ),
    "C2 commits up to its own last index": replace(
        RULES,  # on one side alone it does no harm: the leader caps the commit index of its heartbeats too
        follower_commit=lambda commit, leader, match, last: max(commit, min(leader, last)),
        commit_to_tell=lambda commit, prev: commit,
    ),
    "C4 counts itself before its sync": replace(RULES, own_match=lambda last, synced: last),
    "C6 lets the commit index fall": replace(
        RULES, follower_commit=lambda commit, leader, match, last: min(leader, match)
    ),
    "P17 believes a write that was truncated": replace(RULES, synced_up_to=lambda handed, cut: handed),
    "R2 reads without a quorum": replace(RULES, read_needs_round=lambda: False),
    "R6 reads before committing in its term": replace(RULES, leader_may_read=lambda commit_term, term: True),
    "R7 joins a round already sent": replace(RULES, round_to_join=lambda sent: sent),
    "R10 reads at a follower's commit": replace(
        RULES, local_read_index=lambda role, commit: commit if role is Role.FOLLOWER else None
    ),
}
