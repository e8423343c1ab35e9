"""Rules over what nodes promise one another: votes and acknowledgements of entries (Raft Figure 2, §5.3, §5.4.2).

A promise is a message that others count on (`Sent` with a `term`): a vote, or an acknowledgement that a log is durable
and equal to the leader's up to an index. Here belong what must be true before a promise leaves, that it is true, and
that a leader commits by nothing else. They turn rare losses into findings of the first run: the sync that is missing is
seen each time, the loss that it leads to only when the power fails in the same millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from checker.records import (
    Appended,
    Became,
    CheckResult,
    Committed,
    Received,
    Restored,
    Sent,
    Snapshot,
    TraceLine,
    Truncated,
    Voted,
)
from checker.trace_log import UNKNOWN
from checker.trace_view import Electorates, Findings, Handler, NodeView

__all__ = ["CommitCounted", "MatchProved", "PromiseDurable"]


class PromiseDurable:
    """No vote and no acknowledgement leaves before the sync that it promises (persistent state of Raft Figure 2).

    Promises of an earlier term than the node's are not judged: the entries may have been replaced since, and a later
    term that is durable keeps a node from voting twice as well as the vote itself. What a restart gave back is durable.
    """

    def __init__(self) -> None:
        self.findings = Findings("promise-durable", "no vote or acknowledgement left before it was durable")
        self._votes: dict[str, tuple[int, str | None]] = {}
        """Node -> its newest vote known to be durable."""
        self._given_back: dict[str, int] = {}
        """Node -> up to where its log is still what the restart gave back, or a snapshot left."""

    def handlers(self) -> Mapping[type, Handler]:
        """Promises, and all that makes them durable beside the syncs that `NodeLog` knows."""
        return {
            Sent: self._sent,
            Voted: self._voted,
            Restored: self._restored,
            Truncated: self._truncated,
            Snapshot: self._snapshot,
        }

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `acknowledged-before-sync`, `voted-before-sync`."""
        return self.findings.result()

    def _sent(self, view: NodeView, line: TraceLine, event: Sent) -> None:
        if not event.term or event.term < view.term:
            return
        if event.vote:
            self._judge_vote(view, line, event)
        elif event.match:
            self._judge_match(view, line, event)

    def _judge_vote(self, view: NodeView, line: TraceLine, event: Sent) -> None:
        term, candidate = self._votes.get(view.name, (0, None))
        if term < event.term or (term == event.term and candidate != event.to):
            text = f"{line.node} sent its vote of term {event.term} to {event.to} before the vote was durable"
            self.findings.add("voted-before-sync", text, line, role="voter", term=event.term)

    def _judge_match(self, view: NodeView, line: TraceLine, event: Sent) -> None:
        durable = max(view.log.durable_index, self._given_back.get(view.name, 0), view.log.base)
        if event.match > durable and event.match <= view.log.last_index:
            text = (
                f"{line.node} acknowledged entries up to {event.match} to {event.to} in term {event.term}; "
                f"it had synced up to {durable}"
            )
            self.findings.add(
                "acknowledged-before-sync", text, line, role=view.role, term=event.term, index=event.match
            )

    def _voted(self, view: NodeView, line: TraceLine, event: Voted) -> None:
        self._votes[view.name] = max(self._votes.get(view.name, (0, None)), (event.term, event.candidate), key=_term)

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        self._votes[view.name] = (event.term, event.voted_for)
        self._given_back[view.name] = event.last_index

    def _truncated(self, view: NodeView, line: TraceLine, event: Truncated) -> None:
        self._given_back[view.name] = min(self._given_back.get(view.name, 0), event.index - 1)

    def _snapshot(self, view: NodeView, line: TraceLine, event: Snapshot) -> None:
        """A snapshot is traced when it is durable; it stands for the entries it covers."""
        self._given_back[view.name] = max(self._given_back.get(view.name, 0), event.index)


def _term(vote: tuple[int, str | None]) -> int:
    return vote[0]


@dataclass(slots=True)
class _Leading:
    """The log of the leader of a term: what it had when elected, and how far it came."""

    base: int
    last_index: int
    runs: tuple[tuple[int, int], ...]

    def term_at(self, index: int) -> int:
        """Term of the entry; UNKNOWN at and below the base, 0 beyond the end."""
        if index > self.last_index:
            return 0
        known = [term for first, term in self.runs if first <= index]
        return known[-1] if index > self.base and known else UNKNOWN


class MatchProved:
    """Who acknowledges an index to a leader has that leader's entry there, and so its log up to there (Raft §5.3).

    So a follower acknowledges what a request proved, never its own last index.
    """

    def __init__(self) -> None:
        self.findings = Findings("match-proved", "every acknowledged entry was the leader's")
        self._leaders: dict[int, _Leading] = {}
        self._claims: dict[tuple[int, int, int], TraceLine] = {}
        """(term of the leader, index, term of the entry there) -> who said so first."""

    def handlers(self) -> Mapping[type, Handler]:
        """Elections, the leaders' appends, acknowledgements."""
        return {Became: self._became, Appended: self._appended, Sent: self._sent}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `acknowledged-other-entry`, `acknowledged-beyond-leader`. An unknown leader proves nothing."""
        for (term, index, entry_term), line in self._claims.items():
            leader = self._leaders.get(term)
            if leader is None:
                continue
            leaders_term = leader.term_at(index)
            if leaders_term in (UNKNOWN, entry_term):
                continue
            if leaders_term:
                anomaly, has = "acknowledged-other-entry", f"has one of term {leaders_term} there"
            else:
                anomaly, has = "acknowledged-beyond-leader", f"never had more than {leader.last_index} entries"
            said = f"{line.node} acknowledged its entry {index} of term {entry_term}"
            text = f"{said} to the leader of term {term}, which {has}"
            self.findings.add(anomaly, text, line, role="follower", term=term, index=index)
        return self.findings.result()

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        if event.role == "leader":
            self._leaders.setdefault(event.term, _Leading(view.log.base, view.log.last_index, tuple(view.log.runs)))

    def _appended(self, view: NodeView, line: TraceLine, event: Appended) -> None:
        if view.role == "leader" and event.term == view.role_term:
            leader = self._leaders.get(event.term)
            if leader is not None and event.index > leader.last_index:
                leader.last_index = event.index
                if not leader.runs or leader.runs[-1][1] != event.term:
                    leader.runs = (*leader.runs, (event.index, event.term))

    def _sent(self, view: NodeView, line: TraceLine, event: Sent) -> None:
        if event.match and event.term >= view.term:
            entry_term = view.log.term_at(event.match)
            if entry_term != UNKNOWN:
                self._claims.setdefault((event.term, event.match, entry_term), line)


@dataclass(slots=True)
class _Commit:
    """A leader moved its commit index."""

    index: int
    own: int
    """Up to where its own log was durable."""
    line: TraceLine
    electorates: Electorates | None


@dataclass(slots=True)
class _Term:
    """What one leader took in and did in its term, in its order: names of messages, and commits."""

    events: list[tuple[str, str] | _Commit] = field(default_factory=list)


class CommitCounted:
    """A leader commits what a majority, itself included, says is durable, and only in its own term (Raft §5.3, §5.4.2).

    It counts itself from its own sync on, and others by the acknowledgements of its term that it has received. The
    majority is one of the configuration in force on it, in joint consensus one of each side (Raft §6); where none is
    traced, all nodes are voters. Where no acknowledgements are traced, only the terms are judged.
    """

    def __init__(self) -> None:
        self.findings = Findings(
            "commit-counted", "leaders committed only what a majority had acknowledged in their term"
        )
        self._matches: dict[str, tuple[int, int]] = {}
        """Message -> (term, match)."""
        self._terms: dict[tuple[str, int], _Term] = {}
        self._given_back: dict[str, int] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Acknowledgements at both ends, commits, restarts."""
        return {
            Sent: self._sent,
            Received: self._received,
            Committed: self._committed,
            Restored: self._restored,
        }

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `committed-older-term-by-counting`, `committed-without-majority`."""
        if self._matches:
            everybody = (tuple(view.name for view in views),)
            for (node, term), course in self._terms.items():
                self._judge(node, term, course, everybody)
        return self.findings.result()

    def _judge(self, node: str, term: int, course: _Term, everybody: Electorates) -> None:
        matches: dict[str, int] = {}
        for event in course.events:
            if not isinstance(event, _Commit):
                message, source = event
                said = self._matches.get(message)
                if said is not None and said[0] == term:
                    matches[source] = max(said[1], matches.get(source, 0))
                continue
            have = {name for name, match in matches.items() if match >= event.index}
            have |= {node} if event.own >= event.index else set()
            if not all(2 * len(have.intersection(voters)) > len(voters) for voters in event.electorates or everybody):
                text = (
                    f"{node}, leader of term {term}, committed up to {event.index} with a copy on only "
                    f"{', '.join(sorted(have)) or 'nobody'}; it had synced up to {event.own} itself"
                )
                self.findings.add(
                    "committed-without-majority", text, event.line, role="leader", term=term, index=event.index
                )

    def _sent(self, view: NodeView, line: TraceLine, event: Sent) -> None:
        if event.match:
            self._matches[event.message] = (event.term, event.match)

    def _received(self, view: NodeView, line: TraceLine, event: Received) -> None:
        if view.role == "leader":
            self._terms.setdefault((view.name, view.role_term), _Term()).events.append((event.message, event.source))

    def _committed(self, view: NodeView, line: TraceLine, event: Committed) -> None:
        if view.role != "leader" or event.index <= view.committed:
            return
        entry_term = view.log.term_at(event.index)
        if entry_term not in (UNKNOWN, view.role_term):
            text = (
                f"{line.node}, leader of term {view.role_term}, committed entry {event.index} of term {entry_term} "
                "by counting its copies"
            )
            self.findings.add(
                "committed-older-term-by-counting", text, line, role="leader", term=view.role_term, index=event.index
            )
        own = max(view.log.durable_index, self._given_back.get(view.name, 0))
        course = self._terms.setdefault((view.name, view.role_term), _Term())
        course.events.append(_Commit(event.index, own, line, view.electorates()))

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        self._given_back[view.name] = event.last_index
