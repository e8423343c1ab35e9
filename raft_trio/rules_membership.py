"""Decisions about members and transfers of leadership (Raft §6; thesis §3.10, §4), as `raft_trio.rules` gathers them.

Codes in the docstrings name the classic mistakes of which the rule is the opposite.
"""

from __future__ import annotations

from raft_trio.types import Config, LogIndex, Term

__all__ = [
    "change_is_over",
    "first_step",
    "has_caught_up",
    "may_change_membership",
    "obeys_timeout_now",
    "removed_leader_steps_down",
    "transfer_is_over",
    "transfer_may_fire",
]


def change_is_over(config_index: LogIndex, commit: LogIndex, config: Config) -> bool:
    """Whether another change may begin: one at a time, or quorums of different changes need not meet (thesis §4.1; M3).

    A joint configuration is the middle of a change, however well it is committed.
    """
    return config_index <= commit and not config.voters_outgoing


def may_change_membership(commit_term: Term | None, term: Term) -> bool:
    """Only a leader that has committed in its own term knows that no other change is under way (raft-dev 2015; M4)."""
    return commit_term == term


def has_caught_up(match: LogIndex, last_index: LogIndex, lag: int) -> bool:
    """Whether a learner may have a vote: what it lacks fits in a message (thesis §4.2.1; M10: with an empty log)."""
    return match + lag >= last_index


def first_step(config: Config, target: Config) -> Config:
    """The configuration that a change begins with: both sides where the voters change (Raft §6; M2: the new one)."""
    if config.voters == target.voters:
        return target
    return Config(voters=target.voters, voters_outgoing=config.voters, learners=target.learners)


def removed_leader_steps_down(is_voter: bool) -> bool:
    """A leader without a vote of its own steps down once its last configuration is committed (thesis §4.2.2)."""
    return not is_voter


# ── transfer of leadership ───────────────────────────────────────────────────────────────────────────────────────────


def transfer_may_fire(match: LogIndex, last_index: LogIndex) -> bool:
    """Whether the target may be told to campaign: with our whole log it wins (thesis §3.10; T2: at once)."""
    return match == last_index


def transfer_is_over(now_ns: int, deadline_ns: int) -> bool:
    """Whether a leader gives a transfer up and takes proposals again (thesis §3.10; openraft #1747; T3: never)."""
    return now_ns >= deadline_ns


def obeys_timeout_now(term: Term, own: Term) -> bool:
    """Only the leader of our own term may make us campaign (raft-rs #234; T1: any)."""
    return term == own
