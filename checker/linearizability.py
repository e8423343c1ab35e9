"""Is a history linearizable? All partitions of a history, judged on one budget, as one check of a verdict.

Source of the notion: Herlihy and Wing, *Linearizability: a correctness condition for concurrent objects*, TOPLAS 1990;
it is local: a history is linearizable exactly when its restriction to each object is. The judgement on one partition
is `checker.partition`, its explanation `checker.explain`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from checker.engines import Engine, engine_for
from checker.explain import explain_illegal, explain_unknown
from checker.history import History, Operation, freeze
from checker.model import Model
from checker.partition import DEFAULT_BUDGET, Budget, Decision, Result, check_operations, judge, start_meter
from checker.records import CheckResult, Evidence, Validity

__all__ = [
    "Budget",
    "Decision",
    "Judged",
    "Partition",
    "Result",
    "check_history",
    "check_operations",
    "judge_all",
    "judge_until_illegal",
]

NAME = "linearizability"

PARALLEL_MIN = 5_000
"""Operations below which starting threads costs more than it saves."""


_BRIEFLY = Budget(200, per_operation=2)
"""For a look at each key before any is judged thoroughly."""

Partition: TypeAlias = tuple[Any, tuple[Operation, ...]]
"""A key and its operations, by call."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One partition and what is known about it."""

    key: Any
    operations: tuple[Operation, ...]
    result: Result


def check_history(
    history: History,
    model: Model[Any],
    *,
    budget: Budget = DEFAULT_BUDGET,
    explain: bool = True,
    every_key: bool = True,
    engine: Engine = "auto",
) -> CheckResult:
    """Judge every partition of `history`; the result concerns the worst one and counts the others.

    The budget is for all partitions together: each first gets an equal share, and what the easy ones leave over goes
    to those still undecided. explain: also find the smallest contradiction (bounded, see `checker.explain`).
    every_key: False ends with the first partition that is found illegal, looking at each briefly first; the figure
    `keys_not_judged` says how many were not decided then.
    engine: see `check_operations`; the figures say which one ran. Raises IllFormedHistory for an operation that the
    model does not know, ModelError for a wrong hint, EngineUnavailable if the engine asked for is not there.
    """
    partitions = _partitions(history, model)
    limit = budget.limit(sum(len(operations) for _, operations in partitions))
    judge_them = judge_all if every_key else judge_until_illegal
    judged, used = judge_them(partitions, model, budget, engine)
    illegal = [one for one in judged if one.result.decision is Decision.ILLEGAL]
    unknown = [one for one in judged if one.result.decision is Decision.UNKNOWN]
    limits: dict[str, int | float] = {"configurations_max": limit, "configurations": used}
    if budget.seconds is not None:
        limits["seconds_max"] = budget.seconds
    figures = _figures(judged) | {"engine": engine_for(engine)}
    if not every_key:
        figures["keys_not_judged"] = len(partitions) - len(judged)
    if illegal:
        worst = min(illegal, key=_contradiction_order)
        anomaly, evidence = explain_illegal(worst.operations, model, worst.result, minimal=explain)
        validity = Validity.INVALID
    elif unknown:
        worst = min(unknown, key=_contradiction_order)
        anomaly, evidence = None, explain_unknown(worst.key, worst.operations, worst.result, _words(limit, budget))
        validity = Validity.UNKNOWN
    else:
        evidence = Evidence(summary=_all_is_well(judged, model), figures=figures)
        return CheckResult(name=NAME, validity=Validity.VALID, evidence=evidence, budget=limits)
    evidence = Evidence(
        summary=evidence.summary,
        details=evidence.details,
        indexes=evidence.indexes,
        figures=figures | evidence.figures,
    )
    return CheckResult(name=NAME, validity=validity, anomaly=anomaly, key=worst.key, evidence=evidence, budget=limits)


def _partitions(history: History, model: Model[Any]) -> list[Partition]:
    groups: dict[Hashable, list[Operation]] = {}
    for operation in history.operations:
        groups.setdefault(model.partition(operation), []).append(operation)
    return [(group[0].key if name == freeze(group[0].key) else None, tuple(group)) for name, group in groups.items()]


def judge_all(
    partitions: Sequence[Partition], model: Model[Any], budget: Budget, engine: Engine
) -> tuple[list[Judged], int]:
    """Every partition, and the configurations that it took."""
    limit = budget.limit(sum(len(operations) for _, operations in partitions))
    meter = start_meter(budget, 0)

    def share(operations: tuple[Operation, ...]) -> int:
        return budget.configurations // len(partitions) + budget.per_operation * len(operations)

    def first(partition: Partition) -> Judged:
        key, operations = partition
        return Judged(key, operations, judge(operations, model, meter.share(share(operations)), engine=engine))

    judged = _each(first, partitions, engine)
    used = sum(one.result.statistics.configurations for one in judged)
    for place, one in enumerate(judged):
        left = limit - used
        if one.result.decision is Decision.UNKNOWN and left > share(one.operations):
            result = judge(one.operations, model, meter.share(left), engine=engine)
            used += result.statistics.configurations
            judged[place] = Judged(one.key, one.operations, result)
    return judged, used


def judge_until_illegal(
    partitions: Sequence[Partition], model: Model[Any], budget: Budget, engine: Engine
) -> tuple[list[Judged], int]:
    """As `judge_all`, but only as far as it takes to find one that is illegal; each is looked at briefly first."""
    judged: list[Judged] = []
    hard: list[Partition] = []
    used = 0
    for key, operations in partitions:
        meter = start_meter(replace(_BRIEFLY, seconds=budget.seconds), len(operations))
        result = judge(operations, model, meter, engine=engine)
        used += result.statistics.configurations
        if result.decision is Decision.UNKNOWN:
            hard.append((key, operations))
            continue
        judged.append(Judged(key, operations, result))
        if result.decision is Decision.ILLEGAL:
            return judged, used
    left = max(1, budget.configurations - used)
    for place, partition in enumerate(hard):
        rest = replace(budget, configurations=max(1, left // (len(hard) - place)))
        found, more = judge_all([partition], model, rest, engine)
        judged, used, left = judged + found, used + more, left - more
        if found[0].result.decision is Decision.ILLEGAL:
            break
    return judged, used


def _each(
    judge_one: Callable[[Partition], Judged],
    partitions: Sequence[Partition],
    engine: Engine,
) -> list[Judged]:
    """One after another; or side by side, where the compiled engine needs no lock and there is enough to do. The shares
    of the budget are fixed beforehand, so the answers are the same."""
    workers = min(os.cpu_count() or 1, len(partitions))
    total = sum(len(operations) for _, operations in partitions)
    if workers < 2 or total < PARALLEL_MIN or engine_for(engine) == "python":
        return [judge_one(partition) for partition in partitions]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(judge_one, partitions))


def _words(limit: int, budget: Budget) -> str:
    seconds = "" if budget.seconds is None else f" or {budget.seconds:g} s"
    return f"the budget of {limit:,} configurations{seconds}"


def _contradiction_order(one: Judged) -> int:
    """The earliest return that cannot be placed comes first."""
    stuck = one.result.stuck
    return 0 if stuck is None or stuck.operation.return_order is None else stuck.operation.return_order


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    count = {decision: sum(one.result.decision is decision for one in judged) for decision in Decision}
    return {
        "keys": len(judged),
        "keys_ok": count[Decision.OK],
        "keys_illegal": count[Decision.ILLEGAL],
        "keys_unknown": count[Decision.UNKNOWN],
        "illegal": [one.key for one in judged if one.result.decision is Decision.ILLEGAL],
        "unknown": [one.key for one in judged if one.result.decision is Decision.UNKNOWN],
        "operations": sum(len(one.operations) for one in judged),
        "frontier_max": max((one.result.statistics.frontier_max for one in judged), default=0),
    }


def _all_is_well(judged: Sequence[Judged], model: Model[Any]) -> str:
    operations = sum(len(one.operations) for one in judged)
    keys = f" over {len(judged)} keys" if len(judged) > 1 else ""
    return f"All {operations:,} operations{keys} are explained by some legal order of a {model.name}."
