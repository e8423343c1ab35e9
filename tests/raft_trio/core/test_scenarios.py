"""Scenarios as text; `HISTRIO_REWRITE=1` writes what happens now, and the diff is reviewed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.raft_trio.core.scenario import run_scenario

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])
def test_a_scenario_happens_as_written(path: Path) -> None:
    """Style rule 18: scenarios are text, diffs are reviewed."""
    written = path.read_text(encoding="utf-8")
    happened = run_scenario(written)
    if os.environ.get("HISTRIO_REWRITE"):
        path.write_text(happened, encoding="utf-8")
    assert happened == path.read_text(encoding="utf-8")


def test_there_are_scenarios() -> None:
    """An empty folder must not pass."""
    assert len(SCENARIOS) >= 5
