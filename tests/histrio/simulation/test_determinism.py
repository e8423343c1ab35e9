"""The same seed gives the same run: in another process, under another hash seed, and from a copy made halfway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import histrio

ROOT = Path(histrio.__file__).parent.parent


def run(seed: int, quantum_ns: int, hash_seed: str) -> list[str]:
    """Two lines of JSON, of the run and of its copy."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    scenario = Path(__file__).with_name("scenario.py")
    command = [sys.executable, str(scenario), str(seed), str(quantum_ns)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


@pytest.mark.parametrize("quantum_ns", [0, 500_000])
def test_the_same_seed_gives_the_same_run_in_another_process_and_from_a_copy(quantum_ns: int) -> None:
    """Architecture, 7.6. With quantised latencies events tie all the time, which continuous ones hide."""
    first, copied = run(1, quantum_ns, "0")
    assert copied == first
    assert run(1, quantum_ns, "1") == [first, first]
    happened: list[Any] = json.loads(first)
    assert happened[1] > 5_000
    assert all(happened[2].values()), "the scenario no longer has every kind of trouble"
    assert happened[3], "no node broke down"


def test_another_seed_gives_another_run() -> None:
    assert run(1, 0, "0")[0] != run(2, 0, "0")[0]
