"""The plug-in point for systems under test: what the harness needs to know of one, and nothing that only one has.

A system is met here and nowhere else: workloads, nemeses, engine, checkers and report work with what these records and
protocols say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from checker.records import AnyTraceEvent
from histrio.simulation.node import NodeFactory
from workloads.session import Session

__all__ = ["Bug", "SimulatedSystem", "System"]


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug of a system's catalogue: an entry that the harness must find (architecture, section 7)."""

    name: str
    """snake_case, as on the command line."""
    reference: str
    """Its id in the catalogue and where it was seen in the field."""
    change: str
    """What the build does differently."""
    detectors: tuple[str, ...]
    """Names of the checks expected to see it, the most likely first."""


@dataclass(frozen=True, slots=True)
class SimulatedSystem:
    """One system prepared for one simulated run."""

    node: NodeFactory
    """Its nodes' trace events must be structs that encode as their records do: they are recorded as they are."""
    translate: Callable[[Any], AnyTraceEvent]
    """The node's own trace event -> the record of the run (the trace decoder), for who wants to look at it."""
    session: Callable[[int], Session]
    """process -> the sans-IO half of its client."""
    blames_disk: Callable[[str], bool] = lambda reason: False
    """Whether a node that ended itself for this reason blames its disk. If the disk was at fault, it did right."""


class System(Protocol):
    """An adapter."""

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def bugs(self) -> Mapping[str, Bug]:
        """The catalogue of planted bugs; empty for systems that are not ours."""
        ...

    @property
    def workloads(self) -> tuple[str, ...]:
        """Workloads its clients understand."""
        ...

    @property
    def options(self) -> Mapping[str, str]:
        """Name -> what it does, of every `--system-option`."""
        ...

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse unknown or unreadable options. Raises UsageProblem."""
        ...

    def simulated(
        self, *, seed: int, nodes: tuple[str, ...], options: Mapping[str, str], bug: str | None
    ) -> SimulatedSystem:
        """Prepare a simulated run of the build that `bug` names."""
        ...
