"""Actions and invariants of the TLA+ specification of Raft (raft.tla), and the trace rules that hold runs to them.

A registry only; the table in docs/raft.md is made of it, and `test_registries` checks that the rules exist and that
every rule but those about the recording itself stands for something.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CONFORMANCE", "Conformance"]


class Conformance(NamedTuple):
    """One action or invariant."""

    name: str
    rules: tuple[str, ...]
    held: str


CONFORMANCE: tuple[Conformance, ...] = (
    Conformance("Restart", ("one-vote-per-term", "monotone-term", "synced-durable"), "term, vote and log come back"),
    Conformance("Timeout", ("monotone-term",), "a campaign is for a term that is new to the node"),
    Conformance(
        "HandleRequestVoteRequest",
        ("one-vote-per-term", "votes-up-to-date", "promise-durable"),
        "one vote a term, for a log not behind the voter's, durable before it leaves",
    ),
    Conformance("BecomeLeader", ("elected-by-quorum",), "a majority of each electorate voted for it"),
    Conformance("ClientRequest", ("leader-append-only",), "leaders append entries of their own term"),
    Conformance(
        "HandleAppendEntriesRequest",
        ("log-matching", "match-proved", "promise-durable", "committed-entries-durable"),
        "no holes, nothing committed removed; what is acknowledged is the leader's, and durable",
    ),
    Conformance(
        "HandleAppendEntriesResponse, DropStaleResponse",
        ("commit-counted",),
        "only acknowledgements of the leader's own term count",
    ),
    Conformance(
        "AdvanceCommitIndex",
        ("commit-counted", "quorum-durable", "monotone-commit"),
        "an entry of the own term on a majority; the index never falls or passes the log",
    ),
    Conformance("UpdateTerm", ("monotone-term",), "terms never fall"),
    Conformance("MoreThanOneLeaderInv, ElectionSafetyInv", ("election-safety",), "one leader a term"),
    Conformance("LogMatchingInv", ("log-matching",), "equal index and term: equal logs up to there"),
    Conformance("VotesGrantedInv", ("votes-up-to-date", "elected-by-quorum"), "votes granted were due"),
    Conformance(
        "LeaderCompletenessInv, QuorumLogInv",
        ("leader-completeness", "quorum-durable"),
        "leaders have what earlier terms committed, and so has a quorum",
    ),
    Conformance(
        "CommittedIsDurableInv, LogInv",
        ("quorum-durable", "committed-entries-durable"),
        "what is committed is durable on a quorum and never changes",
    ),
    Conformance(
        "beyond it: state machine and clients",
        ("state-machine-safety", "acknowledged-durable"),
        "equal entries applied in order, once committed; answers after that",
    ),
)
"""Loss, duplication and reordering of messages are not actions of a node: the faults of the harness do them."""
