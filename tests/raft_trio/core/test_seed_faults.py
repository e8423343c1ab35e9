"""Faults of the seed crate, by their numbers: none of them is repeated.

Those that other tests hold the opposite of are not here; `tests.raft_trio.seed_faults` says where each of the 24 is.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import raft_trio
from raft_trio.build import due_for_snapshot
from raft_trio.config import RaftNodeConfig
from raft_trio.messages import AppendEntriesRequest, AppendEntriesResponse
from raft_trio.types import EntryType, HardState, LogEntry, NodeId, Role
from tests.raft_trio.core.cluster import Cluster


def entries(*terms: int, first: int = 1) -> tuple[LogEntry, ...]:
    return tuple(LogEntry(first + i, term, EntryType.COMMAND) for i, term in enumerate(terms))


def cluster_of(logs: dict[NodeId, tuple[int, ...]], *, term: int) -> Cluster:
    """A paper cluster whose nodes start with these logs on their disks."""
    cluster = Cluster(len(logs), settings=RaftNodeConfig.paper)
    for node, terms in logs.items():
        cluster.crash(node)
        cluster.members[node].disk.entries[:] = entries(*terms)
        cluster.members[node].disk.hard_state = HardState(term)
        cluster.restart(node)
    return cluster


def test_1_nothing_is_committed_before_a_quorum_has_it_on_disk() -> None:
    """The client got Ok right after the local append."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.core("n1").propose(cluster.now_ns, EntryType.COMMAND, data=b"x")
    assert cluster.flush("n1").committed == ()
    cluster.sync("n1")
    assert cluster.core("n1").commit_index == 0
    cluster.settle()
    assert cluster.core("n1").commit_index == 1


def test_2_a_heartbeat_to_a_divergent_follower_proves_nothing() -> None:
    """Heartbeats with prev 0 were always accepted and answered with the follower's own last index."""
    cluster = cluster_of({"n1": (2,), "n2": (1, 1, 1, 1, 1), "n3": ()}, term=2)
    cluster.elect("n1", only=["n1", "n3"])
    cluster.core("n1").wake(cluster.core("n1").deadline_ns())
    cluster.flush("n1")
    heartbeat = cluster.pull("n1", "n2", AppendEntriesRequest)
    assert isinstance(heartbeat, AppendEntriesRequest)
    assert (heartbeat.prev_index, heartbeat.prev_term, heartbeat.commit) == (0, 0, 0)
    cluster.push("n1", "n2", heartbeat)
    cluster.sync("n2")
    reply = cluster.pull("n2", "n1", AppendEntriesResponse)
    assert isinstance(reply, AppendEntriesResponse)
    assert (reply.success, reply.match_index) == (True, 0)


def test_3_an_acknowledgement_names_prev_plus_entries_and_not_the_last_index() -> None:
    """An append at prev 2 to a follower with a divergent 3..8 was answered with match 8."""
    cluster = cluster_of({"n1": (), "n2": (1,) * 8, "n3": ()}, term=1)
    cluster.push("n1", "n2", AppendEntriesRequest(2, "n1", 2, 1, entries(1, first=3), 0))
    while cluster.members["n2"].disk.queue:
        cluster.sync("n2")
    reply = cluster.pull("n2", "n1", AppendEntriesResponse)
    assert isinstance(reply, AppendEntriesResponse)
    assert reply.match_index == 3
    assert cluster.core("n2").last_index == 8


def test_4_acknowledgements_that_overtake_each_other_do_not_lower_the_match() -> None:
    """Acks 10 then 4 left match 4 and sent everything again; and replies of an earlier term counted."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    for _ in range(4):
        cluster.propose("n1", b"x")
    cluster.settle()
    assert cluster.core("n1").commit_index == 4
    cluster.push("n2", "n1", AppendEntriesResponse(1, True, 0, 2))
    cluster.propose("n1", b"y")
    message = cluster.pull("n1", "n2", AppendEntriesRequest)
    assert isinstance(message, AppendEntriesRequest)
    assert (message.prev_index, len(message.entries)) == (4, 1)


def test_12_a_retransmission_is_accepted_and_a_partly_known_batch_extends_the_log() -> None:
    """Present entries were appended again, refused for ever, and the follower was wedged."""
    cluster = cluster_of({"n1": (), "n2": (1, 1), "n3": ()}, term=1)
    for _ in range(2):
        cluster.push("n1", "n2", AppendEntriesRequest(1, "n1", 0, 0, entries(1, 1, 1), 0))
    while cluster.members["n2"].disk.queue:
        cluster.sync("n2")
    replies = [cluster.pull("n2", "n1") for _ in range(2)]
    assert replies == [AppendEntriesResponse(1, True, 0, 3)] * 2
    assert cluster.log_of("n2") == [1, 1, 1]


def test_14_a_stale_or_repeated_refusal_does_not_move_the_leader_back() -> None:
    """next_index fell by one for every refusal, whatever it refused."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    for _ in range(4):
        cluster.propose("n1", b"x")
    cluster.settle()
    for _ in range(3):
        cluster.push("n2", "n1", AppendEntriesResponse(1, False, 2, 0, 1, 0))
    cluster.propose("n1", b"y")
    message = cluster.pull("n1", "n2", AppendEntriesRequest)
    assert isinstance(message, AppendEntriesRequest)
    assert message.prev_index == 4


def test_16_followers_learn_the_commit_index_from_heartbeats() -> None:
    """With prev 0 the cap min(leader_commit, prev) kept it at 0."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.propose("n1", b"x")
    cluster.settle()
    assert cluster.core("n2").commit_index == 0
    cluster.beat("n1")
    assert cluster.core("n2").commit_index == cluster.core("n3").commit_index == 1


def test_22_an_isolated_leader_refuses_its_reads_and_says_that_it_lost_leadership() -> None:
    """No reads, no check-quorum, pending clients never failed."""
    cluster = Cluster(3)
    cluster.elect("n1")
    cluster.read("n1", 9)
    lost = False
    for _ in range(12):
        cluster.network.clear()
        core = cluster.core("n1")
        cluster.now_ns = max(cluster.now_ns, core.deadline_ns())
        core.wake(cluster.now_ns)
        lost = lost or cluster.flush("n1").lost_leadership
    assert cluster.core("n1").role is not Role.LEADER
    assert lost
    assert cluster.answers == {("n1", 9): None}


def test_8_a_snapshot_covers_what_is_applied_and_trailing_entries_stay() -> None:
    """Any index that was present could be made a snapshot, and nothing was kept below it."""
    cluster = Cluster(3, settings=lambda node, ids: replace(RaftNodeConfig.paper(node, ids), trailing_logs=2))
    cluster.elect("n1")
    for _ in range(6):
        cluster.propose("n1", b"x")
    cluster.settle()
    cluster.propose("n1", b"not committed")
    assert (cluster.core("n1").commit_index, cluster.core("n1").last_index) == (6, 7)
    assert cluster.compact("n1")
    assert cluster.core("n1").snapshot_index == 6
    assert cluster.core("n1").first_index == 5
    assert [due_for_snapshot(applied, 0, 3) for applied in (2, 3, 7)] == [None, 3, 7]


def test_23_nothing_that_decides_can_be_interrupted_and_nothing_takes_a_lock() -> None:
    """Locks were held across waiting, and getters read state in pieces: here one task owns it and never waits."""
    package = Path(raft_trio.__file__).parent
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert not imported & {"threading", "multiprocessing", "asyncio"}, path
        assert not any(isinstance(node, ast.Attribute) and node.attr in {"Lock", "RLock"} for node in nodes), path
        if path.relative_to(package).parts[0] not in {"shell", "tools", "client.py", "__main__.py"}:
            assert not any(isinstance(node, waits) for node in nodes), path
