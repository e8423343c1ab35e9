"""Progress: often enough to watch, rarely enough to read (style-anchors §5.1)."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

from histrio.clocks import seed_at, utc_now
from histrio.environments.environment import Progress
from histrio.progress import ProgressPrinter, describe
from tests.histrio.cli.worlds import START


def at(now_s: int, phase: str = "load", faults: tuple[str, ...] = ()) -> Progress:
    return Progress(now_ns=now_s * 10**9, phase=phase, ok=10, fail=2, info=1, faults=faults)


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


def test_a_moment_of_a_run_fits_on_a_line() -> None:
    line = describe(at(12, faults=("kill", "partition-halves")))
    assert line == "load           12.0 s | 10 ok 2 fail 1 info | kill, partition-halves"
    assert describe(at(1)).endswith("no fault")


def test_a_log_gets_a_line_for_ten_seconds_and_one_for_each_new_phase() -> None:
    stream, hand = io.StringIO(), Hand()
    show = ProgressPrinter(stream, live=False, now=hand)
    for second in range(25):
        hand.moment = START + timedelta(seconds=second)
        show(at(second))
    show(at(25, "heal"))
    show.close()
    shown = [line.split("|")[0].split() for line in stream.getvalue().splitlines()]
    assert shown == [["load", "0.0", "s"], ["load", "10.0", "s"], ["load", "20.0", "s"], ["heal", "25.0", "s"]]


def test_a_live_line_is_written_over_ten_times_a_second_at_most_and_wiped_at_the_end() -> None:
    stream, hand = io.StringIO(), Hand()
    show = ProgressPrinter(stream, live=True, now=hand)
    for step in range(100):
        hand.moment = START + timedelta(milliseconds=10 * step)
        show(at(step))
    show.close()
    assert stream.getvalue().count("\r\x1b[K") == 11
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_nothing_is_wiped_where_nothing_was_shown() -> None:
    stream = io.StringIO()
    ProgressPrinter(stream, live=True, now=Hand()).close()
    assert stream.getvalue() == ""


def test_a_watcher_that_goes_away_does_not_end_the_run() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    show = ProgressPrinter(Closed(), live=False, now=Hand())
    show(at(1))
    show.close()
    assert show._shown_at == START


def test_moments_a_microsecond_apart_give_different_seeds_of_nine_digits() -> None:
    seeds = [seed_at(START + timedelta(microseconds=step)) for step in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 10**9 for seed in seeds)


def test_the_wall_clock_says_its_zone() -> None:
    assert utc_now().utcoffset() == timedelta(0)
