"""What became of every fault of a run: effective, without effect, or unverified, by counted consequences.

Here belongs the reading of faults.jsonl into one summary per fault; what a run's verdict makes of it is
`checker.vacuity`. A fault is never effective because its mechanism was switched on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

import msgspec

from checker.errors import CheckerError
from checker.records import FaultApplied, FaultHealed, FaultLine, FaultObserved, FaultPlanned, FaultUndone

__all__ = ["FaultStatus", "FaultSummary", "consequence_windows", "fault_windows", "summarize_faults"]


class FaultStatus(StrEnum):
    """How a fault ended."""

    EFFECTIVE = "effective"
    """At least one consequence was counted that is evidence of this kind of fault."""
    NO_EFFECT = "no-effect"
    """It was never applied, or it was watched and nothing was counted."""
    UNVERIFIED = "unverified"
    """It was applied and nobody watched: proves nothing."""


class FaultSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of one fault. Times in nanoseconds of the run's clock; None: it did not come to that."""

    id: str
    kind: str
    family: str
    status: FaultStatus
    planned_ns: int
    """When it was announced, not when it was to start."""
    for_ns: int
    applied_ns: int | None = None
    undone_ns: int | None = None
    healed_ns: int | None = None
    resolved: tuple[str, ...] = ()
    """Nodes hit."""
    rule: str = ""
    counts: dict[str, int] = {}
    """Consequences, summed over all observations."""

    @property
    def cause(self) -> str:
        """Why it has the status it has, in words."""
        match self.status:
            case FaultStatus.EFFECTIVE:
                return ", ".join(f"{count} {what}" for what, count in self.counts.items() if count > 0)
            case FaultStatus.UNVERIFIED:
                return "applied, but its consequences were never counted"
            case FaultStatus.NO_EFFECT if self.applied_ns is None:
                return "never applied"
            case FaultStatus.NO_EFFECT:
                return "applied, but no consequence was counted"
            case _:
                assert_never(self.status)


@dataclass(slots=True)
class _Story:
    """The lines of one fault, while they are read."""

    planned: FaultPlanned
    applied: FaultApplied | None = None
    undone_ns: int | None = None
    healed_ns: int | None = None
    resolved: dict[str, None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    observed: bool = False


def summarize_faults(lines: Sequence[FaultLine]) -> tuple[FaultSummary, ...]:
    """One summary per planned fault, in the order of planning.

    Raises CheckerError for a line about a fault that was never planned, or planned twice.
    """
    stories: dict[str, _Story] = {}
    for line in lines:
        if isinstance(line, FaultPlanned):
            if line.id in stories:
                raise CheckerError(f"faults: fault {line.id!r} is planned twice; every fault needs an id of its own")
            stories[line.id] = _Story(line)
        elif line.id not in stories:
            raise CheckerError(f"faults: a line about fault {line.id!r} comes before its `planned` line")
        else:
            _tell(stories[line.id], line)
    return tuple(_summary(story) for story in stories.values())


def fault_windows(faults: Iterable[FaultSummary], end_ns: int) -> tuple[tuple[int, int], ...]:
    """When effective faults were on: merged, ascending (from, to) in nanoseconds; never undone means to `end_ns`."""
    return _merged((fault, end_ns if fault.undone_ns is None else fault.undone_ns) for fault in faults)


def consequence_windows(faults: Iterable[FaultSummary], end_ns: int) -> tuple[tuple[int, int], ...]:
    """As `fault_windows`, but each lasts until a probe saw its consequence end: a process that is started again is not
    back yet, and takes its time in a real world."""
    return _merged((fault, end_ns if fault.healed_ns is None else fault.healed_ns) for fault in faults)


def _merged(ends: Iterable[tuple[FaultSummary, int]]) -> tuple[tuple[int, int], ...]:
    spans = sorted(
        (fault.applied_ns, end_ns)
        for fault, end_ns in ends
        if fault.status is FaultStatus.EFFECTIVE and fault.applied_ns is not None
    )
    merged: list[tuple[int, int]] = []
    for begin, end in spans:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _tell(story: _Story, line: FaultApplied | FaultObserved | FaultUndone | FaultHealed) -> None:
    match line:
        case FaultApplied():
            story.applied = story.applied or line
            story.resolved.update(dict.fromkeys(line.resolved))
        case FaultObserved():
            story.observed = True
            for what, count in line.counts.items():
                story.counts[what] = story.counts.get(what, 0) + count
        case FaultUndone():
            story.undone_ns = line.time_ns
        case FaultHealed():
            story.healed_ns = line.time_ns
        case _:
            assert_never(line)


def _status(story: _Story) -> FaultStatus:
    if story.applied is None:
        return FaultStatus.NO_EFFECT
    if not story.observed:
        return FaultStatus.UNVERIFIED
    evidence = story.planned.evidence or tuple(story.counts)
    return FaultStatus.EFFECTIVE if any(story.counts.get(name, 0) > 0 for name in evidence) else FaultStatus.NO_EFFECT


def _summary(story: _Story) -> FaultSummary:
    planned, applied = story.planned, story.applied
    return FaultSummary(
        id=planned.id,
        kind=planned.kind,
        family=planned.family,
        status=_status(story),
        planned_ns=planned.time_ns,
        for_ns=planned.for_ns,
        applied_ns=None if applied is None else applied.time_ns,
        undone_ns=story.undone_ns,
        healed_ns=story.healed_ns,
        resolved=tuple(story.resolved),
        rule="" if applied is None else applied.rule,
        counts=dict(story.counts),
    )
