"""The environment `local`: real processes, sockets, disks and clocks on this machine, without containers.

Every node is a process in a network namespace of its own; what is real in it is `real_world`'s affair and shared with
`docker`. Nothing heavy is imported before a trial is conducted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from histrio.engine import Engine
from histrio.environments.environment import Conducted, Progress
from histrio.errors import EnvironmentUnavailable
from histrio.recorder import Recorder
from histrio.systems.system import System
from histrio.trial import Trial

__all__ = ["LOCAL", "LocalEnvironment"]


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """Implements `Environment`."""

    @property
    def name(self) -> str:
        """As on the command line."""
        return "local"

    @property
    def clock(self) -> Literal["monotonic"]:
        """That of the harness, since the run's start."""
        return "monotonic"

    @property
    def obstacle(self) -> EnvironmentUnavailable | None:
        """No namespaces, or no tools."""
        from histrio.environments.namespaces import obstacle

        return obstacle()

    @property
    def mechanisms(self) -> Mapping[str, str | None]:
        """What works with processes and their networks, as far as this machine has the tools."""
        from histrio.environments.mechanisms.registry import obstacles

        return obstacles()

    def conduct(
        self,
        trial: Trial,
        system: System,
        engine: Engine,
        recorder: Recorder,
        directory: Path,
        on_progress: Callable[[Progress], None] | None,
    ) -> Conducted:
        """Run the trial to its end, or to the end of its time. Moves this process into its own namespaces, for good."""
        from histrio.environments.local_cluster import open_local
        from histrio.environments.mechanisms.registry import ALL_MECHANISMS
        from histrio.environments.namespaces import enter
        from histrio.environments.real_run import conduct

        enter()  # while there is one thread
        return conduct(trial, system, engine, recorder, directory, on_progress, open_local, ALL_MECHANISMS)


LOCAL = LocalEnvironment()
