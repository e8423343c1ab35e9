"""Session guarantees: does a client ever see less than it has seen, or miss what it wrote itself?

Monotonic reads and read your writes, of Terry et al., *Session guarantees for weakly consistent replicated data*, PDIS
1994. A linearizable system gives both; a system that does not claim more can be judged by these alone, and where more
is broken they say it in the words of one client. A session is a process of the history.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checker.findings import Finding, by_key, conclude, is_ok, told
from checker.history import Operation, Outcome, freeze
from checker.model import describe_value
from checker.records import CheckResult

__all__ = ["ANOMALIES", "NAME", "VIEWS", "check_sessions"]

NAME = "sessions"
ANOMALIES = (
    ("own-write-missing", "a process read a state without what it had written itself, and was told so"),
    ("non-monotonic-read", "a process read an older state after a newer one"),
)

Judge = Callable[[Sequence[Operation]], Iterator[Finding]]
"""Operations of one process on one key, in order -> what contradicts."""


def check_sessions(operations: Sequence[Operation], view: str) -> CheckResult:
    """Judge every process on every key. view: how reads show what was written, one of VIEWS.

    Figures: `sessions` (process and key), `reads`.
    """
    findings: list[Finding] = []
    sessions = reads = 0
    for group in by_key(operations).values():
        if view == "values" and not _are_unique(group):
            continue
        processes: dict[int, list[Operation]] = {}
        for one in filter(is_ok, group):
            processes.setdefault(one.process, []).append(one)
        for own in processes.values():
            sessions += 1
            reads += sum(one.f == "read" for one in own)
            findings += VIEWS[view](own)
    well = f"{reads} reads in {sessions} sessions, none older than the one before or without the own writes"
    return conclude(NAME, ANOMALIES, findings, well=well, figures={"sessions": sessions, "reads": reads})


def _written(one: Operation) -> Any:
    return one.value[1] if one.f == "cas" else one.value


def _are_unique(group: Sequence[Operation]) -> bool:
    """No value is written twice, nor is null."""
    values = [freeze(_written(one)) for one in group if one.f != "read" and one.outcome is not Outcome.FAIL]
    return len(set(values)) == len(values) and None not in values


@dataclass(slots=True)
class _Register:
    """What a process knows of a register: the present value, and those that were replaced and cannot come back."""

    present: Hashable = None
    by: Operation | None = None
    replaced: dict[Hashable, None] = field(default_factory=dict)

    def move_to(self, value: Hashable, by: Operation) -> None:
        if value != self.present:
            self.replaced[self.present] = None
        self.present, self.by = value, by


def _values(own: Sequence[Operation]) -> Iterator[Finding]:
    """A register whose values are unique: what was replaced never comes back."""
    known = _Register()
    for one in own:
        if one.f == "cas":
            known.move_to(freeze(one.value[0]), one)
        value = freeze(one.result if one.f == "read" else _written(one))
        if one.f == "read" and value in known.replaced and known.by is not None:
            anomaly = "non-monotonic-read" if known.by.f == "read" else "own-write-missing"
            yield Finding(anomaly, f"{told(one)}, after {told(known.by)}", (known.by, one))
        elif value not in known.replaced:
            known.move_to(value, one)


def _lists(own: Sequence[Operation]) -> Iterator[Finding]:
    """A list that only grows: each read begins with the one before."""
    last: Operation | None = None
    appended: list[Operation] = []
    for one in own:
        if one.f == "append":
            appended.append(one)
        elif one.f == "read":
            if last is not None and one.result[: len(last.result)] != last.result:
                yield Finding("non-monotonic-read", f"{told(one)}, after {told(last)}", (last, one))
            yield from _without(one, appended)
            last = one


def _sets(own: Sequence[Operation]) -> Iterator[Finding]:
    """A set that only grows: each read contains the one before."""
    last: Operation | None = None
    added: list[Operation] = []
    for one in own:
        if one.f == "add":
            added.append(one)
        elif one.f == "read":
            if last is not None and not set(map(freeze, last.result)) <= set(map(freeze, one.result)):
                yield Finding("non-monotonic-read", f"{told(one)}, after {told(last)}", (last, one))
            yield from _without(one, added)
            last = one


def _without(read: Operation, written: Sequence[Operation]) -> Iterator[Finding]:
    shown = set(map(freeze, read.result))
    for one in written:
        if freeze(one.value) not in shown:
            sentence = f"{told(read)}, without its own {describe_value(one.value)}"
            yield Finding("own-write-missing", sentence, (one, read))
            return


def _sums(own: Sequence[Operation]) -> Iterator[Finding]:
    """A counter that only grows, from 0."""
    last: Operation | None = None
    added = 0
    for one in own:
        if one.f == "add":
            added += one.value
        elif one.f == "read":
            if last is not None and one.result < last.result:
                yield Finding("non-monotonic-read", f"{told(one)}, after {told(last)}", (last, one))
            if one.result < added:
                yield Finding("own-write-missing", f"{told(one)}, having added {added} itself", (one,))
            last = one


VIEWS: Mapping[str, Judge] = {"values": _values, "lists": _lists, "sets": _sets, "sums": _sums}
"""How reads show what was written: one value at a time, all of it in order, all of it, or its sum."""
