"""Rules over elections, logs and crashes: what they must see, what they must leave alone (Raft Figure 3, §5)."""

from __future__ import annotations

from checker.records import Validity
from tests.checker.invariants.traces import (
    appended,
    applied,
    became,
    committed,
    found,
    restored,
    results,
    synced,
    trace,
    truncated,
    voted,
)

SEEDS_TRIED = 60

LEADER = [restored(), became("candidate", 1), voted(1, "n1"), became("leader", 1)]
FOLLOWER = [restored(), became("follower", 1), voted(1, "n1")]


# ── elections ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_leaders_in_a_term_are_seen() -> None:
    """Raft §5.2, Election Safety."""
    lines = trace(n1=[restored(), became("leader", 3)], n2=[restored(), became("leader", 3)])
    assert found(lines) == {"election-safety": "two-leaders-in-a-term"}


def test_a_node_that_leads_the_same_term_again_after_a_restart_is_seen() -> None:
    lines = trace(n1=[restored(), became("leader", 3), restored(term=3), became("leader", 3)])
    assert found(lines) == {"election-safety": "two-leaders-in-a-term"}


def test_leaders_of_different_terms_may_overlap() -> None:
    """Raft §6.2 of the thesis: a deposed leader may not know it yet."""
    assert found(trace(n1=[restored(), became("leader", 3)], n2=[restored(), became("leader", 4)])) == {}


def test_two_votes_in_a_term_are_seen() -> None:
    """Raft §5.2: first come, first served, at most one."""
    assert found(trace(n1=[restored(), voted(2, "n2"), voted(2, "n3")])) == {"one-vote-per-term": "two-votes-in-a-term"}


def test_a_vote_said_twice_is_one_vote() -> None:
    assert found(trace(n1=[restored(), voted(2, "n2"), voted(2, "n2")])) == {}


def test_a_second_vote_after_a_restart_is_seen_at_the_restart_and_at_the_vote() -> None:
    """Raft Figure 2: votedFor is persistent (planted bug P1)."""
    lines = trace(n1=[restored(), voted(2, "n2"), restored(term=2), voted(2, "n3")])
    assert found(lines) == {"one-vote-per-term": "vote-forgotten"}
    (check,) = (check for check in results(lines) if check.validity is Validity.INVALID)
    assert check.evidence.figures["findings"] == 2


def test_a_vote_whose_term_was_forgotten_is_seen() -> None:
    lines = trace(n1=[restored(), voted(2, "n2"), restored(term=1)])
    assert found(lines) == {"one-vote-per-term": "vote-forgotten"}


def test_a_vote_that_comes_back_and_a_term_that_moved_on_are_fine() -> None:
    lines = trace(n1=[restored(), voted(2, "n2"), restored(term=2, vote="n2"), voted(2, "n2"), restored(term=5)])
    assert found(lines) == {}


def test_a_vote_known_from_the_disk_only_counts_as_given() -> None:
    """The write was done, the crash came before its trace."""
    lines = trace(n1=[restored(), restored(term=2, vote="n2"), voted(2, "n3")])
    assert found(lines) == {"one-vote-per-term": "two-votes-in-a-term"}


def test_a_falling_term_is_seen() -> None:
    lines = trace(n1=[restored(), became("follower", 4), became("candidate", 3)])
    assert found(lines) == {"monotone-term": "term-went-back"}


def test_a_vote_may_become_durable_when_the_node_has_moved_on() -> None:
    """Writes take time; `voted` comes when they are done."""
    lines = trace(n1=[restored(), became("candidate", 3), became("follower", 4), voted(3, "n1"), voted(4, "n2")])
    assert found(lines) == {}


def test_votes_that_become_durable_out_of_order_are_seen() -> None:
    assert found(trace(n1=[restored(), voted(4, "n2"), voted(3, "n1")])) == {"monotone-term": "term-went-back"}


def test_a_campaign_in_a_term_that_is_not_new_is_seen() -> None:
    """Raft §5.2: to begin an election, a follower increments its current term."""
    lines = trace(n1=[restored(), became("follower", 3), became("candidate", 3)])
    assert found(lines) == {"monotone-term": "campaigned-in-old-term"}
    lines = trace(n1=[restored(), became("candidate", 3), became("candidate", 4), became("leader", 4)])
    assert found(lines) == {}


def test_a_vote_for_a_shorter_log_is_seen() -> None:
    """Raft §5.4.1 (planted bugs E3, E4): the later last term first, then the longer log."""
    behind = {"votes-up-to-date": "voted-for-shorter-log"}
    one = [restored(), appended(1, 1), synced(1, 1)]
    old_two, new_two = [*one, appended(2, 1), synced(2, 1)], [*one, appended(2, 3), synced(2, 3)]
    old_three = [*old_two, appended(3, 1), synced(3, 1)]
    for candidate, voter, expected in (
        (one, old_two, behind),
        (old_three, new_two, behind),
        ([restored()], one, behind),
        (one, one, {}),
        (new_two, old_three, {}),
        (old_two, one, {}),
    ):
        lines = trace(n1=[*candidate, became("candidate", 4), voted(4, "n1")], n2=[*voter, voted(4, "n1")])
        assert found(lines) == expected


def test_a_vote_is_judged_by_what_was_durable_before_it() -> None:
    """It is traced when it is durable; entries of another leader may have come in meanwhile."""
    candidate = [restored(), became("candidate", 3), voted(3, "n1")]
    meanwhile = [restored(), appended(1, 1), voted(3, "n1"), synced(1, 1)]
    assert found(trace(n1=candidate, n2=meanwhile)) == {}


def test_a_vote_is_judged_by_what_a_restart_gave_back_and_was_not_removed() -> None:
    """What is on the disk at a start is durable, also where the trace does not show how it came there."""
    candidate = [restored(), became("candidate", 4), voted(4, "n1")]
    assert found(trace(n1=candidate, n2=[restored((1, 2)), voted(4, "n1")])) == {
        "votes-up-to-date": "voted-for-shorter-log"
    }
    assert found(trace(n1=candidate, n2=[restored((1, 2)), truncated(1), voted(4, "n1")])) == {}


def test_a_candidate_that_was_restarted_may_stand_again_in_its_term_with_a_longer_log() -> None:
    """Found by a campaign (seed 106324): its first campaign was lost with the power before the term was durable."""
    entry = [appended(1, 1), synced(1, 1)]
    again = [*[restored(), became("candidate", 4)], *[restored(), *entry, became("candidate", 4), voted(4, "n1")]]
    assert found(trace(n1=again, n2=[restored(), *entry, voted(4, "n1")])).get("votes-up-to-date") is None


def test_a_candidate_that_the_trace_does_not_show_is_not_judged() -> None:
    """A trace may begin late."""
    assert found(trace(n2=[restored(), appended(1, 1), synced(1, 1), voted(4, "n1")])) == {}


def test_a_term_that_was_led_is_not_forgotten() -> None:
    """Raft Figure 2: currentTerm is persistent (P3)."""
    lines = trace(n1=[restored(), became("leader", 3), restored(term=2)])
    assert found(lines) == {"monotone-term": "term-forgotten"}


def test_a_term_that_was_only_heard_of_may_be_forgotten() -> None:
    assert found(trace(n1=[restored(), became("follower", 3), restored(term=2)])) == {}


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_position_with_different_entries_is_seen() -> None:
    """Raft §5.3, Log Matching."""
    lines = trace(n1=[*LEADER, appended(1, 1, digest=5)], n2=[*FOLLOWER, appended(1, 1, digest=6)])
    assert found(lines) == {"log-matching": "same-position-different-entry"}


def test_equal_entries_with_different_predecessors_are_seen() -> None:
    """Planted bug L1: the previous entry's term is not looked at."""
    lines = trace(n1=[restored(), appended(1, 1), appended(2, 3)], n2=[restored(), appended(1, 2), appended(2, 3)])
    assert found(lines) == {"log-matching": "same-entry-different-predecessor"}


def test_a_hole_is_seen() -> None:
    assert found(trace(n1=[restored(), appended(1, 1), appended(3, 1)])) == {"log-matching": "hole-in-log"}


def test_an_entry_put_over_another_is_seen() -> None:
    """Planted bug L3."""
    lines = trace(n1=[restored(), appended(1, 1), appended(2, 1), appended(1, 2)])
    assert found(lines) == {"log-matching": "overwritten-without-truncation"}


def test_the_same_entry_said_again_changes_nothing() -> None:
    assert found(trace(n1=[restored(), appended(1, 1), appended(2, 1), appended(1, 1), appended(3, 1)])) == {}


def test_terms_that_fall_along_a_log_are_seen() -> None:
    assert found(trace(n1=[restored(), appended(1, 2), appended(2, 1)])) == {"log-matching": "log-term-went-back"}


def test_a_leader_that_removes_entries_is_seen() -> None:
    """Raft Figure 3, Leader Append-Only."""
    assert found(trace(n1=[*LEADER, appended(1, 1), truncated(1)])) == {"leader-append-only": "leader-truncated"}


def test_a_leader_that_appends_an_entry_of_another_term_is_seen() -> None:
    lines = trace(n1=[restored(), became("leader", 2), appended(1, 1)])
    assert found(lines) == {"leader-append-only": "leader-appended-foreign-term"}


def test_a_leader_that_stepped_down_may_remove_entries() -> None:
    assert found(trace(n1=[*LEADER, appended(1, 1), became("follower", 2), truncated(1), appended(1, 2)])) == {}


# ── crashes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_that_was_synced_and_is_lost_is_seen() -> None:
    """Planted bugs P2, P4, P8."""
    lines = trace(n1=[restored(), appended(1, 1), appended(2, 1), synced(2, 1), restored((1, 1))])
    assert found(lines) == {"synced-durable": "synced-entry-lost"}


def test_a_log_that_nobody_wrote_is_seen() -> None:
    lines = trace(n1=[restored(), appended(1, 1), restored((2, 1))])
    assert found(lines) == {"synced-durable": "unexplained-log"}


def test_a_log_that_ends_with_another_term_than_was_written_is_seen() -> None:
    """Planted bug P6: a torn record is taken for an entry."""
    lines = trace(n1=[restored(), appended(1, 1), appended(2, 2), synced(1, 1), restored((2, 1), term=2)])
    assert found(lines) == {"synced-durable": "unexplained-log"}


def test_entries_that_were_not_synced_may_be_lost() -> None:
    lines = trace(n1=[restored(), appended(1, 1), appended(2, 1), synced(1, 1), appended(3, 1), restored((1, 1))])
    assert found(lines) == {}


def test_a_removal_that_did_not_reach_the_disk_is_undone_by_a_crash() -> None:
    """The node removed entries in memory, the crash came first; the old entries are there again and are its log."""
    lines = trace(
        n1=[
            *[restored(), appended(1, 1), appended(2, 1), synced(2, 1), truncated(2), appended(2, 2)],
            *[restored((2, 1), term=2), truncated(2), appended(2, 3), synced(2, 3)],
            *[restored((2, 3))],
        ]
    )
    assert found(lines) == {}


def test_a_removal_that_is_followed_by_a_sync_stays() -> None:
    lines = trace(
        n1=[
            *[restored(), appended(1, 1), appended(2, 1), synced(2, 1), truncated(2), appended(2, 2), synced(2, 2)],
            *[restored((2, 1), term=2)],
        ]
    )
    assert found(lines) == {"synced-durable": "unexplained-log"}


def test_a_removal_alone_may_have_reached_the_disk() -> None:
    lines = trace(n1=[restored(), appended(1, 1), appended(2, 1), synced(2, 1), truncated(2), restored((1, 1))])
    assert found(lines) == {}


def test_a_trace_that_begins_on_an_old_disk_is_judged_by_what_it_shows() -> None:
    lines = trace(
        n1=[restored((5, 2)), appended(6, 3), committed(6), applied(6, 3), restored((6, 3)), truncated(6)],
        n2=[restored((4, 2)), appended(5, 2), appended(6, 3), committed(6), applied(1, 1)],
    )
    assert found(lines) == {"committed-entries-durable": "committed-entry-truncated"}
