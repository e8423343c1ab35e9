"""A run that tested nothing worth the name is not green (docs/architecture.md, "vacuous")."""

from __future__ import annotations

from typing import Any

import pytest

from checker.faults import FaultSummary
from checker.records import CheckResult, HistoryLine, Validity
from checker.vacuity import check_vacuity
from tests.checker.invariants.faults import effective, planned, story, summaries
from tests.checker.invariants.histories import at, call, fail, history, info, ok

WELL = history(call(0, "write", 1), ok(0, "write", 1), call(1, "read"), ok(1, "read", 1))


def causes(result: CheckResult) -> list[str]:
    assert (result.validity is Validity.VACUOUS) == bool(result.evidence.figures["causes"])
    assert result.anomaly == next(iter(result.evidence.figures["causes"]), None)
    return list(result.evidence.figures["causes"])


def judged(lines: list[HistoryLine], faults: tuple[FaultSummary, ...] = (), asked: tuple[str, ...] = ()) -> list[str]:
    return causes(check_vacuity(lines, faults, asked))


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("asked", [("kill",), ("crash",), ("all",), ("crash", "kill"), ()])
def test_a_fault_asked_for_by_kind_or_family_that_took_effect_is_enough(asked: tuple[str, ...]) -> None:
    assert judged(WELL, (effective("kill", "crash"),), asked) == []


@pytest.mark.parametrize("asked", [(), ("none",)])
def test_an_empty_plan_is_not_vacuous(asked: tuple[str, ...]) -> None:
    assert judged(WELL, (), asked) == []


@pytest.mark.parametrize(
    ("counts", "reason"),
    [({"killed": 0}, "no consequence was counted"), (None, "its consequences were never counted")],
)
def test_a_kind_without_effect_is_named_with_the_reason(counts: dict[str, int] | None, reason: str) -> None:
    result = check_vacuity(WELL, summaries(story("f1", counts=counts), story("f2", counts=counts)), ("kill",))
    assert causes(result) == ["no-effective-fault"]
    assert "kill never took effect" in result.evidence.summary
    assert reason in result.evidence.summary
    assert result.evidence.figures["faults"]["kill"]["effective"] == 0


def test_a_fault_that_was_never_applied_is_a_reason_too() -> None:
    result = check_vacuity(WELL, summaries([planned("f1")]), ("kill",))
    assert "never applied" in result.evidence.summary


def test_a_kind_that_took_effect_once_is_enough() -> None:
    faults = summaries(story("f1", counts={"killed": 0}), story("f2", counts={"killed": 1}, from_ms=0, to_ms=1000))
    assert judged(WELL, faults, ("kill",)) == []


def test_a_dead_kind_of_an_asked_family_is_seen_beside_its_living_sisters() -> None:
    """A mechanism that became a no-op must not hide behind the other kinds of its family: three tries tell."""
    halves = [story(f"f{number}", "partition-halves", "partition", counts={"dropped": 0}) for number in (2, 3, 4)]
    living = story("f1", "partition-one", "partition", counts={"dropped": 9}, from_ms=0, to_ms=1000)
    faults = summaries(living, *halves)
    result = check_vacuity(WELL, faults, ("partition",))
    assert causes(result) == ["no-effective-fault"]
    assert "partition-halves never took effect" in result.evidence.summary
    assert judged(WELL, faults, ("partition-one",)) == []
    assert judged(WELL, summaries(living, *halves[1:]), ("partition",)) == []


def test_a_family_of_which_nothing_was_planned_is_named() -> None:
    result = check_vacuity(WELL, (effective(),), ("kill", "clock"))
    assert causes(result) == ["fault-not-planned"]
    assert "clock was asked for" in result.evidence.summary


def test_every_cause_is_named_once() -> None:
    faults = summaries(story("f1", counts={"killed": 0}), story("f2", "pause", "pause", counts=None))
    lines = history(call(0, "write", 1), fail(0, "write"), call(1, "read"), ok(1, "read", None))
    result = check_vacuity(lines, faults, ("all", "kill", "pause"))
    assert causes(result) == ["no-effective-fault", "no-effective-fault", "never-succeeded"]
    assert len(result.evidence.details) == 3


# ── operations ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_history_is_vacuous() -> None:
    assert judged([]) == ["no-operations"]


def test_an_operation_that_never_succeeded_is_named_with_its_errors() -> None:
    lines = history(
        *[call(0, "write", 1), ok(0, "write", 1), call(0, "cas", [1, 2]), fail(0, "cas", "mismatch")],
        *[call(0, "cas", [1, 2]), info(0, "cas", "timeout"), call(1, "read"), ok(1, "read", 1)],
    )
    result = check_vacuity(lines, (), ())
    assert causes(result) == ["never-succeeded"]
    assert "no cas ever succeeded (errors: mismatch, timeout)" in result.evidence.summary


# ── observations ─────────────────────────────────────────────────────────────────────────────────────────────────────

WINDOW = (effective(from_ms=100, to_ms=200),)


def reading(
    written: Any, read: Any, *, writer: int = 0, f: str = "write", when_ms: int = 150, key: str = "x"
) -> list[HistoryLine]:
    return history(
        *[call(writer, f, written), ok(writer, f, written)],
        *[at(when_ms - 10, call(1, "read", key=key)), at(when_ms, ok(1, "read", read, key=key))],
        at(300, call(2, "read")),
    )


@pytest.mark.parametrize("when_ms", [100, 150, 200])
def test_a_read_of_another_s_write_inside_a_fault_window_is_enough(when_ms: int) -> None:
    assert judged(reading(7, 7, when_ms=when_ms), WINDOW, ("kill",)) == []


@pytest.mark.parametrize("when_ms", [60, 99, 201])
def test_a_read_outside_the_windows_does_not_count(when_ms: int) -> None:
    assert judged(reading(7, 7, when_ms=when_ms), WINDOW, ("kill",)) == ["nothing-observed"]


def test_a_read_of_the_own_write_the_initial_value_or_another_key_does_not_count() -> None:
    assert judged(reading(7, 7, writer=1), WINDOW) == ["nothing-observed"]
    assert judged(reading(7, None), WINDOW) == ["nothing-observed"]
    assert judged(reading(7, 7, key="y"), WINDOW) == ["nothing-observed"]


def test_a_cas_writes_its_second_value_and_collections_show_their_members() -> None:
    assert judged(reading([3, 4], 4, f="cas"), WINDOW) == []
    assert judged(reading([3, 4], 3, f="cas"), WINDOW) == ["nothing-observed"]
    assert judged(reading(4, [1, 4], f="append"), WINDOW) == []
    assert judged(reading(4, [1], f="add"), WINDOW) == ["nothing-observed"]


def test_without_effective_faults_nothing_need_be_observed() -> None:
    assert judged(reading(7, None), ()) == []
    assert judged(reading(7, None), summaries(story("f1", counts={"killed": 0}))) == []


def test_a_workload_whose_reads_cannot_be_compared_with_its_writes_is_not_judged_by_them() -> None:
    assert judged(reading(4, 17, f="add"), WINDOW) == []
    assert judged(history(call(0, "acquire"), ok(0, "acquire")), WINDOW) == []
