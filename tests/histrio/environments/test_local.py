"""Real nodes in real networks: each fault is seen to bite, by the packets and the processes themselves, and to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from checker.faults import FaultStatus, FaultSummary, summarize_faults
from checker.records import Validity
from checker.verdict import exit_code
from histrio.store import RunDirectory
from nemesis.plan import AtTime, Fault, Plan

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60
NODES = ("n1", "n2", "n3", "n4", "n5")
EVERY = sorted(f"{source}>{target}" for source, target in permutations(NODES, 2))

pytestmark = pytest.mark.usefixtures("namespaces")

Scenario = Callable[[str], dict[str, Any]]


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Name -> what its one run has found."""
    return cache(lambda name: play(name, tmp_path_factory.mktemp(name)))


def play(name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.histrio.environments.cell", name, str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def histrio(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "histrio", *arguments]


def run_histrio(store: Path, *arguments: str) -> tuple[int, RunDirectory]:
    command = histrio("run", "--env", "local", "--store", str(store), *arguments)
    done = subprocess.run(
        command, cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False
    )
    assert done.returncode in (0, 1, 2, 3), done.stderr
    return done.returncode, RunDirectory.load(store / "latest")


def effective(run: RunDirectory) -> list[FaultSummary]:
    faults = summarize_faults(run.read_faults().records)
    return [fault for fault in faults if fault.status is FaultStatus.EFFECTIVE]


# ── mechanisms ───────────────────────────────────────────────────────────────────────────────────────────────────────


def without(*pairs: Any) -> list[str]:
    cut = {f"{source}>{target}" for group in pairs for source, target in group}
    return [pair for pair in EVERY if pair not in cut]


def test_partitions_cut_exactly_their_pairs_in_their_direction_and_overlap(scenario: Scenario) -> None:
    """Seen by datagrams on all twenty pairs. A node that is killed and started again meets the same rules (a rule in
    the node's own namespace would be gone with it, and the partition would heal in silence)."""
    found = scenario("partitions")
    one_way, halves = found["one_way"], found["halves"]
    assert found["before"] == EVERY
    assert found["f1"] == without(one_way)
    assert found["f1+f2"] == without(one_way, halves)
    assert found["restarted"] == found["f1+f2"]
    assert found["f2"] == without(halves)
    assert found["f2 changed"] == without(one_way)
    assert found["after"] == EVERY


def test_partitions_count_what_they_dropped_and_see_their_links_carry_again(scenario: Scenario) -> None:
    """Evidence: three rounds of four datagrams for the first fault; three of twelve and one of four for the second.
    Links that another fault still blocks have not healed."""
    found = scenario("partitions")
    assert found["counts f1"] == {"packets_dropped": 3 * 4}
    assert found["counts f2"] == {"packets_dropped": 3 * 12 + 4}
    assert found["healed while blocked"] is None
    assert found["healed"] == "4 of 4 links carried a packet, none is blocked"
    assert found["tables"] == "", "no rule is left"


def test_processes_end_and_pause_and_come_back_as_they_were(scenario: Scenario) -> None:
    """Address, data and folder survive; variables set for later starts hold; a stopped process is still there."""
    found = scenario("processes")
    assert found["killed"] == [["n2"], None, None]
    assert found["counts kill"] == {"processes_ended": 1}
    assert found["again"] == ["one", "changed", 2]
    assert found["counts terminate"] == {"processes_ended": 2}
    assert found["paused"] == [["n1", "n2"], None]
    assert found["counts pause"] == {"inputs_held": 1, "processes_stopped": 1}
    assert found["resumed"] == "launched"
    assert found["nobody"] == {"processes_ended": 0}


def test_an_exit_that_nobody_planned_is_told_with_its_reason(scenario: Scenario) -> None:
    exits = scenario("processes")["exits"]
    assert exits[-1] == ["n2", "exit code 7: no reason at all", False]
    assert [planned for _, _, planned in exits[:-1]] == [True] * 3


# ── leaving nothing behind ───────────────────────────────────────────────────────────────────────────────────────────


def exists(pid: int) -> bool:
    """As a process that runs: not one that its parent has not asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def comes_true(condition: Callable[[], bool], *, tries: int = 600) -> bool:
    """Looks at it every tenth of a second."""
    return any(condition() or pause.wait(0.1) for _ in range(tries))


pause = threading.Event()


def test_a_harness_that_is_killed_leaves_no_process_namespace_or_mount(tmp_path: Path) -> None:
    """Issue #6: after a `kill -9` nothing of ours is left; namespaces end with the last process in them."""
    command = [sys.executable, "-m", "tests.histrio.environments.cell", "stand", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=environ(), stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        stands = json.loads(harness.stdout.readline())
        pids: list[int] = stands["pids"]
        networks = {Path(f"/proc/{pid}/ns/net").readlink() for pid in [harness.pid, *pids]}
        assert len(networks) == 6, "the harness and each node have networks of their own"
        assert all(exists(pid) for pid in pids)
        harness.kill()
    assert comes_true(lambda: not any(exists(pid) for pid in pids))
    assert not networks & set(networks_of_all())
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert comes_true(lambda: not set(stands["images"]) & set(backing_files()))


def networks_of_all() -> Iterator[Path]:
    """Of all processes; one that ends meanwhile has none."""
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):
            yield path.readlink()


def backing_files() -> Iterator[str]:
    """Of all loop devices."""
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            yield path.read_text().strip()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.cells)]
)
def test_a_signal_heals_cleans_up_and_leaves_a_run_that_can_be_judged(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """Issue #6: also after Ctrl-C. The directory says how far the run came."""
    command = histrio("run", "--env", "local", "--nodes", "3", "--nemesis", "partition,kill,pause")
    command += ["--seed", "1", "--time-limit", "60s", "--store", str(tmp_path)]
    history = tmp_path / "latest" / "history.jsonl"
    with subprocess.Popen(command, cwd=ROOT, env=environ(), stderr=subprocess.PIPE, text=True) as running:
        assert comes_true(lambda: history.exists() and history.stat().st_size > 5_000)
        running.send_signal(number)
        _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == code, said
    run = RunDirectory.load(tmp_path / "latest")
    record = run.read_run()
    assert record.end is not None
    assert record.end.reason == "interrupted"
    assert [phase.name for phase in record.phases] == ["settle", "load"]
    done = subprocess.run(
        histrio("check", str(run.path)), cwd=ROOT, env=environ(), capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode in (2, 3), "accepted, and no violation"


MS = 1_000_000
PLAN = Plan(
    seed=2,
    nodes=("n1", "n2", "n3"),
    workload="register",
    faults=(
        Fault(id="f1", kind="partition-leader", at=AtTime(ns=500 * MS), for_ns=1000 * MS, target="leader"),
        Fault(id="f2", kind="kill-leader", at=AtTime(ns=2000 * MS), for_ns=300 * MS, target="leader"),
        Fault(id="f3", kind="pause-leader", at=AtTime(ns=3500 * MS), for_ns=1000 * MS, target="leader"),
    ),
)
"""Long enough each to be sure of its effect, whatever else the machine does; others always send to a leader."""


# ── whole trials ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_trial_on_real_processes_is_valid_and_its_faults_took_effect(tmp_path: Path) -> None:
    """Issue #6: the same engine, checks and invariants as in the simulator, on real sockets, disks and clocks."""
    plan = tmp_path / "plan.json"
    plan.write_bytes(msgspec.json.encode(PLAN))
    code, run = run_histrio(tmp_path, "--plan", str(plan), "--time-limit", "5s", "--seed", "2")
    verdict = run.read_verdict()
    assert verdict is not None
    assert (code, verdict.validity) == (0, Validity.VALID), verdict.signature
    assert {fault.family for fault in effective(run)} == {"partition", "kill", "pause"}
    assert all(fault.healed_ns is not None for fault in effective(run))
    assert run.read_history().header.clock == "monotonic"
    checked = [check.name for check in verdict.checks]
    assert {"election-safety", "synced-durable", "liveness"} <= set(checked)
    for node in ("n1", "n2", "n3"):
        assert (run.nodes / node / "log").is_file()
        assert list((run.nodes / node / "data").iterdir()), "the write-ahead log is kept"


@pytest.mark.cells
@pytest.mark.parametrize("bug", ["leader_local_read", "ack_on_append"])
def test_planted_bugs_are_found_on_real_processes_within_three_runs(bug: str, tmp_path: Path) -> None:
    """Issue #6: exit 1 within 3 runs, and the fault that the bug needs shows as effective."""
    for seed in ("1", "2", "3"):
        arguments = ("--nemesis", "partition", "--bug", bug, "--time-limit", "30s", "--seed", seed)
        code, run = run_histrio(tmp_path, *arguments)
        if code == exit_code(Validity.INVALID):
            assert {fault.family for fault in effective(run)} == {"partition"}
            return
    pytest.fail(f"{bug} was not found in 3 runs")


@pytest.mark.cells
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_minute_of_faults_is_valid_with_many_that_took_effect(seed: int, tmp_path: Path) -> None:
    """Issue #6: none invalid, no harness error, at least 10 effective faults and 5,000 ok operations."""
    arguments = ("--nodes", "5", "--nemesis", "partition,kill,pause", "--time-limit", "60s", "--seed", str(seed))
    code, run = run_histrio(tmp_path, *arguments)
    assert code == 0
    assert len(effective(run)) >= 10
    assert sum(line.type == "ok" for line in run.read_history().records) >= 5_000
