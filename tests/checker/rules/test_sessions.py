"""Monotonic reads and read your writes, for each way in which reads show what was written."""

from __future__ import annotations

from typing import Any

import pytest

from checker.history import Operation
from checker.sessions import ANOMALIES, VIEWS, check_sessions
from tests.checker.rules.operations import CRASHED, anomaly, ok

Steps = list[tuple[str, Any, Any]]


def session(steps: Steps, process: int = 0) -> list[Operation]:
    """(f, argument, result), one after the other."""
    return [
        ok(f, value, result, at=(2 * place, 2 * place + 1), process=process)
        for place, (f, value, result) in enumerate(steps)
    ]


def found(view: str, steps: Steps) -> str | None:
    return anomaly(check_sessions(session(steps), view), ANOMALIES)


RIGHT: list[tuple[str, Steps]] = [
    ("values", [("read", None, 1), ("write", 2, 2), ("read", None, 2), ("read", None, 3), ("cas", [3, 4], [3, 4])]),
    ("values", [("write", 1, 1), ("read", None, 7), ("read", None, 7)]),
    ("lists", [("read", None, [1]), ("append", 2, 2), ("read", None, [1, 3, 2]), ("read", None, [1, 3, 2, 4])]),
    ("sets", [("read", None, [1]), ("add", 2, 2), ("read", None, [3, 2, 1])]),
    ("sums", [("add", 2, 2), ("read", None, 5), ("read", None, 5)]),
]
WRONG: list[tuple[str, str, Steps]] = [
    ("values", "non-monotonic-read", [("read", None, 1), ("read", None, 2), ("read", None, 1)]),
    ("values", "own-write-missing", [("read", None, 1), ("write", 2, 2), ("read", None, 1)]),
    ("values", "own-write-missing", [("cas", [1, 2], [1, 2]), ("read", None, 1)]),
    ("lists", "non-monotonic-read", [("read", None, [1, 2]), ("read", None, [1])]),
    ("lists", "non-monotonic-read", [("read", None, [1, 2]), ("read", None, [2, 1, 3])]),
    ("lists", "own-write-missing", [("append", 1, 1), ("read", None, [2])]),
    ("sets", "non-monotonic-read", [("read", None, [1, 2]), ("read", None, [2, 3])]),
    ("sets", "own-write-missing", [("add", 1, 1), ("read", None, [2])]),
    ("sums", "non-monotonic-read", [("read", None, 3), ("read", None, 2)]),
    ("sums", "own-write-missing", [("add", 2, 2), ("add", 2, 2), ("read", None, 3)]),
]


@pytest.mark.parametrize(("view", "steps"), RIGHT)
def test_what_a_client_sees_only_grows_and_has_its_own_writes(view: str, steps: Steps) -> None:
    assert found(view, steps) is None


@pytest.mark.parametrize(("view", "expected", "steps"), WRONG)
def test_a_state_older_than_one_seen_or_without_the_own_writes_is_named(view: str, expected: str, steps: Steps) -> None:
    """Terry et al. 1994, §3."""
    assert found(view, steps) == expected


def test_every_view_has_an_example_of_both_violations() -> None:
    assert {(view, name) for view, name, _ in WRONG} == {(view, name) for view in VIEWS for name, _ in ANOMALIES}


def test_different_clients_owe_each_other_nothing() -> None:
    """That is linearizability's affair."""
    steps = session([("read", None, [1, 2])]), session([("read", None, [1])], process=1)
    assert anomaly(check_sessions([*steps[0], *steps[1]], "lists"), ANOMALIES) is None


def test_a_write_without_an_answer_is_not_owed() -> None:
    crashed = ok("append", 1, at=(0, CRASHED))
    read = ok("read", None, [2], at=(2, 3))
    assert anomaly(check_sessions([crashed, read], "lists"), ANOMALIES) is None


def test_registers_whose_values_repeat_are_not_judged() -> None:
    """A value that is written twice may come back."""
    steps: Steps = [("write", 1, 1), ("write", 2, 2), ("write", 1, 1), ("read", None, 2), ("read", None, 1)]
    result = check_sessions(session(steps), "values")
    assert result.evidence.figures == {"sessions": 0, "reads": 0}
