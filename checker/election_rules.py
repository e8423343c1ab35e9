"""Rules over terms, votes and leaders (Raft Figure 3: Election Safety; §5.1, §5.2 and Figure 2 for votes and terms).

Here belong the rules that concern who may lead; what the logs hold is `checker.log_rules` and `checker.commit_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checker.records import Became, CheckResult, Restored, Sent, TraceLine, Voted
from checker.trace_view import Findings, Handler, NodeView, place

__all__ = ["ElectionSafety", "MonotoneTerm", "OneVotePerTerm"]

VOTE_REPLIES = frozenset({"voted", "vote-reply", "RequestVoteResponse"})
"""Kinds of messages that carry a vote, in the words of the systems whose traces are read."""


class ElectionSafety:
    """At most one leader in a term, and one stretch of leading (Raft §5.2, Figure 3)."""

    def __init__(self) -> None:
        self.findings = Findings("election-safety", "no term had two leaders")
        self._leaders: dict[int, TraceLine] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Every change of role."""
        return {Became: self._became}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`two-leaders-in-a-term`: two nodes, or one node twice."""
        return self.findings.result()

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        if event.role != "leader":
            return
        first = self._leaders.setdefault(event.term, line)
        if first is line or (view.role == "leader" and view.role_term == event.term):
            return
        text = f"{line.node} became leader of term {event.term}, which {place(first)} had become leader of"
        self.findings.add("two-leaders-in-a-term", text, line, role="leader", term=event.term)


@dataclass(slots=True)
class _Vote:
    candidate: str
    line: TraceLine
    left: bool
    """The vote counts for others: it was sent, or the node became leader by its own."""


class OneVotePerTerm:
    """A node votes for one candidate in a term, restarts included (Raft §5.2; persistent state of Figure 2).

    A vote that a crash swallowed before it left the node promises nothing, and the node may vote anew. Whether it left
    is seen from the reply that follows (`VOTE_REPLIES`), or from leadership gained with it; then the disk must know it.
    """

    def __init__(self) -> None:
        self.findings = Findings("one-vote-per-term", "no node voted for two candidates in a term")
        self._votes: dict[str, dict[int, _Vote]] = {}
        self._newest: dict[str, int] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Votes, what makes them count, and restarts."""
        return {Voted: self._voted, Became: self._became, Sent: self._sent, Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`two-votes-in-a-term`; `vote-forgotten`: a vote that counts is missing after a restart."""
        return self.findings.result()

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        vote = self._votes.setdefault(view.name, {}).setdefault(event.term, _Vote(event.candidate, line, False))
        self._newest[view.name] = event.term
        if vote.candidate != event.candidate:
            text = (
                f"{line.node} voted for {event.candidate} in term {event.term}; "
                f"it had voted for {vote.candidate} at {place(vote.line)}"
            )
            self.findings.add("two-votes-in-a-term", text, line, role="voter", term=event.term)

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        vote = self._votes.get(view.name, {}).get(event.term)
        if vote is not None and event.role == "leader" and vote.candidate == view.name:
            vote.left = True

    def _sent(self, view: NodeView, line: TraceLine, event: Sent) -> None:
        if event.kind not in VOTE_REPLIES or view.name not in self._newest:
            return
        vote = self._votes[view.name].get(self._newest[view.name])
        if vote is not None and vote.candidate == event.to and vote.line.incarnation == line.incarnation:
            vote.left = True

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        votes = self._votes.setdefault(view.name, {})
        for term in [term for term, vote in votes.items() if not vote.left]:
            if term > event.term or (term == event.term and votes[term].candidate != event.voted_for):
                del votes[term]
        for term, vote in votes.items():
            if term > event.term or (term == event.term and vote.candidate != event.voted_for):
                text = (
                    f"{line.node} came back with term {event.term} and vote {event.voted_for}, "
                    f"but its vote for {vote.candidate} in term {term} had left it"
                )
                self.findings.add("vote-forgotten", text, line, role="voter", term=term)
        if event.voted_for is not None:
            votes.setdefault(event.term, _Vote(event.voted_for, line, True))


class MonotoneTerm:
    """A node's term never falls, and a leader's term outlives a restart (Raft §5.1; persistent state of Figure 2)."""

    def __init__(self) -> None:
        self.findings = Findings("monotone-term", "no node's term ever fell")
        self._led: dict[str, int] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Everything that shows a node's own term."""
        return {Became: self._became, Voted: self._voted, Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`term-went-back` within an incarnation, `term-forgotten` across a restart."""
        return self.findings.result()

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        self._compare(view, line, event.term, f"became {event.role}")
        if event.role == "leader":
            self._led[view.name] = max(event.term, self._led.get(view.name, 0))

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        self._compare(view, line, event.term, f"voted for {event.candidate}")

    def _compare(self, view: NodeView, line: TraceLine, term: int, what: str) -> None:
        if term < view.term:
            text = f"{line.node} {what} in term {term} after it had been in term {view.term}"
            self.findings.add("term-went-back", text, line, role=view.role, term=term)

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        led = self._led.get(view.name, 0)
        if event.term < led:
            text = f"{line.node} came back with term {event.term} after it had led term {led}"
            self.findings.add("term-forgotten", text, line, role="leader", term=led)
