"""One call of the program: the world it was called in, and how far it has come.

Commands take everything they touch outside the run directory from here: the services, the streams, the environment
variables and the folder. So a test is a call with other ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import click

from histrio.cli_services import Services
from histrio.store import RunDirectory

__all__ = ["Call", "Terminal"]


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where the program was called from."""

    out: TextIO
    """Only what the command was asked for."""
    err: TextIO
    """Progress and diagnostics."""
    environ: Mapping[str, str]
    folder: Path

    @property
    def is_live(self) -> bool:
        """Whether a line on `err` may be written over. CI logs call themselves terminals and keep every line."""
        return self.err.isatty() and not self.environ.get("CI") and self.environ.get("TERM") != "dumb"

    def paint(self, text: str, colour: str, *, stream: TextIO) -> str:
        """`text` in bold `colour` if `stream` is a terminal and NO_COLOR is not set (no-color.org)."""
        if not stream.isatty() or self.environ.get("NO_COLOR"):
            return text
        return click.style(text, fg=colour, bold=True)


@dataclass(slots=True)
class Call:
    """The state of one call, for the message when it breaks off."""

    services: Services
    terminal: Terminal
    debug: bool = False
    """Tracebacks go to `err`."""
    stage: str = "carrying out the command"
    directory: RunDirectory | None = None
    """The run being made; it gets the traceback and the end mark."""
    time_ns: int = 0
    """The run's clock at the last sign of progress."""

    def say(self, line: str) -> None:
        """A line for people, on `err`. That nobody reads it is no reason to break off."""
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self.terminal.err, flush=True)

    def answer(self, text: str) -> None:
        """What the command was asked for, on `out`."""
        print(text, file=self.terminal.out, flush=True)

    def paint_out(self, text: str, colour: str) -> str:
        """`text` coloured as `out` allows."""
        return self.terminal.paint(text, colour, stream=self.terminal.out)
