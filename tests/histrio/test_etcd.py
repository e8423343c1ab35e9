"""The adapter of etcd as planning and doctor meet it: where it runs, what it lacks, what cannot hurt it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from histrio.doctor import probe
from histrio.environments.local import LOCAL, LocalEnvironment
from histrio.environments.mechanisms.registry import ALL_MECHANISMS
from histrio.errors import EnvironmentUnavailable, UsageProblem
from histrio.judge import BLACK_BOX
from histrio.planning import plan_trial
from histrio.run import run_record
from histrio.systems.etcd import ETCD, Etcd, launch
from histrio.systems.system import NodePlace
from histrio.trial import TrialSpec

PLACE = NodePlace(node="n2", address="10.77.0.11", data="/data", records="/records", python=("python3",))
ADDRESSES = {"n1": "10.77.0.10", "n2": "10.77.0.11"}


def spec(**changes: object) -> TrialSpec:
    return TrialSpec(seed=Random("etcd").getrandbits(16), system="etcd", nodes=3, **changes)  # type: ignore[arg-type]


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has all that real nodes need, whatever this one has."""
    monkeypatch.setattr(LocalEnvironment, "obstacle", None)
    monkeypatch.setattr(LocalEnvironment, "mechanisms", dict.fromkeys(ALL_MECHANISMS))
    monkeypatch.setattr(Etcd, "obstacle", None)


@pytest.mark.parametrize("environment", ["sim", "docker"])
def test_worlds_that_etcd_does_not_exist_in_are_refused_by_name(environment: str) -> None:
    with pytest.raises(UsageProblem, match=f"etcd cannot run in --env {environment}") as refused:
        plan_trial(spec(environment=environment))
    assert refused.value.fix == "use --env local"


def test_a_machine_without_etcd_is_refused_with_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit 69; doctor says the same. PATH stays as it is: what else this machine has is found out once, for all."""
    monkeypatch.setattr(LocalEnvironment, "obstacle", None)
    monkeypatch.setattr("histrio.systems.etcd._PROGRAM", "etcd-that-nobody-has")
    with pytest.raises(EnvironmentUnavailable, match="etcd is not installed") as refused:
        plan_trial(spec(environment="local"))
    assert refused.value.fix == "apt install etcd-server"
    assert refused.value.exit_code == 69
    (row,) = [row for row in probe((), store=tmp_path) if row.name == "--system etcd"]
    assert (row.available, row.detail) == (False, "etcd is not installed: apt install etcd-server")


@pytest.mark.parametrize("says", ["etcd Version: 3.3.25", "command not supported"])
def test_an_etcd_that_is_too_old_for_its_gateway_is_refused(
    says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "etcd"
    program.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ETCD.obstacle is not None
    assert "is not etcd 3.4 or newer" in ETCD.obstacle.what


def test_faults_that_a_program_in_go_escapes_are_skipped_in_all_and_refused_by_name(able: None) -> None:
    """A clock that is shifted in the C library shifts nothing for a program that does not ask it."""
    trial = plan_trial(spec(environment="local", nemesis=("all",)))
    assert "written in Go" in trial.skipped["clock-step"]
    assert not [fault for fault in trial.plan.faults if fault.kind.startswith("clock")]
    with pytest.raises(UsageProblem, match="cannot be injected: etcd is written in Go"):
        plan_trial(spec(environment="local", nemesis=("clock",)))


def test_every_mechanism_that_cannot_reach_etcd_is_a_mechanism() -> None:
    assert set(ETCD.beyond_reach) <= set(LOCAL.mechanisms)


def test_checks_of_a_trace_are_left_out_where_there_is_none(able: None) -> None:
    record = run_record(plan_trial(spec(environment="local")), name="x", started_at="")
    assert record.checks == BLACK_BOX


@pytest.mark.parametrize(
    "options",
    [{"serializable_read": "true"}, {"serializable_reads": "yes"}, {"operation_timeout_ms": "0"}],
)
def test_options_are_refused_unless_they_mean_something(options: dict[str, str]) -> None:
    with pytest.raises(UsageProblem):
        ETCD.check_options(options)


def test_a_node_listens_at_its_own_address_only_and_knows_all_members() -> None:
    started = launch(PLACE, ADDRESSES)
    arguments = dict(argument.removeprefix("--").split("=", 1) for argument in started.argv[1:])
    assert arguments["name"] == "n2"
    assert arguments["data-dir"] == "/data/etcd"
    assert arguments["listen-client-urls"] == arguments["advertise-client-urls"] == "http://10.77.0.11:2379"
    assert arguments["listen-peer-urls"] == arguments["initial-advertise-peer-urls"] == "http://10.77.0.11:2380"
    assert arguments["initial-cluster"] == "n1=http://10.77.0.10:2380,n2=http://10.77.0.11:2380"
    assert started.trace is None
