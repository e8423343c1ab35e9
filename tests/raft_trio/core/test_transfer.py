"""Handing leadership over: thesis §3.10 and the mistakes T1 to T3."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.messages import AppendEntriesRequest, Refusal, RequestVoteRequest, TimeoutNow
from raft_trio.rules import RULES, Rules
from raft_trio.types import Config, Role
from tests.raft_trio.core.cluster import Cluster


def led(*, rules: Rules = RULES) -> Cluster:
    cluster = Cluster(3, rules=rules)
    cluster.elect("n1")
    cluster.settle()
    return cluster


def test_leadership_moves_at_once_although_the_leader_is_alive() -> None:
    """The request carries a mark that stickiness does not apply; no pre-vote, no waiting."""
    cluster = led()
    began = cluster.now_ns
    assert cluster.transfer("n1", "n2") is None
    cluster.settle()
    assert cluster.core("n2").role is Role.LEADER
    assert cluster.core("n1").role is Role.FOLLOWER
    assert cluster.core("n2").term == 2
    assert cluster.now_ns == began, "nobody had to wait"


def test_the_target_catches_up_first_and_nothing_is_proposed_meanwhile() -> None:
    """Thesis §3.10, steps 1 and 2; mutant T2."""
    cluster = led()
    cluster.propose("n1", b"not there yet")
    cluster.transfer("n1", "n2")
    assert cluster.core("n1").transferee == "n2"
    assert cluster.propose("n1", b"refused") is None
    assert not [m for _, _, m in cluster.network if isinstance(m, TimeoutNow)]
    cluster.settle()
    assert cluster.core("n2").role is Role.LEADER
    assert cluster.core("n2").term_at(2) == 1


def test_without_a_name_the_voter_with_the_longest_log_is_chosen() -> None:
    cluster = led()
    cluster.propose("n1", b"x")
    cluster.settle(only=["n1", "n3"])
    assert cluster.transfer("n1", "") is None
    assert cluster.core("n1").transferee == "n3"


def never_heard_of_again(rules: Rules) -> None:
    """T3: the target is cut off."""
    cluster = led(rules=rules)
    cluster.transfer("n1", "n2")
    for _ in range(7):
        cluster.beat("n1", only=["n1", "n3"])
    assert cluster.core("n1").role is Role.LEADER
    assert cluster.core("n1").transferee is None
    assert cluster.propose("n1", b"again") is not None


def test_a_transfer_that_leads_nowhere_ends_and_proposals_are_taken_again() -> None:
    """Thesis §3.10: after an election timeout; openraft #1747, hashicorp #581."""
    never_heard_of_again(RULES)
    with pytest.raises(AssertionError):
        never_heard_of_again(replace(RULES, transfer_is_over=lambda now, deadline: False))


def late_word(rules: Rules) -> None:
    """T1 (raft-rs #234): TimeoutNow is held back while leadership goes elsewhere."""
    cluster = led(rules=rules)
    cluster.transfer("n1", "n2")
    held = cluster.pull("n1", "n2", TimeoutNow)
    cluster.elect("n3", only=["n3", "n2", "n1"])
    cluster.beat("n3")
    cluster.push("n1", "n2", held)
    cluster.settle()
    assert cluster.core("n3").role is Role.LEADER
    assert cluster.core("n3").term == 2


def test_a_word_of_an_older_term_is_not_obeyed() -> None:
    late_word(RULES)
    with pytest.raises(AssertionError):
        late_word(replace(RULES, obeys_timeout_now=lambda term, own: True))


def behind(rules: Rules) -> None:
    """T2: the target lacks an entry, and what it starts costs an election."""
    cluster = led(rules=rules)
    cluster.propose("n1", b"not there yet")
    cluster.pull("n1", "n2", AppendEntriesRequest)
    cluster.settle()
    cluster.transfer("n1", "n2")
    cluster.settle()
    for _ in range(3):
        cluster.beat("n1") if cluster.core("n1").role is Role.LEADER else cluster.settle()
    assert cluster.core("n2").role is Role.LEADER
    assert cluster.core("n2").term == 2


def test_a_target_that_is_behind_is_brought_up_to_date_first() -> None:
    behind(RULES)
    with pytest.raises(AssertionError):
        behind(replace(RULES, transfer_may_fire=lambda match, last: True))


def test_what_cannot_be_a_target_is_refused() -> None:
    cluster = Cluster(4, voters=3)
    cluster.elect("n1")
    cluster.change("n1", Config(("n1", "n2", "n3"), learners=("n4",)))
    cluster.settle()
    assert cluster.transfer("n1", "n4") is Refusal.BAD_REQUEST, "a learner cannot lead"
    assert cluster.transfer("n1", "n1") is Refusal.BAD_REQUEST
    assert cluster.transfer("n1", "n9") is Refusal.BAD_REQUEST
    assert cluster.transfer("n2", "n3") is Refusal.NOT_LEADER
    assert cluster.transfer("n1", "n2") is None
    assert cluster.transfer("n1", "n3") is Refusal.TRANSFER_IN_PROGRESS
    assert cluster.transfer("n1", "n2") is None
    assert cluster.change("n1", Config(("n1", "n2"))) is Refusal.TRANSFER_IN_PROGRESS


def test_only_a_request_that_the_leader_wanted_breaks_through_stickiness() -> None:
    """Thesis §4.2.3: the same request without the mark is ignored."""
    cluster = led()
    cluster.beat("n1")
    plain = RequestVoteRequest(2, "n2", 9, 9)
    cluster.push("n2", "n3", plain)
    assert cluster.core("n3").term == 1
    cluster.push("n2", "n3", replace_transfer(plain))
    assert cluster.core("n3").term == 2


def replace_transfer(request: RequestVoteRequest) -> RequestVoteRequest:
    return RequestVoteRequest(request.term, request.candidate, request.last_index, request.last_term, False, True)


def test_plain_paper_raft_hands_over_as_well() -> None:
    """No defence is needed for it."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.transfer("n1", "n3")
    cluster.settle()
    assert cluster.core("n3").role is Role.LEADER
