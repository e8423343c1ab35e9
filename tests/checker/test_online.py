"""The online checker names the first impossible return as it happens: against brute force on every prefix (issue 4)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from checker.errors import IllFormedHistory
from checker.history import History, Operation, Outcome
from checker.model import Model
from checker.models import MODELS
from checker.online import Checker, Progress, Standing
from checker.records import HistoryLine, LineType
from tests.checker.generating import Shape, random_history
from tests.checker.model_histories import SCRIPTS, small_history
from tests.checker.oracle import is_linearizable


def as_lines(operations: Sequence[Operation]) -> list[HistoryLine]:
    """Crashed operations end with an `info` line some time after their call, or with none."""
    events: list[tuple[float, int, Operation, LineType, Any]] = []
    for one in operations:
        events.append((one.call_order, 0, one, LineType.INVOKE, one.value))
        if one.return_order is not None:
            value = one.result if one.outcome is Outcome.OK else None
            events.append((one.return_order, 1, one, LineType(one.outcome.value), value))
        elif one.index % 2:
            events.append((one.call_order + 3, 1, one, LineType.INFO, None))
    events.sort(key=lambda event: event[:2])
    return [
        HistoryLine(index=i, time_ns=i, process=one.process, type=kind, f=one.f, value=value, error=one.error)
        for i, (_, _, one, kind, value) in enumerate(events)
    ]


def first_impossible(lines: Sequence[HistoryLine], model: Model[Any]) -> int | None:
    """By brute force: the first line after which no order explains what was recorded."""
    for end, line in enumerate(lines, start=1):
        if line.type in (LineType.OK, LineType.FAIL) and not is_linearizable(History(lines[:end]).operations, model):
            return end - 1
    return None


def fed(lines: Sequence[HistoryLine], model: Model[Any], *, budget: int = 20_000) -> tuple[int | None, Progress | None]:
    checker = Checker(model, budget=budget)
    progress = None
    for place, line in enumerate(lines):
        progress = checker.feed(line)
        if progress.standing is Standing.IMPOSSIBLE:
            return place, progress
    return None, progress


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_first_impossible_return_is_named_when_it_happens(script: str) -> None:
    for seed in range(40):
        model, operations = small_history(script, Random(f"{seed}/online/{script}"))
        lines = as_lines(operations)
        assert fed(lines, model)[0] == first_impossible(lines, model), seed


def test_a_model_without_hints_is_judged_alike() -> None:
    """Then nothing is known of an open operation: each is applied as if its result were lost, and repeated."""
    for seed in range(60):
        model, operations = small_history("cas-register", Random(f"{seed}/online/plain"))
        plain = Model(
            name="plain",
            initial=model.initial,
            step=model.step,
            label=lambda one: (one.f, one.outcome, str(one.value), str(one.result)),
            failure_observes=model.failure_observes,
        )
        lines = as_lines(operations)
        assert fed(lines, plain)[0] == first_impossible(lines, model), seed


def line(index: int, process: int, kind: str, f: str, value: Any = None, key: Any = None) -> HistoryLine:
    return HistoryLine(index=index, time_ns=index, process=process, type=LineType(kind), f=f, value=value, key=key)


def test_progress_says_which_operation_of_which_key() -> None:
    checker = Checker(MODELS["register"])
    for index, (process, kind, f, value, key) in enumerate(
        [(1, "invoke", "write", 1, "x"), (2, "invoke", "read", None, "y"), (1, "ok", "write", 1, "x")]
    ):
        progress = checker.feed(line(index, process, kind, f, value, key))
        assert (progress.standing, progress.lines, progress.frontier) == (Standing.POSSIBLE, index + 1, 1)
    progress = checker.feed(line(3, 2, "ok", "read", 1, "y"))
    assert (progress.standing, progress.key) == (Standing.IMPOSSIBLE, "y")
    assert progress.impossible is not None
    assert (progress.impossible.index, progress.impossible.process) == (1, 2)
    later = checker.feed(line(4, 1, "invoke", "write", 1, "x"))
    assert (later.standing, later.impossible) == (Standing.IMPOSSIBLE, progress.impossible)


def test_a_partition_whose_budget_is_used_up_is_undecided_and_never_called_impossible() -> None:
    lines = as_lines(random_history(Random("online"), Shape(60, 12)))
    place, progress = fed(lines, MODELS["cas-register"], budget=3)
    assert place is None
    assert progress is not None
    assert progress.standing is Standing.UNDECIDED


def test_three_hundred_operations_by_ten_clients_stay_within_the_budget() -> None:
    lines = as_lines(random_history(Random("online"), Shape(300, 10)))
    place, progress = fed(lines, MODELS["cas-register"])
    assert place is None
    assert progress is not None
    assert progress.standing is Standing.POSSIBLE


def test_lines_that_are_no_history_are_refused() -> None:
    checker = Checker(MODELS["register"])
    with pytest.raises(IllFormedHistory, match="a return without a call"):
        checker.feed(line(0, 1, "ok", "read"))
    with pytest.raises(IllFormedHistory, match="a register has no operation 'cas'"):
        Checker(MODELS["register"]).feed(line(0, 1, "invoke", "cas", [1, 2]))
