"""Snapshots through whole nodes: taken, restored at a start, sent to who is behind; the files they leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from raft_trio import kv
from raft_trio.build import BUILD, NODE_RULES
from raft_trio.messages import (
    Done,
    InstallSnapshotRequest,
    OpenSession,
    PeerFrame,
    Query,
    Refused,
    SessionOpened,
    Submit,
)
from raft_trio.trace import Applied, Configured, Restored, Snapshotted
from raft_trio.types import Config, NodeId
from tests.raft_trio.cluster import Cluster

SETTINGS: dict[str, Any] = {
    "snapshot_threshold": 10,
    "trailing_logs": 2,
    "snapshot_chunk_size": 200,
    "wal_segment_bytes": 3000,
}


def open_session(cluster: Cluster) -> int:
    reply = cluster.ask(cluster.leader(), OpenSession("open"))
    assert isinstance(reply, SessionOpened)
    return reply.session


def append(cluster: Cluster, node: NodeId, session: int, sequence: int) -> object:
    command = kv.encode(kv.Append("log", sequence))
    return cluster.ask(node, Submit(f"append {sequence}", session, sequence, command))


def read(cluster: Cluster, node: NodeId) -> object:
    reply = cluster.ask(node, Query("get", kv.encode(kv.Get("log"))))
    assert isinstance(reply, Done), reply
    found = kv.decode_result(reply.result)
    return found.value if isinstance(found, kv.Found) else None


def grown(count: int = 35, **numbers: Any) -> tuple[Cluster, int]:
    """A cluster with a session that appended 1 to `count`."""
    cluster = Cluster(3, **{**SETTINGS, **numbers})
    session = open_session(cluster)
    for sequence in range(1, count + 1):
        assert isinstance(append(cluster, cluster.leader(), session, sequence), Done)
    cluster.run(200)
    return cluster, session


def test_a_node_takes_a_snapshot_every_so_many_entries_and_all_nodes_the_same_one() -> None:
    """Equal states give equal digests."""
    cluster, _ = grown()
    taken = [event for _, event in cluster.trace if isinstance(event, Snapshotted)]
    assert {event.index for event in taken} == {10, 20, 30}
    assert len({(event.index, event.term, event.digest) for event in taken}) == 3


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power-loss"])
def test_all_nodes_start_again_from_their_snapshots_with_state_and_sessions(power: bool) -> None:
    """Raft §7, thesis §6.3: nothing that the snapshot covers is applied again, and a retry is still recognised."""
    cluster, session = grown()
    for node in cluster.ids:
        cluster.kill(node, power=power)
    seen = len(cluster.trace)
    for node in cluster.ids:
        cluster.start(node)
    leader = cluster.leader()
    first = append(cluster, leader, session, 35)
    assert isinstance(first, Done)
    assert kv.decode_result(first.result) == kv.Appended(35), "the answer of the first time"
    assert read(cluster, leader) == list(range(1, 36))
    events = [event for node, event in cluster.trace[seen:] if node == leader]
    assert isinstance(events[0], Restored)
    assert next(event.index for event in events if isinstance(event, Applied)) == 31


def test_a_node_that_was_away_gets_a_snapshot_and_then_the_rest() -> None:
    """Raft Figure 13; the same on a node with an empty disk, whose log never begins at 1."""
    cluster, session = grown(5)
    away = cluster.followers()[0]
    cluster.kill(away)
    for sequence in range(6, 41):
        append(cluster, cluster.leader(), session, sequence)
    cluster.start(away)
    cluster.run(1000)
    installed = [event for node, event in cluster.trace if isinstance(event, Snapshotted) and event.installed]
    assert installed
    assert cluster.nodes[away].applied_index == cluster.nodes[cluster.leader()].applied_index
    assert read(cluster, away) == list(range(1, 41))
    cluster.kill(away, power=True)
    cluster.start(away)
    cluster.run(1000)
    assert read(cluster, away) == list(range(1, 41))


def test_a_pause_of_the_network_within_a_transfer_does_not_begin_it_anew() -> None:
    """Resumable: chunks that arrived are not sent again."""
    cluster, session = grown(5, snapshot_chunk_size=20)
    away = cluster.followers()[0]
    cluster.kill(away)
    for sequence in range(6, 61):
        append(cluster, cluster.leader(), session, sequence)
    offsets: list[int] = []

    def watch(to: NodeId, frame: PeerFrame) -> int:
        chunks = [message for message in frame.messages if isinstance(message, InstallSnapshotRequest)]
        offsets.extend(message.offset for message in chunks)
        return 0 if chunks and len(offsets) == 4 else 1

    cluster.intercept = watch
    cluster.start(away)
    cluster.run(2000)
    assert cluster.nodes[away].applied_index == cluster.nodes[cluster.leader()].applied_index
    assert offsets.count(0) <= 2, f"begun anew: {offsets}"
    assert offsets.count(offsets[3]) >= 2, f"the lost chunk was sent again: {offsets}"


def test_what_snapshots_cover_does_not_pile_up_on_disk() -> None:
    """Segments go when a snapshot covers them, snapshots but two when there is a newer one."""
    cluster, _ = grown(200)
    for node in cluster.ids:
        names = sorted(cluster.disks[node].files)
        assert len([name for name in names if name.endswith(".snap")]) == 2
        assert len([name for name in names if name.endswith(".wal")]) <= 3, names


def test_a_failing_snapshot_write_ends_the_node() -> None:
    """P9: after a failed sync nothing is certain."""
    cluster, _ = grown(5)
    leader = cluster.leader()
    node = cluster.nodes[leader]
    node.io_done(cluster.now, -1, OSError(5, "Input/output error"))
    failed = node.flush(cluster.now).failed
    assert failed is not None
    assert "snapshot" in failed


def test_a_snapshot_of_another_state_machine_is_refused_at_the_start() -> None:
    """The bytes are whole, but nobody here wrote them."""
    cluster, _ = grown(15)
    node = cluster.ids[0]
    cluster.kill(node)

    class Other:
        def apply(self, command: bytes) -> bytes:
            return b""

        def query(self, command: bytes) -> bytes:
            return b""

        def snapshot(self) -> bytes:
            return b""

        def restore(self, snapshot: bytes) -> None:
            raise ValueError("no snapshot of mine")

    cluster._build = replace(BUILD, machine=Other)
    cluster.start(node)
    assert "no snapshot of mine" in cluster.failed[node]


def test_planted_snapshot_without_configuration_is_visible_in_the_trace() -> None:
    """Mutant S7: the node that installs it knows no members."""
    rules = replace(NODE_RULES, config_in_snapshot=lambda config: Config(()))
    cluster = Cluster(3, build=replace(BUILD, node_rules=rules), **SETTINGS)
    session = open_session(cluster)
    for sequence in range(1, 20):
        assert not isinstance(append(cluster, cluster.leader(), session, sequence), Refused)
    node = cluster.followers()[0]
    cluster.kill(node)
    cluster.start(node)
    known = [event for who, event in cluster.trace if who == node and isinstance(event, Configured)]
    assert known[-1].voters == ()
