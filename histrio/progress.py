"""How far a run has come, and how that is shown while it lasts: one live line on a terminal, plain lines elsewhere.

Everything here goes to stderr: stdout carries only what the command was asked for. What happened is in the run
directory; progress is never recorded and never judged.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TextIO

from histrio.environments.environment import Progress

__all__ = ["ProgressPrinter", "describe"]

LIVE_INTERVAL = timedelta(milliseconds=100)
"""Ten lines a second: smooth to the eye, and nothing against the cost of a run."""
PLAIN_INTERVAL = timedelta(seconds=10)
"""A log of a ten-minute job stays below a hundred lines."""


def describe(progress: Progress) -> str:
    """The moment in one line. Seconds are those of the run's clock."""
    faults = ", ".join(progress.faults) or "no fault"
    return (
        f"{progress.phase:<12} {progress.now_ns / 1e9:6.1f} s"
        f" | {progress.ok} ok {progress.fail} fail {progress.info} info | {faults}"
    )


class ProgressPrinter:
    """Shows progress on `stream`, as often as the wall clock `now` allows. Call it; then `close` it."""

    def __init__(self, stream: TextIO, *, live: bool, now: Callable[[], datetime]) -> None:
        self._stream, self._live, self._now = stream, live, now
        self._shown_at: datetime | None = None
        self._shown_phase = ""

    def __call__(self, progress: Progress) -> None:
        """Show `progress`, unless the last one was shown just now. A new phase is always shown."""
        moment = self._now()
        interval = LIVE_INTERVAL if self._live else PLAIN_INTERVAL
        due = self._shown_at is None or moment - self._shown_at >= interval
        if not due and progress.phase == self._shown_phase:
            return
        self._shown_at, self._shown_phase = moment, progress.phase
        self._show(describe(progress))

    def close(self) -> None:
        """Wipe the live line; plain lines stay."""
        if self._live and self._shown_at is not None:
            self._write("\r\x1b[K")

    def _show(self, line: str) -> None:
        if self._live:
            columns = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[K{line[: columns - 1]}")
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # that nobody watches is no reason to break off
            self._stream.write(text)
            self._stream.flush()
