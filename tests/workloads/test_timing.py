"""Spreading, delaying and ending operations in time (Jepsen: stagger, delay, time-limit, cycle-times)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.combinators import repeat, sequence
from workloads.generator import Generator, once
from workloads.session import Operation
from workloads.stream import named_stream
from workloads.testing import simulate
from workloads.timing import at_mean_rate, cycle_times, delay, rate, sleep, stagger, time_limit

READS = repeat(once(Operation("read")))
WRITES = repeat(once(Operation("write")))
STREAM = named_stream(1, "test")


def times(generator: Generator, *, threads: int = 10, latency: int = 1, calls_max: int = 1_000_000) -> list[int]:
    return [call.invoked_ns for call in simulate(generator, threads=threads, latency=latency, calls_max=calls_max)]


def test_stagger_keeps_its_mean_interval() -> None:
    """Uniform in 0 … 2 x 1000: the mean of 5,000 gaps is off by more than 25 with a chance below 1 in 500."""
    invoked = times(stagger(1000, READS, STREAM), calls_max=5001)
    gaps = [after - before for before, after in pairwise(invoked)]
    assert min(gaps) >= 0
    assert max(gaps) <= 2000
    assert abs(sum(gaps) / len(gaps) - 1000) < 25


def test_a_pace_of_nothing_is_as_fast_as_the_threads_are() -> None:
    """`--rate 0`: three threads that take 7 each, and nothing holds them up."""
    invoked = times(at_mean_rate(0, READS, STREAM), threads=3, latency=7, calls_max=12)
    assert invoked == [0] * 3 + [7] * 3 + [14] * 3 + [21] * 3


def test_a_pace_is_a_mean_rate_per_second() -> None:
    """1,000 per second: 2,000 operations take 2 s, give or take a tenth."""
    invoked = times(at_mean_rate(1000, READS, STREAM), calls_max=2001)
    assert abs(invoked[-1] - 2_000_000_000) < 200_000_000


def test_stagger_does_not_catch_up_after_an_outage() -> None:
    """One thread, busy for 100 intervals at a time: operations follow one another, never in bursts."""
    invoked = times(stagger(10, READS, STREAM), threads=1, latency=1000, calls_max=50)
    assert all(after - before >= 1000 for before, after in pairwise(invoked))


@settings(max_examples=30, derandomize=True, deadline=None)
@given(interval=st.integers(1, 50), latency=st.integers(0, 100), threads=st.integers(1, 3))
def test_delay_keeps_its_distance_and_wastes_no_time(interval: int, latency: int, threads: int) -> None:
    invoked = times(delay(interval, READS), threads=threads, latency=latency, calls_max=20)
    gaps = [after - before for before, after in pairwise(invoked)]
    assert all(gap >= interval for gap in gaps)
    if latency <= interval:
        assert all(gap == interval for gap in gaps)


def test_rate_keeps_its_schedule_and_catches_up_by_a_burst() -> None:
    """10 per second; the only client is away for 0.55 s at a time, so five fall due while it is."""
    without = times(rate(10, READS), threads=1, latency=550_000_000, calls_max=4)
    assert without == [0, 550_000_000, 1_100_000_000, 1_650_000_000]
    generator = sequence(rate(10, repeat(once(Operation("read")), 3), burst=3))
    assert times(generator, threads=3, latency=0) == [0, 100_000_000, 200_000_000]


def test_rate_saves_up_no_more_than_its_burst() -> None:
    """1,000 per second, burst 4: after 50 ms away the client may do four at once, not fifty."""
    lengths = iter([50_000_000])
    generator = rate(1000, repeat(once(Operation("read")), 12), burst=4)
    calls = simulate(generator, threads=1, latency=lambda random: next(lengths, 0))
    after = [call.invoked_ns for call in calls[1:]]
    assert after[:4] == [50_000_000] * 4
    assert all(b - a == 1_000_000 for a, b in pairwise(after[3:]))


@settings(max_examples=30, derandomize=True, deadline=None)
@given(limit_ns=st.integers(1, 500), interval=st.integers(1, 40))
def test_time_limit_ends_on_time(limit_ns: int, interval: int) -> None:
    invoked = times(time_limit(limit_ns, delay(interval, READS)))
    assert invoked == list(range(0, limit_ns, interval))


def test_time_limit_counts_from_the_first_question() -> None:
    generator = sequence(sleep(1000), time_limit(100, delay(30, READS)))
    assert times(generator) == [1000, 1030, 1060, 1090]


def test_a_time_limit_wakes_to_end_even_if_nothing_else_would() -> None:
    assert times(time_limit(100, sequence(sleep(10_000), READS))) == []


def test_cycle_times_gives_each_generator_its_window() -> None:
    generator = time_limit(60, cycle_times((10, delay(4, READS)), (20, delay(9, WRITES))))
    calls = simulate(generator, threads=3, latency=1)
    for call in calls:
        assert call.operation.f == ("read" if call.invoked_ns % 30 < 10 else "write")
    assert len({call.operation.f for call in calls}) == 2
    assert {call.invoked_ns // 30 for call in calls} == {0, 1}
