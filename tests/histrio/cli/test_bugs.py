"""`histrio bugs`: the catalogue, and the kill matrix as a command (architecture §5, §7.3)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.records import Validity
from histrio.bug_score import score_bugs, score_text, spec_of_hunt
from histrio.campaign import Row
from histrio.errors import EX_USAGE, UsageProblem
from histrio.systems.raft_trio_bugs import PLANTED
from histrio.trial import TrialSpec
from tests.histrio.cli.worlds import World, a_score

PLANS = Path(__file__).parents[3] / "tests" / "regressions"
BUGS = (PLANTED["leader_local_read"].bug, PLANTED["read_old_ack"].bug)
"""Two bugs that share a trial."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def rows(spec: TrialSpec, *violated: str) -> Row:
    validity = Validity.INVALID if violated else Validity.VALID
    return Row(seed=spec.seed, workload="register", time_limit_s=1, nodes=3, validity=validity, violated=violated)


def test_the_list_names_every_planted_bug(world: World) -> None:
    assert world.call("bugs", "list").out.split()[0] == "leader_local_read"
    (entry,) = msgspec.json.decode(world.call("bugs", "list", "--json").out)
    assert entry["name"] == "leader_local_read"


def test_a_score_is_good_when_every_bug_was_found_and_the_correct_build_never_failed(world: World) -> None:
    answer = world.call("bugs", "score", "leader_local_read", "--seeds", "1-3")
    assert answer.code == 0
    assert "leader_local_read  3 of 3     linearizability*, liveness (1)" in answer.out


@pytest.mark.parametrize("score", [a_score(found=0), a_score(accused=(2,))])
def test_a_bug_that_hides_and_a_detector_that_accuses_the_innocent_fail_the_score(
    tmp_path: Path, score: object
) -> None:
    world = World(tmp_path, changes={"score_bugs": lambda names, seeds, plans: [score]})
    answer = world.call("bugs", "score")
    assert answer.code == 1
    assert answer.out.splitlines()[-1] in (
        "not found: leader_local_read",
        "the correct build fails too: leader_local_read, seeds (2,)",
    )


def test_the_correct_build_runs_once_for_all_bugs_that_share_a_trial() -> None:
    ran: list[tuple[str | None, int]] = []

    def run(spec: TrialSpec) -> Row:
        ran.append((spec.bug, spec.seed))
        return rows(spec, *(("linearizability",) if spec.bug and spec.seed == 2 else ()))

    first, second = score_bugs(BUGS, (1, 2), PLANS, run)
    assert [pair for pair in ran if pair[0] is None] == [(None, 1), (None, 2)]
    assert (first.found, first.first, second.found) == (1, 2, 1)
    assert first.passed


def test_a_violation_that_no_expected_detector_sees_is_not_a_find() -> None:
    (score,) = score_bugs(BUGS[:1], (1,), PLANS, lambda spec: rows(spec, *(("liveness",) if spec.bug else ())))
    assert not score.passed
    assert score.detectors == {"liveness": 1}
    assert "0 of 1     liveness" in score_text([score])


def test_without_the_saved_plans_nothing_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"there is no .*leader_local_read"):
        spec_of_hunt(BUGS[0].hunt, tmp_path, seed=1, bug=None)


def test_an_unknown_bug_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, changes={"score_bugs": _refuse})
    assert world.call("bugs", "score", "x").code == EX_USAGE


def _refuse(names: tuple[str, ...], seeds: object, plans: Path) -> object:
    from histrio.bug_score import chosen

    return chosen({}, names)
