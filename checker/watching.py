"""Do those who watch see every change, once, in one order? The guarantees of etcd: ordered, unique, reliable, atomic.

Every answer tells the changes after one revision and up to another. All answers of all watchers together must be
pieces of one log of changes; that log must contain each acknowledged write, at one revision, in an order that respects
real time; and an answer must reach beyond every write that was acknowledged before it was asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from checker.findings import Finding, by_key, conclude, is_ok, told
from checker.history import Operation, Outcome, freeze
from checker.model import describe_value
from checker.records import CheckResult

__all__ = ["ANOMALIES", "NAME", "check_watching"]

NAME = "watch"
ANOMALIES = (
    ("lost-event", "a change is missing from an answer that reaches beyond it"),
    ("duplicate-event", "a change came twice"),
    ("out-of-order", "changes came in another order than they were made"),
    ("different-event", "two answers tell different changes of one revision"),
    ("torn-write", "changes that were written together came at different revisions"),
    ("phantom-event", "a change came that nobody had written by then, or whose writing certainly failed"),
    ("stale-answer", "an answer does not reach a write that was acknowledged before it was asked for"),
)

Told = tuple[Hashable, ...]
"""The changes of one revision, as one answer tells them."""


@dataclass(slots=True)
class _Log:
    """What all answers together say."""

    revisions: dict[int, tuple[Told, Operation]] = field(default_factory=dict)
    """Revision -> its changes, and the first answer that told them."""
    writes: dict[Hashable, int] = field(default_factory=dict)
    """Value -> the first revision at which it was told."""
    reached: int = 0
    """Answers cover every revision up to this one."""


def check_watching(operations: Sequence[Operation]) -> CheckResult:
    """Judge `write` (argument: distinct values, written at once) and `watch`, per key.

    `watch`: argument `[since, limit]`, result `{"revision": up to, "events": [[revision, name, value], …]}`. Figures:
    `answers`, `events` (over all answers), `revisions`, `writes` (acknowledged), `writes_seen`.
    """
    findings: list[Finding] = []
    figures = dict.fromkeys(("answers", "events", "revisions", "writes", "writes_seen"), 0)
    for group in by_key(operations).values():
        answers = [one for one in group if one.f == "watch" and is_ok(one)]
        writes = [one for one in group if one.f == "write"]
        log = _joined(answers, findings)
        findings += _missing(answers, log)
        findings += _compared(writes, answers, log)
        figures["answers"] += len(answers)
        figures["events"] += sum(len(one.result["events"]) for one in answers)
        figures["revisions"] += len(log.revisions)
        figures["writes"] += sum(map(is_ok, writes))
        figures["writes_seen"] += sum(is_ok(one) and freeze(one.value[0]) in log.writes for one in writes)
    well = f"{figures['answers']} answers tell one log of {figures['revisions']} revisions, in order, nothing missing"
    return conclude(NAME, ANOMALIES, findings, well=well, figures=figures)


# ── the log that the answers tell ────────────────────────────────────────────────────────────────────────────────────


def _joined(answers: Sequence[Operation], findings: list[Finding]) -> _Log:
    log = _Log()
    for answer in answers:
        findings += _malformed(answer)
        for revision, changes in _revisions(answer).items():
            known = log.revisions.setdefault(revision, (changes, answer))
            if known[0] != changes and len(known[0]) == len(changes):
                sentence = f"{_who(answer)} was told other changes of revision {revision} than {_who(known[1])}"
                findings.append(Finding("different-event", sentence, (known[1], answer)))
            elif len(known[0]) < len(changes):
                log.revisions[revision] = (changes, answer)
    for revision in sorted(log.revisions):
        for value in log.revisions[revision][0]:
            log.writes.setdefault(value, revision)
    for since, upto in sorted((one.value[0], one.result["revision"]) for one in answers):
        if since <= log.reached:
            log.reached = max(log.reached, upto)
    return log


def _revisions(answer: Operation) -> dict[int, Told]:
    told: dict[int, list[Hashable]] = {}
    for revision, _, value in answer.result["events"]:
        told.setdefault(revision, []).append(freeze(value))
    return {revision: tuple(values) for revision, values in told.items()}


def _malformed(answer: Operation) -> Iterator[Finding]:
    """What one answer alone shows to be wrong."""
    since, upto = answer.value[0], answer.result["revision"]
    events = answer.result["events"]
    revisions = [revision for revision, _, _ in events]
    if revisions != sorted(revisions):
        yield Finding("out-of-order", f"{_who(answer)} was told changes whose revisions do not ascend", (answer,))
    values = [freeze(value) for _, _, value in events]
    if len(set(values)) < len(values) or any(revision <= since for revision in revisions):
        sentence = f"{_who(answer)} was told a change twice, or one that it had seen when it asked from {since}"
        yield Finding("duplicate-event", sentence, (answer,))
    if upto < since or any(revision > upto for revision in revisions):
        sentence = f"{_who(answer)} was told that it has seen everything up to {upto}, which is not what it was told"
        yield Finding("out-of-order", sentence, (answer,))


def _missing(answers: Sequence[Operation], log: _Log) -> Iterator[Finding]:
    """Revisions that others were told of, within an answer that lacks them in whole or in part."""
    known = sorted(log.revisions)
    for answer in answers:
        told = _revisions(answer)
        first, last = (bisect_right(known, bound) for bound in (answer.value[0], answer.result["revision"]))
        for revision in known[first:last]:
            changes, witness = log.revisions[revision]
            if len(told.get(revision, ())) < len(changes):
                sentence = (
                    f"{_who(answer)} asked from {answer.value[0]} and was told everything up to "
                    f"{answer.result['revision']}, but lacks a part of revision {revision}; {_who(witness)} has it"
                )
                yield Finding("lost-event", sentence, (witness, answer))
                break


# ── the log and the writes ───────────────────────────────────────────────────────────────────────────────────────────


def _compared(writes: Sequence[Operation], answers: Sequence[Operation], log: _Log) -> Iterator[Finding]:
    by_value: dict[Hashable, Operation] = {freeze(value): one for one in writes for value in one.value}
    yield from _phantoms(by_value, log)
    yield from _repeated(log)
    yield from _unseen(writes, answers, log)
    acknowledged = [one for one in writes if is_ok(one) and freeze(one.value[0]) in log.writes]
    yield from _disordered(acknowledged, log)
    yield from _stale(acknowledged, answers, log)
    for one in writes:
        revisions = {log.writes.get(freeze(value)) for value in one.value}
        if len(revisions) > 1 and None not in revisions:
            yield Finding("torn-write", f"{told(one)}, which came at different revisions", (one,))


def _phantoms(by_value: dict[Hashable, Operation], log: _Log) -> Iterator[Finding]:
    for value, revision in log.writes.items():
        answer = log.revisions[revision][1]
        write = by_value.get(value)
        if write is None or write.outcome is Outcome.FAIL or write.call_order > (answer.return_order or 0):
            sentence = f"{_who(answer)} was told of {describe_value(value)}, which nobody had written by then"
            yield Finding("phantom-event", sentence, (answer,) if write is None else (write, answer))


def _repeated(log: _Log) -> Iterator[Finding]:
    for revision, (changes, answer) in log.revisions.items():
        for value in changes:
            if log.writes[value] != revision:
                sentence = f"{describe_value(value)} came at revision {log.writes[value]} and again at {revision}"
                yield Finding("duplicate-event", sentence, (answer,))


def _unseen(writes: Sequence[Operation], answers: Sequence[Operation], log: _Log) -> Iterator[Finding]:
    """Acknowledged writes of which nobody was told, although answers cover everything up to one asked for later."""
    covering = [one for one in answers if _is_up_to_date(one) and one.result["revision"] <= log.reached]
    latest = max(covering, key=lambda one: one.call_order, default=None)
    for one in writes:
        if latest is None or not is_ok(one) or (one.return_order or 0) > latest.call_order:
            continue
        if any(freeze(value) not in log.writes for value in one.value):
            sentence = f"{told(one)}, but nobody was told of all of it, {_who(latest)} neither"
            yield Finding("lost-event", sentence, (one, latest))


def _disordered(acknowledged: Sequence[Operation], log: _Log) -> Iterator[Finding]:
    """A write that was over before another one was called comes later in the log."""
    latest: Operation | None = None
    for one in sorted(acknowledged, key=lambda one: log.writes[freeze(one.value[0])]):
        if latest is not None and (one.return_order or 0) < latest.call_order:
            sentence = f"{told(one)} before {told(latest)} was called, but comes later"
            yield Finding("out-of-order", sentence, (one, latest))
        if latest is None or one.call_order > latest.call_order:
            latest = one


def _stale(acknowledged: Sequence[Operation], answers: Sequence[Operation], log: _Log) -> Iterator[Finding]:
    """Answers that end before a write that was acknowledged before they were asked for."""
    returns = sorted((one.return_order or 0, log.writes[freeze(one.value[0])], one.index) for one in acknowledged)
    newest: list[int] = []
    for _, revision, _ in returns:
        newest.append(max(revision, newest[-1]) if newest else revision)
    orders = [order for order, _, _ in returns]
    for answer in answers:
        if not _is_up_to_date(answer):
            continue
        place = bisect_right(orders, answer.call_order)
        if place and newest[place - 1] > answer.result["revision"]:
            sentence = f"{_who(answer)} was told everything up to {answer.result['revision']}, but a write at revision "
            yield Finding("stale-answer", f"{sentence}{newest[place - 1]} had been acknowledged before", (answer,))


def _is_up_to_date(answer: Operation) -> bool:
    """It tells all changes of its time; a page that is full may end early."""
    limit: int = answer.value[1]
    return limit == 0 or len(answer.result["events"]) < limit


def _who(answer: Operation) -> str:
    at = "" if answer.return_ns is None else f" at {answer.return_ns / 1e9:.3f} s"
    key: Any = answer.key
    return f"process {answer.process} (key {describe_value(key)}){at}"
