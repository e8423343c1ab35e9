"""A register that counts its changes: `read`, `write`, `cas`, as etcd and Jepsen's test of it have it.

Values travel with the version that the register has afterwards: a read's result is `[version, value]`; the argument of
a write is `[null, value]`, of a cas `[null, [from, to]]`, and their results carry the version in the first place. A
version of null says nothing; so does a read's value of null together with a version of null. Version 0 is the start.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.register import MISMATCH
from checker.models.telling import deed, is_whole_number, over_before

__all__ = ["VERSIONED_REGISTER"]

State = tuple[int, Hashable]
"""(version, value)."""


def _version(operation: Operation) -> int | None:
    """The version that the operation says the register has afterwards; None: it does not say."""
    if operation.outcome is not Outcome.OK or operation.result is None:
        return None
    version: int | None = operation.result[0]
    return version


def _made(operation: Operation) -> Hashable:
    """The value that a write or a successful cas leaves."""
    return freeze(operation.value[1] if operation.f == "write" else operation.value[1][1])


def _step(state: State, operation: Operation) -> State | Refused:
    version, value = state
    if operation.f == "read":
        return _read(state, operation)
    if operation.f == "cas":
        expected = freeze(operation.value[1][0])
        if operation.outcome is Outcome.FAIL:
            return state if value != expected else Refused(f"it holds {describe_value(value)}, as was asked")
        if value != expected:
            holds = f"it holds {describe_value(value)}, not {describe_value(expected)}"
            return state if operation.outcome is Outcome.INFO else Refused(holds)
    claimed = _version(operation)
    if claimed is not None and claimed != version + 1:
        return Refused(f"its version becomes {version + 1}, not {claimed}")
    return version + 1, _made(operation)


def _read(state: State, operation: Operation) -> State | Refused:
    if operation.outcome is Outcome.INFO or operation.result is None:
        return state
    version, value = operation.result
    if version is not None and version != state[0]:
        return Refused(f"its version is {state[0]}, not {version}")
    if (version, value) != (None, None) and freeze(value) != state[1]:
        return Refused(f"it holds {describe_value(state[1])}, not {describe_value(value)}")
    return state


def _label(operation: Operation) -> Hashable:
    if operation.f == "read":
        seen = None if operation.outcome is Outcome.INFO else operation.result
        return ("read",) if seen is None else ("read", seen[0], freeze(seen[1]))
    argument = freeze(operation.value[1])
    if operation.f == "write":
        return ("write", argument, _version(operation))
    return ("cas", argument, operation.outcome, _version(operation))


def _traits(operation: Operation) -> Traits:
    if operation.f == "read":
        return Traits(
            observer=True, total=operation.outcome is Outcome.INFO or operation.result in (None, [None, None])
        )
    if operation.outcome is Outcome.FAIL:
        return Traits(observer=True)
    total = _version(operation) is None and (operation.f == "write" or operation.outcome is Outcome.INFO)
    return Traits(total=total)


def _problem(operation: Operation) -> str | None:
    if operation.f not in ("read", "write", "cas"):
        return f"a versioned register has no operation {operation.f!r}; it has read, write and cas"
    if operation.f == "write" and not _is_pair(operation.value):
        return f"the argument of write must be [null, value], not {describe_value(operation.value)}"
    if operation.f == "cas" and not (_is_pair(operation.value) and _is_pair(operation.value[1])):
        return f"the argument of cas must be [null, [from, to]], not {describe_value(operation.value)}"
    result = operation.result
    if operation.outcome is not Outcome.OK or result is None:
        return None
    if _is_pair(result) and (result[0] is None or is_whole_number(result[0])):
        return None
    return f"the result of {operation.f} must be [version, …], not {describe_value(result)}"


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _failure_observes(operation: Operation) -> bool:
    return operation.f == "cas" and operation.error == MISMATCH


# ── every version exists once ────────────────────────────────────────────────────────────────────────────────────────


def _makers(operations: Sequence[Operation]) -> dict[int, list[Operation]]:
    """Version -> the operations that say that they made it."""
    makers: dict[int, list[Operation]] = {}
    for one in operations:
        version = _version(one)
        if version is not None and one.f != "read":
            makers.setdefault(version, []).append(one)
    return makers


def _values(operations: Sequence[Operation]) -> dict[int, list[tuple[Hashable, Operation]]]:
    """Version -> the values that operations say it has."""
    values: dict[int, list[tuple[Hashable, Operation]]] = {}
    for one in operations:
        version = _version(one)
        if version is not None:
            said = freeze(one.result[1]) if one.f == "read" else _made(one)
            values.setdefault(version, []).append((said, one))
    return values


def _impossible(model: Model[State], operations: Sequence[Operation]) -> Operation | None:
    """Two values of one version, two makers of one version, or a version lower than one seen before: O(n log n)."""
    wrong: list[Operation] = []
    for told in _values(operations).values():
        wrong += [one for said, one in told if said != told[0][0]]
    for makers in _makers(operations).values():
        wrong += makers[1:]
    wrong += _stale(model.initial[0], operations)
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _stale(first: int, operations: Sequence[Operation]) -> list[Operation]:
    """Operations that tell a lower version than one told before they were called; changes, one that is not higher."""
    told = [one for one in operations if _version(one) is not None]
    returned = sorted(told, key=lambda one: one.return_order or 0)
    latest, place, stale = first, 0, []
    for one in sorted(told, key=lambda one: one.call_order):
        while place < len(returned) and (returned[place].return_order or 0) < one.call_order:
            latest = max(latest, _version(returned[place]) or 0)
            place += 1
        if (_version(one) or 0) < latest + (one.f != "read"):
            stale.append(one)
    return stale


def _refine(model: Model[State], operations: Sequence[Operation]) -> Model[State]:
    """Leave every version to the operation that says it made it, and to the value that was seen with it.

    A version exists once, so nothing else can make it if those are to be explained, and they must be.
    """
    makers = {version: _label(made[0]) for version, made in _makers(operations).items()}
    values = {version: told[0][0] for version, told in _values(operations).items()}

    def step(state: State, operation: Operation) -> State | Refused:
        after = _step(state, operation)
        if isinstance(after, Refused) or after == state:
            return after
        version, value = after
        if makers.get(version, maker := _label(operation)) != maker:
            return Refused(f"another operation made version {version}")
        if values.get(version, value) != value:
            return Refused(f"version {version} holds {describe_value(values[version])}")
        return after

    return replace(model, step=step, traits=_cautious_traits)


def _cautious_traits(operation: Operation) -> Traits:
    declared = _traits(operation)
    return declared if declared.observer else Traits()


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck = found.stuck
    told, version = deed(found, stuck), _version(stuck)
    if version is None:
        return Anomaly("inconsistent-versions", f"{told}, which fits into no legal order")
    others = [one for one in found.operations if one.index != stuck.index and _version(one) is not None]
    known = {said for said, _ in _values(found.operations)[version]}
    if len(known) > 1:
        return Anomaly("split-version", f"{told}, but version {version} was also seen with another value")
    before = max((_version(one) or 0 for one in over_before(others, stuck)), default=found.initial[0])
    if version < before + (stuck.f != "read"):
        return Anomaly("stale-version", f"{told}, after version {before} had been seen")
    if stuck.f != "read" and len(_makers(found.operations)[version]) > 1:
        return Anomaly("split-version", f"{told}, but another operation made version {version} too")
    changes = sum(one.f != "read" and one.call_order < (stuck.return_order or 0) for one in found.operations)
    if version > found.initial[0] + changes:
        return Anomaly("future-version", f"{told}, but only {changes} changes had been asked for by then")
    return Anomaly("inconsistent-versions", f"{told}, which no single order of the changes explains")


def _read_initial(value: Any) -> State:
    if not _is_pair(value) or not is_whole_number(value[0]):
        raise ValueError("expected [version, value]")
    return value[0], freeze(value[1])


VERSIONED_REGISTER: Model[State] = Model(
    name="versioned-register",
    initial=(0, None),
    step=_step,
    describe_state=lambda state: f"{describe_value(state[1])} (version {state[0]})",
    label=_label,
    traits=_traits,
    problem=_problem,
    failure_observes=_failure_observes,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    refine=_refine,
    impossible=_impossible,
    unbounded=True,
    manual=Manual(
        about="per key: a register whose changes are counted",
        words=(
            Word("read", "", "[version, value]", "tells both; a version of null is not judged"),
            Word("write", "[null, value]", "[version, value]", "replaces the value; the version grows by one"),
            Word("cas", "[null, [from, to]]", "[version, [from, to]]", "as a write, if the value is `from`"),
        ),
        start="[0, nil]; [version, value]",
        failures=((f"cas: {MISMATCH}", "the register held another value than `from`"),),
        anomalies=(
            ("split-version", "one version was seen with two values, or made by two operations"),
            ("stale-version", "a version was told after a higher one"),
            ("future-version", "a version was told that so few changes cannot have made"),
            ("inconsistent-versions", "none of these: no single order of the changes explains what was told"),
        ),
    ),
)
