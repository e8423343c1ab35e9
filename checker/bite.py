"""Would the checker have noticed? A legal history is altered in one read, again and again, and judged each time.

A history can be so thin, or a model so lenient, that nothing could ever be refused; its green verdict is worth nothing.
Here belongs this self-test of one run, which needs no cluster and no planted bug (issue #3). How much a read has to be
altered is not a question: it gets a value that another read of the same key returned, as a stale read would. A copy is
refused if the model refuses it, or one of the other checks that judge the workload.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from checker.history import History, Operation, Outcome, freeze
from checker.model import Model
from checker.partition import Budget, Decision, check_operations
from checker.records import CheckResult, Evidence, Validity

__all__ = ["COPIES", "check_bite"]

NAME = "bite"
COPIES = 20
BUDGET_OF_A_COPY = Budget(configurations=50_000)

Partition = list[Operation]

Rule = Callable[[Sequence[Operation]], CheckResult]
"""A check of operations, such as those of `checker.watching`."""


def check_bite(
    history: History,
    model: Model[Any] | None,
    *,
    reads: Sequence[str],
    random: Random,
    copies: int = COPIES,
    rules: Sequence[Rule] = (),
) -> CheckResult:
    """Alter one read in each of `copies` copies of `history` and count the copies that are refused.

    Vacuous when none of them is: this run could not have shown a violation. Meant for histories that are legal; with
    `reads` naming the operations whose result may be altered. Figures: `copies`, `refused`.
    """
    candidates = _candidates(history, model, reads)
    if not candidates:
        return _result(Validity.VALID, "no read could be altered: no key was read with two different results", 0, 0)
    refused = 0
    for _ in range(copies):
        partition, place, others = candidates[random.randrange(len(candidates))]
        altered = list(partition)
        altered[place] = replace(partition[place], result=others[random.randrange(len(others))])
        refused += _is_refused(altered, model, rules)
    summary = f"{refused} of {copies} copies of the history with one read altered were refused"
    return _result(Validity.VALID if refused else Validity.VACUOUS, summary, copies, refused)


def _is_refused(operations: Partition, model: Model[Any] | None, rules: Sequence[Rule]) -> bool:
    if model is not None:
        decision = check_operations(operations, model, budget=BUDGET_OF_A_COPY).decision
        if decision is Decision.ILLEGAL:
            return True
    return any(rule(operations).validity is Validity.INVALID for rule in rules)


def _candidates(
    history: History, model: Model[Any] | None, reads: Sequence[str]
) -> list[tuple[Partition, int, tuple[Any, ...]]]:
    """(operations of a partition, place of a read in it, results that other reads of it had)."""
    partitions: dict[Hashable, Partition] = {}
    for operation in history.operations:
        group = freeze(operation.key) if model is None else model.partition(operation)
        partitions.setdefault(group, []).append(operation)
    candidates = []
    for partition in partitions.values():
        places = [n for n, one in enumerate(partition) if one.f in reads and one.outcome is Outcome.OK]
        results = {freeze(partition[place].result): partition[place].result for place in places}
        for place in places:
            own = freeze(partition[place].result)
            others = tuple([result for frozen, result in results.items() if frozen != own])
            if others:
                candidates.append((partition, place, others))
    return candidates


def _result(validity: Validity, summary: str, copies: int, refused: int) -> CheckResult:
    return CheckResult(
        name=NAME,
        validity=validity,
        anomaly="toothless" if validity is Validity.VACUOUS else None,
        evidence=Evidence(summary=summary, figures={"copies": copies, "refused": refused}),
        budget={"configurations_max_per_copy": BUDGET_OF_A_COPY.configurations},
    )
