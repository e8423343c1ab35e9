"""What a finished run directory says: read, paired and typed, ready to be counted and drawn.

Here belongs reading, including directories of runs that were cut off. Counting is `reports.statistics`; judging happens
nowhere in this package. Whatever is missing becomes a sentence in `RunData.notes` or `RunData.absences`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from checker.errors import CheckerError, MalformedInput
from checker.faults import FaultSummary, summarize_faults
from checker.jsonl import read_jsonl
from checker.records import FaultLine, HistoryLine, LineType, RunRecord, Validity, Verdict

__all__ = ["Incarnation", "Operation", "PlanFile", "RoleChange", "RunData", "Trace", "read_run"]

Outcome = Literal["ok", "fail", "info"]
RoleName = Literal["follower", "pre-candidate", "candidate", "leader"]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a client: an invocation and its completion."""

    index: int
    """History index of the invocation."""
    process: int
    f: str
    key: Any
    argument: Any
    outcome: Outcome
    result: Any
    """What the completion carried; None for an operation without one."""
    error: str | None
    node: str | None
    call_ns: int
    return_ns: int | None
    """None: still open when the run ended; its outcome is `info`."""
    position: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A node entered `role` in `term`, by its own clock."""

    time_ns: int
    role: RoleName
    term: int


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a node, from its first traced event to its last."""

    node: str
    number: int
    first_ns: int
    last_ns: int
    roles: tuple[RoleChange, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """The part of a trace that is drawn."""

    lines: int
    incarnations: tuple[Incarnation, ...]


@dataclass(frozen=True, slots=True)
class PlanFile:
    """plan.json as text for people, and its digest."""

    text: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything a report says about a run comes from here."""

    run: RunRecord
    operations: tuple[Operation, ...]
    """In the order of their invocations."""
    faults: tuple[FaultSummary, ...]
    """In the order of the plan."""
    trace: Trace | None
    verdict: Verdict | None
    plan: PlanFile | None
    notes: tuple[str, ...]
    """How the run or its record was cut off, one sentence each: said at the top of the page."""
    absences: tuple[str, ...]
    """What was not recorded, one sentence each: said where the page lists what was not tested."""
    end_ns: int
    """End of the run; for one without an end mark, the last instant that was recorded."""

    @property
    def validity(self) -> Validity | None:
        """Of the verdict; None: not judged yet."""
        return self.verdict.validity if self.verdict else None

    @property
    def operations_by_index(self) -> dict[int, Operation]:
        """Operations by the history index of their invocation."""
        return {operation.index: operation for operation in self.operations}


def read_run(directory: Path) -> RunData:
    """Read a run directory, complete or not.

    Only run.json must exist. A run that says it completed must also have its history. Raises MalformedInput.
    """
    run = _decode_file(directory / "run.json", RunRecord)
    notes, absences = list(_notes_of_the_end(run)), list[str]()
    history: Sequence[HistoryLine] = _lines(directory, "history", HistoryLine, run, notes)
    fault_lines: Sequence[FaultLine] = _lines(directory, "faults", FaultLine, run, absences)
    trace_lines: Sequence[_NarrowLine] = _lines(directory, "trace", _NarrowLine, run, absences)
    operations = _pair(history, directory / "history.jsonl")
    if not operations:
        notes.append("No client ever invoked an operation: there is nothing to measure.")
    verdict = _decode_file(directory / "verdict.json", Verdict) if (directory / "verdict.json").exists() else None
    if verdict is None:
        notes.append("There is no verdict.json: this run has not been judged yet (run the check command on it).")
    times = [line.time_ns for line in history[-1:]] + [line.time_ns for line in fault_lines]
    end_ns = max([run.end.time_ns if run.end else 0, *times])
    return RunData(
        run=run,
        operations=operations,
        faults=_faults(fault_lines, directory / "faults.jsonl"),
        trace=_trace(_in_run_time(trace_lines, run), end_ns, absences),
        verdict=verdict,
        plan=_plan(directory / "plan.json"),
        notes=tuple(notes),
        absences=tuple(absences),
        end_ns=end_ns,
    )


def _notes_of_the_end(run: RunRecord) -> Iterable[str]:
    if run.end is None:
        yield "The run has no end mark: the harness was killed. What was recorded until then is shown."
        return
    match run.end.reason:
        case "completed":
            return
        case "event-budget":
            yield "The run was stopped by its event budget: something may be looping without progress."
        case "time-budget":
            yield "The run was stopped by its time budget before it was finished."
        case "interrupted":
            yield "The run was interrupted by its user before it was finished."
        case "error":
            yield f"The harness failed during the run: {run.end.error or 'no message was recorded'}"


def _decode_file(path: Path, record: type[Record]) -> Record:
    try:
        return msgspec.json.decode(path.read_bytes(), type=record)
    except OSError as error:
        raise MalformedInput(path, None, f"cannot be read: {error.strerror}", fix="is this a run directory?") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedInput(path, None, f"not what a {path.name} should be: {error}") from None


_FORMATS = {"history": "histrio/history", "faults": "histrio/faults", "trace": "histrio/trace"}
_ABSENCES = {
    "history": "no operation was recorded",
    "faults": "no fault was recorded",
    "trace": "leaders and terms are unknown, and the rules over the replicated log could not be checked",
}


def _lines(directory: Path, stem: str, line_type: Any, run: RunRecord, notes: list[str]) -> Sequence[Any]:
    """The records of one file; of an absent or empty one none, with a note where the run did not need it."""
    path = directory / f"{stem}.jsonl"
    finished = run.end is not None and run.end.reason == "completed"
    if not path.exists() or path.stat().st_size == 0:
        if stem == "history" and finished:
            raise MalformedInput(path, None, "is missing or empty, but run.json says that the run completed")
        state = "is empty" if path.exists() else "is missing"
        notes.append(f"{path.name} {state}: {_ABSENCES[stem]}.")
        return ()
    lines = read_jsonl(path, line_type, format=_FORMATS[stem], complete=run.end is not None)
    notes.extend(f"The unterminated last line of {path.name} was dropped." for _ in lines.warnings)
    if stem == "trace" and not lines.records:
        notes.append(f"trace.jsonl holds no event: {_ABSENCES[stem]}.")
    return lines.records


def _pair(history: Sequence[HistoryLine], path: Path) -> tuple[Operation, ...]:
    """Invocations with their completions, in the order of the invocations."""
    open_lines: dict[int, HistoryLine] = {}
    finished: dict[int, Operation] = {}
    for number, line in enumerate(history, start=2):
        if line.type is LineType.INVOKE:
            if line.process in open_lines:
                raise MalformedInput(path, number, f"process {line.process} invokes while an operation is open")
            open_lines[line.process] = line
            continue
        call = open_lines.pop(line.process, None)
        if call is None:
            raise MalformedInput(path, number, f"process {line.process} completes what it never invoked")
        finished[call.index] = _operation(call, line)
    for call in open_lines.values():
        finished[call.index] = _operation(call, None)
    return tuple(finished[index] for index in sorted(finished))


def _operation(call: HistoryLine, end: HistoryLine | None) -> Operation:
    return Operation(
        index=call.index,
        process=call.process,
        f=call.f,
        key=call.key,
        argument=call.value,
        outcome=_outcome(end),
        result=end.value if end else None,
        error=end.error if end else "the run ended first",
        node=(end.node if end else None) or call.node,
        call_ns=call.time_ns,
        return_ns=end.time_ns if end else None,
        position=end.position if end else None,
    )


def _outcome(end: HistoryLine | None) -> Outcome:
    if end is None:
        return "info"
    match end.type:
        case LineType.OK:
            return "ok"
        case LineType.FAIL:
            return "fail"
        case LineType.INFO | LineType.INVOKE:
            return "info"


class _NarrowEvent(msgspec.Struct, frozen=True, gc=False):
    """Only what is drawn: decoding 300,000 lines into full records would cost three times as much."""

    type: str
    role: RoleName | None = None
    term: int = 0


class _NarrowLine(msgspec.Struct, frozen=True, gc=False):
    node: str
    incarnation: int
    local_ns: int
    event: _NarrowEvent


def _in_run_time(lines: Sequence[_NarrowLine], run: RunRecord) -> Sequence[_NarrowLine]:
    """By the run's clock, as far as the harness has compared the nodes' with it."""
    offsets = {(clock.node, clock.incarnation): clock.offset_ns for clock in run.clocks}
    if not offsets:
        return lines
    return [
        _NarrowLine(line.node, line.incarnation, line.local_ns + offset_ns, line.event)
        for line in lines
        if (offset_ns := offsets.get((line.node, line.incarnation))) is not None
    ]


def _trace(lines: Sequence[_NarrowLine], end_ns: int, absences: list[str]) -> Trace | None:
    if not lines:
        return None
    if min([line.local_ns for line in lines]) > end_ns:
        absences.append("The nodes' clocks do not start with the run: their leaders cannot be put on its time axis.")
        return None
    last: dict[tuple[str, int], _NarrowLine] = {}
    roles: dict[tuple[str, int], list[RoleChange]] = {}
    for line in lines:
        life = (line.node, line.incarnation)
        if life not in last:
            roles[life] = [RoleChange(line.local_ns, "follower", line.event.term)]
        last[life] = line
        if line.event.role is not None:
            roles[life].append(RoleChange(line.local_ns, line.event.role, line.event.term))
    lives = [
        Incarnation(*life, roles[life][0].time_ns, last[life].local_ns, tuple(roles[life])) for life in sorted(last)
    ]
    return Trace(len(lines), tuple(lives))


def _faults(lines: Sequence[FaultLine], path: Path) -> tuple[FaultSummary, ...]:
    try:
        return summarize_faults(lines)
    except CheckerError as error:
        raise MalformedInput(path, None, str(error)) from None


def _plan(path: Path) -> PlanFile | None:
    if not path.exists():
        return None
    content = path.read_bytes()
    try:
        text = msgspec.json.format(content, indent=1).decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedInput(path, None, f"not a plan: {error}") from None
    return PlanFile(text, hashlib.sha256(content).hexdigest())
