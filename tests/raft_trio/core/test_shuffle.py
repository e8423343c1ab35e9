"""Random schedules with loss, duplication, reordering and crashes: the invariants of Raft Figure 3 hold, then liveness.

And the other way round: with a wrong rule planted the same schedules must fail.
"""

from __future__ import annotations

from random import Random

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.errors import RaftError
from raft_trio.rules import RULES, Rules
from tests.raft_trio.core.cluster import Cluster, Settings
from tests.raft_trio.core.planted import PLANTED
from tests.raft_trio.core.shuffle import fair_weather, shuffle

STEPS = 800
SEEDS = 12
PLANTED_SEEDS = 60
BY_DIRECTED_SCHEDULE_ONLY = (
    "C1 commits older terms by counting",
    "C2 commits up to its own last index",
    "L10 takes acknowledgements of old terms",
    "E21 obeys a leader of an earlier term",
    "P17 believes a write that was truncated",
    "R7 joins a round already sent",
    "R2 reads without a quorum",
    "E5 counts replies instead of voters",
    "E4 compares lengths only",
    "E2 forgets its vote in the same term",
)


def trial(seed: int, size: int, settings: Settings, rules: Rules) -> Cluster:
    cluster = Cluster(size, settings=settings, rules=rules, seed=seed)
    shuffle(cluster, Random(f"{seed}/schedule"), steps=STEPS)
    fair_weather(cluster)
    return cluster


@pytest.mark.parametrize("settings", [RaftNodeConfig, RaftNodeConfig.paper], ids=["all-defences", "paper"])
@pytest.mark.parametrize("size", [3, 4, 5])
def test_every_random_schedule_keeps_the_invariants_and_recovers(size: int, settings: Settings) -> None:
    """Raft Figure 3: Election Safety, Leader Append-Only, Log Matching, Leader Completeness, State Machine Safety."""
    clusters = [trial(seed, size, settings, RULES) for seed in range(SEEDS)]
    assert sum(cluster.watcher.commit_max for cluster in clusters) >= 5 * SEEDS, "the schedules did next to nothing"
    assert sum(len(cluster.watcher.leaders) for cluster in clusters) >= 3 * SEEDS // 2, "leadership hardly ever changed"
    assert any(index for cluster in clusters for index in cluster.answers.values()), "no read was answered"


@pytest.mark.parametrize("name", [name for name in PLANTED if name not in BY_DIRECTED_SCHEDULE_ONLY])
def test_a_planted_mistake_is_noticed_within_some_random_schedules(name: str) -> None:
    """A checker that never failed is untested (style rule 19); codes of raft.md §3."""
    for seed in range(PLANTED_SEEDS):
        for size in (4, 3, 5):
            try:
                trial(seed, size, (RaftNodeConfig.paper, RaftNodeConfig)[seed % 2], PLANTED[name])
            except (AssertionError, RaftError):
                return
    pytest.fail(f"{PLANTED_SEEDS} seeds did not notice: {name}")


def test_the_same_seed_gives_the_same_history() -> None:
    """Determinism: no clock, no set order, no hidden randomness."""
    first = trial(7, 5, RaftNodeConfig, RULES)
    second = trial(7, 5, RaftNodeConfig, RULES)
    assert first.watcher.shadows == second.watcher.shadows
    assert first.watcher.leaders == second.watcher.leaders
    assert first.answers == second.answers
    assert first.now_ns == second.now_ns
