"""The adapter of etcd, 3.4 or newer, as it is installed on this machine: the second system, which nobody here wrote.

It shows what a plug-in needs: options, how to start a node, a client, and a question for a node's role. Nothing outside
this package knows that it exists (docs/adding-a-system.md walks through it). Clients are `etcd_client`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from functools import cache

from histrio.config import suggestion
from histrio.errors import EnvironmentUnavailable, UsageProblem
from histrio.simulation.buggify import Buggify
from histrio.systems.system import Bug, DeployedSystem, Launch, NodePlace, Order
from workloads.session import Client

__all__ = ["CLIENT_PORT", "ETCD", "Etcd"]

_PROGRAM = "etcd"
_VERSION_MIN = (3, 4)  # the first whose gateway speaks /v3/
_VERSION_S = 10.0
CLIENT_PORT, _PEER_PORT = 2379, 2380
DEFAULT_TIMEOUT_MS = 2000  # twice etcd's election timeout: a client outlives most elections

_OPTIONS: Mapping[str, str] = {
    "serializable_reads": "`true`: a node answers reads from what it has, without asking the others, so that it may be "
    "behind; default `false`",
    "operation_timeout_ms": f"how long a client waits for an answer; default {DEFAULT_TIMEOUT_MS}",
}

_NO_LIBC = "etcd is written in Go and does not call the C library, where this fault is made or counted"

_NO_MOMENT = (
    "etcd is written in Go: the moment between a write and its sync is found in the C library, which it does not call, "
    "and at any other moment nothing is lost"
)


class Etcd:
    """Implements `histrio.systems.system.System`."""

    name = "etcd"
    environments = ("local",)
    preloadable = False
    beyond_reach: Mapping[str, str] = dict.fromkeys(
        (
            "clock.step",
            "clock.strobe",
            "clock.rate",
            "disk.full",
            "disk.error",
            "disk.read-only",
            "disk.slow",
            "disk.tear",
            "resource.files",
        ),
        _NO_LIBC,
    ) | {"process.power-loss": _NO_MOMENT}
    traced = False
    bugs: Mapping[str, Bug] = {}
    workloads = ("register",)
    options = _OPTIONS
    orders: frozenset[Order] = frozenset()

    def options_for(self, orders: Collection[Order]) -> Mapping[str, str]:
        """Nobody gives it orders."""
        return {}

    @property
    def obstacle(self) -> EnvironmentUnavailable | None:
        """The program is not installed, or too old."""
        return _obstacle(shutil.which(_PROGRAM))

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse what is not an option, or not a value of one."""
        for name, value in options.items():
            if name not in _OPTIONS:
                raise UsageProblem(
                    f"etcd has no option {name!r}",
                    why="--system-option passes options to the system under test",
                    fix=suggestion(name, _OPTIONS),
                )
            if name == "serializable_reads" and value not in ("true", "false"):
                raise UsageProblem(f"{name}={value!r} is neither true nor false", fix=f"--system-option {name}=true")
            if name == "operation_timeout_ms" and not (value.isdecimal() and int(value) > 0):
                raise UsageProblem(
                    f"{name}={value!r} is not a positive whole number", fix=f"for example --system-option {name}=500"
                )

    def simulated(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        workload: str = "register",
        buggify: Buggify | None = None,
    ) -> None:
        """It exists as a program only."""

    def deployed(
        self,
        *,
        seed: int,
        nodes: tuple[str, ...],
        options: Mapping[str, str],
        bug: str | None,
        workload: str = "register",
    ) -> DeployedSystem:
        """Nodes with etcd's own timings, and clients of the workload `register`."""
        # httpx, which runs of other systems do without
        from histrio.systems.etcd_client import EtcdClient, ask_status

        timeout_s = int(options.get("operation_timeout_ms", DEFAULT_TIMEOUT_MS)) / 1000
        serializable_reads = options.get("serializable_reads") == "true"

        def client(process: int, addresses: Mapping[str, str]) -> Client:
            return EtcdClient(addresses, timeout_s=timeout_s, serializable_reads=serializable_reads)

        return DeployedSystem(launch=launch, client=client, status=ask_status, preloadable=False)


def launch(place: NodePlace, addresses: Mapping[str, str]) -> Launch:
    """How a node of the cluster is started; at later starts etcd goes by its data and ignores the cluster's list."""
    client, peer = f"http://{place.address}:{CLIENT_PORT}", f"http://{place.address}:{_PEER_PORT}"
    cluster = ",".join(f"{node}=http://{address}:{_PEER_PORT}" for node, address in addresses.items())
    arguments = {
        "name": place.node,
        "data-dir": f"{place.data}/etcd",  # below the disk's root, where the file system keeps things of its own
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": cluster,
        "initial-cluster-token": "histrio",
        "initial-cluster-state": "new",
        "logger": "zap",
        "log-outputs": "stderr",
    }
    program = shutil.which(_PROGRAM) or _PROGRAM
    return Launch(argv=(program, *(f"--{name}={value}" for name, value in arguments.items())), files={}, environ={})


@cache
def _obstacle(program: str | None) -> EnvironmentUnavailable | None:
    """Asks the program for its version, once."""
    if program is None:
        return EnvironmentUnavailable("etcd is not installed", why=_WHY_NEEDED, fix="apt install etcd-server")
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_VERSION_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return EnvironmentUnavailable(f"{program} cannot be run", why=str(error), fix="apt install etcd-server")
    found = re.search(r"etcd Version: (\d+)\.(\d+)", done.stdout)
    if found is None or (int(found[1]), int(found[2])) < _VERSION_MIN:
        said = (done.stdout or done.stderr).partition("\n")[0]
        return EnvironmentUnavailable(
            f"{program} is not etcd 3.4 or newer: it says {said!r}", why=_WHY_NEEDED, fix="apt install etcd-server"
        )
    return None


_WHY_NEEDED = "--system etcd starts the etcd that is installed on this machine"


ETCD = Etcd()
