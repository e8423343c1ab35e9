"""What the rest of a history still asks of each value: prunes states that cannot matter and moves that cannot end well.

Only for models with a `footprint` (one value, replaced as a whole). Both rules are exact; docs/checker.md argues them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from checker.model import NOTHING, Footprint, Model, Nothing
from checker.problem import NEVER, Problem

__all__ = ["Lookahead", "ValueFacts", "look_ahead", "possible_before"]


@dataclass(slots=True)
class ValueFacts:
    """What is still asked of one value. Steps are those of the problem; -1: nothing, ever."""

    mentioned_until: int = -1
    """The last step during which an operation that tells this value from others may be open."""
    demanded_until: int = -1
    """The last step in which an operation is called that must find this value."""
    made_until: int = -1
    """The last step in which an operation is called that can produce this value."""
    demanders: list[int] = field(default_factory=list)
    """Classes of operations that must find this value."""
    makers: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lookahead:
    """Facts per value, and the footprint of each class."""

    facts: dict[Hashable, ValueFacts]
    footprints: tuple[Footprint, ...]

    def about(self, value: Hashable) -> ValueFacts:
        """Facts about any value, also one that no operation mentions."""
        return self.facts.get(value) or ValueFacts()


def look_ahead(problem: Problem, model: Model[Any]) -> Lookahead | None:
    """Collect the facts, in one sweep over the problem; None if the model has no footprints."""
    if model.footprint is None:
        return None
    footprints = tuple(model.footprint(operation) for operation in problem.classes)
    facts: dict[Hashable, ValueFacts] = {}
    _name_classes(footprints, facts)
    last_open, last_called, last_owed = ([-1] * len(footprints) for _ in range(3))
    class_of, deadlines, lapses = problem.class_of, problem.deadlines, problem.lapses
    for step, events in enumerate(problem.steps):
        for number in events.calls:
            kind, until = class_of[number], deadlines[number]
            last_called[kind] = step
            if until != NEVER:
                last_owed[kind] = step
            elif lapses[number] != NEVER:
                until = lapses[number] - 1
            if last_open[kind] < until:
                last_open[kind] = until
    for kind, print_ in enumerate(footprints):
        for value in print_.mentions:
            about = facts[value]
            about.mentioned_until = max(about.mentioned_until, last_open[kind])
            if print_.demands:
                about.demanded_until = max(about.demanded_until, last_owed[kind])
        if not isinstance(print_.makes, Nothing):
            about = facts[print_.makes]
            about.made_until = max(about.made_until, last_called[kind])
    return Lookahead(facts, footprints)


def _name_classes(footprints: Sequence[Footprint], facts: dict[Hashable, ValueFacts]) -> None:
    for kind, print_ in enumerate(footprints):
        for value in print_.mentions:
            about = facts.setdefault(value, ValueFacts())
            if print_.demands:
                about.demanders.append(kind)
        if print_.makes is not NOTHING:
            facts.setdefault(print_.makes, ValueFacts()).makers.append(kind)


def possible_before(problem: Problem, lookahead: Lookahead, initial: Hashable, step: int) -> list[Hashable]:
    """Every value that the state may be when `step` begins, whatever came before; usually a few more than there are.

    A value is there because it is the first one or because something called by then makes it. Nothing that makes it is
    late enough if all of that returned before an operation was called which certainly replaced it, and returned too.
    """
    until: dict[Hashable, int] = {initial: -1}
    replaced = -1
    for place, events in enumerate(problem.steps[:step]):
        for number in events.calls:
            kind, deadline = problem.class_of[number], problem.deadlines[number]
            print_, traits = lookahead.footprints[kind], problem.traits[kind]
            if traits.observer or isinstance(print_.makes, Nothing):
                continue
            until[print_.makes] = max(until.get(print_.makes, -1), deadline)
            changes = traits.constant or (print_.demands and print_.makes not in print_.mentions)
            if deadline < step and changes:
                replaced = place
    return [value for value, deadline in until.items() if deadline >= replaced]
