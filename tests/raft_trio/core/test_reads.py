"""Linearizable reads by batched ReadIndex (thesis §6.4)."""

from __future__ import annotations

from raft_trio.config import RaftNodeConfig
from raft_trio.messages import AppendEntriesRequest, ReadIndexRequest, ReadIndexResponse
from raft_trio.types import Role
from tests.raft_trio.core.cluster import MS, Cluster


def led(size: int = 3) -> Cluster:
    """A settled cluster in which n1 leads and has committed its no-op."""
    cluster = Cluster(size)
    cluster.elect("n1")
    cluster.beat("n1")
    return cluster


def test_a_leader_answers_a_read_when_a_quorum_has_echoed_its_round() -> None:
    """Thesis §6.4, steps 2 and 3."""
    cluster = led(5)
    cluster.read("n1", 7)
    assert cluster.answers == {}
    for node in ("n2", "n3"):
        cluster.push("n1", node, cluster.pull("n1", node))
        cluster.push(node, "n1", cluster.pull(node, "n1"))
        assert (("n1", 7) in cluster.answers) is (node == "n3")
    assert cluster.answers == {("n1", 7): 1}


def test_reads_of_one_hand_over_share_one_round() -> None:
    """Thesis §6.4: the leader may batch."""
    cluster = led()
    core = cluster.core("n1")
    for context in range(20):
        cluster.reads["n1", context] = 1
        core.read_index(cluster.now_ns, context)
    cluster.flush("n1")
    assert len(cluster.network) == 2
    cluster.settle()
    assert cluster.answers == {("n1", context): 1 for context in range(20)}


def test_a_round_rides_on_an_append_that_leaves_anyway() -> None:
    """raft.md §5: one message per peer and hand-over."""
    cluster = led()
    core = cluster.core("n1")
    cluster.reads["n1", 1] = 1
    core.read_index(cluster.now_ns, 1)
    cluster.propose("n1", b"x")
    (append,) = [message for _, to, message in cluster.network if to == "n2"]
    assert isinstance(append, AppendEntriesRequest)
    assert (append.round, len(append.entries)) == (1, 1)


def test_a_lost_round_is_confirmed_by_a_later_heartbeat() -> None:
    """Heartbeats carry the newest round."""
    cluster = led()
    cluster.read("n1", 1)
    cluster.network.clear()
    cluster.beat("n1")
    assert cluster.answers == {("n1", 1): 1}


def test_a_new_leader_waits_for_the_commit_of_its_own_term() -> None:
    """Thesis §6.4, step 1; etcd #7331 (R6)."""
    cluster = Cluster(3)
    cluster.timeout("n1")
    while cluster.core("n1").role is not Role.LEADER:
        if cluster.members["n1"].disk.queue:
            cluster.sync("n1")
        elif cluster.members["n2"].disk.queue:
            cluster.sync("n2")
        else:
            cluster.deliver()
    cluster.read("n1", 1)
    assert cluster.answers == {}
    cluster.settle()
    assert cluster.answers == {("n1", 1): 1}


def test_a_follower_asks_its_leader_and_hears_of_the_commit_along_with_the_answer() -> None:
    """Thesis §6.4, last paragraph; the commit index must not wait for the next heartbeat."""
    cluster = led()
    cluster.propose("n1", b"x")
    cluster.settle()
    assert cluster.core("n2").commit_index == 1
    cluster.read("n2", 4)
    cluster.settle()
    assert cluster.answers == {("n2", 4): 2}
    assert cluster.core("n2").commit_index == 2


def test_without_a_known_leader_a_read_is_refused_at_once() -> None:
    """Definite: ask elsewhere."""
    cluster = Cluster(3)
    cluster.read("n2", 1)
    assert cluster.answers == {("n2", 1): None}


def test_who_is_asked_but_does_not_lead_refuses() -> None:
    """Border: index 0 means not leader."""
    cluster = led()
    cluster.push("n2", "n3", ReadIndexRequest(1, 5))
    assert cluster.pull("n3", "n2") == ReadIndexResponse(1, 5, 0)


def test_a_read_nobody_answers_expires_after_an_election_timeout() -> None:
    """raft.md C8: waiters must not hang."""
    cluster = led()
    cluster.read("n2", 1)
    cluster.network.clear()
    start = cluster.now_ns
    while ("n2", 1) not in cluster.answers:
        cluster.wake("n2")
        cluster.network.clear()
        assert cluster.now_ns <= start + 300 * MS
    assert cluster.answers == {("n2", 1): None}


def test_a_read_at_a_leader_without_a_quorum_expires_even_without_check_quorum() -> None:
    """The same in plain paper Raft, where such a leader never steps down."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.propose("n1", b"x")
    cluster.settle()
    cluster.read("n1", 1)
    for _ in range(8):
        cluster.network.clear()
        cluster.wake("n1")
    assert cluster.core("n1").role is Role.LEADER
    assert cluster.answers == {("n1", 1): None}


def test_a_leader_that_steps_down_refuses_its_own_reads_and_those_it_was_asked_for() -> None:
    """raft.md C8; the asker may try elsewhere."""
    cluster = led()
    cluster.read("n2", 3)
    cluster.push("n2", "n1", cluster.pull("n2", "n1", ReadIndexRequest))
    cluster.read("n1", 4)
    cluster.network.clear()
    cluster.push("n3", "n1", AppendEntriesRequest(9, "n3", 0, 0, (), 0))
    assert cluster.answers == {("n1", 4): None}
    refusal = cluster.pull("n1", "n2", ReadIndexResponse)
    assert isinstance(refusal, ReadIndexResponse)
    assert (refusal.term, refusal.index) == (9, 0)
    cluster.push("n1", "n2", refusal)
    assert cluster.answers == {("n1", 4): None, ("n2", 3): None}


def test_an_answer_to_an_earlier_life_of_the_asker_is_ignored() -> None:
    """R7 across a restart: the node counts its contexts from the start again, the wire does not."""
    cluster = led()
    cluster.read("n2", 1)
    cluster.settle(only=["n1", "n3"])
    cluster.network.clear()
    cluster.read("n2", 2)
    cluster.push("n2", "n1", cluster.pull("n2", "n1", ReadIndexRequest))
    for node in ("n2", "n3"):
        cluster.push("n1", node, cluster.pull("n1", node))
        cluster.push(node, "n1", cluster.pull(node, "n1"))
    stale = cluster.pull("n1", "n2", ReadIndexResponse)
    cluster.crash("n2")
    cluster.now_ns += 1 * MS
    cluster.restart("n2")
    cluster.beat("n1")
    cluster.read("n2", 1)
    cluster.push("n1", "n2", stale)
    assert ("n2", 1) not in cluster.answers
