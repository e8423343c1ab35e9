"""One trial of a campaign: planned, run, judged by all checks, and forgotten but for its row.

Nothing reaches a disk. A trial whose verdict matters is run again into a run directory by whoever wants to look at it:
in the simulator that is the same run, and the row's trace hash proves it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from checker.faults import summarize_faults
from checker.history import History
from checker.jsonl import JsonlMemory
from checker.records import CheckResult, FaultLine, HistoryLine, TraceLine, Validity, Verdict
from histrio.campaign import FaultCount, Row
from histrio.judge import WHITE_BOX, RunFiles, judge_files
from histrio.planning import plan_trial
from histrio.recorder import Recorder
from histrio.run import carry_out, run_record
from histrio.trial import TrialSpec

__all__ = ["failed_row", "run_trial"]


def run_trial(spec: TrialSpec) -> Row:
    """The row of one trial. Raises what the harness itself does wrong."""
    trial = plan_trial(spec)
    history, faults, trace = JsonlMemory(HistoryLine), JsonlMemory(FaultLine), JsonlMemory(TraceLine)
    recorder = Recorder(history, faults, trace)
    carried = carry_out(trial, run_record(trial, name="campaign", started_at=""), recorder, spec.store)
    recorder.close()
    run = carried.record
    files = RunFiles(
        run=run,
        history=History(history.read()),
        faults=faults.read(),
        trace=trace.read() if set(WHITE_BOX) & set(run.checks) else (),
    )
    verdict = judge_files(files)
    counts = _figures(verdict, "statistics").get("counts", {})
    bite = _figures(verdict, "bite")
    end = run.end
    return Row(
        seed=spec.seed,
        workload=spec.workload,
        time_limit_s=spec.time_limit_s,
        nodes=len(trial.nodes),
        validity=verdict.validity,
        signature=verdict.signature,
        why="; ".join(check.evidence.summary for check in verdict.checks if check.validity is not Validity.VALID),
        violated=tuple(check.name for check in verdict.checks if check.validity is Validity.INVALID),
        operations=sum(sum(by_type.values()) for by_type in counts.values()),
        ok=sum(by_type.get("ok", 0) for by_type in counts.values()),
        events=(end.events or 0) if end else 0,
        simulated_ns=end.time_ns if end else 0,
        trace_hash=end.trace_hash if end else None,
        bites=bite.get("refused", 0),
        altered=bite.get("copies", 0),
        faults=_fault_counts(files.faults),
    )


def failed_row(spec: TrialSpec, why: str) -> Row:
    """The row of a trial that the harness could not carry out."""
    return Row(
        seed=spec.seed,
        workload=spec.workload,
        time_limit_s=spec.time_limit_s,
        nodes=spec.nodes,
        validity=Validity.HARNESS_ERROR,
        why=why,
    )


def _figures(verdict: Verdict, name: str) -> dict[str, Any]:
    found: CheckResult | None = next((check for check in verdict.checks if check.name == name), None)
    return found.evidence.figures if found is not None else {}


def _fault_counts(lines: tuple[FaultLine, ...]) -> tuple[FaultCount, ...]:
    counts = Counter((fault.kind, str(fault.status)) for fault in summarize_faults(lines))
    return tuple(FaultCount(kind, status, count) for (kind, status), count in sorted(counts.items()))
