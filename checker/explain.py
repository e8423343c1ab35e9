"""Says in words and drawings why a partition is not linearizable, or how far an undecided search came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation
from checker.model import Model
from checker.partition import Budget, Result
from checker.records import Evidence

__all__ = ["explain_illegal", "explain_unknown"]


def explain_illegal(
    key: Any, operations: Sequence[Operation], model: Model[Any], result: Result, *, minimal: bool
) -> tuple[str, Evidence]:
    """The class of the anomaly and the evidence for it."""
    assert result.stuck is not None
    operation = result.stuck.operation
    summary = (
        f"{model.describe_operation(operation)} by process {operation.process} cannot be placed in any legal order"
    )
    return "not-linearizable", Evidence(summary=summary, indexes=(operation.index,))


def explain_unknown(
    key: Any, operations: Sequence[Operation], model: Model[Any], result: Result, budget: Budget
) -> Evidence:
    """How far the search came, on which key, and what it was allowed."""
    stuck = result.stuck
    far = 0 if stuck is None else stuck.operation.index
    return Evidence(
        summary=f"Undecided for key {key!r} after {budget.configurations} configurations, up to line {far}."
    )
