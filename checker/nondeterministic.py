"""Specifications with several possible next states, made deterministic by the power-set construction.

The state of the resulting model is the set of all states that are possible: an operation leads from a set to the union
of what it leads to from each member, and is refused where every member refuses it. A history has an order that some
choice of states accepts exactly when it has one that the sets accept, so every rule of the search holds unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from checker.history import Operation
from checker.model import Model, Refused, Traits, describe, describe_value

__all__ = ["NondeterministicModel"]

S = TypeVar("S", bound=Hashable)

_PLAIN: Model[Any] = Model(name="", initial=None, step=lambda state, operation: state)
"""Where the defaults come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NondeterministicModel(Generic[S]):
    """As `Model`, but with several start states and several next ones. Judge with `to_model()`."""

    name: str
    initial: Sequence[S]
    step: Callable[[S, Operation], Sequence[S] | Refused]
    """All states that are possible after the operation, or why it cannot happen."""
    describe_operation: Callable[[Operation], str] = describe
    describe_state: Callable[[S], str] = describe_value
    label: Callable[[Operation], Hashable] = _PLAIN.label
    traits: Callable[[Operation], Traits] = _PLAIN.traits
    """Promises about every single state. `observer` alone is not used: where only some of the possible states allow an
    operation, seeing it happen rules out the others, which changes the set."""
    problem: Callable[[Operation], str | None] = _PLAIN.problem
    failure_observes: Callable[[Operation], bool] = _PLAIN.failure_observes

    def to_model(self) -> Model[frozenset[S]]:
        """The deterministic model of the sets of possible states."""
        return Model(
            name=self.name,
            initial=frozenset(self.initial),
            step=self._step,
            describe_operation=self.describe_operation,
            describe_state=self._describe,
            label=self.label,
            traits=self._traits,
            problem=self.problem,
            failure_observes=self.failure_observes,
        )

    def _step(self, possible: frozenset[S], operation: Operation) -> frozenset[S] | Refused:
        after: set[S] = set()
        refused = Refused("no state is possible")
        for state in possible:
            found = self.step(state, operation)
            if isinstance(found, Refused):
                refused = found
            else:
                after.update(found)
        if after:
            return frozenset(after)
        return refused if len(possible) == 1 else Refused("none of the possible states allows it")

    def _describe(self, possible: frozenset[S]) -> str:
        return " or ".join(sorted(self.describe_state(state) for state in possible))

    def _traits(self, operation: Operation) -> Traits:
        single = self.traits(operation)
        total = single.total or single.constant
        return Traits(observer=single.observer and total, total=total, constant=single.constant)
