"""What the paper and the thesis say of commitment (§5.4.2, §8) and of the defences around elections."""

from __future__ import annotations

from random import Random

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Recovered
from raft_trio.errors import LogInconsistency
from raft_trio.messages import (
    RequestVoteRequest,
    RequestVoteResponse,
)
from raft_trio.rules import RULES
from raft_trio.types import HardState, Role
from tests.raft_trio.core.bare import IDS, answer, append, core_with, entries
from tests.raft_trio.core.cluster import MS, Cluster, Settings

# ── §5.4.2, §8 commitment ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_leader_commits_earlier_terms_with_its_no_op() -> None:
    """Raft §8; seed fault 21: earlier entries stay uncommitted until a client writes."""
    cluster = Cluster(3)
    cluster.elect("n1", only=["n1", "n2"])
    cluster.propose("n1", b"x")
    cluster.settle(only=["n1"])
    cluster.crash("n1")
    cluster.elect("n2", only=["n2", "n3"])
    assert cluster.core("n2").commit_index == cluster.core("n2").last_index
    assert cluster.log_of("n3") == cluster.log_of("n2")


def test_without_a_no_op_earlier_terms_wait_for_an_entry_of_the_leaders_own() -> None:
    """Raft §5.4.2: only log entries from the leader's current term are committed by counting replicas."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.propose("n1", b"x")
    cluster.sync("n1")
    cluster.push("n1", "n2", cluster.pull("n1", "n2"))
    cluster.sync("n2")
    cluster.network.clear()
    cluster.crash("n1")
    cluster.elect("n2", only=["n2", "n3"])
    for _ in range(3):
        cluster.beat("n2", only=["n2", "n3"])
    assert cluster.log_of("n3") == [1]
    assert cluster.core("n2").commit_index == 0
    cluster.propose("n2", b"y")
    cluster.settle(only=["n2", "n3"])
    assert cluster.core("n2").commit_index == 2


def test_a_single_node_elects_itself_and_commits() -> None:
    """Seed faults 10 and 18: a single node stayed candidate for ever and never committed."""
    cluster = Cluster(1)
    cluster.elect("n1")
    assert cluster.propose("n1", b"x") == 2
    cluster.settle()
    assert cluster.core("n1").commit_index == 2
    cluster.read("n1", 5)
    assert cluster.answers["n1", 5] == 2


def test_after_a_restart_the_committed_prefix_is_handed_over_again_from_the_first_entry() -> None:
    """Figure 2: lastApplied is volatile and starts at 0."""
    core = RaftCore(
        "n1",
        RaftNodeConfig("n1", IDS),
        Recovered(HardState(2, None, 2), entries(1, 2, 2)),
        rules=RULES,
        random=Random(0),
        now_ns=0,
    )
    assert [entry.index for entry in core.take_ready(0).committed] == [1, 2]


@pytest.mark.parametrize("hard", [HardState(2, None, 3), HardState(1, None, 0)])
def test_a_disk_that_contradicts_itself_is_refused(hard: HardState) -> None:
    """P13: a commit index beyond the log, or a log of a later term than any seen, is damage."""
    with pytest.raises(LogInconsistency, match="damaged"):
        RaftCore(
            "n1",
            RaftNodeConfig("n1", IDS),
            Recovered(hard, entries(1, 2)),
            rules=RULES,
            random=Random(0),
            now_ns=0,
        )


# ── thesis §4.2.3, §6.2, §9.6: the defences ──────────────────────────────────────────────────────────────────────────


def test_a_pre_vote_changes_neither_term_nor_vote_nor_timer_of_anybody() -> None:
    """Thesis §9.6."""
    core = core_with(term=4, config=RaftNodeConfig("n1", IDS))
    before = core.deadline_ns()
    request = RequestVoteRequest(9, "n2", 0, 0, True)
    assert answer(core, "n2", request) == RequestVoteResponse(9, True, True)
    assert (core.term, core.voted_for, core.deadline_ns()) == (4, None, before)
    assert core.take_ready(0).persist is None


def test_an_isolated_node_does_not_raise_its_term_and_disturbs_nobody_on_return() -> None:
    """Thesis §9.6: disruption by a server that rejoins."""
    cluster = Cluster(3)
    cluster.elect("n1")
    for _ in range(5):
        cluster.campaign("n3", only=["n3"])
    assert cluster.core("n3").term == 1
    cluster.beat("n1", only=["n1", "n2"])
    cluster.beat("n1")
    assert (cluster.core("n1").role, cluster.core("n3").leader) == (Role.LEADER, "n1")


def test_a_pre_vote_of_an_older_term_is_answered_so_that_its_sender_catches_up() -> None:
    """etcd #8501 (E15): silently dropped, there may be no leader ever."""
    core = core_with(5, config=RaftNodeConfig("n1", IDS))
    assert answer(core, "n2", RequestVoteRequest(3, "n2", 1, 1, True)) == RequestVoteResponse(5, False, True)
    stuck = core_with(1, config=RaftNodeConfig("n1", IDS))
    stuck.wake(stuck.deadline_ns())
    stuck.step(0, "n2", RequestVoteResponse(5, False, True))
    assert (stuck.role, stuck.term) == (Role.FOLLOWER, 5)


def test_vote_requests_are_ignored_while_a_leader_is_alive_unless_it_asked_for_them() -> None:
    """Thesis §4.2.3 and §3.10 (E16)."""
    core = core_with(term=1, config=RaftNodeConfig("n1", IDS))
    core.step(0, "n2", append(1, 0, 0))
    core.take_ready(0)
    request = RequestVoteRequest(2, "n3", 5, 1)
    assert answer(core, "n3", request, now_ns=149 * MS) is None
    assert core.term == 1
    assert answer(core, "n3", RequestVoteRequest(2, "n3", 5, 1, False, True), now_ns=1) == RequestVoteResponse(2, True)
    other = core_with(term=1, config=RaftNodeConfig("n1", IDS))
    other.step(0, "n2", append(1, 0, 0))
    other.take_ready(0)
    assert answer(other, "n3", request, now_ns=150 * MS) == RequestVoteResponse(2, True)


def test_a_leader_that_no_quorum_answers_steps_down_and_waits_a_full_timeout() -> None:
    """Thesis §6.2; seed faults 19 and 22: a deposed leader campaigned at once, a partitioned one stayed."""
    cluster = Cluster(3)
    cluster.elect("n1")
    ready = []
    start = cluster.now_ns
    while cluster.core("n1").role is Role.LEADER:
        assert cluster.now_ns < start + 500 * MS, "it never noticed"
        cluster.now_ns = cluster.core("n1").deadline_ns()
        cluster.core("n1").wake(cluster.now_ns)
        ready.append(cluster.flush("n1"))
        cluster.network.clear()
    assert ready[-1].lost_leadership
    assert cluster.now_ns >= start + 300 * MS
    assert cluster.core("n1").deadline_ns() >= cluster.now_ns + 150 * MS


@pytest.mark.parametrize("settings", [RaftNodeConfig, RaftNodeConfig.paper], ids=["all-defences", "paper"])
def test_a_cluster_left_alone_elects_one_leader_and_keeps_it(settings: Settings) -> None:
    """Raft §5.2 and §9.3: liveness with the default timeouts."""
    cluster = Cluster(5, settings=settings, seed=3)
    for _ in range(100):
        node = min(cluster.ids, key=lambda node: cluster.core(node).deadline_ns())
        cluster.wake(node)
        cluster.settle()
    assert len(cluster.watcher.leaders) == 1
    assert len({cluster.core(node).leader for node in cluster.ids}) == 1


def test_votes_of_strangers_are_ignored() -> None:
    """Seed fault 24: votes of non-members counted."""
    core = core_with(config=RaftNodeConfig.paper("n1", IDS))
    core.wake(core.deadline_ns())
    for stranger in ("x1", "x2"):
        core.step(0, stranger, RequestVoteResponse(1, True))
    assert (core.role, core.term) == (Role.CANDIDATE, 1)
