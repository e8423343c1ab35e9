"""Judges a finished run: its files in, verdict.json out. A pure function of the run directory, repeatable at will.

Here belongs which checks a run is held to and what they are given; the checks themselves are `checker`'s. A check that
crashes becomes a harness error, never a pass. The order of `CHECKS` is the order of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import Any

from checker.availability import check_availability
from checker.bite import Rule, check_bite
from checker.certificate import check_certificate
from checker.faults import consequence_windows, summarize_faults
from checker.history import History
from checker.leases import check_leases
from checker.linearizability import check_history
from checker.liveness import check_liveness, check_node_exits
from checker.model import Model
from checker.models import MODELS
from checker.records import CheckResult, Evidence, FaultLine, RunRecord, TraceLine, Validity, Verdict
from checker.sessions import check_sessions
from checker.set_full import check_set_full
from checker.statistics import check_statistics
from checker.tiers import compare_tiers
from checker.total_queue import check_total_queue
from checker.trace_rules import check_trace
from checker.unique_ids import check_unique_ids
from checker.vacuity import check_vacuity
from checker.verdict import compose, guarded_all
from checker.watching import check_watching
from histrio.store import RunDirectory
from workloads.registry import workload_named

__all__ = ["BLACK_BOX", "CHECKS", "WHITE_BOX", "WORKLOAD_RULES", "Check", "RunFiles", "judge", "judge_files"]


@dataclass(frozen=True)
class RunFiles:
    """Everything a check may look at."""

    run: RunRecord
    history: History
    faults: tuple[FaultLine, ...]
    trace: tuple[TraceLine, ...]

    @property
    def model(self) -> Model[Any] | None:
        """The model that judges the run's workload, if it has one."""
        name = workload_named(self.run.workload).model
        return None if name is None else MODELS[name]

    @cached_property
    def searched(self) -> CheckResult | None:
        """What the search finds, if there is a model; two checks need it."""
        return None if self.model is None else check_history(self.history, self.model)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Checks of operations that the run's workload has beside its model, by name."""
        return WORKLOAD_RULES.get(self.run.workload, {})


Check = Callable[[RunFiles], Sequence[CheckResult]]

WORKLOAD_RULES: Mapping[str, Mapping[str, Rule]] = {
    "register": {"sessions": partial(check_sessions, view="values")},
    "append": {"sessions": partial(check_sessions, view="lists")},
    "set": {"set-full": check_set_full, "sessions": partial(check_sessions, view="sets")},
    "counter": {"sessions": partial(check_sessions, view="sums")},
    "unique-ids": {"unique-ids": check_unique_ids},
    "lock": {"leases": check_leases, "sessions": partial(check_sessions, view="lists")},
    "queue": {"total-queue": check_total_queue},
    "watch": {"watch": check_watching},
}
"""Workload -> what it is judged by beside its model and what every run is judged by."""


def _rule(name: str) -> Check:
    """A check that runs of some workloads have."""
    return lambda files: [files.rules[name](files.history.operations)] if name in files.rules else []


def _completion(files: RunFiles) -> Sequence[CheckResult]:
    """Whether the run came to its end; what a cut-off run lacks cannot be judged."""
    end = files.run.end
    if end is None or end.reason == "interrupted":
        how = "the harness was killed" if end is None else "it was interrupted"
        where = f" in the phase {files.run.phases[-1].name}" if files.run.phases else ""
        return [_completed(Validity.UNKNOWN, f"the run did not finish: {how}{where}", "cut-off")]
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
    return [] if files.searched is None else [files.searched]


def _certificate(files: RunFiles) -> Sequence[CheckResult]:
    """The system's own order as a linearization, where it tells one; a loud error if the search sees it otherwise."""
    if files.searched is None or files.model is None:
        return []
    return compare_tiers(files.searched, check_certificate(files.history, files.model))[1:]


def _bite(files: RunFiles) -> Sequence[CheckResult]:
    """Only where clients read: an answer to a change cannot be altered without altering the change."""
    reads = workload_named(files.run.workload).reads
    random, rules = Random(f"{files.run.seed}/bite"), tuple(files.rules.values())
    return [check_bite(files.history, files.model, reads=reads, random=random, rules=rules)] if reads else []


def _availability(files: RunFiles) -> Sequence[CheckResult]:
    end_ns = files.history.lines[-1].time_ns if files.history.lines else 0
    windows = consequence_windows(summarize_faults(files.faults), end_ns)
    simulated = files.run.environment == "sim"
    return [check_availability(files.history.operations, files.run.phases, windows, simulated=simulated)]


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
    "set-full": _rule("set-full"),
    "unique-ids": _rule("unique-ids"),
    "total-queue": _rule("total-queue"),
    "leases": _rule("leases"),
    "watch": _rule("watch"),
    "sessions": _rule("sessions"),
    "certificate": _certificate,
    "trace-rules": _trace_rules,
    "node-exits": _node_exits,
    "liveness": _liveness,
    "availability": _availability,
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
