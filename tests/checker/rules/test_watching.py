"""Watching: answers are pieces of one log, which has every acknowledged write, in order."""

from __future__ import annotations

from typing import Any

from checker.history import Operation
from checker.watching import ANOMALIES, check_watching
from tests.checker.rules.operations import CRASHED, anomaly, failed, ok


def wrote(*values: int, at: tuple[int, int | None], process: int = 0) -> Operation:
    return ok("write", list(values), at=at, process=process)


def saw(
    since: int, upto: int, *events: tuple[int, int], at: tuple[int, int], limit: int = 0, process: int = 1
) -> Operation:
    """events: (revision, value)."""
    result: Any = {"revision": upto, "events": [[revision, "0", value] for revision, value in events]}
    return ok("watch", [since, limit], result, at=at, process=process)


def found(*operations: Operation) -> str | None:
    return anomaly(check_watching(sorted(operations, key=lambda one: one.call_order)), ANOMALIES)


W1, W2 = wrote(1, 2, at=(0, 1)), wrote(3, 4, at=(2, 3))
ALL = ((1, 1), (1, 2), (2, 3), (2, 4))


def test_one_log_in_pieces_or_whole_is_right() -> None:
    """Pages may overlap, and be empty."""
    assert found(W1, W2, saw(0, 2, *ALL, at=(4, 5))) is None
    assert found(W1, W2, saw(0, 1, *ALL[:2], at=(4, 5), limit=1), saw(1, 2, *ALL[2:], at=(6, 7))) is None
    assert found(W1, W2, saw(0, 2, *ALL, at=(4, 5)), saw(2, 9, at=(6, 7))) is None


def test_a_revision_that_others_saw_is_missing() -> None:
    whole = saw(0, 2, *ALL, at=(4, 5), process=2)
    assert found(W1, W2, whole, saw(0, 2, *ALL[:2], at=(6, 7))) == "lost-event"
    assert found(W1, W2, whole, saw(0, 2, *ALL[:3], at=(6, 7))) == "lost-event", "a part of a revision"
    assert found(W1, W2, whole, saw(1, 2, *ALL[3:], at=(6, 7))) == "lost-event"


def test_an_acknowledged_write_that_nobody_saw_is_missing() -> None:
    assert found(W1, W2, saw(0, 2, *ALL[:2], at=(4, 5))) == "lost-event"
    assert found(W1, W2, saw(0, 1, *ALL[:2], at=(2, 3))) is None, "asked for before the second write was over"
    assert found(W1, W2, saw(0, 1, *ALL[:2], at=(4, 5), limit=2)) is None, "a full page may end early"
    assert found(W1, wrote(3, 4, at=(2, CRASHED)), saw(0, 2, *ALL[:2], at=(4, 5))) is None


def test_a_change_that_comes_twice_is_one_too_many() -> None:
    assert found(W1, saw(0, 1, (1, 1), (1, 2), (1, 1), at=(4, 5))) == "duplicate-event"
    assert found(W1, saw(0, 2, (1, 1), (1, 2), (2, 1), at=(4, 5))) == "duplicate-event"
    assert found(W1, W2, saw(0, 2, *ALL, at=(4, 5)), saw(1, 2, *ALL, at=(6, 7))) == "duplicate-event"


def test_changes_come_in_the_order_in_which_they_were_made() -> None:
    assert found(W1, W2, saw(0, 2, (2, 3), (2, 4), (1, 1), (1, 2), at=(4, 5))) == "out-of-order"
    assert found(W1, W2, saw(0, 2, (1, 3), (1, 4), (2, 1), (2, 2), at=(4, 5))) == "out-of-order", "W1 was over before"
    assert found(W1, saw(0, 0, (1, 1), (1, 2), at=(4, 5))) == "out-of-order", "told less than it was told"


def test_all_who_watch_see_the_same() -> None:
    swapped = saw(0, 1, (1, 2), (1, 1), at=(6, 7), process=2)
    assert found(W1, saw(0, 1, *ALL[:2], at=(4, 5)), swapped) == "different-event"


def test_what_was_written_at_once_comes_at_once() -> None:
    assert found(W1, saw(0, 2, (1, 1), (2, 2), at=(4, 5))) == "torn-write"


def test_what_nobody_wrote_does_not_come() -> None:
    refused = failed("write", [1, 2], error="no-leader", at=(0, 1))
    assert found(refused, saw(0, 1, *ALL[:2], at=(4, 5))) == "phantom-event"
    assert found(saw(0, 1, *ALL[:2], at=(4, 5)), wrote(1, 2, at=(6, 7))) == "phantom-event", "not yet"
    assert found(wrote(1, 2, at=(0, CRASHED)), saw(0, 1, *ALL[:2], at=(4, 5))) is None


def test_an_answer_reaches_everything_acknowledged_before_it_was_asked_for() -> None:
    """A follower that is behind and does not know it."""
    whole, behind = saw(0, 2, *ALL, at=(4, 5), process=2), saw(0, 1, *ALL[:2], at=(6, 7))
    assert found(W1, W2, whole, behind) == "stale-answer"
    assert found(W1, W2, whole, saw(0, 1, *ALL[:2], at=(2, 7))) is None
