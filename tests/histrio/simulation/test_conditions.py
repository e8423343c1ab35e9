"""The world of a seed: drawn, saved with the plan, checked when read back; and the points of BUGGIFY."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from histrio.simulation.buggify import ACTIVATED, FIRES, Buggify, never
from histrio.simulation.conditions import (
    CONDITIONS,
    check_conditions,
    conditions_table,
    draw_conditions,
    profile_under,
)
from histrio.simulation.errors import BadProfile
from histrio.simulation.profile import DEFAULT_PROFILE
from histrio.systems.raft_trio_simulated import BUGGIFY_POINTS

PAGE = Path(__file__).parents[3] / "docs" / "simulation.md"


def test_seeds_draw_every_value_about_as_often_as_its_weight_says() -> None:
    worlds = [draw_conditions(seed, ()) for seed in range(600)]
    for name, condition in CONDITIONS.items():
        counts = Counter(world[name] for world in worlds)
        total = sum(condition.weights.values())
        for value, weight in condition.weights.items():
            assert abs(counts[value] - 600 * weight / total) < 60


def test_a_world_depends_on_the_seed_alone_unless_a_fault_would_mean_nothing_in_it() -> None:
    for seed in range(100):
        world = draw_conditions(seed, ("kill-one",))
        assert world == draw_conditions(seed, ("net-loss", "pause-one"))
        check_conditions(world)
        assert draw_conditions(seed, ("kill-one", "net-duplicate")) == {**world, "links": "datagram"}


def test_a_plan_that_says_nothing_means_the_world_as_it_was() -> None:
    assert profile_under(DEFAULT_PROFILE, {}) == DEFAULT_PROFILE
    first = {name: next(iter(condition.weights)) for name, condition in CONDITIONS.items()}
    assert profile_under(DEFAULT_PROFILE, first) == DEFAULT_PROFILE


def test_conditions_change_the_profile_and_nothing_else_in_it() -> None:
    changed = profile_under(DEFAULT_PROFILE, {"links": "stream", "ties": "1ms"})
    assert (changed.links.kind, changed.links.quantum_ns) == ("stream", 1_000_000)
    assert (changed.disk, changed.processes, changed.clients) == (
        DEFAULT_PROFILE.disk,
        DEFAULT_PROFILE.processes,
        DEFAULT_PROFILE.clients,
    )


@pytest.mark.parametrize(
    ("world", "problem"), [({"linkz": "stream"}, "linkz"), ({"links": "pigeons"}, "pigeons.*datagram, stream")]
)
def test_a_condition_that_does_not_exist_is_refused_by_name(world: dict[str, str], problem: str) -> None:
    with pytest.raises(BadProfile, match=problem):
        check_conditions(world)


def test_a_point_is_active_in_a_quarter_of_the_runs_and_fires_at_a_quarter_of_its_passes() -> None:
    """FoundationDB: 25 % and 25 %."""
    runs = [Buggify(seed) for seed in range(1000)]
    active = [run for run in runs if run.is_active("late-writes")]
    assert abs(len(active) / len(runs) - ACTIVATED) < 0.05
    passes = [run.of("n1", 1) for run in active[:40]]
    fired = sum(point("late-writes") for point in passes for _ in range(100))
    assert abs(fired / 4_000 - FIRES) < 0.03
    assert not any(run.of("n1", 1)("late-writes") for run in runs if run not in active)
    assert not never("late-writes")


def test_each_incarnation_passes_a_point_with_luck_of_its_own() -> None:
    run = next(run for run in map(Buggify, range(50)) if run.is_active("early-wake"))
    lives = [(node, incarnation) for node in ("n1", "n2") for incarnation in (1, 2)]
    points = [run.of(*life) for life in lives]
    drawn = [tuple([point("early-wake") for _ in range(40)]) for point in points]
    assert len(set(drawn)) == len(lives)
    again = run.of("n1", 1)
    assert tuple([again("early-wake") for _ in range(40)]) == drawn[0]


def test_the_page_shows_the_conditions_and_the_points() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert conditions_table() in page
    for point, text in BUGGIFY_POINTS.items():
        assert f"| `{point}` | {text} |" in page
