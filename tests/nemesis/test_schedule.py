"""What a drawn plan promises, over many seeds (architecture.md §2, issue #2)."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from nemesis.errors import Unavailable, UnknownNemesis
from nemesis.kinds import EVENTS, MECHANISMS
from nemesis.plan import AtEvent, AtTime, Fault
from nemesis.planfile import dump_plan, load_plan, parse_plan
from nemesis.registry import FAMILIES, KINDS
from nemesis.schedule import Drawn, draw_plan

NODES = ("n1", "n2", "n3", "n4", "n5")
S = 10**9
GOLDEN = Path(__file__).parent / "golden" / "plan-seed-1.json"


def draw(
    seed: int,
    *asked: str,
    seconds: int = 60,
    nodes: tuple[str, ...] = NODES,
    mechanisms: dict[str, str | None] | None = None,
) -> Drawn:
    return draw_plan(
        seed=seed,
        nodes=nodes,
        workload="register",
        asked=asked,
        duration_ns=seconds * S,
        mechanisms=dict.fromkeys(MECHANISMS) if mechanisms is None else mechanisms,
    )


def clocked(faults: tuple[Fault, ...]) -> list[Fault]:
    return [fault for fault in faults if isinstance(fault.at, AtTime)]


SAMPLES = [
    (seed, asked, seconds, draw(seed, *asked, seconds=seconds).plan)
    for seed in range(80)
    for asked, seconds in (
        (("partition", "kill"), 60),
        (("all",), 10),
        (("pause", "kill-leader"), 4),
        (("power-loss",), 60),
    )
]


def test_everything_asked_for_takes_part_twice_by_the_clock() -> None:
    for seed, asked, _, plan in SAMPLES:
        drawn = {KINDS[fault.kind].family for fault in plan.faults}
        assert len(drawn) >= (2 if asked == ("all",) else len(asked))
        for name in sorted(drawn) if asked == ("all",) else asked:
            kinds = {kind.name for kind in FAMILIES[name].kinds} if name in FAMILIES else {name}
            certain = [fault for fault in clocked(plan.faults) if fault.kind in kinds]
            assert len(certain) >= 2, (seed, name)


def test_all_draws_some_families_and_a_longer_phase_more_of_them() -> None:
    """Swarm testing: each seed its own subset; every family takes part, and none always."""
    sizes = {}
    for seconds in (4, 15, 60):
        sets = [
            {KINDS[fault.kind].family for fault in draw(seed, "all", seconds=seconds).plan.faults} for seed in range(60)
        ]
        assert set().union(*sets) == set(FAMILIES)
        assert all(any(name not in one for one in sets) for name in FAMILIES)
        sizes[seconds] = sum(map(len, sets)) / len(sets)
    assert 2 <= sizes[4] < sizes[15] < sizes[60]


def test_two_faults_of_everything_asked_for_use_the_values_that_are_surest_to_leave_evidence() -> None:
    for seed in range(20):
        moments = [fault.params["moment"] for fault in clocked(draw(seed, "power-loss").plan.faults)]
        assert moments.count("writing") >= 2
    assert any("now" in [f.params["moment"] for f in draw(seed, "power-loss").plan.faults] for seed in range(20))


def test_a_minute_has_room_for_many_faults_and_for_quiet() -> None:
    """Issue #2: at least 8 effective faults and 60 % of operations ok. Half of the time at most is under a clocked
    fault on average, and every plan has a second without any."""
    shares = []
    for _, asked, seconds, plan in SAMPLES:
        if seconds != 60:
            continue
        assert 13 <= len(plan.faults) <= 50
        busy = [(f.at.ns, f.at.ns + f.for_ns) for f in clocked(plan.faults) if isinstance(f.at, AtTime)]
        samples = [any(start <= t < end for start, end in busy) for t in range(0, 60 * S, S // 10)]
        shares.append(sum(samples) / len(samples))
        assert "0" * 10 in "".join("1" if busy_now else "0" for busy_now in samples), asked
    assert sum(shares) / len(shares) < 0.5


def test_no_fault_outlasts_its_kind_or_the_load_phase() -> None:
    for _, _, seconds, plan in SAMPLES:
        for fault in plan.faults:
            kind = KINDS[fault.kind]
            if isinstance(fault.at, AtTime):
                assert kind.lasts_ns[0] <= fault.for_ns <= kind.lasts_ns[1]
                assert fault.for_ns <= max(kind.lasts_ns[0], seconds * S // 6)
                assert 0 <= fault.at.ns <= fault.at.ns + fault.for_ns <= seconds * S
            else:
                assert kind.trap_ns is not None
                assert kind.trap_ns[0] <= fault.for_ns <= kind.trap_ns[1]


def test_traps_name_events_that_can_come_and_hit_who_reported_them() -> None:
    traps = [(fault, plan) for _, _, _, plan in SAMPLES for fault in plan.faults if isinstance(fault.at, AtEvent)]
    assert {fault.at.event for fault, _ in traps if isinstance(fault.at, AtEvent)} == set(EVENTS)
    for fault, plan in traps:
        assert isinstance(fault.at, AtEvent)
        assert fault.at.where in (None, *plan.nodes)
        assert fault.target == "self" or "self" not in KINDS[fault.kind].targets
    shares = [sum(isinstance(f.at, AtEvent) for f in plan.faults) / len(plan.faults) for _, _, _, plan in SAMPLES]
    assert 0.1 < sum(shares) / len(shares) < 0.6


def test_downtimes_of_traps_cover_every_order_of_magnitude() -> None:
    """simulation.md §3: 1 ms, 30 ms and long downtimes find different bugs."""
    lengths = [
        f.for_ns for _, _, _, p in SAMPLES for f in p.faults if f.kind == "kill-one" and isinstance(f.at, AtEvent)
    ]
    decades = Counter(len(str(length // 10**6)) for length in lengths)
    assert all(decades[digits] > 0.15 * len(lengths) for digits in (1, 2, 3))


def test_seeds_draw_different_subsets_of_kinds() -> None:
    """Swarm testing: some kinds are missing in some plans, and none in all."""
    sets = [frozenset(f.kind for f in draw(seed, "all").plan.faults) for seed in range(80)]
    assert len(set(sets)) > 30
    assert frozenset().union(*sets) == set(KINDS)
    assert all(frozenset(KINDS) - one for one in sets)


def test_faults_overlap_in_most_plans() -> None:
    def overlapping(faults: list[Fault]) -> bool:
        spans = sorted((f.at.ns, f.at.ns + f.for_ns) for f in faults if isinstance(f.at, AtTime))
        return any(after[0] < before[1] for before, after in pairwise(spans))

    plans = [overlapping(clocked(plan.faults)) for _, asked, _, plan in SAMPLES if asked == ("partition", "kill")]
    assert sum(plans) > len(plans) / 2


def test_ids_are_unique_and_every_drawn_plan_passes_the_strict_reader() -> None:
    for _, _, _, plan in SAMPLES:
        assert parse_plan(dump_plan(plan), "plan.json") == plan


def test_the_plan_of_a_seed_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Equal seeds give equal bytes, whatever the hash seed; the golden file also holds the format (issue #2)."""
    golden = GOLDEN.read_text(encoding="utf-8")
    assert dump_plan(draw(1, "all", seconds=10).plan) == golden
    assert load_plan(GOLDEN) == draw(1, "all", seconds=10).plan
    program = (
        "from nemesis.schedule import draw_plan; from nemesis.planfile import dump_plan;"
        "from nemesis.kinds import MECHANISMS;"
        f"print(end=dump_plan(draw_plan(seed=1, nodes={NODES!r}, workload='register', asked=('all',),"
        f" duration_ns={10 * S}, mechanisms=dict.fromkeys(MECHANISMS)).plan))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == golden


def test_none_gives_an_empty_plan() -> None:
    assert draw(1, "none") == draw(1)
    assert draw(1, "none").plan.faults == ()


@pytest.mark.parametrize(("name", "suggestion"), [("partitions", "partition"), ("kil-leader", "kill-leader")])
def test_a_misspelt_nemesis_gets_a_suggestion(name: str, suggestion: str) -> None:
    with pytest.raises(UnknownNemesis, match=suggestion) as caught:
        draw(1, "kill", name)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize("name", ["pause", "pause-leader"])
def test_what_was_asked_for_by_name_and_cannot_be_injected_is_refused(name: str) -> None:
    """architecture.md §3: refused with reason and remedy, never silently passed."""
    with pytest.raises(Unavailable, match=r"process\.pause") as caught:
        draw(1, "kill", name, mechanisms={"process.kill": None})
    assert caught.value.kind == name
    assert caught.value.fix
    with pytest.raises(Unavailable, match="nobody stops here"):
        draw(1, "kill", name, mechanisms={"process.kill": None, "process.pause": "nobody stops here"})


def test_what_all_contains_and_cannot_be_injected_is_skipped_with_the_reason() -> None:
    offered: dict[str, str | None] = {"process.kill": None, "network.block": None, "disk.full": "no disk"}
    for seed in range(10):
        drawn = draw(seed, "all", mechanisms=offered)
        absent = {kind.name for kind in KINDS.values() if offered.get(kind.mechanism, "") is not None}
        assert set(drawn.skipped) == absent
        assert drawn.skipped["pause-one"] == "this environment has no mechanism process.pause"
        assert drawn.skipped["disk-full"] == "no disk"
        assert {KINDS[fault.kind].mechanism for fault in drawn.plan.faults} <= {"process.kill", "network.block"}


def test_kinds_that_mean_nothing_in_a_small_cluster_are_skipped_or_refused() -> None:
    drawn = draw(1, "partition", nodes=("n1", "n2", "n3"))
    assert drawn.skipped == {"partition-ring": "partition-ring needs at least 4 nodes, not 3"}
    with pytest.raises(Unavailable, match="at least 4 nodes"):
        draw(1, "partition-ring", nodes=("n1", "n2", "n3"))


def test_one_kind_asked_for_by_name_is_the_only_one_drawn() -> None:
    for seed in range(10):
        assert {fault.kind for fault in draw(seed, "kill-leader").plan.faults} == {"kill-leader"}
