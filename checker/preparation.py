"""What is done with a model and one partition before any search: narrowing the model, and conditions that are cheap.

Both are the model's own knowledge (`Model.refine`, `Model.impossible`); here they are only asked at the right moment,
about operations that the model can judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.linearization import replay
from checker.model import Model

__all__ = ["find_impossible", "find_proposed", "refined", "relevant"]


def refined(model: Model[Any], operations: Sequence[Operation]) -> Model[Any]:
    """`model` narrowed to this partition, where it can be; itself if an operation has a problem, reported later."""
    if model.refine is None or not _all_known(model, operations):
        return model
    return model.refine(model, relevant(model, operations))


def find_impossible(model: Model[Any], operations: Sequence[Operation]) -> Operation | None:
    """An operation that no order can place, if the model sees one without a search."""
    if model.impossible is None:
        return None
    found = model.impossible(model, relevant(model, operations))
    assert found is None or found.return_order is not None, "only an operation that returned can be impossible"
    return found


def find_proposed(model: Model[Any], operations: Sequence[Operation]) -> tuple[Operation, ...] | None:
    """An order that the model proposes and that holds, as its replay shows."""
    order = None if model.propose is None else model.propose(model, relevant(model, operations))
    if order is None or replay(operations, order, model) is not None:
        return None
    return tuple(order)


def relevant(model: Model[Any], operations: Sequence[Operation]) -> list[Operation]:
    """The operations that took effect, may have, or whose failure tells something."""
    return [one for one in operations if one.outcome is not Outcome.FAIL or model.failure_observes(one)]


def _all_known(model: Model[Any], operations: Sequence[Operation]) -> bool:
    return all(model.problem(one) is None for one in relevant(model, operations))
