"""The contract of `Ready` and the shape of errors: what the layers above rely on."""

from __future__ import annotations

from random import Random

from raft_trio.config import RaftNodeConfig
from raft_trio.core.raft import RaftCore
from raft_trio.core.ready import Ready, Recovered
from raft_trio.errors import NotLeader, RaftError, RequestTimeout
from raft_trio.messages import AppendEntriesRequest
from raft_trio.rules import RULES
from raft_trio.trace import Acknowledged, Applied, Received, Restored, Sent
from raft_trio.types import EntryType
from tests.raft_trio.core.cluster import Cluster


def test_what_was_handed_over_is_not_handed_over_again() -> None:
    """`Ready`: everything since the last call, once."""
    core = RaftCore(
        "n1", RaftNodeConfig("n1", ("n1", "n2", "n3")), Recovered(), rules=RULES, random=Random(0), now_ns=0
    )
    first = core.take_ready(0)
    assert isinstance(first.trace[0], Restored)
    assert core.take_ready(0) == Ready()


def test_tokens_rise_by_one_and_name_all_earlier_writes_too() -> None:
    """`Persist.token`; a completion of a later token covers the earlier ones."""
    cluster = Cluster(3)
    cluster.elect("n1")
    core = cluster.core("n1")
    tokens = []
    for _ in range(3):
        core.propose(cluster.now_ns, EntryType.COMMAND, data=b"x")
        ready = core.take_ready(cluster.now_ns)
        assert ready.persist is not None
        tokens.append(ready.persist.token)
    assert tokens == [tokens[0], tokens[0] + 1, tokens[0] + 2]
    core.persisted(cluster.now_ns, tokens[-1])
    synced = core.take_ready(cluster.now_ns).trace
    assert [type(event).__name__ for event in synced] == ["Synced"]


def test_a_moved_commit_index_alone_is_no_reason_to_write() -> None:
    """`HardState.commit` is a lower bound that travels along with other records."""
    cluster = Cluster(3)
    cluster.elect("n1")
    before = cluster.core("n2").commit_index
    heartbeat = AppendEntriesRequest(1, "n1", 1, 1, (), 1)
    cluster.core("n2").step(cluster.now_ns, "n1", heartbeat)
    ready = cluster.flush("n2")
    assert before < cluster.core("n2").commit_index
    assert ready.persist is None
    assert [entry.index for entry in ready.committed] == [1]


def test_the_core_leaves_to_the_node_what_only_the_node_knows() -> None:
    """Sending, receiving, applying and acknowledging are reported by the layer that does them."""
    events: list[object] = []
    cluster = Cluster(3)
    cluster.observe = lambda node, ready: events.extend(ready.trace)
    cluster.elect("n1")
    cluster.propose("n1", b"x")
    cluster.settle()
    assert events
    assert not [event for event in events if isinstance(event, Applied | Acknowledged | Received | Sent)]


def test_an_error_says_what_why_and_fix_and_whether_it_is_definite() -> None:
    """Style rule 14; architecture.md §4: definite and unknown outcomes must never blur."""
    error = NotLeader("n1 does not lead", leader="n2", why="it lost an election", fix="ask n2")
    assert str(error) == "n1 does not lead: it lost an election (fix: ask n2)"
    assert error.leader == "n2"
    assert error.definite
    assert not RequestTimeout("no answer").definite
    assert str(RaftError("bare")) == "bare"
