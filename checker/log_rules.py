"""Rules over the contents of logs (Raft Figure 3: Log Matching, Leader Append-Only; §5.3) and their durability.

Here belong rules that hold for every entry, committed or not; those about commitment are `checker.commit_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from checker.records import AnyTraceEvent, Appended, CheckResult, Restored, TraceLine, Truncated, Validity
from checker.trace_log import UNKNOWN
from checker.trace_view import Findings, Handler, NodeView, place

__all__ = ["LeaderAppendOnly", "LogMatching", "SyncedDurable", "TraceForm"]


class TraceForm:
    """Every incarnation begins with `restored` and no line is there twice; else the recorder erred."""

    def __init__(self) -> None:
        self.findings = Findings("trace-form", "every incarnation began with what the disk gave back")
        self._last: dict[str, TraceLine] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Every event."""
        return {**dict.fromkeys(get_args(AnyTraceEvent), self._seen), Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """A harness error: `no-beginning`, `two-beginnings` or `repeated-line`. Nothing is said about the system."""
        return self.findings.result(found=Validity.HARNESS_ERROR)

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        if view.incarnation == line.incarnation:
            text = f"{place(line)}: a second `restored` in one incarnation"
            self.findings.add("two-beginnings", text, line, role=view.role)
        self._compare_with_last(line)

    def _seen(self, view: NodeView, line: TraceLine, event: object) -> None:
        if view.incarnation != line.incarnation:
            text = f"{place(line)}: the incarnation's first event is not `restored`"
            self.findings.add("no-beginning", text, line, role=view.role)
            view.incarnation = line.incarnation
        self._compare_with_last(line)

    def _compare_with_last(self, line: TraceLine) -> None:
        last = self._last.get(line.node)
        if last is not None and last.seq == line.seq and last.incarnation == line.incarnation:
            self.findings.add("repeated-line", f"{place(line)} is there twice", line, role="")
        self._last[line.node] = line


class LogMatching:
    """Two logs with an entry of equal index and term are equal up to it (Raft §5.3, Figure 3); logs have no holes.

    An entry is replaced only after it was removed (§5.3), and terms never fall along a log.
    """

    def __init__(self) -> None:
        self.findings = Findings("log-matching", "equal index and term meant equal entries and predecessors")
        self._entries: dict[tuple[int, int], tuple[int, int, TraceLine]] = {}

    def handlers(self) -> Mapping[type, Handler]:
        """Appends."""
        return {Appended: self._appended}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `same-position-different-entry`, `same-entry-different-predecessor`, `hole-in-log`, …"""
        return self.findings.result()

    def _appended(self, view: NodeView, line: TraceLine, event: Appended) -> None:
        log, index, term = view.log, event.index, event.term
        if index != log.last_index + 1:
            self._misplaced(view, line, event)
        previous = log.term_at(index - 1)
        key = (index, term)
        known = self._entries.get(key)
        if known is None:
            self._entries[key] = (event.digest, previous, line)
        else:
            self._compare(view, line, event, previous, known)
        if previous > term:
            text = f"{line.node} appended index {index} of term {term} after an entry of term {previous}"
            self.findings.add("log-term-went-back", text, line, role=view.role, term=term, index=index)

    def _compare(
        self, view: NodeView, line: TraceLine, event: Appended, previous: int, known: tuple[int, int, TraceLine]
    ) -> None:
        digest, known_previous, first = known
        if digest != event.digest:
            anomaly, what = "same-position-different-entry", "another entry"
        elif previous != known_previous and UNKNOWN not in (previous, known_previous):
            anomaly, what = "same-entry-different-predecessor", "another predecessor"
        else:
            if known_previous == UNKNOWN != previous:
                self._entries[event.index, event.term] = (digest, previous, line)
            return
        text = f"{line.node} appended index {event.index} of term {event.term} with {what} than {place(first)}"
        self.findings.add(anomaly, text, line, role=view.role, term=event.term, index=event.index)

    def _misplaced(self, view: NodeView, line: TraceLine, event: Appended) -> None:
        log, index = view.log, event.index
        if index > log.last_index + 1:
            anomaly, text = "hole-in-log", f"{line.node} appended index {index} to a log ending at {log.last_index}"
        elif log.term_at(index) == event.term and log.digest_at(index) == event.digest:
            return  # said again, nothing changed
        else:
            anomaly = "overwritten-without-truncation"
            text = f"{line.node} put another entry at index {index} without removing the log from there"
        self.findings.add(anomaly, text, line, role=view.role, term=event.term, index=index)


class LeaderAppendOnly:
    """A leader only appends to its log, and only entries of its own term (Raft Figure 3, §5.3)."""

    def __init__(self) -> None:
        self.findings = Findings("leader-append-only", "no leader removed entries from its log")

    def handlers(self) -> Mapping[type, Handler]:
        """Changes of the log."""
        return {Appended: self._appended, Truncated: self._truncated}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `leader-truncated`, `leader-appended-foreign-term`."""
        return self.findings.result()

    def _truncated(self, view: NodeView, line: TraceLine, event: Truncated) -> None:
        if view.role == "leader":
            text = f"{line.node}, leader of term {view.role_term}, removed its log from index {event.index}"
            self.findings.add("leader-truncated", text, line, role="leader", term=view.role_term, index=event.index)

    def _appended(self, view: NodeView, line: TraceLine, event: Appended) -> None:
        if view.role == "leader" and event.term != view.role_term:
            text = f"{line.node}, leader of term {view.role_term}, appended an entry of term {event.term}"
            self.findings.add(
                "leader-appended-foreign-term", text, line, role="leader", term=event.term, index=event.index
            )


class SyncedDurable:
    """What a node called synced is there after a restart, unless it was removed (persistent state of Raft Figure 2).

    Entries that were never synced, and removals that were not, may be lost by a crash.
    """

    def __init__(self) -> None:
        self.findings = Findings("synced-durable", "every restart gave back what had been synced")

    def handlers(self) -> Mapping[type, Handler]:
        """Restarts."""
        return {Restored: self._restored}

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """Anomalies: `synced-entry-lost`; `unexplained-log`: no prefix of what was written ends like this."""
        return self.findings.result()

    def _restored(self, view: NodeView, line: TraceLine, event: Restored) -> None:
        if view.incarnation == 0:
            return  # the trace does not go back to when this disk was written
        recovery = view.log.recovery(event.last_index, event.last_term)
        if not recovery.unexplained:
            return
        came = f"{line.node} came back with a log ending at index {event.last_index} of term {event.last_term}"
        if recovery.synced_lost:
            anomaly, text = "synced-entry-lost", f"{came}; it had synced up to index {view.log.durable_index}"
        else:
            anomaly, text = "unexplained-log", f"{came}, which is no prefix of what it wrote"
        self.findings.add(anomaly, text, line, role=view.role, term=event.term, index=event.last_index)
