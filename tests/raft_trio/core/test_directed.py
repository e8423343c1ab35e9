"""Scripted schedules for mistakes that chance meets too seldom: clean with the right rules, fatal with wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.messages import AppendEntriesRequest, AppendEntriesResponse, RequestVoteResponse
from raft_trio.rules import RULES, Rules
from raft_trio.types import EntryType, LogEntry, Role
from tests.raft_trio.core.cluster import Cluster, Violation
from tests.raft_trio.core.planted import PLANTED


def paper(size: int, rules: Rules) -> Cluster:
    return Cluster(size, settings=RaftNodeConfig.paper, rules=rules)


def figure_8(rules: Rules) -> None:
    """Raft Figure 8: an entry of an earlier term on a majority may still be overwritten."""
    cluster = paper(5, rules)
    cluster.elect("n1")
    cluster.propose("n1", b"a")
    cluster.settle(only=["n1", "n2"])
    cluster.elect("n5", only=["n3", "n4", "n5"])
    cluster.propose("n5", b"b")
    cluster.settle(only=["n5"])
    cluster.crash("n5")
    cluster.restart("n5")
    cluster.campaign("n1", only=["n1", "n2", "n3"])
    cluster.elect("n1", only=["n1", "n2", "n3"])
    cluster.beat("n1", only=["n1", "n2", "n3"])
    cluster.beat("n1", only=["n1", "n2", "n3"])
    assert [cluster.log_of(node) for node in ("n1", "n2", "n3")] == [[1], [1], [1]]
    cluster.campaign("n5", only=["n5"])
    cluster.elect("n5", only=["n2", "n3", "n4", "n5"])


def old_leader_with_a_tail(rules: Rules) -> None:
    """Figure 2, AppendEntries 5: the commit index stops at the last entry known to be the leader's."""
    cluster = paper(3, rules)
    cluster.elect("n1")
    for _ in range(8):
        cluster.propose("n1", b"lost")
    cluster.settle(only=["n1"])
    cluster.elect("n2", only=["n2", "n3"])
    for _ in range(4):
        cluster.propose("n2", b"kept")
    cluster.settle(only=["n2", "n3"])
    assert cluster.core("n2").commit_index == 4
    cluster.beat("n2")


def acknowledgement_held_across_a_term(rules: Rules) -> None:
    """Seed fault 4: what a follower acknowledged in term 1 says nothing about the entries of term 2."""
    cluster = paper(5, rules)
    cluster.elect("n1")
    for _ in range(3):
        cluster.propose("n1", b"first life")
        cluster.push("n1", "n2", cluster.pull("n1", "n2", AppendEntriesRequest))
        while cluster.members["n2"].disk.queue:
            cluster.sync("n2")
        held = cluster.pull("n2", "n1", AppendEntriesResponse)
        cluster.push("n2", "n1", held)
    cluster.crash("n1")
    cluster.restart("n1")
    cluster.network.clear()
    cluster.elect("n1", only=["n1", "n3", "n4", "n5"])
    for _ in range(3):
        cluster.propose("n1", b"second life")
    cluster.settle(only=["n1", "n3"])
    cluster.push("n2", "n1", held)


def acknowledgements_of_an_earlier_round(rules: Rules) -> None:
    """etcd #20418: answers to a round sent before the read came do not confirm it (thesis §6.4)."""
    cluster = paper(3, rules)
    cluster.elect("n1")
    cluster.propose("n1", b"old")
    cluster.settle()
    cluster.read("n1", 1)
    for node in ("n2", "n3"):
        cluster.push("n1", node, cluster.pull("n1", node, AppendEntriesRequest))
    held = [(node, cluster.pull(node, "n1", AppendEntriesResponse)) for node in ("n2", "n3")]
    cluster.elect("n2", only=["n2", "n3"])
    cluster.propose("n2", b"new")
    cluster.settle(only=["n2", "n3"])
    cluster.read("n1", 2)
    for node, answer in held:
        cluster.push(node, "n1", answer)
    assert cluster.answers["n1", 1] == 1, "the earlier read is confirmed by its own round"


def deposed_leader_reads(rules: Rules) -> None:
    """Thesis §6.4: a leader that was replaced without noticing must not answer."""
    cluster = paper(3, rules)
    cluster.elect("n1")
    cluster.propose("n1", b"old")
    cluster.settle()
    cluster.elect("n2", only=["n2", "n3"])
    cluster.propose("n2", b"new")
    cluster.settle(only=["n2", "n3"])
    assert cluster.core("n1").role is Role.LEADER
    cluster.read("n1", 1)


def one_reply_twice(rules: Rules) -> None:
    """Raft §5.2: a majority of voters, not of replies; networks duplicate."""
    cluster = paper(5, rules)
    cluster.timeout("n1")
    cluster.sync("n1")
    cluster.push("n1", "n2", cluster.pull("n1", "n2"))
    cluster.sync("n2")
    vote = cluster.pull("n2", "n1", RequestVoteResponse)
    cluster.network.clear()
    cluster.push("n2", "n1", vote)
    cluster.push("n2", "n1", vote)
    cluster.settle(only=["n1"])
    cluster.campaign("n3", only=["n3", "n4", "n5"])


def append_held_across_an_election(rules: Rules) -> None:
    """Figure 2, AppendEntries 1: an append of an older term is refused, however well it would fit."""
    cluster = paper(3, rules)
    cluster.elect("n1")
    cluster.propose("n1", b"old")
    cluster.sync("n1")
    held = cluster.pull("n1", "n3", AppendEntriesRequest)
    cluster.network.clear()
    cluster.elect("n2", only=["n2", "n3"])
    cluster.propose("n2", b"new")
    cluster.settle(only=["n2", "n3"])
    assert cluster.core("n2").commit_index == 1
    cluster.push("n1", "n3", held)
    cluster.settle(only=["n3"])
    cluster.crash("n1")
    cluster.restart("n1")
    cluster.campaign("n1", only=["n1", "n3"])
    cluster.campaign("n1", only=["n1", "n3"])


def entry_replaced_while_its_write_is_under_way(rules: Rules) -> None:
    """etcd's async storage writes: a finished write says nothing about what was truncated meanwhile (ABA)."""
    cluster = paper(3, rules)
    for leader, term in (("n2", 1), ("n3", 2)):
        entry = LogEntry(1, term, EntryType.COMMAND)
        cluster.push(leader, "n1", AppendEntriesRequest(term, leader, 0, 0, (entry,), 0))
    cluster.sync("n1")
    cluster.sync("n1")


def stepping_down_and_voting_again(rules: Rules) -> None:
    """Hazelcast #16643, CCF #8094: the vote outlives a step-down within the term."""
    cluster = paper(3, rules)
    for node in ("n1", "n2"):
        cluster.timeout(node)
        cluster.sync(node)
    requests = {node: cluster.pull(node, "n3") for node in ("n1", "n2")}
    cluster.push("n1", "n3", requests["n1"])
    cluster.sync("n3")
    cluster.push("n3", "n1", cluster.pull("n3", "n1"))
    cluster.timeout("n1")
    cluster.push("n1", "n2", cluster.pull("n1", "n2", AppendEntriesRequest))
    cluster.settle(only=["n2"])
    assert cluster.core("n2").voted_for == "n2"


DIRECTED: dict[str, Callable[[Rules], None]] = {
    "C1 commits older terms by counting": figure_8,
    "C2 commits up to its own last index": old_leader_with_a_tail,
    "L10 takes acknowledgements of old terms": acknowledgement_held_across_a_term,
    "R7 joins a round already sent": acknowledgements_of_an_earlier_round,
    "E21 obeys a leader of an earlier term": append_held_across_an_election,
    "P17 believes a write that was truncated": entry_replaced_while_its_write_is_under_way,
    "R2 reads without a quorum": deposed_leader_reads,
    "E5 counts replies instead of voters": one_reply_twice,
}


@pytest.mark.parametrize("name", DIRECTED)
def test_the_right_rules_pass_the_directed_schedule(name: str) -> None:
    """The schedule itself is legal; only the mistake makes it fatal."""
    DIRECTED[name](RULES)


@pytest.mark.parametrize("name", DIRECTED)
def test_a_planted_mistake_is_noticed_in_its_directed_schedule(name: str) -> None:
    """raft.md §3.9: each mistake that random schedules miss needs a schedule of its own."""
    with pytest.raises(Violation):
        DIRECTED[name](PLANTED[name])


def test_a_vote_survives_stepping_down_within_its_term() -> None:
    """Raft §5.2; seed: voted_for kept on a same-term update."""
    stepping_down_and_voting_again(RULES)
    with pytest.raises(AssertionError):
        stepping_down_and_voting_again(PLANTED["E2 forgets its vote in the same term"])
