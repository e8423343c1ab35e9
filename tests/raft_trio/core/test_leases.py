"""Lease reads: thesis §6.4.1, and the mistakes R3 and R4."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft_trio.config import RaftNodeConfig
from raft_trio.errors import ConfigError
from raft_trio.messages import AppendEntriesRequest, AppendEntriesResponse, RequestVoteRequest, TimeoutNow
from raft_trio.rules import RULES, Rules
from raft_trio.types import NodeId, Role
from tests.raft_trio.core.cluster import MS, Cluster, Violation
from tests.raft_trio.core.shuffle import READING, fair_weather, shuffle


def leasing(node: NodeId, members: tuple[NodeId, ...]) -> RaftNodeConfig:
    return RaftNodeConfig(node, members, lease_reads=True)


def led(*, rules: Rules = RULES, size: int = 3) -> Cluster:
    """n1 leads and holds a lease."""
    cluster = Cluster(size, settings=leasing, rules=rules)
    cluster.elect("n1")
    cluster.beat("n1")
    return cluster


def sent_by_a_read(cluster: Cluster, context: int) -> int:
    """Messages that a read at n1 sends."""
    before = len(cluster.network)
    cluster.read("n1", context)
    return len(cluster.network) - before


def test_a_leader_with_a_lease_answers_at_once_and_asks_nobody() -> None:
    cluster = led()
    assert sent_by_a_read(cluster, 1) == 0
    assert cluster.answers["n1", 1] == 1


def test_without_the_setting_a_leader_asks_its_quorum() -> None:
    """Off by default."""
    cluster = Cluster(3)
    cluster.elect("n1")
    cluster.beat("n1")
    assert sent_by_a_read(cluster, 1) == 2
    assert ("n1", 1) not in cluster.answers


def test_a_follower_reads_by_the_lease_of_its_leader() -> None:
    cluster = led()
    cluster.read("n2", 1)
    cluster.push("n2", "n1", cluster.pull("n2", "n1"))
    cluster.push("n1", "n2", cluster.pull("n1", "n2"))
    assert cluster.answers["n2", 1] == 1


def test_a_lease_ends_an_election_timeout_after_the_question_less_the_drift() -> None:
    """150 ms less one per cent."""
    cluster = led()
    cluster.now_ns += 148 * MS
    cluster.core("n1")._state.heartbeat_due_ns = cluster.now_ns + MS
    assert sent_by_a_read(cluster, 1) == 0
    cluster.now_ns += MS
    assert sent_by_a_read(cluster, 2) == 2


def test_a_new_leader_has_no_lease_before_it_committed_and_was_answered() -> None:
    """R6 holds for leases, too."""
    cluster = Cluster(3, settings=leasing)
    cluster.campaign("n1", only=["n1", "n2"])
    cluster.crash("n1")
    cluster.restart("n1")
    cluster.read("n1", 1)
    assert cluster.answers["n1", 1] is None


def answer_under_way(rules: Rules) -> None:
    """R4: the answer to a heartbeat is late, and another leader has been elected meanwhile."""
    cluster = led(rules=rules)
    cluster.wake("n1")
    held = []
    for node in ("n2", "n3"):
        cluster.push("n1", node, cluster.pull("n1", node, AppendEntriesRequest))
        held.append((node, cluster.pull(node, "n1", AppendEntriesResponse)))
    for _ in range(4):
        cluster.wake("n1")
        cluster.network.clear()
    for node in ("n2", "n3"):
        cluster.members[node].up._state.election_due_ns = cluster.now_ns
    cluster.core("n2").wake(cluster.now_ns)
    cluster.flush("n2")
    cluster.settle(only=["n2", "n3"])
    assert cluster.core("n2").role is Role.LEADER
    cluster.propose("n2", b"new")
    cluster.settle(only=["n2", "n3"])
    for node, answer in held:
        cluster.push(node, "n1", answer)
    cluster.read("n1", 1)


def test_a_late_answer_does_not_lengthen_a_lease() -> None:
    """Thesis §6.4.1: from the question on; RATIS-1273 and others from the answer."""
    answer_under_way(RULES)
    with pytest.raises(Violation):
        answer_under_way(replace(RULES, lease_start_ns=lambda asked, answered: answered))


@given(
    age_ns=st.integers(0, 400 * MS), drift_ppm=st.integers(0, 300_000), share=st.floats(0, 1), start=st.integers(0, MS)
)
def test_no_follower_within_the_drift_has_timed_out_while_a_lease_holds(
    age_ns: int, drift_ppm: int, share: float, start: int
) -> None:
    """R3: the follower's clock may run faster by the whole drift."""
    timeout_ns = 150 * MS
    follower_age_ns = age_ns * (1 + share * (1 / (1 - drift_ppm / 1e6) - 1))
    if RULES.lease_holds(age_ns, timeout_ns, drift_ppm):
        assert follower_age_ns < timeout_ns * (1 + 1e-9)
    assert not RULES.lease_holds(timeout_ns + start, timeout_ns, drift_ppm)


def test_a_word_to_campaign_at_once_voids_the_lease_for_the_rest_of_the_term() -> None:
    """It may arrive at any time, also after the transfer was given up (T1 with R3)."""
    cluster = led()
    cluster.transfer("n1", "n2")
    held = cluster.pull("n1", "n2", TimeoutNow)
    assert sent_by_a_read(cluster, 1) == 2
    for _ in range(8):
        cluster.beat("n1")
    assert cluster.core("n1").transferee is None
    assert sent_by_a_read(cluster, 2) == 2
    cluster.push("n1", "n2", held)
    cluster.settle(only=["n2", "n3"])
    assert cluster.core("n2").role is Role.LEADER


def test_a_pause_voids_the_lease() -> None:
    """R3: whoever stood still does not know what its clock missed."""
    cluster = led()
    cluster.core("n1").paused()
    assert sent_by_a_read(cluster, 1) == 2
    cluster.beat("n1")
    cluster.beat("n1")
    assert sent_by_a_read(cluster, 2) == 0


def test_a_heartbeat_that_is_far_too_late_voids_the_lease_before_any_read() -> None:
    """A stopped process finds its inputs waiting: the reads among them come before it has looked at its timers."""
    cluster = led()
    cluster.now_ns = cluster.core("n1").deadline_ns() + 80 * MS
    assert sent_by_a_read(cluster, 1) == 2


def test_a_voter_keeps_its_promise_through_a_restart_and_a_new_term() -> None:
    """The leader counts on its silence, whatever it has forgotten or heard since."""
    cluster = led()
    cluster.crash("n2")
    cluster.restart("n2")
    cluster.push("n3", "n2", RequestVoteRequest(2, "n3", 9, 9))
    assert cluster.core("n2").voted_for != "n3"
    cluster.push("n3", "n2", AppendEntriesResponse(2, False, 0))
    assert cluster.core("n2").term == 2
    cluster.push("n3", "n2", RequestVoteRequest(2, "n3", 9, 9))
    assert cluster.core("n2").voted_for is None
    cluster.now_ns += 160 * MS
    cluster.push("n3", "n2", RequestVoteRequest(2, "n3", 9, 9))
    assert cluster.core("n2").voted_for == "n3"


def test_random_schedules_with_leases_read_nothing_stale() -> None:
    """With transfers and changes of the members, which could let another lead before its time."""
    answered = 0
    for seed in range(30):
        cluster = Cluster(3 + seed % 3, voters=3, settings=leasing, seed=seed)
        shuffle(cluster, Random(f"{seed}/leases"), steps=1200, actions=READING)
        fair_weather(cluster, rounds=60)
        answered += sum(index is not None for index in cluster.answers.values())
    assert answered > 300


def test_leases_without_stickiness_or_with_an_impossible_drift_are_refused() -> None:
    with pytest.raises(ConfigError, match="stickiness"):
        replace(RaftNodeConfig.paper("n1", ("n1",)), lease_reads=True)
    with pytest.raises(ConfigError, match="max_clock_drift_ppm"):
        RaftNodeConfig("n1", ("n1",), max_clock_drift_ppm=1_000_000)
