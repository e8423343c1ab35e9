"""A second system in the same world: real nodes of etcd under the same engine, faults, checks and report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.records import Validity
from checker.verdict import exit_code
from histrio.judge import WHITE_BOX
from nemesis.plan import AtTime, Fault, Plan
from tests.histrio.environments.test_local import effective, run_histrio

pytestmark = pytest.mark.usefixtures("namespaces", "etcd")

MS = 1_000_000
ETCD = ("--system", "etcd", "--nodes", "3")
PLAN = Plan(
    seed=6,
    nodes=("n1", "n2", "n3"),
    workload="register",
    faults=(Fault(id="f1", kind="kill-leader", at=AtTime(ns=200 * MS), for_ns=2700 * MS, target="leader"),),
)
"""The leader is known without a trace: nodes are asked. It stays away for longer than the next election takes (etcd:
one to two seconds), so that clients see something while it is."""


def test_a_short_trial_of_etcd_is_valid_and_says_what_was_not_checked(tmp_path: Path) -> None:
    """Issue #6: a system that writes no trace is judged by what clients and the operator see."""
    plan = tmp_path / "plan.json"
    plan.write_bytes(msgspec.json.encode(PLAN))
    code, run = run_histrio(tmp_path, *ETCD, "--plan", str(plan), "--time-limit", "3s", "--seed", "6")
    verdict = run.read_verdict()
    assert verdict is not None
    assert (code, verdict.validity) == (0, Validity.VALID), verdict.signature
    (fault,) = effective(run)
    assert (fault.kind, fault.healed_ns is not None) == ("kill-leader", True)
    checks = {check.name: check for check in verdict.checks}
    assert checks["linearizability"].validity is Validity.VALID
    assert checks["liveness"].evidence.summary.endswith("judged by clients only")
    assert not {*WHITE_BOX} & {*checks}
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "the rules over the replicated log could not be checked" in page


@pytest.mark.cells
@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_minute_of_faults_leaves_etcd_valid(seed: str, tmp_path: Path) -> None:
    """Issue #6: nodes that are killed, stopped and cut off, and nothing to object to."""
    arguments = ("--nemesis", "partition,kill,pause", "--time-limit", "60s", "--seed", seed)
    code, run = run_histrio(tmp_path, *ETCD, *arguments)
    assert code == 0
    assert {fault.family for fault in effective(run)} == {"partition", "kill", "pause"}


@pytest.mark.cells
def test_reads_that_ask_nobody_are_found_stale_within_five_runs(tmp_path: Path) -> None:
    """Issue #6: `serializable_reads=true` gives up what etcd promises, and is invalid by a read that came too late."""
    for seed in ("1", "2", "3", "4", "5"):
        arguments = ("--nemesis", "partition", "--time-limit", "30s", "--seed", seed)
        code, run = run_histrio(tmp_path, *ETCD, "--system-option", "serializable_reads=true", *arguments)
        if code == exit_code(Validity.INVALID):
            verdict = run.read_verdict()
            assert verdict is not None
            assert str(verdict.signature).startswith("linearizability")
            return
    pytest.fail("no stale read was found in 5 runs")
