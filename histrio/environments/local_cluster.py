"""A cluster of processes of this machine, each in a network of its own: `Cluster` for `--env local`.

Every node has a network namespace with an address that survives its restarts, its data on a disk of its own (an ext4
file system in a file, where this user may mount one) and its records on another. One bridge joins the networks; the
harness is in the network of the bridge. A node ends with the harness, whatever ends that, and then no process is left
in any of the namespaces, so that they end too. What breaks nodes is in the mechanisms.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

import histrio
from histrio.environments.cluster import Exit, Volume
from histrio.environments.namespaces import as_root, enter, inside, new_network, set_address, set_up, tool
from histrio.environments.volumes import keep_data, make_volume, remount
from histrio.errors import HarnessFailure
from histrio.systems.system import DeployedSystem, Launch, NodePlace

__all__ = ["LocalCluster", "open_local"]

_BRIDGE = "histrio0"
_SUBNET = "10.77.0"  # nobody else is in this network
_NETMASK = "255.255.255.0"
_HARNESS = 1
_FIRST_NODE = 10
_STOP_S = 5.0
_GONE_S = 20.0  # longer than a fault that keeps a process from dying, as a frozen disk does
_IP_S = 20.0
_RTO_MAX = Path("/proc/sys/net/ipv4/tcp_rto_max_ms")
_RTO_MAX_MS = "1000"
"""A connection comes back at most a second after a partition ends, not after as long again as it lasted. Linux 6.15."""
_LAST_LINE_BYTES = 4096
_CODE = str(Path(histrio.__file__).parent.parent)


class LocalCluster:
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
        self._nodes, self._folder = nodes, folder
        self._now_ns, self._on_exit, self._nursery = now_ns, on_exit, nursery
        self._addresses = {node: f"{_SUBNET}.{_FIRST_NODE + number}" for number, node in enumerate(nodes)}
        self._networks: dict[str, int] = {}
        self._volumes: dict[str, Volume] = {}
        self._launches: dict[str, Launch] = {}
        self._environs: dict[str, Mapping[str, str]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._gone: dict[str, trio.Event] = {}
        self._watches: dict[str, trio.CancelScope] = {}
        self._planned: set[str] = set()
        self._incarnations = dict.fromkeys(nodes, 0)
        self._locks = {node: trio.Lock() for node in nodes}

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names, in order."""
        return self._nodes

    @property
    def running(self) -> tuple[str, ...]:
        """Nodes whose process exists, in order."""
        return tuple(node for node in self._nodes if node in self._processes)

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

    def pid(self, node: str) -> int | None:
        """Its process; None: it is down."""
        process = self._processes.get(node)
        return None if process is None else process.pid

    def incarnation(self, node: str) -> int:
        """How often it has been started."""
        return self._incarnations[node]

    def volume(self, node: str) -> Volume:
        """The disk of its data."""
        return self._volumes[node]

    def records(self, node: str) -> Path:
        """The folder of its configuration, trace and log."""
        return self._folder / node / "records"

    def as_seen(self, node: str, path: Path) -> str:
        """The same files for all."""
        return str(path.resolve())

    def trace(self, node: str) -> Path | None:
        """The file it appends its trace to."""
        name = self._launches[node].trace
        return None if name is None else self.records(node) / name

    # ── making and removing ──────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, system: DeployedSystem) -> None:
        """Networks, links and volumes; starts nothing."""
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
                for node in self._processes:
                    nursery.start_soon(self.kill, node)
        finally:
            for watch in self._watches.values():
                watch.cancel()
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

    def set_environ(self, node: str, environ: Mapping[str, str]) -> None:
        """Variables for its next starts."""
        self._environs[node] = dict(environ)

    async def start(self, node: str) -> None:
        """Start its process; returns when it exists."""
        async with self._locks[node]:
            if node in self._processes:
                return
            launch = self._launches[node]
            for name, text in launch.files.items():
                (self.records(node) / name).write_text(text, encoding="utf-8")
            self._planned.discard(node)
            process = self._processes[node] = self._spawn(node, launch)
            self._incarnations[node] += 1
            gone = self._gone[node] = trio.Event()
            self._nursery.start_soon(self._watch, node, process, os.pidfd_open(process.pid), gone)

    def _spawn(self, node: str, launch: Launch) -> subprocess.Popen[bytes]:
        """In the main thread, which lives as long as the harness: the kernel tells a child of its parent's *thread*."""
        setpriv = tool("setpriv")
        assert setpriv is not None, "without it there would be no cluster"
        paths = os.pathsep.join(filter(None, (_CODE, os.environ.get("PYTHONPATH"))))
        environ = {**os.environ, "PYTHONPATH": paths, **launch.environ, **self._environs.get(node, {})}
        with (self._folder / node / "log").open("ab") as log, inside(self._networks[node]):
            return subprocess.Popen(
                [setpriv, "--pdeathsig", "KILL", *launch.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                start_new_session=True,  # Ctrl-C is for the harness
            )

    async def _watch(self, node: str, process: subprocess.Popen[bytes], descriptor: int, gone: trio.Event) -> None:
        """Until it is gone, also while all else is being cancelled: cleaning up waits for it."""
        with trio.CancelScope(shield=True) as scope:
            self._watches[node] = scope
            try:
                await trio.lowlevel.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        if scope.cancelled_caught:
            return
        time_ns = self._now_ns()
        code = process.wait()
        del self._processes[node]
        planned = node in self._planned
        self._on_exit(Exit(node, time_ns, "ended by the harness" if planned else self._reason(node, code), planned))
        gone.set()

    def _reason(self, node: str, code: int) -> str:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        last = _last_line(self._folder / node / "log")
        return f"{how}: {last}" if last else how

    async def kill(self, node: str) -> bool:
        """SIGKILL; returns when the process is gone."""
        async with self._locks[node]:
            return await self._end(node, signal.SIGKILL)

    async def terminate(self, node: str) -> bool:
        """SIGTERM; after 5 s SIGKILL."""
        async with self._locks[node]:
            with trio.move_on_after(_STOP_S):
                return await self._end(node, signal.SIGTERM)
            return await self._end(node, signal.SIGKILL) or True

    async def _end(self, node: str, sign: signal.Signals) -> bool:
        process = self._processes.get(node)
        if process is None:
            return False
        self._planned.add(node)
        process.send_signal(sign)
        with trio.move_on_after(_GONE_S):
            await self._gone[node].wait()
            return True
        raise HarnessFailure(f"{node} does not end {_GONE_S:g} s after {sign.name}", why="its disk may be frozen")

    async def remount(self, node: str) -> None:
        """As at a boot; the node must be down."""
        async with self._locks[node]:
            assert node not in self._processes, f"{node} runs"
            await remount(self._volumes[node])


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
