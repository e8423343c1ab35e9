"""What went wrong with a register, in words: chosen from the operations that contradict each other."""

from __future__ import annotations

from collections.abc import Hashable

from checker.history import Operation, Outcome, freeze
from checker.model import Anomaly, Contradiction, describe_value

__all__ = ["ANOMALIES", "name_anomaly"]

ANOMALIES = (
    ("impossible-read", "a value was read that nothing ever wrote"),
    ("future-read", "a value was read before anything that writes it was called"),
    ("lost-write", "an older value was read although a newer one was acknowledged, and nobody ever saw the newer one"),
    ("stale-read", "an older value was read although a newer one had been acknowledged or read"),
    ("impossible-cas", "a cas succeeded on a value, or failed on one, which the register could not hold then"),
    ("inconsistent-reads", "none of these: the reads together allow no single order of the writes"),
)


def name_anomaly(found: Contradiction) -> Anomaly:
    """The class of the contradiction and a sentence about it."""
    stuck = found.stuck
    if stuck.f == "write":  # looking ahead, the search may give up before the read that cannot be explained
        when = found.clock.at(stuck.return_ns, stuck.return_order)
        wrote = f"when process {stuck.process} had written {_holding(stuck, freeze(stuck.value))} {when}"
        return Anomaly("inconsistent-reads", f"{wrote}, no order was left that explains what was read")
    claimed = _seen(stuck)
    if stuck.f == "cas" and stuck.outcome is Outcome.FAIL:
        return Anomaly("impossible-cas", f"{_deed(found, stuck)}, but it was so all the time")
    makers = [operation for operation in found.operations if _made(operation) == (claimed,)]
    kind = "read" if stuck.f == "read" else "cas"
    last = stuck.return_order
    assert last is not None
    if claimed is not None and not makers:
        return Anomaly(f"impossible-{kind}", f"{_deed(found, stuck)}, but nothing ever wrote {describe_value(claimed)}")
    if claimed is not None and all(maker.call_order > last for maker in makers):
        first = min(makers, key=lambda maker: maker.call_order)
        when = found.clock.at(first.call_ns, first.call_order)
        name = "future-read" if kind == "read" else "impossible-cas"
        return Anomaly(name, f"{_deed(found, stuck)}, before anything wrote it (process {first.process} first, {when})")
    newer = _newest_other(found, claimed)
    if newer is None:
        name = "inconsistent-reads" if kind == "read" else "impossible-cas"
        return Anomaly(name, f"{_deed(found, stuck)}, which no single order of the operations around it explains")
    sentence = f"{_deed(found, stuck)}, after {_evidence(found, newer)}{_no_way_back(makers, newer, claimed, last)}"
    if kind == "cas":
        return Anomaly("impossible-cas", sentence)
    return Anomaly("lost-write" if _nobody_saw(found, newer) else "stale-read", sentence)


def _seen(operation: Operation) -> Hashable:
    return freeze(operation.result) if operation.f == "read" else freeze(operation.value[0])


def _made(operation: Operation) -> tuple[Hashable, ...]:
    """The value that the operation may have put into the register, if any."""
    match operation.f, operation.outcome:
        case ("read", _) | (_, Outcome.FAIL):
            return ()
        case "write", _:
            return (freeze(operation.value),)
        case _:
            return (freeze(operation.value[1]),)


def _newest_other(found: Contradiction, claimed: Hashable) -> Operation | None:
    """The last operation of the core, over before `stuck` began, that proves another value than `claimed`."""
    candidates = [
        operation
        for operation in found.core
        if operation.return_order is not None
        and operation.return_order < found.stuck.call_order
        and operation.outcome is Outcome.OK
        and (_made(operation) or (_seen(operation),)) != (claimed,)
    ]
    return max(candidates, key=lambda operation: operation.return_order or 0, default=None)


def _nobody_saw(found: Contradiction, newer: Operation) -> bool:
    """True when `newer` put a value that no operation ever found there."""
    made = _made(newer)
    return bool(made) and not any(
        operation.outcome is Outcome.OK and operation.f != "write" and (_seen(operation),) == made
        for operation in found.operations
    )


def _no_way_back(makers: list[Operation], newer: Operation, claimed: Hashable, last: int) -> str:
    """Says `nothing wrote it again` only where no operation that could have is open after `newer` began."""
    again = [
        maker
        for maker in makers
        if maker.index != newer.index
        and maker.call_order < last
        and (maker.return_order is None or maker.return_order > newer.call_order)
    ]
    value = describe_value(claimed)
    return f" and no later write of {value} explains it" if again else f" and nothing wrote {value} again"


def _holding(operation: Operation, value: Hashable) -> str:
    """`x=5`, or just `5` where there is only one register."""
    prefix = "" if operation.key is None else f"{describe_value(operation.key)}="
    return prefix + describe_value(value)


def _deed(found: Contradiction, operation: Operation) -> str:
    """`process 7 read x=3 at 12.413 s`."""
    when = found.clock.at(operation.return_ns, operation.return_order)
    process = f"process {operation.process}"
    if operation.f == "read":
        return f"{process} read {_holding(operation, freeze(operation.result))} {when}"
    old, new = (freeze(part) for part in operation.value)
    if operation.outcome is Outcome.FAIL:
        return f"{process} was told {when} that it is not so that {_holding(operation, old)}"
    return f"{process} was told {when} that its cas had changed {_holding(operation, old)} to {describe_value(new)}"


def _evidence(found: Contradiction, newer: Operation) -> str:
    """`x=5 had been acknowledged to process 2 at 12.100 s`."""
    when = found.clock.at(newer.return_ns, newer.return_order)
    made = _made(newer)
    if made:
        return f"{_holding(newer, made[0])} had been acknowledged to process {newer.process} {when}"
    return f"process {newer.process} had read {_holding(newer, _seen(newer))} {when}"
