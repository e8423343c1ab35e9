"""A set: `add`, `remove`, `contains`, `read`. One per key; starts empty unless told."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.telling import deed, over_before

__all__ = ["SET"]

State = frozenset[Hashable]


def _step(state: State, operation: Operation) -> State | Refused:
    match operation.f, operation.outcome:
        case "add", _:
            return state | {freeze(operation.value)}
        case "remove", _:
            return state - {freeze(operation.value)}
        case _, Outcome.INFO:
            return state
        case "contains", _:
            inside = freeze(operation.value) in state
            return state if inside is operation.result else Refused(_membership(operation.value, inside=inside))
        case _:
            return state if _is_listed(operation) == state else Refused(f"the set is {_describe(state)}")


def _membership(value: object, *, inside: bool) -> str:
    return f"{describe_value(value)} is {'' if inside else 'not '}in the set"


def _is_listed(read: Operation) -> State | None:
    """The set that a read lists; None, which no state is, if it lists an element twice."""
    listed = frozenset(map(freeze, read.result))
    return listed if len(listed) == len(read.result) else None


def _describe(state: State) -> str:
    return "{" + " ".join(sorted(map(describe_value, state))) + "}"


def _label(operation: Operation) -> Hashable:
    match operation.f, operation.outcome:
        case (("add" | "remove"), _):
            return (operation.f, freeze(operation.value))
        case _, Outcome.INFO:
            return ("unseen",)
        case "contains", _:
            return ("contains", freeze(operation.value), freeze(operation.result))
        case _:
            return ("read", _is_listed(operation))


def _traits(operation: Operation) -> Traits:
    if operation.f in ("add", "remove"):
        return Traits(total=True)
    return Traits(observer=True, total=operation.outcome is Outcome.INFO)


def _problem(operation: Operation) -> str | None:
    if operation.f not in ("add", "remove", "contains", "read"):
        return f"a set has no operation {operation.f!r}; it has add, remove, contains and read"
    if operation.outcome is not Outcome.OK:
        return None
    if operation.f == "contains" and not isinstance(operation.result, bool):
        return f"the result of contains must be true or false, not {describe_value(operation.result)}"
    if operation.f == "read" and not isinstance(operation.result, list | tuple):
        return f"the result of read must be the list of the elements, not {describe_value(operation.result)}"
    return None


def _is_read(operation: Operation) -> bool:
    return operation.f == "read" and operation.outcome is Outcome.OK


# ── without a search ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Presence:
    """When an element can, and when it must, be in the set, as ranks of calls and returns."""

    there_from: int | float = inf
    """The first call that can add it."""
    surely_from: int | float = inf
    """The first return of an addition."""
    last_added: int | float = -1
    """The last return of an addition; infinite if one crashed."""
    removable_from: int | float = inf
    """The first call that can remove it."""
    removals: list[Operation] = field(default_factory=list)
    gone_from: int | float = inf
    """The first return of a removal that began after the last addition."""

    def added(self, call: int, returned: int | float) -> None:
        self.there_from = min(self.there_from, call)
        self.surely_from = min(self.surely_from, returned)
        self.last_added = max(self.last_added, returned)

    def close(self) -> None:
        """All operations are known."""
        for one in self.removals:
            self.removable_from = min(self.removable_from, one.call_order)
            if one.return_order is not None and one.call_order > self.last_added:
                self.gone_from = min(self.gone_from, one.return_order)

    def cannot_be_there(self, seen: Operation) -> bool:
        return self.there_from > _end(seen) or self.gone_from < seen.call_order

    def cannot_be_absent(self, seen: Operation) -> bool:
        return self.surely_from < seen.call_order and self.removable_from > _end(seen)


_UNHEARD_OF = _Presence()


def _end(operation: Operation) -> int | float:
    return inf if operation.return_order is None else operation.return_order


def _impossible(model: Model[State], operations: Sequence[Operation]) -> Operation | None:
    """Elements that were seen but cannot have been there, or were not seen but must have been; reads of a set that only
    grows, of which neither contains the other. Linear in the elements listed, after sorting."""
    facts = _presences(model.initial, operations)
    wrong = [one for one in operations if _sees(one) and _contradicts(facts, one)]
    if not wrong and not any(one.f == "remove" for one in operations):
        reads = sorted((one for one in operations if _is_read(one)), key=lambda one: len(one.result))
        pairs = pairwise(reads)
        wrong = [_later(one, other) for one, other in pairs if not _elements(one) <= _elements(other)]
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _sees(one: Operation) -> bool:
    return one.f in ("contains", "read") and one.outcome is Outcome.OK


def _elements(read: Operation) -> State:
    return frozenset(map(freeze, read.result))


def _later(one: Operation, other: Operation) -> Operation:
    return max(one, other, key=lambda operation: operation.return_order or 0)


def _presences(initial: State, operations: Sequence[Operation]) -> dict[Hashable, _Presence]:
    facts = {element: _Presence(there_from=-1, surely_from=-1) for element in initial}
    for one in operations:
        if one.f in ("add", "remove"):
            about = facts.setdefault(freeze(one.value), _Presence())
            if one.f == "add":
                about.added(one.call_order, _end(one))
            else:
                about.removals.append(one)
    for about in facts.values():
        about.close()
    return facts


def _contradicts(facts: dict[Hashable, _Presence], one: Operation) -> bool:
    if one.f == "contains":
        about = facts.get(freeze(one.value), _UNHEARD_OF)
        return about.cannot_be_there(one) if one.result else about.cannot_be_absent(one)
    listed = _is_listed(one)
    if listed is None or any(facts.get(element, _UNHEARD_OF).cannot_be_there(one) for element in listed):
        return True
    return any(about.cannot_be_absent(one) for element, about in facts.items() if element not in listed)


def _refine(model: Model[State], operations: Sequence[Operation]) -> Model[State]:
    """A set that only grows: do not add what an unseen read lacks.

    A read that lists something the state lacks has not been done yet. It needs a state of exactly its elements, so an
    element that it lacks must wait for it.
    """
    if any(one.f == "remove" for one in operations):
        return model
    reads = sorted({_elements(one) for one in operations if _is_read(one)}, key=len)

    def step(state: State, operation: Operation) -> State | Refused:
        after = _step(state, operation)
        if operation.f == "add" and not isinstance(after, Refused) and after != state:
            for read in reads:
                if not read <= state:
                    return after if after <= read else Refused("a later read lacks the element")
        return after

    return replace(model, step=step, traits=_cautious_traits)


def _cautious_traits(operation: Operation) -> Traits:
    return Traits() if operation.f == "add" else _traits(operation)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck = found.stuck
    facts = _presences(found.initial, [one for one in found.operations if one.outcome is not Outcome.FAIL])
    if stuck.f == "read" and _is_listed(stuck) is None:
        return Anomaly("duplicate-element", f"{deed(found, stuck)}, which lists an element twice")
    present, absent = _shown(stuck, facts)
    phantoms = [element for element in present if facts.get(element, _UNHEARD_OF).cannot_be_there(stuck)]
    if phantoms:
        why = "nothing had added it by then, or it had been removed for good"
        return Anomaly("phantom-element", f"{deed(found, stuck)}, but {_first(phantoms)} cannot be there: {why}")
    lost = [element for element in absent if facts.get(element, _UNHEARD_OF).cannot_be_absent(stuck)]
    if lost:
        return Anomaly(
            "lost-element", f"{deed(found, stuck)}, but {_first(lost)} had been added and nothing removes it"
        )
    if any(_sees(one) for one in over_before(found.core, stuck)):
        return Anomaly("stale-read", f"{deed(found, stuck)}, which contradicts what had been seen before")
    return Anomaly("inconsistent-reads", f"{deed(found, stuck)}, which no single order of the operations explains")


def _shown(stuck: Operation, facts: dict[Hashable, _Presence]) -> tuple[list[Hashable], list[Hashable]]:
    """The elements that an operation says are there, and those that it says are not."""
    if not _sees(stuck):
        return [], []
    if stuck.f == "contains":
        element: list[Hashable] = [freeze(stuck.value)]
        return (element, []) if stuck.result else ([], element)
    listed = _elements(stuck)
    return list(listed), [element for element in facts if element not in listed]


def _first(elements: Sequence[Hashable]) -> str:
    return min(map(describe_value, elements))


def _read_initial(value: Any) -> State:
    if not isinstance(value, list):
        raise ValueError("expected a list of elements")
    return frozenset(map(freeze, value))


SET: Model[State] = Model(
    name="set",
    initial=frozenset(),
    step=_step,
    describe_state=_describe,
    label=_label,
    traits=_traits,
    problem=_problem,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    refine=_refine,
    impossible=_impossible,
    manual=Manual(
        about="per key: elements that are added, removed and looked for",
        words=(
            Word("add", "an element", "the argument", "puts it in, if it is not there"),
            Word("remove", "an element", "the argument", "takes it out, if it is there"),
            Word("contains", "an element", "true or false", "tells whether it is there"),
            Word("read", "", "the list of all elements, in any order", "tells all of them"),
        ),
        start="empty; a list of elements",
        anomalies=(
            ("duplicate-element", "a read lists an element twice"),
            ("phantom-element", "an element was seen that nothing had added by then, or that was gone for good"),
            ("lost-element", "an element was not seen although it had been added and nothing removes it"),
            ("stale-read", "an older content was seen after a newer one"),
            ("inconsistent-reads", "none of these: no single order of the operations explains what was seen"),
        ),
    ),
)
