"""Availability: a figure during faults, a promise long after them."""

from __future__ import annotations

import pytest

from checker.availability import CALM_MIN, GRACE_NS, check_availability
from checker.history import Operation
from checker.records import CheckResult, Phase, Validity
from tests.checker.rules.operations import CRASHED, failed, ok

SECOND = 1_000_000_000
LOAD = (Phase(name="load", begin_ns=0, end_ns=20 * SECOND),)
FAULTS = ((5 * SECOND, 6 * SECOND),)
AFTER = 6 * SECOND + GRACE_NS


def served(count: int, begin_ns: int) -> list[Operation]:
    return [ok("read", result=1, at=(begin_ns + 2 * n, begin_ns + 2 * n + 1)) for n in range(count)]


def refused(count: int, begin_ns: int, error: str = "no-leader") -> list[Operation]:
    return [failed("read", error=error, at=(begin_ns + 2 * n, begin_ns + 2 * n + 1)) for n in range(count)]


def check(*operations: Operation, simulated: bool = True) -> CheckResult:
    return check_availability(operations, LOAD, FAULTS, simulated=simulated)


def test_a_cluster_that_has_just_elected_its_first_leader_has_the_time_that_follows_a_fault() -> None:
    """The engine enters the load phase when one node leads; the others have yet to hear of it."""
    phases = (
        Phase(name="settle", begin_ns=0, end_ns=SECOND),
        Phase(name="load", begin_ns=SECOND, end_ns=20 * SECOND),
    )
    early, late = refused(CALM_MIN, 2 * SECOND), refused(CALM_MIN, SECOND + GRACE_NS + 1)
    answered = served(1, 19 * SECOND)
    for operations, validity in ((early, Validity.VALID), (late, Validity.INVALID)):
        result = check_availability([*operations, *answered], phases, (), simulated=True)
        assert result.validity is validity


def test_long_after_a_fault_there_is_no_excuse() -> None:
    result = check(*served(10, 0), *refused(CALM_MIN, AFTER + 1))
    assert (result.validity, result.anomaly) == (Validity.INVALID, "unavailable")
    assert result.evidence.figures["calm"] == 10 + CALM_MIN


def test_where_time_is_real_a_busy_machine_is_no_violation() -> None:
    """As a spent budget of time: invalid in the simulator, unknown elsewhere (architecture §8)."""
    enough = served(CALM_MIN, AFTER + 1)
    half, less = (check(*enough, *refused(CALM_MIN + n, AFTER + 9_999), simulated=False) for n in (0, 1))
    assert (half.validity, less.validity) == (Validity.VALID, Validity.UNKNOWN)
    assert less.anomaly == "unavailable"


@pytest.mark.parametrize("begin_ns", [5 * SECOND, 5 * SECOND - 50, AFTER - 2 * CALM_MIN, 21 * SECOND])
def test_during_and_shortly_after_a_fault_and_outside_of_the_load_it_is_a_figure(begin_ns: int) -> None:
    result = check(*served(10, 0), *refused(CALM_MIN, begin_ns))
    assert result.validity is Validity.VALID


def test_an_answer_that_the_state_forbids_more_is_service() -> None:
    """`cas-mismatch`, `empty`, `lock-held`: the system answered."""
    result = check(*served(1, 0), *refused(CALM_MIN, AFTER + 1, error="cas-mismatch"))
    assert result.validity is Validity.VALID
    assert result.evidence.figures["calm_share"] == 1.0


def test_silence_is_no_service() -> None:
    silent = [ok("write", n, at=(AFTER + 1 + n, CRASHED), process=n) for n in range(CALM_MIN)]
    assert check(*served(1, 0), *silent).validity is Validity.INVALID


def test_too_little_calm_and_a_run_that_was_never_served_prove_nothing() -> None:
    """Who never served is judged by `liveness` and `vacuity`: it may be the clients."""
    assert check(*served(1, 0), *refused(CALM_MIN - 2, AFTER + 1)).validity is Validity.VALID
    assert check(*refused(10 * CALM_MIN, AFTER + 1)).validity is Validity.VALID
