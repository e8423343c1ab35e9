"""What those who run a cluster ask for: members, transfers, snapshots, status; and that their answers are honest."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from raft_trio import kv
from raft_trio.messages import (
    ChangeMembership,
    ClientReply,
    Done,
    OpenSession,
    OutcomeUnknown,
    Query,
    Refusal,
    Refused,
    SessionOpened,
    Status,
    StatusReport,
    Submit,
    TakeSnapshot,
    TransferLeadership,
)
from raft_trio.trace import Acknowledged
from raft_trio.types import Config, NodeId, Role
from tests.raft_trio.cluster import Cluster


def settled(cluster: Cluster) -> NodeId:
    """The leader, once it has committed in its term."""
    cluster.followers()
    return cluster.leader()


def status(cluster: Cluster, node: NodeId) -> StatusReport:
    reply = cluster.ask(node, Status("how are you"))
    assert isinstance(reply, StatusReport)
    return reply


def change(cluster: Cluster, node: NodeId, **wishes: tuple[NodeId, ...]) -> ClientReply:
    return cluster.ask(node, ChangeMembership("change", **wishes), wait_ms=3000)


def opened(cluster: Cluster) -> int:
    reply = cluster.ask(cluster.leader(), OpenSession("open"))
    assert isinstance(reply, SessionOpened)
    return reply.session


def put(cluster: Cluster, session: int, sequence: int) -> ClientReply:
    command = kv.encode(kv.Append("log", sequence))
    return cluster.ask(cluster.leader(), Submit(f"put {sequence}", session, sequence, command))


# ── members ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_is_replaced_node_by_node_while_it_serves() -> None:
    """Raft §6: from n1, n2, n3 to n4, n5, n6, the leader among those who go."""
    cluster = Cluster(6, voters=3, snapshot_threshold=8, trailing_logs=0)
    session = opened(cluster)
    sequence = 0
    for new, old in (("n4", "n1"), ("n5", "n2"), ("n6", "n3")):
        for wishes in ({"add_learners": (new,)}, {"promote": (new,)}, {"remove": (old,)}):
            for _ in range(4):
                sequence += 1
                assert isinstance(put(cluster, session, sequence), Done)
            assert isinstance(change(cluster, cluster.leader(), **wishes), Done)
            cluster.run(300)
        cluster.kill(old)
    assert cluster.leader() in ("n4", "n5", "n6")
    assert status(cluster, cluster.leader()).config == Config(("n4", "n5", "n6"))
    reply = cluster.ask(cluster.leader(), Query("get", kv.encode(kv.Get("log"))))
    assert isinstance(reply, Done)
    assert kv.decode_result(reply.result) == kv.Found(list(range(1, sequence + 1)))


def test_the_answer_comes_with_the_final_configuration_and_is_acknowledged_in_the_trace() -> None:
    cluster = Cluster(3)
    leader = cluster.leader()
    reply = change(cluster, leader, remove=(cluster.followers()[0],))
    assert isinstance(reply, Done)
    index = status(cluster, leader).config_index
    assert (reply.index, reply.term) == (index, cluster.nodes[leader].term)
    assert (leader, Acknowledged("change", index)) in cluster.trace


def test_a_leader_that_removes_itself_still_says_that_it_is_done() -> None:
    cluster = Cluster(3)
    leader = settled(cluster)
    assert isinstance(change(cluster, leader, remove=(leader,)), Done)
    cluster.run(1000)
    assert cluster.leader() != leader
    assert cluster.nodes[leader].role is Role.FOLLOWER


def test_refusals_name_the_reason_and_the_leader() -> None:
    cluster = Cluster(4, voters=3)
    follower, leader = cluster.followers()[0], cluster.leader()
    assert change(cluster, follower, add_learners=("n4",)) == Refused("change", Refusal.NOT_LEADER, leader)
    assert change(cluster, leader, promote=("n4",)) == Refused("change", Refusal.BAD_REQUEST, leader)
    cluster.kill("n4")
    session = opened(cluster)
    for sequence in range(1, 120):
        put(cluster, session, sequence)
    assert isinstance(change(cluster, leader, add_learners=("n4",)), Done)
    assert change(cluster, leader, promote=("n4",)) == Refused("change", Refusal.NOT_CAUGHT_UP, leader)


def test_a_change_whose_leader_is_deposed_has_an_unknown_outcome() -> None:
    cluster = Cluster(5)
    leader = settled(cluster)
    cluster.isolate(leader)
    gone = next(node for node in cluster.ids if node != leader)
    assert change(cluster, leader, remove=(gone,)) == OutcomeUnknown("change", "leadership-lost")


def test_a_change_to_what_is_so_already_is_done_at_once() -> None:
    """So a request whose answer was lost can be made again."""
    cluster = Cluster(3)
    leader = cluster.leader()
    gone = cluster.followers()[0]
    first = change(cluster, leader, remove=(gone,))
    again = change(cluster, leader, remove=(gone,))
    assert isinstance(first, Done)
    assert isinstance(again, Done)
    assert again.index == first.index


# ── transfers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_transfer_is_done_when_the_target_leads() -> None:
    """Thesis §3.10."""
    cluster = Cluster(3)
    target = cluster.followers()[0]
    reply = cluster.ask(cluster.leader(), TransferLeadership("move", target))
    assert isinstance(reply, Done)
    assert cluster.leader() == target
    again = cluster.ask(target, TransferLeadership("move", target))
    assert isinstance(again, Done)


def test_while_leadership_moves_commands_are_refused_and_a_transfer_that_fails_has_an_unknown_outcome() -> None:
    """The target may have been told, and may yet campaign."""
    cluster = Cluster(3)
    session = opened(cluster)
    target, leader = cluster.followers()[0], cluster.leader()
    cluster.isolate(target)
    cluster.replies["t"] = []
    cluster.request(leader, "t", TransferLeadership("move", target))
    refused = put(cluster, session, 1)
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.TRANSFER_IN_PROGRESS
    cluster.run(1000)
    assert cluster.replies["t"] == [OutcomeUnknown("move", "transfer-aborted")]
    assert isinstance(put(cluster, session, 2), Done)


# ── snapshots and status ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_that_is_asked_for_is_answered_when_it_is_durable() -> None:
    cluster = Cluster(3)
    session = opened(cluster)
    put(cluster, session, 1)
    node = cluster.followers()[0]
    reply = cluster.ask(node, TakeSnapshot("snap"))
    assert isinstance(reply, Done)
    assert reply.index == cluster.nodes[node].applied_index
    assert [path for path in cluster.disks[node].files if path.endswith(".snap")]
    again = cluster.ask(node, TakeSnapshot("snap"))
    assert isinstance(again, Done)
    assert again.index == reply.index


def test_a_status_says_how_a_node_is_and_a_leaders_how_the_others_are() -> None:
    cluster = Cluster(4, voters=3)
    leader = settled(cluster)
    change(cluster, leader, add_learners=("n4",))
    cluster.run(200)
    report = status(cluster, leader)
    assert (report.node, report.role, report.leader) == (leader, Role.LEADER, leader)
    assert report.config == Config(("n1", "n2", "n3"), learners=("n4",))
    assert report.commit_index == report.applied_index == report.last_index
    assert {peer.node: (peer.state, peer.match_index) for peer in report.peers} == {
        node: ("replicate", report.last_index) for node in cluster.ids if node != leader
    }
    assert status(cluster, "n4").peers == ()


# ── all at once ──────────────────────────────────────────────────────────────────────────────────────────────────────


def unrest(seed: int) -> tuple[Cluster, list[str]]:
    """Members come and go, leadership moves, nodes crash, frames are lost; and clients append."""
    random = Random(f"{seed}/unrest")
    settings: dict[str, Any] = {
        "snapshot_threshold": 15,
        "trailing_logs": 2,
        "snapshot_chunk_size": 300,
        "wal_segment_bytes": 3000,
    }
    cluster = Cluster(5, voters=3, seed=seed, **settings)
    session = opened(cluster)
    cluster.intercept = lambda to, frame: random.choice((0, 1, 1, 1, 1, 1, 1, 2))
    done: list[str] = []
    for number in range(1, 61):
        up = sorted(cluster.nodes)
        wish = random.choice(("add_learners", "promote", "demote", "remove"))
        asked = ChangeMembership(f"change {number}", **{wish: (random.choice(cluster.ids),)})
        fate = random.random()
        for node in up:
            if fate < 0.5:
                cluster.request(node, f"change {number} {node}", asked)
            elif fate < 0.6:
                cluster.request(node, f"move {number} {node}", TransferLeadership("move", random.choice(cluster.ids)))
        if fate > 0.93 and len(up) == 5:
            cluster.kill(random.choice(up), power=random.random() < 0.5)
        elif len(up) < 5 and fate > 0.7:
            cluster.start(next(node for node in cluster.ids if node not in cluster.nodes))
        command = kv.encode(kv.Append("log", number))
        cluster.request(
            random.choice(sorted(cluster.nodes)), f"{number}", Submit(f"{number}", session, number, command)
        )
        cluster.run(random.randrange(20, 120))
    cluster.intercept = lambda to, frame: 1
    for node in cluster.ids:
        if node not in cluster.nodes and node not in cluster.failed:
            cluster.start(node)
    cluster.run(3000)
    for connection, replies in cluster.replies.items():
        done += [connection for reply in replies if isinstance(reply, Done) and connection.isdecimal()]
    return cluster, done


@pytest.mark.parametrize("seed", range(10))
def test_nothing_acknowledged_is_lost_while_members_leaders_and_snapshots_change(seed: int) -> None:
    cluster, done = unrest(seed)
    assert cluster.failed == {}
    leader = cluster.leader()
    reply = cluster.ask(leader, Query("get", kv.encode(kv.Get("log"))), wait_ms=3000)
    assert isinstance(reply, Done), reply
    found = kv.decode_result(reply.result)
    present = found.value if isinstance(found, kv.Found) else []
    assert len(present) == len(set(present))
    assert {int(operation) for operation in done} <= set(present)
    report = status(cluster, leader)
    assert report.config.voters_outgoing == ()
    for member in (*report.config.voters, *report.config.learners):
        assert cluster.nodes[member].applied_index == report.applied_index


def test_the_unrest_is_real() -> None:
    changed = moved = acknowledged = 0
    for seed in range(4):
        cluster, done = unrest(seed)
        acknowledged += len(done)
        kept = [(name, reply) for name, replies in cluster.replies.items() for reply in replies]
        changed += sum(isinstance(reply, Done) for name, reply in kept if name.startswith("change"))
        moved += sum(isinstance(reply, Done) for name, reply in kept if name.startswith("move"))
    assert acknowledged > 60
    assert changed >= 12
    assert moved >= 4
