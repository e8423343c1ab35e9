"""Histories that Jepsen and its relatives write: log text, and EDN maps (also Porcupine's key-value files).

Both become lines of our own history. What is translated: nemesis lines are left out; a keyword as the value of a
`:fail` or `:info` is an error (`:timed-out`), not a value; keywords become strings. Log text has no times: every line
then carries time 0, and the order of the lines is all there is.

A failed cas, in both, is read as "certainly did not happen": that is what Jepsen promises of `:fail`. Porcupine reads
a `:fail` in its etcd logs as "compared, and found another value". Both readings reproduce the known verdicts of all
etcd logs that we have; the weaker one is right for every client, so it is ours. A failed cas whose error is
`cas-mismatch` is judged by the stronger one (`checker.models.register`).

Jepsen stamps times before it takes the lock that orders the lines, so times may run backwards by microseconds: the
order of the lines rules, and a time is never shown as earlier than the one before it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import structs

from checker.edn import DIGITS_MAX, EdnError, Keyword, Located, read_edn
from checker.errors import MalformedInput
from checker.records import HistoryLine, LineType

__all__ = ["Numbered", "read_jepsen_edn", "read_jepsen_log"]

Numbered: TypeAlias = tuple[int, HistoryLine]
"""A history line and the line of the file, from 1, on which it begins."""

_LOG_LINE = re.compile(
    r"INFO\s+jepsen\.util - (?P<process>\S+)\s+:(?P<type>\w+)\s+:(?P<f>[\w-]+)(?:\s+(?P<value>\S.*?))?\s*"
)
_LOG_EXPECTED = "expected: INFO  jepsen.util - <process>\t:<invoke|ok|fail|info>\t:<f>\t<value>"


def read_jepsen_log(path: Path, text: str) -> list[Numbered]:
    """Lines of a Jepsen log that concern operations. Raises MalformedInput with file and line."""
    lines: list[Numbered] = []
    for number, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        found = _LOG_LINE.fullmatch(content)
        if found is None:
            raise MalformedInput(path, number, f"not a Jepsen log line: {content[:60]!r}", fix=_LOG_EXPECTED)
        process = found["process"]
        if not process.isdecimal():
            continue
        if len(process) > DIGITS_MAX:
            raise MalformedInput(path, number, f"a process of {len(process)} digits", fix=_LOG_EXPECTED)
        try:
            values = [located.value for located in read_edn("{0 " + (found["value"] or "nil") + "}")]
        except EdnError as error:
            raise MalformedInput(path, number, f"the value is not EDN: {error.problem}") from None
        if len(values) != 1 or len(values[0]) != 1:
            raise MalformedInput(path, number, "more than one value", fix=_LOG_EXPECTED)
        value = values[0].get(0)
        entry = {"process": int(process), "type": Keyword(found["type"]), "f": Keyword(found["f"]), "value": value}
        lines.append((number, _line(path, number, len(lines), entry)))
    return lines


def read_jepsen_edn(path: Path, text: str) -> tuple[list[Numbered], tuple[str, ...]]:
    """A vector or list of maps, or maps one after another, and a warning if their times run backwards.

    Raises MalformedInput with file and line.
    """
    lines: list[Numbered] = []
    try:
        for located in read_edn(text):
            _add(path, lines, located)
    except EdnError as error:
        raise MalformedInput(path, error.line, error.problem) from None
    return _in_time(path, lines)


def _in_time(path: Path, lines: list[Numbered]) -> tuple[list[Numbered], tuple[str, ...]]:
    """The same lines with times that never fall, and what had to be said about that."""
    latest_ns, worst_ns, worst_line, count = 0, 0, 0, 0
    for place, (number, line) in enumerate(lines):
        behind_ns = latest_ns - line.time_ns
        if behind_ns > 0:
            lines[place] = (number, structs.replace(line, time_ns=latest_ns))
            count += 1
            worst_ns, worst_line = max((worst_ns, worst_line), (behind_ns, number))
        latest_ns = max(latest_ns, line.time_ns)
    if not count:
        return lines, ()
    warning = (
        f"{path}:{worst_line}: time runs backwards by {worst_ns / 1e9:.6f} s, and in {count - 1} other lines by less; "
        "the order of the lines was taken for the order of the events"
    )
    return lines, (warning,)


def _add(path: Path, lines: list[Numbered], located: Located) -> None:
    entry = located.value
    if not isinstance(entry, dict):
        raise MalformedInput(
            path, located.line, f"expected a map such as {{:process 0, :type :invoke, …}}, not {entry!r}"
        )
    named = {name.name if isinstance(name, Keyword) else name: value for name, value in entry.items()}
    process = named.get("process")
    if isinstance(process, Keyword):
        return  # the nemesis, or another that is no client
    if type(process) is not int:
        raise MalformedInput(path, located.line, f"process {_shown(process)}", fix="expected a number or :nemesis")
    lines.append((located.line, _line(path, located.line, len(lines), named)))


def _line(path: Path, number: int, index: int, entry: dict[Any, Any]) -> HistoryLine:
    kind, f, value, error = entry.get("type"), entry.get("f"), entry.get("value"), entry.get("error")
    if not isinstance(kind, Keyword) or kind.name not in LineType._value2member_map_:
        raise MalformedInput(path, number, f"type {_shown(kind)}", fix="expected :invoke, :ok, :fail or :info")
    if not isinstance(f, Keyword):
        raise MalformedInput(path, number, f"f {_shown(f)}", fix="expected a keyword such as :read")
    line_type = LineType(kind.name)
    if isinstance(value, Keyword) and line_type in (LineType.FAIL, LineType.INFO):
        value, error = None, value if error is None else error
    time = entry.get("time", 0)
    if type(time) is not int or time < 0:
        raise MalformedInput(path, number, f"time {_shown(time)}", fix="expected nanoseconds")
    return HistoryLine(
        index=index,
        time_ns=time,
        process=entry["process"],
        type=line_type,
        f=f.name,
        key=_plain(entry.get("key")),
        value=_plain(value),
        error=None if error is None else _shown(error),
    )


def _plain(value: Any) -> Any:
    """EDN as JSON: keywords become strings, sequences lists."""
    match value:
        case Keyword(name=name):
            return name
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(_plain(name)): _plain(item) for name, item in value.items()}
        case _:
            return value


def _shown(value: Any) -> str:
    return value.name if isinstance(value, Keyword) else str(_plain(value))
