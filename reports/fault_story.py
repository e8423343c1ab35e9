"""What became of each fault, told from the lines of faults.jsonl.

Here belongs folding a fault's lines into one record; drawing is `reports.plots`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from checker.records import FaultApplied, FaultHealed, FaultLine, FaultObserved, FaultPlanned, FaultUndone

__all__ = ["FaultStory", "fault_stories"]

FaultStatus = Literal["effective", "no-effect", "unverified"]


@dataclass(frozen=True, slots=True)
class FaultStory:
    """One fault from plan to healing. Times in nanoseconds of the run; None: it never came to that."""

    id: str
    kind: str
    family: str
    for_ns: int
    nodes: tuple[str, ...] = ()
    rule: str = ""
    applied_ns: int | None = None
    undone_ns: int | None = None
    healed_ns: int | None = None
    counts: tuple[tuple[str, int], ...] | None = None
    """Consequences counted, by name; None: nobody ever looked."""

    @property
    def status(self) -> FaultStatus:
        """`effective`: a consequence was counted. `no-effect`: counted, and all zero. `unverified`: never counted."""
        if self.counts is None:
            return "unverified"
        return "effective" if any(count > 0 for _, count in self.counts) else "no-effect"


def fault_stories(lines: Iterable[FaultLine]) -> tuple[FaultStory, ...]:
    """One record per fault id, in the order in which the ids first appear."""
    stories: dict[str, FaultStory] = {}
    for line in lines:
        stories[line.id] = _told(stories.get(line.id) or FaultStory(line.id, "unplanned", "unplanned", 0), line)
    return tuple(stories.values())


def _told(story: FaultStory, line: FaultLine) -> FaultStory:
    match line:
        case FaultPlanned():
            return replace(story, kind=line.kind, family=line.family, for_ns=line.for_ns)
        case FaultApplied():
            return replace(story, applied_ns=line.time_ns, nodes=line.resolved, rule=line.rule)
        case FaultObserved():
            counts = dict(story.counts or ())
            counts.update({name: counts.get(name, 0) + count for name, count in line.counts.items()})
            return replace(story, counts=tuple(sorted(counts.items())))
        case FaultUndone():
            return replace(story, undone_ns=line.time_ns)
        case FaultHealed():
            return replace(story, healed_ns=line.time_ns)
