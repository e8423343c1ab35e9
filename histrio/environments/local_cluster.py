"""A cluster of processes of this machine, each in a network of its own: `Cluster` for `--env local`.

Every node has a network namespace with an address that survives its restarts, its data on a disk of its own (an ext4
file system in a file, where this user may mount one) and its records on another. One bridge joins the networks; the
harness is in the network of the bridge. A node ends with the harness, whatever ends that, and then no process is left
in any of the namespaces, so that they end too. What breaks nodes is in the mechanisms.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

import histrio
from histrio.environments.cluster import Exit, Volume
from histrio.environments.namespaces import as_root, enter, inside, new_network, set_address, set_up, tool
from histrio.environments.processes import NodeProcesses
from histrio.environments.volumes import keep_data, make_volume
from histrio.errors import HarnessFailure
from histrio.systems.system import DeployedSystem, Launch, NodePlace

__all__ = ["LocalCluster", "open_local"]

_BRIDGE = "histrio0"
_SUBNET = "10.77.0"  # nobody else is in this network
_NETMASK = "255.255.255.0"
_HARNESS = 1
_FIRST_NODE = 10
_IP_S = 20.0
_RTO_MAX = Path("/proc/sys/net/ipv4/tcp_rto_max_ms")
_RTO_MAX_MS = "1000"
"""A connection comes back at most a second after a partition ends, not after as long again as it lasted. Linux 6.15."""
_LAST_LINE_BYTES = 4096
_CODE = str(Path(histrio.__file__).parent.parent)


class LocalCluster(NodeProcesses):
    """Made by `open_local`."""

    def __init__(
        self,
        nodes: tuple[str, ...],
        folder: Path,
        *,
        now_ns: Callable[[], int],
        on_exit: Callable[[Exit], None],
        nursery: trio.Nursery,
    ) -> None:
        super().__init__(nodes, folder, now_ns=now_ns, on_exit=on_exit, nursery=nursery)
        self._addresses = {node: f"{_SUBNET}.{_FIRST_NODE + number}" for number, node in enumerate(nodes)}
        self._networks: dict[str, int] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def addresses(self) -> Mapping[str, str]:
        """Addresses in the network of the bridge."""
        return self._addresses

    @property
    def bridge(self) -> str:
        """The bridge's interface."""
        return _BRIDGE

    @property
    def network_namespace(self) -> None:
        """The bridge is where this process is."""
        return None

    def as_seen(self, node: str, path: Path) -> str:
        """The same files for all."""
        return str(path.resolve())

    # ── making and removing ──────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, system: DeployedSystem) -> None:
        """Networks, links and volumes; starts nothing."""
        self.preloadable = system.preloadable
        await self._join_networks()
        async with trio.open_nursery() as nursery:
            for node in self._nodes:
                nursery.start_soon(self._create_node, node, system)

    async def _join_networks(self) -> None:
        # A bridge without an address of its own takes its lowest port's, and loses it when that node's link goes.
        lines = [f"link add {_BRIDGE} address 02:00:00:00:00:01 type bridge", f"link set {_BRIDGE} up"]
        for number, node in enumerate(self._nodes):
            network = self._networks[node] = new_network()
            lines.append(f"link add port{number} type veth peer name eth0 netns /proc/self/fd/{network}")
            lines.append(f"link set port{number} master {_BRIDGE} up")
        await self._ip(lines)
        set_address(_BRIDGE, f"{_SUBNET}.{_HARNESS}", _NETMASK)
        _shorten_retransmissions()
        for node, network in self._networks.items():
            with inside(network):
                set_up("lo")
                set_address("eth0", self._addresses[node], _NETMASK)
                _shorten_retransmissions()

    async def _ip(self, lines: list[str]) -> None:
        """Several commands of `ip`, in one process."""
        ip = tool("ip")
        assert ip is not None, "without it there would be no cluster"
        descriptors = tuple(self._networks.values())
        with trio.fail_after(_IP_S):
            done = await trio.run_process(
                [ip, "-batch", "-"],
                stdin="".join(f"{line}\n" for line in lines).encode(),
                pass_fds=descriptors,
                capture_stderr=True,
                check=False,
            )
        if done.returncode != 0:
            raise HarnessFailure("the networks of the nodes cannot be joined", why=done.stderr.decode().strip())

    async def _create_node(self, node: str, system: DeployedSystem) -> None:
        self.records(node).mkdir(parents=True)
        volume = self._volumes[node] = await _make_volume(self._folder / node)
        place = NodePlace(
            node=node,
            address=self._addresses[node],
            data=str(volume.path.resolve()),
            records=str(self.records(node).resolve()),
            python=(sys.executable,),
        )
        self._launches[node] = system.launch(place, self._addresses)

    async def remove(self) -> None:
        """Ends what runs and takes down what was made; each part is tried, whatever happened to the others."""
        try:
            async with trio.open_nursery() as nursery:
                for node in self.running:
                    nursery.start_soon(self.kill, node)
        finally:
            self._stop_watching()
            await self._remove_disks_and_links()

    async def _remove_disks_and_links(self) -> None:
        for node, volume in self._volumes.items():
            await keep_data(volume, self._folder / node)
        if self._networks:
            with suppress(HarnessFailure):
                ports = [f"link del port{number}" for number in range(len(self._networks))]
                await self._ip([*ports, f"link del {_BRIDGE}"])
        for network in self._networks.values():
            os.close(network)
        self._networks.clear()

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _spawn(self, node: str, launch: Launch, environ: Mapping[str, str]) -> int:
        process = self._processes[node] = self._opened(node, launch, environ)
        return process.pid

    def _opened(self, node: str, launch: Launch, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """In the main thread, which lives as long as the harness: the kernel tells a child of its parent's *thread*."""
        setpriv = tool("setpriv")
        assert setpriv is not None, "without it there would be no cluster"
        paths = os.pathsep.join(filter(None, (_CODE, os.environ.get("PYTHONPATH"))))
        with (self._folder / node / "log").open("ab") as log, inside(self._networks[node]):
            return subprocess.Popen(
                [setpriv, "--pdeathsig", "KILL", *launch.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": paths, **environ},
                start_new_session=True,  # Ctrl-C is for the harness
            )

    async def _reason(self, node: str) -> str:
        code = self._processes.pop(node).wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        last = _last_line(self._folder / node / "log")
        return f"{how}: {last}" if last else how


@asynccontextmanager
async def open_local(
    system: DeployedSystem,
    nodes: tuple[str, ...],
    folder: Path,
    *,
    now_ns: Callable[[], int],
    on_exit: Callable[[Exit], None],
) -> AsyncIterator[LocalCluster]:
    """`OpenCluster`. Moves this process into namespaces of its own, for good."""
    enter()
    async with trio.open_nursery() as nursery:
        cluster = LocalCluster(nodes, folder, now_ns=now_ns, on_exit=on_exit, nursery=nursery)
        try:
            await cluster.create(system)
            yield cluster
        finally:
            with trio.CancelScope(shield=True):
                await cluster.remove()
            nursery.cancel_scope.cancel()


def _shorten_retransmissions() -> None:
    """In the present network, where the kernel can: else a connection takes as long as the partition to come back."""
    with suppress(OSError):
        _RTO_MAX.write_text(_RTO_MAX_MS, encoding="ascii")


async def _make_volume(folder: Path) -> Volume:
    """A file system of its own where that can be had: not as an ordinary user, and not in most containers."""
    if as_root():
        try:
            return await make_volume(folder)
        except (HarnessFailure, OSError):
            pass
    path = folder / "data"
    path.mkdir(exist_ok=True)
    return Volume(path, None)


def _last_line(log: Path) -> str:
    """The last thing a process said."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_LINE_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
