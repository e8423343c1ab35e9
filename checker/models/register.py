"""A register: `read`, `write`, and with `cas` a compare-and-set register. One per key; starts as nil unless told.

Completions, as in `checker.records`: a read's value is its result; a write's and a cas's repeats the argument; a cas's
argument is `[from, to]`. A cas with outcome `fail` certainly did not happen. When its error is `cas-mismatch`, the
system moreover says that it compared and found another value, which is an observation and is judged as one; with any
other error (a node that was no leader, say) it says nothing.
"""

from __future__ import annotations

from collections.abc import Hashable

from checker.history import Operation, Outcome, freeze
from checker.model import Footprint, Model, Refused, Traits, describe_value
from checker.models.register_anomalies import name_anomaly

__all__ = ["CAS_REGISTER", "MISMATCH", "REGISTER"]

MISMATCH = "cas-mismatch"
"""The error of a cas that failed because the comparison did."""


def _holds(state: Hashable, wanted: Hashable) -> Refused:
    return Refused(f"the register holds {describe_value(state)}, not {describe_value(wanted)}")


def _step(state: Hashable, operation: Operation) -> Hashable | Refused:
    match operation.f:
        case "read":
            result = freeze(operation.result)
            return state if operation.outcome is Outcome.INFO or state == result else _holds(state, result)
        case "write":
            return freeze(operation.value)
        case _:
            return _cas(state, operation)


def _cas(state: Hashable, operation: Operation) -> Hashable | Refused:
    expected, new = freeze(operation.value[0]), freeze(operation.value[1])
    match operation.outcome:
        case Outcome.OK:
            return new if state == expected else _holds(state, expected)
        case Outcome.INFO:
            return new if state == expected else state
        case Outcome.FAIL:
            if state != expected:
                return state
            return Refused(f"the register holds {describe_value(state)}, so the comparison would have succeeded")


def _label(operation: Operation) -> Hashable:
    match operation.f:
        case "read":
            return ("read", operation.outcome, freeze(operation.result))
        case "write":
            return ("write", freeze(operation.value))
        case _:
            return ("cas", operation.outcome, freeze(operation.value[0]), freeze(operation.value[1]))


def _footprint(operation: Operation) -> Footprint:
    match operation.f, operation.outcome:
        case "read", Outcome.INFO:
            return Footprint()
        case "read", _:
            return Footprint(mentions=(freeze(operation.result),), demands=True)
        case "write", _:
            return Footprint(makes=freeze(operation.value))
        case _, outcome:
            expected, new = freeze(operation.value[0]), freeze(operation.value[1])
            if outcome is Outcome.FAIL:
                return Footprint(mentions=(expected,), shuns=True)
            return Footprint(mentions=(expected,), makes=new, demands=outcome is Outcome.OK)


def _changes_nothing(cas: Operation) -> bool:
    return freeze(cas.value[0]) == freeze(cas.value[1])


def _traits(operation: Operation) -> Traits:
    match operation.f, operation.outcome:
        case "read", outcome:
            return Traits(observer=True, total=outcome is Outcome.INFO)
        case "write", _:
            return Traits(constant=True)
        case _, Outcome.OK:
            return Traits(observer=_changes_nothing(operation))
        case _, Outcome.INFO:
            return Traits(total=True, observer=_changes_nothing(operation))
        case _:
            return Traits(observer=True)


def _problem(operation: Operation) -> str | None:
    if operation.f in ("read", "write"):
        return None
    return f"a register has no operation {operation.f!r}; it has read and write"


def _cas_problem(operation: Operation) -> str | None:
    if operation.f != "cas":
        return None if _problem(operation) is None else f"no operation {operation.f!r}; there are read, write and cas"
    value = operation.value
    if isinstance(value, list | tuple) and len(value) == 2:
        return None
    return f"the argument of cas must be [from, to], not {describe_value(value)}"


def _failure_observes(operation: Operation) -> bool:
    return operation.f == "cas" and operation.error == MISMATCH


REGISTER: Model[Hashable] = Model(
    name="register",
    initial=None,
    step=_step,
    label=_label,
    traits=_traits,
    problem=_problem,
    footprint=_footprint,
    anomaly=name_anomaly,
)
CAS_REGISTER: Model[Hashable] = Model(
    name="cas-register",
    initial=None,
    step=_step,
    label=_label,
    traits=_traits,
    problem=_cas_problem,
    failure_observes=_failure_observes,
    footprint=_footprint,
    anomaly=name_anomaly,
)
