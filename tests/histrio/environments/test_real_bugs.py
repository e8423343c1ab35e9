"""Planted bugs on real processes: the fault that each needs bites, and what it leads to is found (issue 6).

Each run is a process of its own, as a user's is. The marker `sample` says which one is in the test command; all are run
by `pytest -m cells`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from checker.faults import FaultStatus, summarize_faults
from checker.records import Validity, Verdict
from histrio.bug_score import spec_of_hunt
from histrio.store import RunDirectory
from histrio.systems.raft_trio import RAFT_TRIO
from tests.conftest import ROOT, missing

RUNS = 3
REGRESSIONS = ROOT / "tests" / "regressions"
_RUN_S = 120
HUNTS = {name: bug.real_hunt for name, bug in RAFT_TRIO.bugs.items() if bug.real_hunt is not None}
NEEDS = {
    "ack_before_fsync": {"power-loss-one"},
    "fsync_error_ignored": {"disk-error"},
    "leader_self_match_early": {"disk-slow"},
    "no_dir_fsync": {"disk-torn"},
    "read_old_ack": {"pause-leader", "partition-leader"},
    "vote_not_fsynced": {"kill-leader", "power-loss-one"},
}
"""Bug -> kinds of fault without which it does no harm."""
SAMPLE = "leader_self_match_early"
real_processes = pytest.mark.usefixtures("namespaces", "broken_disks")


@pytest.fixture(scope="session")
def broken_disks() -> None:
    """What the hunts need beyond partitions."""
    from histrio.environments.mechanisms.registry import obstacles

    lacks = obstacles()
    for mechanism in ("process.power-loss", "disk.error", "disk.slow", "disk.tear"):
        refusal = lacks[mechanism]
        if refusal is not None:
            missing(mechanism, refusal)


def hunt(name: str, store: Path, *, seed: int, bug: str | None) -> tuple[Verdict, set[str]]:
    """One run of the trial of bug `name`: its verdict, and the kinds of fault that were effective."""
    spec = spec_of_hunt(HUNTS[name], REGRESSIONS, seed=seed, bug=bug, environment="local")
    options = [word for key, value in spec.system_options.items() for word in ("--system-option", f"{key}={value}")]
    command = [
        *(sys.executable, "-m", "histrio", "run", "--env", spec.environment, "--store", str(store)),
        *("--plan", str(spec.plan), "--seed", str(spec.seed), "--nodes", str(spec.nodes)),
        *("--workload", spec.workload, "--time-limit", f"{spec.time_limit_s}s"),
        *("--rate", str(spec.rate_hz), "--concurrency", str(spec.concurrency), *options),
        *(() if bug is None else ("--bug", bug)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_RUN_S, check=False)
    assert done.returncode in (0, 1, 2, 3), done.stderr[-3000:]
    run = RunDirectory.load(store / "latest")
    verdict = run.read_verdict()
    assert verdict is not None
    assert (done.returncode == 1) == (verdict.validity is Validity.INVALID)
    faults = summarize_faults(run.read_faults().records)
    return verdict, {fault.kind for fault in faults if fault.status is FaultStatus.EFFECTIVE}


def test_every_hunt_on_real_processes_is_planned_for_a_bug_and_says_what_it_needs() -> None:
    """A plan that nobody runs protects nothing; issue 6 names six bugs."""
    plans = {f"local/{path.name.removesuffix('.plan.json')}" for path in (REGRESSIONS / "local").iterdir()}
    assert plans == {planned.plan for planned in HUNTS.values()}
    assert set(HUNTS) == set(NEEDS)


@real_processes
@pytest.mark.cells
@pytest.mark.parametrize("bug", [pytest.param(bug, marks=pytest.mark.sample if bug == SAMPLE else ()) for bug in HUNTS])
def test_a_planted_bug_is_found_on_real_processes_within_three_runs(bug: str, tmp_path: Path) -> None:
    """Issue 6: exit 1, by an expected detector, and the faults that it needs were effective in that run."""
    last: object = None
    for seed in range(1, RUNS + 1):
        verdict, effective = hunt(bug, tmp_path, seed=seed, bug=bug)
        found = {check.name for check in verdict.checks if check.validity is Validity.INVALID}
        if found & set(RAFT_TRIO.bugs[bug].detectors) and effective >= NEEDS[bug]:
            return
        last = verdict.signature, sorted(effective)
    pytest.fail(f"{bug} was not found in {RUNS} runs; the last one: {last}")


@real_processes
@pytest.mark.cells
@pytest.mark.parametrize("bug", HUNTS)
def test_the_correct_build_is_not_accused_in_the_trials_of_bugs_on_real_processes(bug: str, tmp_path: Path) -> None:
    """Never cry wolf. A run in which a fault met nothing to harm is vacuous, which accuses nobody."""
    for seed in range(1, RUNS + 1):
        verdict, _ = hunt(bug, tmp_path, seed=seed, bug=None)
        assert verdict.validity in (Validity.VALID, Validity.VACUOUS), verdict.signature
