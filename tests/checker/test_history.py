"""A history is well formed or refused: architecture.md §4 and §8, issue 2."""

from __future__ import annotations

from typing import Any

import pytest

from checker.errors import IllFormedHistory
from checker.history import Frozen, History, Outcome, freeze
from checker.records import HistoryLine, LineType


def line(index: int, process: int, kind: str, f: str = "write", time_ns: int | None = None, **rest: Any) -> HistoryLine:
    at = index if time_ns is None else time_ns
    return HistoryLine(index=index, time_ns=at, process=process, type=LineType(kind), f=f, **rest)


def test_a_return_is_paired_with_its_call() -> None:
    history = History(
        [
            line(0, 1, "invoke", key="x", value=3, node="n1"),
            line(1, 2, "invoke", "read", key="y"),
            line(2, 1, "ok", key="x", value=3, position=(2, 7)),
            line(3, 2, "ok", "read", key="y", value=5),
        ]
    )
    write, read = history.operations
    assert (write.index, write.call_order, write.return_order, write.outcome) == (0, 0, 2, Outcome.OK)
    assert (write.value, write.node, write.position) == (3, "n1", (2, 7))
    assert (read.value, read.result, read.call_ns, read.return_ns) == (None, 5, 1, 3)
    assert list(history.by_key()) == ["x", "y"]


def test_an_invocation_left_open_counts_as_info() -> None:
    (operation,) = History([line(0, 1, "invoke", value=3)]).operations
    assert (operation.outcome, operation.return_order, operation.return_ns) == (Outcome.INFO, None, None)


def test_an_info_never_returns_and_keeps_its_error() -> None:
    (operation,) = History([line(0, 1, "invoke", value=3), line(1, 1, "info", error="timeout")]).operations
    assert (operation.outcome, operation.return_order, operation.error) == (Outcome.INFO, None, "timeout")


ILL_FORMED = {
    "indexes must count up": [line(0, 1, "invoke"), line(2, 1, "ok")],
    "time runs backwards": [line(0, 1, "invoke", time_ns=5), line(1, 1, "ok", time_ns=4)],
    "is open": [line(0, 1, "invoke"), line(1, 1, "invoke")],
    "has not invoked": [line(0, 1, "ok")],
    "completes read": [line(0, 1, "invoke"), line(1, 1, "ok", "read")],
    "of key 'y'": [line(0, 1, "invoke", key="x"), line(1, 1, "ok", key="y")],
    "used again": [line(0, 1, "invoke"), line(1, 1, "info"), line(2, 1, "invoke")],
}


@pytest.mark.parametrize("problem", ILL_FORMED)
def test_lines_that_are_no_history_are_refused_with_their_index(problem: str) -> None:
    with pytest.raises(IllFormedHistory, match=problem) as caught:
        History(ILL_FORMED[problem])
    assert caught.value.index == len(ILL_FORMED[problem]) - 1


def test_an_operation_that_returns_twice_is_refused() -> None:
    with pytest.raises(IllFormedHistory, match="returns twice: process 1 completes what it called at index 0, but"):
        History([line(0, 1, "invoke"), line(1, 1, "ok"), line(2, 1, "ok")])


def test_frozen_values_are_equal_exactly_when_the_json_values_are() -> None:
    values: list[Any] = [0, 1, True, False, 1.0, "1", "true", None, "null", [1], [True], {"a": 1}, {"a": True}, []]
    frozen = [freeze(value) for value in values]
    assert len(set(frozen)) == len(values)
    assert freeze({"a": 1, "b": [2]}) == freeze({"b": [2], "a": 1})
    assert freeze(Frozen("[1]")) == freeze([1])
