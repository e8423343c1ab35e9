"""A cluster of Docker containers on a private bridge network: `Cluster` for `--env docker`.

One container a node, with an address of its own that survives restarts, its data on a disk of its own (an ext4 file
system in a file, where this user may mount one) and its records on another. Nothing is published: the bridge is
internal, and the harness reaches the nodes through it. Everything carries the label of `container_image`, so that what
a killed harness left behind can be found and removed.

Here belongs the life of containers, networks and volumes. What breaks them is in the mechanisms, which are `local`'s.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker
import trio
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from histrio.cleaning import remove_leftovers
from histrio.environments.cluster import Exit, OpenCluster
from histrio.environments.container_image import LABEL, NodeImage
from histrio.environments.container_owner import OWNER_LABEL, owner_mark
from histrio.environments.processes import NodeProcesses
from histrio.environments.volumes import keep_data, make_volume
from histrio.errors import HarnessFailure
from histrio.systems.system import DeployedSystem, Launch, NodePlace

__all__ = ["ContainerCluster", "open_containers"]

_DATA, _RECORDS = "/histrio/data", "/histrio/records"
_ENVIRON = "environ"
_SUBNETS = tuple(f"10.77.{third}" for third in range(64))
_FIRST_ADDRESS = 10
_WAIT_S = 20.0

T = TypeVar("T")


async def _call(function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """A call of the SDK, which blocks, in a thread; its own timeout bounds it."""
    return await trio.to_thread.run_sync(partial(function, *arguments, **keywords))


class ContainerCluster(NodeProcesses):
    """Made by `open_containers`."""

    def __init__(
        self,
        client: docker.DockerClient,
        image: NodeImage,
        nodes: tuple[str, ...],
        folder: Path,
        *,
        now_ns: Callable[[], int],
        on_exit: Callable[[Exit], None],
        nursery: trio.Nursery,
    ) -> None:
        super().__init__(nodes, folder, now_ns=now_ns, on_exit=on_exit, nursery=nursery)
        self._client, self._image = client, image
        self._addresses: dict[str, str] = {}
        self._containers: dict[str, Any] = {}
        self._network: Any = None
        self._run = f"histrio-{os.getpid()}-{folder.parent.name}"[:60]

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def addresses(self) -> Mapping[str, str]:
        """Addresses on the private bridge."""
        return self._addresses

    @property
    def bridge(self) -> str:
        """The bridge's interface on this machine."""
        return f"hst{os.getpid() % 10_000_000}"

    @property
    def network_namespace(self) -> None:
        """The bridge is where this process is."""
        return None

    def as_seen(self, node: str, path: Path) -> str:
        """Where its container has the volume and the records."""
        for place, seen in ((self.volume(node).path, _DATA), (self.records(node), _RECORDS)):
            if path.is_relative_to(place):
                return str(Path(seen) / path.relative_to(place))
        raise AssertionError(f"{path} is in no volume of {node}")

    # ── making and removing ──────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, system: DeployedSystem) -> None:
        """Network, volumes and containers; starts nothing."""
        self.preloadable = system.preloadable
        subnet = await self._create_network()
        for number, node in enumerate(self._nodes):
            self._addresses[node] = f"{subnet}.{_FIRST_ADDRESS + number}"
            self.records(node).mkdir(parents=True)
        async with trio.open_nursery() as nursery:
            for node in self._nodes:
                nursery.start_soon(self._create_node, node, system)

    async def _create_network(self) -> str:
        """The first subnet that no network has; returns its first three numbers."""
        refused = ""
        for subnet in _SUBNETS:
            pool = IPAMPool(subnet=f"{subnet}.0/24", gateway=f"{subnet}.1")
            try:
                self._network = await _call(
                    self._client.networks.create,
                    self._run,
                    driver="bridge",
                    internal=True,
                    labels=self._labels(),
                    options={"com.docker.network.bridge.name": self.bridge},
                    ipam=IPAMConfig(pool_configs=[pool]),
                )
            except APIError as error:
                refused = str(error.explanation or error)
                if "overlap" not in refused.lower():
                    break
            else:
                return subnet
        raise HarnessFailure("no network for the containers could be made", why=refused)

    async def _create_node(self, node: str, system: DeployedSystem) -> None:
        volume = self._volumes[node] = await make_volume(self._folder / node)
        place = NodePlace(node, self._addresses[node], _DATA, _RECORDS, ("python3",))
        launch = self._launches[node] = system.launch(place, self._addresses)
        script = f'. {_RECORDS}/{_ENVIRON}; exec "$@"'
        api = self._client.api
        endpoint = api.create_endpoint_config(ipv4_address=self._addresses[node])
        self._containers[node] = await _call(
            self._client.containers.create,
            self._image.tag,
            ["/bin/sh", "-c", script, "sh", *launch.argv],
            name=f"{self._run}-{node}",
            hostname=node,
            labels={**self._labels(), f"{LABEL}.node": node},
            volumes={
                str(volume.path.resolve()): {"bind": _DATA, "mode": "rw"},
                str(self.records(node).resolve()): {"bind": _RECORDS, "mode": "rw"},
            },
            network=self._network.name,
            networking_config={self._network.name: endpoint},
        )

    def _labels(self) -> dict[str, str]:
        return {LABEL: "run", OWNER_LABEL: owner_mark(os.getpid())}

    async def remove(self) -> None:
        """Containers, network and mounts; each is tried, whatever happened to the others."""
        self._planned.update(self._nodes)
        self._stop_watching()
        for container in self._containers.values():
            await _forgiving(container.remove, force=True, v=True)
        for node, volume in self._volumes.items():
            await keep_data(volume, self._folder / node)
        if self._network is not None:
            await _forgiving(self._network.remove)

    async def leave(self) -> None:
        """Everything stays as it is; only nobody watches any more."""
        self._stop_watching()

    async def save_logs(self) -> None:
        """What each container said, as `log` beside its records."""
        for node, container in self._containers.items():
            with suppress(APIError):
                text = await _call(container.logs, timestamps=True)
                (self._folder / node / "log").write_bytes(text)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _spawn(self, node: str, launch: Launch, environ: Mapping[str, str]) -> int:
        """Variables come from a file, because a container's own are fixed when it is made."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environ.items()]
        (self.records(node) / _ENVIRON).write_text("".join(lines), encoding="utf-8")
        await _call(self._containers[node].start)
        state = (await _call(self._client.api.inspect_container, self._containers[node].id))["State"]
        return int(state["Pid"]) if state["Running"] else 0

    async def _reason(self, node: str) -> str:
        """The engine must know the end, too: a start before that would be refused."""
        code = (await _call(self._containers[node].wait, timeout=_WAIT_S))["StatusCode"]
        how = f"signal {code - 128}" if code > 128 else f"exit code {code}"
        if node in self._planned:
            return how
        last = (await _call(self._containers[node].logs, tail=1)).decode(errors="replace").strip()
        return f"{how}: {last}" if last else how


def open_containers(client: docker.DockerClient, image: NodeImage, *, keep: bool) -> OpenCluster:
    """`OpenCluster` of containers made from `image`. keep: leave everything in place at the end."""

    @asynccontextmanager
    async def open_cluster(
        system: DeployedSystem,
        nodes: tuple[str, ...],
        folder: Path,
        *,
        now_ns: Callable[[], int],
        on_exit: Callable[[Exit], None],
    ) -> AsyncIterator[ContainerCluster]:
        await _call(remove_leftovers)
        async with trio.open_nursery() as nursery:
            cluster = ContainerCluster(client, image, nodes, folder, now_ns=now_ns, on_exit=on_exit, nursery=nursery)
            try:
                await cluster.create(system)
                yield cluster
            finally:
                with trio.CancelScope(shield=True):
                    await cluster.save_logs()
                    await (cluster.leave() if keep else cluster.remove())
                nursery.cancel_scope.cancel()

    return open_cluster


async def _forgiving(function: Callable[..., Any], **keywords: Any) -> None:
    """A removal of what may be gone, or never was."""
    try:
        await _call(function, **keywords)
    except APIError:
        return
