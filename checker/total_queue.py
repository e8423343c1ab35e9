"""What goes into a queue comes out, once. After Jepsen's `total-queue`: needs queues that were emptied at the end.

A taking without an answer may have taken an element that nobody will ever see; so an element counts as lost only where
fewer such takings than missing elements are left to explain it. Whether the order was right is the model's question.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from checker.findings import Finding, by_key, conclude, is_ok, told
from checker.history import Operation, Outcome, freeze
from checker.model import describe_value
from checker.records import CheckResult

__all__ = ["ANOMALIES", "NAME", "check_total_queue"]

NAME = "total-queue"
EMPTY = "empty"
ANOMALIES = (
    ("lost-element", "an acknowledged element had not come out when the queue was found empty"),
    ("duplicate-element", "an element came out more often than it was put in"),
    ("phantom-element", "an element came out that nobody had put in, or whose putting in certainly failed"),
)


def check_total_queue(operations: Sequence[Operation]) -> CheckResult:
    """Judge every queue of `enqueue` and `dequeue` operations with distinct elements.

    Figures: `enqueued`, `dequeued`, `recovered` (putting in was not acknowledged, but they came out), `excused`
    (missing, but as many takings have no answer), `left` (not out yet, and the queue was not seen empty since).
    """
    findings: list[Finding] = []
    figures = dict.fromkeys(("enqueued", "dequeued", "recovered", "excused", "left"), 0)
    for group in by_key(operations).values():
        _judge(group, findings, figures)
    well = f"{figures['dequeued']} of {figures['enqueued']} acknowledged elements came out, each once"
    return conclude(NAME, ANOMALIES, findings, well=well, figures=figures)


def _judge(group: Sequence[Operation], findings: list[Finding], figures: dict[str, int]) -> None:
    puts: dict[Hashable, Operation] = {freeze(one.value): one for one in group if one.f == "enqueue"}
    takes: dict[Hashable, Operation] = {}
    for one in group:
        if one.f != "dequeue" or not is_ok(one):
            continue
        element = freeze(one.result)
        put = puts.get(element)
        if put is None or put.outcome is Outcome.FAIL:
            findings.append(Finding("phantom-element", f"{told(one)}, which nobody put in", (one,)))
        elif element in takes:
            sentence = f"{told(one)}, which {told(takes[element])} too"
            findings.append(Finding("duplicate-element", sentence, (takes[element], one)))
        else:
            takes[element] = one
            figures["recovered"] += not is_ok(put)
    acknowledged = [one for one in puts.values() if is_ok(one)]
    figures["enqueued"] += len(acknowledged)
    figures["dequeued"] += sum(freeze(one.value) in takes for one in acknowledged)
    _look_for_lost([one for one in acknowledged if freeze(one.value) not in takes], group, findings, figures)


def _look_for_lost(
    missing: Sequence[Operation], group: Sequence[Operation], findings: list[Finding], figures: dict[str, int]
) -> None:
    empties = [one for one in group if one.f == "dequeue" and one.error == EMPTY]
    last = max(empties, key=lambda one: one.call_order, default=None)
    gone = [one for one in missing if last is not None and (one.return_order or 0) < last.call_order]
    figures["left"] += len(missing) - len(gone)
    unanswered = sum(one.f == "dequeue" and one.outcome is Outcome.INFO for one in group)
    if len(gone) <= unanswered:
        figures["excused"] += len(gone)
        return
    assert last is not None
    excuse = f", and only {unanswered} takings are without an answer" if unanswered else ""
    elements = ", ".join(describe_value(one.value) for one in gone[:5])
    sentence = (
        f"{len(gone)} acknowledged elements never came out ({elements}{', …' if len(gone) > 5 else ''}): {told(last)}"
    )
    findings.append(Finding("lost-element", f"{sentence}{excuse}", (*gone[:5], last)))
