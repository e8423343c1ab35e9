"""From which step on nobody needs a crashed operation any more: its place is then free for others.

Exact for models with a `footprint` (rule 15 of docs/checker.md). With a horizon, crashed operations are given up that
many steps after their call whether or not they are needed: what is then found legal is legal, *stuck* says nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from checker.model import ELSEWHERE, Footprint, Model, Nothing
from checker.problem import NEVER, Problem, give_bits

__all__ = ["retire"]


def retire(problem: Problem, model: Model[Any], horizon: int | None = None) -> Problem:
    """`problem` with the step at which each crashed operation lapses."""
    called: dict[int, int] = {}
    for place, step in enumerate(problem.steps):
        called.update((number, place) for number in step.calls if problem.deadlines[number] == NEVER)
    if not called:
        return problem
    lapses = [NEVER] * len(problem.operations)
    for number, unneeded in _unneeded(problem, model, called).items():
        lapses[number] = unneeded
    if horizon is not None:
        for number, place in called.items():
            lapses[number] = min(lapses[number], place + horizon)
    lapsing: list[list[int]] = [[] for _ in problem.steps]
    for number in called:
        if lapses[number] < len(lapsing):
            lapsing[lapses[number]].append(number)
        else:
            lapses[number] = NEVER
    steps = tuple(
        replace(step, lapsing=tuple(sorted(numbers))) if numbers else step
        for step, numbers in zip(problem.steps, lapsing, strict=True)
    )
    return replace(problem, steps=steps, lapses=tuple(lapses), bits=give_bits(len(lapses), steps))


def _unneeded(problem: Problem, model: Model[Any], called: dict[int, int]) -> dict[int, int]:
    """Per crashed operation: the first step at which its value is told from others by nothing that counts."""
    if model.footprint is None:
        return {}
    prints = tuple(model.footprint(operation) for operation in problem.classes)
    returned: dict[int, int] = {}
    for number, deadline in enumerate(problem.deadlines):
        if deadline != NEVER and returned.get(kind := problem.class_of[number], -1) < deadline:
            returned[kind] = deadline
    crashed = {problem.class_of[number] for number in called}
    if not all(_can_do_without(problem, model, prints, kind, completed=True) for kind in returned):
        return {}
    if not all(_can_do_without(problem, model, prints, kind, completed=False) for kind in crashed):
        return {}
    return _settle(problem, prints, returned, called)


def _settle(
    problem: Problem, prints: Sequence[Footprint], returned: dict[int, int], called: dict[int, int]
) -> dict[int, int]:
    """The least answer: a crashed operation asks for a value only as long as somebody needs what it makes of it.

    returned: class -> when the last of it returns. called: crashed operation -> when it is called.
    """
    shunned = max((deadline for kind, deadline in returned.items() if prints[kind].shuns), default=-1)
    asked: dict[Hashable, int] = {}
    for kind, deadline in returned.items():
        for value in prints[kind].mentions:
            asked[value] = max(asked.get(value, -1), deadline)
    found: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for number in reversed(called):
            print_ = prints[problem.class_of[number]]
            last = max(asked.get(print_.makes, -1), shunned, called[number])
            found[number] = last + 1
            for value in print_.mentions:
                if asked.get(value, -1) < last:
                    asked[value] = last
                    changed = True
    return found


def _can_do_without(
    problem: Problem, model: Model[Any], prints: Sequence[Footprint], kind: int, *, completed: bool
) -> bool:
    """The argument for leaving out a crashed operation holds beside operations of this class."""
    print_, traits = prints[kind], problem.traits[kind]
    if traits.observer:
        return True
    if print_.shuns or isinstance(print_.makes, Nothing):
        return False
    if traits.constant or print_.demands:
        return True
    return not completed and model.step(ELSEWHERE, problem.classes[kind]) == ELSEWHERE
