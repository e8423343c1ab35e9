"""`--env docker` on a real engine: image, trial, and that nothing is left behind (issue 6)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from checker.records import Validity
from checker.verdict import exit_code
from histrio.environments.container_image import LABEL, build_image
from histrio.environments.container_owner import OWNER_LABEL, owner_mark, remove_orphans
from histrio.errors import EX_INTERRUPTED, EnvironmentUnavailable
from histrio.store import RunDirectory

RUN = ("run", "--env", "docker", "--nodes", "3", "--time-limit", "4s", "--seed", "3", "--rate", "50")
LIMIT_S = 120.0
EX_VACUOUS = exit_code(Validity.VACUOUS)


def histrio(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "histrio", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def left_by(pid: int, engine: docker.DockerClient) -> list[str]:
    """Other tests may have clusters at the same time."""
    return [name for name in ours(engine) if name.startswith(f"histrio-{pid}-")]


def ours(engine: docker.DockerClient) -> list[str]:
    wanted = {"label": f"{LABEL}=run"}
    containers = engine.containers.list(all=True, filters=wanted, ignore_removed=True)
    return [thing.name for thing in (*containers, *engine.networks.list(filters=wanted))]


def mounts_below(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


def test_an_image_of_the_same_content_is_reused(engine: docker.DockerClient) -> None:
    """Its name is a digest of what is in it."""
    first, second = build_image(engine), build_image(engine)
    assert first.tag == second.tag
    assert not second.built


def test_a_base_that_cannot_be_had_is_refused_with_the_remedy(
    engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 69, and not another base in silence."""
    monkeypatch.setenv("HISTRIO_BASE_IMAGE", "localhost:1/nothing:none")
    with pytest.raises(EnvironmentUnavailable, match="HISTRIO_BASE_IMAGE"):
        build_image(engine)


def test_a_trial_in_containers_is_valid_and_leaves_nothing_behind(engine: docker.DockerClient, tmp_path: Path) -> None:
    """The same trial as in the simulator, with the same checks."""
    running = histrio(*RUN, "--nemesis", "kill", "--store", str(tmp_path))
    out, err = running.communicate(timeout=LIMIT_S)
    # On a machine that is busy with other tests the load may achieve too little to mean anything.
    assert running.returncode in (0, EX_VACUOUS), out + err
    run = RunDirectory.load(tmp_path / "latest")
    verdict = run.read_verdict()
    assert verdict is not None
    valid = {check.name for check in verdict.checks if check.validity is Validity.VALID}
    assert {"completion", "trace-form", "linearizability", "liveness", "node-exits"} <= valid
    assert len(run.read_trace().records) > 100
    assert (run.path / "nodes" / "n1" / "log").exists()
    assert left_by(running.pid, engine) == []
    assert mounts_below(tmp_path) == []


def test_an_interrupted_trial_removes_its_containers(engine: docker.DockerClient, tmp_path: Path) -> None:
    """Ctrl-C heals and cleans up first; the directory can still be judged."""
    running = histrio(*RUN, "--nemesis", "none", "--store", str(tmp_path))
    assert running.stderr is not None
    assert any(line.startswith("load") for line in running.stderr), "it ends before its load begins"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == EX_INTERRUPTED, out + err
    assert left_by(running.pid, engine) == []
    assert RunDirectory.load(tmp_path / "latest").read_history().records


def test_what_a_killed_harness_left_is_removed_by_the_next_one_and_nothing_else_is(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    """A label names the owner by id and start time; a harness that runs beside keeps what it has."""
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = {LABEL: "run", OWNER_LABEL: owner_mark(gone.pid)}
    mine = {LABEL: "run", OWNER_LABEL: owner_mark(os.getpid())}
    gone.communicate(b"\n")
    left = engine.networks.create("histrio-test-left", labels=theirs, internal=True)
    kept = engine.networks.create("histrio-test-kept", labels=mine, internal=True)
    try:
        remove_orphans(engine)
        assert left.name not in ours(engine)
        assert kept.name in ours(engine)
    finally:
        kept.remove()
