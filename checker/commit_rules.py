"""Rules over what is committed, applied and acknowledged (Raft Figure 3: Leader Completeness, State Machine Safety).

Here belong the rules that follow an entry from commitment on; the shape of logs is `checker.log_rules`.

That an entry was committed *before* something happened on another node cannot be told from two clocks, but from terms:
an entry that a leader of term T reported committed was committed in a term <= T, so a leader of a later term must have
it, and no node may remove it in term T or later (Raft §5.4.3).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from checker.records import (
    Acknowledged,
    Applied,
    Became,
    CheckResult,
    Committed,
    Restored,
    Snapshot,
    Synced,
    TraceLine,
    Truncated,
)
from checker.trace_log import UNKNOWN
from checker.trace_view import Electorates, Findings, Handler, NodeView, place

__all__ = [
    "AcknowledgedDurable",
    "CommittedEntriesDurable",
    "LeaderCompleteness",
    "MonotoneCommit",
    "QuorumDurable",
    "StateMachineSafety",
]

Entry = tuple[int, int]
"""(term, digest)."""


@dataclass(slots=True)
class _LeaderCommits:
    """Up to where the leader of each term reported the log committed, and with which term the last entry."""

    by_term: dict[int, tuple[int, int, TraceLine]] = field(default_factory=dict)
    """term of the leader -> (index, term of the entry there, line)."""

    def note(self, view: NodeView, line: TraceLine, event: Committed) -> None:
        if view.role != "leader":
            return
        index = min(event.index, view.log.last_index)
        if index > self.by_term.get(view.role_term, (0, 0, line))[0]:
            self.by_term[view.role_term] = (index, view.log.term_at(index), line)

    def rising(self) -> list[tuple[int, int, int, TraceLine]]:
        """(leader's term, index, entry's term, line), terms ascending, indexes strictly ascending."""
        steps: list[tuple[int, int, int, TraceLine]] = []
        for term in sorted(self.by_term):
            index, entry_term, line = self.by_term[term]
            if not steps or index > steps[-1][1]:
                steps.append((term, index, entry_term, line))
        return steps


class MonotoneCommit:
    """The commit index of an incarnation never falls and stays within its log (Raft Figure 2, volatile state)."""

    def __init__(self) -> None:
        self.findings = Findings("monotone-commit", "no commit index ever fell or passed the end of its log")

    def handlers(self) -> Mapping[type, Handler]:
        """Commits and installed snapshots."""
        return {Committed: self._committed, Snapshot: self._snapshot}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `commit-went-back`, `commit-beyond-log`, `older-snapshot-installed`."""
        return self.findings.result()

    def _committed(self, view: NodeView, line: TraceLine, event: Committed) -> None:
        if event.index < view.committed:
            anomaly, text = (
                "commit-went-back",
                f"{line.node} moved its commit index from {view.committed} back to {event.index}",
            )
        elif event.index > view.log.last_index:
            anomaly = "commit-beyond-log"
            text = f"{line.node} committed index {event.index}; its log ends at {view.log.last_index}"
        else:
            return
        self.findings.add(anomaly, text, line, role=view.role, term=view.term, index=event.index)

    def _snapshot(self, view: NodeView, line: TraceLine, event: Snapshot) -> None:
        if event.installed and event.index < view.committed:
            text = f"{line.node} installed a snapshot up to {event.index} with commit index {view.committed}"
            self.findings.add("older-snapshot-installed", text, line, role=view.role, term=view.term, index=event.index)


class StateMachineSafety:
    """Every node applies the same entries in the same order, and only committed ones (Raft §5.4.3, Figure 3)."""

    def __init__(self) -> None:
        self.findings = Findings("state-machine-safety", "every index was applied with the same entry everywhere")
        self._applied: dict[int, tuple[int, TraceLine]] = {}
        self._snapshots: dict[int, tuple[int, int, TraceLine]] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Applied entries and snapshots."""
        return {Applied: self._on_applied, Snapshot: self._on_snapshot}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `different-entry-applied`, `applied-out-of-order`, `applied-before-commit`, …"""
        return self.findings.result()

    def _on_applied(self, view: NodeView, line: TraceLine, event: Applied) -> None:
        index = event.index
        digest, first = self._applied.setdefault(index, (event.digest, line))
        if digest != event.digest:
            text = f"{line.node} applied another entry at index {index} than {place(first)}"
            self._add("different-entry-applied", text, view, line, index)
        if view.applied is not None and index != view.applied + 1:
            text = f"{line.node} applied index {index} after index {view.applied}"
            self._add("applied-out-of-order", text, view, line, index)
        if index > view.committed_ever and view.log.term_at(index) != UNKNOWN:
            text = f"{line.node} applied index {index} with commit index {view.committed_ever}"
            self._add("applied-before-commit", text, view, line, index)
        if view.log.digest_at(index) not in (UNKNOWN, event.digest):
            text = f"{line.node} applied another entry at index {index} than its log holds"
            self._add("applied-other-than-logged", text, view, line, index)

    def _on_snapshot(self, view: NodeView, line: TraceLine, event: Snapshot) -> None:
        term, digest, first = self._snapshots.setdefault(event.index, (event.term, event.digest, line))
        if (term, digest) != (event.term, event.digest):
            text = f"{line.node} has another snapshot at index {event.index} than {place(first)}"
            self._add("different-snapshots", text, view, line, event.index)
        elif not event.installed:
            self._compare_with_log(view, line, event)

    def _compare_with_log(self, view: NodeView, line: TraceLine, event: Snapshot) -> None:
        """A snapshot taken here stands for what was applied (Raft §7). `applied` None: one found on disk at a start."""
        index = event.index
        if view.applied is not None and index > view.applied:
            text = f"{line.node} took a snapshot up to {index}, but had applied entries up to {view.applied} only"
            self._add("snapshot-beyond-applied", text, view, line, index)
        elif view.log.term_at(index) not in (UNKNOWN, event.term):
            text = f"{line.node} says that its snapshot up to {index} ends in term {event.term}, unlike its log"
            self._add("snapshot-of-other-term", text, view, line, index)

    def _add(self, anomaly: str, text: str, view: NodeView, line: TraceLine, index: int) -> None:
        self.findings.add(anomaly, text, line, role=view.role, term=view.term, index=index)


class LeaderCompleteness:
    """A leader has every entry that was committed in an earlier term (Raft §5.4.3, Figure 3)."""

    def __init__(self) -> None:
        self.findings = Findings("leader-completeness", "every leader had all entries committed before its term")
        self._commits = _LeaderCommits()
        self._elected: list[tuple[int, int, int, tuple[Entry, ...], TraceLine]] = []

    def handlers(self) -> Mapping[type, Handler]:
        """Elections and commits."""
        return {Became: self._became, Committed: self._commits.note}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """`leader-lacks-committed-entry`. By Log Matching the last committed entry stands for all before it."""
        steps = self._commits.rising()
        for term, base, last_index, runs, line in self._elected:
            position = bisect_left(steps, term, key=lambda step: step[0])
            if position == 0:
                continue
            commit_term, index, entry_term, commit = steps[position - 1]
            has = _run_term(runs, index) if base < index <= last_index else UNKNOWN
            unknown = index <= base or entry_term == UNKNOWN or (index <= last_index and has == UNKNOWN)
            if unknown or has == entry_term:
                continue
            text = (
                f"{line.node} became leader of term {term} without entry {index} of term {entry_term}, "
                f"committed in term {commit_term} ({place(commit)})"
            )
            self.findings.add("leader-lacks-committed-entry", text, line, role="leader", term=term, index=index)
        return self.findings.result()

    def _became(self, view: NodeView, line: TraceLine, event: Became) -> None:
        if event.role == "leader":
            log = view.log
            self._elected.append((event.term, log.base, log.last_index, tuple(log.runs), line))


def _run_term(runs: Sequence[Entry], index: int) -> int:
    """Term of the entry at `index` in a log given by its (first index, term) runs."""
    position = bisect_left(runs, index + 1, key=lambda run: run[0]) - 1
    return runs[position][1] if position >= 0 else UNKNOWN


class CommittedEntriesDurable:
    """What is committed at an index never changes, and no node removes it afterwards (Raft §5.4.3)."""

    def __init__(self) -> None:
        self.findings = Findings("committed-entries-durable", "no committed entry was changed or removed")
        self._commits = _LeaderCommits()
        self._committed: dict[int, tuple[int, int, TraceLine]] = {}
        self._compared: dict[str, int] = {}
        self._removed: dict[tuple[int, int], tuple[int, TraceLine]] = {}
        """(index, term of an entry) -> (highest term in which a node removed it, where)."""

    def handlers(self) -> Mapping[type, Handler]:
        """Commits and whatever changes a log below them."""
        return {Committed: self._on_committed, Truncated: self._truncated, Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `committed-entries-differ`, `committed-entry-truncated`."""
        steps = self._commits.rising()
        for (index, entry_term), (term, line) in self._removed.items():
            position = bisect_left(steps, index, key=lambda step: step[1])
            committed = self._committed.get(index)
            if position == len(steps) or committed is None or committed[0] != entry_term:
                continue
            commit_term, _, _, commit = steps[position]
            if term >= commit_term:
                self._truncated_finding(index, entry_term, term, line, commit)
        return self.findings.result()

    def _on_committed(self, view: NodeView, line: TraceLine, event: Committed) -> None:
        self._commits.note(view, line, event)
        log, table = view.log, self._committed
        first = max(self._compared.get(view.name, 0), log.base) + 1
        last = min(event.index, log.last_index)
        for index in range(first, last + 1):
            position = index - log.base - 1
            term, digest = log.terms[position], log.digests[position]
            known = table.setdefault(index, (term, digest, line))
            if (known[0] != term or known[1] != digest) and UNKNOWN not in (known[0], known[1], term, digest):
                text = (
                    f"{line.node} committed at index {index} an entry of term {term}, "
                    f"{place(known[2])} one of term {known[0]}"
                )
                self.findings.add("committed-entries-differ", text, line, role=view.role, term=view.term, index=index)
            elif UNKNOWN in known[:2]:
                table[index] = (term, digest, line)
        self._compared[view.name] = max(last, self._compared.get(view.name, 0))

    def _truncated(self, view: NodeView, line: TraceLine, event: Truncated) -> None:
        log = view.log
        self._compared[view.name] = min(self._compared.get(view.name, 0), event.index - 1)
        for index in range(max(event.index, log.base + 1), log.last_index + 1):
            key = (index, log.term_at(index))
            known = self._removed.get(key)
            if known is None or known[0] < view.term:
                self._removed[key] = (view.term, line)
        self._own_commits(view, line, event.index)

    def _own_commits(self, view: NodeView, line: TraceLine, first: int) -> None:
        """Of what is removed, the node itself knew as committed: only entries that are those which were committed.

        A node that knew of a commit before its own copy was durable may come back from a crash with an older, other
        entry there, which it rightly removes.
        """
        log = view.log
        for index in range(max(first, log.base + 1), min(view.committed_ever, log.last_index) + 1):
            known = self._committed.get(index)
            if known is not None and known[0] == log.term_at(index):
                text = (
                    f"{line.node} removed entry {index} of term {known[0]}; "
                    f"it had known entries up to {view.committed_ever} as committed"
                )
                self.findings.add("committed-entry-truncated", text, line, role=view.role, term=view.term, index=index)
                return

    def _truncated_finding(self, index: int, entry_term: int, term: int, line: TraceLine, commit: TraceLine) -> None:
        text = (
            f"{line.node} removed in term {term} entry {index} of term {entry_term}, "
            f"which {place(commit)} had reported committed"
        )
        self.findings.add("committed-entry-truncated", text, line, role="follower", term=term, index=index)

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        unchanged = view.log.unchanged_by_restore(event.last_index, event.last_term)
        self._compared[view.name] = min(self._compared.get(view.name, 0), unchanged)


class AcknowledgedDurable:
    """A client is told of success only after the operation's entry was committed (Raft §5.3, §8).

    The node that answers has itself committed the entry; a node that only passes on a leader's answer may not have
    heard of the commit yet, then some node must have committed that index by the end of the trace.
    """

    def __init__(self) -> None:
        self.findings = Findings("acknowledged-durable", "no operation was acknowledged before its commit")
        self._passed_on: list[tuple[Acknowledged, TraceLine]] = []

    def handlers(self) -> Mapping[type, Handler]:
        """Acknowledgements."""
        return {Acknowledged: self._acknowledged}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `acknowledged-before-commit`, `acknowledged-never-committed`."""
        highest = max((view.committed_ever for view in views), default=0)
        for event, line in self._passed_on:
            if event.index > highest:
                text = (
                    f"{line.node} acknowledged {event.operation} at index {event.index}, which no node ever committed"
                )
                self.findings.add("acknowledged-never-committed", text, line, role="follower", index=event.index)
        return self.findings.result()

    def _acknowledged(self, view: NodeView, line: TraceLine, event: Acknowledged) -> None:
        if event.index <= view.committed_ever:
            return
        if view.role == "leader":
            text = (
                f"{line.node} acknowledged {event.operation} at index {event.index} "
                f"with commit index {view.committed_ever}"
            )
            self.findings.add(
                "acknowledged-before-commit", text, line, role="leader", term=view.role_term, index=event.index
            )
        else:
            self._passed_on.append((event, line))


@dataclass(frozen=True, slots=True)
class _Commit:
    """A leader's word that an entry is committed."""

    entry_term: int
    line: TraceLine
    term: int
    """The leader's."""
    electorates: Electorates | None


class QuorumDurable:
    """A committed entry is durable on a majority of the voters (Raft §5.3 with persistent state of Figure 2).

    A copy counts if it was ever synced, or is in the node's log at the end (it may have been synced without our
    knowing), or is covered by a snapshot that the node installed. So an entry that is committed without being synced is
    seen once a crash takes it away. The majority is one of the configuration in force on the leader that committed the
    entry, in joint consensus one of each side (Raft §6); where no configuration is traced, all nodes are voters.
    """

    def __init__(self) -> None:
        self.findings = Findings("quorum-durable", "every committed entry was durable on a majority")
        self._commits = _LeaderCommits()
        self._entries: dict[int, _Commit] = {}
        """By index: what the leader of the lowest term said that committed it."""
        self._durable: dict[tuple[int, int], int] = {}
        """(index, term) -> set of nodes, as bits."""
        self._counted: dict[str, int] = {}
        """Node -> index up to which its present log is counted."""
        self._installed: dict[int, int] = {}
        """Node, as a bit -> index up to which it has installed snapshots."""

    def handlers(self) -> Mapping[type, Handler]:
        """Commits, syncs, restarts, snapshots, and what changes a log."""
        return {
            Committed: self._committed,
            Synced: self._synced,
            Truncated: self._truncated,
            Restored: self._restored,
            Snapshot: self._snapshot,
        }

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomaly: `committed-without-durable-majority`."""
        for view in views:
            self._count(view, view.log.last_index)
        bits = {view.name: view.bit for view in views}
        for index, commit in self._entries.items():
            if commit.entry_term != UNKNOWN:
                self._judge(index, commit, commit.electorates or (tuple(bits),), bits)
        return self.findings.result()

    def _judge(self, index: int, commit: _Commit, electorates: Electorates, bits: Mapping[str, int]) -> None:
        holders = self._durable.get((index, commit.entry_term), 0)
        for bit, installed in self._installed.items():
            if installed >= index:
                holders |= bit
        for voters in electorates:
            if sum(1 for name in voters if holders & bits.get(name, 0)) <= len(voters) // 2:
                text = (
                    f"entry {index} of term {commit.entry_term}, which {commit.line.node} reported committed in term "
                    f"{commit.term}, was never durable on a majority of {', '.join(voters)}"
                )
                self.findings.add(
                    "committed-without-durable-majority",
                    text,
                    commit.line,
                    role="leader",
                    term=commit.term,
                    index=index,
                )
                return

    def _committed(self, view: NodeView, line: TraceLine, event: Committed) -> None:
        if view.role != "leader":
            return
        known, electorates = self._entries, view.electorates()
        for index in range(max(view.committed, view.log.base) + 1, min(event.index, view.log.last_index) + 1):
            before = known.get(index)
            if before is None or view.role_term < before.term:
                known[index] = _Commit(view.log.term_at(index), line, view.role_term, electorates)

    def _synced(self, view: NodeView, line: TraceLine, event: Synced) -> None:
        if view.log.term_at(event.index) == event.term:
            self._count(view, event.index)

    def _count(self, view: NodeView, last_index: int) -> None:
        """The node's copies up to `last_index` are durable."""
        log, durable = view.log, self._durable
        first = max(self._counted.get(view.name, 0), log.base) + 1
        for index in range(first, last_index + 1):
            key = (index, log.terms[index - log.base - 1])
            durable[key] = durable.get(key, 0) | view.bit
        self._counted[view.name] = max(last_index, first - 1)

    def _truncated(self, view: NodeView, line: TraceLine, event: Truncated) -> None:
        self._counted[view.name] = min(self._counted.get(view.name, 0), event.index - 1)

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        unchanged = view.log.unchanged_by_restore(event.last_index, event.last_term)
        self._counted[view.name] = min(self._counted.get(view.name, 0), unchanged)

    def _snapshot(self, view: NodeView, line: TraceLine, event: Snapshot) -> None:
        if event.installed or view.applied is None:
            self._installed[view.bit] = max(event.index, self._installed.get(view.bit, 0))
