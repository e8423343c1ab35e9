"""One seed, one run: the same bytes in another process, with another hash seed, and again from the recorded plan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from histrio.replaying import recorded_trial, replay
from histrio.run import execute
from histrio.store import RunDirectory
from tests.histrio.running import SHORT, run

ROOT = Path(__file__).parent.parent.parent


def start_digests(hash_seed: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.histrio.digests", "1", "25"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE)


def test_twenty_five_seeds_give_the_same_bytes_in_two_processes_with_different_hash_seeds() -> None:
    """Architecture §7.6; issue #2."""
    processes = [start_digests("1"), start_digests("2")]
    first, second = (process.communicate(timeout=300)[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(first.splitlines()) == 25
    assert first.splitlines() == second.splitlines()


def test_a_replay_of_a_recorded_run_has_the_same_trace_hash(tmp_path: Path) -> None:
    """Architecture §4: replay is bit-identical, proved by equal trace hashes."""
    recorded = run(tmp_path, msgspec.structs.replace(SHORT, nemesis=("all",), seed=3))
    result = replay(recorded.directory.path, tmp_path)
    assert result.equal
    assert recorded.directory.history.read_bytes() == (result.directory / "history.jsonl").read_bytes()


def test_a_replay_of_another_plan_does_not_pass_for_the_same_run(tmp_path: Path) -> None:
    """The comparison can fail: one fault less is another run."""
    recorded = run(tmp_path, msgspec.structs.replace(SHORT, seed=3))
    trial = recorded_trial(recorded.directory)
    shorter = msgspec.structs.replace(trial.plan, faults=trial.plan.faults[1:])
    other = RunDirectory.create(tmp_path, "other", started_at=recorded.directory.started_at, seed=3)
    execute(msgspec.structs.replace(trial, plan=shorter), other)
    ends = [recorded.record.end, other.read_run().end]
    assert None not in ends
    assert ends[0] != ends[1]
