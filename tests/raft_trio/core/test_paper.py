"""What the Raft paper says of terms, elections and replication (§5.1 to §5.3), on a bare core or a small cluster."""

from __future__ import annotations

import pytest

from raft_trio.config import RaftNodeConfig
from raft_trio.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    Message,
    RequestVoteRequest,
    RequestVoteResponse,
)
from raft_trio.types import EntryType, HardState, Role
from tests.raft_trio.core.bare import answer, append, core_with, entries, terms_of
from tests.raft_trio.core.cluster import MS, Cluster

# ── §5.1 terms ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        append(7, 0, 0),
        AppendEntriesResponse(7, False, 0),
        RequestVoteRequest(7, "n2", 0, 0),
        RequestVoteResponse(7, False),
    ],
)
def test_a_higher_term_in_any_message_makes_a_leader_a_follower_of_that_term(message: Message) -> None:
    """Raft §5.1: a candidate or leader whose term is out of date immediately reverts to follower."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.push("n2", "n1", message)
    assert (cluster.core("n1").role, cluster.core("n1").term) == (Role.FOLLOWER, 7)


def test_a_request_of_an_older_term_is_refused_with_the_newer_term() -> None:
    """Figure 2: reply false if term < currentTerm."""
    core = core_with(term=5)
    assert answer(core, "n2", append(4, 0, 0)) == AppendEntriesResponse(5, False, 0)
    assert answer(core, "n2", RequestVoteRequest(4, "n2", 0, 0)) == RequestVoteResponse(5, False)
    assert core.leader is None


# ── §5.2 elections ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_node_starts_as_a_follower_with_what_its_disk_gave_back() -> None:
    """Figure 2: persistent state; seed fault 5: restart lost term, vote and log."""
    core = core_with(1, 1, 2, term=3, voted_for="n3", commit=2)
    assert (core.role, core.term, core.voted_for, core.commit_index) == (Role.FOLLOWER, 3, "n3", 2)
    assert terms_of(core) == [1, 1, 2]
    assert core.leader is None


def test_a_timeout_starts_an_election_with_a_new_term_and_a_vote_for_oneself() -> None:
    """Raft §5.2, second paragraph."""
    core = core_with(1, term=2)
    core.wake(core.deadline_ns())
    ready = core.take_ready(core.deadline_ns())
    assert (core.role, core.term, core.voted_for) == (Role.CANDIDATE, 3, "n1")
    assert ready.messages_after_sync == tuple((peer, RequestVoteRequest(3, "n1", 1, 1)) for peer in ("n2", "n3"))
    assert ready.persist is not None
    assert ready.persist.hard_state == HardState(3, "n1", 0)
    assert ready.persist.must_sync


def test_nothing_is_done_before_the_deadline() -> None:
    """Waking early is harmless."""
    core = core_with()
    core.wake(core.deadline_ns() - 1)
    assert core.take_ready(0) == core.take_ready(0)
    assert core.role is Role.FOLLOWER


def test_a_candidate_wins_with_a_majority_and_tells_everybody_at_once() -> None:
    """Raft §5.2, third paragraph."""
    cluster = Cluster(5, settings=RaftNodeConfig.paper)
    cluster.elect("n1", only=["n1", "n2", "n3"])
    cluster.beat("n1")
    assert [cluster.core(node).leader for node in cluster.ids] == ["n1"] * 5


def test_a_candidates_own_vote_counts_only_once_it_is_durable() -> None:
    """Figure 2: updated on stable storage before responding; the candidate responds to itself."""
    core = core_with(config=RaftNodeConfig.paper("n1", ("n1",)))
    core.wake(core.deadline_ns())
    ready = core.take_ready(core.deadline_ns())
    before = core.role
    assert ready.persist is not None
    core.persisted(core.deadline_ns(), ready.persist.token)
    assert (before, core.role) == (Role.CANDIDATE, Role.LEADER)


def test_one_vote_per_term_first_come_first_served_also_for_a_repeated_request() -> None:
    """Raft §5.2: each server votes for at most one candidate in a term."""
    core = core_with()
    assert answer(core, "n2", RequestVoteRequest(1, "n2", 0, 0)) == RequestVoteResponse(1, True)
    assert answer(core, "n3", RequestVoteRequest(1, "n3", 0, 0)) == RequestVoteResponse(1, False)
    assert answer(core, "n2", RequestVoteRequest(1, "n2", 0, 0)) == RequestVoteResponse(1, True)


def test_a_vote_leaves_only_after_it_is_durable() -> None:
    """Figure 2: respond to RPCs after updating stable storage (P1, P2)."""
    core = core_with()
    core.step(0, "n2", RequestVoteRequest(1, "n2", 0, 0))
    ready = core.take_ready(0)
    assert ready.messages == ()
    assert ready.messages_after_sync == (("n2", RequestVoteResponse(1, True)),)
    assert ready.persist is not None
    assert ready.persist.hard_state == HardState(1, "n2", 0)


def test_granting_a_vote_resets_the_election_timer_and_refusing_does_not() -> None:
    """Figure 2, Followers: ... or granting vote to candidate (E18, E19)."""
    core = core_with(2)
    before = core.deadline_ns()
    core.step(100 * MS, "n2", RequestVoteRequest(3, "n2", 0, 0))
    assert core.voted_for is None
    assert core.deadline_ns() == before
    core.step(100 * MS, "n3", RequestVoteRequest(3, "n3", 1, 2))
    assert core.voted_for == "n3"
    assert core.deadline_ns() >= 250 * MS


def test_a_candidate_that_hears_the_leader_of_its_term_follows_it() -> None:
    """Raft §5.2, fourth paragraph; seed fault 11."""
    core = core_with()
    core.wake(core.deadline_ns())
    assert (core.role, core.term) == (Role.CANDIDATE, 1)
    assert answer(core, "n2", append(1, 0, 0)) == AppendEntriesResponse(1, True, 0, 0)
    assert (core.role, core.leader, core.voted_for) == (Role.FOLLOWER, "n2", "n1")


def test_two_leaders_in_one_term_are_a_broken_invariant() -> None:
    """Raft §5.2, Election Safety; seed fault 11: it was accepted silently."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    with pytest.raises(AssertionError, match="both lead term 1"):
        cluster.push("n2", "n1", append(1, 0, 0))


def test_every_timeout_is_drawn_anew_between_the_two_bounds() -> None:
    """Raft §5.2: randomised timeouts, chosen anew; seed fault 20: a 50 ms grid of four slots."""
    core = core_with()
    timeouts = set()
    for number in range(50):
        core.step(number, "n2", append(1, 0, 0))
        timeouts.add(core.deadline_ns() - number)
    assert len(timeouts) == 50
    assert min(timeouts) >= 150 * MS
    assert max(timeouts) <= 300 * MS


@pytest.mark.parametrize(
    ("own", "last_term", "last_index", "granted"),
    [((1,), 1, 1, True), ((1,), 1, 2, True), ((1, 1), 1, 1, False), ((2,), 1, 5, False), ((1, 1), 2, 1, True)],
)
def test_votes_go_to_logs_that_are_at_least_as_up_to_date(
    own: tuple[int, ...], last_term: int, last_index: int, *, granted: bool
) -> None:
    """Raft §5.4.1."""
    core = core_with(*own)
    assert answer(core, "n2", RequestVoteRequest(9, "n2", last_index, last_term)) == RequestVoteResponse(9, granted)


# ── §5.3 replication ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("follower", "expected"),
    [
        ((1, 1, 1, 4, 4, 5, 5, 6, 6), "a"),
        ((1, 1, 1, 4), "b"),
        ((1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6), "c"),
        ((1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7), "d"),
        ((1, 1, 1, 4, 4, 4, 4), "e"),
        ((1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3), "f"),
    ],
)
def test_a_leader_brings_every_log_of_figure_7_in_line_with_its_own(follower: tuple[int, ...], expected: str) -> None:
    """Raft Figure 7: scenarios a to f, leader of term 8."""
    leader = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    for node, terms in {"n1": leader, "n2": follower, "n3": leader}.items():
        cluster.crash(node)
        disk = cluster.members[node].disk
        disk.entries[:] = entries(*terms)
        disk.hard_state = HardState(7)
        cluster.restart(node)
    cluster.elect("n1")
    cluster.propose("n1", b"x")
    cluster.settle()
    for _ in range(2):
        cluster.beat("n1")
    assert cluster.log_of("n2") == [*leader, 8], expected
    assert cluster.core("n2").commit_index == 11


def test_an_append_is_refused_where_the_entry_before_it_is_missing_or_other() -> None:
    """Figure 2, AppendEntries 2, with the hints of §5.3's last paragraphs."""
    core = core_with(1, 1, 2, 2)
    missing = answer(core, "n2", append(9, 7, 3))
    assert missing == AppendEntriesResponse(9, False, 7, 0, 5, 0)
    other = answer(core, "n2", append(9, 4, 3))
    assert other == AppendEntriesResponse(9, False, 4, 0, 3, 2)
    assert terms_of(core) == [1, 1, 2, 2]


def test_a_conflicting_entry_goes_with_all_that_follow_it_in_one_write() -> None:
    """Figure 2, AppendEntries 3; the write truncates first, then appends."""
    core = core_with(1, 1, 2, 2)
    core.step(0, "n2", append(3, 2, 1, 3))
    ready = core.take_ready(0)
    assert ready.persist is not None
    assert (ready.persist.truncate_from, [e.term for e in ready.persist.entries]) == (3, [3])
    assert terms_of(core) == [1, 1, 3]


def test_an_old_append_removes_nothing_that_came_after_it() -> None:
    """Raft §5.3: if an existing entry conflicts, and only then (L2)."""
    core = core_with(1, 1, 1)
    assert answer(core, "n2", append(1, 0, 0, 1)) == AppendEntriesResponse(1, True, 0, 1)
    assert terms_of(core) == [1, 1, 1]
    assert core.take_ready(0).persist is None


def test_a_committed_entry_is_never_removed() -> None:
    """Leader Completeness (§5.4.3) makes it impossible; a node that is told to ends itself."""
    core = core_with(1, 1, commit=2)
    with pytest.raises(AssertionError, match="entries up to 2 are committed"):
        core.step(0, "n2", append(3, 0, 0, 3))


def test_a_leader_sends_in_parallel_with_its_own_write() -> None:
    """Thesis §10.2.1; the follower's acknowledgement waits for its sync."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    core = cluster.core("n1")
    core.propose(cluster.now_ns, EntryType.COMMAND, data=b"x")
    ready = core.take_ready(cluster.now_ns)
    assert [type(message) for _, message in ready.messages] == [AppendEntriesRequest] * 2
    assert ready.messages_after_sync == ()
    assert ready.persist is not None


def test_a_leader_counts_itself_only_when_its_own_write_is_durable() -> None:
    """Thesis §10.2.1; etcd #14370 (C4)."""
    cluster = Cluster(3, settings=RaftNodeConfig.paper)
    cluster.elect("n1")
    cluster.propose("n1", b"x")
    cluster.push("n1", "n2", cluster.pull("n1", "n2"))
    cluster.sync("n2")
    cluster.push("n2", "n1", cluster.pull("n2", "n1"))
    assert cluster.core("n1").commit_index == 0
    cluster.sync("n1")
    assert cluster.core("n1").commit_index == 1


def test_two_followers_can_commit_without_the_leaders_disk() -> None:
    """Thesis §10.2.1: a majority, not necessarily the leader."""
    cluster = Cluster(3)
    cluster.elect("n1")
    before = cluster.core("n1").commit_index
    cluster.propose("n1", b"x")
    for node in ("n2", "n3"):
        cluster.push("n1", node, cluster.pull("n1", node))
        cluster.sync(node)
        cluster.push(node, "n1", cluster.pull(node, "n1"))
    assert cluster.members["n1"].disk.queue
    assert cluster.core("n1").commit_index == before + 1


def test_a_batch_of_proposals_travels_in_one_message_within_the_limits() -> None:
    """raft.md §1.1: max_entries_per_message; seed fault 17: unused."""
    cluster = Cluster(
        3, settings=lambda node, ids: RaftNodeConfig(node, ids, max_entries_per_message=10, max_inflight_msgs=2)
    )
    cluster.elect("n1")
    core = cluster.core("n1")
    for _ in range(35):
        core.propose(cluster.now_ns, EntryType.COMMAND)
    cluster.flush("n1")
    sizes = [len(m.entries) for _, to, m in cluster.network if to == "n2" and isinstance(m, AppendEntriesRequest)]
    assert sizes == [10, 10]
    cluster.settle()
    assert cluster.core("n2").last_index == 36


def test_a_lost_append_is_sent_again_after_the_next_heartbeat() -> None:
    """Raft §5.3: the leader retries indefinitely (L15)."""
    cluster = Cluster(3)
    cluster.elect("n1")
    cluster.propose("n1", b"lost")
    cluster.network.clear()
    cluster.settle()
    assert cluster.core("n2").last_index == 1
    cluster.beat("n1")
    assert cluster.core("n2").last_index == cluster.core("n3").last_index == 2
    assert cluster.core("n1").commit_index == 2


def test_too_much_uncommitted_is_refused_and_a_single_large_entry_is_not() -> None:
    """etcd's MaxUncommittedEntriesSize and its exception for an idle leader."""
    cluster = Cluster(3, settings=lambda node, ids: RaftNodeConfig(node, ids, max_uncommitted_bytes=1000))
    cluster.elect("n1")
    assert cluster.propose("n1", bytes(5000)) == 2
    assert cluster.propose("n1", b"") is None
    cluster.settle()
    assert cluster.propose("n1", b"") == 3


def test_only_a_leader_takes_proposals() -> None:
    """Raft §5: clients talk to the leader."""
    cluster = Cluster(3)
    cluster.elect("n1")
    assert cluster.propose("n2", b"x") is None
