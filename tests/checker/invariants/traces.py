"""Short traces by hand: `trace(n1=[restored(), became("leader", 1)])`. The order of lines is that of the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from checker.records import (
    Acknowledged,
    AnyTraceEvent,
    Appended,
    Applied,
    Became,
    CheckResult,
    Committed,
    Restored,
    Snapshot,
    Synced,
    TraceLine,
    Truncated,
    Validity,
    Voted,
)
from checker.trace_rules import check_trace

__all__ = [
    "acknowledged",
    "appended",
    "applied",
    "became",
    "committed",
    "found",
    "restored",
    "results",
    "snapshot",
    "synced",
    "trace",
    "truncated",
    "voted",
]

Role = Literal["follower", "pre-candidate", "candidate", "leader"]


def trace(**nodes: Sequence[AnyTraceEvent]) -> list[TraceLine]:
    """Each `Restored` begins the node's next incarnation."""
    lines = []
    for node, events in nodes.items():
        incarnation = 0
        for seq, event in enumerate(events):
            incarnation += isinstance(event, Restored)
            lines.append(TraceLine(node=node, incarnation=max(incarnation, 1), seq=seq, local_ns=0, event=event))
    return lines


def found(lines: Sequence[TraceLine]) -> dict[str, str | None]:
    """Rule -> anomaly class, of the rules that did not pass."""
    return {check.name: check.anomaly for check in results(lines) if check.validity is not Validity.VALID}


def results(lines: Sequence[TraceLine]) -> tuple[CheckResult, ...]:
    return check_trace(lines)


def restored(last: tuple[int, int] = (0, 0), *, term: int | None = None, vote: str | None = None) -> AnyTraceEvent:
    """last: (index, term) of the last entry. term: the node's, by default the last entry's."""
    index, last_term = last
    return Restored(term=last_term if term is None else term, voted_for=vote, last_index=index, last_term=last_term)


def became(role: Role, term: int) -> AnyTraceEvent:
    return Became(role=role, term=term)


def voted(term: int, candidate: str) -> AnyTraceEvent:
    return Voted(term=term, candidate=candidate)


def appended(index: int, term: int, digest: int | None = None) -> AnyTraceEvent:
    """By default the digest that every other entry of this index and term has here too."""
    return Appended(index=index, term=term, digest=digest_of(index, term) if digest is None else digest)


def truncated(index: int) -> AnyTraceEvent:
    return Truncated(index=index)


def synced(index: int, term: int) -> AnyTraceEvent:
    return Synced(index=index, term=term)


def committed(index: int) -> AnyTraceEvent:
    return Committed(index=index)


def applied(index: int, term: int, digest: int | None = None) -> AnyTraceEvent:
    return Applied(index=index, digest=digest_of(index, term) if digest is None else digest)


def snapshot(index: int, term: int, *, digest: int = 7, installed: bool = False) -> AnyTraceEvent:
    return Snapshot(index=index, term=term, digest=digest, installed=installed)


def acknowledged(operation: str, index: int) -> AnyTraceEvent:
    return Acknowledged(operation=operation, index=index)


def digest_of(index: int, term: int) -> int:
    return term * 1_000_003 + index
