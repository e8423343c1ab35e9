"""What the clients experienced, in figures: counts, shares, latencies, the longest time without success.

Here belong figures that decide nothing: the check is always valid and exists for its evidence. Plots and windows over
time are `reports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.records import CheckResult, Evidence, HistoryLine, LineType, Phase, Validity

__all__ = ["check_statistics", "longest_gap", "quantile"]

QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
OUTCOMES = (LineType.OK, LineType.FAIL, LineType.INFO)
OPEN = "open"


def check_statistics(history_lines: Sequence[HistoryLine], phases: Sequence[Phase] = ()) -> CheckResult:
    """Counts per `f` and outcome, latency quantiles, errors, and the longest interval without an `ok`.

    The interval is looked for in the phase called `load`, where there is one, else in the whole history. Figures:
    `operations_total`, `counts`, `ok_share`, `latency_ns`, `errors`, `longest_gap_ns`, `longest_gap_begin_ns`.
    """
    counts, latencies, errors = _tally(history_lines)
    total = sum(sum(row.values()) for row in counts.values())
    ok = sum(row[LineType.OK] for row in counts.values())
    begin_ns, end_ns = _span(history_lines, phases)
    gap_begin_ns, gap_ns = longest_gap(history_lines, begin_ns, end_ns)
    figures: dict[str, Any] = {
        "operations_total": total,
        "counts": counts,
        "ok_share": round(ok / total, 6) if total else None,
        "latency_ns": {f: {name: quantile(values, q) for name, q in QUANTILES} for f, values in latencies.items()},
        "errors": errors,
        "longest_gap_ns": gap_ns,
        "longest_gap_begin_ns": gap_begin_ns,
    }
    share = f", {ok / total:.1%} of them ok" if total else ""
    summary = f"{total} operations{share}; longest time without an ok: {gap_ns / 1e9:.3f} s"
    evidence = Evidence(summary=summary, figures=figures)
    return CheckResult(name="statistics", validity=Validity.VALID, evidence=evidence)


def quantile(ascending: Sequence[int], share: float) -> int:
    """The nearest-rank quantile: the smallest value with at least `share` of all values at or below it.

    ascending: non-empty, sorted. share: 0 < share <= 1.
    """
    rank = -int(-len(ascending) * share // 1)  # ceiling
    return ascending[max(rank, 1) - 1]


def longest_gap(history_lines: Sequence[HistoryLine], begin_ns: int, end_ns: int) -> tuple[int, int]:
    """(begin, length) in nanoseconds of the longest stretch of [begin_ns, end_ns] in which no operation ended `ok`."""
    marks = [begin_ns]
    marks += [line.time_ns for line in history_lines if line.type is LineType.OK and begin_ns <= line.time_ns <= end_ns]
    marks.append(end_ns)
    best = max(range(len(marks) - 1), key=lambda position: marks[position + 1] - marks[position])
    return marks[best], marks[best + 1] - marks[best]


def _tally(
    history_lines: Sequence[HistoryLine],
) -> tuple[dict[str, dict[str, int]], dict[str, list[int]], dict[str, dict[str, int]]]:
    counts: dict[str, dict[str, int]] = {}
    latencies: dict[str, list[int]] = {}
    errors: dict[str, dict[str, int]] = {}
    calls: dict[int, HistoryLine] = {}
    for line in history_lines:
        row = counts.setdefault(line.f, {**dict.fromkeys(map(str, OUTCOMES), 0), OPEN: 0})
        if line.type is LineType.INVOKE:
            calls[line.process] = line
            row[OPEN] += 1
            continue
        row[OPEN] -= 1
        row[str(line.type)] += 1
        call = calls.pop(line.process, None)
        if line.type is LineType.OK and call is not None:
            latencies.setdefault(line.f, []).append(line.time_ns - call.time_ns)
        elif line.error is not None:
            of_f = errors.setdefault(line.f, {})
            of_f[line.error] = of_f.get(line.error, 0) + 1
    for values in latencies.values():
        values.sort()
    return counts, latencies, errors


def _span(history_lines: Sequence[HistoryLine], phases: Sequence[Phase]) -> tuple[int, int]:
    last_ns = history_lines[-1].time_ns if history_lines else 0
    for phase in phases:
        if phase.name == "load":
            return phase.begin_ns, last_ns if phase.end_ns is None else phase.end_ns
    return (history_lines[0].time_ns if history_lines else 0), last_ns
