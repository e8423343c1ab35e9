"""One partition of a history, compiled to integers: what every search engine works on.

Here belongs the compilation; not the model's behaviour (`checker.transitions`), not the search (`checker.search`).
A `Problem` is plain integers on purpose: a compiled engine can take it as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from checker.errors import IllFormedHistory
from checker.history import Operation, Outcome
from checker.model import Model, Traits

__all__ = ["NEVER", "Problem", "Step", "compile_problem", "give_bits"]

NEVER = 1 << 62
"""The deadline of an operation that never returned."""


@dataclass(frozen=True, slots=True)
class Step:
    """The calls since the last return, and the return that ends the step."""

    calls: tuple[int, ...]
    returning: int
    lapsing: tuple[int, ...] = ()
    """Crashed operations that nobody needs any more; gone before the calls."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Operations are numbered by place in `operations`, classes of operations with equal labels by place in `classes`.

    Left out: failed operations that observe nothing, crashed observers (they can always be left out of a
    linearization), and calls after the last return (nothing needs them any more).
    """

    operations: tuple[Operation, ...]
    class_of: tuple[int, ...]
    classes: tuple[Operation, ...]
    """One operation of each class; the model is asked about this one."""
    traits: tuple[Traits, ...]
    """Per class."""
    steps: tuple[Step, ...]
    deadlines: tuple[int, ...]
    """Per operation: the step that its return ends, or NEVER."""
    bits: tuple[int, ...]
    """Per operation: a power of two that no other operation has while this one is open."""
    lapses: tuple[int, ...]
    """Per operation: the step at which it lapses (`checker.retirement`), or NEVER."""
    exact: frozenset[int] = frozenset()
    """Classes whose crashed operations a relaxed pass may use only once each."""


def compile_problem(operations: Sequence[Operation], model: Model[Any]) -> Problem:
    """Compile one partition. Raises IllFormedHistory for an operation that the model does not know.

    Calls and returns are ordered by rank; at equal rank calls come first (closed intervals, as Porcupine's).
    """
    numbers: dict[Hashable, int] = {}
    kept: list[Operation] = []
    class_of: list[int] = []
    classes: list[Operation] = []
    traits: list[Traits] = []
    for operation in operations:
        if operation.outcome is Outcome.FAIL and not model.failure_observes(operation):
            continue
        label = model.label(operation) if (problem := model.problem(operation)) is None else None
        if problem is not None:
            raise IllFormedHistory(operation.index, f"{problem} (model {model.name})")
        number = numbers.setdefault(label, len(classes))
        if number == len(classes):
            classes.append(operation)
            traits.append(model.traits(operation))
        if operation.return_order is None and traits[number].observer:
            continue
        kept.append(operation)
        class_of.append(number)
    steps = _steps(kept)
    deadlines = [NEVER] * len(kept)
    for place, step in enumerate(steps):
        deadlines[step.returning] = place
    return Problem(
        operations=tuple(kept),
        class_of=tuple(class_of),
        classes=tuple(classes),
        traits=tuple(traits),
        steps=steps,
        deadlines=tuple(deadlines),
        bits=give_bits(len(kept), steps),
        lapses=(NEVER,) * len(kept),
    )


def _steps(operations: Sequence[Operation]) -> tuple[Step, ...]:
    events: list[tuple[int, int, int]] = []
    for number, operation in enumerate(operations):
        events.append((operation.call_order, 0, number))
        if operation.return_order is not None:
            if operation.return_order < operation.call_order:
                raise IllFormedHistory(operation.index, "the operation returns before it is called")
            events.append((operation.return_order, 1, number))
    events.sort()
    steps: list[Step] = []
    calls: list[int] = []
    for _, is_return, number in events:
        if is_return:
            steps.append(Step(tuple(calls), number))
            calls = []
        else:
            calls.append(number)
    return tuple(steps)


def give_bits(count: int, steps: Sequence[Step]) -> tuple[int, ...]:
    """Bits are used again after the return or the lapse, so that sets of open operations stay a few words wide."""
    bits = [0] * count
    free: list[int] = []
    used = 0
    for step in steps:
        free.extend(bits[number] for number in step.lapsing)
        for number in step.calls:
            if free:
                bits[number] = free.pop()
            else:
                bits[number] = 1 << used
                used += 1
        free.append(bits[step.returning])
    return tuple(bits)
