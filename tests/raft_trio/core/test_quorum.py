"""Majority arithmetic against oracles that enumerate subsets (raft.md §5: tested against a naive oracle)."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from raft_trio.core.quorum import Electorates, VoteResult, electorates_of, majority, quorum_value, vote_result
from raft_trio.types import Config

IDS = ("a", "b", "c", "d", "e")
voters = st.sets(st.sampled_from(IDS), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
electorates = st.lists(voters, min_size=1, max_size=2).map(tuple)
values = st.dictionaries(st.sampled_from(IDS), st.integers(0, 6))
votes = st.dictionaries(st.sampled_from(IDS), st.booleans())


def agreeing(electorates: Electorates, supporters: set[str]) -> bool:
    """Oracle: `supporters` hold more than half of every electorate."""
    return all(2 * len(supporters & set(voters)) > len(voters) for voters in electorates)


@given(electorates, values)
@settings(derandomize=True, max_examples=120)
def test_the_quorum_value_is_the_largest_number_that_a_quorum_has_reached(
    electorates: Electorates, values: dict[str, int]
) -> None:
    """Raft §5.3 (match indexes) and §6 (joint: every electorate)."""
    reached = [n for n in range(7) if agreeing(electorates, {v for v in IDS if values.get(v, 0) >= n})]
    assert quorum_value(electorates, values, majority) == max(reached)


@given(electorates, votes)
@settings(derandomize=True, max_examples=120)
def test_an_election_is_won_lost_or_open_exactly_as_the_missing_votes_allow(
    electorates: Electorates, votes: dict[str, bool]
) -> None:
    """Oracle: won if the grants suffice; lost if they would not even with everybody who has not answered."""
    granted = {voter for voter, vote in votes.items() if vote}
    possible = {voter for voter in IDS if votes.get(voter) is not False}
    expected = VoteResult.PENDING
    if agreeing(electorates, granted):
        expected = VoteResult.WON
    elif not agreeing(electorates, possible):
        expected = VoteResult.LOST
    assert vote_result(electorates, votes, majority) is expected


def test_any_two_majorities_of_a_cluster_meet() -> None:
    """Raft §5.2: the argument on which everything rests; even sizes included (seed fault 10: 2 of 4)."""
    for size in range(1, 8):
        members = range(size)
        quorums = [set(quorum) for quorum in combinations(members, majority(size))]
        assert all(one & other for one in quorums for other in quorums)
        smaller = [set(group) for group in combinations(members, majority(size) - 1)]
        assert size == 1 or any(not one & other for one in smaller for other in smaller)


def test_learners_belong_to_no_electorate() -> None:
    """Thesis §4.2.1."""
    assert electorates_of(Config(voters=("a", "b"), learners=("c",))) == (("a", "b"),)
    assert electorates_of(Config(voters=("a",), voters_outgoing=("b",), learners=("c",))) == (("a",), ("b",))


def test_no_electorate_agrees_to_nothing() -> None:
    """Seed fault 10: an empty map must not commit."""
    assert quorum_value(((),), {"a": 9}, majority) == 0
    assert vote_result(((),), {"a": True}, majority) is VoteResult.LOST
