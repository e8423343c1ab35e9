"""Every workload: the correct system passes it, its planted bug does not, and a run of registers sees nothing of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.models import bank
from checker.records import Validity
from histrio.systems.raft_trio import RAFT_TRIO
from histrio.systems.raft_trio_clients import BROKEN_CLIENTS
from histrio.systems.raft_trio_encoding import ENCODINGS, OVERDRAFT
from histrio.systems.raft_trio_machines import BROKEN_MACHINES
from histrio.trial import TrialSpec
from raft_trio.build import BUILD
from raft_trio.kv import KeyValueMachine
from tests.histrio.machine_world import play
from tests.histrio.running import SHORT, run
from workloads.registry import WORKLOADS
from workloads.session import Operation

MACHINES = [name for name in BROKEN_MACHINES if name != "sum_before_commit"]
"""Those that are nothing but another machine."""


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_correct_machine_passes_every_workload_and_altered_reads_are_refused(workload: str) -> None:
    """Issue 3: the checker refuses 95 % of the altered copies, over all workloads that have reads."""
    for seed in (1, 2):
        played = play(workload, KeyValueMachine, seed=seed)
        assert [result.evidence.summary for result in played.results if result.validity is not Validity.VALID] == []
        if WORKLOADS[workload].reads:
            bite = played.results[-1].evidence.figures
            assert bite["refused"] >= 0.9 * bite["copies"] > 0


@pytest.mark.parametrize("bug", MACHINES)
def test_a_broken_machine_is_found_by_its_workload_and_not_by_registers(bug: str) -> None:
    """Issue 3: each workload has a planted bug that it, and only a workload like it, catches."""
    broken = BROKEN_MACHINES[bug]
    machine = broken.plant(BUILD).machine
    assert play(broken.workload, machine).found & set(broken.bug.detectors)
    assert play("register", machine, seconds=1).found == set()


SECONDS_5 = TrialSpec(time_limit_s=5.0)


@pytest.mark.parametrize("workload", [name for name in WORKLOADS if name != "register"])
def test_the_correct_system_passes_every_workload_under_faults(workload: str, tmp_path: Path) -> None:
    """The whole run: load, faults, healing, final reads or drain, liveness."""
    ran = run(tmp_path, msgspec.structs.replace(SECONDS_5, time_limit_s=4.0, workload=workload, seed=2))
    wrong = {check.name: check.evidence.summary for check in ran.verdict.checks if check.validity.severity > 0}
    assert set(wrong) <= {"vacuity"}, wrong
    assert ran.verdict.validity in (Validity.VALID, Validity.VACUOUS)


@pytest.mark.parametrize("bug", [*BROKEN_CLIENTS, "sum_before_commit"])
def test_a_broken_client_or_rule_is_found_by_clients_alone(bug: str, tmp_path: Path) -> None:
    """K1, K6 and K8 of the catalogue: the system's own log looks right, so clients must see it."""
    workload = BROKEN_CLIENTS[bug].workload if bug in BROKEN_CLIENTS else BROKEN_MACHINES[bug].workload
    detectors = set(RAFT_TRIO.bugs[bug].detectors)
    for seed in range(1, 4):
        spec = msgspec.structs.replace(SECONDS_5, workload=workload, bug=bug, seed=seed, white_box=False)
        found = {c.name for c in run(tmp_path, spec).verdict.checks if c.validity is Validity.INVALID}
        if found & detectors:
            return
    pytest.fail(f"{bug} was not found")


def test_clients_that_retry_rightly_are_served_through_faults(tmp_path: Path) -> None:
    """The second mode of clients: exactly once, although most operations meet a fault."""
    options = {"client": "retrying"}
    ran = run(tmp_path, msgspec.structs.replace(SECONDS_5, workload="append", system_options=options, seed=1))
    assert ran.verdict.validity in (Validity.VALID, Validity.VACUOUS)
    plain = run(tmp_path, msgspec.structs.replace(SECONDS_5, workload="append", seed=1))
    shares = [one.check("statistics").evidence.figures["ok_share"] for one in (ran, plain)]
    assert shares[0] > 0.98 > shares[1]


def test_every_workload_of_the_registry_is_spoken_and_every_bug_has_a_workload() -> None:
    assert set(ENCODINGS) == set(WORKLOADS) == set(RAFT_TRIO.workloads)
    showing = [broken.workload for broken in BROKEN_CLIENTS.values()]
    showing += [broken.workload for broken in BROKEN_MACHINES.values()]
    assert {*showing, "register"} == set(WORKLOADS), "the bugs of the register are those of the log"
    assert {*BROKEN_CLIENTS, *BROKEN_MACHINES} < set(RAFT_TRIO.bugs)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_an_operation_of_another_workload_is_a_mistake_of_the_harness(workload: str) -> None:
    with pytest.raises(AssertionError, match="no command"):
        ENCODINGS[workload].request(Operation("juggle", "k"), 0)


def test_the_model_of_the_bank_knows_the_limit_that_transfers_ask_for() -> None:
    assert bank.OVERDRAFT == OVERDRAFT


def test_a_watch_of_a_quiet_run_reaches_the_end(tmp_path: Path) -> None:
    """Without faults every acknowledged write of the load phase is seen."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, workload="watch", nemesis=("none",)))
    figures = ran.check("watch").evidence.figures
    assert figures["writes"] > 200
    assert figures["writes_seen"] > 0.9 * figures["writes"]
