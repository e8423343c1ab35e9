"""From what a rule over operations found to a check's result. Here belong shape and order, no rule itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import describe, describe_value
from checker.records import CheckResult, Evidence, Validity

__all__ = ["Finding", "Manual", "by_key", "conclude", "is_ok", "told"]

DETAILS_MAX = 20

Manual = tuple[tuple[str, str], ...]
"""Every class of violation that a check can name with its meaning, the gravest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction."""

    anomaly: str
    sentence: str
    operations: tuple[Operation, ...]


def conclude(
    name: str, anomalies: Manual, findings: Sequence[Finding], *, well: str, figures: dict[str, Any]
) -> CheckResult:
    """Invalid if anything was found, named after the gravest class; else valid with the summary `well`."""
    if not findings:
        return CheckResult(name=name, validity=Validity.VALID, evidence=Evidence(summary=well, figures=figures))
    ranks = {anomaly: rank for rank, (anomaly, _) in enumerate(anomalies)}
    ordered = sorted(findings, key=lambda found: ranks[found.anomaly])
    worst = ordered[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    evidence = Evidence(
        summary=worst.sentence + more,
        details=tuple(f"{found.anomaly}: {found.sentence}" for found in ordered[:DETAILS_MAX]),
        indexes=tuple(one.index for one in worst.operations),
        figures=figures | {"kinds": sorted({one.f for one in worst.operations}), "findings": len(findings)},
    )
    key = worst.operations[0].key if worst.operations else None
    return CheckResult(name=name, validity=Validity.INVALID, anomaly=worst.anomaly, key=key, evidence=evidence)


def by_key(operations: Sequence[Operation]) -> dict[Hashable, list[Operation]]:
    """Operations by frozen key, keys in order of first appearance."""
    groups: dict[Hashable, list[Operation]] = {}
    for one in operations:
        groups.setdefault(freeze(one.key), []).append(one)
    return groups


def is_ok(operation: Operation) -> bool:
    """It certainly took effect."""
    return operation.outcome is Outcome.OK


def told(operation: Operation) -> str:
    """`process 7 was told read -> [1 2] (key r3) at 12.413 s`."""
    at = "" if operation.return_ns is None else f" at {operation.return_ns / 1e9:.3f} s"
    return f"process {operation.process} was told {describe(operation)} (key {describe_value(operation.key)}){at}"
