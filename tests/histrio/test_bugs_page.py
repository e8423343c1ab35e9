"""docs/bugs.md says what the catalogue says."""

from __future__ import annotations

from pathlib import Path

from histrio.systems.documentation import bugs_table, real_hunts_table, scenarios_table
from histrio.systems.raft_trio import RAFT_TRIO

PAGE = Path(__file__).parent.parent.parent / "docs" / "bugs.md"
BUGS = tuple(RAFT_TRIO.bugs.values())


def between(begin: str, end: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"<!-- {begin}")[1].split("-->\n", 1)[1].split(f"<!-- {end}")[0]


def test_the_page_shows_every_planted_bug() -> None:
    assert between("bugs", "end of bugs") == bugs_table(BUGS)


def test_the_page_shows_every_scenario() -> None:
    assert between("scenarios", "end of scenarios") == scenarios_table(BUGS)


def test_the_page_shows_every_hunt_on_real_processes() -> None:
    assert between("real hunts", "end of real hunts") == real_hunts_table(BUGS)
