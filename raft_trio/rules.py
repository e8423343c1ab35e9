"""The decisions of Raft, each one small pure function, gathered in one frozen record.

The core asks `Rules` and carries out the answer; it decides nothing itself that a wrong implementation is known to
decide wrongly. So the safety argument can be read here in one place, and a deliberately wrong node is
`dataclasses.replace(RULES, grant_vote=...)`, made by whoever needs one, outside this package. Functions here change
nothing, know no time but what they are given, and draw no numbers. Codes in the docstrings (E1, L2, ...) name the
classic mistakes of which the rule is the opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raft_trio.core.log import RaftLog, entry_size
from raft_trio.core.quorum import Electorates, VoteResult, electorates_of, is_voter, majority, vote_result
from raft_trio.messages import AppendEntriesRequest, AppendEntriesResponse
from raft_trio.rules_membership import (
    change_is_over,
    first_step,
    has_caught_up,
    may_change_membership,
    obeys_timeout_now,
    removed_leader_steps_down,
    transfer_is_over,
    transfer_may_fire,
)
from raft_trio.rules_reads import (
    leader_may_read,
    lease_holds,
    lease_start_ns,
    local_read_index,
    read_needs_round,
    round_confirms,
    round_to_join,
)
from raft_trio.rules_snapshots import (
    chunk_fits,
    compact_up_to,
    config_after_install,
    keep_suffix_after_install,
    snapshot_is_newer,
    snapshot_is_whole,
)
from raft_trio.types import Config, LogEntry, LogIndex, NodeId, Role, Term

__all__ = ["RULES", "Merge", "Rules", "VoteReply"]

VoteReply = tuple[NodeId, bool]
"""(voter, granted), in the order of arrival."""

Merge = tuple[LogIndex | None, tuple[LogEntry, ...]]
"""(first index to remove or None, entries to append afterwards)."""


# ── elections ────────────────────────────────────────────────────────────────────────────────────────────────────────


def election_timeout_ns(drawn_ns: int) -> int:
    """The timeout to use when `drawn_ns` was drawn (Raft §5.2; E20: not random)."""
    return drawn_ns


def is_member(node: NodeId, config: Config) -> bool:
    """Only members' votes are looked at (E12, seed fault 24: strangers' votes count)."""
    return node in config.voters or node in config.voters_outgoing or node in config.learners


def may_campaign(node: NodeId, latest: Electorates, previous: Electorates, latest_committed: bool) -> bool:
    """Only voters campaign (E22): those of the latest configuration in the log, or of the one before.

    The latest may never be committed, and then the cluster may need a node that it leaves out (thesis §4.2.2; M7: the
    latest alone). Once the latest is known to be committed, a majority of its own voters has it, and suffices.
    """
    return is_voter(node, latest) or (not latest_committed and is_voter(node, previous))


def leader_after_timeout(leader: NodeId | None) -> NodeId | None:
    """Whom to believe in once the election timeout has passed: nobody (E17: still the old leader)."""
    return None


def ballot_at_start(previous: tuple[VoteReply, ...]) -> tuple[VoteReply, ...]:
    """Votes a new campaign starts with: none (E13: those of the previous one)."""
    return ()


def vote_when_campaigning(node: NodeId) -> NodeId | None:
    """Whom a candidate records as voted for: itself (Raft §5.2; E7: nobody)."""
    return node


def election_result(
    replies: tuple[VoteReply, ...], electorates: Electorates, majority: Callable[[int], int]
) -> VoteResult:
    """Where the election stands: each voter's first reply counts (E5, E6: replies instead of voters are counted)."""
    votes: dict[NodeId, bool] = {}
    for voter, granted in replies:
        votes.setdefault(voter, granted)
    return vote_result(electorates, votes, majority)


def log_up_to_date(last_term: Term, last_index: LogIndex, own_last_term: Term, own_last_index: LogIndex) -> bool:
    """Whether a candidate's log is at least as up to date as ours: the later last term, then the longer log.

    Raft §5.4.1; E3: always, E4: by length alone.
    """
    return (last_term, last_index) >= (own_last_term, own_last_index)


def grant_vote(voted_for: NodeId | None, candidate: NodeId, up_to_date: bool) -> bool:
    """Whether to vote, in this term: one vote per term, first come first served (Raft §5.2; E1)."""
    return up_to_date and voted_for in (None, candidate)


def grant_pre_vote(asked: Term, own: Term, up_to_date: bool) -> bool:
    """Whether we would vote in term `asked`, were it to come (thesis §9.6)."""
    return up_to_date and asked > own


def vote_after_term_seen(own: Term, seen: Term, voted_for: NodeId | None) -> NodeId | None:
    """Our vote once term `seen` >= `own` is ours: forgotten only when the term is new (Raft §5.1; E2)."""
    return voted_for if seen == own else None


def leader_is_alive(silence_ns: int, timeout_min_ns: int) -> bool:
    """Whether to ignore vote requests, the leader having been silent for `silence_ns` (thesis §4.2.3; E16)."""
    return silence_ns < timeout_min_ns


def vote_resets_timer(granted: bool) -> bool:
    """The election timer restarts when a vote is granted, not when it is refused (Figure 2; E18, E19)."""
    return granted


def answers_old_term(term: Term, own: Term) -> bool:
    """A request of an older term is refused with our term, so that its sender catches up (E15: dropped)."""
    return term < own


def candidate_yields(role: Role) -> bool:
    """A candidate that hears the leader of its own term follows it (Raft §5.2; E11)."""
    return role is not Role.LEADER


def keeps_leading(hears_quorum: bool) -> bool:
    """With check-quorum on, a leader that no quorum answers steps down (thesis §6.2; E23)."""
    return hears_quorum


# ── replication, follower's side ─────────────────────────────────────────────────────────────────────────────────────


def message_is_old(term: Term, own: Term) -> bool:
    """Whether an append or another message comes from an earlier term and is refused (Figure 2; E21)."""
    return term < own


def accepts_append(log: RaftLog, request: AppendEntriesRequest) -> bool:
    """Whether the entry before the new ones is ours too (Raft §5.3; L1: not looked at).

    What the snapshot covers is committed and so matches (L12, L13: refused, or taken for a conflict).
    """
    if request.prev_index < log.base_index:
        return True
    return log.term_at(request.prev_index) == request.prev_term


def merge(log: RaftLog, request: AppendEntriesRequest) -> Merge:
    """How to bring the new entries in: skip those present, remove from the first conflict on, append the rest.

    Raft §5.3, Figure 2 AppendEntries 3 and 4. Entries behind matching ones stay: the request may be old (L2: removed;
    L3, L4: conflicting ones or their successors stay; L5: present ones appended again).
    """
    last_index = log.last_index
    entries = request.entries
    if request.prev_index == last_index:
        return None, entries
    for position, entry in enumerate(entries):
        index = entry.index
        if index > last_index:
            return None, entries[position:]
        if index > log.base_index and log.term_at(index) != entry.term:
            return index, entries[position:]
    return None, ()


def match_to_acknowledge(request: AppendEntriesRequest, last_index: LogIndex) -> LogIndex:
    """Up to where the request proved our log equal to the leader's: prev + entries (L6: our own last index)."""
    return request.prev_index + len(request.entries)


def follower_commit(
    commit: LogIndex,
    leader_commit: LogIndex,
    match: LogIndex,
    last_index: LogIndex,
) -> LogIndex:
    """Commit index after an append that proved equality up to `match` (Figure 2, AppendEntries 5).

    Never beyond `match` (C2: min with last_index), never back (C6).
    """
    return max(commit, min(leader_commit, match))


def refusal_hint(log: RaftLog, request: AppendEntriesRequest) -> tuple[LogIndex, Term]:
    """(conflict index, conflict term) for a refused append: where our log parts from the leader's at the earliest.

    A log too short: (last index + 1, 0). Else the first index of the term we have at `prev`; and if we have several
    terms above the leader's there, none of which can match, the first index of the lowest of them (Raft §5.3 end, and
    etcd's skipping of whole terms; L11, seed fault 13: always prev_index).
    """
    if request.prev_index > log.last_index:
        return log.last_index + 1, 0
    if request.prev_index <= log.base_index:
        return log.base_index, log.base_term
    index = log.first_of_term_at(request.prev_index)
    above = log.first_of_term_above(request.prev_term)
    index = min(index, above)
    term = log.term_at(index)
    assert term is not None, "a hint lies within the log"
    return index, term


# ── replication, leader's side ───────────────────────────────────────────────────────────────────────────────────────


def next_after_refusal(log: RaftLog, response: AppendEntriesResponse) -> LogIndex:
    """Where to try next: behind our last entry of a term the follower can still have, before what it refused.

    Raft §5.3 end; etcd's findConflictByTerm. Always below the refused position + 1, at least 1 (L11, seed fault 14).
    """
    refused = response.prev_index
    hint = min(response.conflict_index, refused)
    if response.conflict_term == 0:
        return max(hint, 1)
    candidate = min(log.first_of_term_above(response.conflict_term) - 1, refused - 1)
    if log.term_at(candidate) != response.conflict_term:
        candidate = min(candidate, hint - 1)
    return max(candidate + 1, 1)


def next_match(match: LogIndex, acknowledged: LogIndex) -> LogIndex:
    """A follower's match index after an acknowledgement: it never falls; messages overtake (seed fault 4, L8)."""
    return max(match, acknowledged)


def response_is_current(term: Term, own: Term) -> bool:
    """Responses to what we sent in an earlier term prove nothing now (L10, R8)."""
    return term == own


def heartbeat_prev(match: LogIndex, next_index: LogIndex) -> LogIndex:
    """A heartbeat claims what is known: the follower's match (seed faults 2 and 16, L7: always 0)."""
    return match


def commit_to_tell(commit: LogIndex, match: LogIndex) -> LogIndex:
    """Commit index in a heartbeat: what the follower is known to have (Figure 2 with an empty append)."""
    return min(commit, match)


def message_entries(entries: Sequence[LogEntry], max_bytes: int) -> tuple[LogEntry, ...]:
    """As many of `entries` as fit in `max_bytes`, but always the first (L17: an oversize entry never travels)."""
    room = max_bytes
    for count, entry in enumerate(entries):
        room -= entry_size(entry)
        if room < 0:
            return tuple(entries[: max(count, 1)])
    return tuple(entries)


def own_match(last_index: LogIndex, synced_index: LogIndex) -> LogIndex:
    """What a leader counts itself for: what is durable here (thesis §10.2.1; C4: what is in memory)."""
    return synced_index


def synced_up_to(handed: LogIndex, lowest_cut: LogIndex) -> LogIndex:
    """What a finished write of the log up to `handed` proves, `lowest_cut` being the lowest index truncated since.

    Entries from there on are others by now, even where index and term agree again (P17: async ABA).
    """
    return min(handed, lowest_cut - 1)


def leader_commit(commit: LogIndex, quorum_match: LogIndex, quorum_match_term: Term | None, term: Term) -> LogIndex:
    """Commit index of a leader of `term` when a quorum has `quorum_match`: own term's entries only (§5.4.2; C1, C6)."""
    return max(commit, quorum_match) if quorum_match_term == term else commit


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rules:
    """Every decision the core asks for; each field is documented at the function that is its default in `RULES`."""

    # quorums
    majority: Callable[[int], int]
    electorates: Callable[[Config], Electorates]
    # elections
    election_timeout_ns: Callable[[int], int]
    is_member: Callable[[NodeId, Config], bool]
    may_campaign: Callable[[NodeId, Electorates, Electorates, bool], bool]
    leader_after_timeout: Callable[[NodeId | None], NodeId | None]
    ballot_at_start: Callable[[tuple[VoteReply, ...]], tuple[VoteReply, ...]]
    vote_when_campaigning: Callable[[NodeId], NodeId | None]
    election_result: Callable[[tuple[VoteReply, ...], Electorates, Callable[[int], int]], VoteResult]
    log_up_to_date: Callable[[Term, LogIndex, Term, LogIndex], bool]
    grant_vote: Callable[[NodeId | None, NodeId, bool], bool]
    grant_pre_vote: Callable[[Term, Term, bool], bool]
    vote_after_term_seen: Callable[[Term, Term, NodeId | None], NodeId | None]
    leader_is_alive: Callable[[int, int], bool]
    vote_resets_timer: Callable[[bool], bool]
    answers_old_term: Callable[[Term, Term], bool]
    candidate_yields: Callable[[Role], bool]
    keeps_leading: Callable[[bool], bool]
    # replication
    message_is_old: Callable[[Term, Term], bool]
    accepts_append: Callable[[RaftLog, AppendEntriesRequest], bool]
    merge: Callable[[RaftLog, AppendEntriesRequest], Merge]
    match_to_acknowledge: Callable[[AppendEntriesRequest, LogIndex], LogIndex]
    follower_commit: Callable[[LogIndex, LogIndex, LogIndex, LogIndex], LogIndex]
    refusal_hint: Callable[[RaftLog, AppendEntriesRequest], tuple[LogIndex, Term]]
    next_after_refusal: Callable[[RaftLog, AppendEntriesResponse], LogIndex]
    next_match: Callable[[LogIndex, LogIndex], LogIndex]
    response_is_current: Callable[[Term, Term], bool]
    heartbeat_prev: Callable[[LogIndex, LogIndex], LogIndex]
    commit_to_tell: Callable[[LogIndex, LogIndex], LogIndex]
    message_entries: Callable[[Sequence[LogEntry], int], tuple[LogEntry, ...]]
    own_match: Callable[[LogIndex, LogIndex], LogIndex]
    synced_up_to: Callable[[LogIndex, LogIndex], LogIndex]
    leader_commit: Callable[[LogIndex, LogIndex, Term | None, Term], LogIndex]
    # snapshots
    snapshot_is_newer: Callable[[LogIndex, LogIndex], bool]
    keep_suffix_after_install: Callable[[RaftLog, LogIndex, Term], bool]
    chunk_fits: Callable[[int, int], bool]
    snapshot_is_whole: Callable[[int, int], bool]
    config_after_install: Callable[[Config, Config], Config]
    compact_up_to: Callable[[LogIndex, int], LogIndex]
    # membership
    change_is_over: Callable[[LogIndex, LogIndex, Config], bool]
    may_change_membership: Callable[[Term | None, Term], bool]
    has_caught_up: Callable[[LogIndex, LogIndex, int], bool]
    first_step: Callable[[Config, Config], Config]
    removed_leader_steps_down: Callable[[bool], bool]
    # transfer
    transfer_may_fire: Callable[[LogIndex, LogIndex], bool]
    transfer_is_over: Callable[[int, int], bool]
    obeys_timeout_now: Callable[[Term, Term], bool]
    # reads
    local_read_index: Callable[[Role, LogIndex], LogIndex | None]
    read_needs_round: Callable[[], bool]
    leader_may_read: Callable[[Term | None, Term], bool]
    round_to_join: Callable[[int], int]
    round_confirms: Callable[[int, int], bool]
    lease_start_ns: Callable[[int, int], int]
    lease_holds: Callable[[int, int, int], bool]


RULES = Rules(
    majority=majority,
    electorates=electorates_of,
    election_timeout_ns=election_timeout_ns,
    is_member=is_member,
    may_campaign=may_campaign,
    leader_after_timeout=leader_after_timeout,
    ballot_at_start=ballot_at_start,
    vote_when_campaigning=vote_when_campaigning,
    election_result=election_result,
    log_up_to_date=log_up_to_date,
    grant_vote=grant_vote,
    grant_pre_vote=grant_pre_vote,
    vote_after_term_seen=vote_after_term_seen,
    leader_is_alive=leader_is_alive,
    vote_resets_timer=vote_resets_timer,
    answers_old_term=answers_old_term,
    candidate_yields=candidate_yields,
    keeps_leading=keeps_leading,
    message_is_old=message_is_old,
    accepts_append=accepts_append,
    merge=merge,
    match_to_acknowledge=match_to_acknowledge,
    follower_commit=follower_commit,
    refusal_hint=refusal_hint,
    next_after_refusal=next_after_refusal,
    next_match=next_match,
    response_is_current=response_is_current,
    heartbeat_prev=heartbeat_prev,
    commit_to_tell=commit_to_tell,
    message_entries=message_entries,
    own_match=own_match,
    synced_up_to=synced_up_to,
    leader_commit=leader_commit,
    snapshot_is_newer=snapshot_is_newer,
    keep_suffix_after_install=keep_suffix_after_install,
    chunk_fits=chunk_fits,
    snapshot_is_whole=snapshot_is_whole,
    config_after_install=config_after_install,
    compact_up_to=compact_up_to,
    change_is_over=change_is_over,
    may_change_membership=may_change_membership,
    has_caught_up=has_caught_up,
    first_step=first_step,
    removed_leader_steps_down=removed_leader_steps_down,
    transfer_may_fire=transfer_may_fire,
    transfer_is_over=transfer_is_over,
    obeys_timeout_now=obeys_timeout_now,
    local_read_index=local_read_index,
    read_needs_round=read_needs_round,
    leader_may_read=leader_may_read,
    round_to_join=round_to_join,
    round_confirms=round_confirms,
    lease_start_ns=lease_start_ns,
    lease_holds=lease_holds,
)
