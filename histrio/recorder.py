"""Writes what happens during a run, in order: history, faults and trace, as the records on disk.

One recorder per run, one order for all events. History and fault lines reach the operating system at once. Trace lines
of the simulator are gathered for a while: a lost tail can be had again. Those of real nodes are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from checker.jsonl import JsonlWriter, LineWriter
from checker.records import FaultLine, Header, HistoryLine, LineType, TraceLine
from workloads.session import Completion, Operation

__all__ = ["Recorder"]

_TRACE_LINES_GATHERED = 256  # few enough to stay in the processor's cache until they are encoded


class Recorder:
    """Appends to the three records of one run, wherever their lines go."""

    def __init__(self, history: LineWriter, faults: LineWriter, trace: LineWriter) -> None:
        self._history, self._faults, self._trace = history, faults, trace
        self._gathered: list[TraceLine] = []
        self._next_index = 0

    @classmethod
    def in_directory(cls, directory: Path, *, clock: Literal["virtual", "monotonic"] = "virtual") -> Recorder:
        """To the files of a run directory, which must not exist yet."""
        return cls(
            JsonlWriter(directory / "history.jsonl", Header(format="histrio/history", clock=clock)),
            JsonlWriter(directory / "faults.jsonl", Header(format="histrio/faults", clock=clock)),
            JsonlWriter(directory / "trace.jsonl", Header(format="histrio/trace", clock=clock)),
        )

    def invoked(self, time_ns: int, process: int, node: str, operation: Operation) -> None:
        """An operation begins."""
        self._line(time_ns, process, node, operation, LineType.INVOKE, operation.value)

    def completed(self, time_ns: int, process: int, node: str, operation: Operation, completion: Completion) -> None:
        """The operation ended; what is not `ok` repeats the argument as its value."""
        kind = LineType(completion.outcome.value)
        value = completion.value if kind is LineType.OK else operation.value
        self._line(time_ns, process, node, operation, kind, value, completion.error, completion.position)

    def fault(self, line: FaultLine) -> None:
        """One line about one fault."""
        self._faults.append(line)

    def traced(self, node: str, incarnation: int, first_seq: int, local_ns: int, events: Sequence[Any]) -> None:
        """Consecutive events of one node, in its own words, which encode as the records do (`SimulatedSystem`)."""
        self._gathered += [
            TraceLine(node=node, incarnation=incarnation, seq=seq, local_ns=local_ns, event=event)
            for seq, event in enumerate(events, first_seq)
        ]
        if len(self._gathered) >= _TRACE_LINES_GATHERED:
            self._write_gathered()

    def trace_written(self, lines: bytes) -> None:
        """Whole lines of one node's own trace file, which are records already (`Launch.trace`)."""
        self._trace.append_lines(lines)

    def close(self) -> None:
        """Write what is gathered and close the files."""
        self._write_gathered()
        for writer in (self._history, self._faults, self._trace):
            writer.close()

    def _write_gathered(self) -> None:
        self._trace.append(*self._gathered)
        self._gathered.clear()

    def _line(
        self,
        time_ns: int,
        process: int,
        node: str,
        operation: Operation,
        kind: LineType,
        value: object,
        error: str | None = None,
        position: tuple[int, int] | None = None,
    ) -> None:
        line = HistoryLine(
            index=self._next_index,
            time_ns=time_ns,
            process=process,
            type=kind,
            f=operation.f,
            key=operation.key,
            value=value,
            error=error,
            node=node,
            position=position,
        )
        self._next_index += 1
        self._history.append(line)
