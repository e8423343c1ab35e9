"""Reads a history from a file in any format we know, recognised by content, never by name.

Here belongs the choice of the reader; the readers are `checker.jsonl` and `checker.jepsen`, imported when needed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from checker.errors import IllFormedHistory, MalformedInput
from checker.history import History
from checker.model import Model
from checker.records import HistoryLine

__all__ = ["Format", "LoadedHistory", "implied_start", "load_history", "locate", "recognise"]

LOG_MARK = "jepsen.util - "

Format: TypeAlias = Literal["histrio/history", "jepsen-log", "jepsen-edn", "porcupine-kv"]

_PORCUPINE_LINE = re.compile(
    r"\{:process \d+, :type :(invoke|ok), :f :(get|put|append), :key \"[^\"]*\", :value (nil|\".*\")\}"
)
"""Porcupine's key-value files: one such map a line, and nothing else. Every key starts as the empty text."""

_EXPECTED = "expected a histrio history.jsonl, Jepsen's log text, Jepsen's EDN, or Porcupine's key-value text"


@dataclass(frozen=True, slots=True)
class LoadedHistory:
    """A history and where it came from."""

    history: History
    format: Format
    warnings: tuple[str, ...] = ()
    line_numbers: tuple[int, ...] = ()
    """Per line of the history: the line of the file, from 1, on which it begins."""
    initial: Any = None
    """The start state, as JSON, that the format implies where the user names none; None: it implies nothing."""


def load_history(path: Path, *, complete: bool = True) -> LoadedHistory:
    """Read and pair the history in `path`.

    complete: False if the run has no end mark; an unterminated last line of a history.jsonl is then dropped with a
    warning. Raises MalformedInput with file and line, also for lines that can be read but
    are no history (its cause is then the IllFormedHistory).
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise MalformedInput(path, None, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise MalformedInput(path, line, f"not UTF-8: byte {error.object[error.start]:#04x}") from None
    warnings: tuple[str, ...] = ()
    kind = recognise(path, text)
    if kind == "histrio/history":
        from checker.jsonl import read_jsonl

        read = read_jsonl(path, HistoryLine, format="histrio/history", complete=complete)
        numbered, warnings = list(enumerate(read.records, start=2)), read.warnings
    elif kind == "jepsen-log":
        from checker.jepsen import read_jepsen_log

        numbered = read_jepsen_log(path, text)
    else:
        from checker.jepsen import read_jepsen_edn

        numbered, warnings = read_jepsen_edn(path, text)
    try:
        history = History(line for _, line in numbered)
    except IllFormedHistory as error:
        number = numbered[error.index][0] if error.index < len(numbered) else None
        raise MalformedInput(path, number, error.problem) from error
    lines = tuple(number for number, _ in numbered)
    return LoadedHistory(history, kind, warnings, lines, initial="" if kind == "porcupine-kv" else None)


def implied_start(loaded: LoadedHistory, model: Model[Any]) -> Model[Any]:
    """The model with the start state that the format implies, where it concerns this model."""
    concerns = loaded.format == "porcupine-kv" and model.name == "key-value"
    return model.starting_at(loaded.initial) if concerns else model


def locate(path: Path, loaded: LoadedHistory, error: IllFormedHistory) -> MalformedInput:
    """What a judge said about an operation of a loaded history, with file and line."""
    number = loaded.line_numbers[error.index] if error.index < len(loaded.line_numbers) else None
    return MalformedInput(path, number, error.problem)


def recognise(path: Path, text: str) -> Format:
    """The format of `text`, by its first line that says anything. Raises MalformedInput if it is none we know."""
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.strip()
        if not content or content.startswith(";"):
            continue
        if LOG_MARK in content:
            return "jepsen-log"
        if content.startswith('{"') and '"format"' in content:
            return "histrio/history"
        if _PORCUPINE_LINE.fullmatch(content):
            return "porcupine-kv"
        if content[0] in "([{#":
            return "jepsen-edn"
        raise MalformedInput(path, number, f"not a history in a format we know: {content[:40]!r}", fix=_EXPECTED)
    raise MalformedInput(path, None, "the file is empty", fix=_EXPECTED)
