"""The certificate in commit order and the two tiers (issue 4).

What positions mean is in `checker.certificate`: a change is its entry, a read saw the state after the entries up to its
index. A certificate that holds is a linearization; one that fails is only a reason to search.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from msgspec import structs

from checker.certificate import ANOMALIES, check_certificate
from checker.errors import IllFormedHistory
from checker.history import History, Operation, Outcome
from checker.models import MODELS
from checker.records import CheckResult, Evidence, HistoryLine, LineType, Validity
from checker.tiers import check_in_two_tiers, compare_tiers
from tests.checker.model_histories import SCRIPTS, small_history
from tests.checker.oracle import is_linearizable

CAS = MODELS["cas-register"]

Event = tuple[int, str, str, Any, tuple[int, int] | None]
"""(process, type, f, value, position)."""


def history(*events: Event, key: Any = "x") -> History:
    return History(
        HistoryLine(index=i, time_ns=i, process=p, type=LineType(t), f=f, key=key, value=v, position=position)
        for i, (p, t, f, v, position) in enumerate(events)
    )


def done(process: int, f: str, value: Any, position: tuple[int, int] | None) -> list[Event]:
    return [(process, "invoke", f, None if f == "read" else value, None), (process, "ok", f, value, position)]


def recorded(operations: Sequence[Operation]) -> History:
    events: list[tuple[int, int, Operation, LineType, Any]] = []
    for one in operations:
        events.append((one.call_order, 0, one, LineType.INVOKE, one.value))
        if one.return_order is not None:
            value = one.result if one.outcome is Outcome.OK else None
            events.append((one.return_order, 1, one, LineType(one.outcome.value), value))
    events.sort(key=lambda event: event[:2])
    return History(
        HistoryLine(
            index=i,
            time_ns=i,
            process=one.process,
            type=kind,
            f=one.f,
            value=value,
            error=None if kind is LineType.INVOKE else one.error,
            position=None if kind is LineType.INVOKE else one.position,
        )
        for i, (_, _, one, kind, value) in enumerate(events)
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_certificate_that_holds_is_a_linearization_and_true_positions_never_fail(script: str) -> None:
    """Positions come from the order in which the object was played; half of the histories are then spoiled."""
    held = spoiled = 0
    for seed in range(120):
        model, operations = small_history(script, Random(f"{seed}/certificate/{script}"))
        subject = recorded(operations)
        validity = check_certificate(subject, model).validity
        legal = is_linearizable(subject.operations, model)
        assert legal or validity is not Validity.VALID, seed
        held, spoiled = held + (validity is Validity.VALID), spoiled + (not legal)
    assert held > 20
    assert spoiled > 10


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_log_of_a_correct_object_is_never_denied(script: str) -> None:
    for seed in range(120):
        model, operations = small_history(script, Random(f"{seed}/true/{script}"), spoil=False)
        result = check_certificate(recorded(operations), model)
        crashed = any(one.outcome is Outcome.INFO for one in operations)
        assert result.validity is Validity.VALID or (crashed and result.validity is Validity.UNKNOWN), (seed, result)


FAULTS = {
    "position-taken-twice": [*done(1, "write", 1, (1, 4)), *done(1, "write", 2, (2, 4))],
    "terms-out-of-order": [*done(1, "write", 1, (2, 4)), *done(1, "write", 2, (1, 5))],
    "out-of-real-time-order": [*done(1, "write", 1, (1, 5)), *done(2, "write", 2, (1, 4))],
    "result-differs": [*done(1, "write", 1, (1, 4)), *done(2, "read", 7, (1, 4))],
}


@pytest.mark.parametrize("anomaly", FAULTS)
def test_a_fault_of_the_log_is_called_by_its_name(anomaly: str) -> None:
    result = check_certificate(history(*FAULTS[anomaly]), CAS)
    assert (result.name, result.validity, result.anomaly) == ("certificate", Validity.INVALID, anomaly)
    assert result.key == "x"
    assert anomaly in dict(ANOMALIES)


def test_a_read_sees_the_state_of_its_index_and_needs_no_entry_of_its_own() -> None:
    both = [*done(1, "write", 1, (1, 4)), *done(2, "read", 1, (1, 4)), *done(2, "read", 1, (3, 9))]
    assert check_certificate(history(*both), CAS).validity is Validity.VALID
    early: list[Event] = [
        (2, "invoke", "read", None, None),
        *done(1, "write", 1, (1, 4)),
        (2, "ok", "read", None, (1, 3)),
    ]
    assert check_certificate(history(*early), CAS).validity is Validity.VALID


def test_reads_of_other_keys_entries_may_come_in_any_order() -> None:
    """Between indexes 4 and 9 this key did not change, so a read at 6 after a read at 9 sees nothing old."""
    reads = [*done(1, "write", 1, (1, 4)), *done(2, "read", 1, (1, 9)), *done(3, "read", 1, (1, 6))]
    assert check_certificate(history(*reads), CAS).validity is Validity.VALID


@pytest.mark.parametrize("index", [4, 5])
def test_a_failed_cas_saw_the_state_at_its_index_with_or_without_an_entry_of_its_own(index: int) -> None:
    def failing(expected: int) -> History:
        lines = history(*done(1, "write", 1, (1, 4)), (2, "invoke", "cas", [expected, 3], None)).lines
        failed = HistoryLine(
            index=3,
            time_ns=3,
            process=2,
            type=LineType.FAIL,
            f="cas",
            key="x",
            error="cas-mismatch",
            position=(1, index),
        )
        return History([*lines, failed])

    assert check_certificate(failing(2), CAS).validity is Validity.VALID
    assert check_certificate(failing(1), CAS).anomaly == "result-differs"


def test_a_crashed_operation_may_have_been_any_entry() -> None:
    crashed: Event = (9, "invoke", "write", 7, None)
    seen = history(*done(1, "write", 1, (1, 4)), crashed, *done(2, "read", 7, (1, 6)))
    assert check_certificate(seen, CAS).validity is Validity.VALID
    unexplained = history(*done(1, "write", 1, (1, 4)), crashed, *done(2, "read", 8, (1, 6)))
    assert check_certificate(unexplained, CAS).validity is Validity.UNKNOWN
    too_late = history(*done(1, "write", 1, (1, 4)), *done(2, "read", 8, (1, 6)), crashed)
    assert check_certificate(too_late, CAS).validity is Validity.INVALID


def test_a_crashed_operation_that_was_put_too_early_is_a_doubt_and_no_fault() -> None:
    """Found by a campaign (seed 9): a cas that was called early and failed late saw a crashed write, a read did not."""
    lines = history(
        *done(1, "write", 21, (1, 55)),
        (2, "invoke", "cas", [21, 22], None),
        *done(3, "read", 21, (1, 57)),
        (9, "invoke", "write", 23, None),
    ).lines
    failed = HistoryLine(
        index=6, time_ns=6, process=2, type=LineType.FAIL, f="cas", key="x", error="cas-mismatch", position=(1, 63)
    )
    assert check_certificate(History([*lines, failed]), CAS).validity is Validity.VALID
    unseen = done(4, "read", 21, (1, 64))
    doubtful = History([*lines, failed, *structs_at(unseen, 7)])
    assert check_certificate(doubtful, CAS).validity is Validity.UNKNOWN


def structs_at(events: Sequence[Event], index: int) -> list[HistoryLine]:
    """Further lines, numbered from `index`."""
    return [
        structs.replace(line, index=number, time_ns=number) for number, line in enumerate(history(*events).lines, index)
    ]


def test_without_positions_the_log_says_nothing() -> None:
    result = check_certificate(history(*done(1, "write", 1, None)), CAS)
    assert (result.validity, "carries no position" in result.evidence.summary) == (Validity.UNKNOWN, True)
    assert check_certificate(History([]), CAS).validity is Validity.VALID
    with pytest.raises(IllFormedHistory):
        check_certificate(history(*done(1, "pop", 1, (1, 1))), CAS)


def names(results: Sequence[CheckResult]) -> list[tuple[str, Validity]]:
    return [(one.name, one.validity) for one in results]


def test_the_search_confirms_every_failure() -> None:
    found = check_in_two_tiers(history(*FAULTS["result-differs"]), CAS, confirm=False)
    assert names(found) == [("linearizability", Validity.INVALID), ("certificate", Validity.INVALID)]


@pytest.mark.parametrize("confirm", [True, False])
def test_a_certificate_that_holds_is_confirmed_where_that_is_asked(confirm: bool) -> None:
    subject = history(*done(1, "write", 1, (1, 4)), *done(2, "read", 1, (1, 4)))
    found = check_in_two_tiers(subject, CAS, confirm=confirm)
    assert names(found) == [("linearizability", Validity.VALID), ("certificate", Validity.VALID)]
    assert (found[0].evidence.figures.get("phase") == "certificate") is not confirm


def test_tiers_that_disagree_are_a_harness_error_and_the_search_decides() -> None:
    """A system that reports false positions: the history has a legal order, but not the one of its log."""
    swapped: list[Event] = [
        (1, "invoke", "write", 1, None),
        (2, "invoke", "write", 2, None),
        (1, "ok", "write", 1, (1, 5)),
        (2, "ok", "write", 2, (1, 4)),
        *done(3, "read", 2, (1, 5)),
    ]
    found = check_in_two_tiers(history(*swapped), CAS, confirm=True)
    assert names(found) == [
        ("linearizability", Validity.VALID),
        ("certificate", Validity.UNKNOWN),
        ("tiers", Validity.HARNESS_ERROR),
    ]
    assert found[-1].anomaly == "tiers-disagree"


def test_a_search_that_denies_a_certificate_that_holds_is_a_disagreement_too() -> None:
    """Neither can be believed before somebody has looked; invalid masks the harness error in the run's verdict."""
    sure = check_certificate(history(*done(1, "write", 1, (1, 4))), CAS)
    wrong = CheckResult(name="linearizability", validity=Validity.INVALID, anomaly="x", evidence=Evidence(summary="x"))
    assert names(compare_tiers(wrong, sure))[-1] == ("tiers", Validity.HARNESS_ERROR)


def test_a_certificate_that_says_nothing_is_left_out() -> None:
    found = check_in_two_tiers(history(*done(1, "write", 1, None)), CAS, confirm=False)
    assert names(found) == [("linearizability", Validity.VALID)]


def test_a_planted_fault_of_the_certificate_is_found() -> None:
    """Reading before one's index instead of at it: true positions would be denied."""
    denied = 0
    for seed in range(60):
        model, operations = small_history("cas-register", Random(f"{seed}/true/x"), spoil=False)
        early = [
            structs.replace(one, position=(one.position[0], one.position[1] - 1))
            if one.position is not None and one.f == "read"
            else one
            for one in operations
        ]
        denied += check_certificate(recorded(early), model).validity is Validity.INVALID
    assert denied > 5
