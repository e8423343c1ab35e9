"""Planted bugs of elections: codes E of the catalogue. Each replaces one decision of `raft_trio.rules`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from histrio.systems.planted_bug import PlantedBug
from histrio.systems.raft_trio_hunts import ALL_STOP, FOUR_STOP, HALVES, LAGGARD_STANDS, LONGER_LOG_STANDS, paper
from histrio.systems.system import Bug
from raft_trio.build import Build
from raft_trio.core.quorum import Electorates, VoteResult, vote_result
from raft_trio.rules import VoteReply
from raft_trio.types import NodeId

__all__ = ["ELECTION_BUGS"]


def _no_vote_check(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, grant_vote=lambda voted_for, candidate, up_to_date: up_to_date))


def _vote_cleared_same_term(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, vote_after_term_seen=lambda own, seen, voted_for: None))


def _no_log_check(build: Build) -> Build:
    return replace(
        build,
        rules=replace(build.rules, log_up_to_date=lambda last_term, last_index, own_last_term, own_last_index: True),
    )


def _vote_by_length(build: Build) -> Build:
    return replace(
        build,
        rules=replace(
            build.rules,
            log_up_to_date=lambda last_term, last_index, own_last_term, own_last_index: last_index >= own_last_index,
        ),
    )


def _dup_vote(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, election_result=_count_replies))


def _count_replies(
    replies: tuple[VoteReply, ...], electorates: Electorates, majority: Callable[[int], int]
) -> VoteResult:
    """Every reply that grants is a vote, whoever sent it, however often."""
    granted = sum(1 for _, grant in replies if grant)
    return VoteResult.WON if granted >= majority(len(electorates[0])) else VoteResult.PENDING


def _self_vote_twice(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, election_result=_count_one_more))


def _count_one_more(
    replies: tuple[VoteReply, ...], electorates: Electorates, majority: Callable[[int], int]
) -> VoteResult:
    """One vote too many: the candidate's own is in the replies and is added once more."""
    return vote_result(electorates, dict(replies), lambda size: majority(size) - 1)


def _no_self_vote_record(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, vote_when_campaigning=_nobody))


def _nobody(node: NodeId) -> NodeId | None:
    return None


def _half_quorum(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, majority=lambda size: (size + 1) // 2))


def _votes_carried_over(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, ballot_at_start=lambda previous: previous))


def _fixed_timeout(build: Build) -> Build:
    return replace(build, rules=replace(build.rules, election_timeout_ns=lambda drawn_ns: 200_000_000))


def _stickiness_forever(build: Build) -> Build:
    return replace(
        build,
        rules=replace(
            build.rules, leader_after_timeout=lambda leader: leader, leader_is_alive=lambda silence_ns, timeout_ns: True
        ),
    )


ELECTION_BUGS = (
    PlantedBug(
        Bug(
            name="no_vote_check",
            reference="E1; akka-raft #56, Raft §5.2",
            change="a node votes for whoever asks, whomever it voted for before in that term",
            detectors=("one-vote-per-term", "election-safety", "node-exits"),
            hunt=ALL_STOP,
        ),
        _no_vote_check,
    ),
    PlantedBug(
        Bug(
            name="vote_cleared_same_term",
            reference="E2; Hazelcast #16643, CCF #8094, eliben/raft #27",
            change="a candidate that steps down within its term forgets that it voted in it",
            detectors=("one-vote-per-term", "election-safety", "node-exits"),
            hunt=ALL_STOP,
        ),
        _vote_cleared_same_term,
    ),
    PlantedBug(
        Bug(
            name="no_log_check",
            reference="E3; Raft §5.4.1",
            change="a vote is given without looking at the candidate's log",
            detectors=("leader-completeness", "committed-entries-durable", "node-exits", "linearizability"),
            hunt=LAGGARD_STANDS,
        ),
        _no_log_check,
    ),
    PlantedBug(
        Bug(
            name="vote_by_length",
            reference="E4; Raft §5.4.1",
            change="logs are compared by length alone, not by their last term first",
            detectors=("leader-completeness", "committed-entries-durable", "node-exits"),
            hunt=paper(LONGER_LOG_STANDS),
        ),
        _vote_by_length,
    ),
    PlantedBug(
        Bug(
            name="self_vote_twice",
            reference="E6",
            change="a candidate counts its own vote twice",
            detectors=("leader-completeness", "election-safety", "node-exits", "linearizability"),
            hunt=HALVES,
        ),
        _self_vote_twice,
    ),
    PlantedBug(
        Bug(
            name="no_self_vote_record",
            reference="E7; nebula #3415",
            change="a candidate does not record that it voted for itself",
            detectors=("election-safety", "node-exits"),
            hunt=ALL_STOP,
        ),
        _no_self_vote_record,
    ),
    PlantedBug(
        Bug(
            name="half_quorum",
            reference="E9",
            change="half of an even number of nodes is taken for a majority",
            detectors=("commit-counted", "election-safety", "node-exits"),
            hunt=FOUR_STOP,
        ),
        _half_quorum,
    ),
    PlantedBug(
        Bug(
            name="votes_carried_over",
            reference="E13; raft-rs #83",
            change="a campaign begins with the votes of the one before",
            detectors=("election-safety", "node-exits"),
            hunt=ALL_STOP,
        ),
        _votes_carried_over,
    ),
    PlantedBug(
        Bug(
            name="stickiness_forever",
            reference="E17; raft-rs #84",
            change="a node goes on believing in its leader when the election timeout has passed",
            detectors=("liveness",),
            hunt=ALL_STOP,
        ),
        _stickiness_forever,
    ),
    PlantedBug(
        Bug(
            name="fixed_timeout",
            reference="E20; Raft §9.3, ruvector-raft (polling)",
            change="every election timeout is the same",
            detectors=("liveness",),
            hunt=paper(ALL_STOP),
        ),
        _fixed_timeout,
    ),
)
