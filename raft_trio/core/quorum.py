"""Arithmetic of majorities, plain and joint. Pure; knows voters and numbers, not messages.

An *electorate* is a set of voters of which a majority must agree. There is one normally, two in joint consensus
(Raft §6), and every one of them must agree. How large a majority is, is the caller's rule (`majority`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from raft_trio.types import Config, NodeId

__all__ = ["Electorates", "VoteResult", "electorates_of", "is_voter", "majority", "quorum_value", "vote_result"]

Electorates = tuple[tuple[NodeId, ...], ...]
Majority = Callable[[int], int]


class VoteResult(Enum):
    """Where an election stands."""

    PENDING = 0
    WON = 1
    LOST = 2
    """Some electorate can no longer reach a majority."""


def majority(size: int) -> int:
    """Smallest number of `size` voters any two choices of which share a voter (Raft §5.2; E9: half of them)."""
    return size // 2 + 1


def electorates_of(config: Config) -> Electorates:
    """The voter sets that must each agree; learners are in none (thesis §4.2.1)."""
    return (config.voters, config.voters_outgoing) if config.voters_outgoing else (config.voters,)


def is_voter(node: NodeId, electorates: Electorates) -> bool:
    """Whether the node has a vote in any of them."""
    return any(node in voters for voters in electorates)


def quorum_value(electorates: Electorates, values: Mapping[NodeId, int], majority: Majority) -> int:
    """Largest number that a majority of every electorate has reached; a voter without a value has reached 0.

    With match indexes: what is replicated on a quorum (Raft §5.3, §6). With round numbers: the newest round a quorum
    has answered. An empty electorate agrees to nothing.
    """
    if len(electorates) == 1:
        return _reached(electorates[0], values, majority)
    return min([_reached(voters, values, majority) for voters in electorates], default=0)


def vote_result(electorates: Electorates, votes: Mapping[NodeId, bool], majority: Majority) -> VoteResult:
    """Won when every electorate has a majority of grants; lost as soon as one cannot get it any more."""
    result = VoteResult.WON
    for voters in electorates:
        granted = sum(1 for voter in voters if votes.get(voter) is True)
        refused = sum(1 for voter in voters if votes.get(voter) is False)
        needed = majority(len(voters))
        if len(voters) - refused < needed:
            return VoteResult.LOST
        if granted < needed:
            result = VoteResult.PENDING
    return result


def _reached(voters: tuple[NodeId, ...], values: Mapping[NodeId, int], majority: Majority) -> int:
    ranked = [values.get(voter, 0) for voter in voters]
    ranked.sort(reverse=True)
    needed = majority(len(ranked))
    return ranked[needed - 1] if 0 < needed <= len(ranked) else 0
