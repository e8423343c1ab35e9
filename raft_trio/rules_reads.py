"""Decisions about linearizable reads (thesis §6.4), as `raft_trio.rules` gathers them.

Codes in the docstrings name the classic mistakes of which the rule is the opposite.
"""

from __future__ import annotations

from raft_trio.types import LogIndex, Role, Term

__all__ = [
    "leader_may_read",
    "lease_holds",
    "lease_start_ns",
    "local_read_index",
    "read_needs_round",
    "round_confirms",
    "round_to_join",
]


def local_read_index(role: Role, commit: LogIndex) -> LogIndex | None:
    """Index at which a node may answer a read without asking anybody: none (R1: 0, R10: a follower's commit)."""
    return None


def read_needs_round() -> bool:
    """A leader must hear from a quorum after the read came, for it may have been replaced (thesis §6.4; R2)."""
    return True


def leader_may_read(commit_term: Term | None, term: Term) -> bool:
    """A leader knows what is committed only after committing in its own term (thesis §6.4 step 1; R6)."""
    return commit_term == term


def round_to_join(sent: int) -> int:
    """The round that confirms a read arriving now: the next one, not one already sent (etcd #20418; R7)."""
    return sent + 1


def round_confirms(answered: int, wanted: int) -> bool:
    """Whether a quorum's answers to round `answered` confirm reads of round `wanted` (R7)."""
    return answered >= wanted


def lease_start_ns(asked_ns: int, answered_ns: int) -> int:
    """From when on a quorum's answer promises that it gives no vote: from the question on, at the least (R4: answer).

    The answer may have been under way for any time, and so may the promise be over (thesis §6.4.1).
    """
    return asked_ns


def lease_holds(age_ns: int, timeout_min_ns: int, drift_ppm: int) -> bool:
    """Whether no follower's shortest timeout can have passed, when `age_ns` passed here (R3: drift left out).

    Clocks differ in rate by at most `drift_ppm` millionths.
    """
    return age_ns * 1_000_000 < timeout_min_ns * (1_000_000 - drift_ppm)
