"""Sets, queues, ids and leases: what is a violation, what has an excuse, and what the figures count."""

from __future__ import annotations

import pytest

from checker import leases, set_full, total_queue, unique_ids
from checker.history import Operation
from checker.leases import check_leases
from checker.set_full import check_set_full
from checker.total_queue import check_total_queue
from checker.unique_ids import check_unique_ids
from tests.checker.rules.operations import CRASHED, anomaly, failed, ok

# ── set-full ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def added(*operations: Operation) -> tuple[str | None, dict[str, int]]:
    result = check_set_full(operations)
    counts = {name: n for name, n in result.evidence.figures.items() if isinstance(n, int) and n and name != "findings"}
    return anomaly(result, set_full.ANOMALIES), counts


ADD = ok("add", 1, at=(0, 1))


def test_an_element_that_every_later_read_shows_is_stable() -> None:
    assert added(ADD, ok("read", result=[1], at=(2, 3))) == (None, {"stable": 1})


def test_an_element_that_no_read_can_tell_of_was_never_read() -> None:
    """Nothing read, or only before the addition was known: that is no loss."""
    assert added(ADD) == (None, {"never_read": 1})
    assert added(ok("add", 1, at=(0, 5)), ok("read", result=[], at=(2, 7), process=1)) == (None, {"never_read": 1})


def test_an_acknowledged_element_that_reads_lack_is_lost() -> None:
    assert added(ADD, ok("read", result=[], at=(2, 3))) == ("lost-element", {"lost": 1})


def test_an_element_that_was_seen_and_vanishes_is_lost_also_without_acknowledgement() -> None:
    """A read makes it known (Jepsen: `known`)."""
    crashed = ok("add", 1, at=(0, CRASHED), process=1)
    reads = [ok("read", result=[1], at=(2, 3)), ok("read", result=[], at=(4, 5))]
    assert added(crashed, *reads) == ("lost-element", {"lost": 1})
    assert added(crashed, reads[1]) == (None, {}), "never known, so never lost"


def test_an_element_that_a_read_lacked_before_others_showed_it_was_stale() -> None:
    reads = [ok("read", result=[], at=(12, 13)), ok("read", result=[1], at=(14, 15))]
    result = check_set_full([ADD, *reads])
    assert anomaly(result, set_full.ANOMALIES) == "stale-element"
    assert result.evidence.figures["stable_latency_ns"]["max"] == 12, "from 1, when it was known, to after 12"


def test_overlapping_reads_may_disagree() -> None:
    """The read that lacks the element was called before it was known."""
    late = ok("add", 1, at=(0, 9), process=2)
    reads = [ok("read", result=[], at=(1, 8)), ok("read", result=[1], at=(2, 7), process=1)]
    assert added(late, *reads) == (None, {"stable": 1})


def test_a_crashed_addition_may_be_seen_and_an_element_only_once() -> None:
    crashed = ok("add", 1, at=(0, CRASHED), process=1)
    assert added(crashed, ok("read", result=[1], at=(2, 3))) == (None, {"stable": 1, "crashed_but_seen": 1})
    assert added(ADD, ok("read", result=[1, 1], at=(2, 3)))[0] == "duplicate-element"


def test_sets_of_different_keys_have_nothing_to_do_with_each_other() -> None:
    assert added(ADD, ok("read", result=[], at=(2, 3), key="other")) == (None, {"never_read": 1})


# ── total-queue ──────────────────────────────────────────────────────────────────────────────────────────────────────

PUT = ok("enqueue", 1, at=(0, 1))
EMPTY = failed("dequeue", error="empty", at=(20, 21))


def queued(*operations: Operation) -> tuple[str | None, dict[str, int]]:
    result = check_total_queue(operations)
    figures = result.evidence.figures
    counts = {name: n for name, n in figures.items() if isinstance(n, int) and n and name != "findings"}
    return anomaly(result, total_queue.ANOMALIES), counts


def taken(value: int, at: tuple[int, int]) -> Operation:
    return ok("dequeue", result=value, at=at)


def test_what_was_put_in_comes_out_once() -> None:
    assert queued(PUT, taken(1, (2, 3)), EMPTY) == (None, {"enqueued": 1, "dequeued": 1})
    assert queued(PUT, taken(1, (2, 3)), taken(1, (4, 5)))[0] == "duplicate-element"


def test_an_element_that_had_not_come_out_when_the_queue_was_empty_is_lost() -> None:
    assert queued(PUT, EMPTY) == ("lost-element", {"enqueued": 1})


def test_a_queue_that_was_not_emptied_has_lost_nothing() -> None:
    """The run was cut off, or the queue was found empty before the element was put in."""
    assert queued(PUT) == (None, {"enqueued": 1, "left": 1})
    late = ok("enqueue", 1, at=(19, 22))
    assert queued(late, EMPTY) == (None, {"enqueued": 1, "left": 1})


def test_each_taking_without_an_answer_excuses_one_missing_element() -> None:
    """Jepsen's checker calls these lost."""
    crashed = ok("dequeue", at=(2, CRASHED), process=1)
    second = ok("enqueue", 2, at=(4, 5))
    assert queued(PUT, crashed, EMPTY) == (None, {"enqueued": 1, "excused": 1})
    assert queued(PUT, crashed, second, EMPTY)[0] == "lost-element"


def test_what_nobody_put_in_does_not_come_out() -> None:
    refused = failed("enqueue", 1, error="no-leader", at=(0, 1))
    assert queued(refused, taken(1, (2, 3)))[0] == "phantom-element"
    crashed = ok("enqueue", 1, at=(0, CRASHED), process=1)
    assert queued(crashed, taken(1, (2, 3))) == (None, {"recovered": 1})


# ── unique-ids ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_number_is_given_twice_by_one_counter() -> None:
    one, other = (ok("generate", result=7, at=(at, at + 1), process=at) for at in (0, 2))
    found = check_unique_ids([one, other])
    assert anomaly(found, unique_ids.ANOMALIES) == "duplicate-id"
    assert found.evidence.indexes == (0, 2)
    elsewhere = ok("generate", result=7, at=(4, 5), key="other")
    assert anomaly(check_unique_ids([one, elsewhere]), unique_ids.ANOMALIES) is None
    lost = ok("generate", at=(6, CRASHED))
    assert check_unique_ids([one, lost]).evidence.figures == {"asked": 2, "given": 1, "smallest": 7, "largest": 7}


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────

MS = 1_000_000


def grant(token: int, call_ms: int, *, owner: str, lease_ms: int = 100) -> Operation:
    return ok("acquire", [owner, lease_ms], token, at=(call_ms * MS, call_ms * MS + MS))


@pytest.mark.parametrize(("call_ms", "expected"), [(98, "two-holders"), (99, None), (150, None)])
def test_nobody_gets_a_lock_before_the_lease_can_be_over(call_ms: int, expected: str | None) -> None:
    """Granted at 0 ms at the earliest, for 100 ms; the next one returns 1 ms after its call."""
    pair = [grant(1, 0, owner="a"), grant(2, call_ms, owner="b")]
    assert anomaly(check_leases(pair), leases.ANOMALIES) == expected


def test_a_lock_that_may_have_been_given_back_may_be_given_to_another() -> None:
    """Also if the release has no answer; not if it certainly failed, or came too late."""
    first, second = grant(1, 0, owner="a"), grant(2, 50, owner="b")
    for release, expected in (
        (ok("release", 1, at=(10 * MS, 11 * MS)), None),
        (ok("release", 1, at=(10 * MS, CRASHED)), None),
        (failed("release", 1, error="lock-lost", at=(10 * MS, 11 * MS)), "two-holders"),
        (ok("release", 1, at=(60 * MS, 61 * MS)), "two-holders"),
    ):
        assert anomaly(check_leases([first, release, second]), leases.ANOMALIES) == expected
