"""Is the order of the system's own log a linearization? Where operations carry positions, one pass answers that.

A position is `(term, index)` in one replicated log, over all keys. An operation that changes the state *is* the entry
at its index. One that changes nothing (a read; a cas that compared and failed) saw the state *after* the entries up to
its index, whether or not it has an entry of its own. So the log gives an order, and if that order respects real time
and the model, it is a linearization, whatever the system claims. If not, the history may still have another one: the
search decides (`checker.tiers`). Crashed operations have no position; where one of them could have made the difference,
the answer is unknown.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from checker.errors import IllFormedHistory
from checker.history import History, Operation, Outcome
from checker.model import Model, Refused, describe_value
from checker.preparation import relevant
from checker.records import CheckResult, Evidence, Validity

__all__ = ["ANOMALIES", "NAME", "check_certificate"]

NAME = "certificate"

ANOMALIES = (
    ("position-taken-twice", "two acknowledged changes claim the same index of the log"),
    ("terms-out-of-order", "an acknowledged change has a lower term than one before it in the log"),
    ("out-of-real-time-order", "an operation took effect, by its position, before it was called or after it returned"),
    ("result-differs", "the model, replayed in the order of the log, gives another result"),
)


@dataclass(frozen=True, slots=True)
class _Fault:
    anomaly: str
    sentence: str
    operations: tuple[Operation, ...]


@dataclass(slots=True)
class _Replay:
    """One partition, replayed in the order of its positions."""

    model: Model[Any]
    crashed: Sequence[Operation]
    """State-changing operations without a known end, in the order of their calls."""
    state: Hashable = None
    latest: Operation | None = None
    """Of what was placed, the operation that was called last."""
    placed: set[int] = field(default_factory=set)

    def run(self, order: Sequence[Operation]) -> _Fault | str | None:
        """A fault, or a sentence why nothing can be said, or None: the order holds."""
        self.state = self.model.initial
        for operation in order:
            after = self._step(operation)
            if isinstance(after, Refused):
                return self._refused(operation, after)
            early = self.latest
            if early is not None and _over_before(operation, early):
                return self._too_late(operation, early)
            self._place(operation, after)
        return None

    def _step(self, operation: Operation) -> Hashable | Refused:
        """The state after it; if it is refused, a crashed operation may have taken effect just before it."""
        after: Hashable | Refused = self.model.step(self.state, operation)
        if not isinstance(after, Refused):
            return after
        for crashed in self.crashed:
            if crashed.index in self.placed or _over_before(operation, crashed):
                continue
            between = self.model.step(self.state, crashed)
            if isinstance(between, Refused) or between == self.state:
                continue
            if not isinstance(self.model.step(between, operation), Refused):
                self._place(crashed, between)
                explained: Hashable | Refused = self.model.step(between, operation)
                return explained
        return after

    def _place(self, operation: Operation, after: Hashable) -> None:
        self.state = after
        self.placed.add(operation.index)
        if self.latest is None or operation.call_order > self.latest.call_order:
            self.latest = operation

    def _refused(self, operation: Operation, refused: Refused) -> _Fault | str:
        told = _told(self.model, operation)
        if self._has_guessed() or any(not _over_before(operation, crashed) for crashed in self.crashed):
            return f"{told} may rest on a crashed operation, whose position nobody knows"
        return _Fault("result-differs", f"{told}, but by the order of the log {refused.reason}", (operation,))

    def _has_guessed(self) -> bool:
        """A crashed operation was put where it explained something; it may belong elsewhere."""
        return any(crashed.index in self.placed for crashed in self.crashed)

    def _too_late(self, operation: Operation, early: Operation) -> _Fault | str:
        if self._has_guessed():
            return f"{_told(self.model, operation)} may rest on a crashed operation, whose position nobody knows"
        sentence = (
            f"{_told(self.model, operation)} was over before {_told(self.model, early)} was called, "
            "but comes after it in the log"
        )
        return _Fault("out-of-real-time-order", sentence, (early, operation))


def check_certificate(history: History, model: Model[Any]) -> CheckResult:
    """Replay every partition in the order of the log. O(n log n).

    Valid: that order is a linearization. Invalid: it is none; `anomaly` is one of ANOMALIES. Unknown: an acknowledged
    operation has no position, or a crashed one may have made the difference. Raises IllFormedHistory for an operation
    that the model does not know.
    """
    operations = relevant(model, history.operations)
    for one in operations:
        problem = model.problem(one)
        if problem is not None:
            raise IllFormedHistory(one.index, f"{problem} (model {model.name})")
    finished = [one for one in operations if one.outcome is not Outcome.INFO]
    unplaced = next((one for one in finished if one.position is None), None)
    if unplaced is not None:
        return _unknown(f"{_told(model, unplaced)} carries no position")
    changes = sorted((one for one in finished if not _looks(model, one)), key=_position)
    fault: _Fault | str | None = _log_fault(model, changes)
    if fault is None:
        fault = _replayed(model, operations)
    match fault:
        case None:
            return _valid(model, finished)
        case str():
            return _unknown(fault)
        case _Fault():
            return _invalid(model, fault)


def _replayed(model: Model[Any], operations: Sequence[Operation]) -> _Fault | str | None:
    """The first fault of any partition; if there is none, the first doubt."""
    partitions: dict[Hashable, list[Operation]] = {}
    for one in operations:
        partitions.setdefault(model.partition(one), []).append(one)
    doubt: str | None = None
    for part in partitions.values():
        crashed = [one for one in part if one.outcome is Outcome.INFO and not model.traits(one).observer]
        found = _Replay(model, crashed).run(_log_order(model, part, by_calls=True))
        if isinstance(found, str) and _Replay(model, crashed).run(_log_order(model, part, by_calls=False)) is None:
            found = None
        if isinstance(found, _Fault):
            return found
        doubt = doubt or found
    return doubt


def _log_order(model: Model[Any], part: Sequence[Operation], *, by_calls: bool) -> list[Operation]:
    """Changes by index, each followed by what only looks and saw no later one.

    Looks between two changes come in the order of their calls, or of their indexes: between changes with known places
    may lie a crashed one, which those at lower indexes did not see.
    """
    finished = [one for one in part if one.outcome is not Outcome.INFO]
    looks = {one.index for one in finished if _looks(model, one)}
    if not by_calls:
        return sorted(finished, key=lambda one: (_index(one), one.index in looks, one.call_order))
    indexes = sorted(_index(one) for one in finished if one.index not in looks)
    return sorted(finished, key=lambda one: (bisect_right(indexes, _index(one)), one.index in looks, one.call_order))


def _looks(model: Model[Any], operation: Operation) -> bool:
    """It changed nothing: an observer, or a failure that tells something."""
    return operation.outcome is Outcome.FAIL or model.traits(operation).observer


def _log_fault(model: Model[Any], changes: Sequence[Operation]) -> _Fault | None:
    """What no log can say, over all partitions: one index twice, terms that fall."""
    for one, other in itertools.pairwise(changes):
        pair = f"{_told(model, one)} at {_shown(one)} and {_told(model, other)} at {_shown(other)}"
        if _index(one) == _index(other):
            return _Fault("position-taken-twice", f"{pair} claim the same index of the log", (one, other))
        if _position(one)[1] > _position(other)[1]:
            return _Fault("terms-out-of-order", f"{pair}: the term falls while the index grows", (one, other))
    return None


def _position(operation: Operation) -> tuple[int, int]:
    """(index, term): the order of the log."""
    assert operation.position is not None
    term, index = operation.position
    return index, term


def _index(operation: Operation) -> int:
    return _position(operation)[0]


def _shown(operation: Operation) -> str:
    index, term = _position(operation)
    return f"index {index} of term {term}"


def _over_before(operation: Operation, other: Operation) -> bool:
    """Had `operation` returned before `other` was called?"""
    return operation.return_order is not None and operation.return_order < other.call_order


def _told(model: Model[Any], operation: Operation) -> str:
    key = "" if operation.key is None else f" of key {describe_value(operation.key)}"
    return f"{model.describe_operation(operation)}{key} by process {operation.process} (index {operation.index})"


def _valid(model: Model[Any], finished: Sequence[Operation]) -> CheckResult:
    summary = f"The order of the log explains all {len(finished):,} completed operations of a {model.name}."
    evidence = Evidence(summary=summary, figures={"operations": len(finished)})
    return CheckResult(name=NAME, validity=Validity.VALID, evidence=evidence)


def _unknown(why: str) -> CheckResult:
    evidence = Evidence(summary=f"The order of the log says nothing: {why}.")
    return CheckResult(name=NAME, validity=Validity.UNKNOWN, evidence=evidence)


def _invalid(model: Model[Any], fault: _Fault) -> CheckResult:
    last = fault.operations[-1]
    evidence = Evidence(
        summary=fault.sentence[0].upper() + fault.sentence[1:] + ".",
        indexes=tuple(one.index for one in fault.operations),
        figures={"kinds": sorted({one.f for one in fault.operations})},
    )
    return CheckResult(name=NAME, validity=Validity.INVALID, anomaly=fault.anomaly, key=last.key, evidence=evidence)
