"""Is the harness green about a run that tested nothing? Each part of it is sabotaged in turn and must be missed.

Issue #2, sabotage tests: every mechanism of the nemesis registry turned into a no-op, clients that never succeed, and
exceptions inside engine, checker and report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from checker.faults import FaultStatus
from checker.records import CheckResult, Validity
from checker.verdict import exit_code
from histrio.environments.simulated import SimulatedEnvironment
from histrio.environments.simulated_faults import MECHANISMS, Counts, SimulatedMechanism, Spoke
from histrio.judge import CHECKS, RunFiles, judge
from histrio.planning import plan_trial
from histrio.run import execute
from histrio.simulation.kernel import Simulation
from histrio.simulation.profile import DEFAULT_PROFILE, ClientProfile
from histrio.store import RunDirectory
from nemesis.injector import Apply, Probe, Undo
from nemesis.registry import KINDS
from tests.histrio.running import SHORT, run


class NoOp:
    """A mechanism that does nothing and says what it would have done."""

    def __init__(self, simulation: Simulation, spoke: Spoke, counts: tuple[str, ...]) -> None:
        self._counts = counts

    def apply(self, action: Apply) -> str:
        return f"pretends to hit {' '.join(action.resolved)}"

    def undo(self, action: Undo) -> Counts:
        return dict.fromkeys(self._counts, 0)

    def healed(self, probe: Probe, since_ns: int) -> str | None:
        return None


def sabotaged(mechanism: str) -> SimulatedEnvironment:
    counts = tuple(name for kind in KINDS.values() if kind.mechanism == mechanism for name in kind.evidence)

    def make(simulation: Simulation, spoke: Spoke) -> SimulatedMechanism:
        return NoOp(simulation, spoke, counts)

    return SimulatedEnvironment(factories={**MECHANISMS, mechanism: make})


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_mechanism_that_does_nothing_makes_the_run_vacuous_and_every_kind_is_named(
    mechanism: str, tmp_path: Path
) -> None:
    """Every kind carried out by the no-op ends `no-effect`, and the verdict names what was asked for by name."""
    kinds = tuple([kind.name for kind in KINDS.values() if kind.mechanism == mechanism])
    spec = msgspec.structs.replace(SHORT, nodes=5, nemesis=kinds, time_limit_s=1.5, rate_hz=50.0)
    ran = run(tmp_path, spec, environment=sabotaged(mechanism))
    assert ran.verdict.validity is Validity.VACUOUS
    assert exit_code(ran.verdict.validity) == 3
    assert all(kind in ran.check("vacuity").evidence.summary for kind in kinds)
    applied = [fault for fault in ran.faults if fault.applied_ns is not None]
    assert {fault.kind for fault in applied} == set(kinds)
    assert {fault.status for fault in applied} == {FaultStatus.NO_EFFECT}


def test_counts_that_are_no_evidence_leave_a_run_vacuous(tmp_path: Path) -> None:
    """A power loss that ends a process and loses nothing is a kill: its evidence is what was at risk."""

    class Kill(NoOp):
        def undo(self, action: Undo) -> Counts:
            return {"processes_ended": 1, "inputs_lost": 7, "unsynced_bytes_at_risk": 0}

    environment = SimulatedEnvironment(
        factories={**MECHANISMS, "process.power-loss": lambda world, spoke: Kill(world, spoke, ())}
    )
    ran = run(tmp_path, msgspec.structs.replace(SHORT, nemesis=("power-loss",)), environment=environment)
    assert ran.verdict.validity is Validity.VACUOUS
    assert {fault.status for fault in ran.faults} == {FaultStatus.NO_EFFECT}


@pytest.mark.parametrize("white_box", [True, False])
def test_clients_that_never_succeed_make_the_run_vacuous(white_box: bool, tmp_path: Path) -> None:
    """Clients that wait for 1 ms, at the end of a line that takes 5, never hear an answer."""
    far = ClientProfile(latency_min_ns=5_000_000, latency_max_ns=6_000_000)
    environment = SimulatedEnvironment(profile=msgspec.structs.replace(DEFAULT_PROFILE, clients=far))
    impatient = {"operation_timeout_ms": "1"}
    spec = msgspec.structs.replace(SHORT, nemesis=("none",), system_options=impatient, white_box=white_box)
    ran = run(tmp_path, spec, environment=environment)
    vacuity = ran.check("vacuity")
    assert vacuity.validity is Validity.VACUOUS
    assert set(vacuity.evidence.figures["causes"]) == {"never-succeeded"}
    assert all(f"no {f} ever succeeded" in vacuity.evidence.summary for f in ("read", "write"))
    assert exit_code(ran.verdict.validity) == 3


def test_an_empty_plan_is_not_vacuous(tmp_path: Path) -> None:
    """Architecture §4: `--nemesis none` asks for nothing."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, nemesis=("none",)))
    assert ran.verdict.validity is Validity.VALID


def test_an_exception_inside_a_checker_is_a_harness_error(tmp_path: Path) -> None:
    """Architecture §4: never valid, never invalid."""

    def broken(files: RunFiles) -> list[CheckResult]:
        raise ZeroDivisionError("a bug of the checker")

    ran = run(tmp_path, SHORT)
    for name in CHECKS:
        verdict = judge(ran.directory.path, {**CHECKS, name: broken})
        assert verdict.validity is Validity.HARNESS_ERROR
        assert exit_code(verdict.validity) == 70


def test_an_exception_inside_the_engine_is_recorded_and_is_no_verdict(tmp_path: Path) -> None:
    """The directory says what went wrong, and judging it gives a harness error."""

    class Broken(SimulatedEnvironment):
        def conduct(self, *arguments: Any) -> Any:
            raise ZeroDivisionError("a bug of the engine")

    directory = RunDirectory.create(tmp_path, "broken", started_at=run(tmp_path, SHORT).directory.started_at, seed=1)
    with pytest.raises(ZeroDivisionError):
        execute(plan_trial(SHORT), directory, environment=Broken())
    end = directory.read_run().end
    assert end is not None
    assert end.reason == "error"
    assert "a bug of the engine" in (end.error or "")
    assert judge(directory.path).validity is Validity.HARNESS_ERROR


def test_a_livelock_is_found_by_the_event_budget(tmp_path: Path) -> None:
    """Architecture §7.5: a run that needs more events than its budget is invalid in the simulator."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, event_budget=2_000))
    assert ran.check("completion").anomaly == "livelock"
    assert exit_code(ran.verdict.validity) == 1


def test_every_effective_fault_of_a_run_is_seen_to_heal(tmp_path: Path) -> None:
    """Issue #2: evidence has an end as well as a beginning."""
    ran = run(tmp_path, msgspec.structs.replace(SHORT, nodes=5, nemesis=("all",), time_limit_s=6.0, seed=2))
    effective = [fault for fault in ran.faults if fault.status is FaultStatus.EFFECTIVE]
    assert len(effective) >= 5
    for fault in effective:
        assert fault.undone_ns is not None
        assert fault.healed_ns is not None, fault
        assert fault.healed_ns >= fault.undone_ns
