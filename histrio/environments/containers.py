"""The environment `docker`: every node in a container of its own, on a private bridge network.

What is real in it is `real_world`'s affair and shared with `local`. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import sys
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

__all__ = ["DOCKER", "DockerEnvironment"]


@dataclass(frozen=True, slots=True)
class DockerEnvironment:
    """Implements `Environment`."""

    @property
    def name(self) -> str:
        """As on the command line."""
        return "docker"

    @property
    def clock(self) -> Literal["monotonic"]:
        """That of the harness, since the run's start."""
        return "monotonic"

    @property
    def obstacle(self) -> EnvironmentUnavailable | None:
        """No engine that answers."""
        from histrio.environments.container_image import connect

        try:
            connect().close()
        except EnvironmentUnavailable as error:
            return error
        return None

    @property
    def mechanisms(self) -> Mapping[str, str | None]:
        """What works with containers and their network, as far as this machine has the tools."""
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
        """Build the image unless it is there, and run the trial to its end, or to the end of its time."""
        from histrio.environments.container_cluster import open_containers
        from histrio.environments.container_image import build_image, connect
        from histrio.environments.mechanisms.registry import ALL_MECHANISMS
        from histrio.environments.real_run import conduct

        client = connect()
        try:
            image = build_image(client, lambda text: print(text, file=sys.stderr))
            open_cluster = open_containers(client, image, keep=trial.spec.keep)
            return conduct(trial, system, engine, recorder, directory, on_progress, open_cluster, ALL_MECHANISMS)
        finally:
            client.close()


DOCKER = DockerEnvironment()
