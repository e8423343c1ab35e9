"""The border between the harness and the worlds it can run a trial in.

An environment starts the nodes, drives the sans-IO engine and sessions with whatever passes for time and I/O in it,
injects faults through its mechanisms, and stops. It decides nothing: which operation, which fault and when is the
engine's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from checker.records import NodeClock, NodeExit, Phase, RunEnd
from histrio.engine import Engine
from histrio.errors import EnvironmentUnavailable
from histrio.recorder import Recorder
from histrio.systems.system import System
from histrio.trial import Trial

__all__ = ["Conducted", "Environment", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A glance at a running trial, for people."""

    now_ns: int
    phase: str
    ok: int
    fail: int
    info: int
    faults: tuple[str, ...]
    """Kinds of the faults in force."""


@dataclass(frozen=True, slots=True)
class Conducted:
    """How a run went, as far as run.json tells it."""

    phases: tuple[Phase, ...]
    exits: tuple[NodeExit, ...]
    end: RunEnd
    clocks: tuple[NodeClock, ...] = ()
    signal: int | None = None
    """The signal that broke the run off, still to be obeyed once all of this is recorded."""


class Environment(Protocol):
    """One kind of world."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def clock(self) -> Literal["virtual", "monotonic"]:
        """What the times in the records are (`checker.records.Header`)."""
        ...

    @property
    def obstacle(self) -> EnvironmentUnavailable | None:
        """Why no trial can run in it on this machine; None: it can. Found out by looking, changing nothing."""
        ...

    @property
    def mechanisms(self) -> Mapping[str, str | None]:
        """Mechanism of the nemesis registry -> None where this environment offers it, else the reason why not."""
        ...

    def conduct(
        self,
        trial: Trial,
        system: System,
        engine: Engine,
        recorder: Recorder,
        directory: Path,
        on_progress: Callable[[Progress], None] | None,
    ) -> Conducted:
        """Start the system, carry the trial out, heal, stop. Records everything; raises only for harness errors.

        directory: the run's; what the nodes leave behind (logs, traces) goes to `nodes/` in it.
        """
        ...
