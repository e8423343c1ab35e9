"""Whether nodes can have networks of their own is found out before anything runs, and said with the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from histrio.environments import namespaces as subject
from histrio.environments.local import LocalEnvironment
from histrio.errors import EX_UNAVAILABLE, EnvironmentUnavailable
from histrio.planning import plan_trial
from histrio.trial import TrialSpec

ROOT = Path(__file__).parents[3]


def python(program: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("command", "package"), [("ip", "iproute2"), ("setpriv", "util-linux")])
def test_a_missing_tool_is_named_with_its_package(command: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subject.tool
    monkeypatch.setattr(subject, "tool", lambda name: None if name == command else real(name))
    refusal = subject.obstacle.__wrapped__()
    assert refusal is not None
    assert command in refusal.what
    assert package in refusal.fix


def test_a_kernel_that_gives_no_namespaces_is_quoted_with_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in most containers and on systems that restrict user namespaces."""
    monkeypatch.setattr(subject, "_refused", lambda *options: "unshare failed: Operation not permitted")
    monkeypatch.setattr(subject, "as_root", lambda: False)
    refusal = subject.obstacle.__wrapped__()
    assert refusal is not None
    assert "Operation not permitted" in refusal.what
    assert "--env docker" in refusal.fix


def test_a_trial_is_refused_when_it_is_planned_if_the_world_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §3: refused by name, with reason and remedy; exit 69."""
    refusal = EnvironmentUnavailable("no namespaces", why="a test", fix="none")
    monkeypatch.setattr(LocalEnvironment, "obstacle", property(lambda environment: refusal))
    with pytest.raises(EnvironmentUnavailable) as refused:
        plan_trial(TrialSpec(environment="local"))
    assert refused.value.exit_code == EX_UNAVAILABLE


@pytest.mark.usefixtures("namespaces")
def test_a_process_enters_its_namespaces_once_and_sees_nothing_of_the_machines_network() -> None:
    program = """
import os, socket
from histrio.environments.namespaces import enter, inside, new_network
outside = os.readlink("/proc/self/ns/net")
enter()
entered = os.readlink("/proc/self/ns/net")
enter()
assert os.readlink("/proc/self/ns/net") == entered != outside
assert [name for _, name in socket.if_nameindex()] == ["lo"]
network = new_network()
assert os.readlink("/proc/self/ns/net") == entered
with inside(network):
    assert os.readlink("/proc/thread-self/ns/net") not in (entered, outside)
assert os.readlink("/proc/self/ns/net") == entered
"""
    done = python(program)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("namespaces")
def test_a_process_with_several_threads_is_refused() -> None:
    """Its other threads would stay where they are."""
    program = """
import threading
from histrio.environments.namespaces import enter
from histrio.errors import EnvironmentUnavailable
threading.Thread(target=threading.Event().wait, daemon=True).start()
try:
    enter()
except EnvironmentUnavailable as refusal:
    assert "threads" in refusal.what
else:
    raise SystemExit("entered")
"""
    done = python(program)
    assert done.returncode == 0, done.stderr
