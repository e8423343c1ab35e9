"""The registries of systems and environments: literals, with what they need imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from histrio.environments.containers import DOCKER
from histrio.environments.environment import Environment
from histrio.environments.local import LOCAL
from histrio.environments.simulated import SIMULATED
from histrio.systems.etcd import ETCD
from histrio.systems.raft_trio import RAFT_TRIO
from histrio.systems.system import System

__all__ = ["ENVIRONMENTS", "SYSTEMS"]

SYSTEMS: Mapping[str, System] = {"raft_trio": RAFT_TRIO, "etcd": ETCD}

ENVIRONMENTS: Mapping[str, Environment] = {"sim": SIMULATED, "local": LOCAL, "docker": DOCKER}
