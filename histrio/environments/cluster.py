"""The border between a real world and what breaks it: the nodes of one run as processes that can be hurt.

`local` and `docker` each implement `Cluster`; the driver (`real_world`) and the mechanisms, which are the same in both,
know nothing else of them. Nothing here touches anything. All times are nanoseconds of the harness's one clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from histrio.systems.system import DeployedSystem
from nemesis.injector import Apply, Probe, Undo

__all__ = [
    "Cluster",
    "Counts",
    "Exit",
    "OpenCluster",
    "RealMechanism",
    "RealMechanismFactory",
    "Serving",
    "Spoke",
    "Volume",
]

Counts = dict[str, int]

Spoke = Callable[[str], int]
"""Node -> when it last reported anything or answered, in nanoseconds; -1: never."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The disk of one node's data, as the harness sees it."""

    path: Path
    """The directory that the node's data is in."""
    image: Path | None
    """The file with the ext4 file system that is mounted at `path`; None: `path` is an ordinary directory, which can
    be neither filled up nor frozen nor lose what was not synced."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A process ended."""

    node: str
    time_ns: int
    reason: str
    """`exit code 70`, `signal 9`, with the last line of its log where it says why."""
    planned: bool
    """The cluster was asked to end it."""


class Cluster(Protocol):
    """The nodes of one run. Calls that change something return when it has happened; times out, never hangs."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names, in order."""
        ...

    @property
    def preloadable(self) -> bool:
        """Whether its programs do what is preloaded into them."""
        ...

    @property
    def running(self) -> tuple[str, ...]:
        """Nodes whose process exists (paused or not), in order."""
        ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """Node -> IP address, reachable from the harness whatever the faults between nodes."""
        ...

    @property
    def bridge(self) -> str:
        """Name of the bridge interface that carries all traffic between nodes, in `network_namespace`."""
        ...

    @property
    def network_namespace(self) -> Path | None:
        """Where the bridge and its firewall are; None: where this process is."""
        ...

    def pid(self, node: str) -> int | None:
        """The node's process, as this process can signal it; None: it is down."""
        ...

    def incarnation(self, node: str) -> int:
        """How often it has been started; 0: never."""
        ...

    def volume(self, node: str) -> Volume:
        """The disk of its data."""
        ...

    def records(self, node: str) -> Path:
        """The folder of its configuration and logs as the harness sees it; `NodePlace.records` as the node does."""
        ...

    def as_seen(self, node: str, path: Path) -> str:
        """A path in its volume or its records, or one of them, as the node itself sees it: absolute, without links."""
        ...

    def trace(self, node: str) -> Path | None:
        """The file the node appends its trace to, as the harness sees it; None: the system writes none."""
        ...

    async def start(self, node: str) -> None:
        """Start its process, with the same address and data as before; nothing if it runs.

        What a node is started with besides (`environ`) is set by `set_environ` and holds until set again.
        """
        ...

    def set_environ(self, node: str, environ: Mapping[str, str]) -> None:
        """Variables for its next starts, beside the system's own; for faults that act at the start, such as clocks."""
        ...

    async def kill(self, node: str) -> bool:
        """SIGKILL; returns when the process is gone, with whether there was one."""
        ...

    async def terminate(self, node: str) -> bool:
        """SIGTERM; after 5 s without effect SIGKILL. Returns as `kill` does."""
        ...

    async def remount(self, node: str) -> None:
        """Unmount and mount the node's volume again, as at a boot; the node must be down. For volumes with an image."""
        ...


class OpenCluster(Protocol):
    """Makes the cluster of one run: a block in which it exists, with no node started, and after which nothing is left.

    folder: each node leaves its things in a folder of its name there. on_exit: called for every process that ended,
    planned or not, before the node can be started again. Raises EnvironmentUnavailable, HarnessFailure.
    """

    def __call__(
        self,
        system: DeployedSystem,
        nodes: tuple[str, ...],
        folder: Path,
        *,
        now_ns: Callable[[], int],
        on_exit: Callable[[Exit], None],
    ) -> AbstractAsyncContextManager[Cluster]: ...


class RealMechanism(Protocol):
    """One way to break things: `nemesis.mechanism.Mechanism` for worlds in which that takes time.

    Calls for one fault come one after the other, those for different faults side by side.
    """

    async def apply(self, action: Apply) -> str:
        """Inflict the fault; returns the rule or call, for people."""
        ...

    async def undo(self, action: Undo) -> Counts:
        """End it; returns the counted consequences."""
        ...

    async def healed(self, probe: Probe, since_ns: int) -> str | None:
        """What is seen that proves the end of the consequence, which was undone at `since_ns`; None: nothing yet."""
        ...

    async def close(self) -> None:
        """Leave nothing behind: rules, queues, mounts, limits. Called once, whatever happened before."""
        ...


@runtime_checkable
class Serving(Protocol):
    """A mechanism that works between the calls too."""

    async def serve(self) -> None:
        """Run beside the nodes until cancelled, from before their first start."""
        ...


RealMechanismFactory = Callable[[Cluster, Spoke, int], RealMechanism]
"""(cluster, spoke, seed of the run) -> mechanism. Called once, before any node starts, where a plan needs it."""
