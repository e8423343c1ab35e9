"""Was any number given to two clients? After Jepsen's and Maelstrom's `unique-ids`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from checker.findings import Finding, by_key, conclude, is_ok, told
from checker.history import Operation, freeze
from checker.records import CheckResult

__all__ = ["ANOMALIES", "NAME", "check_unique_ids"]

NAME = "unique-ids"
ANOMALIES = (("duplicate-id", "two answers told the same number"),)


def check_unique_ids(operations: Sequence[Operation]) -> CheckResult:
    """Judge every `generate` that succeeded, per key. Figures: `asked`, `given`, `smallest`, `largest`."""
    findings: list[Finding] = []
    given: list[Operation] = []
    for group in by_key([one for one in operations if one.f == "generate"]).values():
        first: dict[Hashable, Operation] = {}
        for one in filter(is_ok, group):
            given.append(one)
            earlier = first.setdefault(freeze(one.result), one)
            if earlier is not one:
                findings.append(Finding("duplicate-id", f"{told(one)}, which {told(earlier)} too", (earlier, one)))
    numbers = [one.result for one in given if type(one.result) is int]
    figures = {
        "asked": sum(one.f == "generate" for one in operations),
        "given": len(given),
        "smallest": min(numbers, default=None),
        "largest": max(numbers, default=None),
    }
    return conclude(NAME, ANOMALIES, findings, well=f"{len(given)} answers, all different", figures=figures)
