"""What is computed from a run's operations and faults: quantiles, throughput, availability, recovery.

Pure functions of the operations' table. No drawing, no wording, no judging.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from checker.faults import FaultSummary
from reports.frame import OUTCOMES

__all__ = [
    "Availability",
    "FunctionRow",
    "Quantiles",
    "Recovery",
    "Throughput",
    "Window",
    "availability",
    "function_table",
    "latency_quantiles",
    "recoveries",
    "throughput",
]

Floats = npt.NDArray[np.float64]

QUANTILES = (0.5, 0.95, 0.99)
BUCKET_OPERATIONS_MIN = 50
"""Below this a 95th percentile rests on two operations."""
BUCKETS_MAX = 60
"""More points than that are not told apart on a page's width."""
UNAVAILABLE_S = 0.25
"""Shorter silences are not listed: they are below a usual election timeout."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the run in seconds."""

    begin_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.end_s - self.begin_s


# ── by function ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """Operations of one `f` with one outcome; latencies in seconds, NaN where none is known."""

    f: str
    outcome: str
    count: int
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


def function_table(frame: pd.DataFrame) -> tuple[FunctionRow, ...]:
    """One row per f and outcome that occurs, sorted by f, then ok, fail, info."""
    rows = []
    for (f, outcome), group in frame.groupby(["f", "outcome"], sort=True):
        latency = group["latency_s"].dropna()
        p50, p95, p99 = (float(latency.quantile(q)) if len(latency) else float("nan") for q in QUANTILES)
        highest = float(latency.max()) if len(latency) else float("nan")
        rows.append(FunctionRow(str(f), str(outcome), len(group), p50, p95, p99, highest))
    return tuple(sorted(rows, key=lambda row: (row.f, OUTCOMES.index(row.outcome))))


# ── over time ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Latency of ok operations per bucket: where the bucket's middle lies, and its quantiles, in seconds."""

    time_s: Floats
    p50_s: Floats
    p95_s: Floats
    p99_s: Floats
    max_s: Floats
    bucket_operations: int
    """Operations per bucket; the last bucket may hold up to twice as many."""


def latency_quantiles(frame: pd.DataFrame) -> Quantiles:
    """Quantiles over adaptive buckets: each holds the same number of ok operations, by time of invocation.

    Equal counts make every point rest on the same evidence, where equal widths would leave some on a handful.
    """
    ok = frame[frame["outcome"] == "ok"].sort_values(["call_s", "index"], kind="stable")
    size = max(BUCKET_OPERATIONS_MIN, -(-len(ok) // BUCKETS_MAX))
    bucket = np.minimum(np.arange(len(ok)) // size, max(len(ok) // size - 1, 0))
    grouped = ok.groupby(bucket)
    latency = grouped["latency_s"]
    p50, p95, p99 = (latency.quantile(q).to_numpy(dtype=np.float64) for q in QUANTILES)
    time_s = ((grouped["call_s"].min() + grouped["call_s"].max()) / 2).to_numpy(dtype=np.float64)
    return Quantiles(time_s, p50, p95, p99, latency.max().to_numpy(dtype=np.float64), size)


@dataclass(frozen=True, slots=True)
class Throughput:
    """Completions per second and outcome, in buckets of `width_s` from the start of the run."""

    width_s: float
    time_s: Floats
    """Left edges."""
    rate_hz: dict[str, Floats]


def throughput(frame: pd.DataFrame, *, end_s: float) -> Throughput:
    """Completions by time of return; operations still open at the end count as info there."""
    width_s = _bucket_width(end_s)
    buckets = max(1, int(np.ceil(end_s / width_s - 1e-9)))
    widths = frame["return_s"].to_numpy(dtype=np.float64) / width_s + 1e-9  # 3.0 / 0.2 is a hair below 15
    place = np.minimum(widths.astype(np.int64), buckets - 1)
    outcomes = frame["outcome"].to_numpy()
    rates = {
        name: np.bincount(place[outcomes == name], minlength=buckets).astype(np.float64) / width_s for name in OUTCOMES
    }
    edges: Floats = np.asarray(np.arange(buckets) * width_s, dtype=np.float64)
    return Throughput(width_s, edges, rates)


def _bucket_width(end_s: float) -> float:
    """The least of 1, 2, 5 x 10^k seconds that makes at most 80 buckets."""
    exponent = -3
    while True:
        for digit in (1, 2, 5):
            width_s = float(digit * 10.0**exponent)
            if end_s <= 80 * width_s:
                return width_s
        exponent += 1


# ── availability and recovery ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Availability:
    """When clients waited and none succeeded."""

    windows: tuple[Window, ...]
    """Silences of at least `UNAVAILABLE_S`, in order."""
    longest: Window | None
    """The longest silence of any length; None without operations."""
    span_s: float
    """From the first invocation to the last completion."""

    @property
    def unavailable_s(self) -> float:
        """Total length of `windows`."""
        return sum(window.length_s for window in self.windows)


def availability(frame: pd.DataFrame) -> Availability:
    """Silences: stretches in which an operation was waiting and none completed ok.

    A silence begins with the last ok completion, or later with the first invocation after it that had to wait; it ends
    with the next ok completion, or with the last completion of the run. Time in which nobody asked is no silence.
    """
    if frame.empty:
        return Availability((), None, 0.0)
    ok_return = np.unique(frame.loc[frame["outcome"] == "ok", "return_s"].to_numpy(dtype=np.float64))
    first, last = float(frame["call_s"].min()), float(frame["return_s"].max())
    begins = np.concatenate([[first], ok_return])
    ends = np.concatenate([ok_return, [last]])
    begins = np.minimum(np.maximum(begins, _first_waiting(frame, begins)), ends)
    longest = int(np.argmax(ends - begins))
    windows = [Window(float(begins[i]), float(ends[i])) for i in np.flatnonzero(ends - begins >= UNAVAILABLE_S)]
    return Availability(tuple(windows), Window(float(begins[longest]), float(ends[longest])), last - first)


def _first_waiting(frame: pd.DataFrame, instants: Floats) -> Floats:
    """For each instant the earliest invocation among the operations that complete after it; infinity if none does."""
    by_return = frame.sort_values("return_s", kind="stable")
    returns = by_return["return_s"].to_numpy(dtype=np.float64)
    earliest = np.minimum.accumulate(by_return["call_s"].to_numpy(dtype=np.float64)[::-1])[::-1]
    return np.append(earliest, np.inf)[np.searchsorted(returns, instants, side="right")]


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from a fault's begin and end to the first ok completion of an operation invoked after that.

    None: the fault never began or ended, or no operation succeeded after it.
    """

    fault_id: str
    after_fault_s: float | None
    after_heal_s: float | None


def recoveries(frame: pd.DataFrame, faults: tuple[FaultSummary, ...]) -> tuple[Recovery, ...]:
    """One per fault, in the same order."""
    ok = frame[frame["outcome"] == "ok"].sort_values("call_s", kind="stable")
    calls = ok["call_s"].to_numpy(dtype=np.float64)
    soonest = np.minimum.accumulate(ok["return_s"].to_numpy(dtype=np.float64)[::-1])[::-1]

    def first_ok(time_ns: int | None) -> float | None:
        if time_ns is None:
            return None
        place = int(np.searchsorted(calls, time_ns / 1e9, side="left"))
        return float(soonest[place]) - time_ns / 1e9 if place < len(calls) else None

    return tuple(Recovery(fault.id, first_ok(fault.applied_ns), first_ok(fault.undone_ns)) for fault in faults)
