"""What the rows of a campaign come to: counts, shares, tables, and the exit code.

One violation is never masked by anything else, and a campaign of which more than one trial in a hundred tested nothing
is vacuous (architecture, section 4). Pure functions of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from checker.faults import FaultStatus
from checker.records import Validity
from checker.verdict import exit_code
from histrio.campaign import Row

__all__ = ["Summary", "campaign_exit_code", "summarize", "summary_text"]

VACUOUS_PERCENT_MAX = 1


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a campaign."""

    trials: int
    verdicts: dict[str, int]
    signatures: dict[str, tuple[int, ...]]
    """Signature of a violation -> the seeds that show it."""
    workloads: dict[str, int]
    """Trials of each."""
    operations: int
    ok_share: float
    events: int
    simulated_s: float
    bites: int
    altered: int
    faults: dict[str, dict[str, int]]
    """Kind -> status -> how often."""
    rechecked: int
    """Trials that were run twice."""
    out_of_time: bool


def summarize(rows: Sequence[Row], *, rechecked: int, out_of_time: bool) -> Summary:
    """Add the rows up; those of a violation come in the order of their seeds."""
    ordered = sorted(rows, key=lambda row: row.seed)
    signatures: dict[str, tuple[int, ...]] = {}
    faults: dict[str, dict[str, int]] = {}
    for row in ordered:
        if row.validity is Validity.INVALID:
            name = row.signature or ""
            signatures[name] = (*signatures.get(name, ()), row.seed)
        for fault in row.faults:
            statuses = faults.setdefault(fault.kind, {})
            statuses[fault.status] = statuses.get(fault.status, 0) + fault.count
    operations = sum(row.operations for row in rows)
    return Summary(
        trials=len(rows),
        verdicts=dict(sorted(Counter(str(row.validity) for row in rows).items())),
        signatures=signatures,
        workloads=dict(sorted(Counter(row.workload for row in rows).items())),
        operations=operations,
        ok_share=sum(row.ok for row in rows) / max(1, operations),
        events=sum(row.events for row in rows),
        simulated_s=sum(row.simulated_ns for row in rows) / 1e9,
        bites=sum(row.bites for row in rows),
        altered=sum(row.altered for row in rows),
        faults=dict(sorted(faults.items())),
        rechecked=rechecked,
        out_of_time=out_of_time,
    )


def campaign_exit_code(rows: Sequence[Row]) -> int:
    """Of the gravest verdict: invalid, harness error, too many vacuous trials, unknown; else 0. No rows: vacuous."""
    counts = Counter(row.validity for row in rows)
    for validity in (Validity.INVALID, Validity.HARNESS_ERROR):
        if counts[validity]:
            return exit_code(validity)
    if counts[Validity.VACUOUS] * 100 > VACUOUS_PERCENT_MAX * len(rows) or not rows:
        return exit_code(Validity.VACUOUS)
    return exit_code(Validity.UNKNOWN if counts[Validity.UNKNOWN] else Validity.VALID)


def summary_text(summary: Summary) -> str:
    """The figures for people."""
    verdicts = ", ".join(f"{count:,} {name}" for name, count in summary.verdicts.items())
    stopped = "; the time ran out before the last seed" if summary.out_of_time else ""
    lines = [
        f"{summary.trials:,} trials: {verdicts}{stopped}",
        f"{summary.operations:,} operations, {summary.ok_share:.1%} ok; {summary.events:,} events in"
        f" {summary.simulated_s:,.0f} simulated seconds",
        f"bite: {summary.bites:,} of {summary.altered:,} altered histories refused",
        f"run twice, with other hashes: {summary.rechecked:,}; a difference is a harness error",
        "",
        *_table("workload", ("trials",), {name: {"trials": count} for name, count in summary.workloads.items()}),
        "",
        *_table("kind of fault", tuple(map(str, FaultStatus)), summary.faults),
    ]
    for signature, seeds in summary.signatures.items():
        shown = ", ".join(map(str, seeds[:10])) + (" …" if len(seeds) > 10 else "")
        lines += ["", f"INVALID  {signature}", f"  {len(seeds)} seeds: {shown}"]
    return "\n".join(lines)


def _table(title: str, columns: tuple[str, ...], rows: dict[str, dict[str, int]]) -> list[str]:
    width = max([len(title), *map(len, rows)]) + 2
    head = f"{title:<{width}}" + "".join(f"{column:>12}" for column in columns)
    return [head] + [
        f"{name:<{width}}" + "".join(f"{counts.get(column, 0):>12,}" for column in columns)
        for name, counts in rows.items()
    ]
