"""The registries of systems and environments: literals, with what they need imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from histrio.environments.environment import Environment
from histrio.environments.simulated import SIMULATED
from histrio.systems.raft_trio import RAFT_TRIO
from histrio.systems.system import System

__all__ = ["ABSENT_ENVIRONMENTS", "ENVIRONMENTS", "SYSTEMS"]

SYSTEMS: Mapping[str, System] = {"raft_trio": RAFT_TRIO}

ENVIRONMENTS: Mapping[str, Environment] = {"sim": SIMULATED}

ABSENT_ENVIRONMENTS: Mapping[str, str] = {
    "local": "real processes in network namespaces are not part of this version",
    "docker": "containers are not part of this version",
}
"""Names of the command line that this version cannot serve, and why."""
