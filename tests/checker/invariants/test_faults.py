"""A fault is effective by its counted consequences, never by the flag that switched it on (docs/architecture.md)."""

from __future__ import annotations

import pytest

from checker.errors import CheckerError
from checker.faults import FaultStatus, consequence_windows, fault_windows, summarize_faults
from checker.records import FaultApplied, FaultHealed, FaultObserved, FaultUndone
from tests.checker.invariants.faults import planned, story, summaries
from tests.checker.invariants.histories import MS


def test_a_fault_with_a_counted_consequence_is_effective() -> None:
    (fault,) = summaries(story("f1", "partition-halves", "partition", counts={"messages_dropped": 3, "refused": 0}))
    assert fault.status is FaultStatus.EFFECTIVE
    assert fault.cause == "3 messages_dropped"
    assert (fault.kind, fault.family, fault.resolved, fault.rule) == (
        "partition-halves",
        "partition",
        ("n1",),
        "partition-halves n1",
    )
    times = (fault.planned_ns, fault.for_ns, fault.applied_ns, fault.undone_ns, fault.healed_ns)
    assert times == (0, 10 * MS, 10 * MS, 20 * MS, 21 * MS)


@pytest.mark.parametrize("counts", [{}, {"messages_dropped": 0}])
def test_a_fault_that_was_watched_without_a_consequence_had_no_effect(counts: dict[str, int]) -> None:
    (fault,) = summaries(story("f1", counts=counts))
    assert fault.status is FaultStatus.NO_EFFECT
    assert fault.cause == "applied, but no consequence was counted"


def test_a_fault_that_nobody_watched_is_unverified() -> None:
    (fault,) = summaries(story("f1", counts=None))
    assert fault.status is FaultStatus.UNVERIFIED


def test_a_fault_that_was_never_applied_had_no_effect_whatever_was_counted() -> None:
    unapplied, counted = summaries(
        [planned("f1"), planned("f2"), FaultObserved(id="f2", time_ns=5, counts={"lost": 9})]
    )
    assert (unapplied.status, unapplied.cause) == (FaultStatus.NO_EFFECT, "never applied")
    assert counted.status is FaultStatus.NO_EFFECT


def test_counts_are_summed_and_nodes_collected_over_all_lines() -> None:
    (fault,) = summarize_faults(
        [
            planned("f1"),
            FaultApplied(id="f1", time_ns=5, resolved=("n2",), rule="first"),
            FaultObserved(id="f1", time_ns=6, counts={"lost": 1, "refused": 2}),
            FaultApplied(id="f1", time_ns=7, resolved=("n1", "n2"), rule="second"),
            FaultObserved(id="f1", time_ns=8, counts={"lost": 4}),
        ]
    )
    assert fault.counts == {"lost": 5, "refused": 2}
    assert (fault.resolved, fault.applied_ns, fault.rule, fault.undone_ns) == (("n2", "n1"), 5, "first", None)


def test_faults_keep_the_order_of_the_plan() -> None:
    faults = summarize_faults([planned("f2"), planned("f1"), *story("f3", counts={"killed": 1})])
    assert [fault.id for fault in faults] == ["f2", "f1", "f3"]


def test_lines_about_a_fault_that_was_not_planned_are_refused() -> None:
    with pytest.raises(CheckerError, match=r"'f9' comes before its `planned` line"):
        summarize_faults([FaultUndone(id="f9", time_ns=1)])
    with pytest.raises(CheckerError, match="'f1' is planned twice"):
        summarize_faults([planned("f1"), planned("f1")])


def test_windows_are_merged_and_only_of_effective_faults() -> None:
    faults = summaries(
        story("a", counts={"killed": 1}, from_ms=40, to_ms=50),
        story("b", counts={"killed": 1}, from_ms=10, to_ms=20),
        story("c", counts={"killed": 1}, from_ms=15, to_ms=30),
        story("d", counts={"killed": 0}, from_ms=60, to_ms=70),
        story("e", counts=None, from_ms=80, to_ms=90),
        story("f", counts={"killed": 1}, from_ms=95, to_ms=99)[:3],
    )
    assert fault_windows(faults, 100 * MS) == ((10 * MS, 30 * MS), (40 * MS, 50 * MS), (95 * MS, 100 * MS))


def test_a_consequence_lasts_until_it_is_seen_to_end() -> None:
    """A process that is started again at 20 ms answers at 70; one that is never seen to is not back at all."""
    killed = story("a", counts={"killed": 1}, from_ms=10, to_ms=20)[:-1]
    back = FaultHealed(id="a", time_ns=70 * MS, probe="answered")
    gone = story("b", counts={"killed": 1}, from_ms=80, to_ms=90)[:-1]
    assert consequence_windows(summaries([*killed, back], gone), 100 * MS) == ((10 * MS, 70 * MS), (80 * MS, 100 * MS))
    assert fault_windows(summaries([*killed, back], gone), 100 * MS) == ((10 * MS, 20 * MS), (80 * MS, 90 * MS))
