"""A register: `read`, `write`, and with `cas` a compare-and-set register. One per key; starts as nil unless told.

Completions, as in `checker.records`: a read's value is its result; a write's and a cas's repeats the argument; a cas's
argument is `[from, to]`. A cas with outcome `fail` certainly did not happen. When its error is `cas-mismatch`, the
system moreover says that it compared and found another value, which is an observation and is judged as one; with any
other error (a node that was no leader, say) it says nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from checker.history import Operation, Outcome, freeze
from checker.model import Footprint, Manual, Model, Refused, Traits, Word, describe_value
from checker.models.register_anomalies import ANOMALIES, name_anomaly
from checker.models.unwritten import find_unwritten

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


def _must_find(operation: Operation) -> tuple[Hashable, ...]:
    if operation.outcome is not Outcome.OK:
        return ()
    if operation.f == "read":
        return (freeze(operation.result),)
    return (freeze(operation.value[0]),) if operation.f == "cas" else ()


def _makes(operation: Operation) -> tuple[Hashable, ...]:
    if operation.f == "write":
        return (freeze(operation.value),)
    return (freeze(operation.value[1]),) if operation.f == "cas" and operation.outcome is not Outcome.FAIL else ()


def _impossible(model: Model[Hashable], operations: Sequence[Operation]) -> Operation | None:
    """A value that nothing could have written by then."""
    return find_unwritten(model.initial, operations, seen=_must_find, made=_makes)


_READ = Word("read", "", "the value", "tells the value")
_WRITE = Word("write", "a value", "the argument", "replaces the value")
_CAS = Word("cas", "[from, to]", "the argument", "replaces the value, if it is `from`")
_START = "nil; the value"

REGISTER: Model[Hashable] = Model(
    name="register",
    initial=None,
    step=_step,
    label=_label,
    traits=_traits,
    problem=_problem,
    footprint=_footprint,
    anomaly=name_anomaly,
    impossible=_impossible,
    manual=Manual(
        about="per key: read and write",
        words=(_READ, _WRITE),
        start=_START,
        anomalies=tuple(entry for entry in ANOMALIES if entry[0] != "impossible-cas"),
    ),
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
    impossible=_impossible,
    manual=Manual(
        about="per key: read, write and compare-and-set",
        words=(_READ, _WRITE, _CAS),
        start=_START,
        failures=((f"cas: {MISMATCH}", "the register held another value than `from`"),),
        anomalies=ANOMALIES,
    ),
)
