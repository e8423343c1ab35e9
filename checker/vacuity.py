"""Did the run test anything worth the name? A green verdict over nothing is the worst a harness can give.

Here belong the grounds on which a run counts as vacuous, each with its cause in words; whether faults took effect is
decided in `checker.faults`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from checker.faults import FaultStatus, FaultSummary, fault_windows
from checker.records import CheckResult, Evidence, HistoryLine, LineType, Validity

__all__ = ["check_vacuity"]

NO_FAULTS = "none"
ALL_FAULTS = "all"

TRIES_OF_A_KIND = 3
"""A kind asked for through its family is dead after so many faults were applied and none took effect. One or two prove
nothing: they may have hit what was down already, or links that nobody uses."""

Cause = tuple[str, str]
"""(anomaly class, sentence)."""


def check_vacuity(
    history_lines: Sequence[HistoryLine], faults: Sequence[FaultSummary], asked: Sequence[str]
) -> CheckResult:
    """Vacuous, with every cause named, when one of these holds:

    - a family or kind in `asked` never took effect (`unverified` does not count), or a kind of an asked family did not
      in `TRIES_OF_A_KIND` tries; `("all",)` asks for everything planned, `("none",)` and `()` for nothing;
    - some operation of the workload never succeeded, or there were no operations at all;
    - no `ok` read that returned while an effective fault was on saw a value written by another process (judged where
      the workload has reads and writes whose values can be compared, see `WRITTEN`).

    Figures: `causes` (their classes), `faults` (status -> count per kind).
    """
    causes = list(
        dict.fromkeys(
            (
                *_ineffective(faults, asked),
                *_never_succeeded(history_lines),
                *_nothing_observed(history_lines, faults),
            )
        )
    )
    figures: dict[str, Any] = {"causes": [anomaly for anomaly, _ in causes], "faults": _fault_counts(faults)}
    if not causes:
        evidence = Evidence(summary="every fault asked for took effect and every operation succeeded", figures=figures)
        return CheckResult(name="vacuity", validity=Validity.VALID, evidence=evidence)
    sentences = tuple(sentence for _, sentence in causes)
    return CheckResult(
        name="vacuity",
        validity=Validity.VACUOUS,
        anomaly=causes[0][0],
        evidence=Evidence(summary="; ".join(sentences), details=sentences, figures=figures),
    )


def _fault_counts(faults: Sequence[FaultSummary]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for fault in faults:
        row = counts.setdefault(fault.kind, dict.fromkeys(map(str, FaultStatus), 0))
        row[str(fault.status)] += 1
    return counts


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ineffective(faults: Sequence[FaultSummary], asked: Sequence[str]) -> Iterator[Cause]:
    families = [fault.family for fault in faults]
    names = [name for word in asked for name in (families if word == ALL_FAULTS else (word,)) if name != NO_FAULTS]
    for name in dict.fromkeys(names):
        concerned = [fault for fault in faults if name in (fault.family, fault.kind)]
        if not concerned:
            yield "fault-not-planned", f"{name} was asked for, but the plan has no such fault"
        elif not any(fault.status is FaultStatus.EFFECTIVE for fault in concerned):
            yield "no-effective-fault", f"{name} {_never_took_effect(concerned)}"
        else:
            yield from _dead_kinds(concerned)


def _dead_kinds(faults: Sequence[FaultSummary]) -> Iterator[Cause]:
    """Kinds that were tried often enough to have shown an effect, beside sisters that did."""
    applied: dict[str, list[FaultSummary]] = {}
    for fault in faults:
        if fault.applied_ns is not None:
            applied.setdefault(fault.kind, []).append(fault)
    for kind, of_kind in applied.items():
        effective = any(fault.status is FaultStatus.EFFECTIVE for fault in of_kind)
        if not effective and len(of_kind) >= TRIES_OF_A_KIND:
            yield "no-effective-fault", f"{kind} {_never_took_effect(of_kind)}"


def _never_took_effect(faults: Sequence[FaultSummary]) -> str:
    kinds = dict.fromkeys(fault.kind for fault in faults)
    reasons = ", ".join(dict.fromkeys(fault.cause for fault in faults))
    of = f" ({', '.join(kinds)})" if len(kinds) > 1 else ""
    return f"never took effect in {len(faults)} of {len(faults)} faults{of}: {reasons}"


# ── operations ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _never_succeeded(history_lines: Sequence[HistoryLine]) -> Iterator[Cause]:
    if not history_lines:
        yield "no-operations", "the history is empty: no operation was ever invoked"
    succeeded = {line.f for line in history_lines if line.type is LineType.OK}
    for f in dict.fromkeys(line.f for line in history_lines):
        if f not in succeeded:
            yield "never-succeeded", f"no {f} ever succeeded{_errors_of(history_lines, f)}"


def _errors_of(history_lines: Sequence[HistoryLine], f: str) -> str:
    errors = dict.fromkeys(line.error for line in history_lines if line.f == f and line.error is not None)
    return f" (errors: {', '.join(errors)})" if errors else ""


# ── reads of others' writes ──────────────────────────────────────────────────────────────────────────────────────────


def _as_given(value: Any) -> Any:
    return value


def _second(value: Any) -> Any:
    return value[1] if isinstance(value, list | tuple) and len(value) == 2 else None


WRITTEN: Mapping[str, Callable[[Any], Any]] = {
    "write": _as_given,
    "put": _as_given,
    "cas": _second,
    "append": _as_given,
    "add": _as_given,
    "enqueue": _as_given,
}
"""`f` of an invocation -> what it writes. A read saw it if it returned that value, or a collection containing it."""

READS = ("read", "get")
COLLECTING = ("append", "add", "enqueue")
"""Writes that a read shows as members of a collection only; a read that returns a number (a counter) is not judged."""


def _nothing_observed(history_lines: Sequence[HistoryLine], faults: Sequence[FaultSummary]) -> Iterator[Cause]:
    windows = fault_windows(faults, history_lines[-1].time_ns if history_lines else 0)
    if not windows or not _comparable(history_lines):
        return
    judged = 0
    for line, seen in _reads_with_writers(history_lines):
        if not _inside(windows, line.time_ns):
            continue
        judged += 1
        if seen:
            return
    yield "nothing-observed", f"no read saw another process's write while a fault was on ({judged} ok reads there)"


def _comparable(history_lines: Sequence[HistoryLine]) -> bool:
    """Whether the workload has reads and writes whose values can be compared."""
    kinds = {line.f for line in history_lines}
    if kinds.isdisjoint(READS) or kinds.isdisjoint(WRITTEN):
        return False
    if not kinds.isdisjoint(set(WRITTEN) - set(COLLECTING)):
        return True
    return not any(
        isinstance(line.value, int | float) for line in history_lines if line.type is LineType.OK and line.f in READS
    )


def _reads_with_writers(history_lines: Sequence[HistoryLine]) -> Iterator[tuple[HistoryLine, bool]]:
    """Every ok read, and whether it returned something another process had offered to write to that key before."""
    writers: dict[tuple[bytes, bytes], set[int]] = {}
    token = msgspec.json.encode
    for line in history_lines:
        if line.type is LineType.INVOKE and line.f in WRITTEN:
            written = WRITTEN[line.f](line.value)
            writers.setdefault((token(line.key), token(written)), set()).add(line.process)
        elif line.type is LineType.OK and line.f in READS:
            key = token(line.key)
            seen = (writers.get((key, token(value)), ()) for value in _values(line.value))
            yield line, any(process != line.process for processes in seen for process in processes)


def _values(value: Any) -> Iterator[Any]:
    if value is None:  # the initial value: nobody's write
        return
    yield value
    if isinstance(value, list | tuple):
        yield from reversed(value)  # the newest member is the likeliest to be another's


def _inside(windows: Sequence[tuple[int, int]], time_ns: int) -> bool:
    position = bisect_right(windows, time_ns, key=lambda window: window[0]) - 1
    return position >= 0 and time_ns <= windows[position][1]
