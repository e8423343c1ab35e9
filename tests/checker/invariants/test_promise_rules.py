"""Rules over promises: what may leave before its sync, whose entries may be acknowledged, what a leader may count."""

from __future__ import annotations

from checker.records import AnyTraceEvent, Configuration, Received, Sent, Validity
from tests.checker.invariants.traces import (
    appended,
    became,
    committed,
    found,
    restored,
    results,
    snapshot,
    synced,
    trace,
    truncated,
    voted,
)

LEADER = [restored(), became("candidate", 1), voted(1, "n1"), became("leader", 1)]
FOLLOWER = [restored(), became("follower", 1)]


def acknowledges(match: int, *, term: int = 1, to: str = "n1", message: str = "m") -> AnyTraceEvent:
    return Sent(message=message, kind="appended", to=to, term=term, match=match)


def votes(term: int, to: str) -> AnyTraceEvent:
    return Sent(message="v", kind="voted", to=to, term=term, vote=True)


def hears(source: str, message: str = "m") -> AnyTraceEvent:
    return Received(message=message, kind="appended", source=source)


# ── promise-durable ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_acknowledgement_that_leaves_before_its_sync_is_seen() -> None:
    """Raft Figure 2, persistent state (planted bug P4)."""
    lines = trace(n1=[*LEADER, appended(1, 1)], n2=[*FOLLOWER, appended(1, 1), acknowledges(1), synced(1, 1)])
    assert found(lines) == {"promise-durable": "acknowledged-before-sync"}


def test_an_acknowledgement_of_what_is_synced_may_leave() -> None:
    lines = trace(
        n1=[*LEADER, appended(1, 1), appended(2, 1)],
        n2=[*FOLLOWER, appended(1, 1), synced(1, 1), appended(2, 1), acknowledges(1)],
    )
    assert found(lines) == {}


def test_what_a_restart_or_a_snapshot_gave_is_durable() -> None:
    lines = trace(
        n1=[restored((5, 1)), became("leader", 2), appended(6, 2)],
        n2=[restored((5, 1)), became("follower", 2), acknowledges(5, term=2)],
        n3=[restored(), became("follower", 2), snapshot(5, 1, installed=True), acknowledges(5, term=2)],
    )
    assert found(lines) == {}


def test_what_replaced_a_restored_entry_must_be_synced_again() -> None:
    lines = trace(
        n1=[restored((1, 1)), became("leader", 2), appended(2, 2)],
        n2=[restored((2, 1)), became("follower", 2), truncated(2), appended(2, 2), acknowledges(2, term=2)],
    )
    assert found(lines) == {"promise-durable": "acknowledged-before-sync"}


def test_a_late_acknowledgement_of_an_earlier_term_is_not_judged() -> None:
    """It waited for its sync; a new leader has replaced the entry meanwhile."""
    lines = trace(
        n2=[*FOLLOWER, appended(1, 1), became("follower", 2), truncated(1), appended(1, 2), acknowledges(1, term=1)]
    )
    assert found(lines) == {}


def test_a_vote_that_leaves_before_it_is_durable_is_seen() -> None:
    """Raft Figure 2, persistent state (planted bug P2)."""
    lines = trace(n1=[restored(), became("follower", 2), votes(2, "n2"), voted(2, "n2")])
    assert found(lines) == {"promise-durable": "voted-before-sync"}


def test_a_vote_for_another_than_the_durable_one_is_seen() -> None:
    lines = trace(n1=[restored(), became("follower", 2), voted(2, "n3"), votes(2, "n2")])
    assert found(lines) == {"promise-durable": "voted-before-sync"}


def test_a_vote_may_be_given_again_also_after_a_restart() -> None:
    lines = trace(
        n1=[restored(), became("follower", 2), voted(2, "n2"), votes(2, "n2"), restored(term=2, vote="n2")],
    )
    lines += trace(n2=[restored(term=2, vote="n3"), votes(2, "n3")])
    assert found(lines) == {}


def test_a_vote_whose_term_was_overtaken_before_it_was_written_is_kept_by_the_later_term() -> None:
    """A node that stood still takes a vote request and a later term at once, and writes the later term alone."""
    lines = trace(n1=[restored(), became("follower", 3), became("follower", 4), votes(3, "n2")])
    assert found(lines) == {}


# ── match-proved ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_acknowledged_entry_that_is_not_the_leaders_is_seen() -> None:
    """Raft §5.3 (planted bug L6): a follower acknowledges its own tail."""
    lines = trace(
        n1=[restored((1, 1)), became("leader", 3), appended(2, 3), appended(3, 3)],
        n2=[restored((3, 2)), became("follower", 3), acknowledges(3, term=3)],
    )
    assert found(lines) == {"match-proved": "acknowledged-other-entry"}


def test_an_acknowledgement_beyond_the_leaders_log_is_seen() -> None:
    lines = trace(
        n1=[restored((1, 1)), became("leader", 3), appended(2, 3)],
        n2=[restored((3, 2)), became("follower", 3), acknowledges(3, term=3)],
    )
    assert found(lines) == {"match-proved": "acknowledged-beyond-leader"}


def test_an_entry_of_an_earlier_term_that_the_leader_has_may_be_acknowledged() -> None:
    lines = trace(
        n1=[restored(), appended(1, 1), appended(2, 2), became("leader", 3), appended(3, 3)],
        n2=[restored((2, 2)), became("follower", 3), acknowledges(2, term=3), acknowledges(1, term=3)],
    )
    assert found(lines) == {}


def test_a_leader_that_the_trace_does_not_show_proves_nothing() -> None:
    lines = trace(n2=[restored((3, 2)), became("follower", 3), acknowledges(3, term=3)])
    assert found(lines) == {}


# ── commit-counted ───────────────────────────────────────────────────────────────────────────────────────────────────


def cluster(
    *leader: AnyTraceEvent, follower: tuple[AnyTraceEvent, ...] = (appended(1, 1), synced(1, 1), acknowledges(1))
) -> dict[str, str | None]:
    """n1 leads term 1 and has appended entry 1; n3 has nothing."""
    return found(trace(n1=[*LEADER, appended(1, 1), *leader], n2=[*FOLLOWER, *follower], n3=[*FOLLOWER]))


def test_a_leader_commits_what_a_majority_with_itself_has_synced() -> None:
    assert cluster(synced(1, 1), hears("n2"), committed(1)) == {}


def test_a_leader_that_counts_itself_before_its_sync_is_seen() -> None:
    """Thesis §10.2.1 (planted bug C4)."""
    assert cluster(hears("n2"), committed(1), synced(1, 1)) == {"commit-counted": "committed-without-majority"}


def test_an_acknowledgement_counts_when_it_has_arrived() -> None:
    assert cluster(synced(1, 1), committed(1), hears("n2")) == {"commit-counted": "committed-without-majority"}


def test_acknowledgements_of_less_and_of_earlier_terms_do_not_count() -> None:
    """Planted bug L10."""
    early = (appended(1, 1), synced(1, 1), acknowledges(1, term=0, message="m"))
    assert "commit-counted" in cluster(
        synced(1, 1), hears("n2"), committed(1), follower=(*early, acknowledges(1, message="x"))
    )


def test_without_any_acknowledgement_in_the_trace_majorities_are_not_judged() -> None:
    """A system that does not trace its promises."""
    assert cluster(synced(1, 1), committed(1), follower=(appended(1, 1), synced(1, 1))) == {}


def test_a_majority_is_of_the_voters_of_the_configuration() -> None:
    learner = Configuration(index=0, voters=("n1",), learners=("n2", "n3"))
    other = (appended(1, 1), synced(1, 1), acknowledges(1, message="late"))
    assert cluster(learner, synced(1, 1), committed(1), follower=other) == {}


def test_an_entry_of_an_earlier_term_that_is_committed_by_counting_is_seen() -> None:
    """Raft §5.4.2, Figure 8 (planted bug C1)."""
    lines = trace(n1=[restored((1, 1)), became("leader", 2), committed(1)])
    assert found(lines) == {"commit-counted": "committed-older-term-by-counting"}


def test_an_entry_of_an_earlier_term_is_committed_by_one_of_the_leaders_own_behind_it() -> None:
    lines = trace(n1=[restored((1, 1)), became("leader", 2), appended(2, 2), synced(2, 2), committed(2)])
    assert found(lines) == {}


def test_what_a_node_commits_before_it_leads_is_not_judged() -> None:
    lines = trace(n1=[restored((1, 1)), committed(1), became("leader", 2)])
    assert all(check.validity is Validity.VALID for check in results(lines))
