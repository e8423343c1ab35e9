"""What is known of each node while its trace is read, and how rules take part in the one pass over it.

Here belong the state of a node between two events, the order of events, and the findings of a rule; no rule.
Nothing here compares two nodes' clocks, nor takes the order of lines of different nodes for an order in time: a rule
whose findings depend on how the files of the nodes were interleaved would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from checker.records import (
    AnyTraceEvent,
    Appended,
    Applied,
    Became,
    CheckResult,
    Committed,
    Configuration,
    Evidence,
    Restored,
    Snapshot,
    Synced,
    TraceLine,
    Truncated,
    Validity,
    Voted,
)
from checker.trace_log import NodeLog

__all__ = ["Electorates", "Findings", "Handler", "NodeView", "Rule", "in_order", "read_trace"]

FINDINGS_KEPT = 10  # enough to see a pattern; a broken log yields one finding per entry


@dataclass(slots=True)
class NodeView:
    """A node as it was just before the event that a rule is shown."""

    name: str
    bit: int
    """1 << (rank of first appearance): for sets of nodes as integers."""
    incarnation: int = 0
    term: int = 0
    """Highest term this incarnation has shown; its real term may be higher, where nothing was traced."""
    role: str = "follower"
    role_term: int = 0
    committed: int = 0
    """Commit index of this incarnation."""
    committed_ever: int = 0
    """Highest commit index of any incarnation: what is committed stays so."""
    applied: int | None = None
    """Last index applied by this incarnation."""
    log: NodeLog = field(default_factory=NodeLog)
    configuration: Configuration | None = None
    """In force; None: the system does not trace it, or this incarnation has not said."""

    def electorates(self) -> Electorates | None:
        """The sets of voters that must each have a majority, in the configuration in force; None: not known."""
        known = self.configuration
        if known is None or not known.voters:
            return None
        return (known.voters, known.voters_outgoing) if known.voters_outgoing else (known.voters,)


Electorates = tuple[tuple[str, ...], ...]

Handler = Callable[[NodeView, TraceLine, Any], None]
"""(node before the event, line, the line's event)."""


class Rule(Protocol):
    """One rule, fed in one pass."""

    def handlers(self) -> Mapping[type, Handler]:
        """Event type -> what to do with it."""
        ...

    def finish(self, views: Sequence[NodeView]) -> CheckResult:
        """The verdict, once every line was seen."""
        ...


class Findings:
    """What one rule found: counts all, keeps the first ones with their place in the trace."""

    def __init__(self, rule: str, promise: str) -> None:
        self.rule, self.promise = rule, promise
        self.count = 0
        self._kept: list[tuple[str, str, TraceLine, dict[str, Any]]] = []

    def add(
        self,
        anomaly: str,
        text: str,
        line: TraceLine,
        *,
        role: str,
        term: int | None = None,
        index: int | None = None,
    ) -> None:
        """Note a violation seen at `line`. role: what the node was then, for the signature."""
        self.count += 1
        if len(self._kept) < FINDINGS_KEPT:
            self._kept.append((anomaly, text, line, {"role": role, "term": term, "index": index}))

    def result(self, *, found: Validity = Validity.INVALID) -> CheckResult:
        """Valid without findings, else `found`, described by the first finding."""
        if not self._kept:
            return CheckResult(name=self.rule, validity=Validity.VALID, evidence=Evidence(summary=self.promise))
        anomaly, text, line, figures = self._kept[0]
        where = {"node": line.node, "incarnation": line.incarnation, "seq": line.seq}
        return CheckResult(
            name=self.rule,
            validity=found,
            anomaly=anomaly,
            key=line.node,
            evidence=Evidence(
                summary=text,
                details=tuple(self._details()),
                figures={**where, **figures, "findings": self.count},
            ),
        )

    def _details(self) -> Iterator[str]:
        for anomaly, text, line, _ in self._kept:
            yield f"{place(line)}  {anomaly}: {text}"
        if self.count > len(self._kept):
            yield f"and {self.count - len(self._kept)} more"


def place(line: TraceLine) -> str:
    """Where a line stands: node, incarnation, seq."""
    return f"{line.node} incarnation {line.incarnation} seq {line.seq}"


def in_order(lines: Sequence[TraceLine]) -> Sequence[TraceLine]:
    """`lines` such that each node's are ascending by (incarnation, seq); the same object if they already are."""
    last: dict[str, TraceLine] = {}
    for line in lines:
        before = last.get(line.node, line)
        if line.incarnation <= before.incarnation and (line.seq < before.seq or line.incarnation < before.incarnation):
            return sorted(lines, key=lambda line: (line.node, line.incarnation, line.seq))
        last[line.node] = line
    return lines


def read_trace(lines: Sequence[TraceLine], rules: Iterable[Rule]) -> tuple[CheckResult, ...]:
    """Show every line to every rule that wants it, in one pass, and collect the verdicts in the rules' order."""
    rules = tuple(rules)
    handlers = _dispatch(rules)
    views: dict[str, NodeView] = {}
    for line in in_order(lines):
        view = views.get(line.node)
        if view is None:
            view = views[line.node] = NodeView(line.node, 1 << len(views))
        event = line.event
        for handler in handlers.get(type(event), ()):
            handler(view, line, event)
    return tuple(rule.finish(tuple(views.values())) for rule in rules)


def _dispatch(rules: Sequence[Rule]) -> dict[type, tuple[Handler, ...]]:
    """Who is shown each kind of event: the rules in their order, and then the view, which is changed by it."""
    handlers: dict[type, list[Handler]] = {}
    for rule in rules:
        for kind, handler in rule.handlers().items():
            handlers.setdefault(kind, []).append(handler)
    for kind, update in UPDATES.items():
        handlers.setdefault(kind, []).append(update)
    return {kind: tuple(of_kind) for kind, of_kind in handlers.items()}


# ── how an event changes what is known of a node ─────────────────────────────────────────────────────────────────────


def _restored(view: NodeView, line: TraceLine, event: Restored) -> None:
    view.log.restore(event.last_index, event.last_term)
    view.incarnation, view.term = line.incarnation, event.term
    view.role, view.role_term = "follower", event.term
    view.committed, view.applied = 0, None
    view.configuration = None


def _configuration(view: NodeView, _: TraceLine, event: Configuration) -> None:
    view.configuration = event


def _became(view: NodeView, _: TraceLine, event: Became) -> None:
    view.role, view.role_term = event.role, event.term
    view.term = max(view.term, event.term)


def _voted(view: NodeView, _: TraceLine, event: Voted) -> None:
    view.term = max(view.term, event.term)


def _appended(view: NodeView, _: TraceLine, event: Appended) -> None:
    view.log.append(event.index, event.term, event.digest)
    if event.term > view.term:
        view.term = event.term


def _truncated(view: NodeView, _: TraceLine, event: Truncated) -> None:
    view.log.cut(event.index)


def _synced(view: NodeView, _: TraceLine, event: Synced) -> None:
    view.log.sync(event.index, event.term)


def _committed(view: NodeView, _: TraceLine, event: Committed) -> None:
    view.committed = event.index
    view.committed_ever = max(view.committed_ever, event.index)


def _applied(view: NodeView, _: TraceLine, event: Applied) -> None:
    view.applied = event.index


def _snapshot(view: NodeView, _: TraceLine, event: Snapshot) -> None:
    """Installed, or found on disk by an incarnation that has applied nothing: the state begins with it."""
    if event.installed:
        view.log.install(event.index, event.term)
    if event.installed or view.applied is None:
        view.committed = max(view.committed, event.index)
        view.committed_ever = max(view.committed_ever, event.index)
        view.applied = max(view.applied or 0, event.index)


UPDATES: Mapping[type[AnyTraceEvent], Handler] = {
    Restored: _restored,
    Became: _became,
    Voted: _voted,
    Appended: _appended,
    Truncated: _truncated,
    Synced: _synced,
    Committed: _committed,
    Configuration: _configuration,
    Applied: _applied,
    Snapshot: _snapshot,
}
"""Events not listed change nothing here."""
