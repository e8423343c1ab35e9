"""Several registers that are read and written together: `txn`. A register that was never written is nil.

The argument of `txn` is a list of steps `["read", register, null]` and `["write", register, value]` (also `r` and `w`),
done in order and at once; the result is the same list with the values that were read. All registers of one key of the
history are one object. Knossos has this model as `multi-register`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, Manual, Model, Refused, Traits, Word, describe, describe_value
from checker.models.telling import deed, over_before

__all__ = ["MULTI_REGISTER"]

State = tuple[tuple[Hashable, Hashable], ...]
"""(register, value), without those that are nil, in an order of no meaning."""

Step = tuple[str, Hashable, Hashable]
"""(`read` or `write`, register, value)."""

_NAMES = {"read": "read", "r": "read", "write": "write", "w": "write"}


def _steps(operation: Operation) -> tuple[Step, ...]:
    """What it does: with the values that were read, if they are known."""
    listed = operation.result if operation.outcome is Outcome.OK else operation.value
    return tuple((_NAMES[name], freeze(register), freeze(value)) for name, register, value in listed)


def _step(state: State, operation: Operation) -> State | Refused:
    held = dict(state)
    knows = operation.outcome is Outcome.OK
    for name, register, value in _steps(operation):
        if name == "write":
            held[register] = value
        elif knows and held.get(register) != value:
            found = describe_value(held.get(register))
            return Refused(f"{describe_value(register)} is {found}, not {describe_value(value)}")
    return _canonical(held)


def _canonical(held: dict[Hashable, Hashable]) -> State:
    return tuple(sorted(((name, value) for name, value in held.items() if value is not None), key=_place))


def _place(item: tuple[Hashable, Hashable]) -> str:
    return describe_value(item[0]) + repr(item[0])


def _describe(state: State) -> str:
    return "{" + ", ".join(f"{describe_value(name)}={describe_value(value)}" for name, value in state) + "}"


def _describe_operation(operation: Operation) -> str:
    if operation.f != "txn" or _problem(operation) is not None:
        return describe(operation)
    knows = operation.outcome is Outcome.OK
    said = [
        f"{name} {describe_value(register)}" + (f"={describe_value(value)}" if knows or name == "write" else "")
        for name, register, value in _steps(operation)
    ]
    return f"txn({', '.join(said)})" + (
        "" if knows else f" -> {'?' if operation.outcome is Outcome.INFO else 'failed'}"
    )


def _label(operation: Operation) -> Hashable:
    knows = operation.outcome is Outcome.OK
    return tuple(step for step in _steps(operation) if knows or step[0] == "write")


def _traits(operation: Operation) -> Traits:
    steps = _steps(operation)
    blind = operation.outcome is not Outcome.OK or all(name == "write" for name, _, _ in steps)
    return Traits(observer=all(name == "read" for name, _, _ in steps), total=blind)


def _problem(operation: Operation) -> str | None:
    if operation.f != "txn":
        return f"a multi-register has no operation {operation.f!r}; it has txn"
    asked = _shape(operation.value)
    if asked is None:
        return (
            f'the argument of txn must be a list of ["read" or "write", register, value], not {_shown(operation.value)}'
        )
    if operation.outcome is Outcome.OK and _shape(operation.result) != asked:
        return f"the result of txn must be its argument with the values that were read, not {_shown(operation.result)}"
    return None


def _shown(value: object) -> str:
    return describe_value(value)[:80]


def _shape(value: object) -> list[tuple[str, Hashable, Hashable]] | None:
    """The steps without what is read; None if it is no list of steps."""
    if not isinstance(value, list | tuple):
        return None
    shape: list[tuple[str, Hashable, Hashable]] = []
    for step in value:
        if not isinstance(step, list | tuple) or len(step) != 3:
            return None
        name = _NAMES.get(step[0]) if isinstance(step[0], str) else None
        if name is None:
            return None
        shape.append((name, freeze(step[1]), freeze(step[2]) if name == "write" else None))
    return shape


# ── without a search ─────────────────────────────────────────────────────────────────────────────────────────────────


def _seen(operation: Operation) -> Iterator[tuple[Hashable, Hashable]]:
    """(register, value) of every read that precedes the operation's own writes of it."""
    own: set[Hashable] = set()
    for name, register, value in _steps(operation) if operation.outcome is Outcome.OK else ():
        if name == "write":
            own.add(register)
        elif register not in own:
            yield register, value


def _first_calls(initial: State, operations: Sequence[Operation]) -> dict[tuple[Hashable, Hashable], int]:
    """(register, value) -> the first call of an operation that can leave it; -1 for the start."""
    calls: dict[tuple[Hashable, Hashable], int] = dict.fromkeys(initial, -1)
    held = {register for register, _ in initial}
    for one in operations:
        last = {register: value for name, register, value in _steps(one) if name == "write"}
        for written in last.items():
            calls[written] = min(calls.get(written, one.call_order), one.call_order)
        for _, register, _ in _steps(one):
            if register not in held:
                calls[register, None] = -1
    return calls


def _impossible(model: Model[State], operations: Sequence[Operation]) -> Operation | None:
    """A value was read that nothing could have written by then. Linear."""
    calls = _first_calls(model.initial, operations)
    wrong = [one for one in operations if any(_is_too_early(calls, one, read) for read in _seen(one))]
    return min(wrong, key=lambda one: one.return_order or 0, default=None)


def _is_too_early(calls: dict[tuple[Hashable, Hashable], int], one: Operation, read: tuple[Hashable, Hashable]) -> bool:
    first = calls.get(read)
    return first is None or (one.return_order is not None and first > one.return_order)


def _name_anomaly(found: Contradiction) -> Anomaly:
    stuck = found.stuck
    when = found.clock.at(stuck.return_ns, stuck.return_order)
    told = f"process {stuck.process} was told {_describe_operation(stuck)} {when}"
    calls = _first_calls(found.initial, [one for one in found.operations if one.outcome is not Outcome.FAIL])
    for register, value in _seen(stuck):
        read = f"{describe_value(register)}={describe_value(value)}"
        if calls.get((register, value)) is None:
            return Anomaly("impossible-read", f"{told}, but nothing ever wrote {read}")
        if _is_too_early(calls, stuck, (register, value)):
            return Anomaly("future-read", f"{told}, before anything wrote {read}")
    newer = [one for one in over_before(found.core, stuck) if any(True for _ in _steps(one))]
    if newer and any(True for _ in _seen(stuck)):
        return Anomaly("stale-read", f"{told}, after {deed(found, newer[-1])}")
    return Anomaly("inconsistent-reads", f"{told}, which no single order of the transactions explains")


def _read_initial(value: Any) -> State:
    if not isinstance(value, dict):
        raise ValueError('expected an object such as {"x": 0, "y": 0}')
    return _canonical({name: freeze(held) for name, held in value.items()})


MULTI_REGISTER: Model[State] = Model(
    name="multi-register",
    initial=(),
    step=_step,
    describe_operation=_describe_operation,
    describe_state=_describe,
    label=_label,
    traits=_traits,
    problem=_problem,
    anomaly=_name_anomaly,
    read_initial=_read_initial,
    impossible=_impossible,
    manual=Manual(
        about="per key: registers that are read and written together, in transactions",
        words=(
            Word(
                "txn",
                'a list of ["read", register, null] and ["write", register, value]',
                "the same list with the values that were read",
                "does all of it at once, in the order of the list",
            ),
        ),
        start="all registers nil; an object of registers and values",
        anomalies=(
            ("impossible-read", "a value was read that nothing ever wrote"),
            ("future-read", "a value was read before anything that writes it was called"),
            ("stale-read", "what was read contradicts a transaction that was over before"),
            ("inconsistent-reads", "none of these: no single order of the transactions explains all reads"),
        ),
    ),
)
