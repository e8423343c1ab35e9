"""What can be wrong with what the checker is given. Each error says what, why and how to mend it.

CheckerError
├── MalformedInput     a file that cannot be read as what it claims to be; names file and line
├── IllFormedHistory   lines that parse, but are no history (a return without a call, time running backwards)
├── NoSuchState        a start state given as JSON that means no state of the model
├── ModelError         a model that contradicts itself (a wrong speed hint, a step that is not a function)
└── EngineUnavailable  the engine asked for was not built
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CheckerError", "EngineUnavailable", "IllFormedHistory", "MalformedInput", "ModelError", "NoSuchState"]


class CheckerError(Exception):
    """Base of all errors of this package."""


class MalformedInput(CheckerError):
    """A file, and where known the line, that cannot be read. `line` counts from 1; None concerns the whole file."""

    def __init__(self, path: Path | str, line: int | None, problem: str, *, fix: str = "") -> None:
        self.path, self.line, self.problem, self.fix = str(path), line, problem, fix
        where = self.path if line is None else f"{self.path}:{line}"
        super().__init__(f"{where}: {problem}" + (f" ({fix})" if fix else ""))


class IllFormedHistory(CheckerError):
    """Lines that contradict the rules of a history. `index` is the offending line's place in the history."""

    def __init__(self, index: int, problem: str) -> None:
        self.index, self.problem = index, problem
        super().__init__(f"history line with index {index}: {problem}")


class ModelError(CheckerError):
    """A model broke its own promise; the verdict would be worthless."""


class EngineUnavailable(CheckerError):
    """The engine that was asked for by name is not there; `engine="auto"` takes what is."""


class NoSuchState(CheckerError):
    """A start state, given as JSON, that the model cannot start in."""
