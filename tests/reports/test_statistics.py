"""Figures against their definitions, computed the slow and obvious way."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checker.faults import FaultStatus, FaultSummary
from reports.statistics import (
    BUCKETS_MAX,
    UNAVAILABLE_S,
    availability,
    function_table,
    latency_quantiles,
    recoveries,
    throughput,
)

Row = tuple[int, int, str, str]
"""(call, return, f, outcome), times in quarter seconds: exact in binary."""
END = 60

rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.integers(1, 12),
        st.sampled_from(("read", "write")),
        st.sampled_from(("ok", "fail", "info")),
    ).map(lambda row: (row[0], row[0] + row[1], row[2], row[3])),
    min_size=1,
    max_size=25,
)
few = settings(max_examples=30, deadline=None, derandomize=True)


def a_frame(rows: list[Row]) -> pd.DataFrame:
    ordered = sorted(rows)
    return pd.DataFrame(
        {
            "index": range(len(ordered)),
            "process": range(len(ordered)),
            "f": [row[2] for row in ordered],
            "outcome": [row[3] for row in ordered],
            "call_s": [row[0] / 4 for row in ordered],
            "return_s": [row[1] / 4 for row in ordered],
            "latency_s": [(row[1] - row[0]) / 4 for row in ordered],
        }
    )


def naive_quantile(values: list[float], q: float) -> float:
    """Linear interpolation between closest ranks."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@few
@given(rows_strategy)
def test_the_function_table_counts_every_operation_once(rows: list[Row]) -> None:
    table = function_table(a_frame(rows))
    assert {(row.f, row.outcome): row.count for row in table} == {
        (f, outcome): sum(row[2:] == (f, outcome) for row in rows) for f, outcome in {row[2:] for row in rows}
    }
    for entry in table:
        latencies = [(row[1] - row[0]) / 4 for row in rows if row[2:] == (entry.f, entry.outcome)]
        assert entry.p95_s == pytest.approx(naive_quantile(latencies, 0.95))
        assert entry.max_s == max(latencies)


@few
@given(rows_strategy)
def test_throughput_adds_up_to_the_number_of_operations(rows: list[Row]) -> None:
    found = throughput(a_frame(rows), end_s=END / 4)
    for outcome, rate in found.rate_hz.items():
        assert sum(rate) * found.width_s == pytest.approx(sum(row[3] == outcome for row in rows))
    assert len(found.time_s) <= 80
    for place, edge in enumerate(found.time_s):
        naive = sum(edge <= row[1] / 4 + 1e-9 < edge + found.width_s for row in rows if row[3] == "ok")
        assert found.rate_hz["ok"][place] * found.width_s == pytest.approx(naive)


@pytest.mark.parametrize(("end_s", "width_s"), [(0.0, 0.001), (4.0, 0.05), (60.0, 1.0), (100.0, 2.0), (3600.0, 50.0)])
def test_throughput_buckets_have_round_widths(end_s: float, width_s: float) -> None:
    frame = a_frame([(0, 1, "read", "ok")]).assign(return_s=end_s)
    assert throughput(frame, end_s=end_s).width_s == pytest.approx(width_s)


@few
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 100)), min_size=1, max_size=400))
def test_latency_buckets_rest_on_the_same_number_of_operations(pairs: list[tuple[int, int]]) -> None:
    found = latency_quantiles(a_frame([(call, call + length, "read", "ok") for call, length in pairs]))
    lengths = [length / 4 for _, length in sorted((call, call + length, length)[::2] for call, length in pairs)]
    buckets = max(1, len(pairs) // found.bucket_operations)
    assert len(found.p50_s) == buckets <= BUCKETS_MAX
    assert max(found.max_s) == max(lengths)
    assert list(found.time_s) == sorted(found.time_s)


def test_latency_quantiles_equal_a_recount_of_each_bucket() -> None:
    rows = [(call, call + 1 + call * 37 % 23, "read", "ok") for call in range(170)]
    found = latency_quantiles(a_frame(rows))
    assert found.bucket_operations == 50
    for place, (begin, end) in enumerate([(0, 50), (50, 100), (100, 170)]):
        latencies = [(row[1] - row[0]) / 4 for row in rows[begin:end]]
        assert found.p50_s[place] == pytest.approx(naive_quantile(latencies, 0.5))
        assert found.p99_s[place] == pytest.approx(naive_quantile(latencies, 0.99))
        assert found.max_s[place] == max(latencies)


# ── availability ─────────────────────────────────────────────────────────────────────────────────────────────────────


def naive_silences(rows: list[Row]) -> list[tuple[float, float]]:
    """By definition: between successive ok completions, from the first instant at which an operation waits."""
    oks = sorted({row[1] for row in rows if row[3] == "ok"})
    bounds = [min(row[0] for row in rows), *oks, max(row[1] for row in rows)]
    silences = []
    for begin, end in pairwise(bounds):
        waiting = [max(begin, row[0]) for row in rows if row[1] > begin]
        if waiting and min(waiting) < end:
            silences.append((min(waiting) / 4, end / 4))
    return silences


@few
@given(rows_strategy)
def test_silences_equal_their_definition(rows: list[Row]) -> None:
    found = availability(a_frame(rows))
    naive = naive_silences(rows)
    assert [(w.begin_s, w.end_s) for w in found.windows] == [s for s in naive if s[1] - s[0] >= UNAVAILABLE_S]
    assert found.longest is not None
    assert found.longest.length_s == max((end - begin for begin, end in naive), default=0)


def test_time_in_which_nobody_asks_is_no_silence() -> None:
    found = availability(a_frame([(0, 1, "read", "ok"), (36, 37, "read", "ok")]))
    assert found.longest is not None
    assert found.longest.length_s == 0.25


def test_failing_operations_make_a_silence_until_one_succeeds() -> None:
    rows: list[Row] = [(0, 1, "read", "ok"), (4, 5, "read", "fail"), (8, 12, "read", "info"), (14, 16, "read", "ok")]
    window = availability(a_frame(rows)).windows[-1]
    assert (window.begin_s, window.end_s) == (1.0, 4.0)


# ── recovery ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def a_fault(applied: int | None, undone: int | None) -> FaultSummary:
    def ns(time: int | None) -> int | None:
        return None if time is None else time * 250_000_000

    return FaultSummary(
        id="f", kind="kill", family="kill", status=FaultStatus.EFFECTIVE, planned_ns=0, for_ns=1,
        applied_ns=ns(applied), undone_ns=ns(undone),
    )  # fmt: skip


@few
@given(rows_strategy, st.integers(0, 50), st.integers(0, 50))
def test_recovery_is_the_first_success_of_an_operation_invoked_afterwards(
    rows: list[Row], begin: int, end: int
) -> None:
    def naive(time: int) -> Any:
        later = [row[1] for row in rows if row[3] == "ok" and row[0] >= time]
        return (min(later) - time) / 4 if later else None

    (found,) = recoveries(a_frame(rows), (a_fault(begin, end),))
    assert (found.after_fault_s, found.after_heal_s) == (naive(begin), naive(end))


def test_a_fault_that_never_began_has_no_recovery() -> None:
    (found,) = recoveries(a_frame([(0, 1, "read", "ok")]), (a_fault(None, None),))
    assert (found.after_fault_s, found.after_heal_s) == (None, None)
