"""Lines of faults.jsonl by hand: `story("f1", "kill", "kill", counts={"killed": 1})`."""

from __future__ import annotations

from checker.faults import FaultSummary, summarize_faults
from checker.records import FaultApplied, FaultHealed, FaultLine, FaultObserved, FaultPlanned, FaultUndone
from tests.checker.invariants.histories import MS

__all__ = ["effective", "planned", "story", "summaries"]


def planned(fault: str, kind: str = "kill", family: str = "kill") -> FaultPlanned:
    return FaultPlanned(id=fault, time_ns=0, kind=kind, family=family, at={"on": "time", "ns": 0}, for_ns=10 * MS)


def story(
    fault: str,
    kind: str = "kill",
    family: str = "kill",
    *,
    counts: dict[str, int] | None,
    from_ms: int = 10,
    to_ms: int = 20,
) -> list[FaultLine]:
    """The whole life of a fault. counts None: nobody counted."""
    begin: list[FaultLine] = [
        planned(fault, kind, family),
        FaultApplied(id=fault, time_ns=from_ms * MS, resolved=("n1",), rule=f"{kind} n1"),
    ]
    observed = [] if counts is None else [FaultObserved(id=fault, time_ns=to_ms * MS, counts=counts)]
    end: list[FaultLine] = [
        FaultUndone(id=fault, time_ns=to_ms * MS),
        FaultHealed(id=fault, time_ns=(to_ms + 1) * MS, probe="n1 answered"),
    ]
    return [*begin, *observed, *end]


def effective(kind: str = "kill", family: str = "kill", *, from_ms: int = 0, to_ms: int = 1000) -> FaultSummary:
    (summary,) = summaries(story("f1", kind, family, counts={"killed": 1}, from_ms=from_ms, to_ms=to_ms))
    return summary


def summaries(*lines: list[FaultLine]) -> tuple[FaultSummary, ...]:
    return summarize_faults([line for of_fault in lines for line in of_fault])
