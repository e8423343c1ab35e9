"""Short simulated runs for tests of the harness: plan, execute, judge, in a directory of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from checker.faults import FaultSummary, summarize_faults
from checker.records import CheckResult, RunRecord, Verdict
from histrio.clocks import utc_now
from histrio.environments.environment import Environment
from histrio.judge import judge
from histrio.planning import plan_trial
from histrio.run import execute
from histrio.store import RunDirectory
from histrio.trial import Trial, TrialSpec

__all__ = ["Ran", "SHORT", "run", "run_trial"]

SHORT = TrialSpec(nodes=3, time_limit_s=3.0, concurrency=6)
"""Three nodes for three simulated seconds: a quarter of a second of work."""


@dataclass(frozen=True)
class Ran:
    """A run that was judged."""

    directory: RunDirectory
    verdict: Verdict

    @property
    def record(self) -> RunRecord:
        """run.json."""
        return self.directory.read_run()

    @property
    def faults(self) -> tuple[FaultSummary, ...]:
        """What became of each fault."""
        return summarize_faults(self.directory.read_faults().records)

    def check(self, name: str) -> CheckResult:
        """One check's result."""
        return next(check for check in self.verdict.checks if check.name == name)


def run(store: Path, spec: TrialSpec, *, environment: Environment | None = None) -> Ran:
    """Plan and run what `spec` says."""
    return run_trial(store, plan_trial(msgspec.structs.replace(spec, store=store)), environment=environment)


def run_trial(store: Path, trial: Trial, *, environment: Environment | None = None) -> Ran:
    """Run a trial that was planned already."""
    directory = RunDirectory.create(store, "test", started_at=utc_now(), seed=trial.spec.seed)
    execute(trial, directory, environment=environment)
    return Ran(directory, judge(directory.path))
