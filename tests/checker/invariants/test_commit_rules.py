"""Rules over commitment and state machines, the trace itself, and all rules over generated traces."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.records import AnyTraceEvent, Configuration, TraceLine, Validity
from checker.trace_rules import TRACE_RULES, check_trace
from tests.checker.invariants.model import BUGS, Bug, broken_trace, legal_trace
from tests.checker.invariants.traces import (
    acknowledged,
    appended,
    applied,
    became,
    committed,
    found,
    restored,
    snapshot,
    synced,
    trace,
    truncated,
    voted,
)

SEEDS_TRIED = 60

LEADER = [restored(), became("candidate", 1), voted(1, "n1"), became("leader", 1)]
FOLLOWER = [restored(), became("follower", 1), voted(1, "n1")]


# ── commitment ───────────────────────────────────────────────────────────────────────────────────────────────────────

COMMITTED_BY_N1 = [*LEADER, appended(1, 1), appended(2, 1), synced(2, 1), committed(2)]
SYNCED_BY_N2 = [*FOLLOWER, appended(1, 1), appended(2, 1), synced(2, 1)]


def test_a_commit_index_that_falls_is_seen() -> None:
    """Planted bug C6."""
    lines = trace(n1=[*COMMITTED_BY_N1, committed(1)], n2=SYNCED_BY_N2)
    assert found(lines) == {"monotone-commit": "commit-went-back"}


def test_a_commit_index_beyond_the_log_is_seen() -> None:
    lines = trace(n1=[restored(), appended(1, 1), committed(2)])
    assert found(lines) == {"monotone-commit": "commit-beyond-log"}


def test_a_restarted_node_may_have_forgotten_what_was_committed() -> None:
    """The commit index is volatile (Raft Figure 2)."""
    lines = trace(n1=[*COMMITTED_BY_N1, restored((2, 1), vote="n1"), committed(1)], n2=SYNCED_BY_N2)
    assert found(lines) == {}


def test_an_older_snapshot_over_a_newer_state_is_seen() -> None:
    """Planted bug S5."""
    lines = trace(n1=[*COMMITTED_BY_N1, became("follower", 2), snapshot(1, 1, installed=True)], n2=SYNCED_BY_N2)
    assert found(lines) == {"monotone-commit": "older-snapshot-installed"}


def test_a_snapshot_of_what_was_not_applied_is_seen() -> None:
    """Planted bug S2."""
    lines = trace(n1=[*COMMITTED_BY_N1, applied(1, 1), snapshot(2, 1)], n2=SYNCED_BY_N2)
    assert found(lines) == {"state-machine-safety": "snapshot-beyond-applied"}


def test_a_snapshot_with_the_current_term_beside_an_older_entry_is_seen() -> None:
    """Planted bug S1."""
    lines = trace(
        n1=[*COMMITTED_BY_N1, became("follower", 2), applied(1, 1), applied(2, 1), snapshot(2, 2)], n2=SYNCED_BY_N2
    )
    assert found(lines) == {"state-machine-safety": "snapshot-of-other-term"}


def test_two_nodes_with_different_snapshots_of_one_index_are_seen() -> None:
    """Planted bugs S8, S13, K10: what a snapshot lacks, or has too much."""
    lines = trace(
        n1=[*COMMITTED_BY_N1, applied(1, 1), snapshot(1, 1, digest=5)],
        n2=[*SYNCED_BY_N2, committed(1), applied(1, 1), snapshot(1, 1, digest=6)],
    )
    assert found(lines) == {"state-machine-safety": "different-snapshots"}


def test_a_node_that_starts_from_a_snapshot_goes_on_behind_it() -> None:
    """A trace may begin on a disk that has a snapshot already."""
    beginning = [restored((12, 3)), snapshot(10, 3), committed(11)]
    assert found(trace(n1=[*beginning, applied(11, 3)])) == {}
    assert found(trace(n1=[*beginning, applied(10, 3)])) == {"state-machine-safety": "applied-out-of-order"}


def test_a_node_that_drops_acknowledged_entries_behind_a_snapshot_is_seen() -> None:
    """Planted bug S4: entry 2 was committed with n2's copy, which a late snapshot up to 1 takes away."""
    dropping = [*SYNCED_BY_N2, truncated(2), snapshot(1, 1, installed=True)]
    lines = trace(n1=COMMITTED_BY_N1, n2=dropping, n3=FOLLOWER)
    assert found(lines) == {"committed-entries-durable": "committed-entry-truncated"}


def test_a_snapshot_that_was_durable_and_is_gone_after_a_restart_is_seen() -> None:
    """Planted bug S11: a snapshot without rename or directory sync."""
    installing = [*FOLLOWER, appended(1, 1), synced(1, 1), snapshot(9, 1, installed=True), synced(9, 1)]
    assert found(trace(n1=[*installing, restored((1, 1), vote="n1")])) == {"synced-durable": "synced-entry-lost"}
    assert found(trace(n1=[*installing[:-1], restored((1, 1), vote="n1")])) == {}


def test_two_nodes_that_commit_different_entries_are_seen() -> None:
    """Raft §5.4.3. Planted bug C2: a follower commits entries it did not compare."""
    lines = trace(n1=COMMITTED_BY_N1, n2=SYNCED_BY_N2, n3=[restored(), appended(1, 1), appended(2, 2), committed(2)])
    assert found(lines) == {"committed-entries-durable": "committed-entries-differ"}


def test_a_node_that_removes_what_it_knew_as_committed_is_seen() -> None:
    """Planted bug L2."""
    lines = trace(n1=COMMITTED_BY_N1, n2=[*SYNCED_BY_N2, committed(2), truncated(2), appended(2, 1)])
    assert found(lines) == {"committed-entries-durable": "committed-entry-truncated"}


@pytest.mark.parametrize("first", ["n1", "n2"])
def test_a_node_that_removes_what_others_had_committed_in_its_term_or_before_is_seen(first: str) -> None:
    """The order of two nodes' lines says nothing: the terms do (Raft §5.4.3)."""
    nodes = {"n1": COMMITTED_BY_N1, "n2": [*SYNCED_BY_N2, became("follower", 2), truncated(2), appended(2, 2)]}
    lines = trace(**dict(sorted(nodes.items(), reverse=first == "n2")))
    assert found(lines) == {"committed-entries-durable": "committed-entry-truncated"}


def test_a_follower_that_removes_in_the_leader_s_own_term_what_that_leader_committed_is_seen() -> None:
    """Planted bug L2, before the follower has heard of the commit."""
    lines = trace(n1=COMMITTED_BY_N1, n2=[*SYNCED_BY_N2, truncated(2), appended(2, 1), synced(2, 1)])
    assert found(lines) == {"committed-entries-durable": "committed-entry-truncated"}


def test_a_removal_that_was_right_does_not_hide_a_later_one_that_was_not() -> None:
    """n2 removes the entry in term 2, before term 3 commits it; n4 removes the same entry in term 4."""
    lines = trace(
        n2=[*FOLLOWER, appended(1, 1), became("follower", 2), truncated(1), appended(1, 2)],
        n1=[
            *LEADER,
            appended(1, 1),
            became("follower", 2),
            became("leader", 3),
            appended(2, 3),
            synced(2, 3),
            committed(2),
        ],
        n3=[restored(), became("follower", 3), appended(1, 1), appended(2, 3), synced(2, 3)],
        n4=[restored(), became("follower", 3), appended(1, 1), became("follower", 4), truncated(1)],
    )
    assert found(lines)["committed-entries-durable"] == "committed-entry-truncated"


def test_a_node_that_commits_another_entry_after_a_crash_gave_it_back_is_seen() -> None:
    lines = trace(
        n1=[restored(), became("leader", 2), appended(1, 2), synced(1, 2), committed(1)],
        n2=[restored(), became("follower", 2), appended(1, 2), synced(1, 2)],
        n3=[
            *[restored(), became("leader", 1), appended(1, 1), synced(1, 1), became("follower", 2)],
            *[truncated(1), appended(1, 2), committed(1), restored((1, 1), term=2), committed(1)],
        ],
    )
    assert found(lines) == {"committed-entries-durable": "committed-entries-differ"}


def test_an_entry_may_be_removed_in_a_term_before_the_one_that_commits_it() -> None:
    """Raft Figure 8 (a) to (e): the entry of term 1 is overwritten on n2 in term 2 and committed in term 3."""
    lines = trace(
        n1=[
            *LEADER,
            appended(1, 1),
            became("follower", 2),
            became("leader", 3),
            appended(2, 3),
            synced(2, 3),
            committed(2),
        ],
        n2=[*FOLLOWER, appended(1, 1), became("follower", 2), truncated(1), appended(1, 2)],
        n3=[restored(), became("follower", 3), appended(1, 1), appended(2, 3), synced(2, 3)],
    )
    assert found(lines) == {}


def test_a_leader_without_an_entry_committed_before_its_term_is_seen() -> None:
    """Raft Figure 8 (d): S1 commits an entry of term 2 by counting, S5 is elected without it (planted bug C1)."""
    lines = trace(
        n1=[restored(), became("leader", 2), appended(1, 2), became("leader", 4), synced(1, 2), committed(1)],
        n2=[restored(), became("follower", 2), appended(1, 2), synced(1, 2)],
        n3=[restored(), became("follower", 4), appended(1, 2), synced(1, 2)],
        n4=[restored()],
        n5=[restored(), became("leader", 3), appended(1, 3), became("leader", 5)],
    )
    assert found(lines) == {
        "leader-completeness": "leader-lacks-committed-entry",
        "commit-counted": "committed-older-term-by-counting",
    }


def test_a_leader_of_an_earlier_term_need_not_have_what_is_committed_later() -> None:
    lines = trace(
        n1=[restored(), became("leader", 3), appended(1, 3), synced(1, 3), committed(1)],
        n2=[restored(), became("follower", 3), appended(1, 3), synced(1, 3)],
        n3=[restored(), became("leader", 2)],
    )
    assert found(lines) == {}


def test_a_commit_known_before_the_own_copy_was_durable_survives_no_crash_and_that_is_legal() -> None:
    """n3 hears of the commit, crashes, and gets back an older entry that its disk still had; it rightly removes it."""
    lines = trace(
        n1=[restored(), became("leader", 2), appended(1, 2), synced(1, 2), committed(1)],
        n2=[restored(), became("follower", 2), appended(1, 2), synced(1, 2)],
        n3=[
            *[restored(), became("leader", 1), appended(1, 1), synced(1, 1), became("follower", 2)],
            *[truncated(1), appended(1, 2), committed(1), applied(1, 2)],
            *[restored((1, 1), term=2), truncated(1), appended(1, 2), committed(1), applied(1, 2)],
        ],
    )
    assert found(lines) == {}


def test_a_commit_without_a_durable_majority_is_seen_once_a_crash_takes_the_copies() -> None:
    """Planted bugs P4, C4: acknowledged or counted before the sync."""
    lines = trace(
        n1=[*LEADER, appended(1, 1), synced(1, 1), committed(1)],
        n2=[*FOLLOWER, appended(1, 1), restored(term=1, vote="n1")],
        n3=[restored()],
    )
    assert found(lines) == {"quorum-durable": "committed-without-durable-majority"}


def test_copies_that_may_have_been_synced_count() -> None:
    """The acknowledgement may have left between the sync and its trace."""
    lines = trace(
        n1=[*LEADER, appended(1, 1), synced(1, 1), committed(1)],
        n2=[*FOLLOWER, appended(1, 1)],
        n3=[restored()],
    )
    assert found(lines) == {}


def test_surviving_a_killed_process_is_not_being_durable() -> None:
    """The page cache survives the process and not the power; what was recovered from it must be synced to count."""
    lines = trace(
        n1=[*LEADER, appended(1, 1), synced(1, 1), committed(1)],
        n2=[*FOLLOWER, appended(1, 1), restored((1, 1), vote="n1"), restored(term=1, vote="n1")],
        n3=[restored()],
    )
    assert found(lines) == {"quorum-durable": "committed-without-durable-majority"}


def joint(*, holders: str) -> list[TraceLine]:
    """n1 commits an entry under (n1, n4, n5 | n1, n2, n3); who else has it durably."""
    configuration: AnyTraceEvent = Configuration(index=0, voters=("n1", "n4", "n5"), voters_outgoing=("n1", "n2", "n3"))
    leads = [*LEADER[:1], configuration, *LEADER[1:], appended(1, 1), synced(1, 1), committed(1)]
    others = {f"n{k}": [restored(), voted(1, "n1")] for k in range(2, 6)}
    for number in holders:
        others[f"n{number}"] += [appended(1, 1), synced(1, 1)]
    return trace(n1=leads, **others)


def test_a_joint_configuration_needs_a_majority_of_both_sides() -> None:
    """Raft §6; planted bug M8."""
    assert found(joint(holders="24")) == {}
    assert found(joint(holders="23")) == {"quorum-durable": "committed-without-durable-majority"}
    assert found(joint(holders="45")) == {"quorum-durable": "committed-without-durable-majority"}


def test_a_copy_within_an_installed_snapshot_counts() -> None:
    """The follower holds what the snapshot stands for."""
    voters: AnyTraceEvent = Configuration(index=0, voters=("n1", "n2", "n3"))
    leads = [*LEADER[:1], voters, *LEADER[1:], appended(1, 1), synced(1, 1), committed(1)]
    follows = [restored(), voted(1, "n1"), snapshot(1, 1, installed=True), synced(1, 1)]
    assert found(trace(n1=leads, n2=follows, n3=[restored()])) == {}


def test_a_leader_without_a_majority_of_votes_in_force_is_seen() -> None:
    """Raft §5.2, §6; planted bugs E9, E12, M8."""
    voters: AnyTraceEvent = Configuration(index=0, voters=("n1", "n2", "n3"), learners=("n4",))
    leads = [restored(), voters, became("candidate", 1), voted(1, "n1"), became("leader", 1)]
    learner = [restored(), voted(1, "n1")]
    assert found(trace(n1=leads, n4=learner)) == {"elected-by-quorum": "elected-without-majority"}
    assert found(trace(n1=leads, n2=learner)) == {}


def test_learners_are_no_majority() -> None:
    """Planted bug C9."""
    voters: AnyTraceEvent = Configuration(index=0, voters=("n1", "n2", "n3"), learners=("n4", "n5"))
    leads = [*LEADER[:1], voters, *LEADER[1:], appended(1, 1), synced(1, 1), committed(1)]
    copy = [restored(), became("follower", 1), appended(1, 1), synced(1, 1)]
    learners_only = trace(n1=leads, n2=[restored(), voted(1, "n1")], n3=[restored()], n4=copy, n5=copy)
    assert found(learners_only) == {"quorum-durable": "committed-without-durable-majority"}
    voter = [*copy, voted(1, "n1")]
    assert found(trace(n1=leads, n2=voter, n3=[restored()], n4=[restored()], n5=[restored()])) == {}


def test_an_acknowledgement_before_the_commit_is_seen() -> None:
    """Planted bug C3."""
    lines = trace(n1=[*LEADER, appended(1, 1), acknowledged("op-1", 1)])
    assert found(lines) == {"acknowledged-durable": "acknowledged-before-commit"}


def test_an_acknowledgement_passed_on_by_a_follower_needs_a_commit_somewhere() -> None:
    told = [*FOLLOWER, acknowledged("op-1", 2)]
    assert found(trace(n2=told, n1=COMMITTED_BY_N1, n3=SYNCED_BY_N2)) == {}
    assert found(trace(n2=told, n1=[*LEADER, appended(1, 1)])) == {
        "acknowledged-durable": "acknowledged-never-committed"
    }


# ── state machines ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_different_entries_applied_at_one_index_are_seen() -> None:
    """Raft §5.4.3, State Machine Safety."""
    lines = trace(
        n1=[*COMMITTED_BY_N1, applied(1, 1), applied(2, 1)], n2=[*SYNCED_BY_N2, committed(2), applied(1, 1, digest=9)]
    )
    assert found(lines) == {"state-machine-safety": "different-entry-applied"}


@pytest.mark.parametrize(
    ("events", "anomaly"),
    [
        ([committed(2), applied(2, 1), applied(1, 1)], "applied-out-of-order"),
        ([committed(2), applied(1, 1), applied(1, 1)], "applied-out-of-order"),
        ([committed(1), applied(1, 1), applied(2, 1)], "applied-before-commit"),
        ([committed(1), applied(1, 1, digest=3)], "applied-other-than-logged"),
    ],
)
def test_what_is_applied_wrongly_is_seen(events: list[AnyTraceEvent], anomaly: str) -> None:
    lines = trace(n2=[*SYNCED_BY_N2, *events])
    assert found(lines) == {"state-machine-safety": anomaly}


def test_a_restarted_node_may_apply_from_the_beginning_or_from_where_it_was() -> None:
    first = [*SYNCED_BY_N2, committed(2), applied(1, 1), applied(2, 1), restored((2, 1), vote="n1"), committed(2)]
    assert found(trace(n2=[*first, applied(1, 1)])) == {}
    assert found(trace(n2=[*first, applied(2, 1)])) == {}


def test_a_node_goes_on_after_an_installed_snapshot() -> None:
    lines = trace(n2=[*FOLLOWER, snapshot(7, 1, installed=True), appended(8, 1), committed(8), applied(8, 1)])
    assert found(lines) == {}


def test_an_installed_snapshot_keeps_a_log_that_agrees_and_drops_one_that_does_not() -> None:
    """Raft §7; planted bugs S3, S4."""
    agreeing = [*SYNCED_BY_N2, snapshot(1, 1, installed=True), restored((2, 1), vote="n1")]
    differing = [*SYNCED_BY_N2, snapshot(1, 3, installed=True), appended(2, 3), synced(2, 3), restored((2, 3))]
    assert found(trace(n2=agreeing)) == {}
    assert found(trace(n2=differing)) == {}


def test_two_states_at_one_index_are_seen() -> None:
    lines = trace(n1=[restored(), snapshot(4, 1, digest=1)], n2=[restored(), snapshot(4, 1, digest=2)])
    assert found(lines) == {"state-machine-safety": "different-snapshots"}


# ── the trace itself ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_trace_that_is_none_is_the_harness_s_fault() -> None:
    beginless = trace(n1=[became("follower", 1)])
    doubled = [*trace(n1=[restored(), appended(1, 1)]), *trace(n1=[restored(), appended(1, 1)])[1:]]
    (line,) = trace(n1=[restored()])
    twice = [line, TraceLine(node="n1", incarnation=1, seq=1, local_ns=0, event=restored())]
    for lines, anomaly in ((beginless, "no-beginning"), (doubled, "repeated-line"), (twice, "two-beginnings")):
        form = check_trace(lines, ["trace-form"])[0]
        assert (form.validity, form.anomaly) == (Validity.HARNESS_ERROR, anomaly)


def test_every_rule_gives_one_result_under_its_registered_name() -> None:
    assert [check.name for check in check_trace([])] == list(TRACE_RULES)
    assert all(check.validity is Validity.VALID and check.evidence.summary for check in check_trace([]))


def test_rules_can_be_chosen_and_a_name_that_is_none_is_refused() -> None:
    assert [check.name for check in check_trace([], ["log-matching", "election-safety"])] == [
        "election-safety",
        "log-matching",
    ]
    with pytest.raises(KeyError, match="no-such-rule"):
        check_trace([], ["no-such-rule"])


def test_evidence_names_node_term_index_incarnation_and_seq() -> None:
    lines = trace(n1=[restored(), became("leader", 3)], n2=[restored(), restored(), became("leader", 3)])
    check = next(check for check in check_trace(lines) if check.anomaly)
    figures = {"node": "n2", "incarnation": 2, "seq": 2, "role": "leader", "term": 3, "index": None, "findings": 1}
    assert check.evidence.figures == figures
    assert check.key == "n2"
    assert "n1 incarnation 1 seq 1" in check.evidence.summary


def test_many_findings_are_counted_and_the_first_ten_kept() -> None:
    lines = trace(n1=[restored(), *[event for term in range(1, 31) for event in (voted(term, "a"), voted(term, "b"))]])
    check = next(check for check in check_trace(lines) if check.anomaly)
    assert check.evidence.figures["findings"] == 30
    assert (len(check.evidence.details), check.evidence.details[-1]) == (11, "and 20 more")


# ── properties ───────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_legal_traces_pass(seed: int, size: int) -> None:
    """Crashes that lose unsynced writes and undo removals, deposed leaders, forgotten terms: all of it is legal."""
    assert found(legal_trace(seed, size=size)) == {}


@pytest.mark.parametrize("bug", BUGS)
def test_each_planted_bug_is_seen_by_the_rules_made_for_it(bug: Bug) -> None:
    missing = set(BUGS[bug])
    for seed in range(SEEDS_TRIED):
        missing.difference_update(found(broken_trace(seed, bug)))
        if not missing:
            return
    pytest.fail(f"{sorted(missing)} never saw that a node {bug}")


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(sorted(BUGS)))
def test_what_is_found_does_not_depend_on_how_the_lines_of_nodes_interleave(seed: int, bug: Bug) -> None:
    lines = broken_trace(seed, bug)
    shuffled = list(lines)
    Random(seed).shuffle(shuffled)
    by_node = sorted(lines, key=lambda line: (line.node, line.incarnation, line.seq), reverse=True)
    assert set(found(shuffled)) == set(found(lines)) == set(found(by_node))
