"""Short histories by hand: `history(call(0, "write", 1), ok(0, "write", 1))`, one millisecond from line to line."""

from __future__ import annotations

from typing import Any

import msgspec

from checker.records import HistoryLine, LineType

__all__ = ["MS", "at", "call", "fail", "history", "info", "ok"]

MS = 1_000_000

UNSET_NS = -1


def history(*lines: HistoryLine) -> list[HistoryLine]:
    """Numbers the lines; a line without a time comes one millisecond after the one before it."""
    numbered: list[HistoryLine] = []
    now_ns = 0
    for index, line in enumerate(lines):
        now_ns = now_ns + MS if line.time_ns == UNSET_NS else line.time_ns
        numbered.append(msgspec.structs.replace(line, index=index, time_ns=now_ns))
    return numbered


def at(time_ms: int, line: HistoryLine) -> HistoryLine:
    return msgspec.structs.replace(line, time_ns=time_ms * MS)


def call(process: int, f: str, value: Any = None, *, key: Any = "x", node: str | None = None) -> HistoryLine:
    return _line(LineType.INVOKE, process, f, value, key, node=node)


def ok(process: int, f: str, value: Any = None, *, key: Any = "x", position: int | None = None) -> HistoryLine:
    """position: index in the replicated log, of term 1."""
    line = _line(LineType.OK, process, f, value, key)
    return line if position is None else msgspec.structs.replace(line, position=(1, position))


def fail(process: int, f: str, error: str = "not-leader", *, key: Any = "x") -> HistoryLine:
    return _line(LineType.FAIL, process, f, None, key, error=error)


def info(process: int, f: str, error: str = "timeout", *, key: Any = "x") -> HistoryLine:
    return _line(LineType.INFO, process, f, None, key, error=error)


def _line(
    kind: LineType, process: int, f: str, value: Any, key: Any, *, node: str | None = None, error: str | None = None
) -> HistoryLine:
    return HistoryLine(
        index=0, time_ns=UNSET_NS, process=process, type=kind, f=f, key=key, value=value, node=node, error=error
    )
