"""What a sequential specification is: a start state and a step. Here belongs its shape; models are in `checker.models`.

A model is data: functions in a record, most of them optional. `docs/checker.md` shows how to write one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from checker.history import Operation, Outcome, freeze

__all__ = ["Model", "Refused", "Traits", "describe", "describe_value"]

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation is impossible in this state. `reason` is a clause: `the register holds 5, not 3`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Traits:
    """Hints that make the search fast. Each is a promise about *all* states, verified while checking (ModelError).

    The promises may depend on everything that `Model.step` may look at.
    """

    observer: bool = False
    """Where it is legal it changes nothing: a read. NOT merely "changes nothing here"."""
    total: bool = False
    """It is legal in every state."""
    constant: bool = False
    """It is legal in every state and always leads to the same one: a write. Includes `total`."""


def describe_value(value: Any) -> str:
    """A value for people: JSON's words for null and booleans, strings quoted only where they would mislead."""
    match value:
        case None:
            return "nil"
        case str() if value.isidentifier():
            return value
        case list() | tuple():
            return "[" + " ".join(describe_value(item) for item in value) + "]"
        case _:
            return repr(freeze(value))


def describe(operation: Operation) -> str:
    """`write(5)`, `read -> 3`, `cas([1 2])`, with `?` for a result nobody saw."""
    argument = "" if operation.value is None else f"({describe_value(operation.value)})"
    match operation.outcome:
        case Outcome.OK if operation.result != operation.value or not argument:
            return f"{operation.f}{argument} -> {describe_value(operation.result)}"
        case Outcome.INFO:
            return f"{operation.f}{argument} -> ?"
        case Outcome.FAIL:
            return f"{operation.f}{argument} -> failed"
        case _:
            return f"{operation.f}{argument}"


def _by_key(operation: Operation) -> Hashable:
    return freeze(operation.key)


def _everything(operation: Operation) -> Hashable:
    return (
        operation.f,
        freeze(operation.key),
        freeze(operation.value),
        freeze(operation.result),
        operation.outcome,
        operation.error,
    )


def _no_traits(operation: Operation) -> Traits:
    return Traits()


def _no_problem(operation: Operation) -> str | None:
    return None


def _says_nothing(operation: Operation) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Generic[S]):
    """A deterministic sequential specification of one object, such as one key.

    Every function must be pure. They may look at an operation's `f`, `key`, `value`, `result`, `outcome` and `error`
    and at nothing else: operations with equal labels are treated as one.
    """

    name: str
    initial: S
    step: Callable[[S, Operation], S | Refused]
    """The state after the operation, or why it cannot happen. For an operation with outcome `info`, the state after it
    took effect with a result that nobody saw; the search itself also tries that it never takes effect."""
    partition: Callable[[Operation], Hashable] = _by_key
    """Operations on different partitions must not influence each other; each is judged on its own."""
    describe_operation: Callable[[Operation], str] = describe
    describe_state: Callable[[S], str] = describe_value
    label: Callable[[Operation], Hashable] = _everything
    """What `step` and `traits` look at. Give equal labels to operations that do the same, such as a completed and a
    crashed write of one value: the search then never tries both orders of them."""
    traits: Callable[[Operation], Traits] = _no_traits
    problem: Callable[[Operation], str | None] = _no_problem
    """What is wrong with an operation that the model cannot judge (an unknown `f`, a malformed argument)."""
    failure_observes: Callable[[Operation], bool] = _says_nothing
    """Of an operation with outcome `fail`: does its failure tell something about the state? If not, it is left out."""
    read_initial: Callable[[Any], S] = freeze  # type: ignore[assignment]
    """The start state that a JSON value means."""

    def starting_at(self, value: Any) -> Model[S]:
        """This model with another start state, given as a JSON value."""
        return replace(self, initial=self.read_initial(value))
