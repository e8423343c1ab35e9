"""The registry of rules over traces of replicated logs, and the one pass that judges a trace by all of them.

Here belongs which rules there are; what each says is in `election_rules`, `log_rules`, `commit_rules` and
`promise_rules`. They are rules of replicated logs, not of one implementation: a system takes part by recording the
events of `checker.records`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from checker.commit_rules import (
    AcknowledgedDurable,
    CommittedEntriesDurable,
    LeaderCompleteness,
    MonotoneCommit,
    QuorumDurable,
    StateMachineSafety,
)
from checker.election_rules import ElectedByQuorum, ElectionSafety, MonotoneTerm, OneVotePerTerm, VotesUpToDate
from checker.log_rules import LeaderAppendOnly, LogMatching, SyncedDurable, TraceForm
from checker.promise_rules import CommitCounted, MatchProved, PromiseDurable
from checker.records import CheckResult, TraceLine
from checker.trace_view import Rule, read_trace

__all__ = ["TRACE_RULES", "check_trace"]

TRACE_RULES: Mapping[str, Callable[[], Rule]] = {
    "election-safety": ElectionSafety,
    "state-machine-safety": StateMachineSafety,
    "committed-entries-durable": CommittedEntriesDurable,
    "leader-completeness": LeaderCompleteness,
    "log-matching": LogMatching,
    "acknowledged-durable": AcknowledgedDurable,
    "one-vote-per-term": OneVotePerTerm,
    "monotone-term": MonotoneTerm,
    "monotone-commit": MonotoneCommit,
    "leader-append-only": LeaderAppendOnly,
    "synced-durable": SyncedDurable,
    "quorum-durable": QuorumDurable,
    "promise-durable": PromiseDurable,
    "match-proved": MatchProved,
    "commit-counted": CommitCounted,
    "elected-by-quorum": ElectedByQuorum,
    "votes-up-to-date": VotesUpToDate,
    "trace-form": TraceForm,
}
"""Name of a rule's result -> a fresh rule. The gravest first: the first violated one names a run's signature."""


def check_trace(lines: Sequence[TraceLine], names: Sequence[str] | None = None) -> tuple[CheckResult, ...]:
    """Judge a trace by every rule, or by those named, in one pass; one result a rule, in the registry's order.

    Lines of one node are taken in the order of (incarnation, seq), whatever their order here; between nodes no order is
    assumed. An empty trace is valid: that nothing was traced is for the caller to know. Raises KeyError for a name that
    is no rule.
    """
    for name in names or ():
        TRACE_RULES[name]
    wanted = [rule() for name, rule in TRACE_RULES.items() if names is None or name in names]
    return read_trace(lines, wanted)
