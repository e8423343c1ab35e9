"""The same trial in other simulated worlds: connections instead of datagrams, ties, nodes that do unlikely things."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from checker.records import Validity
from histrio.errors import UsageProblem
from histrio.planning import plan_trial
from histrio.replaying import replay
from histrio.simulation.conditions import CONDITIONS
from histrio.systems.raft_trio_simulated import BUGGIFY_POINTS
from nemesis.planfile import dump_plan
from tests.histrio.running import SHORT, Ran, run, run_trial

SPEC = msgspec.structs.replace(SHORT, nodes=5, nemesis=("partition", "kill", "power-loss"), seed=4)
PLAIN: dict[str, str] = {}


def run_in(world: dict[str, str], store: Path) -> Ran:
    trial = plan_trial(msgspec.structs.replace(SPEC, store=store))
    return run_trial(store, msgspec.structs.replace(trial, plan=msgspec.structs.replace(trial.plan, world=world)))


@pytest.mark.parametrize(
    "world", [{"links": "stream"}, {"ties": "1ms"}, {"buggify": "on"}], ids=lambda w: next(iter(w))
)
def test_a_correct_build_survives_another_world_which_is_another_run_and_replays(
    world: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histrio.simulation.buggify.ACTIVATED", 1.0)
    plain, ran = run_in(PLAIN, tmp_path / "plain"), run_in(world, tmp_path / "other")
    assert ran.verdict.validity is Validity.VALID
    assert plain.record.end is not None
    assert ran.record.end is not None
    assert plain.record.end.trace_hash != ran.record.end.trace_hash
    assert replay(ran.directory.path, tmp_path / "again").equal


def test_every_point_of_buggify_is_passed_in_a_short_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that nobody passes is a promise that nobody keeps."""
    passed: dict[str, int] = {}

    def is_active(self: object, point: str) -> bool:
        passed[point] = passed.get(point, 0) + 1
        return True

    monkeypatch.setattr("histrio.simulation.buggify.Buggify.is_active", is_active)
    run_in({"buggify": "on"}, tmp_path)
    assert set(passed) == set(BUGGIFY_POINTS)


def test_the_world_is_drawn_with_the_plan_and_kept_in_it(tmp_path: Path) -> None:
    worlds = [plan_trial(msgspec.structs.replace(SPEC, seed=seed)).plan.world for seed in range(20)]
    assert all(set(world) == set(CONDITIONS) for world in worlds)
    assert len({tuple(world.values()) for world in worlds}) > 3
    ran = run(tmp_path, SPEC)
    assert ran.directory.read_plan().world == plan_trial(SPEC).plan.world


def test_a_saved_plan_with_an_unknown_world_or_an_impossible_fault_is_refused(tmp_path: Path) -> None:
    plan, path = plan_trial(SPEC).plan, tmp_path / "plan.json"
    path.write_text(dump_plan(msgspec.structs.replace(plan, world={"links": "pigeons"})), encoding="utf-8")
    with pytest.raises(UsageProblem, match="pigeons"):
        plan_trial(msgspec.structs.replace(SPEC, plan=path))
    starving = msgspec.structs.replace(plan.faults[0], kind="cpu-starve", target="one", params={})
    path.write_text(dump_plan(msgspec.structs.replace(plan, faults=(starving,))), encoding="utf-8")
    with pytest.raises(UsageProblem, match="no processor to starve"):
        plan_trial(msgspec.structs.replace(SPEC, plan=path))
