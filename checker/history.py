"""A history: what clients asked for and what came back, paired into operations, in the order the harness saw it.

Here belong pairing and the proof of well-formedness; not reading files (`checker.formats`), not judging. The order of
the lines is the real-time order: the harness writes a return before the invocation that it makes possible, so two
lines with the same time are still ordered, and `call_order`/`return_order` (ranks of lines) are what judges compare.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from checker.errors import IllFormedHistory
from checker.records import HistoryLine, LineType

__all__ = ["Frozen", "History", "Operation", "Outcome", "Pairing", "freeze"]


class Outcome(StrEnum):
    """Three outcomes, never two."""

    OK = "ok"
    FAIL = "fail"
    """Certainly did not happen."""
    INFO = "info"
    """May or may not have happened, now or later: the operation stays open for ever."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An invocation and its completion: a closed interval of real time in which it took effect, if it did."""

    index: int
    """History index of the invocation."""
    process: int
    f: str
    outcome: Outcome
    key: Any = None
    value: Any = None
    """The argument."""
    result: Any = None
    """What an `ok` completion carried; None for the other outcomes."""
    call_ns: int = 0
    return_ns: int | None = None
    """None for `info`: its interval never ends."""
    call_order: int
    """Rank of the invocation among all lines. Equal ranks (in hand-made operations only) count as overlapping."""
    return_order: int | None
    """Rank of the completion; None for `info`."""
    node: str | None = None
    error: str | None = None
    position: tuple[int, int] | None = None
    """(term, index) at which the system says it took effect."""


class History:
    """An immutable, well-formed sequence of lines and the operations that they pair into."""

    __slots__ = ("lines", "operations")

    lines: tuple[HistoryLine, ...]
    operations: tuple[Operation, ...]
    """In the order of their invocations; those left open at the end are `info`."""

    def __init__(self, lines: Iterable[HistoryLine]) -> None:
        """Pair `lines`. Raises IllFormedHistory, naming the first line that breaks a rule (docs/checker.md)."""
        self.lines = tuple(lines)
        pairing = Pairing()
        for rank, line in enumerate(self.lines):
            pairing.add(rank, line)
        self.operations = pairing.finish()

    def by_key(self) -> dict[Hashable, tuple[Operation, ...]]:
        """Operations by frozen key (see `freeze`), keys in order of first appearance."""
        groups: dict[Hashable, list[Operation]] = {}
        for operation in self.operations:
            groups.setdefault(freeze(operation.key), []).append(operation)
        return {key: tuple(group) for key, group in groups.items()}


class Pairing:
    """The rules of a history, checked line by line."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, HistoryLine]] = {}
        self._ended: dict[int, int] = {}
        self._returned: dict[int, tuple[int, int]] = {}
        """Process -> its last call and return."""
        self._time_ns = 0
        self._operations: list[Operation] = []

    def add(self, rank: int, line: HistoryLine) -> Operation | None:
        """Take the next line; the operation that it completes, if any. Raises IllFormedHistory."""
        if line.index != rank:
            raise IllFormedHistory(rank, f"indexes must count up from 0: expected {rank}, found {line.index}")
        if line.time_ns < self._time_ns:
            raise IllFormedHistory(rank, f"time runs backwards, from {self._time_ns} ns to {line.time_ns} ns")
        self._time_ns = line.time_ns
        if line.type is LineType.INVOKE:
            self._invoke(rank, line)
            return None
        return self._complete(rank, line)

    def finish(self) -> tuple[Operation, ...]:
        """All operations; those still open become `info`."""
        for rank, invocation in self._open.values():
            self._operations.append(_operation(invocation, rank, Outcome.INFO, None, None))
        return tuple(sorted(self._operations, key=lambda operation: operation.index))

    def _invoke(self, rank: int, line: HistoryLine) -> None:
        process = line.process
        if process in self._open:
            first = self._open[process][0]
            raise IllFormedHistory(rank, f"process {process} invokes while its operation of index {first} is open")
        if process in self._ended:
            ended = self._ended[process]
            raise IllFormedHistory(rank, f"process {process} is used again after the info of index {ended} ended it")
        self._open[process] = (rank, line)

    def _complete(self, rank: int, line: HistoryLine) -> Operation:
        opened = self._open.pop(line.process, None)
        if opened is None:
            raise IllFormedHistory(rank, self._nothing_open(line.process))
        called, invocation = opened
        if line.f != invocation.f or line.key != invocation.key:
            raise IllFormedHistory(
                rank,
                f"process {line.process} completes {line.f} of key {line.key!r}, "
                f"but index {called} invoked {invocation.f} of key {invocation.key!r}",
            )
        outcome = Outcome(line.type.value)
        self._returned[line.process] = (called, rank)
        if outcome is Outcome.INFO:
            self._ended[line.process] = rank
        operation = _operation(invocation, called, outcome, line, rank)
        self._operations.append(operation)
        return operation

    def _nothing_open(self, process: int) -> str:
        if process not in self._returned:
            return f"a return without a call: process {process} completes an operation that it has not invoked"
        called, returned = self._returned[process]
        return (
            f"an operation returns twice: process {process} completes what it called at index {called}, "
            f"but that returned at index {returned}"
        )


def _operation(
    invocation: HistoryLine, called: int, outcome: Outcome, completion: HistoryLine | None, returned: int | None
) -> Operation:
    """`completion` None: the history ended first."""
    ends = completion is not None and outcome is not Outcome.INFO
    return Operation(
        index=called,
        process=invocation.process,
        f=invocation.f,
        outcome=outcome,
        key=invocation.key,
        value=invocation.value,
        result=completion.value if completion is not None and outcome is Outcome.OK else None,
        call_ns=invocation.time_ns,
        return_ns=completion.time_ns if completion is not None and ends else None,
        call_order=called,
        return_order=returned if ends else None,
        node=invocation.node if completion is None or completion.node is None else completion.node,
        error=None if completion is None else completion.error,
        position=None if completion is None else completion.position,
    )


@dataclass(frozen=True, slots=True)
class Frozen:
    """A JSON value that Python would not hash, or would confuse with another (`true` with 1, 1.0 with 1)."""

    text: str
    """Canonical JSON."""

    def __repr__(self) -> str:
        return self.text


def freeze(value: Any) -> int | str | Frozen | None:
    """`value` as something hashable, equal exactly when the JSON values are. Integers, strings and null stay as is."""
    kind = type(value)
    if value is None or kind is int or kind is str:
        plain: int | str | None = value
        return plain
    if isinstance(value, Frozen):
        return value
    return Frozen(json.dumps(value, sort_keys=True, ensure_ascii=False))
