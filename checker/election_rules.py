"""Rules over terms, votes and leaders (Raft Figure 3: Election Safety; §5.1, §5.2 and Figure 2 for votes and terms).

Here belong the rules that concern who may lead; what the logs hold is `checker.log_rules` and `checker.commit_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from checker.records import Became, CheckResult, Restored, TraceLine, Truncated, Voted
from checker.trace_log import UNKNOWN
from checker.trace_view import Electorates, Findings, Handler, NodeView, place

__all__ = ["ElectedByQuorum", "ElectionSafety", "MonotoneTerm", "OneVotePerTerm", "VotesUpToDate"]


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


class OneVotePerTerm:
    """A node votes for one candidate in a term, restarts included (Raft §5.2; persistent state of Figure 2).

    `voted` is traced once the vote is durable, which is before it leaves: so it must come back after a restart.
    """

    def __init__(self) -> None:
        self.findings = Findings("one-vote-per-term", "no node voted for two candidates in a term")
        self._votes: dict[str, dict[int, tuple[str, TraceLine]]] = {}
        """Node -> term -> (candidate, where)."""

    def handlers(self) -> Mapping[type, Handler]:
        """Votes and restarts."""
        return {Voted: self._voted, Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`two-votes-in-a-term`; `vote-forgotten`: a vote is missing after a restart."""
        return self.findings.result()

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        votes = self._votes.setdefault(view.name, {})
        candidate, first = votes.setdefault(event.term, (event.candidate, line))
        if candidate != event.candidate:
            text = (
                f"{line.node} voted for {event.candidate} in term {event.term}; "
                f"it had voted for {candidate} at {place(first)}"
            )
            self.findings.add("two-votes-in-a-term", text, line, role="voter", term=event.term)

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        votes = self._votes.setdefault(view.name, {})
        newest = max(votes, default=0)
        candidate = votes[newest][0] if votes else None
        if newest > event.term or (newest == event.term and candidate != event.voted_for and votes):
            text = (
                f"{line.node} came back with term {event.term} and vote {event.voted_for}; "
                f"it had voted for {candidate} in term {newest}"
            )
            self.findings.add("vote-forgotten", text, line, role="voter", term=newest)
        if event.voted_for is not None:
            votes.setdefault(event.term, (event.voted_for, line))


class MonotoneTerm:
    """A node's term never falls, campaigns raise it, and a leader's outlives a restart (Raft §5.1, §5.2; Figure 2)."""

    def __init__(self) -> None:
        self.findings = Findings("monotone-term", "no node's term ever fell")
        self._led: dict[str, int] = {}
        self._voted_in: dict[str, int] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Everything that shows a node's own term."""
        return {Became: self._became, Voted: self._voted, Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`term-went-back`, `campaigned-in-old-term` within an incarnation, `term-forgotten` across a restart."""
        return self.findings.result()

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        if event.term < view.term:
            text = f"{line.node} became {event.role} in term {event.term} after it had been in term {view.term}"
            self.findings.add("term-went-back", text, line, role=event.role, term=event.term)
        elif event.role == "candidate" and event.term == view.term:
            text = f"{line.node} campaigned in term {event.term}, which it had been in before"
            self.findings.add("campaigned-in-old-term", text, line, role="candidate", term=event.term)
        if event.role == "leader":
            self._led[view.name] = max(event.term, self._led.get(view.name, 0))

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        """Votes become durable in order, but late: the node may be in a later term by then."""
        before = self._voted_in.get(view.name, 0)
        if event.term < before:
            text = f"{line.node} voted for {event.candidate} in term {event.term} after a vote in term {before}"
            self.findings.add("term-went-back", text, line, role="voter", term=event.term)
        self._voted_in[view.name] = event.term

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        self._voted_in[view.name] = 0
        led = self._led.get(view.name, 0)
        if event.term < led:
            text = f"{line.node} came back with term {event.term} after it had led term {led}"
            self.findings.add("term-forgotten", text, line, role="leader", term=led)


class ElectedByQuorum:
    """Whoever leads had the votes of a majority of the configuration in force, in joint consensus of both sides.

    Raft §5.2, §6. `voted` is traced before the vote leaves, so every vote that counted is there. Leaders whose
    configuration the trace does not show are not judged.
    """

    def __init__(self) -> None:
        self.findings = Findings("elected-by-quorum", "every leader had the votes of a majority in force")
        self._votes: dict[tuple[int, str], set[str]] = {}
        """(term, candidate) -> voters."""
        self._elected: list[tuple[int, Electorates, TraceLine]] = []

    def handlers(self) -> Mapping[type, Handler]:
        """Votes and elections."""
        return {Voted: self._voted, Became: self._became}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`elected-without-majority`."""
        for term, electorates, line in self._elected:
            votes = self._votes.get((term, line.node), set())
            for voters in electorates:
                granted = [name for name in voters if name in votes]
                if 2 * len(granted) <= len(voters):
                    text = (
                        f"{line.node} became leader of term {term} with the votes of {', '.join(granted) or 'nobody'} "
                        f"among {', '.join(voters)}"
                    )
                    self.findings.add("elected-without-majority", text, line, role="leader", term=term)
                    break
        return self.findings.result()

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        self._votes.setdefault((event.term, event.candidate), set()).add(view.name)

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        electorates = view.electorates()
        if event.role == "leader" and electorates is not None:
            self._elected.append((event.term, electorates, line))


class VotesUpToDate:
    """Votes go to candidates whose log is at least as up to date as the voter's (Raft §5.4.1).

    `voted` is traced once the vote is durable. The voter may have taken in entries by then, from the term's leader, who
    need not be whom it voted for; they become durable later. So only what was durable before, and is of an earlier
    term, counts as the voter's log.
    """

    def __init__(self) -> None:
        self.findings = Findings("votes-up-to-date", "no vote went to a log that was behind the voter's")
        self._candidates: dict[tuple[int, str], tuple[int, int]] = {}
        """(term, candidate) -> (term, index) of the end of its log."""
        self._votes: list[tuple[int, str, tuple[int, int], TraceLine]] = []
        self._given_back: dict[str, int] = {}
        """Node -> up to where its log is still what the restart gave back."""

    def handlers(self) -> Mapping[type, Handler]:
        """Campaigns, votes, and what a restart gave back as long as it stays."""
        return {
            Became: self._became,
            Voted: self._voted,
            Restored: self._restored,
            Truncated: self._truncated,
        }

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`voted-for-shorter-log`. Candidates whose campaign the trace does not show are not judged."""
        for term, candidate, end, line in self._votes:
            asked = self._candidates.get((term, candidate))
            if asked is not None and asked < end:
                text = (
                    f"{line.node} voted in term {term} for {candidate}, whose log ended at index {asked[1]} of term "
                    f"{asked[0]}; its own has index {end[1]} of term {end[0]}"
                )
                self.findings.add("voted-for-shorter-log", text, line, role="voter", term=term, index=end[1])
        return self.findings.result()

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        end = _end(view, view.log.last_index, event.term)
        if event.role == "candidate" and end is not None:
            asked = self._candidates.get((event.term, view.name), end)
            # A candidate that is restarted before its term is durable may stand in that term again, with a longer log.
            self._candidates[event.term, view.name] = max(asked, end)

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        durable = max(view.log.durable_index, self._given_back.get(view.name, 0), view.log.base)
        end = _end(view, min(durable, view.log.last_index), event.term)
        if event.candidate != view.name and end is not None:
            self._votes.append((event.term, event.candidate, end, line))

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        self._given_back[view.name] = event.last_index

    def _truncated(self, view: NodeView, line: TraceLine, event: Truncated) -> None:
        self._given_back[view.name] = min(self._given_back.get(view.name, 0), event.index - 1)


def _end(view: NodeView, index: int, term: int) -> tuple[int, int] | None:
    """(term, index) of the last entry up to `index` of a term before `term`; None: the trace does not show it."""
    for first, entry_term in reversed(view.log.runs):
        if first <= index and entry_term >= term:
            index = first - 1  # from a leader of the term voted in
    entry_term = view.log.term_at(index)
    return None if entry_term == UNKNOWN or entry_term >= max(term, 1) else (entry_term, index)
