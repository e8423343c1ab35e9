"""Judges a finished run: its files in, verdict.json out. A pure function of the run directory, repeatable at will.

Here belongs which checks a run is held to and what they are given; the checks themselves are `checker`'s. A check that
crashes becomes a harness error, never a pass. The order of `CHECKS` is the order of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from checker.bite import check_bite
from checker.certificate import check_certificate
from checker.faults import summarize_faults
from checker.history import History
from checker.linearizability import check_history
from checker.liveness import check_liveness, check_node_exits
from checker.model import Model
from checker.models import MODELS
from checker.records import CheckResult, Evidence, FaultLine, RunRecord, TraceLine, Validity, Verdict
from checker.statistics import check_statistics
from checker.tiers import compare_tiers
from checker.trace_rules import check_trace
from checker.vacuity import check_vacuity
from checker.verdict import compose, guarded_all
from histrio.store import RunDirectory
from workloads.registry import workload_named

__all__ = ["BLACK_BOX", "CHECKS", "WHITE_BOX", "Check", "RunFiles", "judge", "judge_files"]


@dataclass(frozen=True)
class RunFiles:
    """Everything a check may look at."""

    run: RunRecord
    history: History
    faults: tuple[FaultLine, ...]
    trace: tuple[TraceLine, ...]

    @property
    def model(self) -> Model[Any]:
        """The model that judges the run's workload."""
        return MODELS[workload_named(self.run.workload).model]

    @cached_property
    def searched(self) -> CheckResult:
        """What the search finds; two checks need it."""
        return check_history(self.history, self.model)


Check = Callable[[RunFiles], Sequence[CheckResult]]


def _completion(files: RunFiles) -> Sequence[CheckResult]:
    """Whether the run came to its end; what a cut-off run lacks cannot be judged."""
    end = files.run.end
    if end is None or end.reason == "interrupted":
        how = "the harness was killed" if end is None else "it was interrupted"
        phase = files.run.phases[-1].name if files.run.phases else "settle"
        return [_completed(Validity.UNKNOWN, f"the run did not finish: {how} in the phase {phase}", "cut-off")]
    match end.reason:
        case "completed":
            return [_completed(Validity.VALID, "all phases were completed")]
        case "error":
            return [_completed(Validity.HARNESS_ERROR, f"the harness failed during the run: {end.error}", "error")]
        case "event-budget":
            # In the simulator, time cannot be short: a budget spent is a system that is busy without end.
            return [_completed(Validity.INVALID, f"livelock: {end.events:,} events and no end", "livelock")]
        case "time-budget":
            return [_completed(Validity.UNKNOWN, "the run's time ran out before its phases were completed", "slow")]


def _completed(validity: Validity, summary: str, anomaly: str | None = None) -> CheckResult:
    return CheckResult(name="completion", validity=validity, anomaly=anomaly, evidence=Evidence(summary=summary))


def _linearizability(files: RunFiles) -> Sequence[CheckResult]:
    return [files.searched]


def _certificate(files: RunFiles) -> Sequence[CheckResult]:
    """The system's own order as a linearization, where it tells one; a loud error if the search sees it otherwise."""
    return compare_tiers(files.searched, check_certificate(files.history, files.model))[1:]


def _bite(files: RunFiles) -> Sequence[CheckResult]:
    reads = workload_named(files.run.workload).reads
    return [check_bite(files.history, files.model, reads=reads, random=Random(f"{files.run.seed}/bite"))]


def _liveness(files: RunFiles) -> Sequence[CheckResult]:
    if not any(phase.name == "liveness" for phase in files.run.phases):
        return []  # cut off before: `completion` says so
    return [check_liveness(files.history.lines, files.trace or None, files.run.phases, files.run.nodes)]


def _node_exits(files: RunFiles) -> Sequence[CheckResult]:
    return [check_node_exits(files.run.exits)]


def _vacuity(files: RunFiles) -> Sequence[CheckResult]:
    return [check_vacuity(files.history.lines, summarize_faults(files.faults), files.run.nemesis)]


def _statistics(files: RunFiles) -> Sequence[CheckResult]:
    return [check_statistics(files.history.lines, files.run.phases)]


def _trace_rules(files: RunFiles) -> Sequence[CheckResult]:
    return check_trace(files.trace) if files.trace else []


CHECKS: Mapping[str, Check] = {
    "completion": _completion,
    "linearizability": _linearizability,
    "certificate": _certificate,
    "trace-rules": _trace_rules,
    "node-exits": _node_exits,
    "liveness": _liveness,
    "vacuity": _vacuity,
    "bite": _bite,
    "statistics": _statistics,
}
"""In the order of the report. Among equally severe results the first names the signature, so causes go before symptoms:
a broken log before the node that stopped because of it, and that before the cluster that makes no progress."""

WHITE_BOX = ("certificate", "trace-rules")
"""Checks that believe what the system says of itself; left out with `--checks black-box`."""

BLACK_BOX = tuple(name for name in CHECKS if name not in WHITE_BOX)
"""Checks that need no more than a client's and an operator's eyes."""


def judge(directory: Path, checks: Mapping[str, Check] = CHECKS) -> Verdict:
    """Run the checks that run.json names, write verdict.json and return it.

    Raises MalformedInput, IllFormedHistory for files that cannot be read; never for what a check does.
    """
    place = RunDirectory.load(directory)
    run = place.read_run()
    files = RunFiles(
        run=run,
        history=History(place.read_history().records),
        faults=place.read_faults().records,
        trace=place.read_trace().records if set(WHITE_BOX) & set(run.checks) else (),
    )
    verdict = judge_files(files, checks)
    place.write_verdict(verdict)
    return verdict


def judge_files(files: RunFiles, checks: Mapping[str, Check] = CHECKS) -> Verdict:
    """Run the checks that the run's record names. Never raises for what a check does."""
    run = files.run
    wanted = [name for name in checks if name in run.checks or name not in CHECKS]
    results: list[CheckResult] = []
    for name in wanted:
        results.extend(guarded_all(name, lambda check=checks[name]: check(files)))  # type: ignore[misc]
    return compose(results)
