"""Says in words and drawings why a partition is not linearizable, or how far an undecided search came.

Here belong the choice of what to show and the sentences that hold for every model. What a contradiction is called is
the model's business (`Model.anomaly`), how it is made small is `checker.shrinking`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checker.history import Operation
from checker.model import Anomaly, Clock, Contradiction, Model, Refused, describe_value
from checker.partition import Result, Stuck
from checker.preparation import relevant
from checker.records import Evidence
from checker.shrinking import Core, shrink
from checker.timeline import draw

__all__ = ["ALLOWANCE", "explain_illegal", "explain_unknown"]

ALLOWANCE = 80_000
"""Units of work for finding the smallest contradiction (see `shrink`): a second or two."""

STATES_SHOWN, CHOICES_SHOWN, PREFIX_SHOWN = 4, 6, 8


def explain_illegal(
    operations: Sequence[Operation], model: Model[Any], result: Result, *, minimal: bool
) -> tuple[str, Evidence]:
    """The class of the anomaly and the evidence for it. minimal: look for the smallest contradiction first."""
    stuck = result.stuck
    assert stuck is not None
    core = shrink(operations, stuck, model, allowance=ALLOWANCE if minimal else 0, engine=result.engine)
    clock = Clock(timed=any(operation.call_ns for operation in operations))
    contradiction = Contradiction(
        tuple(relevant(model, operations)), core.operations, core.stuck.operation, clock, model.initial
    )
    anomaly = _generic(contradiction, model) if model.anomaly is None else model.anomaly(contradiction)
    marked = core.stuck.operation
    others = [operation.index for operation in core.operations if operation.index != marked.index]
    details = (
        *(draw(core.operations, marked, model.describe_operation, timed=clock.timed) if minimal else ()),
        *_about_core(core),
        *_about_prefix(contradiction, core.stuck, model),
        *_about_states(contradiction, core.stuck, model),
    )
    figures = {
        "kinds": sorted({operation.f for operation in core.operations}),
        "core_operations": len(core.operations),
        "core_minimal": core.minimal,
        "weakened": core.weakened,
        "prefix_operations": len(stuck.prefix),
        "phase": result.phase,
        "hints_verified": result.statistics.hints_verified,
    }
    sentence = anomaly.sentence[0].upper() + anomaly.sentence[1:] + "."
    shown = (*others, marked.index) if minimal else (marked.index,)
    return anomaly.name, Evidence(summary=sentence, details=details, indexes=shown, figures=figures)


def explain_unknown(key: Any, operations: Sequence[Operation], result: Result, limits: str) -> Evidence:
    """How far the search came, on which key, and what it was allowed (`limits`: a phrase)."""
    statistics, stuck = result.statistics, result.stuck
    of_key = "" if key is None else f" of key {describe_value(key)}"
    done = 0 if stuck is None else stuck.step
    summary = (
        f"Undecided{of_key}: {limits} was used up after {done:,} of {statistics.steps:,} completed operations "
        f"({len(operations):,} in all) had been placed."
    )
    indexes = () if stuck is None else (stuck.operation.index,)
    figures = {"phase": result.phase, "placed": done, "steps": statistics.steps}
    details = (f"The widest set of possible states held {statistics.frontier_max:,} configurations.",)
    return Evidence(summary=summary, details=details, indexes=indexes, figures=figures)


def _generic(found: Contradiction, model: Model[Any]) -> Anomaly:
    stuck = found.stuck
    when = found.clock.at(stuck.return_ns, stuck.return_order)
    what = model.describe_operation(stuck)
    return Anomaly(
        f"impossible-{stuck.f}", f"{what} of process {stuck.process} {when} fits into no legal order of the operations"
    )


def _about_core(core: Core) -> tuple[str, ...]:
    weakened = (
        f"{core.weakened:,} other operations were allowed to take effect at any time after their call, or never; "
        "it remains impossible."
        if core.weakened
        else "Nothing else took part."
    )
    if core.minimal:
        return (f"These {len(core.operations)} operations contradict each other; none can be spared. {weakened}",)
    return (f"A contradiction is among {len(core.operations):,} operations. {weakened}",)


def _about_prefix(found: Contradiction, stuck: Stuck, model: Model[Any]) -> tuple[str, ...]:
    if not stuck.prefix:
        return ()
    recorded = {operation.index: operation for operation in found.operations}
    named = [model.describe_operation(recorded[operation.index]) for operation in stuck.prefix[-PREFIX_SHOWN:]]
    cut = "… " if len(stuck.prefix) > PREFIX_SHOWN else ""
    return (f"Longest legal order before it: {cut}{', '.join(named)}.",)


def _about_states(found: Contradiction, stuck: Stuck, model: Model[Any]) -> tuple[str, ...]:
    """Each state that was possible, and what happens to the operations that could come next."""
    recorded = {operation.index: operation for operation in found.operations}
    fates: dict[Any, dict[str, None]] = {}
    for survivor in stuck.survivors:
        waiting = [one for one in survivor.must if one.index != stuck.operation.index]
        choices = fates.setdefault(survivor.state, {})
        for one in [stuck.operation, *waiting, *survivor.may]:
            choices[f"{model.describe_operation(recorded[one.index])} {_fate(model, survivor.state, one)}"] = None
    lines = []
    for state, choices in list(fates.items())[:STATES_SHOWN]:
        more = f"; and {len(choices) - CHOICES_SHOWN} more" if len(choices) > CHOICES_SHOWN else ""
        lines.append(f"In state {model.describe_state(state)}: {'; '.join(list(choices)[:CHOICES_SHOWN])}{more}.")
    if len(fates) > STATES_SHOWN:
        lines.append(f"… and {len(fates) - STATES_SHOWN} more states.")
    return tuple(lines)


def _fate(model: Model[Any], state: Any, operation: Operation) -> str:
    after = model.step(state, operation)
    if isinstance(after, Refused):
        return f"is refused ({after.reason})"
    return f"leads to {model.describe_state(after)}"
