"""Planning refuses what cannot hurt a system: by name with the reason, in families it is skipped with the reason."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from histrio.environments.environment import Environment
from histrio.environments.local import LOCAL
from histrio.environments.mechanisms import needs
from histrio.environments.mechanisms.registry import BY_KERNEL_TOO, BY_SHIM_ALONE
from histrio.environments.simulated import SIMULATED
from histrio.errors import UsageProblem
from histrio.planning import plan_trial
from histrio.registries import ENVIRONMENTS
from histrio.systems.raft_trio import RaftTrio
from histrio.trial import Trial
from nemesis.kinds import MECHANISMS
from nemesis.registry import KINDS
from tests.histrio.running import SHORT

KIND_OF = {kind.mechanism: kind.name for kind in KINDS.values()}


class Go(RaftTrio):
    """A system whose programs load nothing."""

    name = "go"
    preloadable = False


class Able:
    """A real world that can do everything."""

    name = LOCAL.name
    obstacle = None
    mechanisms: Mapping[str, str | None] = dict.fromkeys(MECHANISMS)


@pytest.fixture(autouse=True)
def worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Environment | Able] = {LOCAL.name: Able(), SIMULATED.name: SIMULATED}
    monkeypatch.setattr("histrio.planning.SYSTEMS", {"go": Go(), "raft_trio": RaftTrio()})
    monkeypatch.setattr("histrio.planning.ENVIRONMENTS", known)
    assert set(known) <= set(ENVIRONMENTS)


def planned(system: str, *asked: str, environment: str = "local") -> Trial:
    return plan_trial(msgspec.structs.replace(SHORT, system=system, environment=environment, nemesis=asked))


def disks(monkeypatch: pytest.MonkeyPatch, lack: str | None) -> None:
    monkeypatch.setattr(needs, "own_disks", lambda: lack)


@pytest.mark.parametrize("mechanism", BY_SHIM_ALONE)
def test_faults_of_the_shim_are_refused_for_programs_that_load_nothing(
    mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, None)
    kind = KIND_OF[mechanism]
    with pytest.raises(UsageProblem, match=f"{kind} cannot be injected: the program calls the kernel itself"):
        planned("go", kind)
    assert planned("raft_trio", kind).plan.faults


@pytest.mark.parametrize("mechanism", BY_KERNEL_TOO)
def test_faults_that_the_kernel_can_make_stay_where_nodes_have_file_systems_of_their_own(
    mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = KIND_OF[mechanism]
    disks(monkeypatch, None)
    assert planned("go", kind).plan.faults
    disks(monkeypatch, "file systems in files cannot be mounted: run as root")
    with pytest.raises(UsageProblem, match=r"cannot be injected: .* run as root"):
        planned("go", kind)


def test_a_family_goes_on_without_what_cannot_reach_the_program_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    disks(monkeypatch, None)
    trial = planned("go", "disk")
    assert {"disk-slow", "disk-torn"} <= set(trial.skipped)
    assert "shim" in trial.skipped["disk-slow"]
    assert trial.plan.faults
    assert not {fault.kind for fault in trial.plan.faults} & set(trial.skipped)
    with pytest.raises(UsageProblem, match="cannot be injected"):
        planned("go", "clock")
    assert "clock-step" in planned("go", "all").skipped


def test_the_simulator_needs_no_shim() -> None:
    assert planned("go", "clock", environment="sim").plan.faults
