"""Figures that decide nothing, and must be right."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from checker.records import Phase, Validity
from checker.statistics import check_statistics, longest_gap, quantile
from tests.checker.invariants.histories import MS, at, call, fail, history, info, ok

LINES = history(
    *[at(0, call(0, "write", 1)), at(2, call(1, "read")), at(5, ok(0, "write", 1)), at(6, ok(1, "read", 1))],
    *[at(10, call(0, "write", 2)), at(40, info(0, "write", "timeout")), at(41, call(1, "read"))],
    *[at(42, fail(1, "read", "not-leader")), at(50, call(1, "read")), at(56, ok(1, "read", 2)), at(60, call(2, "cas"))],
)


def test_operations_are_counted_by_kind_and_outcome() -> None:
    result = check_statistics(LINES)
    figures = result.evidence.figures
    assert result.validity is Validity.VALID
    assert figures["operations_total"] == 6
    assert figures["counts"] == {
        "write": {"ok": 1, "fail": 0, "info": 1, "open": 0},
        "read": {"ok": 2, "fail": 1, "info": 0, "open": 0},
        "cas": {"ok": 0, "fail": 0, "info": 0, "open": 1},
    }
    assert figures["ok_share"] == 0.5
    assert figures["errors"] == {"write": {"timeout": 1}, "read": {"not-leader": 1}}


def test_latencies_are_those_of_operations_that_ended_ok() -> None:
    latency = check_statistics(LINES).evidence.figures["latency_ns"]
    assert latency["write"]["max"] == 5 * MS
    assert (latency["read"]["p50"], latency["read"]["max"]) == (4 * MS, 6 * MS)
    assert "cas" not in latency


def test_the_longest_time_without_an_ok_may_lie_between_or_at_the_ends() -> None:
    figures = check_statistics(LINES).evidence.figures
    assert (figures["longest_gap_begin_ns"], figures["longest_gap_ns"]) == (6 * MS, 50 * MS)
    assert longest_gap(LINES, 0, 200 * MS) == (56 * MS, 144 * MS)
    assert longest_gap(LINES, 7 * MS, 55 * MS) == (7 * MS, 48 * MS)
    assert longest_gap([], 0, 9) == (0, 9)


def test_unavailability_is_looked_for_in_the_load_phase() -> None:
    phases = [Phase(name="settle", begin_ns=0, end_ns=4 * MS), Phase(name="load", begin_ns=4 * MS, end_ns=20 * MS)]
    figures = check_statistics(LINES, phases).evidence.figures
    assert (figures["longest_gap_begin_ns"], figures["longest_gap_ns"]) == (6 * MS, 14 * MS)


def test_an_empty_history_has_no_share() -> None:
    figures = check_statistics([]).evidence.figures
    assert (figures["operations_total"], figures["ok_share"], figures["longest_gap_ns"]) == (0, None, 0)


@settings(max_examples=100, derandomize=True)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.sampled_from([1, 50, 90, 95, 99, 100]))
def test_a_quantile_is_the_smallest_value_with_that_share_at_or_below_it(values: list[int], percent: int) -> None:
    values.sort()
    share = Fraction(percent, 100)
    enough = [value for value in values if Fraction(sum(other <= value for other in values), len(values)) >= share]
    assert quantile(values, percent / 100) == min(enough)
