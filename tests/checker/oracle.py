"""Brute force: every order that real time allows, one after another. Knows none of the engine's ideas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation, Outcome
from checker.model import Model, Refused

__all__ = ["is_linearizable"]


def is_linearizable(operations: Sequence[Operation], model: Model[Any]) -> bool:
    """The definition: some order of all completed and any of the crashed operations that respects time and model."""
    subject = [one for one in operations if one.outcome is not Outcome.FAIL or model.failure_observes(one)]
    return _extend(subject, model, model.initial)


def _extend(left: list[Operation], model: Model[Any], state: Any) -> bool:
    returns = [one.return_order for one in left if one.return_order is not None]
    if not returns:
        return True
    for one in left:
        if one.call_order <= min(returns):
            after = model.step(state, one)
            if not isinstance(after, Refused) and _extend([other for other in left if other is not one], model, after):
                return True
    return False
