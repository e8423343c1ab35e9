"""`histrio campaign` as its users meet it: options, table, exit codes (docs/command-line.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checker.records import Validity
from histrio.campaign import FaultCount, Row
from tests.histrio.cli.worlds import World


def row(seed: int, validity: Validity = Validity.VALID, signature: str | None = None) -> Row:
    faults = (FaultCount("kill-one", "effective", 2),)
    return Row(
        seed=seed,
        workload="register",
        time_limit_s=4.0,
        nodes=5,
        validity=validity,
        signature=signature,
        operations=10,
        ok=8,
        faults=faults,
    )


FOUND = row(3, Validity.INVALID, "linearizability/lost-write/read+write")
BROKEN = row(4, Validity.HARNESS_ERROR)
UNKNOWN = row(5, Validity.UNKNOWN)


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ((row(1), row(2)), 0),
        ((row(1), FOUND, BROKEN, UNKNOWN), 1),
        ((row(1), BROKEN, UNKNOWN), 70),
        ((row(1), UNKNOWN), 2),
        ((), 3),
    ],
)
def test_one_violation_is_never_masked_by_anything_else(tmp_path: Path, rows: tuple[Row, ...], code: int) -> None:
    """Architecture, section 4."""
    assert World(tmp_path, rows=rows).call("campaign", "--store", str(tmp_path / "runs")).code == code


@pytest.mark.parametrize(("vacuous", "code"), [(1, 0), (2, 3)])
def test_more_than_one_vacuous_trial_in_a_hundred_makes_the_campaign_vacuous(
    tmp_path: Path, vacuous: int, code: int
) -> None:
    """Architecture, section 4."""
    rows = tuple(row(seed, Validity.VACUOUS if seed <= vacuous else Validity.VALID) for seed in range(1, 101))
    assert World(tmp_path, rows=rows).call("campaign").code == code


def test_the_first_seed_of_a_violation_is_run_again_with_everything_recorded(tmp_path: Path) -> None:
    """Issue 3, item 5."""
    world = World(tmp_path, rows=(row(1), FOUND, row(9, Validity.INVALID, FOUND.signature)))
    answer = world.call("campaign", "--store", str(world.store))
    assert answer.code == 1
    assert world.only_run().read_run().seed == 3
    assert "2 seeds: 3, 9" in answer.out


def test_until_found_stops_at_the_first_violation(tmp_path: Path) -> None:
    """Later seeds are not run."""
    world = World(tmp_path, rows=(row(1), FOUND, row(9)))
    answer = world.call("campaign", "--until-found", "--json", "--store", str(world.store))
    assert json.loads(answer.out)["summary"]["trials"] == 2


def test_an_expected_violation_makes_the_exit_code_zero_and_a_missing_one_makes_it_one(tmp_path: Path) -> None:
    """Canaries: docs/command-line.md."""
    store = str(tmp_path / "runs")
    wanted = ("campaign", "--expect", "invalid:linearizability", "--store", store)
    assert World(tmp_path, rows=(row(1), FOUND)).call(*wanted).code == 0
    assert World(tmp_path, rows=(row(1),)).call(*wanted).code == 1
    assert World(tmp_path, rows=(FOUND, BROKEN)).call(*wanted).code == 70


def test_rows_stand_in_the_json_when_they_are_asked_for(tmp_path: Path) -> None:
    """In the order of their seeds."""
    answer = World(tmp_path, rows=(row(2), row(1))).call("campaign", "--json", "--rows")
    assert [one["seed"] for one in json.loads(answer.out)["rows"]] == [1, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seeds", "5-1"),
        ("--seeds", "x"),
        ("--durations", "4s:50"),
        ("--durations", "4:100"),
        ("--budget", "soon"),
        ("--workload", "register,nothing"),
        ("--nemesis", "nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code 64."""
    assert World(tmp_path, rows=(row(1),)).call("campaign", *arguments).code == 64
